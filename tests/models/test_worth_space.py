"""The mixed logit in willingness-to-pay space, and money where the coefficient of the cost differs between people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from revealed.answer import IntervalOptions
from revealed.choices import ChoiceLog, Partition, datasets
from revealed.errors import SpecificationError
from revealed.evidence import Detail, Evidence
from revealed.models import Fit, Logit, Mixed, individual_coefficients
from revealed.models.mixed.coefficients import Coefficients
from revealed.models.mixed.moments import mean_worth
from tests.models.mixed_worlds import COLUMNS, WORTH_SPECS, everything, log_likelihoods_by_hand, people

# ---- the likelihood and its slopes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [{}, {"counts": True, "available": True}], ids=["panel", "counts"])
@pytest.mark.parametrize("spec", WORTH_SPECS)
def test_the_likelihood_is_that_written_out_by_hand(world: dict[str, Any], spec: str) -> None:
    log, (model, point) = people(12, seed=1, **world), WORTH_SPECS[spec]
    law = model.law(log)
    found = law.evidence(everything(log), np.array(point), Detail.SCORE).log_likelihood
    assert found == pytest.approx(sum(log_likelihoods_by_hand(law, log, np.array(point)).values()), rel=1e-12)


@pytest.mark.parametrize("world", [{}, {"weight": True, "available": True}], ids=["panel", "weights"])
@pytest.mark.parametrize("spec", WORTH_SPECS)
def test_score_and_information_are_slopes(world: dict[str, Any], spec: str) -> None:
    log, (model, values) = people(30, seed=2, **world), WORTH_SPECS[spec]
    law, point = model.law(log), np.array(values)
    full = law.evidence(everything(log), point, Detail.OUTER)
    np.testing.assert_allclose(law.evidence(everything(log), point, Detail.SCORE).score, full.score, rtol=1e-10)
    for i, unit in enumerate(np.eye(len(point))):
        up, down = (law.evidence(everything(log), point + h * unit, Detail.SCORE) for h in (1e-5, -1e-5))
        assert (up.log_likelihood - down.log_likelihood) / 2e-5 == pytest.approx(full.score[i], rel=1e-6, abs=1e-5)
        np.testing.assert_allclose((down.score - up.score) / 2e-5, full.information[i], rtol=1e-6, atol=1e-4)


def test_the_score_is_that_of_automatic_differentiation() -> None:
    """The likelihood of Train and Weeks written out in JAX: no slope of ours is in it."""
    import jax
    import jax.numpy as jnp

    log, values = payers(15, seed=3)[0], WORTH_SPECS["cost log-normal"][1]
    law = Mixed("x + price + z", random=RANDOM, worth_in="price", draws=20).law(log)
    z = np.asarray(law.coefficients.variates(law.draws.uniform(law.draws.keys(range(15)), 2)))
    x = law.design.matrix(log).T.reshape(15, 8, 4, 3)
    chosen = np.asarray(log.chosen).reshape(15, 8, 4)

    def log_likelihood(at: Any) -> Any:
        scale, worth = jnp.exp(at[1] + at[4] * z[:, 1]), at[0] + at[3] * z[:, 0]
        net = x[..., 1:2] - x[..., 0:1] * worth[:, None, None] - x[..., 2:3] * at[2]
        utility = -scale[:, None, None] * net
        logs = (chosen[..., None] * jax.nn.log_softmax(utility, axis=2)).sum(axis=(1, 2))
        return (jax.nn.logsumexp(logs, axis=1) - jnp.log(20.0)).sum()

    with jax.enable_x64(True):
        point = jnp.array(values)
        (expected, score), second = jax.jit(
            lambda at: (jax.value_and_grad(log_likelihood)(at), jax.hessian(log_likelihood)(at))
        )(point)
    found = law.evidence(everything(log), np.array(values), Detail.INFORMATION)
    assert found.log_likelihood == pytest.approx(float(expected), rel=1e-12)
    np.testing.assert_allclose(found.score, score, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.information, -np.asarray(second), rtol=1e-9, atol=1e-8)


def test_parts_add_up() -> None:
    log, (model, values) = people(60, seed=4), WORTH_SPECS["all correlated"]
    law, point = model.law(log), np.array(values)
    whole = law.evidence(everything(log), point, Detail.OUTER)
    parts = [law.evidence(Partition(log, a, b), point, Detail.OUTER) for a, b in ((0, 31), (31, log.n_cases))]
    np.testing.assert_allclose(Evidence.sum(parts).information, whole.information, rtol=1e-9, atol=1e-9)


# ---- the same model, told otherwise ---------------------------------------------------------------------------------


def test_without_spread_it_is_the_logit_in_other_parameters() -> None:
    log = people(80, seed=5, available=True)
    held = Mixed("x + y + z", random={"x": "normal"}, worth_in="y", draws=7, fixed={"sd[x]": 0.0}).fit(log)
    plain = Logit("x + y + z").fit(log)
    assert held.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    assert held["y"] == pytest.approx(plain["y"], rel=1e-8)
    for name in ("x", "z"):
        worth = plain.willingness_to_pay(name, cost="y")[name]
        assert held[name] == pytest.approx(worth.value, rel=1e-7)
        assert held.standard_errors("classic")[held.index(name)] == pytest.approx(
            plain.willingness_to_pay(name, cost="y", options=IntervalOptions(errors="classic"))[name].standard_error,
            rel=1e-6,
        )
    np.testing.assert_allclose(held.probabilities(log), plain.probabilities(log), atol=1e-8)


def test_with_one_cost_coefficient_it_is_preference_space_in_other_parameters(
    found: tuple[Fit, ChoiceLog, np.ndarray],
) -> None:
    """A normal worth times one coefficient is a normal coefficient: the same likelihood, draw by draw."""
    log = found[1]
    random = {"x": "normal", "z": "normal"}
    plain = Mixed("x + price + z", random=random, draws=40).fit(log)
    worths = Mixed("x + price + z", random=random, worth_in="price", draws=40).fit(log)
    assert worths.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-11)
    assert worths["price"] == pytest.approx(plain["price"], rel=1e-6)
    for name in ("x", "z", "sd[x]", "sd[z]"):
        assert worths[name] == pytest.approx(-plain[name] / plain["price"], rel=1e-5)
    some = log.take_cases(np.arange(60))
    np.testing.assert_allclose(worths.probabilities(some), plain.probabilities(some), atol=1e-7)
    dearer = some.with_columns({"x": some.numbers("x") + 1.0 * (some.alternative_codes == 0)})
    one, two = (fit.surplus(some, cost="price", after=dearer)["all"].per_choice for fit in (plain, worths))
    assert one.value == pytest.approx(two.value, rel=1e-6)
    assert one.standard_error == pytest.approx(two.standard_error, rel=1e-3)


# ---- recovery -------------------------------------------------------------------------------------------------------

TRUTH = {"x": 1.0, "price": 0.2, "z": -0.6, "sd[x]": 0.8, "sd[price]": 0.5}
RANDOM = {"x": "normal", "price": "lognormal-"}


def payers(n_persons: int, seed: int, n_choices: int = 8) -> tuple[ChoiceLog, np.ndarray]:
    """Return choices of people whose worth of x and scale of money are drawn; z is worth the same to all."""
    random = np.random.default_rng(seed)
    worth = TRUTH["x"] + TRUTH["sd[x]"] * random.normal(size=n_persons)
    scale = np.exp(TRUTH["price"] + TRUTH["sd[price]"] * random.normal(size=n_persons))
    x = random.normal(size=(n_persons, n_choices, 4, 3))
    net = x[..., 1] - worth[:, None, None] * x[..., 0] - TRUTH["z"] * x[..., 2]
    utility = -scale[:, None, None] * net + random.gumbel(size=net.shape)
    chosen = utility.argmax(axis=2)[:, :, None] == np.arange(4)
    n_cases = n_persons * n_choices
    table = pa.table(
        {
            "person": np.repeat(np.arange(n_persons), n_choices * 4),
            "case": np.repeat(np.arange(n_cases), 4),
            "alternative": np.tile(list("abcd"), n_cases),
            "chosen": chosen.reshape(-1),
            **{name: x[..., i].reshape(-1) for i, name in enumerate(("x", "price", "z"))},
        }
    )
    return ChoiceLog.from_table(table, COLUMNS), worth


@pytest.fixture(scope="module")
def found() -> tuple[Fit, ChoiceLog, np.ndarray]:
    log, worth = payers(300, seed=11)
    return Mixed("x + price + z", random=RANDOM, worth_in="price", draws=80).fit(log), log, worth


def test_the_truth_is_recovered(found: tuple[Fit, ChoiceLog, np.ndarray]) -> None:
    fit, log, worth = found
    assert fit.status.sound, fit.status.messages()
    for name, value in TRUTH.items():
        assert abs(fit[name] - value) < 3 * fit.standard_errors()[fit.index(name)], name
    assert fit.log_likelihood > Mixed("x + price + z", random=RANDOM, draws=80).fit(log).log_likelihood + 10
    each = individual_coefficients(fit, log)
    assert each.names == ("x", "price")
    assert np.corrcoef(each.mean[:, 0], worth)[0, 1] > 0.75
    assert (each.mean[:, 1] < 0).all()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    hits = total = 0
    for seed in range(8):
        log, _ = payers(100, seed=100 + seed)
        fit = Mixed("x + price + z", random=RANDOM, worth_in="price", draws=40).fit(log)
        errors = fit.standard_errors("classic")
        hits += sum(abs(fit[name] - value) < 1.96 * errors[fit.index(name)] for name, value in TRUTH.items())
        total += len(TRUTH)
    assert hits >= 34, f"{hits} of {total} intervals hold the truth"  # 38 expected, standard deviation 1.4


def test_a_saved_fit_answers_the_same(found: tuple[Fit, ChoiceLog, np.ndarray]) -> None:
    fit, log, _ = found
    again = Fit.from_json(fit.to_json())
    assert again.model == fit.model
    some = log.take_cases(np.arange(40))
    assert again.probabilities(some).tobytes() == fit.probabilities(some).tobytes()
    assert "worths: of one unit more, in units of price" in str(fit.summary())


# ---- money ----------------------------------------------------------------------------------------------------------


def test_worths_are_the_parameters(found: tuple[Fit, ChoiceLog, np.ndarray]) -> None:
    fit, log, _ = found
    worth = fit.willingness_to_pay("x", "-z", "x + z", cost="price")
    assert worth["x"].value == fit["x"]
    assert worth["x"].standard_error == pytest.approx(fit.standard_errors()[fit.index("x")], rel=1e-6)
    assert worth["-z"].value == -fit["z"]
    assert worth["x + z"].value == pytest.approx(fit["x"] + fit["z"])
    for name, cost in (("x", "z"), ("sd[x]", "price")):
        with pytest.raises(SpecificationError, match="worths in 'price'|tells how one differs"):
            fit.willingness_to_pay(name, cost=cost)
    with pytest.raises(SpecificationError, match="worths in 'price'"):
        fit.surplus(log, cost="z", after=log)


@pytest.mark.parametrize("space", ["", "price"])
def test_surplus_is_in_each_ones_own_money(found: tuple[Fit, ChoiceLog, np.ndarray], space: str) -> None:
    log = found[1].take_cases(np.arange(80))
    fit = found[0] if space else Mixed("x + price + z", random=RANDOM, draws=80).fit(found[1])
    dearer = log.with_columns({"price": log.numbers("price") + 1.0})  # everywhere, so all that it takes is that much
    assert fit.surplus(log, cost="price", after=dearer)["all"].per_choice.value == pytest.approx(-1.0, abs=1e-9)
    shifted = log.with_columns({"z": log.numbers("z") + 2.0})  # worth the same in each alternative
    gain = fit.surplus(log, cost="price", after=shifted)["all"].per_choice
    worth = fit.willingness_to_pay("z", cost="price")["z"].value
    assert gain.value == pytest.approx(2 * worth, rel=1e-9 if space else 0.03)  # draws against the closed form
    better = log.with_columns({"x": log.numbers("x") + 1.0 * (log.alternative_codes == 0)})
    whole = fit.whatif(log, "x[alternative == 'a'] += 1", cost="price").surplus[0].per_choice
    part = fit.surplus(log, cost="price", after=better)["all"].per_choice
    assert whole.value == pytest.approx(part.value, rel=1e-12)
    assert part.low < part.value < part.high


@pytest.mark.parametrize("kind", ["normal", "lognormal", "truncated-"])
def test_mean_worths_are_those_of_many_draws(kind: str) -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(2, 1_000_000))
    together = kind != "truncated-"
    model = Mixed("x + y", random={"x": kind, "y": "lognormal-"}, correlated=["x", "y"] if together else [], draws=2)
    spec = model.law(people(3, seed=1)).coefficients
    assert isinstance(spec, Coefficients)
    point = np.array([0.4, -0.2, 0.7, 0.3, 0.4] if together else [0.4, -0.2, 0.7, 0.5])
    if together:
        plain = 0.4 + 0.7 * z[0]
        x, y = np.exp(plain) if kind == "lognormal" else plain, -np.exp(-0.2 + 0.3 * z[0] + 0.4 * z[1])
    else:
        x = spec.at(point, np.stack([rng.random(1_000_000), z[1]])[None]).values[0, 0]
        y = -np.exp(-0.2 + 0.5 * z[1])
    assert mean_worth(spec, point, "x", "y") == pytest.approx(float((-x / y).mean()), rel=5e-3)


@pytest.mark.parametrize("kind", ["uniform", "triangular"])
def test_a_bounded_cost_has_a_mean_as_long_as_it_ends_below_zero(kind: str) -> None:
    model = Mixed("x + y", random={"y": kind}, draws=200_000)
    law = model.law(people(3, seed=1))
    assert isinstance(law.coefficients, Coefficients)
    point = np.array([0.7, -1.0, 0.3])
    drawn = law.coefficients.at(point, law.coefficients.variates(law.draws.uniform(law.draws.keys(["a"]), 1)))
    assert mean_worth(law.coefficients, point, "x", "y") == pytest.approx(float((-0.7 / drawn.values).mean()), rel=1e-4)
    log = people(120, seed=9)
    fit = Mixed("x + y + z", random={"y": kind}, fixed={"sd[y]": 0.1}, draws=20).fit(log)
    assert np.isfinite(fit.willingness_to_pay("x", cost="y")["x"].standard_error)
    wide = Mixed("x + y + z", random={"y": kind}, fixed={"sd[y]": 5.0}, draws=20).fit(log)
    with pytest.raises(SpecificationError, match="reaches up to"):
        wide.willingness_to_pay("x", cost="y")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("normal", "is zero or above for some"),
        ("truncated-", "comes too near to zero"),
        ("lognormal", "raises utility for everybody"),
    ],
)
def test_money_without_a_mean_is_refused(kind: str, message: str) -> None:
    log = people(60, seed=9)
    fit = Mixed("x + y + z", random={"y": kind}, draws=8, fixed={"sd[y]": 0.4}).fit(log)
    with pytest.raises(SpecificationError, match=message):
        fit.surplus(log, cost="y", after=log)
    with pytest.raises(SpecificationError, match=message):
        fit.willingness_to_pay("x", cost="y")


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_refused() -> None:
    log = people(20, seed=7)
    with pytest.raises(SpecificationError, match="no coefficient 'w' \\(in worth_in\\)"):
        Mixed("x + y", random={"x": "normal"}, worth_in="w").fit(log)
    for kind in ("normal", "lognormal", "uniform"):
        with pytest.raises(SpecificationError, match="below zero for everybody"):
            Mixed("x + y", random={"y": kind}, worth_in="y")


# ---- a peer ---------------------------------------------------------------------------------------------------------

#: xlogit 0.2.7 on the same data, `scale_factor` the price, 300 Halton draws, started near its end: worth and error.
XLOGIT = {
    "contract_years": (-0.23348, 0.02561),
    "local": (2.47863, 0.13329),
    "well_known": (1.71959, 0.09428),
    "time_of_day": (-9.72393, 0.20201),
    "seasonal": (-9.87102, 0.16681),
    "sd[contract_years]": (0.41222, 0.02440),
    "sd[local]": (1.81249, 0.13154),
    "sd[well_known]": (1.15506, 0.09349),
    "sd[time_of_day]": (3.12214, 0.18801),
    "sd[seasonal]": (2.32619, 0.15539),
    "price": (-0.92128, 0.03409),
}


def test_electricity_contracts_as_a_peer_has_them() -> None:
    log = datasets.electricity()
    worths = [name for name in XLOGIT if not name.startswith("sd[") and name != "price"]
    model = Mixed(" + ".join(["price", *worths]), random=dict.fromkeys(worths, "normal"), worth_in="price", draws=100)
    fit = model.fit(log)
    assert fit.log_likelihood == pytest.approx(-3929.747, abs=25)  # the noise of 100 draws
    for name, (value, error) in XLOGIT.items():
        assert abs(fit[name] - value) < 2.5 * fit.standard_errors("robust")[fit.index(name)], name
        assert 0.8 < fit.standard_errors("classic")[fit.index(name)] / error < 1.25, name
