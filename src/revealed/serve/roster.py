"""Which policies decide, and what each knows by now. Imports decide, store and errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from revealed.decide.many import Desk
from revealed.decide.policy import LearningPolicy
from revealed.errors import SpecificationError, nearest
from revealed.serve.shares import Shares
from revealed.serve.snapshots import Snapshot
from revealed.store.protocol import PolicyRow

#: It decides; it learns from what others decide, and decides nothing; its fall-back is shown.
LIVE, SHADOW, STOPPED = "live", "shadow", "stopped"
STATES = (LIVE, SHADOW, STOPPED)


class Standing:
    """A policy in service.

    Parameters
    ----------
    row : PolicyRow
        What the store says of it.
    snapshot : Snapshot
        What it knows by now.
    """

    def __init__(self, row: PolicyRow, snapshot: Snapshot) -> None:
        self.row = row
        self.take(snapshot)

    def take(self, snapshot: Snapshot) -> None:
        """Go on with what was learned since."""
        self.desk, self.lesson, self.learned = Desk(snapshot.policy), snapshot.lesson, snapshot.learned
        self.alarms, self.left_out = snapshot.alarms, snapshot.left_out
        self.layout = snapshot.policy.specification.layout

    @property
    def name(self) -> str:
        """What it is called."""
        return self.row.name

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        return self.row.state

    @property
    def leads(self) -> bool:
        """Whether it decides for all in its slot that no policy under test decides for."""
        return leads(self.row)

    @property
    def policy(self) -> LearningPolicy:
        """The policy as it is known here."""
        return self.desk.policy

    @property
    def fallback(self) -> tuple[str, ...]:
        """What is shown when the policy cannot decide; empty if it does not say."""
        return self.policy.specification.business.fallback


@dataclass(eq=False)
class Roster:
    """The policies of a service, by name.

    Parameters
    ----------
    standings : dict
    is_stale : bool
        Nobody has been learning for so long that what is known here is not to be relied on.
    silence : float
        Seconds since a learner was heard of, at the last look.
    """

    standings: dict[str, Standing]
    is_stale: bool = False
    silence: float = 0.0
    _slots: tuple[set[str], dict[str, list[Standing]]] | None = field(default=None, repr=False)
    _shares: Shares = field(default_factory=Shares, repr=False)

    def named(self, name: str) -> Standing:
        """Return a policy by its name.

        Raises
        ------
        SpecificationError
            If there is none of that name.
        """
        if name not in self.standings:
            raise SpecificationError(f"no policy {name!r}; {nearest(name, self.standings)}")
        return self.standings[name]

    def told(self, rows: Iterable[PolicyRow]) -> None:
        """Take what the store says of the policies that are known here."""
        for row in rows:
            if row.name in self.standings:
                self.standings[row.name].row = row

    def layout(self, name: str, shown: Sequence[str]) -> dict[str, str] | None:
        """Return what a policy of layouts has shown, the option of each slot; None for other policies."""
        standing = self.standings.get(name)
        return None if standing is None or standing.layout is None else standing.layout.named(shown[0])

    def slots(self) -> dict[str, list[Standing]]:
        """Return the policies of each slot, by name."""
        if self._slots is None or self._slots[0] != self.standings.keys():  # a policy keeps its slot
            found: dict[str, list[Standing]] = {}
            for name in sorted(self.standings):
                found.setdefault(self.standings[name].row.slot, []).append(self.standings[name])
            self._slots = set(self.standings), found
        return self._slots[1]

    def alone(self, name: str | None) -> Standing | None:
        """Return the policy that decides whoever it is for, as it is the only one of its slot; None where others are.

        Parameters
        ----------
        name : str, optional
            Of the slot; not needed where there is one.
        """
        slots = self.slots()
        if name is None and len(slots) == 1:
            (name,) = slots
        there = slots.get(name, ()) if name is not None else ()
        return there[0] if len(there) == 1 and there[0].leads else None

    def deciding(self, name: str | None, person: str | None) -> Standing:
        """Return the policy that decides for somebody: of a slot, of the only one, or the one that is named.

        Which of the policies under test decides for a person is a matter of the person's name and the slot's, so it is
        the same every time and in every process; for nobody in particular it is drawn.

        Raises
        ------
        SpecificationError
            If there is no such slot or policy, several slots and no name, or the policy named decides nothing.
        """
        alone = self.alone(name)
        if alone is not None:
            return alone
        slots = self.slots()
        if name is None:
            if len(slots) != 1:
                raise SpecificationError(f"say which policy is to decide: {', '.join(slots) or 'there is none yet'}")
            name = next(iter(slots))
        if name not in slots:
            if name in self.standings and self.standings[name].state == LIVE:
                return self.standings[name]
            if name in self.standings:
                raise SpecificationError(f"the policy {name!r} is {self.standings[name].state}, and decides nothing")
            raise SpecificationError(f"no policy {name!r}; {nearest(name, dict.fromkeys([*slots, *self.standings]))}")
        tested = self._shares.tried_for(name, [standing.row for standing in slots[name]], person, LIVE)
        if tested is not None:
            return self.standings[tested]
        leading = next((standing for standing in slots[name] if standing.leads), None)
        if leading is None:
            raise SpecificationError(f"no policy decides on {name!r}: promote one")
        return leading


def leads(row: PolicyRow) -> bool:
    """Return whether a policy decides for all in its slot that no policy under test decides for."""
    return row.share >= 1 and row.state != SHADOW
