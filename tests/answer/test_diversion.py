"""Diversion: proportional in a logit, first to its own nest in a nested one."""

from __future__ import annotations

import numpy as np
import pytest

from revealed.answer import diversion
from revealed.choices import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models import Fit, Nested
from tests.worlds import trips

MODES = ("bus", "car", "train")


def test_a_small_change_in_closed_form(fit: Fit, log: ChoiceLog) -> None:
    p = fit.probabilities(log).reshape(-1, 3)
    found = diversion(fit, log, "cost")
    for j, of in enumerate(MODES):
        for i, to in enumerate(MODES):
            if i != j:
                expected = (p[:, i] * p[:, j]).sum() / (p[:, j] * (1 - p[:, j])).sum()
                assert found.find(of, to).value == pytest.approx(expected, rel=1e-7), (of, to)


def test_second_choices_in_closed_form(ragged_fit: Fit, ragged_log: ChoiceLog) -> None:
    assert ragged_log.available is not None
    log = ragged_log.take_cases(np.add.reduceat(ragged_log.available, ragged_log.offsets[:-1]) > 1)
    p, weight = ragged_fit.probabilities(log).reshape(-1, 3), log.numbers("weight").reshape(-1, 3)[:, :1]
    found = diversion(ragged_fit, log, of=["car"])
    for i, to in ((0, "bus"), (2, "train")):
        gained = weight[:, 0] * p[:, i] * p[:, 1] / (1 - p[:, 1])
        assert found.find("car", to).value == pytest.approx(gained.sum() / (weight[:, 0] @ p[:, 1]), rel=1e-10)


@pytest.mark.parametrize("attribute", [None, "cost"])
def test_ratios_sum_to_one_and_a_nest_keeps_its_own(attribute: str | None) -> None:
    log = trips(800, seed=5)
    model = Nested("C(mode) + cost + time", nests={"land": ["car", "train"]}, fixed={"nest[land]": 3.0})
    nested = diversion(model.fit(log), log, attribute)
    none = diversion(Nested(model.utility, nests=model.nests, fixed={"nest[land]": 1.0}).fit(log), log, attribute)
    for of in MODES:
        shares = [nested.find(of, to) for to in MODES if to != of]
        assert sum(share.value for share in shares) == pytest.approx(1.0, abs=1e-9)
        assert all(0 <= share.low < share.value < share.high <= 1 for share in shares)
    assert nested.find("car", "train").value > none.find("car", "train").value + 0.1
    assert nested.table().rows[0][0] == "bus"
    assert len(nested.details().rows) == 6


def test_what_cannot_be_asked(fit: Fit, log: ChoiceLog) -> None:
    with pytest.raises(SpecificationError, match="did you mean 'train'"):
        diversion(fit, log, of=["trian"])
    with pytest.raises(SpecificationError, match="'cost'"):
        diversion(fit, log, "csot")
    with pytest.raises(SpecificationError, match="not in the utility"):
        diversion(fit, log, "income")
    with pytest.raises(SpecificationError, match="no diversion of 'car' to 'car'"):
        diversion(fit, log).find("car", "car")
    alone = trips(50, seed=1, available="open")
    with pytest.raises(SpecificationError, match="nothing left to choose"):
        diversion(fit, alone)
