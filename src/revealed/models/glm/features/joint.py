"""A context and its candidates as records of one space. Imports the errors only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from revealed.errors import DataError, Problem

#: What fields of the context and of candidates may start with, to say whose they are.
CONTEXT, ITEM = "context.", "item."


def joined(names: Sequence[str], context: Any, candidates: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a record for each candidate, with what the context and the candidate have of some fields.

    Parameters
    ----------
    names : sequence of str
        The fields; ``context.age`` is the context's ``age``, ``item.kind`` the candidate's ``kind``, one without such
        a prefix belongs to the one that has it.
    context : mapping
    candidates : sequence of mappings
        What else they may be is refused here, at the door.

    Raises
    ------
    DataError
        If both have a field without a prefix, or one of them is no mapping.
    """
    odd = [i for i, candidate in enumerate(candidates) if not isinstance(candidate, Mapping)]
    if odd or not isinstance(context, Mapping):
        what = f"a {type(candidates[odd[0]]).__name__} for a candidate" if odd else "a context that is no mapping"
        rows = tuple(i + 1 for i in odd[:5])
        raise DataError("joint rows", [Problem(what, "give dicts {name: value}", rows=rows, count=max(len(odd), 1))])
    shared: dict[str, Any] = {}
    of_item: list[tuple[str, str]] = []
    open_names: list[str] = []
    for name in names:
        if name.startswith(CONTEXT):
            key = name.removeprefix(CONTEXT)
            if key in context:
                shared[name] = context[key]
        elif name.startswith(ITEM):
            of_item.append((name, name.removeprefix(ITEM)))
        else:
            of_item.append((name, name))
            if name in context:
                shared[name] = context[name]
                open_names.append(name)
    for name in open_names:
        both = [i for i, candidate in enumerate(candidates) if name in candidate]
        if both:
            remedy = f"call the field {CONTEXT}{name} or {ITEM}{name}, to say which is meant"
            where = f"feature {name!r}"
            rows = tuple(i + 1 for i in both[:5])
            problem = Problem("both the context and candidates have it", remedy, where, rows, count=len(both))
            raise DataError("joint rows", [problem])
    records = []
    for candidate in candidates:
        record = shared.copy()
        for name, key in of_item:
            if key in candidate:
                record[name] = candidate[key]
        records.append(record)
    return records
