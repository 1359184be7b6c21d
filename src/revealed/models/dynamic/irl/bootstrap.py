"""How sure a recovered reward is, for any class of functions: a bootstrap by person. Imports dynamic and its own room.

Everything is done again for persons drawn with replacement, behaviour, values and rewards alike, so errors carry all
of it but what a class of functions cannot represent: a bias that smoothing makes is in no interval. For means of
rewards under flexible classes :mod:`.debiased` takes it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.errors import DataError, SpecificationError
from revealed.evidence.level import quantile, require_level
from revealed.models.dynamic.bootstrap import Told, redrawn
from revealed.models.dynamic.irl.recovered import RecoveredReward
from revealed.models.dynamic.irl.trajectories import Trajectories
from revealed.models.dynamic.panel import Panel


@dataclass(frozen=True, eq=False)
class Spread:
    """Numbers, and how sure they are.

    Parameters
    ----------
    value, standard_error : ndarray of float64
        The estimates, and the standard deviation of the draws; NaN where some draw knows nothing.
    """

    value: Float[np.ndarray, "*shape"]
    standard_error: Float[np.ndarray, "*shape"]

    def interval(self, level: float = 0.95) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
        """Return where the truth lies, by the normal law.

        Raises
        ------
        SpecificationError
            For a level that is not between 0 and 1.
        """
        require_level(level)
        half = quantile(level) * self.standard_error
        return self.value - half, self.value + half


@dataclass(frozen=True, eq=False)
class RewardBootstrap:
    """A recovered reward, and those recovered from persons drawn again.

    Parameters
    ----------
    found : RecoveredReward
    draws : tuple of RecoveredReward
        Those that could be recovered.
    failed : int
        Draws in which the anchor was too rare, or the iteration did not converge although it does on all persons.
    """

    found: RecoveredReward
    draws: tuple[RecoveredReward, ...]
    failed: int

    def of(self, what: Callable[[RecoveredReward], Float[np.ndarray, "*shape"]]) -> Spread:
        """Return any numbers of a reward with their standard errors: its value somewhere, a mean, a difference."""
        drawn = np.array([what(one) for one in self.draws])
        return Spread(np.asarray(what(self.found), dtype=np.float64), np.asarray(drawn.std(axis=0, ddof=1)))

    def reward(self, states: Float[np.ndarray, "m d"]) -> Spread:
        """Return the rewards in some states, shape (m, A), with standard errors."""
        return self.of(lambda one: one.reward(states))


def bootstrapped_reward(
    recover: Callable[[Trajectories], RecoveredReward] | Callable[[Panel], RecoveredReward],
    data: Trajectories | Panel,
    *,
    draws: int = 100,
    seed: int = 0,
    told: Told | None = None,
) -> RewardBootstrap:
    """Recover rewards, and again and again from persons drawn with replacement.

    Parameters
    ----------
    recover : callable
        ``model.recover``, or what returns the rewards of a panel: estimates transitions, and calls ``recover_on``.
    data : Trajectories or Panel
        What it takes.
    draws : int
    seed : int
    told : callable, optional
        Told of progress.

    Raises
    ------
    SpecificationError
        For fewer than two draws or persons, or if fewer than two draws could be recovered.
    """
    panel = isinstance(data, Panel)
    persons = data.n_persons if isinstance(data, Panel) else len(np.unique(data.persons))
    if draws < 2 or persons < 2:
        what = f"a bootstrap needs two draws and two persons or more, not {draws} and {persons}"
        raise SpecificationError(f"{what}; for rewards without intervals say draws=0" if draws else what)
    found = recover(data)  # type: ignore[arg-type]
    kept, failed = [], 0
    again: Iterator[Trajectories | Panel] = redrawn(data, draws, seed) if panel else _redrawn(data, draws, seed)  # type: ignore[arg-type]
    for number, drawn in enumerate(again, 1):
        try:
            one = recover(drawn)  # type: ignore[arg-type]
        except DataError:  # the anchor is too rare among those drawn
            one = None
        if one is None or (found.converged and not one.converged):
            failed += 1
        else:
            kept.append(one)
        if told is not None:
            told(number, draws)
    if len(kept) < 2:
        raise SpecificationError(f"only {len(kept)} of {draws} draws could be recovered: too few persons to tell")
    return RewardBootstrap(found, tuple(kept), failed)


def _redrawn(data: Trajectories, draws: int, seed: int) -> Iterator[Trajectories]:
    """Yield the choices of as many persons, drawn with replacement; one drawn twice counts as two."""
    order = np.argsort(data.persons, kind="stable")
    _, first, size = np.unique(data.persons[order], return_index=True, return_counts=True)
    random = np.random.default_rng(seed)
    for _ in range(draws):
        drawn = random.integers(0, len(first), len(first))
        sizes = size[drawn]
        begins = np.cumsum(sizes) - sizes
        rows = order[np.repeat(first[drawn] - begins, sizes) + np.arange(int(sizes.sum()))]
        yield data.taken(rows, np.repeat(np.arange(len(drawn)), sizes))
