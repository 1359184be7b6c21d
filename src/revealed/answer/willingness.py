r"""Willingness to pay: what a unit of an attribute is worth in money. Imports models to choices.

**Sign.** The willingness to pay for one unit *more* of an attribute with coefficient :math:`\beta` is
:math:`-\beta/\beta_\text{cost}`, the sum that leaves utility as it was (:math:`\beta_\text{cost} < 0`). It is negative
for what people avoid: one more minute of travel would have to be paid *to* them. What a minute *saved* is worth (the
value of time, :math:`\beta_\text{time}/\beta_\text{cost}`) is asked for by a minus sign:
``willingness_to_pay(fit, "-time", cost="cost")``.

Intervals: delta method; simulation (Krinsky and Robb 1986); Fieller (1954), "Some problems in interval estimation",
the set of :math:`r` for which :math:`a + r b` does not differ from zero, exact for normal estimates and without an end
where the cost coefficient may be zero. See Hole (2007), "A comparison of approaches to estimating confidence intervals
for willingness to pay measures".

In a mixed logit it is the mean over people of each one's own, where there is one
(:mod:`revealed.models.mixed.moments`); in willingness-to-pay space parameters are worths as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.interval import (
    Estimate,
    Estimates,
    IntervalOptions,
    draws_of,
    fit_warnings,
    interval_assumptions,
    intervals,
)
from revealed.answer.linear import read_linear
from revealed.answer.marginal import enters, marginal_utility
from revealed.answer.random_cost import mean_worths, needs_means, require_means
from revealed.answer.table import Column, Table
from revealed.errors import SpecificationError, nearest
from revealed.evidence.level import quantile, require_level
from revealed.models.fit import Fit

METHODS = ("delta", "krinsky-robb", "fieller")
MEANS = "means over people of each one's own worth, which the distributions of the coefficients imply"


@dataclass(frozen=True)
class Worth:
    """What one more unit of something is worth.

    Parameters
    ----------
    name : str
        As it was asked for; with a minus, one unit less.
    worth : Estimate
        In units of the cost, times the scale.
    """

    name: str
    worth: Estimate


@dataclass(frozen=True, repr=False)
class WillingnessToPay(Answer):
    """What units of attributes are worth in money.

    Parameters
    ----------
    items : tuple of Worth
    cost : str
    per : str or None
        The unit after scaling, in words, such as "hour".
    scale : float
    at : mapping
        Values of other attributes at which it was computed.
    """

    items: tuple[Worth, ...]
    cost: str
    per: str | None
    scale: float
    at: Mapping[str, float | str]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, name: str) -> Estimate:
        """Return the worth of one of the names asked for."""
        for item in self.items:
            if item.name == name:
                return item.worth
        raise SpecificationError(f"{name!r} was not asked for; {nearest(name, [item.name for item in self.items])}")

    def table(self) -> Table:
        """Return one row per name."""
        columns = (
            Column("one more", "text"),
            Column("worth"),
            Column("standard error"),
            Column("low"),
            Column("high"),
        )
        rows = tuple(
            (item.name, item.worth.value, item.worth.standard_error, item.worth.low, item.worth.high)
            for item in self.items
        )
        unit = f" per {self.per}" if self.per else ""
        return Table(
            f"Willingness to pay (in units of {self.cost}{unit})",
            columns,
            rows,
            unique(self.warnings, self.assumptions),
        )


def willingness_to_pay(
    fit: Fit,
    *names: str,
    cost: str,
    at: Mapping[str, float | str] | None = None,
    scale: float = 1.0,
    per: str | None = None,
    level: float = 0.95,
    method: str = "delta",
    options: IntervalOptions | None = None,
) -> WillingnessToPay:
    """Return what one more unit of each attribute is worth in money, positive where people would pay for it.

    Parameters
    ----------
    fit : Fit
    *names : str
        Parameters or sums of them: ``"time"``, ``"-time"`` (a unit less: the value of time), ``"alternative[car]"``,
        ``"time + 50 * time:income"``. With ``at``, attributes: all terms they enter are added up.
    cost : str
        The parameter of the cost (or the attribute, with ``at``).
    at : mapping, optional
        Values of other columns, for attributes that interact with them or enter other than linearly:
        ``{"income": 50, "alternative": "train"}``.
    scale : float
        To change units: 60 turns cost per minute into cost per hour.
    per : str, optional
        What the unit is after scaling, for headings: ``"hour"``.
    level : float
    method : {"delta", "krinsky-robb", "fieller"}
    options : IntervalOptions, optional

    Raises
    ------
    SpecificationError
        For unknown names, values of ``at`` that are missing, parameters that are not identified, or a cost
        coefficient of zero.
    """
    options = options or IntervalOptions()
    require_level(level)
    if not names:
        raise SpecificationError(f"say what the worth of is wanted, for instance '-time'; {nearest('', fit.names)}")
    if method not in METHODS:
        raise SpecificationError(f"no method {method!r} for willingness to pay; {nearest(str(method), METHODS)}")
    if not (np.isfinite(scale) and scale != 0):
        raise SpecificationError(f"scale must be a finite number other than zero, not {scale!r}")
    tops = [_coefficients(fit, name, at) for name in names]
    bottom = _coefficients(fit, cost, at)
    means = needs_means(fit, [*tops, bottom])
    if means:
        require_means(fit, tops, bottom)
    _require_identified(fit, [*tops, bottom], options)
    left_out = [_left_out(fit, name, at) for name in (*names, cost)]
    items = []
    if means:
        notes = unique(*left_out)
        worths = _means(fit, tops, bottom, level, method, options)
        items = [Worth(name, _scaled(worths[i], scale)) for i, name in enumerate(names)]
    else:
        notes = unique(_cost_notes(fit, cost, bottom, level, options), *left_out)
        for name, top in zip(names, tops, strict=True):
            worth, more = _ratio(fit, top, bottom, level, method, options)
            items.append(Worth(name, _scaled(worth, scale)))
            notes = unique(notes, [f"{name}: {note}" for note in more])
    where = f" at {', '.join(f'{key} = {value}' for key, value in at.items())}" if at else ""
    return WillingnessToPay(
        items=tuple(items),
        cost=cost,
        per=per,
        scale=scale,
        at=dict(at or {}),
        assumptions=(
            f"positive: people would pay that much for one unit more{where}; a minus asks for one unit less",
            f"for small changes, in units of {cost}" + (f", times {scale:g}" if scale != 1 else ""),
            *((MEANS,) if means else ()),
            *interval_assumptions(fit, options),
        ),
        warnings=unique(fit_warnings(fit), notes),
    )


def _means(
    fit: Fit, tops: list[np.ndarray], bottom: np.ndarray, level: float, method: str, options: IntervalOptions
) -> Estimates:
    """Return mean worths over people."""
    if method == "fieller":
        raise SpecificationError("Fieller's interval is of a ratio of two parameters, and a mean over people is none")

    def worths(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points worths"]:
        return mean_worths(fit, tops, bottom, points)

    return intervals(
        fit, worths, level=level, method={"krinsky-robb": "simulation"}.get(method, method), options=options
    )


def _coefficients(fit: Fit, name: str, at: Mapping[str, float | str] | None) -> Float[np.ndarray, " K"]:
    """Return the coefficients of the marginal utility of a name on the parameters."""
    text = name.strip()
    sign, plain = (-1.0, text[1:].strip()) if text.startswith("-") else (1.0, text)
    if at is not None and enters(fit, plain):
        return sign * marginal_utility(fit, plain, at)
    if plain not in fit.names and (terms := enters(fit, plain)):
        raise SpecificationError(
            f"{plain!r} is no parameter but enters {', '.join(terms)}; name one of these, or say at which values of "
            f"the other columns: at={{'{plain}': …}}"
        )
    form = read_linear(text, fit.names)
    if form.constant or form.is_number:
        raise SpecificationError(f"{name!r} must be a sum of parameters, without a number by itself")
    return form.coefficients


def _left_out(fit: Fit, name: str, at: Mapping[str, float | str] | None) -> list[str]:
    """Warn of terms in which an attribute enters besides the parameter of its name."""
    plain = name.strip().removeprefix("-").strip()
    others = [term for term in enters(fit, plain) if term != plain]
    if at is not None or plain not in fit.names or not others:
        return []
    return [f"{plain!r} enters {', '.join(others)} too, which this leaves out; say at which values: at={{…}}"]


def _require_identified(fit: Fit, forms: list[Float[np.ndarray, " K"]], options: IntervalOptions) -> None:
    used = np.any(forms, axis=0)
    unknown = np.isnan(np.diag(fit.covariance(options.errors))) & used
    if unknown.any():
        bad = ", ".join(np.array(fit.names, dtype=object)[unknown])
        raise SpecificationError(f"the data do not identify {bad}, so a ratio with it means nothing")


def _moments(
    fit: Fit, top: np.ndarray, bottom: np.ndarray, options: IntervalOptions
) -> tuple[float, float, float, float, float]:
    """Return numerator, denominator, their variances and covariance."""
    covariance = np.nan_to_num(fit.covariance(options.errors))
    a, b = float(top @ fit.params), float(bottom @ fit.params)
    return a, b, float(top @ covariance @ top), float(bottom @ covariance @ bottom), float(top @ covariance @ bottom)


def _cost_notes(fit: Fit, cost: str, bottom: np.ndarray, level: float, options: IntervalOptions) -> list[str]:
    b, error = float(bottom @ fit.params), _moments(fit, bottom, bottom, options)[2] ** 0.5
    if b == 0:
        raise SpecificationError(f"the coefficient of {cost!r} is zero, so nothing can be said in money")
    notes = []
    if b > 0:
        notes.append(
            f"a higher {cost!r} raises utility: with this sign the ratios are not worths; check the specification"
        )
    if error > 0 and abs(b) < quantile(level) * error:
        notes.append(
            f"the interval of {cost!r} contains zero: the ratio has no finite moments, and standard errors and delta "
            "intervals mislead; use method='fieller'"
        )
    return notes


def _ratio(
    fit: Fit, top: np.ndarray, bottom: np.ndarray, level: float, method: str, options: IntervalOptions
) -> tuple[Estimate, list[str]]:
    a, b, vaa, vbb, vab = _moments(fit, top, bottom, options)
    ratio = -a / b
    error = float(np.sqrt(max(vaa + 2 * ratio * vab + ratio**2 * vbb, 0.0)) / abs(b))
    z = quantile(level)
    notes: list[str] = []
    if method == "delta":
        low, high = ratio - z * error, ratio + z * error
    elif method == "krinsky-robb":
        draws = draws_of(fit, np.nan_to_num(fit.covariance(options.errors)), options)
        low, high = np.percentile(-(draws @ top) / (draws @ bottom), [50 * (1 - level), 50 * (1 + level)])
    else:
        low, high, notes = _fieller(a, b, vaa, vbb, vab, z)
    return Estimate(ratio, error, float(low), float(high), level, method), notes


def _fieller(a: float, b: float, vaa: float, vbb: float, vab: float, z: float) -> tuple[float, float, list[str]]:
    """Return where (a + r b)² ≤ z² var(a + r b)."""
    square, linear, constant = b**2 - z**2 * vbb, a * b - z**2 * vab, a**2 - z**2 * vaa
    inside = linear**2 - square * constant
    if square > 0:
        root = np.sqrt(max(inside, 0.0))
        return (-linear - root) / square, (-linear + root) / square, []
    if square == 0 or inside <= 0:
        return -np.inf, np.inf, ["the interval is the whole line: the data put no bounds on this worth"]
    ends = sorted(((-linear - np.sqrt(inside)) / square, (-linear + np.sqrt(inside)) / square))
    note = f"the interval has no ends: it is all but what lies between {ends[0]:.6g} and {ends[1]:.6g}"
    return -np.inf, np.inf, [note]


def _scaled(worth: Estimate, scale: float) -> Estimate:
    low, high = sorted((worth.low * scale, worth.high * scale))
    return Estimate(worth.value * scale, worth.standard_error * abs(scale), low, high, worth.level, worth.method)
