"""What a stretch of the log teaches a policy: outcomes with their decisions, as feedback. Imports choices to store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from jaxtyping import Float

from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.delay.section import UNITS, Delay
from revealed.decide.judged import fields_of
from revealed.decide.policy import LearningPolicy
from revealed.errors import DataError, RevealedError, SpecificationError
from revealed.models.glm.features.joint import CONTEXT, ITEM
from revealed.models.glm.features.ledger import label_text
from revealed.models.glm.features.terms import Field
from revealed.models.glm.links import Link
from revealed.store.protocol import Answered, DecisionRow, OutcomeRow

#: The most parameters that a policy in service may have, by its covariance: of two thousand all that vary together are
#: 32 MiB, and a decision in which something was never met takes tens of milliseconds.
MOST = {"full": 2000, "grouped": 10_000, "diagonal": 200_000}
#: What a cell that nobody thought of may raise on its way to the model.
_ODD = (RevealedError, pa.ArrowException, ValueError, TypeError, ArithmeticError, LookupError)
_READ_CONTEXT = msgspec.json.Decoder(dict[str, Any]).decode
_READ_LABELS = msgspec.json.Decoder(list[str]).decode
_READ_CHANCES = msgspec.json.Decoder(list[float]).decode
_READ_CANDIDATES = msgspec.json.Decoder(list[str | dict[str, Any]]).decode


@dataclass(frozen=True, slots=True)
class Shown:
    """A thing shown, and what came of it, if anything did."""

    decision: DecisionRow
    position: int
    outcome: OutcomeRow | None


def require_servable(policy: LearningPolicy) -> None:
    """Raise SpecificationError for a policy whose [delay] does not say in which columns times stand."""
    if policy.late is None:
        return
    section = policy.late.section
    if (section.shown or policy.columns.time) is None or section.answered is None:
        raise SpecificationError(
            '[delay] of a policy in service wants names for when things were shown and answered: shown = "shown" and '
            'answered = "answered"'
        )


def material(
    policy: LearningPolicy, answers: Sequence[Answered], decisions: Iterable[tuple[int, DecisionRow]] = ()
) -> list[Shown]:
    """Return what a lesson is about: outcomes; where silence says something, what was shown too.

    Parameters
    ----------
    policy : LearningPolicy
    answers : sequence of Answered
        The outcomes of the lesson.
    decisions : iterable of (int, DecisionRow)
        The decisions of the lesson, by ``seq``; read only where the policy has a part [delay].
    """
    if policy.late is None:
        return [Shown(answer.decision, answer.outcome.position, answer.outcome) for answer in answers]
    by_place = {(answer.decision.number, answer.outcome.position): answer for answer in answers}
    found = []
    for _, decision in decisions:
        for position in range(1, len(_READ_LABELS(decision.shown)) + 1):
            answer = by_place.pop((decision.number, position), None)
            found.append(Shown(decision, position, None if answer is None else answer.outcome))
    return found + [Shown(one.decision, one.outcome.position, one.outcome) for one in by_place.values()]


def taught(
    policy: LearningPolicy,
    answers: Sequence[Answered],
    decisions: Iterable[tuple[int, DecisionRow]] = (),
    at: float = 0.0,
) -> tuple[LearningPolicy, int]:
    """Return the policy that has learned a lesson, and how many of its rows nothing could be learned from.

    It is a function of the policy, the rows and the moment: repeated it gives the same bits. What the policy has
    decided on it can learn from; should a row be odd all the same, it is found by halving, left out, and the others are
    learned.
    Whatever an odd one makes fail, the learner must go on: it would meet it again each time it is started.
    """
    return learned_from(policy, material(policy, answers, decisions), at)


def learned_from(policy: LearningPolicy, shown: Sequence[Shown], at: float) -> tuple[LearningPolicy, int]:
    """Return what :func:`taught` does, from the rows of a lesson."""
    some = _answerable(policy, shown)
    learned, odd = _halved(policy, some, at)
    return learned, odd + len(shown) - len(some)


def _answerable(policy: LearningPolicy, shown: Sequence[Shown]) -> Sequence[Shown]:
    """Return the rows whose answers can be; a client may send thousands that cannot, and each by itself takes long."""
    link = policy.model.link
    answers = np.array([np.nan if one.outcome is None else one.outcome.reward for one in shown])
    told = answers[~np.isnan(answers)]
    if _accepts(link, told):
        return shown
    can = {answer: _accepts(link, np.array([answer])) for answer in np.unique(told).tolist()}
    return [one for one in shown if one.outcome is None or can.get(one.outcome.reward, False)]


def _accepts(link: Link, answers: Float[np.ndarray, " n"]) -> bool:
    try:
        link.require(answers)
    except DataError:
        return False
    return True


def _without_newcomers(policy: LearningPolicy, shown: Sequence[Shown], at: float) -> Sequence[Shown]:
    """Return the rows that a policy can learn from with as many parameters as it may have: the first labels come in.

    Whoever may ask for decisions may make up labels, and each takes parameters.
    """
    most = max(MOST[policy.specification.learn.covariance], policy.space.n_params)
    if not shown or policy.space.n_params + len(shown) * len(policy.space.specification.terms) <= most:
        return shown  # however many are new
    try:
        rows, space = policy.space.grow_from_columns(fields_of(policy.space, feedback_of(policy, shown, at)))
        if space.n_params <= most:
            return shown
        needs = np.bincount(rows.row[rows.index >= most], minlength=len(shown))
    except _ODD:
        return shown  # which of them is odd is found by halving
    return [one for one, new in zip(shown, needs, strict=True) if not new]


def _halved(policy: LearningPolicy, shown: Sequence[Shown], at: float) -> tuple[LearningPolicy, int]:
    """Learn all but what is too much, and what is odd, which is found by halving; return how many these are."""
    some = _without_newcomers(policy, shown, at)
    left = len(shown) - len(some)
    if not some:
        return policy, left
    try:
        return _learned(policy, some, at), left
    except _ODD:
        if len(some) == 1:
            return policy, left + 1
    middle = len(some) // 2
    policy, odd = _halved(policy, some[:middle], at)
    policy, further = _halved(policy, some[middle:], at)
    return policy, left + odd + further


def _learned(policy: LearningPolicy, shown: Sequence[Shown], at: float) -> LearningPolicy:
    # Which logs it learned from is not kept: they are one log, and it would grow with every lesson.
    now = None if policy.late is None else at / UNITS[policy.late.section.unit]
    return replace(policy.learn(feedback_of(policy, shown, at), now=now), logs=())


def feedback_of(policy: LearningPolicy, shown: Sequence[Shown], at: float = 0.0) -> Feedback:
    """Return what was shown as a log that a policy learns from, a row for each thing.

    Times are numbers in the unit of [delay], none of them after the moment of the lesson, and no answer before its
    decision: clocks of clients and of several machines differ.

    Raises
    ------
    RevealedError
        For cells that are not what the policy's fields are.
    """
    columns, catalogue = policy.columns, policy.catalogue
    rows: dict[str, list[Any]] = {name: [] for name in columns.roles().values()}
    fields = {key: item for item in policy.space.specification.fields for key in item.sources}
    rows |= {key: [] for key in (*fields, *catalogue.fields) if key not in rows}
    late = policy.late.section if policy.late is not None else None
    if late is not None:
        rows |= {name: [] for name in (late.shown, late.answered) if name is not None}
    for one in shown:
        decision, outcome, position = one.decision, one.outcome, one.position
        label = _READ_LABELS(decision.shown)[position - 1]
        context = _READ_CONTEXT(decision.context)
        record = _record(policy, label, decision.candidates)
        told = {
            columns.decision: f"{decision.number}/{position}",
            columns.action: label,
            columns.reward: None if outcome is None else outcome.reward,
        }
        if columns.propensity is not None:
            told[columns.propensity] = _READ_CHANCES(decision.propensities)[position - 1]
        if columns.position is not None:
            told |= {columns.decision: str(decision.number), columns.position: position}
        if columns.person is not None:
            told[columns.person] = decision.person or f"decision {decision.number}"
        if columns.time is not None:
            told[columns.time] = decision.made
        if late is not None:
            told |= _times(late, columns.time, decision, outcome, at)
        for name, cells in rows.items():
            cells.append(told[name] if name in told else _cell(name, fields.get(name), context, record))
    return read_feedback(pa.table({name: pa.array(cells) for name, cells in rows.items()}), columns)


def _times(
    late: Delay, time: str | None, decision: DecisionRow, outcome: OutcomeRow | None, at: float
) -> dict[str, float | None]:
    """Return when a thing was shown, and when it was answered, in the unit of a part [delay]."""
    made, unit = min(decision.made, at), UNITS[late.unit]
    came = None if outcome is None else min(max(outcome.came, made), at) / unit
    names = {late.shown or time: made / unit, late.answered: came}
    return {name: value for name, value in names.items() if name is not None}


def _record(policy: LearningPolicy, label: str, candidates: str | None) -> Mapping[str, Any]:
    """Return the attributes of what was shown: as given with the decision, else as known."""
    known = policy.catalogue.actions.get(label, {})
    if candidates is not None:
        for item in _READ_CANDIDATES(candidates):
            if isinstance(item, dict) and str(item.get(policy.catalogue.column)) == label:
                return {**known, **item}
    return known


def _cell(name: str, field: Field | None, context: Mapping[str, Any], record: Mapping[str, Any]) -> Any:
    """Return a field's cell, labels as text, numbers as floats: clients may write 5, "5", 5.0 or true for the same."""
    if name.startswith(CONTEXT):
        value = context.get(name.removeprefix(CONTEXT))
    else:
        value = record.get(name.removeprefix(ITEM), context.get(name))
    if value is None or field is None:
        return value
    return label_text(value) if field.categorical else float(value)
