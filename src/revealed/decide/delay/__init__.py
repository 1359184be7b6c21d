"""Feedback that arrives late: delay laws, and the ledger of decisions still waited for. Imports models to choices."""

from revealed.decide.delay.conversion import ConversionFit, fit_conversions
from revealed.decide.delay.curves import Curve, delay_curve, kaplan_meier, misfit
from revealed.decide.delay.laws import DelayLaw, WeibullDelay
from revealed.decide.delay.naive import Naive
from revealed.decide.delay.nothing_yet import NothingYet
from revealed.decide.delay.options import LedgerOptions, LedgerStatus, Made, Told
from revealed.decide.delay.oracle import Oracle
from revealed.decide.delay.pending import PendingLedger
from revealed.decide.delay.saved import load_ledger, save_ledger
from revealed.decide.delay.truncated import DelayFit, fit_delays
from revealed.decide.delay.waiting import Waiting
from revealed.decide.delay.waits import Waits
from revealed.decide.delay.watch import LawOptions
from revealed.decide.delay.weighted import ElapsedWeighted, FakeNegativeWeighted

__all__ = [
    "ConversionFit",
    "Curve",
    "DelayFit",
    "DelayLaw",
    "ElapsedWeighted",
    "FakeNegativeWeighted",
    "LawOptions",
    "LedgerOptions",
    "LedgerStatus",
    "Made",
    "Naive",
    "NothingYet",
    "Oracle",
    "PendingLedger",
    "Told",
    "Waiting",
    "Waits",
    "WeibullDelay",
    "delay_curve",
    "fit_conversions",
    "fit_delays",
    "kaplan_meier",
    "load_ledger",
    "misfit",
    "save_ledger",
]
