"""What a search for variances looks at: some rows of a log, and the parameters in them. Imports models and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.prior.groups import LEAST
from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.glm.diagonal import DiagonalPosterior
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.grouped import GroupedPosterior
from revealed.models.glm.model import Answers, BayesianGLM
from revealed.models.glm.posterior import Matrix, Posterior

#: Units that a sample holds at least, where there are so many: fewer tell too little of how they differ.
_UNITS = 100
#: What of a column is left beside others counts as rounding below this share of its square.
_COLLINEAR = 1e-9
#: Seconds to learn an answer: in any case, for each block of covariances, for each pair of parameters in it. As
#: measured on a core of 2023, within a factor of two: a guide to how many rows there is time for.
_ANSWER, _BLOCK, _PAIR = 3e-5, 5e-5, 2e-9


@dataclass(frozen=True, eq=False)
class Sample:
    """Some rows, with the parameters in them numbered anew.

    Behind the parameters stands one for the mean of each group whose mean is estimated: its feature is the sum of the
    features of the group, so that a mean and what members differ from it by are learned together.

    Parameters
    ----------
    rows : Rows or ndarray
        As the model's covariance wants them, sparse for a diagonal one.
    answers : ndarray of float64, shape (rows,)
    groups : ndarray of int64, shape (parameters,)
        The group of each parameter, without the means.
    centered : ndarray of int64, shape (means,)
        The groups whose means are estimated, in the order of the last features.
    shape : Posterior
        A belief of the model's kind about all of them.
    """

    rows: Rows | Matrix
    answers: Answers
    groups: Int[np.ndarray, " parameters"]
    centered: Int[np.ndarray, " means"]
    shape: Posterior

    @property
    def searched(self) -> Int[np.ndarray, " searched"]:
        """The groups with members enough to tell a variance."""
        return np.flatnonzero(np.bincount(self.groups) >= LEAST)

    @property
    def seconds(self) -> float:
        """What a pass takes, as reckoned from sizes, so that it is the same on every machine."""
        if isinstance(self.shape, GroupedPosterior):
            each = sum(_BLOCK + _PAIR * part.n_params**2 for part in self.shape.parts)
        else:
            each = _PAIR * self.shape.n_params**2 if isinstance(self.shape, FullPosterior) else 0.0
        return len(self.answers) * (_ANSWER + each)


def sampled(
    model: BayesianGLM,
    groups: Int[np.ndarray, " K"],
    given: Mapping[int, float],
    rows: Rows,
    answers: Answers,
) -> Sample:
    """Return rows and answers with the parameters that are in them.

    Parameters
    ----------
    model : BayesianGLM
    groups : ndarray of int, shape (K,)
    given : mapping from group to float
        Means that are not to be estimated.
    rows, answers
        Those of the sample.
    """
    touched, index = np.unique(rows.index, return_inverse=True)
    rows = Rows(rows.starts, index.astype(np.int64), rows.value, len(touched))
    of_group = np.asarray(groups[touched], dtype=np.int64)
    centered, sums = _means(rows, of_group, given)
    n_all = len(touched) + len(centered)
    zeros, ones = np.zeros(n_all), np.ones(n_all)
    if isinstance(model.prior, GroupedPosterior):
        blocks = np.unique(model.prior.groups[touched], return_inverse=True)[1]
        own = int(blocks.max(initial=-1)) + 1 + np.arange(len(centered))
        shape: Posterior = GroupedPosterior.independent(zeros, ones, np.concatenate([blocks, own]))
    else:
        shape = model.prior.anew(zeros, ones)
    if isinstance(shape, DiagonalPosterior):
        return Sample(_beside(rows, sums), answers, of_group, centered, shape)
    return Sample(np.concatenate([rows.dense(), sums], axis=1), answers, of_group, centered, shape)


def chosen(n_rows: int, units: Int[np.ndarray, " rows"] | None, most: int) -> Int[np.ndarray, " some"]:
    """Return the numbers of at most so many rows, the same ones each time, in their order.

    Rows are taken by units (an item's, a visitor's): all of some units, not some of all, since how members of a group
    differ shows where each is seen often. There are a hundred units at least, where there are so many, and no unit has
    more than an even share then.
    """
    if n_rows <= most:
        return np.arange(n_rows)
    generator = np.random.Generator(np.random.Philox(0))
    if units is None:
        return np.sort(generator.permutation(n_rows)[:most])
    _, unit, counts = np.unique(units, return_inverse=True, return_counts=True)
    share = max(most // min(len(counts), _UNITS), 1)
    order = generator.permutation(len(counts))
    last = int(np.searchsorted(np.cumsum(np.minimum(counts, share)[order]), most, side="right"))
    taken = np.zeros(len(counts), dtype=bool)
    taken[order[: max(last, 1)]] = True
    by_unit = np.argsort(unit, kind="stable")
    place = np.empty(n_rows, dtype=np.int64)  # of a row among those of its unit
    place[by_unit] = np.arange(n_rows) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.flatnonzero(taken[unit] & (place < share))


def require_rows(model: BayesianGLM, rows: Rows | Matrix, answers: Answers, units: np.ndarray | None) -> Rows:
    """Return rows as sparse ones; raise unless they fit the model, the answers and the units, and are finite."""
    sparse = rows if isinstance(rows, Rows) else Rows.of_dense(rows)
    if sparse.n_params != model.n_params:
        raise SpecificationError(f"rows of {sparse.n_params} features for a model of {model.n_params} parameters")
    if len(answers) != len(sparse):
        raise SpecificationError(f"{len(answers)} answers for {len(sparse)} rows")
    if units is not None and len(units) != len(sparse):
        raise SpecificationError(f"{len(units)} units for {len(sparse)} rows; say of each row whose it is")
    if not np.isfinite(sparse.value).all():
        what = "features that are not finite numbers"
        raise DataError("rows", [Problem(what, "fill them in, or leave those rows out")])
    model.link.require(answers)
    return sparse


def _means(
    rows: Rows, groups: Int[np.ndarray, " parameters"], given: Mapping[int, float]
) -> tuple[Int[np.ndarray, " means"], Float[np.ndarray, "rows means"]]:
    """Return the groups whose means answers can tell, and the sums of their features.

    Where each row has one member of a group (an item), a mean of the group is what the base is, and where a price of
    each item stands beside the price, what the price's parameter is. So a mean is estimated only where its feature is
    no combination of those of parameters that keep their prior, and of means before it.
    """
    members = np.bincount(groups)
    known = _orthogonal(_columns(rows, members[groups] < LEAST))
    found, sums = [], [np.zeros((len(rows), 0))]
    for group in np.flatnonzero(members >= LEAST):
        if int(group) in given:
            continue
        of_group = groups[rows.index] == group
        total = np.bincount(rows.row[of_group], rows.value[of_group], minlength=len(rows)).astype(np.float64)
        left = total - known @ (known.T @ total)
        left -= known @ (known.T @ left)  # once is not enough where little is left
        size = float(left @ left)
        if size > _COLLINEAR * float(total @ total):
            known = np.column_stack([known, left / np.sqrt(size)])
            found.append(int(group))
            sums.append(total[:, None])
    return np.array(found, dtype=np.int64), np.concatenate(sums, axis=1)


def _columns(rows: Rows, wanted: Bool[np.ndarray, " parameters"]) -> Float[np.ndarray, "rows wanted"]:
    number = np.cumsum(wanted) - 1
    cells = wanted[rows.index]
    columns = np.zeros((len(rows), int(wanted.sum())))
    columns[rows.row[cells], number[rows.index[cells]]] = rows.value[cells]
    return columns


def _orthogonal(columns: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows basis"]:
    """Return an orthonormal basis of what columns span."""
    if not columns.size:
        return columns[:, :0]
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, sizes**2 > _COLLINEAR * sizes[0] ** 2])


def _beside(rows: Rows, columns: Float[np.ndarray, "rows columns"]) -> Rows:
    """Return rows with further columns."""
    if not columns.shape[1]:
        return rows
    more = Rows.of_dense(columns)
    order = np.argsort(np.concatenate([rows.row, more.row]), kind="stable")
    index = np.concatenate([rows.index, more.index + rows.n_params])[order]
    value = np.concatenate([rows.value, more.value])[order]
    return Rows(rows.starts + more.starts, index, value, rows.n_params + columns.shape[1])
