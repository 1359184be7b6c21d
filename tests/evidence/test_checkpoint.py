"""Checkpoints: a climb that was interrupted goes on where it was, to the same end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from revealed.choices import datasets
from revealed.errors import DataError, SpecificationError
from revealed.evidence import Checkpoint, NewtonOptions
from revealed.models import LatentClass, Nested
from revealed.models.latent import model as latent

SWISSMETRO = "C(alternative) + cost + time"


class StoppedError(Exception):
    """What an interrupt is to these tests."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "reached.json"


def test_a_climb_goes_on_to_the_same_end(place: Path) -> None:
    log = datasets.load("swissmetro").take_cases(np.arange(1500))
    model = Nested(SWISSMETRO, nests={"land": ["train", "car"]})
    whole = model.fit(log)
    passes: list[int] = []

    def stop_in_the_fifth(done: int, total: int | None) -> None:
        passes.append(done)
        if done == total and passes.count(done) == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        model.fit(log, options=NewtonOptions(checkpoint=Checkpoint(place, "a nest")), progress=stop_in_the_fifth)
    assert [path.name for path in place.parent.iterdir()] == ["reached.json"]
    kept = Checkpoint(place, "a nest")
    assert len(kept) == 1
    again = model.fit(log, options=NewtonOptions(checkpoint=kept))
    assert again.status.converged
    assert again.status.passes < whole.status.passes
    np.testing.assert_allclose(again.params, whole.params, rtol=1e-7)
    np.testing.assert_allclose(again.standard_errors(), whole.standard_errors(), rtol=1e-6)
    kept.done()
    assert not place.exists()


def test_starts_that_were_tried_are_not_tried_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = datasets.load("electricity").take_cases(np.arange(600))
    model = LatentClass("price + contract_years", classes=2, starts=3)
    tried, near = [], latent._near

    def some(*arguments: object) -> object:
        tried.append(1)
        if len(tried) == 3:
            raise StoppedError
        return near(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(latent, "_near", some)
    with pytest.raises(StoppedError):
        model.fit(log, options=NewtonOptions(checkpoint=Checkpoint(place)))
    assert len(Checkpoint(place)) == 2
    again = model.fit(log, options=NewtonOptions(checkpoint=Checkpoint(place)))
    assert len(tried) == 4
    monkeypatch.undo()
    np.testing.assert_allclose(again.params, model.fit(log).params, rtol=1e-6, atol=1e-8)


def test_what_is_no_checkpoint_of_this_is_refused(place: Path) -> None:
    Checkpoint(place, "one").note("parameters", np.ones(2))
    assert Checkpoint(place, "one").known("parameters", 3) is None
    with pytest.raises(SpecificationError, match=r"about another estimation \(one\), not this one \(two\)"):
        Checkpoint(place, "two")
    place.write_text(json.dumps({"checkpoint": 2, "about": "one", "notes": {}}))
    with pytest.raises(DataError, match="version 2, newer than 1"):
        Checkpoint(place, "one")
    for broken in ("", "[1]", '{"checkpoint": 1}', '{"checkpoint": 1, "about": "", "notes": {"a": "x"}}'):
        place.write_text(broken)
        with pytest.raises(DataError, match="is not a checkpoint"):
            Checkpoint(place)
