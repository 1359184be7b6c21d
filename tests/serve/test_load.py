"""The load test: what it counts, what it times, whom it refuses; against real services and against ones that fail."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from time import perf_counter

import numpy as np
import pytest
import uvloop
from typer.testing import CliRunner

from revealed.cli.app import app
from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.errors import SpecificationError
from revealed.serve.load.bell import Bell
from revealed.serve.load.drive import LoadOptions, _Load, driven
from revealed.serve.load.found import Earned, milliseconds
from revealed.serve.load.visitors import Visitors, labels, specification, store_policy, store_world
from revealed.serve.load.wire import Address
from revealed.store.open import open_store
from tests.serve.world import Learning, listening, made

DECIDED = b'{"decision":"a","shown":["item 3"]}'
TAKEN = b'{"new":1,"known":0,"different":0,"unknown":0}'


def test_a_service_is_driven_as_fast_as_it_goes_and_everything_is_counted(tmp_path) -> None:
    where = made(tmp_path, store_policy())
    with Learning(where), listening(where) as url:
        found = driven(Address.of(url), Visitors(), LoadOptions(seconds=1.0, connections=4, delay=0.05))
    store = open_store(where)
    decisions, outcomes = store.ends()
    rewards = [answered.outcome.reward for answered in store.answers_after(0, outcomes, "offers")]
    store.close()
    assert found.due == found.answered == decisions - 1 > 4  # one to see whether it fits
    assert dict(found.outcomes) == {"new": outcomes, "known": 0, "different": 0, "unknown": 0}
    assert outcomes == found.answered
    assert found.in_all.decisions == outcomes
    assert found.in_all.reward == sum(rewards)
    assert found.in_all.chance < found.in_all.best
    assert 0 <= found.in_all.expected < found.in_all.best
    assert not found.errors
    assert found.cpu > 0


def test_visitors_are_sent_as_the_truth_has_them() -> None:
    visitors = Visitors(seed=3, policy="store", told_candidates=True)
    some = visitors.some(40, 200)
    told = [json.loads(body) for body in some.bodies]
    world = store_world()
    for row in (0, 17, 199):
        context = np.array([1.0, *told[row]["context"].values()])
        attributes = np.array([[1.0, *list(item.values())[1:]] for item in told[row]["candidates"]])
        utility = np.einsum("c,ia,ca->i", context, attributes, world.theta.reshape(11, 6))
        assert np.allclose(1 / (1 + np.exp(-utility)), some.truth[row], atol=1e-4)
        assert [item["item"] for item in told[row]["candidates"]] == labels()
    assert [one["person"] for one in told[:6]] == [f"visitor {8 + at // 5}" for at in range(6)]
    assert told[0]["policy"] == "store"
    assert abs(some.answers.mean() - some.truth.mean()) < 0.02
    again = Visitors(seed=3, policy="store", told_candidates=True).some(40, 200)
    assert again.bodies == some.bodies
    assert np.array_equal(again.answers, some.answers)
    assert Visitors(seed=4).some(40, 1).bodies != Visitors(seed=3).some(40, 1).bodies


def test_a_policy_that_has_not_met_the_items_is_told_them(tmp_path) -> None:
    where = made(tmp_path, LearningPolicy.fresh(Specification.from_dict(specification(store_world())), 1))
    with listening(where) as url:
        found = driven(Address.of(url), Visitors(), LoadOptions(seconds=0.2, connections=2, delay=0))
    assert found.answered > 0
    assert found.in_all.decisions == found.answered


def test_a_service_for_something_else_is_told_what_to_serve(tmp_path) -> None:
    with listening(made(tmp_path)) as url, pytest.raises(SpecificationError, match="--write-policy store.json"):
        driven(Address.of(url), Visitors(), LoadOptions(seconds=0.2))


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.7:8000", "http://0.0.0.0:8000", "http://[2001:db8::1]:80", "https://127.0.0.1", "127.0.0.1:8000",
     "http://127.0.0.1:99999", "http://127.0.0.1/page", "http://127.0.0.1.example.invalid", ""],
)  # fmt: skip
def test_only_this_machine_is_put_under_load(url) -> None:
    with pytest.raises(SpecificationError):
        Address.of(url)


def test_this_machine_has_several_names() -> None:
    assert Address.of("http://127.0.0.1:8000/") == Address("127.0.0.1", 8000)
    assert Address.of("http://[::1]:81") == Address("::1", 81)
    assert Address.of("http://127.9.9.9").port == 80
    with pytest.raises(SpecificationError, match="no service at"):
        driven(Address("127.0.0.1", 1), Visitors(), LoadOptions(seconds=0.1))


# ---- services that fail ---------------------------------------------------------------------------------------------


@contextmanager
def answering(answer: Callable[[int], tuple[int, bytes] | None]) -> Iterator[Address]:
    """Yield the address of a server that answers request n as told, outcomes well, or closes the connection (None)."""
    count, one_at_a_time = itertools.count(), Lock()

    class Answers(StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            while line := self.rfile.readline():
                path, length = line.split()[1], 0
                while (header := self.rfile.readline().strip()) != b"":
                    if header.startswith(b"content-length: "):
                        length = int(header[16:])
                self.rfile.read(length)
                said: tuple[int, bytes] | None = (200, TAKEN)
                if path == b"/v1/decide":
                    with one_at_a_time:
                        said = answer(next(count))
                if said is None:
                    return
                # In two pieces, as a network may.
                self.wfile.write(b"HTTP/1.1 %d x\r\ncontent-type: a\r\ncontent-len" % said[0])
                self.wfile.write(b"gth: %d\r\n\r\n%b" % (len(said[1]), said[1]))

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Address("127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join(10)


@pytest.mark.parametrize("fine", [True, False])
def test_a_bell_rings_at_its_moments_and_not_before(fine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fine:  # a system without such timers
        monkeypatch.setattr("revealed.serve.load.bell.ctypes.CDLL", lambda _: object())
    rung: list[float] = []

    async def ring() -> list[float]:
        bell, moments = Bell(lambda: rung.append(perf_counter())), list[float]()
        for wait in (0.003, 0.0007, -1.0, 0.0021):
            moments.append(perf_counter() + wait)
            bell.at(moments[-1])
            while len(rung) < len(moments):
                await asyncio.sleep(0.0005)
        await asyncio.sleep(0.005)
        assert len(rung) == 4, "once each"
        bell.at(perf_counter() + 0.002)
        bell.close()
        await asyncio.sleep(0.01)
        return moments

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        moments = runner.run(ring())
    assert len(rung) == 4, "nothing rings that is closed"
    early = 0.0 if fine else 0.001  # whole milliseconds
    assert all(at >= moment - early for at, moment in zip(rung, moments, strict=True))


def test_a_load_test_is_not_held_up_by_its_own_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(_Load, "_look", lambda _: frozen.append(gc.get_freeze_count()))
    before = gc.get_freeze_count()
    with answering(lambda _: (200, DECIDED)) as address:
        driven(address, Visitors(), LoadOptions(seconds=0.2, connections=2, rate=50, tell=False))
    assert min(frozen) > 10_000 + before
    assert gc.get_freeze_count() == 0, "it is looked through again"


def test_an_open_loop_counts_from_when_a_request_was_due() -> None:
    def stands_still(number: int) -> tuple[int, bytes]:
        if number == 20:
            time.sleep(0.4)
        return 200, DECIDED

    with answering(stands_still) as address:
        found = driven(address, Visitors(), LoadOptions(seconds=1.0, rate=200.0, connections=4, delay=0))
    took = np.array(found.took)
    assert found.due == found.answered
    assert 140 < found.due < 260
    assert took.max() > 0.3
    assert (took > 0.1).sum() > 30  # all who came meanwhile, not only the four whose connection stood still
    with answering(stands_still) as address:
        found = driven(address, Visitors(), LoadOptions(seconds=0.6, connections=4, delay=0))
    assert 1 <= (np.array(found.took) > 0.3).sum() <= 8


def test_failures_are_counted_by_kind_and_lost_connections_made_anew() -> None:
    said = [(503, b"{}"), (500, b'{"error":"an error of ours"}'), None, (503, b"busy")]

    def fails(number: int) -> tuple[int, bytes] | None:
        return said[number - 1] if 1 <= number <= 4 else (200, DECIDED)

    with answering(fails) as address:
        found = driven(address, Visitors(), LoadOptions(seconds=0.8, rate=100.0, connections=2, delay=0))
    assert dict(found.errors) == {"503": 2, "500 an error of ours": 1, "the connection is lost": 1}
    assert found.due == found.answered + 4
    assert found.answered > 40
    assert found.outcomes["new"] > 0


def test_a_fallback_is_no_decision() -> None:
    fixed = b'{"decision":null,"shown":["item 1"],"fallback":"stopped"}'
    with answering(lambda number: (200, fixed if number % 2 else DECIDED)) as address:
        found = driven(address, Visitors(), LoadOptions(seconds=0.2, connections=1, delay=0))
    assert abs(found.fallbacks - found.answered / 2) <= 1
    assert found.in_all.decisions == found.answered - found.fallbacks


def test_wrong_keys_are_told() -> None:
    with (
        answering(lambda _: (401, b'{"error":"no key"}')) as address,
        pytest.raises(SpecificationError, match="401 no key; --key"),
    ):
        driven(address, Visitors(), LoadOptions(seconds=0.2))


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"rate": -1.0}, {"connections": 0}, {"delay": -1}])
def test_loads_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(SpecificationError):
        LoadOptions(**wrong)


def test_what_is_told_of_what_was_found() -> None:
    assert milliseconds(array("d", (0.001 * k for k in range(101)))) == pytest.approx(
        {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    )
    assert milliseconds(array("d"))["p99"] is None
    told = Earned(decisions=10, reward=3, expected=4, best=5, chance=1).to_dict()
    assert told == pytest.approx(
        {"decisions": 10, "reward": 0.3, "regret": 0.1, "regret_of_chance": 0.4, "of_chance": 0.25}
    )


def test_the_command(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    done = runner.invoke(app, ["loadtest", "--write-policy", "store.json"])
    assert done.exit_code == 0, done.output
    where = made(tmp_path, LearningPolicy.load(Path("store.json")))
    with listening(where) as url:
        wanted = ["loadtest", url, "--seconds", "0.3", "--connections", "2", "--delay", "0"]
        done = runner.invoke(app, [*wanted, "--rate", "50"])
        assert done.exit_code == 0, done.output
        assert "timed from when each was due" in done.stdout
        assert "regret of chance" in done.stdout
        done = runner.invoke(app, [*wanted, "--json"])
        told = json.loads(done.stdout)
        assert told["share_answered"] == 1
        assert told["answered"] == told["outcomes"]["new"] == told["all"]["decisions"]
    done = runner.invoke(app, ["loadtest", "http://192.0.2.1:8000"])
    assert done.exit_code == SpecificationError.exit_code
