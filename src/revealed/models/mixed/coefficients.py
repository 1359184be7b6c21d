r"""Which coefficients differ between people, how, and by which parameters. Imports models' own files only.

The coefficient :math:`\beta_k` of a column is fixed, :math:`\theta_k`, or has a distribution with the location
:math:`\theta_k` (named as the column) and the scale ``sd[column]``. Correlated ones are :math:`\theta_a + \sum_b
L_{ab} z_b` (or :math:`\pm e` to that power) with ``chol[a:b]`` the entries of the lower triangle :math:`L`.

The derivative of a coefficient with respect to each of its parameters is one of few *slopes*, functions of the draws:
one, a draw :math:`z_b`, the coefficient itself, … Parameters that have the same slope share its sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError, nearest
from revealed.models.mixed.families import Family, Truncated
from revealed.models.workspace import workspace

#: A slope: (-1, -1) is one; (-1, b) the draw b; (a, -1) that of the random coefficient a by its location, (a, b) by the
#: scale that multiplies its draw b.
Slope = tuple[int, int]
ONE: Slope = (-1, -1)


class Bend(NamedTuple):
    """A second derivative that is not zero: of one random coefficient by two of its parameters."""

    first: int
    second: int
    random: int


@dataclass(frozen=True, eq=False)
class Drawn:
    """The random coefficients of some persons at their draws.

    Parameters
    ----------
    values : ndarray of float64, shape (persons, random, draws)
    slopes : ndarray of float64, shape (persons, slopes, draws)
        The slopes in the order of ``Coefficients.slopes``.
    truncated : mapping
        ``{random: Truncated}`` for those that are.
    gathering : ndarray of float64, shape (terms, K), optional
        What each term (a design column times a slope) counts for in the derivative of the utility by each parameter;
        None where parameter ``i`` is term ``i``.
    """

    values: Float[np.ndarray, "persons random draws"]
    slopes: Float[np.ndarray, "persons slopes draws"]
    truncated: Mapping[int, Truncated]
    gathering: Float[np.ndarray, "terms K"] | None = None


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The coefficients of a utility and their parameters.

    Parameters
    ----------
    columns : tuple of str
        The design columns.
    random : mapping
        ``{column: distribution}``, in the order of the draws' dimensions.
    correlated : tuple of str
        Those of them that are correlated with each other.

    Raises
    ------
    SpecificationError
        If a name is no column, or a distribution cannot be correlated.
    """

    columns: tuple[str, ...]
    random: Mapping[str, str]
    correlated: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.random:
            if name not in self.columns:
                raise SpecificationError(f"no coefficient {name!r} (in random); {nearest(name, self.columns)}")

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """The distribution of each random coefficient."""
        return tuple(Family.of(name) for name in self.random.values())

    @cached_property
    def of_random(self) -> Int[np.ndarray, " random"]:
        """The column of each random coefficient."""
        return np.array([self.columns.index(name) for name in self.random], dtype=np.int64)

    @cached_property
    def scales(self) -> tuple[tuple[str, int, int], ...]:
        """The parameters of spread: name, random coefficient, and the draw it multiplies."""
        order = list(self.random)
        alone = [(f"sd[{name}]", a, a) for a, name in enumerate(order) if name not in self.correlated]
        group = [name for name in order if name in self.correlated]
        together = [
            (f"chol[{name}:{other}]", order.index(name), order.index(other))
            for i, name in enumerate(group)
            for other in group[: i + 1]
        ]
        return (*alone, *together)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters: a location (or the coefficient itself) for each column, then the spread."""
        return (*self.columns, *(name for name, _, _ in self.scales))

    @cached_property
    def each(self) -> list[tuple[int, Slope]]:
        """The column and the slope of each parameter."""
        found: list[tuple[int, Slope]] = []
        place = {int(column): a for a, column in enumerate(self.of_random)}
        for column in range(len(self.columns)):
            bent = column in place and not self.families[place[column]].is_linear
            found.append((column, (place[column], -1) if bent else ONE))
        for _, a, b in self.scales:
            found.append((int(self.of_random[a]), (-1, b) if self.families[a].is_linear else (a, b)))
        return found

    @cached_property
    def slopes(self) -> tuple[Slope, ...]:
        """The slopes there are, one of them first."""
        return tuple(dict.fromkeys([ONE, *(slope for _, slope in self.each)]))

    @cached_property
    def column_of(self) -> Int[np.ndarray, " terms"]:
        """The design column of each term; here a parameter is a term."""
        return np.array([column for column, _ in self.each], dtype=np.int64)

    @cached_property
    def slope_of(self) -> Int[np.ndarray, " terms"]:
        """The slope of each term."""
        return np.array([self.slopes.index(slope) for _, slope in self.each], dtype=np.int64)

    @cached_property
    def bends(self) -> tuple[Bend, ...]:
        """The second derivatives that are not zero; each pair once."""
        found = []
        for a, family in enumerate(self.families):
            if family.is_linear:
                continue
            own = [i for i, (_, slope) in enumerate(self.each) if slope[0] == a]
            found += [Bend(i, j, a) for place, i in enumerate(own) for j in own[: place + 1]]
        return tuple(found)

    @property
    def is_bent(self) -> bool:
        """Whether some coefficient has a second derivative that is not zero."""
        return bool(self.bends)

    def utility(
        self, x: Float[np.ndarray, "cases rows columns"], drawn: Drawn, params: Float[np.ndarray, " K"]
    ) -> tuple[Float[np.ndarray, "cases rows random_and_one"], Float[np.ndarray, "persons random_and_one draws"]]:
        """Return attributes, and what multiplies them at each draw: the coefficients, and one for what is the same."""
        fixed = params[: len(self.columns)].copy()
        fixed[self.of_random] = 0.0
        persons, random, draws = drawn.values.shape
        values = workspace().array("coefficients at draws", persons, random + 1, draws)
        values[:, :-1], values[:, -1] = drawn.values, 1.0
        return np.concatenate([x[:, :, self.of_random], (x @ fixed)[:, :, None]], axis=2), values

    def variates(self, uniform: Float[np.ndarray, "persons random draws"]) -> Float[np.ndarray, "persons random draws"]:
        """Return the draws in the shape of each distribution; they do not depend on the parameters."""
        out = np.empty_like(uniform)
        gaussian = np.array([family.is_gaussian for family in self.families])
        if gaussian.all():
            return self.families[0].variate(uniform.reshape(len(uniform), -1)).reshape(uniform.shape)
        for a, family in enumerate(self.families):
            out[:, a] = family.variate(uniform[:, a])
        return out

    def at(self, params: Float[np.ndarray, " K"], variates: Float[np.ndarray, "persons random draws"]) -> Drawn:
        """Return the random coefficients, and their slopes, at parameters and draws."""
        n, k = len(self.random), len(self.columns)
        spread = np.zeros((n, n))
        for value, (_, a, b) in zip(params[k:], self.scales, strict=True):
            spread[a, b] = value
        values = np.matmul(spread, variates)
        values += params[self.of_random][:, None]
        truncated: dict[int, Truncated] = {}
        for a, family in enumerate(self.families):
            if family.shape == "lognormal":
                values[:, a] = family.sign * np.exp(values[:, a])
            elif family.shape == "truncated":
                location = float(params[self.of_random[a]])
                truncated[a] = Truncated.at(variates[:, a], location, float(spread[a, a]), family.sign)
                values[:, a] = truncated[a].value
        slopes = np.empty((len(variates), len(self.slopes), variates.shape[2]))
        for i, (a, b) in enumerate(self.slopes):
            if a < 0:
                slopes[:, i] = 1.0 if b < 0 else variates[:, b]
            elif a in truncated:
                slopes[:, i] = truncated[a].by_location if b < 0 else truncated[a].by_scale
            else:
                slopes[:, i] = values[:, a] if b < 0 else values[:, a] * variates[:, b]
        return Drawn(values, slopes, truncated)

    def coefficient(
        self, name: str, drawn: Drawn, params: Float[np.ndarray, " K"]
    ) -> Float[np.ndarray, "persons draws"]:
        """Return the coefficient of a column at the draws."""
        if name in self.random:
            return np.asarray(drawn.values[:, list(self.random).index(name)])
        return np.full((len(drawn.values), drawn.values.shape[2]), params[self.columns.index(name)])

    def bend(
        self, drawn: Drawn, bend: Bend, variates: Float[np.ndarray, "persons random draws"]
    ) -> Float[np.ndarray, "persons draws"]:
        """Return a second derivative at the draws."""
        scales = [self.each[i][1][1] for i in (bend.first, bend.second)]
        if bend.random in drawn.truncated:
            truncated = drawn.truncated[bend.random]
            return truncated.curve * truncated.alpha ** sum(b >= 0 for b in scales)
        value: np.ndarray = drawn.values[:, bend.random]
        for b in scales:
            value = value if b < 0 else value * variates[:, b]
        return value

    def curvature(
        self,
        drawn: Drawn,
        variates: Float[np.ndarray, "persons random draws"],
        params: Float[np.ndarray, " K"],
        by_coefficient: Float[np.ndarray, "persons columns draws"],
    ) -> Float[np.ndarray, "K K"]:
        """Return the sum of the second derivatives of the coefficients, each times the score by the coefficient."""
        del params
        result = np.zeros((len(self.names), len(self.names)))
        for bend in self.bends:
            curve = self.bend(drawn, bend, variates)
            bent = float(np.vdot(curve, by_coefficient[:, self.of_random[bend.random]]))
            result[bend.first, bend.second] = result[bend.second, bend.first] = bent
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data, the columns left out."""
        return {"random": [list(pair) for pair in self.random.items()], "correlated": list(self.correlated)}
