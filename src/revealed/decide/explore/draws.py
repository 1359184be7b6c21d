r"""Random numbers as a pure function of a seed and the decision's number. Imports nothing of ours.

Counter-based generators (Philox; Salmon, Moraes, Dror and Shaw, SC 2011) give the numbers of any decision without those
of the decisions before it. They come in pools: decisions :math:`gM` to :math:`gM + M - 1` share a pool of :math:`M`
vectors of standard normals, each with its mirror image, and each uses the one that its lot names, so

- each decision's draw is standard normal, and independent of its history;
- given the pool, the probability of what is shown is a share of the pool, exactly. No estimate comes in;
- the mean of the pool is the mean, and half the numbers are spared (antithetic variates).
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

#: Rounds after which each bit of a new state has changed all of it.
_ROUNDS = 18


@lru_cache(maxsize=4)
def half_of(seed: int, block: int, size: int, n_params: int, width: float = 1.0) -> Float[np.ndarray, "half K"]:
    """Return the first half of a pool, ``width`` times standard normals, not to be written to.

    Member ``half + i`` of the pool is the mirror image of member ``i``; of an odd pool the last one has none.
    """
    normals = _generator(seed, block, _NORMALS).standard_normal(((size + 1) // 2, n_params))
    normals *= width
    normals.flags.writeable = False
    return normals


@lru_cache(maxsize=64)
def members_of(seed: int, block: int, size: int) -> Int[np.ndarray, " size"]:
    """Return which member of the pool each of its decisions uses, not to be written to."""
    # A double has 53 bits: that a member of a million were named too often by one in 10⁹ is beyond what any sum shows.
    members = (_generator(seed, block, _LOTS).random(size) * size).astype(np.int64)
    members.flags.writeable = False
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
    _bits.bits.random_raw(_ROUNDS, output=False)
    return _bits.generator
