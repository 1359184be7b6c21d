"""What is sent for each request and how its answer is read, whoever sends it. Imports messages, its room and errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from revealed.client.answers import PolicyTold, Readiness
from revealed.client.failures import RefusedError, ServiceError
from revealed.client.retries import TEMPORARY
from revealed.errors import SpecificationError
from revealed.serve.explanation import DecisionTold
from revealed.serve.messages import (
    DecideBatch,
    Decided,
    DecideRequest,
    OutcomeBatch,
    OutcomeRequest,
    Refused,
    Taken,
)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Call(Generic[Found]):
    """A request.

    Parameters
    ----------
    method, path : str
    read : callable
        Makes the answer of the content of a response.
    body : bytes, optional
        JSON.
    tried_once : bool
        It is told as it is, temporary or not.
    """

    method: str
    path: str
    read: Callable[[bytes], Found]
    body: bytes | None = None
    tried_once: bool = False

    def answer(self, response: httpx.Response) -> Found:
        """Return the answer in a response that is not to be asked for again.

        Raises
        ------
        RefusedError
            If it says what is wrong with the request.
        ServiceError
            If it is nothing that a service of this kind answers.
        """
        if not (response.is_success or (self.tried_once and response.status_code in TEMPORARY)):
            raise RefusedError(response.status_code, reason_of(response))
        try:
            return self.read(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            where = response.request.url
            raise ServiceError(f"{where} answers what no such service does; is the address that of one?") from None


def reason_of(response: httpx.Response) -> str:
    """Return why a request was not answered, in the words of the service."""
    try:
        return msgspec.json.decode(response.content, type=Refused).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return response.reason_phrase or f"status {response.status_code}"


def connection(url: str, key: str | None, timeout: float) -> dict[str, Any]:
    """Return what a connection to a service is made with.

    Raises
    ------
    SpecificationError
        For an address that is none of a service, or no time to wait.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SpecificationError(f"not the address of a service: {url!r}; such as http://127.0.0.1:8000")
    if not timeout > 0:
        raise SpecificationError(f"a timeout is above 0 seconds, not {timeout!r}")
    headers = {"content-type": "application/json", "accept": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return {"base_url": url, "headers": headers, "timeout": timeout}


# ---- the requests ---------------------------------------------------------------------------------------------------


def request(
    context: Mapping[str, object] | None, candidates: Sequence[str | Mapping[str, object]] | None, **more: Any
) -> DecideRequest:
    """Return what is asked for, of mappings of any kind; whether values can be sent shows when they are."""
    options: Any = None
    if candidates is not None:
        options = [item if isinstance(item, str) else dict(item) for item in candidates]
    known: Any = dict(context or {})
    return DecideRequest(known, candidates=options, **more)


def decide(request: DecideRequest) -> Call[Decided]:
    """Return the call for a decision."""
    return Call("POST", "/v1/decide", msgspec.json.Decoder(Decided).decode, _encoded(_named(request)))


def decide_many(requests: Iterable[DecideRequest]) -> Call[list[Decided | Refused]]:
    """Return the call for several decisions."""
    return Call("POST", "/v1/decide/batch", _decisions, _encoded(DecideBatch([_named(one) for one in requests])))


def outcomes(told: Iterable[OutcomeRequest]) -> Call[Taken]:
    """Return the call that tells outcomes.

    Raises
    ------
    SpecificationError
        For a reward or a time that is not finite.
    """
    told = list(told)
    for one in told:
        if not isfinite(one.reward) or not (one.time is None or isfinite(one.time)):
            raise SpecificationError(f"the reward of {one.decision!r} and its time are finite numbers: {one.reward!r}")
    return Call("POST", "/v1/outcome/batch", msgspec.json.Decoder(Taken).decode, _encoded(OutcomeBatch(told)))


def decision(name: str) -> Call[DecisionTold]:
    """Return the call that looks a decision up."""
    return Call("GET", f"/v1/decisions/{_in_path(name)}", msgspec.json.Decoder(DecisionTold).decode)


def policies() -> Call[list[PolicyTold]]:
    """Return the call for the policies."""
    return Call("GET", "/v1/policies", msgspec.json.Decoder(list[PolicyTold]).decode)


def forget(person: str) -> Call[int]:
    """Return the call that takes a person out of the log."""
    return Call("DELETE", f"/v1/people/{_in_path(person)}", _count)


def health() -> Call[bool]:
    """Return the call that asks whether the service lives."""
    return Call("GET", "/health", _is_alive, tried_once=True)


def ready() -> Call[Readiness]:
    """Return the call that asks whether the service can decide and write."""
    return Call("GET", "/ready", msgspec.json.Decoder(Readiness).decode, tried_once=True)


def fallen_back(request: DecideRequest, shown: Sequence[str], why: str) -> Decided:
    """Return what is shown when there is no service: a decision without a name, of which nothing is learned."""
    return Decided(None, list(shown), None, [], request.policy or "", "", why)


def _named(request: DecideRequest) -> DecideRequest:
    """Return the request with an id, by which it is decided once however often it is sent."""
    return request if request.id is not None else msgspec.structs.replace(request, id=os.urandom(16).hex())


def _decisions(content: bytes) -> list[Decided | Refused]:
    # Two kinds without a tag, which msgspec does not tell apart by itself.
    told = msgspec.json.decode(content, type=dict[str, list[dict[str, Any]]])["decisions"]
    return [_converted(one) for one in told]


def _converted(one: dict[str, Any]) -> Decided | Refused:
    return msgspec.convert(one, Refused) if "error" in one else msgspec.convert(one, Decided)


def _count(content: bytes) -> int:
    return msgspec.json.decode(content, type=dict[str, int])["decisions"]


def _is_alive(content: bytes) -> bool:
    return msgspec.json.decode(content, type=dict[str, str])["status"] == "alive"


def _in_path(text: str) -> str:
    """Return a text as one segment of a path; ``.`` and ``..`` as they are would lead to another one."""
    return quote(text, safe="") if text not in (".", "..") else "%2E" * len(text)


def _encoded(message: msgspec.Struct) -> bytes:
    try:
        return msgspec.json.encode(message, enc_hook=_plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise SpecificationError(f"this cannot be sent: {error}; text, numbers, true, false and None can") from None


def _plain(value: Any) -> Any:
    """Return a number of numpy's, or of a library like it, as one of Python's."""
    if hasattr(value, "item") and not isinstance(value, Mapping):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r}")
