r"""The nested fixed point estimator. Imports its own room and evidence.

Rust (1987), "Optimal replacement of GMC bus engines", Econometrica 55(5): maximum likelihood, with the process solved
at each trial of the parameters. Solved by successive approximations and Newton–Kantorovich steps (:mod:`.solve`), begun
from the values of the trial before; the slope of values is one more linear system,

.. math:: \frac{\partial V}{\partial\theta} = (I - \gamma T_\pi)^{-1} \sum_a \pi(a|\cdot)\,
   \frac{\partial r(\cdot, a)}{\partial\theta}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from revealed.evidence import Detail, Evidence, NewtonOptions, maximise
from revealed.models.dynamic.likelihood import Seen
from revealed.models.dynamic.model import DynamicModel, Estimated, Near
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import Solution, SolveOptions, forward, solved
from revealed.models.estimate import prior_of, region_of


@dataclass(frozen=True)
class NestedFixedPoint(DynamicModel):
    """Maximum likelihood with the process solved at each trial; see :class:`DynamicModel` for the other parameters.

    Parameters
    ----------
    solve : SolveOptions
        How far values are solved.
    """

    solve: SolveOptions = field(default=SolveOptions(), repr=False)

    title: ClassVar[str] = "Nested fixed point"
    citation: ClassVar[str] = "Rust (1987), Optimal replacement of GMC bus engines"

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
        nest = _Nest(process, linear, self.solve)
        if near is not None and process.horizon is None:
            nest.value = near.solution.value
        signature = f"nested fixed point({' + '.join(linear.names)}; discount {process.discount!r})"

        def evidence_at(params: Float[np.ndarray, " K"], detail: Detail) -> Evidence:
            return seen.evidence(signature, linear.names, params, nest.policies, detail)

        region, prior = region_of(self, linear.names), prior_of(self, linear.names)
        maximum = maximise(evidence_at, self.begin(linear.names, near), region, prior=prior, options=options)
        return Estimated(maximum, nest.policies, nest.solution_at(maximum.params))


@dataclass(eq=False)
class _Nest:
    """Solves the process at trial after trial, each from the values of the one before."""

    process: DecisionProcess
    linear: LinearReward
    options: SolveOptions
    value: np.ndarray | None = field(default=None)

    def solution_at(self, params: Float[np.ndarray, " K"]) -> Solution:
        found = solved(self.process, self.linear.of(params), self.value, self.options)
        if self.process.horizon is None and np.isfinite(found.residual):
            self.value = found.value
        return found

    def policies(self, params: Float[np.ndarray, " K"]) -> tuple[np.ndarray, np.ndarray]:
        """Return the policy, and the slope of action values in units of the scale, by cells."""
        solution, process = self.solution_at(params), self.process
        x = self.linear.features
        if process.horizon is not None:
            return self._policies_to_horizon(solution)
        flow = np.einsum("sa,sak->sk", solution.policy, x)
        slope = forward(process, process.under(solution.policy), flow)
        return solution.policy, (x + process.discount * process.expected(slope)) / process.scale

    def _policies_to_horizon(self, solution: Solution) -> tuple[np.ndarray, np.ndarray]:
        process, x = self.process, self.linear.features
        slopes = np.empty((len(solution.policy), *x.shape))
        after = np.zeros((process.n_states, x.shape[2]))
        for period in reversed(range(len(slopes))):
            slopes[period] = x + process.discount * process.expected(after)
            after = np.einsum("sa,sak->sk", solution.policy[period], slopes[period])
        cells = (-1, process.n_actions)
        return solution.policy.reshape(cells), slopes.reshape(*cells, x.shape[2]) / process.scale
