r"""Sums from which a value and its standard error follow; sums of different rows add. Imports parts.

With columns :math:`a` (plain), or :math:`b` and :math:`c` (a ratio), or all three, summed over :math:`n` rows,
:math:`V = \sum a/n + \sum b/\sum c`: a function of sums. With its gradient :math:`g`, and :math:`x_u` the sums over
the rows of one person :math:`u` of :math:`G`, the error is (delta method)

.. math:: \widehat{\mathrm{se}}(V)^2 = \frac{G}{G-1} \sum_u \big(g^\top (x_u - \bar x)\big)^2,

so rows of a person may depend on each other as they like. The products are centred and added as Chan, Golub and
LeVeque (1983, "Algorithms for computing the sample variance") have it: no digits are lost to large means. Within a
block they are centred by their sums where that costs no more than six of sixteen digits, else row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from revealed.answer.offpolicy.parts import Groups, Rounds, Rows
from revealed.errors import SpecificationError

#: Rows looked at together: a few columns of as many stay in the processor's cache.
BLOCK_ROWS = 32_768

#: What is left of a square once it is centred has lost too many digits below this share.
_LEFT = 1e-6

Column = Float[np.ndarray, " columns"]


@dataclass(frozen=True, eq=False)
class Totals:
    """What persons add up to.

    Parameters
    ----------
    n_persons : int
        Where each row is its own person, the number of rows.
    sums : array, shape (columns,)
        The number of rows first, then the sum of each column.
    products : array, shape (columns, columns)
        Sums over persons of the products of their sums, less the mean person's.
    """

    n_persons: int
    sums: Column
    products: Float[np.ndarray, "columns columns"]

    @classmethod
    def of_whole(cls, columns: Sequence[Rows], groups: Groups | None) -> Totals:
        """Return the totals of a whole log, rows of a group being one person's; without groups each row is its own."""
        if groups is None:
            tally = Tally()
            for rows in blocks(len(columns[0])):
                tally.add([column[rows] for column in columns])
            return tally.totals()
        persons = np.array([np.bincount(groups).astype(float), *(np.bincount(groups, column) for column in columns)])
        n_persons = persons.shape[1]
        sums = persons.sum(axis=1)
        persons -= (sums / n_persons)[:, None]
        return cls(n_persons, sums, persons @ persons.T)

    def error(self, gradient: Column) -> float:
        """Return the standard error of a function of the sums; NaN for a single person.

        Parameters
        ----------
        gradient : array, shape (columns,)
            Of the function, by the sums.
        """
        if self.n_persons < 2:
            return float("nan")
        return float(np.sqrt(self.variance(gradient) * (self.n_persons / (self.n_persons - 1))))

    def variance(self, gradient: Column) -> float:
        """Return the square of the error, the persons taken for all there are: without the factor G/(G-1)."""
        return max(float(gradient @ self.products @ gradient), 0.0)  # rounding may go below 0


class Moments:
    """Sums and sums of squares of columns of some rows, each taken once; a column is known by its array.

    Parameters
    ----------
    rounds : Rounds, optional
        What was summed up with them is known at once.
    """

    def __init__(self, rounds: Rounds | None = None) -> None:
        self._known: dict[int, tuple[Rows, float, float]] = {}  # columns held: no other array takes the place of one
        summed = None if rounds is None else rounds.summed
        if summed is not None:
            self._known[id(summed.weight)] = (summed.weight, summed.sum, summed.square)
            self._known[id(summed.weighted)] = (summed.weighted, summed.weighted_sum, summed.weighted_square)

    def of(self, column: Rows) -> tuple[Rows, float, float]:
        """Return a column, its sum and the sum of its squares."""
        known = self._known.get(id(column))
        if known is None:
            known = self._known[id(column)] = (column, float(np.add.reduce(column)), float(column @ column))
        return known


class Tally:
    """Totals taken block by block, of rows each of which is its own person. A block leaves a few numbers only."""

    def __init__(self, sums: Sequence[Sequence[float]] = (), products: Sequence[Sequence[float]] = ()) -> None:
        self._sums, self._products = list(sums), list(products)

    def add(self, columns: Sequence[Rows], moments: Moments | None = None) -> None:
        """Take in the columns of some rows; what others asked of the same columns is in ``moments``."""
        moments = Moments() if moments is None else moments
        n_rows, each = len(columns[0]), [moments.of(column) for column in columns]
        self._sums.append([n_rows, *[total for _, total, _ in each]])
        self._products.append(_centred(each, n_rows))

    def totals(self) -> Totals:
        """Return the totals of all that was taken in."""
        sums = np.array(self._sums)
        n_rows, total = sums[:, :1], sums.sum(axis=0)
        apart = sums / n_rows - total / total[0]
        products = apart.T @ (apart * n_rows)
        lower = np.tril_indices(sums.shape[1] - 1)
        within = np.zeros((sums.shape[1],) * 2)  # the first row and column: one row each, no spread
        within[1:, 1:][lower] = within[1:, 1:].T[lower] = np.sum(self._products, axis=0)
        return Totals(int(total[0]), total, products + within)


@dataclass(frozen=True, eq=False)
class Sums:
    """Weights and weighted rewards of a whole log, added up block by block, each row its own person.

    Parameters
    ----------
    n_rows : array, shape (blocks,)
    blocks : array, shape (blocks, 7)
        As :func:`revealed.engine.loops.sum_up` returns them.
    """

    n_rows: Float[np.ndarray, " blocks"]
    blocks: Float[np.ndarray, "blocks 7"]

    #: Where each column has its sum, and where each pair of columns has that of its products.
    _SUM: ClassVar = {"weight": 0, "weighted": 2}
    _PRODUCT: ClassVar = {("weight", "weight"): 1, ("weighted", "weighted"): 3, ("weight", "weighted"): 4}

    @property
    def sound(self) -> bool:
        """Whether all are finite, and none loses too many digits when it is centred."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not sound
            return bool(np.isfinite(self.blocks).all()) and all(
                (self._centred(column, column) >= _LEFT * self.blocks[:, self._PRODUCT[column, column]]).all()
                for column in self._SUM
            )

    @property
    def largest(self) -> float:
        """The largest weight."""
        return float(self.blocks[:, 5].max())

    @property
    def n_zero(self) -> int:
        """How many weights are zero."""
        return int(self.blocks[:, 6].sum())

    @property
    def rewarded(self) -> tuple[float, float]:
        """Sums of the weights, and of their squares, of rows whose reward is 1, all others being 0."""
        return float(self.blocks[:, 2].sum()), float(self.blocks[:, 3].sum())

    def tally(self, *columns: str) -> Tally:
        """Return the tally of some columns: of "weight" and "weighted"."""
        pairs = [(one, other) for i, one in enumerate(columns) for other in columns[: i + 1]]
        products = [self._centred(*pair) for pair in pairs]
        sums = [self.n_rows, *(self.blocks[:, self._SUM[column]] for column in columns)]
        return Tally(np.transpose(sums).tolist(), np.transpose(products).tolist())

    def _centred(self, one: str, other: str) -> Float[np.ndarray, " blocks"]:
        pair = (one, other) if (one, other) in self._PRODUCT else (other, one)
        product = self.blocks[:, self._PRODUCT[pair]]
        return np.asarray(product - self.blocks[:, self._SUM[one]] * self.blocks[:, self._SUM[other]] / self.n_rows)


def _centred(columns: list[tuple[Rows, float, float]], n_rows: int) -> list[float]:
    """Return the sums of products less the means, of each column with each up to itself."""
    for _, total, square in columns:
        if square - total * total / n_rows < _LEFT * square:
            apart = [column - total / n_rows for column, total, _ in columns]
            return [float(one @ other) for i, one in enumerate(apart) for other in apart[: i + 1]]
    found = []
    for i, (one, total, square) in enumerate(columns):
        found += [float(one @ other) - total * their / n_rows for other, their, _ in columns[:i]]
        found.append(square - total * total / n_rows)
    return found


@contextmanager
def bounded() -> Iterator[None]:
    """Raise SpecificationError where sums and squares go beyond what a number holds.

    Raises
    ------
    SpecificationError
        Instead of numpy's warning and an infinite number.
    """
    try:
        with np.errstate(over="raise", invalid="raise"):
            yield
    except FloatingPointError:
        raise SpecificationError(
            "squares of weighted rewards are larger than a number can be: measure rewards in larger units"
        ) from None


def blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Return slices that together are all rows."""
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def value_of(sums: Column) -> float:
    """Return the value from the sums: the number of rows, then a plain column, a numerator and denominator, or all."""
    return float(values_of(sums[None])[0])


def values_of(sums: Float[np.ndarray, "draws columns"]) -> Float[np.ndarray, " draws"]:
    """Return the values of several logs from their sums; NaN where the denominator is zero."""
    n_columns = sums.shape[1] - 1
    plain = sums[:, 1] / sums[:, 0] if n_columns != 2 else np.zeros(len(sums))
    if n_columns == 1:
        return np.asarray(plain)
    empty = sums[:, -1] == 0
    ratio = sums[:, -2] / np.where(empty, 1.0, sums[:, -1])
    return np.where(empty, np.nan, plain + ratio)


def gradient_of(sums: Column) -> Column:
    """Return the gradient of the value by the sums; NaN where the denominator is zero."""
    gradient = np.zeros(len(sums))
    n_rows, n_columns = sums[0], len(sums) - 1
    if n_columns != 2:
        gradient[0], gradient[1] = -sums[1] / n_rows**2, 1 / n_rows
    if n_columns != 1:
        denominator = sums[-1] or np.nan
        gradient[-2], gradient[-1] = 1 / denominator, -sums[-2] / denominator**2
    return gradient
