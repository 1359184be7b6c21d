"""The marginal utility of an attribute at given values of the others. Imports models to choices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from revealed.answer.classes import utility_designs
from revealed.answer.money import variables_of
from revealed.choices.expression import Labels, evaluate, names_in
from revealed.choices.levels import label_of
from revealed.errors import SpecificationError
from revealed.models.design import Indicator, Numeric
from revealed.models.fit import Fit


def enters(fit: Fit, attribute: str) -> list[str]:
    """Return the terms of the utility that a column enters as a number."""
    columns = [column for design in utility_designs(fit) for column in design.columns]
    return [column.name for column in columns if attribute in variables_of(column.factors)]


def marginal_utility(
    fit: Fit, attribute: str, at: Mapping[str, float | str], prefix: str = ""
) -> Float[np.ndarray, " K"]:
    """Return what each parameter counts for in the derivative of the utility with respect to an attribute.

    Parameters
    ----------
    fit : Fit
    attribute : str
        A column in the utility.
    at : mapping
        Values of the columns that the terms need: those it interacts with, and its own if a term is not linear in it.
    prefix : str
        Of a class, whose parameters' names begin with it (``class1.``).

    Raises
    ------
    SpecificationError
        If a value is missing or of the wrong kind.
    """
    known = {fit.data.columns.roles().get(name, name): value for name, value in at.items()}
    result = np.zeros(len(fit.names))
    for design in utility_designs(fit):
        for column in design.columns:
            if attribute in variables_of(column.factors) and prefix + column.name in fit.names:
                result[fit.index(prefix + column.name)] = _derivative(column.factors, attribute, known)
    return result


def _derivative(factors: tuple[Numeric | Indicator, ...], attribute: str, at: Mapping[str, float | str]) -> float:
    """Return the derivative of a product of factors: each one's, times the others."""
    total = 0.0
    for index, factor in enumerate(factors):
        if isinstance(factor, Numeric) and attribute in names_in(factor.expression):
            others = [_value(other, at) for place, other in enumerate(factors) if place != index]
            total += _slope(factor, attribute, at) * float(np.prod(others))
    return total


def _slope(factor: Numeric, attribute: str, at: Mapping[str, float | str]) -> float:
    if factor.expression in (attribute, f"`{attribute}`"):
        return 1.0
    here = _number(_of(attribute, at), attribute)
    step = 1e-5 * max(abs(here), 1e-3)
    up, down = (_value(factor, {**at, attribute: here + sign * step}) for sign in (1, -1))
    return (up - down) / (2 * step)


def _value(factor: Numeric | Indicator, at: Mapping[str, float | str]) -> float:
    if isinstance(factor, Indicator):
        return float(label_of(_of(factor.column, at)) in factor.levels)

    def lookup(name: str) -> np.ndarray | Labels:
        value = _of(name, at)
        if isinstance(value, str):
            return Labels(np.zeros(1, np.int64), (value,), strict=False)
        return np.array([float(value)])

    value = float(np.asarray(evaluate(factor.expression, lookup)).reshape(-1)[0])
    if not np.isfinite(value):
        raise SpecificationError(f"{factor.expression} has no finite value at {dict(at)}; give other values")
    return value


def _of(name: str, at: Mapping[str, float | str]) -> float | str:
    if name not in at:
        raise SpecificationError(f"the worth depends on {name!r}; say at which value: at={{'{name}': …}}")
    return at[name]


def _number(value: float | str, name: str) -> float:
    if isinstance(value, str):
        raise SpecificationError(f"the value of {name!r} must be a number, not {value!r}")
    return float(value)
