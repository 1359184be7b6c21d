"""What estimators of linear rewards share: formula, constraints, conclusion. Imports its room, models and engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from revealed.engine.blas import single_threaded_blas
from revealed.errors import SpecificationError
from revealed.evidence import Maximum, NewtonOptions
from revealed.evidence.covariance import covariance
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.likelihood import Policies, Seen, impossible
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward, log_of_states
from revealed.models.dynamic.solve import Solution
from revealed.models.dynamic.transitions import EstimatedTransitions
from revealed.models.estimate import free_of, named_vector, prior_of, region_of
from revealed.models.model import Bounds
from revealed.models.utility import Utility


@dataclass(frozen=True, eq=False)
class Estimated:
    """Where an estimator ended, before it is told what the estimates are worth.

    Parameters
    ----------
    maximum : Maximum
    policies : callable
        Behaviour and the slope of action values, as at the maximum.
    solution : Solution
    trail : tuple of ndarray
        The parameters of each outer step, where there are several.
    """

    maximum: Maximum
    policies: Policies
    solution: Solution
    trail: tuple[np.ndarray, ...] = ()

    @property
    def params(self) -> Float[np.ndarray, " K"]:
        """The estimates."""
        return self.maximum.params


#: What differs little, to start from.
Near = Estimated | DynamicFit | None


@dataclass(frozen=True)
class DynamicModel(ABC):
    """Rewards by a formula over states and actions, with constraints; subclasses say how they are estimated.

    Parameters
    ----------
    utility : str or mapping
        The reward: a formula, or one per action: ``{"keep": "mileage", "replace": "asc"}``. An action whose reward is
        ``"0"`` is an anchor: all others are relative to it.
    reference, fixed, bounds, start, ridge, prior
        As for :class:`revealed.models.model.Model`.
    """

    utility: Utility
    reference: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    ridge: float = 0.0
    prior: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    title: ClassVar[str]
    citation: ClassVar[str]
    #: What estimates lean on further.
    lean: ClassVar[tuple[str, ...]] = ()

    @single_threaded_blas()
    def fit(
        self,
        panel: Panel,
        process: DecisionProcess,
        *,
        transitions: EstimatedTransitions | None = None,
        options: NewtonOptions | None = None,
    ) -> DynamicFit:
        """Estimate the reward's parameters from a panel.

        Parameters
        ----------
        panel : Panel
        process : DecisionProcess
            Its transitions are taken as known.
        transitions : EstimatedTransitions, optional
            Where those transitions were estimated, for the likelihood of the moves and remarks.
        options : NewtonOptions, optional

        Raises
        ------
        SpecificationError
            If the formula does not fit the states, or there are more parameters than the states visited can tell.
        DataError
            If the panel does what the process does not allow.
        """
        self.require(process)
        linear, seen = self.bound(panel, process)
        found = self.estimated(panel, process, linear, seen, options)
        return self.conclude(panel, process, linear, seen, found, transitions)

    def require(self, process: DecisionProcess) -> None:  # noqa: B027
        """Raise SpecificationError for what this estimator cannot do; by default it can do all."""

    @abstractmethod
    def estimated(
        self,
        panel: Panel,
        process: DecisionProcess,
        linear: LinearReward,
        seen: Seen,
        options: NewtonOptions | None = None,
        near: Near = None,
    ) -> Estimated:
        """Return the estimates from a formula that was read and choices that were counted, once for many estimates.

        ``near`` is where choices or a process that differ little ended; it saves time.
        """

    def bound(self, panel: Panel, process: DecisionProcess) -> tuple[LinearReward, Seen]:
        """Return the reward's formula read against the states, and what was seen in them."""
        seen = Seen.of(panel, process)
        counts = seen.by_state
        log = log_of_states(process.space, process.actions, counts, process.available, process.attributes)
        ahead = process.discount > 0 and process.horizon != 1
        linear = LinearReward.read(self.utility, log, self.reference, looking_ahead=ahead)
        most = int((counts.sum(axis=1) > 0).sum()) * (process.n_actions - 1)
        if len(linear.names) > most:
            what = f"{len(linear.names)} parameters, but the states visited tell {most} numbers at most"
            raise SpecificationError(f"{what}; use a shorter formula, or more data")
        for name in () if self.ridge else linear.idle(process):
            if name not in {**self.fixed, **self.prior}:
                raise SpecificationError(
                    f"{name!r} is the same for all actions in every state, and no action leads to more or less of it, "
                    f"so it cannot matter; drop it, or let its effect differ by action: C(alternative):{name}"
                )
        return linear, seen

    def begin(self, names: tuple[str, ...], near: Near = None) -> Float[np.ndarray, " K"]:
        """Return where to start from."""
        region = region_of(self, names)
        start = named_vector(names, self.start, 0.0, "start") if near is None else near.params
        return np.where(region.fixed, region.lower, start)

    def conclude(
        self,
        panel: Panel,
        process: DecisionProcess,
        linear: LinearReward,
        seen: Seen,
        found: Estimated,
        transitions: EstimatedTransitions | None = None,
    ) -> DynamicFit:
        """Return the fit: the estimates with their errors and all that is to be told of them."""
        maximum, solution = found.maximum, found.solution
        evidence = seen.by_person(maximum.evidence, found.policies)
        free = free_of(self, linear.names, maximum.status.at_bound)
        prior = prior_of(self, linear.names)
        kinds = ("classic", "robust", "clustered")[: 3 if panel.n_persons > 1 else 2]  # one cluster has no spread
        return DynamicFit(
            method=self.title,
            citation=self.citation,
            process=process,
            linear=linear,
            params=maximum.params,
            evidence=evidence,
            status=maximum.status,
            covariances={kind: covariance(evidence, kind, free, maximum.status, prior) for kind in kinds},
            free=free,
            solution=solution,
            n_observations=panel.n_observations,
            n_persons=panel.n_persons,
            formulas={"": self.utility} if isinstance(self.utility, str) else dict(self.utility),
            transition_log_likelihood=None if transitions is None else transitions.log_likelihood,
            assumptions=(f"discount factor {process.discount:g}, given, not estimated", *_KNOWN, *self.lean),
            remarks=(
                *panel.remarks(process),
                *impossible(panel, process),
                *(() if transitions is None else transitions.remarks),
            ),
            errors=kinds[-1],
            trail=found.trail,
            first_states=None if process.horizon is None else panel.first_states,
        )


#: What a bootstrap by person has in: said of no fit that keeps one.
LEFT_OUT = "standard errors leave out"
_KNOWN = (
    "shocks are independent extreme values of a known scale, over actions, persons and time",
    f"transitions are taken as known: {LEFT_OUT} that they were estimated",
    "rewards are relative to what the formula holds at zero; another level of that would change the others",
)
