r"""Random numbers as a pure function of a seed and the decision's number. Imports nothing of ours.

Decisions :math:`gM` to :math:`gM + M - 1` are a block, and share a pool of :math:`M` vectors of standard normals. Each
uses the one that its lot names, so

- each decision's draw is standard normal, and independent of its history;
- given the pool, the probability of what is shown is a share of the pool, exactly. No estimate comes in;
- the numbers of any decision come without those of the decisions before its block.

A quarter of the vectors is drawn. The next quarter is the first turned by a right angle, :math:`z = (a, b)` to
:math:`Jz = (-b, a)`: standard normal too, and for whatever contrast :math:`x` of two candidates :math:`x'z` and
:math:`x'Jz` are independent, as :math:`J` is antisymmetric and so :math:`x'Jx = 0` (orthogonal coupling; Rowland and
others, "Geometrically coupled Monte Carlo sampling", NeurIPS 2018). The second half is the mirror image of the first
(antithetic variates), so the mean of the pool is the mean.

Each block has a stream of its own of the generator SFC64 (Doty-Humphrey, PractRand), whose three words of state are the
seed, the block and what the numbers are for; rounds thrown away mix them. Counter-based generators such as Philox
would spare the mixing, but take half as long again for each normal.
"""

from __future__ import annotations

from functools import lru_cache
from threading import local
from typing import Any

import numpy as np
from jaxtyping import Float, Int

#: Vectors in a pool: what a propensity is a share of.
POOL = 256

_NORMALS, _LOTS, _UNIFORMS = 0, 1, 2

#: Rounds thrown away, in which each bit of a new state changes all of it; numpy's own seeding throws 12 away.
_ROUNDS = 18

#: Blocks whose lots are drawn together.
RUN = 16


@lru_cache(maxsize=4)
def half_of(seed: int, block: int, size: int, n_params: int, width: float = 1.0) -> Float[np.ndarray, "half K"]:
    """Return the first half of a pool, ``width`` times standard normals, not to be written to.

    Member ``half + i`` of the pool is the mirror image of member ``i``; of an odd pool the last one has none. The
    second half of this half is its first one turned by a right angle.
    """
    n_half, turn = (size + 1) // 2, (n_params + 1) // 2
    first = (n_half + 1) // 2
    drawn = _generator(seed, block, _NORMALS).standard_normal((first, 2 * turn))
    drawn *= width
    half = np.empty((n_half, n_params))
    half[:first] = drawn[:, :n_params]
    np.negative(drawn[: n_half - first, turn:], out=half[first:, :turn])
    half[first:, turn:] = drawn[: n_half - first, : n_params - turn]
    half.flags.writeable = False
    return half


@lru_cache(maxsize=8)
def lots_of(seed: int, run: int, size: int) -> Int[np.ndarray, "blocks size"]:
    """Return which member of its pool each decision uses, of a run of :data:`RUN` blocks, not to be written to."""
    members = _generator(seed, run, _LOTS).integers(size, size=(RUN, size))
    members.flags.writeable = False
    return members


def members_of(seed: int, block: int, size: int) -> Int[np.ndarray, " size"]:
    """Return which member of its pool each decision of a block uses, not to be written to."""
    members: np.ndarray = lots_of(seed, block // RUN, size)[block % RUN]
    return members


@lru_cache(maxsize=64)
def uniforms_of(seed: int, block: int, size: int) -> Float[np.ndarray, " size"]:
    """Return a number between 0 and 1 for each decision of a block, not to be written to."""
    uniforms = _generator(seed, block, _UNIFORMS).random(size)
    uniforms.flags.writeable = False
    return uniforms


class _Bits(local):
    """A generator for each thread: to make one costs five times as much as to set its state."""

    def __init__(self) -> None:
        self.bits = np.random.SFC64(0)
        self.generator = np.random.Generator(self.bits)
        self.words = np.zeros(4, np.uint64)
        self.state: Any = {
            "bit_generator": "SFC64",
            "state": {"state": self.words},
            "has_uint32": 0,
            "uinteger": 0,
        }


_bits = _Bits()


def _generator(seed: int, block: int, purpose: int) -> np.random.Generator:
    """Return the generator of some numbers, good until the next call in this thread."""
    _bits.words[:] = seed, block, purpose, 1
    _bits.bits.state = _bits.state
    _bits.bits.random_raw(_ROUNDS)
    return _bits.generator
