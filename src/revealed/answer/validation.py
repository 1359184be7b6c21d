"""Held-out validation: a model fitted on some choices, tried on others. Imports models to choices.

The choices of one person stay on one side: a model that knows a person from half of her choices would foresee the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from revealed.answer.base import Answer, require_whole, unique
from revealed.answer.calibration import HIT_RATE_NOTE, Calibration, Scores, calibration_of, scores_of
from revealed.answer.population import in_memory
from revealed.answer.table import Column, Table
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.evidence import NewtonOptions
from revealed.models.model import Model


@dataclass(frozen=True)
class Fold:
    """One split.

    Parameters
    ----------
    train, test : Scores
        On the choices fitted to, and on those held out.
    """

    train: Scores
    test: Scores


@dataclass(frozen=True, repr=False)
class Validation(Answer):
    """How a model fares on choices it has not seen.

    Parameters
    ----------
    folds : tuple of Fold
    held_out : Calibration
        Scores, calibration and market shares over all choices that were held out, each predicted by the fit that had
        not seen it.
    unit : str
        What was split: "person" or "case".
    seed : int
    """

    folds: tuple[Fold, ...]
    held_out: Calibration
    unit: str
    seed: int
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def scores(self) -> Scores:
        """The scores over all choices that were held out."""
        return self.held_out.scores

    def table(self) -> Table:
        """Return one row per fold and one for all held-out choices."""
        columns = (
            Column("fold", "text"),
            Column("cases held out", "integer"),
            Column("log-likelihood per choice"),
            Column("in training"),
            Column("standard error"),
            Column("rho²"),
            Column("Brier score"),
            Column("hit rate", "share"),
        )
        rows = [_row(str(i), fold.test, fold.train.log_likelihood) for i, fold in enumerate(self.folds, 1)]
        if len(rows) > 1:
            sizes = [fold.train.n_choices for fold in self.folds]
            training = float(np.average([fold.train.log_likelihood for fold in self.folds], weights=sizes))
            rows.append(_row("all", self.scores, training))
        return Table("Held-out validation", columns, tuple(rows), unique(self.warnings, self.assumptions))


def validate(
    model: Model,
    log: ChoiceLog,
    *,
    folds: int | None = None,
    share: float = 0.2,
    seed: int = 0,
    bins: int = 10,
    options: NewtonOptions | None = None,
) -> Validation:
    """Fit a model on part of a log and try it on the rest.

    Parameters
    ----------
    model : Model
    log : ChoiceLog
    folds : int, optional
        Split into so many parts and hold out each in turn; by default one split.
    share : float
        Without folds: the share of persons (or cases) held out.
    seed : int
        Of the split.
    bins : int
        Of the calibration.
    options : NewtonOptions, optional
        For the fits.

    Raises
    ------
    SpecificationError
        If there are too few persons (or cases) to split.
    """
    log = in_memory(log)
    unit = "case" if log.columns.person is None else "person"
    parts = _parts(log, folds, share, seed)
    probability = np.zeros(log.n_rows)
    found: list[Fold] = []
    notes: list[str] = []
    for number, test in enumerate(parts, 1):
        inside = np.ones(log.n_cases, bool)
        inside[test] = False
        train_log, test_log = log.take_cases(inside), log.take_cases(test)
        fit = model.fit(train_log, errors="classic", options=options)
        notes += [f"fold {number}: {message}" for message in fit.status.messages()]
        notes += _unseen(number, train_log, test_log)
        predicted = fit.probabilities(test_log)
        found.append(Fold(scores_of(train_log, fit.probabilities(train_log)), scores_of(test_log, predicted)))
        probability[_rows(log, test)] = predicted
    tried = np.sort(np.concatenate(parts))
    held_out = calibration_of(log.take_cases(tried), probability[_rows(log, tried)], bins=bins)
    return Validation(
        folds=tuple(found),
        held_out=held_out,
        unit=unit,
        seed=seed,
        assumptions=(f"the choices of one {unit} are all on one side of a split (seed {seed})", HIT_RATE_NOTE),
        warnings=unique(notes, held_out.warnings),
    )


def _parts(log: ChoiceLog, folds: int | None, share: float, seed: int) -> list[Int[np.ndarray, " some"]]:
    """Return the cases held out in each split, persons kept together."""
    unit, per_case = np.unique(log.person_codes, return_inverse=True)
    what = "cases" if log.columns.person is None else "persons"
    order = np.random.default_rng(seed).permutation(len(unit))
    if folds is None:
        if not 0 < share < 1:
            raise SpecificationError(f"share must lie between 0 and 1, not {share!r}")
        held = round(share * len(unit))
        if not 0 < held < len(unit):
            raise SpecificationError(f"{len(unit):,} {what} cannot be split with a share of {share!r} held out")
        groups = [order[:held]]
    else:
        require_whole(folds, "folds", 2)
        if folds > len(unit):
            raise SpecificationError(f"{len(unit):,} {what} cannot be split into {folds:,} folds")
        groups = list(np.array_split(order, folds))
    parts = []
    for group in groups:
        chosen = np.zeros(len(unit), bool)
        chosen[group] = True
        parts.append(np.flatnonzero(chosen[per_case]))
    return parts


def _rows(log: ChoiceLog, cases: Int[np.ndarray, " some"]) -> Int[np.ndarray, " rows"]:
    """Return the rows of some cases."""
    sizes = log.sizes[cases]
    ends = np.cumsum(sizes)
    return np.asarray(np.repeat(log.offsets[cases] - (ends - sizes), sizes) + np.arange(ends[-1]))


def _unseen(number: int, train: ChoiceLog, test: ChoiceLog) -> list[str]:
    chosen = {label for label in train.facts.levels.labels if train.facts.chosen[label] > 0}
    return [
        f"fold {number}: nobody in training chose {label!r}, so its constant could not be learned"
        for label in test.facts.levels.labels
        if label not in chosen and test.facts.chosen[label] > 0
    ]


def _row(name: str, scores: Scores, training: float) -> tuple[Any, ...]:
    return (
        name,
        scores.n_cases,
        scores.log_likelihood,
        training,
        scores.standard_error,
        scores.rho_squared,
        scores.brier,
        scores.hit_rate,
    )
