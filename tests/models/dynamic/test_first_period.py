"""When a process with a horizon began, and whether people were followed to its end."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from revealed.errors import DataError, SpecificationError
from revealed.models.dynamic import DecisionProcess, DynamicFit, NestedFixedPoint, Panel, StateSpace, UnobservedTypes
from revealed.models.dynamic.bootstrap import redrawn
from revealed.models.dynamic.likelihood import Seen

LEVELS = StateSpace.grid(x=range(4))
FORMULA = {"keep": "x", "mend": "asc"}
HORIZON = 6


def wearing(horizon: int | None = HORIZON) -> DecisionProcess:
    """Return the process of a thing that wears out until it is mended."""
    worn, fresh = 0.4 * np.eye(4) + 0.6 * np.eye(4, k=1), np.zeros((4, 4))
    worn[3, 3] = fresh[:, 0] = 1.0
    return DecisionProcess.of(LEVELS, {"keep": worn, "mend": fresh}, 0.9, horizon=horizon)


def rows(persons: int = 60, periods: int = HORIZON, begun: int = 10) -> pa.Table:
    """Return choices of people who mend at random."""
    rng, table = np.random.default_rng(1), dict[str, list[object]](person=[], time=[], x=[], action=[])
    for person in range(persons):
        x = person % 2
        for period in range(periods):
            mends = rng.random() < 0.1 + 0.2 * x
            for name, cell in zip(table, (person, begun + period, x, "mend" if mends else "keep"), strict=True):
                table[name].append(cell)
            x = 0 if mends else min(x + int(rng.random() < 0.6), 3)
    return pa.table(table)


def after(table: pa.Table, time: int) -> pa.Table:
    """Return the rows from a time on."""
    return table.filter(pa.array(np.asarray(table["time"]) >= time))


def test_rows_keep_their_period_when_others_go() -> None:
    whole = Seen.of(Panel.from_rows(rows(), LEVELS), wearing()).counts.reshape(HORIZON, 4, 2)
    late = Panel.from_rows(after(rows(), 13), LEVELS, first_period=10)
    found = Seen.of(late, wearing()).counts.reshape(HORIZON, 4, 2)
    assert not found[:3].any()
    np.testing.assert_array_equal(found[3:], whole[3:])
    later = Panel.from_rows(rows(), LEVELS, after_another=True)
    found = Seen.of(later, wearing()).counts.reshape(HORIZON, 4, 2)
    np.testing.assert_array_equal(found[1:], whole[1:])
    assert not found[0].any()


def test_those_who_are_drawn_began_when_all_did() -> None:
    table = rows(20)
    early = np.asarray(table["person"]) == 0  # the only one there from the beginning
    panel = Panel.from_rows(table.filter(pa.array(early | (np.asarray(table["time"]) >= 14))), LEVELS)
    drawn = list(redrawn(panel, 20, 1))
    without = [one for one in drawn if 0 not in one.persons.to_pylist()]
    assert 0 < len(without) < 20
    assert all(one.elapsed.min() == 4 for one in without)


def test_types_live_through_the_same_periods() -> None:
    mixture = UnobservedTypes(NestedFixedPoint({"keep": "x", "mend": "asc + type"}), starts=1, most=3)
    whole = Panel.from_rows(rows(), LEVELS)
    fit = mixture.fit(whole, wearing())
    late = Panel.from_rows(after(rows(), 12), LEVELS, first_period=10)
    found = mixture.fit(late, wearing())
    policy = found.fit.solution.policy.reshape(HORIZON, 4, 2, 2)
    taken = np.log(policy[late.elapsed, late.state, :, late.action])
    each = np.stack([np.bincount(late.person, taken[:, kind]) for kind in (0, 1)], axis=1)
    assert np.logaddexp.reduce(each + np.log(found.shares), axis=1).sum() == pytest.approx(found.log_likelihood)
    assert fit.fit.first_states is not None
    np.testing.assert_allclose(fit.fit.first_states.reshape(4, 2).sum(axis=1), whole.first_states)


def test_where_the_beginning_is_not_known_a_remark_says_so() -> None:
    assert Panel.from_rows(rows(), LEVELS).remarks(wearing()) == ()
    late = after(rows(), 13)
    (told,) = Panel.from_rows(late, LEVELS).remarks(wearing())[:1]
    assert told.startswith("3 of 6 periods are seen, and taken as the first 3")
    assert Panel.from_rows(late, LEVELS, first_period=10).remarks(wearing()) == ()
    fit = NestedFixedPoint(FORMULA).fit(Panel.from_rows(late, LEVELS), wearing())
    assert told in fit.messages()
    assert Panel.from_rows(late, LEVELS).remarks(wearing(None)) == ()


def test_who_is_where_in_the_first_period(tmp_path: Path) -> None:
    panel = Panel.from_rows(rows(), LEVELS)
    assert panel.first_states.tolist() == [30, 30, 0, 0]
    assert Panel.from_rows(rows(), LEVELS, after_another=True).first_states.tolist() == [0, 0, 0, 0]
    fit = NestedFixedPoint(FORMULA).fit(panel, wearing())
    again = DynamicFit.load(fit.save(tmp_path / "fit.json"))
    for one in (fit, again):
        assert one.first_states is not None
        assert one.first_states.tolist() == [30, 30, 0, 0]
    assert NestedFixedPoint(FORMULA).fit(panel, wearing(None)).first_states is None


def test_first_periods_as_the_log_has_them() -> None:
    days = [date(2026, 3, 1), date(2026, 4, 30)]
    table = pa.table({"person": [1, 1], "time": days, "x": [0, 0], "action": ["keep", "mend"]})
    for first in (date(2026, 1, 5), "2026-01-05"):
        panel = Panel.from_rows(table, LEVELS, unit="month", first_period=first)
        assert panel.elapsed.tolist() == [2, 3]
    assert Panel.from_rows(rows(), LEVELS, first_period="9").elapsed.min() == 1
    for odd in ("soon", "9.5", date(2026, 1, 1)):
        with pytest.raises(SpecificationError, match="is no time as in column 'time'"):
            Panel.from_rows(rows(), LEVELS, first_period=odd)
    with pytest.raises(DataError, match=r"choices before the first period \[the first of person 0\]"):
        Panel.from_rows(rows(), LEVELS, first_period=11)


def test_who_was_followed_to_the_end_is_not_called_censored() -> None:
    stay, die = np.eye(4), np.zeros((4, 4))
    die[:, 3] = 1.0
    stay[0, :] = [0.5, 0.5, 0, 0]
    process = DecisionProcess.of(LEVELS, {"keep": stay, "mend": die}, 0.9)
    assert process.absorbing.tolist() == [False, False, False, True]

    def told(*lives: str) -> tuple[str, ...]:
        cells = [(who, time, 0, did) for who, life in enumerate(lives) for time, did in enumerate(life.split())]
        table = pa.table(dict(zip(("person", "time", "x", "action"), map(list, zip(*cells, strict=True)), strict=True)))
        return Panel.from_rows(table, LEVELS).remarks(process)

    assert told("keep mend", "keep keep mend") == ()  # what they did last ends it
    assert told("keep mend", "keep keep") == (
        "1 persons were not followed to the end of their process (right-censored)",
    )
    gone = pa.table({"person": [1, 1], "time": [0, 1], "x": [0, 3], "action": ["mend", "keep"]})
    assert Panel.from_rows(gone, LEVELS).remarks(process) == ()
    # Nobody can be followed to the end of what never ends; to a horizon everybody can.
    assert Panel.from_rows(rows(), LEVELS).remarks(wearing(None)) == ()
    (short,) = Panel.from_rows(rows(periods=4), LEVELS, first_period=10).remarks(wearing())
    assert short.startswith("60 persons were not followed to the end")
