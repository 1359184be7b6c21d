"""How far a long climb got, in a file, so that one that was interrupted goes on. Imports files and errors.

The file has numbers by name and says what they are of; it is written whole or not at all, after every pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float

from revealed.errors import DataError, Problem, SpecificationError
from revealed.files import write_whole

_VERSION = 1


def fingerprint(arrays: Iterable[np.ndarray | None]) -> str:
    """Return twelve characters that tell data from others, for what a checkpoint is about: kinds, shapes, numbers."""
    found = blake2b(digest_size=6)
    for array in arrays:
        found.update(b"none" if array is None else f"{array.dtype.str} {array.shape}".encode())
        found.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


@dataclass(eq=False)
class Checkpoint:
    """A file that says how far a long estimation got.

    Parameters
    ----------
    path : Path
        Made by the first :meth:`note`; one that is there is gone on from.
    about : str
        What is estimated, from which data: a file about something else is refused.

    Raises
    ------
    DataError
        If the file is not a checkpoint, or of a newer version.
    SpecificationError
        If it is about something else.
    """

    path: Path
    about: str = ""
    _notes: dict[str, list[float]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        if self.path.exists():
            self._notes = self._read()

    def __len__(self) -> int:
        return len(self._notes)

    def known(self, name: str, size: int | None = None) -> Float[np.ndarray, " size"] | None:
        """Return the numbers of a name; None if there are none, or not so many."""
        found = self._notes.get(name)
        return None if found is None or (size is not None and len(found) != size) else np.array(found)

    def note(self, name: str, numbers: Float[np.ndarray, " size"]) -> None:
        """Write numbers down under a name, in place of what it had."""
        self._notes[name] = np.asarray(numbers, dtype=np.float64).tolist()
        write_whole(self.path, json.dumps({"checkpoint": _VERSION, "about": self.about, "notes": self._notes}))

    def done(self) -> None:
        """Remove the file: the estimation has ended, and what came of it is safe."""
        self._notes = {}
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, list[float]]:
        remedy = "give another file, or remove this one"
        try:
            found = json.loads(self.path.read_text("utf-8"))
            version, about, notes = int(found["checkpoint"]), str(found["about"]), dict(found["notes"])
            read = {str(name): [float(number) for number in numbers] for name, numbers in notes.items()}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(str(self.path), [Problem(f"is not a checkpoint ({error})", remedy)]) from None
        if version > _VERSION:
            problem = Problem(f"is a checkpoint of version {version}, newer than {_VERSION}", "update revealed")
            raise DataError(str(self.path), [problem])
        if about != self.about:
            raise SpecificationError(
                f"{self.path} is about another estimation ({about}), not this one ({self.about}): {remedy}"
            )
        return read
