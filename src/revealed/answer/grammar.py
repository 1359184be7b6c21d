"""Changes as text. Imports its own room and choices.

::

    change      = set | remove | add
    set         = column [ "[" condition "]" ] operator expression
    operator    = "=" | "+=" | "-=" | "*=" | "/="
    remove      = "remove" label { "," label }
    add         = "add" label "like" label [ "with constants of" label ] [ ":" set { "," set } ]
    column      = a name, or any text in backticks
    label       = a word, or any text in quotes
    condition, expression = arithmetic and comparisons on columns (revealed.choices.expression)

so ``cost[alternative == 'train'] *= 1.1``, ``time[alternative == 'train' and income > 50] = time - 10``,
``available[alternative == 'car'] = 0``, ``remove train``, ``add hyperloop like train: cost = 2 * cost, time /= 3``.
The roles of columns (``alternative``, ``person``, ``available``) serve as names beside those of the columns, and the
labels of alternatives are compared as text, in quotes. A new alternative has the constants of the one it is like,
unless others are named.
"""

from __future__ import annotations

import re

from revealed.answer.change import Add, Change, Remove, Set
from revealed.errors import SpecificationError

_EXAMPLES = (
    "write for instance cost[alternative == 'train'] *= 1.1, remove train, or add tram like bus: cost = cost / 2"
)
_LABEL = r"""'[^']+'|"[^"]+"|[^\s,:'"]+"""
_REMOVE = re.compile(rf"remove\s+(?P<labels>(?:{_LABEL})(?:\s*,\s*(?:{_LABEL}))*)\s*")
_ADD = re.compile(
    rf"add\s+(?P<name>{_LABEL})\s+like\s+(?P<like>{_LABEL})"
    rf"(?:\s+with\s+constants\s+of\s+(?P<of>{_LABEL}))?\s*(?P<rest>:.*)?",
    re.DOTALL,
)
_COLUMN = re.compile(r"\s*(?:`(?P<quoted>[^`]+)`|(?P<plain>[^\W\d]\w*))\s*")
_OPERATOR = re.compile(r"\s*(?P<operator>[-+*/]?=)(?!=)\s*")


def read_change(change: str | Change) -> Change:
    """Return the change that a text stands for; a change that is none is returned as it is.

    Raises
    ------
    SpecificationError
        For text that is no change.

    Examples
    --------
    >>> read_change("cost[alternative == 'train'] *= 1.1")
    Set(column='cost', value='1.1', where="alternative == 'train'", operator='*=')
    >>> read_change("remove train, 'night bus'")
    Remove(alternatives=('train', 'night bus'))
    >>> read_change("add hyperloop like train: cost = 2 * cost, time /= 3").changes[1]
    Set(column='time', value='3', where=None, operator='/=')
    """
    if not isinstance(change, str):
        return change
    text = change.strip()
    if removal := _REMOVE.fullmatch(text):
        return Remove(*[_label(part) for part in re.findall(_LABEL, removal["labels"])])
    if re.match(r"(add|remove)\s+[^\s=+*/\[-]", text):
        return _read_add(text)
    return _read_set(text)


def _read_add(text: str) -> Add:
    match = _ADD.fullmatch(text)
    if match is None:
        raise SpecificationError(
            f"cannot read the change {text!r}; write remove OLD, add NEW like OLD, or "
            "add NEW like OLD: cost = 2 * cost, time /= 3"
        )
    changes = _split(match["rest"][1:]) if match["rest"] else []
    of = _label(match["of"]) if match["of"] else None
    return Add(_label(match["name"]), _label(match["like"]), tuple(map(_read_set, changes)), of)


def _read_set(text: str) -> Set:
    column = _COLUMN.match(text)
    if column is None:
        raise SpecificationError(f"cannot read the change {text!r}; {_EXAMPLES}")
    rest, where = text[column.end() :], None
    if rest.startswith("["):
        end = _depths(rest).index(0) if 0 in _depths(rest) else len(rest)
        where, rest = rest[1 : end - 1].strip(), rest[end:]
        if not where:
            raise SpecificationError(f"the condition in {text!r} is empty; leave the brackets away to change all rows")
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise SpecificationError(f"cannot read the change {text!r}; {_EXAMPLES}")
    value = rest[operator.end() :].strip()
    if not value:
        raise SpecificationError(f"the change {text!r} gives no value; {_EXAMPLES}")
    return Set(column["quoted"] or column["plain"], value, where, operator["operator"])


def _split(text: str) -> list[str]:
    """Cut a text at the commas outside of quotes and brackets."""
    depths, parts, start = _depths(text), [], 0
    for place, letter in enumerate(text):
        if letter == "," and depths[place] == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _depths(text: str) -> list[int]:
    """Return how deep in brackets and quotes each character stands, the brackets and quotes themselves included."""
    depths, quote, depth = [], "", 0
    for letter in text:
        if quote:
            depths.append(depth + 1)
            quote = "" if letter == quote else quote
        elif letter in "'\"`":
            depths.append(depth + 1)
            quote = letter
        else:
            depth += letter in "([{"
            depths.append(depth)
            depth -= letter in ")]}"
    return depths


def _label(text: str) -> str:
    return text[1:-1] if text[0] in "'\"" else text
