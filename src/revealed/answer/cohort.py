"""Cohorts that live by a policy: expected, exactly, or member by member. Imports models to choices.

Expected paths carry a distribution over states forward and have no chance in them. Simulated members draw their actions
and moves; a member's random numbers depend on the seed, the period and the member alone, so that two worlds can be
compared with chance held the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from revealed.errors import SpecificationError
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.free import RecoveredFit
from revealed.models.dynamic.process import DecisionProcess

#: Members whose moves are drawn at a time: some 30 MiB of random numbers and indices.
_AT_ONCE = 1 << 19
#: A distribution has settled where no more than this share would have to move.
_SETTLED = 0.01
#: Below such steps a distribution moves by rounding alone.
_STILL = 1e-13
#: Over how many of the last steps it is seen how they shorten.
_LATELY = 100

#: How many members begin in each state: of all, or by segment.
Start = Float[np.ndarray, " S"] | Mapping[str, Float[np.ndarray, " S"]] | None


@dataclass(frozen=True, eq=False)
class Paths:
    """What cohorts do, period by period.

    Parameters
    ----------
    actions : ndarray of float64, shape (T, G, A)
        The share of cohort G that takes each action.
    states : ndarray of float64, shape (T, G, S)
        Where it is at the beginning of each period.
    paid : ndarray of float64, shape (T, G)
        The mean of what a member pays.
    stayed : ndarray of float64, shape (T, G)
        The share that has not left by the end of each period.
    """

    actions: Float[np.ndarray, "T G A"]
    states: Float[np.ndarray, "T G S"]
    paid: Float[np.ndarray, "T G"]
    stayed: Float[np.ndarray, "T G"]


def beginners(fit: DynamicFit | RecoveredFit) -> Float[np.ndarray, " S"]:
    """Return how many the data saw in each state: at any time, or in period 0 of a process that ends.

    Raises
    ------
    SpecificationError
        If the process ends and nobody was seen in period 0.
    """
    if fit.process.horizon is None:
        return np.asarray(fit.linear.log.choices_per_case, dtype=np.float64)
    began = fit.first_states if isinstance(fit, DynamicFit) else None
    if began is None or not began.sum():
        raise SpecificationError(
            f"the process ends after {fit.process.horizon} periods, and the fit knows nobody in period 0: say who "
            "begins where, start="
        )
    return began


def cohorts_of(
    fit: DynamicFit | RecoveredFit, start: Start
) -> tuple[Float[np.ndarray, "G S"], Float[np.ndarray, " G"]]:
    """Return the distribution of each cohort over states, and how many members each has.

    Raises
    ------
    SpecificationError
        If nobody begins, numbers are not those of the states, or are below zero.
    """
    if start is None:
        start = beginners(fit)
    given = list(start.values()) if isinstance(start, Mapping) else [start]
    if not given:
        raise SpecificationError("start= has no segments")
    cohorts = np.array(given, dtype=np.float64)
    if cohorts.ndim != 2 or cohorts.shape[1] != fit.process.n_states:
        raise SpecificationError(f"start= must say how many begin in each of the {fit.process.n_states} states")
    weight = cohorts.sum(axis=1)
    if not (np.isfinite(cohorts).all() and cohorts.min() >= 0 and weight.min() > 0):
        raise SpecificationError("start= must hold finite numbers, none below zero, some above in each segment")
    return cohorts / weight[:, None], weight


def policy_at(policy: np.ndarray, period: int) -> Float[np.ndarray, "S A"]:
    """Return the policy of a period: one for ever, or one of those to a horizon."""
    return policy if policy.ndim == 2 else policy[period]


def expected_paths(
    process: DecisionProcess,
    policy: np.ndarray,
    start: Float[np.ndarray, "G S"],
    periods: int,
    payment: Float[np.ndarray, "S A"],
    leaving: int | None,
) -> Paths:
    """Return what cohorts do in expectation.

    Parameters
    ----------
    process : DecisionProcess
    policy : ndarray, shape (S, A) or (T, S, A)
    start : ndarray of float64, shape (G, S)
        The distribution of each cohort over states.
    periods : int
    payment : ndarray of float64, shape (S, A)
        What is paid for an action in a state.
    leaving : int, optional
        The action by which one leaves.
    """
    shape = (periods, *start.shape)
    actions = np.empty((periods, len(start), process.n_actions))
    states, paid, stayed = np.empty(shape), np.empty(shape[:2]), np.ones(shape[:2])
    here, loyal = start, start
    stay = np.ones(process.n_actions)
    if leaving is not None:
        stay[leaving] = 0.0
    under = None
    for period in range(periods):
        now = policy_at(policy, period)
        states[period], actions[period] = here, here @ now
        paid[period] = here @ (now * payment).sum(axis=1)
        if under is None or policy.ndim == 3:
            under = process.under(now)
            loyally = None if leaving is None else process.under(now * stay)
        here = _moved(under, here)
        if loyally is not None:
            loyal = _moved(loyally, loyal)
            stayed[period] = loyal.sum(axis=1)
    return Paths(actions, states, paid, stayed)


def _moved(under: np.ndarray | sparse.csr_array, here: Float[np.ndarray, "G S"]) -> Float[np.ndarray, "G S"]:
    return np.asarray((under.T @ here.T).T)


def steady_after(
    process: DecisionProcess, policy: np.ndarray, start: Float[np.ndarray, "G S"], most: int
) -> int | None:
    """Return after how many periods the distribution over states is within one hundredth of where it settles.

    None where it has not settled by ``most`` periods (it may cycle, or drift slowly), or behaviour changes with time.
    Distance is the share that would have to move. Where the distribution still moves after ``most`` periods, each step
    is taken to be shorter than the one before by the same factor as of late, and what is left to go is their sum.
    """
    if policy.ndim == 3:
        return None
    under, begin = process.under(policy), start.sum(axis=0, keepdims=True) / start.sum()
    end, steps = begin, list[float]()
    while len(steps) < most and (not steps or steps[-1] > _STILL):
        after = _moved(under, end)
        after /= after.sum()  # rows may miss one by rounding, which would add up
        steps.append(_distance(after, end))
        end = after
    left = 0.0
    if steps[-1] > _STILL:
        back = min(_LATELY, len(steps) - 1)
        factor = (steps[-1] / steps[-1 - back]) ** (1 / max(back, 1))
        left = steps[-1] * factor / (1 - factor) if factor < 1 else np.inf
    if left >= _SETTLED:
        return None
    here, period = begin, 0
    while _distance(here, end) + left >= _SETTLED and period < len(steps):  # no step leads further from where it ends
        here, period = _moved(under, here), period + 1
    return period


def _distance(one: Float[np.ndarray, "1 S"], other: Float[np.ndarray, "1 S"]) -> float:
    return float(np.abs(one - other).sum()) / 2


@dataclass(frozen=True, eq=False)
class Members:
    """Members who live by a policy, simulated.

    Parameters
    ----------
    process : DecisionProcess
    policy : ndarray, shape (S, A) or (T, S, A)
    start : ndarray of int64, shape (n,)
        The state of each member.
    seed : int
    """

    process: DecisionProcess
    policy: np.ndarray
    start: Int[np.ndarray, " n"]
    seed: int = 0

    def walk(self, periods: int) -> Iterator[tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]]:
        """Yield each period's states and actions of all members."""
        state = self.start.astype(np.int32)
        moves = [_Mover.of(matrix) for matrix in self.process.transitions]
        chances = None
        for period in range(periods):
            if chances is None or self.policy.ndim == 3:
                chances = policy_at(self.policy, period).cumsum(axis=1)[:, :-1]
            action, after = np.empty(len(state), np.int8), np.empty_like(state)
            for start in range(0, len(state), _AT_ONCE):
                some = slice(start, start + _AT_ONCE)
                key = np.array([self.seed, period], dtype=np.uint64)
                luck = np.random.Generator(np.random.Philox(key=key, counter=start)).random((2, _AT_ONCE))
                luck = luck[:, : len(state[some])]
                here = state[some]
                taken = np.zeros(len(here), np.int8)
                for column in chances.T:
                    taken += luck[0] >= column[here]
                there = np.empty_like(here)
                for number, mover in enumerate(moves):
                    who = np.flatnonzero(taken == number)
                    there[who] = mover.moved(here[who], luck[1][who])
                action[some], after[some] = taken, there
            yield state, action
            state = after

    def counts(self, periods: int) -> Int[np.ndarray, "T S A"]:
        """Return how many members take each action in each state, period by period."""
        n_actions, n_states = self.process.n_actions, self.process.n_states
        found = np.empty((periods, n_states, n_actions), dtype=np.int64)
        for period, (state, action) in enumerate(self.walk(periods)):
            cell = state.astype(np.int64) * n_actions + action
            found[period] = np.bincount(cell, minlength=n_states * n_actions).reshape(n_states, n_actions)
        return found


@dataclass(frozen=True, eq=False)
class _Mover:
    """Draws next states by one sorted list of all rows' cumulative probabilities, each row one further up."""

    cumulative: Float[np.ndarray, " cells"]
    states: Int[np.ndarray, " cells"]
    last: Int[np.ndarray, " S"]

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> _Mover:
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        sums = np.concatenate([[0.0], np.cumsum(matrix.data)])
        within = sums[1:] - sums[matrix.indptr[rows]]
        return cls(rows + np.minimum(within, 1.0), matrix.indices.astype(np.int32), matrix.indptr[1:] - 1)

    def moved(self, here: np.ndarray, luck: np.ndarray) -> np.ndarray:
        place = np.searchsorted(self.cumulative, here + luck, side="right")
        return np.asarray(self.states[np.minimum(place, self.last[here])])
