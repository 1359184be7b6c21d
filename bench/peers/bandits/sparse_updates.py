"""Updates of a diagonal posterior, 100 active of a million features: singly, by 100. Prints a line of JSON."""

from __future__ import annotations

import json
import time

import numpy as np

from bench.peers.measure import peak_gib
from revealed.models.glm.diagonal import DiagonalLearner, DiagonalPosterior
from revealed.models.glm.links import link_named

N_FEATURES, N_ACTIVE, N_ANSWERS, BATCH = 1_000_000, 100, 20_000, 100


def main() -> None:
    """Measure both links."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, N_FEATURES // N_ACTIVE, (N_ANSWERS, N_ACTIVE)) + np.arange(N_ACTIVE) * (
        N_FEATURES // N_ACTIVE
    )
    value, answers = rng.normal(size=(N_ANSWERS, N_ACTIVE)), (rng.random(N_ANSWERS) < 0.1).astype(float).tolist()
    prior = DiagonalPosterior.independent(np.zeros(N_FEATURES), np.ones(N_FEATURES))
    starts = list(range(0, (BATCH + 1) * N_ACTIVE, N_ACTIVE))

    def singly(learner: DiagonalLearner) -> None:
        for i, answer in enumerate(answers):
            learner.learn(index[i], value[i], answer)

    def by_100(learner: DiagonalLearner) -> None:
        for first in range(0, N_ANSWERS, BATCH):
            rows = slice(first, first + BATCH)
            learner.learn_each(index[rows].ravel(), value[rows].ravel(), starts, answers[rows])

    rates = {}
    for name in ("logit", "probit"):
        for how, learn in (("singly", singly), ("by 100", by_100)):
            best = np.inf
            for _ in range(3):
                learner = prior.learner(link_named(name))
                began = time.process_time()
                learn(learner)
                best = min(best, time.process_time() - began)
            rates[f"{name}, {how}"] = N_ANSWERS / best
    print(json.dumps({"rates": rates, "peak": peak_gib()}))


if __name__ == "__main__":
    main()
