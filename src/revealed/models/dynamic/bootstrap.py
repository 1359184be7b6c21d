"""The bootstrap by person: transitions and rewards estimated again from persons drawn again. Imports its own room.

For what the information does not know: that transitions were estimated (all estimators), that behaviour was (two-step).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic.draws import Draws
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.likelihood import Seen
from revealed.models.dynamic.model import LEFT_OUT, DynamicModel
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.transitions import EstimatedTransitions

#: Estimates transitions from a panel, or None where they are known.
Mover = Callable[[Panel], EstimatedTransitions] | None
#: What the covariance by draws is called.
BOOTSTRAP = "bootstrap"
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

    def kept_in(self, fit: DynamicFit) -> DynamicFit:
        """Return a fit whose errors, and the intervals of whose what-ifs, are those of the draws; its file has them."""
        moved = any(_differ(one.process, fit.process) for one in self.fits)
        types = fit.types
        if types is not None:
            both = np.array([[*one.params, *one.types.shares[:-1]] for one in self.fits if one.types is not None])
            spread = np.atleast_2d(np.cov(both, rowvar=False))
            types = replace(types, covariances={**types.covariances, BOOTSTRAP: spread})
        draws = Draws(
            self.params,
            tuple(one.process.transitions for one in self.fits) if moved else None,
            self.failed,
            np.array([one.types.shares for one in self.fits if one.types is not None]) if fit.types else None,
            tuple(one.solution for one in self.fits),
        )
        remarks = fit.remarks
        if self.failed:
            remarks = (*remarks, f"{self.failed} of {self.failed + len(self.fits)} draws of persons had no estimate")
        return replace(
            fit,
            draws=draws,
            types=types,
            covariances={**fit.covariances, BOOTSTRAP: self.covariance},
            errors=BOOTSTRAP,
            remarks=remarks,
            assumptions=(*(one for one in fit.assumptions if LEFT_OUT not in one), draws.told),
        )


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
    model.require(process)
    linear, _ = model.bound(panel, process)  # once: what a formula stands for does not depend on who is drawn

    def fitted(drawn: Panel, world: DecisionProcess, found: EstimatedTransitions | None) -> DynamicFit:
        seen = Seen.of(drawn, world)
        estimated = model.estimated(drawn, world, linear, seen, near=start)
        return model.conclude(drawn, world, linear.counting(world, seen.by_state), seen, estimated, found)

    return again(panel, process, mover, fitted, draws, seed, told)


def again(
    panel: Panel,
    process: DecisionProcess,
    mover: Mover,
    fitted: Callable[[Panel, DecisionProcess, EstimatedTransitions | None], DynamicFit],
    draws: int,
    seed: int,
    told: Told | None,
) -> Bootstrap:
    """Return what any estimator finds in persons drawn again; see :func:`bootstrapped`."""
    if draws < 2 or panel.n_persons < 2:
        raise SpecificationError(f"a bootstrap needs two draws and two persons: {draws}, {panel.n_persons}")
    fits, failed = [], 0
    for number, drawn in enumerate(redrawn(panel, draws, seed), 1):
        try:
            found = None if mover is None else mover(drawn)
            world = process if found is None else replace(process, transitions=found.matrices)
            fit = fitted(drawn, world, found)
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


def _differ(one: DecisionProcess, other: DecisionProcess) -> bool:
    return any(abs(a - b).max() > 0 for a, b in zip(one.transitions, other.transitions, strict=True))


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
