r"""Log-likelihood, score and information of nested choices over a block, in closed form. Imports evidence and choices.

Leaf :math:`p` has index :math:`y_p = v_j + \log\alpha_{jm}` and, with the nest's :math:`\mu`, probability

.. math:: q_p = \frac{e^{\mu y_p}}{\sum_{r \in m} e^{\mu y_r}}, \qquad I_m = \frac1\mu \log \sum_{r \in m} e^{\mu y_r},
   \qquad P_m = \frac{e^{I_m}}{\sum_k e^{I_k}}, \qquad P_p = q_p P_m

With :math:`z_p = \partial y_p / \partial\theta`, bars for means over a branch with :math:`q`,
:math:`d_m = \bar z_m` and
:math:`g_m = \partial I_m/\partial\mu_m = (\bar y_m - I_m)/\mu_m`:

.. math:: \nabla I_m = (\bar z_m,\ g_m e_m), \qquad
   \nabla \log P_p = \big(\mu (z_p - \bar z_m) + \bar z_m - \bar z,\ (y_p - \bar y_m) e_m + g_m e_m - \textstyle\sum_k
   P_k g_k e_k\big)

and, for leaf counts :math:`c_p` with :math:`T_m = \sum_{p \in m} c_p`, :math:`s = \sum_m T_m` and
:math:`\omega_m = T_m (1 - 1/\mu_m) + s P_m / \mu_m`, the information (minus the Hessian) of a case is

.. math:: \sum_m \Big[\omega_m \operatorname{Cov}_q(u) + s P_m \nabla I_m \nabla I_m^\top
   + (T_m - s P_m) \tfrac{2 g_m}{\mu_m} e_m e_m^\top - \sum_{p \in m} c_p \big((z_p - \bar z_m) e_m^\top +
   e_m (z_p - \bar z_m)^\top\big)\Big] - s\, \nabla L \nabla L^\top

with :math:`u_p = (\mu z_p, y_p e_m)` and :math:`L` the logsum (differentiated from the log-likelihood of Williams 1977,
Daly and Zachary 1978; as in Daly 1987, "Estimating 'tree' logit models", Transportation Research B 21(4), 251-267).

Where an alternative is in several nests, :math:`P_j = \sum_m P_{jm}` is a mixture of leaves: the score is the mean of
the leaves' with their posterior :math:`\pi_{jm} = P_{jm} / P_j`, and the information the mean of theirs less the
variance of their scores (Louis 1982, "Finding the observed information matrix when using the EM algorithm"). So leaves
count as
:math:`c_{jm} = c_j \pi_{jm}` in all sums, and one correction follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from revealed.choices.log import ChoiceLog
from revealed.models.blocks import Block, gram
from revealed.models.nested.branches import NestBlock
from revealed.models.workspace import workspace


class NestShares(NamedTuple):
    """Probabilities within and among the branches of a block.

    Parameters
    ----------
    scale : ndarray of float64, shape (branches,)
        The nest parameter.
    within : ndarray of float64, shape (leaves,)
        The probability of each leaf in its branch.
    gap : ndarray of float64, shape (leaves,)
        Its index less the branch's inclusive value: the logarithm of ``within`` over the scale.
    inclusive : ndarray of float64, shape (branches,)
    among : ndarray of float64, shape (branches,)
        The probability of the branch.
    logsum : ndarray of float64, shape (cases,)
    """

    scale: Float[np.ndarray, " branches"]
    within: Float[np.ndarray, " leaves"]
    gap: Float[np.ndarray, " leaves"]
    inclusive: Float[np.ndarray, " branches"]
    among: Float[np.ndarray, " branches"]
    logsum: Float[np.ndarray, " cases"]

    @classmethod
    def of(
        cls, index: Float[np.ndarray, " leaves"], nests: NestBlock, scales: Float[np.ndarray, " nests_and_one"]
    ) -> NestShares:
        """Return the shares of leaves with some index; no index is too large, and none is clipped."""
        scale = scales[nests.nest]
        within = workspace().array("within branches", len(index))
        np.multiply(index, nests.within.spread(scale), out=within)
        top = nests.within.max(within)
        within -= nests.within.spread(top)
        np.exp(within, out=within)
        total = nests.within.sum(within)
        within /= nests.within.spread(total)
        inclusive = (top + np.log(total)) / scale
        gap = workspace().array("gap", len(index))
        np.subtract(index, nests.within.spread(inclusive), out=gap)
        among, logsum = nests.among.softmax(inclusive)
        return cls(scale, within, gap, inclusive, among.copy(), logsum)

    def leaf_probability(self, nests: NestBlock) -> Float[np.ndarray, " leaves"]:
        """Return the probability of each leaf."""
        return np.asarray(self.within * nests.within.spread(self.among))


@dataclass(frozen=True, eq=False)
class Taken:
    """What was chosen in a block, as leaves.

    Parameters
    ----------
    leaf : ndarray of int64, shape (taken,)
        The leaves of the alternatives chosen, those of one alternative together.
    starts : ndarray of int64, shape (alternatives,)
        The first of each alternative.
    count : ndarray of float64, shape (alternatives,)
        How often it was chosen, times the weight of the case.
    case : ndarray of int64, shape (alternatives,)
    size : ndarray of float64, shape (cases,)
        The choices of each case, times its weight.
    """

    leaf: Int[np.ndarray, " taken"]
    starts: Int[np.ndarray, " alternatives"]
    count: Float[np.ndarray, " alternatives"]
    case: Int[np.ndarray, " alternatives"]
    size: Float[np.ndarray, " cases"]

    @classmethod
    def of(cls, log: ChoiceLog, block: Block, nests: NestBlock) -> Taken:
        """Return what was chosen in a block of a log."""
        cases = slice(block.case_start, block.case_stop)
        weights = np.ones(nests.n_cases) if log.weights is None else log.weights[cases]
        size = log.choices_per_case[cases] * weights
        if log.chosen_rows is not None:
            rows, case, count = log.chosen_rows[cases] - block.row_start, np.arange(nests.n_cases), weights
        else:
            counts = log.chosen[block.row_start : block.row_stop]
            rows = np.flatnonzero(counts)
            case = np.repeat(np.arange(nests.n_cases), log.sizes[cases])[rows]
            count = counts[rows] * weights[case]
        if nests.rows is None:
            return cls(rows, np.arange(len(rows)), count, case, size)
        chosen = np.zeros(block.row_stop - block.row_start, dtype=bool)
        chosen[rows] = True
        leaf = np.flatnonzero(chosen[nests.rows])
        leaf = leaf[np.argsort(nests.rows[leaf], kind="stable")]
        of_row = nests.rows[leaf]
        return cls(leaf, np.flatnonzero(np.concatenate([[True], of_row[1:] != of_row[:-1]])), count, case, size)

    @property
    def mixed(self) -> bool:
        """Whether an alternative chosen is in several nests."""
        return len(self.leaf) > len(self.starts)

    def per_leaf(self, values: Float[np.ndarray, " alternatives"]) -> Float[np.ndarray, " taken"]:
        """Return each alternative's value on each of its leaves."""
        return np.repeat(values, np.diff(self.starts, append=len(self.leaf))) if self.mixed else values


@dataclass(frozen=True, eq=False)
class NestSums:
    """The sums of a block at some parameters, as far as they have been worked out.

    Parameters
    ----------
    z : ndarray of float64, shape (K, leaves)
        How the index of each leaf moves with each parameter of the indices.
    nests : NestBlock
    shares : NestShares
    taken : Taken
    n_nests : int
        Nests with a parameter, M.
    log_likelihood : float
    posterior : ndarray of float64, shape (taken,)
        Of each leaf of an alternative chosen.
    counts : ndarray of float64, shape (leaves,)
        How often each leaf was chosen, alternatives in several nests by their posterior.
    total : ndarray of float64, shape (branches,)
        The same by branch.
    pull : ndarray of float64, shape (branches,)
        What the score has of each branch's mean: choices in it times one less the scale, less those expected.
    """

    z: Float[np.ndarray, "K leaves"]
    nests: NestBlock
    shares: NestShares
    taken: Taken
    n_nests: int
    log_likelihood: float
    posterior: Float[np.ndarray, " taken"]
    counts: Float[np.ndarray, " leaves"]
    total: Float[np.ndarray, " branches"]
    pull: Float[np.ndarray, " branches"]

    @classmethod
    def of(
        cls, z: Float[np.ndarray, "K leaves"], nests: NestBlock, shares: NestShares, taken: Taken, n_nests: int
    ) -> NestSums:
        """Return the sums of a block."""
        spread, (scale, _, gap, inclusive, among, logsum) = nests.within.spread, shares
        base = spread(inclusive - nests.among.spread(logsum))
        logs = (spread(scale)[taken.leaf] * gap[taken.leaf]) + base[taken.leaf]
        posterior = np.ones(len(logs))
        if taken.mixed:
            top = np.maximum.reduceat(logs, taken.starts)
            mass = np.exp(logs - taken.per_leaf(top))
            total = np.add.reduceat(mass, taken.starts)
            posterior = mass / taken.per_leaf(total)
            logs = top + np.log(total)
        counts = workspace().array("counts", nests.n_leaves)
        counts[:] = 0.0
        counts[taken.leaf] = taken.per_leaf(taken.count) * posterior
        total = nests.within.sum(counts)
        pull = total * (1 - scale) - nests.among.spread(taken.size) * among
        return cls(z, nests, shares, taken, n_nests, float(logs @ taken.count), posterior, counts, total, pull)

    # ---- the score ------------------------------------------------------------------------------------------------

    def score(self) -> Float[np.ndarray, " K_and_nests"]:
        """Return the score of the block, nest parameters last."""
        spread, shares = self.nests.within.spread, self.shares
        residual = workspace().array("residual", self.nests.n_leaves)
        np.multiply(shares.within, spread(self.pull), out=residual)
        residual += self.counts * spread(shares.scale)
        # Not z @ residual: a product of so few entries holds the interpreter.
        of_index = np.einsum("kr,r->k", self.z, residual)
        of_nests = np.bincount(self.nests.nest, self._nest_scores(), self.n_nests + 1)[: self.n_nests]
        return np.concatenate([of_index, of_nests])

    def _nest_scores(self) -> Float[np.ndarray, " branches"]:
        """Return the score of each branch's nest parameter."""
        return np.asarray(self.nests.within.sum(self.counts * self.shares.gap) + self.pull * self._slope())

    def _mean_gap(self) -> Float[np.ndarray, " branches"]:
        return self.nests.within.sum(self.shares.within * self.shares.gap)

    def _slope(self) -> Float[np.ndarray, " branches"]:
        """Return how each branch's inclusive value moves with the nest parameter."""
        return np.asarray(self._mean_gap() / self.shares.scale)

    # ---- what needs the means of branches -------------------------------------------------------------------------

    def squares(self, information: bool) -> tuple[Float[np.ndarray, "L cases"], Float[np.ndarray, "L L"] | None]:
        """Return the scores by case and, if asked, the information; L = K + M, nest parameters last."""
        weighted = np.multiply(self.z, self.shares.within, out=workspace().array("weighted design", *self.z.shape))
        means = self.nests.within.sum_each(weighted)
        part = workspace().array("part by branch", *means.shape)
        of_case = self.nests.among.sum_each(np.multiply(means, self.shares.among, out=part)).copy()
        scores = self._scores(means, part)
        return scores, self._information(weighted, means, of_case) if information else None

    def _scores(
        self, means: Float[np.ndarray, "K branches"], part: Float[np.ndarray, "K branches"]
    ) -> Float[np.ndarray, "L cases"]:
        k, taken = len(self.z), self.taken
        scores = workspace().array("scores", k + self.n_nests, self.nests.n_cases)
        np.copyto(scores[:k], self.nests.among.sum_each(np.multiply(means, self.pull, out=part)))
        scale = self.nests.within.spread(self.shares.scale)[taken.leaf]
        chosen = np.take(self.z, taken.leaf, axis=1, mode="clip")  # they are within bounds; spares a checked copy
        chosen *= self.counts[taken.leaf] * scale
        case = np.repeat(taken.case, np.diff(taken.starts, append=len(taken.leaf)))
        if len(case) == self.nests.n_cases and len(taken.case) == self.nests.n_cases:
            scores[:k] += chosen
        else:
            first = np.flatnonzero(np.concatenate([[True], case[1:] != case[:-1]]))
            scores[:k, case[first]] += np.add.reduceat(chosen, first, axis=1)
        scores[k:] = self._by_nest(self._nest_scores())
        return scores

    def _by_nest(self, values: Float[np.ndarray, " branches"]) -> Float[np.ndarray, "nests cases"]:
        """Return values of branches as one row per nest, zero where a case has none."""
        square = np.zeros((self.n_nests + 1, self.nests.n_cases))
        square[self.nests.nest, self.nests.branch_cases()] = values
        return square[: self.n_nests]

    def _information(
        self,
        weighted: Float[np.ndarray, "K leaves"],
        means: Float[np.ndarray, "K branches"],
        of_case: Float[np.ndarray, "K cases"],
    ) -> Float[np.ndarray, "L L"]:
        """Return the information; ``weighted`` is overwritten."""
        k, size, (scale, _, _, _, among, _) = len(self.z), self.taken.size, self.shares
        expected = self.nests.among.spread(size) * among
        inner = self.total * scale * (scale - 1) + expected * scale  # scale² ω
        result = np.zeros((k + self.n_nests, k + self.n_nests))
        slopes = self._by_nest(among * self._slope())
        result[:k, k:] = self._mixed_part(inner / scale, expected) - gram(of_case * size, slopes)
        result[k:, :k] = result[:k, k:].T
        result[k:, k:] = np.diag(self._nest_part(inner / scale**2, expected)) - gram(slopes * size, slopes)
        weighted *= self.nests.within.spread(inner)
        second = gram(weighted, self.z)
        result[:k, :k] = second - gram(means * (inner - expected), means) - gram(of_case * size, of_case)
        if self.taken.mixed:
            result -= self._spread_of_leaves(means)
        # A column that is constant within each case leaves rounding error where its variance is zero.
        still = np.flatnonzero(np.abs(np.diag(result)[:k]) <= 1e-13 * np.diag(second))
        result[still, :] = result[:, still] = 0.0
        return result

    def _mixed_part(
        self, inner: Float[np.ndarray, " branches"], expected: Float[np.ndarray, " branches"]
    ) -> Float[np.ndarray, "K nests"]:
        """Return the second derivatives by index and nest parameters, but for the logsum's slopes."""
        spread, shares, nests = self.nests.within.spread, self.shares, self.nests
        factor = self.total + expected * self._slope() - inner * self._mean_gap()
        weight = workspace().array("residual", nests.n_leaves)
        np.multiply(shares.gap, spread(inner), out=weight)
        weight += spread(factor)
        weight *= shares.within
        weight -= self.counts
        by_nest = workspace().array("by nest", self.n_nests + 1, nests.n_leaves)
        by_nest[:] = 0.0
        by_nest[spread(nests.nest), np.arange(nests.n_leaves)] = weight
        return gram(self.z, by_nest[: self.n_nests])

    def _nest_part(
        self, inner: Float[np.ndarray, " branches"], expected: Float[np.ndarray, " branches"]
    ) -> Float[np.ndarray, " nests"]:
        """Return the second derivatives by nest parameters, but for the logsum's slopes."""
        shares, slope = self.shares, self._slope()
        variance = self.nests.within.sum(shares.within * shares.gap**2) - self._mean_gap() ** 2
        values = inner * variance + 2 * (self.total - expected) * slope / shares.scale + expected * slope**2
        return np.bincount(self.nests.nest, values, self.n_nests + 1)[: self.n_nests]

    def _spread_of_leaves(self, means: Float[np.ndarray, "K branches"]) -> Float[np.ndarray, "L L"]:
        """Return the variance of the scores of the leaves that an alternative chosen consists of."""
        k, taken, spread = len(self.z), self.taken, self.nests.within.spread
        branch = spread(np.arange(len(self.nests.nest)))[taken.leaf]
        scale, nest = self.shares.scale[branch], self.nests.nest[branch]
        scores = np.zeros((k + self.n_nests + 1, len(branch)))
        scores[:k] = self.z[:, taken.leaf] * scale + means[:, branch] * (1 - scale)
        at = np.arange(len(branch))
        scores[k + nest, at] = self.shares.gap[taken.leaf] + ((1 / scale - 1) * self._mean_gap()[branch])
        scores = scores[:-1]
        mean = np.add.reduceat(scores * self.posterior, taken.starts, axis=1)
        return np.asarray(gram(scores * self.counts[taken.leaf], scores) - gram(mean * taken.count, mean))

    def allocation_weights(self, n_members: int) -> Float[np.ndarray, " members"]:
        """Return the weight of the second derivatives of each membership's log-allocation."""
        shares = self.shares
        expected = self.nests.among.spread(self.taken.size) * shares.among
        inner = self.total * (shares.scale - 1) + expected  # scale ω
        spread = self.nests.within.spread
        weight = self.counts * spread(shares.scale) - shares.within * spread(inner)
        return np.bincount(self.nests.member, weight, n_members)
