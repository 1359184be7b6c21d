"""Arithmetic on columns from text, safe to run on text from a file. Imports numpy and the errors only.

``cost * (season_pass == 0) / 100`` or ``alternative == 'train' and income > 50``. The text is parsed by Python's own
grammar and walked over a short list of allowed operations: no attribute access, no calls but those in
:data:`FUNCTIONS`, so a fit or a specification loaded from a file cannot run code. Names that are not Python
identifiers are written in backticks: ```travel time` / 60``.
"""

from __future__ import annotations

import ast
import functools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from revealed.errors import SpecificationError, nearest


@dataclass(frozen=True, eq=False)
class Labels:
    """A column of labels as codes into a list; compares with text in one pass over the codes.

    A label that is not in the list is an error with the nearest ones, unless ``strict`` is off (a part of a column
    need not hold every label).
    """

    codes: np.ndarray
    labels: tuple[str, ...]
    strict: bool = True

    def equals(self, other: object) -> np.ndarray:
        """Return where the label is ``other``."""
        if isinstance(other, Labels):
            mine, theirs = np.array([*self.labels, ""]), np.array([*other.labels, ""])
            return np.asarray(mine[self.codes] == theirs[other.codes])
        text = str(int(other)) if isinstance(other, float) and other.is_integer() else str(other)
        if text not in self.labels:
            if not self.strict:
                return np.zeros(len(self.codes), dtype=bool)
            raise SpecificationError(f"no label {text!r}; {nearest(text, self.labels)}")
        return np.asarray(self.codes == self.labels.index(text))


Lookup = Callable[[str], Any]

#: Each function with the number of arguments it takes (a further one would be numpy's ``out`` and write on the data).
FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1),
    "ceil": (np.ceil, 1),
    "clip": (np.clip, 3),
    "exp": (np.exp, 1),
    "expm1": (np.expm1, 1),
    "floor": (np.floor, 1),
    "log": (np.log, 1),
    "log10": (np.log10, 1),
    "log1p": (np.log1p, 1),
    "log2": (np.log2, 1),
    "max": (np.maximum, 2),
    "maximum": (np.maximum, 2),
    "min": (np.minimum, 2),
    "minimum": (np.minimum, 2),
    "round": (np.round, 1),
    "sign": (np.sign, 1),
    "sqrt": (np.sqrt, 1),
    "where": (np.where, 3),
}

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: np.logical_not,
    ast.Invert: np.logical_not,
}
_QUOTED = re.compile(r"`([^`]+)`")


def evaluate(expression: str, lookup: Lookup) -> Any:
    """Return the value of an expression on columns.

    Parameters
    ----------
    expression : str
        The text, for instance ``"cost[...]"``-free arithmetic such as ``"log(cost) * (income > 50)"``.
    lookup : callable
        Gives the array (or :class:`Labels`) for a column's name; raises SpecificationError for an unknown one.

    Raises
    ------
    SpecificationError
        For text that is no expression, a name that is no column, or an operation outside of the allowed ones.

    Examples
    --------
    >>> cost = np.array([100.0, 200.0])
    >>> evaluate("cost / 100 + 1", {"cost": cost}.__getitem__)
    array([2., 3.])
    """
    tree, names = _parse(expression)
    try:
        with np.errstate(all="ignore"):
            return _Walker(expression, lookup, names).visit(tree)
    except RecursionError:
        raise SpecificationError(f"the expression {expression[:40]!r}… is nested too deeply") from None


def names_in(expression: str) -> tuple[str, ...]:
    """Return the columns an expression uses, in order of appearance.

    >>> names_in("log(cost) * (`travel time` > 50) + cost")
    ('cost', 'travel time')
    """
    tree, names = _parse(expression)
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(names.get(node.id, node.id) for node in found))


@functools.lru_cache(maxsize=1024)
def _parse(expression: str) -> tuple[ast.expr, dict[str, str]]:
    names: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        name = f"quoted_{len(names)}_"
        names[name] = match.group(1)
        return name

    text = _QUOTED.sub(stand_in, expression).strip()
    try:
        return ast.parse(text, mode="eval").body, names
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpecificationError(f"cannot read the expression {expression!r}: {error}") from None


class _Walker:
    """Evaluates the allowed nodes and refuses all others."""

    def __init__(self, expression: str, lookup: Lookup, names: Mapping[str, str]) -> None:
        self.expression = expression
        self.lookup = lookup
        self.names = names

    def visit(self, node: ast.expr) -> Any:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise SpecificationError(f"{type(node).__name__} is not allowed in the expression {self.expression!r}")
        return method(node)

    def _constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, bool | str):
            return node.value
        if isinstance(node.value, int | float):
            return float(node.value)
        raise SpecificationError(f"the constant {node.value!r} is not allowed in {self.expression!r}")

    def _name(self, node: ast.Name) -> Any:
        return self.lookup(self.names.get(node.id, node.id))

    def _number(self, value: Any) -> Any:
        if isinstance(value, Labels | str):
            raise SpecificationError(f"labels can only be compared (==, !=, in) in the expression {self.expression!r}")
        return value

    def _binop(self, node: ast.BinOp) -> Any:
        operation = _BINARY.get(type(node.op))
        if operation is None:
            raise SpecificationError(f"{type(node.op).__name__} is not allowed in {self.expression!r}")
        return operation(self._number(self.visit(node.left)), self._number(self.visit(node.right)))

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self._number(self.visit(node.operand)))

    def _boolop(self, node: ast.BoolOp) -> Any:
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        value = self._number(self.visit(node.values[0]))
        for operand in node.values[1:]:
            value = join(value, self._number(self.visit(operand)))
        return value

    def _compare(self, node: ast.Compare) -> Any:
        left = self.visit(node.left)
        result: Any = None
        for kind, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.visit(comparator)
            one = self._compare_one(kind, left, right)
            result = one if result is None else np.logical_and(result, one)
            left = right
        return result

    def _compare_one(self, kind: ast.cmpop, left: Any, right: Any) -> Any:
        if isinstance(kind, ast.Eq):
            return _equal(left, right)
        if isinstance(kind, ast.NotEq):
            return np.logical_not(_equal(left, right))
        if isinstance(kind, ast.In | ast.NotIn):
            if not isinstance(right, list) or not right:
                raise SpecificationError(f"'in' needs a list, as in mode in ['a', 'b'], in {self.expression!r}")
            hit = np.logical_or.reduce([np.asarray(_equal(left, item)) for item in right])
            return hit if isinstance(kind, ast.In) else np.logical_not(hit)
        operation = _COMPARE.get(type(kind))
        if operation is None:
            raise SpecificationError(f"{type(kind).__name__} is not allowed in {self.expression!r}")
        return operation(self._number(left), self._number(right))

    def _list(self, node: ast.List) -> Any:
        return [self.visit(item) for item in node.elts]

    _tuple = _list

    def _call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise SpecificationError(f"only plain calls such as log(cost) are allowed in {self.expression!r}")
        if node.func.id not in FUNCTIONS:
            close = nearest(node.func.id, FUNCTIONS)
            raise SpecificationError(f"no function {node.func.id!r} in the expression {self.expression!r}; {close}")
        function, arity = FUNCTIONS[node.func.id]
        if len(node.args) != arity:
            raise SpecificationError(
                f"{node.func.id}() takes {arity} argument(s), in the expression {self.expression!r}"
            )
        return function(*[self._number(self.visit(argument)) for argument in node.args])


def _equal(left: Any, right: Any) -> Any:
    if isinstance(left, Labels):
        return left.equals(right)
    if isinstance(right, Labels):
        return right.equals(left)
    if isinstance(left, str) != isinstance(right, str):
        raise SpecificationError("a number is compared with text; write numbers without quotes")
    return left == right
