"""What the policy to be judged would have done on each row of a log. Imports choices only.

A policy is given as any :class:`~revealed.choices.policy.Chooser`; as an array of probabilities, of what was shown or
of each action; or as a mapping from actions to probabilities, the same on every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.choices.feedback import Feedback
from revealed.choices.policy import Chooser
from revealed.errors import SpecificationError, nearest

#: How far probabilities may be from summing to one: what eight decimals of eighty actions leave.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Logged:
    """The policy that was running: its value is the mean reward, whatever the estimator."""

    def probabilities(self, feedback: Feedback) -> Float[np.ndarray, " rows"]:
        """Return the propensities of the log.

        Parameters
        ----------
        feedback : Feedback

        Returns
        -------
        array, shape (rows,)
        """
        return feedback.propensity


@dataclass(frozen=True, eq=False)
class Target:
    """The probabilities of the policy to be judged. Those of rows are checked as they are taken, block by block.

    Parameters
    ----------
    shown : array, shape (rows,), or None
        With which it would have shown what was shown; None where ``each`` is given.
    each : array, shape (rows, actions) or (1, actions), or None
        With which it would have shown each action; one row where it is the same for all. None where not known.
    same : bool
        ``each`` has one row, the same for all.
    elsewhere : float
        The probability of actions that the log does not know at all.
    logging : bool
        It is the policy that was running.
    origin : array of int, shape (rows,), or None
        The row of each in the array that was given; None where they are the same.
    sound : bool
        All was checked, and ``shown`` is known beside ``each`` (:func:`asked_once`).
    """

    shown: np.ndarray | None
    each: np.ndarray | None
    same: bool = False
    elsewhere: float = 0.0
    logging: bool = False
    origin: Int[np.ndarray, " rows"] | None = None
    sound: bool = False

    def of_rows(self, kept: Bool[np.ndarray, " all_rows"]) -> Target:
        """Return the same on some rows only."""
        shown = None if self.shown is None else self.shown[kept]
        each = self.each if self.each is None or self.same else self.each[kept]
        return replace(self, shown=shown, each=each)

    def each_on(self, rows: slice) -> Float[np.ndarray, "rows_or_one actions"]:
        """Return the probability of each action on some rows, not yet checked; one row where it is the same on all."""
        assert self.each is not None  # else no model could be asked
        return self.each if self.same else np.ascontiguousarray(self.each[rows], np.float64)

    @property
    def tolerance(self) -> float | None:
        """How far the sum of a row may be from one; None where rows were checked before."""
        return None if self.same or self.sound else _TOLERANCE

    def require(self, block: Float[np.ndarray, "rows_or_one actions"], rows: slice) -> None:
        """Raise SpecificationError unless rows are probabilities that sum to one."""
        if self.tolerance is None:
            return
        with np.errstate(invalid="ignore"):  # infinities of both signs
            off = block @ self._ones
        if not (off.max() <= 1 + _TOLERANCE and off.min() >= 1 - _TOLERANCE):  # not a number fails too
            wrong = int(np.argmax(~(np.abs(off - 1) <= _TOLERANCE)))
            row = rows.start + wrong if self.origin is None else self.origin[rows.start + wrong]
            raise SpecificationError(f"the probabilities of row {row} (from 0) sum to {off[wrong]:.6g}, not 1")
        if block.min() < 0:  # what is not below zero and sums to one is a probability
            assert self.each is not None
            require_probabilities(self.each, self.origin)

    @cached_property
    def _ones(self) -> Float[np.ndarray, " actions"]:
        assert self.each is not None
        return np.ones(self.each.shape[1])

    def shown_on(self, rows: slice) -> Float[np.ndarray, " some"]:
        """Return the probability of what was shown on some rows, where it was given alone.

        Raises
        ------
        SpecificationError
            If they are no probabilities.
        """
        assert self.shown is not None
        shown = np.ascontiguousarray(self.shown[rows], np.float64)
        if not self.sound and not (shown.min() >= 0 and shown.max() <= 1 + _TOLERANCE):
            require_probabilities(self.shown, self.origin)
        return shown

    def never_logged(self, feedback: Feedback) -> float | None:
        """Return the share of its choices that are actions the log never shows; None where not known."""
        if self.each is None:
            return 0.0 if self.logging else None
        never = np.flatnonzero(feedback.times_shown == 0)
        return float(self.each[:, never].sum() / len(self.each)) + self.elsewhere if len(never) else self.elsewhere


#: What a policy may be given as.
PolicyLike = Chooser | np.ndarray | Mapping[Any, float] | Target


def target_of(feedback: Feedback, policy: PolicyLike, kept: Bool[np.ndarray, " all_rows"] | None = None) -> Target:
    """Return what a policy would have done on each row.

    Parameters
    ----------
    feedback : Feedback
    policy : Chooser, array, mapping, Logged, or what :func:`asked_once` returned
    kept : array of bool, shape (all rows,), or None
        Which rows feedback was taken from, of which an array may have one each; None where from all.

    Raises
    ------
    SpecificationError
        If it is no policy, or its probabilities have another shape, are no probabilities, or do not sum to one; of an
        array only once its rows are taken.
    """
    if isinstance(policy, Target):
        return _asked_before(feedback, policy, kept)
    if isinstance(policy, Logged):
        return Target(feedback.propensity, None, logging=True)
    if isinstance(policy, Mapping):
        return _of_mapping(feedback, policy)
    given = policy.probabilities(feedback) if isinstance(policy, Chooser) else policy
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiub":
        raise SpecificationError(
            "a policy is a Chooser, an array of probabilities, or a mapping from actions to probabilities, "
            f"not {type(given).__name__}"
        )
    origin = None
    if kept is not None and given is policy and len(given) == len(kept):
        given, origin = given[kept], np.flatnonzero(kept)
    if given.shape == (feedback.n_rows,):
        return Target(given, None, origin=origin)
    if given.shape != (feedback.n_rows, len(feedback.actions)):
        wanted = f"({feedback.n_rows},) or ({feedback.n_rows}, {len(feedback.actions)})"
        raise SpecificationError(f"probabilities have shape {given.shape}; give {wanted}: rows, or rows by actions")
    return Target(None, given, origin=origin)


def _asked_before(feedback: Feedback, target: Target, kept: Bool[np.ndarray, " all_rows"] | None) -> Target:
    """Return what was asked before, of the rows that are judged."""
    if target.each is not None and target.each.shape[1] != len(feedback.actions):
        raise SpecificationError(
            f"the policy was asked about {target.each.shape[1]} actions, not the {len(feedback.actions)} of "
            f"{feedback.source}; ask it about this log"
        )
    if target.shown is None:  # the same on every row
        return target
    if len(target.shown) == feedback.n_rows:
        return target
    if kept is not None and len(target.shown) == len(kept):
        return target.of_rows(kept)
    raise SpecificationError(
        f"the policy was asked about {len(target.shown):,} rows, not the {feedback.n_rows:,} of {feedback.source}; "
        "ask it about this log"
    )


def _of_mapping(feedback: Feedback, policy: Mapping[Any, float]) -> Target:
    labels = feedback.actions.labels
    place = {label: i for i, label in enumerate(labels)}
    if not any(str(action) in place for action in policy):  # 1 and "1" are the same action, as in the log
        hint = nearest(str(next(iter(policy), "")), labels)
        raise SpecificationError(f"the policy shows nothing that is an action of {feedback.source}; {hint}")
    try:
        values = np.array([float(value) for value in policy.values()])
    except (TypeError, ValueError):
        wrong = next(value for value in policy.values() if not isinstance(value, int | float | np.number))
        raise SpecificationError(f"the probabilities of the policy are numbers, not {wrong!r}") from None
    require_probabilities(values)
    if abs(values.sum() - 1) > _TOLERANCE:
        raise SpecificationError(f"the probabilities of the policy sum to {values.sum():.6g}, not 1")
    probability = np.zeros(len(labels))
    elsewhere = 0.0
    for action, value in zip(policy, values.tolist(), strict=True):
        if str(action) in place:
            probability[place[str(action)]] += value
        else:
            elsewhere += value
    return Target(None, probability[None], same=True, elsewhere=elsewhere)


def require_probabilities(cells: np.ndarray, origin: Int[np.ndarray, " rows"] | None = None) -> None:
    """Raise SpecificationError unless all cells lie within [0, 1]; ``origin`` says where rows were given."""
    wrong = ~((cells >= 0) & (cells <= 1 + _TOLERANCE))
    if wrong.any():
        first = np.argwhere(wrong)[0].tolist()
        place = first if origin is None else [int(origin[first[0]]), *first[1:]]
        raise SpecificationError(
            f"{int(wrong.sum()):,} probabilities of the policy lie outside of [0, 1]; the first, at "
            f"{', '.join(map(str, place))}, is {cells[tuple(first)]:g}"
        )
