"""The data sets that come with the package: whole, as their cards say, with their licences, and small."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pa_csv
import pytest

from revealed.choices import ChoiceLog, datasets
from revealed.errors import DataError, SpecificationError

NAMES = datasets.names()
SIZES = {  # cases, rows, persons, alternatives
    "cdnow": (37_774, 75_548, 2357, 2),
    "electricity": (4308, 17232, 361, 4),
    "heating": (900, 4500, 900, 5),
    "mode_canada": (4324, 15520, 4324, 4),
    "mode_choice": (210, 840, 210, 4),
    "open_bandit": (10_000, 20_000, 10_000, 81),
    "rust_buses": (8260, 16520, 104, 2),
    "swissmetro": (6768, 20304, 752, 3),
}


def test_the_shelf() -> None:
    assert set(NAMES) == set(SIZES)
    assert list(NAMES) == sorted(NAMES)
    assert all(callable(getattr(datasets, name)) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_names(name: str) -> None:
    log = datasets.load(name)
    assert isinstance(log, ChoiceLog)
    assert log.source == name
    assert (log.n_cases, log.n_rows, log.facts.n_persons, len(log.facts.levels)) == SIZES[name]
    assert log.chosen.sum() == log.n_cases
    for column in log.table.column_names:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column), column
        assert log.table[column].null_count == 0
        if not log.is_categorical(column) and column != log.columns.time:
            assert np.isfinite(np.asarray(log.numbers(column), dtype=float)).all()


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_what_is_there(name: str) -> None:
    card = datasets.card(name)
    assert card.startswith("# ")
    for part in ("**What.**", "**Who collected it.**", "**Taken from.**", "**Known quirks.**", "**Citation.**"):
        assert part in card
    described = set(re.findall(r"`([a-z][a-z0-9_]*)`", " ".join(re.findall(r"^\| (.*?) \|", card, re.MULTILINE))))
    described |= {f"{stem}_{number}" for stem in ("item_feature", "user_feature") for number in range(4)}
    missing = [column for column in datasets.load(name).table.column_names if column not in described]
    assert not missing, f"the card of {name} does not tell of {missing}"


@pytest.mark.parametrize("name", NAMES)
def test_files_are_those_the_cards_vouch_for(name: str) -> None:
    content = gzip.decompress(datasets.path(name).read_bytes())
    assert hashlib.sha256(content).hexdigest() in datasets.card(name)


@pytest.mark.parametrize("name", NAMES)
def test_licences_allow_it(name: str) -> None:
    licence, card = datasets.licence(name), datasets.card(name)
    kinds = {"MIT": "MIT", "Apache License 2.0": "Apache License", "BSD": "Redistributions of source code must retain"}
    kind = next(kind for kind in kinds if kind in card)
    assert kinds[kind] in licence
    assert "Copyright" in licence


def test_all_together_are_small() -> None:
    folder = datasets.path("swissmetro").parent
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.stem.removesuffix(".csv") for file in files if file.suffix == ".gz"} == set(NAMES)
    assert sum(file.stat().st_size for file in files) < 1_000_000


@pytest.mark.parametrize("ask", [datasets.load, datasets.card, datasets.path, datasets.licence])
def test_a_wrong_name_comes_with_the_nearest(ask: Any) -> None:
    with pytest.raises(SpecificationError, match="no data set 'swissmetroo'; did you mean 'swissmetro'"):
        ask("swissmetroo")


# ---- Swissmetro -----------------------------------------------------------------------------------------------------


def raw_swissmetro() -> dict[str, np.ndarray]:
    table = pa_csv.read_csv(datasets.path("swissmetro"))
    assert table.num_rows == 10_728
    return {name: table[name].to_numpy() for name in table.column_names}


def test_swissmetro_is_the_sample_of_the_published_examples() -> None:
    log, raw = datasets.swissmetro(), raw_swissmetro()
    kept = np.flatnonzero(np.isin(raw["PURPOSE"], [1, 3]) & (raw["CHOICE"] != 0))
    assert (log.table["case"].to_numpy()[::3] == kept + 1).all()
    assert (log.table["person"].to_numpy()[::3] == raw["ID"][kept]).all()
    assert log.table["alternative"].to_pylist()[:3] == ["train", "swissmetro", "car"]
    assert (log.chosen.reshape(-1, 3).argmax(1) + 1 == raw["CHOICE"][kept]).all()
    assert log.facts.chosen == {"train": 908, "swissmetro": 4090, "car": 1770}
    time, cost = (log.numbers(name).reshape(-1, 3) for name in ("time", "cost"))
    pays = raw["GA"][kept] == 0
    for place, mode in enumerate(("TRAIN", "SM", "CAR")):
        assert np.allclose(time[:, place] * 100, raw[f"{mode}_TT"][kept])
        fare = raw[f"{mode}_CO"][kept] * (1 if mode == "CAR" else pays)
        assert np.allclose(cost[:, place] * 100, fare)
    assert log.available is not None
    available = log.available.reshape(-1, 3)
    assert available[:, :2].all()
    assert (available[:, 2] == (raw["CAR_AV"][kept] == 1)).all()
    assert round(log.facts.null_log_likelihood, 3) == -6964.663


def test_swissmetro_answers_of_a_person_stay_together() -> None:
    log = datasets.swissmetro()
    assert set(np.bincount(log.person_codes)) == {9}


def test_swissmetro_purposes_and_units() -> None:
    everything, minutes = datasets.swissmetro(purposes=None), datasets.swissmetro(unit=1.0)
    assert everything.n_cases == 10_719
    assert set(everything.levels_of("purpose").labels) > {"commuting", "leisure"}
    assert set(datasets.swissmetro().levels_of("purpose").labels) == {"commuting", "business"}
    assert np.allclose(minutes.numbers("time"), 100 * datasets.swissmetro().numbers("time"))
    assert np.allclose(minutes.numbers("headway"), datasets.swissmetro().numbers("headway"))
    leisure = datasets.swissmetro(purposes=[4])
    assert leisure.levels_of("purpose").labels == ("leisure",)
    with pytest.raises(SpecificationError, match="no purpose 10"):
        datasets.swissmetro(purposes=[10])
    with pytest.raises(SpecificationError, match="unit must be above 0"):
        datasets.swissmetro(unit=0.0)


def test_swissmetro_labels_are_those_of_the_codes() -> None:
    log, raw = datasets.swissmetro(purposes=None), raw_swissmetro()
    kept = raw["CHOICE"] != 0
    expected = {
        "income": ({"under 50": [0, 1], "50 to 100": [2], "over 100": [3], "unknown": [4]}, "INCOME"),
        "luggage": ({"none": [0], "one piece": [1], "several pieces": [3]}, "LUGGAGE"),
        "who_pays": ({"unknown": [0], "self": [1], "employer": [2], "half and half": [3]}, "WHO"),
        "ticket": ({"annual pass": [6], "group": [9], "other": [10]}, "TICKET"),
        "age": ({"up to 24": [1], "over 65": [5], "unknown": [6]}, "AGE"),
    }
    for column, (labels, name) in expected.items():
        values = np.array(log.table[column].to_pylist())[::3]
        for label, codes in labels.items():
            assert ((values == label) == np.isin(raw[name][kept], codes)).all(), (column, label)


# ---- the others -----------------------------------------------------------------------------------------------------


def test_electricity_prices_are_zero_exactly_where_the_rate_varies() -> None:
    log = datasets.electricity()
    rate = log.numbers("time_of_day") + log.numbers("seasonal")
    assert set(np.unique(rate)) == {0, 1}
    assert ((log.numbers("price") == 0) == (rate == 1)).all()
    assert np.bincount(log.person_codes).min() == 8


def test_heating_costs_go_with_their_systems() -> None:
    log = datasets.heating()
    first = log.table.slice(0, 5).to_pylist()
    costs = {row["alternative"]: (row["installation_cost"], row["operating_cost"]) for row in first}
    assert costs == {
        "gas_central": (866.0, 199.69),
        "gas_room": (962.64, 151.72),
        "electric_central": (859.9, 553.34),
        "electric_room": (995.76, 505.6),
        "heat_pump": (1135.5, 237.88),
    }
    assert log.facts.chosen["gas_central"] == 573


def test_mode_canada_subsets() -> None:
    everyone = datasets.mode_canada()
    assert np.bincount(everyone.sizes).tolist() == [0, 0, 231, 1314, 2779]
    published = datasets.mode_canada(all_modes=True, modes=("car", "train", "air"))
    assert (published.n_cases, published.uniform_size) == (2769, 3)
    shares = {mode: round(count / 2769, 5) for mode, count in published.facts.chosen.items()}
    assert shares == {"air": 0.37523, "car": 0.45757, "train": 0.16721}
    with pytest.raises(SpecificationError, match="no mode 'tram'; did you mean 'train'"):
        datasets.mode_canada(modes=("tram", "car"))


def test_mode_choice_matches_the_textbook() -> None:
    log = datasets.mode_choice()
    assert log.facts.chosen == {"air": 58, "train": 63, "bus": 30, "car": 59}
    cars = np.array(log.table["alternative"].to_pylist()) == "car"
    assert (log.numbers("terminal_time")[cars] == 0).all()


def test_rust_buses_by_group() -> None:
    log = datasets.rust_buses()
    assert log.facts.chosen == {"keep": 8200, "replace": 60}
    rows = np.arange(0, log.n_rows, 2)
    bus, month = (log.numbers(name)[rows] for name in ("person", "time"))
    same = bus[1:] == bus[:-1]
    assert (np.diff(month)[same] == 1).all()
    assert (np.diff(log.numbers("mileage")[rows])[same] >= 0).all()
    replaced = log.chosen[rows + 1] == 1
    after = np.flatnonzero(replaced[:-1] & same) + 1
    assert (log.numbers("mileage_bin")[rows][after] <= 1).all()
    buses = {1: (15, 0), 2: (4, 0), 3: (48, 27), 4: (37, 33)}
    for group, (count, replacements) in buses.items():
        some = datasets.rust_buses(groups=(group,))
        assert (some.facts.n_persons, some.facts.chosen["replace"]) == (count, replacements)
    with pytest.raises(SpecificationError, match="no group 5"):
        datasets.rust_buses(groups=(5,))


def test_cdnow_states_are_what_was_known_when_the_month_began() -> None:
    log, table = datasets.cdnow(), pa_csv.read_csv(datasets.path("cdnow"))
    assert table.num_rows == 6919
    assert len(set(table["sample_id"].to_pylist())) == 2357
    months: dict[int, set[int]] = {}
    for customer, date in zip(table["sample_id"].to_pylist(), table["date"].to_pylist(), strict=True):
        year, month = divmod(date // 100, 100)
        months.setdefault(customer, set()).add((year - 1997) * 12 + month)
    rows = log.table.take(np.arange(1, log.n_rows, 2)).to_pylist()  # those of buying
    assert log.facts.chosen == {"none": 34_671, "buy": 3103}
    assert len(rows) == sum(18 - min(some) for some in months.values())
    for row in rows[::7]:
        before = {month for month in months[row["person"]] if month < row["time"]}
        assert row["recency"] == min(row["time"] - max(before), 12)
        assert row["frequency"] == min(len(before), 6)
        assert row["chosen"] == (row["time"] in months[row["person"]])
    longer = datasets.cdnow(longest=17, most=18)
    assert (longer.numbers("recency").max(), longer.numbers("frequency").max()) == (17, 16)
    with pytest.raises(SpecificationError, match="longest must be 1 or more, not 0"):
        datasets.cdnow(longest=0)


def test_open_bandit_by_policy() -> None:
    random, bts = datasets.open_bandit(), datasets.open_bandit(policy="bts")
    shown = np.arange(0, random.n_rows, 2)
    for log, clicks in ((random, 38), (bts, 42)):
        assert log.columns.propensity == "propensity"
        assert log.chosen[shown].sum() == clicks
        nothing = np.array(log.table["alternative"].to_pylist())[shown + 1]
        assert set(nothing) == {"none"}
        assert (log.numbers("propensity")[shown + 1] == 1).all()
        assert (log.numbers("affinity")[shown + 1] == 0).all()
    assert set(random.numbers("propensity")[shown]) == {0.0125}
    assert bts.numbers("propensity")[shown].min() < 1e-4
    with pytest.raises(SpecificationError, match="no policy 'uniform'"):
        datasets.open_bandit(policy="uniform")


def test_items_of_open_bandit_have_one_set_of_features() -> None:
    features = ["alternative", "item_feature_0", "item_feature_1", "item_feature_2", "item_feature_3"]
    seen: dict[str, tuple[Any, ...]] = {}
    for policy in ("random", "bts"):
        for row in datasets.open_bandit(policy=policy).table.select(features).to_pylist():
            label = row.pop("alternative")
            assert seen.setdefault(label, tuple(row.values())) == tuple(row.values())
    assert len(seen) == 81


def test_rusts_own_files_are_counted_as_he_counted(tmp_path: Path) -> None:
    """A made-up bus of group 1: a reading of whole bins, and an engine replaced at 12,000 miles."""
    readings = np.full(25, 43_000.0)
    readings[:6] = [0, 4_999, 10_000, 11_000, 14_001, 27_001]
    readings[6:] += np.arange(19)
    header = np.zeros(11)
    header[[0, 5]] = 77, 12_000
    np.savetxt(tmp_path / "g870.asc", np.concatenate([header, readings]))
    log = datasets.rust_buses_original(tmp_path, groups=(1,))
    first = log.offsets[:-1]
    # Bins are numbered from one and end with a whole multiple; the engine's mileage starts anew at 12,000 miles.
    np.testing.assert_array_equal(log.numbers("mileage_bin")[first][:7], [0, 0, 1, 2, 0, 3, 6])
    np.testing.assert_array_equal(np.flatnonzero(log.numbers("chosen")[first + 1]), [3])
    # In the month after a replacement all bins begun count as a rise, here one for 2,001 miles.
    np.testing.assert_array_equal(log.numbers("rise")[first][1:7], [0, 1, 1, 1, 3, 3])
    with pytest.raises(DataError, match="cannot be read"):
        datasets.rust_buses_original(tmp_path, groups=(2,))
    np.savetxt(tmp_path / "rt50.asc", np.zeros(59))
    with pytest.raises(DataError, match="not columns of 60"):
        datasets.rust_buses_original(tmp_path, groups=(2,))
    with pytest.raises(SpecificationError, match="no group 5"):
        datasets.rust_buses_original(tmp_path, groups=(5,))
