"""One pass over a log and a policy: what estimators see of it, block by block. Imports target, rewards and loops.

A block of the policy's probabilities, and of the rewards foretold, is checked, gathered from and multiplied while it is
in the processor's cache, so each array is read from memory once, and none of the length of the log is made on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from revealed.answer.offpolicy.parts import Rounds, Rows
from revealed.answer.offpolicy.rewards import Foretold, Given
from revealed.answer.offpolicy.target import PolicyLike, Target, target_of
from revealed.answer.offpolicy.totals import BLOCK_ROWS, Sums, blocks
from revealed.choices.feedback import Feedback
from revealed.engine import loops
from revealed.errors import SpecificationError

#: Cells of the policy's probabilities looked at together (2.5 MiB): fewer cost more calls, more leave the cache.
_BLOCK_CELLS = 327_680

#: Rows that a compiled loop looks at in one call, where it reads arrays as they lie: a few columns stay in the cache.
_COMPILED_ROWS = 65_536


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
    codes, cells_of = feedback.action_codes, _cells_of(feedback)
    for rows in blocks(feedback.n_rows, _size(feedback, target, foretold)):
        if target.logging:
            yield Rounds(reward[rows], np.ones(rows.stop - rows.start), binary=binary)
            continue
        each = None if target.each is None else target.each_on(rows)
        if target.shown is not None:
            shown = target.shown_on(rows)
            summed = loops.weigh(shown[:, None], None, propensity[rows], reward[rows], None)
        else:
            assert each is not None
            summed = loops.weigh(each, codes[rows], propensity[rows], reward[rows], target.tolerance)
            if summed is None:
                target.require(each, rows)
                shown = cells_of(each, codes[rows])
        weight = _weight(shown, propensity[rows]) if summed is None else summed.weight
        if foretold is None:
            yield Rounds(reward[rows], weight, binary=binary, summed=summed)
            continue
        assert each is not None  # else no model could be asked
        rewards = foretold.of_each(rows)
        found = loops.foretell(each, rewards, codes[rows], told=corrected)
        if found is None:
            found = _expected(each, rewards, len(weight)), cells_of(rewards, codes[rows]) if corrected else None
        yield Rounds(reward[rows], weight, *found, binary, summed)


def sums_of(feedback: Feedback, target: Target) -> Sums | None:
    """Return what weights and weighted rewards add up to, by one call of a compiled loop.

    None where that cannot be, or where something is wrong: :func:`rounds_of` can, or says what it is.
    """
    reward, propensity = feedback.reward, feedback.propensity
    if target.logging or not feedback.binary:
        return None
    if target.shown is not None:
        shown = target.shown_on(slice(0, feedback.n_rows))
        found = loops.sum_up(shown[:, None], None, propensity, reward, None, BLOCK_ROWS)
    else:
        assert target.each is not None
        found = loops.sum_up(target.each, feedback.action_codes, propensity, reward, target.tolerance, BLOCK_ROWS)
    if found is None:
        return None
    n_rows = [rows.stop - rows.start for rows in blocks(feedback.n_rows)]
    sums = Sums(np.array(n_rows, np.float64), found)
    return sums if sums.sound else None


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
    gathered, codes, cells_of = np.empty(feedback.n_rows), feedback.action_codes, _cells_of(feedback)
    for rows in blocks(feedback.n_rows, _size(feedback, target)):
        if target.shown is not None:
            gathered[rows] = target.shown_on(rows)
            continue
        each = target.each_on(rows)
        if not loops.gather(each, codes[rows], target.tolerance, gathered[rows]):
            target.require(each, rows)
            gathered[rows] = cells_of(each, codes[rows])
    return replace(target, shown=gathered, sound=True)


def _weight(probability: Rows, propensity: Rows) -> Rows:
    with np.errstate(over="ignore"):  # infinite weights are refused where weights are summed up
        return np.asarray(probability / propensity)


def _size(feedback: Feedback, target: Target, foretold: Foretold | None = None) -> int:
    """Return how many rows are looked at together."""
    # Of what loops read as it lies in memory no block is made, however wide; a model makes each block.
    read = [each for each in (target.each, foretold.each if isinstance(foretold, Given) else None) if each is not None]
    if loops.LIBRARY is not None and isinstance(foretold, Given | None) and loops.readable(*read):
        return _COMPILED_ROWS
    return min(BLOCK_ROWS, max(256, _BLOCK_CELLS // len(feedback.actions)))


def _cells_of(feedback: Feedback) -> Callable[[np.ndarray, np.ndarray], Rows]:
    """Return what finds the cell of what was shown on some rows; a single row stands for all."""
    n_actions = len(feedback.actions)
    end = _COMPILED_ROWS * n_actions
    # In the short kind of the codes where it holds the largest place: twice as fast to add up.
    starts = np.arange(0, end, n_actions, dtype=np.result_type(feedback.action_codes.dtype, np.min_scalar_type(-end)))

    def cells_of(each: Float[np.ndarray, "rows_or_one actions"], codes: Int[np.ndarray, " some"]) -> Rows:
        if len(each) < len(codes):
            return np.asarray(each[0, codes])
        # On the flat array, without a check of bounds: four times as fast as an index of rows and columns.
        return np.asarray(each.ravel().take(starts[: len(codes)] + codes, mode="clip"))

    return cells_of


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
