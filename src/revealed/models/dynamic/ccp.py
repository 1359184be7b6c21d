r"""The two-step estimator by conditional choice probabilities. Imports its own room and evidence.

Hotz and Miller (1993), "Conditional choice probabilities and the estimation of dynamic models", Review of Economic
Studies 60(3): what people were seen to do stands in for solving the process. With an action that renews, finite
dependence (Arcidiacono and Miller 2011, "Conditional choice probability estimation of dynamic discrete choice models
with unobserved heterogeneity", Econometrica 79(6)) needs no value at all, whatever the number of states.

Cheap, and consistent where all states that matter were seen often. Behaviour that is estimated badly biases it:
:mod:`.npl` has no such bias. Choice left open: behaviour is the shares seen, drawn towards the share among all by
``smoothing`` choices a state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from revealed.evidence import NewtonOptions
from revealed.models.dynamic.likelihood import Seen
from revealed.models.dynamic.model import LEFT_OUT, DynamicModel, Estimated, Near
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.pseudo import (
    by_finite_dependence,
    by_valuation,
    climbed,
    frequencies,
    renewal_of,
    require_stationary,
)
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import solved

_TWO_STEPS = f"{LEFT_OUT} that behaviour was estimated first; a bootstrap by person has it in"


@dataclass(frozen=True)
class ConditionalChoice(DynamicModel):
    """Two steps: behaviour, then rewards; see :class:`DynamicModel` for the other parameters.

    Parameters
    ----------
    renewal : str, optional
        An action that renews: values come by finite dependence, and nothing is solved.
    smoothing : float
        The choices by which behaviour in a state is drawn towards the shares among all.
    """

    renewal: str | None = None
    smoothing: float = 1.0

    lean: ClassVar[tuple[str, ...]] = (_TWO_STEPS,)
    title: ClassVar[str] = "Conditional choice probabilities"
    citation: ClassVar[str] = "Hotz and Miller (1993), Conditional choice probabilities"

    def require(self, process: DecisionProcess) -> None:
        """Raise SpecificationError for a process with a horizon."""
        require_stationary(process, self.title)

    def estimated(
        self,
        panel: Panel,  # noqa: ARG002
        process: DecisionProcess,
        linear: LinearReward,
        seen: Seen,
        options: NewtonOptions | None = None,
        near: Near = None,
    ) -> Estimated:
        """Estimate; see :meth:`DynamicModel.estimated`."""
        renewal = None if self.renewal is None else renewal_of(process, self.renewal)
        behaviour = frequencies(seen, process, self.smoothing)
        if renewal is None:
            pseudo = by_valuation(process, linear, behaviour)
        else:
            pseudo = by_finite_dependence(process, linear, behaviour, renewal)
        maximum, policies = climbed(self, process, linear, seen, pseudo, self.begin(linear.names, near), options)
        return Estimated(maximum, policies, solved(process, linear.of(maximum.params)))
