"""Rows of feedback as slates, each from the top down, and probabilities along them. Imports parts and choices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.answer.offpolicy.parts import Rows
from revealed.choices.feedback import Feedback
from revealed.errors import SpecificationError


@dataclass(frozen=True, eq=False)
class Slates:
    """Rows of feedback as slates, each from the top down.

    Parameters
    ----------
    order : array of int, shape (rows,)
        The rows, slate by slate, position by position.
    slate : array of int, shape (rows,)
        The slate of each of them: 0, 1, …
    first : array of int, shape (slates,)
        Where each slate begins.
    """

    order: Int[np.ndarray, " rows"]
    slate: Int[np.ndarray, " rows"]
    first: Int[np.ndarray, " slates"]

    @classmethod
    def of(cls, feedback: Feedback) -> Slates:
        """Return the slates of feedback: the things shown by one decision.

        Raises
        ------
        SpecificationError
            If it has no positions.
        """
        if feedback.columns.position is None:
            raise SpecificationError("slates need the position of what was shown: read feedback with position=…")
        order = np.lexsort((feedback.position, feedback.decision_codes))
        slate = feedback.decision_codes[order]
        return cls(order, slate, np.flatnonzero(np.concatenate([[True], slate[1:] != slate[:-1]])))

    @cached_property
    def place(self) -> Int[np.ndarray, " rows"]:
        """How many stand above each of the rows in order."""
        return np.asarray(np.arange(len(self.slate)) - self.first[self.slate])

    @cached_property
    def left(self) -> Int[np.ndarray, " rows"]:
        """How many of its slate each of the rows in order and those below it are."""
        return np.asarray(np.diff(self.first, append=len(self.slate))[self.slate] - self.place)

    @property
    def longest(self) -> int:
        """The most that one slate shows."""
        return int(self.place.max(initial=-1)) + 1

    def prefix_products(self, rows: Rows) -> Rows:
        """Return, for rows in their order, the product from the top of the slate down to each."""
        # One position at a time: products of logs would lose digits, and zeros.
        product = rows.copy()
        for k in range(1, self.longest):
            at = np.flatnonzero(self.place == k)
            product[at] *= product[at - 1]
        return product

    def sums(self, rows: Rows) -> Float[np.ndarray, " slates"]:
        """Return the sum over each slate."""
        return np.add.reduceat(rows, self.first)


def prefix_probability(feedback: Feedback, conditional: Rows) -> Rows:
    """Return the probability of each item and all above it, from that of each given what stands above.

    Parameters
    ----------
    feedback : Feedback
        With positions; its rows in any order.
    conditional : array, shape (rows,)
        The probability of what each row shows, given what stands above it.

    Returns
    -------
    array, shape (rows,)
        What reward interaction and cascade doubly robust ask for.

    Raises
    ------
    SpecificationError
        If feedback has no positions, or there is not one probability a row.
    """
    slates, conditional = Slates.of(feedback), rows_of(feedback, conditional, "conditional")
    result = np.empty(feedback.n_rows)
    result[slates.order] = slates.prefix_products(conditional[slates.order])
    return result


def slate_probability(feedback: Feedback, conditional: Rows) -> Rows:
    """Return the probability of the whole slate on each of its rows, from that of each item given what stands above.

    Parameters
    ----------
    feedback : Feedback
        With positions; its rows in any order.
    conditional : array, shape (rows,)
        The probability of what each row shows, given what stands above it.

    Returns
    -------
    array, shape (rows,)
        What the standard estimator asks for.

    Raises
    ------
    SpecificationError
        If feedback has no positions, or there is not one probability a row.
    """
    slates, conditional = Slates.of(feedback), rows_of(feedback, conditional, "conditional")
    last = np.append(slates.first[1:], len(slates.slate)) - 1
    result = np.empty(feedback.n_rows)
    result[slates.order] = slates.prefix_products(conditional[slates.order])[last][slates.slate]
    return result


def rows_of(feedback: Feedback, given: Any, what: str) -> Rows:
    """Return an array of numbers, one a row of feedback.

    Raises
    ------
    SpecificationError
        If it is none.
    """
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiub":
        raise SpecificationError(f"{what} is an array of numbers, not {type(given).__name__}")
    if given.shape != (feedback.n_rows,):
        raise SpecificationError(f"{what} has shape {given.shape}, not ({feedback.n_rows},)")
    return given.astype(np.float64, copy=False)
