"""Transitions estimated from a panel: by counts, by increments, column by column. Imports its own room and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
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

    Raises
    ------
    DataError
        If nobody is seen in the period after an action: nothing tells where it leads.

    Notes
    -----
    Where an action was never seen in a state, nothing is known: the row is that of staying, and a remark says so. With
    ``smoothing`` such a row is spread over all states that the action leads to.
    """
    n_states = panel.space.n_states
    moves, arrived, weight = panel.moves, panel.arrived, panel.move_weights
    _require_moves(panel)
    total, matrices, unseen = 0.0, [], 0
    for action in range(len(panel.actions)):
        some = panel.action[moves] == action
        came, went = panel.state[moves[some]], arrived[some]
        counts = sparse.csr_array((weight[some], (came, went)), shape=(n_states, n_states))
        counts.sum_duplicates()
        counts.eliminate_zeros()
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
        known = weight[some] > 0
        gain = np.log(np.asarray(matrix[came[known], went[known]]).ravel())
        total += float(weight[some][known] @ gain)
    remarks: tuple[str, ...] = ()
    if unseen:
        share = unseen / (n_states * len(panel.actions))
        remarks = (f"{unseen:,} pairs of state and action ({share:.0%}) were never seen; staying stands for them",)
    return EstimatedTransitions(tuple(matrices), total, len(moves), remarks)


def _require_moves(panel: Panel) -> None:
    """Raise DataError for actions after which nobody is ever seen again."""
    moves = panel.moves
    if not len(moves):
        raise DataError(panel.source, [Problem("no two periods in a row", "give persons several periods")])
    seen = np.bincount(panel.action[moves], panel.move_weights, len(panel.actions))
    taken = np.bincount(panel.action, minlength=len(panel.actions))
    problems = [
        Problem(
            f"nobody is seen in the period after {panel.actions[place]!r}, so nothing tells where it leads",
            "if all ends there, give each person one row more, in a state of its own that no action leaves",
            count=int(taken[place]),
        )
        for place in np.flatnonzero(seen == 0)
    ]
    if problems:
        raise DataError(panel.source, problems)


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
        A move to the last level tells of a rise by at least so much: its count is spread over the rises it can have
        been, as often as those are among the others (Efron 1967), which is the maximum of the likelihood.

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
    remarks: tuple[str, ...] = ()
    if counts is not None:
        exact, least, n_moves = counts, np.zeros(len(counts)), int(counts.sum())
    else:
        exact, least, stopped = _increments(panel, axis, restarts)
        n_moves = len(panel.moves)
        if stopped:
            what = f"{stopped:,} of {n_moves:,} moves end at the last level of {column}, and tell of a rise by at least"
            remarks = (f"{what} so much: more levels would tell how much, and what is beyond",)
    found = _spread(exact, least)
    share = found / found.sum()
    known, some = exact > 0, least > 0
    tail = share[::-1].cumsum()[::-1]
    log_likelihood = float(exact[known] @ np.log(share[known]) + least[some] @ np.log(tail[some]))
    matrices = tuple(
        _rising(panel.space.shape, axis, share, restarts.get(action)) for action in range(len(panel.actions))
    )
    return EstimatedTransitions(matrices, log_likelihood, n_moves, remarks, share)


def _increments(
    panel: Panel, axis: int, restarts: Mapping[int, int]
) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"], int]:
    """Return how often the column rose by 0, 1, …; how often by so much or more; and how many moves are the latter."""
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
    stopped, weight, size = went == panel.space.shape[axis] - 1, panel.move_weights, int(rise.max()) + 1
    exact, least = (np.bincount(rise, weight * some, size) for some in (~stopped, stopped))
    return exact, least, int(stopped.sum())


def _spread(exact: Float[np.ndarray, " steps"], least: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " steps"]:
    """Return how often each rise is expected, where some are known to be so much or more (Efron 1967)."""
    found, left = exact.astype(np.float64), least.astype(np.float64)
    for rise in np.flatnonzero(least):  # from the least on: what is spread reaches those that stopped later, too
        beyond = found[rise:].sum() + left[rise + 1 :].sum()
        if beyond > 0:
            found[rise:] *= 1 + left[rise] / beyond
            left[rise + 1 :] *= 1 + left[rise] / beyond
        else:  # nobody was seen to rise by so much: it is taken at its least
            found[rise] = left[rise]
    return found


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


#: The next level of a column, by rule: from ``{column: its cell in each state}`` and an action, a cell for each state.
Rule = Callable[[Mapping[str, np.ndarray], str], np.ndarray]


@dataclass(frozen=True)
class Counted:
    """A column whose next level depends on its level, and on other columns, by shares of the moves seen.

    Parameters
    ----------
    given : tuple of str
        Further columns that it depends on; ``"action"`` for the action.
    """

    given: tuple[str, ...] = ()


def by_columns(panel: Panel, columns: Mapping[str, Rule | Counted]) -> EstimatedTransitions:
    """Estimate column by column, each independent of the others given where one was and what one did.

    Parameters
    ----------
    panel : Panel
    columns : mapping from column to Rule or Counted
        How each column of the state moves: by a rule that is known, or by shares seen.

    Returns
    -------
    EstimatedTransitions
        The log-likelihood is that of the columns counted. Where a column was never seen to move from, it stays.

    Raises
    ------
    SpecificationError
        If a column of the state is missing, another is named, or a rule leads to what is no level.
    DataError
        If a column is counted given the action, and nobody is seen in the period after one.
    """
    space = panel.space
    if set(columns) != set(space.columns):
        odd = sorted(set(columns) ^ set(space.columns))
        raise SpecificationError(f"say for each column of the state, and no other, how it moves: {odd[0]!r}")
    place = dict(zip(space.columns, np.unravel_index(np.arange(space.n_states), space.shape), strict=True))
    cells = {name: space.column(name) for name in space.columns}
    total, parts = 0.0, {}
    remarks: list[str] = []
    for name in space.columns:
        how = columns[name]
        if isinstance(how, Counted):
            parts[name], gain, remark = _counted_column(panel, name, how, place)
            total, remarks = total + gain, [*remarks, *remark]
        else:
            parts[name] = [
                ruled_column(space.levels[name], how(cells, action), name, action) for action in panel.actions
            ]
    matrices = tuple(
        joint([parts[name][action] for name in space.columns], space.n_states) for action in range(len(panel.actions))
    )
    return EstimatedTransitions(matrices, total, len(panel.moves), tuple(remarks))


def _counted_column(
    panel: Panel, name: str, how: Counted, place: Mapping[str, np.ndarray]
) -> tuple[list[Transitions], float, list[str]]:
    """Return a column's next levels by state for each action, the log-likelihood of its moves, and remarks."""
    known = [one for one in how.given if one != "action"]
    for one in known:
        if one not in place:
            raise SpecificationError(f"{name!r} given {one!r}: there is no such column of the state")
    n_levels, n_actions = len(panel.space.levels[name]), len(panel.actions)
    cell = place[name].copy()
    for one in known:
        if one != name:
            cell = cell * len(panel.space.levels[one]) + place[one]
    acts = n_actions if "action" in how.given else 1
    n_cells = int(cell.max()) + 1
    if acts > 1:
        _require_moves(panel)
    came = cell[panel.state[panel.moves]] * acts + (panel.action[panel.moves] if acts > 1 else 0)
    went = place[name][panel.arrived]
    counts = np.bincount(came * n_levels + went, panel.move_weights, n_cells * acts * n_levels).reshape(-1, n_levels)
    rows = counts.sum(axis=1, keepdims=True)
    level = np.zeros(n_cells, dtype=np.int64)
    level[cell] = place[name]
    stays = np.eye(n_levels)[np.repeat(level, acts)]
    share = np.where(rows > 0, counts / np.where(rows > 0, rows, 1.0), stays)
    some = counts > 0
    gain = float(counts[some] @ np.log(share[some]))
    present = np.zeros(n_cells, bool)
    present[cell] = True
    never = int(((rows[:, 0] == 0) & np.repeat(present, acts)).sum())
    remark = [f"{name}: {never} of the rows it could move from were never seen; it stays there"] if never else []
    each = [sparse.csr_array(share[cell * acts + (action if acts > 1 else 0)]) for action in range(n_actions)]
    return each, gain, remark


def ruled_column(levels: np.ndarray, after: np.ndarray, name: str, action: str) -> Transitions:
    """Return a column's next level by state, shape (S, levels), where a rule says its cell."""
    order = np.argsort(levels)
    found = order[np.minimum(np.searchsorted(levels, after, sorter=order), len(levels) - 1)]
    odd = np.flatnonzero(levels[found] != after)
    if len(odd):
        raise SpecificationError(f"the rule of {name!r} leads from {action!r} to {after[odd[0]]!r}, which is no level")
    shape = (len(after), len(levels))
    return sparse.csr_array((np.ones(len(after)), (np.arange(len(after)), found)), shape=shape)


def joint(parts: list[Transitions], n_states: int) -> Transitions:
    """Return the matrix of independent columns: row by row, the product of their probabilities."""
    row: Int[np.ndarray, " cells"] = np.arange(n_states)
    code, weight = np.zeros(n_states, dtype=np.int64), np.ones(n_states)
    for part in parts:
        several = np.diff(part.indptr)[row]
        first = np.repeat(np.cumsum(several) - several, several)
        cell = np.repeat(part.indptr[row], several) + np.arange(int(several.sum())) - first
        row, code = np.repeat(row, several), np.repeat(code, several) * part.shape[1] + part.indices[cell]
        weight = np.repeat(weight, several) * part.data[cell]
    return sparse.csr_array((weight, (row, code)), shape=(n_states, n_states))
