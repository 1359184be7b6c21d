"""Figures of markets: their intervals against closed forms and known truths, saved fits, refusals."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revealed.answer import (
    IntervalOptions,
    MarketIntervals,
    market_diversion,
    market_elasticities,
    market_markups,
    market_merger,
    market_substitution,
)
from revealed.errors import ColumnError, DataError, RevealedError, SpecificationError
from revealed.models.blp import Blp, BlpFit
from tests.models.blp.market_worlds import MODEL, STARTS, TRUTH, made, simple


@pytest.fixture(scope="module")
def tables() -> tuple[dict[str, Any], dict[str, Any]]:
    return made(0, n_markets=20)


@pytest.fixture(scope="module")
def fit(tables) -> BlpFit:
    return MODEL.fit(*tables, **STARTS)


@pytest.fixture(scope="module")
def plain(tables) -> BlpFit:
    """Demand without mixed tastes, each product of a firm of its own."""
    products = tables[0] | {"firm_ids": np.arange(len(tables[0]["prices"]))}
    return Blp("1 + prices + quality").fit(products)


# ---- intervals ------------------------------------------------------------------------------------------------------


def test_errors_are_those_of_the_closed_form(plain: BlpFit) -> None:
    """In a logit the own elasticity is b p (1 - s) and the mark-up of a single product -1 / (b p (1 - s))."""
    markets, b = plain.markets, plain["beta[prices]"]
    error = plain.standard_errors()[plain.index("beta[prices]")]
    free = markets.prices * (1 - markets.shares)
    found = market_substitution(plain)
    own, markup, cost = (found[name] for name in ("own-price elasticity", "mark-up, share of price", "marginal cost"))
    assert own.value == pytest.approx(b * free.mean(), rel=1e-10)
    assert own.standard_error == pytest.approx(error * free.mean(), rel=1e-6)
    assert own.high - own.low == pytest.approx(2 * 1.959964 * own.standard_error, rel=1e-6)
    assert markup.standard_error == pytest.approx(error / b**2 * (1 / free).mean(), rel=1e-4)
    assert cost.standard_error == pytest.approx(error / b**2 * (1 / (1 - markets.shares)).mean(), rel=1e-4)
    assert found["diversion to the outside good"].standard_error == pytest.approx(0.0, abs=1e-10)  # of shares alone


def test_both_methods_agree_where_figures_are_linear(plain: BlpFit) -> None:
    label = plain.markets.labels[0]
    drawn = MarketIntervals(method="simulation", options=IntervalOptions(draws=200, seed=3))
    one, two = (market_elasticities(plain, label, intervals=how) for how in (None, drawn))
    of = ("product 1", "product 2")
    assert two[of].value == one[of].value
    assert two[of].standard_error == pytest.approx(one[of].standard_error, rel=0.2)
    assert two[of].low == pytest.approx(one[of].low, abs=0.5 * one[of].standard_error)
    again = market_elasticities(plain, label, intervals=drawn)
    assert again[of] == two[of]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    hits = total = 0
    for seed in range(10):
        fit = simple().fit(*made(200 + seed, n_markets=40), **STARTS)
        truth = np.array([TRUTH[name] for name in fit.names]) * np.where(
            [name.startswith("sigma") and fit[name] < 0 for name in fit.names], -1, 1
        )
        world = fit.world_at(truth)
        own = np.concatenate([np.diag(each) for each in world.elasticities().values()]).mean()
        outside = np.mean([np.diag(each).mean() for each in world.diversion().values()])
        markup = (world.markups(fit.markets.ids("firm_ids")) / fit.markets.prices).mean()
        found = market_substitution(fit)
        for value, item in zip((own, outside, markup), found.items[:3], strict=True):
            hits += item.estimate.low < value < item.estimate.high
            total += 1
    assert hits >= 24, f"{hits} of {total} intervals hold the truth"  # 28.5 expected; the three go together


def test_figures_are_those_of_the_fit(fit: BlpFit) -> None:
    label = fit.markets.labels[3]
    rows = fit.markets.rows_of(label)
    elasticity = market_elasticities(fit, label)
    values = np.array([item.estimate.value for item in elasticity.items]).reshape(len(rows), -1)
    np.testing.assert_allclose(values, fit.elasticities()[label])
    assert elasticity["product 2", "product 1"].value == fit.elasticities()[label][1, 0]
    left = market_diversion(fit, label)
    assert left["product 1", "outside"].value == fit.diversion()[label][0, 0]
    markups = market_markups(fit)
    firm = fit.markets.ids("firm_ids")
    name = fit.markets.labels_of("firm_ids")[1]
    assert markups[name].value == pytest.approx(fit.markups()[firm == 1].mean())
    assert all(item.estimate.standard_error > 0 for item in (*elasticity.items, *markups.items))
    assert len(elasticity.table().rows) == len(rows) ** 2
    assert json.dumps(elasticity.to_dict())


def test_one_market_alone_is_solved(fit: BlpFit, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a market is what all of them together give for it, and no other is computed for it."""
    moved = fit.params + 0.1 * fit.standard_errors()
    label = fit.markets.labels[3]
    alone, together = fit.world_at(moved, label), fit.world_at(moved)
    assert alone.markets.labels == (label,)
    assert alone.elasticities()[label] == pytest.approx(together.elasticities()[label], rel=1e-9)
    assert alone.diversion()[label] == pytest.approx(together.diversion()[label], rel=1e-9)

    def all_markets(*_: Any) -> None:
        raise AssertionError("all markets were solved")

    monkeypatch.setattr(type(fit.problem), "mean_utilities", all_markets)
    for answer in (market_elasticities(fit, label), market_diversion(fit, label)):
        assert all(np.isfinite(item.estimate.standard_error) for item in answer.items)
    with pytest.raises(SpecificationError, match="no market '999'"):
        fit.world_at(moved, 999)


def test_without_one_worth_of_money_there_is_no_surplus(tables) -> None:
    model = Blp("1 + prices + prices:quality + quality")
    found = market_merger(model.fit(tables[0]), {2: 1})
    assert "no surplus: the marginal utility of price differs between products" in found.warnings
    assert {item.of[1] for item in found.items} == {"price, %"}


def test_a_merger_raises_prices_and_costs_surplus(fit: BlpFit) -> None:
    found = market_merger(fit, {2: 1})
    rise = 100 * (fit.merger({2: 1}).prices / fit.markets.prices - 1)
    firm = fit.markets.numbers("firm_ids")
    for name in (0, 1, 2):
        assert found[str(name), "price, %"].value == pytest.approx(rise[firm == name].mean(), rel=1e-6)
    assert found["2", "price, %"].low > 0
    lost = found["all markets", "consumer surplus of each who could buy"]
    after = fit.merger({2: 1}).prices
    assert lost.value == pytest.approx((fit.surplus(after) - fit.surplus()).mean(), rel=1e-6)
    assert lost.high < 0
    nothing = market_merger(fit, {}).items[0].estimate
    assert nothing.value == pytest.approx(0.0, abs=1e-6)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_saved_fit_answers_the_same(fit: BlpFit, tmp_path: Path) -> None:
    again = BlpFit.load(fit.save(tmp_path / "fit.json"))
    assert again.model == fit.model
    assert repr(again) == repr(fit)
    assert again.covariance.tobytes() == fit.covariance.tobytes()
    assert again.xi.tobytes() == fit.xi.tobytes()
    assert again.omega is not None
    assert fit.omega is not None
    assert again.omega.tobytes() == fit.omega.tobytes()
    assert repr(again.status) == repr(fit.status)  # with steps that are no numbers
    assert again.markets.products.equals(fit.markets.products)
    assert again.markups().tobytes() == fit.markups().tobytes()
    assert str(market_substitution(again)) == str(market_substitution(fit))
    assert str(again.summary()) == str(fit.summary())
    better = again.optimal_instruments()
    assert len(better.instruments("demand")[0]) == len(fit.optimal_instruments().instruments("demand")[0])


def test_a_file_that_is_no_such_fit_is_refused(fit: BlpFit, tmp_path: Path) -> None:
    path = fit.save(tmp_path / "fit.json")
    data = json.loads(path.read_text())
    spoiled = {
        "no Arrow stream": data | {"products": "AAAA"},
        "cell": {name: value for name, value in data.items() if name != "params"},
        "go together": data | {"xi": data["xi"][1:]},
        "base64": data | {"agents": "not base64!"},
    }
    for text, content in spoiled.items():
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=text if text != "cell" else "params"):
            BlpFit.load(path)
    path.write_text(json.dumps(data | {"format": 99}))
    with pytest.raises(RevealedError, match="format 99"):
        BlpFit.load(path)
    path.write_text('{"kind": "dynamic fit"}')
    with pytest.raises(RevealedError, match="no saved demand"):
        BlpFit.load(path)
    assert base64.b64decode(data["products"])


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_answered(fit: BlpFit, plain: BlpFit) -> None:
    with pytest.raises(SpecificationError, match="no market 'nowhere'"):
        market_elasticities(fit, "nowhere")
    with pytest.raises(ColumnError, match="brand"):
        market_elasticities(fit, fit.markets.labels[0], names="brand")
    with pytest.raises(SpecificationError, match="no figure"):
        market_substitution(fit)["own elasticity"]
    with pytest.raises(SpecificationError, match="no method 'bootstrap'"):
        MarketIntervals(method="bootstrap")
    with pytest.raises(SpecificationError, match="one covariance"):
        MarketIntervals(options=IntervalOptions(errors="classic"))
    unknown = replace(plain, covariance=np.full_like(plain.covariance, np.nan))
    assert np.isnan(market_substitution(unknown)["own-price elasticity"].standard_error)
    with pytest.raises(SpecificationError, match="nothing to draw"):
        market_substitution(unknown, intervals=MarketIntervals(method="simulation"))
