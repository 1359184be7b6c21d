"""Writing a file or a folder whole or not at all, and reading JSON. Imports the errors only."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import IO, Any, TypeVar

from revealed.errors import DataError, OutputError, Problem

Saved = TypeVar("Saved")


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file so that a reader sees the old content or the new, never a part; see :func:`whole_file`."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which takes the place of ``path`` when the block ends, and vanishes if it fails.

    The content goes to a temporary file beside the target, is forced to disk, and takes the target's place at the end.

    Raises
    ------
    OutputError
        If the folder is missing or not writable, or the disk is full; what was there before is untouched.
    """
    target = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_mode_for(target))
        Path(temporary).replace(target)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {target}: {reason}; nothing was changed; choose another place") from None
    finally:
        if temporary is not None:  # whatever ended the block, an interrupt included
            Path(temporary).unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a folder to write files to, which becomes ``path`` when the block ends, and vanishes if it fails.

    Raises
    ------
    OutputError
        If ``path`` is there already and not an empty folder, cannot be written, or the disk is full.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(f"{target} is there already; nothing was changed; choose another place")
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield temporary
        temporary.chmod(_mode_for(target, 0o777))
        temporary.replace(target)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {target}: {reason}; nothing was changed; choose another place") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _mode_for(target: Path, new: int = 0o666) -> int:
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return new & ~mask


def load_saved(path: str | os.PathLike[str], build: Callable[[dict[str, Any]], Saved], remedy: str) -> Saved:
    """Return what a JSON file of ours holds.

    Parameters
    ----------
    path : path
    build : callable
        What turns the data of such a file into an object; raises KeyError, TypeError, ValueError or AttributeError
        where parts are missing or odd, and errors of ours for all that it refuses itself.
    remedy : str
        What to do about a file that is none: which call writes such files.

    Raises
    ------
    DataError
        If the file cannot be read, is no JSON, or parts of it are missing or spoiled.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(data, dict):
            return build(data)
        what = "not what is saved in such files"
    except OSError as error:
        absent = isinstance(error, FileNotFoundError)
        what = "there is no such file" if absent else f"cannot be read: {error.strerror or error}"
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        what = f"is not JSON: {error}"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"parts missing or spoiled ({error})"
    raise DataError(str(path), [Problem(what, remedy)])


def numbers_to_names(value: Any) -> Any:
    """Replace NaN and infinities, which JSON has not, by their names."""
    if isinstance(value, float) and not isfinite(value):
        return {"float": str(value)}
    if isinstance(value, dict):
        return {key: numbers_to_names(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_to_names(item) for item in value]
    return value


def names_to_numbers(value: Any) -> Any:
    """Put NaN and infinities back where :func:`numbers_to_names` named them."""
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float(value["float"])
        return {key: names_to_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [names_to_numbers(item) for item in value]
    return value
