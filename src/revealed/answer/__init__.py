"""Answers from a fit: what would happen if, worth in money, tests, validation. Imports models to choices.

Every answer is a frozen dataclass with ``table()``, ``to_dict()``, the ``assumptions`` it leans on and ``warnings``
where the data or the fit do not bear it. Nothing prints; :mod:`revealed.report` renders.
"""

from revealed.answer.base import Answer
from revealed.answer.calibration import Calibration, calibrate
from revealed.answer.change import Add, Change, Remove, Set
from revealed.answer.compare import Comparison, compare
from revealed.answer.demand import DemandCurve, demand_curve
from revealed.answer.diversion import Diversion, diversion
from revealed.answer.elasticity import Elasticities, case_elasticities, elasticities
from revealed.answer.goodness import Goodness, goodness
from revealed.answer.grammar import read_change
from revealed.answer.hypotheses import LikelihoodRatioTest, WaldTest, likelihood_ratio_test, wald_test
from revealed.answer.interval import Estimate, Estimates, IntervalOptions, intervals
from revealed.answer.markets import (
    MarketFigures,
    MarketIntervals,
    market_diversion,
    market_elasticities,
    market_markups,
    market_merger,
    market_substitution,
)
from revealed.answer.surplus import SegmentSurplus, Surplus, case_surplus, surplus
from revealed.answer.table import Column, Table
from revealed.answer.validation import Validation, validate
from revealed.answer.whatif import ShareChange, WhatIf, whatif
from revealed.answer.willingness import WillingnessToPay, willingness_to_pay

__all__ = [
    "Add",
    "Answer",
    "Calibration",
    "Change",
    "Column",
    "Comparison",
    "DemandCurve",
    "Diversion",
    "Elasticities",
    "Estimate",
    "Estimates",
    "Goodness",
    "IntervalOptions",
    "LikelihoodRatioTest",
    "MarketFigures",
    "MarketIntervals",
    "Remove",
    "SegmentSurplus",
    "Set",
    "ShareChange",
    "Surplus",
    "Table",
    "Validation",
    "WaldTest",
    "WhatIf",
    "WillingnessToPay",
    "calibrate",
    "case_elasticities",
    "case_surplus",
    "compare",
    "demand_curve",
    "diversion",
    "elasticities",
    "goodness",
    "intervals",
    "likelihood_ratio_test",
    "market_diversion",
    "market_elasticities",
    "market_markups",
    "market_merger",
    "market_substitution",
    "read_change",
    "surplus",
    "validate",
    "wald_test",
    "whatif",
    "willingness_to_pay",
]
