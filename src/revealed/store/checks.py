"""What a row must be before it is written, and what became of an outcome. Imports its own room and errors only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from math import isfinite
from operator import index
from typing import Any

from revealed.errors import DataError, Problem
from revealed.store.protocol import DecisionRow, OutcomeRow, Verdict

#: Databases keep whole numbers in 64 bits.
LARGEST = 2**63 - 1
#: Numbers of decisions stay below what every JSON reader keeps exactly.
LARGEST_NUMBER = 2**53 - 1
_TEXTS = ("policy", "version", "context", "shown", "propensities", "person", "asked", "candidates")
_NUMBERS = "give a whole number; those of decisions go from 0 to 2^53 - 1"
_TIMES = "give a finite number"


@lru_cache(maxsize=4096)
def _positions(shown: str) -> int:
    """Return how many labels a JSON array has; the same few are shown again and again."""
    labels = json.loads(shown)
    if not isinstance(labels, list):
        raise ValueError("not an array")
    return len(labels)


def decision_values(row: DecisionRow) -> tuple[Any, ...]:
    """Return what is written of a decision, without its place and version.

    Raises
    ------
    DataError
        If it cannot be kept as it is.
    """
    person, asked, candidates, context, shown = row.person, row.asked, row.candidates, row.context, row.shown
    try:
        parts = (row.policy, row.version, context, shown, row.propensities, person or "", asked or "", candidates or "")
        whole = "\n".join(parts)
        number = index(row.number)
        sound = 0 <= number <= LARGEST_NUMBER and isfinite(row.made) and "\0" not in whole
        if sound and (whole.isascii() or whole.encode()):
            return (number, _positions(shown), row.made, person, asked, shown, row.propensities, context, candidates)
    except (TypeError, ValueError, RecursionError):
        pass
    raise DataError(f"decision {row.number}", list(_wrong_with_decision(row)))


def _wrong_with_decision(row: DecisionRow) -> Iterable[Problem]:
    """Yield what is wrong with a decision that cannot be written."""
    yield from _wrong_number("number", row.number)
    yield from _wrong_time("made", row.made)
    for name in _TEXTS:
        text = getattr(row, name)
        if text is None and name in ("person", "asked", "candidates"):
            continue
        yield from wrong_text(name, text)
    try:
        _positions(row.shown)
    except (TypeError, ValueError, RecursionError):
        yield Problem("what was shown is not a JSON array", 'write it as ["first", "second"]', "shown")


def outcome_values(row: OutcomeRow) -> tuple[int, int, float, float, float]:
    """Return what is written of an outcome, without its place and name.

    Raises
    ------
    DataError
        If it cannot be kept as it is, such as a reward that is not a number.
    """
    try:
        decision, position = index(row.decision), index(row.position)
        finite = isfinite(row.reward) and isfinite(row.came) and isfinite(row.received)
        named = row.name == "" or not any(wrong_text("name", row.name))
        if finite and named and -LARGEST <= decision <= LARGEST and -LARGEST <= position <= LARGEST:
            return (decision, position, row.reward, row.came, row.received)
    except (TypeError, ValueError, OverflowError):
        pass
    problems = [*_wrong_number("decision", row.decision), *_wrong_number("position", row.position)]
    for name in ("reward", "came", "received"):
        problems += _wrong_time(name, getattr(row, name))
    problems += wrong_text("name", row.name)
    raise DataError(f"outcome of decision {row.decision}", problems)


def wrong_text(name: str, text: object) -> Iterable[Problem]:
    """Yield what is wrong with a text."""
    if not isinstance(text, str):
        yield Problem(f"{type(text).__name__} where a text belongs", "give a text", name)
    elif "\0" in text:
        yield Problem("a NUL character, which databases cannot keep in a text", "leave it out", name)
    else:
        try:
            text.encode()
        except UnicodeEncodeError:
            yield Problem("half a character (a lone surrogate), which is not Unicode text", "leave it out", name)


def require_texts(source: str, **texts: str) -> None:
    """Raise DataError for each text that a database cannot keep."""
    problems = [problem for name, text in texts.items() for problem in wrong_text(name, text)]
    if problems:
        raise DataError(source, problems)


def _wrong_number(name: str, value: object) -> Iterable[Problem]:
    try:
        sound = -LARGEST <= index(value) <= LARGEST  # type: ignore[arg-type]
    except TypeError:
        sound = False
    if not sound or (name == "number" and not 0 <= value <= LARGEST_NUMBER):  # type: ignore[operator]
        yield Problem(f"{value!r} is not a whole number that can be kept", _NUMBERS, name)


def _wrong_time(name: str, value: object) -> Iterable[Problem]:
    try:
        sound = isfinite(value)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        sound = False
    if not sound:
        yield Problem(f"{value!r} is not a finite number", _TIMES, name)


def verdict(place: int, reward: float, standing: tuple[int, float] | None) -> Verdict:
    """Return what became of an outcome.

    Parameters
    ----------
    place : int
        The ``seq`` that it was sent with.
    reward : float
    standing : tuple of int and float, optional
        The ``seq`` and the reward of what is kept for its position; None if that position is not known.
    """
    if standing is None:
        return Verdict.UNKNOWN
    if standing[0] == place:
        return Verdict.NEW
    return Verdict.KNOWN if standing[1] == reward else Verdict.DIFFERENT
