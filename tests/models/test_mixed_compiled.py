"""The mixed logit compiled by JAX: the very sums and estimates that numpy has, in any log."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from revealed.choices import datasets
from revealed.errors import MissingExtraError
from revealed.evidence import Detail
from revealed.models import Fit, Mixed
from tests.models.mixed_worlds import SPECS, WORLDS, WORTH_SPECS, everything, people

EACH = {**SPECS, **{f"worths, {name}": spec for name, spec in WORTH_SPECS.items()}}


# Each distribution, and each kind of log, once: a program takes seconds to compile.
@pytest.mark.parametrize(
    ("spec", "world"),
    [
        ("skewed", "available"),
        ("correlated", "counts"),
        ("worths, cost the same for all", "weights"),
        ("worths, all correlated", "alone"),
    ],
)
def test_evidence_is_that_of_numpy(world: str, spec: str) -> None:
    pytest.importorskip("jax")
    log, (model, values) = people(30, seed=2, **WORLDS[world]), EACH[spec]
    point = np.array(values)
    ours, theirs = (
        replace(model, compiled=compiled).law(log).evidence(everything(log), point, Detail.OUTER, ledger=True)
        for compiled in (False, True)
    )
    assert theirs.log_likelihood == pytest.approx(ours.log_likelihood, rel=1e-12)
    scale = np.sqrt(np.diag(ours.outer))
    np.testing.assert_allclose(theirs.score / scale, ours.score / scale, rtol=0, atol=1e-9)
    np.testing.assert_allclose(theirs.outer, ours.outer, rtol=1e-9, atol=1e-9 * scale.max() ** 2)
    np.testing.assert_allclose(
        theirs.information, ours.information, rtol=1e-9, atol=1e-9 * np.abs(ours.information).max()
    )
    assert ours.ledger is not None
    assert theirs.ledger is not None
    np.testing.assert_allclose(theirs.ledger.by_person()[1], ours.ledger.by_person()[1], rtol=1e-8, atol=1e-9)


def test_scores_are_those_of_numpy_where_utilities_are_large_too() -> None:
    pytest.importorskip("jax")
    log, (model, values) = people(30, seed=2, available=True), SPECS["normal"]
    ours, theirs = (
        replace(model, compiled=compiled).law(log).evidence(everything(log), 300 * np.array(values), Detail.SCORE)
        for compiled in (False, True)
    )
    assert theirs.log_likelihood == pytest.approx(ours.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(theirs.score, ours.score, rtol=1e-9, atol=1e-9)


def test_blocks_of_any_size_add_up_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    log, (model, values) = people(40, seed=4), SPECS["normal"]
    whole = replace(model, compiled=True).law(log).evidence(everything(log), np.array(values), Detail.OUTER)
    monkeypatch.setattr("revealed.models.mixed.law.BLOCK_CELLS", 7_000)
    parts = replace(model, compiled=True).law(log).evidence(everything(log), np.array(values), Detail.OUTER)
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(parts.information, whole.information, rtol=1e-9, atol=1e-9)


def test_a_fit_ends_where_it_does_without_and_is_read_without_jax(tmp_path, monkeypatch) -> None:
    pytest.importorskip("jax")
    log = datasets.electricity()
    plain = Mixed("price + local + seasonal", random={"local": "normal"}, draws=20)
    ours, theirs = plain.fit(log), replace(plain, compiled=True).fit(log)
    assert theirs.status.converged
    errors = ours.standard_errors("robust")
    np.testing.assert_allclose(theirs.params, ours.params, rtol=0, atol=1e-4 * errors.min())
    np.testing.assert_allclose(theirs.standard_errors("robust"), errors, rtol=1e-6)
    theirs.save(tmp_path / "fit.json")
    monkeypatch.setitem(sys.modules, "jax", None)
    read = Fit.load(tmp_path / "fit.json")
    np.testing.assert_array_equal(read.params, theirs.params)
    assert read.predict(log).probability.shape == (log.n_rows,)
    with pytest.raises(MissingExtraError, match=r"pip install 'revealed\[jax\]'"):
        replace(plain, compiled=True).fit(log)
