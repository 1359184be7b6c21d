"""A saved fit and its choices, to be asked what if: read once, asked often. Imports answer, models and choices."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from revealed.answer.whatif import WhatIf, whatif
from revealed.choices.door import admit
from revealed.choices.log import ChoiceLog
from revealed.choices.tables import as_table
from revealed.errors import DataError, Problem, RevealedError, SpecificationError, nearest
from revealed.models.fit import Fit
from revealed.serve.console.levers import Lever, levers_of, spread_evenly

#: Seconds of the processor that an answer may take, and the fewest cases that are asked.
_SECONDS, _FEWEST = 0.1, 64
_REMEDY = "give a file that 'revealed fit --out' or fit.save() wrote"


@dataclass(frozen=True)
class FitFile:
    """Where a saved fit is, and the choices that it is asked about.

    Parameters
    ----------
    name : str
    fit, choices : str
        Files.
    cases : int
        How many choice situations are asked for an answer; 0 for all.
    """

    name: str
    fit: str
    choices: str
    cases: int = 0


@dataclass(frozen=True, eq=False)
class Asked:
    """A fit that can be asked.

    Parameters
    ----------
    file : FitFile
    fit : Fit
    log : ChoiceLog
        The choice situations that are asked: all, or some spread evenly.
    n_cases : int
        How many there are in the file.
    levers : tuple of Lever
    """

    file: FitFile
    fit: Fit
    log: ChoiceLog
    n_cases: int
    levers: tuple[Lever, ...]

    @classmethod
    def opened(cls, file: FitFile) -> Asked:
        """Return a fit with its choices, read from their files.

        Raises
        ------
        DataError
            If one of them is not there, is something else, or they do not go together.
        """
        fit = _fit_in(Path(file.fit))
        log = _choices_of(fit, file.choices)
        levers = levers_of(fit, log)
        asked = log if not file.cases else log.take_cases(spread_evenly(log.n_cases, file.cases))
        return cls(file, fit, asked, log.n_cases, levers)

    @property
    def costs(self) -> tuple[str, ...]:
        """The columns that may be money."""
        return tuple(dict.fromkeys(lever.column for lever in self.levers))

    def changes(self, moves: Mapping[str, str]) -> list[str]:
        """Return the changes that a form asks for, in the order of the levers.

        Parameters
        ----------
        moves : mapping
            By the name of a lever, what :meth:`.Lever.moved` takes.

        Raises
        ------
        SpecificationError
            For a lever that is not there, or a move that cannot be made.
        """
        named = {lever.name: lever for lever in self.levers}
        strange = next((name for name in moves if name not in named), None)
        if strange is not None:
            raise SpecificationError(f"nothing to move is called {strange[:80]!r}; {nearest(strange[:80], named)}")
        found = [(lever, lever.moved(moves.get(lever.name, ""))) for lever in self.levers]
        return [str(lever.change(moved)) for lever, moved in found if moved is not None]

    def ask(self, changes: Sequence[str], cost: str | None = None) -> WhatIf:
        """Return what would be chosen after some changes; see :func:`revealed.answer.whatif.whatif`."""
        return whatif(self.fit, self.log, *changes, cost=cost)

    def command(self, changes: Sequence[str], cost: str | None = None) -> str:
        """Return the command that asks the same of all choice situations."""
        asked = [f"--set {_for_a_shell(change)}" for change in changes] + ([f"--cost {quote(cost)}"] if cost else [])
        return " ".join(["revealed whatif", quote(self.file.fit), quote(self.file.choices), *asked])


def fits_of(given: Sequence[str] | None) -> tuple[FitFile, ...]:
    """Return the fits that ``FIT=CHOICES`` options name, each opened once to see that it can be asked.

    A fit is called as its file. The last equals sign parts the two.

    Raises
    ------
    SpecificationError
        If one is not written so, or two are called the same.
    DataError
        If a file is not what it should be.
    """
    found: dict[str, FitFile] = {}
    for text in given or ():
        fit, _, choices = (part.strip() for part in text.rpartition("="))
        if not fit or not choices:
            raise SpecificationError(f"--fit {text!r} is not a fit and its choices; write --fit fit.json=choices.csv")
        name = Path(fit).stem
        if name in found:
            raise SpecificationError(f"two fits are called {name!r}: {found[name].fit} and {fit}; rename a file")
        found[name] = measured(Asked.opened(FitFile(name, fit, choices)))
    return tuple(found.values())


def measured(asked: Asked) -> FitFile:
    """Return where a fit is with the number of cases that can be asked while a lever moves.

    All of them, if an answer takes a tenth of a second at most; else a power of two. It is measured once, where a
    service starts, so that all of its processes ask the same ones.
    """
    if not asked.levers:
        return asked.file
    change, n, count = str(asked.levers[0].change(1.0)), asked.log.n_cases, _FEWEST
    while count < n:
        more = replace(asked, log=asked.log.take_cases(spread_evenly(n, 2 * count)))
        if min(_seconds(more, change) for _ in range(2)) > _SECONDS:
            return replace(asked.file, cases=count)
        count *= 2
    return replace(asked.file, cases=0)


def _seconds(asked: Asked, change: str) -> float:
    started = time.thread_time()
    asked.ask([change])
    return time.thread_time() - started


def _for_a_shell(change: str) -> str:
    """Return a change in the quotes that people write, if a shell then takes all of it as it is."""
    return quote(change) if set(change) & set('"$`\\!') else f'"{change}"'


def _fit_in(path: Path) -> Fit:
    try:
        return Fit.load(path)
    except RevealedError as error:
        kind = _kind_in(path)
        what = f"this is a {kind}, and the console asks fits of choices" if kind else str(error)
        raise DataError(str(path), [Problem(what, _REMEDY)]) from None


def _kind_in(path: Path) -> str:
    """Return what a file of ours says it is, where it is another thing than a fit of choices."""
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        return ""
    return kind if isinstance(kind, str) else ""


def _choices_of(fit: Fit, path: str) -> ChoiceLog:
    """Return the choices in a file, whose columns play the roles they played in the fit."""
    used = dict.fromkeys(name for design in fit.law.designs for name in (*design.variables, *design.categories))
    columns = fit.data.columns
    labels = tuple(filter(None, (columns.case, columns.alternative, columns.person)))
    table, name = as_table(path, None, labels)
    return admit(table, columns, counts=fit.data.counts, attributes=tuple(used), source=name)
