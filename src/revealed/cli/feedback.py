"""Logs of what was shown, and policies, opened for commands. Imports decide and choices when run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from revealed.cli.data import text_format
from revealed.cli.options import TextOptions
from revealed.errors import ColumnError

if TYPE_CHECKING:
    from revealed.choices.feedback import Feedback

#: How the library asks for a role; on the command line the policy's own file names the roles.
_ROLE = re.compile(r"name it with (?P<role>\w+)=…")


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
        return read_feedback(path, FeedbackColumns.named(None, roles), text=text_format(text or TextOptions()))
    except ColumnError as error:
        raise _of_the_policy_file(error) from None


def _of_the_policy_file(error: ColumnError) -> ColumnError:
    """Return a refusal that asks for roles where they are told here: in the policy's file."""
    remedy = r'say so in [log] of the policy: \g<role> = "…"'
    return ColumnError(error.source, [replace(one, remedy=_ROLE.sub(remedy, one.remedy)) for one in error.problems])
