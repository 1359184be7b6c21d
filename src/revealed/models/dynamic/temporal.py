r"""Two steps by temporal differences: no transitions, no solving, many states. Imports its own room and evidence.

Adusumilli and Eckardt, "Temporal-difference estimation of dynamic discrete choice models" (2019, arXiv 1912.09509), the
linear semi-gradient. Given behaviour :math:`P`, action values are :math:`Q(s, a) = h(s, a)^\top\theta + g(s, a)` with

.. math::
   h(s, a) = x(s, a) + \gamma\, E[h(s', a')], \qquad g(s, a) = \gamma\, E[g(s', a') - \alpha \log P(a'|s')],

where :math:`(s', a')` is what the same person met and did next. Both are sought among functions linear in
:math:`\phi(s, a)`, a basis in the state for each action: with sums over all moves seen,

.. math:: \omega = \Big[\sum \phi (\phi - \gamma \phi')^\top\Big]^{-1} \sum \phi\, x^\top, \qquad
   \xi = \Big[\sum \phi (\phi - \gamma \phi')^\top\Big]^{-1} \sum \phi\, (-\gamma \alpha \log P').

Choices left open: behaviour is a logit on the same basis, and the pseudo-likelihood counts all choices, the last of a
person included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from revealed.errors import DataError, Problem, SpecificationError
from revealed.evidence import Detail, Evidence, Gaussian, NewtonOptions, Region, maximise
from revealed.models.dynamic.likelihood import Seen
from revealed.models.dynamic.model import LEFT_OUT, DynamicModel, Estimated, Near
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.pseudo import Pseudo, climbed, require_stationary
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import choose, solved

#: Behaviour is kept from zero by this much: its logarithm enters values.
_LEAST = 1e-12
_RIDGE = 1e-6
_LEAN = (
    "values are linear in the basis: what it cannot follow, rewards take up",
    f"{LEFT_OUT} that behaviour and values were estimated first; a bootstrap by person has it in",
)


@dataclass(frozen=True)
class TemporalDifference(DynamicModel):
    """Two steps by temporal differences; see :class:`DynamicModel` for the other parameters.

    Parameters
    ----------
    basis : str
        The functions of the state that values are made of, as a formula: ``"x + I(x**2)"`` or ``"C(x)"``. A constant is
        there by itself, and each action has coefficients of its own.
    """

    basis: str = ""

    lean: ClassVar[tuple[str, ...]] = _LEAN
    title: ClassVar[str] = "Temporal differences"
    citation: ClassVar[str] = "Adusumilli and Eckardt (2019), Temporal-difference estimation"

    def require(self, process: DecisionProcess) -> None:
        """Raise SpecificationError for a process with a horizon, and for no basis."""
        require_stationary(process, self.title)
        if not self.basis:
            raise SpecificationError(
                "say what values are made of: basis='x + I(x**2)', or 'C(x)' for any function of x"
            )

    def estimated(
        self,
        panel: Panel,
        process: DecisionProcess,
        linear: LinearReward,
        seen: Seen,
        options: NewtonOptions | None = None,
        near: Near = None,
    ) -> Estimated:
        """Estimate; see :meth:`DynamicModel.estimated`. Transitions serve only to say what people do in the end."""
        basis = self._basis(process, linear)
        behaviour = self._behaviour(process, basis, seen, options)
        pseudo = by_temporal_differences(process, linear, panel, basis, behaviour)
        maximum, policies = climbed(self, process, linear, seen, pseudo, self.begin(linear.names, near), options)
        return Estimated(maximum, policies, solved(process, linear.of(maximum.params)))

    def _basis(self, process: DecisionProcess, linear: LinearReward) -> Float[np.ndarray, "S L"]:
        # Read for one action alone, as what is the same for all actions would teach a static model nothing.
        first, *others = process.actions
        read = LinearReward.read({first: self.basis, **dict.fromkeys(others, "0")}, linear.log)
        columns = read.features[:, 0]
        spread = columns.std(axis=0)
        if not (spread > 0).all():
            raise SpecificationError(f"{read.names[int(spread.argmin())]!r} of the basis is the same in all states")
        return np.column_stack([np.ones(process.n_states), (columns - columns.mean(axis=0)) / spread])

    def _behaviour(
        self, process: DecisionProcess, basis: Float[np.ndarray, "S L"], seen: Seen, options: NewtonOptions | None
    ) -> Float[np.ndarray, "S A"]:
        """Return choice probabilities by a logit on the basis, the first action the one others are compared with."""
        n_actions, size = process.n_actions, basis.shape[1]
        slope = np.zeros((process.n_states, n_actions, (n_actions - 1) * size))
        for action in range(1, n_actions):
            slope[:, action, (action - 1) * size : action * size] = basis
        closed = np.where(process.mask, 0.0, -np.inf)
        names = tuple(f"b{place}" for place in range(slope.shape[2]))

        def policy(params: Float[np.ndarray, " M"]) -> Float[np.ndarray, "S A"]:
            return choose(process, process.scale * (slope @ params) + closed)[1]

        def evidence_at(params: Float[np.ndarray, " M"], detail: Detail) -> Evidence:
            return seen.evidence("behaviour", names, params, lambda at: (policy(at), slope), detail)

        far = np.full(len(names), np.inf)
        # A little ridge, for actions that part of the states never see.
        prior = Gaussian.ridge(_RIDGE, len(names))
        return policy(maximise(evidence_at, np.zeros_like(far), Region(-far, far), prior=prior, options=options).params)


def by_temporal_differences(
    process: DecisionProcess,
    linear: LinearReward,
    panel: Panel,
    basis: Float[np.ndarray, "S L"],
    behaviour: Float[np.ndarray, "S A"],
) -> Pseudo:
    """Return action values given behaviour, by temporal differences over the moves seen.

    Raises
    ------
    DataError
        If nobody was seen in two periods in a row, or the moves cannot tell the coefficients of the basis apart.
    """
    moves = panel.moves
    if not len(moves):
        raise DataError(panel.source, [Problem("no two periods in a row", "give persons several periods")])
    follows = panel.following[moves]
    state, action = panel.state[moves], panel.action[moves]
    after, then = panel.state[follows], panel.action[follows]
    size, gamma = basis.shape[1], process.discount
    weighted = panel.move_weights[:, None] * basis[state]
    # One row and column for each cell of action and function; both matrices by action, as phi is zero elsewhere.
    now = np.zeros((process.n_actions * size, process.n_actions * size))
    flows = np.zeros((process.n_actions * size, len(linear.names) + 1))
    surprise = -gamma * process.scale * np.log(np.maximum(behaviour[after, then], _LEAST))
    for number in range(process.n_actions):
        mine = action == number
        rows, place = weighted[mine], slice(number * size, (number + 1) * size)
        now[place, place] += rows.T @ basis[state[mine]]
        for other in range(process.n_actions):
            both = mine & (then == other)
            at = slice(other * size, (other + 1) * size)
            now[place, at] -= gamma * weighted[both].T @ basis[after[both]]
        flows[place, :-1] = rows.T @ linear.features[state[mine], number]
        flows[place, -1] = rows.T @ surprise[mine]
    if np.linalg.matrix_rank(now) < len(now):
        what = f"{len(moves):,} moves cannot tell the {len(now)} coefficients of the basis apart"
        raise DataError(panel.source, [Problem(what, "take a shorter basis, or more data")])
    found = np.linalg.solve(now, flows).reshape(process.n_actions, size, -1)
    values = np.einsum("sl,alk->sak", basis, found)
    offset = np.where(process.mask, values[:, :, -1], -np.inf)
    return Pseudo(np.ascontiguousarray(values[:, :, :-1]), offset)
