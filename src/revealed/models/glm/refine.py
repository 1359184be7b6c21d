"""Expectation propagation: sites refined in turns until the beliefs stand still. Imports its own room and errors."""

from __future__ import annotations

import numpy as np

from revealed.errors import EvidenceError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.links import Link
from revealed.models.glm.posterior import Matrix, Posterior, Sites, Vector

#: Rounds over all answers, and the largest move of a mean, in its standard deviations, that counts as standing still.
_ROUNDS, _STILL = 200, 1e-6


def refined(link: Link, rows: Rows | Matrix, answers: Vector, prior: Posterior) -> Posterior:
    """Return the posterior of a prior and answers whose sites agree with each other (Minka 2001, chapter 3).

    Each answer's site is taken out and learned anew, against the belief that all others make up.

    Raises
    ------
    EvidenceError
        If the beliefs do not settle.
    """
    sparse = rows if isinstance(rows, Rows) else Rows.of_dense(rows)
    singles = [sparse.slice(i, i + 1) for i in range(len(sparse))]
    posterior, sites = prior, list[Sites | None]([None] * len(singles))
    for _ in range(_ROUNDS):
        before = posterior.mean
        for i, row in enumerate(singles):
            known = sites[i]
            rest = posterior if known is None else posterior.without(known)
            posterior, sites[i] = rest.learn(link, row, answers[i : i + 1])
        if float(np.max(np.abs(posterior.mean - before) / np.sqrt(posterior.variance), initial=0.0)) < _STILL:
            return posterior
    raise EvidenceError(f"the beliefs did not settle in {_ROUNDS} rounds; learn in one pass instead")
