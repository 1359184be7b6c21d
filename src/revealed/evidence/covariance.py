r"""The covariance of estimates from evidence. Imports its own room only.

With :math:`H` the information plus the precision of a prior, at the free parameters:

- classic: :math:`H^{-1}`;
- robust (Huber 1967; White 1982): :math:`H^{-1} B H^{-1}`, :math:`B` the sum over cases of the outer product of scores;
- clustered (Liang and Zeger 1986): the same with scores summed by person first.

No small-sample factor is applied (as in Biogeme and Apollo), so that clusters of one case give the robust errors.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from revealed.errors import EvidenceError
from revealed.evidence.evidence import Evidence
from revealed.evidence.gaussian import Gaussian
from revealed.evidence.status import Status, scaled


def covariance(
    evidence: Evidence,
    kind: str,
    free: Bool[np.ndarray, " K"],
    status: Status,
    prior: Gaussian | None = None,
) -> Float[np.ndarray, "K K"]:
    """Return a covariance matrix: zero for parameters that are not free, NaN for those not identified.

    Parameters
    ----------
    evidence : Evidence
        At the estimates.
    kind : {"classic", "robust", "clustered"}
    free : ndarray of bool, shape (K,)
        The parameters that were estimated.
    status : Status
        For what is not identified.
    prior : Gaussian, optional

    Raises
    ------
    EvidenceError
        If the evidence does not hold what the kind needs.
    """
    unknown = {name for item in status.not_identified for name in item.names}
    known = free & np.array([name not in unknown for name in evidence.names])
    index = np.ix_(known, known)
    information = evidence.information if prior is None else evidence.information + prior.precision
    matrix, scale = scaled(information[index])
    inverse = np.linalg.pinv(matrix, rcond=1e-14, hermitian=True) * scale * scale[:, None]
    if kind != "classic":
        inverse = inverse @ _spread(evidence, kind)[index] @ inverse
    result = np.zeros((len(free), len(free)))
    result[index] = (inverse + inverse.T) / 2
    hidden = free & ~known
    result[hidden, :] = result[:, hidden] = np.nan
    return result


def _spread(evidence: Evidence, kind: str) -> Float[np.ndarray, "K K"]:
    if kind == "robust":
        return evidence.outer
    if evidence.ledger is None:
        raise EvidenceError("clustered errors need the scores by person; fit with errors='clustered'")
    scores = evidence.ledger.by_person()[1]
    return np.asarray(scores.T @ scores)
