"""Several fits side by side. Imports models to choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from revealed.answer.base import Answer, unique
from revealed.answer.goodness import goodness, shown
from revealed.answer.hypotheses import same_choices
from revealed.answer.table import Cell, Column, Table
from revealed.errors import SpecificationError
from revealed.models.fit import Fit


@dataclass(frozen=True)
class Entry:
    """One parameter in one fit.

    Parameters
    ----------
    estimate, standard_error, p_value : float
        The p-value is that of zero, two-sided; NaN where fixed, at a bound, or not identified.
    """

    estimate: float
    standard_error: float
    p_value: float


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """Several fits side by side.

    Parameters
    ----------
    fits : tuple of str
        What each fit is called.
    names : tuple of str
        All parameters, in order of first appearance.
    entries : tuple of tuple of (Entry or None)
        One tuple per parameter with one entry per fit; None where the fit has no such parameter.
    figures : mapping
        Name of a figure to its value in each fit: log-likelihood, AIC, BIC, rho², choices, parameters.
    errors : tuple of str
        The kind of standard errors of each fit.
    """

    fits: tuple[str, ...]
    names: tuple[str, ...]
    entries: tuple[tuple[Entry | None, ...], ...]
    figures: Mapping[str, tuple[float, ...]]
    errors: tuple[str, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self, *, stars: bool = False) -> Table:
        r"""Return parameters in rows and fits in columns, each estimate with its standard error beside it.

        Parameters
        ----------
        stars : bool
            Add a column of stars to each fit: \* below 0.05, \*\* below 0.01, \*\*\* below 0.001.
        """
        columns = [Column("parameter", "text")]
        for fit in self.fits:
            columns += [Column(fit, "text"), Column(f"{fit} s.e.", "text")]
            columns += [Column(f"{fit} stars", "text")] if stars else []
        rows: list[tuple[Cell, ...]] = []
        for name, entries in zip(self.names, self.entries, strict=True):
            cells: list[Cell] = [name]
            for entry in entries:
                cells += [None, None] if entry is None else _with_error(entry)
                cells += [_stars(entry)] if stars else []
            rows.append(tuple(cells))
        for figure, values in self.figures.items():
            blank: tuple[Cell, ...] = (None, None) if stars else (None,)
            rows.append((figure, *(cell for value in values for cell in (shown(figure, value), *blank))))
        kinds = f"standard errors: {', '.join(unique(self.errors))}"
        notes = unique(self.warnings, [kinds], self.assumptions)
        if stars:
            notes = (*notes, "* p < 0.05, ** p < 0.01, *** p < 0.001")
        return Table("Fits side by side", tuple(columns), tuple(rows), notes)


def compare(*fits: Fit, labels: tuple[str, ...] | list[str] | None = None, errors: str | None = None) -> Comparison:
    """Set several fits side by side, parameters aligned by name.

    Parameters
    ----------
    *fits : Fit
    labels : sequence of str, optional
        What each is called; by default "model 1", "model 2", …
    errors : {"classic", "robust", "clustered"}, optional
        By default the kind each fit shows.

    Raises
    ------
    SpecificationError
        If there is no fit, or not one label each.
    """
    if not fits:
        raise SpecificationError("give the fits to compare: compare(fit, other, labels=['base', 'with income'])")
    labels = tuple(labels) if labels is not None else tuple(f"model {i}" for i in range(1, len(fits) + 1))
    if len(labels) != len(fits) or len(set(labels)) != len(fits):
        raise SpecificationError(f"{len(fits)} fits need as many different labels, not {labels!r}")
    names = unique(*(fit.names for fit in fits))
    measures = [goodness(fit) for fit in fits]
    figures = {
        "log-likelihood": tuple(measure.log_likelihood for measure in measures),
        "estimated parameters": tuple(float(measure.n_params) for measure in measures),
        "choices": tuple(measure.n for measure in measures),
        "adjusted rho²": tuple(measure.adjusted_rho_squared for measure in measures),
        "AIC": tuple(measure.aic for measure in measures),
        "BIC": tuple(measure.bic for measure in measures),
    }
    notes = [
        f"{label}: {message}" for label, fit in zip(labels, fits, strict=True) for message in fit.status.messages()
    ]
    if not all(same_choices(fits[0], fit) for fit in fits[1:]):
        notes.append("the fits are of different choices: their log-likelihoods and criteria cannot be compared")
    return Comparison(
        fits=labels,
        names=names,
        entries=tuple(tuple(_entry(fit, name, errors) for fit in fits) for name in names),
        figures=figures,
        errors=tuple(errors or fit.errors for fit in fits),
        assumptions=("coefficients of different models are on different scales: compare ratios, not sizes",),
        warnings=tuple(notes),
    )


def _with_error(entry: Entry) -> list[Cell]:
    """Return an estimate and its standard error to the second digit of the error, as papers print them."""
    error = entry.standard_error
    if not error > 0:
        return [f"{entry.estimate:.6g}", "" if error == 0 else "?"]
    decimals = min(max(1 - int(np.floor(np.log10(error))), 0), 12)
    return [f"{entry.estimate:,.{decimals}f}", f"{error:,.{decimals}f}"]


def _entry(fit: Fit, name: str, errors: str | None) -> Entry | None:
    if name not in fit.names:
        return None
    value, error = fit[name], float(fit.standard_errors(errors)[fit.index(name)])
    p_value = 2 * float(ndtr(-abs(value / error))) if error > 0 else float("nan")
    return Entry(value, error, p_value)


def _stars(entry: Entry | None) -> str:
    if entry is None or np.isnan(entry.p_value):
        return ""
    return "*" * sum(entry.p_value < bound for bound in (0.05, 0.01, 0.001))
