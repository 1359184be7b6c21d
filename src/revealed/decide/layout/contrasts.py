r"""Contrasts: a number for each of D options that sum to zero, told by D - 1 parameters. Imports nothing of ours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.linalg import helmert


@lru_cache(maxsize=256)
def contrasts(size: int) -> Float[np.ndarray, "D D-1"]:
    r"""Return the matrix :math:`C` that makes D effects :math:`u = Cw` of D - 1 parameters.

    Its columns are orthogonal to each other and to ones, so that effects sum to zero and a prior
    :math:`w \sim N(0, \sigma^2 I)` treats all options alike; they are scaled so that each effect has variance
    :math:`\sigma^2` then. Two options have effects :math:`\pm w`.
    """
    matrix = np.ascontiguousarray(helmert(size).T * np.sqrt(size / (size - 1)))
    matrix.flags.writeable = False
    return matrix
