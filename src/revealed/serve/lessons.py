"""What a stretch of the log teaches a policy: outcomes with their decisions, as feedback. Imports choices to store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa

from revealed.choices.feedback import Feedback, read_feedback
from revealed.decide.policy import LearningPolicy
from revealed.errors import RevealedError, SpecificationError
from revealed.models.glm.features.joint import CONTEXT, ITEM
from revealed.models.glm.features.ledger import label_text
from revealed.models.glm.features.terms import Field
from revealed.store.protocol import Answered

_READ_CONTEXT = msgspec.json.Decoder(dict[str, Any]).decode
_READ_LABELS = msgspec.json.Decoder(list[str]).decode
_READ_CHANCES = msgspec.json.Decoder(list[float]).decode
_READ_CANDIDATES = msgspec.json.Decoder(list[str | dict[str, Any]]).decode


def require_servable(policy: LearningPolicy) -> None:
    """Raise SpecificationError for a policy that a service cannot teach yet."""
    if policy.late is not None:
        raise SpecificationError(
            "a service does not learn by [delay] yet; leave that part out, and send outcomes when they are known"
        )


def taught(policy: LearningPolicy, answers: Sequence[Answered]) -> tuple[LearningPolicy, int]:
    """Return the policy that has learned a lesson, and how many of its outcomes nothing could be learned from.

    It is a function of the policy and the answers: repeated it gives the same bits. What the policy has decided on it
    can learn from; should an outcome be odd all the same, the others are learned one by one and it is left out.
    """
    if not answers:
        return policy, 0
    try:
        return _learned(policy, answers), 0
    except RevealedError:
        odd = 0
        for answer in answers:
            try:
                policy = _learned(policy, [answer])
            except RevealedError:
                odd += 1
        return policy, odd


def _learned(policy: LearningPolicy, answers: Sequence[Answered]) -> LearningPolicy:
    # Which logs it learned from is not kept: they are one log, and it would grow with every lesson.
    return replace(policy.learn(feedback_of(policy, answers)), logs=())


def feedback_of(policy: LearningPolicy, answers: Sequence[Answered]) -> Feedback:
    """Return outcomes as a log that a policy learns from, a row for each.

    Raises
    ------
    RevealedError
        For cells that are not what the policy's fields are.
    """
    columns, catalogue = policy.columns, policy.catalogue
    rows: dict[str, list[Any]] = {name: [] for name in columns.roles().values()}
    fields = {key: item for item in policy.space.specification.fields for key in item.sources}
    rows |= {key: [] for key in (*fields, *catalogue.fields) if key not in rows}
    for answer in answers:
        decision, outcome = answer.decision, answer.outcome
        label = _READ_LABELS(decision.shown)[outcome.position - 1]
        context = _READ_CONTEXT(decision.context)
        record = _record(policy, label, decision.candidates)
        told = {
            columns.decision: f"{decision.number}/{outcome.position}",
            columns.action: label,
            columns.reward: outcome.reward,
            columns.propensity: _READ_CHANCES(decision.propensities)[outcome.position - 1],
        }
        if columns.position is not None:
            told |= {columns.decision: str(decision.number), columns.position: outcome.position}
        if columns.person is not None:
            told[columns.person] = decision.person or f"decision {decision.number}"
        if columns.time is not None:
            told[columns.time] = decision.made
        for name, cells in rows.items():
            cells.append(told[name] if name in told else _cell(name, fields.get(name), context, record))
    return read_feedback(pa.table({name: pa.array(cells) for name, cells in rows.items()}), columns)


def _record(policy: LearningPolicy, label: str, candidates: str | None) -> Mapping[str, Any]:
    """Return the attributes of what was shown: as given with the decision, else as known."""
    known = policy.catalogue.actions.get(label, {})
    if candidates is not None:
        for item in _READ_CANDIDATES(candidates):
            if isinstance(item, dict) and str(item.get(policy.catalogue.column)) == label:
                return {**known, **item}
    return known


def _cell(name: str, field: Field | None, context: Mapping[str, Any], record: Mapping[str, Any]) -> Any:
    """Return a field's cell, labels as text: one client may write 5 where another writes "5"."""
    if name.startswith(CONTEXT):
        value = context.get(name.removeprefix(CONTEXT))
    else:
        value = record.get(name.removeprefix(ITEM), context.get(name))
    return label_text(value) if value is not None and field is not None and field.categorical else value
