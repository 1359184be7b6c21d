"""Reports as text: numbers aligned on the decimal point, whole in any window, plain where nobody looks."""

from __future__ import annotations

import io

from rich.console import Console

from revealed.answer.table import Column, Table
from revealed.report import Facts, Section, Text, to_text
from revealed.report.content import Code
from revealed.report.text import print_to

TABLE = Table(
    "Estimates",
    (Column("parameter", "text"), Column("estimate"), Column("share", "share")),
    (("alternative[a long name]:household income", -12.25, 0.5), ("cost", 0.125, 0.25), ("left", None, float("nan"))),
    ("first note", "second note"),
)


def printed(thing: object, width: int) -> list[str]:
    file = io.StringIO()
    print_to(Console(file=file, width=width, color_system=None), thing)
    return file.getvalue().splitlines()


def test_numbers_stand_with_their_points_below_each_other() -> None:
    lines = [line for line in to_text(TABLE).splitlines() if "-12.25" in line or " 0.125" in line]
    assert len({line.index(".") for line in lines}) == 1


def test_plain_text_is_never_folded_nor_coloured() -> None:
    text = to_text(TABLE)
    assert "alternative[a long name]:household income" in text
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_narrow_window_folds_names_but_never_cuts_a_number() -> None:
    for width in (20, 30, 40, 60, 120):
        text = "\n".join(printed(TABLE, width))
        for number in ("-12.25", "0.125", "50.0%", "n/a"):
            assert number in text, (width, text)
        assert "…" not in text


def test_a_table_wider_than_the_window_comes_in_parts_that_fit() -> None:
    columns = (Column("policy", "text"), *(Column(f"number {i}") for i in range(9)), Column("", "text"))
    row: tuple[str | float, ...] = ("greedy", *(i + 0.5 for i in range(9)), "selected")
    lines = printed(Table("Policies", columns, (row,), ("a note",)), 60)
    assert max(map(len, lines)) <= 60
    assert [line for line in lines if "number 0" in line] != [line for line in lines if "number 8" in line]
    assert all(line.startswith("policy") for line in lines if "number" in line)
    assert [line for line in lines if "8.5" in line and "greedy" in line and "selected" in line]
    assert sum("a note" in line for line in lines) == 1
    assert sum("number" in line for line in to_text(Table("Policies", columns, (row,))).splitlines()) == 1


def test_running_text_is_broken_at_words() -> None:
    words = " ".join(["choices"] * 60)
    lines = to_text(Text(words)).splitlines()
    assert max(map(len, lines)) <= 88
    assert " ".join(lines) == words


def test_markup_in_data_is_shown_as_it_is() -> None:
    section = Section("[bold]x[/bold]", (Facts((("[red]", "[/red] :smile:"),)), Code("[a]"), Text("[b]!")))
    text = to_text(section)
    for literal in ("[bold]x[/bold]", "[red]", "[/red] :smile:", "[a]", "[b]!"):
        assert literal in text


def test_warnings_say_so_without_colour() -> None:
    assert to_text(Text("beyond the data", "warning")) == "Warning: beyond the data"
    assert to_text(Text("not converged", "alert")).startswith("! ")


def test_colour_on_a_terminal() -> None:
    file = io.StringIO()
    print_to(Console(file=file, force_terminal=True, color_system="standard", width=100), Text("bad", "alert"))
    assert "\x1b[1;31m" in file.getvalue()


def test_wide_letters_keep_columns_apart() -> None:
    table = Table("", (Column("名前", "text"), Column("値")), (("電車", 1.5), ("車", -22.25)))
    from rich.cells import cell_len

    lines = to_text(table).splitlines()[-2:]
    assert len({cell_len(line[: line.index(".")]) for line in lines}) == 1
