r"""What a unit of money is worth to who looks ahead, wherever they may come. Imports models to choices.

A difference of values becomes money when divided by what one unit of money adds to utility (Small and Rosen 1981), as
for static surplus. Here a value is the sum of many periods, so that number must be the same in all of them: it may
differ between types or segments, whose column never moves, and not between states that lead to each other. Each
member's own gain is divided by their own number; the mean over members comes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from revealed.answer.money import variables_of
from revealed.answer.worlds import World
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models.design import Design, DesignColumn, Indicator, Numeric
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.free import RecoveredFit
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward

#: Slopes that differ by less, relative to the largest, are the same.
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Worth:
    """How much utility a unit of money takes from who begins in each state.

    Parameters
    ----------
    states : ndarray of int64, shape (B,)
        Where anybody begins.
    slopes : ndarray of float64, shape (B, K)
        What a unit of money adds to what each parameter multiplies, there and wherever that leads.
    """

    states: Int[np.ndarray, " B"]
    slopes: Float[np.ndarray, "B K"]

    def utility(self, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, " B"]:
        """Return how much utility a unit of money is worth in each of the states."""
        return np.asarray(-(self.slopes @ params))

    def gains(
        self, begin: Float[np.ndarray, "G S"], rise: Float[np.ndarray, " S"], params: Float[np.ndarray, " K"]
    ) -> Float[np.ndarray, " G"]:
        """Return the mean gain of each cohort in money, from how much the value of each state rises."""
        return np.asarray(begin[:, self.states] @ (rise[self.states] / self.utility(params)))


def worth_of(
    fit: DynamicFit | RecoveredFit, name: str, worlds: Sequence[World], begin: Float[np.ndarray, "G S"]
) -> Worth:
    """Return what the money of a parameter is worth where cohorts begin.

    Parameters
    ----------
    fit : DynamicFit or RecoveredFit
    name : str
        A parameter that multiplies money: a column, alone or in an expression linear in it.
    worlds : sequence of World
        All must value money alike.
    begin : ndarray of float64, shape (G, S)

    Raises
    ------
    SpecificationError
        For a parameter that is not there or no money, or money that is worth more in some states than in others they
        lead to.
    """
    place = fit.index(name)
    assert isinstance(fit.linear, LinearReward)  # the other kind has no parameters
    design, log = fit.linear.design, fit.linear.log
    column = _money_in(design, log, name)
    holding = [number for number, one in enumerate(design.columns) if column in variables_of(one.factors)] or [place]
    states = np.flatnonzero((begin > 0).any(axis=0))
    slopes = np.zeros((len(states), len(fit.params)))
    if holding == [place] and _is_plain(design.columns[place], column, log):
        slopes[:, place] = 1.0
    else:
        assert column is not None
        each = [
            _slopes(design, [design.columns[number] for number in holding], world.linear.log, column, name)
            for world in worlds
        ]
        found = [_wherever_it_leads(one, world.process, worlds, name) for one, world in zip(each, worlds, strict=True)]
        first = found[0][states]
        if not all(np.allclose(first, other[states], rtol=_SAME, atol=0.0, equal_nan=True) for other in found):
            raise SpecificationError(f"the change alters what a unit of {name!r} is worth; {_REMEDY}")
        slopes[:, holding] = first
    worth = Worth(states, slopes)
    utility = worth.utility(fit.params)
    odd = np.flatnonzero(~(utility > 0))
    if len(odd):
        label, value = fit.process.space.label(int(states[odd[0]])), -utility[odd[0]]
        what = "does not enter" if np.isnan(value) else f"must be below zero, and is {value:.4g}"
        where = "" if len(odd) == len(utility) else f", as for those who begin at {label}"
        raise SpecificationError(f"money costs utility, so {name!r} {what}{where}; {_REMEDY}")
    return worth


_REMEDY = "leave money= out, and surplus is told in utility"


def _money_in(design: Design, log: ChoiceLog, name: str) -> str | None:
    """Return the column that is money in a term; None for a constant, a unit of which is money itself."""
    term = design.columns[design.names.index(name)]
    linear = []
    for column in sorted(variables_of(term.factors)):
        values = [_raised(design, [term], log, column, times) for times in (0, 1, 2)]
        steps, bend = values[1] - values[0], values[2] - 2 * values[1] + values[0]
        if np.abs(bend).max() <= _SAME * np.abs(steps).max():
            linear.append(column)
    if len(linear) == 1:
        return linear[0]
    if not variables_of(term.factors) and _is_plain(term, None, log):
        return None
    raise SpecificationError(
        f"the term {name!r} is not linear in one column, so a unit of it is no fixed sum of money; name the parameter "
        f"of money alone, or {_REMEDY}"
    )


def _is_plain(term: DesignColumn, column: str | None, log: ChoiceLog) -> bool:
    """Return whether a term is money as it is, in some actions or all."""
    actions = [one for one in term.factors if isinstance(one, Indicator) and one.column == log.columns.alternative]
    others = [one for one in term.factors if one not in actions]
    return others == ([] if column is None else [Numeric(column)])


def _raised(
    design: Design, terms: Sequence[DesignColumn], log: ChoiceLog, column: str, times: int
) -> Float[np.ndarray, "terms rows"]:
    """Return some terms with so many units of its scale added to a column, zero where nothing can be chosen."""
    numbers = log.numbers(column).astype(np.float64)
    usable = np.isfinite(numbers) if log.available is None else np.isfinite(numbers) & log.available
    raised = log.with_columns({column: np.where(usable, numbers + times * _scale(log, column), numbers)})
    with np.errstate(all="ignore"):
        values = Design(tuple(terms), design.references).matrix(raised)
    return np.where(usable & np.isfinite(values), values, 0.0)


def _scale(log: ChoiceLog, column: str) -> float:
    """Return the largest size of a column, or one if it is zero."""
    numbers = np.abs(log.numbers(column).astype(np.float64))
    return float(numbers[np.isfinite(numbers)].max(initial=0.0)) or 1.0


def _slopes(
    design: Design, terms: Sequence[DesignColumn], log: ChoiceLog, column: str, name: str
) -> Float[np.ndarray, "S A terms"]:
    """Return what a unit of money adds to each term, in each state by each action."""
    values = [_raised(design, terms, log, column, times) for times in (0, 1, 2)]
    first, second = values[1] - values[0], values[2] - values[1]
    if np.abs(second - first).max() > _SAME * np.abs(first).max():
        told = ", ".join(term.name for term in terms)
        raise SpecificationError(f"{column!r} does not enter {told} linearly, so {name!r} is no money; {_REMEDY}")
    slopes = first / _scale(log, column)
    return np.asarray(slopes.reshape(len(terms), log.n_cases, -1).transpose(1, 2, 0))


def _wherever_it_leads(
    slopes: Float[np.ndarray, "S A terms"], process: DecisionProcess, worlds: Sequence[World], name: str
) -> Float[np.ndarray, "S terms"]:
    """Return the slopes of each state if they are those of all actions there and in all states that it is tied to.

    An action that the money does not enter pays none. NaN where none does.
    """
    number = _tied(worlds)
    low = np.full((number.max() + 1, slopes.shape[2]), np.inf)
    high = -low
    state, action = np.nonzero((slopes != 0).any(axis=2) & process.mask)
    np.minimum.at(low, number[state], slopes[state, action])
    np.maximum.at(high, number[state], slopes[state, action])
    entered = np.isfinite(low)
    tied = np.where(entered, low, np.nan)
    spread = np.where(entered, high, 0.0) - np.where(entered, low, 0.0)
    if spread.max() > _SAME * np.abs(slopes).max():
        raise SpecificationError(
            f"a unit of {name!r} is worth more by some actions, or in some states, than in others that one comes to: "
            f"surplus is then no sum of money; {_REMEDY}"
        )
    return np.asarray(tied[number])


def _tied(worlds: Sequence[World]) -> Int[np.ndarray, " S"]:
    """Return numbers that two states share where moves, of any world, tie one to the other."""
    n_states = worlds[0].process.n_states
    moves = sparse.csr_array((n_states, n_states))
    for world in worlds:
        for action, matrix in enumerate(world.process.transitions):
            moves = moves + sparse.diags_array(world.process.mask[:, action].astype(np.float64)) @ matrix
    return np.asarray(connected_components(moves, directed=False)[1], dtype=np.int64)
