"""Evidence of real choices: the group, its bits under any partition, and what it refuses."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from revealed.choices import ChoiceLog, Partition
from revealed.engine import InProcess, Threads
from revealed.errors import EvidenceError, SpecificationError
from revealed.evidence import Detail, Evidence, Gaussian
from revealed.models import Logit
from revealed.models.logit import LogitLaw
from tests.worlds import ragged, trips

POINT = np.array([0.3, -0.2, -0.8, -0.4])
UTILITY = "C(mode) + cost + time"


@pytest.fixture(scope="module")
def log() -> ChoiceLog:
    return trips(35_000, seed=3)


@pytest.fixture(scope="module")
def law(log: ChoiceLog) -> LogitLaw:
    return Logit(UTILITY).law(log)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_any_number_of_partitions_in_any_order_gives_the_same_bits(log: ChoiceLog, law: LogitLaw, count: int) -> None:
    whole = law.evidence(Partition(log, 0, log.n_cases), POINT, Detail.OUTER, ledger=True)
    parts = [law.evidence(p, POINT, Detail.OUTER, ledger=True) for p in log.partitions(count)]
    assert len(parts) == count
    for order in itertools.islice(itertools.permutations(parts), 8):
        total = Evidence.sum(order)
        assert total == whole
        for name in ("log_likelihood", "score", "information", "outer"):
            assert np.asarray(getattr(total, name)).tobytes() == np.asarray(getattr(whole, name)).tobytes(), name
        assert total.ledger is not None
        assert whole.ledger is not None
        assert total.ledger.by_person()[1].tobytes() == whole.ledger.by_person()[1].tobytes()


@pytest.mark.parametrize("engine", [InProcess(), Threads(1), Threads(2), Threads(3)], ids=str)
def test_every_engine_gives_the_same_bits(log: ChoiceLog, law: LogitLaw, engine: InProcess | Threads) -> None:
    whole = law.evidence(Partition(log, 0, log.n_cases), POINT, Detail.OUTER)
    assert engine.sum(lambda p: law.evidence(p, POINT, Detail.OUTER), log) == whole


def test_what_is_taken_out_leaves_the_bits_of_the_rest(log: ChoiceLog, law: LogitLaw) -> None:
    first, second, third = (law.evidence(p, POINT, Detail.OUTER, ledger=True) for p in log.partitions(3))
    rest = (first + second + third) - second
    assert rest == first + third
    assert rest.ledger is not None
    # Nothing of the second part is left in the books: what cancels is dropped when persons are summed.
    persons, scores = rest.ledger.by_person()
    kept = {*first.persons(), *third.persons()}
    gone = [p for p in persons if p not in kept]
    assert not scores[np.isin(persons, gone)].any()
    zero = first - first
    assert zero.n_cases == 0
    assert zero.log_likelihood == 0.0
    assert not zero.information.any()


def test_the_ledger_sums_to_the_score(log: ChoiceLog, law: LogitLaw) -> None:
    evidence = law.evidence(Partition(log, 0, log.n_cases), POINT, Detail.OUTER, ledger=True)
    assert evidence.ledger is not None
    persons, scores = evidence.ledger.by_person()
    assert len(persons) == log.facts.n_persons
    np.testing.assert_allclose(scores.sum(axis=0), evidence.score, rtol=1e-10)


def test_ragged_choice_sets_split_into_the_same_bits() -> None:
    log = ragged(7_000)
    law = Logit("a + b").law(log)
    point = np.array([0.5, -0.5])
    whole = law.evidence(Partition(log, 0, log.n_cases), point, Detail.OUTER)
    assert Evidence.sum([law.evidence(p, point, Detail.OUTER) for p in log.partitions(4)]) == whole


def test_evidence_that_does_not_belong_is_refused(log: ChoiceLog, law: LogitLaw) -> None:
    part = Partition(log, 0, 100)
    here = law.evidence(part, POINT, Detail.OUTER)
    with pytest.raises(EvidenceError, match="another point"):
        here + law.evidence(part, POINT + 1e-9, Detail.OUTER)
    with pytest.raises(EvidenceError, match="different detail"):
        here + law.evidence(part, POINT, Detail.SCORE)
    with pytest.raises(EvidenceError, match="different detail"):
        here + law.evidence(part, POINT, Detail.OUTER, ledger=True)
    other = Logit("C(mode) + cost + log(time)").law(log)
    with pytest.raises(EvidenceError, match="of the model"):
        here + other.evidence(part, POINT, Detail.OUTER)
    with pytest.raises(EvidenceError, match="score only"):
        _ = law.evidence(part, POINT, Detail.SCORE).information
    with pytest.raises(EvidenceError, match="ledger"):
        here.persons()


def test_json_keeps_the_bits(log: ChoiceLog, law: LogitLaw) -> None:
    evidence = law.evidence(Partition(log, 0, 500), POINT, Detail.OUTER)
    assert Evidence.from_dict(json.loads(json.dumps(evidence.to_dict()))) == evidence


def test_gaussians_add_as_densities_multiply() -> None:
    names = ("a", "b")
    first = Gaussian.independent({"a": (1.0, 0.5)}, names)
    second = Gaussian.independent({"a": (3.0, 0.5), "b": (0.0, 2.0)}, names)
    both = first + second
    np.testing.assert_allclose(both.mean, [2.0, 0.0])
    np.testing.assert_allclose((both - second).precision, first.precision)
    params = np.array([0.3, -0.7])
    step = 1e-6
    slope = [
        (both.log_density(params + step * unit) - both.log_density(params - step * unit)) / (2 * step)
        for unit in np.eye(2)
    ]
    np.testing.assert_allclose(slope, both.score(params), rtol=1e-7)


def test_priors_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SpecificationError, match="did you mean 'cost'"):
        Gaussian.independent({"csot": (0.0, 1.0)}, ["cost", "time"])
    with pytest.raises(SpecificationError, match="above zero"):
        Gaussian.independent({"cost": (0.0, 0.0)}, ["cost"])
    with pytest.raises(SpecificationError, match="ridge"):
        Gaussian.ridge(-1.0, 2)
