"""Random numbers that belong to a visit, whoever asks and in whatever batches. Imports the errors only.

The generator counts: number ``i`` of a stream is computed from ``i`` alone (Philox; Salmon, Moraes, Dror and Shaw
2011, "Parallel random numbers: as easy as 1, 2, 3"). Each visit owns the same stretch of it, and normals come from
uniforms through the inverse distribution function, so that no visit ever takes more than its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from revealed.errors import SpecificationError

#: What a stream is for. Streams of different roles are independent, with the same seed too.
Role = Literal["items", "tastes", "season", "walk", "delays", "layout", "context", "person", "answers", "policy"]

_ROLES: tuple[Role, ...] = (
    "items",
    "tastes",
    "season",
    "walk",
    "delays",
    "layout",
    "context",
    "person",
    "answers",
    "policy",
)
_STEP = 4  # the generator makes four numbers at once, and is moved by so many
_TINY = 2.0**-54  # half the distance between two uniforms: keeps zero, whose normal is minus infinity, out


def uniforms(seed: int, role: Role, first: int, count: int, width: int) -> Float[np.ndarray, "count width"]:
    """Return ``width`` uniform numbers between 0 and 1, both excluded, for each of ``count`` visits from ``first`` on.

    Raises
    ------
    SpecificationError
        If the seed or the first visit is negative.
    """
    if seed < 0 or first < 0 or count < 0:
        raise SpecificationError(f"seeds and visits count from 0, not {min(seed, first, count)}")
    stride = -(-width // _STEP) * _STEP
    generator = np.random.Philox(key=_key(seed, role)).advance(first * (stride // _STEP))
    drawn = np.random.Generator(generator).random((count, stride))
    np.maximum(drawn, _TINY, out=drawn)
    return drawn[:, :width]


def normals(seed: int, role: Role, first: int, count: int, width: int) -> Float[np.ndarray, "count width"]:
    """Return standard normals, as :func:`uniforms`."""
    drawn: np.ndarray = ndtri(uniforms(seed, role, first, count, width))
    return drawn


@lru_cache(maxsize=256)
def _key(seed: int, role: Role) -> np.ndarray:
    key = np.random.SeedSequence(seed, spawn_key=(_ROLES.index(role),)).generate_state(2, np.uint64)
    key.flags.writeable = False
    return key


__all__ = ["Role", "normals", "uniforms"]
