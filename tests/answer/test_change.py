"""Changes: their grammar, and what they do to a log."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.answer import Add, Change, Remove, Set, read_change
from revealed.answer.scenario import Scenario
from revealed.choices import ChoiceLog, Columns
from revealed.errors import SpecificationError
from tests.worlds import ragged


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("cost += 2", Set("cost", "2", None, "+=")),
        ("cost[alternative == 'train'] *= 1.1", Set("cost", "1.1", "alternative == 'train'", "*=")),
        ("time[a in ['x', 'y]'] and b >= 5] = time - 10", Set("time", "time - 10", "a in ['x', 'y]'] and b >= 5")),
        ("`travel time` [income > 50]-=10", Set("travel time", "10", "income > 50", "-=")),
        ("cost = where(income == 3, 1, cost)", Set("cost", "where(income == 3, 1, cost)")),
        ("available[alternative == 'car'] = 0", Set("available", "0", "alternative == 'car'")),
        ("fuel = 'a = b, c'", Set("fuel", "'a = b, c'")),
        ("add = 3", Set("add", "3")),
        ("add *= 3", Set("add", "3", None, "*=")),
        ("remove[x == 1] = 3", Set("remove", "3", "x == 1")),
        ("remove train", Remove("train")),
        ("  remove 'night train', \"bus\" ", Remove("night train", "bus")),
        ("add hyperloop like train", Add("hyperloop", "train")),
        ("add 'new bus' like bus:fare=1", Add("new bus", "bus", (Set("fare", "1"),))),
        (
            "add b2 like b1 with constants of car: cost = max(cost, 2), time[x == 'a,b'] /= 3",
            Add("b2", "b1", (Set("cost", "max(cost, 2)"), Set("time", "3", "x == 'a,b'", "/=")), "car"),
        ),
        ("add 4 like 3", Add("4", "3")),
    ],
)
def test_the_grammar(text: str, change: Change) -> None:
    assert read_change(text) == change
    assert read_change(str(change)) == change
    assert read_change(change) is change


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the change ''"),
        ("cost", "cannot read the change 'cost'"),
        ("cost == 3", "cannot read the change 'cost == 3'"),
        ("cost =", "gives no value"),
        ("cost[] = 3", "is empty"),
        ("cost[income > 3 = 3", "cannot read the change"),
        ("cost ** 2", "cannot read"),
        ("remove train now", "remove OLD"),
        ("add tram", "add NEW like OLD"),
        ("add tram as bus", "add NEW like OLD"),
        ("add tram like bus: remove car", "cannot read the change"),
        ("3 = cost", "cannot read"),
        ("cost %= 3", "cannot read"),
    ],
)
def test_what_is_no_change(text: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        read_change(text)


def test_a_change_must_be_well_formed() -> None:
    with pytest.raises(SpecificationError, match="no operator"):
        Set("cost", 1, operator="**=")
    with pytest.raises(SpecificationError, match="name the alternative"):
        Remove()


@given(st.text(max_size=40))
def test_any_text_is_a_change_or_an_error_of_ours(text: str) -> None:
    try:
        change = read_change(text)
    except SpecificationError:
        return
    assert read_change(str(change)) == change


@pytest.fixture(scope="module")
def small() -> ChoiceLog:
    table = pa.table(
        {
            "case": ["a", "a", "a", "b", "b", "c", "c", "c"],
            "alternative": ["bus", "car", "train", "bus", "train", "bus", "car", "train"],
            "chosen": [1, 0, 0, 0, 1, 0, 1, 0],
            "cost": [1, 2, 3, 4, 5, 6, 7, 8],
            "travel time": pa.array([1, 2, 3, 4, 5, 6, 7, 8], pa.float32()),
            "income": [10, 10, 10, 60, 60, 30, 30, 30],
            "fuel": pa.array(["gas", "oil", "gas", "gas", "oil", "oil", "gas", "oil"]).dictionary_encode(),
            "who": ["x", "x", "x", "y", "y", "x", "x", "x"],
        }
    )
    return ChoiceLog.from_table(table, Columns(person="who"), source="small")


def after(log: ChoiceLog, *changes: str) -> Scenario:
    scenario = Scenario.of(log)
    for change in changes:
        scenario = read_change(change).apply(scenario)
    return scenario


@pytest.mark.parametrize(
    ("changes", "column", "expected"),
    [
        (["cost += 2"], "cost", [3, 4, 5, 6, 7, 8, 9, 10]),
        (["cost[alternative == 'train'] *= 1.5"], "cost", [1, 2, 4.5, 4, 7.5, 6, 7, 12]),
        (["cost[alternative in ['bus', 'car'] and income < 50] = 0"], "cost", [0, 0, 3, 4, 5, 0, 0, 8]),
        (["`travel time`[person == 'y'] /= 2"], "travel time", [1, 2, 3, 2, 2.5, 6, 7, 8]),
        (["cost = 10", "cost[income == 10] -= `travel time`"], "cost", [9, 8, 7, 10, 10, 10, 10, 10]),
        (["cost[fuel != 'gas'] = where(income > 20, 1, 2)"], "cost", [1, 2, 3, 4, 1, 1, 7, 1]),
        (["cost = income > 20"], "cost", [0, 0, 0, 1, 1, 1, 1, 1]),
        (["available[alternative == 'car'] = 0"], "available", [1, 0, 1, 1, 1, 1, 0, 1]),
        (["remove car, train"], "available", [1, 0, 0, 1, 0, 1, 0, 0]),
    ],
)
def test_sets(small: ChoiceLog, changes: list[str], column: str, expected: list[float]) -> None:
    scenario = after(small, *changes)
    np.testing.assert_allclose(scenario.log.numbers(column), expected)
    assert small.numbers("cost").tolist() == [1, 2, 3, 4, 5, 6, 7, 8], "the log itself stays as it is"
    assert [text for text, _ in scenario.changes] == changes


def test_labels_can_be_set(small: ChoiceLog) -> None:
    scenario = after(small, "fuel[alternative == 'car'] = 'sun'", "fuel[fuel == 'gas'] = who")
    assert scenario.log.table.column("fuel").to_pylist() == ["x", "sun", "x", "y", "oil", "oil", "sun", "oil"]


def test_numbers_given_as_numbers(small: ChoiceLog) -> None:
    for value in (0.00001, -3, 1e300, np.float64(2.5)):
        found = Set("cost", value).apply(Scenario.of(small)).log.numbers("cost")
        assert found.tolist() == [float(value)] * 8


def test_an_alternative_is_added_where_the_one_it_is_like_is(small: ChoiceLog) -> None:
    scenario = after(
        small,
        "add boat like car: cost = cost * 10, `travel time`[income == 30] += 1",
        "cost[alternative == 'boat'] += 1",
    )
    assert scenario.labels == ("bus", "car", "train", "boat")
    assert scenario.log.offsets.tolist() == [0, 4, 6, 10]
    assert scenario.codes.tolist() == [0, 1, 2, 3, 0, 2, 0, 1, 2, 3]
    assert scenario.origin.tolist() == [0, 1, 2, 1, 3, 4, 5, 6, 7, 6]
    assert scenario.log.numbers("cost").tolist() == [1, 2, 3, 21, 4, 5, 6, 7, 8, 71]
    assert scenario.log.numbers("travel time").tolist() == [1, 2, 3, 2, 4, 5, 6, 7, 8, 8]
    assert scenario.log.chosen.tolist() == [1, 0, 0, 0, 0, 1, 0, 1, 0, 0]
    assert scenario.log.table.column("alternative").to_pylist()[3] == "car"
    assert scenario.log.row_numbers(np.arange(10)).tolist() == [1, 2, 3, 2, 4, 5, 6, 7, 8, 7]
    assert scenario.changes[0][1] == 2


def test_an_added_alternative_bears_the_constants_it_is_given(small: ChoiceLog) -> None:
    scenario = after(
        small,
        "add boat like car with constants of bus",
        "add raft like boat",
        "add ferry like car with constants of boat",
    )
    names = scenario.log.table.column("alternative").to_pylist()
    assert [names[i] for i in np.flatnonzero(scenario.codes == 3)] == ["bus", "bus"]
    assert [names[i] for i in np.flatnonzero(scenario.codes == 4)] == ["bus", "bus"]
    assert [names[i] for i in np.flatnonzero(scenario.codes == 5)] == ["bus", "bus"]


def test_alternatives_that_are_numbers() -> None:
    log = ragged(50)
    scenario = after(
        log, "a[alternative == 2] = 7", "a[alternative == '3'] = 8", "add 9 like 1 with constants of 0", "remove 4"
    )
    mine = np.isin(scenario.log.numbers("alternative"), [2, 3]) & (scenario.codes != 9)
    assert set(scenario.log.numbers("a")[mine]) == {7.0, 8.0}
    assert scenario.labels[-1] == "9"
    assert (scenario.log.numbers("alternative")[scenario.codes == 6] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("csot = 1", "no column 'csot' in small; did you mean 'cost'"),
        ("cost[incme > 3] = 1", "no column 'incme'.*did you mean 'income'"),
        ("cost[alternative == 'trian'] = 1", "no label 'trian'; did you mean 'train'"),
        ("cost[income] = 1", "not true or false"),
        ("cost = cost / 0", "4 rows|8 rows a value that is not finite"),
        ("cost[income > 20] = log(20 - income)", r"5 rows a value that is not finite \(first in case b\)"),
        ("cost = 'cheap'", "'cost' holds numbers"),
        ("fuel = 3", "'fuel' holds labels; write one in quotes"),
        ("fuel += 'x'", "labels can be set but not reckoned with"),
        ("chosen = 1", r"'chosen' \(chosen\) cannot be changed"),
        ("alternative = 'bus'", r"'alternative' \(alternative\) cannot be changed"),
        ("person = 'x'", r"'person' \(person\) cannot be changed"),
        ("available[alternative == 'car'] = 0.5", "0 or 1"),
        ("cost = [1, 2]", "not one number per row"),
        ("cost = open('x')", "no function 'open'"),
        ("remove boat", "no alternative 'boat' in small; there are: bus, car, train"),
        ("add car like bus", "there is an alternative 'car' already"),
        ("add boat like ship", "no alternative 'ship'"),
        ("add boat like bus with constants of ship", "no alternative 'ship'"),
        ("add boat like bus: csot = 1", "did you mean 'cost'"),
    ],
)
def test_changes_that_cannot_be_made(small: ChoiceLog, change: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        after(small, change)


def test_somebody_must_have_a_choice(small: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match=r"1 cases have nothing left to choose \(case b\)"):
        after(small, "remove bus", "remove train").require_choice()
    after(small, "remove bus").require_choice()


def test_a_column_called_available_that_is_not_the_role(small: ChoiceLog) -> None:
    log = small.with_columns({"available": np.ones(8)})
    with pytest.raises(SpecificationError, match="was not said to be what is available"):
        after(log, "available = 0")
    assert after(log, "remove bus").log.available is not None
