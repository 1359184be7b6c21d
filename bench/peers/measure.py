"""What each peer measures, and how: the same for all, ours included. Imports numpy only."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: The first alternative of each nest, and the one after its last, in the nested data set.
NESTS = ((0, 4), (4, 7), (7, 10))


def cpu_seconds() -> float:
    """Return the CPU seconds, user and system, of this process and of its children that ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_gib() -> float:
    """Return the most memory this process ever held, data and libraries included, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def pin_threads() -> None:
    """Keep every library to one thread; called before they are imported."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = "1"
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


@dataclass
class Run:
    """One estimation, as it is measured.

    ``import`` is what importing the library costs; ``prepare`` is from the data in memory as plain arrays (from the
    file, for ours) to what the library wants; ``fit`` is the estimation alone, with what the library compiles on the
    way.
    """

    name: str
    version: str = ""
    errors_kind: str = "none"
    seconds: dict[str, float] = field(default_factory=dict)
    peak: float = 0.0
    params: list[float] = field(default_factory=list)
    errors: list[float] | None = None
    notes: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the CPU and wall seconds of a part."""
        cpu, wall = cpu_seconds(), time.perf_counter()
        yield
        self.seconds[f"{part}_cpu"] = cpu_seconds() - cpu
        self.seconds[f"{part}_wall"] = time.perf_counter() - wall
        self.peak = peak_gib()

    def done(self, folder: Path, params: Any, errors: Any = None) -> None:
        """Print the run as one line of JSON, with the log-likelihood in double precision at the estimates."""
        self.params = [float(value) for value in np.asarray(params).ravel()]
        self.errors = None if errors is None else [float(value) for value in np.asarray(errors).ravel()]
        print(json.dumps({**vars(self), "log_likelihood": log_likelihood(folder, np.array(self.params))}))


def load(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return attributes (cases, alternatives, parameters) and chosen (cases)."""
    return np.load(folder / "attributes.npy"), np.load(folder / "chosen.npy")


def log_likelihood(folder: Path, params: np.ndarray) -> float:
    """Return the log-likelihood in double precision: one judge for all, whatever they computed in.

    Of the logit; of the nested logit where there are more parameters than attributes, the last ones of the nests.
    """
    attributes, chosen = np.load(folder / "attributes.npy", mmap_mode="r"), np.load(folder / "chosen.npy")
    k = attributes.shape[2]
    total = []
    for start in range(0, len(chosen), 4096):
        logs = _log_shares(attributes[start : start + 4096] @ params[:k], params[k:])
        total.append(float(np.take_along_axis(logs, chosen[start : start + 4096, None], 1).sum()))
    return float(np.sum(total))


def _log_shares(utility: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return log-probabilities (cases, alternatives) of a logit, or of the nested logit with those nest parameters."""
    utility = utility - utility.max(axis=1, keepdims=True)
    if not len(scales):
        return np.asarray(utility - np.log(np.exp(utility).sum(axis=1, keepdims=True)))
    logs, worth = np.empty_like(utility), []
    for (start, stop), scale in zip(NESTS, scales, strict=True):
        scaled = scale * utility[:, start:stop]
        inclusive = np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        logs[:, start:stop] = scaled - inclusive + inclusive / scale
        worth.append(inclusive / scale)
    return np.asarray(logs - np.log(np.exp(np.hstack(worth)).sum(axis=1, keepdims=True)))
