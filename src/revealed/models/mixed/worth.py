r"""Coefficients in willingness-to-pay space: all but the cost's are worths. Imports models' own files only.

With the coefficient :math:`c_n < 0` of the cost and worths :math:`w_n` of the other columns, what people would pay for
one unit more,

.. math:: v_{nj} = c_n \big(p_j - x_j^\top w_n\big), \qquad \beta_n = -c_n w_n

Train and Weeks (2005), "Discrete choice models in preference space and willingness-to-pay space"; their
:math:`\lambda_n` is :math:`-c_n`. Derivatives of the utility are products: :math:`-c\,\partial w_k` times :math:`x_k`
by a parameter of the worth, and :math:`\partial c` times :math:`p - x^\top w` by one of the cost's coefficient. Where
:math:`w_k` is linear in its parameters, :math:`w_k \partial c` is the sum of its slopes times these, so that both kinds
share their terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError, nearest
from revealed.models.mixed.coefficients import ONE, Coefficients, Drawn, Slope
from revealed.models.workspace import workspace

#: The second number of a slope that is the random coefficient itself.
_VALUE = -2
#: A slope here: one of the cost's coefficient, and one of a worth.
_Pair = tuple[Slope, Slope]


class _Entry(NamedTuple):
    """What a term counts for in the derivative by a parameter: the sign, times another parameter unless it is -1."""

    term: tuple[int, _Pair]
    param: int
    sign: float
    times: int


@dataclass(frozen=True, eq=False)
class WorthCoefficients:
    """The coefficient of the cost and the worths of all else, and their parameters.

    Parameters
    ----------
    plain : Coefficients
        The distributions of the coefficient of the cost and of the worths.
    cost : str
        The design column that is money.

    Raises
    ------
    SpecificationError
        If it is no column.
    """

    plain: Coefficients
    cost: str

    def __post_init__(self) -> None:
        if self.cost not in self.plain.columns:
            raise SpecificationError(
                f"no coefficient {self.cost!r} (in worth_in); {nearest(self.cost, self.plain.columns)}"
            )

    # ---- what it shares with coefficients -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """The design columns."""
        return self.plain.columns

    @property
    def random(self) -> Mapping[str, str]:
        """The distributions, by column."""
        return self.plain.random

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters: a location (or the worth itself) for each column, then the spread."""
        return self.plain.names

    def variates(self, uniform: Float[np.ndarray, "persons random draws"]) -> Float[np.ndarray, "persons random draws"]:
        """Return the draws in the shape of each distribution."""
        return self.plain.variates(uniform)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, the columns left out."""
        return {**self.plain.to_dict(), "worth_in": self.cost}

    @property
    def is_bent(self) -> bool:
        """Whether a coefficient has a second derivative that is not zero: products have."""
        return True

    # ---- terms ----------------------------------------------------------------------------------------------------

    @cached_property
    def place(self) -> int:
        """The column of the cost."""
        return self.columns.index(self.cost)

    @cached_property
    def random_cost(self) -> int | None:
        """Which of the random coefficients is that of the cost."""
        return list(self.random).index(self.cost) if self.cost in self.random else None

    @cached_property
    def _worths(self) -> list[int]:
        """The random coefficients that are worths."""
        return [a for a in range(len(self.random)) if a != self.random_cost]

    def _own(self, of_cost: bool) -> list[int]:
        """Return the parameters of the cost's coefficient, or those of worths."""
        return [i for i, (column, _) in enumerate(self.plain.each) if (column == self.place) == of_cost]

    def _key(self, slope: Slope) -> Slope:
        """Return a slope, the coefficient itself named alike wherever it comes from."""
        bent = slope[0] >= 0 and slope[1] == -1 and self.plain.families[slope[0]].shape == "lognormal"
        return (slope[0], _VALUE) if bent else slope

    @cached_property
    def _entries(self) -> list[_Entry]:
        value: Slope = ONE if self.random_cost is None else (self.random_cost, _VALUE)
        each, found = self.plain.each, []
        for i in self._own(of_cost=False):
            column, slope = each[i]
            times = self.place if self.random_cost is None else -1
            found.append(_Entry((column, (value, self._key(slope))), i, -1.0, times))
        straight = {int(self.plain.of_random[a]): a for a in self._worths if not self.plain.families[a].is_linear}
        for i in self._own(of_cost=True):
            by = self._key(each[i][1])
            found.append(_Entry((self.place, (by, ONE)), i, 1.0, -1))
            found += [_Entry((column, (by, (a, _VALUE))), i, -1.0, -1) for column, a in straight.items()]
            for j in self._own(of_cost=False):
                column, slope = each[j]
                if column not in straight:
                    found.append(_Entry((column, (by, self._key(slope))), i, -1.0, j))
        return found

    @cached_property
    def _terms(self) -> list[tuple[int, _Pair]]:
        return list(dict.fromkeys(entry.term for entry in self._entries))

    @cached_property
    def _pairs(self) -> list[_Pair]:
        return list(dict.fromkeys(pair for _, pair in self._terms))

    @cached_property
    def column_of(self) -> Int[np.ndarray, " terms"]:
        """The design column of each term."""
        return np.array([column for column, _ in self._terms], dtype=np.int64)

    @cached_property
    def slope_of(self) -> Int[np.ndarray, " terms"]:
        """The slope of each term."""
        return np.array([self._pairs.index(pair) for _, pair in self._terms], dtype=np.int64)

    # ---- at draws -------------------------------------------------------------------------------------------------

    def at(self, params: Float[np.ndarray, " K"], variates: Float[np.ndarray, "persons random draws"]) -> Drawn:
        """Return the cost's coefficient and the worths that are random, and the slopes, at parameters and draws."""
        plain = self.plain.at(params, variates)
        slopes = np.ones((len(variates), len(self._pairs), variates.shape[2]))
        for i, pair in enumerate(self._pairs):
            for slope in pair:
                if slope != ONE:
                    slopes[:, i] *= self._slope(plain, slope)
        gathering = np.zeros((len(self._terms), len(self.names)))
        for entry in self._entries:
            factor = 1.0 if entry.times < 0 else params[entry.times]
            gathering[self._terms.index(entry.term), entry.param] += entry.sign * factor
        return Drawn(plain.values, slopes, plain.truncated, gathering)

    def _slope(self, plain: Drawn, slope: Slope) -> Float[np.ndarray, "persons draws"]:
        if slope[1] == _VALUE:
            return np.asarray(plain.values[:, slope[0]])
        return np.asarray(plain.slopes[:, self.plain.slopes.index(slope)])

    def coefficient(
        self, name: str, drawn: Drawn, params: Float[np.ndarray, " K"]
    ) -> Float[np.ndarray, "persons draws"]:
        """Return the coefficient of a column in the utility, at the draws."""
        cost = self.plain.coefficient(self.cost, drawn, params)
        return cost if name == self.cost else -cost * self.plain.coefficient(name, drawn, params)

    def _net(self, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, " columns"]:
        """Return what columns count for in the cost less the worth of what is the same for all."""
        weights = -params[: len(self.columns)]
        weights[self.plain.of_random] = 0.0
        weights[self.place] = 1.0
        return np.asarray(weights)

    def utility(
        self, x: Float[np.ndarray, "cases rows columns"], drawn: Drawn, params: Float[np.ndarray, " K"]
    ) -> tuple[Float[np.ndarray, "cases rows random_and_one"], Float[np.ndarray, "persons random_and_one draws"]]:
        """Return attributes, and what multiplies them at each draw; see :meth:`Coefficients.utility`."""
        cost = self.plain.coefficient(self.cost, drawn, params)
        values = workspace().array("coefficients at draws", len(cost), len(self._worths) + 1, cost.shape[1])
        np.multiply(drawn.values[:, self._worths], -cost[:, None], out=values[:, :-1])
        values[:, -1] = cost
        columns = self.plain.of_random[self._worths]
        return np.concatenate([x[:, :, columns], (x @ self._net(params))[:, :, None]], axis=2), values

    def curvature(
        self,
        drawn: Drawn,
        variates: Float[np.ndarray, "persons random draws"],
        params: Float[np.ndarray, " K"],
        by_coefficient: Float[np.ndarray, "persons columns draws"],
    ) -> Float[np.ndarray, "K K"]:
        """Return the sum of the second derivatives of the coefficients, each times the score by the coefficient."""
        plain = self.plain.at(params, variates)
        cost, each = self.plain.coefficient(self.cost, drawn, params), self.plain.each
        of_cost, of_worths = self._own(of_cost=True), self._own(of_cost=False)
        by_cost = np.stack([self._slope(plain, each[i][1]) for i in of_cost])
        by_worth = -np.stack([self._slope(plain, each[j][1]) * by_coefficient[:, each[j][0]] for j in of_worths])
        result = np.zeros((len(self.names), len(self.names)))
        crossed = by_cost.reshape(len(of_cost), -1) @ by_worth.reshape(len(of_worths), -1).T
        result[np.ix_(of_cost, of_worths)] = crossed
        result[np.ix_(of_worths, of_cost)] = crossed.T
        net = np.matmul(self._net(params), by_coefficient)
        for a in self._worths:
            net -= drawn.values[:, a] * by_coefficient[:, self.plain.of_random[a]]
        for bend in self.plain.bends:
            curve = self.plain.bend(plain, bend, variates)
            moved = net if bend.random == self.random_cost else -cost * by_coefficient[:, self._column(bend.random)]
            result[bend.first, bend.second] = result[bend.second, bend.first] = float(np.vdot(curve, moved))
        return result

    def _column(self, random: int) -> int:
        return int(self.plain.of_random[random])


#: The coefficients of a mixed logit: as they enter the utility, or as worths.
Space = Coefficients | WorthCoefficients


def space_from_dict(columns: Sequence[str], data: Mapping[str, Any]) -> Space:
    """Return the coefficients that ``to_dict`` wrote, of the columns of a design."""
    plain = Coefficients(tuple(columns), dict(data["random"]), tuple(data["correlated"]))
    return WorthCoefficients(plain, data["worth_in"]) if data.get("worth_in") else plain
