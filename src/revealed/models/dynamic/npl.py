r"""The nested pseudo-likelihood estimator. Imports its own room and evidence.

Aguirregabiria and Mira (2002), "Swapping the nested fixed point algorithm", Econometrica 70(4): estimate with the
behaviour that was seen (:mod:`.ccp`), take what the estimates say that people do, estimate again, and so on. Where that
settles it is the maximum of the likelihood, and standard errors are its own.

Choices left open: behaviour starts from shares drawn towards the share among all by ``smoothing`` choices a state; it
has settled when no parameter moves by more than ``tolerance`` of its standard error, twice in a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.evidence import Maximum, NewtonOptions
from revealed.models.dynamic.likelihood import Seen
from revealed.models.dynamic.model import DynamicModel, Estimated, Near
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.pseudo import by_valuation, climbed, frequencies, require_stationary
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import solved


@dataclass(frozen=True)
class NestedPseudoLikelihood(DynamicModel):
    """Estimates by choice probabilities until they settle; see :class:`DynamicModel` for the other parameters.

    Parameters
    ----------
    steps : int
        The most steps.
    smoothing : float
        The choices by which the first behaviour is drawn towards the shares among all.
    tolerance : float
        Of a standard error.
    """

    steps: int = 100
    smoothing: float = 1.0
    tolerance: float = 1e-7

    title: ClassVar[str] = "Nested pseudo-likelihood"
    citation: ClassVar[str] = "Aguirregabiria and Mira (2002), Swapping the nested fixed point algorithm"

    def require(self, process: DecisionProcess) -> None:
        """Raise SpecificationError for a process with a horizon, and for no steps."""
        require_stationary(process, self.title)
        if self.steps < 1:
            raise SpecificationError(f"steps must be 1 or more, not {self.steps!r}")

    def estimated(
        self,
        panel: Panel,  # noqa: ARG002
        process: DecisionProcess,
        linear: LinearReward,
        seen: Seen,
        options: NewtonOptions | None = None,
        near: Near = None,
    ) -> Estimated:
        """Estimate; see :meth:`DynamicModel.estimated`. Not to settle is status."""
        behaviour = frequencies(seen, process, self.smoothing) if near is None else near.solution.policy
        params, still, pseudo = self.begin(linear.names, near), 0, None
        trail: list[np.ndarray] = []
        while True:
            pseudo = by_valuation(process, linear, behaviour, pseudo)
            maximum, policies = climbed(self, process, linear, seen, pseudo, params, options)
            still = still + 1 if trail and _moved(maximum, params) < self.tolerance else 0
            params, behaviour = maximum.params, pseudo.policy(process, maximum.params)
            trail.append(params)
            if still == 2 or len(trail) >= self.steps or not maximum.status.converged:
                break
        if still < 2 and maximum.status.converged:
            reason = f"{len(trail)} steps were not enough for behaviour to settle"
            maximum = replace(maximum, status=replace(maximum.status, converged=False, reason=reason))
        assert pseudo is not None
        start = None if pseudo.worth is None else pseudo.worth @ np.append(params, 1.0)
        solution = solved(process, linear.of(params), start)
        return Estimated(maximum, policies, solution, tuple(trail))


def _moved(maximum: Maximum, before: Float[np.ndarray, " K"]) -> float:
    """Return the largest move of a parameter in standard errors of its own, the others held."""
    diagonal = np.maximum(np.diag(maximum.evidence.information), 0.0)
    return float((np.abs(maximum.params - before) * np.sqrt(diagonal)).max(initial=0.0))
