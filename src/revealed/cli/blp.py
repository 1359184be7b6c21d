"""``revealed blp`` and ``revealed markets``: demand on market shares. Imports report to choices when run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from revealed.cli.data import loaded, text_format
from revealed.cli.exits import NOT_SOUND
from revealed.cli.formulas import numbers_of, pairs_of
from revealed.cli.options import Json, Level, Method, Out, Report, TextOptions
from revealed.cli.results import require_writable, write_json, write_report
from revealed.cli.screen import Screen, remark
from revealed.errors import SpecificationError

if TYPE_CHECKING:
    from revealed.answer import MarketFigures, MarketIntervals
    from revealed.models.blp import BlpFit

_DEMAND = "Demand"
_SUPPLY = "Supply"
_SEARCH = "The search"


@dataclass(frozen=True)
class DemandOptions:
    """What is estimated of demand, and from where."""

    linear: Annotated[
        str,
        typer.Option(
            help='What mean utility is linear in: "1 + prices + sugar"; a constant only where 1 is.',
            metavar="FORMULA",
            rich_help_panel=_DEMAND,
        ),
    ]
    random: Annotated[
        str,
        typer.Option(help="What has random coefficients: 1 + prices.", metavar="FORMULA", rich_help_panel=_DEMAND),
    ] = ""
    demographics: Annotated[
        str,
        typer.Option(
            help="What of the agents these move with: income + age.", metavar="FORMULA", rich_help_panel=_DEMAND
        ),
    ] = ""
    sigma: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the spread of a random coefficient starts, the option repeated for each: prices=2.5, or "
            '"sugar,prices=0.1" for an entry below the diagonal. What is not named is held at zero.',
            metavar="TERM=START",
            rich_help_panel=_DEMAND,
        ),
    ] = None
    pi: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a move with a demographic starts: prices,income=15.",
            metavar="TERM,DEMOGRAPHIC=START",
            rich_help_panel=_DEMAND,
        ),
    ] = None
    absorb: Annotated[
        list[str] | None,
        typer.Option(help="A column with fixed effects; repeat it.", metavar="COLUMN", rich_help_panel=_DEMAND),
    ] = None


@dataclass(frozen=True)
class SupplyOptions:
    """What is estimated of supply, if anything."""

    costs: Annotated[
        str,
        typer.Option(help="What marginal costs are linear in.", metavar="FORMULA", rich_help_panel=_SUPPLY),
    ] = ""
    log_costs: Annotated[
        bool, typer.Option("--log-costs", help="Their logarithm is linear.", rich_help_panel=_SUPPLY)
    ] = False
    absorb_costs: Annotated[
        list[str] | None,
        typer.Option(help="A column with fixed effects of costs.", metavar="COLUMN", rich_help_panel=_SUPPLY),
    ] = None
    cost_floor: Annotated[
        float | None,
        typer.Option(help="Costs below it count as it during the search.", rich_help_panel=_SUPPLY),
    ] = None
    beta: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the coefficient of a linear term with the price starts.",
            metavar="TERM=START",
            rich_help_panel=_SUPPLY,
        ),
    ] = None


@dataclass(frozen=True)
class SearchOptions:
    """How it is estimated."""

    steps: Annotated[int, typer.Option(help="Steps of GMM.", min=1, max=2, rich_help_panel=_SEARCH)] = 2
    update_first: Annotated[
        bool,
        typer.Option("--update-first", help="First weights from the errors at the starts.", rich_help_panel=_SEARCH),
    ] = False
    errors: Annotated[
        str,
        typer.Option(
            help="Standard errors: robust, or clustered by clustering_ids.", metavar="KIND", rich_help_panel=_SEARCH
        ),
    ] = "robust"
    optimal: Annotated[
        bool,
        typer.Option(
            "--optimal-instruments",
            help="Fit again with optimal instruments, from where the first fit ended.",
            rich_help_panel=_SEARCH,
        ),
    ] = False


def blp(
    products: Annotated[Path, typer.Argument(help="A row for each product in a market.", metavar="PRODUCTS")],
    demand: DemandOptions,
    supply: SupplyOptions,
    search: SearchOptions,
    text: TextOptions,
    agents: Annotated[
        Path | None,
        typer.Option(help="A row for each agent in a market: draws, weights, demographics.", metavar="FILE"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Save the fit with its markets, for 'revealed markets'.", metavar="FILE"),
    ] = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Estimate demand from market shares, with instruments (Berry, Levinsohn and Pakes).

    The tables are those of pyblp: products with market_ids, shares, prices and demand_instruments0 …, agents with
    market_ids, nodes0 …, weights and demographics.

    revealed blp products.csv --agents agents.csv --linear "1 + prices" --random prices --sigma prices=1
    """
    from revealed.choices.tables import as_table
    from revealed.models.blp import Blp, Markets

    screen = Screen(json)
    require_writable(report, out, reads=(products, agents))
    model = Blp(
        linear=demand.linear,
        random=demand.random,
        demographics=demand.demographics,
        costs=supply.costs,
        log_costs=supply.log_costs,
        absorb=tuple(demand.absorb or ()),
        absorb_costs=tuple(supply.absorb_costs or ()),
        cost_floor=supply.cost_floor,
        steps=search.steps,
        update_first=search.update_first,
        errors=search.errors,
    )
    sigma, pi = starts_of(demand.sigma, "--sigma", alone=True), starts_of(demand.pi, "--pi", alone=False)
    with screen.working(f"Reading {products}"):
        form, labels = text_format(text), ("market_ids", "firm_ids", "product_ids", "clustering_ids")
        tables = [None if path is None else as_table(path, form, labels)[0] for path in (products, agents)]
        markets = Markets.read(*tables)
    with screen.working("Fitting"):
        fit = model.fit(markets, sigma=sigma or None, pi=pi or None, beta=numbers_of(supply.beta, "--beta") or None)
        if search.optimal:
            fit = model.fit(fit.optimal_instruments(), sigma=fit.sigma, pi=fit.pi)
    summary = fit.summary()
    screen.show(summary)
    if out is not None:
        fit.save(out)
        remark(f"Wrote {out}")
    write_report(report, summary, f"{model.title}: {products.name}")
    screen.document({"fit": str(out) if out else None, **summary.to_dict()})
    if not fit.status.sound:
        raise typer.Exit(NOT_SOUND)


def markets(
    fit: Annotated[Path, typer.Argument(help="A fit saved by 'revealed blp --out'.", metavar="FIT")],
    market: Annotated[
        str | None, typer.Option(help="Elasticities and diversion in this market too.", metavar="MARKET")
    ] = None,
    merge: Annotated[
        list[str] | None,
        typer.Option(help="A merger: 2=1 for firm 1 taking over firm 2; repeat it.", metavar="TAKEN=BY"),
    ] = None,
    names: Annotated[
        str, typer.Option(help="The column with the names of products.", metavar="COLUMN")
    ] = "product_ids",
    by: Annotated[str, typer.Option(help="Mark-ups and price changes by this column.", metavar="COLUMN")] = "firm_ids",
    method: Method = "delta",
    draws: Annotated[int, typer.Option(help="Draws of the parameters, for --method simulation.", min=2)] = 500,
    level: Level = 0.95,
    out: Out = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Tell how demand estimated on market shares responds: elasticities, diversion, mark-ups, mergers.

    revealed markets fit.json --market C01Q1 --merge 2=1
    """
    from revealed.answer import IntervalOptions, MarketIntervals

    screen = Screen(json)
    require_writable(report, out, reads=(fit,))
    how = MarketIntervals(level, method, IntervalOptions(draws=draws))
    fitted = load_markets(fit)
    with screen.working("Computing substitution"):
        answers = _answers(fitted, market, pairs_of(merge, "--merge"), names, by, how)
    for place, answer in enumerate(answers):
        if place:
            screen.say()
        screen.show(answer)
    data = {"answers": [answer.to_dict() for answer in answers]}
    write_json(out, data)
    write_report(report, answers, "Demand on market shares")
    screen.document(data)


def _answers(
    fit: BlpFit, market: str | None, merge: dict[str, str], names: str, by: str, how: MarketIntervals
) -> list[MarketFigures]:
    from revealed import answer

    found = [answer.market_substitution(fit, intervals=how)]
    if "firm_ids" in fit.markets.products.column_names:
        found.append(answer.market_markups(fit, by=by, intervals=how))
    if market is not None:
        found.append(answer.market_elasticities(fit, market, names=names, intervals=how))
        found.append(answer.market_diversion(fit, market, names=names, intervals=how))
    if merge:
        owners: dict[object, object] = dict(merge.items())
        found.append(answer.market_merger(fit, owners, by=by, intervals=how))
    return found


def load_markets(path: Path) -> BlpFit:
    """Return a saved fit of demand on market shares; DataError if the file is none."""
    from revealed.models.blp import BlpFit

    return loaded(BlpFit.load, path, "give a file that 'revealed blp --out' wrote")


def starts_of(given: list[str] | None, option: str, *, alone: bool) -> dict[str, Any]:
    """Return ``ROW=START`` and ``ROW,COLUMN=START`` options as ``{row: {column: start}}``.

    Parameters
    ----------
    given : list of str or None
    option : str
    alone : bool
        Whether a row alone stands for the entry on the diagonal.
    """
    starts: dict[str, Any] = {}
    for name, value in numbers_of(given, option).items():
        row, column = _parted(name)
        if column is None and not alone:
            raise SpecificationError(f"{option} {name} names a term without a demographic; write {name},income=0.5")
        starts.setdefault(row, {})[row if column is None else column] = value
    return starts


def _parted(name: str) -> tuple[str, str | None]:
    """Return the parts of a name at its first comma outside of brackets."""
    depth = 0
    for place, letter in enumerate(name):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            return name[:place].strip(), name[place + 1 :].strip()
    return name.strip(), None
