"""Several goals: weights, and levels kept on average by multipliers that are learned, near the best there is."""

import json

import numpy as np
import pytest

from revealed.decide.slate import AtLeast, Categories, Coverage, Multipliers, blend, select
from revealed.errors import DataError, SpecificationError

CATEGORIES = Categories.of(["a", "b", "c"] * 10)
POSITIONS = np.array([1.0, 0.6, 0.3])


def stream(seed: int, n_slates: int) -> tuple[np.ndarray, np.ndarray]:
    """Return clicks and margins of candidates slate after slate; what is liked brings less."""
    rng = np.random.default_rng(seed)
    clicks = rng.beta(2, 8, (n_slates, 30))
    return clicks, 3.0 - 5.0 * clicks + rng.normal(0, 0.7, clicks.shape)


def run(
    multipliers: Multipliers, n_slates: int, seed: int = 0, learning: bool = True
) -> tuple[Multipliers, np.ndarray, np.ndarray]:
    total = []
    averages = []
    for clicks, margin in zip(*stream(seed, n_slates), strict=True):
        measures = {"margin": margin}
        objective = Coverage(clicks, CATEGORIES, bonus=multipliers.bonus(measures, POSITIONS))
        slate = select(objective, 3, positions=POSITIONS, bound=False)
        total.append(Coverage(clicks, CATEGORIES).value(slate.order, POSITIONS))
        averages.append(float(POSITIONS @ margin[slate.order] / POSITIONS.sum()))
        if learning:
            multipliers = multipliers.learn(measures, slate.order, POSITIONS)
    return multipliers, np.array(total), np.array(averages)


def test_a_level_is_kept_at_nearly_the_least_cost():
    start = Multipliers.start(AtLeast("margin", level=2.5, worth=2.0))
    _, free, before = run(start, 200, learning=False)
    assert before.mean() < 2.0  # the level is not kept by itself
    learned, clicks, margins = run(start, 800)
    assert learned.averages["margin"] == pytest.approx(margins.mean())
    assert margins.mean() > 2.5 - 0.03
    assert margins[-400:].mean() == pytest.approx(2.5, abs=0.05)
    assert learned.binding == ("margin",)
    assert not learned.out_of_reach
    # The best constant multiplier in hindsight, found by bisection on another stream of the same world.
    low, high = 0.0, 2.0
    for _ in range(6):
        middle = (low + high) / 2
        _, value, reached = run(Multipliers(start.constraints, (middle,), (0.0,), (0.0,)), 150, seed=1, learning=False)
        low, high = (low, middle) if reached.mean() >= 2.5 else (middle, high)
    assert clicks[-600:].mean() > 0.97 * value.mean()
    assert clicks[-600:].mean() < free.mean()
    assert learned.values[0] == pytest.approx(high, abs=0.12)


def test_a_level_that_is_kept_anyway_costs_nothing():
    learned, *_ = run(Multipliers.start(AtLeast("margin", level=-1.0, worth=2.0)), 50)
    assert (learned.values, learned.binding) == ((0.0,), ())


def test_a_level_out_of_reach_is_said_so():
    learned, *_ = run(Multipliers.start(AtLeast("margin", level=50.0, worth=0.5)), 50)
    assert learned.out_of_reach == ("margin",)
    assert learned.values == (0.5,)


def test_exposure_of_a_category_can_be_kept_on_average():
    multipliers = Multipliers.start(AtLeast("rare", level=0.3, worth=1.0))
    measures = {"rare": CATEGORIES.holds("c").astype(float)}
    rng = np.random.default_rng(4)
    for _ in range(400):
        scores = rng.beta(2, 8, 30) * np.where(CATEGORIES.holds("c"), 0.3, 1.0)
        objective = Coverage(scores, CATEGORIES, bonus=multipliers.bonus(measures, POSITIONS))
        slate = select(objective, 3, positions=POSITIONS, bound=False)
        multipliers = multipliers.learn(measures, slate.order, POSITIONS)
    assert multipliers.averages["rare"] == pytest.approx(0.3, abs=0.02)


def test_multipliers_survive_json_and_start_empty():
    start = Multipliers.start(AtLeast("margin", 2.5, 2.0), AtLeast("rare", 0.1, 1.0))
    assert start.averages == {}
    measures = {"margin": np.array([1.0, 2.0]), "rare": np.array([0.0, 1.0])}
    learned = start.learn(measures, np.array([0]), np.ones(1))
    assert learned.values == (2.0, 1.0)  # the first step goes as far as a unit may be worth
    assert Multipliers.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned
    met = start.learn({"margin": np.array([2.5]), "rare": np.array([0.1])}, np.array([0]), np.ones(1))
    assert met.values == (0.0, 0.0)


def test_weights():
    goals = {"click": np.array([0.1, 0.3]), "margin": np.array([2.0, -1.0])}
    assert blend(goals, {"click": 1.0, "margin": 0.1}) == pytest.approx([0.3, 0.2])


GOALS = {"click": np.array([0.1, 0.3])}


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: blend({}, {}), SpecificationError, "there are no goals"),
        (lambda: blend(GOALS, {"clik": 1.0}), SpecificationError, "did you mean 'click'"),
        (lambda: blend(GOALS, {}), SpecificationError, "goal 'click' has no weight"),
        (lambda: blend(GOALS, {"click": np.inf}), SpecificationError, "the weight of goal 'click' is inf"),
        (lambda: blend({"click": np.array([np.nan])}, {"click": 1.0}), DataError, "goal 'click'"),
        (
            lambda: blend({**GOALS, "margin": np.ones(3)}, {"click": 1.0, "margin": 1.0}),
            SpecificationError,
            "goal 'margin' has shape (3,)",
        ),
        (lambda: AtLeast("margin", np.nan, 1.0), SpecificationError, "the level of 'margin' is nan"),
        (lambda: AtLeast("margin", 1.0, 0.0), SpecificationError, "the worth of 'margin' is 0.0"),
        (Multipliers.start, SpecificationError, "at least one constraint"),
        (
            lambda: Multipliers.start(AtLeast("m", 1.0, 1.0), AtLeast("m", 2.0, 1.0)),
            SpecificationError,
            "each name once",
        ),
        (
            lambda: Multipliers.start(AtLeast("margin", 1.0, 1.0)).bonus(GOALS, POSITIONS),
            SpecificationError,
            "no measure 'margin'",
        ),
        (
            lambda: Multipliers.start(AtLeast("m", 1.0, 1.0)).bonus({"m": np.array([np.inf])}, POSITIONS),
            DataError,
            "measure 'm'",
        ),
        (lambda: Multipliers.from_dict({"constraints": []}), SpecificationError, "multipliers need their 'values'"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error) as refused:
        make()
    assert message in str(refused.value)
