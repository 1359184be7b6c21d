"""Updates of a diagonal posterior: 100 active of a million features, one at a time. Prints a line of JSON."""

from __future__ import annotations

import json
import time

import numpy as np

from bench.peers.measure import peak_gib
from revealed.models.glm.diagonal import DiagonalPosterior
from revealed.models.glm.links import link_named

N_FEATURES, N_ACTIVE, N_ANSWERS = 1_000_000, 100, 20_000


def main() -> None:
    """Measure both links."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, N_FEATURES // N_ACTIVE, (N_ANSWERS, N_ACTIVE)) + np.arange(N_ACTIVE) * (
        N_FEATURES // N_ACTIVE
    )
    value, answers = rng.normal(size=(N_ANSWERS, N_ACTIVE)), (rng.random(N_ANSWERS) < 0.1).astype(float).tolist()
    prior = DiagonalPosterior.independent(np.zeros(N_FEATURES), np.ones(N_FEATURES))
    rates = {}
    for name in ("logit", "probit"):
        best = np.inf
        for _ in range(3):
            learner = prior.learner(link_named(name))
            began = time.process_time()
            for i, answer in enumerate(answers):
                learner.learn(index[i], value[i], answer)
            best = min(best, time.process_time() - began)
        rates[name] = N_ANSWERS / best
    print(json.dumps({"rates": rates, "peak": peak_gib()}))


if __name__ == "__main__":
    main()
