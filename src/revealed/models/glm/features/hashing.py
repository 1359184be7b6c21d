"""Hashing of labels into buckets, the same on every machine, and the count of collisions. Imports nothing of ours.

A label's hash is the first eight bytes of BLAKE2b (RFC 7693) of the field's name, a zero byte and the label, both in
UTF-8, read as a little-endian number. A pair's hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014) applied
to ``GOLDEN * one + other`` modulo 2^64. The bucket is the lowest bits. Changing any of this makes saved models useless:
a test holds the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from jaxtyping import Int64, UInt64

GOLDEN = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = (1 << 64) - 1

#: At most this many bits: a posterior of 2^28 parameters already takes gigabytes.
MOST_BITS = 28


def hash_of_label(prefix: bytes, label: str) -> int:
    """Return the 64-bit hash of a label; ``prefix`` is :func:`prefix_of` its field.

    >>> hex(hash_of_label(prefix_of("item"), "book"))
    '0xc2c2c33600e7e796'
    """
    digest = blake2b(prefix + label.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def prefix_of(field: str) -> bytes:
    """Return what goes before a field's labels, so that equal labels of two fields have unlike hashes."""
    return field.encode("utf-8", "surrogatepass") + b"\0"


def hash_of_pair(one: int, other: int) -> int:
    """Return the 64-bit hash of two hashes in their order."""
    z = (GOLDEN * one + other) & _WORD
    z = ((z ^ (z >> 30)) * _FIRST) & _WORD
    z = ((z ^ (z >> 27)) * _SECOND) & _WORD
    return z ^ (z >> 31)


def hashes_of_pairs(
    one: UInt64[np.ndarray, " pairs"], other: UInt64[np.ndarray, " pairs"]
) -> UInt64[np.ndarray, " pairs"]:
    """Return :func:`hash_of_pair` of each pair (arithmetic of unsigned arrays wraps around, as wanted here)."""
    z = np.uint64(GOLDEN) * one + other
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
    return np.asarray(z ^ (z >> np.uint64(31)))


@dataclass(frozen=True)
class Collisions:
    """What has fallen into the buckets of a hashed term, in all records a space has grown on.

    Parameters
    ----------
    term : str
        The term.
    n_buckets : int
        How many buckets it has.
    n_taken : int
        How many hold something.
    n_shared : int
        How many hold two values or more, which then have one parameter between them. Counted, not estimated.
    """

    term: str
    n_buckets: int
    n_taken: int
    n_shared: int

    @property
    def share(self) -> float:
        """The share of the buckets in use that hold two values or more."""
        return self.n_shared / self.n_taken if self.n_taken else 0.0

    @property
    def estimated_values(self) -> float:
        r"""How many distinct values there were: :math:`-m\log(1 - t/m)` with :math:`t` of :math:`m` buckets taken.

        Linear counting (Whang, Vander-Zanden and Taylor 1990, eq. 4). With every bucket taken this is only a lower
        bound: the value at half a bucket free.
        """
        free = max(self.n_buckets - self.n_taken, 0.5)
        return -self.n_buckets * math.log(free / self.n_buckets)

    def __str__(self) -> str:
        return (
            f"{self.term}: {self.n_taken:,} of {self.n_buckets:,} buckets in use, {self.n_shared:,} of them "
            f"({self.share:.1%}) shared, by about {self.estimated_values:,.0f} values"
        )


class Buckets:
    """Which value took each bucket first and whether another came. Grows only; versions of it are two counts.

    Holds 24 bytes a bucket, whatever the number of values.
    """

    def __init__(self, n_buckets: int) -> None:
        self.owner = np.zeros(n_buckets, np.uint64)
        self.taken_as = np.zeros(n_buckets, np.int64)  # the how-manieth bucket in use, from 1
        self.shared_as = np.zeros(n_buckets, np.int64)
        self.n_taken = 0
        self.n_shared = 0

    def add(self, hashes: UInt64[np.ndarray, " values"]) -> None:
        """Take note of values that came, in their order."""
        bucket = (hashes & np.uint64(len(self.owner) - 1)).astype(np.int64)
        free = np.flatnonzero(self.taken_as[bucket] == 0)
        if len(free):
            first = np.sort(np.unique(bucket[free], return_index=True)[1])
            now = free[first]
            self.owner[bucket[now]] = hashes[now]
            self.taken_as[bucket[now]] = self.n_taken + 1 + np.arange(len(now))
            self.n_taken += len(now)
        second = np.unique(bucket[(self.owner[bucket] != hashes) & (self.shared_as[bucket] == 0)])
        self.shared_as[second] = self.n_shared + 1 + np.arange(len(second))
        self.n_shared += len(second)

    def as_of(self, n_taken: int, n_shared: int) -> Buckets:
        """Return a copy as it was when it had so many buckets in use and shared."""
        copy = Buckets(len(self.owner))
        known = self.taken_as <= n_taken
        copy.owner[known] = self.owner[known]
        copy.taken_as[known] = self.taken_as[known]
        early = self.shared_as <= n_shared
        copy.shared_as[early] = self.shared_as[early]
        copy.n_taken, copy.n_shared = n_taken, n_shared
        return copy

    def taken(self, n_taken: int) -> tuple[Int64[np.ndarray, " taken"], UInt64[np.ndarray, " taken"]]:
        """Return the first ``n_taken`` buckets that came in use and the hash of the value that took each."""
        bucket = np.flatnonzero((self.taken_as > 0) & (self.taken_as <= n_taken))
        bucket = bucket[np.argsort(self.taken_as[bucket])]
        return bucket, self.owner[bucket]

    def shared(self, n_shared: int) -> Int64[np.ndarray, " shared"]:
        """Return the first ``n_shared`` buckets that two values fell into."""
        bucket = np.flatnonzero((self.shared_as > 0) & (self.shared_as <= n_shared))
        return bucket[np.argsort(self.shared_as[bucket])]
