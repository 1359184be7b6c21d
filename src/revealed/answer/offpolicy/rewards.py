"""Models of rewards as the estimators use them: what is foretold of each action on each row. Imports parts.

Any array or function will do; :class:`~revealed.answer.offpolicy.ridge.RidgeRewards` is the default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from revealed.answer.offpolicy.parts import Groups
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError


@runtime_checkable
class Foretold(Protocol):
    """What a model foretells of the rows of a log."""

    def of_each(self, rows: slice) -> Float[np.ndarray, "rows_or_one actions"]:
        """Return the expected reward of each action on some rows; one row where it is the same on all.

        Parameters
        ----------
        rows : slice
            With a start and a stop, of the rows of feedback.

        Returns
        -------
        array, shape (some, actions) or (1, actions)
        """
        ...


@runtime_checkable
class RewardModel(Protocol):
    """A model of rewards, fitted on the log it foretells: cross-fitted, so that no row foretells itself."""

    def foretell(self, feedback: Feedback, groups: Groups | None) -> Foretold:
        """Return what is foretold of feedback in which each row has an answer.

        Parameters
        ----------
        feedback : Feedback
        groups : array of int, shape (rows,), or None
            The person of each row: 0, 1, …; None where each row is its own.

        Returns
        -------
        Foretold
        """
        ...


Rewards = RewardModel | np.ndarray | Callable[[Feedback], np.ndarray]


@dataclass(frozen=True, eq=False)
class Given:
    """Expected rewards that somebody gave.

    Parameters
    ----------
    each : array, shape (rows, actions) or (1, actions)
        Of each action, in the order of ``feedback.actions``.
    same : bool
        It has one row, the same for all.
    """

    each: np.ndarray
    same: bool

    def of_each(self, rows: slice) -> Float[np.ndarray, "rows_or_one actions"]:
        """Return the expected reward of each action on some rows; one row where it is the same on all."""
        return np.ascontiguousarray(self.each if self.same else self.each[rows], np.float64)


def foretold_by(rewards: Rewards, feedback: Feedback, groups: Groups | None) -> Foretold:
    """Return what a model, array or function foretells of feedback.

    Raises
    ------
    SpecificationError
        If an array has another shape than (rows, actions) or (actions,), or is not finite.
    """
    if isinstance(rewards, RewardModel):
        return rewards.foretell(feedback, groups)
    given = rewards(feedback) if callable(rewards) else rewards
    n_rows, n_actions = feedback.n_rows, len(feedback.actions)
    if not isinstance(given, np.ndarray) or given.shape not in ((n_rows, n_actions), (n_actions,), (1, n_actions)):
        shape = given.shape if isinstance(given, np.ndarray) else type(given).__name__
        raise SpecificationError(f"expected rewards have shape {shape}; give ({n_rows}, {n_actions}) or ({n_actions},)")
    if given.dtype.kind not in "fiub":
        raise SpecificationError(f"expected rewards are numbers, not {given.dtype}")
    return Given(given.reshape(-1, n_actions), same=given.shape != (n_rows, n_actions))
