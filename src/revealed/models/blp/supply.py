r"""Mark-ups of firms that set prices against each other, and how these move with tastes. Imports its own room only.

In a Nash equilibrium in prices :math:`s_j + \sum_k O_{jk} \frac{\partial s_k}{\partial p_j} (p_k - c_k) = 0`, where
:math:`O_{jk}` is 1 if one firm owns both. So mark-ups :math:`\eta = p - c` solve :math:`\Delta \eta = s` with

.. math:: (\Delta \eta)_j = -\sum_i w_i a_{ij} P_{ij} \Big(\eta_j - \sum_k O_{jk} P_{ik} \eta_k\Big)

for the marginal utility of price :math:`a_{ij}` (Berry, Levinsohn and Pakes 1995, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.models.blp.batch import Batch


@dataclass(frozen=True, eq=False)
class Pricing:
    """What prices do to utility in the markets of a batch, and who sets them.

    Parameters
    ----------
    batch : Batch
    random : ndarray of float64, shape (T, J, K2)
        How what has random coefficients moves with the price of the product.
    firm : ndarray of int64, shape (T, J)
        Whose product it is, as a place in ``owns``.
    owns : ndarray of float64, shape (T, F, J)
        1 where a product is the firm's.
    same : ndarray of float64, shape (T, J, J)
        1 where one firm owns both.
    """

    batch: Batch
    random: Float[np.ndarray, "T J K2"]
    firm: Int[np.ndarray, "T J"]
    owns: Float[np.ndarray, "T F J"]
    same: Float[np.ndarray, "T J J"]

    @classmethod
    def of(cls, batch: Batch, slopes: Float[np.ndarray, "N K2"], firms: Int[np.ndarray, " N"]) -> Pricing:
        """Return the pricing of a batch from columns of all products."""
        some, firm = np.unique(firms[batch.rows], return_inverse=True)
        firm = firm.reshape(batch.rows.shape)
        owns = ((firm[:, None, :] == np.arange(len(some))[:, None]) & batch.present[:, None, :]).astype(np.float64)
        same = np.take_along_axis(owns, firm[:, :, None], axis=1)
        return cls(batch, np.where(batch.present[:, :, None], slopes[batch.rows], 0.0), firm, owns, same)

    def price_effect(
        self, linear: Float[np.ndarray, "T J"], matrix: Float[np.ndarray, "K2 V"]
    ) -> Float[np.ndarray, "T J I"]:
        """Return each agent's marginal utility of each price; ``linear`` is the part that is the same for all."""
        return np.asarray(linear[:, :, None] + self.random @ (self.batch.draws @ matrix.T).swapaxes(1, 2))

    def share_slopes(
        self, bought: Float[np.ndarray, "T J I"], effect: Float[np.ndarray, "T J I"]
    ) -> Float[np.ndarray, "T J J"]:
        r"""Return :math:`\partial s_k/\partial p_j`, rows the price, columns the share."""
        weighted = self.batch.weights[:, None, :] * effect * bought
        slopes = -(weighted @ bought.swapaxes(1, 2))
        own = np.arange(slopes.shape[1])
        slopes[:, own, own] += weighted.sum(axis=2)
        return np.asarray(slopes)

    def conduct(
        self, bought: Float[np.ndarray, "T J I"], effect: Float[np.ndarray, "T J I"]
    ) -> Float[np.ndarray, "T J J"]:
        r"""Return :math:`\Delta`; 1 on the diagonal of padding."""
        matrix = -self.same * self.share_slopes(bought, effect)
        own = np.arange(matrix.shape[1])
        matrix[:, own, own] += ~self.batch.present
        return np.asarray(matrix)

    def markups(
        self,
        bought: Float[np.ndarray, "T J I"],
        effect: Float[np.ndarray, "T J I"],
        shares: Float[np.ndarray, "T J"],
    ) -> Float[np.ndarray, "T J"]:
        r"""Return :math:`\eta`, price less marginal cost; zero for padding."""
        right = np.where(self.batch.present, shares, 0.0)
        try:
            return np.asarray(np.linalg.solve(self.conduct(bought, effect), right[:, :, None])[:, :, 0])
        except np.linalg.LinAlgError:  # nobody minds some price: no mark-up is the best one
            return np.full(right.shape, np.nan)

    def markup_slopes(
        self,
        bought: Float[np.ndarray, "T J I"],
        effect: Float[np.ndarray, "T J I"],
        markup: Float[np.ndarray, "T J"],
        delta_slopes: Float[np.ndarray, "T J P"],
        free: tuple[tuple[int, int], ...],
        linear: tuple[Float[np.ndarray, "T J"], ...],
    ) -> Float[np.ndarray, "T J Q"]:
        r"""Return :math:`d\eta/d\theta` at observed shares: tastes first, then the coefficients of linear price terms.

        The implicit function theorem on :math:`\Delta\eta = s`: :math:`d\eta = -\Delta^{-1} (d\Delta)\, \eta`.
        """
        batch, random = self.batch, self.batch.random
        weights = batch.weights[:, None, :]
        rows, columns = [k for k, _ in free], [v for _, v in free]
        draws = batch.draws[:, :, columns]
        reach = self._by_firm(markup[:, :, None] * bought)
        gap = markup[:, :, None] - reach
        attraction = weights * effect * bought
        push = attraction * gap
        # Utility moves by v_ij = x_jk nu_i + d delta_j, and so P_ij by P_ij (v_ij - mean_i), the mean over what i buys.
        mean = bought.swapaxes(1, 2) @ delta_slopes + draws * (bought.swapaxes(1, 2) @ random)[:, :, rows]
        moved = random[:, :, rows] * (push @ draws) + delta_slopes * push.sum(axis=2)[:, :, None] - push @ mean
        moved += (attraction * reach) @ mean
        moved -= (self.same * (attraction @ bought.swapaxes(1, 2))) @ (markup[:, :, None] * delta_slopes)
        for k in sorted(set(rows)):
            of_term = [place for place, row in enumerate(rows) if row == k]
            inside = self._by_firm((markup * random[:, :, k])[:, :, None] * bought)
            moved[:, :, of_term] -= (attraction * inside) @ draws[:, :, of_term]
        felt = weights * bought * gap
        moved += self.random[:, :, rows] * (felt @ draws)
        if linear:
            moved = np.concatenate([moved, np.stack(linear, axis=2) * felt.sum(axis=2)[:, :, None]], axis=2)
        return np.asarray(np.linalg.solve(self.conduct(bought, effect), moved))

    def _by_firm(self, cells: Float[np.ndarray, "T J I"]) -> Float[np.ndarray, "T J I"]:
        """Return for each product the sum over the products of its firm."""
        return np.take_along_axis(self.owns @ cells, self.firm[:, :, None], axis=1)


def costs_of(
    prices: Float[np.ndarray, " N"], markups: Float[np.ndarray, " N"], floor: float | None
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Return marginal costs, none below a floor, and which were raised to it."""
    costs = prices - markups
    if floor is None:
        return costs, np.zeros(len(costs), dtype=bool)
    low = costs < floor
    return np.where(low, floor, costs), low
