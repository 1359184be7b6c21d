"""Money where coefficients differ between people, or are worths already. Imports models to choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.models.fit import Fit
from revealed.models.mixed.coefficients import Coefficients
from revealed.models.mixed.law import MixedLaw
from revealed.models.mixed.moments import mean, mean_worth, require_mean_of_inverse
from revealed.models.mixed.worth import WorthCoefficients


def cost_differs(fit: Fit, columns: Sequence[str]) -> bool:
    """Return whether the coefficient of one of some design columns differs between people."""
    if not isinstance(fit.law, MixedLaw):
        return any(fit.model.spread_of(name) for name in columns)
    return any(name in fit.law.coefficients.random for name in columns)


def worth_in(fit: Fit) -> str:
    """Return the cost in units of which the parameters of a fit are worths, empty where they are utilities."""
    found = fit.law.coefficients if isinstance(fit.law, MixedLaw) else None
    return found.cost if isinstance(found, WorthCoefficients) else ""


def require_worth_in(fit: Fit, columns: Sequence[str]) -> None:
    """Raise SpecificationError where worths are in one cost, and money is to be another."""
    cost = worth_in(fit)
    if cost and list(columns) != [cost]:
        raise SpecificationError(
            f"the parameters of this fit are worths in {cost!r} (worth_in), so that alone can be money here, not "
            f"{', '.join(columns)}"
        )


def distributions(fit: Fit) -> Coefficients:
    """Return which coefficients (or worths) of a mixed logit differ between people.

    Raises
    ------
    SpecificationError
        For another model.
    """
    if not isinstance(fit.law, MixedLaw):
        raise SpecificationError(f"a {fit.model.title.lower()} does not say how coefficients differ between people")
    found = fit.law.coefficients
    return found.plain if isinstance(found, WorthCoefficients) else found


def needs_means(fit: Fit, forms: Sequence[Float[np.ndarray, " K"]]) -> bool:
    """Return whether a worth is a mean over people that is no ratio of parameters.

    Parameters
    ----------
    fit : Fit
    forms : sequence of ndarray of float64, shape (K,)
        Coefficients of sums of parameters; the last is the cost.
    """
    if not isinstance(fit.law, MixedLaw):
        return False
    if worth_in(fit):
        return True
    used = [set(_used(fit, form)) for form in forms]
    skewed = {
        name for name, family in distributions(fit).random.items() if family.startswith(("lognormal", "truncated"))
    }
    return any(form & skewed for form in used) or bool(used[-1] & set(distributions(fit).random))


def require_means(fit: Fit, forms: Sequence[Float[np.ndarray, " K"]], cost: Float[np.ndarray, " K"]) -> None:
    """Raise unless sums of coefficients have a mean worth over people.

    Raises
    ------
    SpecificationError
        If a form holds a parameter that is no coefficient, or the cost more than one; or if there is no mean.
    """
    spec = distributions(fit)
    for form in (*forms, cost):
        for name in _used(fit, form):
            if name not in spec.columns:
                raise SpecificationError(f"{name!r} is no coefficient but tells how one differs between people")
    money = _used(fit, cost)
    require_worth_in(fit, money)
    if len(money) != 1:
        raise SpecificationError(
            f"coefficients differ between people, and then the cost must be one of them, not {' + '.join(money)}"
        )
    if not worth_in(fit):
        require_mean_of_inverse(spec, fit.params, money[0])


def mean_worths(
    fit: Fit,
    forms: Sequence[Float[np.ndarray, " K"]],
    cost: Float[np.ndarray, " K"],
    points: Float[np.ndarray, "points K"],
) -> Float[np.ndarray, "points worths"]:
    """Return the mean over people of what sums of coefficients are worth; see :func:`require_means`.

    Parameters
    ----------
    fit : Fit
        Of a mixed logit.
    forms : sequence of ndarray of float64, shape (K,)
        What each coefficient counts for.
    cost : ndarray of float64, shape (K,)
        The same, of the cost.
    points : ndarray of float64, shape (points, K)
    """
    spec, space, money = distributions(fit), worth_in(fit), _used(fit, cost)[0]
    result = np.zeros((len(points), len(forms)))
    for w, form in enumerate(forms):
        for name in _used(fit, form):
            value = float(form[fit.index(name)])
            if name == money:
                result[:, w] -= value  # a unit more of it costs a unit
            else:
                each = [mean(spec, at, name) if space else mean_worth(spec, at, name, money) for at in points]
                result[:, w] += value * np.array(each)
    return np.asarray(result / cost[fit.index(money)])


def _used(fit: Fit, form: Float[np.ndarray, " K"]) -> list[str]:
    return [name for name, value in zip(fit.names, form, strict=True) if value]
