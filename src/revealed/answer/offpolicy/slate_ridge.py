r"""The default model of rewards of slates: ridge regressions from the last place up, cross-fitted. Imports ridge.

What cascade doubly robust asks of a model is the reward of an item and of all below it, were these shown by the policy
to be judged (Kiyohara, Saito, Matsuhiro et al. 2022, section 4). With places :math:`k = 1, \dots, K` from the top,

.. math::
   \hat q_k(a) = z_k^\top(\beta_k + \gamma_{ka}) \approx E\Big[r_k + \sum_b \pi(b|a_{1:k})\,\hat q_{k+1}(b)\Big],

one regression for each place, from the last up, as fitted value iteration has it (Ernst, Geurts and Wehenkel 2005).
:math:`z_k` is a constant, the context, and what stands above: the sum of the mean rewards of those items. As in
:mod:`revealed.answer.offpolicy.ridge`, the :math:`\gamma_{ka}` are shrunk towards zero, and rows of a person are
foretold by fits to the other folds, those of the places below and the means included.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.answer.offpolicy.parts import Rows
from revealed.answer.offpolicy.ridge import Grams, RidgeRewards, context_features
from revealed.answer.offpolicy.slate_order import Slates
from revealed.answer.offpolicy.totals import blocks, bounded
from revealed.choices.feedback import Feedback


def cascade_foretold(
    feedback: Feedback, slates: Slates, each: Float[np.ndarray, "rows actions"], model: RidgeRewards
) -> tuple[Rows, Rows]:
    """Return what is foretold of each row and those below it, as it was shown and as the policy would show.

    Parameters
    ----------
    feedback : Feedback
        Each row has an answer.
    slates : Slates
        Its rows as slates.
    each : array, shape (rows, actions)
        The probability with which the policy to be judged would show each action, given what stands above.
    model : RidgeRewards
        Context, penalty, folds and seed.

    Returns
    -------
    of_shown, of_policy : array, shape (rows,)
        In the order of feedback.

    Raises
    ------
    SpecificationError
        If there are fewer persons than folds, no such column of context, or rewards beyond all bounds.
    """
    fold = model.fold_of(feedback.n_rows, feedback.person_codes)[slates.order]
    down = _Down(feedback, slates, each, model)
    of_shown, of_policy = np.empty(feedback.n_rows), np.empty(feedback.n_rows)
    for k in range(model.folds):
        own = np.flatnonzero(fold == k)
        with bounded():
            shown, policy = down.foretold(fold != k)
        of_shown[slates.order[own]], of_policy[slates.order[own]] = shown[own], policy[own]
    return of_shown, of_policy


class _Down:
    """Rows in the order of their slates, from the top down, with what the regressions need of them."""

    def __init__(self, feedback: Feedback, slates: Slates, each: np.ndarray, model: RidgeRewards) -> None:
        self.slates, self.each, self.model = slates, each, model
        self.reward = feedback.reward[slates.order]
        self.codes: Int[np.ndarray, " rows"] = feedback.action_codes[slates.order].astype(np.intp)
        self.context = context_features(feedback, model.context)[slates.order]

    def foretold(self, kept: Bool[np.ndarray, " rows"]) -> tuple[Rows, Rows]:
        """Return what fits to some of the rows foretell of all: as shown, and as the policy would show."""
        n_rows = len(self.reward)
        features = np.column_stack([self.context, self._above(kept)])
        n_own = features.shape[1] if self.model.by_action else 1
        n_actions = self.each.shape[1]
        of_shown = np.zeros(n_rows)
        of_policy = np.zeros(n_rows + 1)  # the last for below the last item: nothing comes of it
        for place in range(int(self.slates.place.max()), -1, -1):
            at = np.flatnonzero(self.slates.place == place)
            below = np.where(self.slates.left[at] > 1, at + 1, n_rows)
            fit = np.flatnonzero(kept[at])
            params = np.zeros((n_actions, features.shape[1]))
            if len(fit):
                to_come = (self.reward[at] + of_policy[below])[fit]
                rows = at[fit]
                grams = Grams.of(features[rows], to_come, self.codes[rows], n_actions, n_own)
                params = grams.solved(self.model.penalty)
            for some in blocks(len(at), 4096):
                rows = at[some]
                foretold = self._within(features[rows] @ params.T, rows)
                of_shown[rows] = foretold[np.arange(len(rows)), self.codes[rows]]
                of_policy[rows] = np.einsum("ra,ra->r", foretold, self.each[self.slates.order[rows]])
        return of_shown, of_policy[:-1]

    def _above(self, kept: Bool[np.ndarray, " rows"]) -> Rows:
        """Return the sum of the mean rewards of what stands above; means of few rows are drawn to that of all."""
        times = np.bincount(self.codes[kept], minlength=self.each.shape[1])
        sums = np.bincount(self.codes[kept], self.reward[kept], minlength=self.each.shape[1])
        penalty = self.model.penalty
        mean = (sums + penalty * float(self.reward[kept].mean())) / (times + penalty)
        own = mean[self.codes]
        down = np.cumsum(own)
        first = self.slates.first
        before = (down[first] - own[first])[self.slates.slate]  # what the slates above add
        return np.asarray(down - own - before)

    def _within(
        self, foretold: Float[np.ndarray, "some actions"], rows: Int[np.ndarray, " some"]
    ) -> Float[np.ndarray, "some actions"]:
        """Return what is foretold within the range of as many rewards as there are items from each row down."""
        left = self.slates.left[rows, None]
        low, high = float(self.reward.min()), float(self.reward.max())
        return np.clip(foretold, low * left, high * left, out=foretold)
