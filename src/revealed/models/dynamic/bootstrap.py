"""The bootstrap by person: transitions and rewards estimated again from persons drawn again. Imports its own room.

For what the information does not know: that transitions were estimated (all estimators), that behaviour was (two-step).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.model import DynamicModel
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.transitions import EstimatedTransitions

#: Estimates transitions from a panel, or None where they are known.
Mover = Callable[[Panel], EstimatedTransitions] | None
#: Told of the refits done, and of those wanted.
Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Fits to persons drawn again.

    Parameters
    ----------
    fits : tuple of DynamicFit
        Those that converged.
    failed : int
        Refits that did not, which are left out.
    """

    fits: tuple[DynamicFit, ...]
    failed: int

    @property
    def params(self) -> Float[np.ndarray, "draws K"]:
        """The estimates of each."""
        return np.array([fit.params for fit in self.fits])

    @property
    def covariance(self) -> Float[np.ndarray, "K K"]:
        """The covariance of the estimates."""
        return np.atleast_2d(np.cov(self.params, rowvar=False))


def bootstrapped(
    model: DynamicModel,
    panel: Panel,
    process: DecisionProcess,
    mover: Mover = None,
    *,
    draws: int = 200,
    seed: int = 0,
    start: DynamicFit | None = None,
    told: Told | None = None,
) -> Bootstrap:
    """Fit again and again to persons drawn with replacement.

    Parameters
    ----------
    model : DynamicModel
    panel : Panel
    process : DecisionProcess
    mover : callable, optional
        Estimates transitions from a panel; without it those of the process stand.
    draws : int
    seed : int
    start : DynamicFit, optional
        A fit to start each from, which saves time.
    told : callable, optional
        Told of progress.

    Raises
    ------
    SpecificationError
        For fewer than two draws or persons.
    """
    if draws < 2 or panel.n_persons < 2:
        raise SpecificationError(f"a bootstrap needs two draws and two persons: {draws}, {panel.n_persons}")
    if start is not None:
        model = replace(model, start=dict(zip(start.names, start.params.tolist(), strict=True)))
    fits, failed = [], 0
    for number, drawn in enumerate(redrawn(panel, draws, seed), 1):
        try:
            found = None if mover is None else mover(drawn)
            world = process if found is None else replace(process, transitions=found.matrices)
            fit = model.fit(drawn, world, transitions=found)
        except DataError:  # an action that nobody drawn took, or a formula with nothing to tell
            fit = None
        if fit is None or not fit.status.sound:
            failed += 1
        else:
            fits.append(fit)
        if told is not None:
            told(number, draws)
    if len(fits) < 2:
        raise SpecificationError(
            f"only {len(fits)} of {draws} refits converged: the panel is too small for a bootstrap"
        )
    return Bootstrap(tuple(fits), failed)


def redrawn(panel: Panel, draws: int, seed: int) -> Iterator[Panel]:
    """Yield panels of as many persons, drawn with replacement; one drawn twice counts as two."""
    first = np.searchsorted(panel.person, np.arange(panel.n_persons))
    size = np.bincount(panel.person, minlength=panel.n_persons)
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield taken(panel, rng.integers(0, panel.n_persons, panel.n_persons), first, size)


def taken(
    panel: Panel, persons: Int[np.ndarray, " drawn"], first: Int[np.ndarray, " P"], size: Int[np.ndarray, " P"]
) -> Panel:
    """Return the panel of some persons, by their places; ``first`` and ``size`` say where each one's rows are."""
    sizes = size[persons]
    begins = np.cumsum(sizes) - sizes
    row = np.repeat(first[persons] - begins, sizes) + np.arange(int(sizes.sum()))
    follows = panel.following[row]
    # The next period of a person lies as far on in the drawn panel as in the first.
    following = np.where(follows >= 0, follows - row + np.arange(len(row)), -1)
    return replace(
        panel,
        state=panel.state[row],
        action=panel.action[row],
        following=following,
        person=np.repeat(np.arange(len(persons)), sizes),
        persons=panel.persons.take(persons),
        period=panel.period[row],
        weight=None if panel.weight is None else panel.weight[row],
    )
