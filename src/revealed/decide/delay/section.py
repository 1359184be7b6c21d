"""The section [delay] of a policy's file: that answers are late, and how they are learned. Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import NoneType

from revealed.decide.delay.hazard import require_family
from revealed.decide.delay.laws import WeibullDelay
from revealed.decide.delay.naive import Naive
from revealed.decide.delay.nothing_yet import NothingYet
from revealed.decide.delay.options import LedgerOptions
from revealed.decide.delay.treatment import Treatment
from revealed.decide.delay.waiting import Waiting
from revealed.decide.delay.watch import LawOptions
from revealed.decide.delay.weighted import ElapsedWeighted, FakeNegativeWeighted
from revealed.errors import SpecificationError, nearest

METHODS = ("nothing-yet", "naive", "wait", "fake-negative", "es-dfm")
#: Seconds in each unit of time.
UNITS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0, "weeks": 604_800.0}
ZEROS = ("no", "nothing-yet")

_NUMBER = {"accepts": (int, float, NoneType)}


@dataclass(frozen=True)
class Delay:
    """How answers that come late are learned.

    Parameters
    ----------
    method : str
        What a decision without an answer says: nothing-yet, naive ("no" until "yes"), wait (nothing), fake-negative or
        es-dfm (importance weights).
    shown : str, optional
        The column that says when a thing was shown; by default the log's ``time``.
    answered : str, optional
        The column that says when its answer came.
    unit : str
        Of time: seconds, minutes, hours, days or weeks. Columns of numbers are taken as they are.
    zero : str
        What a reward of zero is: a "no", or "nothing-yet", where nobody ever says "no".
    law : str
        Of delays: weibull or exponential. Not needed by naive, wait and fake-negative.
    mean : float, optional
        The mean delay, in units of time; by default the law is estimated.
    shape : float
        Of a law whose mean is given; 1 is the exponential's.
    covariates : tuple of str
        Columns of numbers that delays may depend on.
    window : float, optional
        How long es-dfm waits.
    horizon : float, optional
        The age at which a decision without an answer is a "no" for good, whatever the law says.
    negligible : float
        And in any case when this share of answers is still to come.

    Raises
    ------
    SpecificationError
        If a name is not known, a number cannot be, or two of them do not go together.
    """

    method: str = "nothing-yet"
    shown: str | None = None
    answered: str | None = None
    unit: str = "hours"
    zero: str = "no"
    law: str = "weibull"
    mean: float | None = field(default=None, metadata=_NUMBER)
    shape: float = 1.0
    covariates: tuple[str, ...] = ()
    window: float | None = field(default=None, metadata=_NUMBER)
    horizon: float | None = field(default=None, metadata=_NUMBER)
    negligible: float = 1e-3

    def __post_init__(self) -> None:
        for name, value, known in (
            ("method", self.method, METHODS),
            ("unit", self.unit, tuple(UNITS)),
            ("zero", self.zero, ZEROS),
        ):
            if value not in known:
                raise SpecificationError(f"[delay] has no {name} {value!r}; {nearest(value, known)}")
        require_family(self.law)
        if self.method == "es-dfm" and self.window is None:
            raise SpecificationError("[delay] method es-dfm needs a window: how long to wait, in units of time")
        if self.method != "es-dfm" and self.window is not None:
            raise SpecificationError(f"[delay] window is for method es-dfm, not for {self.method}; leave it out")
        if self.method == "wait" and self.zero == "nothing-yet":
            raise SpecificationError(
                '[delay] method wait would learn from "yes" alone where nobody says "no"; use nothing-yet'
            )
        if self.shape != 1 and self.mean is None:
            raise SpecificationError("[delay] shape goes with a mean; without one both are estimated: leave it out")
        if self.covariates and self.mean is not None:
            raise SpecificationError("[delay] a law of a given mean has no covariates; leave one of the two out")
        _ = self.treatment, self.delays, self.ledger()

    @property
    def treatment(self) -> Treatment:
        """What a decision without an answer says."""
        if self.window is not None:
            return ElapsedWeighted(float(self.window))
        plain: dict[str, Treatment] = {
            "nothing-yet": NothingYet(),
            "naive": Naive(),
            "wait": Waiting(),
            "fake-negative": FakeNegativeWeighted(),
        }
        return plain[self.method]

    @property
    def delays(self) -> LawOptions:
        """How the delay law is come by."""
        law = None if self.mean is None else WeibullDelay.with_mean(float(self.mean), self.shape)
        return LawOptions(law=law, family=self.law, n_covariates=len(self.covariates))

    def ledger(self, batch: int | None = None, keep: float = 1.0, *, hold: bool = False) -> LedgerOptions:
        """Return how the ledger of a policy is kept; unless told to ``hold`` them, without what was answered."""
        horizon = None if self.horizon is None else float(self.horizon)
        return LedgerOptions(self.negligible, horizon, hold=hold, batch=batch, keep=keep)
