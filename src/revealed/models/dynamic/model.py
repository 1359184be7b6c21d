"""What estimators of linear rewards share: formula, constraints, conclusion. Imports its own room and models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.evidence import Maximum, NewtonOptions
from revealed.evidence.covariance import covariance
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.likelihood import Seen, impossible
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward, log_of_states
from revealed.models.dynamic.solve import Solution
from revealed.models.dynamic.transitions import EstimatedTransitions
from revealed.models.estimate import free_of, named_vector, prior_of, region_of
from revealed.models.model import Bounds
from revealed.models.utility import Utility


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

    @abstractmethod
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

    def bound(self, panel: Panel, process: DecisionProcess) -> tuple[LinearReward, Seen]:
        """Return the reward's formula read against the states, and what was seen in them."""
        seen = Seen.of(panel, process)
        counts = seen.counts.reshape(-1, process.n_states, process.n_actions).sum(axis=0)
        log = log_of_states(process.space, process.actions, counts, process.available, process.attributes)
        linear = LinearReward.read(self.utility, log, self.reference)
        most = int((counts.sum(axis=1) > 0).sum()) * (process.n_actions - 1)
        if len(linear.names) > most:
            what = f"{len(linear.names)} parameters, but the states visited tell {most} numbers at most"
            raise SpecificationError(f"{what}; use a shorter formula, or more data")
        return linear, seen

    def begin(self, names: tuple[str, ...]) -> Float[np.ndarray, " K"]:
        """Return where to start from."""
        region = region_of(self, names)
        return np.where(region.fixed, region.lower, named_vector(names, self.start, 0.0, "start"))

    def conclude(
        self,
        panel: Panel,
        process: DecisionProcess,
        linear: LinearReward,
        maximum: Maximum,
        solution: Solution,
        transitions: EstimatedTransitions | None,
        trail: tuple[np.ndarray, ...] = (),
    ) -> DynamicFit:
        """Return the fit of a maximum."""
        free = free_of(self, linear.names, maximum.status.at_bound)
        prior = prior_of(self, linear.names)
        kinds = ("classic", "robust", "clustered")[: 3 if panel.n_persons > 1 else 2]  # one cluster has no spread
        return DynamicFit(
            method=self.title,
            citation=self.citation,
            process=process,
            linear=linear,
            params=maximum.params,
            evidence=maximum.evidence,
            status=maximum.status,
            covariances={kind: covariance(maximum.evidence, kind, free, maximum.status, prior) for kind in kinds},
            free=free,
            solution=solution,
            n_observations=panel.n_observations,
            n_persons=panel.n_persons,
            formulas={"": self.utility} if isinstance(self.utility, str) else dict(self.utility),
            transition_log_likelihood=None if transitions is None else transitions.log_likelihood,
            assumptions=(f"discount factor {process.discount:g}, given, not estimated", *_KNOWN),
            remarks=(
                *panel.remarks(),
                *impossible(panel, process),
                *(() if transitions is None else transitions.remarks),
            ),
            errors=kinds[-1],
            trail=trail,
        )


_KNOWN = (
    "shocks are independent extreme values of a known scale, over actions, persons and time",
    "transitions are taken as known: standard errors leave out that they were estimated",
    "rewards are relative to what the formula holds at zero; another level of that would change the others",
)
