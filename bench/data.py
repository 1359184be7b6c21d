"""The synthetic data sets that ours and the peers read. Imports numpy and pyarrow only."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.peers.measure import NESTS

#: The true nest parameters of the nested data set.
SCALES = (1.5, 2.0, 1.25)

FOLDER = Path(__file__).parent / ".data"


@dataclass(frozen=True)
class Size:
    """How large the data set is.

    Parameters
    ----------
    n_cases, n_alternatives, n_params : int
    seed : int
        Of the attributes and the random utilities.
    nested : bool
        Choices come from a nested logit with the nests of :data:`bench.peers.measure.NESTS`.
    """

    n_cases: int = 100_000
    n_alternatives: int = 10
    n_params: int = 20
    seed: int = 0
    nested: bool = False

    @property
    def folder(self) -> Path:
        """Where the data set is kept from run to run."""
        kind = "-nested" if self.nested else ""
        return FOLDER / f"{self.n_cases}x{self.n_alternatives}x{self.n_params}-seed{self.seed}{kind}"

    def __str__(self) -> str:
        text = f"{self.n_cases:,} cases × {self.n_alternatives} alternatives × {self.n_params} parameters"
        return f"{text}, {len(NESTS)} nests" if self.nested else text


def prepare(size: Size) -> Path:
    """Write the data set unless it is there; return its folder.

    Attributes are standard normal, the true parameters run from -1 to 1, the random utility is extreme-value
    (so the logit is the true model, or the nested logit).

    Files: ``attributes.npy`` (cases, alternatives, parameters) and ``chosen.npy``
    (the index of the alternative chosen in each case) for the peers, ``long.parquet`` for ours.
    """
    if size.folder.exists():
        return size.folder
    rng = np.random.default_rng(size.seed)
    attributes = rng.standard_normal((size.n_cases, size.n_alternatives, size.n_params))
    utility = attributes @ np.linspace(-1, 1, size.n_params)
    chosen = _chosen_nested(utility, rng) if size.nested else _chosen(utility, rng)
    FOLDER.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=FOLDER))
    try:
        np.save(part / "attributes.npy", attributes)
        np.save(part / "chosen.npy", chosen)
        _write_long(part / "long.parquet", attributes, chosen)
        part.rename(size.folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return size.folder


def _chosen(utility: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return choices of extreme-value random utility, one per row."""
    return np.asarray(np.argmax(utility + rng.gumbel(size=utility.shape), axis=1))


def _chosen_nested(utility: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return choices of a nested logit: an alternative within each nest, then the nest by what it is worth."""
    worth, best = [], []
    for (start, stop), scale in zip(NESTS, SCALES, strict=True):
        scaled = scale * utility[:, start:stop]
        worth.append(np.log(np.exp(scaled).sum(axis=1)) / scale)
        best.append(start + _chosen(scaled, rng))
    nest = _chosen(np.column_stack(worth), rng)
    return np.asarray(np.column_stack(best)[np.arange(len(nest)), nest])


def _write_long(path: Path, attributes: np.ndarray, chosen: np.ndarray) -> None:
    """Write one row per alternative, as a user of ours would have it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_cases, n_alternatives, n_params = attributes.shape
    alternative = np.tile(np.arange(n_alternatives, dtype=np.int32), n_cases)
    columns = {
        "case": np.repeat(np.arange(n_cases), n_alternatives),
        "alternative": alternative,
        "chosen": alternative == np.repeat(chosen, n_alternatives),
        **{f"x{k}": attributes[:, :, k].ravel() for k in range(n_params)},
    }
    pq.write_table(pa.table(columns), path)
