"""The durable log in tables, whatever database holds them. Imports its own room and errors only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from revealed.errors import StoreError
from revealed.store.checks import LARGEST, decision_values, outcome_values, verdict
from revealed.store.database import Database
from revealed.store.protocol import NOBODY_KNOWS, Answered, DecisionRow, OutcomeRow, Verdict
from revealed.store.records import Records

#: Rows that readers hold at a time: memory is bounded by them, and no reading transaction stays open between them.
CHUNK = 500
#: Decisions that are looked at together, and dropped in one transaction, so that writers wait for a moment only.
DROPPED = 500
#: Names of versions whose keys are kept in memory. A version decides until the next lesson, a fraction of a second.
_VERSIONS = 256


def _sql(text: str) -> str:
    """Return a statement with the columns of a decision (in the order of DecisionRow) and of an outcome put in."""
    columns = "d.number, v.policy, v.version, d.made, d.context, d.shown, d.propensities, d.person, d.asked"
    return text.replace("[decision]", f"{columns}, d.candidates").replace(
        "[outcome]", "o.decision, o.position, o.reward, o.came, o.received"
    )


_DECISIONS = _sql("SELECT d.seq, [decision] FROM decisions d JOIN versions v ON v.id = d.version WHERE ")
_DECISIONS_AFTER = _DECISIONS + "d.seq > ? AND d.seq <= ? AND v.policy = ? ORDER BY d.seq LIMIT ?"
#: CROSS JOIN keeps SQLite to this order: outcomes by their place, then the decision of each.
_ANSWERS_AFTER = _sql(
    "SELECT o.seq, [outcome], [decision] FROM outcomes o CROSS JOIN decisions d CROSS JOIN versions v "
    "WHERE d.number = o.decision AND v.id = d.version AND o.seq > ? AND o.seq <= ? AND v.policy = ? "
    "ORDER BY o.seq LIMIT ?"
)
_OF_SLOT = "v.policy IN (SELECT name FROM policies WHERE slot = ?)"
_ANSWERS_IN_SLOT = _ANSWERS_AFTER.replace("v.policy = ?", _OF_SLOT)
_DECISIONS_IN_SLOT = _DECISIONS_AFTER.replace("v.policy = ?", _OF_SLOT)
#: From one stretch of numbers to the next that there is; see the index of persons in the schema.
_OF_PERSON = """
WITH RECURSIVE stretches (id) AS (
    SELECT (SELECT number >> 8 FROM decisions ORDER BY number LIMIT 1)
    UNION ALL
    SELECT (SELECT number >> 8 FROM decisions WHERE number >= (id + 1) << 8 ORDER BY number LIMIT 1)
    FROM stretches WHERE id IS NOT NULL
)
SELECT number FROM stretches CROSS JOIN decisions WHERE (number >> 8) = id AND person = ? AND person IS NOT NULL
"""
#: Keys with times; by key, since clocks step and times are in no order.
_TIMES_OF_DECISIONS = "SELECT number, made FROM decisions WHERE number > ? ORDER BY number LIMIT ?"
_TIMES_OF_STRAYS = "SELECT seq, received FROM strays WHERE seq > ? ORDER BY seq LIMIT ?"
_STANDING_OUTCOMES = "SELECT decision, position, seq, reward FROM outcomes WHERE"


class SqlStore(Records):
    """The durable log of decisions and outcomes; made by :func:`revealed.store.open.open_store`.

    Parameters
    ----------
    database : Database
    clock : callable, optional
        Returns the time in seconds since 1970 (UTC).
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        super().__init__(database, clock)
        self._versions: dict[tuple[str, str], int] = {}

    # ---- writing --------------------------------------------------------------------------------------------------

    def write(
        self, decisions: Sequence[DecisionRow], outcomes: Sequence[OutcomeRow]
    ) -> tuple[Sequence[DecisionRow], Sequence[Verdict]]:
        """Write decisions, then outcomes, in one transaction, and return when it is on disk.

        Returns
        -------
        decisions : sequence of DecisionRow
            Those that stand: the one written first where the same id was asked for again.
        verdicts : sequence of Verdict
            One for each outcome. An outcome is the same as another if its reward is.

        Raises
        ------
        StoreError
            If it could not be written, or a number is that of another decision already; nothing was written.
        DataError
            If a row cannot be kept as it is, such as a reward that is not a number; nothing was written.
        """
        made = [decision_values(row) for row in decisions]
        came = [outcome_values(row) for row in outcomes]
        if not made and not came:
            return (), ()
        try:
            with self._database.transaction():
                ((numbers, last_decision, last_outcome),) = self._database.rows(
                    "SELECT numbers, decisions, outcomes FROM counters"
                )
                standing, decision_end = self._add_decisions(decisions, made, last_decision)
                verdicts, outcome_end = self._add_outcomes(outcomes, came, last_outcome)
                highest = max((numbers, *(values[0] for values in made)))
                if (highest, decision_end, outcome_end) != (numbers, last_decision, last_outcome):
                    self._database.rows(
                        "UPDATE counters SET numbers = ?, decisions = ?, outcomes = ?",
                        (highest, decision_end, outcome_end),
                    )
        except BaseException:
            self._versions.clear()  # those added in this transaction are not there
            raise
        return standing, verdicts

    def _add_decisions(
        self, sent: Sequence[DecisionRow], made: Sequence[tuple[Any, ...]], last: int
    ) -> tuple[Sequence[DecisionRow], int]:
        """Insert decisions; return those that stand, and the last place taken."""
        if not sent:
            return (), last
        names, versions = {(row.policy, row.version) for row in sent}, self._versions
        if len(versions) > _VERSIONS:
            versions.clear()
        for name in names - versions.keys():
            versions[name] = self._version(*name)
        places = range(last + 1, last + 1 + len(sent))
        rows = [
            (place, versions[row.policy, row.version], *values)
            for place, row, values in zip(places, sent, made, strict=True)
        ]
        if self._database.add_decisions(rows) == len(rows):
            return sent, last + len(rows)
        return self._standing(sent, places)

    def _version(self, policy: str, version: str) -> int:
        self._database.rows(
            "INSERT INTO versions (policy, version) VALUES (?, ?) ON CONFLICT DO NOTHING", (policy, version)
        )
        found = self._database.rows("SELECT id FROM versions WHERE policy = ? AND version = ?", (policy, version))
        return int(found[0][0])

    def _standing(self, sent: Sequence[DecisionRow], places: range) -> tuple[Sequence[DecisionRow], int]:
        """Return the decisions that stand where some were there before, and the last place taken."""
        numbers = self._database.among([row.number for row in sent])
        found = self._database.rows(f"{_DECISIONS} d.number {self._database.any_number}", (numbers,))
        by_number = {row[1]: (row[0], DecisionRow(*row[1:])) for row in found}
        by_id = self.asked([row.asked for row in sent if row.asked is not None])
        standing, end = [], places.start - 1
        for place, row in zip(places, sent, strict=True):
            there, decision = by_number.get(row.number, (0, None))
            if there == place:
                standing.append(row)
                end = place
            elif row.asked is not None and row.asked in by_id:
                standing.append(by_id[row.asked])
            elif decision == row:
                standing.append(row)
            else:
                raise StoreError(
                    f"decision {row.number} is there already and is another one; nothing was written; take numbers "
                    "from lease(), each once"
                )
        return standing, end

    def _add_outcomes(
        self, sent: Sequence[OutcomeRow], came: Sequence[tuple[Any, ...]], last: int
    ) -> tuple[Sequence[Verdict], int]:
        """Insert outcomes; return what became of each, and the last place taken."""
        if not came:
            return (), last
        rows = [(place, *values) for place, values in enumerate(came, last + 1)]
        if self._database.add_outcomes(rows) == len(rows):
            return [Verdict.NEW] * len(rows), last + len(rows)
        found = self._database.rows(
            f"{_STANDING_OUTCOMES} decision {self._database.any_number}",
            (self._database.among([row[1] for row in rows]),),
        )
        standing = {(row[0], row[1]): (row[2], row[3]) for row in found}
        verdicts = [verdict(row[0], row[3], standing.get((row[1], row[2]))) for row in rows]
        stray = [
            (*row[1:], said.value, outcome.name)
            for outcome, row, said in zip(sent, rows, verdicts, strict=True)
            if said in (Verdict.DIFFERENT, Verdict.UNKNOWN)
        ]
        if stray:
            self._database.many(
                "INSERT INTO strays (decision, position, reward, came, received, why, name) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                stray,
            )
        new = [row[0] for row, said in zip(rows, verdicts, strict=True) if said is Verdict.NEW]
        return verdicts, max(new, default=last)

    # ---- reading --------------------------------------------------------------------------------------------------

    def decision(self, number: int) -> DecisionRow | None:
        """Return a decision by its number."""
        if not 0 <= number <= LARGEST:
            return None
        found = self._database.rows(f"{_DECISIONS} d.number = ?", (number,))
        return DecisionRow(*found[0][1:]) if found else None

    def asked(self, ids: Sequence[str]) -> Mapping[str, DecisionRow]:
        """Return the decisions that were asked for by ids of clients, of those that are known."""
        if not ids:
            return {}
        found = self._database.rows(
            f"{_DECISIONS} d.asked {self._database.any_text} AND d.asked IS NOT NULL", (self._database.among(ids),)
        )
        return {row[9]: DecisionRow(*row[1:]) for row in found}

    def outcomes_of(self, number: int) -> Sequence[OutcomeRow]:
        """Return the outcomes of a decision, by position."""
        if not 0 <= number <= LARGEST:
            return []
        found = self._database.rows(
            _sql("SELECT [outcome] FROM outcomes o WHERE o.decision = ? ORDER BY o.position"), (number,)
        )
        return [OutcomeRow(*row) for row in found]

    def outcomes_among(self, numbers: Sequence[int]) -> Sequence[OutcomeRow]:
        """Return the outcomes of some decisions, in no order."""
        found = self._database.rows(
            _sql("SELECT [outcome] FROM outcomes o WHERE o.decision ") + self._database.any_number,
            (self._database.among(numbers),),
        )
        return [OutcomeRow(*row) for row in found]

    def decisions_before(self, seq: int, limit: int) -> Sequence[tuple[int, DecisionRow]]:
        """Return the last decisions below a ``seq``, of all policies, each with its own, the last first."""
        found = self._database.rows(f"{_DECISIONS} d.seq < ? ORDER BY d.seq DESC LIMIT ?", (seq, limit))
        return [(row[0], DecisionRow(*row[1:])) for row in found]

    def decisions_of(self, person: str, limit: int) -> Sequence[DecisionRow]:
        """Return a person's decisions of the highest numbers, the highest first."""
        numbers = [row[0] for row in self._database.rows(f"{_OF_PERSON} ORDER BY number DESC LIMIT ?", (person, limit))]
        found = self._database.rows(
            f"{_DECISIONS} d.number {self._database.any_number} ORDER BY d.number DESC",
            (self._database.among(numbers),),
        )
        return [DecisionRow(*row[1:]) for row in found]

    def decisions_after(self, seq: int, to: int, policy: str) -> Iterator[tuple[int, DecisionRow]]:
        """Yield decisions of a policy with their ``seq``, above one and up to another, in order."""
        for row in self._chunks(_DECISIONS_AFTER, seq, to, policy):
            yield row[0], DecisionRow(*row[1:])

    def answers_after(self, seq: int, to: int, policy: str) -> Iterator[Answered]:
        """Yield outcomes of a policy's decisions, above one ``seq`` and up to another, in order."""
        for row in self._chunks(_ANSWERS_AFTER, seq, to, policy):
            yield Answered(row[0], OutcomeRow(*row[1:6]), DecisionRow(*row[6:]))

    def answers_in_slot(self, seq: int, to: int, slot: str) -> Iterator[Answered]:
        """Yield outcomes of decisions of all policies in a slot, above one ``seq`` and up to another, in order."""
        for row in self._chunks(_ANSWERS_IN_SLOT, seq, to, slot):
            yield Answered(row[0], OutcomeRow(*row[1:6]), DecisionRow(*row[6:]))

    def decisions_in_slot(self, seq: int, to: int, slot: str) -> Iterator[tuple[int, DecisionRow]]:
        """Yield decisions of all policies in a slot with their ``seq``, above one and up to another, in order."""
        for row in self._chunks(_DECISIONS_IN_SLOT, seq, to, slot):
            yield row[0], DecisionRow(*row[1:])

    def _chunks(self, sql: str, seq: int, to: int, policy: str) -> Iterator[tuple[Any, ...]]:
        while seq < to:
            found = self._database.rows(sql, (seq, to, policy, CHUNK))
            yield from found
            if len(found) < CHUNK:
                return
            seq = found[-1][0]

    def ends(self) -> tuple[int, int]:
        """Return the last ``seq`` given to decisions and to outcomes, 0 before the first."""
        found = self._database.rows("SELECT decisions, outcomes FROM counters")
        return int(found[0][0]), int(found[0][1])

    def strays(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the latest outcomes that count for nothing, the last first, each with ``why`` (a verdict's value)."""
        names = ("decision", "position", "reward", "came", "received", "why", "name")
        found = self._database.rows(
            f"SELECT {', '.join(names)} FROM strays ORDER BY seq DESC LIMIT ?",  # noqa: S608
            (limit,),
        )
        return [dict(zip(names, row, strict=True)) for row in found]

    # ---- taking out -----------------------------------------------------------------------------------------------

    def forget(self, person: str) -> int:
        """Take a person's decisions and outcomes out; return how many decisions there were.

        SQLite overwrites them with zeros and cuts the write-ahead log off, as soon as no other process reads what was
        there before; copies that it left behind where it moved rows are out of reach until :meth:`compact`.
        PostgreSQL overwrites rows when it vacuums, which :meth:`compact` does; its own log, replicas and backups keep
        them as long as they are kept. What was learned from them is not taken back here.
        """
        with self._database.transaction():
            numbers = [row[0] for row in self._database.rows(_OF_PERSON, (person,))]
            self._delete(numbers)
        if numbers:
            self._database.scrub()
        return len(numbers)

    def drop_before(self, moment: float) -> int:
        """Take out the decisions made before a moment, their outcomes, and strays received before it.

        Returns
        -------
        int
            How many decisions there were. They are looked for outside of transactions, and go in transactions of some
            hundreds: what was dropped before an error stays dropped, and the next call goes on.
        """
        count = 0
        for numbers in self._before(_TIMES_OF_DECISIONS, moment):
            with self._database.transaction():
                count += self._delete(numbers)
        for places in self._before(_TIMES_OF_STRAYS, moment):
            with self._database.transaction():
                self._database.rows(
                    f"DELETE FROM strays WHERE seq {self._database.any_number}",  # noqa: S608
                    (self._database.among(places),),
                )
        if count:
            self._database.scrub()
        return count

    def _before(self, sql: str, moment: float) -> Iterator[list[int]]:
        """Yield the keys of a table's rows from before a moment, some at a time; nobody waits while they are found."""
        after, further = -1, True
        while further:
            found = self._database.rows(sql, (after, DROPPED))
            old = [key for key, at in found if at < moment]
            if old:
                yield old
            further = len(found) == DROPPED
            after = found[-1][0] if found else after

    def settle(self) -> None:
        """Move what stands in SQLite's write-ahead log into its file; PostgreSQL does so by itself."""
        self._database.settle()

    def compact(self) -> None:
        """Leave nothing on disk of what was taken out, and give the room back.

        SQLite writes the whole file anew, some seconds for each million events, while other writers wait and may be
        refused; it needs room for a second file. PostgreSQL vacuums, and nobody waits.
        """
        self._database.compact()

    def _delete(self, numbers: Sequence[int]) -> int:
        """Take out decisions and what came of them; return how many there were."""
        database = self._database
        among = database.among(numbers)
        for column in ("outcomes WHERE decision", "strays WHERE decision"):
            database.rows(f"DELETE FROM {column} {database.any_number}", (among,))  # noqa: S608
        gone = database.rows(f"DELETE FROM decisions WHERE number {database.any_number} RETURNING asked", (among,))  # noqa: S608
        ids = [row[0] for row in gone if row[0] is not None]
        if ids:  # told by a client's own id before there was a decision
            database.rows(
                f"DELETE FROM strays WHERE decision = ? AND name {database.any_text}",  # noqa: S608
                (NOBODY_KNOWS, database.among(ids)),
            )
        return len(gone)
