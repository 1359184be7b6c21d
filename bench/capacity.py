"""What a service takes: bytes of a decision and of an outcome in its log, and the memory of each process.

python -m bench.capacity [--decisions N] [--postgres URL] [--folder FOLDER]

The service is started as its one command starts it; visitors of the simulated store are decided for, and each decision
gets an outcome. Bytes are those of the pages of the tables and their indexes, after the service has ended. How fast it
goes, and how soon it is there again, is measured by ``bench.serve``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from bench import report
from bench.peers.measure import pin_threads
from bench.serve import batches
from bench.serve_wire import told_at_once
from bench.serving import POLICY, Running, posted, serving
from revealed.serve.load.visitors import Visitors, store_policy
from revealed.store.open import open_store
from revealed.store.protocol import Lesson

_BATCH = 500


@dataclass(frozen=True)
class Kind:
    """A kind of request."""

    what: str
    told_candidates: bool = False
    own_id: bool = False

    def bodies(self, first: int, count: int) -> list[bytes]:
        """Return requests by number."""
        bodies = Visitors(told_candidates=self.told_candidates).some(first, count).bodies
        if not self.own_id:
            return bodies
        return [b'{"id":"visit-%012d",%b' % (first + at, body[1:]) for at, body in enumerate(bodies)]


KINDS = (
    Kind("10 numbers known of a person; the policy's own 20 items"),
    Kind("… with the client's own id, of 18 letters", own_id=True),
    Kind("… with the 20 items told each time, 5 numbers each", told_candidates=True),
)


@dataclass(frozen=True)
class Memory:
    """What a process holds, in MiB: all that is in memory, and what it shares with nobody."""

    resident: float
    private: float

    @classmethod
    def of(cls, pid: int) -> Memory:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        told = {name: int(size.split()[0]) / 1024 for name, size in (line.split(":") for line in lines)}
        return cls(told["Rss"], told["Private_Clean"] + told["Private_Dirty"])


def filled(running: Running, kind: Kind, count: int) -> None:
    """Let the service decide so often, and tell it an outcome of each."""
    for first in range(0, count, _BATCH):
        body = b'{"requests":[%b]}' % b",".join(kind.bodies(first, min(_BATCH, count - first)))
        names = [one["decision"] for one in posted(running, "/v1/decide/batch", body)["decisions"]]
        told_at_once(running.address, batches(names), connections=1)


def sizes(log: Path) -> dict[str, int]:
    """Return the bytes of each table of a log in a file, its indexes among them."""
    connection = apsw.Connection(str(log))
    told: Any = connection.execute(
        "SELECT tbl_name, SUM(pgsize) FROM dbstat JOIN sqlite_schema USING (name) GROUP BY tbl_name"
    )
    found = {str(table): int(size) for table, size in told.fetchall()}
    connection.close()
    return found


def lesson_bytes(folder: Path, count: int = 5_000) -> float:
    """Return the bytes of a lesson: what the learner notes down each time that it has learned."""
    folder.mkdir()
    store = open_store(folder / "log.db")
    for number in range(1, count + 1):
        store.add_lesson(Lesson(POLICY, number, 100 * number, 100 * number, 1.7e9 + number))
    store.close()
    return sizes(folder / "log.db")["lessons"] / count


def on_postgres(url: str, log: Path) -> tuple[dict[str, int], int]:
    """Write the decisions and outcomes of a log in a file to an empty database; return bytes by table, and rows."""
    import psycopg

    source, target = open_store(log), open_store(url)
    decisions, outcomes = source.ends()
    rows = [row for _, row in source.decisions_after(0, decisions, POLICY)]
    told = [answer.outcome for answer in source.answers_after(0, outcomes, POLICY)]
    target.lease(len(rows))
    for first in range(0, len(rows), 1000):
        target.write(rows[first : first + 1000], ())
        target.write((), told[first : first + 1000])
    source.close()
    target.close()
    with psycopg.connect(url) as connection:
        found = {
            table: connection.execute(f"SELECT pg_total_relation_size('revealed.{table}')").fetchone()[0]  # type: ignore[index]
            for table in ("decisions", "outcomes")
        }
    return found, len(rows)


def measured(folder: Path, kind: Kind, count: int) -> tuple[dict[str, int], list[dict[str, Memory]]]:
    """Return the bytes of each table, and the memory of each process when ready and after the work."""
    folder.mkdir()
    store_policy().save(folder / f"{POLICY}.json")
    with serving(folder) as running:
        posted(running, "/v1/decide", kind.bodies(count, 1)[0])
        memories = [{name: Memory.of(pid) for name, pid in running.processes.items()}]
        filled(running, kind, count)
        memories.append({name: Memory.of(pid) for name, pid in running.processes.items()})
    return sizes(folder / "log.db"), memories


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Bytes of an event, and memory of each process.")
    parser.add_argument("--decisions", type=int, default=50_000, help="of each kind of request, with an outcome each")
    parser.add_argument("--postgres", help="the address of an empty database to measure as well")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder for the logs")
    options = parser.parse_args()
    pin_threads()
    rows, memories = [], list[dict[str, Memory]]()
    count = options.decisions
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for at, kind in enumerate(KINDS):
            log = Path(name) / str(at) / "log.db"
            found, held = measured(log.parent, kind, count)
            request = sum(map(len, kind.bodies(0, 1000))) / 1000
            rows.append(_row("SQLite", kind.what, request, found, count + 1, count))
            memories = memories or held
            if options.postgres and at == 0:
                known, n_rows = on_postgres(options.postgres, log)
                rows.append(_row("PostgreSQL", kind.what, request, known, n_rows, count))
        lesson = lesson_bytes(Path(name) / "lessons")
    report.heading("Bytes in the log", f"{count:,} decisions with an outcome each, tables and indexes")
    columns = ("log", "request", "bytes of a request", "of a decision", "of an outcome", "a million of both, MB")
    report.table(columns, rows, left=("log", "request"))
    report.note(f"besides, {lesson:.0f} for each lesson; the learner notes down at most five a second of a policy")
    report.heading("Memory of each process, MiB", f"when ready, and after {count:,} decisions and as many outcomes")
    report.table(
        ("process", "ready", "its own", "after", "its own after"),
        [
            [name, *(f"{size:.0f}" for held in memories for size in (held[name].resident, held[name].private))]
            for name in memories[0]
        ],
        left=("process",),
    )
    report.save("capacity", {"bytes": rows, "lesson": lesson, "memory": json.loads(json.dumps(memories, default=vars))})


def _row(log: str, what: str, request: float, found: dict[str, int], decisions: int, outcomes: int) -> list[str]:
    decision, outcome = found["decisions"] / decisions, found["outcomes"] / outcomes
    return [log, what, f"{request:.0f}", f"{decision:.0f}", f"{outcome:.0f}", f"{decision + outcome:,.0f}"]


if __name__ == "__main__":
    main()
