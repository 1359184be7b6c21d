"""Slates from the command line: a policy's file with ten lines, pages, a log of pages, what another page would earn."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import numpy as np
import pytest

from revealed.choices.policy import Decision
from tests.cli.conftest import Invoke

SPECIFICATION = """
[features]
formula = "C(item)"
item = ["kind", "margin"]
[explore]
floor = 0.05
[log]
decision = "visit"
action = "item"
reward = "clicked"
propensity = "chance"
position = "place"
[slate]
size = 3
category = "kind"
"""
KIND = {"boot": "feet", "shoe": "feet", "sandal": "feet", "cap": "head", "hat": "head", "bag": "hand"}
CLICKS = dict(zip(KIND, (0.6, 0.55, 0.5, 0.3, 0.25, 0.2), strict=True))


def row(visit: int, place: int, item: str, chance: float, rng: np.random.Generator) -> str:
    clicked = int(rng.random() < CLICKS[item] * (1.0, 0.7, 0.5)[place])
    return f"{visit},{place + 1},{item},{KIND[item]},{len(item)},{clicked},{chance:.9g}"


def lines(rows: list[str]) -> str:
    return "\n".join(["visit,place,item,kind,margin,clicked,chance", *rows]) + "\n"


@pytest.fixture
def policy(invoke: Invoke, folder: Path) -> Path:
    """Return a policy of slates that has learned from 300 pages shown by lot."""
    rng = np.random.default_rng(1)
    pages = [rng.permutation(list(KIND))[:3] for _ in range(300)]
    shown = [row(i, k, str(item), 1 / (6 - k), rng) for i, page in enumerate(pages) for k, item in enumerate(page)]
    (folder / "shown.csv").write_text(lines(shown))
    (folder / "policy.toml").write_text(SPECIFICATION)
    invoke("learn", "policy.toml", "shown.csv", "--out", "policy.json")
    return folder / "policy.json"


def test_a_page_is_decided_and_printed(invoke: Invoke, policy: Path) -> None:
    told = json.loads(invoke("decide", policy, "--number", 4, "--json").stdout)
    assert len(set(told["shown"])) == 3
    assert prod(told["propensities"]) == pytest.approx(told["propensity"])
    assert Decision.from_dict(told).shown == tuple(told["shown"])
    printed = invoke("decide", policy, "--number", 4).stdout
    assert "given what stands above" in printed
    for label, chance in zip(told["shown"], told["propensities"], strict=True):
        line = next(line for line in printed.splitlines() if label in line)
        assert float(line.split()[2]) == pytest.approx(chance, rel=1e-3)
    assert len(json.loads(invoke("decide", policy, "--k", 5, "--json").stdout)["shown"]) == 5
    alone = invoke("decide", policy, "--k", 1).stdout
    assert "given what stands above" not in alone
    more = json.loads(invoke("decide", policy, "--number", 4, "--marginals", 40, "--json").stdout)
    assert {**more, "marginals": None} == {**told, "marginals": None}
    assert more["marginals"][0] == told["propensities"][0]
    assert "in its place" in invoke("decide", policy, "--marginals", 20).stdout


def test_what_it_learned_of_slates_is_told(invoke: Invoke, policy: Path, folder: Path) -> None:
    more = "[slate.goals]\nmargin = {least = 3.6, worth = 0.5}\n[slate.floors]\nhand = 1\n"
    text = SPECIFICATION + 'diversity = 0.5\npositions = "estimated"\n' + more
    (folder / "more.toml").write_text(text)
    printed = invoke("learn", "more.toml", "shown.csv", "--out", "more.json").stdout
    for told in ("of 3, diverse by kind (0.5)", "Positions are looked at", "Price of margin", "on average"):
        assert told in printed
    assert "bag" in json.loads(invoke("decide", "more.json", "--json").stdout)["shown"]
    (folder / "far.toml").write_text(text.replace("3.6", "9"))
    assert "9 is out of reach" in invoke("learn", "far.toml", "shown.csv").stdout


def test_a_log_of_pages_judges_another_policy(invoke: Invoke, policy: Path, folder: Path) -> None:
    from revealed.decide.policy import LearningPolicy

    running, rng = LearningPolicy.load(policy), np.random.default_rng(2)
    rows = []
    for visit in range(1000, 1400):
        shown = running.decide({}, seed=visit).rows()
        rows += [row(visit, each["position"] - 1, each["action"], each["propensity"], rng) for each in shown]
    (folder / "later.csv").write_text(lines(rows))
    (folder / "other.toml").write_text(SPECIFICATION.replace("size = 3", "size = 3\ndiversity = 0.0"))
    invoke("learn", "other.toml", "shown.csv", "--out", "other.json")
    told = json.loads(invoke("evaluate", "other.json", "later.csv", "--json").stdout)
    logged, value = told["values"]
    assert (logged["policy"], value["estimator"]) == ("logged", "cascade doubly robust")
    over = told["differences"][0]
    assert over["value"] == pytest.approx(value["value"] - logged["value"])
    printed = invoke("evaluate", "other.json", "later.csv").stdout
    assert "over logged" in printed
    assert "people look from the top" in printed
    other = LearningPolicy.load(folder / "other.json")
    pages = [other.decide({}, seed=i).shown for i in range(60)]
    truth = np.mean(
        [sum(CLICKS[item] * seen for item, seen in zip(page, (1, 0.7, 0.5), strict=True)) for page in pages]
    )
    assert value["value"] == pytest.approx(truth, abs=3 * value["standard_error"] + 0.05)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('category = "kind"', 'category = "knid"', "did you mean 'kind'"),
        ("size = 3", "size = 0", "at least 1, not 0"),
        ("size = 3", "sise = 3", "did you mean 'size'"),
        ('category = "kind"', "positions = [0.5, 1.0]", "none may be looked at more than the one before"),
        ('category = "kind"', "[slate.floors]\nhand = 1", "floors are of categories"),
    ],
)
def test_a_slate_that_cannot_be(invoke: Invoke, policy: Path, folder: Path, old: str, new: str, told: str) -> None:
    (folder / "odd.toml").write_text(SPECIFICATION.replace(old, new))
    assert told in invoke("learn", "odd.toml", "shown.csv", "--out", "odd.json", code=4).stderr
    assert not (folder / "odd.json").exists()


def test_what_cannot_be_decided(invoke: Invoke, policy: Path) -> None:
    assert "cannot show 7 of 6 candidates" in invoke("decide", policy, "--k", 7, code=4).stderr
    assert "cannot show 3 of 2 candidates" in invoke("decide", policy, "--among", '["hat", "bag"]', code=4).stderr
    new = '["hat", "bag", {"item": "glove"}]'
    assert "no 'kind' of glove" in invoke("decide", policy, "--among", new, code=3).stderr
