"""What admins do to policies and the log, each act a note in the audit log. Imports decide, store, errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from revealed.decide.policy import LearningPolicy
from revealed.errors import SpecificationError, nearest
from revealed.serve.enrolment import enrol
from revealed.serve.roster import LIVE, SHADOW, STATES, leads
from revealed.store.protocol import PolicyRow, Store


@dataclass(frozen=True)
class Changes:
    """Changes of policies and the log in a store; to be made in the store's turn.

    Parameters
    ----------
    store : Store
    clock : callable
        Seconds since 1970.
    """

    store: Store
    clock: Callable[[], float]

    def create(self, name: str, policy: LearningPolicy, slot: str | None, who: str) -> bool:
        """Take a policy in, if it is not there; return whether it was not.

        Raises
        ------
        SpecificationError
            If another one of that name is there, the name is none, or a service cannot teach it.
        """
        with self.store.transaction():
            new = enrol(self.store, name, policy, self.clock(), slot)
            if new:
                self.store.note(who, "create", name)
        return new

    def change(self, name: str, state: str | None, share: float | None, who: str) -> None:
        """Give a policy another state, and where it is under test another share of persons.

        Raises
        ------
        SpecificationError
            If there is no such policy or state, a share is none or shares make more than all, or nobody would decide
            any more.
        """
        if share is not None and not 0 < share <= 1:
            raise SpecificationError(f"give {name!r} a share between 0 and 1 of persons, not {share!r}")
        if state is not None and state not in STATES:
            raise SpecificationError(f"no state {state!r}; {nearest(state, STATES)}")
        with self.store.transaction():  # another process changes nothing between reading and writing
            row = self._row(name)
            row = replace(row, state=state or row.state, share=share or row.share, changed=self.clock())
            self._require_decided(row)
            self.store.put_policy(row)
            self.store.note(who, f"{row.state}, {row.share:.0%} of persons", name)

    def _require_decided(self, row: PolicyRow) -> None:
        """Refuse a change after which not exactly one policy would decide for each person."""
        others = [other for other in self._in_slot(row.slot) if other.name != row.name]
        led = [other for other in others if leads(other)]
        if not led:
            if row.share < 1 or row.state == SHADOW:
                raise SpecificationError(f"{row.name!r} decides for all on {row.slot!r}; promote another one first")
        elif row.state != SHADOW:
            tested = sum(other.share for other in others if other.state == LIVE and other.share < 1)
            if not 0 < row.share < 1 or tested + row.share > 1:
                raise SpecificationError(
                    f"{led[0].name!r} decides for all on {row.slot!r}: give {row.name!r} a share between 0 and "
                    f"{1 - tested:g} of persons, or promote it"
                )

    def promote(self, name: str, who: str) -> None:
        """Let a policy decide for all in its slot; the one that did goes into the shadow.

        Raises
        ------
        SpecificationError
            If there is no such policy.
        """
        with self.store.transaction():
            row, now = self._row(name), self.clock()
            before = None
            for other in self._in_slot(row.slot):
                if other.name != name and leads(other):
                    before = other.name
                    self.store.put_policy(replace(other, state=SHADOW, changed=now))
            self.store.put_policy(replace(row, state=LIVE, share=1.0, changed=now, before=before or row.before))
            self.store.note(who, "promote", name)

    def roll_back(self, slot: str, who: str) -> str:
        """Let the policy decide on something that did before; return its name.

        Raises
        ------
        SpecificationError
            If there is no such slot, or no other has decided before.
        """
        with self.store.transaction():
            rows = self._in_slot(slot)
            if not rows:
                slots = [row.slot for row in self.store.policies()]
                raise SpecificationError(f"no slot {slot!r}; {nearest(slot, slots)}")
            leading = next(filter(leads, rows), None)
            if leading is None or leading.before is None:
                raise SpecificationError(f"no other policy has decided on {slot!r} before; promote one by its name")
            self.promote(leading.before, who)
        return leading.before

    def forget(self, person: str, who: str) -> int:
        """Take a person's decisions and outcomes out of the log; return how many decisions there were."""
        count = self.store.forget(person)
        self.store.note(who, "forget", "a person")  # whom would be remembered by it
        return count

    def _row(self, name: str) -> PolicyRow:
        rows = {row.name: row for row in self.store.policies()}
        if name not in rows:
            raise SpecificationError(f"no policy {name!r}; {nearest(name, rows)}")
        return rows[name]

    def _in_slot(self, slot: str) -> list[PolicyRow]:
        return [row for row in self.store.policies() if row.slot == slot]
