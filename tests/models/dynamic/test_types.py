"""Types of decision makers that nobody observes."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logsumexp

from revealed.answer.counterfactual import OverTimeOptions
from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import (
    DecisionProcess,
    NestedFixedPoint,
    NestedPseudoLikelihood,
    Panel,
    StateSpace,
    TypesFit,
    UnobservedTypes,
    solved,
)
from revealed.models.dynamic.types import bootstrapped_types, with_types

FORMULA = {"keep": "x", "mend": "asc + type"}
TRUTH = {"x": -0.6, "asc[mend]": -3.5, "type": 2.0}
SHARE = 0.35
NAMES = tuple(TRUTH)


def wearing() -> DecisionProcess:
    """Return the process of a thing that wears out until it is mended."""
    worn = np.eye(6, k=1) * 0.7 + np.eye(6) * 0.3
    worn[-1, -1] = 1.0
    fresh = np.zeros((6, 6))
    fresh[:, 0] = 1.0
    return DecisionProcess.of(StateSpace.grid(x=range(6)), {"keep": worn, "mend": fresh}, 0.9)


def mixed(persons: int, periods: int, seed: int) -> Panel:
    """Return persons of two types who know the process and their rewards."""
    process, rng = wearing(), np.random.default_rng(seed)
    x = process.space.column("x")
    ways = [
        solved(process, np.column_stack([TRUTH["x"] * x, TRUTH["asc[mend]"] + kind * TRUTH["type"] + 0 * x])).policy[
            :, 1
        ]
        for kind in (0, 1)
    ]
    mend = np.stack(ways)
    kind = (np.arange(persons) < SHARE * persons).astype(int)
    state = np.zeros(persons, dtype=int)
    columns: dict[str, list[np.ndarray]] = {"person": [], "time": [], "x": [], "action": []}
    for period in range(periods):
        mends = rng.random(persons) < mend[kind, state]
        for name, values in zip(
            columns,
            (np.arange(persons), np.full(persons, period), state, np.where(mends, "mend", "keep")),
            strict=True,
        ):
            columns[name].append(values)
        worn = np.minimum(state + (rng.random(persons) < 0.7), 5)
        state = np.where(mends, 0, worn)
    table = pa.table({name: np.concatenate(values) for name, values in columns.items()})
    return Panel.from_rows(table, process.space)


def log_likelihood(panel: Panel, params: np.ndarray, share: float) -> float:
    """Return the log-likelihood of choices as the definition says, types unknown."""
    x_, base, more = params
    x, logs = wearing().space.column("x"), []
    for kind, part in ((0, 1 - share), (1, share)):
        policy = solved(wearing(), np.column_stack([x_ * x, base + kind * more + 0 * x])).policy
        taken = np.log(policy[panel.state, panel.action])
        logs.append(np.bincount(panel.person, taken) + np.log(part))
    return float(logsumexp(np.stack(logs), axis=0).sum())


@pytest.fixture(scope="module")
def panel() -> Panel:
    return mixed(400, 30, 1)


@pytest.fixture(scope="module")
def found(panel: Panel) -> TypesFit:
    start = {"asc[mend]": -3.0, "type": 1.0}
    return UnobservedTypes(NestedFixedPoint(FORMULA, start=start), starts=2, seed=1, tolerance=1e-8).fit(
        panel, wearing()
    )


def ordered(found: TypesFit) -> tuple[np.ndarray, float]:
    """Return parameters and the share of type 1, with type 1 the one that mends more."""
    x, base, more = (found.fit[name] for name in NAMES)
    if more > 0:
        return np.array([x, base, more]), float(found.shares[1])
    return np.array([x, base + more, -more]), float(found.shares[0])


def test_it_is_the_maximum_of_the_likelihood(panel: Panel, found: TypesFit) -> None:
    assert found.converged
    params, share = ordered(found)
    assert found.log_likelihood == pytest.approx(log_likelihood(panel, params, share), abs=1e-6)
    assert (np.diff(found.trail) > -1e-8).all()
    point, step = np.append(params, share), 1e-4
    for place in range(4):
        away = step * (np.arange(4) == place)
        gain = [log_likelihood(panel, *(lambda p: (p[:3], float(p[3])))(point + sign * away)) for sign in (1, -1)]
        slope = (gain[0] - gain[1]) / (2 * step)
        bend = (gain[0] + gain[1] - 2 * found.log_likelihood) / step**2
        assert abs(slope / np.sqrt(-bend)) < 0.01, place  # in standard errors


def test_the_truth_comes_back_and_the_types_are_told_apart(found: TypesFit) -> None:
    params, share = ordered(found)
    truth = np.array([TRUTH[name] for name in NAMES])
    np.testing.assert_array_less(np.abs(params - truth), 4 * found.fit.standard_errors("classic"))
    assert abs(share - SHARE) < 4 * found.share_errors[1]
    mends_more = int(found.fit["type"] > 0)
    right = (found.posterior[:, mends_more] > 0.5) == (np.arange(400) < SHARE * 400)
    assert right.mean() > 0.9


def test_standard_errors_are_those_of_the_observed_information(panel: Panel, found: TypesFit) -> None:
    params, share = ordered(found)
    point, step = np.append(params, share), 2e-3
    bends = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            ways = [
                sign_i * sign_j * log_likelihood(panel, at[:3], float(at[3]))
                for sign_i in (1, -1)
                for sign_j in (1, -1)
                for at in [point + step * (sign_i * np.eye(4)[i] + sign_j * np.eye(4)[j])]
            ]
            bends[i, j] = sum(ways) / (4 * step**2)
    errors = np.sqrt(np.diag(np.linalg.inv(-bends)))
    own = found.fit.standard_errors("classic")[[found.fit.names.index(name) for name in NAMES]]
    # The information of choices is the expected one, so the two differ by chance.
    np.testing.assert_allclose(own[[0, 2]], errors[[0, 2]], rtol=0.15)
    np.testing.assert_allclose(found.share_errors[1], errors[3], rtol=0.15)


def test_pseudo_likelihood_finds_the_same(panel: Panel, found: TypesFit) -> None:
    again = UnobservedTypes(NestedPseudoLikelihood(FORMULA), starts=1, seed=3).fit(panel, wearing())
    np.testing.assert_allclose(ordered(again)[0], ordered(found)[0], rtol=1e-2)
    answer = again.fit.over_time(periods=3, start=again.start(np.eye(6)[0]), options=OverTimeOptions(draws=0))
    shares = answer.of().after["mend"].value
    policy = again.fit.solution.policy.reshape(6, 2, 2)
    assert shares[0] == pytest.approx(again.shares @ policy[0, :, 1])


def test_one_type_that_is_two() -> None:
    process = with_types(wearing(), 3)
    assert process.space.shape == (6, 3)
    matrix = process.transitions[0].toarray().reshape(6, 3, 6, 3)
    for kind in range(3):
        np.testing.assert_array_equal(matrix[:, kind, :, kind], wearing().transitions[0].toarray())
    assert matrix.sum() == pytest.approx(18)


def climbed(panel: Panel) -> TypesFit:
    """Return types found from where the types are told apart already."""
    start = {"asc[mend]": -3.0, "type": 1.0}
    return UnobservedTypes(NestedFixedPoint(FORMULA, start=start), starts=1, seed=2, tolerance=1e-9).fit(
        panel, wearing()
    )


def test_a_weight_of_two_is_two_persons_who_chose_alike() -> None:
    once = mixed(150, 20, 4)
    twice = np.arange(once.n_observations)[once.person < 40]  # of both types
    rows = np.concatenate([np.arange(once.n_observations), twice])
    doubled = replace(
        once,
        state=once.state[rows],
        action=once.action[rows],
        following=once.following[rows],
        period=once.period[rows],
        person=np.concatenate([once.person, once.person[twice] + once.n_persons]),
        persons=pa.array(range(190)),
    )
    weighted = replace(once, weight=np.where(once.person < 40, 2.0, 1.0))
    several, weighed = climbed(doubled), climbed(weighted)
    assert weighed.converged
    assert weighed.log_likelihood == pytest.approx(several.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(ordered(weighed)[0], ordered(several)[0], rtol=1e-4)
    assert ordered(weighed)[1] == pytest.approx(ordered(several)[1], rel=1e-4)
    np.testing.assert_allclose(
        weighed.fit.standard_errors("classic"), several.fit.standard_errors("classic"), rtol=1e-3
    )
    assert abs(ordered(weighed)[1] - ordered(climbed(once))[1]) > 0.01  # so they do count


def test_weights_are_relative_to_persons() -> None:
    once = mixed(150, 20, 4)
    plain, threefold = climbed(once), climbed(replace(once, weight=np.full(once.n_observations, 3.0)))
    assert threefold.log_likelihood == pytest.approx(3 * plain.log_likelihood, rel=1e-8)
    np.testing.assert_allclose(ordered(threefold)[0], ordered(plain)[0], rtol=1e-4)
    for errors, share in (("classic", np.sqrt(1 / 3)), ("clustered", 1.0)):
        np.testing.assert_allclose(
            threefold.fit.standard_errors(errors), share * plain.fit.standard_errors(errors), rtol=1e-3
        )


def test_small_weights_settle_where_others_do() -> None:
    once = mixed(150, 20, 4)
    plain, small = climbed(once), climbed(replace(once, weight=np.full(once.n_observations, 1e-5)))
    np.testing.assert_allclose(ordered(small)[0], ordered(plain)[0], rtol=1e-4)
    assert (small.near_best, len(small.trail)) == (plain.near_best, len(plain.trail))


def test_a_draw_without_weighted_persons_is_a_draw_that_failed() -> None:
    once = mixed(60, 20, 4)
    few = replace(once, weight=np.where(once.person % 30 == 0, 1.0, 0.0))
    mixture = UnobservedTypes(NestedFixedPoint(FORMULA, start={"asc[mend]": -3.0, "type": 1.0}), starts=1, most=3)
    start = mixture.fit(once, wearing())
    drawn = bootstrapped_types(mixture, few, wearing(), start, draws=12, seed=1)
    assert drawn.failed > 0


def test_weights_of_a_persons_choices_are_one_weight(panel: Panel) -> None:
    weight = np.ones(panel.n_observations)
    weight[panel.person == 7] = np.arange((panel.person == 7).sum())
    mixture = UnobservedTypes(NestedFixedPoint(FORMULA))
    with pytest.raises(SpecificationError, match="choices of person 7 have weights that differ"):
        mixture.fit(replace(panel, weight=weight), wearing())
    with pytest.raises(SpecificationError, match="every person has weight zero"):
        mixture.fit(replace(panel, weight=0 * weight), wearing())


def test_what_cannot_be(panel: Panel) -> None:
    with pytest.raises(SpecificationError, match="no formula uses the column 'type'"):
        UnobservedTypes(NestedFixedPoint({"keep": "x", "mend": "asc"})).fit(panel, wearing())
    with pytest.raises(SpecificationError, match="two types and one start"):
        UnobservedTypes(NestedFixedPoint(FORMULA), types=1).fit(panel, wearing())
    with pytest.raises(SpecificationError, match="have a column 'type' already"):
        UnobservedTypes(NestedFixedPoint(FORMULA)).fit(panel, with_types(wearing(), 2))


def test_an_absorbing_state_that_is_left() -> None:
    stays = {action: np.eye(6) for action in ("keep", "mend")}
    process = DecisionProcess.of(StateSpace.grid(x=range(6)), stays, 0.9)
    with pytest.raises(DataError, match="an absorbing state was left"):
        NestedFixedPoint({"keep": "x", "mend": "asc"}).fit(mixed(20, 8, 2), process)


def test_moves_that_the_process_does_not_know_are_told_of() -> None:
    one = wearing()
    never = np.eye(6, k=1)
    never[-1, -1] = 1.0
    process = DecisionProcess.of(one.space, {"keep": never, "mend": one.transitions[1]}, 0.9)
    fit = NestedFixedPoint({"keep": "x", "mend": "asc"}).fit(mixed(50, 10, 2), process)
    assert any("have probability zero in the transitions" in remark for remark in fit.remarks)
