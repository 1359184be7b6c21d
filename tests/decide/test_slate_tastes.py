"""Tastes: a known truth recovered, exposure not taken for liking, learned and unlearned, refusals."""

import json

import numpy as np
import pytest

from revealed.decide.slate import Categories, Tastes
from revealed.errors import DataError, SpecificationError

CATEGORIES = Categories.of(["a", "b", "c", ["a", "b"], []])


def test_a_new_person_is_like_everybody():
    tastes = Tastes.new(CATEGORIES)
    assert tastes.weights().tolist() == [1.0, 1.0, 1.0]
    draws = tastes.draw(np.random.default_rng(0), 20_000)
    assert draws.mean(axis=0) == pytest.approx(np.ones(3), abs=0.02)
    assert draws.var(axis=0) == pytest.approx(np.full(3, 1 / 5), rel=0.05)


def test_weights_are_the_posterior_of_gamma_and_poisson():
    tastes = Tastes.new(CATEGORIES, strength=2.0).learn(
        CATEGORIES, np.array([0, 2, 3, 4]), np.array([0.3, 0.5, 0.4, 0.9]), np.array([True, False, True, True])
    )
    # Item 3 counts half for each of its two categories; item 4 is in none.
    assert tastes.chosen.tolist() == [1.5, 0.5, 0.0]
    assert tastes.foretold == pytest.approx([0.5, 0.2, 0.5])
    assert tastes.weights() == pytest.approx([3.5 / 2.5, 2.5 / 2.2, 2.0 / 2.5])


def test_what_is_shown_often_is_not_taken_for_liked():
    rng = np.random.default_rng(1)
    truth = np.array([0.7, 2.0, 1.0])
    tastes = Tastes.new(CATEGORIES)
    for _ in range(1500):
        items = rng.choice(3, 2, replace=False, p=[0.8, 0.1, 0.1])
        expected = rng.uniform(0.05, 0.3, 2)
        tastes = tastes.learn(CATEGORIES, items, expected, rng.random(2) < truth[items] * expected)
    errors = tastes.draw(rng, 4000).std(axis=0)
    assert tastes.chosen[0] > tastes.chosen[2]  # counts alone would have it the other way round
    assert tastes.weights()[0] < tastes.weights()[2]
    assert (np.abs(tastes.weights() - truth) < 3 * errors).all()


def test_what_was_learned_is_unlearned():
    start = Tastes.new(CATEGORIES).learn(CATEGORIES, np.array([1]), np.array([0.2]), np.array([True]))
    slate = (CATEGORIES, np.array([0, 3]), np.array([0.1, 0.7]), np.array([False, True]))
    back = start.learn(*slate).unlearn(*slate)
    assert back.weights() == pytest.approx(start.weights(), rel=1e-12)
    with pytest.raises(SpecificationError, match="did not learn from that slate"):
        Tastes.new(CATEGORIES).unlearn(*slate)


def test_json():
    tastes = Tastes.new(CATEGORIES).learn(CATEGORIES, np.array([1]), np.array([0.2]), np.array([True]))
    back = Tastes.from_dict(json.loads(json.dumps(tastes.to_dict())))
    assert back.weights().tolist() == tastes.weights().tolist()
    with pytest.raises(SpecificationError, match="tastes need their 'strength'"):
        Tastes.from_dict({"labels": [], "chosen": [], "foretold": []})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Tastes.new(CATEGORIES, 0.0), SpecificationError, "strength is 0.0"),
        (lambda: Tastes(("a",), np.array([-1.0]), np.array([1.0])), DataError, "chosen"),
        (lambda: Tastes(("a",), np.array([1.0]), np.array([1.0, 1.0])), SpecificationError, "foretold has shape (2,)"),
        (
            lambda: Tastes.new(CATEGORIES).learn(CATEGORIES, np.array([0]), np.array([np.nan]), np.array([True])),
            DataError,
            "expected",
        ),
        (
            lambda: Tastes.new(CATEGORIES).learn(
                Categories.of(["x"]), np.array([0]), np.array([0.1]), np.array([True])
            ),
            SpecificationError,
            "others than those of the tastes",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error) as refused:
        make()
    assert message in str(refused.value)
