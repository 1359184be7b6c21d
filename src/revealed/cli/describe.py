"""``revealed describe``: what a file of choices holds. Imports report to choices when run."""

from __future__ import annotations

from revealed.cli.data import open_choices
from revealed.cli.options import Choices, FileOptions, Json, Report, RoleOptions
from revealed.cli.results import require_writable, write_report
from revealed.cli.screen import Screen


def describe(
    choices: Choices, roles: RoleOptions, file: FileOptions, report: Report = None, json: Json = False
) -> None:
    """Check a file of choices and tell what it holds.

    Every problem is listed at once, with its rows and what to do about it.
    """
    from dataclasses import asdict

    screen = Screen(json)
    require_writable(report, reads=(choices, file.wide))
    with screen.working(f"Reading {choices}"):
        description = open_choices(choices, file, roles).describe()
    from revealed.report.description import sections_of_description

    sections = sections_of_description(description)
    screen.show(sections)
    write_report(report, sections, "What the choices hold")
    screen.document(asdict(description))
