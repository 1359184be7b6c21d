"""``revealed dynamic --bootstrap``, ``--types``: estimates from persons drawn again, types that nobody observes.

Imports report to choices when run. Draws are made where the panel is, by ``dynamic``, and not by ``whatif``: they take
longest, and one file then answers any number of questions, its summary showing the same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.screen import Screen
from revealed.errors import SpecificationError

if TYPE_CHECKING:
    from revealed.evidence import Checkpoint
    from revealed.models.dynamic import DecisionProcess, DynamicFit, DynamicModel, EstimatedTransitions, Panel

_PANEL = "Persons drawn again, and types of them"

#: How many draws rewards without a formula take by default.
DRAWS = 50
#: Starts of the search for types.
_STARTS = 5
#: The estimators that are repeated often at little cost, and know no renewal, which a type would undo.
_FOR_TYPES = ("npl", "nfxp")


@dataclass(frozen=True)
class AgainOptions:
    """What is estimated many times."""

    bootstrap: Annotated[
        int | None,
        typer.Option(
            "--bootstrap",
            "--draws",
            help="So often estimate again, transitions too, from persons drawn again: errors, and intervals of "
            f"what-ifs, are then by these draws. (default: 0, and {DRAWS} for pqr and genpqr)",
            min=0,
            metavar="N",
            rich_help_panel=_PANEL,
        ),
    ] = None
    types: Annotated[
        int | None,
        typer.Option(
            help="So many types of decision makers whom nobody can tell apart; --reward says by the column type what "
            'differs: "replace=asc + type".',
            metavar="N",
            rich_help_panel=_PANEL,
        ),
    ] = None
    starts: Annotated[
        int | None,
        typer.Option(
            help=f"How many starts the search for types makes; the best is kept. (default: {_STARTS})",
            min=1,
            metavar="N",
            rich_help_panel=_PANEL,
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Of draws and starts.", min=0, metavar="N", rich_help_panel=_PANEL)] = 0

    @property
    def many(self) -> bool:
        """Whether estimates are made many times, each of which a checkpoint notes."""
        return bool(self.bootstrap) or self.types is not None


def require_estimator(options: AgainOptions, estimator: str) -> None:
    """Raise SpecificationError for what does not go together, before any work is done."""
    if options.bootstrap == 1:
        raise SpecificationError("--bootstrap 1: errors need two draws at least; 200 are usual, 0 is none")
    if options.types is None:
        if options.starts is not None:
            raise SpecificationError("--starts goes with --types")
        return
    if options.types < 2:
        raise SpecificationError(f"--types {options.types}: two at least; without it all are alike")
    if estimator not in _FOR_TYPES:
        raise SpecificationError(f"--types goes with --estimator {' and '.join(_FOR_TYPES)}, not with {estimator}")


def drawn_again(
    model: DynamicModel,
    fitted: DynamicFit,
    panel: Panel,
    process: DecisionProcess,
    mover: Callable[[Panel], EstimatedTransitions],
    options: AgainOptions,
    screen: Screen,
    kept: Checkpoint | None,
) -> DynamicFit:
    """Return a fit that keeps draws of persons, if those were asked for."""
    from revealed.models.dynamic import bootstrapped

    if not options.bootstrap:
        return fitted
    with drawing(screen, "Estimating again") as told:
        asked: dict[str, Any] = {"draws": options.bootstrap, "seed": options.seed, "told": told, "checkpoint": kept}
        again = bootstrapped(model, panel, process, mover, start=fitted, **asked)
    return again.kept_in(fitted)


def typed(
    model: DynamicModel,
    panel: Panel,
    process: DecisionProcess,
    transitions: EstimatedTransitions,
    mover: Callable[[Panel], EstimatedTransitions],
    options: AgainOptions,
    screen: Screen,
    kept: Checkpoint | None,
) -> DynamicFit:
    """Return the fit of a mixture of types, with draws of persons if those were asked for."""
    from revealed.models.dynamic import UnobservedTypes, bootstrapped_types

    assert options.types is not None
    starts = options.starts or _STARTS
    mixture = UnobservedTypes(model, options.types, starts, options.seed)
    with screen.working("Estimating types") as progress:

        def searching(start: int, turn: int, log_likelihood: float) -> None:
            assert progress is not None
            progress.say(f"start {start + 1} of {starts}, round {turn}, log-likelihood {log_likelihood:,.2f}")

        search = None if progress is None else searching
        found = mixture.fit(panel, process, transitions=transitions, told=search, checkpoint=kept)
    if not options.bootstrap:
        return found.fit
    with drawing(screen, "Estimating again") as told:
        asked: dict[str, Any] = {"draws": options.bootstrap, "seed": options.seed, "told": told, "checkpoint": kept}
        again = bootstrapped_types(mixture, panel, process, found, mover, **asked)
    return again.kept_in(found.fit)


@contextmanager
def drawing(screen: Screen, what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show how many draws are done; yield what is to be told of it."""
    with screen.working(what, "draws of persons") as progress:
        yield None if progress is None else lambda _, draws: progress(1, draws)
