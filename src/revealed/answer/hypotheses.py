r"""Tests of hypotheses on the parameters: Wald and likelihood ratio. Imports models to choices.

Wald (1943): for :math:`R\theta = q` with covariance :math:`V`,
:math:`W = (R\hat\theta-q)^\top (R V R^\top)^{-1} (R\hat\theta-q) \sim \chi^2_{\operatorname{rank} R}`; with a robust or
clustered covariance it holds for dependent or misspecified choices too. Likelihood ratio (Wilks 1938):
:math:`2(\ell_1-\ell_0) \sim \chi^2` with as many degrees of freedom as parameters are given up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import chdtrc

from revealed.answer.base import Answer, unique
from revealed.answer.interval import fit_warnings
from revealed.answer.linear import split_equation
from revealed.answer.table import Column, Table
from revealed.errors import SpecificationError
from revealed.models.fit import Fit


@dataclass(frozen=True)
class Restriction:
    """One restriction: how far the estimates are from it.

    Parameters
    ----------
    text : str
    difference : float
        The left side less the right, zero if it held exactly.
    standard_error : float
    z : float
    p_value : float
        Of this restriction alone, two-sided.
    """

    text: str
    difference: float
    standard_error: float
    z: float
    p_value: float


@dataclass(frozen=True, repr=False)
class WaldTest(Answer):
    """A Wald test of linear restrictions.

    Parameters
    ----------
    restrictions : tuple of Restriction
    statistic : float
    degrees_of_freedom : int
    p_value : float
        Of all restrictions together.
    errors : str
        The covariance it used.
    """

    restrictions: tuple[Restriction, ...]
    statistic: float
    degrees_of_freedom: int
    p_value: float
    errors: str
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return one row per restriction, and one for all together."""
        columns = (
            Column("hypothesis", "text"),
            Column("difference"),
            Column("standard error"),
            Column("statistic", "statistic"),
            Column("degrees of freedom", "integer"),
            Column("p-value", "p-value"),
        )
        rows: list[tuple[str | float | int | None, ...]] = [
            (item.text, item.difference, item.standard_error, item.z**2, 1, item.p_value) for item in self.restrictions
        ]
        if len(rows) > 1:
            rows.append(("all together", None, None, self.statistic, self.degrees_of_freedom, self.p_value))
        return Table(f"Wald test ({self.errors} errors)", columns, tuple(rows), unique(self.warnings, self.assumptions))


@dataclass(frozen=True, repr=False)
class LikelihoodRatioTest(Answer):
    """A likelihood-ratio test of a restricted fit against a full one.

    Parameters
    ----------
    statistic : float
    degrees_of_freedom : int
    p_value : float
    log_likelihood, restricted_log_likelihood : float
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    log_likelihood: float
    restricted_log_likelihood: float
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return the test as a row."""
        columns = (
            Column("log-likelihood"),
            Column("restricted"),
            Column("statistic", "statistic"),
            Column("degrees of freedom", "integer"),
            Column("p-value", "p-value"),
        )
        numbers = (self.log_likelihood, self.restricted_log_likelihood, self.statistic)
        row = (*numbers, self.degrees_of_freedom, self.p_value)
        return Table("Likelihood-ratio test", columns, (row,), unique(self.warnings, self.assumptions))


def wald_test(fit: Fit, *hypotheses: str, errors: str | None = None) -> WaldTest:
    """Test linear hypotheses on the parameters, jointly.

    Parameters
    ----------
    fit : Fit
    *hypotheses : str
        Such as ``"cost = time"``, ``"cost + 2*time = 0"``, ``"alternative[car] = alternative[bus] = 0"``; without an
        equals sign, "= 0" is meant. Several are tested together.
    errors : {"classic", "robust", "clustered"}, optional
        The covariance; by default the one the fit shows.

    Raises
    ------
    SpecificationError
        For text that cannot be read, unknown parameters, restrictions that are redundant or contradict each other, or
        ones that no estimated parameter enters.
    """
    if not hypotheses:
        raise SpecificationError("say what to test, for instance wald_test(fit, 'cost = time')")
    texts, coefficients, targets = _restrictions(hypotheses, fit.names)
    covariance = fit.covariance(errors)
    _require_estimated(fit, covariance, coefficients, texts)
    gap = coefficients @ fit.params - targets
    known = np.where(np.isnan(covariance), 0.0, covariance)
    spread = coefficients @ known @ coefficients.T
    error = np.sqrt(np.diag(spread))
    scaled = spread / error / error[:, None]
    if np.linalg.cond(scaled) > 1e12:
        raise SpecificationError(
            f"the hypotheses {', '.join(map(repr, texts))} repeat or contradict each other; drop one of them"
        )
    z = gap / error
    statistic = float(z @ np.linalg.solve(scaled, z))
    single = chdtrc(1.0, z**2)
    restrictions = tuple(
        Restriction(text, float(gap[i]), float(error[i]), float(z[i]), float(single[i])) for i, text in enumerate(texts)
    )
    kind = errors or fit.errors
    return WaldTest(
        restrictions,
        statistic,
        len(texts),
        float(chdtrc(len(texts), statistic)),
        kind,
        (f"estimates are normal in large samples, with the {kind} covariance",),
        tuple(fit_warnings(fit)),
    )


def likelihood_ratio_test(fit: Fit, restricted: Fit) -> LikelihoodRatioTest:
    """Test a restricted fit against a full one on the same choices.

    Parameters
    ----------
    fit : Fit
        The full model.
    restricted : Fit
        A special case of it: terms left out, coefficients set equal or fixed.

    Raises
    ------
    SpecificationError
        If the fits are of different choices, the restricted one has not fewer free parameters or a higher
        log-likelihood (it is then no special case), or a prior or ridge was used.
    """
    _require_same_choices(fit, restricted)
    freedom = fit.n_free - restricted.n_free
    if freedom <= 0:
        raise SpecificationError(
            f"the restricted fit has {restricted.n_free} free parameters and the full one {fit.n_free}: it must have "
            "fewer" + ("; the two are given in the wrong order" if freedom < 0 else "")
        )
    if fit.prior is not None or restricted.prior is not None:
        raise SpecificationError("a likelihood ratio needs maxima of the likelihood; fit both without prior and ridge")
    full, part = fit.log_likelihood, restricted.log_likelihood
    if part > full + 1e-6 * max(1.0, abs(full) * 1e-6):
        raise SpecificationError(
            f"the restricted fit has the higher log-likelihood ({part:.6f} against {full:.6f}), so it is no special "
            "case of the other, or the other did not converge"
        )
    statistic = max(2 * (full - part), 0.0)
    return LikelihoodRatioTest(
        statistic,
        freedom,
        float(chdtrc(freedom, statistic)),
        full,
        part,
        (
            "the restricted model is a special case of the full one",
            "choice situations are independent and the full model is right; if not, use wald_test with robust errors",
        ),
        unique(fit_warnings(fit), fit_warnings(restricted), _ratio_warnings(fit, restricted)),
    )


def same_choices(fit: Fit, other: Fit) -> bool:
    """Whether two fits are of the same choices, as far as their summaries tell."""
    a, b = fit.data, other.data
    return (a.n_cases, a.n_rows, a.n_choices, a.alternatives, a.counts) == (
        b.n_cases,
        b.n_rows,
        b.n_choices,
        b.alternatives,
        b.counts,
    ) and bool(
        np.allclose(a.shares, b.shares, rtol=0, atol=1e-12)
        and np.isclose(a.null_log_likelihood, b.null_log_likelihood, rtol=1e-12)
    )


def _restrictions(
    hypotheses: tuple[str, ...], names: tuple[str, ...]
) -> tuple[list[str], Float[np.ndarray, "R K"], Float[np.ndarray, " R"]]:
    texts: list[str] = []
    rows: list[np.ndarray] = []
    targets: list[float] = []
    for text in hypotheses:
        sides = split_equation(text, names)
        if len(sides) == 1:
            sides, text = [sides[0], sides[0] * 0.0], f"{text.strip()} = 0"
        chained = len(sides) > 2
        for number, right in enumerate(sides[1:], 1):
            gap = sides[0] - right
            if gap.is_number:
                raise SpecificationError(
                    f"the hypothesis {text!r} holds no parameter; write for instance 'cost = time'"
                )
            texts.append(f"{text.strip()} ({number})" if chained else text.strip())
            rows.append(gap.coefficients)
            targets.append(-gap.constant)
    return texts, np.array(rows), np.array(targets)


def _require_estimated(
    fit: Fit, covariance: Float[np.ndarray, "K K"], coefficients: Float[np.ndarray, "R K"], texts: list[str]
) -> None:
    used = coefficients.any(axis=0)
    hidden = [name for name, bad in zip(fit.names, np.isnan(np.diag(covariance)) & used, strict=True) if bad]
    if hidden:
        raise SpecificationError(f"the data do not identify {', '.join(hidden)}, so nothing can be tested on it")
    known = np.where(np.isnan(covariance), 0.0, covariance)
    for text, row in zip(texts, coefficients, strict=True):
        if not row @ known @ row > 0:
            raise SpecificationError(
                f"the hypothesis {text!r} is on parameters that were fixed or stand at a bound: nothing to test"
            )


def _require_same_choices(fit: Fit, restricted: Fit) -> None:
    if not same_choices(fit, restricted):
        a, b = fit.data, restricted.data
        raise SpecificationError(
            f"the fits are of different choices ({a.source}: {a.n_cases:,} cases, {b.source}: {b.n_cases:,} cases, "
            f"log-likelihood at equal chances {a.null_log_likelihood:.3f} and {b.null_log_likelihood:.3f}); "
            "fit both on the same log"
        )


def _ratio_warnings(fit: Fit, restricted: Fit) -> list[str]:
    notes = []
    bound = unique(fit.status.at_bound, restricted.status.at_bound)
    if bound:
        notes.append(
            f"{', '.join(bound)} at a bound: the statistic is no plain chi-square and the p-value is too large"
        )
    new = [name for name, free in zip(restricted.names, restricted.free, strict=True) if free and name not in fit.names]
    if new:
        notes.append(
            f"{', '.join(new)} of the restricted fit is no parameter of the full one; make sure it is a special case"
        )
    if fit.errors == "clustered":
        notes.append("choices of one person are dependent, which the ratio does not know; wald_test does")
    return notes
