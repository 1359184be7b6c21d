"""What was shown and what came of it: the door, the accessors, and the protocols of policies."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from revealed.choices.datasets import mode_canada, open_bandit
from revealed.choices.feedback import Feedback, read_feedback
from revealed.choices.feedback_checks import FeedbackColumns
from revealed.choices.policy import Chooser, Decision, Policy
from revealed.errors import DataError, SpecificationError


def columns(**changes: Any) -> dict[str, list[Any]]:
    """Return three decisions, the second of two things."""
    return {
        "decision": ["a", "b", "b", "c"],
        "action": ["hat", "cap", "hat", "cap"],
        "reward": [1.0, 0.0, None, 2.5],
        "propensity": [0.5, 0.25, 0.75, 1.0],
        "position": [1, 1, 2, 1],
        "person": ["Ann", "Bob", "Bob", "Ann"],
        "mood": ["good", "bad", "bad", "good"],
        "age": [30.0, 40.0, 40.0, 50.0],
        **changes,
    }


def problems_of(**changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_feedback(columns(**changes), position="position", person="person")
    return str(caught.value)


def feedback(**changes: Any) -> Feedback:
    return read_feedback(columns(**changes), position="position", person="person")


def test_accessors() -> None:
    log = feedback()
    assert log.actions.labels == ("cap", "hat")
    assert log.action_codes.tolist() == [1, 0, 1, 0]
    assert log.answered.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(log.reward, [1, 0, np.nan, 2.5])
    assert log.propensity.tolist() == [0.5, 0.25, 0.75, 1.0]
    assert log.position.tolist() == [0, 0, 1, 0]
    assert log.decision_codes.tolist() == [0, 1, 1, 2]
    assert log.person_codes.tolist() == [0, 1, 1, 0]
    assert log.n_decisions == 3
    assert log.attribute_names == ("mood", "age")
    assert log.numbers("age").tolist() == [30, 40, 40, 50]
    assert log.labels("mood")[1].tolist() == [1, 0, 0, 1]
    assert repr(log) == "Feedback(table: 3 decisions, 2 actions, 4 rows, 3 answers)"


def test_part_knows_its_rows_and_actions() -> None:
    part = feedback().take(np.array([False, True, False, True]))
    assert part.actions.labels == ("cap", "hat")
    assert part.person_codes.tolist() == [0, 1]
    assert part.row_numbers(np.array([0, 1])).tolist() == [2, 4]
    assert part.take(np.array([1])).row_numbers(np.array([0])).tolist() == [4]


def test_actions_that_were_never_shown() -> None:
    log = read_feedback(columns(), position="position", actions=["scarf", "cap"])
    assert log.actions.labels == ("cap", "hat", "scarf")
    assert log.action_codes.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("kind", ["parquet", "csv", "pandas", "polars", "arrow"])
def test_sources_agree(kind: str, tmp_path: Path) -> None:
    table = pa.table(columns())
    if kind == "parquet":
        pq.write_table(table, tmp_path / "shown.parquet")
        source: Any = tmp_path / "shown.parquet"
    elif kind == "csv":
        table.to_pandas().to_csv(tmp_path / "shown.csv", index=False)
        source = tmp_path / "shown.csv"
    else:
        source = {"pandas": pd.DataFrame(columns()), "polars": pl.DataFrame(columns()), "arrow": table}[kind]
    log = read_feedback(source, position="position", person="person")
    assert log.answered.tolist() == [True, True, False, True]
    assert log.person_codes.tolist() == [0, 1, 1, 0]


def test_from_log_of_the_open_bandit() -> None:
    log = Feedback.from_log(open_bandit(), position="position")
    assert (log.n_rows, len(log.actions), log.reward.sum()) == (10_000, 80, 38)
    assert set(log.propensity) == {0.0125}
    assert log.positions is not None
    assert log.positions.labels == ("1", "2", "3")
    bts = Feedback.from_log(open_bandit(policy="bts"))
    assert bts.reward.sum() == 42
    with pytest.raises(SpecificationError, match="no outside option 'nothing'; there are: item_00"):
        Feedback.from_log(open_bandit(), outside="nothing")
    with pytest.raises(SpecificationError, match="has no propensity"):
        Feedback.from_log(mode_canada(), outside="car")


def test_every_problem_at_once() -> None:
    message = problems_of(
        propensity=[0.0, 1.5, None, 0.5], reward=[float("inf"), 0, None, 1], action=["hat", None, "hat", "cap"]
    )
    assert "4 problems found" in message
    assert "rows without action [column 'action'; row 2]" in message
    assert "infinite rewards [column 'reward'; row 1]" in message
    assert "rows without propensity [column 'propensity'; row 3]" in message
    assert "propensities outside of (0, 1]: 0.0, 1.5 [column 'propensity'; rows 1, 2]" in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"propensity": [0.5, -0.1, 0.5, 0.5]}, "propensities outside of (0, 1]: -0.1"),
        ({"propensity": [0.5, float("inf"), 0.5, 0.5]}, "propensities outside of (0, 1]: inf"),
        ({"propensity": ["0.5", "high", "0.5", "0.5"]}, "propensity that is no number"),
        ({"reward": pa.array([1.0, float("nan"), None, 0.0])}, "rewards that are NaN [column 'reward'; row 2]"),
        ({"reward": ["yes", "no", "no", "no"]}, "reward that is no number: yes, no"),
        ({"position": [1, 1, 1, 1]}, "a position of a decision twice: b [column 'decision'; row 3]"),
        ({"person": ["Ann", "Bob", "Cy", "Ann"]}, "decisions for more than one person [column 'person'; row 3]"),
        ({"decision": ["a", None, "b", "c"]}, "rows without decision [column 'decision'; row 2]"),
        ({"position": [1, 1, None, 1]}, "rows without position [column 'position'; row 3]"),
        ({"action": [["hat"], ["cap"], [], []]}, "action of type list"),
    ],
)
def test_bad_input(changes: dict[str, Any], said: str) -> None:
    assert said in problems_of(**changes)


def test_an_answer_made_twice() -> None:
    with pytest.raises(DataError, match="decisions with several rows: b"):
        read_feedback(columns())


def test_no_rows_and_no_columns() -> None:
    with pytest.raises(DataError, match="there are no rows"):
        Feedback.from_table(pa.table(columns()).slice(0, 0))
    with pytest.raises(DataError, match=r"no column 'item' for the role 'action'\n.*name it with action="):
        read_feedback(columns(), action="item")
    with pytest.raises(DataError, match="the roles 'action' and 'position' have the same column"):
        read_feedback(columns(), position="action")
    with pytest.raises(SpecificationError, match="no role 'propensty' of feedback; did you mean 'propensity'"):
        read_feedback(columns(), propensty="p")  # type: ignore[call-arg]
    with pytest.raises(SpecificationError, match="reward= takes the name of a column, not None"):
        FeedbackColumns.named(None, {"reward": None})


def test_bad_attributes() -> None:
    log = feedback(age=[1.0, None, 2.0, 3.0], mood=["good", "", "bad", "bad"])
    with pytest.raises(DataError, match=r"missing or infinite \[column 'age'; row 2\]"):
        log.numbers("age")
    with pytest.raises(DataError, match=r"missing cells \[column 'mood'; row 2\]"):
        log.labels("mood")
    with pytest.raises(SpecificationError, match="holds labels"):
        log.numbers("mood")
    with pytest.raises(SpecificationError, match="no column 'aeg' in table; did you mean 'age'"):
        log.numbers("aeg")


def test_decision_comes_back_from_json() -> None:
    decision = Decision(("hat", "cap"), 0.25, "v1", "visit-7")
    assert Decision.from_dict(decision.to_dict()) == decision
    with pytest.raises(SpecificationError, match="needs its 'propensity'; did you mean 'propensty'"):
        Decision.from_dict({"shown": ["hat"], "propensty": 1.0})
    with pytest.raises(SpecificationError, match="has no 'seed'"):
        Decision.from_dict({**decision.to_dict(), "seed": 1})


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.1, float("nan")])
def test_decision_without_a_probability(propensity: float) -> None:
    with pytest.raises(SpecificationError, match="had a probability above 0"):
        Decision(("hat",), propensity, "v1", 1)


def test_a_decision_of_one_thing_is_the_same_however_it_is_made() -> None:
    one = Decision.of_one("news", 0.25, "v1", 17)
    assert one == Decision(("news",), 0.25, "v1", 17)
    assert hash(one) == hash(Decision(("news",), 0.25, "v1", 17))
    assert Decision.from_dict(one.to_dict()) == one == pickle.loads(pickle.dumps(one))
    with pytest.raises(AttributeError):
        one.shown = ()  # type: ignore[misc]
    for wrong in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(SpecificationError, match=r"decision 17 has propensity"):
            Decision.of_one("news", wrong, "v1", 17)


def test_decision_that_shows_nothing() -> None:
    with pytest.raises(SpecificationError, match="shows nothing"):
        Decision((), 1.0, "v1", 1)


class Always:
    """A policy that shows the first candidate."""

    version = "1"

    def decide(self, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]], *, seed: int) -> Decision:
        return Decision((str(candidates[0]["action"]),), 1.0, self.version, seed)

    def learn(self, outcomes: Feedback) -> Policy:
        return self

    def probabilities(self, feedback: Feedback) -> np.ndarray:
        return np.asarray(feedback.action_codes == 0, float)


def test_protocols_are_met_by_any_object_that_fits() -> None:
    assert isinstance(Always(), Policy)
    assert isinstance(Always(), Chooser)
    assert not isinstance(object(), Policy)
    assert not isinstance(np.ones(3), Chooser)
    assert Always().learn(feedback()).decide({}, [{"action": "hat"}], seed=3).shown == ("hat",)


def test_positions_in_text_have_no_order() -> None:
    told = problems_of(position=["10", "2", "10", "10"])
    assert "positions that are text: 10, 2" in told
    assert "number them from the top" in told
