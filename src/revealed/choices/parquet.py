"""Parquet and Arrow files, single or a folder of them. Imports its own room only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from revealed.errors import DataError, Problem, nearest

SUFFIXES = (".parquet", ".pq", ".parq")


def parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files of a path: itself, or those in the folder in the order of their names.

    ``part-2`` comes before ``part-10``. Names that begin with a dot or an underscore are left alone.

    Raises
    ------
    DataError
        If there is no such path, or the folder holds no Parquet file.
    """
    require_path(path)
    if path.is_file():
        return [path]
    found = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    ]
    if not found:
        others = sorted({file.suffix for file in path.iterdir() if file.is_file() and file.suffix})
        remedy = "name a file, or a folder of .parquet files" + (f"; it holds {', '.join(others)}" if others else "")
        raise DataError(str(path), [Problem("the folder holds no Parquet file", remedy)])
    split = [file for file in found if any("=" in part for part in file.relative_to(path).parts[:-1])]
    if split:
        name = split[0].relative_to(path).parts[0]
        pattern = f"'{path}/**/*.parquet'"
        remedy = f'use read_sql("from read_parquet({pattern}, hive_partitioning = true)")'
        raise DataError(str(path), [Problem(f"the folder names hold a column ({name})", remedy)])
    return sorted(found, key=lambda file: _natural(str(file.relative_to(path))))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers in names by size."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def require_path(path: Path) -> None:
    """Raise DataError with the nearest names if there is no such file or folder."""
    if path.exists():
        return
    folder = path.parent
    if not folder.is_dir():
        problem = Problem("there is no such file, nor its folder", f"check the path {str(folder)!r}")
    else:
        names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
        problem = Problem("there is no such file", f"in its folder {nearest(path.name, names)}")
    raise DataError(str(path), [problem])


def source_name(path: Path, files: list[Path]) -> str:
    """Return how messages call the data of a path."""
    if len(files) == 1:
        return str(files[0])
    return f"{path} (rows counted over its {len(files)} files by name)"


@contextmanager
def reading(path: Path, kind: str = "Parquet") -> Iterator[None]:
    """Turn what Arrow says of a broken file into a DataError that names the file."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        said = str(error).strip().split("\n")[0]
        remedy = f"check that it is a {kind} file and was written and copied in full"
        raise DataError(str(path), [Problem(f"cannot be read as {kind}: {said}", remedy)]) from None


def open_parquet(path: Path, **options: Any) -> pq.ParquetFile:
    """Open a Parquet file, or raise DataError that names it."""
    with reading(path):
        return pq.ParquetFile(path, **options)


def read_parquet(path: Path) -> tuple[pa.Table, str]:
    """Return all rows of a Parquet file, or of a folder of them, and how messages call it."""
    files = parquet_files(path)
    common_schema(files, schema_of)
    tables = []
    for file in files:
        with reading(file):
            tables.append(pq.ParquetFile(file, page_checksum_verification=True).read())
    names = tables[0].column_names
    joined = pa.concat_tables([table.select(names) for table in tables], promote_options="default")
    return joined, source_name(path, files)


def schema_of(path: Path) -> pa.Schema:
    """Return the Arrow schema of a Parquet file."""
    with reading(path):
        return pq.read_schema(path)


def common_schema(files: list[Path], schema: Callable[[Path], pa.Schema]) -> pa.Schema:
    """Return the schema that all files share (columns in any order), or raise DataError with each difference."""
    first = schema(files[0])
    problems = []
    for file in files[1:]:
        other = schema(file)
        lacking = [name for name in first.names if name not in other.names]
        extra = [name for name in other.names if name not in first.names]
        unlike = [
            f"{name} ({other.field(name).type}, not {first.field(name).type})"
            for name in first.names
            if name in other.names and _plain(other.field(name).type) != _plain(first.field(name).type)
        ]
        said = [
            f"{verb} {', '.join(names)}"
            for verb, names in (("lacks", lacking), ("has besides", extra), ("has otherwise", unlike))
            if names
        ]
        if said:
            remedy = f"write it with the columns and types of {files[0].name}, or read the files apart"
            problems.append(Problem(f"{file.name} {'; '.join(said)}", remedy))
    if problems:
        raise DataError(str(files[0].parent), problems)
    return first


def _plain(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if pa.types.is_string(kind) else kind


def read_ipc(path: Path) -> pa.Table:
    """Return an Arrow IPC (Feather) file, of the file or the stream kind."""
    require_path(path)
    with reading(path, "Arrow"), pa.memory_map(str(path)) as stream:
        try:
            return pa.ipc.open_file(stream).read_all()
        except pa.ArrowInvalid:
            stream.seek(0)
            return pa.ipc.open_stream(stream).read_all()
