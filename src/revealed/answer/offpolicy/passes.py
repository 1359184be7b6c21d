"""One pass over a log and a policy: what estimators see of it, block by block. Imports target and rewards.

A block of the policy's probabilities, and of the rewards foretold, is checked, gathered from and multiplied while it is
in the processor's cache, so each array is read from memory once, and none of the length of the log is made on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from revealed.answer.offpolicy.parts import Rounds, Rows
from revealed.answer.offpolicy.rewards import Foretold
from revealed.answer.offpolicy.target import PolicyLike, Target, target_of
from revealed.answer.offpolicy.totals import BLOCK_ROWS, blocks
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError

#: Cells of the policy's probabilities looked at together (2.5 MiB): fewer cost more calls, more leave the cache.
_BLOCK_CELLS = 327_680


def rounds_of(
    feedback: Feedback, target: Target, foretold: Foretold | None = None, *, corrected: bool = True
) -> Iterator[Rounds]:
    """Return a log as estimators see it, block by block.

    Parameters
    ----------
    feedback : Feedback
        Each row has an answer.
    target : Target
        The policy to be judged; with the probability of each action where there is a model.
    foretold : Foretold or None
        What a model of rewards foretells; None without a model.
    corrected : bool
        Something asks what the model foretells of what was shown, not of the policy alone.

    Raises
    ------
    SpecificationError
        If the policy's probabilities are none, or something foretold is not finite.
    """
    reward, propensity, binary = feedback.reward, feedback.propensity, feedback.binary
    shown_on = _shown_on(feedback)
    for rows in blocks(feedback.n_rows, min(BLOCK_ROWS, _size(feedback))):
        if target.logging:
            yield Rounds(reward[rows], np.ones(rows.stop - rows.start), binary=binary)
            continue
        if target.shown is not None:
            weight = _weight(target.shown_on(rows), propensity[rows])
            if foretold is None:
                yield Rounds(reward[rows], weight, binary=binary)
                continue
        each = target.each_on(rows)
        assert each is not None  # else no model could be asked
        shown = shown_on(rows)
        if target.shown is None:
            weight = _weight(shown.of(each), propensity[rows])
            if foretold is None:
                yield Rounds(reward[rows], weight, binary=binary)
                continue
        assert foretold is not None
        rewards = foretold.of_each(rows)
        expected = _expected(each, rewards, len(weight))
        yield Rounds(reward[rows], weight, expected, shown.of(rewards) if corrected else None, binary)


def asked_once(feedback: Feedback, policy: PolicyLike) -> Target:
    """Return what a policy would have done on each row of a log: asked, checked and looked up once, to be judged often.

    Every function that takes a policy takes what this returns in its place, for the same log. A policy of our own
    computes its probabilities when asked, and an array of probabilities is checked, row by row; both take longer than
    most estimators do.

    Parameters
    ----------
    feedback : Feedback
    policy : Chooser, array or mapping
        As for :func:`revealed.answer.offpolicy.evaluate`.

    Returns
    -------
    Target

    Raises
    ------
    SpecificationError
        If it is no policy, or its probabilities are none or do not sum to one.
    """
    target = target_of(feedback, policy)
    if target.sound or target.same or target.logging:
        return target
    gathered, shown_on = np.empty(feedback.n_rows), _shown_on(feedback)
    for rows in blocks(feedback.n_rows, _size(feedback)):
        each = target.each_on(rows)
        gathered[rows] = target.shown_on(rows) if each is None else shown_on(rows).of(each)
    return replace(target, shown=gathered, sound=True)


def _weight(probability: Rows, propensity: Rows) -> Rows:
    with np.errstate(over="ignore"):  # infinite weights are refused where weights are summed up
        return np.asarray(probability / propensity)


def _size(feedback: Feedback) -> int:
    """Return how many rows of the policy's probabilities are looked at together."""
    return max(256, _BLOCK_CELLS // len(feedback.actions))


def _shown_on(feedback: Feedback) -> Callable[[slice], _Shown]:
    """Return what says what was shown on some rows."""
    codes, n_actions = feedback.action_codes, len(feedback.actions)
    end = _size(feedback) * n_actions
    # In the short kind of the codes where it holds the largest place: twice as fast to add up.
    starts = np.arange(0, end, n_actions, dtype=np.result_type(codes.dtype, np.min_scalar_type(-end)))
    return lambda rows: _Shown(codes[rows], starts[: rows.stop - rows.start])


class _Shown:
    """What was shown on some rows, to be found in arrays of rows by actions.

    Parameters
    ----------
    codes : array of int, shape (some,)
        The action of each row.
    starts : array of int, shape (some,)
        Where each row begins in a flat array.
    """

    def __init__(self, codes: Int[np.ndarray, " some"], starts: Int[np.ndarray, " some"]) -> None:
        self.codes = codes
        self._flat = starts + codes

    def of(self, each: Float[np.ndarray, "rows_or_one actions"]) -> Rows:
        """Return the cell of what was shown on each row; a single row stands for all."""
        if len(each) < len(self.codes):
            return np.asarray(each[0, self.codes])
        # On the flat array, without a check of bounds: four times as fast as an index of rows and columns.
        return np.asarray(each.ravel().take(self._flat, mode="clip"))


def _expected(
    each: Float[np.ndarray, "rows_or_one actions"], rewards: Float[np.ndarray, "one_or_rows actions"], n_rows: int
) -> Rows:
    r"""Return :math:`\sum_a \pi(a|x)\,\hat q(x, a)` on each row."""
    with np.errstate(invalid="ignore"):  # what is not finite is refused right below
        if len(each) < n_rows:
            expected = np.broadcast_to(rewards @ each[0], n_rows)
        elif len(rewards) < n_rows:
            expected = each @ rewards[0]
        else:
            expected = np.einsum("ra,ra->r", each, rewards)
        finite = np.isfinite(expected.sum())  # zero times infinity is not finite either: no cell escapes
    if not finite:
        raise SpecificationError("the model of rewards foretells rewards that are not finite")
    return expected
