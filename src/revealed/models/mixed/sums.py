r"""Simulated log-likelihood, score and information of some persons, in closed form. Imports models' own files only.

With :math:`\ell_{nr} = \sum_t m_{nt} \log P_{nt}(\beta_{nr})` at draw :math:`r` and the weights
:math:`w_{nr} = e^{\ell_{nr}} / \sum_q e^{\ell_{nq}}`,

.. math::
   L_n = \log \frac1R \sum_r e^{\ell_{nr}}, \quad
   s_n = \sum_r w_{nr} s_{nr}, \quad
   -\nabla^2 L_n = \sum_r w_{nr} \big(I_{nr} - s_{nr} s_{nr}^\top - B_{nr}\big) + s_n s_n^\top

where :math:`s_{nr}` is the score of draw :math:`r`, :math:`I_{nr} = \sum_t m_{nt} \operatorname{Cov}(y_{ntj})` the
information of a logit in :math:`y = x\,\partial\beta/\partial\theta`, and :math:`B_{nr}` the second derivatives of the
coefficients times the score by coefficient (Train 2009, sections 6.6 and 10.5; McFadden and Train 2000). The sum of
:math:`w\,p\,y y^\top` is :math:`\sum_j x_{jk} x_{jl} \sum_r w_r p_{jr} D_{ur} D_{vr}`: the sum over draws is a matrix
product with the products of slopes :math:`D`, which many parameters share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from revealed.models.mixed.coefficients import Drawn
from revealed.models.mixed.worth import Space
from revealed.models.people import PeopleBlock
from revealed.models.workspace import workspace

#: Utilities (differences from what was chosen) as large as this are exponentiated as they are.
_SAFE = 500.0


class Logits(NamedTuple):
    """Logit probabilities at draws.

    Parameters
    ----------
    probability : ndarray of float64, shape (cases, rows, draws)
        In the workspace.
    logsum : ndarray of float64, shape (cases, draws)
    """

    probability: Float[np.ndarray, "cases rows draws"]
    logsum: Float[np.ndarray, "cases draws"]


def logits(
    x: Float[np.ndarray, "persons rows_of_a_person random_and_one"],
    values: Float[np.ndarray, "persons random_and_one draws"],
    closed: np.ndarray | None,
    n_rows: int,
) -> Logits:
    """Return logit probabilities at draws of coefficients.

    Parameters
    ----------
    x : ndarray of float64, shape (persons, rows of a person, random + 1)
        Attributes of the random coefficients, and the utility of the others.
    values : ndarray of float64, shape (persons, random + 1, draws)
        The random coefficients, and one.
    closed : ndarray of bool, shape (cases, rows), optional
        Where nothing can be chosen.
    n_rows : int
        Rows of a case.
    """
    persons, rows, _ = x.shape
    draws = values.shape[2]
    utility = np.matmul(x, values, out=workspace().array("utility at draws", persons, rows, draws))
    weight = utility.reshape(-1, n_rows, draws)
    most = np.matmul(np.abs(x), np.abs(values).max(axis=2)[:, :, None])
    if most.max() < _SAFE:  # no exponential is too large or too small, and their largest need not be known
        np.exp(weight, out=weight)
        if closed is not None:
            weight[closed] = 0.0
        total = weight.sum(axis=1)
        logsum = np.log(total)
    else:
        if closed is not None:
            weight[closed] = -np.inf
        top = weight.max(axis=1)
        weight -= top[:, None]
        np.exp(weight, out=weight)
        total = weight.sum(axis=1)
        logsum = np.log(total) + top
    weight *= np.divide(1.0, total, out=total)[:, None]
    return Logits(weight, logsum)


@dataclass(frozen=True, eq=False)
class MixedSums:
    """Sums of a block of persons at parameters.

    Parameters
    ----------
    people : PeopleBlock
    coefficients : Coefficients or WorthCoefficients
    params : ndarray of float64, shape (K,)
    variates : ndarray of float64, shape (persons, random, draws)
    drawn : Drawn
    logits : Logits
    log_likelihoods : ndarray of float64, shape (persons,)
        Not weighted.
    posterior : ndarray of float64, shape (persons, draws)
        The weight of each draw given the person's choices; they sum to one.
    """

    people: PeopleBlock
    coefficients: Space
    params: Float[np.ndarray, " K"]
    variates: Float[np.ndarray, "persons random draws"]
    drawn: Drawn
    logits: Logits
    log_likelihoods: Float[np.ndarray, " persons"]
    posterior: Float[np.ndarray, "persons draws"]

    @classmethod
    def of(
        cls,
        people: PeopleBlock,
        coefficients: Space,
        variates: Float[np.ndarray, "persons random draws"],
        params: Float[np.ndarray, " K"],
    ) -> MixedSums:
        """Return the sums of persons at parameters."""
        drawn = coefficients.at(params, variates)
        persons, cases, rows, columns = people.x.shape
        closed = None if people.closed is None else people.closed.reshape(-1, rows)
        x, values = coefficients.utility(people.x.reshape(persons, -1, columns), drawn, params)
        found = logits(x, values, closed, rows)
        of_draw = -np.matmul(people.size[:, None], found.logsum.reshape(persons, cases, -1))[:, 0]
        top = of_draw.max(axis=1, keepdims=True)
        posterior = np.exp(of_draw - top)
        total = posterior.sum(axis=1, keepdims=True)
        posterior /= total
        values_of = (top + np.log(total / posterior.shape[1]))[:, 0]
        return cls(people, coefficients, params, variates, drawn, found, values_of, posterior)

    @property
    def log_likelihood(self) -> float:
        """The simulated log-likelihood, weighted."""
        return float(self.log_likelihoods @ self.people.weight)

    def scores(self) -> Float[np.ndarray, "persons K"]:
        """Return the score of each person, weighted."""
        weighted = self.people.x * self.people.size[:, :, None, None]
        persons, columns = len(weighted), weighted.shape[3]
        probability = self.logits.probability.reshape(persons, -1, self.posterior.shape[1])
        by_coefficient = -np.matmul(weighted.reshape(persons, -1, columns).swapaxes(1, 2), probability)
        return self._scores(self._by_parameter(by_coefficient))

    def squares(self) -> tuple[Float[np.ndarray, "persons K"], Float[np.ndarray, "K K"]]:
        """Return the score of each person, weighted, and the information of the block."""
        people, (persons, cases, rows, columns) = self.people, self.people.x.shape
        draws = self.posterior.shape[1]
        probability = self.logits.probability.reshape(persons, cases, rows, draws)
        mean = workspace().array("mean attributes at draws", persons, cases, columns, draws)
        np.matmul(people.x.swapaxes(2, 3), probability, out=mean)
        by_coefficient = -np.matmul(people.size[:, None], mean.reshape(persons, cases, -1))
        by_coefficient = by_coefficient.reshape(persons, columns, draws)
        by_draw = self._by_parameter(by_coefficient)
        scores = self._scores(by_draw)
        weight = self.posterior * people.weight[:, None]
        root = np.sqrt(weight)[:, None]
        information = self._second_moment(weight) - self._of_means(mean, root)
        if self.drawn.gathering is not None:
            information = self.drawn.gathering.T @ information @ self.drawn.gathering
        by_draw *= root
        information -= np.matmul(by_draw, by_draw.swapaxes(1, 2)).sum(axis=0)
        per_person = scores / np.sqrt(np.where(people.weight > 0, people.weight, 1.0))[:, None]
        information += per_person.T @ per_person
        if self.coefficients.is_bent:
            by_coefficient *= weight[:, None]
            information -= self.coefficients.curvature(self.drawn, self.variates, self.params, by_coefficient)
        return scores, information

    # ---- pieces ---------------------------------------------------------------------------------------------------

    def _by_parameter(self, by_coefficient: Float[np.ndarray, "persons columns draws"]) -> np.ndarray:
        """Return the score at each draw, shape (persons, K, draws)."""
        k, slope = self.coefficients.column_of, self.coefficients.slope_of
        by_term = by_coefficient[:, k] * self.drawn.slopes[:, slope]
        gathering = self.drawn.gathering
        return np.asarray(by_term if gathering is None else np.matmul(gathering.T, by_term))

    def _scores(self, by_draw: Float[np.ndarray, "persons K draws"]) -> Float[np.ndarray, "persons K"]:
        return np.asarray(np.matmul(by_draw, self.posterior[:, :, None])[:, :, 0] * self.people.weight[:, None])

    def _second_moment(self, weight: Float[np.ndarray, "persons draws"]) -> Float[np.ndarray, "terms terms"]:
        """Return the sum over draws and cases of the mean of y y', weighted, term by term."""
        people, slopes = self.people, self.drawn.slopes
        persons, n_slopes, draws = slopes.shape
        n_products = n_slopes * (n_slopes + 1) // 2
        products = workspace().array("products of slopes", persons, n_products, draws)
        start = 0
        for i in range(n_slopes):  # in the order of the upper triangle
            stop = start + n_slopes - i
            np.multiply(slopes[:, i:], (slopes[:, i] * weight)[:, None], out=products[:, start:stop])
            start = stop
        probability = self.logits.probability.reshape(persons, -1, draws)
        moments = np.matmul(probability, products.swapaxes(1, 2)).reshape(-1, n_products)
        columns = people.x.shape[3]
        one, other = np.triu_indices(columns)
        flat = people.x.reshape(-1, columns)
        squares = flat[:, one] * flat[:, other]
        if not (people.size == 1).all():
            squares *= np.repeat(people.size.reshape(-1), people.x.shape[2])[:, None]
        table = squares.T @ moments
        pairs, products_of = _places(columns), _places(n_slopes)
        k, u = self.coefficients.column_of, self.coefficients.slope_of
        return np.asarray(table[pairs[k[:, None], k], products_of[u[:, None], u]])

    def _of_means(
        self, mean: Float[np.ndarray, "persons cases columns draws"], root: Float[np.ndarray, "persons 1 draws"]
    ) -> Float[np.ndarray, "terms terms"]:
        """Return the sum over draws and cases of the outer product of the means of y, weighted, term by term."""
        if not (self.people.size == 1).all():
            mean *= np.sqrt(self.people.size)[:, :, None, None]
        scaled = self.drawn.slopes * root
        persons, cases, _, draws = mean.shape
        k = self.coefficients.column_of
        y = workspace().array("means by parameter", len(k), persons, cases, draws)
        for out, column, slope in zip(y, k, self.coefficients.slope_of, strict=True):
            np.multiply(mean[:, :, column], scaled[:, None, slope], out=out)
        flat = y.reshape(len(k), -1)
        return np.asarray(flat @ flat.T)


def _places(n: int) -> np.ndarray:
    """Return where each pair of n stands in the upper triangle."""
    rows, columns = np.triu_indices(n)
    places = np.empty((n, n), np.int64)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    return places
