"""The page "what if" against the library's own answer, and what it says to those who ask for what cannot be."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from revealed import Logit, read
from revealed.answer.grammar import read_change
from revealed.errors import DataError, RevealedError, SpecificationError
from revealed.serve.console import what_if
from revealed.serve.console.guard import inside
from revealed.serve.console.levers import Lever, levers_of
from revealed.serve.console.what_if import Asked, fits_of, measured
from revealed.serve.service import ServiceOptions
from tests.console.asked import HARD, saved
from tests.console.test_guard import run
from tests.console.world import keys_of
from tests.serve.world import listening, made, serving


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    return saved(folder)


@pytest.fixture(scope="module")
def asked(world) -> Asked:
    return Asked.opened(world[0])


def cells(page: str, caption: str) -> list[list[str]]:
    """Return the rows of a table of a page as text."""
    table = page.partition(f'<caption class="unseen">{caption}</caption>')[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2], re.DOTALL)
    return [[html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


@pytest.fixture(scope="module")
def visit(world, tmp_path_factory) -> Iterator[Callable[..., httpx.Response]]:
    """Ask the page of a service with four fits, one of them without its file and one of a part of its choices."""
    folder = tmp_path_factory.mktemp("visited")
    file, (other, _) = world[0], saved(folder, "other", cases=60)
    part, gone = replace(file, name="part", cases=64), replace(file, name="gone", fit=str(folder / "gone.json"))
    options = ServiceOptions(open=True, refresh=0.1, fits=(file, other, part, gone))
    with listening(made(folder), options) as address, httpx.Client(base_url=address) as client:
        yield lambda query: client.get("/console/what-if", params=query)


# ---- levers ---------------------------------------------------------------------------------------------------------


def test_there_is_a_lever_for_each_number_that_has_a_part(asked) -> None:
    names = [lever.name for lever in asked.levers]
    each = [f"{column} of {label}" for label in ("bus", repr(HARD), "train") for column in ("cost", "mood", "wifi")]
    assert names[0] == "income"
    assert sorted(names[1:]) == sorted(each)
    kinds = {lever.column: lever.kind for lever in asked.levers}
    assert kinds == {"income": "scale", "cost": "scale", "mood": "shift", "wifi": "flag"}
    for lever in asked.levers:
        rows = np.ones(asked.log.n_rows, bool)
        if lever.alternative is not None:
            rows = asked.log.table["alternative"].to_numpy() == lever.alternative
        own = asked.log.numbers(lever.column)[rows]
        assert (lever.mean, lever.low, lever.high) == pytest.approx((own.mean(), own.min(), own.max()))
        if lever.kind == "flag":
            continue
        assert lever.least <= -50 < 50 <= lever.most
        assert lever.mean_at(0) == lever.mean
        for end in (lever.least, lever.most):  # as far as the data, and a little
            changed = lever.change(end).apply(what_if_scenario(asked)).log.numbers(lever.column)
            assert changed[rows].mean() == pytest.approx(lever.mean_at(end))
            np.testing.assert_array_equal(changed[~rows], asked.log.numbers(lever.column)[~rows])


def what_if_scenario(asked: Asked):
    from revealed.answer.scenario import Scenario

    return Scenario.of(asked.log)


def test_what_is_never_available_or_plays_a_role_is_no_lever(world, tmp_path) -> None:
    log = read(world[0].choices)
    is_bus = log.table["alternative"].to_numpy() == "bus"
    chosen = log.chosen.copy()
    chosen[np.flatnonzero(is_bus) + 1] += chosen[is_bus]  # the car comes after it
    chosen[is_bus] = 0
    changed = {
        "there": 1 - is_bus.astype(int),
        "chosen": chosen,
        "cost": np.where(is_bus, 1.0, 2.0 + log.numbers("cost")),
    }
    log = read(log.with_columns(changed).to_pandas(), available="there")
    fit = Logit("C(alternative) + cost + wifi:income").fit(log)
    levers = levers_of(fit, log)
    assert {lever.alternative for lever in levers} == {None, HARD, "train"}
    assert [lever.name for lever in levers if lever.alternative is None] == ["income"]
    fixed = log.with_columns({"cost": np.where(log.table["alternative"].to_numpy() == "train", 2.0, 3.0)})
    cost = [lever for lever in levers_of(fit, fixed) if lever.column == "cost"]
    assert [(lever.mean, lever.least, lever.most) for lever in cost] == [(3.0, -50, 50), (2.0, -50, 50)]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "9" * 400, "201", "ten", "0x10", "<b>"])
def test_a_move_that_cannot_be_made_is_refused(asked, text) -> None:
    with pytest.raises(SpecificationError, match="the move of income is a number from -7[05] to "):
        asked.changes({"income": text})
    with pytest.raises(SpecificationError, match="0 or 1, or nothing"):
        asked.changes({"wifi of bus": text})
    with pytest.raises(SpecificationError, match="nothing to move is called 'incme'; did you mean 'income'"):
        asked.changes({"incme": "1"})
    assert asked.changes({"income": " ", "cost of bus": "0", "cost of train": "-0.0"}) == []


# ---- answers --------------------------------------------------------------------------------------------------------


def test_the_page_says_what_the_library_says(world, asked, visit) -> None:
    file, fit = world
    moves = {"cost of train": "20", f"mood of {HARD!r}": "-7", "wifi of bus": "1", "income": "50"}
    changes = asked.changes(moves)
    assert len(changes) == 4
    assert "cost[alternative == 'train'] *= 1.2" in changes
    whole = fit.whatif(read(file.choices), *changes)
    page = visit({"fit": "trips", **moves})
    assert page.status_code == 200
    shares = cells(page.text, "Shares before and after")
    assert [row[0] for row in shares] == list(whole.alternatives)
    for row, one in zip(shares, whole.shares, strict=True):
        assert row[1:3] == [f"{100 * one.before.value:.1f}%", f"{100 * one.after.value:.1f}%"]
        assert row[3] == f"{100 * one.after.low:.1f}% to {100 * one.after.high:.1f}%"
        told = [float(text) for text in row[4].replace("−", "-").split()]
        told += [float(text) for text in row[5].replace("−", "-").split(" to ")]
        expected = [one.difference.value, one.difference.low, one.difference.high]
        assert told == pytest.approx([100 * value for value in expected], abs=0.006)
    gain = whole.surplus[0].per_choice
    row = cells(page.text, "Change of consumer surplus")[0]
    told = [float(text) for text in " to ".join(row[1:]).replace("−", "-").split(" to ")]
    assert told == pytest.approx([gain.value, gain.low, gain.high], rel=2e-3)
    assert all(text in html.unescape(page.text) for text in whole.warnings)
    assert "leaves its observed range" in page.text
    # The levers stand where they were moved to, and the command asks the same.
    assert re.search(r'name="cost of train"[^>]* value="20" aria-valuetext="\+20%: mean [\d.]+ → [\d.]+"', page.text)
    command = html.unescape(page.text.partition("by hand: <code>")[2].partition("</code>")[0])
    words = shlex.split(command)
    assert words[:4] == ["revealed", "whatif", file.fit, file.choices]
    assert words[5::2] == changes
    assert [str(read_change(text)) for text in words[5::2]] == changes
    assert "<b>" not in page.text


def test_nothing_moved_changes_nothing(visit) -> None:
    first, again = visit({}), visit({"fit": "trips", "cost of train": "0", "wifi of bus": ""})
    assert first.text == again.text
    assert {row[4] for row in cells(first.text, "Shares before and after")} == {"+0.00"}
    assert "Shares are as they are" in first.text
    assert "by hand" not in first.text


def test_money_is_what_one_says_it_is(visit) -> None:
    refused, odd = visit({"cost": "mood", "income": "10"}), visit({"cost": "noise"})
    other = visit({"cost": "cost", "income": "10"})
    assert refused.status_code == 422  # more of it is better: it is no money
    assert "does not lower utility" in html.unescape(refused.text)
    assert 'name="income"' in refused.text, "the levers stay"
    assert odd.status_code == 422
    assert "no money &#39;noise&#39;" in odd.text
    assert cells(other.text, "Change of consumer surplus")


def test_some_choices_stand_for_all_where_all_take_too_long(world, visit, monkeypatch) -> None:
    file, fit = world
    page = visit({"fit": "part", "cost of bus": "10"})
    log = read(file.choices)
    picked = log.take_cases(np.arange(64) * log.n_cases // 64)
    found = fit.whatif(picked, "cost[alternative == 'bus'] *= 1.1")
    shares = cells(page.text, "Shares before and after")
    assert [row[2] for row in shares] == [f"{100 * one.after.value:.1f}%" for one in found.shares]
    assert "64 of the 300 choice situations, spread evenly" in page.text
    for seconds, cases in ((3e-4, 0), (6e-4, 128), (1e-3, 64), (1.0, 64)):
        monkeypatch.setattr(what_if, "_seconds", lambda asked, _, each=seconds: each * asked.log.n_cases)
        assert measured(Asked.opened(file)).cases == cases


def test_several_fits_are_asked_by_name(visit) -> None:
    first, other, none = visit({}), visit({"fit": "other"}), visit({"fit": "trip"})
    assert 'aria-current="true">trips' in first.text
    assert " of 60 choices" in other.text
    assert none.status_code == 422
    assert "no fit &#39;trip&#39;; did you mean &#39;trips&#39;" in none.text


# ---- what cannot be -------------------------------------------------------------------------------------------------


def test_without_a_fit_the_page_says_how_to_give_one(tmp_path) -> None:
    with listening(made(tmp_path)) as address:
        page = httpx.get(f"{address}/console/what-if")
    assert page.status_code == 200
    assert "--fit fit.json=choices.csv" in page.text


def test_what_a_browser_asks_for_that_cannot_be_is_told_once(visit) -> None:
    odd = ({"income": "nan"}, {"income": "1e999"}, {"<script>": "1"}, {"cost of bus": "9" * 2000})
    for page in map(visit, odd):
        assert page.status_code == 422
        assert page.text.count("Not possible") == 2  # title and heading
        assert "<script>" not in page.text


def test_a_fit_whose_files_went_is_told_of_and_the_others_are_asked(visit) -> None:
    page = visit({"fit": "gone"})
    assert page.status_code == 422
    assert "cannot read" in page.text
    assert visit({"fit": "trips"}).status_code == 200


def test_what_is_no_fit_is_refused_at_the_start(world, tmp_path, monkeypatch) -> None:
    file, _ = world
    text = Path(file.fit).read_text()
    newer, other, broken = json.loads(text), json.loads(text), json.loads(text)
    newer["revealed"], other["kind"] = 99, "dynamic fit"
    del other["model"], broken["law"]
    wrong = {
        "newer": (json.dumps(newer), "format 99"),
        "other": (json.dumps(other), "dynamic fit"),
        "broken": (json.dumps(broken), "damaged"),
        "list": ("[1]", "not a saved fit"),
        "text": ("hello", "not a saved fit"),
        "policy": ('{"specification": {}}', "not a saved fit"),
    }
    for name, (content, told) in wrong.items():
        (tmp_path / f"{name}.json").write_text(content)
        with pytest.raises(RevealedError, match=told):
            fits_of([f"{tmp_path / name}.json={file.choices}"])
    (tmp_path / "bytes.json").write_bytes(b"\x80\x00\xff")
    with pytest.raises(DataError, match="not text"):
        fits_of([f"{tmp_path}/bytes.json={file.choices}"])
    (tmp_path / "few.csv").write_text("case,alternative,chosen\n1,bus,1\n1,train,0\n")
    for choices in ("few.csv", "none.csv"):
        with pytest.raises(RevealedError):
            fits_of([f"{file.fit}={tmp_path / choices}"])
    for odd in ("fit.json", "=a.csv", "fit.json=", ""):
        with pytest.raises(SpecificationError, match="write --fit fit.json=choices.csv"):
            fits_of([odd])
    with pytest.raises(SpecificationError, match="two fits are called 'trips'"):
        fits_of([f"{file.fit}={file.choices}"] * 2)
    monkeypatch.setattr(what_if, "_seconds", lambda *_: 0.0)
    (found,) = fits_of([f"{file.fit}={file.choices}"])
    assert found == file
    assert fits_of(None) == ()


def test_a_lever_is_told_in_words() -> None:
    lever = Lever("a", "a", None, "shift", -2.0, -3.0, 3.0, 6.0, -50, 50, None)
    from revealed.serve.console.what_if_page import meaning

    assert meaning(lever, -10.0) == "−10%: mean −2 → −2.6"


def test_who_has_not_signed_in_comes_back_to_it_afterwards(world, tmp_path) -> None:
    where = made(tmp_path)
    keys_of(where)

    async def scenario() -> None:
        async with serving(where, ServiceOptions(refresh=0.01, fits=(world[0],))) as client:
            client.base_url = httpx.URL("http://localhost")
            answer = await client.get("/console/what-if", params={"cost of train": "10"})
            assert answer.status_code == 303
            place = httpx.URL(answer.headers["location"]).params["next"]
            assert place.startswith("/console/what-if?cost")
            assert inside(place) == place

    run(scenario())
