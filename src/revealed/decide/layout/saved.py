"""What saved JSON says it is. Imports the errors only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revealed.errors import SpecificationError

#: Of all files of layouts.
FORMAT = 1


def require_kind(data: Mapping[str, Any], kind: str) -> None:
    """Raise SpecificationError unless saved data are of a kind, and of the format of this version.

    Parameters
    ----------
    data : mapping
    kind : str
        What they ought to be, as they say themselves.
    """
    if data.get("kind") != kind or data.get("format") != FORMAT:
        raise SpecificationError(
            f"not a {kind} of format {FORMAT} but {data.get('kind')!r} of format {data.get('format')!r}; read it with "
            "the version that wrote it, or a newer one"
        )
