"""The latent-class logit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logsumexp

from revealed.choices import ChoiceLog, Columns, Partition, datasets
from revealed.errors import SpecificationError
from revealed.evidence import Detail
from revealed.models import Fit, LatentClass, Logit, Mixed
from tests.published import ELECTRICITY_CLASSES

TASTES = np.array([[-1.5, 0.3], [-0.3, 1.5]])
SHARE = (0.8, -1.2)  # of the second class: constant, and income


def people(persons: int, seed: int, cases: int = 8) -> tuple[ChoiceLog, np.ndarray]:
    """Return choices among three things of people of two classes, and which class each is of."""
    rng = np.random.default_rng(seed)
    income = rng.normal(0, 1, persons)
    second = rng.random(persons) < 1 / (1 + np.exp(-SHARE[0] - SHARE[1] * income))
    x = rng.normal(0, 1, (persons, cases, 3, 2))
    utility = np.einsum("ptjc,pc->ptj", x, TASTES[second.astype(int)]) + rng.gumbel(size=(persons, cases, 3))
    chosen = utility.argmax(axis=2)
    n = persons * cases
    table = {
        "case": np.repeat(np.arange(n), 3),
        "alternative": np.tile(["a", "b", "c"], n),
        "chosen": (np.arange(3) == chosen.reshape(-1, 1)).ravel(),
        "person": np.repeat(np.arange(persons), 3 * cases),
        "price": x[..., 0].ravel(),
        "speed": x[..., 1].ravel(),
        "income": np.repeat(income, 3 * cases),
    }
    return ChoiceLog.from_table(pa.table(table), Columns(person="person")), second


#: Memberships that are the same for all.
MODEL_ALIKE = LatentClass("price + speed", starts=2)
MODEL = LatentClass("price + speed", membership="income", starts=3, seed=1)


@pytest.fixture(scope="module")
def log() -> ChoiceLog:
    return people(300, 1)[0]


@pytest.fixture(scope="module")
def fit(log: ChoiceLog) -> Fit:
    return MODEL.fit(log)


def test_the_log_likelihood_is_what_the_definition_says(log: ChoiceLog) -> None:
    law = MODEL.law(log)
    params = np.random.default_rng(0).normal(0, 0.5, len(law.names))
    found = law.evidence(Partition(log, 0, log.n_cases), params, Detail.SCORE)
    total = 0.0
    x = np.stack([log.numbers("price"), log.numbers("speed")], axis=1).reshape(300, 8, 3, 2)
    chosen = np.asarray(log.chosen).reshape(300, 8, 3)
    income = log.numbers("income").reshape(300, -1)[:, 0]
    for p in range(300):
        share = np.array([0.0, params[4] + params[5] * income[p]])
        logs = share - logsumexp(share)
        for k in range(2):
            utility = x[p] @ params[2 * k : 2 * k + 2]
            logs[k] += (chosen[p] * (utility - logsumexp(utility, axis=1, keepdims=True))).sum()
        total += logsumexp(logs)
    assert found.log_likelihood == pytest.approx(total, rel=1e-12)


def test_score_and_information_are_slopes(log: ChoiceLog) -> None:
    law, everyone = MODEL.law(log), Partition(log, 0, log.n_cases)
    params = np.random.default_rng(3).normal(0, 0.5, len(law.names))
    found = law.evidence(everyone, params, Detail.INFORMATION)
    step = 1e-5
    for k in range(len(params)):
        away = step * (np.arange(len(params)) == k)
        up, down = (law.evidence(everyone, params + sign * away, Detail.SCORE) for sign in (1, -1))
        assert (up.log_likelihood - down.log_likelihood) / (2 * step) == pytest.approx(
            found.score[k], rel=1e-5, abs=1e-5
        )
        np.testing.assert_allclose(-(up.score - down.score) / (2 * step), found.information[k], rtol=1e-4, atol=1e-3)


def test_parts_add_up(log: ChoiceLog) -> None:
    law = MODEL.law(log)
    params = np.random.default_rng(4).normal(0, 0.5, len(law.names))
    whole = law.evidence(Partition(log, 0, log.n_cases), params, Detail.INFORMATION)
    parts = [
        law.evidence(Partition(log, a, b), params, Detail.INFORMATION) for a, b in ((0, 1003), (1003, log.n_cases))
    ]
    assert sum(part.log_likelihood for part in parts) == pytest.approx(whole.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(parts[0].information + parts[1].information, whole.information, rtol=1e-9, atol=1e-9)


def test_the_truth_comes_back_and_people_are_told_apart(fit: Fit, log: ChoiceLog) -> None:
    assert fit.status.sound
    assert fit.log_likelihood > Logit("price + speed").fit(log).log_likelihood + 100
    second = people(300, 1)[1]
    first_is_second = fit["class1.speed"] > 0.9
    classes = (1, 0) if first_is_second else (0, 1)
    for k, true in enumerate(classes, 1):
        for name, value in zip(("price", "speed"), TASTES[true], strict=True):
            error = fit.standard_errors()[fit.names.index(f"class{k}.{name}")]
            assert abs(fit[f"class{k}.{name}"] - value) < 4 * error
    _, posterior = MODEL.law(log).posterior(log, fit.params)
    told = posterior[:, classes.index(1)] > 0.5
    assert (told == second).mean() > 0.85
    sign = 1 if classes == (0, 1) else -1
    place = fit.names.index("share2.income")
    assert abs(fit["share2.income"] - sign * SHARE[1]) < 4 * fit.standard_errors()[place]


def test_it_answers_like_any_model(fit: Fit, log: ChoiceLog) -> None:
    shares = fit.probabilities(log).reshape(-1, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    answer = fit.whatif(log, "price[alternative == 'a'] += 1")
    assert answer.share("a").difference.value < -0.05
    assert answer.share("a").difference.low < answer.share("a").difference.value < answer.share("a").difference.high
    again = Fit.from_json(fit.to_json())
    np.testing.assert_array_equal(again.params, fit.params)
    np.testing.assert_allclose(again.probabilities(log), fit.probabilities(log))
    assert "membership in 2 classes" in str(fit.summary())


def test_shares_are_told_where_they_are_the_same_for_all(log: ChoiceLog) -> None:
    fit = MODEL_ALIKE.fit(log)
    told = fit.model.derived(fit.estimates)
    assert sum(told.values()) == pytest.approx(1)
    assert told["share of class 1"] > told["share of class 2"]
    assert told["share of class 1"] == pytest.approx(
        MODEL_ALIKE.law(log).posterior(log, fit.params)[1][:, 0].mean(), rel=1e-5
    )


def test_choices_of_weight_zero_are_as_good_as_not_there() -> None:
    log = people(60, 2, cases=4)[0]
    out = np.arange(log.n_cases) % 4 == 3
    table = log.table.append_column("weight", pa.array(np.repeat(np.where(out, 0.0, 1.0), 3)))
    weighted = ChoiceLog.from_table(table, Columns(person="person", weight="weight"))
    short = log.take_cases(np.flatnonzero(~out))
    params = np.array([-1.5, 0.3, -0.3, 1.5, 0.4])
    for model, at in (
        (MODEL_ALIKE, params),
        (Mixed("price + speed", random={"speed": "normal"}, draws=20), params[:3]),
    ):
        found, expected = (
            model.law(each).evidence(Partition(each, 0, each.n_cases), at, Detail.INFORMATION)
            for each in (weighted, short)
        )
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found.information, expected.information, rtol=1e-10, atol=1e-10)


def test_what_cannot_be(log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="two classes and one start"):
        LatentClass("price", classes=1)
    with pytest.raises(SpecificationError, match="wages"):
        LatentClass("price", membership="wages").fit(log)
    held = LatentClass("price + speed", fixed={"class1.price": 0.0}, starts=2).fit(log)
    assert held["class1.price"] == 0


def test_electricity_contracts_as_published() -> None:
    """The printed point has the printed likelihood; ours is the maximum a little above it, with the printed errors.

    The printed error of the share, .0788, is that of 750 independent choices and not of 63 people; it is left out.
    """
    printed = ELECTRICITY_CLASSES
    log = datasets.electricity().take_cases(np.arange(750))
    names = [name.removeprefix("class1.") for name in printed.rows if name.startswith("class1.")]
    fit = LatentClass(" + ".join(names), starts=3).fit(log)
    assert fit.names == tuple(printed.rows)
    point = np.array([float(value) for value, _ in printed.rows.values()])
    there = fit.law.evidence(Partition(log, 0, log.n_cases), point, Detail.SCORE).log_likelihood
    assert f"{there:.2f}" == printed.figures["log-likelihood"]
    assert there < fit.log_likelihood < there + 0.001
    for name, (value, error) in printed.rows.items():
        mine = fit.standard_errors("classic")[fit.index(name)]
        assert abs(fit[name] - float(value)) < 0.05 * mine, name
        if error:
            assert mine == pytest.approx(float(error), rel=3e-3), name
