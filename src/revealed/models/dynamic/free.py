"""Rewards without a formula as the rewards of a decision process, ready for what-ifs. Imports its own room and choices.

Recovered by :mod:`revealed.models.dynamic.irl`; how sure they are is told by others, recovered from persons drawn
again, each with the transitions that those persons tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from revealed.choices.log import ChoiceLog
from revealed.doors import door
from revealed.errors import SpecificationError
from revealed.models.dynamic.process import DecisionProcess, Transitions
from revealed.models.dynamic.reward import log_of_states
from revealed.models.dynamic.solve import Solution, solved
from revealed.models.dynamic.space import StateSpace

KIND = "recovered fit"


@dataclass(frozen=True, eq=False)
class FreeReward:
    """A function of the state as the reward of a process whose columns may be changed.

    Parameters
    ----------
    function : callable
        From states as numbers, shape (m, d), to rewards, shape (m, A); NaN where nothing is known.
    space : StateSpace
    log : ChoiceLog
        Of the states, with the columns as they are or as something changed them.
    """

    function: Callable[[np.ndarray], np.ndarray]
    space: StateSpace
    log: ChoiceLog

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters: none."""
        return ()

    @property
    def counts(self) -> Float[np.ndarray, "S A"]:
        """How often each action was taken in each state."""
        return self.log.numbers("chosen").reshape(self.log.n_cases, -1)

    def on(self, log: ChoiceLog, touched: tuple[str, ...]) -> FreeReward:
        """Return the function read at states some of whose columns were changed.

        Raises
        ------
        SpecificationError
            If something else than columns of the state, or what is available, was changed.
        """
        strange = [name for name in touched if name not in (*self.space.columns, log.columns.available)]
        if strange:
            raise SpecificationError(
                f"rewards without a formula do not know {strange[0]!r}; change a column of the state: "
                + ", ".join(self.space.columns)
            )
        return replace(self, log=log)

    def like(self, other: FreeReward) -> FreeReward:
        """Return the reward in these states as another fit has it."""
        return replace(self, function=other.function)

    def of(self, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, "S A"]:  # noqa: ARG002
        """Return the rewards; minus infinity for what was never taken, so that its reward is not known.

        Raises
        ------
        SpecificationError
            If a change leads where the function knows nothing.
        """
        n_states, n_actions = self.space.n_states, self.log.n_rows // self.space.n_states
        each = np.tile(np.arange(n_actions), n_states)
        states, changed = self.space.numbers, self._numbers()
        moved = (changed != np.repeat(states, n_actions, axis=0)).any(axis=1)
        found = self.function(states).reshape(-1).copy()
        if moved.any():
            found[moved] = self.function(changed[moved])[np.arange(int(moved.sum())), each[moved]]
            open_ = np.ones(len(found), dtype=bool)
            if self.log.columns.available is not None:
                open_ = self.log.numbers(self.log.columns.available) != 0
            lost = np.flatnonzero(moved & open_ & ~np.isfinite(found))
            if len(lost):
                where = ", ".join(
                    f"{name} {value:g}" for name, value in zip(self.space.columns, changed[lost[0]], strict=True)
                )
                raise SpecificationError(
                    f"no reward is known at {where}: it was recovered in the states alone; recover it smooth "
                    "(smooth=Polynomial(2), --smooth polynomial:2)"
                )
        return np.where(np.isfinite(found), found, -np.inf).reshape(n_states, n_actions)

    def _numbers(self) -> Float[np.ndarray, "rows d"]:
        """Return the columns of the state of each row, as they are now."""
        columns = []
        for name, levels in self.space.levels.items():
            if levels.dtype.kind == "f":
                columns.append(np.asarray(self.log.numbers(name), dtype=np.float64))
            else:
                labels = self.log.levels_of(name)
                place = {str(label): float(number) for number, label in enumerate(levels)}
                codes = np.array([place.get(str(label), np.nan) for label in labels.labels])
                columns.append(codes[self.log.codes(name, labels)])
        return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A reward of persons drawn again, and the transitions they tell of.

    Parameters
    ----------
    function : callable
    transitions : tuple of csr_array
    """

    function: Callable[[np.ndarray], np.ndarray]
    transitions: tuple[Transitions, ...]


@dataclass(frozen=True, eq=False, repr=False)
class RecoveredFit:
    """Rewards recovered without a formula, in a decision process; made by :func:`~revealed.models.dynamic.irl.fit_on`.

    Parameters
    ----------
    method, citation : str
    process : DecisionProcess
    function : callable
        From states as numbers, shape (m, d), to rewards, shape (m, A).
    taken : ndarray of float64, shape (S, A)
        How often each action was taken in each state.
    draws : tuple of Drawn
        Rewards of persons drawn again.
    failed : int
        Draws that could not be recovered.
    n_persons : int
    assumptions, remarks : tuple of str
        What rewards are relative to; what to know of the data.
    """

    method: str
    citation: str
    process: DecisionProcess
    function: Callable[[np.ndarray], np.ndarray]
    taken: Float[np.ndarray, "S A"]
    draws: tuple[Drawn, ...]
    failed: int
    n_persons: int
    assumptions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.taken.shape != self.process.mask.shape:
            raise ValueError(f"choices of shape {self.taken.shape} in a process of shape {self.process.mask.shape}")

    @cached_property
    def linear(self) -> FreeReward:
        """The reward in the states of the process."""
        given = self.process
        log = log_of_states(given.space, given.actions, self.taken, given.available, given.attributes)
        return FreeReward(self.function, given.space, log)

    @property
    def params(self) -> Float[np.ndarray, " K"]:
        """Parameters: none."""
        return np.zeros(0)

    @cached_property
    def reward(self) -> Float[np.ndarray, "S A"]:
        """The reward of each action in each state, NaN where it cannot be taken or is not known."""
        found = self.function(self.process.space.numbers)
        return np.where(self.process.mask, found, np.nan)

    @cached_property
    def standard_errors(self) -> Float[np.ndarray, "S A"]:
        """The standard error of each reward, by bootstrap; NaN without draws."""
        if len(self.draws) < 2:
            return np.full(self.reward.shape, np.nan)
        states = self.process.space.numbers
        drawn = np.array([one.function(states) for one in self.draws])
        # What is assumed is the same in all draws; rounding in their mean would make it a tiny number.
        return np.where((drawn == drawn[0]).all(axis=0), 0.0, drawn.std(axis=0, ddof=1))

    @cached_property
    def solution(self) -> Solution:
        """What the process comes to under these rewards."""
        return solved(self.process, self.linear.of(self.params))

    @cached_property
    def fits(self) -> tuple[RecoveredFit, ...]:
        """A fit for each draw."""
        return tuple(
            replace(self, function=one.function, process=replace(self.process, transitions=one.transitions), draws=())
            for one in self.draws
        )

    def covariance(self, errors: str | None = None) -> Float[np.ndarray, "K K"]:  # noqa: ARG002
        """Return the covariance of no parameters."""
        return np.zeros((0, 0))

    def index(self, name: str) -> NoReturn:
        """Raise SpecificationError: there are no parameters."""
        raise SpecificationError(f"rewards without a formula have no parameter {name!r}: surplus is told in utility")

    def messages(self) -> list[str]:
        """Return what a reader must know, in words."""
        found = []
        if self.failed:
            found.append(f"{self.failed} of {self.failed + len(self.draws)} draws of persons could not be recovered")
        return [*found, *self.solution.messages(), *self.remarks]

    # ---- doors to later rooms, and files --------------------------------------------------------------------------

    def summary(self, *, level: float = 0.95) -> Any:
        """Return the summary: :func:`revealed.report.recovered.summarise_recovered`."""
        return door("recovered_summary")(self, level=level)

    def over_time(self, *changes: Any, **options: Any) -> Any:
        """Tell what would happen: :func:`revealed.answer.counterfactual.over_time`."""
        return door("over_time")(self, *changes, **options)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fit to a file, whole or not at all; the choices it stands on are not in it.

        Raises
        ------
        SpecificationError
            If the reward is a function of a class that no file holds.
        OutputError
            If the file cannot be written.
        """
        from revealed.models.dynamic.irl.saved import save_parts

        return save_parts(path, KIND, {"fit": self}, (RecoveredFit, Drawn))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecoveredFit:
        """Read a fit from a file; no code in it is ever run.

        Raises
        ------
        DataError
            If the file cannot be read, or parts of it are missing or spoiled.
        RevealedError
            If it holds something else, or a newer version's fit.
        """
        from revealed.models.dynamic.irl.saved import load_parts

        remedy = "give a file that fit.save(path) or revealed dynamic --estimator pqr --out wrote"
        found: RecoveredFit = load_parts(path, KIND, remedy, {"fit": cls}, (cls, Drawn))["fit"]
        return found

    def __str__(self) -> str:
        return str(door("text")(self.summary()))

    def __repr__(self) -> str:
        return f"RecoveredFit({self.method}: {self.process.n_states:,} states, {len(self.draws)} draws)"
