"""Adding choices to a fit and taking them out: evidence plus or minus, then Newton. Imports evidence to choices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from revealed.choices.log import ChoiceLog, Partition
from revealed.choices.stream import ChoiceStream
from revealed.engine import Engine, InProcess
from revealed.errors import SpecificationError
from revealed.evidence import Detail, Evidence, Maximum, NewtonOptions, maximise
from revealed.models.estimate import SAMPLE_FROM, conclude, evidence_of, region_of
from revealed.models.fit import DataSummary, Fit


def revise(fit: Fit, change: ChoiceLog, sign: int, log: ChoiceLog | ChoiceStream | None, engine: Engine | None) -> Fit:
    """Return a fit with the evidence of ``change`` added (sign +1) or taken out (sign -1).

    Seen from the point where the fit's evidence was taken, the evidence of the change is exact, so the first Newton
    step needs a pass over the change alone; with the log at hand the climb goes on from there.
    """
    law, point = fit.law, fit.evidence.point
    engine = engine or InProcess()
    _require_known_labels(fit, change)

    def task(partition: Partition) -> Evidence:
        return law.evidence(partition, point, Detail.OUTER)

    part = engine.sum(task, change)
    known = replace(fit.evidence, ledger=None)
    known = known + part if sign > 0 else known - part
    if known.n_cases <= 0:
        raise SpecificationError("nothing is left: the choices taken out are all there were, or were not in the fit")
    region = region_of(fit.model, law.names)
    if log is None:
        climb = NewtonOptions(tolerance=np.inf)
        maximum = maximise(_no_pass, point, region, prior=fit.prior, known=known, options=climb)
        status = replace(maximum.status, reason="one Newton step from the stored evidence; refit to be exact")
        maximum = Maximum(maximum.params, maximum.evidence, status)
        errors = fit.errors if fit.errors != "clustered" else "robust"
        revised = conclude(fit.model, law, change, maximum, errors, fit.prior)
        return replace(revised, data=_changed(fit.data, change, sign))
    if log.facts.n_cases != known.n_cases:
        raise SpecificationError(
            f"the log has {log.facts.n_cases:,} cases where {known.n_cases:,} are expected after the change"
        )
    evidence_at = evidence_of(law, log, engine, fit.errors == "clustered", None)
    step = maximise(_no_pass, point, region, prior=fit.prior, known=known, options=NewtonOptions(tolerance=np.inf))
    large = log.facts.n_cases >= SAMPLE_FROM
    options = NewtonOptions(tolerance=3e-6 if large else None)
    maximum = maximise(evidence_at, step.params, region, prior=fit.prior, options=options)
    share = change.n_cases / known.n_cases
    maximum = Maximum(maximum.params, maximum.evidence, replace(maximum.status, sample_passes=round(share, 4)))
    return conclude(fit.model, law, log, maximum, fit.errors, fit.prior)


def _no_pass(*_: object) -> Evidence:
    raise AssertionError("a single step needs no pass")


def _require_known_labels(fit: Fit, change: ChoiceLog) -> None:
    unknown = [label for label in change.facts.levels.labels if label not in fit.data.alternatives]
    if unknown:
        raise SpecificationError(
            f"the alternative {unknown[0]!r} is new to the fit, so its evidence has other parameters; fit the whole log"
        )


def _changed(data: DataSummary, change: ChoiceLog, sign: int) -> DataSummary:
    facts = change.facts
    total = data.n_choices + sign * facts.n_choices
    chosen = [
        share * data.n_choices + sign * facts.chosen.get(label, 0.0)
        for label, share in zip(data.alternatives, data.shares, strict=True)
    ]
    return replace(
        data,
        n_cases=data.n_cases + sign * facts.n_cases,
        n_rows=data.n_rows + sign * facts.n_rows,
        n_persons=data.n_persons + sign * facts.n_persons,
        n_choices=total,
        shares=tuple(count / total for count in chosen),
        null_log_likelihood=data.null_log_likelihood + sign * facts.null_log_likelihood,
    )
