"""The checker of types and shapes while tests run. Imports nothing of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache, partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import FunctionType
from typing import Any

from beartype import BeartypeConf, beartype

#: Calls of a function that are checked in each test: where thousands are made, checks take ten times what they check.
MOST_CALLS = 25

#: As type checkers have it, an int will do where a float is asked for.
_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

#: What checks functions inside functions, by module, name and annotations: they are defined anew in each call, and
#: to write their checks takes milliseconds.
_OF_INNER: dict[Hashable, Any] = {}

#: Functions whose calls are not where they run.
_KINDS = (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)

#: Calls that were checked in this test, by function.
_calls: Counter[str] = Counter()


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


def begin_test() -> None:
    """Check each function's first calls again."""
    _calls.clear()


def sparing(jaxtyped: Callable[..., Any]) -> Callable[..., Any]:
    """Return jaxtyping's decorator, so that it checks a function's first calls in each test only."""

    def sparingly(*, typechecker: Any) -> Callable[[Any], Any]:
        decorate = jaxtyped(typechecker=typechecker)

        def decorated(item: Any) -> Any:
            if not isinstance(item, FunctionType) or any(is_kind(item) for is_kind in _KINDS):
                return decorate(item)
            name, checked = f"{item.__module__}.{item.__qualname__}", cache(partial(decorate, item))

            @wraps(item)
            def called(*arguments: Any, **named: Any) -> Any:
                if _calls[name] >= MOST_CALLS:
                    return item(*arguments, **named)
                _calls[name] += 1
                return checked()(*arguments, **named)  # written when first called: most are not, in one test

            return called

        return decorated

    return sparingly
