"""Where results go: the screen, a JSON file, a report. Imports report to models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revealed.cli.screen import json_text, remark
from revealed.errors import MissingExtraError, OutputError

if TYPE_CHECKING:
    from revealed.evidence import Checkpoint
    from revealed.report.content import Picture

_REPORTS = (".html", ".htm", ".md", ".txt")


def require_writable(
    report: Path | None, *others: Path | None, picture: Path | None = None, reads: Iterable[Path | None] = ()
) -> None:
    """Raise OutputError for places that results cannot or must not go to, before any work is done.

    Parameters
    ----------
    report, picture : Path or None
        Their suffixes must say of what kind they are.
    *others : Path or None
        Where other results go.
    reads : iterable of Path or None
        What the command reads: no result takes its place.
    """
    if report is not None and report.suffix.lower() not in _REPORTS:
        suffix = report.suffix or "a file without a suffix"
        raise OutputError(f"a report is written as {', '.join(_REPORTS)}, not {suffix}")
    if picture is not None:
        from revealed.report.pictures import require_picture

        require_picture(picture)
    read, written = [path for path in reads if path is not None], list[Path]()
    for path in filter(None, (report, *others, picture)):
        if not path.parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {path.parent}; make it or choose another place")
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
        if any(_holds(one, path) for one in read):
            raise OutputError(f"cannot write {path}: this command reads it, and it would be lost; name another file")
        if any(_same(one, path) for one in written):
            raise OutputError(f"cannot write {path}: another result goes there too; name another file")
        written.append(path)


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths are of one file, be it by a link."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def _holds(read: Path, path: Path) -> bool:
    """Return whether a file is what is read, or a part of the folder of Parquet files that is."""
    if not read.is_dir():
        return _same(read, path)
    from revealed.choices.parquet import SUFFIXES

    return path.suffix.lower() in SUFFIXES and path.resolve().is_relative_to(read.resolve())


def going_on(path: Path, about: str) -> Checkpoint:
    """Return where an estimation writes down how far it got, and say so if it goes on from there."""
    from revealed.evidence import Checkpoint

    kept = Checkpoint(path, about)
    if len(kept):
        remark(f"Going on from {path}")
    return kept


@contextmanager
def going_on_later(kept: Checkpoint | None) -> Iterator[None]:
    """Say on an interrupt how to go on, if anything was written down."""
    try:
        yield
    except KeyboardInterrupt:
        if kept:
            remark(f"The same command goes on from {kept.path}")
        raise


def write_json(path: Path | None, data: Mapping[str, Any]) -> None:
    """Write a result as JSON, whole or not at all, if a place is given."""
    if path is None:
        return
    from revealed.files import write_whole

    write_whole(path, json_text(data) + "\n")
    remark(f"Wrote {path}")


def write_report(
    path: Path | None, things: Any, title: str, lead: str = "", pictures: Callable[[], list[Picture]] | None = None
) -> None:
    """Write a report, whole or not at all, if a place is given.

    Parameters
    ----------
    path : Path or None
        Its suffix says of what kind.
    things : object
        What :func:`revealed.report.content.sections_of` takes.
    title, lead : str
    pictures : callable, optional
        Draws the pictures of a page, if matplotlib is there; a page without them says so.
    """
    if path is None:
        return
    from revealed.files import write_whole
    from revealed.report.content import Section, Text, sections_of
    from revealed.report.html import to_page
    from revealed.report.markdown import to_markdown
    from revealed.report.text import to_text

    sections = list(sections_of(things))
    suffix = path.suffix.lower()
    if suffix == ".md":
        content = f"# {title}\n\n{to_markdown(sections)}"
    elif suffix == ".txt":
        content = f"{title}\n{'=' * len(title)}\n\n{to_text(sections)}\n"
    else:
        if pictures is not None:
            try:
                drawn = tuple(pictures())
            except MissingExtraError as error:
                drawn = ()
                sections.append(Section("", (Text(f"Without pictures: {error}", "note"),)))
            sections += [Section("Pictures", drawn)] if drawn else []
        content = to_page(sections, title, lead)
    write_whole(path, content)
    remark(f"Wrote {path}")
