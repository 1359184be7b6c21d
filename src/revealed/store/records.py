"""What a store keeps besides decisions and outcomes: lessons, checkpoints, roles, policies, keys, the audit log.

Imports its own room and errors only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from revealed.errors import SpecificationError, StoreError
from revealed.store.checks import require_texts
from revealed.store.database import Database
from revealed.store.protocol import Checkpoint, KeyRow, Lesson, Milestone, PolicyRow

#: Checkpoints that are kept of each policy.
KEPT = 3
#: Milestones that are kept of each policy besides the first.
LATE = 7


class Records:
    """The smaller tables of a store.

    Parameters
    ----------
    database : Database
    clock : callable
        Returns the time in seconds since 1970 (UTC).
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    # ---- learning -------------------------------------------------------------------------------------------------

    def lessons_after(self, policy: str, number: int) -> Sequence[Lesson]:
        """Return the lessons of a policy after one, in order."""
        found = self._database.rows(
            "SELECT policy, number, decisions_to, outcomes_to, moment FROM lessons "
            "WHERE policy = ? AND number > ? ORDER BY number",
            (policy, number),
        )
        return [Lesson(*row) for row in found]

    def add_lesson(self, lesson: Lesson) -> None:
        """Write a lesson; the last one sent again is there already.

        Raises
        ------
        StoreError
            If it does not follow the last one.
        """
        require_texts("lesson", policy=lesson.policy)
        with self._database.transaction():
            found = self._database.rows(
                "SELECT policy, number, decisions_to, outcomes_to, moment FROM lessons "
                "WHERE policy = ? ORDER BY number DESC LIMIT 1",
                (lesson.policy,),
            )
            last = Lesson(*found[0]) if found else Lesson(lesson.policy, 0, 0, 0, 0.0)
            if lesson == last and found:
                return
            back = lesson.decisions_to < last.decisions_to or lesson.outcomes_to < last.outcomes_to
            if lesson.number != last.number + 1 or back:
                raise StoreError(
                    f"lesson {lesson.number} of {lesson.policy!r} up to ({lesson.decisions_to}, {lesson.outcomes_to}) "
                    f"does not follow lesson {last.number} up to ({last.decisions_to}, {last.outcomes_to}); another "
                    "learner may be at work: read the lessons again"
                )
            self._database.rows(
                "INSERT INTO lessons (policy, number, decisions_to, outcomes_to, moment) VALUES (?, ?, ?, ?, ?)",
                (lesson.policy, lesson.number, lesson.decisions_to, lesson.outcomes_to, lesson.at),
            )

    def checkpoint(self, policy: str) -> Checkpoint | None:
        """Return the last checkpoint of a policy."""
        found = self._database.rows(
            "SELECT policy, lesson, state FROM checkpoints WHERE policy = ? ORDER BY lesson DESC LIMIT 1", (policy,)
        )
        return Checkpoint(found[0][0], found[0][1], bytes(found[0][2])) if found else None

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; older ones of the policy but the last three are dropped."""
        require_texts("checkpoint", policy=checkpoint.policy)
        with self._database.transaction():
            self._database.rows(
                "INSERT INTO checkpoints (policy, lesson, state) VALUES (?, ?, ?) "
                "ON CONFLICT (policy, lesson) DO UPDATE SET state = excluded.state",
                (checkpoint.policy, checkpoint.lesson, checkpoint.state),
            )
            self._database.rows(
                "DELETE FROM checkpoints WHERE policy = ? AND lesson NOT IN "
                "(SELECT lesson FROM checkpoints WHERE policy = ? ORDER BY lesson DESC LIMIT ?)",
                (checkpoint.policy, checkpoint.policy, KEPT),
            )

    def milestones(self, policy: str) -> Sequence[Milestone]:
        """Return the milestones of a policy, the oldest first."""
        found = self._database.rows(
            "SELECT policy, lesson, answers, decisions_to, moment FROM milestones WHERE policy = ? ORDER BY lesson",
            (policy,),
        )
        return [Milestone(*row) for row in found]

    def milestone_state(self, milestone: Milestone) -> bytes | None:
        """Return the policy at a milestone, as for a checkpoint; None where that is kept no more."""
        found = self._database.rows(
            "SELECT state FROM milestones WHERE policy = ? AND lesson = ?", (milestone.policy, milestone.lesson)
        )
        return bytes(found[0][0]) if found else None

    def add_milestone(self, milestone: Milestone, state: bytes) -> None:
        """Write a milestone; of the policy's older ones the first and the last six are kept."""
        require_texts("milestone", policy=milestone.policy)
        name, lesson = milestone.policy, milestone.lesson
        with self._database.transaction():
            self._database.rows(
                "INSERT INTO milestones (policy, lesson, answers, decisions_to, moment, state) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (name, lesson, milestone.answers, milestone.decisions_to, milestone.at, state),
            )
            self._database.rows(
                "DELETE FROM milestones WHERE policy = ? AND lesson <> (SELECT min(lesson) FROM milestones "
                "WHERE policy = ?) AND lesson NOT IN "
                "(SELECT lesson FROM milestones WHERE policy = ? ORDER BY lesson DESC LIMIT ?)",
                (name, name, name, LATE),
            )

    def judgement(self, slot: str) -> tuple[float, str] | None:
        """Return when the policies of a slot were last judged, and what was found, as JSON."""
        found = self._database.rows("SELECT moment, found FROM judgements WHERE slot = ?", (slot,))
        return (float(found[0][0]), str(found[0][1])) if found else None

    def put_judgement(self, slot: str, at: float, found: str) -> None:
        """Write what was found of the policies of a slot; what was found before is dropped."""
        require_texts("judgement", slot=slot, found=found)
        with self._database.transaction():
            self._database.rows(
                "INSERT INTO judgements (slot, moment, found) VALUES (?, ?, ?) "
                "ON CONFLICT (slot) DO UPDATE SET moment = excluded.moment, found = excluded.found",
                (slot, at, found),
            )

    def hold(self, role: str, who: str, seconds: float) -> bool:
        """Take or keep a role for some seconds, by this process's clock; False if another holds it.

        A hold that reaches ten times as far ahead was taken before the clock stepped back: it is over.
        """
        require_texts("role", role=role, who=who)
        now = self._clock()
        with self._database.transaction():
            taken = self._database.rows(
                "INSERT INTO roles (role, who, held_to) VALUES (?, ?, ?) "
                "ON CONFLICT (role) DO UPDATE SET who = excluded.who, held_to = excluded.held_to "
                "WHERE roles.who = excluded.who OR roles.held_to <= ? OR roles.held_to > ? RETURNING role",
                (role, who, now + seconds, now, now + 10 * seconds),
            )
        return bool(taken)

    def release(self, role: str, who: str) -> None:
        """Give a role back; nothing happens if another holds it."""
        with self._database.transaction():
            self._database.rows("DELETE FROM roles WHERE role = ? AND who = ?", (role, who))

    def is_held(self, role: str) -> bool:
        """Return whether somebody holds a role, by this process's clock."""
        return bool(self._database.rows("SELECT 1 FROM roles WHERE role = ? AND held_to > ?", (role, self._clock())))

    # ---- administration -------------------------------------------------------------------------------------------

    def transaction(self) -> AbstractContextManager[None]:
        """Return a block that is one transaction, with nobody else writing; nothing of it is there if it fails."""
        return self._database.transaction()

    def policies(self) -> Sequence[PolicyRow]:
        """Return all policies, by name."""
        found = self._database.rows(
            "SELECT name, specification, state, share, changed, slot, before FROM policies ORDER BY name"
        )
        return [PolicyRow(*row) for row in found]

    def put_policy(self, row: PolicyRow) -> None:
        """Write a policy, or what has changed of it."""
        require_texts("policy", name=row.name, specification=row.specification, state=row.state, slot=row.slot)
        with self._database.transaction():
            self._database.rows(
                "INSERT INTO policies (name, specification, state, share, changed, slot, before) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET specification = excluded.specification, state = excluded.state, "
                "share = excluded.share, changed = excluded.changed, before = excluded.before",
                (row.name, row.specification, row.state, row.share, row.changed, row.slot, row.before),
            )

    def keys(self) -> Sequence[KeyRow]:
        """Return all keys, revoked ones too, in the order of their making."""
        found = self._database.rows(
            "SELECT id, digest, scopes, note, made, expires, revoked FROM api_keys ORDER BY made, id"
        )
        return [KeyRow(row[0], bytes(row[1]), tuple(json.loads(row[2])), *row[3:]) for row in found]

    def put_key(self, row: KeyRow) -> None:
        """Write a key, or what has changed of it."""
        scopes = json.dumps(row.scopes)
        require_texts("key", id=row.id, note=row.note)
        with self._database.transaction():
            self._database.rows(
                "INSERT INTO api_keys (id, digest, scopes, note, made, expires, revoked) VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, scopes = excluded.scopes, "
                "note = excluded.note, made = excluded.made, expires = excluded.expires, revoked = excluded.revoked",
                (row.id, row.digest, scopes, row.note, row.made, row.expires, row.revoked),
            )

    def note(self, who: str, act: str, about: str) -> None:
        """Write an act of administration into the audit log, with the time."""
        require_texts("audit log", who=who, act=act, about=about)
        with self._database.transaction():
            self._database.rows(
                "INSERT INTO audit (moment, who, act, about) VALUES (?, ?, ?, ?)", (self._clock(), who, act, about)
            )

    def notes(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the latest acts of administration, the last first: ``seq``, ``at``, ``who``, ``act``, ``about``."""
        found = self._database.rows(
            "SELECT seq, moment, who, act, about FROM audit ORDER BY seq DESC LIMIT ?", (limit,)
        )
        return [dict(zip(("seq", "at", "who", "act", "about"), row, strict=True)) for row in found]

    def secret(self) -> bytes:
        """Return 32 random bytes, the same for all who open this store."""
        with self._database.transaction():
            found = self._database.rows("SELECT secret FROM secrets")
            if not found:
                found = [(os.urandom(32),)]
                self._database.rows("INSERT INTO secrets (id, secret) VALUES (1, ?)", found[0])
        return bytes(found[0][0])

    # ---- numbers --------------------------------------------------------------------------------------------------

    def lease(self, count: int) -> range:
        """Return so many numbers for decisions, which nobody else gets, also after a crash.

        Raises
        ------
        SpecificationError
            If the count is less than one.
        """
        if count < 1:
            raise SpecificationError(f"cannot lease {count} numbers; ask for one or more")
        with self._database.transaction():
            found = self._database.rows("UPDATE counters SET numbers = numbers + ? RETURNING numbers", (count,))
        last = int(found[0][0])
        return range(last - count + 1, last + 1)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._database.close()
