r"""Decision processes: states, actions, transitions, discount factor, horizon. Imports its own room and errors.

A decision maker in state :math:`s` who takes action :math:`a` earns :math:`r(s, a)` and an extreme-value shock of scale
:math:`\alpha`, and comes to :math:`s'` with probability :math:`T_a(s, s')`. Later rewards are discounted by
:math:`\gamma` a period.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.models.dynamic.space import StateSpace

Transitions = sparse.csr_array
#: Up to so many states matrices are held whole: products and solutions are faster then.
DENSE = 600
#: Rows of transitions may miss one by so much.
_SUM = 1e-9


@dataclass(frozen=True, eq=False)
class DecisionProcess:
    r"""What decision makers face, but for their rewards.

    Parameters
    ----------
    space : StateSpace
    actions : tuple of str
    transitions : tuple of csr_array, one for each action, shape (S, S)
        Probabilities of the next state; rows sum to one where the action is available.
    discount : float
        :math:`\gamma`, the discount factor a period.
    horizon : int, optional
        The number of periods; None for ever, which needs a discount factor below one.
    available : ndarray of bool, shape (S, A), optional
        Which actions can be taken in which state; all by default.
    scale : float
        :math:`\alpha`, the scale of the shocks.
    attributes : mapping from str to ndarray of float64, shape (S, A)
        What an action is like in a state, for formulas: what is paid, say. Columns of states are there by themselves.
    """

    space: StateSpace
    actions: tuple[str, ...]
    transitions: tuple[Transitions, ...]
    discount: float
    horizon: int | None = None
    available: Bool[np.ndarray, "S A"] | None = None
    scale: float = 1.0
    attributes: Mapping[str, Float[np.ndarray, "S A"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_states = self.space.n_states
        if len(set(self.actions)) != len(self.actions) or len(self.actions) < 2:
            raise SpecificationError(f"a decision process needs two or more actions, each once, not {self.actions!r}")
        if len(self.transitions) != len(self.actions):
            raise SpecificationError(
                f"{len(self.actions)} actions need as many transitions, not {len(self.transitions)}"
            )
        if not (0 <= self.discount <= 1 and (self.discount < 1 or self.horizon is not None)):
            remedy = "give one from 0 to below 1, or a finite horizon"
            raise SpecificationError(f"a discount factor of {self.discount!r} has no value without end; {remedy}")
        if self.horizon is not None and self.horizon < 1:
            raise SpecificationError(f"the horizon must be one period or more, not {self.horizon!r}")
        if not (self.scale > 0 and np.isfinite(self.scale)):
            raise SpecificationError(f"the scale must be a finite number above zero, not {self.scale!r}")
        if self.available is not None:
            if self.available.shape != (n_states, len(self.actions)):
                raise SpecificationError(f"availability of shape {self.available.shape} for {n_states} states")
            nothing = np.flatnonzero(~self.available.any(axis=1))
            if len(nothing):
                raise SpecificationError(f"no action is available in state {self.space.label(int(nothing[0]))}")
        for name, values in self.attributes.items():
            if name in self.space.columns:
                raise SpecificationError(f"{name!r} is a column of states already; give the attribute another name")
            if values.shape != (n_states, len(self.actions)) or not np.isfinite(values[self.mask]).all():
                raise SpecificationError(f"{name!r} must be a finite number for each state and action available there")
        self._require_rows()

    @classmethod
    def of(
        cls,
        space: StateSpace,
        transitions: Mapping[str, Any],
        discount: float,
        *,
        horizon: int | None = None,
        available: Bool[np.ndarray, "S A"] | None = None,
        scale: float = 1.0,
        attributes: Mapping[str, Float[np.ndarray, "S A"]] | None = None,
    ) -> DecisionProcess:
        """Return the process of ``{action: matrix}``, whole or sparse of any kind, each of shape (S, S).

        Raises
        ------
        SpecificationError
            If shapes do not fit, or the discount factor, horizon or scale cannot be.
        DataError
            If rows of transitions are no probabilities, with their states.
        """
        matrices = tuple(as_transitions(matrix) for matrix in transitions.values())
        return cls(space, tuple(transitions), matrices, discount, horizon, available, scale, attributes or {})

    @property
    def n_states(self) -> int:
        """The number of states, S."""
        return self.space.n_states

    @property
    def n_actions(self) -> int:
        """The number of actions, A."""
        return len(self.actions)

    def index(self, action: str) -> int:
        """Return the place of an action.

        Raises
        ------
        SpecificationError
            If there is no such action.
        """
        if action not in self.actions:
            raise SpecificationError(f"no action {action!r}; {nearest(action, self.actions)}")
        return self.actions.index(action)

    @property
    def dense(self) -> bool:
        """Whether matrices are held whole."""
        return self.n_states <= DENSE

    @cached_property
    def _stacked(self) -> Any:
        """Transitions of all actions, one below the other, shape (A · S, S), whole or sparse."""
        stacked = sparse.csr_array(sparse.vstack(self.transitions))
        return stacked.toarray() if self.dense else stacked

    def expected(self, value: Float[np.ndarray, " S *rest"]) -> Float[np.ndarray, "S A *rest"]:
        """Return the expectation of a value of the next state, for each state and action."""
        found = np.asarray(self._stacked @ value)
        return np.swapaxes(found.reshape(self.n_actions, self.n_states, *value.shape[1:]), 0, 1)

    def under(self, policy: Float[np.ndarray, "S A"]) -> np.ndarray | Transitions:
        """Return the transitions of who follows a policy, shape (S, S)."""
        if self.dense:
            each = self._stacked.reshape(self.n_actions, self.n_states, self.n_states)
            return np.asarray(np.einsum("sa,ast->st", policy, each))
        parts = [
            sparse.diags_array(np.ascontiguousarray(policy[:, action])) @ matrix
            for action, matrix in enumerate(self.transitions)
        ]
        return sparse.csr_array(sum(parts[1:], parts[0]))

    @cached_property
    def mask(self) -> Bool[np.ndarray, "S A"]:
        """Which actions can be taken in which state."""
        return np.ones((self.n_states, self.n_actions), bool) if self.available is None else self.available

    @cached_property
    def renewals(self) -> tuple[str, ...]:
        """The actions after which it does not matter where one came from: a replacement, a cancellation."""
        found = []
        for number, action in enumerate(self.actions):
            states = np.flatnonzero(self.mask[:, number])
            rows = sparse.csr_array(self.transitions[number][states])
            first = rows[[0]]
            if first.nnz * len(states) != rows.nnz:  # else the same cells may be filled in each row
                continue
            if abs(rows - sparse.kron(np.ones((len(states), 1)), first)).max() < _SUM:
                found.append(action)
        return tuple(found)

    @cached_property
    def absorbing(self) -> Bool[np.ndarray, " S"]:
        """The states that no action leaves."""
        stays = np.column_stack([matrix.diagonal() >= 1 - _SUM for matrix in self.transitions])
        return np.asarray((stays | ~self.mask).all(axis=1))

    @cached_property
    def ending(self) -> Bool[np.ndarray, "S A"]:
        """Where the process ends: in states that no action leaves, and by actions that surely lead to such."""
        gone = self.absorbing.astype(np.float64)
        led = np.column_stack([matrix @ gone >= 1 - _SUM for matrix in self.transitions])
        return np.asarray(led | self.absorbing[:, None])

    def _require_rows(self) -> None:
        """Raise DataError for rows of transitions that are no probabilities, with their states."""
        n_states, problems = self.n_states, []
        for number, (action, matrix) in enumerate(zip(self.actions, self.transitions, strict=True)):
            if matrix.shape != (n_states, n_states):
                raise SpecificationError(f"transitions of {action!r} of shape {matrix.shape} for {n_states} states")
            odd = ~(np.abs(matrix.sum(axis=1) - 1) < _SUM)
            if len(matrix.data) and not (matrix.data.min() >= 0 and np.isfinite(matrix.data).all()):
                bad = sparse.csr_array((~(matrix.data >= 0), matrix.indices, matrix.indptr), shape=matrix.shape)
                odd |= bad.sum(axis=1) > 0
            if self.available is not None:
                odd &= self.available[:, number]
            rows = np.flatnonzero(odd)
            if len(rows):
                where = "; ".join(self.space.label(int(state)) for state in rows[:3])
                what = f"transitions of {action!r} that are no probabilities that sum to one"
                problems.append(Problem(what, "scale each row to sum to one", f"state {where}", count=len(rows)))
        if problems:
            raise DataError("transitions", problems)


def as_transitions(matrix: Any) -> Transitions:
    """Return a matrix, whole or sparse, as transitions."""
    return sparse.csr_array(matrix, dtype=np.float64)
