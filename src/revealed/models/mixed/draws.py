"""Draws for simulation that belong to a person, whoever else is in the log. Imports the errors only.

All persons share the points of one scrambled sequence; each sees them through a random shift of their own, which comes
from the seed and the person's label alone. So draws, and with them the simulated log-likelihood of a person, depend
neither on the order of persons nor on how they are cut into blocks, and a person who leaves or comes changes nobody
else's.
For Sobol points the shift is digital (exclusive or), which keeps the net (Owen 2000, "Monte Carlo, quasi-Monte Carlo,
and randomized quasi-Monte Carlo"); for Halton points it is modulo one (Cranley and Patterson 1976, "Randomization of
number theoretic methods for multiple integration"). Either way each draw alone is uniform.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, UInt64

from revealed.errors import SpecificationError, nearest

KINDS = ("sobol", "halton")
#: Binary digits of a Sobol point, and the most points there are.
_BITS = 30
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Draws:
    """How many draws a person has, and of which kind.

    Parameters
    ----------
    count : int
        Draws of each person.
    kind : {"sobol", "halton"}
        The scrambled sequence they come from.
    seed : int
        Another seed, other draws.

    Raises
    ------
    SpecificationError
        If there is no such kind, the count is not from 1 to 2³⁰, or the seed is negative.
    """

    count: int
    kind: str
    seed: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SpecificationError(f"no draws of the kind {self.kind!r}; {nearest(str(self.kind), KINDS)}")
        if isinstance(self.count, bool) or not isinstance(self.count, int) or not 1 <= self.count <= 1 << _BITS:
            raise SpecificationError(f"draws must be a whole number from 1 to 2^{_BITS}, not {self.count!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise SpecificationError(f"seed must be a whole number, zero or more, not {self.seed!r}")

    def keys(self, labels: Iterable[object]) -> UInt64[np.ndarray, " persons"]:
        """Return the key of each person, from the seed and the label."""
        found = [hashlib.blake2b(f"{self.seed}:{label}".encode(), digest_size=8).digest() for label in labels]
        return np.frombuffer(b"".join(found), dtype=np.uint64)

    def uniform(self, keys: UInt64[np.ndarray, " persons"], dims: int) -> Float[np.ndarray, "persons dims draws"]:
        """Return the draws of persons, each strictly between zero and one."""
        words = _mixed(keys[:, None] + _STEP * np.arange(1, dims + 1, dtype=np.uint64))[:, :, None]
        points = _points(self.kind, self.count, self.seed, dims)
        if self.kind == "sobol":
            digits = points ^ (words >> np.uint64(64 - _BITS))
            return np.asarray((digits + 0.5) * 2.0**-_BITS)
        shifted = points + (words >> np.uint64(11)) * 2.0**-53
        shifted -= shifted >= 1.0
        return np.asarray(np.clip(shifted, 2.0**-53, 1 - 2.0**-53))


@cache
def _points(kind: str, count: int, seed: int, dims: int) -> np.ndarray:
    """Return the points all persons share, shape (dims, count): digits of a Sobol sequence, or numbers of Halton's."""
    from scipy.stats import qmc  # takes a while to load

    if kind == "halton":
        return np.ascontiguousarray(qmc.Halton(dims, scramble=True, seed=seed).random(count).T)
    if dims > qmc.Sobol.MAXDIM:
        raise SpecificationError(f"{dims:,} random coefficients are more than Sobol draws have dimensions")
    power = max(count - 1, 0).bit_length()
    points = qmc.Sobol(dims, scramble=True, bits=_BITS, seed=seed).random_base2(power)[:count]
    return np.ascontiguousarray((points.T * 2.0**_BITS).astype(np.uint64))


def _mixed(words: UInt64[np.ndarray, "persons dims"]) -> UInt64[np.ndarray, "persons dims"]:
    """Return words in which each bit depends on all (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))
