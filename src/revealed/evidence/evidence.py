"""Evidence: what a set of decision makers says about the parameters, seen from a point. Imports its own room only.

Count, log-likelihood, score and information of the set; a commutative group, exactly (see :mod:`.exact`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import EvidenceError
from revealed.evidence.exact import ExactSum


class Detail(IntEnum):
    """How much a piece of evidence holds; each level holds the ones before it."""

    SCORE = 1
    INFORMATION = 2
    #: with the outer product of the scores of the cases, for robust errors
    OUTER = 3


@dataclass(frozen=True, eq=False)
class Ledger:
    """The score of each person, kept by (person, block) so that its sum too is the same for any partition.

    Parameters
    ----------
    persons, blocks : ndarray of int64, shape (entries,)
        The person's index, and the block of cases the entry was summed in; sorted, no pair twice.
    scores : ndarray of float64, shape (entries, K)
        The sum of the scores of that person's cases in that block.
    """

    persons: Int[np.ndarray, " entries"]
    blocks: Int[np.ndarray, " entries"]
    scores: Float[np.ndarray, "entries K"]

    @classmethod
    def of(
        cls,
        persons: Int[np.ndarray, " entries"],
        blocks: Int[np.ndarray, " entries"],
        scores: Float[np.ndarray, "entries K"],
    ) -> Ledger:
        """Return the ledger of entries in any order; entries of the same pair are added, zeros dropped."""
        order = np.lexsort((blocks, persons))
        persons, blocks, scores = persons[order], blocks[order], scores[order]
        if len(persons):
            first = np.flatnonzero(np.concatenate([[True], (np.diff(persons) != 0) | (np.diff(blocks) != 0)]))
            if len(first) < len(persons):
                persons, blocks, scores = persons[first], blocks[first], np.add.reduceat(scores, first, axis=0)
        return cls(persons, blocks, scores)

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger.of(
            np.concatenate([self.persons, other.persons]),
            np.concatenate([self.blocks, other.blocks]),
            np.concatenate([self.scores, other.scores]),
        )

    def __neg__(self) -> Ledger:
        return Ledger(self.persons, self.blocks, -self.scores)

    def by_person(self) -> tuple[Int[np.ndarray, " persons"], Float[np.ndarray, "persons K"]]:
        """Return the persons and the score of each."""
        if not len(self.persons):
            return self.persons, self.scores
        first = np.flatnonzero(np.concatenate([[True], np.diff(self.persons) != 0]))
        return self.persons[first], np.add.reduceat(self.scores, first, axis=0)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a set of decision makers says about the parameters of a model, seen from a point.

    Evidence of disjoint sets adds; evidence of a subset subtracts, to the very bits of what is left. Of another
    model, other parameters or another point it is refused.

    Parameters
    ----------
    model : str
        The model and its specification, as one line.
    names : tuple of str
        The parameters.
    point : ndarray of float64, shape (K,)
        Where the log-likelihood was looked at.
    n_cases : int
        Choice situations in the set.
    detail : Detail
        How much is held.
    total : ExactSum
        Log-likelihood, score, information and outer product, side by side, as one exact sum.
    ledger : Ledger, optional
        Scores by person, when asked for.
    """

    model: str
    names: tuple[str, ...]
    point: Float[np.ndarray, " K"]
    n_cases: int
    detail: Detail
    total: ExactSum
    ledger: Ledger | None = None

    @classmethod
    def nothing(cls, model: str, names: tuple[str, ...], point: Float[np.ndarray, " K"], detail: Detail) -> Evidence:
        """Return the evidence of nobody: the zero of the group."""
        return cls(model, names, point, 0, detail, ExactSum.zero(width(len(names), detail)))

    @staticmethod
    def sum(parts: Sequence[Evidence]) -> Evidence:
        """Return the sum of one or more pieces of evidence."""
        first = parts[0]
        for part in parts[1:]:
            first._require_same_kind(part)
        ledgers = [part.ledger for part in parts if part.ledger is not None]
        ledger = None
        if len(ledgers) == 1:
            ledger = ledgers[0]
        elif ledgers:
            ledger = Ledger.of(
                np.concatenate([ledger.persons for ledger in ledgers]),
                np.concatenate([ledger.blocks for ledger in ledgers]),
                np.concatenate([ledger.scores for ledger in ledgers]),
            )
        return replace(
            first,
            n_cases=sum(part.n_cases for part in parts),
            total=ExactSum.sum([part.total for part in parts]),
            ledger=ledger,
        )

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence.sum([self, other])

    def __neg__(self) -> Evidence:
        ledger = None if self.ledger is None else -self.ledger
        return replace(self, n_cases=-self.n_cases, total=-self.total, ledger=ledger)

    def __sub__(self, other: Evidence) -> Evidence:
        return self + -other

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Evidence)
            and self._kind == other._kind
            and self.n_cases == other.n_cases
            and self.total == other.total
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        return len(self.names)

    @cached_property
    def _values(self) -> Float[np.ndarray, " width"]:
        return self.total.value()

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood at the point."""
        return float(self._values[0])

    @property
    def score(self) -> Float[np.ndarray, " K"]:
        """The gradient of the log-likelihood at the point."""
        return self._values[1 : 1 + self.n_params]

    @cached_property
    def information(self) -> Float[np.ndarray, "K K"]:
        """The information at the point.

        Raises
        ------
        EvidenceError
            If the evidence was taken without it.
        """
        return self._square(Detail.INFORMATION, 0)

    @cached_property
    def outer(self) -> Float[np.ndarray, "K K"]:
        """The sum over cases of the outer product of each case's score.

        Raises
        ------
        EvidenceError
            If the evidence was taken without it.
        """
        return self._square(Detail.OUTER, 1)

    def persons(self) -> Int[np.ndarray, " persons"]:
        """Return who is in the evidence.

        Raises
        ------
        EvidenceError
            If no ledger was kept.
        """
        if self.ledger is None:
            raise EvidenceError("this evidence keeps no ledger of persons; ask for it when taking it")
        return self.ledger.by_person()[0]

    def _square(self, detail: Detail, index: int) -> Float[np.ndarray, "K K"]:
        if self.detail < detail:
            raise EvidenceError(f"this evidence holds {self.detail.name.lower()} only, not {detail.name.lower()}")
        rows, columns = np.triu_indices(self.n_params)
        start = 1 + self.n_params + index * len(rows)
        square = np.empty((self.n_params, self.n_params))
        square[rows, columns] = square[columns, rows] = self._values[start : start + len(rows)]
        return square

    @property
    def _kind(self) -> tuple[Any, ...]:
        return (self.model, self.names, self.point.tobytes(), self.detail)

    def _require_same_kind(self, other: Evidence) -> None:
        if self.model != other.model:
            raise EvidenceError(f"evidence of the model {other.model!r} cannot join evidence of {self.model!r}")
        if self.names != other.names:
            raise EvidenceError(f"evidence on {other.names} cannot join evidence on {self.names}")
        if self.point.tobytes() != other.point.tobytes():
            raise EvidenceError("evidence taken at another point cannot be added; take both at the same parameters")
        one_sided = (self.ledger is None) != (other.ledger is None)
        if self.detail != other.detail or (one_sided and self.n_cases and other.n_cases):
            raise EvidenceError("evidence taken in different detail (or only one with a ledger) cannot be added")

    def to_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON-ready data, exactly; the ledger is left out."""
        return {
            "model": self.model,
            "names": list(self.names),
            "point": self.point.tolist(),
            "n_cases": self.n_cases,
            "detail": int(self.detail),
            "total": self.total.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evidence:
        """Return the evidence that :meth:`to_dict` wrote."""
        return cls(
            data["model"],
            tuple(data["names"]),
            np.array(data["point"], dtype=np.float64),
            data["n_cases"],
            Detail(data["detail"]),
            ExactSum.from_dict(data["total"]),
        )


class Tally:
    """Collects the evidence of blocks of cases and folds it into one exact sum, a bundle of blocks at a time.

    Parameters
    ----------
    model, names, point, detail
        As in :class:`Evidence`.
    ledger : bool
        Whether scores are kept by person.
    """

    _BUNDLE = 64  # blocks; the fold costs a few passes over (bundle, width) doubles, kept in the second-level cache

    def __init__(
        self,
        model: str,
        names: tuple[str, ...],
        point: Float[np.ndarray, " K"],
        detail: Detail,
        *,
        ledger: bool = False,
    ) -> None:
        self.zero = Evidence.nothing(model, names, point, detail)
        self.detail = detail
        self._upper = np.triu_indices(len(names))
        self._rows = np.empty((self._BUNDLE, self.zero.total.width))
        self._filled = 0
        self._sums: list[ExactSum] = []
        self._n_cases = 0
        self._entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] | None = [] if ledger else None

    def add(
        self,
        n_cases: int,
        log_likelihood: float,
        score: Float[np.ndarray, " K"],
        information: Float[np.ndarray, "K K"] | None = None,
        outer: Float[np.ndarray, "K K"] | None = None,
    ) -> None:
        """Add one block."""
        row = self._rows[self._filled]
        k = len(score)
        row[0] = log_likelihood
        row[1 : 1 + k] = score
        upper = len(self._upper[0])
        if information is not None and self.detail >= Detail.INFORMATION:
            row[1 + k : 1 + k + upper] = information[self._upper]
        if outer is not None and self.detail >= Detail.OUTER:
            row[1 + k + upper :] = outer[self._upper]
        self._n_cases += n_cases
        self._filled += 1
        if self._filled == self._BUNDLE:
            self._fold()

    def enter(self, persons: Int[np.ndarray, " cases"], block: int, scores: Float[np.ndarray, "cases K"]) -> None:
        """Enter the scores of a block's cases in the ledger, if one is kept."""
        if self._entries is not None:
            ledger = Ledger.of(persons, np.full(len(persons), block, np.int64), scores)
            self._entries.append((ledger.persons, ledger.blocks, ledger.scores))

    def evidence(self) -> Evidence:
        """Return the evidence of all blocks so far."""
        self._fold()
        ledger = None
        if self._entries is not None:
            k = self.zero.n_params
            parts = self._entries or [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, k)))]
            persons, blocks, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
            ledger = Ledger.of(persons, blocks, scores)
        return replace(
            self.zero, n_cases=self._n_cases, total=ExactSum.sum([self.zero.total, *self._sums]), ledger=ledger
        )

    def _fold(self) -> None:
        if self._filled:
            self._sums.append(ExactSum.of(self._rows[: self._filled]))
            self._filled = 0
        if len(self._sums) > 64:
            self._sums = [ExactSum.sum(self._sums)]


def width(n_params: int, detail: Detail) -> int:
    """Return the number of entries of evidence on K parameters: 1 + K, and K(K+1)/2 for each square."""
    return 1 + n_params + (detail - 1) * (n_params * (n_params + 1) // 2)
