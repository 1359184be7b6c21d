"""Position effects: a known truth recovered with honest intervals, appeal and position told apart, refusals."""

import numpy as np
import pytest

from revealed.decide.slate import fit_positions
from revealed.errors import DataError, SpecificationError

TRUTH = np.array([1.0, 0.7, 0.45, 0.25])


def by_appeal(
    rng: np.random.Generator, n_slates: int = 3000, n_items: int = 40
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a log whose better items stand higher, yet each item in several positions."""
    appeal = rng.uniform(0.05, 0.6, n_items)
    item = rng.random((n_slates, n_items)).argpartition(len(TRUTH), axis=1)[:, : len(TRUTH)]
    rank = np.argsort(-appeal[item] + rng.normal(0, 0.15, item.shape), axis=1)
    item = np.take_along_axis(item, rank, axis=1)
    clicked = rng.random(item.shape) < TRUTH * appeal[item]
    position = np.broadcast_to(np.arange(len(TRUTH)), item.shape)
    return position.ravel(), clicked.ravel(), item.ravel()


def test_appeal_and_position_are_told_apart():
    position, clicked, item = by_appeal(np.random.default_rng(0), n_slates=20_000)
    effects = fit_positions(position, clicked, item=item)
    assert effects.converged
    assert effects.as_array() == pytest.approx(TRUTH, abs=0.02)
    naive = fit_positions(position, clicked).as_array()
    # Better items stand higher: the click rates exaggerate what position does.
    assert (naive[1:] < TRUTH[1:] - 0.03).all()


@pytest.mark.parametrize("n_items", [40, 150])
def test_intervals_cover_the_truth(n_items):
    rng, covered, runs = np.random.default_rng(3), np.zeros(3), 150
    for _ in range(runs):
        position, clicked, item = by_appeal(rng, n_slates=1000, n_items=n_items)
        effects = fit_positions(position, clicked, item=item)
        covered += [low < e < high for low, e, high in zip(effects.low, TRUTH, effects.high, strict=True)][1:]
    # Binomial 0.95 with 150 runs: three standard errors are 0.053.
    assert (covered / runs > 0.89).all()


def test_many_items_with_few_clicks_do_not_bias():
    # Each item is shown four times: a parameter for each would be of no use.
    rng = np.random.default_rng(1)
    n_items = 20_000
    appeal = rng.uniform(0.05, 0.9, n_items)
    item, position = np.repeat(np.arange(n_items), 4), rng.integers(0, 4, 4 * n_items)
    clicked = rng.random(4 * n_items) < TRUTH[position] * appeal[item]
    effects = fit_positions(position, clicked, item=item)
    assert np.abs(effects.as_array() - TRUTH).max() < 4 * max(effects.standard_error)
    assert max(effects.standard_error) < 0.02


def test_drawn_positions_need_no_items_but_propensities():
    rng = np.random.default_rng(2)
    # The better item is put first 80% of the time; with that known, no item is needed.
    first_is_good = rng.random(60_000) < 0.8
    appeal = np.where(np.stack([first_is_good, ~first_is_good], axis=1), 0.6, 0.2)
    clicked = rng.random(appeal.shape) < appeal * [1.0, 0.5]
    propensity = np.where(first_is_good, 0.8, 0.2)[:, None].repeat(2, axis=1)
    position = np.broadcast_to([0, 1], appeal.shape).ravel()
    fair = fit_positions(position, clicked.ravel(), propensity=propensity.ravel())
    assert fair.low[1] < 0.5 < fair.high[1]
    assert fit_positions(position, clicked.ravel()).high[1] < 0.4


def test_without_items_it_is_the_ratio_of_click_rates():
    position = np.repeat([0, 1], [10, 20])
    clicked = np.array([1] * 4 + [0] * 6 + [1] * 3 + [0] * 17)
    effects = fit_positions(position, clicked)
    assert effects.examination == pytest.approx((1.0, (3 / 20) / (4 / 10)), rel=1e-9)
    # The delta method for the logarithm of a ratio of two proportions.
    on_logs = np.sqrt((1 - 0.4) / 4 + (1 - 0.15) / 3)
    assert effects.standard_error[1] == pytest.approx(0.375 * on_logs, rel=1e-6)
    assert (effects.shown, effects.clicked) == ((10, 20), (4, 3))
    assert effects.to_dict()["level"] == 0.95


def test_one_position_is_one():
    effects = fit_positions(np.zeros(5, int), np.array([0, 1, 0, 1, 1]))
    assert (effects.examination, effects.standard_error, effects.converged) == ((1.0,), (0.0,), True)


ROWS = {"position": np.array([0, 1, 0, 1]), "clicked": np.array([1, 1, 0, 0])}


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"position": np.array([0, -1, 0, 1])}, DataError, "negative positions [entry 1]"),
        ({"position": np.array([0, 2, 0, 2])}, DataError, "nothing was shown [entry 1]"),
        ({"position": np.array([0, 9, 0, 1])}, DataError, "beyond the number of rows"),
        ({"clicked": np.array([1, 2, 0, 0])}, DataError, "neither 0 nor 1"),
        ({"clicked": np.array([1, 0, 0, 0])}, DataError, "nothing was clicked"),
        ({"clicked": np.array([1, 0])}, SpecificationError, "clicked has shape (2,)"),
        ({"propensity": np.array([1, 0.5, 0.0, 1])}, DataError, "propensity: 1 problem found"),
        ({"propensity": np.array([1, 0.5, np.nan, 1.5])}, DataError, "entries 2, 3"),
        ({"item": np.array([7, 8, 7, 8])}, DataError, "share no clicked item with the first"),
        ({"item": np.array([7, 8])}, SpecificationError, "item has shape (2,)"),
        ({"cluster": np.array([7, 8])}, SpecificationError, "cluster has shape (2,)"),
        ({"level": 95.0}, SpecificationError, "a level must lie between 0 and 1"),
        ({"position": np.zeros(0, int), "clicked": np.zeros(0, int)}, DataError, "there are no rows"),
    ],
)
def test_bad_input(changed, error, message):
    with pytest.raises(error) as refused:
        fit_positions(**{**ROWS, **changed})
    assert message in str(refused.value)
