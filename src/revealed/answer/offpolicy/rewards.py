"""Models of rewards as the estimators use them: what is foretold of each action on each row. Imports target.

Any array or function will do; :class:`~revealed.answer.offpolicy.ridge.RidgeRewards` is the default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from revealed.answer.offpolicy.parts import Groups, Rows
from revealed.answer.offpolicy.target import BLOCK_ROWS, Target
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError


@runtime_checkable
class Foretold(Protocol):
    """What a model foretells of the rows of a log."""

    def of_each(self, rows: slice) -> Float[np.ndarray, "some actions"]:
        """Return the expected reward of each action on some rows."""
        ...


@runtime_checkable
class RewardModel(Protocol):
    """A model of rewards, fitted on the log it foretells: cross-fitted, so that no row foretells itself."""

    def foretell(self, feedback: Feedback, groups: Groups | None) -> Foretold:
        """Return what is foretold of feedback in which each row has an answer; groups are its persons."""
        ...


Rewards = RewardModel | np.ndarray | Callable[[Feedback], np.ndarray]


@dataclass(frozen=True, eq=False)
class Given:
    """Expected rewards that somebody gave.

    Parameters
    ----------
    each : array, shape (rows, actions) or (1, actions)
        Of each action, in the order of ``feedback.actions``.
    """

    each: Float[np.ndarray, "rows_or_one actions"]

    def of_each(self, rows: slice) -> Float[np.ndarray, "some actions"]:
        """Return the expected reward of each action on some rows; one row where it is the same on all."""
        return self.each if len(self.each) == 1 else self.each[rows]


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
    each = given.astype(np.float64, copy=False).reshape(-1, n_actions)
    return Given(each)


def of_policy(foretold: Foretold, target: Target, shown: Int[np.ndarray, " rows"]) -> tuple[Rows, Rows]:
    r"""Return what is foretold of a policy and of what was shown, on each row.

    Parameters
    ----------
    foretold : Foretold
    target : Target
        The policy, with the probability of each action.
    shown : array of int, shape (rows,)
        The action shown.

    Returns
    -------
    expected : array, shape (rows,)
        :math:`\sum_a \pi(a|x)\,\hat q(x, a)`.
    of_shown : array, shape (rows,)
        :math:`\hat q(x, a)` of what was shown.

    Raises
    ------
    SpecificationError
        If something foretold is not finite.
    """
    each = target.each
    assert each is not None
    expected, of_shown = np.empty(len(shown)), np.empty(len(shown))
    index = np.arange(BLOCK_ROWS)
    for start in range(0, len(shown), BLOCK_ROWS):
        rows = slice(start, min(start + BLOCK_ROWS, len(shown)))
        rewards = foretold.of_each(rows)
        same = len(rewards) == 1 and rows.stop - start > 1
        if len(each) == 1:
            expected[rows] = rewards @ each[0]
        elif same:
            expected[rows] = each[rows] @ rewards[0]
        else:
            np.einsum("ra,ra->r", each[rows], rewards, out=expected[rows])
        of_shown[rows] = rewards[0, shown[rows]] if same else rewards[index[: rows.stop - start], shown[rows]]
    if not np.isfinite(expected.sum() + of_shown.sum()):
        raise SpecificationError("the model of rewards foretells rewards that are not finite")
    return expected, of_shown
