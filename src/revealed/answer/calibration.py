r"""Whether predicted probabilities come true: scores, calibration, market shares. Imports models to choices.

For each case with choices :math:`y_{ni}` and predictions :math:`p_{ni}`: the log score :math:`\log p` of what was
chosen; the Brier score :math:`\sum_i (y_{ni} - p_{ni})^2` (Brier 1950); the share of cases whose most probable
alternative was chosen. For calibration, rows are put into bins of predicted probability. Choices of a case exclude each
other, so the gaps :math:`d_b = \sum (y - p)` of the bins have, if the model is right, covariance
:math:`V = \sum_n w_n^2 m_n(\operatorname{diag} q_n - q_n q_n^\top)` with :math:`q_{nb} = \sum_{i \in b} p_{ni}`; the
statistic :math:`d^\top V^- d` is chi-square with as many degrees of freedom as :math:`V` has rank. It is the
goodness-of-fit test of Hosmer and Lemeshow (1980) with the covariance of multinomial choices, for choices that were not
used to fit; on those that were, it is too small. Where persons choose more than once their choices may depend on each
other: the statistic is then divided by the mean design effect, the trace of :math:`V^- \sum_p d_p d_p^\top` over the
rank (Rao and Scott 1981).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import chdtrc

from revealed.answer.base import Answer, require_whole, unique
from revealed.answer.interval import fit_warnings
from revealed.answer.population import in_memory, population_of
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.evidence.level import quantile, require_level
from revealed.models.fit import Fit

#: Cases whose probabilities by bin are held at a time.
_CASES_AT_ONCE = 100_000

HIT_RATE_NOTE = (
    "the hit rate rewards only the most probable alternative: it is high for whoever predicts the market leader each "
    "time, and says nothing of probabilities; compare log scores"
)


@dataclass(frozen=True)
class Bin:
    """Rows with predicted probabilities alike.

    Parameters
    ----------
    low, high : float
        The predicted probabilities it spans.
    n : float
        Weighted rows.
    predicted, observed : float
        Mean predicted probability, and the share chosen.
    observed_low, observed_high : float
        Wilson's (1927) binomial interval of the share.
    """

    low: float
    high: float
    n: float
    predicted: float
    observed: float
    observed_low: float
    observed_high: float


@dataclass(frozen=True)
class MarketShare:
    """Predicted and observed share of an alternative.

    Parameters
    ----------
    alternative : str
    predicted, observed : float
    standard_error : float
        Of their difference by chance, if the model is right.
    """

    alternative: str
    predicted: float
    observed: float
    standard_error: float


@dataclass(frozen=True)
class Scores:
    """How well choices were predicted.

    Parameters
    ----------
    n_cases : int
    n_choices : float
        Weighted.
    log_likelihood, null_log_likelihood : float
        Per choice: of the predictions, and of equal chances.
    standard_error : float
        Of the log-likelihood per choice, by decision maker.
    rho_squared : float
        One less their ratio; NaN where nothing could be chosen.
    hit_rate : float
        The share of choices that fell on the most probable alternative; ties count in parts.
    brier : float
        Between 0 and 2, lower is better.
    """

    n_cases: int
    n_choices: float
    log_likelihood: float
    null_log_likelihood: float
    standard_error: float
    rho_squared: float
    hit_rate: float
    brier: float


@dataclass(frozen=True, repr=False)
class Calibration(Answer):
    """Whether predicted probabilities come true.

    Parameters
    ----------
    scores : Scores
    bins : tuple of Bin
    expected_calibration_error : float
        Mean distance of predicted and observed over rows, as bins show it.
    statistic : float
    degrees_of_freedom : int
    p_value : float
        Of the test that observed and predicted differ by chance alone.
    shares : tuple of MarketShare
    """

    scores: Scores
    bins: tuple[Bin, ...]
    expected_calibration_error: float
    statistic: float
    degrees_of_freedom: int
    p_value: float
    shares: tuple[MarketShare, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return one row per bin of predicted probability."""
        columns = (
            Column("predicted from", "share"),
            Column("to", "share"),
            Column("rows"),
            Column("predicted", "share"),
            Column("observed", "share"),
            Column("low", "share"),
            Column("high", "share"),
        )
        rows = tuple((b.low, b.high, b.n, b.predicted, b.observed, b.observed_low, b.observed_high) for b in self.bins)
        test = (
            f"expected calibration error {self.expected_calibration_error:.4f}; chi-square {self.statistic:.2f} with "
            f"{self.degrees_of_freedom} degrees of freedom, p = {self.p_value:.3g}"
        )
        return Table("Calibration", columns, rows, unique(self.warnings, [test], self.assumptions))

    def shares_table(self) -> Table:
        """Return one row per alternative: predicted and observed market share."""
        columns = (
            Column("alternative", "text"),
            Column("predicted", "share"),
            Column("observed", "share"),
            Column("difference", "share"),
            Column("standard error", "share"),
        )
        rows = tuple(
            (s.alternative, s.predicted, s.observed, s.observed - s.predicted, s.standard_error) for s in self.shares
        )
        return Table("Market shares", columns, rows)


def calibrate(fit: Fit, log: ChoiceLog, *, bins: int = 10, level: float = 0.95) -> Calibration:
    """Compare the predictions of a fit with what was chosen in a log.

    Parameters
    ----------
    fit : Fit
    log : ChoiceLog
        Best one that was not used to fit; see :func:`revealed.answer.validation.validate`.
    bins : int
        Bins of predicted probability, with about equally many rows each.
    level : float
        Of the intervals of observed shares.
    """
    log = in_memory(log)
    warnings = list(fit_warnings(fit))
    if same_log(fit, log):
        warnings.append("these are the choices the model was fitted to: it looks better on them than it is")
    return calibration_of(log, fit.probabilities(log), bins=bins, level=level, warnings=tuple(warnings))


def calibration_of(
    log: ChoiceLog,
    probability: Float[np.ndarray, " rows"],
    *,
    bins: int = 10,
    level: float = 0.95,
    warnings: tuple[str, ...] = (),
) -> Calibration:
    """Compare predicted probabilities with what was chosen in a log, whoever predicted them."""
    require_level(level)
    require_whole(bins, "bins", 2)
    population_of(log)  # refuses a log that weighs nothing
    usable = np.flatnonzero(np.ones(log.n_rows, bool) if log.available is None else log.available)
    codes = np.full(log.n_rows, -1)
    codes[usable] = _bins_of(probability[usable], bins)
    statistic, rank = _chi_square(log, probability, codes)
    found = _read_bins(log, probability, codes, level)
    size = sum(item.n for item in found)
    impossible = int((log.chosen > 0)[probability == 0].sum())
    notes = [f"{impossible:,} choices had predicted probability zero"] if impossible else []
    return Calibration(
        scores=scores_of(log, probability),
        bins=found,
        expected_calibration_error=sum(item.n * abs(item.observed - item.predicted) for item in found) / size,
        statistic=statistic,
        degrees_of_freedom=rank,
        p_value=float(chdtrc(rank, statistic)) if rank else 1.0,
        shares=_market_shares(log, probability),
        assumptions=(
            f"{'persons' if _of_persons(log) else 'choice situations'} are independent of each other",
            "the intervals of observed shares take the rows of a bin as independent",
            HIT_RATE_NOTE,
        ),
        warnings=unique(warnings, notes),
    )


def scores_of(log: ChoiceLog, probability: Float[np.ndarray, " rows"]) -> Scores:
    """Return how well predicted probabilities foresaw what was chosen."""
    weight, starts = _case_weight(log), log.offsets[:-1]
    choices = log.choices_per_case
    total = float((weight * choices).sum())
    with np.errstate(divide="ignore"):
        gains = np.where(log.chosen > 0, log.chosen * np.log(np.where(log.chosen > 0, probability, 1.0)), 0.0)
    per_case = np.add.reduceat(gains, starts) * weight
    # A choice of i scores 1 - 2 p_i + sum p²: sums over the counts of a case need no loop over choices.
    squares = np.add.reduceat(probability**2, starts) * choices
    brier = choices - 2 * np.add.reduceat(log.chosen * probability, starts) + squares
    best = probability == np.repeat(np.maximum.reduceat(probability, starts), log.sizes)
    hits = np.add.reduceat(log.chosen * best, starts) / np.add.reduceat(best, starts, dtype=np.float64)
    mean, null = per_case.sum() / total, log.facts.null_log_likelihood / total
    with np.errstate(invalid="ignore"):  # a choice of probability zero makes the mean minus infinity
        deviations = per_case - mean * weight * choices
    return Scores(
        n_cases=log.n_cases,
        n_choices=total,
        log_likelihood=float(mean),
        null_log_likelihood=float(null),
        standard_error=_standard_error(log, deviations) / total,
        rho_squared=float(1 - mean / null) if null else float("nan"),
        hit_rate=float((hits * weight).sum() / total),
        brier=float((brier * weight).sum() / total),
    )


def _market_shares(log: ChoiceLog, probability: Float[np.ndarray, " rows"]) -> tuple[MarketShare, ...]:
    weight, choices = _case_weight(log), log.choices_per_case
    total, labels = float((weight * choices).sum()), log.facts.levels.labels
    by_row = np.repeat(weight, log.sizes)
    size = by_row * np.repeat(choices, log.sizes)

    def by_alternative(values: Float[np.ndarray, " rows"]) -> list[float]:
        sums: list[float] = np.bincount(log.alternative_codes, values, len(labels)).tolist()
        return sums

    predicted, observed = by_alternative(size * probability), by_alternative(by_row * log.chosen)
    variance = by_alternative(by_row * size * probability * (1 - probability))
    return tuple(
        MarketShare(label, p / total, o / total, float(np.sqrt(v)) / total)
        for label, p, o, v in zip(labels, predicted, observed, variance, strict=True)
    )


def same_log(fit: Fit, log: ChoiceLog) -> bool:
    """Whether a log is the one of a fit, as far as the fit's summary tells."""
    facts = log.facts
    shares = tuple(facts.chosen[label] / facts.n_choices for label in facts.levels.labels)
    return (fit.data.n_cases, fit.data.n_rows, fit.data.alternatives, fit.data.shares) == (
        facts.n_cases,
        facts.n_rows,
        facts.levels.labels,
        shares,
    )


def _case_weight(log: ChoiceLog) -> Float[np.ndarray, " cases"]:
    return np.ones(log.n_cases) if log.weights is None else np.asarray(log.weights, dtype=np.float64)


def _standard_error(log: ChoiceLog, deviations: Float[np.ndarray, " cases"]) -> float:
    """Return the standard error of a sum over cases, those of one person together."""
    if not np.isfinite(deviations).all():
        return float("nan")
    _, person = np.unique(log.person_codes, return_inverse=True)
    return float(np.sqrt((np.bincount(person, deviations) ** 2).sum()))


def _bins_of(probability: Float[np.ndarray, " rows"], bins: int) -> Int[np.ndarray, " rows"]:
    """Return a bin for each row, about equally many in each; rows with the same probability share one."""
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
    codes = np.searchsorted(edges, probability, side="right")
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _chi_square(
    log: ChoiceLog, probability: Float[np.ndarray, " rows"], codes: Int[np.ndarray, " rows"]
) -> tuple[float, int]:
    """Return the statistic of gaps between observed and predicted by group of rows, and its degrees of freedom."""
    count = int(codes.max()) + 1
    rows = np.flatnonzero(codes >= 0)
    codes, probability = codes[rows], probability[rows]
    case = np.repeat(np.arange(log.n_cases), log.sizes)[rows]
    weight, choices = _case_weight(log), log.choices_per_case
    expected = choices[case] * probability
    residual = weight[case] * (log.chosen[rows] - expected)
    spread = np.diag(np.bincount(codes, weight[case] ** 2 * expected, count))
    for start in range(0, log.n_cases, _CASES_AT_ONCE):
        first, last = np.searchsorted(case, [start, start + _CASES_AT_ONCE])
        some = slice(int(first), int(last))
        together = _by_unit(case[some] - start, codes[some], probability[some], count)
        scale = (weight * np.sqrt(choices))[start : start + len(together), None]
        spread -= (together * scale).T @ (together * scale)
    values, vectors = np.linalg.eigh(spread)
    kept = values > 1e-9 * max(float(values.max(initial=0.0)), 1e-300)
    root = vectors[:, kept] / np.sqrt(values[kept])
    rank = int(kept.sum())
    statistic = float(((np.bincount(codes, residual, count) @ root) ** 2).sum())
    if rank and _of_persons(log):
        _, person = np.unique(log.person_codes, return_inverse=True)
        together = _by_unit(person[case], codes, residual, count) @ root
        statistic /= float((together**2).sum()) / rank
    return statistic, rank


def _by_unit(
    unit: Int[np.ndarray, " rows"], codes: Int[np.ndarray, " rows"], values: Float[np.ndarray, " rows"], count: int
) -> Float[np.ndarray, "units groups"]:
    """Return the sums of values by case (or person) and group."""
    units = int(unit.max(initial=0)) + 1
    return np.bincount(unit * count + codes, values, units * count).reshape(units, count)


def _of_persons(log: ChoiceLog) -> bool:
    """Whether the log has several choices of one person, which depend on each other."""
    return log.columns.person is not None and len(np.unique(log.person_codes)) < log.n_cases


def _read_bins(
    log: ChoiceLog, probability: Float[np.ndarray, " rows"], codes: Int[np.ndarray, " rows"], level: float
) -> tuple[Bin, ...]:
    z2 = quantile(level) ** 2
    size = np.repeat(_case_weight(log) * log.choices_per_case, log.sizes)
    taken = log.chosen * np.repeat(_case_weight(log), log.sizes)
    found = []
    for code in range(int(codes.max()) + 1):
        rows = codes == code
        n = float(size[rows].sum())
        if n == 0:
            continue
        share = float(taken[rows].sum()) / n
        middle, half = share + z2 / (2 * n), np.sqrt(z2 * share * (1 - share) / n + z2**2 / (4 * n**2))
        inside = probability[rows]
        found.append(
            Bin(
                low=float(inside.min()),
                high=float(inside.max()),
                n=n,
                predicted=float((size[rows] * inside).sum() / n),
                observed=share,
                observed_low=float(max((middle - half) / (1 + z2 / n), 0.0)),
                observed_high=float(min((middle + half) / (1 + z2 / n), 1.0)),
            )
        )
    return tuple(found)
