"""The one thread that uses the store: its order, its patience, what goes wrong in it, and where it runs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from revealed.errors import StoreError
from revealed.serve import store_thread
from revealed.serve.store_thread import StoreThread


@pytest.fixture
def thread() -> Iterator[StoreThread]:
    found = StoreThread(0.2)
    yield found
    found.close()


def where_after(seconds: float) -> set[int]:
    """Return on which processors the thread may run, after some time."""
    time.sleep(seconds)
    return os.sched_getaffinity(0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def timed() -> None:
        await asyncio.wait_for(scenario(), 20)

    asyncio.run(timed())


def test_work_is_done_in_its_order_by_one_thread(thread) -> None:
    done: list[int] = []

    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3) ** 2)  # now and then longer than the loop stands aside
        done.append(number)
        return threading.get_ident()

    async def scenario() -> None:
        ways = (thread.in_time, thread.in_turn)
        first = [asyncio.create_task(ways[number % 2](work, number)) for number in range(20)]
        who = await asyncio.gather(*first)
        assert len(set(who)) == 1
        assert who[0] != threading.get_ident()

    run(scenario)
    assert done == list(range(20))


@pytest.mark.parametrize("seconds", [0.0, 0.03])
def test_what_goes_wrong_is_told_and_the_thread_goes_on(thread, seconds) -> None:
    def wrong(error: BaseException) -> None:
        time.sleep(seconds)
        raise error

    async def scenario() -> None:
        for way in (thread.in_time, thread.in_turn):
            for error in (ValueError("a"), StoreError("b"), SystemExit(3)):
                if isinstance(error, SystemExit) and way == thread.in_turn:
                    continue  # asyncio ends a loop at which one arrives
                with pytest.raises(type(error)):
                    await way(wrong, error)
            assert await way(lambda: 5) == 5

    run(scenario)


def test_the_loop_goes_on_while_work_takes_long(thread) -> None:
    async def scenario() -> None:
        working = asyncio.create_task(thread.in_time(time.sleep, 0.1))
        turns = 0
        while not working.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 20

    run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked to")
def test_it_takes_no_processor_from_who_wakes_it(thread) -> None:
    async def scenario() -> None:
        for way in (thread.in_time, thread.in_turn):
            assert await way(os.sched_getscheduler, 0) == os.SCHED_BATCH
        assert os.sched_getscheduler(0) == os.SCHED_OTHER

    run(scenario)


def test_a_stuck_store_is_given_up_and_heard_of_again(thread) -> None:
    free, done = threading.Event(), list[str]()

    def work() -> None:
        free.wait()
        done.append("begun")

    async def scenario() -> None:
        with pytest.raises(StoreError, match=r"not answered for 0\.2 seconds") as first:
            await thread.in_time(work)
        assert first.value.unsure  # it may be done all the same
        for way in (thread.in_time, thread.in_turn):
            with pytest.raises(StoreError, match="does not answer"):
                await way(done.append, "never")
        free.set()
        await asyncio.sleep(0.1)
        assert done == ["begun"]
        assert await thread.in_time(lambda: 5) == 5

    run(scenario)


def test_who_waits_for_a_slow_store_waits_as_long_as_told_however_many_there_are(thread) -> None:
    free = threading.Event()

    async def scenario() -> None:
        blocking = asyncio.create_task(thread.in_turn(free.wait))
        await asyncio.sleep(0.01)
        began, took = time.monotonic(), list[float]()

        async def waiting() -> None:
            with pytest.raises(StoreError):
                await thread.in_time(len, "")
            took.append(time.monotonic() - began)

        await asyncio.gather(*(waiting() for _ in range(30)))
        assert max(took) < 0.2 + 30 * 0.005 + 1.0  # the loop stands aside for each
        free.set()
        await blocking

    run(scenario)


def test_who_is_cancelled_leaves_at_once_and_the_work_is_done(thread) -> None:
    done: list[int] = []

    def work() -> None:
        time.sleep(0.1)
        done.append(1)

    async def scenario() -> None:
        working = asyncio.create_task(thread.in_time(work))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert time.monotonic() - began < 0.08
        assert await thread.in_turn(len, done) == 1

    run(scenario)


def test_a_thread_that_is_closed_says_so_and_one_that_hangs_is_left() -> None:
    free = threading.Event()

    async def scenario() -> None:
        hanging = StoreThread(0.1)
        with pytest.raises(StoreError, match="not answered"):
            await hanging.in_time(free.wait)
        assert not hanging.close()
        idle = StoreThread(0.1)
        assert idle.close()
        for thread in (hanging, idle):
            for way in (thread.in_time, thread.in_turn):
                with pytest.raises(StoreError, match="closed"):
                    await way(len, "")

    run(scenario)
    free.set()


def test_work_that_waits_behind_stuck_work_never_begins(thread) -> None:
    free, done = threading.Event(), list[str]()

    async def scenario() -> None:
        before = asyncio.create_task(thread.in_turn(free.wait))
        await asyncio.sleep(0.01)
        with pytest.raises(StoreError) as behind:
            await thread.in_time(done.append, "given up")
        assert not behind.value.unsure
        free.set()
        await before
        await asyncio.sleep(0.1)  # its turn comes, and nothing is done
        assert await thread.in_turn(len, done) == 0

    run(scenario)


def test_a_stuck_thread_keeps_no_process_alive() -> None:
    script = (
        "import asyncio, threading\n"
        "from revealed.serve.store_thread import StoreThread\n"
        "thread = StoreThread(0.1)\n"
        "try:\n    asyncio.run(thread.in_time(threading.Event().wait))\n"
        "except Exception as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert "not answered" in said.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the system cannot say where a thread runs")
def test_the_thread_runs_where_the_loop_waits_and_else_anywhere(thread, monkeypatch) -> None:
    anywhere, aside = os.sched_getaffinity(0), store_thread._ASIDE

    async def scenario() -> None:
        monkeypatch.setattr(store_thread, "_ASIDE", 5.0)  # however busy the machine is, the loop waits
        for _ in range(30):
            where = await thread.in_time(os.sched_getaffinity, 0)
            assert len(where) == 1
            assert where <= anywhere
            assert await thread.in_turn(os.sched_getaffinity, 0) == anywhere
        monkeypatch.setattr(store_thread, "_ASIDE", aside)
        slow = asyncio.create_task(thread.in_time(where_after, 0.05))
        assert await slow == anywhere  # the loop has gone on
        turn = asyncio.create_task(thread.in_turn(where_after, 0.05))
        await asyncio.sleep(0.01)
        await thread.in_time(len, "")
        assert await turn == anywhere
        assert os.sched_getaffinity(0) == anywhere  # the loop's own thread goes where it likes

    run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="the system cannot say where a thread runs")
def test_where_a_system_forbids_it_work_is_done_anywhere(monkeypatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    monkeypatch.setattr(os, "sched_getaffinity", forbidden)
    thread = StoreThread(0.2)

    async def scenario() -> None:
        assert await thread.in_time(lambda: 5) == 5
        assert await thread.in_turn(lambda: 6) == 6
        assert await thread.in_time(lambda: 7) == 7

    try:
        run(scenario)
    finally:
        thread.close()
