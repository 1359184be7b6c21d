"""The delays of recent answers and the law they tell, or why they do not tell it yet. Imports its own room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.delay.curves import misfit
from revealed.decide.delay.hazard import require_family
from revealed.decide.delay.laws import Covariates, DelayLaw, Vector
from revealed.decide.delay.truncated import DelayFit, fit_delays
from revealed.decide.delay.waits import Waits
from revealed.errors import SpecificationError

Delays = Float[np.ndarray, " answers"]


@dataclass(frozen=True, eq=False)
class LawOptions:
    """How the delay law is come by.

    Parameters
    ----------
    law : DelayLaw, optional
        Known; nothing is estimated then.
    family : str
        What is estimated else: "weibull" or "exponential".
    n_covariates : int
        What delays depend on.
    min_answers : int
        Answers below which no law is trusted.
    max_error : float
        The standard error of the log rate (and of the log shape) above which no law is trusted.
    memory : int
        How many of the latest decisions' answers are kept to estimate from.
    growth : float
        The law is estimated again when the answers seen have grown by this share, and in any case at half the memory.
    """

    law: DelayLaw | None = None
    family: str = "weibull"
    n_covariates: int = 0
    min_answers: int = 50
    max_error: float = 0.5
    memory: int = 20_000
    growth: float = 0.25

    def __post_init__(self) -> None:
        require_family(self.family)
        if self.n_covariates < 0 or self.min_answers < 1 or self.memory < self.min_answers:
            raise SpecificationError("covariates must be 0 or more, answers 1 or more, and the memory hold that many")
        if not (self.max_error > 0 and self.growth > 0):
            raise SpecificationError("the largest error and the growth must be above zero")
        if self.law is not None and self.law.n_covariates != self.n_covariates:
            raise SpecificationError(
                f"a law of {self.law.n_covariates} covariates where n_covariates={self.n_covariates}: make them agree"
            )


class LawWatch:
    """The delay law as far as it is known; changes in place.

    Parameters
    ----------
    options : LawOptions
    """

    def __init__(self, options: LawOptions) -> None:
        self.options = options
        self.fit: DelayFit | None = None
        self.seen = 0
        self.fitted_at = 0
        self.misfit = 0.0
        self.ticket = np.zeros(0, np.int64)
        self.decided = np.zeros(0)
        self.delay = np.zeros(0)
        self.covariates: Covariates = np.zeros((0, options.n_covariates))

    @property
    def law(self) -> DelayLaw | None:
        """The law, given or estimated; None while it is not to be trusted."""
        if self.options.law is not None:
            return self.options.law
        return self.fit.law if self.fit is not None and not self.doubt() else None

    def doubt(self) -> str:
        """Return why there is no law to be trusted; empty where there is."""
        if self.options.law is not None:
            return ""
        if self.fit is None:
            return f"{self.seen} answers so far, and a delay law needs {self.options.min_answers}"
        if not self.fit.status.converged:
            return f"the delay law did not converge: {self.fit.status.reason}"
        errors = self.fit.standard_errors
        worst = int(errors.argmax())
        if errors[worst] > self.options.max_error:
            return (
                "the watch is too short to tell how long answers take: the standard error of the "
                f"{self.fit.names[worst]} is {errors[worst]:.2f}, above {self.options.max_error:g}"
            )
        return ""

    def add(
        self,
        ticket: Int[np.ndarray, " answers"],
        decided: Delays,
        delay: Delays,
        covariates: Float[np.ndarray, "answers C"],
    ) -> None:
        """Keep the delays of some answers; of the latest decisions, once the memory is full by half as much again."""
        self.seen += len(delay)
        if self.options.law is not None:
            return
        self.ticket = np.concatenate([self.ticket, ticket])
        self.decided = np.concatenate([self.decided, decided])
        self.delay = np.concatenate([self.delay, delay])
        self.covariates = np.concatenate([self.covariates, covariates])
        if len(self.decided) > 1.5 * self.options.memory:
            # By the time of the decision, not of the answer: late answers must not be the ones that drop out.
            since = np.partition(self.decided, -self.options.memory)[-self.options.memory]
            self.keep(self.decided >= since)

    def forget(self, ticket: Int[np.ndarray, " forgotten"]) -> None:
        """Let go of the delays of some decisions' answers; the law moves when it is next estimated."""
        self.keep(~np.isin(self.ticket, ticket))

    def keep(self, some: Bool[np.ndarray, " kept"]) -> None:
        """Keep some of the delays only."""
        self.ticket = self.ticket[some]
        self.decided, self.delay, self.covariates = self.decided[some], self.delay[some], self.covariates[some]

    def renew(self, now: float) -> bool:
        """Estimate the law again if there is enough that is new; return whether it did."""
        if self.options.law is not None or len(self.delay) < self.options.min_answers:
            return False
        wanted = min(self.options.growth * self.fitted_at, 0.5 * self.options.memory)
        if self.seen - self.fitted_at < max(wanted, 1):
            return False
        waits = Waits.of(self.delay, now - self.decided, self.covariates)
        start = None if self.fit is None or not self.fit.status.converged else self.fit.params
        self.fit, self.fitted_at = fit_delays(waits, self.options.family, start), self.seen
        self.misfit = misfit(waits, self.fit.law)
        return True

    def survival(self, elapsed: Vector, covariates: Covariates) -> Vector:
        """Return the share of answers still to come; zero while no law is to be trusted, which is to be naive."""
        law = self.law
        return np.zeros(len(elapsed)) if law is None else law.survival(elapsed, covariates)
