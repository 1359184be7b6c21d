"""kill -9 of deciders, learners and supervisors at random moments under load: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from tests.faults.ledger import checked
from tests.faults.running import LONG, Running, eventually, running, shopping

#: How many, in the normal run; or as many of each as REVEALED_LONG_FAULTS says.
KILLS = {"decider": 3, "learner": 2, "supervisor": 1}


def _kills(chance: random.Random) -> list[str]:
    """Return which processes to kill, one after the other."""
    kills = [what for what, count in KILLS.items() for _ in range(LONG or count)]
    chance.shuffle(kills)
    return kills


def _kill(service: Running, what: str, chance: random.Random) -> bool:
    """Kill one; return whether one was there to kill."""
    assert service.process is not None
    children = service.children()
    if what == "supervisor":
        service.process.kill()
        service.process.wait()
        everyone = [pid for pids in children.values() for pid in pids]
        eventually(lambda: not any(_alive(pid) for pid in everyone), 25.0, lambda: "children outlived their supervisor")
        service.start()
        return True
    if not children[what]:
        return False
    os.kill(chance.choice(children[what]), signal.SIGKILL)
    return True


def _more_than(before: int, count: Callable[[], int]) -> bool:
    return count() > before


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as told:  # noqa: PTH123 - a process, not a file
            return told.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        return True


def test_killed_again_and_again_nothing_acknowledged_is_lost(tmp_path, capsys) -> None:
    chance = random.Random(11)
    kills, longest = _kills(chance), 0.0
    with running(tmp_path, options=("--without-keys", "--deciders", "2")) as service:
        with shopping(service.port, 3, pause=0.004) as shoppers:

            def told() -> int:
                return sum(len(each.told) for each in shoppers)

            for what in kills:
                time.sleep(chance.uniform(0.0, 1.0))
                started = time.monotonic()
                eventually(partial(_kill, service, what, chance), 30.0, lambda: service.said)
                before = told()
                eventually(partial(_more_than, before, told), 120.0, lambda: service.said)
                longest = max(longest, time.monotonic() - started)
        assert service.stop() == 0
    found = checked(str(tmp_path / "log.db"), shoppers, tmp_path / "log.db.snapshots")
    with capsys.disabled():
        sys.stdout.write(f"\n  {len(kills)} kills {dict(Counter(kills))} (longest silence {longest:.1f} s): {found}\n")
    assert told() > 10 * len(kills)
