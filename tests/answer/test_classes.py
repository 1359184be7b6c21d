"""Money where people are of classes that weigh it differently: surplus and willingness to pay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import logsumexp

from revealed.answer import IntervalOptions, case_surplus, surplus, willingness_to_pay
from revealed.answer.interval import draws_of
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, LatentClass
from revealed.models.latent import LatentLaw
from tests.models.test_latent import people

BROAD = IntervalOptions(draws=2000)


@pytest.fixture(scope="module")
def log() -> ChoiceLog:
    return people(150, 1)[0]


@pytest.fixture(scope="module")
def after(log: ChoiceLog) -> ChoiceLog:
    """Return the choices with a faster and dearer first thing."""
    first = log.alternative_codes == 0
    return log.with_columns({"speed": log.numbers("speed") + 2.0 * first, "price": log.numbers("price") + 0.5 * first})


@pytest.fixture(scope="module")
def alike(log: ChoiceLog) -> Fit:
    return LatentClass("price + speed", starts=1).fit(log)


@pytest.fixture(scope="module")
def told(log: ChoiceLog) -> Fit:
    """Return a fit where memberships depend on what people are, and prices matter by income."""
    return LatentClass("price + price:income + speed", membership="income", starts=1).fit(
        log.with_columns({"income": 0.1 * log.numbers("income")})
    )


def own_gains(params: np.ndarray, before: ChoiceLog, after: ChoiceLog, by_income: bool) -> np.ndarray:
    """Return the mean gain of each case, by the definition: the change of logsum over minus the price's coefficient."""
    income = before.numbers("income").reshape(-1, 3)[:, 0]
    terms = 3 if by_income else 2
    score = params[2 * terms] + (params[2 * terms + 1] * income if by_income else np.zeros(len(income)))
    gains = np.zeros(len(income))
    for k, share in enumerate((1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score)))):
        own = params[k * terms : (k + 1) * terms]
        money = own[0] + (own[1] * income if by_income else np.zeros(len(income)))

        def level(log: ChoiceLog, money: np.ndarray = money, speed: float = own[-1]) -> np.ndarray:
            price, fast = (log.numbers(name).reshape(-1, 3) for name in ("price", "speed"))
            return np.asarray(logsumexp(money[:, None] * price + speed * fast, axis=1))

        gains += share * (level(after) - level(before)) / -money
    return gains


def slopes(function: Callable[[np.ndarray], float], params: np.ndarray) -> np.ndarray:
    steps = 1e-5 * np.eye(len(params))
    return np.array([(function(params + step) - function(params - step)) / 2e-5 for step in steps])


def test_surplus_is_the_mean_of_what_each_gains(alike: Fit, log: ChoiceLog, after: ChoiceLog) -> None:
    expected = own_gains(alike.params, log, after, by_income=False)
    np.testing.assert_allclose(case_surplus(alike, log, cost="price", after=after), expected, rtol=1e-9, atol=1e-12)
    found = surplus(alike, log, cost="price", after=after)["all"].per_choice
    assert found.value == pytest.approx(expected.mean(), rel=1e-9)
    slope = slopes(lambda at: float(own_gains(at, log, after, by_income=False).mean()), alike.params)
    error = np.sqrt(slope @ alike.covariance() @ slope)
    assert found.standard_error == pytest.approx(error, rel=1e-4)
    few = IntervalOptions(draws=60)
    drawn = surplus(alike, log, cost="price", after=after, method="simulation", options=few)["all"].per_choice
    points = draws_of(alike, alike.covariance(), few)
    ends = np.percentile([own_gains(at, log, after, by_income=False).mean() for at in points], [2.5, 97.5])
    assert [drawn.low, drawn.high] == pytest.approx(ends, rel=1e-9)
    assert drawn.low < found.value < drawn.high
    # It is not the mean gain of utility over the mean marginal utility.
    pooled = (alike.predict(after).logsum - alike.predict(log).logsum).mean()
    share = 1 / (1 + np.exp(-alike["share2.constant"]))
    pooled /= -(1 - share) * alike["class1.price"] - share * alike["class2.price"]
    assert abs(pooled - found.value) > found.high - found.value


def test_surplus_by_memberships_and_where_several_terms_hold_the_price(told: Fit, log: ChoiceLog) -> None:
    log = log.with_columns({"income": 0.1 * log.numbers("income")})
    after = log.with_columns({"speed": log.numbers("speed") + (log.alternative_codes == 0)})
    expected = own_gains(told.params, log, after, by_income=True)
    np.testing.assert_allclose(case_surplus(told, log, cost="price", after=after), expected, rtol=1e-7, atol=1e-10)
    answer = told.whatif(log, "speed[alternative == 'a'] += 1", cost="price")
    assert answer.surplus[0].per_choice.value == pytest.approx(expected.mean(), rel=1e-7)
    # Memberships that a change moves are those of before.
    richer = log.with_columns({"income": log.numbers("income") + 0.05, "speed": after.numbers("speed")})
    raised = LatentClass("price + speed", membership="income", starts=1).fit(log)
    assert isinstance(raised.law, LatentLaw)
    assert (np.abs(raised.law.shares(richer, raised.params) - raised.law.shares(log, raised.params)) > 1e-4).any()
    np.testing.assert_allclose(
        case_surplus(raised, log, cost="price", after=richer), case_surplus(raised, log, cost="price", after=after)
    )


def test_a_dearer_world_costs_everybody_that_much(alike: Fit, log: ChoiceLog) -> None:
    dearer = log.with_columns({"price": log.numbers("price") + 0.75})
    np.testing.assert_allclose(case_surplus(alike, log, cost="price", after=dearer), -0.75)
    found = surplus(alike, log, cost="price", after=dearer)["all"].per_choice
    assert found.standard_error == pytest.approx(0, abs=1e-7)


def test_a_class_that_likes_to_pay_has_no_money(log: ChoiceLog) -> None:
    fit = LatentClass("price + speed", fixed={"class2.price": 0.1}, starts=1).fit(log)
    with pytest.raises(SpecificationError, match="a higher 'price' does not lower utility in class 2"):
        surplus(fit, log, cost="price")
    with pytest.raises(SpecificationError, match="a higher 'price' raises utility in class 2.*no mean over classes"):
        willingness_to_pay(fit, "speed", cost="price")
    assert willingness_to_pay(fit, "class1.speed", cost="class1.price").items[0].worth.value > 0


@pytest.mark.parametrize("method", ["delta", "krinsky-robb"])
def test_worths_by_class_and_their_mean(alike: Fit, method: str) -> None:
    found = willingness_to_pay(alike, "speed", "-speed", cost="price", scale=10, method=method, options=BROAD)

    def worths(at: np.ndarray) -> np.ndarray:
        own = -10 * at[1:4:2] / at[0:4:2]
        share = 1 / (1 + np.exp(-at[4]))
        return np.array([own @ [1 - share, share], *own])

    labels = ("speed", "speed in class 1", "speed in class 2")
    covariance = alike.covariance()
    by_label = [slopes(lambda at, k=k: float(worths(at)[k]), alike.params) for k in range(3)]  # type: ignore[misc]
    for place, (label, slope) in enumerate(zip(labels, by_label, strict=True)):
        error = np.sqrt(slope @ covariance @ slope)
        assert found[label].value == pytest.approx(worths(alike.params)[place], rel=1e-9)
        assert found[label].standard_error == pytest.approx(error, rel=1e-4 if method == "delta" else 0.25)
        assert found[f"-{label}"].value == pytest.approx(-found[label].value)
        alone = (
            willingness_to_pay(alike, f"class{place}.speed", cost=f"class{place}.price", scale=10) if place else None
        )
        assert alone is None or alone.items[0].worth.value == pytest.approx(found[label].value)
    assert [item.name for item in found.items] == [*labels, *(f"-{label}" for label in labels)]
    assert any("classes by their shares" in note for note in found.assumptions)


def test_worths_at_values(log: ChoiceLog) -> None:
    fit = LatentClass("price + {speed ** 2}", starts=1).fit(log)
    found = willingness_to_pay(fit, "speed", cost="price", at={"speed": 3.0})
    for k in (1, 2):
        expected = -6 * fit[f"class{k}.speed ** 2"] / fit[f"class{k}.price"]
        assert found[f"speed in class {k}"].value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "cost", "method", "complaint"),
    [
        ("speed", "class1.price", "delta", "each class has its own coefficient of 'speed': name .* class1.speed"),
        ("class1.speed", "price", "delta", "'class1.speed' is of one class: then give the cost of that class too"),
        ("speed", "price", "fieller", "Fieller's .* a mean over classes is none; name parameters of a class"),
        ("sped", "price", "delta", "no parameter 'sped'.*did you mean 'speed'"),
    ],
)
def test_what_has_no_worth(alike: Fit, name: str, cost: str, method: str, complaint: str) -> None:
    with pytest.raises(SpecificationError, match=complaint):
        willingness_to_pay(alike, name, cost=cost, method=method)


def test_a_mean_worth_needs_shares_that_are_the_same_for_all(told: Fit) -> None:
    with pytest.raises(SpecificationError, match="memberships depend on income, so a mean over classes"):
        willingness_to_pay(told, "speed", cost="price")
    assert np.isfinite(willingness_to_pay(told, "class1.speed", cost="class1.price")["class1.speed"].low)
