r"""A decision process made of logged transitions: what controls without an anchor solve. Imports dynamic and its room.

States are those that people were in or came to. Where an action leads from one of them is the mean of where it led
from the nearest states in which it was taken, a kernel estimate (Ormoneit and Sen 2002, "Kernel-based reinforcement
learning"): rows are probabilities, so values exist, and for states that are seen often it is the shares by count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.spatial import KDTree

from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.dynamic.irl.function_class import Function
from revealed.models.dynamic.irl.polynomial import Polynomial
from revealed.models.dynamic.irl.recovered import Known, require_discounting
from revealed.models.dynamic.irl.scaling import Scaling
from revealed.models.dynamic.irl.trajectories import Trajectories
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.space import StateSpace


@dataclass(frozen=True, kw_only=True)
class WithoutAnchor:
    r"""What maximum-entropy and adversarial inverse reinforcement learning are told alike.

    Parameters
    ----------
    discount : float
        :math:`\gamma`, from 0 to below 1.
    scale : float
        :math:`\alpha`, the scale of the shocks.
    by_action : bool
        Whether a reward is one of states and actions, or of states alone.
    features : callable, optional
        From states, shape (m, d), to what rewards may depend on, shape (m, K); by default a constant and powers and
        products up to the second of standardised states.
    neighbours : int
        A transition is estimated from the nearest states that hold so many logged ones of the same action; 1 for
        tables of states.
    """

    discount: float
    scale: float = 1.0
    by_action: bool = True
    features: Function | None = None
    neighbours: int = 10

    def __post_init__(self) -> None:
        require_discounting(self.discount, self.scale)
        if self.neighbours < 1:
            raise SpecificationError(f"one or more neighbours are needed, not {self.neighbours!r}")

    def columns(self, data: Trajectories) -> Function:
        """Return the features, once they are numbers at the states of the data.

        Raises
        ------
        SpecificationError
            If they are not one row of finite numbers a state.
        """
        if self.features is None:
            return Powers(Polynomial(2), Scaling.of(data.states))
        given = self.features
        found = np.asarray(given(data.states))
        if found.ndim != 2 or len(found) != data.n_choices or not np.isfinite(found).all():
            raise SpecificationError(
                f"features are finite numbers, shape ({data.n_choices}, K), one row a state; not {found.shape}"
            )
        return given

    @property
    def spoken(self) -> str:
        """What a reward depends on, in words."""
        return "states and actions" if self.by_action else "states alone"


@dataclass(frozen=True)
class NothingKnown:
    """What another assumption comes to where none was made: a refusal.

    Parameters
    ----------
    method : str
    """

    method: str

    def __call__(self, _: Known) -> NoReturn:
        """Raise SpecificationError: nothing was assumed that could be something else."""
        raise SpecificationError(
            f"{self.method} knows no reward beforehand, so there is none to change; PQR and GenPQR do"
        )


@dataclass(frozen=True, eq=False)
class Led:
    """Where an action led.

    Parameters
    ----------
    states : ndarray of float64, shape (cells, d)
        The (scaled) states in which it was taken.
    rows : ndarray of int64, shape (cells,)
        The logged transitions of each.
    sums : csr_array, shape (cells, S)
        Their weights by next state.
    """

    states: Float[np.ndarray, "cells d"]
    rows: Int[np.ndarray, " cells"]
    sums: sparse.csr_array

    def moves(self, at: Float[np.ndarray, "m d"], neighbours: int) -> sparse.csr_array:
        """Return where it leads from some (scaled) states: pooled over the nearest cells with rows enough."""
        most = min(neighbours, len(self.rows))
        near = self._tree.query(at, k=np.arange(1, most + 1))[1]
        before = np.cumsum(self.rows[near], axis=1) - self.rows[near]
        use = (before < neighbours).astype(np.float64).ravel()
        pairs = (use, (np.repeat(np.arange(len(at)), most), near.ravel()))
        pooled = (sparse.coo_array(pairs, shape=(len(at), len(self.rows))).tocsr() @ self.sums).tocsr()
        pooled.eliminate_zeros()
        return sparse.csr_array(sparse.diags_array(1.0 / np.asarray(pooled.sum(axis=1)).ravel()) @ pooled)

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self.states)


@dataclass(frozen=True, eq=False)
class EstimatedProcess:
    """States seen, and where actions lead from them.

    Parameters
    ----------
    states : ndarray of float64, shape (S, d)
        The distinct states that people were in or came to.
    place, later : ndarray of int64, shape (n,)
        The state of each choice, and the next (zero where it is not known).
    process : DecisionProcess
        Over them.
    scaling : Scaling
        Distances are between states on this scale.
    led : tuple of Led, one for each action
    neighbours : int
    """

    states: Float[np.ndarray, "S d"]
    place: Int[np.ndarray, " n"]
    later: Int[np.ndarray, " n"]
    process: DecisionProcess
    scaling: Scaling
    led: tuple[Led, ...]
    neighbours: int

    @classmethod
    def of(cls, data: Trajectories, discount: float, scale: float, neighbours: int) -> EstimatedProcess:
        """Return the process that some transitions tell of.

        Raises
        ------
        DataError
            If an action was never taken with a known next state.
        """
        known = data.followed & (data.weights > 0)
        cells = np.concatenate([data.states, data.next_states[known]]) + 0.0
        states, place = np.unique(cells, axis=0, return_inverse=True)
        place = place.reshape(-1)
        later = np.zeros(data.n_choices, dtype=np.int64)
        later[known] = place[data.n_choices :]
        place = place[: data.n_choices]
        scaling, led = Scaling.of(data.states), []
        for action, label in enumerate(data.labels):
            some = np.flatnonzero(known & (data.actions == action))
            if not len(some):
                what = f"nobody ever took {label!r} with a known next state"
                remedy = "leave the action out, or give data in which it is taken: nothing else tells where it leads"
                raise DataError(data.source, [Problem(what, remedy)])
            distinct, cell, rows = np.unique(place[some], return_inverse=True, return_counts=True)
            shape = (len(distinct), len(states))
            sums = sparse.coo_array((data.weights[some], (cell.reshape(-1), later[some])), shape=shape).tocsr()
            led.append(Led(scaling(states[distinct]), rows, sums))
        matrices = [one.moves(scaling(states), neighbours) for one in led]
        process = DecisionProcess.of(
            StateSpace({"place": np.arange(len(states), dtype=np.float64)}),
            dict(zip(data.labels, matrices, strict=True)),
            discount,
            available=None if data.available is None else data.mask(states),
            scale=scale,
        )
        return cls(states, place, later, process, scaling, tuple(led), neighbours)

    def expected(self, states: Float[np.ndarray, "m d"], value: Float[np.ndarray, " S"]) -> Float[np.ndarray, "m A"]:
        """Return the expected value of the next state from any states, of which some may never have been seen."""
        at = self.scaling(states)
        return np.column_stack([one.moves(at, self.neighbours) @ value for one in self.led])

    def counts(self, data: Trajectories) -> Float[np.ndarray, "S A"]:
        """Return how often each action was taken in each state."""
        shape = len(self.states), data.n_actions
        return np.bincount(self.place * shape[1] + data.actions, data.weights, shape[0] * shape[1]).reshape(shape)

    def drawn(self, place: Int[np.ndarray, " m"], action: int, random: np.random.Generator) -> Int[np.ndarray, " m"]:
        """Return next states, drawn from the transitions of an action."""
        matrix = self.process.transitions[action]
        ends = np.cumsum(matrix.data)
        first, last = matrix.indptr[place], matrix.indptr[place + 1] - 1
        below = ends[first] - matrix.data[first]
        drawn = np.searchsorted(ends, below + random.random(len(place)) * (ends[last] - below), side="right")
        return np.asarray(matrix.indices[np.clip(drawn, first, last)], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Powers:
    """Powers and products of standardised states; :data:`~.function_class.Function`.

    Parameters
    ----------
    family : Polynomial
    scaling : Scaling
    """

    family: Polynomial
    scaling: Scaling

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m K"]:
        """Return them at some states."""
        return self.family.features(self.scaling(states))


@dataclass(frozen=True, eq=False)
class Worth:
    r""":math:`Q(s, a) = r(s, a) + \gamma\,\mathrm{E}[V(s') | s, a]` in any states, under the estimated transitions.

    Parameters
    ----------
    reward : callable
    world : EstimatedProcess
    later : ndarray of float64, shape (S,)
        Values of the process's states.
    scale : float
    """

    reward: Function
    world: EstimatedProcess
    later: Float[np.ndarray, " S"]
    scale: float

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return action values, in units of the shocks' scale."""
        found = self.reward(states) + self.world.process.discount * self.world.expected(states, self.later)
        return np.asarray(found / self.scale)
