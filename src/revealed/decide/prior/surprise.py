r"""How surprised a model is by answers it has yet to learn: the prequential log-loss. Imports models and errors.

A model says what it expects of each small batch before it learns it; minus the sum of the logarithms of the
probabilities it gave is what it did not expect (Dawid 1984, "Statistical theory: the prequential approach", Journal of
the Royal Statistical Society A 147).
With exact learning, one answer at a time, that is minus the log marginal likelihood; with the package's approximate
learning it is that of the model as it is used.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float

from revealed.models.glm.features.rows import Rows
from revealed.models.glm.links import Link
from revealed.models.glm.posterior import Matrix, Posterior, Vector

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(11)
_LOG_WEIGHTS = np.log(_WEIGHTS / _WEIGHTS.sum())
#: A batch is this share of the answers seen before it, at most so many.
_SHARE, _MOST = 1 / 8, 512


def log_predictive(link: Link, answers: Vector, mean: Vector, variance: Vector) -> Vector:
    r"""Return the log-probability of answers whose linear predictors are believed to be ``N(mean, variance)``.

    .. math:: \log \int p(y \mid f)\, N(f; m, v)\, df

    by Gauss-Hermite quadrature around the belief that the answer's site leads to (Liu and Pierce 1994, Biometrika 81),
    which is exact for Gaussian answers.
    """
    spread = np.maximum(variance, 1e-12)  # a row without features is certain
    precision, shift = link.site(answers, mean, spread)
    after = 1 / (1 / spread + precision)
    center = after * (mean / spread + shift)
    at = center[:, None] + np.sqrt(after)[:, None] * _NODES
    with np.errstate(over="ignore"):  # a count beyond all bounds has no probability
        of_answer = link.log_likelihood(np.repeat(answers, len(_NODES)), at.ravel()).reshape(at.shape)
    before = -0.5 * (at - mean[:, None]) ** 2 / spread[:, None]
    ratio = before + 0.5 * _NODES**2 + 0.5 * np.log(after / spread)[:, None]
    return np.asarray(np.logaddexp.reduce(of_answer + ratio + _LOG_WEIGHTS, axis=1))


def batches(n_rows: int) -> list[tuple[int, int]]:
    """Return where batches start and end: one answer each at first, when each changes much, and then more."""
    ends = [0]
    while ends[-1] < n_rows:
        ends.append(min(n_rows, ends[-1] + int(np.clip(ends[-1] * _SHARE, 1, _MOST))))
    return list(pairwise(ends))


def surprise(
    link: Link, posterior: Posterior, rows: Rows | Matrix, answers: Float[np.ndarray, " answers"]
) -> tuple[float, Posterior]:
    """Return the log-loss, in nats over all answers, of a belief that learns as it goes, and the belief at the end."""
    total = 0.0
    for start, stop in batches(len(answers)):
        told = answers[start:stop]
        some = rows.slice(start, stop) if isinstance(rows, Rows) else rows[start:stop]
        total -= float(log_predictive(link, told, *posterior.predictor(some)).sum())
        posterior, _ = posterior.learn(link, some, told)
    return total, posterior
