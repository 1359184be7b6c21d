"""The bench of regret: its stores are the stores they say, its runs are kept, its gaps are by seed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import regret_runs, report, stores
from bench.peers.bandits import worlds
from bench.regret import DEFAULT, Mean, gap, judge, tasks_in
from bench.regret_runs import Run, Runs, Task


@pytest.mark.parametrize("name", stores.FAMILIES)
def test_a_store_written_down_is_the_store(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "STORES", tmp_path)
    stores.write(name, 3)
    written, store = worlds.world_named(name, 3), stores.FAMILIES[name].world(3)
    for at in (0, 4900):
        visits = store.visits(at, 50)
        moments = worlds.Moments(visits.context, store.features(visits))
        np.testing.assert_allclose(written.probabilities(moments, at), store.probability(visits), rtol=1e-12)
    drawn = written.moments(np.random.default_rng(0), 20)
    utility = drawn.features @ written.tastes[0].ravel()  # type: ignore[attr-defined]
    np.testing.assert_allclose(worlds.logistic(utility), written.probabilities(drawn, 0), rtol=1e-12)


def test_drift_is_in_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "STORES", tmp_path)
    stores.write("store-drifting", 0, 3000)
    world = worlds.world_named("store-drifting", 0)
    moments = world.moments(np.random.default_rng(0), 5)
    first, same, later = (world.probabilities(moments, at) for at in (0, 999, 1000))
    assert np.array_equal(first, same)
    assert not np.allclose(first, later)
    assert not np.allclose(later, world.probabilities(moments, 99_900))  # a short run's store serves a long one
    with pytest.raises(IndexError):
        world.probabilities(moments, 100_000)


def test_what_is_kept_is_not_played_again(tmp_path: Path) -> None:
    kept = tmp_path / "runs.jsonl"
    Runs(kept, sys.executable).play([Task("with_numpy:Random", "plain", 1000, (0, 1))], 1)
    lines = [line for line in kept.read_text().splitlines() if line]
    assert [json.loads(line)["seed"] for line in lines] == [0, 1]
    kept.write_text(lines[1] + "\n" + '{"which": "with_nu')  # interrupted in the middle of a line
    task = Task("with_numpy:Random", "plain", 1000, (0, 1))
    resumed = Runs(kept, sys.executable)
    resumed.play([task], 1)
    assert [run["seed"] for run in resumed.of(task)] == [0, 1]
    assert json.loads(lines[0])["regret"] == resumed.of(task)[0]["regret"]  # and a run is the same each time
    assert len([line for line in kept.read_text().splitlines() if line.endswith("}")]) == 2


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code, to be edited."""
    for folder in ("bench/peers", "src/revealed"):
        shutil.copytree(regret_runs.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(regret_runs.ROOT / "bench/requirements-decide.txt", tmp_path / "bench")
    monkeypatch.setattr(regret_runs, "ROOT", tmp_path)
    monkeypatch.setattr(worlds, "STORES", tmp_path)
    return tmp_path


OURS, THEIRS = Task(DEFAULT, "store", 1000, (0, 1)), Task("with_numpy:Draw", "store", 1000, (0, 1))


@pytest.mark.parametrize(
    ("path", "old", "new", "left"),
    [
        ("src/revealed/decide/explore/thompson.py", "width: float = 0.5", "width: float = 0.3", (THEIRS,)),
        ("src/revealed/models/glm/tilt.py", "from math import", "from cmath import", (THEIRS,)),
        ("bench/peers/bandits/with_numpy.py", "np.zeros", "np.ones", (OURS,)),
        ("bench/requirements-decide.txt", "", "numpy==1.0\n", (OURS,)),
        ("bench/peers/bandits/worlds.py", "contexts @ self.tastes", "contexts[:, ::-1] @ self.tastes", ()),
        ("bench/peers/bandits/worlds.py", "0.45", "0.46", (OURS, THEIRS)),  # another world's
        ("bench/peers/bandits/form.py", "def speed", "def fast", (OURS, THEIRS)),
        ("src/revealed/decide/explore/thompson.py", '"""', '"""In other words: ', (OURS, THEIRS)),
        ("src/revealed/decide/explore/thompson.py", "", "# A remark.\n", (OURS, THEIRS)),
        ("src/revealed/models/logit.py", "", "CHANGED = True\n", (OURS, THEIRS)),
    ],
)
def test_what_other_code_played_is_played_again(
    path: str, old: str, new: str, left: tuple[Task, ...], checkout: Path
) -> None:
    runs = Runs(checkout / "runs.jsonl", sys.executable)
    runs.write_stores([OURS])
    with runs.path.open("w") as file:
        for task in (OURS, THEIRS):
            who = {"which": task.which, "world": task.world, "rounds": task.n_rounds}
            for seed in task.seeds:
                code = regret_runs.fingerprint(task.which, task.world, seed)
                file.write(json.dumps({**who, "seed": seed, "code": code}) + "\n")
    runs = Runs(runs.path, sys.executable)
    assert [runs.missing(task) for task in (OURS, THEIRS)] == [[], []]
    text = (checkout / path).read_text()
    assert old in text
    (checkout / path).write_text(text.replace(old, new, 1))
    assert tuple(task for task in (OURS, THEIRS) if not runs.missing(task)) == left
    assert all(runs.missing(task) == [0, 1] and not runs.of(task) for task in (OURS, THEIRS) if task not in left)


def test_another_truth_of_one_seed_s_store_is_played_again(checkout: Path) -> None:
    runs = Runs(checkout / "runs.jsonl", sys.executable)
    runs.write_stores([OURS])
    before = [regret_runs.fingerprint(DEFAULT, "store", seed) for seed in OURS.seeds]
    store = worlds.path_of_store("store", 0)
    runs.write_stores([OURS])
    assert [regret_runs.fingerprint(DEFAULT, "store", seed) for seed in OURS.seeds] == before
    store.write_bytes(worlds.path_of_store("store", 1).read_bytes())
    after = [regret_runs.fingerprint(DEFAULT, "store", seed) for seed in OURS.seeds]
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_policy_that_fails_is_named(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs.jsonl", sys.executable)
    runs.play([Task("with_numpy:Nobody", "plain", 1000, (0,))], 1)
    assert "Nobody" in runs.failed["with_numpy:Nobody in plain"]


def test_gaps_are_by_seed_after_as_many_rounds() -> None:
    ours = [{"seed": seed, "rounds": 2000, "curve": [10.0 + seed, 30.0 + seed]} for seed in range(4)]
    short = [{"seed": seed, "rounds": 1000, "curve": [15.0 + seed]} for seed in (1, 2)]
    assert gap(ours, short) == (-5.0, 0.0)
    whole = [{"seed": seed, "rounds": 2000, "curve": [0.0, value]} for seed, value in ((0, 20.0), (1, 29.0))]
    found = gap(ours, whole)
    assert found.mean == pytest.approx(6.0)
    assert found.half == pytest.approx(12.706 * 4, rel=1e-3)  # differences 10 and 2; t with one degree of freedom


def test_everybody_plays_in_the_reference_world() -> None:
    by_name = {task.which: task for task in tasks_in("reference", 5, 100_000)}
    assert len(by_name[DEFAULT].seeds) == 10
    short = {which for which, task in by_name.items() if task.n_rounds < 100_000}
    assert short == {"with_pybandits:Thompson"}


def test_the_verdict_names_the_best_peer_and_no_shorter_run_s(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(report, "note", said.append)

    def runs(label: str, rounds: int, *regrets: float) -> list[Run]:
        return [
            {"label": label, "seed": seed, "rounds": rounds, "regret": value, "curve": [value] * (rounds // 1000)}
            for seed, value in enumerate(regrets)
        ]

    found = {
        DEFAULT: runs("default", 2000, 30.0, 34.0, 2.0, 2.0),  # the last two are worlds that A never saw
        "ours:Upper": runs("bounds", 2000, 10.0, 12.0),
        "with_a:A": runs("A", 2000, 20.0, 24.0),
        "with_b:B": runs("B", 1000, 15.0, 15.0),
        "with_c:C": runs("C", 1000, 90.0, 90.0),
    }
    judge(2000, found, {which: Mean.of([run["regret"] for run in of]) for which, of in found.items()})
    assert said == [
        "default 17, the best peer A 22: lowest MISSED (by seed 10 ± 0)",
        "bounds 11, the best peer A 22: lowest reached (by seed -11 ± 13; the interval has zero in it)",
        "B after 1,000 rounds only: below ours after all rounds: undecided",
        "C after 1,000 rounds only: above ours after all rounds",
    ]
