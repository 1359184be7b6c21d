"""The service under load beside a bare server: throughput, delays, the learner's lag, restart, and memory over time.

python -m bench.serve [--seconds S] [--events N] [--soak MINUTES] [--folder FOLDER]

One process decides: 20 candidates, 65 features and a constant of which 50 are products of what is known of a visitor
and of an item; decisions and outcomes are on disk before they are answered. Bare is the same server (uvicorn, uvloop,
httptools) answering a constant JSON of the same size, and reading the same requests; both are measured in turns. The
load comes from this machine, so the processor seconds of the process that decides are told beside what a clock says.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import report
from bench.peers.measure import pin_threads
from bench.serve_wire import told_at_once
from bench.serving import POLICY, Loaded, Running, bare, cpu_of, delays, loaded, memory_of, posted, serving
from revealed.decide.policy import LearningPolicy
from revealed.serve.load.drive import LoadOptions, driven
from revealed.serve.load.visitors import Visitors, labels, store_policy
from revealed.serve.snapshots import state_of
from revealed.store.open import open_store
from revealed.store.protocol import Checkpoint, DecisionRow, Lesson, OutcomeRow, Store

SHARE, P50, P99, OUTCOMES, LAG, RESTART, GROWTH = 0.5, 2.0, 10.0, 20_000, 1.0, 5.0, 0.05
#: Connections with which the share of bare is told, besides those asked for.
CONNECTIONS = (64, 128, 256)
#: How often both are measured, in turns: as fast as it goes; and, each for a quarter as long, at half load. A machine
#: beneath that gives the processors to others does so by the second.
TURNS, HALVES = 3, 12
#: The share of the processors that others have at most, where delays are said to be those of two processors.
QUIET = 0.01
#: Decisions a second, besides half of the most.
LIGHTER = (100.0, 500.0, 1000.0, 2000.0, 3500.0)
#: Outcomes of a lesson in a filled store, and lessons since its checkpoint, which the learner repeats.
_LESSON, _SINCE = 100, 300


# ---- outcomes: how many a second, and when they are known to who decides --------------------------------------------


def decided(running: Running, count: int) -> list[str]:
    """Return the names of decisions, which are made for this."""
    some, names = Visitors().some(0, 1000), list[str]()
    while len(names) < count:
        body = b'{"requests":[%b]}' % b",".join(some.bodies)
        names += [one["decision"] for one in posted(running, "/v1/decide/batch", body)["decisions"]]
    return names[:count]


def batches(names: list[str], size: int = 100) -> list[bytes]:
    """Return requests that tell the outcomes of decisions, one in ten a success."""
    told = [b'{"decision":"%b","reward":%d}' % (name.encode(), at % 10 == 0) for at, name in enumerate(names)]
    return [b'{"outcomes":[%b]}' % b",".join(told[at : at + size]) for at in range(0, len(told), size)]


def outcomes_a_second(running: Running, count: int) -> tuple[float, float]:
    """Return outcomes a second, durable, by batches of 100 on 8 connections, and microseconds of processor for each."""
    requests = batches(decided(running, count))
    before = cpu_of(running.processes["decider"])
    seconds = told_at_once(running.address, requests, connections=8)
    return count / seconds, 1e6 * (cpu_of(running.processes["decider"]) - before) / count


def lag(running: Running, folder: Path, seconds: float, rate: int = 1000) -> list[float]:
    """Return, for each batch of 100, the seconds from its acknowledgement until the decider knew a lesson with it."""
    requests = batches(decided(running, int(rate * seconds)))
    store = open_store(folder / "log.db")
    sent = store.ends()[1]
    until = time.monotonic() + 120  # what was told before, as fast as it went, is learned first
    while _learned(store) < sent and time.monotonic() < until:
        time.sleep(0.1)
    acknowledged, seen = list[tuple[float, int]](), list[tuple[float, int]]()
    began = time.perf_counter()
    for at, request in enumerate(requests):
        while time.perf_counter() < began + at * 100 / rate:
            seen.append(_lesson(running))
            time.sleep(0.01)
        sent += posted(running, "/v1/outcome/batch", request)["new"]
        acknowledged.append((time.perf_counter(), sent))
    ends = {lesson.number: lesson.outcomes_to for lesson in store.lessons_after(POLICY, 0)}
    until = time.perf_counter() + 30
    while max((ends.get(lesson, 0) for _, lesson in seen), default=0) < sent and time.perf_counter() < until:
        seen.append(_lesson(running))
        ends = {lesson.number: lesson.outcomes_to for lesson in store.lessons_after(POLICY, 0)}
        time.sleep(0.01)
    store.close()
    known = [(moment, ends.get(lesson, 0)) for moment, lesson in seen]
    return [next((moment - told for moment, end in known if end >= seq), float("inf")) for told, seq in acknowledged]


def _learned(store: Store) -> int:
    return max((lesson.outcomes_to for lesson in store.lessons_after(POLICY, 0)), default=0)


def _lesson(running: Running) -> tuple[float, int]:
    with urllib.request.urlopen(running.url + "/ready", timeout=10) as answer:
        told = json.load(answer)
    return time.perf_counter(), told["policies"][POLICY]["lesson"]


# ---- restart --------------------------------------------------------------------------------------------------------


def fill(folder: Path, policy: LearningPolicy, events: int) -> None:
    """Write so many events, half decisions and half outcomes, with the lessons and the checkpoint of a learner."""
    store = open_store(folder / "log.db")
    contexts = [json.dumps(json.loads(body)["context"]) for body in Visitors().some(0, 1000).bodies]
    item, made = labels(), time.time() - events
    for first in range(0, events // 2, 10_000):
        numbers = store.lease(min(10_000, events // 2 - first))
        rows = [
            DecisionRow(n, POLICY, policy.version, made + n, contexts[n % 1000], f'["{item[n % 20]}"]', "[0.05]")
            for n in numbers
        ]
        store.write(rows, [OutcomeRow(n, 1, float(n % 10 == 0), made + n + 60, made + n + 60) for n in numbers])
    decisions, outcomes = store.ends()
    lessons = outcomes // _LESSON
    for number in range(1, lessons + 1):
        store.add_lesson(Lesson(POLICY, number, min(number * _LESSON, decisions), number * _LESSON, made + number))
    store.add_checkpoint(Checkpoint(POLICY, max(lessons - _SINCE, 0), state_of(policy)))
    store.close()


def restarted(folder: Path, events: int) -> tuple[float, float, float]:
    """Return the seconds from a start to the first decision, of all processors by then, and until all is learned."""
    with serving(folder):
        pass  # the policy is enrolled
    fill(folder, LearningPolicy.load(folder / f"{POLICY}.json"), events)
    for snapshot in Path(f"{folder / 'log.db'}.snapshots").glob("*"):
        snapshot.unlink()
    began = time.perf_counter()
    with serving(folder) as running:
        posted(running, "/v1/decide", Visitors().some(0, 1).bodies[0])
        first = time.perf_counter() - began
        cpu = sum(map(cpu_of, running.processes.values()))
        while _lesson(running)[1] < events // 2 // _LESSON and time.perf_counter() - began < 600:
            time.sleep(0.05)
        return first, cpu, time.perf_counter() - began


# ---- the table ------------------------------------------------------------------------------------------------------


def soaked(running: Running, minutes: float, rate: float) -> dict[str, Any]:
    """Return the memory of each process after a minute (a tenth of a short soak) and at the end, and the errors."""
    early = min(60.0, 6 * minutes)
    options = LoadOptions(early, rate, connections=64)
    driven(running.address, Visitors(seed=1), options)
    start = {name: memory_of(pid) for name, pid in running.processes.items()}
    found = driven(running.address, Visitors(seed=2), replace(options, seconds=60 * minutes - early))
    end = {name: memory_of(pid) for name, pid in running.processes.items()}
    return {"start MiB": start, "end MiB": end, "found": found.to_dict()}


def in_turns(servers: Sequence[Running], options: LoadOptions, count: int) -> list[list[Loaded]]:
    """Return what load tests of each server find, one after the other, several times."""
    turns = [[loaded(running, options) for running in servers] for _ in range(count)]
    return [list(of_one) for of_one in zip(*turns, strict=True)]


def middle(found: Sequence[Loaded]) -> float:
    """Return the middle one of rates."""
    return median(one.rate for one in found)


def undisturbed(found: Sequence[Loaded]) -> list[Loaded]:
    """Return the turns in which the processors were ours, or the one in which they were so most."""
    return [one for one in found if one.stolen < QUIET] or [min(found, key=lambda one: one.stolen)]


def together(found: Sequence[Loaded]) -> str:
    """Return the delays of several turns as text."""
    stolen = sum(one.stolen for one in found) / len(found)
    return "{:.2f} ms, {:.2f} ms".format(*delays(found)) + f" ({stolen:.1%} stolen)"


def measured(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str, bool]]:
    """Return rows: what, the figure, the goal, whether it was reached; and save the figures."""
    closed = LoadOptions(options.seconds, None, options.connections, tell=False)
    others = [n for n in CONNECTIONS if n != options.connections]
    with ExitStack() as servers:
        both = [servers.enter_context(bare()), servers.enter_context(serving(folder))]
        running = both[1]
        for each in both:
            loaded(each, replace(closed, seconds=min(2.0, options.seconds)))  # warm
        constants, ours = in_turns(both, closed, TURNS)
        bare_others, our_others = zip(*(in_turns(both, replace(closed, connections=n), 1) for n in others), strict=True)
        half = middle(ours) / 2
        bare_halves, halves = in_turns(both, replace(closed, seconds=options.seconds / 4, rate=half), HALVES)
        told = loaded(running, replace(closed, rate=half, tell=True))
        lighter = {per_second: loaded(running, replace(closed, rate=per_second)) for per_second in LIGHTER}
        came, came_cpu = outcomes_a_second(running, options.outcomes)
        lags = sorted(lag(running, folder, options.seconds))
        soak = soaked(running, options.soak, half) if options.soak else None
    fresh = folder / "restart"
    fresh.mkdir()
    store_policy().save(fresh / f"{POLICY}.json")
    first, first_cpu, whole = restarted(fresh, options.events)
    quiet, calm = undisturbed(halves), undisturbed(bare_halves)
    p50, p99 = delays(quiet)
    share = median(one.rate / peer.rate for one, peer in zip(ours, constants, strict=True))
    shares = [middle(found) / middle(peer) for found, peer in zip(our_others, bare_others, strict=True)]
    cpu, bare_cpu = (median(one.cpu for one in found) for found in (ours, constants))
    restart = f"restart, {options.events:,} events: first decision"
    fast = f"{middle(ours):,.0f}/s, bare {middle(constants):,.0f}/s"
    rows = [
        ("decide, durable, as fast as it goes, the middle one", fast, "", True),
        *(
            (f"turn {turn}", f"{one.fast()}, bare {peer.fast()}", "", True)
            for turn, (one, peer) in enumerate(zip(ours, constants, strict=True), 1)
        ),
        ("a share of bare, the middle one", f"{share:.0%}", f"≥ {SHARE:.0%}", share >= SHARE),
        (
            f"the same with {', '.join(map(str, others))} connections instead of {options.connections}",
            ", ".join(f"{share:.0%}" for share in shares),
            "",
            True,
        ),
        ("CPU of the process that decides, each", f"{cpu:.0f} µs, bare {bare_cpu:.0f} µs", "", True),
        ("the same as a share of bare, by CPU", f"{bare_cpu / cpu:.0%}", f"≥ {SHARE:.0%}", bare_cpu >= SHARE * cpu),
        (f"at half of that, {half:,.0f}/s: p50", f"{p50:.2f} ms", f"< {P50:g} ms", p50 < P50),
        ("the same: p99", f"{p99:.2f} ms", f"< {P99:g} ms", p99 < P99),
        (f"both in {len(quiet)} of {HALVES} turns; bare", f"{together(quiet)}; {together(calm)}", "", True),
        ("both in all turns; bare", f"{together(halves)}; {together(bare_halves)}", "", True),
        *((f"at {per_second:,.0f} a second: p50, p99", one.told(), "", True) for per_second, one in lighter.items()),
        ("at half load, an outcome for each: p50, p99", told.told(), "", True),
        ("outcomes by 100, durable", f"{came:,.0f}/s ({came_cpu:.1f} CPU µs)", f"≥ {OUTCOMES:,}/s", came >= OUTCOMES),
        ("learner's lag at 1,000 outcomes/s, longest", f"{lags[-1]:.2f} s", f"< {LAG:g} s", lags[-1] < LAG),
        (restart, f"{first:.1f} s ({first_cpu:.1f} CPU s of all processes)", f"< {RESTART:g} s", first < RESTART),
        ("the same: all is learned again", f"{whole:.1f} s", "", True),
    ]
    if soak is not None:
        errors = sum(soak["found"]["errors"].values())
        for name, start in soak["start MiB"].items():
            end = soak["end MiB"][name]
            flat = end < (1 + GROWTH) * start and not errors
            grew = f"{start:.0f} to {end:.0f} MiB, {errors} errors"
            rows.append((f"soak of {options.soak:g} minutes: {name}", grew, f"< {GROWTH:.0%} more", flat))
    figures = {name: {"found": found, "reached": reached} for name, found, _, reached in rows}
    details = {
        "bare": [one.found.to_dict() for one in constants],
        "fast": [one.found.to_dict() for one in ours],
        "half": [one.found.to_dict() for one in halves],
        "bare_half": [one.found.to_dict() for one in bare_halves],
        "told": told.found.to_dict(),
        "lighter": {str(per_second): one.found.to_dict() for per_second, one in lighter.items()},
        "lag": lags,
        "soak": soak,
    }
    report.save("serve", {"figures": figures, "details": details})
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The service under load.")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each measurement")
    parser.add_argument("--connections", type=int, default=128, help="that ask at once")
    parser.add_argument("--outcomes", type=int, default=100_000, help="that are told as fast as it goes")
    parser.add_argument("--events", type=int, default=1_000_000, help="in the store of the restart")
    parser.add_argument("--soak", type=float, default=0.0, help="minutes at half load; none by default")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on the disk that is meant")
    options = parser.parse_args()
    pin_threads()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        store_policy().save(Path(name) / f"{POLICY}.json")
        rows = measured(Path(name), options)
    report.heading(
        "The service under load",
        "one process decides; 20 candidates, 65 features; all on disk before it is answered; load from this machine",
    )
    shown = [(what, found, report.goal(reached, aim) if aim else "") for what, found, aim, reached in rows]
    report.table(("work", "found", "goal"), shown, left=("work", "found", "goal"))


if __name__ == "__main__":
    main()
