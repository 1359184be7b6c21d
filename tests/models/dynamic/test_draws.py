"""Draws of persons that a fit keeps: its errors, its file, the intervals of its what-ifs; shares of types as well."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from revealed.answer.chance import draws_of, respread
from revealed.answer.counterfactual import OverTimeOptions
from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import (
    Bootstrap,
    DecisionProcess,
    DynamicFit,
    NestedFixedPoint,
    NestedPseudoLikelihood,
    Panel,
    TypesFit,
    UnobservedTypes,
    bootstrapped,
    bootstrapped_types,
    counted,
    reward,
    solved,
)
from revealed.models.dynamic.bootstrap import redrawn
from revealed.models.dynamic.draws import packed, unpacked
from revealed.models.dynamic.types import with_types
from revealed.models.utility import read_utility
from revealed.report.dynamic_types import by_type, table_of_types
from tests.models.dynamic.test_types import FORMULA, wearing

PLAIN = {"keep": "x", "mend": "asc"}
ASKED = {"periods": 3, "start": np.eye(6)[0]}


@pytest.fixture(scope="module")
def fit(panel: Panel, process: DecisionProcess) -> DynamicFit:
    return NestedFixedPoint(PLAIN).fit(panel, process, transitions=counted(panel))


@pytest.fixture(scope="module")
def again(panel: Panel, process: DecisionProcess, fit: DynamicFit) -> Bootstrap:
    return bootstrapped(NestedFixedPoint(PLAIN), panel, process, counted, draws=12, seed=3, start=fit)


@pytest.fixture(scope="module")
def types(panel: Panel, process: DecisionProcess) -> TypesFit:
    model = NestedFixedPoint(FORMULA, start={"asc[mend]": -3.0, "type": 1.0})
    return UnobservedTypes(model, starts=2, seed=1, tolerance=1e-4).fit(panel, process, transitions=counted(panel))


def intervals(fit: DynamicFit, **more: object) -> np.ndarray:
    """Return the intervals of the share that mends after a change, the change's own, and of surplus."""
    one = fit.over_time("x *= 1.5", **ASKED, **more).of()
    series = (one.before["mend"], one.after["mend"], one.difference["mend"])
    return np.concatenate([*(np.concatenate([s.low, s.high]) for s in series), [one.surplus.low, one.surplus.high]])


def test_a_draw_is_the_estimate_of_its_panel(panel: Panel, process: DecisionProcess, again: Bootstrap) -> None:
    for number, drawn in enumerate(redrawn(panel, 12, 3)):
        if number in (0, 7):
            world = replace(process, transitions=counted(drawn).matrices)
            own = NestedFixedPoint(PLAIN).fit(drawn, world)
            np.testing.assert_allclose(again.params[number], own.params, rtol=1e-6)
            np.testing.assert_allclose(again.fits[number].solution.policy, own.solution.policy, rtol=1e-6)


def test_a_fit_keeps_draws_in_its_file(tmp_path: Path, fit: DynamicFit, again: Bootstrap) -> None:
    kept = again.kept_in(fit)
    assert kept.errors == "bootstrap"
    np.testing.assert_array_equal(kept.standard_errors(), np.sqrt(np.diag(np.cov(again.params, rowvar=False))))
    assert not any("standard errors leave out" in one for one in kept.assumptions)
    assert "12 draws of persons (bootstrap), with transitions estimated again" in kept.assumptions[-1]
    loaded = DynamicFit.load(kept.save(tmp_path / "fit.json"))
    assert len(loaded.fits) == 12
    for one, other in zip(loaded.fits, again.fits, strict=True):
        for matrix, wanted in zip(one.process.transitions, other.process.transitions, strict=True):
            np.testing.assert_array_equal(matrix.toarray(), wanted.toarray())
            assert matrix.nnz == wanted.nnz
    told = intervals(fit, bootstrap=again)
    np.testing.assert_array_equal(intervals(kept), told)
    np.testing.assert_allclose(intervals(loaded), told, rtol=1e-9)
    # Everybody begins alike: what parameters cannot tell is how fast things wear.
    assert not np.allclose(intervals(fit), told, rtol=1e-2)
    assert np.isnan(intervals(loaded, options=OverTimeOptions(draws=0))).all()
    by_normal = intervals(loaded, options=OverTimeOptions(errors="clustered"))
    np.testing.assert_allclose(by_normal, intervals(fit, options=OverTimeOptions(errors="clustered")), rtol=1e-9)


def test_a_file_of_before_loads(tmp_path: Path, fit: DynamicFit) -> None:
    path = fit.save(tmp_path / "fit.json")
    data = json.loads(path.read_text())
    del data["draws"], data["types"]
    path.write_text(json.dumps(data))
    loaded = DynamicFit.load(path)
    assert loaded.draws is None
    assert loaded.fits == ()
    np.testing.assert_allclose(intervals(loaded), intervals(fit), rtol=1e-9)


@pytest.mark.parametrize(
    ("part", "value"), [("params", [[1.0]]), ("transitions", [{}]), ("failed", "some"), ("shares", [[0.5, 0.5]])]
)
def test_spoiled_draws(tmp_path: Path, fit: DynamicFit, again: Bootstrap, part: str, value: object) -> None:
    path = again.kept_in(fit).save(tmp_path / "fit.json")
    data = json.loads(path.read_text())
    data["draws"][part] = value
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="parts missing or spoiled"):
        DynamicFit.load(path)
    data["draws"][part] = json.loads(path.read_text())["draws"][part]
    again.kept_in(fit).save(path)
    data = json.loads(path.read_text())
    data["draws"]["transitions"][0]["probabilities"] = "AAAA"
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="parts missing or spoiled"):
        DynamicFit.load(path)


def test_transitions_that_were_given_are_said_to_be(panel: Panel, fit: DynamicFit) -> None:
    given = NestedFixedPoint(PLAIN).fit(panel, wearing())
    kept = bootstrapped(NestedFixedPoint(PLAIN), panel, wearing(), draws=3, start=given).kept_in(given)
    assert kept.draws is not None
    assert kept.draws.transitions is None
    assert "of parameters alone, as transitions are known by rule" in kept.assumptions[-1]
    with pytest.raises(SpecificationError, match="two draws and two persons: 1, 60"):
        bootstrapped(NestedFixedPoint(PLAIN), panel, wearing(), draws=1)


def test_moves_that_only_some_draws_know() -> None:
    one, other = np.eye(3), np.array([[0.5, 0.5, 0], [0, 1, 0], [0.25, 0, 0.75]])
    draws = tuple((sparse.csr_array(a), sparse.csr_array(b)) for a, b in ((one, other), (other, one)))
    for found, wanted in zip(unpacked(*packed(draws)), draws, strict=True):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a.toarray(), b.toarray())
            assert a.nnz == b.nnz


def test_two_steps_from_where_others_ended_are_the_same(panel: Panel, process: DecisionProcess) -> None:
    model = NestedPseudoLikelihood(PLAIN)
    fit = model.fit(panel, process)
    near = bootstrapped(model, panel, process, counted, draws=4, seed=1, start=fit)
    far = bootstrapped(model, panel, process, counted, draws=4, seed=1)
    np.testing.assert_allclose(near.params, far.params, rtol=1e-5)


def test_a_formula_is_read_once(panel: Panel, process: DecisionProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []

    def read(*given: Any, **named: Any) -> Any:
        reads.append(given)
        return read_utility(*given, **named)

    monkeypatch.setattr(reward, "read_utility", read)
    model = NestedFixedPoint(FORMULA, start={"asc[mend]": -3.0, "type": 1.0})
    found = UnobservedTypes(model, starts=2, most=4).fit(panel, process)
    assert len(found.trail) == 4
    assert len(reads) == 1
    bootstrapped(NestedFixedPoint(PLAIN), panel, process, counted, draws=3)
    assert len(reads) == 2


def test_shares_are_drawn_with_parameters(types: TypesFit, process: DecisionProcess) -> None:
    fit = types.fit
    assert fit.types is not None
    drawn = draws_of(fit, 4_000, 0)
    both = np.array([[*params, *(shares if shares is not None else ())] for params, shares in drawn])
    np.testing.assert_allclose(both[:, 3:].sum(axis=1), 1.0)
    np.testing.assert_allclose(both.std(axis=0)[:3], fit.standard_errors(), rtol=0.05)
    np.testing.assert_allclose(both.std(axis=0)[3:], types.share_errors, rtol=0.05)
    # A start of one state, spread over types, is what a mixture with other shares would spread.
    other = np.array([0.1, 0.9])
    found, size = respread(fit, types.start(np.eye(6)[2])[None], np.ones(1), other)
    np.testing.assert_allclose(found[0], np.kron(np.eye(6)[2], other), atol=1e-12)
    assert size[0] == pytest.approx(1.0)
    start = types.start(np.eye(6)[0])
    options = OverTimeOptions(draws=30, seed=5)
    told = fit.over_time("x *= 1.5", periods=1, start=start, options=options).of().before["mend"]
    mended = [
        shares @ solved(fit.process, fit.linear.of(params)).policy[:2, 1]
        for params, shares in draws_of(fit, 30, 5)
        if shares is not None
    ]
    low, high = np.quantile(mended, [0.025, 0.975], method="weibull")
    assert (told.low[0], told.high[0]) == pytest.approx((low, high), rel=1e-6)


def test_draws_of_types_and_their_file(tmp_path: Path, types: TypesFit, panel: Panel, process: DecisionProcess) -> None:
    model = NestedFixedPoint(FORMULA)
    mixture = UnobservedTypes(model, tolerance=1e-3)
    again = bootstrapped_types(mixture, panel, process, types, counted, draws=4, seed=2)
    kept = again.kept_in(types.fit)
    assert kept.draws is not None
    assert kept.draws.shares is not None
    assert kept.draws.shares.shape == (4, 2)
    assert np.ptp(kept.draws.shares[:, 0]) > 0
    world = replace(process, transitions=counted(next(redrawn(panel, 4, 2))).matrices)
    wanted = with_types(world, 2).transitions[0].toarray()
    np.testing.assert_array_equal(again.fits[0].process.transitions[0].toarray(), wanted)
    loaded = DynamicFit.load(kept.save(tmp_path / "types.json"))
    asked = {"periods": 4, "start": types.start(np.eye(6)[0])}
    for one in ("low", "high"):
        own, other = (getattr(each.over_time("x *= 2", **asked).of().after["mend"], one) for each in (kept, loaded))
        np.testing.assert_allclose(own, other, rtol=1e-9)
    assert loaded.types is not None
    assert loaded.types.errors("bootstrap")[0] == pytest.approx(kept.draws.shares[:, 0].std(ddof=1))


def test_parameters_of_each_type(types: TypesFit) -> None:
    names, maps = by_type(types.fit)
    assert names == ("x", "asc[mend]")
    params = dict(zip(types.fit.names, types.fit.params, strict=True))
    of = [dict(zip(names, each @ types.fit.params, strict=True)) for each in maps]
    assert of[0] == pytest.approx({"x": params["x"], "asc[mend]": params["asc[mend]"]})
    assert of[1] == pytest.approx({"x": params["x"], "asc[mend]": params["asc[mend]"] + params["type"]})
    table = table_of_types(types.fit, "clustered")
    assert table is not None
    assert table.rows[0][1:] == pytest.approx((*sum(zip(types.shares, types.share_errors, strict=True), ()),))
    covariance, a, b = types.fit.covariance(), *(types.fit.index(name) for name in ("asc[mend]", "type"))
    spread = covariance[a, a] + covariance[b, b] + 2 * covariance[a, b]
    assert table.rows[2][4] == pytest.approx(np.sqrt(spread))
    shown = str(types.fit)
    assert f"{types.log_likelihood:,.3f}" in shown
    assert table_of_types(replace(types.fit, types=None), "clustered") is None


def test_a_formula_with_parameters_of_a_type_alone(panel: Panel, process: DecisionProcess) -> None:
    model = NestedFixedPoint({"keep": "C(type):x", "mend": "asc"}, start={"asc[mend]": -3.0})
    found = UnobservedTypes(model, starts=1, most=3).fit(panel, process)
    names, maps = by_type(found.fit)
    assert names == ("asc[mend]", "type[1]:x")
    places = [found.fit.index(name) for name in names]
    np.testing.assert_array_equal(maps[0][:, places], [[1, 0], [0, 0]])
    np.testing.assert_allclose(maps[1][:, places], np.eye(2), atol=1e-12)
    table = table_of_types(found.fit, "clustered")
    assert table is not None
    assert table.rows[2][1:3] == (None, None)
