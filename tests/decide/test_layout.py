"""Layouts: the coding, the search, what is learned, and what is refused."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from revealed.decide.layout import (
    Category,
    CombinationBandit,
    Context,
    Design,
    LayoutLearner,
    LayoutSpace,
    LayoutWorld,
    Number,
    Priors,
    Search,
    SearchOptions,
    SlotBandits,
    effects_of,
    regret_of,
)
from revealed.decide.layout.contrasts import contrasts
from revealed.decide.layout.design import GROUPS
from revealed.errors import DataError, RevealedError, SpecificationError
from revealed.models.glm.full import FullPosterior

PAGE = {"headline": ["plain", "bold"], "image": ["cat", "dog", "none"], "order": ["up", "down"]}
CLIMB = SearchOptions(exhaustive_up_to=0)


def space_of(*sizes: int) -> LayoutSpace:
    return LayoutSpace.of({f"s{i}": [f"o{j}" for j in range(size)] for i, size in enumerate(sizes)})


def rng_of(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


# ---- the space ------------------------------------------------------------------------------------------------------


def test_constraints_leave_exactly_the_layouts_that_keep_them() -> None:
    space = LayoutSpace.of(PAGE, [{"headline": "bold", "image": ["cat", "dog"]}, {"image": "none", "order": "up"}])
    kept = [
        dict(zip(PAGE, options, strict=True))
        for options in product(*PAGE.values())
        if not (options[0] == "bold" and options[1] in ("cat", "dog")) and options[1:] != ("none", "up")
    ]
    assert [space.decode(row) for row in space.layouts()] == kept
    assert np.array_equal(space.encode(kept), space.layouts())
    assert LayoutSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@pytest.mark.parametrize(
    ("slots", "forbidden", "message"),
    [
        ({}, [], "a layout needs slots"),
        ({"a": []}, [], "slot 'a' has no options"),
        ({"a": ["x"]}, [], "slot 'a' has only the option 'x'; there is nothing to choose"),
        ({"a": ["x", "x"]}, [], "slot 'a' has the option 'x' twice"),
        (PAGE, [{"hedline": "bold", "image": "cat"}], "no slot 'hedline'; did you mean 'headline'?"),
        (PAGE, [{"headline": "blod", "image": "cat"}], "slot 'headline' has no option 'blod'; did you mean 'bold'?"),
        (PAGE, [{"headline": "bold"}], "between options of two slots, not 1"),
        (PAGE, [{"headline": PAGE["headline"], "image": PAGE["image"]}], "no layout is allowed: the 6 constraints"),
        # No single slot is empty, yet nothing fits: three slots of two options that must all differ.
        (
            {"a": ["0", "1"], "b": ["0", "1"], "c": ["0", "1"]},
            [{one: v, other: v} for one, other in ("ab", "bc", "ac") for v in "01"],
            "no layout is allowed: the 6 constraints leave no way to fill all 3 slots",
        ),
    ],
)
def test_bad_spaces(slots: dict[str, list[str]], forbidden: list[dict[str, str]], message: str) -> None:
    with pytest.raises(SpecificationError, match=message.replace("?", r"\?")):
        LayoutSpace.of(slots, forbidden)


def test_bad_layouts() -> None:
    space = LayoutSpace.of(PAGE, [{"headline": "bold", "image": "cat"}])
    good = {"headline": "plain", "image": "cat", "order": "up"}
    with pytest.raises(SpecificationError, match="no slot 'oder'; did you mean 'order'"):
        space.encode([{"headline": "plain", "image": "cat", "oder": "up"}])
    with pytest.raises(SpecificationError, match="order is missing"):
        space.encode([{"headline": "plain", "image": "cat"}])
    with pytest.raises(SpecificationError, match="no option 'cta'; did you mean 'cat'"):
        space.encode([{**good, "image": "cta"}])
    with pytest.raises(DataError, match="not allowed: headline=bold, image=cat, order=up") as refused:
        space.encode([good, {**good, "headline": "bold"}])
    assert refused.value.problems[0].rows == (2,)
    with pytest.raises(SpecificationError, match="numbered from 0"):
        LayoutLearner.fresh(Design.of(space)).learn(np.array([[0, 3, 0]]), np.array([1.0]))
    with pytest.raises(SpecificationError, match="too many to list"):
        CombinationBandit.fresh(space_of(*[3] * 15))


# ---- the predictor --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3, 7])
def test_contrasts_sum_to_zero_and_treat_options_alike(size: int) -> None:
    matrix = contrasts(size)
    np.testing.assert_allclose(matrix.sum(axis=0), 0, atol=1e-12)
    covariance = matrix @ matrix.T  # of effects, for parameters of variance one
    np.testing.assert_allclose(np.diag(covariance), 1)
    np.testing.assert_allclose(covariance[~np.eye(size, dtype=bool)], -1 / (size - 1))


def test_rows_and_tables_agree_with_each_other_in_context() -> None:
    context = Context((Number("hour", 12, 6), Category("device", ("phone", "tablet", "desk"))))
    space = LayoutSpace.of(PAGE)
    design = Design.of(space, pairs=[("order", "headline"), ("image", "order")], context=context, by_context=["image"])
    assert design.n_params == 1 + (1 + 2 + 1) + (1 + 2) + 3 + 2 * 3
    assert [GROUPS[g] for g in np.unique(design.groups)] == list(GROUPS)
    params = rng_of(0).standard_normal(design.n_params)
    for seen in ({"hour": 3, "device": "desk"}, {"hour": 20.5, "device": "tablet"}):
        features = context.encode([seen])
        level, unary, pairs = design.tables(params, features[0])
        layouts = space.layouts()
        flat = layouts + space.offsets
        by_tables = level + unary[flat].sum(1) + 0.5 * pairs[flat[:, :, None], flat[:, None, :]].sum((1, 2))
        by_rows = design.rows(layouts, np.repeat(features, len(layouts), axis=0)) @ params
        np.testing.assert_allclose(by_tables, by_rows, atol=1e-12)
    again = Design.from_dict(json.loads(json.dumps(design.to_dict())))
    assert np.array_equal(again.rows(layouts, np.ones((12, 3))), design.rows(layouts, np.ones((12, 3))))


def test_all_pairs_and_context_span_every_predictor_there_is() -> None:
    """With two slots, effects and pairs can say anything of the layouts, and nothing twice."""
    design = Design.of(space_of(3, 4))
    assert design.n_params == 12 == np.linalg.matrix_rank(design.rows(design.space.layouts()))


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, "one context is needed for each of 1 layouts; there are none"),
        ({"huor": 1, "device": "desk"}, "no context 'huor'; did you mean 'hour'"),
        ({"hour": 1}, "device is missing"),
        ({"hour": 1, "device": "dsk"}, "context 'device' has no level 'dsk'; did you mean 'desk'"),
        ({"hour": float("nan"), "device": "desk"}, "nan where a finite number must be"),
        ({"hour": float("inf"), "device": "desk"}, "inf where a finite number must be"),
        ({"hour": "noon", "device": "desk"}, "'noon' where a finite number must be"),
    ],
)
def test_bad_contexts(context: dict[str, object] | None, message: str) -> None:
    fields = Context((Number("hour"), Category("device", ("phone", "desk"))))
    learner = LayoutLearner.fresh(Design.of(LayoutSpace.of(PAGE), context=fields))
    with pytest.raises(RevealedError, match=message):
        learner.decide(context, seed=1)


def test_bad_designs_and_priors() -> None:
    space = LayoutSpace.of(PAGE)
    with pytest.raises(SpecificationError, match="no slot 'imgae'; did you mean 'image'"):
        Design.of(space, pairs=[("headline", "imgae")])
    with pytest.raises(SpecificationError, match="a pair is of two slots"):
        Design.of(space, pairs=[("image", "image")])
    with pytest.raises(SpecificationError, match="depend on the context need one"):
        Design.of(space, by_context=["image"])
    with pytest.raises(SpecificationError, match="this design has no context"):
        LayoutLearner.fresh(Design.of(space)).decide({"hour": 1}, seed=1)
    with pytest.raises(SpecificationError, match="prior's pair must be a finite number above zero, not 0"):
        Priors(pair=0.0)


# ---- the search -----------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(2, 4), min_size=1, max_size=5),
    n_forbidden=st.integers(0, 12),
    seed=st.integers(0, 2**32),
    climb=st.booleans(),
)
def test_the_search_finds_what_brute_force_finds(sizes: list[int], n_forbidden: int, seed: int, climb: bool) -> None:
    rng, free = rng_of(seed), space_of(*sizes)
    forbidden = []
    for _ in range(n_forbidden if len(sizes) > 1 else 0):
        i, j = sorted(rng.choice(len(sizes), 2, replace=False).tolist())
        forbidden.append({f"s{i}": f"o{rng.integers(sizes[i])}", f"s{j}": f"o{rng.integers(sizes[j])}"})
    try:
        space = LayoutSpace.of({slot.name: slot.options for slot in free.slots}, forbidden)
    except SpecificationError:
        flat = free.layouts()  # then there must be none indeed
        broken = [[r[s] == f"o{row[int(s[1:])]}" for r in forbidden for s in r] for row in flat]
        assert all(any(a and b for a, b in zip(row[::2], row[1::2], strict=True)) for row in broken)
        return
    design = Design.of(space)
    params = rng.standard_normal(design.n_params)
    level, unary, pairs = design.tables(params)
    found = Search(space, CLIMB if climb else None).best(unary, pairs, rng)
    true = design.rows(space.layouts()) @ params
    value = design.rows(np.array([found.layout])) @ params
    assert space.allowed(np.array([found.layout])).all()
    assert found.certain is not climb
    np.testing.assert_allclose(level + found.value, value[0], atol=1e-9)
    assert value[0] <= true.max() + 1e-9
    if not climb:
        np.testing.assert_allclose(value[0], true.max(), atol=1e-9)
    elif not forbidden:  # no change of one slot is better
        for slot, size in enumerate(sizes):
            others = np.array([[*found.layout[:slot], o, *found.layout[slot + 1 :]] for o in range(size)])
            assert (design.rows(others) @ params).max() <= value[0] + 1e-9


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2, 3), (3,) * 8])
def test_climbing_is_within_one_percent_in_99_of_100_draws(sizes: tuple[int, ...]) -> None:
    space = space_of(*sizes)
    design = Design.of(space)
    every, climb = Search(space), Search(space, CLIMB)
    rng, far = rng_of(7), 0
    for _ in range(300):
        _, unary, pairs = design.tables(rng.standard_normal(design.n_params))
        best, found = every.best(unary, pairs, rng).value, climb.best(unary, pairs, rng).value
        far += found < best - 0.01 * abs(best)
    assert far <= 3


def test_climbing_goes_where_looking_at_all_cannot() -> None:
    space = space_of(*[4] * 20)
    design = Design.of(space, pairs=False)
    learner = LayoutLearner.fresh(design)
    params = rng_of(1).standard_normal(design.n_params)
    found = learner.search.best(*design.tables(params)[1:], rng_of(2))
    assert found.method == "hill climbing"
    _, unary, _ = design.tables(params)
    assert found.layout == tuple(unary.reshape(20, 4).argmax(axis=1).tolist())  # without pairs a climb cannot fail
    assert learner.ranked(top=2).method == "hill climbing"


def test_bad_search_options() -> None:
    with pytest.raises(SpecificationError, match="one start and one round"):
        SearchOptions(starts=0)


# ---- learning -------------------------------------------------------------------------------------------------------


def shown_and_answered(world: LayoutWorld, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng, every = rng_of(seed), world.design.space.layouts()
    layouts = every[rng.integers(len(every), size=count)]
    return layouts, (rng.random(count) < world.rates(layouts)).astype(np.float64)


def test_intervals_cover_true_effects() -> None:
    truth = Priors(level=-1.0)
    covered, wide = [], []
    for seed in range(30):
        world = LayoutWorld.random(space_of(2, 3, 2), seed, truth)
        learner = LayoutLearner.fresh(world.design, priors=truth).learn(*shown_and_answered(world, 800, seed))
        exact = FullPosterior.independent(world.params, np.full(len(world.params), 1e-12))
        true = [e.mean for e in effects_of(world.design, exact, np.ones(len(world.params)))]
        found = learner.effects(0.9)
        assert sum(e.mean for e in found if e.slots == ("s1",)) == pytest.approx(0, abs=1e-12)
        covered += [e.low <= t <= e.high for e, t in zip(found, true, strict=True)]
        wide += [e.told for e in found]
    assert 0.86 < np.mean(covered) < 0.94
    assert min(wide) > 0.2


def test_effects_are_differences_of_predictors() -> None:
    """An option's effect is its mean predictor over all layouts, less the mean of all."""
    world = LayoutWorld.random(space_of(2, 3, 2), 5, Priors())
    learner = LayoutLearner.fresh(world.design).learn(*shown_and_answered(world, 300, 5))
    every = world.design.space.layouts()
    mean = learner.posterior.predictor(world.design.rows(every))[0]
    by_name = {e.name: e.mean for e in learner.effects()}
    middle = every[:, 1] == 1
    assert by_name["s1=o1"] == pytest.approx(mean[middle].mean() - mean.mean())
    both = middle & (every[:, 0] == 0)
    alone = by_name["s1=o1"] + by_name["s0=o0"]
    assert by_name["s0=o0 × s1=o1"] == pytest.approx(mean[both].mean() - mean.mean() - alone)


def test_decisions_are_pure_and_their_propensities_are_frequencies() -> None:
    space = LayoutSpace.of(PAGE, [{"headline": "bold", "image": "cat"}])
    world = LayoutWorld.random(space, 3, Priors(level=-1))
    learner = LayoutLearner.fresh(world.design).learn(*shown_and_answered(world, 300, 3))
    again = LayoutLearner.from_dict(json.loads(json.dumps(learner.to_dict())))
    one, same = learner.decide(seed=5, pool=50), again.decide(seed=5, pool=50)
    assert one == same
    assert (
        one.logged("d1").policy_version == learner.version == again.version != LayoutLearner.fresh(world.design).version
    )
    assert one.to_dict()["method"] == "exhaustive"
    singles = [learner.decide(seed=seed).options for seed in range(1000)]
    assert space.allowed(np.array(singles)).all()
    pooled = learner.decide(seed=11, pool=1000)
    assert pooled.propensity == pytest.approx(singles.count(pooled.options) / 1000, abs=0.06)
    with pytest.raises(SpecificationError, match="propensity of a single draw is not known"):
        learner.decide(seed=1).logged("d")
    with pytest.raises(SpecificationError, match="one draw or more"):
        learner.decide(seed=1, pool=0)


def test_answers_come_out_as_they_went_in(tmp_path: Path) -> None:
    world = LayoutWorld.random(space_of(2, 3), 1, Priors())
    layouts, answers = shown_and_answered(world, 60, 1)
    before = LayoutLearner.fresh(world.design).learn(layouts[:40], answers[:40])
    after, sites = before.learned([world.design.space.decode(row) for row in layouts[40:]], answers[40:])
    np.testing.assert_allclose(after.without(sites).posterior.mean, before.posterior.mean, atol=1e-10)
    loaded = LayoutLearner.load(after.save(tmp_path / "policy.json"))
    assert np.array_equal(loaded.posterior.precision, after.posterior.precision)
    assert loaded.decide(seed=9) == after.decide(seed=9)
    data = {**after.to_dict(), "format": 2}
    with pytest.raises(SpecificationError, match="of format 2; read it with the version that wrote it"):
        LayoutLearner.from_dict(data)
    with pytest.raises(DataError, match="there is no such file(.|\n)*LayoutLearner.save"):
        LayoutLearner.load(tmp_path / "nothing.json")
    (tmp_path / "policy.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        LayoutLearner.load(tmp_path / "policy.json")


@pytest.mark.parametrize(
    ("answers", "message"),
    [([1.0, 2.0], "not 0 or 1: 2.0"), ([1.0, float("nan")], "not finite"), ([1.0], "1 answers for 2 ")],
)
def test_bad_answers(answers: list[float], message: str) -> None:
    space = LayoutSpace.of(PAGE)
    for policy in (LayoutLearner.fresh(Design.of(space)), SlotBandits.fresh(space), CombinationBandit.fresh(space)):
        if message == "not finite" and not isinstance(policy, LayoutLearner):
            message = "not 0 or 1: nan"
        with pytest.raises(RevealedError, match=message):
            policy.learn(space.layouts()[:2], np.array(answers))


def test_context_decides() -> None:
    """In a world where cats are for the morning and dogs for the evening, the learner comes to show just that."""
    space = LayoutSpace.of({"image": ["cat", "dog"], "order": ["up", "down"]})
    design = Design.of(space, context=Context((Category("time", ("morning", "evening")),)))
    rng = rng_of(3)
    layouts = space.layouts()[rng.integers(4, size=3000)]
    times = [{"time": ("morning", "evening")[i]} for i in rng.integers(2, size=3000)]
    fits = np.array([(row[0] == 0) == (seen["time"] == "morning") for row, seen in zip(layouts, times, strict=True)])
    answers = (rng.random(3000) < np.where(fits, 0.5, 0.2)).astype(np.float64)
    learner = LayoutLearner.fresh(design).learn(layouts, answers, times)
    for time, image in (("morning", "cat"), ("evening", "dog")):
        assert {learner.decide({"time": time}, seed=i).layout["image"] for i in range(20)} == {image}
        assert learner.ranked({"time": time}).layouts[0].layout["image"] == image
    told = {e.name: e for e in learner.effects() if e.kind == "option by context"}
    assert told["image=cat × time:1"].mean == pytest.approx(-told["image=dog × time:1"].mean)
    assert learner.effects()[-1].told > 0.5


def test_ranking_agrees_with_brute_force() -> None:
    world = LayoutWorld.random(space_of(2, 3, 2), 8, Priors(level=-1))
    learner = LayoutLearner.fresh(world.design, "probit").learn(*shown_and_answered(world, 500, 8))
    ranking = learner.ranked(top=100)
    every = world.design.space.layouts()
    mean, variance = learner.posterior.predictor(world.design.rows(every))
    rate = learner.model.link.expected(mean, variance)
    assert [item.rate for item in ranking.layouts] == pytest.approx(sorted(rate, reverse=True))
    assert ranking.median == pytest.approx(np.median(rate))
    assert sum(item.best for item in ranking.layouts) == pytest.approx(1)
    assert all(item.low < item.rate < item.high for item in ranking.layouts)
    assert json.loads(json.dumps(ranking.to_dict()))["n_layouts"] == 12
    with pytest.raises(SpecificationError, match="one layout or more"):
        learner.ranked(top=0)
    with pytest.raises(SpecificationError, match="a level must lie between 0 and 1"):
        learner.ranked(level=1.0)


# ---- rivals ---------------------------------------------------------------------------------------------------------


def test_rivals_count() -> None:
    space = LayoutSpace.of({"a": ["0", "1"], "b": ["0", "1"]}, [{"a": "1", "b": "1"}])
    layouts, answers = np.array([[0, 0], [0, 1], [0, 1], [1, 0]]), np.array([1.0, 0.0, 1.0, 0.0])
    slots = SlotBandits.fresh(space).learn(layouts, answers)
    assert slots.counts.tolist() == [[3, 2], [1, 2], [2, 2], [2, 2]]
    arms = CombinationBandit.fresh(space, (2.0, 3.0)).learn(layouts, answers)
    assert arms.arms.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert arms.counts.tolist() == [[3, 3], [3, 4], [2, 4]]
    for policy in (slots, arms):
        shown = np.array([policy.decide(seed=i).options for i in range(200)])
        assert space.allowed(shown).all()
        assert len(np.unique(shown, axis=0)) == 3
    even = np.tile([60.0, 40.0], (4, 1))
    even[1] = [50.0, 50.0]  # the second option of slot a is the worse by 1.4 deviations
    wide, narrow = (SlotBandits(space_of(2, 2), even, width) for width in (1.0, 0.5))
    worse = [np.mean([policy.decide(seed=i).options[0] for i in range(1000)]) for policy in (wide, narrow)]
    assert worse == pytest.approx([ndtr(-1.43), ndtr(-2.86)], abs=0.03)
    with pytest.raises(SpecificationError, match="width must be a finite number above zero"):
        CombinationBandit.fresh(space, width=0.0)
    with pytest.raises(SpecificationError, match="Beta prior"):
        SlotBandits.fresh(space, (0.0, 1.0))


def test_regret_is_lowest_with_interactions() -> None:
    """Against the three of the paper, in worlds of 2×2×2×2×3 with interactions, on the same luck."""
    space, truth = space_of(2, 2, 2, 2, 3), Priors(level=-1.5, option=0.4, pair=0.4)
    totals = np.array(
        [
            [regret_of(policy, world, 800, seed, batch=100)[-1] for policy in (
                LayoutLearner.fresh(Design.of(space)),
                LayoutLearner.fresh(Design.of(space, pairs=False)),
                SlotBandits.fresh(space, width=0.5),
                CombinationBandit.fresh(space, width=0.5),
            )]
            for seed, world in ((seed, LayoutWorld.random(space, seed, truth)) for seed in range(2))
        ]
    )  # fmt: skip
    full, alone, slots, arms = totals.mean(axis=0)
    assert full < min(alone, slots, arms)


def test_a_policy_may_number_options_otherwise_than_the_world() -> None:
    world = LayoutWorld.random(LayoutSpace.of(PAGE), 2, Priors(level=-1))
    turned = LayoutSpace.of({name: options[::-1] for name, options in reversed(PAGE.items())})
    every = world.design.space.layouts()
    best = world.design.space.decode(every[world.rates(every).argmax()])
    sure = LayoutLearner.fresh(Design.of(turned)).learn(
        [world.design.space.decode(row) for row in np.repeat(every, 400, axis=0)],
        np.concatenate([np.arange(400) < 400 * rate for rate in world.rates(every)]).astype(np.float64),
    )
    assert sure.ranked().layouts[0].layout == best
    assert regret_of(sure, world, 50, seed=1)[-1] < 2
