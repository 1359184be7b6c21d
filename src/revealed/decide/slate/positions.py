r"""How likely each position is looked at, estimated from what was clicked where. Imports evidence and errors.

In the position-based model an item :math:`i` in position :math:`k` is clicked with probability :math:`e_k r_i`: looked
at, and liked (Richardson, Dominowska and Ragno 2007, "Predicting clicks"; Chuklin, Markov and de Rijke 2015, "Click
models for web search"). We estimate :math:`e` without :math:`r`: with :math:`n_{ik}` times shown and
:math:`C_i` clicks in all, an item's clicks fall on the positions with shares

.. math:: \frac{n_{ik} e_k}{\sum_j n_{ij} e_j}

whatever its appeal: a conditional logit with offsets, concave, without a parameter for each item. It is the
fixed-effects Poisson estimator (Hausman, Hall and Griliches 1984), and consistent for yes-or-no clicks too, as it
needs the mean only (Wooldridge 1999, "Distribution-free estimation of some nonlinear panel data models"); errors are
sandwiches. Where items have their positions from chance with known propensity, rows weigh 1/propensity and no item is
needed: then :math:`e_k` is the ratio of click rates.

What it leans on: given the item, position does not depend on how much the person likes it; and no click depends on what
else is shown. Only ratios can be estimated: the first position is 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.slate.checks import refuse, require_length
from revealed.errors import DataError, Problem
from revealed.evidence.level import quantile, require_level

#: Newton's method ends when the step's promise is below this, or after so many steps.
PROMISE, STEPS = 1e-12, 50
#: With fewer items than this, their scores are too few for a sandwich; rows take their place.
ENOUGH = 100


@dataclass(frozen=True)
class PositionEffects:
    """How likely each position is looked at, relative to the first.

    Parameters
    ----------
    examination : tuple of float
        For each position; the first is 1.
    standard_error : tuple of float
    low, high : tuple of float
        Intervals on the scale of logarithms.
    level : float
    shown, clicked : tuple of int
    converged : bool
    """

    examination: tuple[float, ...]
    standard_error: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float
    shown: tuple[int, ...]
    clicked: tuple[int, ...]
    converged: bool

    def as_array(self) -> Float[np.ndarray, " positions"]:
        """Return the examination probabilities as :func:`select` takes them."""
        return np.array(self.examination)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PositionEffects:
        """Return the effects that :meth:`to_dict` wrote."""
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in data.items()}
        return cls(**values)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Rows of the log, and their sums by item.

    Parameters
    ----------
    item, position : array of int, shape (rows,)
    clicked, weight : array, shape (rows,)
    shown : array, shape (items, positions)
        Sums of weights.
    clicks : array, shape (items, positions)
        Sums of weighted clicks.
    """

    item: Int[np.ndarray, " rows"]
    position: Int[np.ndarray, " rows"]
    clicked: Float[np.ndarray, " rows"]
    weight: Float[np.ndarray, " rows"]
    shown: Float[np.ndarray, "items positions"]
    clicks: Float[np.ndarray, "items positions"]

    def shares(self, logs: Float[np.ndarray, " positions"]) -> Float[np.ndarray, "items positions"]:
        """Return how an item's clicks fall on the positions."""
        seen = self.shown * np.exp(logs)
        return np.asarray(seen / seen.sum(axis=1, keepdims=True))

    def log_likelihood(self, logs: Float[np.ndarray, " positions"]) -> float:
        """Return the log-likelihood of where the clicks fell, but for a constant."""
        total = np.log((self.shown * np.exp(logs)).sum(axis=1))
        return float((self.clicks @ logs - self.clicks.sum(axis=1) * total).sum())


def fit_positions(
    position: Int[np.ndarray, " rows"],
    clicked: Bool[np.ndarray, " _"] | Int[np.ndarray, " _"],
    *,
    item: Int[np.ndarray, " _"] | None = None,
    propensity: Float[np.ndarray, " _"] | None = None,
    cluster: Int[np.ndarray, " _"] | None = None,
    level: float = 0.95,
) -> PositionEffects:
    """Estimate how likely each position is looked at.

    Parameters
    ----------
    position : array of int, shape (rows,)
        Where each thing was shown: 0 is the first position.
    clicked : array of bool or 0 and 1, shape (rows,)
    item : array of int, shape (rows,), optional
        What was shown, as codes of any kind. Needed unless positions were drawn at random.
    propensity : array, shape (rows,), optional
        The probability with which the item was put in that position, where that was drawn.
    cluster : array of int, shape (rows,), optional
        What may be clicked together, such as persons. By default items, or rows where there are fewer than 100 items.
    level : float
        Of the intervals.

    Returns
    -------
    PositionEffects

    Raises
    ------
    DataError
        If positions are negative, a click is neither 0 nor 1, a propensity is no probability above 0; a position was
        never shown or clicked; or no item links some positions to the first.
    SpecificationError
        If lengths do not agree, or the level is not between 0 and 1.
    """
    require_level(level)
    cells = _cells_of(position, clicked, item, propensity)
    if cluster is not None:
        require_length(cluster, len(position), "cluster", "rows")
    logs, converged = _newton(cells)
    covariance = _sandwich(cells, logs, cluster)
    examination = np.exp(logs)
    errors = np.append(0.0, np.sqrt(np.diag(covariance)))
    reach = quantile(level) * errors
    return PositionEffects(
        examination=tuple(examination.tolist()),
        standard_error=tuple((examination * errors).tolist()),
        low=tuple((examination * np.exp(-reach)).tolist()),
        high=tuple((examination * np.exp(reach)).tolist()),
        level=level,
        shown=tuple(np.bincount(cells.position).tolist()),
        clicked=tuple(np.bincount(cells.position, weights=cells.clicked).astype(int).tolist()),
        converged=converged,
    )


def _cells_of(
    position: Int[np.ndarray, " rows"],
    clicked: np.ndarray,
    item: Int[np.ndarray, " _"] | None,
    propensity: Float[np.ndarray, " _"] | None,
) -> _Cells:
    n_rows = len(position)
    require_length(clicked, n_rows, "clicked", "rows")
    if n_rows == 0:
        raise DataError("position", [Problem("there are no rows", "give what was shown, clicked or not")])
    refuse("position", position < 0, "negative positions", "count positions from 0, the first")
    refuse("position", position >= n_rows, "positions beyond the number of rows", "number positions without gaps")
    refuse("clicked", ~np.isin(clicked, (0, 1)), "clicks that are neither 0 nor 1", "say whether it was clicked")
    weight = np.ones(n_rows)
    if propensity is not None:
        require_length(propensity, n_rows, "propensity", "rows")
        bad = ~((propensity > 0) & (propensity <= 1))
        refuse("propensity", bad, "propensities that are no probabilities above 0", "log them when the slate is drawn")
        weight = 1.0 / propensity
    code = np.zeros(n_rows, np.intp)
    if item is not None:
        require_length(item, n_rows, "item", "rows")
        code = np.unique(item, return_inverse=True)[1].ravel()
    shape = (int(code.max()) + 1, int(position.max()) + 1)
    flat, hit = code * shape[1] + position, np.asarray(clicked, float)
    size = shape[0] * shape[1]
    shown = np.bincount(flat, weights=weight, minlength=size).reshape(shape)
    clicks = np.bincount(flat, weights=weight * hit, minlength=size).reshape(shape)
    _require_identified(shown, clicks)
    return _Cells(code, np.asarray(position, np.intp), hit, weight, shown, clicks)


def _require_identified(
    shown: Float[np.ndarray, "items positions"], clicks: Float[np.ndarray, "items positions"]
) -> None:
    """Refuse positions without a click, and positions that no item compares with the first."""
    refuse("position", shown.sum(axis=0) == 0, "positions where nothing was shown", "number positions without gaps")
    refuse(
        "position",
        clicks.sum(axis=0) == 0,
        "positions where nothing was clicked: what they are worth next to the first cannot be told",
        "wait for clicks, or join positions",
    )
    told = (shown > 0) & (clicks.sum(axis=1, keepdims=True) > 0)
    linked = np.zeros(shown.shape[1], bool)
    linked[0] = True
    for _ in range(len(linked)):
        linked = linked | told[(told & linked).any(axis=1)].any(axis=0)
    refuse(
        "position",
        ~linked,
        "positions that share no clicked item with the first, nor with one that does",
        "show some items in several positions",
    )


def _newton(cells: _Cells) -> tuple[Float[np.ndarray, " positions"], bool]:
    """Return the logarithms of the examination probabilities; concave, so halving the step is all the care needed."""
    logs = np.zeros(cells.shown.shape[1])
    value = cells.log_likelihood(logs)
    for _ in range(STEPS):
        shares = cells.shares(logs)
        score = (cells.clicks - cells.clicks.sum(axis=1, keepdims=True) * shares).sum(axis=0)[1:]
        step = np.linalg.solve(_information(cells, shares), score)
        if score @ step <= PROMISE * max(cells.clicks.sum(), 1.0):
            return logs + np.append(0.0, step), True  # a step this short is exact to all digits
        for halving in range(30):
            moved = logs + np.append(0.0, step) * 0.5**halving
            new = cells.log_likelihood(moved)
            if new > value:
                break
        else:
            return logs, True  # no better point within rounding
        logs, value = moved, new
    return logs, False


def _information(cells: _Cells, shares: Float[np.ndarray, "items positions"]) -> Float[np.ndarray, "free free"]:
    total = cells.clicks.sum(axis=1)
    return np.asarray((np.diag(total @ shares) - (shares * total[:, None]).T @ shares)[1:, 1:])


def _sandwich(
    cells: _Cells, logs: Float[np.ndarray, " positions"], cluster: Int[np.ndarray, " rows"] | None
) -> Float[np.ndarray, "free free"]:
    """Return the robust covariance of the logarithms, the first left out."""
    shares = cells.shares(logs)
    bread = np.linalg.inv(_information(cells, shares))
    exposed = (cells.shown * np.exp(logs)).sum(axis=1)
    appeal = cells.clicks.sum(axis=1) / exposed
    residual = cells.weight * (cells.clicked - appeal[cells.item] * np.exp(logs)[cells.position])
    scores = -residual[:, None] * shares[cells.item]
    scores[np.arange(len(residual)), cells.position] += residual
    if cluster is None and len(cells.shown) >= ENOUGH:
        cluster = cells.item
    if cluster is not None:
        code = np.unique(cluster, return_inverse=True)[1].ravel()
        summed = np.zeros((int(code.max()) + 1, scores.shape[1]))
        np.add.at(summed, code, scores)
        scores = summed * np.sqrt(len(summed) / max(len(summed) - 1, 1))
    meat = scores[:, 1:].T @ scores[:, 1:]
    return np.asarray(bread @ meat @ bread)
