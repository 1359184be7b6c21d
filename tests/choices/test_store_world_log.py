"""The log of a policy in the simulated store: whole, honest about propensities, and of any size."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax

from revealed.choices.feedback import read_feedback
from revealed.choices.store_world import Arrivals, Delay, LayoutWorld, StoreLog, StoreWorld, Visits
from revealed.choices.store_world.logs import TRUTH_KEY
from revealed.errors import DataError, OutputError, SpecificationError

WORLD = StoreWorld(n_items=6, n_context=4, n_item_attributes=3, base_rate=0.3, seed=1)


def towards_the_best(visits: Visits) -> np.ndarray:
    return np.asarray(softmax(3 * WORLD.probability(visits), axis=1))


def test_feedback_reads_the_log():
    table = WORLD.log(500, seed=2)
    assert table.column_names == [
        *("decision", "person", "time", "action", "position", "propensity", "reward", "answered_at"),
        *("x1", "x2", "x3", "a1", "a2"),
    ]
    feedback = read_feedback(table, position="position", person="person", time="time")
    assert (feedback.n_decisions, feedback.n_rows, int(feedback.answered.sum())) == (500, 500, 500)
    assert list(feedback.actions.labels) == [f"item{i}" for i in range(6)]
    visits = WORLD.visits(0, 500, seed=2)
    assert np.array_equal(feedback.numbers("x2"), visits.context[:, 2])
    assert np.array_equal(feedback.numbers("a1"), WORLD.tastes.attributes[feedback.action_codes, 1])
    assert np.array_equal(feedback.reward, WORLD.answer(visits, feedback.action_codes).reward)


@pytest.mark.parametrize("policy", ["uniform", towards_the_best])
def test_propensities_are_those_of_what_is_shown(policy):
    """Inverse propensities turn what the log earned into what another policy would have, whose value is known."""
    n = 40_000
    table = WORLD.log(n, policy=policy, seed=3)
    shown = table["action"].combine_chunks().indices.to_numpy()
    propensity, reward = table["propensity"].to_numpy(), table["reward"].to_numpy()
    visits = WORLD.visits(0, n, seed=3)
    share = np.bincount(shown, minlength=6) / n
    wanted = np.full((n, 6), 1 / 6) if policy == "uniform" else towards_the_best(visits)
    assert np.array_equal(propensity, wanted[np.arange(n), shown])
    assert np.abs(share - wanted.mean(axis=0)).max() < 4 * 0.5 / np.sqrt(n)
    means = WORLD.probability(visits)
    best = means.argmax(axis=1)
    weighted = (shown == best) * reward / propensity
    assert abs(weighted.mean() - means.max(axis=1).mean()) < 4 * weighted.std() / np.sqrt(n)


def test_only_what_is_in_the_store_is_shown():
    world = StoreWorld(n_items=6, positions=[1.0, 0.5], arrivals=Arrivals(initial=2, every=100))
    table = world.log(600)
    visits = world.visits(0, 600)
    slates = table["action"].combine_chunks().indices.to_numpy().reshape(600, 2)
    assert visits.eligible is not None
    assert np.take_along_axis(visits.eligible, slates, axis=1).all()
    assert (slates[:, 0] != slates[:, 1]).all()
    assert np.array_equal(table["propensity"].to_numpy()[::2], 1 / visits.eligible.sum(axis=1))
    assert table["position"].to_pylist()[:4] == [1, 2, 1, 2]
    assert table["decision"].to_pylist()[:4] == [0, 0, 1, 1]
    last = slates[visits.eligible.all(axis=1)]
    assert set(np.unique(last[:, 0])) == set(np.unique(last[:, 1])) == set(range(6))


def test_a_log_read_early_lacks_the_late_answers():
    world = StoreWorld(base_rate=0.4, delay=Delay(mean=300))
    whole, early = world.log(1000), world.log(1000, until=1000.0)
    answered_at, reward = whole["answered_at"].to_numpy(), whole["reward"].to_numpy()
    assert whole["reward"].null_count == 0
    assert np.array_equal(np.isnan(answered_at), reward == 0)
    came = answered_at <= 1000
    assert 0 < came.sum() < (reward == 1).sum()
    assert np.array_equal(early["reward"].is_valid().to_numpy(), came)
    assert np.array_equal(early["answered_at"].is_valid().to_numpy(), came)
    assert set(early["reward"].drop_null().to_pylist()) == {1.0}


def test_a_file_has_the_same_rows_piece_by_piece(tmp_path, monkeypatch):
    world = StoreWorld(n_items=5, delay=Delay(mean=50), positions=[1.0, 0.4], visits_per_person=3)
    whole = world.log(100, seed=4)
    monkeypatch.setattr("revealed.choices.store_world.logs._MOST_VISITS", 7)
    log = StoreLog(world, 100, seed=4)
    assert [len(piece) for piece in log.tables()] == [14] * 14 + [4]
    written = log.write(tmp_path / "log.parquet")
    assert (written.n_cases, written.n_rows) == (100, 200)
    table = pq.read_table(tmp_path / "log.parquet")
    for name in whole.column_names:
        assert table[name].to_pylist() == whole[name].to_pylist(), name
    truth = json.loads(pq.read_metadata(tmp_path / "log.parquet").metadata[TRUTH_KEY])
    assert truth["theta"] == dict(zip(world.feature_names, world.theta.tolist(), strict=True))


def test_a_log_is_written_whole_or_not_at_all(tmp_path):
    def fails(visits: Visits) -> np.ndarray:
        if visits.first:
            raise KeyboardInterrupt
        return np.full((len(visits), 6), 1 / 6)

    with pytest.raises(KeyboardInterrupt):
        StoreLog(WORLD, 70_000, fails).write(tmp_path / "log.parquet")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="cannot write"):
        StoreLog(WORLD, 10).write(tmp_path / "nowhere" / "log.parquet")


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        (lambda visits: np.full((len(visits), 5), 0.2), SpecificationError, r"shape \(20, 5\), and it takes \(20, 6\)"),
        (lambda visits: np.full((len(visits), 6), 0.2), DataError, r"do not sum to one \[cases 0, 1, 2, 3, 4; 20 in"),
        (lambda visits: np.full((len(visits), 6), np.nan), DataError, "do not sum to one"),
        (lambda visits: np.tile([-1.0, 2, 0, 0, 0, 0], (len(visits), 1)), DataError, "negative"),
        (lambda visits: np.full((len(visits), 6), 1 / 6), DataError, "items that are not in the store"),
        ("unifrom", SpecificationError, "no policy 'unifrom' to log; did you mean 'uniform'"),
    ],
)
def test_policies_that_are_none(policy, error, message):
    world = StoreWorld(n_items=6, arrivals=Arrivals(initial=2, every=100))
    with pytest.raises(error, match=message):
        world.log(20, policy=policy)


def test_logs_that_cannot_be():
    with pytest.raises(SpecificationError, match="at least one visit, not 0"):
        WORLD.log(0)
    with pytest.raises(SpecificationError, match="use a world without layout"):
        StoreWorld(n_context=1, layout=LayoutWorld(slots={"a": 2})).log(5)
    with pytest.raises(SpecificationError, match="the store has 2 positions"):
        StoreWorld(positions=[1.0, 1.0]).log(5, policy=towards_the_best)
