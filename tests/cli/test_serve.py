"""``revealed serve`` up to the moment when it serves: what comes into the log, and what is refused before."""

from __future__ import annotations

import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from revealed.serve import parent
from revealed.serve.listening import listening_on
from revealed.store.open import open_store
from tests.cli.conftest import Invoke
from tests.faults.running import POLICY


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("revealed.serve.supervisor.Supervisor.run", lambda self: self.listening.close())
    monkeypatch.chdir(tmp_path)


def served(invoke: Invoke, text: str, *options: str, code: int = 0) -> str:
    """Write a policy and serve it; return what was said, in one line."""
    Path("offers.toml").write_text(text)
    done = invoke("serve", "offers.toml", "--without-keys", "--port", "0", *options, code=code)
    return " ".join(done.stderr.split())


def test_a_changed_policy_begins_in_the_shadow_of_the_one_before(invoke: Invoke) -> None:
    for _ in range(2):  # and as after a restart
        assert served(invoke, POLICY).startswith("Serving offers at")
    changed = POLICY.replace(" + C(offer):C(device)", "")
    assert "(--name NAME --slot offers)" in served(invoke, changed, code=4)
    for _ in range(2):
        assert served(invoke, changed, "--name", "plain", "--slot", "offers").startswith("Serving plain at")
    told = served(invoke, changed, "--name", "plain", "--slot", "elsewhere", code=4)
    assert "'plain' stands in the slot 'offers'" in told
    assert served(invoke, changed, "--name", "plain").startswith("Serving plain at")  # in its slot
    store = open_store("revealed.db")
    assert [(row.name, row.slot, row.state) for row in store.policies()] == [
        ("offers", "offers", "live"),
        ("plain", "offers", "shadow"),
    ]
    store.close()
    told = served(invoke, changed, "--name", "elsewhere")
    assert told.startswith(
        "There are several slots now: requests have to say which, as their policy: elsewhere, offers"
    )


def test_a_name_that_cannot_be_asked_for_is_refused(invoke: Invoke) -> None:
    for options in (("--name", "a/b"), ("--slot", "a/b"), ("--slot", "")):
        assert "1 to 64 printable letters" in served(invoke, POLICY, *options, code=4)


def test_what_was_begun_is_ended_where_nothing_comes_of_it(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, begun = [], parent.begun

    def noted(module: str, fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
        crew.append(begun(module, fds))
        return crew[-1]

    monkeypatch.setattr(parent, "begun", noted)
    told = served(invoke, POLICY.replace("[features]", "[fetures]"), "--deciders", "2", code=4)
    assert "fetures" in told
    assert len(crew) == 3
    assert [child.poll() for child in crew] == [-signal.SIGKILL] * 3
    assert not Path("revealed.db").exists()


def test_a_port_that_is_taken_is_told_before_anything_is_begun(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "begun", lambda *_: pytest.fail("a process was begun"))
    with closing(listening_on("127.0.0.1", 0)) as taken:
        told = served(invoke, POLICY, "--port", str(taken.getsockname()[1]), code=4)
    assert "choose another --port or --host" in told
