"""A generalised linear model fitted to all answers at once, by the Newton driver on evidence. Imports evidence."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from revealed.evidence import Detail, Evidence, Gaussian, Maximum, NewtonOptions, Region, maximise
from revealed.evidence.evidence import Tally
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.links import Link
from revealed.models.glm.posterior import Matrix, Vector, dense, some_of

#: Rows of a block: its design stays in the second-level cache.
BLOCK_ROWS = 2048


def evidence(
    link: Link,
    rows: Rows | Matrix,
    answers: Vector,
    params: Float[np.ndarray, " K"],
    detail: Detail = Detail.OUTER,
    names: tuple[str, ...] | None = None,
) -> Evidence:
    """Return what answers say about the parameters, seen from a point.

    Parameters
    ----------
    link : Link
    rows : Rows or ndarray of float64, shape (rows, K)
    answers : ndarray of float64, shape (rows,)
    params : ndarray of float64, shape (K,)
    detail : Detail
    names : tuple of str, optional
        The parameters' names; ``w0``, ``w1`` … by default.
    """
    names = names or tuple(f"w{k}" for k in range(len(params)))
    tally = Tally(f"glm({link.name})", names, params, detail)
    for start in range(0, len(answers), BLOCK_ROWS):
        x, y = dense(some_of(rows, start, start + BLOCK_ROWS)), answers[start : start + BLOCK_ROWS]
        predictor = x @ params
        first, second = link.slope(y, predictor)
        information = (x.T * second) @ x if detail >= Detail.INFORMATION else None
        outer = (x.T * first**2) @ x if detail >= Detail.OUTER else None
        tally.add(len(y), float(link.log_likelihood(y, predictor).sum()), first @ x, information, outer)
    return tally.evidence()


def mode(
    link: Link,
    rows: Rows | Matrix,
    answers: Vector,
    prior: Gaussian,
    *,
    names: tuple[str, ...] | None = None,
    options: NewtonOptions | None = None,
) -> Maximum:
    """Return the mode of the posterior of a Gaussian prior and all answers, with the evidence there.

    Raises
    ------
    DataError
        If an answer cannot be.
    """
    link.require(answers)
    k = prior.n_params

    def evidence_at(params: Float[np.ndarray, " K"], detail: Detail) -> Evidence:
        return evidence(link, rows, answers, params, detail, names)

    region = Region(np.full(k, -np.inf), np.full(k, np.inf))
    return maximise(evidence_at, np.zeros(k), region, prior=prior, options=options)
