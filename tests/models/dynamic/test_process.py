"""State spaces, decision processes, panels, transitions."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices.columns import Columns
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import (
    Counted,
    DecisionProcess,
    Panel,
    StateSpace,
    by_columns,
    by_increments,
    counted,
)


def log_of(rows: Sequence[tuple[object, object, object, str]], actions: tuple[str, ...] = ("stay", "go")) -> ChoiceLog:
    """Return a log of (person, time, level, action)."""
    table: dict[str, list[object]] = {name: [] for name in ("case", "person", "time", "alternative", "chosen", "level")}
    for case, (person, time, level, taken) in enumerate(rows):
        for action in actions:
            for name, value in zip(table, (case, person, time, action, action == taken, level), strict=True):
                table[name].append(value)
    return ChoiceLog.from_table(pa.table(table), Columns(person="person", time="time"))


LEVELS = StateSpace.grid(level=[0, 1, 2])
WALK = [(1, 1, 0, "stay"), (1, 2, 1, "stay"), (1, 3, 2, "go"), (1, 4, 0, "stay"), (2, 7, 0, "stay"), (2, 9, 1, "go")]


def walking(**changes: object) -> DecisionProcess:
    """Return the process of a walk up, from which one may go home."""
    up, home = np.eye(3, k=1), np.zeros((3, 3))
    up[2, 2] = home[:, 0] = 1
    parts: dict[str, object] = {"discount": 0.9} | changes
    return DecisionProcess.of(LEVELS, {"go": home, "stay": up}, **parts)  # type: ignore[arg-type]


def test_a_space_numbers_all_combinations_and_tells_them() -> None:
    space = StateSpace.grid(plan=["none", "monthly"], price=[5.0, 6.0, 7.0])
    assert (space.n_states, space.shape) == (6, (2, 3))
    table = pa.table({"price": [7, 5], "plan": pa.array(["monthly", "none"]).dictionary_encode()})
    assert space.codes(table, "t").tolist() == [5, 0]
    assert space.label(5) == "plan monthly, price 7.0"
    assert StateSpace.from_dict(space.to_dict()).to_dict() == space.to_dict()


@pytest.mark.parametrize(
    ("levels", "message"),
    [({}, "at least one column"), ({"x": [1, 1]}, "each once"), ({"x": []}, "must be"), ({"x": [np.inf]}, "finite")],
)
def test_a_space_that_cannot_be(levels: dict[str, list[float]], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        StateSpace.grid(**levels)


def test_cells_that_are_no_level_are_told_with_their_rows() -> None:
    with pytest.raises(DataError, match=r"no level of the state: 9, None \[column 'level'; rows 2, 3\]"):
        LEVELS.codes(pa.table({"level": [1, 9, None]}), "t")


def test_a_panel_links_periods_and_tells_of_gaps() -> None:
    panel = Panel.of(log_of(WALK), LEVELS)
    assert panel.following.tolist() == [1, 2, 3, -1, -1, -1]
    assert panel.actions == ("go", "stay")
    assert panel.counts().tolist() == [[0, 3], [1, 1], [1, 0]]
    assert panel.remarks(walking())[0].startswith("1 gaps in time")
    later = Panel.of(log_of(WALK), LEVELS, after_another=True)
    assert (later.state.tolist(), later.following.tolist()) == ([1, 2, 0], [1, 2, -1])


def test_panels_that_cannot_be() -> None:
    with pytest.raises(DataError, match="nobody ever took the action 'go'"):
        Panel.of(log_of(WALK[:2]), LEVELS)
    with pytest.raises(DataError, match="no whole numbers"):
        Panel.of(log_of([(1, 0.5, 0, "stay"), (1, 2.0, 0, "go")]), LEVELS)
    with pytest.raises(DataError, match=r"no whole numbers: x \[column 'time'; row 2\]"):
        Panel.of(log_of([(1, "1", 0, "stay"), (1, "x", 0, "go")]), LEVELS)
    for odd in (np.inf, 1e30):  # beyond 2^53 periods would run into each other without a word
        with pytest.raises(DataError, match=r"no whole numbers: .*row 2\]"):
            Panel.of(log_of([(1, 0.0, 0, "stay"), (1, odd, 0, "go")]), LEVELS)
    with pytest.raises(SpecificationError, match="neither numbers of periods nor dates"):
        Panel.of(log_of([(1, True, 0, "stay"), (1, False, 0, "go")]), LEVELS)
    without = log_of(WALK)
    nobody = ChoiceLog.from_table(without.table, Columns(time="time"))
    with pytest.raises(SpecificationError, match="needs to know the person"):
        Panel.of(nobody, LEVELS)


def test_long_numbers_of_periods_keep_their_digits() -> None:
    rows = [(1, 10**17 + place, 0, action) for place, action in enumerate(("stay", "go", "stay"))]
    assert Panel.of(log_of(rows), LEVELS).following.tolist() == [1, 2, -1]


def test_dates_count_months() -> None:
    days = [date(2026, 1, 31), date(2026, 2, 1), date(2026, 4, 1)]
    rows = [(1, day, 0, action) for day, action in zip(days, ("stay", "go", "stay"), strict=True)]
    assert Panel.of(log_of(rows), LEVELS, unit="month").following.tolist() == [1, -1, -1]
    with pytest.raises(SpecificationError, match="say what a period is"):
        Panel.of(log_of(rows), LEVELS)
    with pytest.raises(DataError, match="two choices in one period"):
        Panel.of(log_of([*rows, (1, date(2026, 4, 3), 0, "stay")]), LEVELS, unit="month")


def test_counted_transitions_are_shares() -> None:
    found = counted(Panel.of(log_of(WALK), LEVELS))
    go, stay = (matrix.toarray() for matrix in found.matrices)
    assert stay.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert go.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert found.remarks[0].startswith("3 pairs of state and action (50%) were never seen")
    assert found.log_likelihood == 0


def test_increments_restart_and_stop_at_the_last_level() -> None:
    panel = Panel.of(log_of(WALK), LEVELS)
    found = by_increments(panel, "level", restart={"go": 0})
    assert found.increments is not None
    np.testing.assert_allclose(found.increments, [1 / 3, 2 / 3])
    go, stay = (matrix.toarray() for matrix in found.matrices)
    np.testing.assert_allclose(stay[2], [0, 0, 1])
    np.testing.assert_allclose(go, np.tile([1 / 3, 2 / 3, 0], (3, 1)))
    with pytest.raises(DataError, match="level falls from one period to the next"):
        by_increments(panel, "level")
    with pytest.raises(SpecificationError, match="needs an action"):
        by_increments(panel, "level", restart={"fly": 0})


def risen(rises: Sequence[int], last: int, seed: int = 0) -> Panel:
    """Return 500 persons whose level rises by one of these in each period, as far as the last level."""
    rng, table = np.random.default_rng(seed), dict[str, list[object]](person=[], time=[], level=[], action=[])
    for person in range(500):
        level = 0
        for time in range(6):
            done = "go" if rng.random() < 0.2 else "stay"
            for name, cell in zip(table, (person, time, level, done), strict=True):
                table[name].append(cell)
            level = min((0 if done == "go" else level) + int(rng.choice(rises)), last)
    return Panel.from_rows(pa.table(table), StateSpace.grid(level=range(last + 1)))


def test_moves_that_stop_at_the_last_level_tell_of_so_much_or_more() -> None:
    rises = (0, 0, 0, 1, 1, 1, 1, 1, 2, 2)
    panel = risen(rises, 5)
    found = by_increments(panel, "level", restart={"go": 0})
    assert found.increments is not None
    np.testing.assert_allclose(found.increments, [0.3, 0.5, 0.2], atol=0.03)
    assert "moves end at the last level of level, and tell of a rise by at least so much" in found.remarks[0]
    # It is the maximum of the likelihood of the moves, as the matrices have it.
    moves = panel.action[panel.moves], panel.state[panel.moves], panel.arrived

    def log_likelihood(share: np.ndarray) -> float:
        matrices = by_increments(panel, "level", restart={"go": 0}, counts=share).matrices
        return float(np.log(np.stack([matrix.toarray() for matrix in matrices])[moves]).sum())

    best = log_likelihood(found.increments)
    assert found.log_likelihood == pytest.approx(best)
    for step in (1e-3, -1e-3):
        for place in range(3):
            moved = found.increments + step * (np.arange(3) == place)
            assert log_likelihood(moved / moved.sum()) < best


def test_where_no_move_reaches_the_last_level_shares_are_as_counted() -> None:
    panel = risen((0, 1, 1, 3), 20)
    found = by_increments(panel, "level", restart={"go": 0})
    rise = panel.state[panel.following[panel.moves]] - np.where(
        panel.action[panel.moves] == panel.actions.index("go"), 0, panel.state[panel.moves]
    )
    assert found.increments is not None
    assert found.increments.tolist() == (np.bincount(rise) / len(rise)).tolist()
    assert found.remarks == ()


def test_an_action_after_which_nobody_is_seen_leads_nowhere_known() -> None:
    gone = [(1, 1, 0, "stay"), (1, 2, 1, "go"), (2, 1, 0, "stay"), (2, 2, 1, "stay"), (2, 3, 1, "go")]
    panel = Panel.of(log_of(gone), LEVELS)
    with pytest.raises(DataError, match=r"nobody is seen in the period after 'go', so nothing tells where it leads"):
        counted(panel)
    with pytest.raises(DataError, match="nobody is seen in the period after 'go'"):
        counted(panel, smoothing=1.0)
    with pytest.raises(DataError, match="nobody is seen in the period after 'go'"):
        by_columns(panel, {"level": Counted(("action",))})
    assert by_columns(panel, {"level": Counted()}).n_moves == 3  # alike for all actions: those seen tell it


def process_of(**changes: object) -> DecisionProcess:
    """Return a process of staying and going home."""
    home = np.zeros((3, 3))
    home[:, 0] = 1
    parts: dict[str, object] = {"transitions": {"stay": np.eye(3), "go": home}, "discount": 0.9} | changes
    return DecisionProcess.of(LEVELS, **parts)  # type: ignore[arg-type]


def test_renewals_and_absorbing_states_are_found() -> None:
    assert process_of().renewals == ("go",)
    assert process_of().absorbing.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discount": 1.0}, "no value without end"),
        ({"discount": -0.1}, "no value without end"),
        ({"horizon": 0}, "one period or more"),
        ({"scale": 0.0}, "above zero"),
        ({"available": np.zeros((3, 2), bool)}, "no action is available in state level 0"),
        ({"transitions": {"stay": np.eye(3)}}, "two or more actions"),
        ({"transitions": {"stay": np.eye(3), "go": np.eye(2)}}, r"shape \(2, 2\) for 3 states"),
    ],
)
def test_processes_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        process_of(**changes)


@pytest.mark.parametrize(
    "wrong", [0.5 * np.eye(3), np.array([[2, -1, 0], [0, 1, 0], [0, 0, 1.0]]), np.full((3, 3), np.nan)]
)
def test_rows_that_are_no_probabilities_are_named(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"transitions of 'stay' that are no probabilities .*\[state level 0"):
        process_of(transitions={"stay": wrong, "go": np.eye(3)})


def test_a_discount_factor_of_one_needs_an_end() -> None:
    assert process_of(discount=1.0, horizon=3).horizon == 3
