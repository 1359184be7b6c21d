"""Logs of what was shown, opened for commands. Imports choices when run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from revealed.choices.feedback import Feedback


def open_feedback(path: Path, roles: Mapping[str, str]) -> Feedback:
    """Return a log of what was shown: a table with those roles, or a choice log of ours with an outside option.

    Raises
    ------
    DataError
        With every problem found.
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
    return read_feedback(path, FeedbackColumns.named(None, roles))
