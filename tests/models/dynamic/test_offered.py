"""Which actions a log offered, against those a process has; weights of choices."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from revealed.choices.columns import Columns
from revealed.choices.log import ChoiceLog
from revealed.errors import DataError
from revealed.models.dynamic import (
    DecisionProcess,
    DynamicModel,
    Membership,
    NestedFixedPoint,
    Panel,
    StateSpace,
    TemporalDifference,
    UnobservedTypes,
    by_columns,
    by_increments,
    counted,
)
from revealed.models.dynamic.irl import Trajectories
from revealed.models.dynamic.membership import REWARD

LEVELS = StateSpace.grid(x=[0, 1])
FORMULA = {"a": "0", "b": "asc"}
#: Where b can be taken.
ONLY = np.array([[True, False], [True, True]])

Row = tuple[int, int, int, str, str, float]


def lived(persons: int, periods: int, *, everywhere: bool = False) -> list[Row]:
    """Return (person, time, x, what was offered, what was done, weight): b is offered where x is 1, or everywhere."""
    rng, rows = np.random.default_rng(0), list[Row]()
    for person in range(persons):
        x = person % 2
        for time in range(periods):
            free = everywhere or x == 1
            done = "b" if free and rng.random() < 0.2 + 0.2 * (person % 3 == 0) else "a"
            rows.append((person, time, x, "ab" if free else "a", done, 1.0 + 2.0 * (person % 3 == 0)))
            x = int(rng.random() < 0.5)
    return rows


def log_of(rows: Sequence[Row], *, weighted: bool = False) -> ChoiceLog:
    """Return the log of some rows, one for each action offered."""
    table: dict[str, list[object]] = {
        name: [] for name in ("case", "person", "time", "x", "weight", "alternative", "chosen")
    }
    for case, (person, time, x, offered, done, weight) in enumerate(rows):
        for one in offered:
            for name, cell in zip(table, (case, person, time, x, weight, one, one == done), strict=True):
                table[name].append(cell)
    return ChoiceLog.from_table(
        pa.table(table), Columns(person="person", time="time", weight="weight" if weighted else None)
    )


def process_of(panel: Panel, available: np.ndarray | None = None) -> DecisionProcess:
    """Return the process with transitions from a panel."""
    return DecisionProcess(LEVELS, panel.actions, counted(panel).matrices, 0.9, None, available)


def test_rows_that_are_not_there_were_not_offered() -> None:
    panel = Panel.of(log_of(lived(40, 6)), LEVELS)
    assert panel.offered is not None
    assert panel.offered.tolist() == [[1, 0], [1, 1]]
    with pytest.raises(DataError, match=r"the process has it there, the log never \['b' in state x 0"):
        NestedFixedPoint(FORMULA).fit(panel, process_of(panel))
    fit = NestedFixedPoint(FORMULA).fit(panel, process_of(panel, ONLY))
    taken = panel.counts()[1]
    assert fit.solution.policy[1, 1] == pytest.approx(taken[1] / taken.sum(), rel=1e-5)
    with pytest.raises(DataError, match="the process has it there, the log never"):  # whoever reads the panel
        UnobservedTypes(NestedFixedPoint({"a": "0", "b": "asc + type"})).fit(panel, process_of(panel))
    with pytest.raises(DataError, match="the process has it there, the log never"):
        Trajectories.of_panel(panel)
    assert Trajectories.of_panel(panel, ONLY).n_choices == 240


def test_what_a_log_calls_unavailable_was_not_offered() -> None:
    world = Membership()
    panel = Panel.of(world.log(60, 12, seed=1), world.space)
    moved = by_columns(panel, world.moves)
    matrices = dict(zip(panel.actions, moved.matrices, strict=True))
    open_ = DecisionProcess.of(world.space, matrices, 0.95, attributes=world.attributes)
    with pytest.raises(DataError, match="other actions can be taken than in the log"):
        NestedFixedPoint(REWARD).fit(panel, open_)
    bound = DecisionProcess.of(world.space, matrices, 0.95, available=world.available, attributes=world.attributes)
    assert NestedFixedPoint(REWARD).fit(panel, bound).status.sound


def test_a_process_may_not_close_what_a_log_offers() -> None:
    panel = Panel.of(log_of([(*row[:3], "ab", *row[4:]) for row in lived(40, 6)]), LEVELS)  # b never taken at 0
    with pytest.raises(DataError, match=r"the log has it there, the process never \['b' in state x 0"):
        NestedFixedPoint(FORMULA).fit(panel, process_of(panel, ONLY))
    assert NestedFixedPoint(FORMULA).fit(panel, process_of(panel)).status.sound


def test_what_is_offered_must_hang_on_the_state() -> None:
    rows = [(*row[:3], "ab" if row[0] < 9 else row[3], *row[4:]) for row in lived(40, 6)]
    panel = Panel.of(log_of(rows), LEVELS)
    for available in (None, ONLY):
        with pytest.raises(DataError, match=r"offered in some choices of a state \(2\d\.\d%\) and not in others"):
            NestedFixedPoint(FORMULA).fit(panel, process_of(panel, available))


def test_one_row_a_choice_tells_only_what_was_done() -> None:
    rows = [(*row[:3], row[4], *row[4:]) for row in lived(40, 6)]
    panel = Panel.of(log_of(rows), LEVELS)
    assert panel.offered is None
    person, time, x, _, done, _ = (list(column) for column in zip(*rows, strict=True))
    table = pa.table({"person": person, "time": time, "x": x, "action": done})
    same = Panel.from_rows(table, LEVELS)
    assert same.offered is None
    assert np.array_equal(same.counts(), panel.counts())
    assert NestedFixedPoint(FORMULA).fit(panel, process_of(panel, ONLY)).status.sound  # the process says it


def test_trajectories_are_of_what_was_offered_too() -> None:
    log = log_of(lived(40, 6), weighted=True)
    with pytest.raises(DataError, match="other actions can be taken than in the log"):
        Trajectories.of(log, ["x"])
    data = Trajectories.of(log, ["x"], available=lambda states: np.column_stack([states[:, 0] >= 0, states[:, 0] > 0]))
    assert sorted(set(data.weights.tolist())) == [1.0, 3.0]
    assert data.mask(np.array([[0.0], [1.0]])).tolist() == ONLY.tolist()


@pytest.mark.parametrize("model", [NestedFixedPoint(FORMULA), TemporalDifference(FORMULA, basis="x")])
def test_a_person_of_weight_three_counts_as_three(model: DynamicModel) -> None:
    rows = lived(60, 8, everywhere=True)
    weighed = Panel.of(log_of(rows, weighted=True), LEVELS)
    thrice = [(row[0] + 1000 * again, *row[1:]) for row in rows for again in range(int(row[5]))]
    copied = Panel.of(log_of(thrice), LEVELS)
    plain = Panel.of(log_of(rows), LEVELS)
    assert weighed.counts().sum() == copied.n_observations
    for estimate in (counted, lambda one: by_increments(one, "x", restart={"a": 0, "b": 0})):
        ours, theirs, without = (estimate(one) for one in (weighed, copied, plain))
        assert ours.log_likelihood == pytest.approx(theirs.log_likelihood)
        assert abs(without.matrices[0] - theirs.matrices[0]).max() > 1e-3
        for mine, right in zip(ours.matrices, theirs.matrices, strict=True):
            np.testing.assert_allclose(mine.toarray(), right.toarray(), atol=1e-12)
    fit, same, other = (model.fit(one, process_of(one)) for one in (weighed, copied, plain))
    np.testing.assert_allclose(fit.params, same.params, rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(same.log_likelihood)
    assert abs(other.params - same.params).max() > 1e-3
