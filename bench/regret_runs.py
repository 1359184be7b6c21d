"""The runs that the tables of regret are made of, each kept as soon as it is done. Imports bench's peers and stores.

A run is one policy in one world with one seed. It is kept with a fingerprint of the code that plays it, and played
again when that has changed (:func:`fingerprint`).
"""

from __future__ import annotations

import ast
import json
import runpy
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from bench import stores
from bench.bandits import one_thread
from bench.data import FOLDER
from bench.peers.bandits.form import BATCH
from bench.peers.bandits.worlds import World, path_of_store
from bench.report import RESULTS

ROOT = Path(__file__).parents[1]
KEPT = RESULTS / "regret-runs.jsonl"

#: A run as it is kept: policy, world, seed, rounds, fingerprint, label, version, regret, curve, CPU seconds.
Run = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A policy in a world, for some seeds.

    Parameters
    ----------
    which : str
        ``module:class`` in ``bench.peers.bandits``.
    world : str
    n_rounds : int
    seeds : tuple of int
    """

    which: str
    world: str
    n_rounds: int
    seeds: tuple[int, ...]


def is_ours(which: str) -> bool:
    """Return whether it runs in this environment, not in the peers'."""
    return which.startswith("ours:")


@cache
def meaning(path: Path, changed: int) -> tuple[str, tuple[Path, ...]]:  # noqa: ARG001 - read again when it has changed
    """Return what a module says but for comments and docstrings, and the modules of bench and revealed it imports."""
    tree = ast.parse(path.read_text())
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            imported |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree), tuple(found for name in sorted(imported) if (found := module_at(name)))


def module_at(name: str) -> Path | None:
    """Return where a module of bench or revealed is, None for another's."""
    if name.split(".")[0] not in ("bench", "revealed"):
        return None
    base = (ROOT if name.startswith("bench") else ROOT / "src").joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), None)


@cache
def law(code: Path, store: Path | None, world: str, *changed: int) -> bytes:  # noqa: ARG001 - as in meaning
    """Return what a world shows and how it rewards at some moments, by the code as it now stands."""
    written = runpy.run_path(str(code))
    of: World = written["Store"](store) if store else written["WORLDS"][world]()
    moments = of.moments(np.random.default_rng(0), 5)
    found = [moments.contexts, moments.features, of.actions, np.array(of.keep)]
    found += [of.probabilities(moments, at) for at in (0, 1000, 50_000, 99_900)]
    return b"".join(np.round(values, 9).tobytes() for values in found)


def fingerprint(which: str, world: str, seed: int) -> str:
    """Return the hash of what decides what a run gives.

    That is the code of the policy, of ``play`` and of all of ours that either imports, directly or not (comments and
    docstrings aside); for a peer the versions that are asked for; and what the world does. Another world beside it, or
    another way to measure speed, is no reason to play again.
    """
    peers = ROOT / "bench/peers"
    worlds = peers / "bandits/worlds.py"
    known = dict.fromkeys((peers / "measure.py", peers / "bandits/form.py", worlds), "")
    waiting = [peers / f"bandits/{which.split(':')[0]}.py", peers / "bandits/play.py"]
    while waiting:
        path = waiting.pop()
        if path not in known:
            known[path], imported = meaning(path, path.stat().st_mtime_ns)
            waiting += imported
    parts = [str(BATCH).encode(), *(known[path].encode() for path in sorted(known))]
    if not is_ours(which):
        parts.append((ROOT / "bench/requirements-decide.txt").read_bytes())
    store = path_of_store(world, seed) if world in stores.FAMILIES else None
    parts.append(law(worlds, store, world, *(path.stat().st_mtime_ns for path in (worlds, store) if path)))
    return sha256(b"\0".join(parts)).hexdigest()[:16]


def environment() -> dict[str, str]:
    """Return the environment of a run: one thread, and what JAX compiled is kept, pybandits' hours otherwise."""
    kept = {"JAX_COMPILATION_CACHE_DIR": str(FOLDER / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return one_thread() | kept


class Runs:
    """The runs that are kept, and those to come.

    Parameters
    ----------
    path : Path
        A line of JSON for each run.
    python : str
        The peers' python.
    """

    def __init__(self, path: Path, python: str) -> None:
        self.path, self.python, self.lock = path, python, Lock()
        self.found: dict[tuple[str, str, int, int, str], Run] = {}
        self.failed: dict[str, str] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                if line.endswith("}"):  # else it was interrupted there
                    self._take(json.loads(line))

    def _take(self, run: Run) -> None:
        self.found[run["which"], run["world"], run["rounds"], run["seed"], run["code"]] = run

    def of(self, task: Task) -> list[Run]:
        """Return the runs of a task that the code of now has played, by seed."""
        who = task.which, task.world, task.n_rounds
        keys = ((*who, seed, fingerprint(task.which, task.world, seed)) for seed in task.seeds)
        return [self.found[key] for key in keys if key in self.found]

    def missing(self, task: Task) -> list[int]:
        """Return the seeds of a task that are still to be played."""
        known = {run["seed"] for run in self.of(task)}
        return [seed for seed in task.seeds if seed not in known]

    @staticmethod
    def write_stores(tasks: Sequence[Task]) -> None:
        """Write the stores of some tasks: to be done before :meth:`of` or :meth:`play`."""
        for name, seed in {(task.world, seed) for task in tasks for seed in task.seeds}:
            if name in stores.FAMILIES:
                stores.write(name, seed, max(task.n_rounds for task in tasks))

    def play(self, tasks: Sequence[Task], processes: int) -> None:
        """Play what is not kept yet, some processes at a time."""
        with ThreadPoolExecutor(processes) as pool:
            for _ in pool.map(self._play, tasks):
                pass

    def _play(self, task: Task) -> None:
        seeds = self.missing(task)
        if not seeds:
            return
        # Of now, not of when the bench began: others may have edited the code since.
        codes = {seed: fingerprint(task.which, task.world, seed) for seed in seeds}
        python = sys.executable if is_ours(task.which) else self.python
        command = [python, "-m", "bench.peers.bandits.play", f"bench.peers.bandits.{task.which}"]
        command += [task.world, str(task.n_rounds), *map(str, seeds)]
        about = {"which": task.which, "world": task.world, "rounds": task.n_rounds}
        self._follow(command, about, codes)

    def _follow(self, command: Sequence[str], about: dict[str, Any], codes: dict[int, str]) -> None:
        """Keep each run that a process prints; note why, if it fails."""
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=ROOT
        )
        assert process.stdout is not None
        assert process.stderr is not None
        with process, ThreadPoolExecutor(1) as reader:
            errors = reader.submit(process.stderr.read)  # read at once: a full pipe would stop the process
            for line in process.stdout:
                if line.startswith("{"):
                    run = about | json.loads(line)
                    self._keep(run | {"code": codes[run["seed"]]})
        if process.returncode:
            why = errors.result().strip().splitlines()[-1:] or ["no message"]
            self.failed[f"{about['which']} in {about['world']}"] = why[0]

    def _keep(self, run: Run) -> None:
        with self.lock:
            self._take(run)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write("\n" + json.dumps(run) + "\n")  # on a new line, should the last one be torn
            done = f"{run['world']}, {run['label']}, seed {run['seed']}"
        print(f"{done}: {run['regret']:,.0f} after {run['rounds']:,}, {run['cpu']:.1f} s", file=sys.stderr, flush=True)
