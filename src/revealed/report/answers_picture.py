"""A picture of several estimators' answers to the same what-ifs over time. Imports report and answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from revealed.answer.over_time import OverTime, Series
from revealed.answer.population import EVERYONE
from revealed.errors import SpecificationError
from revealed.report.drawing import COLOURS, drawing
from revealed.report.style import INKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _, _, _ = INKS


def picture_of_answers(
    answers: Mapping[str, Mapping[str, OverTime]],
    measure: str,
    truth: Mapping[str, OverTime] | None = None,
    segment: str = EVERYONE,
) -> Figure:
    """Draw what each of several estimators says a measure changes by in the last period, question by question.

    Parameters
    ----------
    answers : mapping from estimator to mapping from question to OverTime
        Each with the same questions.
    measure : str
        An action, ``"paid"`` or ``"stayed"``.
    truth : mapping from question to OverTime, optional
        Where the truth is known, to draw beside.
    segment : str

    Raises
    ------
    SpecificationError
        If there is nothing to draw, or no such measure, or estimators were asked other questions.
    """
    if not answers:
        raise SpecificationError("no answers to draw: give at least one estimator's")
    questions = list(next(iter(answers.values())))
    if any(list(asked) != questions for asked in answers.values()):
        raise SpecificationError(f"estimators were asked different questions; each needs {', '.join(questions)}")
    paid = any(answer.is_paid(measure) for asked in answers.values() for answer in asked.values())
    factor = 1.0 if paid else 100.0
    with drawing((7.2, 1.1 + 0.62 * len(questions))) as figure:
        panel = figure.subplots()
        rows = -np.arange(len(questions), dtype=np.float64)
        offsets = np.linspace(0.22, -0.22, len(answers)) if len(answers) > 1 else np.zeros(1)
        for (name, asked), offset, colour in zip(answers.items(), offsets, COLOURS, strict=False):
            series = [_change(asked[question], measure, segment) for question in questions]
            value, low, high = (
                factor * np.array([getattr(one, part)[-1] for one in series]) for part in ("value", "low", "high")
            )
            panel.hlines(rows + offset, low, high, color=colour, linewidth=1.6)
            panel.plot(value, rows + offset, "o", color=colour, markersize=4.5, label=name)
        if truth is not None:
            true = [factor * _change(truth[question], measure, segment).value[-1] for question in questions]
            panel.vlines(true, rows - 0.36, rows + 0.36, color=_INK, linewidth=1.4, linestyle=":", label="truth")
        panel.axvline(0.0, color=_INK, linewidth=0.7)
        panel.set_yticks(rows, questions)
        panel.set_ylim(-len(questions) + 0.4, 0.6)
        panel.set_xlabel(f"change of {measure}" + ("" if paid else ", percentage points"))
        panel.legend(loc="best")
    return figure


def _change(answer: OverTime, measure: str, segment: str) -> Series:
    found = answer.of(segment).difference
    if measure not in found:
        raise SpecificationError(f"no measure {measure!r}; there are {', '.join(found)}")
    return found[measure]
