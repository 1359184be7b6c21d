"""The demo's chapter on a policy: what 10,000 rows prove, and how many it would take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from revealed.choices.datasets import open_bandit
from revealed.choices.feedback import Feedback
from revealed.cli.demo_policy import rows_needed_live, rows_needed_logged
from tests.cli.conftest import Invoke

CRITICAL = 1.959964


def test_the_rows_needed_live_give_the_power_they_promise() -> None:
    rate, gain, runs = 0.02, 0.3, 20_000
    half = rows_needed_live(rate, gain) // 2
    rng = np.random.default_rng(0)
    old, new = rng.binomial(half, rate, runs) / half, rng.binomial(half, rate * (1 + gain), runs) / half
    error = np.sqrt((old * (1 - old) + new * (1 - new)) / half)
    # The formula takes the variance of both halves at the old rate, which flatters a gain of 30% a little.
    assert 0.70 < float(((new - old) / error > CRITICAL).mean()) < 0.83
    assert rows_needed_live(0.0038, 0.1) == pytest.approx(823_000, rel=0.01)  # 411,000 each way, as any table says


def test_so_do_the_rows_needed_of_a_log() -> None:
    n_actions, rate, gain, runs = 5, 0.2, 0.3, 4000
    rows = rows_needed_logged(rate, gain, n_actions)
    rng = np.random.default_rng(1)
    shown = rng.integers(n_actions, size=(runs, rows)) == 0
    clicked = rng.random((runs, rows)) < np.where(shown, rate * (1 + gain), rate)
    terms = (np.where(shown, n_actions, 0.0) - 1) * clicked
    # Of what was logged one row in K earns the gain too, so the difference to be seen is (1 - 1/K) of it.
    found = terms.mean(axis=1) / (terms.std(axis=1) / np.sqrt(rows))
    assert 0.5 < float((found > CRITICAL).mean()) < 0.85


def test_the_demo_learns_on_one_half_and_judges_on_the_other(invoke: Invoke, folder: Path) -> None:
    found = json.loads(invoke("demo", "--output", "a/b", "--json").stdout)
    assert all((folder / file).is_file() for file in found["files"])
    assert json.loads(invoke("demo", "--output", "a/b", "--json").stdout) == found  # again, over the first
    told = found["policy"]
    assert told["n_learned"] + told["n_judged"] == 10_000
    log = Feedback.from_log(open_bandit(), position="position")
    assert told["clicks_learned"] + told["clicks_judged"] == log.reward.sum() == 38
    comparison = told["comparison"]
    assert comparison["values"][0]["value"] == pytest.approx(told["clicks_judged"] / told["n_judged"])
    assert comparison["selected"] == "logged"  # ten thousand rows prove nothing here, and the demo says so
    difference = comparison["differences"][0]
    assert difference["low"] < 0 < difference["high"]
    assert told["needed_live"] > 50 * 10_000

    story = " ".join((folder / "a" / "b" / "report.html").read_text().split())
    assert f"first 5,000 showings, with {told['clicks_learned']} clicks" in story
    assert "The log cannot tell" in story
    assert "about 820,000 showings" in story
    assert "about 16,000,000 of a log" in story
    again = json.loads(invoke("learn", "a/b/policy.json", "absent.csv", "--json", code=3).stdout)
    assert again["error"]["kind"] == "DataError"
