r"""From shares to mean utilities, and back: the contraction, probabilities, derivatives. Imports its own room only.

With :math:`E_{ij} = e^{\mu_{ij} + \delta^0_j - m_i}` for a start :math:`\delta^0` and any :math:`m_i`, and
:math:`d = \delta - \delta^0`, the shares are

.. math:: \sigma_j(\delta) = e^{d_j} r_j(d), \qquad
   r_j(d) = \sum_i \frac{w_i E_{ij}}{e^{-m_i} + \sum_k e^{d_k} E_{ik}}

so the contraction of Berry, Levinsohn and Pakes (1995), :math:`\delta' = \delta + \log s - \log\sigma(\delta)`, is
:math:`d' = \log s - \log r(d)`: two products of a matrix with a vector, one exponential a product and none an agent.
It is accelerated by SQUAREM (Varadhan and Roland 2008, Scandinavian Journal of Statistics 35(2), scheme S3), market by
market. Derivatives are those of the implicit function (Nevo 2000, appendix).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.models.blp.batch import Batch

#: A mean utility this far from the start is made the new start, before exponentials lose digits.
_FAR = 200.0


@dataclass(frozen=True)
class ContractionOptions:
    """How far and how long to iterate.

    Parameters
    ----------
    tolerance : float
        The largest change of a mean utility at which a market is solved.
    max_evaluations : int
        The most evaluations of the contraction in a market.
    """

    tolerance: float = 1e-14
    max_evaluations: int = 5_000


@dataclass(frozen=True, eq=False)
class Inverted:
    """Mean utilities at which shares are those observed.

    Parameters
    ----------
    delta : ndarray of float64, shape (T, J)
    residual : ndarray of float64, shape (T,)
        The largest change in the last step.
    evaluations : ndarray of int64, shape (T,)
    """

    delta: Float[np.ndarray, "T J"]
    residual: Float[np.ndarray, " T"]
    evaluations: Int[np.ndarray, " T"]


def heterogeneity(batch: Batch, matrix: Float[np.ndarray, "K2 V"]) -> Float[np.ndarray, "T J I"]:
    r"""Return :math:`\mu`, each agent's utility of each product beyond the mean."""
    return np.asarray(batch.random @ (batch.draws @ matrix.T).swapaxes(1, 2))


def probabilities(
    batch: Batch, delta: Float[np.ndarray, "T J"], mu: Float[np.ndarray, "T J I"]
) -> Float[np.ndarray, "T J I"]:
    """Return the probability that each agent buys each product; zero for padding."""
    utility = mu + delta[:, :, None]
    top = np.maximum(utility.max(axis=1, where=batch.present[:, :, None], initial=0.0), 0.0)
    utility -= top[:, None, :]
    utility[~batch.present] = -np.inf
    np.exp(utility, out=utility)
    utility /= (np.exp(-top) + utility.sum(axis=1))[:, None, :]
    return np.asarray(utility)


def inverted(
    batch: Batch, mu: Float[np.ndarray, "T J I"], start: Float[np.ndarray, "T J"], options: ContractionOptions
) -> Inverted:
    """Return the mean utilities at which the shares are those observed, by SQUAREM in each market."""
    return _Squarem(batch, mu, start, options).run()


class _Squarem:
    """The markets of a batch on their way. Those that are done leave once half of them are."""

    base: np.ndarray
    cells: np.ndarray
    outside: np.ndarray
    weights: np.ndarray
    target: np.ndarray
    absent: np.ndarray

    def __init__(
        self, batch: Batch, mu: Float[np.ndarray, "T J I"], start: Float[np.ndarray, "T J"], options: ContractionOptions
    ) -> None:
        self.batch, self.mu, self.options = batch, mu, options
        self.delta = start.copy()
        self.residual = np.full(len(start), np.inf)
        self.evaluations = np.zeros(len(start), dtype=np.int64)
        self.step_max = np.ones(len(start))
        self.left = np.arange(len(start))
        self.done = np.zeros(len(start), dtype=bool)
        self._centre()

    def run(self) -> Inverted:
        """Iterate until every market is done."""
        d = np.zeros_like(self.base)
        while True:
            d = self._round(d)
            if self.done.all():
                return Inverted(self.delta, self.residual, self.evaluations)
            far = bool(np.abs(d).max() > _FAR)
            if far or 2 * self.done.sum() >= len(self.left):
                self.delta[self.left[~self.done]] = (self.base + d)[~self.done]
                d = self._regathered(d, far=far)

    def _regathered(self, d: Float[np.ndarray, "S J"], *, far: bool) -> Float[np.ndarray, "R J"]:
        """Keep the markets that are not done; where one is far from its start, make them start from where they are."""
        stay = ~self.done
        self.left, self.done = self.left[stay], self.done[stay]
        if far:
            self._centre()
            return np.zeros_like(self.base)
        self.base, self.cells, self.outside = self.base[stay], self.cells[stay], self.outside[stay]
        self.weights, self.target, self.absent = self.weights[stay], self.target[stay], self.absent[stay]
        return d[stay]

    def _centre(self) -> None:
        """Take the exponentials at the mean utilities of now, for the markets left."""
        left = self.left
        absent = ~self.batch.present[left]
        self.base = self.delta[left]
        exponent = self.mu[left] + self.base[:, :, None]
        exponent[absent] = -np.inf
        top = np.maximum(exponent.max(axis=1), 0.0)
        exponent -= top[:, None, :]
        with np.errstate(under="ignore"):
            self.cells = np.exp(exponent, out=exponent)
            self.outside = np.exp(-top)
        self.weights = self.batch.weights[left]
        self.target = np.log(self.batch.shares[left])
        self.absent = absent.astype(np.float64)

    def _mapped(self, d: Float[np.ndarray, "S J"]) -> Float[np.ndarray, "S J"]:
        with np.errstate(under="ignore"):
            bought = np.matmul(np.exp(d)[:, None, :], self.cells)[:, 0, :] + self.outside
            reach = np.matmul(self.cells, (self.weights / bought)[:, :, None])[:, :, 0]
        return np.asarray(self.target - np.log(reach + self.absent))

    def _keep(self, d: Float[np.ndarray, "S J"], step: Float[np.ndarray, "S J"]) -> bool:
        """Record a step of the markets that are not done; return whether now all are."""
        size = np.abs(step).max(axis=1)
        going = ~self.done
        here = self.left[going]
        self.residual[here] = size[going]
        self.evaluations[here] += 1
        over = going & ~(size >= self.options.tolerance)  # what is not a number ends too
        over |= going & (self.evaluations[self.left] >= self.options.max_evaluations)
        self.delta[self.left[over]] = (self.base + d)[over]
        self.done |= over
        return bool(self.done.all())

    def _round(self, d: Float[np.ndarray, "S J"]) -> Float[np.ndarray, "S J"]:
        """Take two steps, leap, and take a step from there."""
        first = self._mapped(d)
        if self._keep(first, first - d):
            return first
        second = self._mapped(first)
        if self._keep(second, second - first):
            return second
        change = first - d
        bend = second - first - change
        length = np.sqrt((change**2).sum(axis=1) / np.maximum((bend**2).sum(axis=1), 1e-300))
        limit = self.step_max[self.left]
        step = np.clip(length, 1.0, limit)
        self.step_max[self.left] = np.where(step == limit, 4 * limit, limit)
        leap = d + (2 * step)[:, None] * change + (step**2)[:, None] * bend
        # A market that is done stays: its steps are rounding errors, and a leap would make them large.
        leap[self.done] = second[self.done]
        third = self._mapped(leap)
        self._keep(third, third - leap)
        return third


def share_slopes(
    batch: Batch, bought: Float[np.ndarray, "T J I"], free: tuple[tuple[int, int], ...]
) -> Float[np.ndarray, "T J P"]:
    r"""Return :math:`\partial\sigma_j/\partial C_{kv}` at given mean utilities, for the entries that are free."""
    rows, columns = [k for k, _ in free], [v for _, v in free]
    weighted = batch.weights[:, :, None] * batch.draws[:, :, columns]
    means = np.matmul(bought.swapaxes(1, 2), batch.random)[:, :, rows]
    return np.asarray(batch.random[:, :, rows] * (bought @ weighted) - bought @ (weighted * means))


def share_jacobian(batch: Batch, bought: Float[np.ndarray, "T J I"]) -> Float[np.ndarray, "T J J"]:
    r"""Return :math:`\partial\sigma_j/\partial\delta_k`; 1 on the diagonal of padding."""
    weighted = bought * batch.weights[:, None, :]
    jacobian = -(weighted @ bought.swapaxes(1, 2))
    own = np.arange(jacobian.shape[1])
    jacobian[:, own, own] += weighted.sum(axis=2) + ~batch.present
    return np.asarray(jacobian)


def delta_slopes(
    batch: Batch, bought: Float[np.ndarray, "T J I"], free: tuple[tuple[int, int], ...]
) -> Float[np.ndarray, "T J P"]:
    r"""Return :math:`d\delta/dC = -(\partial\sigma/\partial\delta)^{-1} \partial\sigma/\partial C`."""
    return np.asarray(-np.linalg.solve(share_jacobian(batch, bought), share_slopes(batch, bought, free)))
