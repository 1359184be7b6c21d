r"""More than one goal: joined by weights, or kept above a level by multipliers that are learned. Imports errors only.

"As many clicks as possible, with a margin of at least :math:`m` on average" has the Lagrangian
clicks :math:`+ \sum_j \lambda_j (\text{average}_j - m_j)`: each slate is chosen with a bonus of
:math:`\lambda_j` times what each item brings, and the multiplier rises while the average falls short and sinks while it
does not: online dual ascent (Balseiro, Lu and Mirrokni 2020, "Dual mirror descent for online allocation problems"). The
step is that of Duchi, Hazan and Singer (2011), adaptive subgradients,
:math:`\bar\lambda\, g_t / \sqrt{\sum_s g_s^2}`, so that the one thing to say is :math:`\bar\lambda_j`: the most that a
unit may be worth. A multiplier that stays there cannot reach its level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.slate.checks import require_finite, require_length
from revealed.errors import SpecificationError, nearest


def blend(
    goals: Mapping[str, Float[np.ndarray, " candidates"]], weights: Mapping[str, float]
) -> Float[np.ndarray, " candidates"]:
    """Return the weighted sum of goals.

    Parameters
    ----------
    goals : mapping of str to array, shape (candidates,)
        What each candidate is expected to bring: clicks, margin, value in the long run.
    weights : mapping of str to float
        What a unit of each is worth. Each goal needs one.

    Raises
    ------
    SpecificationError
        If names do not agree, or lengths.
    DataError
        If goals are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> goals = {"click": np.array([0.1, 0.3]), "margin": np.array([2.0, 0.5])}
    >>> blend(goals, {"click": 1.0, "margin": 0.1}).round(3).tolist()
    [0.3, 0.35]
    """
    if not goals:
        raise SpecificationError("there are no goals; name at least one")
    for name in weights:
        if name not in goals:
            raise SpecificationError(f"a weight is given for {name!r}, which is no goal; {nearest(name, goals)}")
    for name in goals:
        if name not in weights:
            raise SpecificationError(f"goal {name!r} has no weight; {nearest(name, weights)}")
    length = len(next(iter(goals.values())))
    total = np.zeros(length)
    for name, brought in goals.items():
        require_length(brought, length, f"goal {name!r}", "candidates")
        require_finite(brought, f"goal {name!r}")
        if not np.isfinite(weights[name]):
            raise SpecificationError(f"the weight of goal {name!r} is {weights[name]}; give a finite number")
        total += weights[name] * brought
    return total


@dataclass(frozen=True)
class AtLeast:
    """A level to keep, on average over what is shown.

    Parameters
    ----------
    name : str
        What is measured, such as the margin.
    level : float
        The least average of an item shown, weighted by the examination of its position.
    worth : float
        The most that one unit may be worth, in units of the slate's value; above 0.

    Raises
    ------
    SpecificationError
        If numbers are not finite, or the worth is not above 0.
    """

    name: str
    level: float
    worth: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.level):
            raise SpecificationError(f"the level of {self.name!r} is {self.level}; give a finite number")
        if not 0 < self.worth < np.inf:
            raise SpecificationError(f"the worth of {self.name!r} is {self.worth}; give a finite number above 0")


@dataclass(frozen=True)
class Multipliers:
    """What a unit of each measure is worth at present, learned slate by slate.

    Made by :meth:`start`; each :meth:`learn` gives the next.

    Parameters
    ----------
    constraints : tuple of AtLeast
    values : tuple of float
        The multipliers: 0 where the level is kept anyway.
    squares : tuple of float
        Sums of squared shortfalls, which set the step.
    sums : tuple of float
        Sums of what was achieved.
    n_slates : int
    """

    constraints: tuple[AtLeast, ...]
    values: tuple[float, ...]
    squares: tuple[float, ...]
    sums: tuple[float, ...]
    n_slates: int = 0

    @classmethod
    def start(cls, *constraints: AtLeast) -> Multipliers:
        """Return multipliers of 0.

        Raises
        ------
        SpecificationError
            If there is no constraint, or one comes twice.
        """
        names = [constraint.name for constraint in constraints]
        if not names or len(set(names)) != len(names):
            raise SpecificationError("give at least one constraint, each name once")
        nothing = (0.0,) * len(names)
        return cls(constraints, nothing, nothing, nothing)

    def bonus(
        self, measures: Mapping[str, Float[np.ndarray, " candidates"]], positions: Float[np.ndarray, " size"]
    ) -> Float[np.ndarray, " candidates"]:
        """Return the bonus of each candidate, for :class:`Coverage`.

        Parameters
        ----------
        measures : mapping of str to array, shape (candidates,)
            What each candidate brings of each measure.
        positions : array, shape (size,)
            Examination probabilities; what counts is the average over them.

        Raises
        ------
        SpecificationError
            If a measure lacks.
        DataError
            If one is not finite.
        """
        rows = [self._measure(measures, constraint.name) for constraint in self.constraints]
        return np.asarray(np.array(self.values) @ np.stack(rows) / positions.sum())

    def learn(
        self,
        measures: Mapping[str, Float[np.ndarray, " candidates"]],
        order: Int[np.ndarray, " size"],
        positions: Float[np.ndarray, " size"],
    ) -> Multipliers:
        """Return the multipliers after a slate.

        Parameters
        ----------
        measures : mapping of str to array, shape (candidates,)
        order : array of int, shape (size,)
            What was shown.
        positions : array, shape (size,)

        Raises
        ------
        SpecificationError
            If a measure lacks.
        DataError
            If one is not finite.
        """
        share = positions / positions.sum()
        values, squares, sums = [], [], []
        for j, constraint in enumerate(self.constraints):
            achieved = float(share @ self._measure(measures, constraint.name)[order])
            short = constraint.level - achieved
            square = self.squares[j] + short * short
            step = constraint.worth * short / np.sqrt(square) if square > 0 else 0.0
            values.append(float(np.clip(self.values[j] + step, 0.0, constraint.worth)))
            squares.append(square)
            sums.append(self.sums[j] + achieved)
        return replace(self, values=tuple(values), squares=tuple(squares), sums=tuple(sums), n_slates=self.n_slates + 1)

    @property
    def averages(self) -> dict[str, float]:
        """What was achieved on average; empty before the first slate."""
        if self.n_slates == 0:
            return {}
        names = (constraint.name for constraint in self.constraints)
        return {name: total / self.n_slates for name, total in zip(names, self.sums, strict=True)}

    @property
    def binding(self) -> tuple[str, ...]:
        """The levels that cost something at present."""
        return tuple(c.name for c, value in zip(self.constraints, self.values, strict=True) if value > 0)

    @property
    def out_of_reach(self) -> tuple[str, ...]:
        """The levels whose multiplier stands at its most: they cannot be kept for that worth."""
        return tuple(c.name for c, value in zip(self.constraints, self.values, strict=True) if value >= c.worth)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Multipliers:
        """Rebuild multipliers from :meth:`to_dict`.

        Raises
        ------
        SpecificationError
            If a field lacks.
        """
        for name in ("constraints", "values", "squares", "sums", "n_slates"):
            if name not in data:
                raise SpecificationError(f"multipliers need their {name!r}; {nearest(name, map(str, data))}")
        constraints = tuple(AtLeast(**constraint) for constraint in data["constraints"])
        values, squares, sums = (tuple(map(float, data[name])) for name in ("values", "squares", "sums"))
        return cls(constraints, values, squares, sums, int(data["n_slates"]))

    def _measure(self, measures: Mapping[str, Float[np.ndarray, " candidates"]], name: str) -> Float[np.ndarray, " n"]:
        if name not in measures:
            raise SpecificationError(f"no measure {name!r}; {nearest(name, measures)}")
        require_finite(measures[name], f"measure {name!r}")
        return measures[name]
