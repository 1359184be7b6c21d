"""What the learner tells the deciders: a file for each policy, written whole. Imports decide and files."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

import msgspec

from revealed.decide.policy import LearningPolicy
from revealed.files import write_whole
from revealed.serve.watch import Alarm

#: Most systems allow 255 bytes, of which some go to the ending and to the file that it is written to first.
_LONGEST = 200


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A policy after a lesson.

    Parameters
    ----------
    policy : LearningPolicy
    lesson : int
    learned : float
        When, in seconds since 1970.
    alarms : tuple of Alarm
        What looked unlike before then.
    left_out : int
        Rows that nothing could be learned from, since the learner was started.
    """

    policy: LearningPolicy
    lesson: int
    learned: float
    alarms: tuple[Alarm, ...] = ()
    left_out: int = 0


class _Written(msgspec.Struct):
    lesson: int
    learned: float
    policy: msgspec.Raw
    alarms: tuple[Alarm, ...] = ()
    left_out: int = 0


class Snapshots:
    """The snapshots of one store's policies.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, tuple[int, int]] = {}

    def publish(self, name: str, snapshot: Snapshot) -> None:
        """Write a snapshot; deciders see the one before or this one, never a part."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = msgspec.Raw(state_of(snapshot.policy))
        told = _Written(snapshot.lesson, snapshot.learned, state, snapshot.alarms, snapshot.left_out)
        write_whole(self._path(name), msgspec.json.encode(told))

    def news(self, name: str) -> Snapshot | None:
        """Return the snapshot of a policy, if it is another than the last time."""
        path = self._path(name)
        try:
            told = path.stat()
            sign = (told.st_mtime_ns, told.st_ino)
            if self._seen.get(name) == sign:
                return None
            written = msgspec.json.decode(path.read_bytes(), type=_Written)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        self._seen[name] = sign
        policy = policy_of(written.policy)
        return Snapshot(policy, written.lesson, written.learned, written.alarms, written.left_out)

    def _path(self, name: str) -> Path:
        quoted = quote(name, safe="")
        if len(quoted) > _LONGEST:  # a letter may take nine, and names of files have their limit
            quoted = f"={blake2b(name.encode(), digest_size=16).hexdigest()}"  # quoting leaves no =
        return self.folder / f"{quoted}.json"


def state_of(policy: LearningPolicy) -> bytes:
    """Return a policy as bytes."""
    return msgspec.json.encode(policy.to_dict())


def policy_of(state: bytes | msgspec.Raw) -> LearningPolicy:
    """Return the policy that :func:`state_of` wrote."""
    return LearningPolicy.from_dict(msgspec.json.decode(state))
