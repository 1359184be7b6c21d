r"""What a slate is worth: its scores, with diminishing returns within each category. Imports errors only.

With examination :math:`e_k` of position :math:`k`, item :math:`i_k` there, and :math:`w_c` what the person cares for
category :math:`c`,

.. math::
   f = \sum_c w_c \Big[\log\Big(1 + a_c + \sum_{k:\, i_k \in c} e_k s_{i_k}\Big) - \log(1 + a_c)\Big]
   + \sum_k e_k b_{i_k}

where :math:`a_c` is what was shown before (pins, the page above) and the bonus :math:`b` is what an item is worth
whatever else is shown. With all :math:`e_k = 1` and nothing else it is the coverage of Teo, Nassif, Hill, Srinivasan,
Goodman, Mohan and Vishwanathan (2016), "Adaptive, personalized diversity for visual discovery", RecSys, in the form of
the project's issue: the paper itself could not be read here. An item counts as far as it is looked at, so that a
position scales the score; this extension is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.slate.categories import Categories
from revealed.decide.slate.checks import require_finite, require_length, require_nonnegative


@dataclass(frozen=True, eq=False)
class Coverage:
    """What slates out of some candidates are worth to one person.

    Parameters
    ----------
    scores : array, shape (candidates,)
        The expected value of each candidate, such as its probability of a click; 0 or more.
    categories : Categories
        Of the same candidates.
    weights : array, shape (categories,), optional
        What the person cares for each category, 0 or more; by default 1. :class:`Tastes` learns them.
    bonus : array, shape (candidates,), optional
        What each candidate is worth besides, without diminishing returns; of any sign.
    shown : array, shape (categories,), optional
        Scores already spent on each category, by what the caller has pinned or shown above.

    Raises
    ------
    DataError
        If scores, weights or what was shown are negative, or anything is not finite.
    SpecificationError
        If lengths do not agree.
    """

    scores: Float[np.ndarray, " candidates"]
    categories: Categories
    weights: Float[np.ndarray, " categories"] | None = None
    bonus: Float[np.ndarray, " candidates"] | None = None
    shown: Float[np.ndarray, " categories"] | None = None

    def __post_init__(self) -> None:
        n_candidates, n_categories = len(self.categories), len(self.categories.labels)
        require_length(self.scores, n_candidates, "scores", "candidates")
        require_nonnegative(self.scores, "scores")
        for values, source in ((self.weights, "weights"), (self.shown, "shown")):
            if values is not None:
                require_length(values, n_categories, source, "categories")
                require_nonnegative(values, source)
        if self.bonus is not None:
            require_length(self.bonus, n_candidates, "bonus", "candidates")
            require_finite(self.bonus, "bonus")

    def padded_weights(self) -> Float[np.ndarray, " one_more"]:
        """Return the weights, and 0 for the filling of sets."""
        return np.append(np.ones(len(self.categories.labels)) if self.weights is None else self.weights, 0.0)

    def padded_shown(self) -> Float[np.ndarray, " one_more"]:
        """Return what was shown before, and 0 for the filling of sets."""
        return np.append(np.zeros(len(self.categories.labels)) if self.shown is None else self.shown, 0.0)

    def spent(
        self, items: Int[np.ndarray, " size"], positions: Float[np.ndarray, " size"]
    ) -> Float[np.ndarray, " one_more"]:
        """Return the scores that items in positions spend on each category, after what was shown before."""
        spent = self.padded_shown()
        sets = self.categories.sets[items]
        np.add.at(spent, sets, np.broadcast_to((positions * self.scores[items])[:, None], sets.shape))
        spent[-1] = 0.0
        return spent

    def value(self, items: Int[np.ndarray, " size"], positions: Float[np.ndarray, " size"]) -> float:
        """Return what items in positions are worth.

        Parameters
        ----------
        items : array of int, shape (size,)
            Candidates, each at most once.
        positions : array, shape (size,)
            The examination probability of the place that each is in.
        """
        grown = np.log1p(self.spent(items, positions)) - np.log1p(self.padded_shown())
        besides = 0.0 if self.bonus is None else float(positions @ self.bonus[items])
        return float(self.padded_weights() @ grown) + besides


def gains_of(
    sets: Int[np.ndarray, "groups most"],
    exposed: Float[np.ndarray, " groups"],
    weights: Float[np.ndarray, " one_more"],
    room: Float[np.ndarray, " one_more"],
) -> Float[np.ndarray, " groups"]:
    """Return what one more item adds to the coverage.

    Parameters
    ----------
    sets : array of int, shape (groups, most)
        The categories of each item.
    exposed : array, shape (groups,)
        Its score times the examination of its position.
    weights : array, shape (categories + 1,)
    room : array, shape (categories + 1,)
        One over one plus what was spent on each category.
    """
    gains = np.zeros(len(sets))
    for column in sets.T:  # a sum one column after the other: the same bits whatever else is evaluated
        gains += weights[column] * np.log1p(exposed * room[column])
    return gains
