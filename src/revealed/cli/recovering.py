"""``revealed dynamic --estimator pqr``: rewards without a formula from a panel. Imports report to choices when run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.dynamic_again import AgainOptions, drawing
from revealed.cli.screen import Screen
from revealed.errors import SpecificationError, nearest

if TYPE_CHECKING:
    from revealed.evidence import Checkpoint
    from revealed.models.dynamic import DecisionProcess, EstimatedTransitions, Panel, RecoveredFit
    from revealed.models.dynamic.irl.function_class import FunctionClass
    from revealed.models.dynamic.irl.pqr import Normalised

_PANEL = "Rewards without a formula"

#: The estimators by the name the command line has for them.
RECOVERING = ("pqr", "genpqr")
#: Classes of functions by name, and whether a degree goes with them.
_CLASSES = {"table": False, "polynomial": True, "neural": False}
#: Options of a formula, which rewards without one have no use for.
_OF_FORMULAS = ("reward", "renewal", "basis", "fix", "bound", "ridge")
_BEHAVIOUR = "polynomial:2"


@dataclass(frozen=True)
class FreeOptions:
    """How rewards without a formula are recovered."""

    anchor_reward: Annotated[
        float | None,
        typer.Option(
            help="For pqr and genpqr: the reward of the anchor, or the mean reward. (default: 0)",
            metavar="NUMBER",
            rich_help_panel=_PANEL,
        ),
    ] = None
    behaviour: Annotated[
        str | None,
        typer.Option(
            help=f"What choice probabilities are like: table, polynomial:DEGREE or neural. (default: {_BEHAVIOUR})",
            metavar="CLASS",
            rich_help_panel=_PANEL,
        ),
    ] = None
    smooth: Annotated[
        str | None,
        typer.Option(
            help="Rewards between and beyond the levels of the states, for what-ifs that change columns: "
            "polynomial:DEGREE. (default: rewards in the states alone)",
            metavar="CLASS",
            rich_help_panel=_PANEL,
        ),
    ] = None


def require_no_options(options: FreeOptions, estimator: str) -> None:
    """Raise SpecificationError if options were given that an estimator with a formula has no use for."""
    given = [one.name for one in fields(options) if getattr(options, one.name) is not None]
    if given:
        raise SpecificationError(f"--{given[0].replace('_', '-')} goes with pqr and genpqr, not with {estimator}")


def require_no_formula(options: Any, estimator: str) -> None:
    """Raise SpecificationError if options were given that go with a formula."""
    given = [name for name in _OF_FORMULAS if getattr(options, name)]
    if given:
        raise SpecificationError(f"--{given[0]} goes with a formula, and {estimator} has none")


@dataclass(frozen=True)
class Recovery:
    """What recovers rewards: the estimator, and what rewards between states are like."""

    model: Normalised
    smooth: FunctionClass | None


def recovery_of(
    options: FreeOptions, estimator: str, anchor: str | None, panel: Panel, process: DecisionProcess
) -> Recovery:
    """Return what recovers rewards as the options say.

    Raises
    ------
    SpecificationError
        If pqr has no anchor, or a class of functions is none.
    """
    from revealed.models.dynamic.irl import PQR, GenPQR

    behaviour = class_of(options.behaviour or _BEHAVIOUR, "--behaviour")
    shared: dict[str, Any] = {"discount": process.discount, "scale": process.scale, "function_class": behaviour}
    known = options.anchor_reward or 0.0
    smooth = None if options.smooth is None else class_of(options.smooth, "--smooth")
    if estimator == "pqr":
        if anchor is None:
            raise SpecificationError("pqr needs the action whose reward is known: --anchor; genpqr can do without")
        if anchor not in panel.actions:
            raise SpecificationError(f"--anchor: nobody takes {anchor!r}; {nearest(anchor, panel.actions)}")
        return Recovery(PQR(anchor=anchor, anchor_reward=known, **shared), smooth)
    return Recovery(GenPQR(normaliser="uniform" if anchor is None else anchor, mean_reward=known, **shared), smooth)


def recovered(
    recovery: Recovery,
    panel: Panel,
    process: DecisionProcess,
    mover: Callable[[Panel], EstimatedTransitions],
    again: AgainOptions,
    screen: Screen,
    kept: Checkpoint | None,
) -> RecoveredFit:
    """Return the rewards that a panel tells of, and how sure they are."""
    from revealed.models.dynamic.irl import fit_on

    asked: dict[str, Any] = {"draws": again.bootstrap, "seed": again.seed, "smooth": recovery.smooth}
    with drawing(screen, "Recovering") as told:
        return fit_on(recovery.model, panel, process, mover, told=told, checkpoint=kept, **asked)


def class_of(text: str, option: str) -> FunctionClass:
    """Return a class of functions: ``table``, ``polynomial:2``, ``neural``.

    Raises
    ------
    SpecificationError
        If it is none.
    """
    from revealed.models.dynamic.irl import Neural, Polynomial, Tabular

    name, colon, degree = (part.strip() for part in text.partition(":"))
    if name not in _CLASSES:
        raise SpecificationError(f"{option} {text}: no class of functions {name!r}; {nearest(name, _CLASSES)}")
    if colon and not (_CLASSES[name] and degree.isdigit()):
        raise SpecificationError(f"{option} {text}: write table, polynomial, polynomial:3, or neural")
    if name == "polynomial":
        return Polynomial(int(degree)) if colon else Polynomial()
    return Tabular() if name == "table" else Neural()
