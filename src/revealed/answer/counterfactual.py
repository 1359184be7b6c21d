r"""What would happen over time if something were different: another world, solved, and cohorts living in it.

Imports models to choices. A change is written as for static what-ifs (:mod:`revealed.answer.grammar`), on the columns
of states and on what is available; the discount factor and transitions can be replaced. Both worlds are solved at the
estimates and at draws of them, from the same cohorts, so that what differs is the change alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from revealed.answer.base import require_whole, unique
from revealed.answer.chance import draws_of, respread
from revealed.answer.change import Change
from revealed.answer.cohort import Paths, expected_paths, steady_after
from revealed.answer.grammar import read_change
from revealed.answer.interval import Estimate
from revealed.answer.over_time import PAID, OverTime, SegmentOverTime, Series
from revealed.answer.population import EVERYONE
from revealed.answer.scenario import Scenario
from revealed.choices.expression import Labels, evaluate
from revealed.errors import SpecificationError
from revealed.evidence.level import require_level
from revealed.models.dynamic.bootstrap import Bootstrap
from revealed.models.dynamic.draws import Drawn
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.free import FreeReward, RecoveredFit
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import Solution, solved

#: Above this share of state-periods in states that the data never saw, a warning is due.
_UNSEEN = 0.01
#: Cells that are looked at for a steady state.
_STEADY = 2_000

Start = Float[np.ndarray, " S"] | Mapping[str, Float[np.ndarray, " S"]] | None


@dataclass(frozen=True, eq=False)
class World:
    """A process, the rewards in it as a formula, and what is paid.

    Parameters
    ----------
    process : DecisionProcess
    linear : LinearReward or FreeReward
    payment : ndarray of float64, shape (S, A)
    """

    process: DecisionProcess
    linear: LinearReward | FreeReward
    payment: Float[np.ndarray, "S A"]

    def known_as(self, fit: Drawn | RecoveredFit) -> World:
        """Return the world with the transitions, and the rewards where they have no formula, of another fit."""
        process = replace(self.process, transitions=fit.process.transitions)
        return replace(self, process=process, linear=self.linear.like(fit.linear))  # type: ignore[arg-type]

    def solved(self, params: Float[np.ndarray, " K"], near: Float[np.ndarray, " S"] | None = None) -> Solution:
        """Return what people do in it."""
        return solved(self.process, self.linear.of(params), near)


@dataclass(frozen=True)
class OverTimeOptions:
    """How the future is drawn up.

    Parameters
    ----------
    level : float
        Of the intervals.
    draws : int
        Draws of the parameters; 0 for no intervals.
    seed : int
    errors : str, optional
        The covariance of the estimates; by default the one the fit shows.
    """

    level: float = 0.95
    draws: int = 200
    seed: int = 0
    errors: str | None = None

    def __post_init__(self) -> None:
        require_whole(self.draws, "draws", 0)
        require_whole(self.seed, "seed", 0)
        require_level(self.level)


def over_time(
    fit: DynamicFit | RecoveredFit,
    *changes: str | Change,
    periods: int = 24,
    start: Start = None,
    paid: str | None = None,
    leaving: str | None = None,
    money: str | None = None,
    discount: float | None = None,
    process: DecisionProcess | None = None,
    bootstrap: Bootstrap | None = None,
    options: OverTimeOptions | None = None,
) -> OverTime:
    """Return what cohorts do, period by period, as things are and after some changes.

    Parameters
    ----------
    fit : DynamicFit or RecoveredFit
        The intervals of the latter are those of its own draws.
    *changes : str or Change
        On columns of states, which are choice situations here, with actions as alternatives:
        ``"price[alternative == 'monthly'] += 1"``, ``"available[alternative == 'annual'] = 0"``, ``"remove annual"``.
    periods : int
    start : ndarray of float64, shape (S,), or mapping from segment to such, optional
        How many members begin in each state; by default as many as the data saw choices in it.
    paid : str, optional
        What a member pays, as an expression on columns of states, evaluated in both worlds.
    leaving : str, optional
        The action by which a member leaves: retention is then a measure.
    money : str, optional
        The parameter that a unit of money multiplies, for surplus in money; its negative is the worth of a unit.
    discount : float, optional
        Another discount factor in the other world.
    process : DecisionProcess, optional
        The other world's process, where transitions differ: of the same states and actions.
    bootstrap : Bootstrap, optional
        Fits to persons drawn again: intervals then carry that transitions were estimated too, and ``draws`` is theirs.
        By default those that the fit keeps, if any.
    options : OverTimeOptions, optional

    Raises
    ------
    SpecificationError
        For a change, measure, start or process that cannot be.
    """
    require_whole(periods, "periods", 1)
    options = options or OverTimeOptions()
    if bootstrap is not None:
        if process is not None:
            raise SpecificationError("with process= the other world's transitions are given: a bootstrap has others")
        fit = bootstrap.kept_in(fit) if isinstance(fit, DynamicFit) else fit
    horizon = fit.process.horizon
    if horizon is not None and periods > horizon:
        raise SpecificationError(f"{periods} periods, but the process ends after {horizon}")
    scenario = Scenario.of(fit.linear.log)
    as_is = World(fit.process, fit.linear, _payment(paid, scenario, fit.process))
    for change in map(read_change, changes):
        scenario = change.apply(scenario)
    scenario.require_choice()
    other = _other_world(fit, scenario, process, discount, paid)
    cohorts, weight = _cohorts(fit, start)
    number = None if leaving is None else fit.process.index(leaving)
    worth = None if money is None else _place(fit, money)

    def measured(
        params: np.ndarray,
        near: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
        known: Drawn | RecoveredFit | None = None,
        shares: np.ndarray | None = None,
    ) -> _Both:
        begin, mass = (cohorts, weight) if shares is None else respread(fit, cohorts, weight, shares)
        worlds: tuple[World, World] = (as_is, other)
        solutions: tuple[Solution | None, None] = (None, None)
        if known is not None:  # the world as it is has been solved where it was fitted
            worlds, solutions = (as_is.known_as(known), other.known_as(known)), (known.solution, None)
        found = [
            solution or world.solved(params, value if world.process.horizon is None else None)
            for world, value, solution in zip(worlds, near, solutions, strict=True)
        ]
        lives = [
            expected_paths(world.process, solution.policy, begin, periods, world.payment, number)
            for world, solution in zip(worlds, found, strict=True)
        ]
        values = [solution.value if solution.value.ndim == 1 else solution.value[0] for solution in found]
        gain = begin @ (values[1] - values[0]) / (1.0 if worth is None else -params[worth])
        return _Both(lives[0], lives[1], found[0], found[1], gain, mass / mass.sum())

    at = measured(fit.params)
    near = (at.solution_before.value, at.solution_after.value)
    wanted = bootstrap is not None or (process is None and options.draws and options.errors is None)
    if wanted and fit.fits:
        drawn = [measured(one.params, near, one, getattr(one, "shares", None)) for one in fit.fits]
    else:
        drawn = [
            measured(params, near, shares=shares)
            for params, shares in draws_of(fit, options.draws, options.seed, options.errors)
        ]
    segments = tuple(
        _segment(name, place, at, drawn, fit.process.actions, leaving is not None, paid is not None, options)
        for place, name in enumerate((EVERYONE, *(start if isinstance(start, Mapping) else ())), -1)
    )
    steady = [
        steady_after(world.process, solution.policy, cohorts * weight[:, None], _STEADY)
        for world, solution in ((as_is, at.solution_before), (other, at.solution_after))
    ]
    return OverTime(
        changes=(*(text for text, _ in scenario.changes), *_told(discount, process)),
        actions=fit.process.actions,
        periods=periods,
        segments=segments,
        steady_before=steady[0],
        steady_after=steady[1],
        unit="utility" if money is None else "money",
        level=options.level,
        assumptions=(*fit.assumptions, "members know the new world, and that it stays"),
        warnings=_warnings(fit, at, weight, scenario),
    )


@dataclass(frozen=True, eq=False)
class _Both:
    """Both worlds at some parameters; of all members, which share each cohort is."""

    before: Paths
    after: Paths
    solution_before: Solution
    solution_after: Solution
    gain: Float[np.ndarray, " G"]
    weight: Float[np.ndarray, " G"]


def _segment(
    name: str,
    place: int,
    at: _Both,
    drawn: list[_Both],
    actions: tuple[str, ...],
    leaves: bool,
    pays: bool,
    options: OverTimeOptions,
) -> SegmentOverTime:
    def share_of(both: _Both) -> Float[np.ndarray, " G"]:
        return both.weight if place < 0 else np.eye(len(both.weight))[place]

    def measures(paths: Paths, share: Float[np.ndarray, " G"]) -> dict[str, np.ndarray]:
        mix = np.einsum("g,tga->at", share, paths.actions)
        found = dict(zip(actions, mix, strict=True))
        if pays:
            found[PAID] = paths.paid @ share
        if leaves:
            found["stayed"] = paths.stayed @ share
        return found

    before, after = measures(at.before, share_of(at)), measures(at.after, share_of(at))
    many = [(measures(one.before, share_of(one)), measures(one.after, share_of(one))) for one in drawn]
    gains = np.array([one.gain @ share_of(one) for one in drawn])
    gain = float(at.gain @ share_of(at))
    (low,), (high,) = _interval(gains[:, None], options.level) if len(gains) else ((np.nan,), (np.nan,))
    error = float(gains.std(ddof=1)) if len(gains) > 1 else float("nan")
    return SegmentOverTime(
        name,
        {key: _series(value, [one[0][key] for one in many], options.level) for key, value in before.items()},
        {key: _series(value, [one[1][key] for one in many], options.level) for key, value in after.items()},
        {
            key: _series(after[key] - before[key], [one[1][key] - one[0][key] for one in many], options.level)
            for key in before
        },
        Estimate(gain, error, float(low), float(high), options.level, "simulation"),
    )


def _series(value: np.ndarray, drawn: list[np.ndarray], level: float) -> Series:
    if not drawn:
        nothing = np.full(len(value), np.nan)
        return Series(value, nothing, nothing)
    low, high = _interval(np.array(drawn), level)
    return Series(value, low, high)


def _interval(
    drawn: Float[np.ndarray, "draws T"], level: float
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    # Of n draws the k-th is at k / (n + 1): with few draws, other rules make intervals too short.
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
    return low, high


def _other_world(
    fit: DynamicFit | RecoveredFit,
    scenario: Scenario,
    process: DecisionProcess | None,
    discount: float | None,
    paid: str | None,
) -> World:
    if scenario.labels != fit.process.actions:
        added = [label for label in scenario.labels if label not in fit.process.actions]
        raise SpecificationError(
            f"{added[0]!r} is no action of the process: where would it lead? Give process= with its transitions"
        )
    given = process or fit.process
    if given.space.to_dict() != fit.process.space.to_dict() or given.actions != fit.process.actions:
        raise SpecificationError("the other process must have the states and actions of the fit")
    before = fit.process.mask
    after = scenario.numbers(scenario.available_column).reshape(given.n_states, -1) != 0
    closed, opened = before & ~after, after & ~before
    available = (given.mask & ~closed) | opened
    changed = replace(
        given,
        available=None if available.all() else available,
        discount=given.discount if discount is None else discount,
    )
    linear = fit.linear.on(scenario.log, scenario.touched)
    return World(changed, linear, _payment(paid, scenario, changed))


def _payment(paid: str | None, scenario: Scenario, process: DecisionProcess) -> Float[np.ndarray, "S A"]:
    if paid is None:
        return np.zeros((process.n_states, process.n_actions))
    value = evaluate(paid, scenario.values)
    if isinstance(value, Labels):
        raise SpecificationError(f"{paid!r} is a label, not what is paid")
    numbers = np.broadcast_to(np.asarray(value, dtype=np.float64), (scenario.log.n_rows,))
    if not np.isfinite(numbers).all():
        raise SpecificationError(f"{paid!r} is not a finite number in every state")
    return numbers.reshape(process.n_states, process.n_actions)


def _cohorts(fit: DynamicFit | RecoveredFit, start: Start) -> tuple[Float[np.ndarray, "G S"], Float[np.ndarray, " G"]]:
    """Return the distribution of each cohort over states, and how many members each has."""
    if start is None:
        start = fit.linear.log.choices_per_case
    given = list(start.values()) if isinstance(start, Mapping) else [start]
    if not given:
        raise SpecificationError("start= has no segments")
    cohorts = np.array(given, dtype=np.float64)
    if cohorts.ndim != 2 or cohorts.shape[1] != fit.process.n_states:
        raise SpecificationError(f"start= must say how many begin in each of the {fit.process.n_states} states")
    weight = cohorts.sum(axis=1)
    if not (np.isfinite(cohorts).all() and cohorts.min() >= 0 and weight.min() > 0):
        raise SpecificationError("start= must hold finite numbers, none below zero, some above in each segment")
    return cohorts / weight[:, None], weight


def _place(fit: DynamicFit | RecoveredFit, name: str) -> int:
    place = fit.index(name)
    value = fit.params[place]
    if not value < 0:
        raise SpecificationError(f"money costs utility, so {name!r} must be below zero, and is {value:.4g}")
    return place


def _told(discount: float | None, process: DecisionProcess | None) -> tuple[str, ...]:
    return (
        *((f"discount = {discount:g}",) if discount is not None else ()),
        *(("another process",) if process is not None else ()),
    )


def _warnings(fit: DynamicFit | RecoveredFit, at: _Both, weight: np.ndarray, scenario: Scenario) -> tuple[str, ...]:
    found = list(fit.messages())
    for solution, which in ((at.solution_before, "as it is"), (at.solution_after, "changed")):
        if not solution.converged:
            found.append(f"the world {which} was not solved: values still changed by {solution.residual:.1e}")
    seen = fit.linear.log.choices_per_case > 0
    share = weight / weight.sum()
    unseen = [
        float(np.einsum("g,tgs->ts", share, paths.states)[:, ~seen].sum(axis=1).mean())
        for paths in (at.before, at.after)
    ]
    if unseen[1] > max(_UNSEEN, 2 * unseen[0]):
        found.append(
            f"{unseen[1]:.0%} of the periods in the changed world are spent in states that nobody was ever seen in "
            f"({unseen[0]:.0%} as things are): what is done there is the formula's guess"
        )
    idle = [text for text, rows in scenario.changes if not rows]
    found += [f"the change {text!r} touches nothing" for text in idle]
    if isinstance(fit, RecoveredFit) and not fit.draws:
        found.append("no intervals: the rewards were recovered without draws of a bootstrap")
    if not np.isfinite(fit.covariance()).all():
        found.append("no intervals: some parameters are not identified")
    return unique(found)
