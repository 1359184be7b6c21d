r"""How well a model fits: log-likelihoods, information criteria, pseudo rho². Imports models to choices.

With :math:`\ell` the log-likelihood at the estimates, :math:`\ell_0` at equal chances, :math:`\ell_c` with alternative
constants only, :math:`K` estimated parameters and :math:`n` choices:

- McFadden (1974): :math:`\rho^2 = 1 - \ell/\ell_0`; adjusted (Ben-Akiva and Lerman 1985)
  :math:`\bar\rho^2 = 1 - (\ell - K)/\ell_0`;
- Akaike (1974): :math:`2K - 2\ell`; corrected (Hurvich and Tsai 1989): :math:`+\,2K(K+1)/(n-K-1)`;
- Bayesian (Schwarz 1978): :math:`K\log n - 2\ell`; consistent (Bozdogan 1987): :math:`K(\log n + 1) - 2\ell`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from revealed.answer.base import Answer, unique
from revealed.answer.interval import fit_warnings
from revealed.answer.population import in_memory
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models.fit import DataSummary, Fit

#: A constant this low makes a probability vanish: for alternatives nobody chose.
_NEVER = -40.0

_NEEDS_LOG = "choice sets differ, so the log-likelihood with constants only takes the log: goodness(fit, log)"


@dataclass(frozen=True, repr=False)
class Goodness(Answer):
    """How well a model fits.

    Parameters
    ----------
    n : float
        Choices: choice situations, or counted choices in a log of counts.
    n_params : int
        Estimated parameters, K.
    log_likelihood, null_log_likelihood : float
        At the estimates, and at equal chances.
    constants_log_likelihood : float or None
        With alternative constants only; None when not known without the log.
    likelihood_ratio, likelihood_ratio_p_value : float
        Twice the gain over equal chances, and its p-value with K degrees of freedom.
    rho_squared, adjusted_rho_squared : float
        McFadden's, against equal chances.
    rho_squared_constants : float or None
        Against constants only.
    aic, aicc, bic, caic : float
        Information criteria; lower is better. ``aicc`` is NaN when there are no more choices than parameters.
    """

    n: float
    n_params: int
    log_likelihood: float
    null_log_likelihood: float
    constants_log_likelihood: float | None
    likelihood_ratio: float
    likelihood_ratio_p_value: float
    rho_squared: float
    adjusted_rho_squared: float
    rho_squared_constants: float | None
    aic: float
    aicc: float
    bic: float
    caic: float
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return one row per figure."""
        values = {name: getattr(self, name) for name in _HEADINGS}
        rows = [(_HEADINGS[name], shown(name, value)) for name, value in values.items() if value is not None]
        columns = (Column("figure", "text"), Column("value", "text"))
        return Table("Goodness of fit", columns, tuple(rows), unique(self.warnings, self.assumptions))


def shown(name: str, value: float) -> str:
    """Return a figure with the decimals that are usual for it; the figures of one table have little in common."""
    if name in ("n", "n_params", "choices", "estimated parameters"):
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
    return f"{value:.4f}" if "rho" in name else f"{value:,.3f}"


_HEADINGS = {
    "n": "choices",
    "n_params": "estimated parameters",
    "log_likelihood": "log-likelihood",
    "null_log_likelihood": "log-likelihood at equal chances",
    "constants_log_likelihood": "log-likelihood with constants only",
    "likelihood_ratio": "likelihood ratio against equal chances",
    "rho_squared": "rho²",
    "adjusted_rho_squared": "adjusted rho²",
    "rho_squared_constants": "rho² against constants only",
    "aic": "AIC",
    "aicc": "AICc",
    "bic": "BIC",
    "caic": "CAIC",
}


def goodness(fit: Fit, log: ChoiceLog | None = None) -> Goodness:
    """Return log-likelihoods, information criteria and pseudo rho² of a fit.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog, optional
        The log it was fitted to. Only where choice sets differ is it needed, for the log-likelihood with constants
        only, which then has no closed form.

    Raises
    ------
    SpecificationError
        If the log is not the one of the fit.
    """
    data, k, value = fit.data, fit.n_free, fit.log_likelihood
    null = data.null_log_likelihood
    n = data.n_choices if data.counts else float(data.n_cases)
    constants = _constants_only(fit, log)
    notes = () if constants is not None else (_NEEDS_LOG,)
    alone = () if null else ("every choice situation offers one alternative only: there is no choice to explain",)
    ratio = 2 * (value - null)
    return Goodness(
        n=n,
        n_params=k,
        log_likelihood=value,
        null_log_likelihood=null,
        constants_log_likelihood=constants,
        likelihood_ratio=ratio,
        likelihood_ratio_p_value=float(chdtrc(k, ratio)) if k and ratio >= 0 else 1.0,
        rho_squared=1 - value / null if null else float("nan"),
        adjusted_rho_squared=1 - (value - k) / null if null else float("nan"),
        rho_squared_constants=1 - value / constants if constants else None,
        aic=2 * k - 2 * value,
        aicc=2 * k - 2 * value + 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else float("nan"),
        bic=float(k * np.log(n) - 2 * value),
        caic=float(k * (np.log(n) + 1) - 2 * value),
        assumptions=("criteria compare models of the same choices only", *notes),
        warnings=unique(fit_warnings(fit), alone),
    )


def _constants_only(fit: Fit, log: ChoiceLog | None) -> float | None:
    """Return the log-likelihood of a logit with a constant per alternative, None where it needs the log."""
    data = fit.data
    shares = np.array(data.shares)
    if _all_sets_full(data):
        taken = shares[shares > 0]
        return float(data.n_choices * (taken @ np.log(taken)))
    if log is None:
        return None
    log = in_memory(log)
    null = log.facts.null_log_likelihood
    if log.n_cases != data.n_cases or not np.isclose(null, data.null_log_likelihood, rtol=1e-9):
        raise SpecificationError(f"{log.source} is not the log of the fit, which was {data.source}")
    if len(data.alternatives) < 2:
        return 0.0
    from revealed.models.logit import Logit

    largest = data.alternatives[int(shares.argmax())]
    utility = {label: "0" if label == largest else "asc" for label in data.alternatives}
    never = {f"asc[{label}]": _NEVER for label, share in zip(data.alternatives, shares, strict=True) if not share}
    return Logit(utility, fixed=never).fit(log, errors="classic").log_likelihood


def _all_sets_full(data: DataSummary) -> bool:
    """Whether every choice situation offers every alternative: only then is the null log-likelihood so low."""
    lowest = -data.n_choices * np.log(len(data.alternatives))
    return bool(np.isclose(data.null_log_likelihood, lowest, rtol=1e-12, atol=0))
