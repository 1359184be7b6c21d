"""Each thing that can be wrong at the door is named, with its rows, its cases and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revealed.choices import Columns, read
from revealed.choices.cells import find_bad_cells
from revealed.errors import ColumnError, DataError, Problem, SpecificationError
from tests.choices.tables import ALL, ragged, sound

Table = dict[str, list[Any]]


def problems_of(table: Table, columns: Columns = ALL, **options: Any) -> list[Problem]:
    with pytest.raises(DataError) as caught:
        read(table, columns, **options)
    return list(caught.value.problems)


def only_problem(table: Table, columns: Columns = ALL, **options: Any) -> Problem:
    problems = problems_of(table, columns, **options)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def setting(column: str, row: int, value: Any) -> Callable[[Table], None]:
    """Return what sets one cell; rows count from 1."""

    def change(table: Table) -> None:
        table[column][row - 1] = value

    return change


def test_sound_log_is_let_in() -> None:
    log = read(sound(), ALL, attributes=["cost", "colour"])
    assert (log.n_cases, log.n_rows, log.facts.n_persons) == (4, 12, 2)
    assert log.facts.levels.labels == ("bus", "car", "train")


# Case 1 takes car (row 2), case 2 train (row 6), case 3 bus (row 7), case 4 car (row 11). Train is not available in
# case 1, nor car in case 3.
@pytest.mark.parametrize(
    ("change", "what", "where", "rows", "cases"),
    [
        (setting("chosen", 2, 0), "no alternative is chosen", "column 'chosen'", (1,), ("1",)),
        (setting("chosen", 1, 1), "several alternatives are chosen", "column 'chosen'", (1,), ("1",)),
        (setting("available", 6, 0), "chosen but not available", "column 'chosen'", (6,), ("2",)),
        (setting("alternative", 5, "bus"), "twice in a case: 'bus'", "column 'alternative'", (5,), ("2",)),
        (setting("alternative", 5, None), "rows without alternative", "column 'alternative'", (5,), ("2",)),
        (setting("alternative", 5, ""), "rows without alternative", "column 'alternative'", (5,), ("2",)),
        (setting("chosen", 5, None), "rows without chosen", "column 'chosen'", (5,), ("2",)),
        (setting("chosen", 5, 7), "chosen is not 0 or 1 but 7", "column 'chosen'", (5,), ("2",)),
        (setting("chosen", 5, -1), "chosen is not 0 or 1 but -1", "column 'chosen'", (5,), ("2",)),
        (setting("chosen", 5, 0.5), "chosen is not 0 or 1 but 0.5", "column 'chosen'", (5,), ("2",)),
        (setting("weight", 5, None), "rows without weight", "column 'weight'", (5,), ("2",)),
        (setting("weight", 5, 9.0), "more than one weight", "column 'weight'", (4,), ("2",)),
        (setting("person", 5, None), "rows without person", "column 'person'", (5,), ("2",)),
        (setting("person", 5, 9), "more than one person", "column 'person'", (4,), ("2",)),
        (setting("time", 5, None), "rows without time", "column 'time'", (5,), ("2",)),
        (setting("time", 5, "2025-01-01"), "more than one time", "column 'time'", (4,), ("2",)),
        (setting("propensity", 5, 0.0), "propensities outside of (0, 1]: 0", "column 'propensity'", (5,), ("2",)),
        (setting("propensity", 5, 1.5), "propensities outside of (0, 1]: 1.5", "column 'propensity'", (5,), ("2",)),
        (setting("propensity", 5, None), "rows without propensity", "column 'propensity'", (5,), ("2",)),
        (setting("available", 5, None), "rows without available", "column 'available'", (5,), ("2",)),
        (setting("available", 5, 2), "available is not 0 or 1 but 2", "column 'available'", (5,), ("2",)),
        (setting("cost", 5, None), "missing cells", "column 'cost'", (5,), ("2",)),
        (setting("cost", 5, np.nan), "missing cells", "column 'cost'", (5,), ("2",)),
        (setting("cost", 5, np.inf), "infinite cells", "column 'cost'", (5,), ("2",)),
        (setting("cost", 5, -np.inf), "infinite cells", "column 'cost'", (5,), ("2",)),
        (setting("cost", 5, "a lot"), "numbers mixed with text: 'a lot'", "column 'cost'", (5,), ("2",)),
        (setting("weight", 5, "heavy"), "numbers mixed with text: 'heavy'", "column 'weight'", (5,), ("2",)),
        (setting("chosen", 5, "yes"), "numbers mixed with text: 'yes'", "column 'chosen'", (5,), ("2",)),
        (setting("colour", 5, None), "missing cells", "column 'colour'", (5,), ("2",)),
        (setting("colour", 5, ""), "missing cells", "column 'colour'", (5,), ("2",)),
        (setting("case", 5, None), "rows without a case", "column 'case'", (5,), ()),
    ],
)
def test_one_bad_cell(
    change: Callable[[Table], None], what: str, where: str, rows: tuple[int, ...], cases: tuple[str, ...]
) -> None:
    table = sound()
    change(table)
    problem = only_problem(table, attributes=["cost", "colour"])
    assert what in problem.what
    assert (problem.where, problem.rows, problem.cases, problem.count) == (where, rows, cases, 1)
    assert len(problem.remedy) > 10


def test_negative_and_infinite_weights() -> None:
    table = sound()
    table["weight"][3:6] = [-1.0] * 3
    assert "negative or infinite weights: -1" in only_problem(table).what
    table["weight"][3:6] = [np.inf] * 3
    problem = only_problem(table)
    assert "negative or infinite weights: inf" in problem.what
    assert (problem.rows, problem.count) == ((4, 5, 6), 3)


def test_weights_all_zero() -> None:
    table = sound()
    table["weight"] = [0.0] * 12
    assert only_problem(table).what == "the weights are all zero"


def test_some_weights_zero_are_fine() -> None:
    table = sound()
    table["weight"][:3] = [0.0] * 3
    assert read(table, ALL).facts.n_choices == pytest.approx(2.5 + 3.5 + 4.5)


def test_nothing_available_in_a_case() -> None:
    table = sound()
    table["available"][3:6] = [0, 0, 0]
    problems = problems_of(table)
    assert [problem.what for problem in problems] == ["cases in which nothing is available", "chosen but not available"]
    assert problems[0].cases == ("2",)


def test_words_where_flags_should_be() -> None:
    table = sound()
    table["chosen"] = ["yes" if chosen else "no" for chosen in table["chosen"]]
    table["available"] = ["y" if available else "n" for available in table["available"]]
    problems = problems_of(table)
    assert [problem.what for problem in problems] == [
        "labels where 0 and 1 should be: 'y', 'n'",
        "labels where 0 and 1 should be: 'no', 'yes'",
    ]


def test_flags_may_be_booleans_or_fractions() -> None:
    table = sound()
    expected = read(table, ALL).facts
    for kind in (bool, float, np.int8):
        table["chosen"] = np.array(sound()["chosen"]).astype(kind).tolist()
        assert read(table, ALL).facts == expected


def test_person_in_two_places() -> None:
    table = sound()
    table["time"][3:6] = table["time"][:3]  # cases 1 and 2 are person 1's
    problem = only_problem(table)
    assert problem.what == "a person in two places at once: 1 at 2024-01-01"
    assert problem.cases == ("2",)
    table["person"] = [[1, 2, 3, 3][case - 1] for case in table["case"]]
    read(table, ALL)  # two persons may well choose at the same time


def test_counts() -> None:
    columns = Columns()
    table = sound()
    table["chosen"] = [3, 0, 2] * 4
    log = read(table, columns, counts=True)
    assert log.facts.n_choices == 20
    assert dict(log.facts.chosen) == {"bus": 12.0, "car": 0.0, "train": 8.0}
    table["chosen"][4] = -2
    problem = only_problem(table, columns, counts=True)
    assert (problem.rows, problem.what) == ((5,), "counts that are negative or infinite: -2")
    table["chosen"] = [0] * 12
    assert only_problem(table, columns, counts=True).what == "nothing was ever chosen"


def test_missing_cells_of_unavailable_rows_are_fine() -> None:
    table = sound()
    assert table["available"][2] == 0
    table["cost"][2] = None
    table["colour"][2] = None
    table["propensity"][2] = None
    log = read(table, ALL, attributes=["cost", "colour"])
    assert np.isnan(log.numbers("cost")[2])


def test_all_problems_at_once() -> None:
    table = sound()
    for change in (setting("chosen", 2, 0), setting("weight", 5, -1.0), setting("cost", 9, None)):
        change(table)
    problems = problems_of(table, attributes=["cost"])
    assert [problem.what for problem in problems] == [
        "cases in which no alternative is chosen",
        "cases with more than one weight",
        "negative or infinite weights: -1",
        "missing cells",
    ]


def test_message_lists_rows_and_remedies() -> None:
    table = sound(40)
    table["chosen"] = [0] * 120
    with pytest.raises(DataError) as caught:
        read(table)
    assert str(caught.value) == (
        "table: 1 problem found\n"
        "  1. cases in which no alternative is chosen [column 'chosen'; rows 1, 4, 7, 10, 13; cases 1, 2, 3, 4, 5; "
        "40 in all]\n"
        '    remedy: mark the alternative taken; if nothing was taken, add an outside option with outside="none"'
    )


def test_missing_columns_come_with_candidates() -> None:
    columns = Columns(alternative="altenative", chosen="Taken", weight="wt")
    problems = problems_of(sound(), columns, attributes=["csot"])
    everything = ", ".join(sound())
    assert [(problem.what, problem.remedy) for problem in problems] == [
        (
            "no column 'altenative' for the role 'alternative'",
            "name it with alternative=…; did you mean 'alternative'?",
        ),
        ("no column 'Taken' for the role 'chosen'", f"name it with chosen=…; there are: {everything}"),
        ("no column 'wt' for the role 'weight'", f"name it with weight=…; there are: {everything}"),
        ("no column 'csot' among the attributes", "did you mean 'cost'?"),
    ]


def test_a_missing_column_is_as_much_a_wrong_name_as_wrong_data() -> None:
    for kind in (DataError, SpecificationError):
        with pytest.raises(kind, match="no column 'csot'") as caught:
            read(sound(), ALL, attributes=["csot"])
        assert caught.type is ColumnError


def test_unknown_role_names_the_nearest() -> None:
    with pytest.raises(SpecificationError, match="no role or option 'alternatve'; did you mean 'alternative'"):
        read(sound(), alternatve="mode")  # type: ignore[call-arg]


def test_one_column_for_two_roles() -> None:
    problem = only_problem(sound(), Columns(chosen="available", available="available"))
    assert problem.what == "the roles 'chosen' and 'available' have the same column"


def test_each_person_may_be_a_case() -> None:
    assert read(sound(), person="case").facts.n_persons == 4


def test_empty_table() -> None:
    assert only_problem({name: [] for name in sound()}).what == "there are no rows"


def test_no_row_with_a_case() -> None:
    table = sound()
    table["case"] = [None] * 12
    problem = only_problem(table)
    assert (problem.what, problem.count) == ("rows without a case", 12)


def test_doubled_columns() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["case", "case"])
    with pytest.raises(DataError, match="more than one column is called 'case'"):
        read(table)


def test_single_alternative_is_allowed() -> None:
    log = read({"case": [1, 2, 2], "alternative": ["a", "a", "b"], "chosen": [1, 0, 1]})
    assert (log.facts.smallest_set, log.facts.largest_set) == (1, 2)
    assert log.facts.null_log_likelihood == pytest.approx(-np.log(2))


def test_nested_cells_are_refused() -> None:
    table = sound() | {"route": [[1, 2]] * 12}
    problem = only_problem(table, attributes=["route"])
    assert "neither numbers nor labels" in problem.what
    assert read(table, ALL).attribute_names == ("cost", "colour", "income", "route")  # as long as nobody uses it


def test_text_among_numbers_is_found_on_use() -> None:
    table = sound(50)
    table["cost"][149] = "dear"
    log = read(table)
    with pytest.raises(DataError, match=r"numbers mixed with text: 'dear' \[column 'cost'; row 150; case 50\]"):
        log.numbers("cost")
    with pytest.raises(SpecificationError, match=r"holds labels, not numbers; write C\(colour\)"):
        log.numbers("colour")
    with pytest.raises(SpecificationError, match="holds numbers written as text"):
        read(table | {"cost": ["1.5"] * 150}).numbers("cost")


def test_labels_may_look_like_numbers() -> None:
    log = read(sound() | {"postcode": ["1000"] * 11 + ["1000A"]})
    assert find_bad_cells(log, [], labels=["postcode"]) == []
    assert find_bad_cells(log, ["cost"], labels=["postcode", "alternative"]) == []
    assert find_bad_cells(log, ["postcode"])[0].rows == (12,)


def test_find_bad_cells_numbers_rows_as_the_source_does() -> None:
    table = sound()
    table["cost"][4] = None
    shuffled = {name: cells[::-1] for name, cells in table.items()}
    found = find_bad_cells(read(shuffled, ALL, where="case > 1"), ["cost", "cost", "colour"])
    assert [(problem.rows, problem.cases) for problem in found] == [((8,), ("2",))]


def test_wrong_names_among_attributes() -> None:
    assert [p.remedy for p in find_bad_cells(read(sound()), ["colr", "cost"])] == ["did you mean 'colour'?"]


# ---- order of rows ----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(sizes: list[int], random: Any) -> None:
    table = ragged(sizes)
    order = list(range(table.num_rows))
    random.shuffle(order)
    columns = Columns(person="person", weight="weight")
    log, shuffled = read(table, columns), read(table.take(order), columns)
    assert replace(shuffled.facts, null_log_likelihood=0.0) == replace(log.facts, null_log_likelihood=0.0)
    assert shuffled.facts.null_log_likelihood == pytest.approx(log.facts.null_log_likelihood, rel=1e-14)
    assert sorted(shuffled.case_labels.to_pylist()) == log.case_labels.to_pylist()
    rows = shuffled.row_numbers(np.arange(len(order))) - 1
    assert shuffled.table == table.take([order[row] for row in rows])


@given(st.lists(st.integers(1, 70), min_size=1, max_size=20), st.data())
def test_each_doubled_alternative_is_found(sizes: list[int], data: st.DataObject) -> None:
    """Whatever the sizes of the sets: above 64 alternatives the check goes another way."""
    table = ragged(sizes)
    case = table["case"].to_numpy()
    names = table["alternative"].to_pylist()
    row = data.draw(st.integers(0, len(names) - 1))
    others = [other for other in np.flatnonzero(case == case[row]) if other < row]
    if not others:
        assert read(table).n_cases == len(sizes)
        return
    names[row] = names[data.draw(st.sampled_from(others))]
    with pytest.raises(DataError) as caught:
        read(table.set_column(1, "alternative", pa.array(names)))
    (problem,) = caught.value.problems
    assert (problem.rows, problem.cases) == ((row + 1,), (str(case[row]),))


def test_cases_in_pieces_are_put_together_in_order_of_appearance() -> None:
    log = read({"case": ["b", "a", "b", "a"], "alternative": ["x", "x", "y", "y"], "chosen": [0, 1, 1, 0]})
    assert log.case_labels.to_pylist() == ["b", "a"]
    assert log.table["alternative"].to_pylist() == ["x", "y", "x", "y"]
    assert log.row_numbers(np.arange(4)).tolist() == [1, 3, 2, 4]


def test_long_whole_numbers_stay_apart() -> None:
    big = 2**60
    table = {"case": [big, big, big + 1, big + 1], "alternative": ["x", "y"] * 2, "chosen": [1, 0, 0, 1]}
    assert read(table).n_cases == 2


# ---- the outside option -----------------------------------------------------------------------------------------


def test_outside_option() -> None:
    table = sound()
    table["chosen"][1] = 0  # case 1 takes nothing
    log = read(table, ALL, outside="none")
    assert log.sizes.tolist() == [4] * 4
    outside = log.table.filter(pa.compute.equal(log.table["alternative"], "none"))
    assert outside["case"].to_pylist() == [1, 2, 3, 4]
    assert outside["chosen"].to_pylist() == [1, 0, 0, 0]
    assert outside["cost"].to_pylist() == [0.0] * 4  # varies within a case
    assert outside["income"].to_pylist() == [10, 20, 30, 40]  # does not
    assert outside["colour"].to_pylist() == ["none"] * 4
    assert outside["available"].to_pylist() == [1] * 4
    assert outside["propensity"].to_pylist() == [1.0] * 4
    assert outside["person"].to_pylist() == [1, 1, 2, 2]
    assert outside["weight"].to_pylist() == [1.5, 2.5, 3.5, 4.5]
    assert log.facts.chosen["none"] == 1.5


def test_outside_option_among_numbers() -> None:
    table = {"case": [1, 1], "alternative": [1, 2], "chosen": [False, False], "cost": [3, 4]}
    assert read(table, outside="0").table["alternative"].to_pylist() == [1, 2, 0]
    log = read(table, outside="none")
    assert log.table["alternative"].to_pylist() == ["1", "2", "none"]
    assert log.table["chosen"].to_pylist() == [False, False, True]


def test_outside_option_that_is_there_already() -> None:
    assert "is an alternative of the log already" in problems_of(sound(), outside="bus")[0].what


def test_outside_option_of_counts_is_refused() -> None:
    with pytest.raises(SpecificationError, match="counts do not tell how often nothing was taken"):
        read(sound(), counts=True, outside="none")
