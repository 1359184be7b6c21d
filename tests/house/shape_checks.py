"""The checker of types and shapes while tests run. Imports nothing of ours."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache, partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import FunctionType
from typing import Any

# Of a list beartype looks at one item, drawn by the numbers that hypothesis guards while it makes an example: a check
# in another thread would be taken for a strategy that draws by itself. So it draws by numbers of its own.
_GUARDED, random.getrandbits = random.getrandbits, random.Random(0).getrandbits
from beartype import BeartypeConf, beartype  # noqa: E402

random.getrandbits = _GUARDED

#: Calls of a function that are checked in each test: where thousands are made, checks take ten times what they check.
MOST_CALLS = 4

#: As type checkers have it, an int will do where a float is asked for.
_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

#: What checks functions inside functions, by module, name and annotations: they are defined anew in each call, and
#: to write their checks takes milliseconds.
_OF_INNER: dict[Hashable, Any] = {}

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
            if isinstance(item, FunctionType):
                return decorate(item) if _odd(item) else _spared(item, cache(partial(decorate, item)))
            plain = vars(item).get("__init__")
            checked = decorate(item)
            made = vars(checked).get("__init__")
            if made is not plain and plain is not None:  # of a dataclass
                checked.__init__ = _spared(plain, lambda: made)
            return checked

        return decorated

    return sparingly


def _odd(function: FunctionType) -> bool:
    """Return whether a function does not run where it is called."""
    return iscoroutinefunction(function) or isgeneratorfunction(function) or isasyncgenfunction(function)


def _spared(plain: Callable[..., Any], checked: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function whose first calls in a test are checked; what checks them is written when first called."""
    name = f"{plain.__module__}.{plain.__qualname__}"

    @wraps(plain)
    def called(*arguments: Any, **named: Any) -> Any:
        if _calls[name] >= MOST_CALLS:
            return plain(*arguments, **named)
        _calls[name] += 1
        return checked()(*arguments, **named)

    return called
