"""Draws of persons, and the search for types, that were interrupted and gone on with: the same to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revealed.errors import DataError, Problem
from revealed.evidence import Checkpoint
from revealed.models.dynamic import (
    Bootstrap,
    DecisionProcess,
    DynamicFit,
    EstimatedTransitions,
    NestedFixedPoint,
    NestedPseudoLikelihood,
    Panel,
    RecoveredFit,
    TypesFit,
    UnobservedTypes,
    bootstrapped,
    bootstrapped_types,
    counted,
)
from revealed.models.dynamic import types as typed
from revealed.models.dynamic.irl import PQR, Neural, Polynomial, fit_on
from revealed.models.dynamic.irl.function_class import FunctionClass
from tests.models.dynamic.test_types import FORMULA

PLAIN = NestedPseudoLikelihood({"keep": "x", "mend": "asc"})
MIXTURE = UnobservedTypes(
    NestedFixedPoint(FORMULA, start={"asc[mend]": -3.0, "type": 1.0}), starts=3, seed=4, tolerance=1e-2
)


@pytest.fixture(scope="module")
def fit(panel: Panel, process: DecisionProcess) -> DynamicFit:
    return PLAIN.fit(panel, process)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "reached.json"


def interrupting(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, at: int) -> list[object]:
    """Interrupt some call of a function as Ctrl-C does; return what lists its calls."""
    calls: list[object] = []
    real = getattr(owner, name)

    def cut_short(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(*given, **more)

    monkeypatch.setattr(owner, name, cut_short)
    return calls


def require_same(one: Bootstrap, other: Bootstrap) -> None:
    """Compare all that draws tell, bit by bit."""
    assert one.failed == other.failed
    np.testing.assert_array_equal(one.params, other.params, strict=True)
    for a, b in zip(one.fits, other.fits, strict=True):
        np.testing.assert_array_equal(a.solution.value, b.solution.value)
        np.testing.assert_array_equal(a.solution.policy, b.solution.policy)
        np.testing.assert_equal(a.shares, b.shares)
        for moves, wanted in zip(a.process.transitions, b.process.transitions, strict=True):
            np.testing.assert_array_equal(moves.toarray(), wanted.toarray())


def test_draws_go_on(
    panel: Panel, process: DecisionProcess, fit: DynamicFit, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(draws: int, kept: Checkpoint | None = None) -> Bootstrap:
        return bootstrapped(PLAIN, panel, process, counted, draws=draws, seed=3, start=fit, checkpoint=kept)

    whole = drawn(7)
    calls = interrupting(monkeypatch, NestedPseudoLikelihood, "estimated", 5)
    with pytest.raises(KeyboardInterrupt):
        drawn(7, Checkpoint(place))
    assert len(Checkpoint(place)) == 4
    require_same(drawn(7, Checkpoint(place)), whole)
    assert len(calls) == 5 + 3
    # A draw follows from its number: of more draws those that were made need not be made again.
    more = drawn(9, Checkpoint(place))
    assert len(calls) == 5 + 3 + 2
    monkeypatch.undo()
    require_same(more, drawn(9))


def test_a_draw_that_tells_nothing_is_known_too(
    panel: Panel, process: DecisionProcess, fit: DynamicFit, place: Path
) -> None:
    moved: list[Panel] = []

    def mover(some: Panel) -> EstimatedTransitions:
        moved.append(some)
        if len(moved) == 2:
            raise DataError("panel", [Problem("nobody mends", "draw again")])
        return counted(some)

    first = bootstrapped(PLAIN, panel, process, mover, draws=4, seed=1, start=fit, checkpoint=Checkpoint(place))
    assert first.failed == 1
    again = bootstrapped(PLAIN, panel, process, mover, draws=4, seed=1, start=fit, checkpoint=Checkpoint(place))
    assert len(moved) == 4 + 3
    require_same(again, first)


@pytest.mark.parametrize("family", [Polynomial(2), Neural(epochs=2, members=1)], ids=lambda one: one.title)
def test_draws_of_rewards_without_a_formula_go_on(
    panel: Panel, process: DecisionProcess, place: Path, monkeypatch: pytest.MonkeyPatch, family: FunctionClass
) -> None:
    model = PQR(discount=process.discount, scale=process.scale, anchor="mend", function_class=family)

    def fitted(draws: int, kept: Checkpoint | None = None) -> RecoveredFit:
        return fit_on(model, panel, process, counted, smooth=Polynomial(1), draws=draws, seed=3, checkpoint=kept)

    whole = fitted(5)
    calls = interrupting(monkeypatch, PQR, "behaviour", 4)
    with pytest.raises(KeyboardInterrupt):
        fitted(5, Checkpoint(place))
    assert len(Checkpoint(place)) == 3  # of all persons, and of two draws
    found = fitted(5, Checkpoint(place))
    assert len(calls) == 4 + 3
    assert (found.failed, len(found.draws)) == (whole.failed, len(whole.draws))
    np.testing.assert_array_equal(found.reward, whole.reward)
    np.testing.assert_array_equal(found.standard_errors, whole.standard_errors)
    assert np.isfinite(found.standard_errors).all()
    between = process.space.numbers[:-1] + 0.5
    for one, wanted in zip(found.draws, whole.draws, strict=True):
        np.testing.assert_array_equal(one.function(between), wanted.function(between))
        for moves, others in zip(one.transitions, wanted.transitions, strict=True):
            np.testing.assert_array_equal(moves.toarray(), others.toarray())


def same_types(one: TypesFit, other: TypesFit) -> None:
    """Compare all that a search found, bit by bit."""
    np.testing.assert_array_equal(one.fit.params, other.fit.params)
    np.testing.assert_array_equal(one.fit.covariance(), other.fit.covariance())
    np.testing.assert_array_equal(one.fit.solution.value, other.fit.solution.value)
    np.testing.assert_array_equal(one.posterior, other.posterior)
    np.testing.assert_array_equal(one.share_errors, other.share_errors)
    assert one.trail == other.trail
    assert (one.near_best, one.fit.remarks) == (other.near_best, other.fit.remarks)


@pytest.mark.parametrize("at", [2, 3])
def test_a_search_for_types_goes_on(
    panel: Panel, process: DecisionProcess, place: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    whole = MIXTURE.fit(panel, process)
    starts: list[int] = []
    calls = interrupting(monkeypatch, typed._Search, "climbed", at)
    with pytest.raises(KeyboardInterrupt):
        MIXTURE.fit(panel, process, checkpoint=Checkpoint(place))
    assert len(Checkpoint(place)) == at - 1
    found = MIXTURE.fit(panel, process, told=lambda start, *_: starts.append(start), checkpoint=Checkpoint(place))
    same_types(found, whole)
    assert set(range(at - 1, 3)) <= set(starts)  # those that were not noted
    assert len(set(starts)) <= 3 - (at - 1) + 1  # and the best of those that were, at most
    # All starts are known, and the best is climbed once more.
    calls.clear()
    same_types(MIXTURE.fit(panel, process, checkpoint=Checkpoint(place)), whole)
    assert len(calls) == 1


def test_draws_of_types_go_on(
    panel: Panel, process: DecisionProcess, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = MIXTURE.fit(panel, process)

    def drawn(kept: Checkpoint | None = None) -> Bootstrap:
        return bootstrapped_types(MIXTURE, panel, process, types, counted, draws=4, seed=2, checkpoint=kept)

    whole = drawn()
    calls = interrupting(monkeypatch, typed._Search, "climbed", 3)
    with pytest.raises(KeyboardInterrupt):
        drawn(Checkpoint(place))
    require_same(drawn(Checkpoint(place)), whole)
    assert len(calls) == 3 + 2
    assert whole.fits[0].shares is not None
