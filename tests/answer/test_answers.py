"""What holds of every answer: frozen, a table that fits, strict JSON, no prints, light imports, streams refused."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import revealed
from revealed.answer import Answer, Table
from revealed.answer.base import json_ready
from revealed.choices import ChoiceLog
from revealed.models import Fit, Logit

ASK: dict[str, Callable[[Any, Any], Answer]] = {
    "whatif": lambda fit, log: revealed.whatif(fit, log, "cost *= 2", by="segment"),
    "elasticities": lambda fit, log: revealed.elasticities(fit, log, "cost"),
    "willingness to pay": lambda fit, log: revealed.willingness_to_pay(fit, "-time", cost="cost"),
    "surplus": lambda fit, log: revealed.surplus(fit, log, cost="cost"),
    "demand": lambda fit, log: revealed.demand_curve(fit, log, "cost", "bus", [1, 2, 3], price=True),
    "goodness": revealed.goodness,
    "comparison": lambda fit, log: revealed.compare(fit, fit),
    "wald": lambda fit, log: revealed.wald_test(fit, "cost = time"),
    "likelihood ratio": lambda fit, log: revealed.likelihood_ratio_test(fit, Logit("cost").fit(log)),
    "calibration": revealed.calibrate,
    "validation": lambda fit, log: revealed.validate(Logit("cost"), log),
}


@pytest.mark.parametrize("kind", ASK)
def test_every_answer(kind: str, fit: Fit, log: ChoiceLog, capsys: pytest.CaptureFixture[str]) -> None:
    answer: Any = ASK[kind](fit, log)
    assert isinstance(answer, Answer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.warnings = ()
    assert all(isinstance(note, str) for note in (*answer.assumptions, *answer.warnings))
    table = answer.table()
    assert isinstance(table, Table)
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.columns)}
    headings = [column.heading for column in table.columns]
    assert len(set(headings)) == len(headings)
    assert set(answer.warnings) <= set(table.notes)
    data = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert data["answer"] == type(answer).__name__
    assert data["warnings"] == list(answer.warnings)
    assert type(answer).__name__ in repr(answer)
    assert len(repr(answer)) < 300
    assert capsys.readouterr() == ("", "")


def test_json_holds_no_numbers_it_cannot(fit: Fit) -> None:
    value = {"a": np.array([1.0, np.nan]), "b": (np.float64(np.inf), np.int64(3)), "c": {1: np.bool_(True)}}
    assert json_ready(value) == {"a": [1.0, None], "b": [None, 3], "c": {"1": True}}


STREAMS = """
import revealed, sys
from revealed.errors import SpecificationError
from revealed.models import Logit
log = revealed.read(sys.argv[1])
fit, stream = Logit("C(mode) + cost + time").fit(log), revealed.scan(sys.argv[1])
for ask in (
    lambda log: revealed.whatif(fit, log, "cost *= 2"),
    lambda log: revealed.elasticities(fit, log, "cost"),
    lambda log: revealed.case_elasticities(fit, log, "cost", "bus"),
    lambda log: revealed.surplus(fit, log, cost="cost"),
    lambda log: revealed.demand_curve(fit, log, "cost", "bus", [1.0, 2.0]),
    lambda log: revealed.calibrate(fit, log),
    lambda log: revealed.validate(Logit("cost"), log),
):
    for given in (stream, {"cost": [1]}):
        try:
            print(ask(given))
        except SpecificationError as error:
            print("refused:", error)
    print(ask(stream.sample(100)) is not None)
"""


def test_streams_are_refused_with_a_remedy(log: ChoiceLog, tmp_path: Path) -> None:
    # In an interpreter of its own: here the type of the argument would be refused before our message is reached.
    log.to_parquet(tmp_path / "log.parquet")
    command = [sys.executable, "-W", "error", "-c", STREAMS, str(tmp_path / "log.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 7 * 3
    assert all("refused:" in line and "stream.sample(100_000)" in line for line in lines[::3]), done.stdout
    assert all("refused:" in line and "not a dict; revealed.read" in line for line in lines[1::3]), done.stdout
    assert lines[2::3] == ["True"] * 7


def test_every_name_is_at_the_top() -> None:
    for name in ("Add", "IntervalOptions", "Remove", "Set", "case_elasticities"):
        assert getattr(revealed, name) is getattr(revealed.answer, name)
