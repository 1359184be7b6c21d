"""Events a second into the durable log, each on disk when it is acknowledged, beside bare SQLite as the limit.

python -m bench.store [--postgres URL] [--folder FOLDER] [--seconds S]

Bare SQLite is one table with one column, written by the same transactions with the same settings: what no log in an
SQLite file can do without. The folder must be on the disk that is meant: a folder in memory knows no fsync.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from bench import report
from bench.peers.measure import cpu_seconds, pin_threads
from revealed.store.open import open_store
from revealed.store.protocol import DecisionRow, OutcomeRow
from revealed.store.sql import SqlStore

CONTEXT = json.dumps({"device": "phone", "hour": 17, "member": True, "visits": 12, "tenure": 3.25, "region": "north"})
#: What a decision and an outcome take as bytes, for the bare table.
DECISION_BYTES, OUTCOME_BYTES = 220, 40
PERSONS = 100_000
#: CPU microseconds an event of a batch of 100 on SQLite.
GOAL = 6.0


@dataclass(frozen=True)
class Rate:
    """What was found of one kind of work."""

    events: int
    wall: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.events / self.wall

    @property
    def microseconds(self) -> float:
        return self.cpu / self.events * 1e6


def measured(batches: Iterator[Callable[[], object]], size: int, seconds: float) -> Rate:
    """Run batches, each made outside of the measured time, until it has taken so long."""
    wall = cpu = 0.0
    events = 0
    while wall < seconds:
        batch = next(batches)
        began, began_cpu = time.perf_counter(), cpu_seconds()
        batch()
        wall += time.perf_counter() - began
        cpu += cpu_seconds() - began_cpu
        events += size
    return Rate(events, wall, cpu)


def decision(number: int) -> DecisionRow:
    """Return a decision on one of twenty offers."""
    person = f"person-{number * 7919 % PERSONS}"
    shown = f'["offer-{number % 20}"]'
    return DecisionRow(number, "offers", "7850-1c9e", 1.7e9 + number, CONTEXT, shown, "[0.1875]", person, None, None)


def decisions(store: SqlStore, size: int) -> Iterator[Callable[[], object]]:
    while True:
        rows = [decision(number) for number in store.lease(size)]
        yield lambda rows=rows: store.write(rows, ())  # type: ignore[misc]


def outcomes(store: SqlStore, size: int, first: int) -> Iterator[Callable[[], object]]:
    """Yield batches of outcomes of decisions that are there."""
    while True:
        numbers = range(first, first + size)
        rows = [OutcomeRow(n, 1, float(n % 10 == 0), 1.7e9 + n + 60, 1.7e9 + n + 60.5) for n in numbers]
        yield lambda rows=rows: store.write((), rows)  # type: ignore[misc]
        first += size


def both(store: SqlStore, size: int) -> Iterator[Callable[[], object]]:
    """Yield batches of so many decisions and as many outcomes of the batch before, in one transaction."""
    before: Sequence[int] = ()
    while True:
        numbers = store.lease(size)
        rows = [decision(number) for number in numbers]
        came = [OutcomeRow(n, 1, float(n % 10 == 0), 1.7e9 + n + 60, 1.7e9 + n + 60.5) for n in before]
        yield lambda rows=rows, came=came: store.write(rows, came)  # type: ignore[misc]
        before = numbers


class Bare:
    """One table with one column."""

    def __init__(self, path: Path) -> None:
        self.connection = apsw.Connection(str(path))
        for setting in ("journal_mode = WAL", "synchronous = FULL"):
            self.connection.execute(f"PRAGMA {setting}")
        self.connection.execute("CREATE TABLE events (event TEXT)")

    def write(self, rows: Sequence[tuple[str]]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany("INSERT INTO events VALUES (?)", rows)
        self.connection.execute("COMMIT")

    def batches(self, size: int, length: int) -> Iterator[Callable[[], object]]:
        rows = [("x" * length,)] * size
        while True:
            yield lambda: self.write(rows)


WORK = (("decisions", 1), ("decisions", 100), ("decisions", 1000), ("outcomes", 1), ("outcomes", 100), ("both", 100))


def of_store(store: SqlStore, seconds: float) -> dict[str, Rate]:
    """Measure a store at all the work there is."""
    found = {}
    first = 1
    for kind, size in WORK:
        if kind == "both":
            found[f"{kind} {size}"] = measured(both(store, size), 2 * size, seconds)
        elif kind == "decisions":
            found[f"{kind} {size}"] = measured(decisions(store, size), size, seconds)
        else:
            found[f"{kind} {size}"] = measured(outcomes(store, size, first), size, seconds)
            first += found[f"{kind} {size}"].events + size
    return found


def of_bare(folder: Path, seconds: float) -> dict[str, Rate]:
    """Measure bare SQLite at the same work."""
    found = {}
    for kind, size in WORK:
        length = DECISION_BYTES if kind == "decisions" else OUTCOME_BYTES
        if kind == "both":
            length, size = (DECISION_BYTES + OUTCOME_BYTES) // 2, 2 * size
        bare = Bare(folder / f"{kind}{size}.db")
        name = f"{kind} {size // 2 if kind == 'both' else size}"
        found[name] = measured(bare.batches(size, length), size, seconds)
        bare.connection.close()
    return found


def bytes_an_event(folder: Path, events: int) -> float:
    """Return the size of a file of decisions with an outcome each, over its events."""
    path = folder / "size.db"
    store = open_store(path)
    for _ in range(events // 2000):
        numbers = store.lease(1000)
        came = [OutcomeRow(n, 1, float(n % 10 == 0), 1.7e9 + n + 60, 1.7e9 + n + 60.5) for n in numbers]
        store.write([decision(n) for n in numbers], came)
    store.close()
    return path.stat().st_size / events


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Events a second into the durable log.")
    parser.add_argument("--postgres", help="the address of an empty database to measure as well")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on the disk that is meant")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each kind of work")
    parser.add_argument("--events", type=int, default=200_000, help="in the file whose size is measured")
    options = parser.parse_args()
    pin_threads()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        bare = of_bare(folder, options.seconds)
        stores = {"SQLite": of_store(open_store(folder / "log.db"), options.seconds)}
        size = bytes_an_event(folder, options.events)
    if options.postgres:
        stores["PostgreSQL"] = of_store(open_store(options.postgres), options.seconds)
    report.heading(
        "Events a second into the durable log",
        "each on disk when acknowledged; decisions of a person with 6 features, one thing shown; CPU of this process",
    )
    rows = []
    for kind, found in stores.items():
        for work, rate in found.items():
            limit = bare[work]
            rows.append(
                [
                    kind,
                    work,
                    f"{rate.per_second:,.0f}",
                    f"{rate.microseconds:.1f}",
                    f"{limit.per_second:,.0f}",
                    f"{limit.microseconds:.1f}",
                    f"{rate.microseconds / limit.microseconds:.1f}",
                ]
            )
    columns = ("store", "work, by", "events/s", "CPU µs an event", "bare: events/s", "bare: CPU µs", "CPU, times bare")
    report.table(columns, rows, left=("store", "work, by"))
    report.note(f"the file: {size:,.0f} MB for a million events, half of them decisions")
    cost = stores["SQLite"]["both 100"].microseconds
    report.note(report.goal(cost <= GOAL, f"100 decisions and 100 outcomes: {cost:.1f} CPU µs an event, ≤ {GOAL:g}"))
    figures = {
        kind: {work: {"per second": rate.per_second, "cpu us": rate.microseconds} for work, rate in found.items()}
        for kind, found in (stores | {"bare SQLite": bare}).items()
    }
    report.save("store", {"figures": figures, "bytes an event": size})


if __name__ == "__main__":
    main()
