"""The doors of a fit: what later rooms can do with it, loaded when used. Imports nothing of ours.

A fit lives in ``models``, which knows nothing of answers and reports; yet ``fit.whatif(...)`` and ``fit.summary()``
are where a user looks for them. The names of those doors stand here, in the one place that may know all rooms.
See ``docs/design/doors.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_DOORS = {
    "summary": ("revealed.report.summary", "summarise"),
    "html": ("revealed.report.html", "to_html"),
    "text": ("revealed.report.text", "to_text"),
    "whatif": ("revealed.answer.whatif", "whatif"),
    "elasticities": ("revealed.answer.elasticity", "elasticities"),
    "diversion": ("revealed.answer.diversion", "diversion"),
    "willingness_to_pay": ("revealed.answer.willingness", "willingness_to_pay"),
    "surplus": ("revealed.answer.surplus", "surplus"),
    "wald_test": ("revealed.answer.hypotheses", "wald_test"),
    "likelihood_ratio_test": ("revealed.answer.hypotheses", "likelihood_ratio_test"),
    "demand_curve": ("revealed.answer.demand", "demand_curve"),
    "calibrate": ("revealed.answer.calibration", "calibrate"),
    "dynamic_summary": ("revealed.report.dynamic", "summarise_over_time"),
    "recovered_summary": ("revealed.report.recovered", "summarise_recovered"),
    "market_summary": ("revealed.report.markets", "summarise_markets"),
    "over_time": ("revealed.answer.counterfactual", "over_time"),
    "goodness": ("revealed.answer.goodness", "goodness"),
}


def door(name: str) -> Callable[..., Any]:
    """Return the function behind a door."""
    module, function = _DOORS[name]
    return getattr(import_module(module), function)  # type: ignore[no-any-return]
