"""Which actions could be taken in which state, by the rows of a log. Imports its own room and errors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.errors import DataError, Problem
from revealed.models.dynamic.space import StateSpace


def offered_by_state(
    state: Int[np.ndarray, " rows"],
    action: Int[np.ndarray, " rows"],
    visited: Int[np.ndarray, " n"],
    shape: tuple[int, int],
) -> Float[np.ndarray, "S A"] | None:
    """Return in what share of the choices made in a state each action could be taken; NaN where none was made.

    Parameters
    ----------
    state, action : ndarray of int64, shape (rows,)
        One row for each action that could be taken, each time a choice was made.
    visited : ndarray of int64, shape (n,)
        The state of each choice.
    shape : tuple of int
        How many states and actions there are.

    Returns
    -------
    ndarray, shape (S, A), or None
        None where each choice has one row: that is what was done, and tells of nothing else.
    """
    if len(state) <= len(visited):
        return None
    n_states, n_actions = shape
    rows = np.bincount(state * n_actions + action, minlength=n_states * n_actions).reshape(shape)
    choices = np.bincount(visited, minlength=n_states)[:, None]
    return np.where(choices > 0, rows / np.maximum(choices, 1), np.nan)


def require_offered(
    offered: Float[np.ndarray, "S A"] | None,
    mask: Bool[np.ndarray, "S A"],
    space: StateSpace,
    actions: tuple[str, ...],
    source: str,
) -> None:
    """Raise DataError where a process lets people do what a log did not offer, or the other way round."""
    if offered is None:
        return
    # NaN, a state nobody chose in, is neither: nothing is known of it but what the process says.
    wrong = np.where(mask, offered < 1, offered > 0)
    if not wrong.any():
        return
    state, number = (int(place) for place in np.argwhere(wrong)[0])
    share, action = offered[state, number], actions[number]
    where = f"{action!r} in state {space.label(state)}"
    if 0 < share < 1:
        what = f"offered in some choices of a state ({share:.1%}) and not in others"
        remedy = "make what that depends on part of the state, and say where each action is available"
    else:
        ways = ("the process has it there, the log never", "the log has it there, the process never")
        what = f"other actions can be taken than in the log: {ways[0 if mask[state, number] else 1]}"
        remedy = f"say where each action can be taken (available, '{action}: CONDITION'), or mend the log's rows"
    raise DataError(source, [Problem(what, remedy, where, count=int(wrong.sum()))])
