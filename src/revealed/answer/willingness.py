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
(:mod:`revealed.models.mixed.moments`); in willingness-to-pay space parameters are worths as they are. In a latent-class
logit it is the mean over classes of each one's own, by their shares, and below it each class's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer, unique
from revealed.answer.classes import Kind, kinds_of, mean_over_classes, require_shares_alike
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
from revealed.models.latent import LatentLaw

METHODS = ("delta", "krinsky-robb", "fieller")
#: What intervals of any function call one of those.
_INTERVALS = {"krinsky-robb": "simulation"}
MEANS = "means over people of each one's own worth, which the distributions of the coefficients imply"
CLASS_MEANS = "means over people of each one's own worth, where no class is named: classes by their shares"


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
        The parameter of the cost (or the attribute, with ``at``). In a latent-class logit ``"price"`` is that of each
        class: ``"local"`` is then answered by the mean over classes, and by ``"local in class 1"`` and so on. With a
        class's own, ``"class1.price"``, name its parameters: ``"class1.local"``.
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
        coefficient of zero; or for a mean over classes where one likes to pay or memberships depend on what people are.
    """
    options = options or IntervalOptions()
    require_level(level)
    if not names:
        raise SpecificationError(f"say what the worth of is wanted, for instance '-time'; {nearest('', fit.names)}")
    if method not in METHODS:
        raise SpecificationError(f"no method {method!r} for willingness to pay; {nearest(str(method), METHODS)}")
    if not (np.isfinite(scale) and scale != 0):
        raise SpecificationError(f"scale must be a finite number other than zero, not {scale!r}")
    if isinstance(fit.law, LatentLaw) and not any(name in cost for name in fit.names):
        items, notes, means = _of_classes(fit, names, cost, at, (level, method, options))
    else:
        items, notes, means = _of_everybody(fit, names, cost, at, (level, method, options))
    where = f" at {', '.join(f'{key} = {value}' for key, value in at.items())}" if at else ""
    return WillingnessToPay(
        items=tuple(Worth(name, _scaled(worth, scale)) for name, worth in items),
        cost=cost,
        per=per,
        scale=scale,
        at=dict(at or {}),
        assumptions=(
            f"positive: people would pay that much for one unit more{where}; a minus asks for one unit less",
            f"for small changes, in units of {cost}" + (f", times {scale:g}" if scale != 1 else ""),
            *means,
            *interval_assumptions(fit, options),
        ),
        warnings=unique(fit_warnings(fit), notes),
    )


#: Level, method and options of intervals.
_How = tuple[float, str, IntervalOptions]
#: Worths by name, warnings, and what the worths are means of.
_Found = tuple[list[tuple[str, Estimate]], tuple[str, ...], tuple[str, ...]]


def _of_everybody(
    fit: Fit, names: tuple[str, ...], cost: str, at: Mapping[str, float | str] | None, how: _How
) -> _Found:
    """Return worths by the coefficients that all have, or by how they differ between people."""
    level, method, options = how
    tops = [_coefficients(fit, name, at) for name in names]
    bottom = _coefficients(fit, cost, at)
    means = needs_means(fit, [*tops, bottom])
    if means:
        require_means(fit, tops, bottom)
    _require_identified(fit, [*tops, bottom], options)
    left_out = [_left_out(fit, name, at) for name in (*names, cost)]
    if means:
        worths = _means(fit, tops, bottom, level, method, options)
        return [(name, worths[i]) for i, name in enumerate(names)], unique(*left_out), (MEANS,)
    items, notes = [], unique(_cost_notes(fit, cost, bottom, level, options), *left_out)
    for name, top in zip(names, tops, strict=True):
        worth, more = _ratio(fit, top, bottom, level, method, options)
        items.append((name, worth))
        notes = unique(notes, [f"{name}: {note}" for note in more])
    return items, notes, ()


def _of_classes(fit: Fit, names: tuple[str, ...], cost: str, at: Mapping[str, float | str] | None, how: _How) -> _Found:
    """Return the mean over classes of each worth, and each class's own."""
    level, method, options = how
    kinds = kinds_of(fit)
    bottoms = [_coefficients(fit, cost, at, kind) for kind in kinds]
    tops = [[_coefficients(fit, name, at, kind) for kind in kinds] for name in names]
    require_shares_alike(fit)
    if method == "fieller":
        raise SpecificationError(
            "Fieller's interval is of a ratio of two parameters, and a mean over classes is none; name parameters of a "
            f"class ({kinds[0].prefix}…) and its cost"
        )
    for kind, bottom in zip(kinds, bottoms, strict=True):
        if bottom @ fit.params > 0:
            raise SpecificationError(
                f"a higher {cost!r} raises utility{kind.among}: that class has no worths in money, so there is no mean "
                "over classes; check the specification, or name parameters of another class and its cost"
            )
    _require_identified(fit, [*bottoms, *(top for each in tops for top in each)], options)
    notes = unique(
        *(
            _cost_notes(fit, kind.prefix + cost, at_kind, level, options)
            for kind, at_kind in zip(kinds, bottoms, strict=True)
        ),
        *(_left_out(fit, name, at, kinds[0]) for name in (*names, cost)),
    )

    def worths(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points worths"]:
        pairs = [zip(each, bottoms, strict=True) for each in tops]
        each = np.array([[-(points @ top) / (points @ bottom) for top, bottom in pair] for pair in pairs])
        mean = mean_over_classes(fit, each, points)
        return np.concatenate([mean[:, None], each], axis=1).reshape(-1, len(points)).T

    found = intervals(fit, worths, level=level, method=_INTERVALS.get(method, method), options=options)
    labels = [name + among for name in names for among in ("", *(kind.among for kind in kinds))]
    return [(label, found[i]) for i, label in enumerate(labels)], notes, (CLASS_MEANS,)


def _means(
    fit: Fit, tops: list[np.ndarray], bottom: np.ndarray, level: float, method: str, options: IntervalOptions
) -> Estimates:
    """Return mean worths over people."""
    if method == "fieller":
        raise SpecificationError("Fieller's interval is of a ratio of two parameters, and a mean over people is none")

    def worths(points: Float[np.ndarray, "points K"]) -> Float[np.ndarray, "points worths"]:
        return mean_worths(fit, tops, bottom, points)

    return intervals(fit, worths, level=level, method=_INTERVALS.get(method, method), options=options)


def _coefficients(
    fit: Fit, name: str, at: Mapping[str, float | str] | None, kind: Kind | None = None
) -> Float[np.ndarray, " K"]:
    """Return the coefficients of the marginal utility of a name on the parameters, on those of a class if given."""
    prefix = "" if kind is None else kind.prefix
    names = fit.names if kind is None else kind.law.names
    sign, plain, column = _meant(name, names)
    text = f"-{plain}" if sign < 0 else plain
    if kind is not None and (own := [known for known in fit.names if known in text]):
        raise SpecificationError(
            f"{own[0]!r} is of one class: then give the cost of that class too, such as class1.price"
        )
    if at is not None and enters(fit, column):
        return sign * marginal_utility(fit, column, at, prefix)
    if plain not in names and (terms := enters(fit, column)):
        if kind is None and isinstance(fit.law, LatentLaw):
            raise SpecificationError(
                f"each class has its own coefficient of {plain!r}: name that of a class, such as class1.{terms[0]}, or "
                "give a cost of no class"
            )
        raise SpecificationError(
            f"{plain!r} is no parameter but enters {', '.join(terms)}; name one of these, or say at which values of "
            f"the other columns: at={{'{plain}': …}}"
        )
    form = read_linear(text, names)
    if form.constant or form.is_number:
        raise SpecificationError(f"{name!r} must be a sum of parameters, without a number by itself")
    result = np.zeros(len(fit.names))
    result[[fit.index(prefix + known) for known in names]] = form.coefficients
    return result


def _meant(name: str, names: Sequence[str]) -> tuple[float, str, str]:
    """Return the sign, the parameter and the column that a name stands for; a single name may go without backticks."""
    text = name.strip()
    sign, plain = (-1.0, text[1:].strip()) if text.startswith("-") else (1.0, text)
    column = plain.strip("`")
    return sign, f"`{column}`" if f"`{column}`" in names else plain, column


def _left_out(fit: Fit, name: str, at: Mapping[str, float | str] | None, kind: Kind | None = None) -> list[str]:
    """Warn of terms in which an attribute enters besides the parameter of its name."""
    names = fit.names if kind is None else kind.law.names
    _, plain, column = _meant(name, names)
    others = [term for term in enters(fit, column) if term != plain]
    if at is not None or plain not in names or not others:
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
