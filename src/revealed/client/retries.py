"""When to try again, and how long to wait before. Imports its own room and errors.

Waits double, and each is drawn evenly from a half to the whole ("equal jitter"): clients that failed together do not
come back together. What a service says in ``Retry-After`` is waited for at least. Source: M. Brooker, "Exponential
Backoff and Jitter", AWS Architecture Blog, 2015; RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from revealed.client.failures import UnavailableError
from revealed.errors import SpecificationError

#: Answers after which it may be tried again: everything a client sends counts once, however often it is sent.
TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Retries:
    """How often something is tried.

    Parameters
    ----------
    attempts : int
        In all; 1 never tries again.
    pause : float
        Seconds before the second attempt; each further wait is twice the one before.
    longest : float
        The longest wait in seconds, but for a service that asks for more.
    within : float
        Seconds in all, after which it is given up.

    Raises
    ------
    SpecificationError
        For no attempt, or for seconds that are negative.
    """

    attempts: int = 4
    pause: float = 0.1
    longest: float = 2.0
    within: float = 10.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise SpecificationError(f"attempts are counted from the first: at least 1, not {self.attempts}")
        if min(self.pause, self.longest) < 0 or not self.within > 0:
            raise SpecificationError("pauses are not negative, and there is some time within which to try")


class Attempts:
    """The attempts at one request.

    Parameters
    ----------
    retries : Retries
    where : str
        The service, for who reads the error.
    """

    def __init__(self, retries: Retries, where: str) -> None:
        self._retries, self._where = retries, where
        self._made, self._began = 0, time.monotonic()

    @property
    def left(self) -> float:
        """Seconds until it is given up."""
        return self._retries.within - (time.monotonic() - self._began)

    def pause(self, why: str, told: str | None = None) -> float:
        """Return the seconds to wait before the next attempt.

        Parameters
        ----------
        why : str
            What went wrong with this one.
        told : str, optional
            The header ``Retry-After``.

        Raises
        ------
        UnavailableError
            If there is no next one.
        """
        self._made += 1
        asked = seconds_of(told)
        whole = min(self._retries.pause * 2.0 ** (self._made - 1), self._retries.longest)
        wait = max(asked, whole * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        if self._made < self._retries.attempts and wait < self.left:
            return wait
        often = "1 attempt" if self._made == 1 else f"{self._made} attempts"
        asks = f"; it asks to wait {asked:g} seconds" if asked else ""
        seconds = time.monotonic() - self._began
        raise UnavailableError(f"no answer from {self._where}: {why}; given up after {often} in {seconds:.1f} s{asks}")


def seconds_of(told: str | None) -> float:
    """Return the seconds that a ``Retry-After`` asks for, a number or a date; 0 for one that says neither.

    >>> seconds_of("3"), seconds_of(None), seconds_of("soon")
    (3.0, 0.0, 0.0)
    """
    if told is None:
        return 0.0
    if told.strip().isdecimal():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
