"""The log that a store would keep of a policy that runs in it: one row for each thing shown. Imports its own room.

It has the columns that :func:`revealed.choices.feedback.read_feedback` takes by default, and is made and written
in pieces, so that memory does not grow with its length.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from revealed.choices.sink import Written
from revealed.choices.store_world.streams import uniforms
from revealed.choices.store_world.visits import Visits
from revealed.choices.store_world.world import StoreWorld
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.files import whole_file

#: The key of a Parquet file's metadata under which a log keeps the truth at time 0, as JSON.
TRUTH_KEY = b"revealed.store_world"

_MOST_VISITS = 65_536  # in one piece
_MOST_CELLS = 2**21  # visits times items in one piece

#: With which probability each item is shown, for each visit: shape (count, n_items).
LoggingPolicy = Callable[[Visits], np.ndarray]


@dataclass(frozen=True, eq=False)
class StoreLog:
    """What a policy shows in a store, and what comes of it.

    Parameters
    ----------
    world : StoreWorld
        Without layouts.
    n : int
        How many visits.
    policy : "uniform" or callable
        Items at random, without repeats where there are several positions; or a function from visits to the
        probability of each item, for a store with one position.
    seed : int
        The run's, which moves visitors, what is shown and the answers.
    until : float, optional
        When the log is read, in rounds: answers that come later are missing. Without it the log knows all answers,
        those that never come too.
    """

    world: StoreWorld
    n: int
    policy: LoggingPolicy | str = "uniform"
    seed: int = 0
    until: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be logged."""
        if self.n < 1:
            raise SpecificationError(f"a log has at least one visit, not {self.n}")
        if self.world.layout is not None:
            raise SpecificationError("a log of items does not say which layouts were shown; use a world without layout")
        if isinstance(self.policy, str) and self.policy != "uniform":
            raise SpecificationError(f"no policy {self.policy!r} to log; {nearest(self.policy, ['uniform'])}")
        if not isinstance(self.policy, str) and self.world.n_positions > 1:
            raise SpecificationError(
                f"a policy says how likely it shows one item, and the store has {self.world.n_positions} positions; "
                "log with policy='uniform', or in a store with one position"
            )

    def table(self) -> pa.Table:
        """Return the whole log."""
        return pa.concat_tables(self.tables()).combine_chunks()

    def tables(self) -> Iterator[pa.Table]:
        """Yield the log, piece by piece."""
        size = max(1, min(_MOST_VISITS, _MOST_CELLS // self.world.n_items))
        for first in range(0, self.n, size):
            yield self._piece(first, min(size, self.n - first))

    def write(self, path: str | os.PathLike[str]) -> Written:
        """Write the log to a Parquet file, whole or not at all, in memory bounded by a piece.

        Raises
        ------
        OutputError
            If the path cannot be written; nothing half-written stays.
        """
        target = Path(path)
        truth = dict(zip(self.world.feature_names, self.world.theta.tolist(), strict=True))
        notes = {TRUTH_KEY: json.dumps({"link": self.world.link, "theta": truth}).encode()}
        writer: pq.ParquetWriter | None = None
        with whole_file(target) as file:
            try:
                for table in self.tables():
                    if writer is None:
                        writer = pq.ParquetWriter(file, table.schema.with_metadata(notes), use_dictionary=["action"])
                    writer.write_table(table.replace_schema_metadata(notes))
            finally:
                if writer is not None:
                    writer.close()
        return Written(target, self.n, self.n * self.world.n_positions, 1, target.stat().st_size)

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _piece(self, first: int, count: int) -> pa.Table:
        world = self.world
        visits = world.visits(first, count, seed=self.seed)
        shown, propensity = self._show(visits)
        width = world.n_positions
        answers = world.answer(visits, shown)
        items = shown.ravel()
        answered_at = answers.answered_at.ravel()
        never = np.isinf(answered_at)
        unknown = never if self.until is None else answered_at > self.until
        unanswered = np.zeros(len(items), dtype=bool) if self.until is None else unknown
        columns: dict[str, pa.Array] = {
            "decision": pa.array(np.repeat(np.arange(first, first + count), width)),
            "person": pa.array(np.repeat(visits.persons, width)),
            "time": pa.array(np.repeat(visits.time, width)),
            "action": pa.DictionaryArray.from_arrays(items.astype(np.int32), pa.array(world.tastes.item_names)),
            "position": pa.array(np.tile(np.arange(1, width + 1), count)),
            "propensity": pa.array(propensity.ravel()),
            "reward": pa.array(answers.reward.ravel(), mask=unanswered),
            "answered_at": pa.array(np.where(unknown, 0.0, answered_at), mask=unknown),
        }
        for column, name in enumerate(world.tastes.context_names[1:], 1):
            columns[name] = pa.array(np.repeat(visits.context[:, column], width))
        if not world.tastes.own:
            for column, name in enumerate(world.tastes.attribute_names):
                if name != "1":
                    columns[name] = pa.array(world.tastes.attributes[items, column])
        return pa.table(columns)

    def _show(self, visits: Visits) -> tuple[Int[np.ndarray, "n positions"], Float[np.ndarray, "n positions"]]:
        """Draw what is shown; return it with the probability of each item at its position."""
        n_items, width = self.world.n_items, self.world.n_positions
        count = len(visits)
        if not isinstance(self.policy, str):
            return self._drawn(visits, self.policy)
        keys = uniforms(self.seed, "policy", visits.first, count, n_items)
        if visits.eligible is not None:
            keys = np.where(visits.eligible, keys, np.inf)
        n_eligible = np.full(count, n_items) if visits.eligible is None else visits.eligible.sum(axis=1)
        shown = keys.argmin(axis=1)[:, None] if width == 1 else np.argsort(keys, axis=1, kind="stable")[:, :width]
        return shown, np.repeat(1 / n_eligible[:, None], width, axis=1)

    def _drawn(self, visits: Visits, policy: LoggingPolicy) -> tuple[Int[np.ndarray, "n 1"], Float[np.ndarray, "n 1"]]:
        probabilities = np.asarray(policy(visits), dtype=np.float64)
        _require_probabilities(probabilities, visits, self.world.n_items)
        total = probabilities.cumsum(axis=1)
        uniform = uniforms(self.seed, "policy", visits.first, len(visits), 1)
        shown = (total <= uniform * total[:, -1:]).sum(axis=1)
        last = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0).argmax(axis=1)
        shown = np.minimum(shown, last)[:, None]  # rounding may go past the last item that can be shown
        return shown, np.take_along_axis(probabilities, shown, axis=1)


def _require_probabilities(probabilities: np.ndarray, visits: Visits, n_items: int) -> None:
    """Refuse what are not the probabilities of each item."""
    if probabilities.shape != (len(visits), n_items):
        raise SpecificationError(
            f"the policy gives probabilities of shape {probabilities.shape}, and it takes ({len(visits)}, {n_items}): "
            "one for each visit and item"
        )
    odd = ~(probabilities >= 0).all(axis=1) | ~(np.abs(probabilities.sum(axis=1) - 1) < 1e-9)
    problems = []
    if odd.any():
        remedy = "give numbers from 0 to 1 that sum to one over items"
        problems.append(_problem(odd, "probabilities that are negative, or do not sum to one", remedy, visits))
    if visits.eligible is not None:
        absent = ((probabilities > 0) & ~visits.eligible).any(axis=1)
        if absent.any():
            remedy = "give probability 0 to what visits.eligible excludes"
            problems.append(_problem(absent, "probabilities for items that are not in the store", remedy, visits))
    if problems:
        raise DataError("the logging policy", problems)


def _problem(odd: np.ndarray, what: str, remedy: str, visits: Visits) -> Problem:
    cases = tuple(str(number) for number in (visits.first + np.flatnonzero(odd)[:5]).tolist())
    return Problem(what, remedy, cases=cases, count=int(odd.sum()))


__all__ = ["TRUTH_KEY", "LoggingPolicy", "StoreLog"]
