"""The service as an ASGI application: two hot routes by hand, all others in Starlette. Imports its own room.

A framework that validates costs several times what a decision does (``docs/design/serving.md``), so deciding and
telling outcomes go from bytes to typed messages in one step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import msgspec

from revealed.serve.gate import Gate, GateError
from revealed.serve.line import BusyError, Line
from revealed.serve.messages import (
    DecideBatch,
    DecidedBatch,
    DecideRequest,
    OutcomeBatch,
    OutcomeRequest,
    Refused,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers = list[tuple[bytes, bytes]]

#: The paths of the hot routes.
DECIDE, DECIDE_BATCH, OUTCOME, OUTCOME_BATCH = HOT = (
    "/v1/decide",
    "/v1/decide/batch",
    "/v1/outcome",
    "/v1/outcome/batch",
)
JSON, MSGPACK = b"application/json", b"application/msgpack"
_NO_MORE: Headers = []
#: The most letters a client may give as an id or a person, and the most bytes: PostgreSQL's indexes take some 2,700.
_LONGEST, _MOST_BYTES = 1024, 2048
#: Bytes of a body that one piece of what comes holds.
SHORT = 16_384


@dataclass(frozen=True)
class Limits:
    """What a request may be.

    Parameters
    ----------
    body : int
        Bytes.
    batch : int
        Decisions or outcomes in one request.
    seconds : float
        In which its body has to come.
    """

    body: int = 1 << 20
    batch: int = 1000
    seconds: float = 10.0


class BadRequestError(Exception):
    """A request that cannot be read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


#: A union would be made anew for each answer.
_REFUSALS = (BadRequestError, GateError, BusyError)


class Reply(NamedTuple):
    """What is answered over HTTP.

    Parameters
    ----------
    status : int
    form : bytes
        ``JSON`` or ``MSGPACK``.
    content : bytes
    more : list of pairs of bytes
        Headers besides the content's type and length.
    """

    status: int
    form: bytes
    content: bytes
    more: Headers


class _Route(NamedTuple):
    """A hot route: what it takes, which scope it needs, what answers it."""

    kind: type[Any]
    scope: str
    answer: Callable[[Any, Callable[[Any], None]], None]


class Way(NamedTuple):
    """What the path and the header of a request to a hot route say: the same for all that begin with the same bytes.

    Parameters
    ----------
    path : str
    form : bytes
        Of the body, and of the answer.
    key : str
        The header ``Authorization``.
    scope : str
        What the key must be for.
    decode, answer : callable
        From a body to a message; from a message to a call with the answer.
    """

    path: str
    form: bytes
    key: str
    scope: str
    decode: Callable[[bytes], Any]
    answer: Callable[[Any, Callable[[Any], None]], None]


class Service:
    """The application.

    Its hot routes go from bytes to a callback, so that a connection that has a request whole (:mod:`.connection`) can
    have it answered without a task of its own; as an ASGI application it does the same.

    Parameters
    ----------
    line : Line
    gate : Gate, optional
        None lets everybody do everything, for a service that nobody else can reach.
    others : ASGI application
        What answers all other paths.
    limits : Limits
    """

    def __init__(self, line: Line, gate: Gate | None, others: Application, limits: Limits | None = None) -> None:
        self.line, self.gate, self.others, self.limits = line, gate, others, limits or Limits()
        self.routes = {
            DECIDE: _Route(DecideRequest, "decide", self._decide),
            DECIDE_BATCH: _Route(DecideBatch, "decide", self._decide_batch),
            OUTCOME: _Route(OutcomeRequest, "outcome", self._outcome),
            OUTCOME_BATCH: _Route(OutcomeBatch, "outcome", self._outcome_batch),
        }
        self._decoders = {
            (path, form): decoder(route.kind).decode
            for path, route in self.routes.items()
            for form, decoder in ((JSON, msgspec.json.Decoder), (MSGPACK, msgspec.msgpack.Decoder))
        }
        self._write = {JSON: msgspec.json.Encoder().encode, MSGPACK: msgspec.msgpack.Encoder().encode}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path = scope["path"]
        if scope["type"] != "http" or path not in self.routes:
            await self.others(scope, receive, send)
            return
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def then(reply: Reply) -> None:
            if not future.done():  # who asked may have gone
                future.set_result(reply)

        headers = dict(scope["headers"])
        try:
            if scope["method"] != "POST":
                raise BadRequestError(405, "send this with POST")
            way = self.way(path, headers)
            self._let(way)
            body = await self._body(headers, receive)
        except (BadRequestError, GateError) as error:
            then(self._reply(JSON, error))
        else:
            self._answer(way, body, then)
        reply = await future
        told = [(b"content-type", reply.form), (b"content-length", b"%d" % len(reply.content)), *reply.more]
        await send({"type": "http.response.start", "status": reply.status, "headers": told})
        await send({"type": "http.response.body", "body": reply.content})

    def way(self, path: str, headers: Mapping[bytes, bytes]) -> Way:
        """Return how requests are answered that begin like this.

        Parameters
        ----------
        path : str
            One of ``routes``.
        headers : mapping of bytes to bytes
            By their names in lower case.

        Raises
        ------
        BadRequestError
            If their body is in no form that is read here.
        """
        form, route = _form_of(headers), self.routes[path]
        key = headers.get(b"authorization", b"").decode("latin-1")
        return Way(path, form, key, route.scope, self._decoders[path, form], route.answer)

    def take(self, way: Way, body: bytes, then: Callable[[Reply], None]) -> None:
        """Have a POST to one of the hot routes answered, if it may pass: ``then`` is called once, now or later."""
        try:
            self._let(way)
        except GateError as error:
            then(self._reply(JSON, error))
        else:
            self._answer(way, body, then)

    def _let(self, way: Way) -> None:
        if self.gate is not None:
            self.gate.let(way.key, way.scope)

    def _answer(self, way: Way, body: bytes, then: Callable[[Reply], None]) -> None:
        started = time.perf_counter()

        def told(answer: Any) -> None:
            then(self._reply(way.form, answer))
            self.line.counts.took(time.perf_counter() - started)

        try:
            way.answer(self._decoded(way, body), told)
        except Exception as error:  # noqa: BLE001 - one request must not take others with it
            told(error)

    def _reply(self, form: bytes, answer: Any) -> Reply:
        """Return an answer, or what is wrong, as it is sent."""
        status, more = 200, _NO_MORE
        if isinstance(answer, Refused):
            status = 422
        elif isinstance(answer, Exception):
            if isinstance(answer, _REFUSALS):
                status, answer, more = _refusal(answer)
            else:
                self.line.counts.add("errors", 1)
                status, answer = 500, Refused(f"an error of ours: {type(answer).__name__}")
        return Reply(status, form, self._write[form](answer), more)

    # ---- reading --------------------------------------------------------------------------------------------------

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > self.limits.body:
            raise self._too_long()
        if told.isdigit() and 0 < int(told) <= SHORT:
            return await self._read_all(receive)  # it comes with its header; the connection, too, has its patience
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self._read_all(receive)
        except TimeoutError:
            raise BadRequestError(408, f"the body did not come within {self.limits.seconds:g} seconds") from None

    async def _read_all(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body", False):
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self.limits.body:
                raise self._too_long()
        if message["type"] == "http.disconnect":
            raise BadRequestError(400, "the client has gone")
        return body

    def _too_long(self) -> BadRequestError:
        return BadRequestError(413, f"the body is longer than {self.limits.body:,} bytes; send it in parts")

    def _decoded(self, way: Way, body: bytes) -> Any:
        try:
            return way.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequestError(400, f"not what {way.path} takes: {error}") from None

    # ---- answering ------------------------------------------------------------------------------------------------

    def _decide(self, request: DecideRequest, then: Callable[[Any], None]) -> None:
        _require_sound(request)
        self.line.ask(request, then)

    def _decide_batch(self, batch: DecideBatch, then: Callable[[Any], None]) -> None:
        self._require_some(batch.requests)
        for request in batch.requests:
            _require_sound(request)
        self.line.decide(
            batch.requests,
            lambda answers: then(answers if isinstance(answers, Exception) else DecidedBatch(list(answers))),
        )

    def _outcome(self, outcome: OutcomeRequest, then: Callable[[Any], None]) -> None:
        _require_finite([outcome])
        self.line.tell([outcome], then)

    def _outcome_batch(self, batch: OutcomeBatch, then: Callable[[Any], None]) -> None:
        self._require_some(batch.outcomes)
        _require_finite(batch.outcomes)
        self.line.tell(batch.outcomes, then)

    def _require_some(self, items: Sequence[object]) -> None:
        if not items:
            raise BadRequestError(400, "an empty batch")
        if len(items) > self.limits.batch:
            raise BadRequestError(413, f"a batch of {len(items):,}; send at most {self.limits.batch:,} at once")


def _require_sound(request: DecideRequest) -> None:
    person, own = request.person, request.id
    if person is not None and not (person and _can_be_kept(person)):
        raise _not_kept("person")
    if own is not None and not (own and _can_be_kept(own)):
        raise _not_kept("id")


def _not_kept(what: str) -> BadRequestError:
    return BadRequestError(400, f"{what}: 1 to {_LONGEST:,} letters, {_MOST_BYTES:,} bytes at most, none of them NUL")


def _can_be_kept(name: str) -> bool:
    short = len(name) <= _LONGEST and (name.isascii() or len(name.encode()) <= _MOST_BYTES)
    return short and "\0" not in name


def _require_finite(outcomes: Sequence[OutcomeRequest]) -> None:
    for place, outcome in enumerate(outcomes, start=1):
        if not isfinite(outcome.reward) or not (outcome.time is None or isfinite(outcome.time)):
            raise BadRequestError(400, f"outcome {place}: reward and time are finite numbers")
        if not _can_be_kept(outcome.decision) or not -(2**31) < outcome.position < 2**31:
            raise BadRequestError(400, f"outcome {place}: no such decision or position can be")


def _form_of(headers: Mapping[bytes, bytes]) -> bytes:
    told = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if told in (MSGPACK, b"application/x-msgpack"):
        return MSGPACK
    if told in (JSON, b""):
        return JSON
    raise BadRequestError(415, "send application/json or application/msgpack")


def _refusal(error: BadRequestError | GateError | BusyError) -> tuple[int, Refused, Headers]:
    more: Headers = []
    status = 503 if isinstance(error, BusyError) else error.status
    wait = getattr(error, "wait", 0.0)
    if wait:
        more.append((b"retry-after", str(max(1, round(wait))).encode()))
    if status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    return status, Refused(error.reason), more
