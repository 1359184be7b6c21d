"""Demand on market shares: derivatives, recovery of a known truth, answers, and bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from revealed.errors import ColumnError, DataError, SpecificationError
from revealed.models.blp import Blp, BlpFit, Markets
from revealed.models.blp.batch import batches
from revealed.models.blp.moments import FixedEffects
from revealed.models.blp.shares import ContractionOptions, heterogeneity, inverted, probabilities
from revealed.models.blp.terms import Terms
from tests.models.blp.market_worlds import MODEL, STARTS, TRUTH, made, simple


@pytest.fixture(scope="module")
def tables() -> tuple[dict[str, Any], dict[str, Any]]:
    return made(0, n_markets=25)


@pytest.fixture(scope="module")
def fit(tables) -> BlpFit:
    return MODEL.fit(*tables, **STARTS)


# ---- the inner problem and its derivatives --------------------------------------------------------------------------


def test_mean_utilities_give_the_shares_back(tables) -> None:
    problem = MODEL.problem(Markets.read(*tables), **STARTS)
    matrix, _ = problem.split(np.array([0.8, 0.5, 0.4, -2.0]))
    point = problem.at(np.array([0.8, 0.5, 0.4, -2.0]))
    assert point.residual < 1e-14
    for market in range(3):  # one by one, in plain loops
        rows = np.flatnonzero(problem.markets.market == market)
        people = np.flatnonzero(problem.markets.agent_market == market)
        shares = np.zeros(len(rows))
        for i in people:
            worth = np.exp(point.delta[rows] + problem.random[rows] @ (matrix @ problem.draws[i]))
            shares += worth / (1 + worth.sum()) / len(people)
        assert np.allclose(shares, problem.markets.shares[rows], rtol=1e-13)


def test_derivatives_are_those_of_differences(tables) -> None:
    model = replace(MODEL, linear="1 + prices + prices:quality + quality", log_costs=True)
    starts = {
        "sigma": [[0.5, 0, 0], [0.2, 0.3, 0], [0.1, 0, 0.4]],
        "pi": {"prices": {"income": 0.3}, "1": {"income": 0.2}},
    }
    products, agents = tables
    agents = agents | {"nodes2": np.roll(agents["nodes0"], 7)}
    problem = model.problem(Markets.read(products, agents), **starts)
    params = np.concatenate([problem.tastes.values, [-2.0, 0.1]])
    assert problem.names[-2:] == ("beta[prices]", "beta[prices:quality]")
    slopes = problem.slopes(problem.at(params))
    for k in range(len(params)):
        step = np.zeros(len(params))
        step[k] = 1e-5
        up, down = problem.at(params + step), problem.at(params - step)
        for side in (0, 1):
            difference = (up.left[side] - down.left[side])[:, 0] / 2e-5
            assert np.allclose(slopes[side][:, k], difference, rtol=1e-6, atol=1e-7), (problem.names[k], side)


def test_costs_at_the_floor_do_not_move(tables) -> None:
    model = replace(MODEL, cost_floor=1.5)
    problem = model.problem(Markets.read(*tables), **STARTS)
    point = problem.at(np.array([0.8, 0.5, 0.4, -2.0]))
    low = point.left[1][:, 0] == 1.5
    assert 0 < point.floored == low.sum() < len(low)
    slopes = problem.slopes(point)[1]
    assert (slopes[low] == 0).all()
    assert (slopes[~low] != 0).any(axis=1).all()


@pytest.mark.parametrize("cells", [1, 5_000, 1 << 22])
def test_batches_of_any_size_say_the_same(tables, cells: int) -> None:
    problem = MODEL.problem(Markets.read(*tables), **STARTS)
    params = np.array([0.8, 0.5, 0.4, -2.0])
    whole = problem.at(params)
    parts = batches(problem.markets, problem.random, problem.draws, cells)
    assert sorted(np.concatenate([part.markets for part in parts]).tolist()) == list(range(25))
    delta = np.full(len(whole.delta), np.nan)
    for part in parts:
        mu = heterogeneity(part, problem.split(params)[0])
        found = inverted(part, mu, part.padded(problem.logit_delta), ContractionOptions())
        part.put(delta, found.delta)
        sums = probabilities(part, found.delta, mu).sum(axis=1)
        assert (sums < 1).all()
    assert np.allclose(delta, whole.delta, atol=1e-12)


def test_a_start_far_away_is_no_trouble(tables) -> None:
    problem = MODEL.problem(Markets.read(*tables), **STARTS)
    params = np.array([0.8, 0.5, 0.4, -2.0])
    far = problem.at(params, problem.logit_delta + 500.0)
    assert far.residual < 1e-13
    assert np.allclose(far.delta, problem.at(params).delta, atol=1e-11)


def test_shares_that_are_not_inverted_are_status_not_silence(tables) -> None:
    model = replace(simple(), steps=1, contraction=ContractionOptions(max_evaluations=6))
    fit = model.fit(*tables, **STARTS)
    assert not fit.status.converged
    assert "shares were not inverted" in fit.status.reason
    assert "NOT converged" in str(fit)


# ---- estimates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_a_known_truth_is_recovered(seed: int) -> None:
    products, agents = made(seed)
    fit = MODEL.fit(products, agents, **STARTS)
    assert fit.status.sound
    assert fit.problem.names == ("sigma[1]", "sigma[quality]", "pi[prices, income]", "beta[prices]")
    ratio = [(fit[name] - value) / fit.standard_errors()[fit.index(name)] for name, value in TRUTH.items()]
    assert np.abs(ratio).max() < 3
    assert fit.standard_errors()[fit.index("beta[prices]")] < 0.2
    alone = simple().fit(products, agents, **STARTS)
    assert alone.status.sound
    ratio = [
        (value - TRUTH[name]) / error
        for name, value, error in zip(alone.names, alone.params, alone.standard_errors(), strict=True)
    ]
    assert np.abs(ratio).max() < 3


def test_the_objective_is_least_where_it_ended(fit, tables) -> None:
    from revealed.models.blp.moments import Concentrated, root_of_inverse

    assert fit.status.sound
    again = replace(MODEL, steps=1).fit(*tables, **STARTS)
    assert again.objectives[0] == pytest.approx(fit.objectives[0], rel=1e-9)
    weights = root_of_inverse(fit.problem.moments.covariance((again.xi, again.omega)))
    concentrated = Concentrated(fit.problem.moments, weights)

    def objective(params: np.ndarray) -> float:
        return float((concentrated.residual(fit.problem.at(params).left) ** 2).sum())

    assert objective(fit.point.params) == pytest.approx(fit.objective, rel=1e-9)
    for k, error in enumerate(fit.standard_errors()[:4]):
        for sign in (-1, 1):
            moved = fit.point.params.copy()
            moved[k] += sign * 0.05 * error
            assert objective(moved) > fit.objective


def test_without_mixed_tastes_it_is_two_stage_least_squares(tables) -> None:
    products, _ = tables
    fit = Blp("1 + prices + quality", steps=1).fit(products)
    n = len(products["shares"])
    outside = 1 - np.bincount(products["market_ids"], products["shares"])[products["market_ids"]]
    y = np.log(products["shares"] / outside)
    x = np.column_stack([np.ones(n), products["prices"], products["quality"]])
    excluded = [products[f"demand_instruments{k}"] for k in range(8)]
    z = np.column_stack([*excluded, x[:, [0, 2]]])
    fitted = z @ np.linalg.lstsq(z, x, rcond=None)[0]
    expected = np.linalg.solve(fitted.T @ fitted, fitted.T @ y)
    assert np.allclose(fit.params, expected, rtol=1e-9)
    error = y - x @ expected
    bread = np.linalg.inv(fitted.T @ fitted)
    centred = z * error[:, None] - (z * error[:, None]).mean(axis=0)
    across = np.linalg.lstsq(z, x, rcond=None)[0]
    meat = across.T @ (centred.T @ centred) @ across
    assert np.allclose(fit.covariance, bread @ meat @ bread, rtol=1e-8)
    assert np.allclose(fit.own_elasticities(), fit["beta[prices]"] * products["prices"] * (1 - products["shares"]))


def test_fixed_effects_are_dummies(tables) -> None:
    products, agents = tables
    random = np.random.default_rng(3)
    products = products | {
        "region": random.integers(0, 3, len(products["shares"])),
        "shop": random.integers(0, 4, len(products["shares"])),
    }
    model = replace(simple(), steps=1)
    absorbed = replace(model, linear="prices + quality", absorb=("region", "shop")).fit(products, agents, **STARTS)
    dummies = "".join(f" + I(region == {k})" for k in (1, 2)) + "".join(f" + I(shop == {k})" for k in (1, 2, 3))
    written = replace(model, linear="1 + prices + quality" + dummies).fit(products, agents, **STARTS)
    for name in absorbed.names:
        assert absorbed[name] == pytest.approx(written[name], rel=1e-5)
    errors = absorbed.standard_errors()[absorbed.index("beta[prices]")]
    assert errors == pytest.approx(written.standard_errors()[written.index("beta[prices]")], rel=1e-5)
    both = replace(MODEL, steps=1)
    absorbed = replace(both, costs="quality + steel", absorb_costs=("region",)).fit(products, agents, **STARTS)
    written = replace(both, costs="1 + quality + steel + I(region == 1) + I(region == 2)").fit(
        products, agents, **STARTS
    )
    assert all(absorbed[name] == pytest.approx(written[name], rel=1e-5) for name in absorbed.names)
    removed = FixedEffects((products["region"], products["shop"])).removed(products["prices"][:, None])
    assert abs(removed[products["shop"] == 2].sum()) < 1e-9


def test_any_table_will_do(tables) -> None:
    products, agents = tables
    model = replace(simple(), steps=1)
    plain = model.fit(products, agents, **STARTS)
    shuffled = np.random.default_rng(0).permutation(len(products["shares"]))
    for some, others in (
        (pd.DataFrame(products), pd.DataFrame(agents)),
        (pl.DataFrame(products)[shuffled], pl.DataFrame(agents)),
    ):
        fit = model.fit(some, others, **STARTS)
        assert np.allclose(fit.params, plain.params, rtol=1e-5)
        assert fit.objective == pytest.approx(plain.objective, rel=1e-9)


def test_clustered_errors_need_ids_and_differ(tables) -> None:
    products, agents = tables
    model = replace(simple(), steps=1, errors="clustered")
    with pytest.raises(ColumnError, match="no column 'clustering_ids'"):
        model.fit(products, agents, **STARTS)
    each = model.fit(products | {"clustering_ids": np.arange(len(products["shares"]))}, agents, **STARTS)
    robust = replace(model, errors="robust").fit(products, agents, **STARTS)
    assert np.allclose(each.standard_errors(), robust.standard_errors(), rtol=1e-6)
    by_market = model.fit(products | {"clustering_ids": products["market_ids"]}, agents, **STARTS)
    assert not np.allclose(by_market.standard_errors(), robust.standard_errors(), rtol=1e-2)


# ---- answers --------------------------------------------------------------------------------------------------------


def test_elasticities_and_diversion_are_those_of_differences(fit) -> None:
    markets, label = fit.markets, "3"
    rows = markets.rows_of(label)
    elasticity, diversion = fit.elasticities()[label], fit.diversion()[label]
    assert np.allclose(fit.world.shares(markets.prices), markets.shares, rtol=1e-12)
    for k, row in enumerate(rows):
        step = np.zeros(len(markets.prices))
        step[row] = 1e-5
        change = (fit.world.shares(markets.prices + step) - fit.world.shares(markets.prices - step))[rows] / 2e-5
        assert np.allclose(elasticity[:, k], change * markets.prices[row] / markets.shares[rows], rtol=1e-6, atol=1e-8)
        others = -change / change[k]
        others[k] = change.sum() / change[k]
        assert np.allclose(diversion[k], others, atol=1e-6)
    assert np.allclose(diversion.sum(axis=1), 1)
    assert (fit.own_elasticities() < -1).all()


def test_mark_ups_meet_the_first_order_conditions(fit) -> None:
    markets, label = fit.markets, "3"
    rows = markets.rows_of(label)
    firms = markets.ids("firm_ids")[rows]
    gap = (markets.prices - fit.costs())[rows]
    slopes = fit.world.price_slopes()[label]
    left = markets.shares[rows] + ((firms[:, None] == firms) * slopes) @ gap
    assert np.abs(left).max() < 1e-13
    assert np.allclose(fit.costs(), fit.markets.prices - fit.point.markups, rtol=1e-10)
    assert np.allclose(fit.markups(), 1 - fit.costs() / markets.prices)


def test_mergers(fit) -> None:
    markets = fit.markets
    same = fit.merger({})
    assert same.converged
    assert np.allclose(same.prices, markets.prices, atol=1e-9)
    after = fit.merger({2: 1})
    assert after.converged
    merged = np.isin(markets.numbers("firm_ids"), [1, 2])
    assert (after.prices[merged] > markets.prices[merged] - 1e-9).all()
    assert after.prices[merged].mean() > markets.prices[merged].mean() + 0.001
    before = (markets.prices - fit.costs()) * markets.shares
    assert after.profits.sum() > before.sum()
    assert (fit.surplus(after.prices) < fit.surplus() + 1e-12).all()
    # By a column of owners as by names.
    owners = np.where(markets.numbers("firm_ids") == 2, 1, markets.numbers("firm_ids"))
    column = {name: markets.products.column(name) for name in markets.products.column_names} | {"owner": owners}
    again = replace(fit, problem=replace(fit.problem, markets=Markets.read(column, markets.agents))).merger("owner")
    assert np.allclose(again.prices, after.prices, atol=1e-10)


def test_who_is_taken_over_brings_what_it_took_over(fit) -> None:
    first, second, *_, last = fit.markets.labels_of("firm_ids")
    chained = fit.owners({first: second, second: last})
    assert np.array_equal(chained, fit.owners({second: last, first: last}))
    assert not np.array_equal(chained, fit.owners({second: last}))
    assert np.array_equal(fit.owners({first: first}), fit.owners({}))
    with pytest.raises(SpecificationError, match=f"{first} by {second} by {first}.*give a column of the products"):
        fit.owners({first: second, second: first})


def test_surplus_is_what_prices_take_away(fit) -> None:
    markets = fit.markets
    step = np.full(len(markets.prices), 1e-5)
    lost = (fit.surplus(markets.prices + step) - fit.surplus(markets.prices - step)) / 2e-5
    bought = np.bincount(markets.market, markets.shares)
    assert np.allclose(lost, -bought, rtol=1e-7)
    unlike = replace(simple(), linear="1 + prices + prices:quality + quality", steps=1).fit(markets, **STARTS)
    with pytest.raises(SpecificationError, match="surplus has no unit"):
        unlike.surplus()


@pytest.mark.parametrize("model", [MODEL, simple()])
def test_optimal_instruments_tell_more(model: Blp) -> None:
    products, agents = made(5)
    first = model.fit(products, agents, **STARTS)
    markets = first.optimal_instruments()
    assert np.array_equal(markets.shares, first.markets.shares)
    assert np.array_equal(markets.prices, first.markets.prices)
    fit = model.fit(markets, sigma=first.sigma, pi=first.pi)
    assert fit.status.sound
    if not model.costs:  # as many instruments as parameters: each moment can be met
        assert fit.n_moments == len(fit.names)
        assert fit.objective < 1e-9
    errors = {
        name: (a, b) for name, a, b in zip(fit.names, fit.standard_errors(), first.standard_errors(), strict=True)
    }
    assert errors["beta[prices]"][0] < errors["beta[prices]"][1]
    assert errors["pi[prices, income]"][0] < errors["pi[prices, income]"][1]
    assert all(abs(fit[name] - TRUTH[name]) < 3 * errors[name][0] for name in fit.names if not name.startswith("sigma"))


def test_a_term_not_linear_in_prices_has_shares_but_no_answers(tables) -> None:
    fit = replace(simple(), linear="1 + log(prices) + quality", random="1 + quality", steps=1).fit(
        *tables, sigma={"quality": 0.3}
    )
    assert fit.status.converged
    with pytest.raises(SpecificationError, match=r"log\(prices\) is not linear in prices"):
        fit.elasticities()


def test_the_summary_says_what_there_is(fit) -> None:
    text = str(fit.summary())
    for part in ("with supply", "sigma[quality]", "gamma[steel]", "converged in", "own-price elasticity", "mark-up"):
        assert part in text
    assert fit.summary().to_dict()["sound"] is True
    assert "BlpFit(sigma[1]" in repr(fit)
    assert fit.sigma.shape == (3, 3)
    assert fit.pi.shape == (3, 1)
    assert fit.pi[1, 0] == fit["pi[prices, income]"]


# ---- bad input ------------------------------------------------------------------------------------------------------


def changed(table: dict[str, Any], column: str, row: int, value: float) -> dict[str, Any]:
    return table | {column: np.where(np.arange(len(table[column])) == row, value, table[column])}


def test_shares_must_be_shares(tables) -> None:
    products, agents = tables
    with pytest.raises(DataError, match=r"a share is zero or less, in market 0 \[shares; row 3\]\n.*drop products"):
        Markets.read(changed(products, "shares", 2, 0.0), agents)
    with pytest.raises(DataError, match=r"shares add to one or more, in market 0 \(1\.\d+\)"):
        Markets.read(changed(products, "shares", 2, 1.0), agents)
    with pytest.raises(DataError, match=r"missing or not finite \[prices; row 1\]"):
        Markets.read(changed(products, "prices", 0, np.nan), agents)


def test_columns_that_are_not_there(tables) -> None:
    products, agents = tables
    with pytest.raises(ColumnError, match="no column 'shares'"):
        Markets.read({name: column for name, column in products.items() if name != "shares"}, agents)
    with pytest.raises(SpecificationError, match="no column 'qualty' in products; did you mean 'quality'"):
        replace(simple(), linear="1 + prices + qualty").fit(products, agents, **STARTS)
    with pytest.raises(SpecificationError, match="no column 'incom' in agents; did you mean 'income'"):
        replace(simple(), demographics="incom").fit(products, agents, sigma={"1": 0.5})
    with pytest.raises(ColumnError, match="no column 'brand'"):
        replace(simple(), absorb=("brand",)).fit(products, agents, **STARTS)
    with pytest.raises(ColumnError, match="no column 'firm_ids'"):
        MODEL.fit({name: column for name, column in products.items() if name != "firm_ids"}, agents, **STARTS)


def test_instruments_are_counted(tables) -> None:
    products, agents = tables
    few = {name: column for name, column in products.items() if not name.startswith("demand_instruments")}
    few["demand_instruments0"] = products["steel"]
    with pytest.raises(
        SpecificationError, match=r"6 parameters \(3 searched for, 3 linear\) but 3 independent .*: 3 more"
    ):
        simple().fit(few, agents, **STARTS)
    few["demand_instruments1"] = 2 * products["steel"]  # it says nothing new
    with pytest.raises(SpecificationError, match="but 3 independent"):
        simple().fit(few, agents, **STARTS)


def test_products_are_counted(tables) -> None:
    """With no more products than parameters anything fits: refused at once, not after a search."""
    products, agents = tables

    def of(rows: slice) -> tuple[dict[str, Any], dict[str, Any]]:
        some = {name: column[rows] for name, column in products.items()}
        there = np.isin(agents["market_ids"], some["market_ids"])
        return some, {name: column[there] for name, column in agents.items()}

    with pytest.raises(SpecificationError, match=r"6 parameters \(3 searched for, 3 linear\) fit 6 products whatever"):
        simple().fit(*of(slice(6)), **STARTS)
    with pytest.raises(
        SpecificationError, match=r"3 parameters \(0 searched for, 3 linear\) fit 3 products .*: give mo"
    ):
        Blp("1 + prices + quality").fit(of(slice(3))[0])
    plain = Blp("1 + prices + quality").fit(of(slice(4))[0])  # one more tells a little
    assert np.isfinite(plain.standard_errors()).all()
    with pytest.raises(
        SpecificationError, match=r"5 parameters \(0 searched for, 2 linear, 3 fixed effects\) fit 5 pro"
    ):
        Blp("0 + prices + quality", absorb=("firm_ids",)).fit(of(slice(5))[0])


def test_terms_that_say_nothing(tables) -> None:
    with pytest.raises(SpecificationError, match="the fixed effects explain the term 1 whole"):
        replace(simple(), absorb=("market_ids",)).fit(*tables, **STARTS)
    with pytest.raises(SpecificationError, match="one repeats the others"):
        replace(simple(), linear="1 + prices + quality + I(2 * quality)").fit(*tables, **STARTS)
    with pytest.raises(SpecificationError, match="marginal costs cannot depend on prices"):
        replace(MODEL, costs="1 + prices").fit(*tables, **STARTS)
    with pytest.raises(SpecificationError, match=r"C\(firm_ids\).*absorb="):
        Terms.read("1 + C(firm_ids)")


def test_agents(tables) -> None:
    products, agents = tables
    without = {name: column[agents["market_ids"] != 4] for name, column in agents.items()}
    with pytest.raises(DataError, match="no agents in 1 markets: 4"):
        Markets.read(products, without)
    with pytest.raises(SpecificationError, match="sigma needs 3 columns of draws and agents have 2"):
        simple().fit(products, agents, sigma=[0.5, 0.5, 0.5])
    with pytest.raises(DataError, match="a weight is negative"):
        Markets.read(products, agents | {"weights": np.where(np.arange(len(agents["income"])) == 0, -1.0, 1.0)})
    spare = {name: np.append(column, column[:3]) for name, column in agents.items()}
    spare["market_ids"][-3:] = 77  # agents of a market that has no products
    assert len(Markets.read(products, spare).weights) == len(agents["income"])


@pytest.mark.parametrize(
    ("sigma", "pi", "said"),
    [
        ({"qualty": 0.5}, None, "no random coefficient 'qualty'; did you mean 'quality'"),
        ({"1": 0.5}, {"prices": {"age": 1.0}}, "no column of pi 'age'; there are: income"),
        ([[0.5, 0.1, 0], [0, 0.5, 0], [0, 0, 0]], None, "sigma is lower triangular"),
        ([0.5, 0.5], None, r"sigma has the shape \(2, 2\).*must be \(3, 3\)"),
        ({"1": float("nan")}, None, "sigma starts at a number that is not finite"),
    ],
)
def test_starts_that_do_not_fit(tables, sigma, pi, said: str) -> None:
    with pytest.raises(SpecificationError, match=said):
        simple().fit(*tables, sigma=sigma, pi=pi)


def test_costs_below_zero_have_no_logarithm(tables) -> None:
    with pytest.raises(SpecificationError, match=r"zero or less.*cost_floor=0\.001"):
        replace(MODEL, log_costs=True).fit(*tables, **STARTS, beta={"prices": -0.2})
    with pytest.raises(SpecificationError, match="no start needed for 'quality'"):
        MODEL.fit(*tables, **STARTS, beta={"quality": 1.0})


def test_options_and_names(fit, tables) -> None:
    with pytest.raises(SpecificationError, match="GMM has one step or two"):
        replace(MODEL, steps=3).fit(*tables, **STARTS)
    with pytest.raises(SpecificationError, match="no errors 'robst'; did you mean 'robust'"):
        replace(MODEL, errors="robst").fit(*tables, **STARTS)
    with pytest.raises(SpecificationError, match="no parameter 'beta'"):
        fit["beta"]
    with pytest.raises(SpecificationError, match="no firm '7' in firm_ids"):
        fit.merger({7: 1})
    with pytest.raises(SpecificationError, match="no market '99'"):
        fit.markets.rows_of(99)


def test_entries_that_the_moments_do_not_tell_apart(tables) -> None:
    products, agents = tables
    model = replace(simple(), steps=1, demographics="income + I(2 * income)")
    fit = model.fit(products, agents, pi={"prices": {"income": 0.2, "I(2 * income)": 0.1}})
    assert not fit.status.sound
    assert set(fit.status.not_identified[0].names) == {"pi[prices, income]", "pi[prices, I(2 * income)]"}
    assert np.isnan(fit.standard_errors()[:2]).all()
    assert np.isfinite(fit.standard_errors()[2:]).all()
    assert "not identified" in str(fit)
