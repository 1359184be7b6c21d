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


def open_feedback(
    path: Path, roles: Mapping[str, str], text: TextOptions | None = None, *, judging: bool = True
) -> Feedback:
    """Return a log of what was shown: a table with those roles, or a choice log of ours with an outside option.

    Where it is not for judging a policy, a table without the column of propensities will do, unless [log] names it.

    Raises
    ------
    DataError
        With every problem found; a ColumnError if all of them are columns that are not there.
    SpecificationError
        For an unknown role.
    """
    from revealed.choices.feedback import Feedback
    from revealed.choices.feedback_checks import FeedbackColumns
    from revealed.choices.parquet import parquet_files, schema_of
    from revealed.choices.readers import read, stored_roles
    from revealed.choices.tables import as_table

    if path.is_dir() or path.suffix.lower() == ".parquet":
        files = parquet_files(path)
        schema = schema_of(files[0])
        if stored_roles(schema) is not None:
            return Feedback.from_log(read(path), position=roles.get("position"))
    columns = FeedbackColumns.named(None, roles)
    labels = tuple(filter(None, (columns.decision, columns.action, columns.person)))
    table, name = as_table(path, text_format(text or TextOptions()), labels)
    named = columns.propensity != FeedbackColumns.propensity
    if not (judging or named or columns.propensity in table.column_names):
        columns = replace(columns, propensity=None)
    try:
        return Feedback.from_table(table, columns, source=name)
    except ColumnError as error:
        raise _of_the_policy_file(error, judging) from None


def _of_the_policy_file(error: ColumnError, judging: bool) -> ColumnError:
    """Return a refusal that asks for roles where they are told here: in the policy's file."""
    remedy = r'say so in [log] of the policy: \g<role> = "…"'
    problems = [replace(one, remedy=_ROLE.sub(remedy, one.remedy)) for one in error.problems]
    more = "without propensities a log cannot judge a policy: log what decide tells with each decision"
    if not judging:
        more = "or, if none was logged, leave propensity out of [log]"
    for place, one in enumerate(problems):
        if one.what.endswith("for the role 'propensity'"):
            problems[place] = replace(one, remedy=f"{one.remedy}; {more}")
    return ColumnError(error.source, problems)
