"""The checker of types and shapes while tests run. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Hashable
from types import FunctionType
from typing import Any

from beartype import BeartypeConf, beartype

#: As type checkers have it, an int will do where a float is asked for.
_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

#: What checks functions inside functions, by module, name and annotations: they are defined anew in each call, and
#: to write their checks takes milliseconds.
_OF_INNER: dict[Hashable, Any] = {}


def check(function: Any) -> Any:
    """Return the check of a function's arguments."""
    # What jaxtyping hands over has the signature of ours and an empty body, so one annotated alike does as well.
    inner = isinstance(function, FunctionType) and "<locals>" in function.__qualname__
    if not inner or function.__defaults__ or function.__kwdefaults__:
        return _checked(function)
    code = function.__code__
    shape = (code.co_varnames, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    key = (function.__module__, function.__qualname__, shape, tuple(function.__annotations__.items()))
    if key not in _OF_INNER:
        _OF_INNER[key] = _checked(function)
    return _OF_INNER[key]
