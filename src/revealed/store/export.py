"""The log as Parquet, a folder a day, and back as feedback. Imports its own room, choices, files and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from revealed.choices.feedback import Feedback, read_feedback
from revealed.errors import DataError, Problem
from revealed.files import whole_folder
from revealed.store.protocol import DecisionRow
from revealed.store.sql import SqlStore

#: Decisions that are held at a time.
CHUNK = 5_000
#: Days whose files are open at a time; a day that comes again after that gets another file.
OPEN = 16

_ROLES: dict[str, pa.DataType] = {
    "decision": pa.int64(),
    "action": pa.string(),
    "position": pa.int64(),
    "reward": pa.float64(),
    "propensity": pa.float64(),
    "person": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "policy": pa.string(),
    "version": pa.string(),
}


def export(store: SqlStore, folder: str | PathLike[str], policy: str) -> int:
    """Write a policy's decisions with what came of them as Parquet, one row for each thing shown.

    The files are ``day=2026-11-21/part-0.parquet`` and so on, by the day (UTC) on which decisions were made. Columns
    are ``decision``, ``action``, ``position`` (from 1), ``reward`` (null where no outcome has come), ``propensity``
    (given what stands above), ``person``, ``time``, ``policy``, ``version``, and those of the context: what is nested
    there is named ``device.os``, lists are JSON, and a name of the above gets ``context.`` before it. A column of the
    context holds numbers or booleans if all that was told is so, else text.

    Parameters
    ----------
    store : SqlStore
    folder : path
        It must not be there, or be empty; it is written whole or not at all.
    policy : str

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    OutputError
        If it cannot be written.
    DataError
        If a decision in the log cannot be read, or there is none.
    """
    to, _ = store.ends()
    kinds: dict[str, str] = {}
    for _, row in store.decisions_after(0, to, policy):
        for name, value in _context(row).items():
            kinds[name] = _joint(kinds.get(name, ""), value)
    schema = pa.schema(_ROLES | {name: _TYPES[kind] for name, kind in sorted(kinds.items())})
    count = 0
    with whole_folder(folder) as part:
        with closing(_Files(part, schema)) as files:
            for chunk in _chunks(store, to, policy):
                for day, columns in _by_day(store, chunk, kinds).items():
                    files.write(day, columns)
                    count += len(columns["decision"])
        if not count:
            remedy = "check the policy's name; a policy has to decide first"
            raise DataError(str(folder), [Problem(f"there are no decisions of {policy!r} to write", remedy)])
    return count


def read_export(folder: str | PathLike[str]) -> Feedback:
    """Read what :func:`export` wrote, through DuckDB.

    The role of the person is taken if all decisions have one.

    Raises
    ------
    DataError
        If there is nothing to read, or it is no export.
    """
    import duckdb

    pattern = str(Path(folder) / "day=*" / "*.parquet")
    with duckdb.connect() as connection:
        try:
            files = connection.read_parquet(pattern, hive_partitioning=True, union_by_name=True)
            found = files.project("* EXCLUDE (day)").order("decision, position").to_arrow_table()
        except duckdb.Error as error:
            reason = str(error).split("\n")[0]
            raise DataError(str(folder), [Problem(f"cannot be read: {reason}", "export the log again")]) from None
    person = "person" if found.column("person").null_count == 0 else None
    if person is None:
        found = found.drop_columns(["person"])
    return read_feedback(found, position="position", time="time", person=person)


# ---- columns of the context -----------------------------------------------------------------------------------------

_TYPES = {"": pa.string(), "text": pa.string(), "number": pa.float64(), "boolean": pa.bool_()}


def _joint(kind: str, value: object) -> str:
    """Return the kind of a column that holds a value besides what it held."""
    if value is None:
        return kind
    own = "boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "text"
    return own if kind in ("", own) else "text"


def _cell(kind: str, value: Any) -> Any:
    if value is None or kind == "boolean":
        return value
    if kind == "number":
        return float(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(row: DecisionRow, name: str, kind: type) -> Any:
    try:
        value = json.loads(getattr(row, name))
    except ValueError:
        value = None
    if not isinstance(value, kind):
        what = "an object" if kind is dict else "an array"
        remedy = "write it as JSON; what is in the log cannot be exported"
        raise DataError(f"decision {row.number}", [Problem(f"{name} is not {what}", remedy, name)])
    return value


def _context(row: DecisionRow) -> dict[str, Any]:
    """Return what was known at a decision by the names of columns."""
    flat: dict[str, Any] = {}

    def put(prefix: str, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            if isinstance(value, dict):
                put(f"{prefix}{name}.", value)
            else:
                flat[prefix + name] = value

    put("", _read(row, "context", dict))
    return {f"context.{name}" if name in _ROLES or name == "day" else name: value for name, value in flat.items()}


# ---- rows -----------------------------------------------------------------------------------------------------------


def _chunks(store: SqlStore, to: int, policy: str) -> Iterator[Sequence[DecisionRow]]:
    rows = (row for _, row in store.decisions_after(0, to, policy))
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _by_day(
    store: SqlStore, decisions: Sequence[DecisionRow], kinds: Mapping[str, str]
) -> dict[str, dict[str, list[Any]]]:
    """Return the columns of some decisions' rows by the day they were made on."""
    came = {(one.decision, one.position): one.reward for one in store.outcomes_among([row.number for row in decisions])}
    days: dict[str, dict[str, list[Any]]] = {}
    for row in decisions:
        shown, propensities = _read(row, "shown", list), _read(row, "propensities", list)
        n_shown = len(shown)
        if n_shown != len(propensities):
            problem = Problem(f"{n_shown} shown with {len(propensities)} propensities", "give one for each")
            raise DataError(f"decision {row.number}", [problem])
        moment = datetime.fromtimestamp(row.made, UTC)
        columns = days.setdefault(moment.date().isoformat(), {name: [] for name in (*_ROLES, *kinds)})
        columns["action"] += [label if isinstance(label, str) else json.dumps(label) for label in shown]
        columns["position"] += range(1, n_shown + 1)
        columns["reward"] += [came.get((row.number, position)) for position in range(1, n_shown + 1)]
        columns["propensity"] += propensities
        context = _context(row)
        shared = {name: _cell(kind, context.get(name)) for name, kind in kinds.items()}
        shared |= {"decision": row.number, "person": row.person, "time": moment}
        shared |= {"policy": row.policy, "version": row.version}
        for name, value in shared.items():
            columns[name] += [value] * n_shown
    return days


class _Files:
    """The files that are being written, a few at a time."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._parts: dict[str, int] = {}

    def write(self, day: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Add rows to the file of a day."""
        writer = self._writers.pop(day, None) or self._begin(day)
        self._writers[day] = writer  # the one written last stands last
        writer.write_table(pa.Table.from_pydict(columns, self._schema))
        if len(self._writers) > OPEN:
            oldest = next(iter(self._writers))
            self._writers.pop(oldest).close()

    def _begin(self, day: str) -> pq.ParquetWriter:
        part = self._parts.get(day, 0)
        self._parts[day] = part + 1
        folder = self._folder / f"day={day}"
        folder.mkdir(exist_ok=True)
        return pq.ParquetWriter(folder / f"part-{part}.parquet", self._schema, compression="zstd")

    def close(self) -> None:
        """Close the files that are open."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
