r"""What would happen over time if something were different: another world, solved, and cohorts living in it.

Imports models to choices. A change is written as for static what-ifs (:mod:`revealed.answer.grammar`), on the columns
of states and on what is available; the discount factor and transitions can be replaced. Both worlds are solved at the
estimates and at draws of them, from the same cohorts, so that what differs is the change alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.base import require_whole, unique
from revealed.answer.chance import draws_of, respread
from revealed.answer.change import Change
from revealed.answer.cohort import Paths, Start, cohorts_of, expected_paths, steady_after
from revealed.answer.interval import Estimate
from revealed.answer.over_time import PAID, STAYED, OverTime, SegmentOverTime, Series
from revealed.answer.population import EVERYONE
from revealed.answer.scenario import Scenario
from revealed.answer.support_over_time import columns_of_reward, support_of_states
from revealed.answer.worlds import World, changed_world
from revealed.answer.worth import Worth, worth_of
from revealed.choices.expression import names_in
from revealed.errors import SpecificationError
from revealed.evidence.level import require_level
from revealed.models.dynamic.bootstrap import Bootstrap
from revealed.models.dynamic.draws import Drawn
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.free import RecoveredFit
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.solve import Solution

#: Above this share of state-periods in states that the data never saw, a warning is due.
_UNSEEN = 0.01
#: Cells that are looked at for a steady state.
_STEADY = 2_000


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
        How many members begin in each state; by default :func:`.cohort.beginners`, those whom the data saw there.
    paid : str, optional
        What a member pays, as an expression on columns of states, evaluated in both worlds.
    leaving : str, optional
        The action by which a member leaves: retention is then a measure.
    money : str, optional
        The parameter that a unit of money multiplies, for surplus in money. What a unit is worth may differ between
        types or segments (``payment + payment:heavy``): each member's gain is divided by their own.
    discount : float, optional
        Another discount factor in the other world. Values under two of them do not compare: there is no surplus then.
    process : DecisionProcess, optional
        The other world's process, where transitions or attributes differ: of the same states and actions.
    bootstrap : Bootstrap, optional
        Fits to persons drawn again: intervals then carry that transitions were estimated too, and ``draws`` is theirs.
        By default those that the fit keeps, if any.
    options : OverTimeOptions, optional

    Raises
    ------
    SpecificationError
        For a change, measure, start or process that cannot be; for money that is worth more in some states than in
        others they lead to.
    """
    require_whole(periods, "periods", 1)
    options = options or OverTimeOptions()
    if bootstrap is not None:
        if process is not None:
            raise SpecificationError("with process= the other world's transitions are given: a bootstrap has others")
        fit = bootstrap.kept_in(fit) if isinstance(fit, DynamicFit) else fit
    _require_names(fit.process.actions, paid, leaving)
    as_is = World.as_it_is(fit, paid)
    other, scenario = changed_world(fit, changes, process, discount, paid)
    both = (as_is, other)
    horizon = min((world.process.horizon for world in both if world.process.horizon is not None), default=None)
    if horizon is not None and periods > horizon:
        raise SpecificationError(f"{periods} periods, but the process ends after {horizon}")
    cohorts, weight = cohorts_of(fit, start)
    unlike = _unlike(*both)
    asked = _Asked(
        fit,
        both,
        cohorts,
        weight,
        periods,
        None if leaving is None else fit.process.index(leaving),
        None if money is None else worth_of(fit, money, both, cohorts),
        not unlike,
    )
    at = asked.measured(fit.params)
    near = (at.solution_before.value, at.solution_after.value)
    wanted = bootstrap is not None or (process is None and options.draws and options.errors is None)
    if wanted and fit.fits:
        drawn = [asked.measured(one.params, near, one, getattr(one, "shares", None)) for one in fit.fits]
    else:
        drawn = [
            asked.measured(params, near, shares=shares)
            for params, shares in draws_of(fit, options.draws, options.seed, options.errors)
        ]
    segments = tuple(
        _segment(name, place, at, drawn, fit.process.actions, leaving is not None, paid is not None, options)
        for place, name in enumerate((EVERYONE, *(start if isinstance(start, Mapping) else ())), -1)
    )
    steady = [
        steady_after(world.process, solution.policy, cohorts * weight[:, None], _STEADY)
        for world, solution in zip(both, (at.solution_before, at.solution_after), strict=True)
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
        assumptions=(*fit.assumptions, "members know the new world, and that it stays", *unlike),
        warnings=_warnings(fit, at, weight, scenario, paid),
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


@dataclass(frozen=True, eq=False)
class _Asked:
    """A question about two worlds, to be answered at many parameters.

    Parameters
    ----------
    fit : DynamicFit or RecoveredFit
    worlds : tuple of World
        As it is, and changed.
    cohorts : ndarray of float64, shape (G, S)
    weight : ndarray of float64, shape (G,)
    periods : int
    leaving : int, optional
        The action by which one leaves.
    worth : Worth, optional
        Of money, for gains in it.
    compares : bool
        Whether values in the two worlds do.
    """

    fit: DynamicFit | RecoveredFit
    worlds: tuple[World, World]
    cohorts: Float[np.ndarray, "G S"]
    weight: Float[np.ndarray, " G"]
    periods: int
    leaving: int | None
    worth: Worth | None
    compares: bool

    def measured(
        self,
        params: np.ndarray,
        near: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
        known: Drawn | RecoveredFit | None = None,
        shares: np.ndarray | None = None,
    ) -> _Both:
        """Return both worlds at some parameters; ``known`` is a fit by which the world as it is has been solved."""
        begin, mass = self.cohorts, self.weight
        if shares is not None:
            begin, mass = respread(self.fit, begin, mass, shares)
        before, after = self.worlds
        solution: Solution | None = None
        if known is not None:
            before, after, solution = before.known_as(known), after.known_as(known), known.solution
        found = [
            each or world.solved(params, value if world.process.horizon is None else None)
            for world, value, each in zip((before, after), near, (solution, None), strict=True)
        ]
        lives = [
            expected_paths(world.process, each.policy, begin, self.periods, world.payment, self.leaving)
            for world, each in zip((before, after), found, strict=True)
        ]
        gain = np.full(len(begin), np.nan)
        if self.compares:
            values = [each.value if each.value.ndim == 1 else each.value[0] for each in found]
            rise = values[1] - values[0]
            gain = begin @ rise if self.worth is None else self.worth.gains(begin, rise, params)
        return _Both(lives[0], lives[1], found[0], found[1], gain, mass / mass.sum())


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
            found[STAYED] = paths.stayed @ share
        return found

    before, after = measures(at.before, share_of(at)), measures(at.after, share_of(at))
    many = [(measures(one.before, share_of(one)), measures(one.after, share_of(one))) for one in drawn]
    return SegmentOverTime(
        name,
        {key: _series(value, [one[0][key] for one in many], options.level) for key, value in before.items()},
        {key: _series(value, [one[1][key] for one in many], options.level) for key, value in after.items()},
        {
            key: _series(after[key] - before[key], [one[1][key] - one[0][key] for one in many], options.level)
            for key in before
        },
        _surplus(at.gain @ share_of(at), [one.gain @ share_of(one) for one in drawn], options.level),
    )


def _surplus(gain: float, drawn: list[float], level: float) -> Estimate:
    many = np.array(drawn)
    (low,), (high,) = _interval(many[:, None], level) if len(many) else ((np.nan,), (np.nan,))
    error = float(many.std(ddof=1)) if len(many) > 1 else float("nan")
    return Estimate(float(gain), error, float(low), float(high), level, "simulation")


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


def _require_names(actions: tuple[str, ...], paid: str | None, leaving: str | None) -> None:
    """Raise SpecificationError where an action is called as a measure that was asked for."""
    for asked, measure, what in ((paid, PAID, "paid="), (leaving, STAYED, "leaving=")):
        if asked is not None and measure in actions:
            raise SpecificationError(
                f"an action is called {measure!r}, as is what {what} tells of; give the action another name"
            )


def _unlike(before: World, after: World) -> tuple[str, ...]:
    """Say why values in two worlds do not compare, if so."""
    first, second = before.process, after.process
    pairs = (
        ("discount factors", first.discount, second.discount),
        ("horizons", first.horizon, second.horizon),
        ("scales of shocks", first.scale, second.scale),
    )
    return tuple(
        f"no surplus: it would compare values under two {what} ({one or 'none'} and {other or 'none'})"
        for what, one, other in pairs
        if one != other
    )


def _told(discount: float | None, process: DecisionProcess | None) -> tuple[str, ...]:
    return (
        *((f"discount = {discount:g}",) if discount is not None else ()),
        *(("another process",) if process is not None else ()),
    )


def _warnings(
    fit: DynamicFit | RecoveredFit, at: _Both, weight: np.ndarray, scenario: Scenario, paid: str | None
) -> tuple[str, ...]:
    found = list(fit.messages())
    for solution, which in ((at.solution_before, "as it is"), (at.solution_after, "changed")):
        if not solution.converged:
            found.append(f"the world {which} was not solved: values still changed by {solution.residual:.1e}")
    seen = fit.linear.log.choices_per_case > 0
    share = weight / weight.sum()
    spent = [np.einsum("g,tgs->s", share, paths.states) / len(paths.states) for paths in (at.before, at.after)]
    unseen = [float(each[~seen].sum()) for each in spent]
    if unseen[1] > max(_UNSEEN, 2 * unseen[0]):
        found.append(
            f"{unseen[1]:.0%} of the periods in the changed world are spent in states that nobody was ever seen in "
            f"({unseen[0]:.0%} as things are): what is done there is the formula's guess"
        )
    idle = [text for text, rows in scenario.changes if not rows]
    found += [f"the change {text!r} touches nothing" for text in idle]
    used = {scenario.log.column_name(name) for name in (*columns_of_reward(fit.linear), *names_in(paid or "0"))}
    found += [
        f"{column!r} has no effect: it is not in the reward"
        for column in scenario.touched
        if column not in used and column != scenario.available_column
    ]
    found += support_of_states(fit.linear, scenario, spent[1], fit.process.space.columns)
    if isinstance(fit, RecoveredFit) and not fit.draws:
        found.append("no intervals: the rewards were recovered without draws of a bootstrap")
    if not np.isfinite(fit.covariance()).all():
        found.append("no intervals: some parameters are not identified")
    return unique(found)
