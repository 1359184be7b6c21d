"""Every error the package raises on purpose: what is wrong, where, and what to do about it. Imports nothing of ours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class RevealedError(Exception):
    """The ancestor of every error raised on purpose.

    ``exit_code`` is what the command line exits with.
    """

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One thing wrong with data at the door.

    Parameters
    ----------
    what : str
        What is wrong, in a sentence without its full stop.
    remedy : str
        What the owner of the data can do about it.
    where : str
        The column, or the like.
    rows : tuple of int
        The first few offending rows, numbered as in the source: a CSV's first data row is 1.
    cases : tuple of str
        The first few offending choice situations.
    count : int
        How many rows (or choice situations) have this problem.
    """

    what: str
    remedy: str
    where: str = ""
    rows: tuple[int, ...] = ()
    cases: tuple[str, ...] = ()
    count: int = 1

    def __str__(self) -> str:
        place = []
        if self.where:
            place.append(self.where)
        if self.rows:
            place.append(f"row{'s' if len(self.rows) > 1 else ''} " + ", ".join(map(str, self.rows)))
        if self.cases:
            place.append(f"case{'s' if len(self.cases) > 1 else ''} " + ", ".join(self.cases))
        shown = max(len(self.rows), len(self.cases))
        if self.count > shown > 0:
            place.append(f"{self.count:,} in all")
        where = f" [{'; '.join(place)}]" if place else ""
        return f"{self.what}{where}\n    remedy: {self.remedy}"


class DataError(RevealedError):
    """Data refused at the door, with every problem found listed at once."""

    exit_code = 3

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {i}. {problem}" for i, problem in enumerate(self.problems, 1))
        super().__init__(f"{source}: {count} problem{'s' if count != 1 else ''} found\n{lines}")


class SpecificationError(RevealedError):
    """A formula, option or name that does not fit the data or the model."""

    exit_code = 4


class ColumnError(DataError, SpecificationError):
    """Names that do not fit the columns of the data, such as one for which there is no column: all are listed.

    It is both kinds of error, as either the name or the data may be the wrong one. The command line exits as for
    any other name that does not fit the data.
    """

    exit_code = SpecificationError.exit_code


class EvidenceError(RevealedError):
    """Evidence that does not belong together, or is not finite."""


class MissingExtraError(RevealedError):
    """A feature whose optional packages are not installed."""

    exit_code = 5

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional part: pip install 'revealed[{extra}]'")


class OutputError(RevealedError):
    """A result could not be written; what was there before is untouched."""

    exit_code = 6


class StoreError(RevealedError):
    """The log of decisions and outcomes cannot be opened, read or written; what it holds is untouched."""

    exit_code = 8
    #: Whether what was to be written may be there all the same, as where the answer to a commit was lost.
    unsure = False


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return ``did you mean …`` for a name that is not there, or the list of what is.

    >>> nearest("csot", ["cost", "time"])
    "did you mean 'cost'?"
    >>> nearest("weather", ["cost", "time"])
    'there are: cost, time'
    """
    known = list(candidates)
    folded = {candidate.casefold(): candidate for candidate in reversed(known)}
    close = difflib.get_close_matches(name.casefold(), folded, n=2)
    if close:
        return "did you mean " + " or ".join(repr(folded[c]) for c in close) + "?"
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"there are: {listed}" if known else "there are none"
