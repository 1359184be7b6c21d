"""The search for the variances of least surprise. Imports models and errors.

By powers of two: all groups together, then each in turn by factors of four and of two, those with most members first,
while the loss falls. A parabola through the last three points tells the rest, and its curvature how sure that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.prior.groups import Effort
from revealed.decide.prior.sample import Sample
from revealed.decide.prior.surprise import surprise
from revealed.errors import EvidenceError
from revealed.models.glm.model import BayesianGLM

#: How far a variance may be from the first prior's, as a standard deviation in doublings.
_DOUBT = 4.0
#: The largest variance that is tried, in doublings of the first prior's.
_HIGHEST = 6
#: Passes that a search may take: at all, and for each group; and those that tell how sure the variance of a group is.
_PASSES, _PASSES_A_GROUP, _NEIGHBOURS = 20, 8, 2


def most_passes(n_groups: int) -> int:
    """Return how many passes a search for the variances of so many groups takes at most."""
    return _PASSES + (_PASSES_A_GROUP + _NEIGHBOURS) * n_groups


@dataclass(eq=False)
class Losses:
    """The log-loss of variances, as powers of two of the first prior's; each is reckoned once.

    Parameters
    ----------
    model : BayesianGLM
    sample : Sample
    firsts : tuple of ndarray
        The mean and the variance of each group in the first prior.
    finished : bool
        Whether the passes allowed were enough so far.
    """

    model: BayesianGLM
    sample: Sample
    firsts: tuple[Float[np.ndarray, " groups"], Float[np.ndarray, " groups"]]
    finished: bool = True
    _known: dict[tuple[int, ...], tuple[float, np.ndarray]] = field(default_factory=dict)

    def __call__(self, powers: tuple[int, ...], *, kept_for_neighbours: int = 0) -> float:
        """Return the loss with the first prior's say; infinite where no pass is left or the model fails."""
        if powers not in self._known:
            if len(self._known) >= most_passes(len(powers)) - kept_for_neighbours:
                self.finished = False
                return float("inf")
            self._known[powers] = self._fit(powers)
        return self._known[powers][0] + 0.5 * sum((power / _DOUBT) ** 2 for power in powers)

    def centers(self, powers: tuple[int, ...]) -> Float[np.ndarray, " means"]:
        """Return the means of groups under variances that were tried."""
        return self._known[powers][1]

    def effort(self, powers: tuple[int, ...]) -> Effort:
        """Return what the search took, and what variances that were tried gain."""
        n_rows = len(self.sample.answers)
        before, after = (self._known[which][0] / max(n_rows, 1) for which in ((0,) * len(powers), powers))
        return Effort(n_rows, len(self._known), before, after, self.finished)

    def _fit(self, powers: tuple[int, ...]) -> tuple[float, np.ndarray]:
        first_mean, first_variance = self.firsts
        own, centered = self.sample.groups, self.sample.centered
        mean, variance = first_mean.copy(), first_variance.copy()
        mean[centered] = 0.0  # members differ from a parameter of their own
        variance[self.sample.searched] *= 2.0 ** np.array(powers)
        start = self.sample.shape.anew(
            np.concatenate([mean[own], first_mean[centered]]),
            np.concatenate([variance[own], first_variance[centered]]),
        )
        try:
            loss, last = surprise(self.model.link, start, self.sample.rows, self.sample.answers)
        except (EvidenceError, OverflowError):  # variances too wide for the model to learn with
            return float("inf"), first_mean[centered]
        return loss if np.isfinite(loss) else float("inf"), last.mean[len(own) :]


def least(losses: Losses, lowest: Int[np.ndarray, " searched"]) -> tuple[int, ...]:
    """Return the powers of least loss, none below its lowest."""
    n = len(lowest)
    best, ways, kept = (0,) * n, np.full(n, -1), _NEIGHBOURS * n
    _ = losses(best)

    def walked(places: Sequence[int], step: int) -> bool:
        """Walk on one line as long as the loss falls, and say whether it did; a way that led down is taken first."""
        nonlocal best
        first = int(ways[places[0]])
        for way in (first, -first):
            start = best
            while True:
                there = tuple(power + way * step * (k in places) for k, power in enumerate(best))
                if any(not lowest[k] <= there[k] <= _HIGHEST for k in places):
                    break
                if losses(there, kept_for_neighbours=kept) >= losses(best):
                    break
                best = there
            if best != start:
                ways[list(places)] = way
                return True
        return False

    if n > 1:
        walked(range(n), 2)
    members = np.bincount(losses.sample.groups)[losses.sample.searched]
    order = np.argsort(-members, kind="stable").tolist()
    for step in (2, 1):
        moving = True
        while moving and losses.finished:
            moving = sum(walked([place], step) for place in order) > 0
    return best


def refined(losses: Losses, powers: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return the power of each group and its standard deviation, in doublings.

    The power is where a parabola through the losses of the best and its neighbours is least, half a doubling away at
    most. The parabola's curvature is the information that answers, and the first prior, give about it.
    """
    found = []
    middle = losses(powers)
    for place, power in enumerate(powers):
        below, above = (losses((*powers[:place], power + way, *powers[place + 1 :])) for way in (-1, 1))
        bend = below - 2 * middle + above
        if np.isfinite(bend) and bend > _DOUBT**-2:
            found.append((power + min(max((below - above) / (2 * bend), -0.5), 0.5), float(bend) ** -0.5))
        else:
            found.append((float(power), _DOUBT))
    return found
