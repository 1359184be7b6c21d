"""Transitions estimated from a panel: by counts, or by increments along a column. Imports its own room and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse

from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import Transitions


@dataclass(frozen=True, eq=False)
class EstimatedTransitions:
    """Transitions with what is known of them.

    Parameters
    ----------
    matrices : tuple of csr_array, one for each action, shape (S, S)
    log_likelihood : float
        Of the moves in the panel.
    n_moves : int
    remarks : tuple of str
        Where nothing was seen, and what stands there.
    increments : ndarray of float64, shape (M + 1,), optional
        The probability of each increment, where those were estimated.
    """

    matrices: tuple[Transitions, ...]
    log_likelihood: float
    n_moves: int
    remarks: tuple[str, ...] = ()
    increments: Float[np.ndarray, " steps"] | None = None


def counted(panel: Panel, *, smoothing: float = 0.0) -> EstimatedTransitions:
    """Estimate each row of transitions by the shares of the moves seen.

    Parameters
    ----------
    panel : Panel
    smoothing : float
        Added to the count of each state that the action was ever seen to lead to from anywhere.

    Notes
    -----
    Where an action was never seen in a state, nothing is known: the row is that of staying, and a remark says so. With
    ``smoothing`` such a row is spread over all states that the action leads to.
    """
    n_states = panel.space.n_states
    moves, arrived = panel.moves, panel.arrived
    if not len(moves):
        raise DataError(panel.source, [Problem("no two periods in a row", "give persons several periods")])
    total, matrices, unseen = 0.0, [], 0
    for action in range(len(panel.actions)):
        some = panel.action[moves] == action
        came, went = panel.state[moves[some]], arrived[some]
        counts = sparse.csr_array((np.ones(len(came)), (came, went)), shape=(n_states, n_states))
        counts.sum_duplicates()
        if smoothing > 0:
            reached = np.zeros(n_states)
            reached[went] = smoothing
            counts = sparse.csr_array(counts + sparse.csr_array(np.tile(reached, (n_states, 1))))
        rows = np.asarray(counts.sum(axis=1)).ravel()
        empty = rows == 0
        unseen += int(empty.sum())
        counts = sparse.csr_array(counts + sparse.diags_array(empty.astype(np.float64)))
        matrix = sparse.csr_array(sparse.diags_array(1 / np.where(empty, 1.0, rows)) @ counts)
        matrices.append(matrix)
        if len(came):
            total += float(np.log(np.asarray(matrix[came, went]).ravel()).sum())
    remarks: tuple[str, ...] = ()
    if unseen:
        share = unseen / (n_states * len(panel.actions))
        remarks = (f"{unseen:,} pairs of state and action ({share:.0%}) were never seen; staying stands for them",)
    return EstimatedTransitions(tuple(matrices), total, len(moves), remarks)


def by_increments(
    panel: Panel, column: str, *, restart: Mapping[str, float] | None = None, counts: np.ndarray | None = None
) -> EstimatedTransitions:
    r"""Estimate by how many levels a column rises in a period: the same distribution in all states (Rust 1987).

    Parameters
    ----------
    panel : Panel
    column : str
        A numeric column of the state whose levels follow each other; other columns stay as they are. At the last level
        it stays.
    restart : mapping from action to level, optional
        The level from which the column rises in the period after the action: 0 after an engine is replaced.
    counts : ndarray, shape (M + 1,), optional
        How often it rose by 0, 1, …; by default counted in the panel's moves. Moves by which it falls are refused.

    Raises
    ------
    SpecificationError
        If the column is no numeric column of the state, or an action or level is unknown.
    DataError
        If the column falls.
    """
    levels = panel.space.levels.get(column)
    if levels is None or levels.dtype.kind != "f" or (np.diff(levels) <= 0).any():
        raise SpecificationError(f"{column!r} is no numeric column of the state in rising order: {panel.space.columns}")
    axis = panel.space.columns.index(column)
    restarts = {}
    for action, level in (restart or {}).items():
        if action not in panel.actions or level not in levels:
            raise SpecificationError(f"restart={action}: {level!r} needs an action of {panel.actions} and a level")
        restarts[panel.actions.index(action)] = int(np.flatnonzero(levels == level)[0])
    if counts is None:
        counts = _increments(panel, axis, restarts)
    share = counts / counts.sum()
    known = counts > 0
    log_likelihood = float(counts[known] @ np.log(share[known]))
    matrices = tuple(
        _rising(panel.space.shape, axis, share, restarts.get(action)) for action in range(len(panel.actions))
    )
    return EstimatedTransitions(matrices, log_likelihood, int(counts.sum()), (), share)


def _increments(panel: Panel, axis: int, restarts: Mapping[int, int]) -> Float[np.ndarray, " steps"]:
    moves = panel.moves
    place = np.unravel_index(panel.state, panel.space.shape)[axis]
    came, went = place[moves].copy(), place[panel.following[moves]]
    for action, level in restarts.items():
        came[panel.action[moves] == action] = level
    rise = went - came
    fell = np.flatnonzero(rise < 0)
    if len(fell):
        persons = [str(panel.persons[int(panel.person[moves[place]])].as_py()) for place in fell[:5]]
        column = panel.space.columns[axis]
        what = f"{column} falls from one period to the next (persons {', '.join(dict.fromkeys(persons))})"
        remedy = "say after which action it restarts: restart={'replace': 0}; or estimate transitions by counts"
        raise DataError(panel.source, [Problem(what, remedy, f"column {column!r}", count=len(fell))])
    if not len(rise):
        raise DataError(panel.source, [Problem("no two periods in a row", "give persons several periods")])
    return np.bincount(rise).astype(np.float64)


def _rising(shape: tuple[int, ...], axis: int, share: np.ndarray, restart: int | None) -> Transitions:
    """Return the matrix by which one column rises and the others stay."""
    n_states, last = int(np.prod(shape)), shape[axis] - 1
    places = list(np.unravel_index(np.arange(n_states), shape))
    base = places[axis] if restart is None else np.full(n_states, restart)
    went = []
    for rise in range(len(share)):
        places[axis] = np.minimum(base + rise, last)
        went.append(np.ravel_multi_index(tuple(places), shape))
    came = np.tile(np.arange(n_states), len(share))
    weight = np.repeat(share, n_states)
    matrix = sparse.csr_array((weight, (came, np.concatenate(went))), shape=(n_states, n_states))
    matrix.sum_duplicates()
    return matrix
