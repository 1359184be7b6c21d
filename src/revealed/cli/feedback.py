"""Logs of what was shown, and policies, opened for commands. Imports decide and choices when run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from revealed.errors import ColumnError, DataError, Problem, SpecificationError

if TYPE_CHECKING:
    from revealed.choices import TextFormat
    from revealed.choices.feedback import Feedback
    from revealed.decide.policy import LearningPolicy

_SHAPE = "Shape of the log"
#: How the library asks for a role; on the command line the policy's own file names the roles.
_ROLE = re.compile(r"name it with (?P<role>\w+)=…")


@dataclass(frozen=True)
class TextOptions:
    """How a log is written that is a text file."""

    delimiter: Annotated[
        str | None, typer.Option(help="What stands between cells; tab is \\t.", metavar="MARK", rich_help_panel=_SHAPE)
    ] = None
    encoding: Annotated[str, typer.Option(help="Of a text file.", rich_help_panel=_SHAPE)] = "utf-8"
    decimal: Annotated[str, typer.Option(help="The decimal mark of a text file.", rich_help_panel=_SHAPE)] = "."

    def format(self) -> TextFormat:
        """Return it in the library's words.

        Raises
        ------
        SpecificationError
            For a delimiter of several marks.
        """
        from revealed.choices import TextFormat

        delimiter = {"\\t": "\t", "tab": "\t"}.get(self.delimiter or "", self.delimiter)
        if delimiter is not None and len(delimiter) != 1:
            raise SpecificationError(f"--delimiter is a single mark such as ';', not {self.delimiter!r}")
        return TextFormat(delimiter=delimiter, encoding=self.encoding, decimal=self.decimal)


def open_feedback(path: Path, roles: Mapping[str, str], text: TextOptions | None = None) -> Feedback:
    """Return a log of what was shown: a table with those roles, or a choice log of ours with an outside option.

    Raises
    ------
    DataError
        With every problem found; a ColumnError if all of them are columns that are not there.
    SpecificationError
        For an unknown role.
    """
    from revealed.choices.feedback import Feedback, read_feedback
    from revealed.choices.feedback_checks import FeedbackColumns
    from revealed.choices.parquet import parquet_files, schema_of
    from revealed.choices.readers import read, stored_roles

    if path.is_dir() or path.suffix.lower() == ".parquet":
        files = parquet_files(path)
        schema = schema_of(files[0])
        if stored_roles(schema) is not None:
            return Feedback.from_log(read(path), position=roles.get("position"))
    try:
        return read_feedback(path, FeedbackColumns.named(None, roles), text=(text or TextOptions()).format())
    except DataError as error:
        raise _of_the_policy_file(error) from None


def open_policy(path: Path) -> LearningPolicy:
    """Return a policy that ``learn`` wrote.

    Raises
    ------
    DataError
        If there is no such file, or parts of it are missing or spoiled.
    SpecificationError
        If it is no policy, or a newer version of the package wrote it.
    """
    from revealed.decide.policy import LearningPolicy

    remedy = "give a file that `revealed learn` wrote, as it wrote it"
    try:
        return LearningPolicy.load(path)
    except OSError as error:
        raise DataError(str(path), [Problem(f"cannot be read: {error.strerror or error}", remedy)]) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(str(path), [Problem(f"a policy with parts missing or spoiled ({error})", remedy)]) from None


def _of_the_policy_file(error: DataError) -> DataError:
    """Return a refusal that asks for roles where they are told here: in the policy's file."""
    problems = [
        replace(one, remedy=_ROLE.sub(r'say so in [log] of the policy: \g<role> = "…"', one.remedy))
        for one in error.problems
    ]
    changed = [told != one for told, one in zip(problems, error.problems, strict=True)]
    return (ColumnError if all(changed) else type(error))(error.source, problems)
