"""What of a log a policy never met: such rows judge what it knows nothing of. Imports its own room, models, choices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from revealed.choices.feedback import Feedback
from revealed.evidence.status import listed

if TYPE_CHECKING:
    from revealed.decide.policy import LearningPolicy


def unmet(policy: LearningPolicy, feedback: Feedback) -> tuple[str, ...]:
    """Return warnings of labels that a log has and the policy never met, and of actions met that the log lacks.

    Labels that are written otherwise than where the policy learned, ``101.0`` for ``101``, are new to it: it is judged
    with its prior in place of what it learned. Layouts are all known from the start, and hashed labels by nobody.

    Parameters
    ----------
    policy : LearningPolicy
    feedback : Feedback

    Raises
    ------
    DataError
        If a label of the context is missing that must be there.
    """
    found = []
    if policy.specification.layout is None:
        labels = feedback.actions.labels
        told = _told("actions of the log", labels, feedback.action_codes, set(policy.catalogue.actions))
        gone = [label for label in policy.catalogue.actions if label not in set(labels)]
        if gone:
            told += [f"met but not in the log, so not shown here: {_quoted(gone)}"]
        found += ["; ".join(told)] if told else []
    space = policy.space
    items = (policy.catalogue.column, *policy.catalogue.fields)
    for field, met, count in zip(space.specification.fields, space.ledger.labels, space.extent.labels, strict=True):
        if field.categorical and not field.bits and not field.optional and field.name not in items:
            levels, codes = feedback.labels(field.name)
            found += _told(f"labels of {field.name!r} in the log", levels.labels, codes, set(met[:count]))
    return tuple(found)


def _told(what: str, labels: Iterable[str], codes: np.ndarray, known: set[str]) -> list[str]:
    odd = [(place, label) for place, label in enumerate(labels) if label not in known]
    share = float(np.isin(codes, [place for place, _ in odd]).mean())
    return [f"{what} never met by the policy: {_quoted(label for _, label in odd)} ({share:.1%} of rows)"] * (share > 0)


def _quoted(labels: Iterable[str]) -> str:
    return listed([repr(label) for label in labels])
