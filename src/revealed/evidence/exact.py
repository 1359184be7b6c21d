"""Sums of floating-point numbers that do not depend on the order of the parts. Imports numpy and the errors only.

A sum of doubles is kept as one wide fixed-point integer per entry, cut in 32-bit digits ("limbs"): the Kulisch
accumulator, with only the limbs in use. Adding a double splits it at limb boundaries, which is exact, and adds
integers, which is exact and associative. So ``(a + b) + c == a + (b + c)`` and ``(a + b) - b == a`` hold bit for bit,
and the sum over any partition of the same terms has the same bits. Rounding happens once, in :meth:`ExactSum.value`.

The cost is a few multiplications per term; terms come by the block (one row per block of cases), so it does not show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import EvidenceError

_BITS = 32
_LARGEST = 2.0**960  # leaves the sum and its carries room below the largest double
_HALF = np.int64(1) << np.int64(_BITS - 1)


class NotFiniteError(EvidenceError):
    """A sum with a term that is not finite, or so large that the sum might not be."""

    exit_code = 4  # what was asked for cannot be computed; the package is not at fault


class ExactSum:
    """The exact sum of rows of doubles; immutable, a commutative group under ``+``.

    Attributes
    ----------
    limbs : ndarray of int64, shape (digits, width)
        Balanced base-2³² digits, least significant first; canonical, so equal sums have equal limbs.
    lowest : int
        The exponent of the first digit, in digits: the value is ``sum(limbs[i] * 2**(32 * (lowest + i)))``.
    """

    __slots__ = ("limbs", "lowest")

    def __init__(self, limbs: Int[np.ndarray, "digits width"], lowest: int) -> None:
        self.limbs, self.lowest = _canonical(limbs, lowest)

    @classmethod
    def zero(cls, width: int) -> ExactSum:
        """Return the sum of nothing."""
        return cls(np.zeros((0, width), np.int64), 0)

    @classmethod
    def of(cls, rows: Float[np.ndarray, "terms width"]) -> ExactSum:
        """Return the exact sum of rows.

        Raises
        ------
        NotFiniteError
            If a term is not finite, or above 2**960.
        """
        if len(rows) > 1 << 20:  # the partial sums below are exact up to 2^21 terms
            return cls.sum([cls.of(part) for part in np.array_split(rows, -(-len(rows) // (1 << 20)))])
        largest = float(np.max(np.abs(rows), initial=0.0))
        if not largest < _LARGEST:
            raise NotFiniteError(
                "a term of the evidence is not finite (NaN, infinite or above 1e289): start or hold parameters nearer "
                "to zero, and measure attributes in units in which they are about one"
            )
        if largest == 0.0:
            return cls.zero(rows.shape[1])
        digit = int(np.frexp(largest)[1]) // _BITS + 1
        rest = np.array(rows, dtype=np.float64)
        digits: list[Int[np.ndarray, " width"]] = []
        while True:
            whole = np.trunc(_shift(rest, -_BITS * digit))
            digits.append(whole.sum(axis=0).astype(np.int64))
            rest -= _shift(whole, _BITS * digit)
            if not rest.any():
                break
            digit -= 1
        return cls(np.array(digits[::-1]), digit)

    @staticmethod
    def sum(parts: Sequence[ExactSum]) -> ExactSum:
        """Return the sum of one or more parts."""
        lowest = min((part.lowest for part in parts if len(part.limbs)), default=0)
        highest = max((part.lowest + len(part.limbs) for part in parts if len(part.limbs)), default=0)
        limbs = np.zeros((highest - lowest, parts[0].width), np.int64)
        for part in parts:
            if part.width != parts[0].width:
                raise EvidenceError(f"sums of {part.width} and {parts[0].width} entries cannot be added")
            start = part.lowest - lowest
            limbs[start : start + len(part.limbs)] += part.limbs
        return ExactSum(limbs, lowest)

    @property
    def width(self) -> int:
        """The number of entries in a row."""
        return int(self.limbs.shape[1])

    def value(self) -> Float[np.ndarray, " width"]:
        """Return the sum rounded to doubles, by the same steps for the same sum."""
        total = np.zeros(self.width)
        for i, digit in enumerate(self.limbs):
            total += _shift(digit.astype(np.float64), _BITS * (self.lowest + i))
        return total

    def __add__(self, other: ExactSum) -> ExactSum:
        return ExactSum.sum([self, other])

    def __neg__(self) -> ExactSum:
        return ExactSum(-self.limbs, self.lowest)

    def __sub__(self, other: ExactSum) -> ExactSum:
        return self + -other

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ExactSum)
            and self.lowest == other.lowest
            and bool(np.array_equal(self.limbs, other.limbs))
        )

    def __hash__(self) -> int:
        return hash((self.lowest, self.limbs.tobytes()))

    def __repr__(self) -> str:
        return f"ExactSum({self.value()!r})"

    def to_dict(self) -> dict[str, object]:
        """Return the sum as JSON-ready data, exactly."""
        return {"lowest": self.lowest, "limbs": self.limbs.tolist(), "width": self.width}

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> ExactSum:
        """Return the sum that :meth:`to_dict` wrote."""
        width, lowest = data["width"], data["lowest"]
        assert isinstance(width, int)
        assert isinstance(lowest, int)
        return cls(np.array(data["limbs"], dtype=np.int64).reshape(-1, width), lowest)


def _shift(values: np.ndarray, bits: int) -> np.ndarray:
    """Return ``values * 2**bits`` exactly, also where ``2**bits`` itself is no double."""
    if -1000 < bits < 1000:
        return np.asarray(values * 2.0**bits)
    return np.asarray(np.ldexp(values, bits))


def _canonical(limbs: np.ndarray, lowest: int) -> tuple[np.ndarray, int]:
    """Carry to balanced digits in [-2^31, 2^31) and trim the zero digits at both ends."""
    digits = [row.copy() for row in limbs]
    carry = np.zeros(limbs.shape[1], np.int64)
    i = 0
    while i < len(digits) or carry.any():
        if i == len(digits):
            digits.append(np.zeros_like(carry))
        digits[i] += carry
        carry = (digits[i] + _HALF) >> _BITS
        digits[i] -= carry << _BITS
        i += 1
    used = [i for i, row in enumerate(digits) if row.any()]
    if not used:
        return np.zeros((0, limbs.shape[1]), np.int64), 0
    return np.array(digits[used[0] : used[-1] + 1]), lowest + used[0]
