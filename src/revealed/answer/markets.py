r"""Elasticities, diversion, mark-ups and mergers of demand on market shares, with intervals. Imports models to choices.

Each is a function :math:`g(\theta)` of tastes, price coefficients and all else estimated: for other parameters mean
utilities are inverted anew, so that shares stay those seen. With the GMM covariance :math:`V` its variance is
:math:`G V G^\top` (delta method, central differences) or that over draws :math:`\theta \sim N(\hat\theta, V)`. Berry,
Levinsohn and Pakes (1995); Nevo (2000) draws in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.interval import METHODS, Estimate, Estimates, IntervalOptions, fit_messages
from revealed.answer.table import Cell, Column, Table
from revealed.errors import SpecificationError, nearest
from revealed.evidence.level import quantile, require_level
from revealed.models.blp import BlpFit, World

#: A step of a parameter for differences, in its standard errors.
_STEP = 1e-3
OUTSIDE = "outside"

Asked = Callable[[World], Float[np.ndarray, " values"]]
#: Figures as a function of the parameters.
_At = Callable[[Float[np.ndarray, " K"]], Float[np.ndarray, " values"]]


@dataclass(frozen=True)
class Figure:
    """A figure of some markets.

    Parameters
    ----------
    of : tuple of str
        What it is of, such as the product whose share moves and the one whose price does.
    estimate : Estimate
    """

    of: tuple[str, ...]
    estimate: Estimate


@dataclass(frozen=True, repr=False)
class MarketFigures(Answer):
    """Figures of markets, with intervals.

    Parameters
    ----------
    title : str
    keys : tuple of str
        What the parts of :attr:`Figure.of` are.
    items : tuple of Figure
    """

    title: str
    keys: tuple[str, ...]
    items: tuple[Figure, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, of: str | tuple[str, ...]) -> Estimate:
        """Return one figure."""
        wanted = (of,) if isinstance(of, str) else tuple(str(part) for part in of)
        for item in self.items:
            if item.of == wanted:
                return item.estimate
        known = [", ".join(item.of) for item in self.items]
        raise SpecificationError(f"no figure of {', '.join(wanted)!r}; {nearest(', '.join(wanted), known)}")

    def table(self) -> Table:
        """Return one row per figure."""
        numbers = ("value", "standard error", "low", "high")
        columns = (*(Column(key, "text") for key in self.keys), *(Column(name) for name in numbers))
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (*item.of, item.estimate.value, item.estimate.standard_error, item.estimate.low, item.estimate.high)
            for item in self.items
        )
        return Table(self.title, columns, rows, unique(self.warnings, self.assumptions))


@dataclass(frozen=True)
class MarketIntervals:
    """How intervals of figures of markets are made.

    Parameters
    ----------
    level : float
    method : {"delta", "simulation"}
    options : IntervalOptions
        Draws and seed, for simulation; there is one covariance, that of the fit.

    Raises
    ------
    SpecificationError
        For a level or method that is none, or errors asked for by name.
    """

    level: float = 0.95
    method: str = "delta"
    options: IntervalOptions = field(default_factory=IntervalOptions)

    def __post_init__(self) -> None:
        require_level(self.level)
        if self.method not in METHODS:
            raise SpecificationError(f"no method {self.method!r} for intervals; {nearest(str(self.method), METHODS)}")
        if self.options.errors is not None:
            raise SpecificationError("demand on market shares has one covariance; say errors= where it is fitted (Blp)")


def market_substitution(fit: BlpFit, *, intervals: MarketIntervals | None = None) -> MarketFigures:
    """Return means over all products: own-price elasticity, diversion to the outside good, mark-up and cost.

    Parameters
    ----------
    fit : BlpFit
    intervals : MarketIntervals, optional

    Raises
    ------
    SpecificationError
        If a term is not linear in prices.
    """
    markets = fit.markets
    with_firms = "firm_ids" in markets.products.column_names
    firms = markets.ids("firm_ids") if with_firms else None

    def asked(world: World) -> Float[np.ndarray, " values"]:
        own = [np.diag(each) for each in world.elasticities().values()]
        leaving = [np.diag(each).mean() for each in world.diversion().values()]
        found = [np.concatenate(own).mean(), np.mean(leaving)]
        if firms is not None:
            markups = world.markups(firms)
            found += [(markups / markets.prices).mean(), (markets.prices - markups).mean()]
        return np.array(found)

    names = ["own-price elasticity", "diversion to the outside good"]
    names += ["mark-up, share of price", "marginal cost"] if with_firms else []
    return _figures(fit, "Over all products", ("mean of",), [(name,) for name in names], asked, intervals)


def market_elasticities(
    fit: BlpFit, market: object, *, names: str = "product_ids", intervals: MarketIntervals | None = None
) -> MarketFigures:
    """Return the price elasticities of a market: by how many percent shares move as a price rises by one.

    Parameters
    ----------
    fit : BlpFit
    market : object
        As in ``market_ids``.
    names : str
        The column of the products with their names; without such a column they are counted.
    intervals : MarketIntervals, optional

    Raises
    ------
    SpecificationError
        If there is no such market, or a term is not linear in prices.
    """
    labels = _labels(fit, market, names)

    def asked(world: World) -> Float[np.ndarray, " values"]:
        return world.elasticities()[str(market)].ravel()

    rows = [(share, price) for share in labels for price in labels]
    keys = ("share of", "price of")
    return _figures(fit, f"Price elasticities in {market}", keys, rows, asked, intervals, market=market)


def market_diversion(
    fit: BlpFit, market: object, *, names: str = "product_ids", intervals: MarketIntervals | None = None
) -> MarketFigures:
    """Return where those go who leave a product of a market as its price rises; see :func:`market_elasticities`."""
    labels = _labels(fit, market, names)

    def asked(world: World) -> Float[np.ndarray, " values"]:
        return world.diversion()[str(market)].ravel()

    rows = [(left, OUTSIDE if left == to else to) for left in labels for to in labels]
    keys = ("of those who leave", "go to")
    return _figures(fit, f"Diversion in {market}", keys, rows, asked, intervals, market=market)


def market_markups(fit: BlpFit, *, by: str = "firm_ids", intervals: MarketIntervals | None = None) -> MarketFigures:
    """Return the mean mark-up, as a share of the price, of groups of products.

    Parameters
    ----------
    fit : BlpFit
    by : str
        A column of the products with the groups; ``firm_ids`` are needed in any case.
    intervals : MarketIntervals, optional

    Raises
    ------
    ColumnError
        If a column is not there.
    """
    markets = fit.markets
    firms, codes, labels = markets.ids("firm_ids"), markets.ids(by), markets.labels_of(by)

    def asked(world: World) -> Float[np.ndarray, " values"]:
        return _means(world.markups(firms) / markets.prices, codes)

    return _figures(fit, f"Mark-up, share of price, by {by}", (by,), [(label,) for label in labels], asked, intervals)


def market_merger(
    fit: BlpFit,
    into: Mapping[object, object] | str,
    *,
    by: str = "firm_ids",
    intervals: MarketIntervals | None = None,
) -> MarketFigures:
    """Return what a change of who owns what does: mean changes of prices by group, in percent, and consumer surplus.

    Parameters
    ----------
    fit : BlpFit
    into : mapping or str
        See :meth:`revealed.models.blp.BlpFit.merger`.
    by : str
        A column of the products with the groups, by default the owners before.
    intervals : MarketIntervals, optional
        Prices that firms would set are found anew for each parameter vector.

    Raises
    ------
    SpecificationError
        For a firm or column that is not there.
    """
    markets = fit.markets
    before, after = markets.ids("firm_ids"), fit.owners(into)
    codes, labels = markets.ids(by), markets.labels_of(by)
    settled = fit.world.equilibrium(after, fit.costs())
    notes = [] if settled.converged else [f"prices after it did not settle (off by {settled.residual:.2g} of a share)"]
    with_surplus = _has_surplus(fit)

    def asked(world: World) -> Float[np.ndarray, " values"]:
        found = world.equilibrium(after, markets.prices - world.markups(before))
        rises = 100 * _means(found.prices / markets.prices - 1, codes)
        if not with_surplus:
            return rises
        gain = world.surplus(found.prices) - world.surplus(markets.prices)
        return np.append(rises, gain.mean())

    rows = [(label, "price, %") for label in labels]
    if with_surplus:
        rows.append(("all markets", "consumer surplus of each who could buy"))
    else:
        notes.append("no surplus: the marginal utility of price differs between products")
    title = "After the change of owners"
    return _figures(fit, title, (by, "change of"), rows, asked, intervals, notes)


# ---- intervals ------------------------------------------------------------------------------------------------------


def _figures(
    fit: BlpFit,
    title: str,
    keys: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    asked: Asked,
    intervals: MarketIntervals | None,
    notes: Sequence[str] = (),
    *,
    market: object = None,
) -> MarketFigures:
    """Return the answer: figures ``asked`` of all markets, or of the ``market`` that alone they are of."""
    intervals = intervals or MarketIntervals()

    def at(params: Float[np.ndarray, " K"]) -> Float[np.ndarray, " values"]:
        return asked(fit.world_at(params, market))

    found, more = (_delta if intervals.method == "delta" else _simulated)(fit, at, intervals)
    kind = (
        f"intervals hold the uncertainty of the estimates ({fit.model.errors} GMM covariance, normal in large samples)"
    )
    return MarketFigures(
        title=title,
        keys=keys,
        items=tuple(Figure(of, found[i]) for i, of in enumerate(rows)),
        assumptions=(
            "shares, prices and agents are taken as they are; firms set prices as in a Nash equilibrium",
            f"{kind}, not that of the draws of agents",
        ),
        warnings=unique(fit_messages(fit.status), list(notes), more),
    )


def _delta(fit: BlpFit, at: _At, intervals: MarketIntervals) -> tuple[Estimates, list[str]]:
    """Return figures with the errors of the delta method."""
    value = at(fit.params)
    errors = fit.standard_errors()
    hidden = np.isnan(errors)
    steps = _STEP * np.where(hidden, np.maximum(np.abs(fit.params), 1.0), errors)
    slopes = np.zeros((len(value), len(errors)))
    for k in np.flatnonzero(steps > 0):
        up, down = fit.params.copy(), fit.params.copy()
        up[k] += steps[k]
        down[k] -= steps[k]
        slopes[:, k] = (at(up) - at(down)) / (up[k] - down[k])
    leans = (np.abs(slopes * steps)[:, hidden] > 1e-10 * np.maximum(1.0, np.abs(value))[:, None]).any(axis=1)
    known = np.where(np.isnan(fit.covariance), 0.0, fit.covariance)
    error = np.sqrt(np.maximum(((slopes @ known) * slopes).sum(axis=1), 0.0))
    error = np.where(leans, np.nan, error)
    half = quantile(intervals.level) * error
    return Estimates(value, error, value - half, value + half, intervals.level, "delta"), []


def _simulated(fit: BlpFit, at: _At, intervals: MarketIntervals) -> tuple[Estimates, list[str]]:
    """Return figures with the percentiles of draws of the parameters."""
    if np.isnan(fit.covariance).any():
        raise SpecificationError("the moments do not tell all parameters, so there is nothing to draw them from")
    values, vectors = np.linalg.eigh(fit.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    options = intervals.options
    noise = np.random.default_rng(options.seed).standard_normal((options.draws, len(values)))
    value = at(fit.params)
    drawn = np.full((options.draws, len(value)), np.nan)
    for i, params in enumerate(fit.params + noise @ root.T):
        with np.errstate(all="ignore"):  # tastes far out may have no mean utilities, or no prices
            drawn[i] = at(params)
    good = np.isfinite(drawn).all(axis=1)
    if good.sum() < 2:
        raise SpecificationError("no draw of the parameters has finite figures; use the delta method")
    lost = int((~good).sum())
    notes = [f"{lost:,} of {options.draws:,} draws have no finite figures and are left out"] if lost else []
    error = drawn[good].std(axis=0, ddof=1)
    low, high = np.percentile(drawn[good], [50 * (1 - intervals.level), 50 * (1 + intervals.level)], axis=0)
    return Estimates(value, error, low, high, intervals.level, "simulation"), notes


# ---- pieces ---------------------------------------------------------------------------------------------------------


def _labels(fit: BlpFit, market: object, names: str) -> list[str]:
    """Return the names of the products of a market, or their numbers."""
    rows = fit.markets.rows_of(market)
    if names in fit.markets.products.column_names:
        labels, codes = fit.markets.labels_of(names), fit.markets.ids(names)[rows]
        if len(set(codes.tolist())) == len(rows):
            return [labels[code] for code in codes]
    elif names != "product_ids":
        fit.markets.ids(names)  # says what is wrong
    return [f"product {place + 1}" for place in range(len(rows))]


def _means(values: Float[np.ndarray, " N"], codes: np.ndarray) -> Float[np.ndarray, " groups"]:
    return np.asarray(np.bincount(codes, values) / np.bincount(codes))


def _has_surplus(fit: BlpFit) -> bool:
    try:
        fit.surplus()
    except SpecificationError:
        return False
    return True
