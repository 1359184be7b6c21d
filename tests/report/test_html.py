"""Pages: well-formed, self-contained, nothing from data taken for markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from revealed.answer.table import Column, Table
from revealed.models import Fit
from revealed.report import Facts, Picture, Section, Text, to_html, to_markdown, to_page
from revealed.report.content import Code

EVIL = "<script>alert('x')</script> & \"quoted\""
VOID = {"meta", "br", "img", "link"}


class Page(HTMLParser):
    """Checks that tags nest, and collects what is between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def evil_section() -> Section:
    table = Table(EVIL, (Column(EVIL, "text"), Column("x")), ((EVIL, -1.5), (EVIL, EVIL)), (EVIL,))
    blocks = (Text(EVIL), Text(EVIL, "alert"), Code(EVIL), Facts(((EVIL, EVIL),)), table, Picture("<svg></svg>", EVIL))
    return Section(EVIL, blocks)


@pytest.mark.parametrize("render", [to_html, lambda thing: to_page(thing, EVIL, EVIL)])
def test_what_comes_from_data_is_never_markup(render: Any) -> None:
    page = Page(render(evil_section()))
    assert not page.named("script")
    assert sum(word.count("<script>") for word in page.words) >= 11


def test_a_page_needs_nothing_beside_it(fit: Fit) -> None:
    text = to_page(fit.summary(), "A fit")
    page = Page(text)
    assert not page.named("link")
    assert not page.named("img")
    assert not re.search(r"https?://|url\(|@import|src=", text)
    assert text.startswith("<!doctype html>")
    assert {"charset": "utf-8"} in page.named("meta")
    assert any(attributes.get("name") == "viewport" for attributes in page.named("meta"))
    assert "prefers-color-scheme:dark" in text.replace(" ", "")


def test_numbers_are_cut_at_the_point_and_fractions_equally_wide() -> None:
    table = Table("", (Column("name", "text"), Column("x")), (("a", -12.25), ("b", 0.125), ("c", None)))
    cells = re.findall(r'<td class=n>([^<]*)<span style="width:(\d+)ch">([^<]*)</span></td>', to_html(table))
    assert cells == [("−12", "6", ".25000"), ("0", "6", ".12500"), ("", "6", "")] or [c[0] for c in cells] == [
        "−12",
        "0",
        "",
    ]
    assert len({width for _, width, _ in cells}) == 1


def test_the_first_column_names_its_row() -> None:
    page = Page(to_html(Table("", (Column("name", "text"), Column("x")), (("cost", 1.0),))))
    assert {"scope": "row"} in page.named("th")
    assert [attributes["scope"] for attributes in page.named("th")] == ["col", "col", "row"]


def test_a_long_page_has_contents_that_lead_to_its_sections() -> None:
    sections = [Section(f"Part {i}", (Text("…"),)) for i in range(5)]
    page = Page(to_page(sections, "Parts"))
    links = {attributes["href"] for attributes in page.named("a")}
    assert links == {f"#{attributes['id']}" for attributes in page.named("section")}


def test_alerts_are_announced() -> None:
    assert {"class": "alert", "role": "alert"} in Page(to_html(Text("bad", "alert"))).named("p")


def test_markdown_escapes_what_would_be_markup() -> None:
    text = to_markdown(evil_section())
    assert "<script>" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\\<script\\>", "")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}


def test_markdown_aligns_numbers_right_and_keeps_code_whole() -> None:
    text = to_markdown(Table("T", (Column("a", "text"), Column("b")), (("x|y", 2.5),)))
    assert text == "## T\n\n| a | b |\n| :--- | ---: |\n| x\\|y | 2.5000 |\n"
    assert to_markdown(Code("a ``` b")).strip() == "````\na ``` b\n````"


def test_what_cannot_be_shown_says_so() -> None:
    with pytest.raises(TypeError, match="a int cannot be shown"):
        to_html(3)
