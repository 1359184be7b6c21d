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

import numpy as np
from jaxtyping import Float, Int

#: Vectors in a pool: what a propensity is a share of.
POOL = 256

_NORMALS, _LOTS = 0, 1


@lru_cache(maxsize=4)
def pool_of(seed: int, block: int, size: int, n_params: int) -> Float[np.ndarray, "size K"]:
    """Return the standard normals of a pool, not to be written to."""
    half = _generator(seed, block, _NORMALS).standard_normal(((size + 1) // 2, n_params))
    normals = np.concatenate([half, -half])[:size]
    normals.flags.writeable = False
    return normals


@lru_cache(maxsize=64)
def lots_of(seed: int, block: int, size: int) -> tuple[Int[np.ndarray, " size"], Float[np.ndarray, " size"]]:
    """Return which member of the pool each of its decisions uses, and a number between 0 and 1 for each."""
    generator = _generator(seed, block, _LOTS)
    members, uniforms = generator.integers(size, size=size), generator.random(size)
    members.flags.writeable = uniforms.flags.writeable = False
    return members, uniforms


def _generator(seed: int, block: int, purpose: int) -> np.random.Generator:
    # The lower half of the counter is the generator's own to count with.
    counter = np.array([0, 0, block, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(counter=counter, key=np.array([seed, purpose], dtype=np.uint64)))
