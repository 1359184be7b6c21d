"""``revealed dynamic``: what people value who look ahead, from their choices. Imports report to choices when run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.dynamic_again import DRAWS, AgainOptions, drawn_again, require_estimator, typed
from revealed.cli.exits import NOT_SOUND
from revealed.cli.formulas import numbers_of, pairs_of, spans_of, utility_file, utility_of
from revealed.cli.options import Json, Report, TextOptions
from revealed.cli.panel import PanelOptions, panel_of
from revealed.cli.recovering import (
    RECOVERING,
    FreeOptions,
    Recovery,
    recovered,
    recovery_of,
    require_no_formula,
    require_no_options,
)
from revealed.cli.results import going_on, going_on_later, require_writable, write_report
from revealed.cli.screen import Screen, remark
from revealed.errors import SpecificationError, nearest

if TYPE_CHECKING:
    import numpy as np

    from revealed.evidence import Checkpoint
    from revealed.models.dynamic import (
        DecisionProcess,
        DynamicFit,
        DynamicModel,
        EstimatedTransitions,
        Panel,
        RecoveredFit,
    )

_WORLD = "The world"
_REWARD = "The reward"

#: The estimators by the name the command line has for them.
ESTIMATORS = {
    "npl": "NestedPseudoLikelihood",
    "nfxp": "NestedFixedPoint",
    "ccp": "ConditionalChoice",
    "td": "TemporalDifference",
}


@dataclass(frozen=True)
class WorldOptions:
    """What decision makers face."""

    discount: Annotated[
        float, typer.Option(help="What a reward a period later counts.", min=0.0, max=1.0, rich_help_panel=_WORLD)
    ]
    horizon: Annotated[
        int | None,
        typer.Option(help="Periods until all ends; without it, never.", min=1, metavar="N", rich_help_panel=_WORLD),
    ] = None
    moves: Annotated[
        list[str] | None,
        typer.Option(
            help="How a column of the state moves: mileage=rises (by as much from every level), plan=stays, "
            "price=shares (of the moves seen from each level), use=shares:plan,action (given other columns and the "
            "action). Repeat it for each. (default: shares of the moves seen from each whole state and action)",
            metavar="COLUMN=HOW",
            rich_help_panel=_WORLD,
        ),
    ] = None
    restart: Annotated[
        list[str] | None,
        typer.Option(
            help="The level from which a column that rises does so after an action: replace=0.",
            metavar="ACTION=LEVEL",
            rich_help_panel=_WORLD,
        ),
    ] = None
    available: Annotated[
        list[str] | None,
        typer.Option(
            help='Where an action can be taken, as a condition on the state: "annual: left == 0". Repeat it.',
            metavar="ACTION:CONDITION",
            rich_help_panel=_WORLD,
        ),
    ] = None


@dataclass(frozen=True)
class RewardOptions:
    """What is estimated, and how."""

    reward: Annotated[
        list[str] | None,
        typer.Option(
            help='The formula of the reward: "C(alternative) + price". Or one per action, the option repeated: '
            '"replace=asc", "keep=mileage". None for pqr and genpqr.',
            metavar="FORMULA",
            rich_help_panel=_REWARD,
        ),
    ] = None
    anchor: Annotated[
        str | None,
        typer.Option(
            help="The action whose reward is zero everywhere, where others have a formula each, or none has.",
            metavar="ACTION",
            rich_help_panel=_REWARD,
        ),
    ] = None
    estimator: Annotated[
        str,
        typer.Option(
            help="npl (nested pseudo-likelihood), nfxp (nested fixed point), ccp (two steps), or td (temporal "
            "differences). Without a formula: pqr (by an anchor) or genpqr (by a mean reward).",
            metavar="NAME",
            rich_help_panel=_REWARD,
        ),
    ] = "npl"
    renewal: Annotated[
        str | None,
        typer.Option(
            help="For ccp: an action after which the past does not matter.", metavar="ACTION", rich_help_panel=_REWARD
        ),
    ] = None
    basis: Annotated[
        str | None,
        typer.Option(
            help='For td: what values are made of: "x + I(x**2)", "C(x)".', metavar="FORMULA", rich_help_panel=_REWARD
        ),
    ] = None
    fix: Annotated[
        list[str] | None,
        typer.Option(help="Hold a parameter: price=-1.", metavar="NAME=VALUE", rich_help_panel=_REWARD),
    ] = None
    bound: Annotated[
        list[str] | None,
        typer.Option(help="Keep a parameter between: price=:0.", metavar="NAME=LOW:HIGH", rich_help_panel=_REWARD),
    ] = None
    ridge: Annotated[
        float, typer.Option(help="Pull all parameters towards zero, this strongly.", min=0.0, rich_help_panel=_REWARD)
    ] = 0.0
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Write down how far nfxp, or draws and starts, got, and go on from there if the file is there; it "
            "goes when all is done. (default: beside --out, with --bootstrap or --types)",
            rich_help_panel=_REWARD,
            metavar="FILE",
        ),
    ] = None


def dynamic(
    panel: Annotated[
        Path,
        typer.Argument(help="A CSV or Parquet file: a row per person and period, state and action.", metavar="PANEL"),
    ],
    columns: PanelOptions,
    world: WorldOptions,
    reward: RewardOptions,
    again: AgainOptions,
    free: FreeOptions,
    text: TextOptions,
    out: Annotated[
        Path | None, typer.Option(help="Save the fit, for whatif.", rich_help_panel="Results", metavar="FILE")
    ] = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Estimate what people value from what they choose over time, looking ahead.

    The file has one row per person and period: the state they were in and what they did. To try it on real choices:

    revealed datasets rust_buses --export buses.csv
    """
    screen = Screen(json)
    if reward.estimator in RECOVERING and again.bootstrap is None:
        again = replace(again, bootstrap=DRAWS)
    place = _place(reward, again, out)
    if place is not None and place in (out, report):
        raise SpecificationError("--checkpoint is removed when all is done: name another file than for the results")
    require_writable(report, out, place, reads=(panel, utility_file(reward.reward or [])))
    require_together(reward, free, again)
    with screen.working(f"Reading {panel}"):
        seen = panel_of(panel, columns, text)
        transitions, process = process_of(seen, world)

    def mover(some: Panel) -> EstimatedTransitions:
        return moved_of(some, world)

    fitted: DynamicFit | RecoveredFit
    kept, settled = None, True
    if reward.estimator in RECOVERING:
        recovery = recovery_of(free, reward.estimator, reward.anchor, seen, process)
        if place is not None:
            kept = going_on(place, _about(recovery, panel, seen, process, world, again))
        with going_on_later(kept):
            fitted = recovered(recovery, seen, process, mover, again, screen, kept)
    else:
        model = model_of(reward, seen.actions)
        if place is not None:
            kept = going_on(place, _about(model, panel, seen, process, world, again))
        with going_on_later(kept):
            if again.types is not None:
                fitted = typed(model, seen, process, transitions, mover, again, screen, kept)
            else:
                # What draws start from has to be the same when they are gone on with, to the last bit: begun anew.
                climb = None if again.many else kept
                found = _estimated(model, seen, process, transitions, screen, climb)
                settled = again.many or found.status.converged  # else the same command goes on from there
                fitted = drawn_again(model, found, seen, process, mover, again, screen, kept)
    summary = fitted.summary()
    screen.show(summary)
    if out is not None:
        fitted.save(out)
        remark(f"Wrote {out}")
    write_report(report, summary, f"{fitted.method}: {panel.name}")
    if kept is not None and settled:
        kept.done()
    screen.document({"fit": str(out) if out else None, **summary.to_dict()})
    if not summary.sound:
        raise typer.Exit(NOT_SOUND)


def require_together(reward: RewardOptions, free: FreeOptions, again: AgainOptions) -> None:
    """Raise SpecificationError for options that do not go together, before the panel is read."""
    if reward.estimator in RECOVERING:
        require_no_formula(reward, reward.estimator)
    else:
        require_no_options(free, reward.estimator)
    require_estimator(again, reward.estimator)
    known = reward.estimator in (*ESTIMATORS, *RECOVERING)
    if reward.checkpoint is not None and known and reward.estimator != "nfxp" and not again.many:
        raise SpecificationError(
            "--checkpoint goes with --estimator nfxp, --bootstrap or --types: the others begin anew at each step"
        )


def _place(reward: RewardOptions, again: AgainOptions, out: Path | None) -> Path | None:
    """Return where it is written down how far an estimation got, if it is."""
    if reward.checkpoint is not None or out is None or not again.many:
        return reward.checkpoint
    return out.with_name(f"{out.name}.checkpoint")


def _about(
    model: DynamicModel | Recovery,
    path: Path,
    panel: Panel,
    process: DecisionProcess,
    world: WorldOptions,
    again: AgainOptions,
) -> str:
    """Return what an estimation is of: all that its results follow from but the number of draws, which may grow."""
    from revealed.evidence import fingerprint

    data = (panel.state, panel.action, panel.following, panel.person, panel.elapsed, panel.weight)
    moves = (part for matrix in process.transitions for part in (matrix.data, matrix.indices, matrix.indptr))
    seen = fingerprint((process.space.numbers, process.available, *data, *moves))
    given = {**vars(world), **(vars(replace(again, bootstrap=None)) if again.many else {})}
    told = ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
    return f"{model!r} of {path}, {told}, data {seen}"


def _estimated(
    model: DynamicModel,
    panel: Panel,
    process: DecisionProcess,
    transitions: EstimatedTransitions,
    screen: Screen,
    kept: Checkpoint | None,
) -> DynamicFit:
    """Return the fit of a reward with a formula."""
    from revealed.evidence import NewtonOptions

    with screen.working("Estimating"):
        return model.fit(panel, process, transitions=transitions, options=NewtonOptions(checkpoint=kept))


def process_of(panel: Panel, options: WorldOptions) -> tuple[EstimatedTransitions, DecisionProcess]:
    """Return what decision makers face, transitions estimated from the panel."""
    from revealed.models.dynamic import DecisionProcess

    moved = moved_of(panel, options)
    available = _available(panel, options.available or [])
    process = DecisionProcess(panel.space, panel.actions, moved.matrices, options.discount, options.horizon, available)
    return moved, process


def moved_of(panel: Panel, options: WorldOptions) -> EstimatedTransitions:
    """Return the transitions that a panel tells of."""
    return _transitions(panel, pairs_of(options.moves, "--moves"), numbers_of(options.restart, "--restart"))


def model_of(options: RewardOptions, actions: tuple[str, ...]) -> DynamicModel:
    """Return the estimator that options describe."""
    from revealed.models import dynamic

    if options.estimator not in ESTIMATORS:
        known = (*ESTIMATORS, *RECOVERING)
        raise SpecificationError(f"no estimator {options.estimator!r}; {nearest(options.estimator, known)}")
    if not options.reward:
        raise SpecificationError(f"{options.estimator} needs the formula of the reward: --reward; pqr needs none")
    utility = utility_of(options.reward, "--reward")
    if options.anchor is not None:
        if options.anchor not in actions:
            raise SpecificationError(f"--anchor: nobody takes {options.anchor!r}; {nearest(options.anchor, actions)}")
        if isinstance(utility, str):
            raise SpecificationError(
                "--anchor goes with a formula for each other action: --reward 'annual=asc + price'"
            )
        if options.anchor in utility:
            raise SpecificationError(f"{options.anchor!r} is the anchor and has a formula; leave out one of them")
        utility = {options.anchor: "0", **utility}
    more: dict[str, Any] = {}
    if options.renewal is not None:
        if options.estimator != "ccp":
            raise SpecificationError("--renewal goes with --estimator ccp")
        more["renewal"] = options.renewal
    if options.basis is not None:
        if options.estimator != "td":
            raise SpecificationError("--basis goes with --estimator td")
        more["basis"] = options.basis
    found: DynamicModel = getattr(dynamic, ESTIMATORS[options.estimator])(
        utility=utility,
        fixed=numbers_of(options.fix, "--fix"),
        bounds=spans_of(options.bound, "--bound"),
        ridge=options.ridge,
        **more,
    )
    return found


def _transitions(panel: Panel, moves: dict[str, str], restart: dict[str, float]) -> EstimatedTransitions:
    from revealed.models.dynamic import Counted, by_columns, by_increments, counted

    rising = [name for name, how in moves.items() if how == "rises"]
    if rising:
        others = [name for name in moves if name not in rising and moves[name] != "stays"]
        if len(rising) > 1 or others:
            raise SpecificationError("--moves: with a column that rises, all others stay")
        return by_increments(panel, rising[0], restart=restart)
    if restart:
        raise SpecificationError("--restart goes with --moves COLUMN=rises")
    if not moves:
        return counted(panel)
    columns: dict[str, Any] = {}
    for name, how in moves.items():
        kind, _, given = how.partition(":")
        if kind == "shares":
            columns[name] = Counted(tuple(one.strip() for one in given.split(",") if one.strip()))
        elif how == "stays":
            columns[name] = _staying(name)
        else:
            raise SpecificationError(f"--moves {name}={how}: a column rises, stays, or moves by shares")
    return by_columns(panel, columns)


def _staying(name: str) -> Any:
    return lambda cells, _: cells[name]


def _available(panel: Panel, given: list[str]) -> np.ndarray | None:
    import numpy as np

    from revealed.choices.tables import rows_where

    if not given:
        return None
    found = np.ones((panel.space.n_states, len(panel.actions)), dtype=bool)
    for text in given:
        action, colon, condition = (part.strip() for part in text.partition(":"))
        if not colon or action not in panel.actions:
            raise SpecificationError(
                f"--available {text!r}: write an action, a colon and a condition; {nearest(action, panel.actions)}"
            )
        found[:, panel.actions.index(action)] &= rows_where(panel.space.table, condition, "states")
    return found
