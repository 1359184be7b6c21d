"""What a policy knows of late answers, as a section of a report. Imports decide."""

from __future__ import annotations

import numpy as np

from revealed.decide.delay.late import LateAnswers
from revealed.decide.delay.laws import WeibullDelay
from revealed.decide.delay.times import NUMBERS, written
from revealed.decide.policy import LearningPolicy
from revealed.report.content import Facts, Section, Text


def sections_of_late_answers(policy: LearningPolicy) -> tuple[Section, ...]:
    """Return what is waited for and how long answers take; nothing where answers are not late."""
    late = policy.late
    if late is None:
        return ()
    status = late.ledger.status
    facts = (
        ("Up to", _moment(late)),
        ("No answer yet", f"{status.n_pending:,}, learned as {late.section.method}"),
        ('Closed as a "no"', f"{status.n_closed:,}"),
        ("Answers take", _delays(late)),
    )
    notes = tuple(Text(message[0].upper() + message[1:] + ".", "warning") for message in late.messages)
    return (Section("Late answers", (Facts(facts), *notes)),)


def _moment(late: LateAnswers) -> str:
    now = late.ledger.now
    if not np.isfinite(now):
        return "nothing learned yet"
    return written(now, late.clock, late.section.unit)


def _delays(late: LateAnswers) -> str:
    """Return the delay law in words."""
    watch = late.ledger.hearing.watch
    law, unit = watch.law, late.section.unit if late.clock not in (None, NUMBERS) else "units of time"
    if not late.ledger.hearing.treatment.needs_law:
        return "not asked"
    if not isinstance(law, WeibullDelay):
        return "not known yet"
    if watch.options.law is not None or watch.fit is None:
        source = "as told"
    else:
        source = f"from {watch.fit.n_answers:,} answers"
    nobody = np.zeros((1, law.n_covariates))
    where = " where covariates are 0" if law.n_covariates else ""
    mean, half = float(law.mean(nobody)[0]), float(law.quantile(0.5, nobody)[0])
    return f"{mean:.3g} {unit} on average, half of them {half:.3g}{where} (shape {law.shape:.2f}; {source})"
