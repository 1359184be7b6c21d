r"""Evidence of choices from policies and their slopes. Imports its own room, evidence and errors.

All who take action :math:`a` in state :math:`s` have the same log-likelihood and score, so evidence is a sum over
states and actions, weighted by how often each was seen, and costs the same for ten persons or ten million. The
information is the expected one given the states visited, :math:`\sum_s n_s \sum_a \pi(a|s)\, g_{sa} g_{sa}^\top` with
:math:`g_{sa} = \partial \log \pi(a|s) / \partial\theta`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import DataError, Problem
from revealed.evidence import Detail, Evidence, Ledger, Tally
from revealed.models.dynamic.offered import require_offered
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess

#: Policy (C, A) and the slope of action values in units of the scale (C, A, K), at some parameters.
Policies = Callable[[Float[np.ndarray, " K"]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Seen:
    """Which actions were taken where: in cells, which are states, or states by period where there is a horizon.

    Parameters
    ----------
    counts : ndarray of float64, shape (C, A)
    cell, action, person : ndarray of int64, shape (n,)
        Of each observation.
    n_states : int
    weight : ndarray of float64, shape (n,), optional
    """

    counts: Float[np.ndarray, "C A"]
    cell: Int[np.ndarray, " n"]
    action: Int[np.ndarray, " n"]
    person: Int[np.ndarray, " n"]
    n_states: int
    weight: Float[np.ndarray, " n"] | None = None

    @classmethod
    def of(cls, panel: Panel, process: DecisionProcess) -> Seen:
        """Return what a panel shows of a process.

        Raises
        ------
        DataError
            If an action was taken that is not available, the log offered other actions than the process has, or a
            period is beyond the horizon.
        """
        require_fit(panel, process)
        cell, n_cells = panel.state, process.n_states
        if process.horizon is not None:
            period = panel.elapsed
            if period.max() >= process.horizon:
                what = f"{int(period.max()) + 1} periods for a horizon of {process.horizon}"
                raise DataError(panel.source, [Problem(what, "give a longer horizon, or None for ever")])
            cell, n_cells = period * process.n_states + panel.state, process.horizon * process.n_states
        flat = np.bincount(cell * process.n_actions + panel.action, panel.weight, n_cells * process.n_actions)
        counts = flat.reshape(n_cells, process.n_actions).astype(np.float64)
        return cls(counts, cell, panel.action, panel.person, process.n_states, panel.weight)

    def evidence(
        self,
        signature: str,
        names: tuple[str, ...],
        params: Float[np.ndarray, " K"],
        policies: Policies,
        detail: Detail,
    ) -> Evidence:
        """Return the evidence of all choices at some parameters, without who made them."""
        policy, slope = policies(params)
        score = _scores(policy, slope)
        some = self.counts > 0
        with np.errstate(divide="ignore"):
            gain = np.log(policy[some])
        counts = self.counts[some]
        taken = score[some]
        information = outer = None
        if detail >= Detail.INFORMATION:
            visited = self.counts.sum(axis=1)
            seen = visited > 0
            weight = np.sqrt(policy[seen] * visited[seen, None])
            scaled = (score[seen] * weight[:, :, None]).reshape(-1, len(params))
            information = scaled.T @ scaled
        if detail >= Detail.OUTER:
            outer = (taken * counts[:, None]).T @ taken
        tally = Tally(signature, names, params, detail)
        tally.add(len(self.cell), float(counts @ gain), counts @ taken, information, outer)
        return tally.evidence()

    def by_person(self, evidence: Evidence, policies: Policies) -> Evidence:
        """Return evidence with the scores of each person, for clustered errors: gathered once, where a climb ended."""
        each = _scores(*policies(evidence.point))[self.cell, self.action]
        scores = each if self.weight is None else self.weight[:, None] * each
        return replace(evidence, ledger=Ledger.of(self.person, np.zeros(len(self.person), np.int64), scores))

    @property
    def by_state(self) -> Float[np.ndarray, "S A"]:
        """How often each action was taken in each state, whatever the period."""
        return np.asarray(self.counts.reshape(-1, self.n_states, self.counts.shape[1]).sum(axis=0))

    def weighted(self, weight: Float[np.ndarray, " n"]) -> Seen:
        """Return the same choices, each counted so much."""
        n_cells, n_actions = self.counts.shape
        flat = np.bincount(self.cell * n_actions + self.action, weight, n_cells * n_actions)
        return replace(self, counts=flat.reshape(n_cells, n_actions), weight=weight)


def _scores(policy: Float[np.ndarray, "C A"], slope: Float[np.ndarray, "C A K"]) -> Float[np.ndarray, "C A K"]:
    return np.asarray(slope - np.einsum("ca,cak->ck", policy, slope)[:, None, :])


def require_fit(panel: Panel, process: DecisionProcess) -> None:
    """Raise DataError where a panel does something that a process does not allow."""
    if panel.actions != process.actions:
        what = f"actions {', '.join(panel.actions)} in a process of {', '.join(process.actions)}"
        raise DataError(panel.source, [Problem(what, "give the process the alternatives of the log, in their order")])
    if panel.space.to_dict() != process.space.to_dict():
        raise DataError(panel.source, [Problem("a panel of other states than the process", "use one state space")])
    odd = np.flatnonzero(~process.mask[panel.state, panel.action])
    if len(odd):
        place = int(odd[0])
        where = f"{process.actions[panel.action[place]]!r} in state {process.space.label(int(panel.state[place]))}"
        remedy = "correct which actions are available, or the log"
        raise DataError(panel.source, [Problem("actions that were not available", remedy, where, count=len(odd))])
    require_offered(panel.offered, process.mask, panel.space, panel.actions, panel.source)
    left = np.flatnonzero(process.absorbing[panel.state[panel.moves]] & (panel.arrived != panel.state[panel.moves]))
    if len(left):
        place = int(panel.moves[left[0]])
        came, went = (process.space.label(int(panel.state[at])) for at in (place, panel.following[place]))
        where = f"person {panel.persons[int(panel.person[place])].as_py()}, from {came} to {went}"
        remedy = "correct the transitions, or the log"
        raise DataError(panel.source, [Problem("an absorbing state was left", remedy, where, count=len(left))])


def impossible(panel: Panel, process: DecisionProcess) -> tuple[str, ...]:
    """Return a remark where persons moved as the transitions say nobody does."""
    moves, arrived = panel.moves, panel.arrived
    odd = np.zeros(len(moves), dtype=bool)
    for number, matrix in enumerate(process.transitions):
        some = np.flatnonzero(panel.action[moves] == number)
        if len(some):
            odd[some] = np.asarray(matrix[panel.state[moves[some]], arrived[some]]).ravel() == 0
    if not odd.any():
        return ()
    place = int(np.flatnonzero(odd)[0])
    came, went = process.space.label(int(panel.state[moves[place]])), process.space.label(int(arrived[place]))
    action = process.actions[panel.action[moves[place]]]
    what = f"{int(odd.sum()):,} moves have probability zero in the transitions, the first from {came} by {action!r} to"
    return (f"{what} {went}: the people here live by other laws than the process",)
