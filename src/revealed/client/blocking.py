"""The client that waits for each answer. Imports its own room and the service's messages."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

import httpx

from revealed.client import calls
from revealed.client.answers import PolicyTold, Readiness
from revealed.client.failures import UnavailableError
from revealed.client.retries import TEMPORARY, Attempts, Retries
from revealed.serve.explanation import DecisionTold
from revealed.serve.messages import Decided, DecideRequest, OutcomeRequest, Refused, Taken

Found = TypeVar("Found")
_ONCE = Retries(attempts=1)


class Client:
    """Asks a service, and waits for the answer.

    Threads may share one. Use it in a ``with`` block, or :meth:`close` it: connections are kept open.

    Parameters
    ----------
    url : str
        Where the service is, such as ``http://127.0.0.1:8000``.
    key : str, optional
        What it lets you in with.
    timeout : float
        Seconds to wait for each attempt to connect, and then for its answer.
    retries : Retries, optional
        How often to try. Every request may be sent again: a decision has an id, by which it is decided once, and the
        same outcome counts once.
    transport : httpx.BaseTransport, optional
        For certificates of one's own, proxies and the like.

    Raises
    ------
    SpecificationError
        For an address that is none.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:8000")
    >>> decided = client.decide({"device": "phone"}, ["news", "guide"], fallback=["news"])  # doctest: +SKIP
    >>> client.outcome(decided.decision, reward=1.0)  # doctest: +SKIP
    Taken(new=1, known=0, different=0, unknown=0)
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 2.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url, self.retries, self._timeout = url, retries or Retries(), timeout
        self._http = httpx.Client(**calls.connection(url, key, timeout), transport=transport)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ---- decisions and outcomes -----------------------------------------------------------------------------------

    def decide(
        self,
        context: Mapping[str, object] | None = None,
        candidates: Sequence[str | Mapping[str, object]] | None = None,
        *,
        person: str | None = None,
        policy: str | None = None,
        count: int | None = None,
        id: str | None = None,  # noqa: A002 - what the service calls it
        fallback: Sequence[str] | None = None,
    ) -> Decided:
        """Return a decision.

        Parameters
        ----------
        context : mapping, optional
            What is known of whom it is for, when and where.
        candidates : sequence, optional
            What may be shown: labels, or records with the label and attributes. By default all that the policy knows.
        person : str, optional
            Whom it is for.
        policy : str, optional
            Which policy is to decide, where there are several.
        count : int, optional
            How many to show.
        id : str, optional
            A name of your own, by which the decision is made once; by default 16 random bytes.
        fallback : sequence of str, optional
            What to show if there is no answer. It is returned with ``decision`` None and ``fallback`` saying why.

        Raises
        ------
        UnavailableError
            If there is no answer, and no ``fallback``.
        RefusedError
            If the service says what is wrong with the request; a fall-back does not hide it.
        """
        request = calls.request(context, candidates, policy=policy, person=person, count=count, id=id)
        try:
            return self._send(calls.decide(request), self.retries)
        except UnavailableError as error:
            if fallback is None:
                raise
            return calls.fallen_back(request, fallback, str(error))

    def decide_many(
        self, requests: Iterable[DecideRequest], *, fallback: Sequence[str] | None = None
    ) -> list[Decided | Refused]:
        """Return a decision, or what is wrong, for each request; see :meth:`decide` for the fall-back and errors."""
        requests = list(requests)
        try:
            return self._send(calls.decide_many(requests), self.retries)
        except UnavailableError as error:
            if fallback is None:
                raise
            return [calls.fallen_back(request, fallback, str(error)) for request in requests]

    def outcome(self, decision: str, reward: float, *, position: int = 1, time: float | None = None) -> Taken:
        """Tell what came of a decision; it is on disk when this returns.

        Parameters
        ----------
        decision : str
            Its name, or the id that it was asked with.
        reward : float
        position : int
            Of what it is about, from 1.
        time : float, optional
            When it happened, in seconds since 1970 (UTC); by default when the service hears of it.

        Raises
        ------
        UnavailableError
            If there is no answer. To send the same again is safe.
        RefusedError
            If the service says what is wrong with it.
        SpecificationError
            If the reward or the time is not finite.
        """
        return self.outcomes([OutcomeRequest(decision, reward, position, time)])

    def outcomes(self, outcomes: Iterable[OutcomeRequest]) -> Taken:
        """Tell what came of several decisions; see :meth:`outcome`."""
        return self._send(calls.outcomes(outcomes), self.retries)

    # ---- looking, and the rest ------------------------------------------------------------------------------------

    def decision(self, name: str) -> DecisionTold:
        """Return a decision that was made, by its name or your id, with what came of it."""
        return self._send(calls.decision(name), self.retries)

    def policies(self) -> list[PolicyTold]:
        """Return the policies."""
        return self._send(calls.policies(), self.retries)

    def forget(self, person: str) -> int:
        """Take a person out of the log; return how many decisions went.

        Where an answer was lost on its way and it was sent again, these are the decisions that were left: none.
        """
        return self._send(calls.forget(person), self.retries)

    def health(self) -> bool:
        """Return whether the service lives; it is asked once."""
        try:
            return self._send(calls.health(), _ONCE)
        except UnavailableError:
            return False

    def ready(self) -> Readiness:
        """Return whether the service can decide and write; it is asked once, and UnavailableError if it is gone."""
        return self._send(calls.ready(), _ONCE)

    def _send(self, call: calls.Call[Found], retries: Retries) -> Found:
        attempts = Attempts(retries, self.url)
        while True:
            try:
                response = self._http.request(
                    call.method, call.path, content=call.body, timeout=min(self._timeout, max(attempts.left, 0.001))
                )
            except httpx.TransportError as error:
                pause = attempts.pause(f"{type(error).__name__} {error}".strip())
            else:
                if call.tried_once or response.status_code not in TEMPORARY:
                    return call.answer(response)
                why = f"status {response.status_code}, {calls.reason_of(response)}"
                pause = attempts.pause(why, response.headers.get("retry-after"))
            clock.sleep(pause)
