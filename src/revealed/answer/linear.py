"""Linear forms of parameters from text: ``cost + 2*time``, ``"alternative[car]:income" / 2``. Imports the errors only.

The names of parameters hold brackets, colons, parentheses and spaces. A known name is found wherever it stands in the
text, the longest first; a name in backticks is taken as it is.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError, nearest

_WORD = re.compile(r"[^\W\d]\w*(?:\[[^\]]*\])?(?::[^\W\d]\w*(?:\[[^\]]*\])?)*")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_STAND_IN = "_{}_"


@dataclass(frozen=True, eq=False)
class LinearForm:
    """A number of parameters times coefficients, plus a constant.

    Parameters
    ----------
    coefficients : ndarray of float64, shape (K,)
    constant : float
    """

    coefficients: Float[np.ndarray, " K"]
    constant: float

    def __add__(self, other: LinearForm) -> LinearForm:
        return LinearForm(self.coefficients + other.coefficients, self.constant + other.constant)

    def __mul__(self, factor: float) -> LinearForm:
        return LinearForm(self.coefficients * factor, self.constant * factor)

    def __sub__(self, other: LinearForm) -> LinearForm:
        return self + other * -1.0

    @property
    def is_number(self) -> bool:
        """Whether no parameter is in it."""
        return not self.coefficients.any()


def read_linear(text: str, names: Sequence[str]) -> LinearForm:
    """Return the linear form that a text stands for.

    Raises
    ------
    SpecificationError
        For text that cannot be read, an unknown parameter, or a form that is not linear.
    """
    sides = split_equation(text, names)
    if len(sides) != 1:
        raise SpecificationError(f"{text!r} must hold no equals sign here")
    return sides[0]


def split_equation(text: str, names: Sequence[str]) -> list[LinearForm]:
    """Return the linear forms between the equals signs of a text; one if there is no such sign."""
    if not text.strip():
        raise SpecificationError("the text is empty; write for instance 'cost = time'")
    coded, found = _with_stand_ins(text, names)
    return [_read(side, text, names, found) for side in re.split(r"==?", coded)]


def _with_stand_ins(text: str, names: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Return the text with each parameter replaced by a word that Python's grammar can read."""
    by_length = sorted(range(len(names)), key=lambda i: -len(names[i]))
    pieces: list[str] = []
    found: dict[str, int] = {}
    place = 0
    while place < len(text):
        index, length = _name_at(text, place, names, by_length)
        if index is not None:
            stand_in = _STAND_IN.format(index)
            found[stand_in] = index
            pieces.append(f" {stand_in} ")
        else:
            number = _NUMBER.match(text, place)
            length = number.end() - place if number else 1
            pieces.append(text[place : place + length])
        place += length
    return "".join(pieces).strip(), found


def _name_at(text: str, place: int, names: Sequence[str], by_length: list[int]) -> tuple[int | None, int]:
    """Return which parameter's name begins at a place of the text, and how long it is there."""
    for index in by_length:  # before backticks are looked for: a name may begin with one
        name = names[index]
        if text.startswith(name, place) and not re.match(r"[\w\[:]", text[place + len(name) : place + len(name) + 1]):
            return index, len(name)
    if text[place] == "`":
        end = text.find("`", place + 1)
        quoted = text[place + 1 : end] if end > 0 else text[place + 1 :]
        if quoted not in names:
            raise SpecificationError(f"no parameter {quoted!r}; {nearest(quoted, names)}")
        return list(names).index(quoted), end + 1 - place
    word = _WORD.match(text, place)
    if word:
        raise SpecificationError(f"no parameter {word.group()!r} (in {text!r}); {nearest(word.group(), names)}")
    return None, 1


def _read(side: str, text: str, names: Sequence[str], found: Mapping[str, int]) -> LinearForm:
    try:
        tree = ast.parse(side.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SpecificationError(f"cannot read {text!r}: {reason}; write for instance 'cost + 2*time = 0'") from None
    return _Reader(text, len(names), found).visit(tree)


class _Reader:
    """Reads sums, differences, and products with numbers; refuses all else."""

    def __init__(self, text: str, n_params: int, found: Mapping[str, int]) -> None:
        self.text = text
        self.n_params = n_params
        self.found = found

    def visit(self, node: ast.expr) -> LinearForm:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return LinearForm(np.zeros(self.n_params), float(node.value))
        if isinstance(node, ast.Name) and node.id in self.found:
            coefficients = np.zeros(self.n_params)
            coefficients[self.found[node.id]] = 1.0
            return LinearForm(coefficients, 0.0)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return self.visit(node.operand) * (-1.0 if isinstance(node.op, ast.USub) else 1.0)
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return _BINARY[type(node.op)](self, self.visit(node.left), self.visit(node.right))
        raise SpecificationError(f"{self.text!r} must be linear in the parameters: sums and multiples, nothing else")

    def product(self, left: LinearForm, right: LinearForm) -> LinearForm:
        if not left.is_number and not right.is_number:
            raise SpecificationError(f"{self.text!r} must be linear: it multiplies parameters with each other")
        return right * left.constant if left.is_number else left * right.constant

    def quotient(self, left: LinearForm, right: LinearForm) -> LinearForm:
        if not right.is_number or right.constant == 0:
            raise SpecificationError(f"{self.text!r} must be linear: divide by numbers other than zero only")
        return left * (1 / right.constant)


_BINARY: Mapping[type[ast.operator], Callable[[_Reader, LinearForm, LinearForm], LinearForm]] = {
    ast.Add: lambda _, left, right: operator.add(left, right),
    ast.Sub: lambda _, left, right: operator.sub(left, right),
    ast.Mult: _Reader.product,
    ast.Div: _Reader.quotient,
}
