r"""A recovered reward: what it is, relative to what, and what changes if that is wrong. Imports its own room.

Behaviour alone does not identify rewards: to any reward :math:`r` that explains it and any function :math:`W` of the
state, :math:`r(s, a) + W(s) - \gamma\,\mathrm{E}[W(s') | s, a]` explains it as well (Ng, Harada and Russell 1999). One
number a state must be known from elsewhere: here the reward of the anchor, or its mean under a policy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl.function_class import Function
from revealed.models.dynamic.irl.iteration import Fixed
from revealed.models.dynamic.irl.trajectories import Trajectories

#: What is known beforehand: a number, or a function from states, shape (m, d), to numbers, shape (m,).
Known = float | Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class OfStates:
    """A function of states that refuses what are none.

    Parameters
    ----------
    function : callable
        From states, shape (m, d).
    columns : tuple of str
        What the d numbers of a state are.
    """

    function: Function
    columns: tuple[str, ...]

    def __call__(self, states: Any) -> np.ndarray:
        """Return the function at some states.

        Raises
        ------
        SpecificationError
            If they are no finite numbers of shape (m, d).
        """
        told = ", ".join(self.columns)
        wanted = f"states have the shape (m, {len(self.columns)}), a row for each and in it {told}"
        try:
            given = np.asarray(states, dtype=np.float64)
        except (TypeError, ValueError):
            raise SpecificationError(f"{wanted}, all of them numbers; give an array of floats") from None
        if given.ndim != 2 or given.shape[1] != len(self.columns):
            one = given.shape == (len(self.columns),)
            remedy = ": of one state that is states[None, :]" if one else ""
            if given.ndim == 1 and len(self.columns) == 1:
                remedy = ": that is states[:, None]"
            raise SpecificationError(f"{wanted}, not {given.shape}{remedy}")
        odd = np.flatnonzero(~np.isfinite(given).all(axis=1))
        if len(odd):
            column = self.columns[int(np.flatnonzero(~np.isfinite(given[odd[0]]))[0])]
            raise SpecificationError(
                f"{len(odd):,} of {len(given):,} states hold numbers that are missing or infinite, the first in row "
                f"{odd[0]}, {column}; fill them in, or leave those states out"
            )
        return self.function(given)


@dataclass(frozen=True, eq=False)
class RecoveredReward:
    r"""Rewards, values and behaviour as functions of the state.

    Parameters
    ----------
    method, citation : str
    labels : tuple of str
        The actions.
    discount, scale : float
    log_policy, reward, value : callable
        From states, shape (m, d), to :math:`\log\pi(a|s)` and :math:`r(s, a)`, shape (m, A), and :math:`V(s)`, shape
        (m,). NaN where a table has never seen a state or action. They refuse, with a SpecificationError, what are no
        finite numbers of that shape.
    fixed : Fixed
        The end of the fitted iteration: rounds, what is left, whether it converged.
    identification : tuple of str
        What was assumed, and what is learned relative to what.
    remarks : tuple of str
        What to know of the data.
    data : Trajectories
    again : callable
        Recovers once more from the same behaviour with something else known beforehand.
    """

    method: str
    citation: str
    labels: tuple[str, ...]
    discount: float
    scale: float
    log_policy: Function
    reward: Function
    value: Function
    fixed: Fixed
    identification: tuple[str, ...]
    remarks: tuple[str, ...]
    data: Trajectories
    again: Callable[[Known], RecoveredReward]

    def __post_init__(self) -> None:
        for name in ("log_policy", "reward", "value"):
            function = getattr(self, name)
            plain = function.function if isinstance(function, OfStates) else function
            object.__setattr__(self, name, OfStates(plain, self.data.columns))

    def policy(self, states: np.ndarray) -> Float[np.ndarray, "m A"]:
        """Return choice probabilities at states, shape (m, d)."""
        return np.exp(self.log_policy(states))

    def action_value(self, states: np.ndarray) -> Float[np.ndarray, "m A"]:
        r"""Return :math:`Q(s, a) = V(s) + \alpha\log\pi(a|s)` at states, shape (m, d)."""
        return np.asarray(self.value(states)[:, None] + self.scale * self.log_policy(states))

    @property
    def converged(self) -> bool:
        """Whether the fitted iteration reached its fixed point."""
        return self.fixed.converged

    def messages(self) -> tuple[str, ...]:
        """Return what a reader must know: whether it converged, what is assumed, what the data are like."""
        fixed = self.fixed
        told = () if self.converged else (f"{_END} {fixed.rounds} rounds: {fixed.left:.1e} {fixed.of} is left",)
        return (*told, *self.identification, *self.remarks)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the reward to a file, whole or not at all, with the choices it was recovered from, persons as numbers.

        Raises
        ------
        SpecificationError
            If a part is a function that somebody wrote, or of a class that no file holds.
        OutputError
            If the file cannot be written.
        """
        from revealed.models.dynamic.irl.saved import KIND, save_parts

        return save_parts(path, KIND, {"reward": self})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecoveredReward:
        """Read a reward from a file; no code in it is ever run.

        Raises
        ------
        DataError
            If the file cannot be read, or parts of it are missing or spoiled.
        RevealedError
            If it holds something else, or a newer version's reward.
        """
        from revealed.models.dynamic.irl.saved import KIND, load_parts

        found: RecoveredReward = load_parts(path, KIND, "give a file that found.save(path) wrote", {"reward": cls})[
            "reward"
        ]
        return found

    def sweep(self, anchor_reward: Sequence[Known]) -> Sweep:
        """Return what changes if what was known beforehand is wrong.

        Parameters
        ----------
        anchor_reward : sequence of float or callable
            Rewards of the anchor (or means under the policy that normalises) to try instead.
        """
        states = self.data.states
        before = self.reward(states)
        changes = tuple(self.again(known).reward(states) - before for known in anchor_reward)
        return Sweep(self.labels, tuple(map(_told, anchor_reward)), before, changes)


def require_discounting(discount: float, scale: float) -> None:
    """Raise SpecificationError unless a discount factor and a scale of shocks give values without end."""
    if not 0 <= discount < 1:
        remedy = "give one from 0 to below 1"
        raise SpecificationError(f"a discount factor of {discount!r} has no value without end; {remedy}")
    if not (scale > 0 and np.isfinite(scale)):
        raise SpecificationError(f"the scale must be a finite number above zero, not {scale!r}")


@dataclass(frozen=True, eq=False)
class Sweep:
    """How rewards at the states seen change with what was known beforehand.

    Parameters
    ----------
    labels, tried : tuple of str
        The actions, and what was tried.
    before : ndarray of float64, shape (n, A)
        Rewards as recovered.
    changes : tuple of ndarray of float64, shape (n, A)
        By how much they change, for each that was tried.
    """

    labels: tuple[str, ...]
    tried: tuple[str, ...]
    before: Float[np.ndarray, "n A"]
    changes: tuple[Float[np.ndarray, "n A"], ...]

    @property
    def mean(self) -> Float[np.ndarray, "tried A"]:
        """The mean change of each action's reward, NaN for one that a table has never seen taken."""
        known = ~np.isnan(self.before)
        total = [np.where(known, change, 0.0).sum(axis=0) for change in self.changes]
        return np.where(known.any(axis=0), np.array(total) / np.maximum(known.sum(axis=0), 1), np.nan)

    @property
    def contrast(self) -> Float[np.ndarray, " tried"]:
        """The largest change of a difference between two actions' rewards in a state."""
        spread = [np.nanmax(change, axis=1) - np.nanmin(change, axis=1) for change in self.changes]
        return np.array([float(one.max()) for one in spread])

    @property
    def other_best(self) -> Float[np.ndarray, " tried"]:
        """The share of choices in whose state another action has the highest reward."""
        best = np.nanargmax(self.before, axis=1)
        return np.array([float((np.nanargmax(self.before + change, axis=1) != best).mean()) for change in self.changes])

    def __str__(self) -> str:
        """Return a table."""
        head = ["known reward", *self.labels, "contrast", "other best"]
        rows = [
            [told, *(f"{value:+.3f}" for value in mean), f"{contrast:.3f}", f"{share:.1%}"]
            for told, mean, contrast, share in zip(self.tried, self.mean, self.contrast, self.other_best, strict=True)
        ]
        wide = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        return "\n".join(
            "  ".join(
                [row[0].ljust(wide[0]), *(cell.rjust(width) for cell, width in zip(row[1:], wide[1:], strict=True))]
            )
            for row in (head, *rows)
        )


_END = "the fitted iteration did not converge in"


def at(known: Known, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
    """Return what is known beforehand at some states.

    Raises
    ------
    SpecificationError
        If it is no finite number for each state.
    """
    try:
        given = np.asarray(known(states) if callable(known) else known, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecificationError(f"a reward known beforehand is a number or a function, not {known!r}") from None
    if given.shape not in ((), (len(states),)) or not np.isfinite(given).all():
        what = f"not shape {given.shape}" if np.isfinite(given).all() else "and some are not"
        raise SpecificationError(
            f"a reward known beforehand must be a finite number for each of {len(states):,} states, {what}"
        )
    return np.array(np.broadcast_to(given, len(states)))


def in_words(known: Known) -> str:
    """Return what is known beforehand, for a sentence."""
    return "a function of the state" if callable(known) else f"{known:g}"


def _told(known: Known) -> str:
    return getattr(known, "__name__", "a function") if callable(known) else f"{known:g}"
