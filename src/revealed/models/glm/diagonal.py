"""A posterior without covariances: for millions of sparse features. Imports its own room, loops and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.engine import loops
from revealed.errors import EvidenceError, SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import require_share, require_variances
from revealed.models.glm.links import Link, LogitLink, Probit
from revealed.models.glm.posterior import Matrix, Posterior, Sites, Vector
from revealed.models.glm.tilt import tilt_of


@dataclass(frozen=True, eq=False)
class DiagonalSites:
    """What answers added to each parameter they touch.

    Parameters
    ----------
    index : ndarray of int64, shape (cells,)
        The parameters, one entry a cell of the rows.
    precision, shift : ndarray of float64, shape (cells,)
        What was added to each.
    n_answers : int
    """

    index: Int[np.ndarray, " cells"]
    precision: Float[np.ndarray, " cells"]
    shift: Float[np.ndarray, " cells"]
    n_answers: int

    def __len__(self) -> int:
        return self.n_answers


@dataclass(frozen=True, eq=False)
class DiagonalPosterior:
    r"""Independent Gaussians with precisions :math:`\lambda_k` and shifts :math:`\lambda_k\mu_k`.

    Answers are learned one after the other by assumed-density filtering (Graepel, Candela, Borchert and Herbrich, ICML
    2010, eqs. 7 and 8): each parameter moves in proportion to its own variance.

    Parameters
    ----------
    precision, shift : ndarray of float64, shape (K,)
    """

    precision: Float[np.ndarray, " K"]
    shift: Float[np.ndarray, " K"]

    @classmethod
    def independent(cls, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> DiagonalPosterior:
        """Return independent beliefs, a prior for instance."""
        require_variances(variance)
        return cls(1 / variance, mean / variance)

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        return len(self.shift)

    @property
    def mean(self) -> Float[np.ndarray, " K"]:
        """The mean of each parameter."""
        return np.asarray(self.shift / self.precision)

    @property
    def variance(self) -> Float[np.ndarray, " K"]:
        """The variance of each parameter."""
        return 1 / self.precision

    def predictor(self, rows: Rows | Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance of each row's linear predictor."""
        if not isinstance(rows, Rows):
            return rows @ self.mean, rows**2 @ self.variance
        precision = self.precision[rows.index]
        of_cell = rows.value * self.shift[rows.index] / precision
        return _sums(of_cell, rows), _sums(rows.value**2 / precision, rows)

    def draw(self, normals: Float[np.ndarray, "draws K"]) -> Float[np.ndarray, "draws K"]:
        """Return parameters drawn from the posterior, given independent standard normals."""
        return np.asarray(self.mean + normals / np.sqrt(self.precision))

    def learn(self, link: Link, rows: Rows | Matrix, answers: Vector) -> tuple[DiagonalPosterior, DiagonalSites]:
        """Return the posterior after some answers, taken one after the other, and what they added.

        Raises
        ------
        DataError
            If an answer cannot be.
        """
        sparse = rows if isinstance(rows, Rows) else Rows.of_dense(rows)
        link.require(answers)
        learner = self.learner(link)
        added = learner.learn_each(sparse.index, sparse.value, sparse.starts.tolist(), answers.tolist())
        sites = DiagonalSites(sparse.index, *added, len(answers))
        return DiagonalPosterior(learner.precision, learner.shift), sites

    def learner(self, link: Link) -> DiagonalLearner:
        """Return a copy that learns in place, for streams of single answers."""
        return DiagonalLearner(link, self.precision.copy(), self.shift.copy())

    def changed(self, sites: Sites, sign: float) -> DiagonalPosterior:
        """Return the posterior with sites added (sign 1) or taken out (sign -1)."""
        if not isinstance(sites, DiagonalSites):
            raise SpecificationError("these sites are of another kind of posterior")
        precision, shift = self.precision.copy(), self.shift.copy()
        np.add.at(precision, sites.index, sign * sites.precision)
        np.add.at(shift, sites.index, sign * sites.shift)
        return DiagonalPosterior(precision, shift)

    def without(self, sites: Sites) -> DiagonalPosterior:
        """Return the posterior without what some answers added.

        Raises
        ------
        EvidenceError
            If no proper belief is left.
        """
        left = self.changed(sites, -1.0)
        assert isinstance(sites, DiagonalSites)
        if not (left.precision[sites.index] > 0).all():
            raise EvidenceError(
                "these answers cannot be taken out of this posterior: no proper belief is left; take out only what was "
                "put in, each once"
            )
        return left

    def faded(self, keep: float, prior: Posterior) -> DiagonalPosterior:
        """Return the posterior with a share of what was learned beyond the prior."""
        require_share(keep)
        assert isinstance(prior, DiagonalPosterior)
        return DiagonalPosterior(
            prior.precision + keep * (self.precision - prior.precision), prior.shift + keep * (self.shift - prior.shift)
        )

    def extended(self, mean: Float[np.ndarray, " new"], variance: Float[np.ndarray, " new"]) -> DiagonalPosterior:
        """Return the posterior with new parameters."""
        require_variances(variance)
        return DiagonalPosterior(
            np.concatenate([self.precision, 1 / variance]), np.concatenate([self.shift, mean / variance])
        )

    def anew(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> DiagonalPosterior:
        """Return independent beliefs of the same kind."""
        return DiagonalPosterior.independent(mean, variance)

    def with_prior(self, before: Posterior, after: Posterior) -> DiagonalPosterior:
        """Return the posterior with one prior in place of another."""
        assert isinstance(before, DiagonalPosterior)
        assert isinstance(after, DiagonalPosterior)
        return DiagonalPosterior(
            self.precision - before.precision + after.precision, self.shift - before.shift + after.shift
        )

    def scaled(self, precision: float, shift: float) -> DiagonalPosterior:
        """Return the posterior with precision and shift times two numbers."""
        return DiagonalPosterior(precision * self.precision, shift * self.shift)

    def distance(self, mean: Float[np.ndarray, " K"]) -> float:
        """Return how far a mean is from the posterior's, squared, as its precision measures it."""
        return float(self.precision @ (mean - self.mean) ** 2)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"kind": "diagonal", "precision": self.precision.tolist(), "shift": self.shift.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DiagonalPosterior:
        """Return the posterior that :meth:`to_dict` wrote."""
        return cls(np.array(data["precision"], dtype=np.float64), np.array(data["shift"], dtype=np.float64))


class DiagonalLearner:
    """A diagonal posterior that learns in place, an answer in some microseconds.

    Parameters
    ----------
    link : Link
    precision, shift : ndarray of float64, shape (K,)
        Changed by :meth:`learn`.
    """

    def __init__(self, link: Link, precision: Float[np.ndarray, " K"], shift: Float[np.ndarray, " K"]) -> None:
        self.precision = precision
        self.shift = shift
        self._tilt = tilt_of(link)
        self._link = link.name if type(link) in (Probit, LogitLink) else ""

    def learn_each(
        self, index: np.ndarray, value: np.ndarray, starts: Sequence[int], answers: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Learn answers one after the other; return what was added to precision and shift, cell by cell.

        Parameters
        ----------
        index : ndarray of int64, shape (cells,)
            The features of the rows, in a row each once.
        value : ndarray of float64, shape (cells,)
        starts : sequence of int
            Where the cells of each row begin, and, at last, end.
        answers : sequence of float
            Not checked: :meth:`DiagonalPosterior.learn` does.
        """
        added = loops.learn(self._link, self._tilt, self.precision, self.shift, index, value, starts, answers)
        if added is not None:
            return added
        precision, shift = np.empty(len(index)), np.empty(len(index))
        for i, answer in enumerate(answers):
            cells = slice(starts[i], starts[i + 1])
            precision[cells], shift[cells] = self._by_numpy(index[cells], value[cells], answer)
        return precision, shift

    def learn(self, index: np.ndarray, value: np.ndarray, answer: float) -> tuple[np.ndarray, np.ndarray]:
        """Learn one answer; return what was added to the precision and the shift of each feature of its row.

        Parameters
        ----------
        index : ndarray of int64, shape (active,)
            The features of the row, each once.
        value : ndarray of float64, shape (active,)
        answer : float
            Not checked: :meth:`DiagonalPosterior.learn` does.
        """
        added = loops.learn_one(self._link, self.precision, self.shift, index, value, answer)
        return self.learn_each(index, value, (0, len(index)), (answer,)) if added is None else (added[0], added[1])

    def _by_numpy(self, index: np.ndarray, value: np.ndarray, answer: float) -> tuple[np.ndarray, np.ndarray]:
        precision, shift = self.precision[index], self.shift[index]
        left = value / precision
        first, second = self._tilt(answer, float(left.dot(shift)), float(left.dot(value)))
        left *= value  # what each has of the predictor's variance
        left *= -second
        left += 1  # what is left of its own: in place, since at this size to make an array costs as much as to fill it
        after, pull = precision / left, first * value
        pull += shift
        pull /= left
        self.precision[index] = after
        self.shift[index] = pull
        return after - precision, pull - shift


def _sums(cells: Float[np.ndarray, " cells"], rows: Rows) -> Vector:
    """Return the sum of the cells of each row; a row may have none."""
    sums = np.bincount(rows.row, cells, minlength=len(rows))
    return sums.astype(np.float64, copy=False)  # of no entries at all they would be whole numbers
