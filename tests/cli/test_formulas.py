"""Which columns a utility uses, so that they are checked at the door with all else."""

from __future__ import annotations

import pytest

from revealed.cli.formulas import columns_of, numbers_of, pairs_of, spans_of, utility_of


@pytest.mark.parametrize(
    ("utility", "columns"),
    [
        ("cost + time", ("cost", "time")),
        ("C(mode) + C(mode, Treatment('train')):income", ("mode", "income")),
        ("log(cost) * `travel time` + I(a / b) + {c + d}", ("cost", "travel time", "a", "b", "c", "d")),
        ("C(`Preis €`) + 運賃", ("Preis €", "運賃")),
        ("where(known == 1, income, 0) + cost", ("cost",)),
        ("cost + tim)", ()),
        ("taken ~ cost", ()),  # two parts: the model says what is wrong
        ("cost | time", ()),
        ("lambda + cost", ("lambda", "cost")),
        ({"bus": "cost", "car": "asc + cost + own(log(parking))"}, ("cost", "parking")),
        ("1 + asc", ("asc",)),
        ("`a.b` + `a-b`:`a+b` + `C(x)`", ("a.b", "a-b", "a+b", "C(x)")),
    ],
)
def test_columns_of(utility: str | dict[str, str], columns: tuple[str, ...]) -> None:
    assert set(columns_of(utility)) == set(columns)


@pytest.mark.parametrize(
    ("given", "utility"),
    [
        (["cost + time"], "cost + time"),
        (["C(mode, Treatment(base='train')) + cost"], "C(mode, Treatment(base='train')) + cost"),
        (["(a == 1):cost"], "(a == 1):cost"),
        (["train=asc + cost", "night bus = cost"], {"train": "asc + cost", "night bus": "cost"}),
        (["'a.b'=cost", "c=(x == 1):cost"], {"a.b": "cost", "c": "(x == 1):cost"}),
    ],
)
def test_utility_of(given: list[str], utility: str | dict[str, str]) -> None:
    assert utility_of(given) == utility


def test_names_may_hold_equals_signs() -> None:
    assert pairs_of(["segment[a=b]=c"], "--fix") == {"segment[a=b]": "c"}
    assert numbers_of(["mode[a=b]:cost = -1e-3"], "--fix") == {"mode[a=b]:cost": -0.001}
    assert spans_of(["cost=-1:", "mode[a]:x=:2"], "--bound") == {"cost": (-1.0, None), "mode[a]:x": (None, 2.0)}
