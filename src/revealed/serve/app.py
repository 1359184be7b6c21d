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
from typing import Any

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

JSON, MSGPACK = b"application/json", b"application/msgpack"
#: The most text a client may give as an id, a person or a label.
_LONGEST = 1024
#: Bytes of a body that one piece of what comes holds.
_SHORT = 16_384


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


@dataclass(frozen=True)
class _Route:
    """A hot route: what it takes, which scope it needs, what answers it."""

    kind: type[Any]
    scope: str
    answer: Callable[[Any], Awaitable[Any]]


class Service:
    """The application.

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
        self._routes = {
            "/v1/decide": _Route(DecideRequest, "decide", self._decide),
            "/v1/decide/batch": _Route(DecideBatch, "decide", self._decide_batch),
            "/v1/outcome": _Route(OutcomeRequest, "outcome", self._outcome),
            "/v1/outcome/batch": _Route(OutcomeBatch, "outcome", self._outcome_batch),
        }
        self._decoders = {
            (path, form): decoder(route.kind).decode
            for path, route in self._routes.items()
            for form, decoder in ((JSON, msgspec.json.Decoder), (MSGPACK, msgspec.msgpack.Decoder))
        }
        self._write = {JSON: msgspec.json.Encoder().encode, MSGPACK: msgspec.msgpack.Encoder().encode}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self.others(scope, receive, send)
            return
        started, form = time.perf_counter(), JSON
        try:
            if scope["method"] != "POST":
                raise BadRequestError(405, "send this with POST")
            headers = dict(scope["headers"])
            form = _form_of(headers)
            if self.gate is not None:
                self.gate.let(headers.get(b"authorization", b"").decode("latin-1"), route.scope)
            body = await self._body(headers, receive)
            status, answer = 200, await route.answer(self._decoded(scope["path"], form, body))
            if isinstance(answer, Refused):
                status = 422
            more: list[tuple[bytes, bytes]] = []
        except (BadRequestError, GateError, BusyError) as error:
            status, answer, more = _refusal(error)
        except Exception as error:  # noqa: BLE001 - one request must not take others with it
            self.line.counts.add("errors", 1)
            status, answer, more = 500, Refused(f"an error of ours: {type(error).__name__}"), []
        content = self._write[form](answer)
        length = str(len(content)).encode()
        headers_out = [(b"content-type", form), (b"content-length", length), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers_out})
        await send({"type": "http.response.body", "body": content})
        self.line.counts.took(time.perf_counter() - started)

    # ---- reading --------------------------------------------------------------------------------------------------

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > self.limits.body:
            raise self._too_long()
        if told.isdigit() and 0 < int(told) <= _SHORT:
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

    def _decoded(self, path: str, form: bytes, body: bytes) -> Any:
        try:
            return self._decoders[path, form](body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequestError(400, f"not what {path} takes: {error}") from None

    # ---- answering ------------------------------------------------------------------------------------------------

    async def _decide(self, request: DecideRequest) -> Any:
        _require_sound(request)
        return await self.line.decide([request])[0]

    async def _decide_batch(self, batch: DecideBatch) -> DecidedBatch:
        self._require_some(batch.requests)
        for request in batch.requests:
            _require_sound(request)
        return DecidedBatch(list(await asyncio.gather(*self.line.decide(batch.requests))))

    async def _outcome(self, outcome: OutcomeRequest) -> Any:
        _require_finite([outcome])
        return await self.line.tell([outcome])

    async def _outcome_batch(self, batch: OutcomeBatch) -> Any:
        self._require_some(batch.outcomes)
        _require_finite(batch.outcomes)
        return await self.line.tell(batch.outcomes)

    def _require_some(self, items: Sequence[object]) -> None:
        if not items:
            raise BadRequestError(400, "an empty batch")
        if len(items) > self.limits.batch:
            raise BadRequestError(413, f"a batch of {len(items):,}; send at most {self.limits.batch:,} at once")


def _require_sound(request: DecideRequest) -> None:
    for what, text in (("person", request.person), ("id", request.id)):
        if text is not None and (len(text) > _LONGEST or "\0" in text or not text):
            raise BadRequestError(400, f"{what}: 1 to {_LONGEST:,} letters, none of them NUL")


def _require_finite(outcomes: Sequence[OutcomeRequest]) -> None:
    for place, outcome in enumerate(outcomes, start=1):
        if not isfinite(outcome.reward) or not (outcome.time is None or isfinite(outcome.time)):
            raise BadRequestError(400, f"outcome {place}: reward and time are finite numbers")
        if len(outcome.decision) > _LONGEST or "\0" in outcome.decision or not -(2**31) < outcome.position < 2**31:
            raise BadRequestError(400, f"outcome {place}: no such decision or position can be")


def _form_of(headers: Mapping[bytes, bytes]) -> bytes:
    told = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if told in (MSGPACK, b"application/x-msgpack"):
        return MSGPACK
    if told in (JSON, b""):
        return JSON
    raise BadRequestError(415, "send application/json or application/msgpack")


def _refusal(error: BadRequestError | GateError | BusyError) -> tuple[int, Refused, list[tuple[bytes, bytes]]]:
    more: list[tuple[bytes, bytes]] = []
    status = 503 if isinstance(error, BusyError) else error.status
    wait = getattr(error, "wait", 0.0)
    if wait:
        more.append((b"retry-after", str(max(1, round(wait))).encode()))
    if status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    return status, Refused(error.reason), more
