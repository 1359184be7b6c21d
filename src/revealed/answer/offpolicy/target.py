"""What the policy to be judged would have done on each row of a log. Imports choices only.

A policy is given as any :class:`~revealed.choices.policy.Chooser`; as an array of probabilities, of what was shown or
of each action; or as a mapping from actions to probabilities, the same on every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.choices.feedback import Feedback
from revealed.choices.policy import Chooser
from revealed.errors import SpecificationError, nearest

PolicyLike = Chooser | np.ndarray | Mapping[str, float]

#: How far probabilities may be from summing to one: what eight decimals of eighty actions leave.
_TOLERANCE = 1e-6

#: Rows looked at together: their probabilities stay in the second-level cache from one look to the next.
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Logged:
    """The policy that was running: its value is the mean reward, whatever the estimator."""

    def probabilities(self, feedback: Feedback) -> Float[np.ndarray, " rows"]:
        """Return the propensities of the log."""
        return feedback.propensity


@dataclass(frozen=True, eq=False)
class Target:
    """The probabilities of the policy to be judged, checked.

    Parameters
    ----------
    shown : array, shape (rows,)
        With which it would have shown what was shown.
    each : array, shape (rows, actions) or (1, actions), or None
        With which it would have shown each action; one row where it is the same for all. None where not known.
    never_logged : float or None
        The share of its choices that are actions the log never shows; None where ``each`` is.
    logging : bool
        It is the policy that was running.
    """

    shown: Float[np.ndarray, " rows"]
    each: Float[np.ndarray, "rows_or_one actions"] | None
    never_logged: float | None
    logging: bool = False


def target_of(feedback: Feedback, policy: PolicyLike) -> Target:
    """Return what a policy would have done on each row.

    Raises
    ------
    SpecificationError
        If it is no policy, or its probabilities have another shape, are no probabilities, or do not sum to one.
    """
    if isinstance(policy, Logged):
        return Target(feedback.propensity, None, 0.0, logging=True)
    if isinstance(policy, Mapping):
        return _of_mapping(feedback, policy)
    given = policy.probabilities(feedback) if isinstance(policy, Chooser) else policy
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiub":
        raise SpecificationError(
            "a policy is a Chooser, an array of probabilities, or a mapping from actions to probabilities, "
            f"not {type(given).__name__}"
        )
    each = given.astype(np.float64, copy=False)
    if each.shape == (feedback.n_rows,):
        _require_probabilities(each)
        return Target(each, None, None)
    if each.shape != (feedback.n_rows, len(feedback.actions)):
        wanted = f"({feedback.n_rows},) or ({feedback.n_rows}, {len(feedback.actions)})"
        raise SpecificationError(f"probabilities have shape {each.shape}; give {wanted}: rows, or rows by actions")
    shown = _checked_and_gathered(each, feedback.action_codes)
    return Target(shown, each, _mass(each, feedback))


def _of_mapping(feedback: Feedback, policy: Mapping[str, float]) -> Target:
    labels = feedback.actions.labels
    place = {label: i for i, label in enumerate(labels)}
    if not any(action in place for action in policy):
        hint = nearest(str(next(iter(policy), "")), labels)
        raise SpecificationError(f"the policy shows nothing that is an action of {feedback.source}; {hint}")
    probability = np.zeros(len(labels))
    elsewhere = 0.0
    values = np.array([float(value) for value in policy.values()])
    _require_probabilities(values)
    if abs(values.sum() - 1) > _TOLERANCE:
        raise SpecificationError(f"the probabilities of the policy sum to {values.sum():.6g}, not 1")
    for action, value in zip(policy, values.tolist(), strict=True):
        if action in place:
            probability[place[action]] = value
        else:
            elsewhere += value
    each = probability[None]
    return Target(probability[feedback.action_codes], each, _mass(each, feedback) + elsewhere)


def _mass(each: Float[np.ndarray, "rows_or_one actions"], feedback: Feedback) -> float:
    """Return the share of choices that are actions never shown in the log."""
    never = np.flatnonzero(feedback.times_shown == 0)
    return float(each[:, never].sum() / len(each)) if len(never) else 0.0


def _require_probabilities(cells: Float[np.ndarray, " cells"]) -> None:
    wrong = ~((cells >= 0) & (cells <= 1 + _TOLERANCE))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise SpecificationError(
            f"{int(wrong.sum()):,} probabilities of the policy lie outside of [0, 1]; the first, at {first}, is "
            f"{cells[first]:g}"
        )


def _checked_and_gathered(each: Float[np.ndarray, "rows actions"], codes: np.ndarray) -> Float[np.ndarray, " rows"]:
    """Return the probability of what was shown; what is not below zero and sums to one is a probability."""
    ones = np.ones(each.shape[1])
    index = np.arange(BLOCK_ROWS)
    shown = np.empty(len(each))
    for start in range(0, len(each), BLOCK_ROWS):
        block = each[start : start + BLOCK_ROWS]
        off = np.abs(block @ ones - 1)
        if not off.max() <= _TOLERANCE:
            row = start + int(np.argmax(~(off <= _TOLERANCE)))
            raise SpecificationError(f"the probabilities of row {row} (from 0) sum to {each[row].sum():.6g}, not 1")
        if block.min() < 0:
            _require_probabilities(block.ravel())
        shown[start : start + BLOCK_ROWS] = block[index[: len(block)], codes[start : start + BLOCK_ROWS]]
    return shown
