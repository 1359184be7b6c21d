"""The bootstrap by person: transitions and rewards estimated again from persons drawn again. Imports its room, engine.

For what the information does not know: that transitions were estimated (all estimators), that behaviour was (two-step).

Estimates of a draw follow from its number and the seed, and all else from its estimates. So a checkpoint has nothing
but estimates, and a bootstrap that was interrupted and gone on with is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from revealed.engine.blas import single_threaded_blas
from revealed.errors import DataError, SpecificationError
from revealed.evidence import Checkpoint
from revealed.models.dynamic.draws import Drawn, Draws
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.likelihood import Seen
from revealed.models.dynamic.model import LEFT_OUT, DynamicModel
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import solved
from revealed.models.dynamic.transitions import EstimatedTransitions

#: Estimates transitions from a panel, or None where they are known.
Mover = Callable[[Panel], EstimatedTransitions] | None
#: What the covariance by draws is called.
BOOTSTRAP = "bootstrap"
#: Told of the refits done, and of those wanted.
Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Estimates from persons drawn again.

    Parameters
    ----------
    fits : tuple of Drawn
        Those that converged.
    failed : int
        Those that did not, which are left out.
    """

    fits: tuple[Drawn, ...]
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
            both = np.array([[*one.params, *one.shares[:-1]] for one in self.fits if one.shares is not None])
            spread = np.atleast_2d(np.cov(both, rowvar=False))
            types = replace(types, covariances={**types.covariances, BOOTSTRAP: spread})
        draws = Draws(
            self.params,
            tuple(one.process.transitions for one in self.fits) if moved else None,
            self.failed,
            np.array([one.shares for one in self.fits if one.shares is not None]) if fit.types else None,
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
    checkpoint: Checkpoint | None = None,
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
    checkpoint : Checkpoint, optional
        Where the estimates of each draw are noted, and known from; it is for the caller to say that it is done.

    Raises
    ------
    SpecificationError
        For fewer than two draws or persons.
    """
    model.require(process)
    linear, _ = model.bound(panel, process)  # once: what a formula stands for does not depend on who is drawn
    return again(panel, process, mover, _Linear(model, linear, start), draws, seed, told, checkpoint)


@runtime_checkable
class Estimator(Protocol):
    """What is estimated from persons drawn again, as numbers that a checkpoint can hold."""

    @property
    def size(self) -> int:
        """How many numbers there are."""

    def numbers(self, drawn: Panel, world: DecisionProcess) -> Float[np.ndarray, " size"] | None:
        """Return the estimates; None where there are none."""

    def drawn(self, numbers: Float[np.ndarray, " size"], world: DecisionProcess) -> Drawn:
        """Return what the estimates tell."""


@dataclass(frozen=True, eq=False)
class _Linear:
    """Rewards by a formula: the parameters are the numbers."""

    model: DynamicModel
    linear: LinearReward
    start: DynamicFit | None

    @property
    def size(self) -> int:
        return len(self.linear.names)

    def numbers(self, drawn: Panel, world: DecisionProcess) -> Float[np.ndarray, " size"] | None:
        maximum = self.model.estimated(drawn, world, self.linear, Seen.of(drawn, world), near=self.start).maximum
        return maximum.params if maximum.status.sound else None

    def drawn(self, numbers: Float[np.ndarray, " size"], world: DecisionProcess) -> Drawn:
        return drawn_of(numbers, world, self.linear, self.start)


def drawn_of(
    params: Float[np.ndarray, " K"],
    world: DecisionProcess,
    linear: LinearReward,
    near: DynamicFit | None,
    shares: Float[np.ndarray, " types"] | None = None,
) -> Drawn:
    """Return what a draw tells. Solved from a fit's values, not from where its estimation ended: that nobody noted."""
    start = None if near is None or world.horizon is not None else near.solution.value
    return Drawn(params, world, linear, solved(world, linear.of(params), start), shares)


@single_threaded_blas()
def again(
    panel: Panel,
    process: DecisionProcess,
    mover: Mover,
    estimator: Estimator,
    draws: int,
    seed: int,
    told: Told | None,
    checkpoint: Checkpoint | None,
) -> Bootstrap:
    """Return what any estimator finds in persons drawn again; see :func:`bootstrapped`."""
    if draws < 2 or panel.n_persons < 2:
        raise SpecificationError(f"a bootstrap needs two draws and two persons: {draws}, {panel.n_persons}")
    fits: list[Drawn] = []
    for number, drawn in enumerate(redrawn(panel, draws, seed), 1):
        found = _drawn(drawn, process, mover, estimator, f"draw {number}", checkpoint)
        if found is not None:
            fits.append(found)
        if told is not None:
            told(number, draws)
    if len(fits) < 2:
        raise SpecificationError(
            f"only {len(fits)} of {draws} refits converged: the panel is too small for a bootstrap"
        )
    return Bootstrap(tuple(fits), draws - len(fits))


def _drawn(
    drawn: Panel, process: DecisionProcess, mover: Mover, estimator: Estimator, name: str, checkpoint: Checkpoint | None
) -> Drawn | None:
    """Return what a draw tells, from its estimates if a checkpoint has them; None where it tells nothing."""
    numbers = None if checkpoint is None else checkpoint.known(name, estimator.size)
    if numbers is not None and np.isnan(numbers).any():
        return None
    try:
        world = process if mover is None else replace(process, transitions=mover(drawn).matrices)
        found = estimator.numbers(drawn, world) if numbers is None else numbers
    except DataError:  # an action that nobody drawn took, or a formula with nothing to tell
        found = None
    if checkpoint is not None and numbers is None:
        checkpoint.note(name, np.full(estimator.size, np.nan) if found is None else found)
    return None if found is None else estimator.drawn(found, world)


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
