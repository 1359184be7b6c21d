"""Choices with a known truth, of any size, from a seed. Imports its own room and the errors.

The decision makers maximise random utility: systematic utility plus an independent extreme-value (Gumbel) error for
each alternative. That is the model behind the conditional logit, which therefore recovers :attr:`Simulation.truth`.
McFadden (1974), "Conditional logit analysis of qualitative choice behavior".

Cases are made in chunks whose size follows from the specification alone, each from its own random stream (the seed
and the chunk's number). So a case is the same however many cases are asked for, whatever the size of the batches
they are written in, and whether they go to memory or to a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64, Int

from revealed.choices.columns import Columns
from revealed.choices.distributions import Distribution, Normal
from revealed.choices.kinds import as_full
from revealed.choices.log import ChoiceLog
from revealed.choices.readers import ROLES_KEY
from revealed.choices.sink import Progress, Written, write_tables
from revealed.errors import SpecificationError, nearest

#: About this many rows are drawn from one random stream; with 20 attributes they take 5 MB.
CHUNK_ROWS = 65_536

#: The key of a Parquet file's metadata under which a simulation keeps its seed, its utility and its truth, as JSON.
TRUTH_KEY = b"revealed.simulation"

_ROLES = ("case", "person", "alternative", "chosen", "available")


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A specification of choices to simulate, and the truth behind them.

    Parameters
    ----------
    n_cases : int
        How many choice situations.
    params : mapping
        The utility of one unit of each attribute: a number, the same for all alternatives, or for an attribute of
        the person or the case a mapping from alternative to number (0 for those not named).
    n_alternatives : int or (int, int)
        How many alternatives each case offers; with a pair, a number between the two, drawn for each case, of
        alternatives drawn from as many as the larger.
    alternatives : sequence of str
        Their names; by default ``a1``, ``a2``, …
    constants : mapping
        The utility of an alternative as such; 0 for those not named.
    attributes : mapping
        What each attribute is drawn from; those with a parameter but not named here are standard normal by row.
    outside : str, optional
        The name of an outside option that every case offers besides: utility 0 apart from its constant.
    availability : float
        The probability with which an offered alternative can be chosen; below 1 there is a column ``available``.
    cases_per_person : int, optional
        How many successive cases are one decision maker's, which are made at once; without it there is no column
        ``person``.
    float32 : bool
        Store attributes in 32 bits. Their values are the same either way, and so are the choices.
    seed : int
        The same seed gives the same choices.

    Examples
    --------
    >>> simulation = Simulation(n_cases=1000, params={"cost": -1.0, "time": -0.5}, n_alternatives=3, seed=1)
    >>> simulation.log()
    ChoiceLog(simulation: 1,000 cases, 3 alternatives, 1,000 persons, 3,000 rows)
    >>> simulation.utility, simulation.truth
    ('cost + time', {'cost': -1.0, 'time': -0.5})
    """

    n_cases: int
    params: Mapping[str, float | Mapping[str, float]]
    n_alternatives: int | tuple[int, int] = 5
    alternatives: Sequence[str] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, Distribution] = field(default_factory=dict)
    outside: str | None = None
    availability: float = 1.0
    cases_per_person: int | None = None
    float32: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        low, high = self.set_sizes
        per_person = 1 if self.cases_per_person is None else self.cases_per_person
        _require(self.n_cases >= 1, f"n_cases must be at least 1, not {self.n_cases}")
        _require(1 <= low <= high, f"n_alternatives must be at least 1, the smaller number first, not {low}, {high}")
        _require(self.seed >= 0, f"seed must not be negative, not {self.seed}")
        _require(0 < self.availability <= 1, f"availability must be above 0 and at most 1, not {self.availability}")
        _require(per_person >= 1, f"cases_per_person must be at least 1, not {per_person}")
        if self.alternatives:
            count = len(self.alternatives)
            _require(count == high, f"{count} names for {high} alternatives")
            _require(len({*self.alternatives, self.outside}) == high + 1, "the names of the alternatives must differ")
        for name in self.constants:
            self._require_alternative("a constant", name)
        for name in self._attributes:
            self._check_attribute(name)

    def _check_attribute(self, name: str) -> None:
        distribution, param = self._attributes[name], self.params.get(name, 0.0)
        _require(name not in _ROLES, f"an attribute cannot be called {name!r}, which is a column of its own")
        _require(isinstance(distribution, Distribution), f"{name!r} needs a distribution: Normal() or the like")
        if distribution.varies == "person":
            _require(self.cases_per_person is not None, f"{name!r} is a person's: give cases_per_person")
        if isinstance(param, Mapping):
            _require(distribution.varies != "row", f"{name!r} varies by alternative: one number for all of them")
            for alternative in param:
                self._require_alternative(f"{name!r}", alternative)
        elif name in self.params:
            same = f"{name!r} is the same for all alternatives of a case: give its number by alternative"
            _require(distribution.varies == "row", same)

    def _require_alternative(self, what: str, name: str) -> None:
        if name not in self._labels:
            raise SpecificationError(f"{what} for {name!r}, which is no alternative; {nearest(name, self._labels)}")

    @classmethod
    def of_size(
        cls, n_cases: int, n_alternatives: int | tuple[int, int], n_attributes: int, *, seed: int = 0, **options: Any
    ) -> Simulation:
        """Return a simulation with attributes ``x1``, ``x2``, … and parameters drawn between -0.5 and 0.5.

        Parameters
        ----------
        n_cases, n_alternatives, n_attributes : int
            The size; ``n_alternatives`` may be a pair.
        seed : int
            For the parameters and the choices.
        **options
            The other fields of a simulation.
        """
        drawn = _stream(seed, (1,)).uniform(-0.5, 0.5, n_attributes).round(2)
        params = dict(zip(_numbered("x", n_attributes), drawn.tolist(), strict=True))
        return cls(n_cases=n_cases, n_alternatives=n_alternatives, params=params, seed=seed, **options)

    # ---- the truth ------------------------------------------------------------------------------------------------

    @property
    def utility(self) -> str:
        """The formula whose estimates recover the truth."""
        terms = ["C(alternative)"] if self._has_constants else []
        by_row = [name for name, value in self.params.items() if not isinstance(value, Mapping)]
        by_alternative = [f"C(alternative):{name}" for name in self.params if name not in by_row]
        return " + ".join([*terms, *by_row, *by_alternative])

    @property
    def truth(self) -> dict[str, float]:
        """The parameters of :attr:`utility` under the names a fit gives them, relative to the first alternative."""
        levels = sorted(self._labels)
        true: dict[str, float] = {}
        if self._has_constants:
            base = self.constants.get(levels[0], 0.0)
            true |= {f"alternative[{level}]": self.constants.get(level, 0.0) - base for level in levels[1:]}
        true |= {name: float(value) for name, value in self.params.items() if not isinstance(value, Mapping)}
        for name, value in self.params.items():
            if isinstance(value, Mapping):
                base = value.get(levels[0], 0.0)
                true |= {f"alternative[{level}]:{name}": value.get(level, 0.0) - base for level in levels[1:]}
        return true

    @property
    def columns(self) -> Columns:
        """The roles of the columns made."""
        return Columns(
            person=None if self.cases_per_person is None else "person",
            available=None if self.availability == 1 else "available",
        )

    @property
    def set_sizes(self) -> tuple[int, int]:
        """The smallest and the largest number of alternatives in a case, without the outside option."""
        low_high = self.n_alternatives
        return (low_high, low_high) if isinstance(low_high, int) else (low_high[0], low_high[1])

    # ---- making them ----------------------------------------------------------------------------------------------

    def log(self) -> ChoiceLog:
        """Return the choices in memory."""
        table = pa.concat_tables(self.tables()).combine_chunks()
        return ChoiceLog.from_table(table, self.columns, source="simulation")

    def tables(self) -> Iterator[pa.Table]:
        """Yield the choices as Arrow tables of whole cases, one chunk at a time."""
        made = 0
        for chunk in range(-(-self.n_cases // self.chunk_cases)):
            keep = min(self.chunk_cases, self.n_cases - made)
            yield self._chunk(chunk, keep)
            made += keep

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        rows_per_file: int | None = None,
        rows_per_group: int = 1_000_000,
        progress: Progress | None = None,
    ) -> Written:
        """Write the choices to a file or a folder of files in memory bounded by a row group.

        Parameters
        ----------
        path : path
            ``….parquet`` or ``….csv`` is one file; anything else a folder of Parquet files.
        rows_per_file : int, optional
            About how many rows each file of a folder gets (10 million by default); whole cases, always.
        rows_per_group : int
            About how many rows a row group of a Parquet file gets.
        progress : callable, optional
            Called after each row group with the cases written so far and the cases in all.

        Returns
        -------
        Written
            What was written, and how large it is. Each Parquet file says of itself which roles its columns play, and
            in its metadata the truth.

        Raises
        ------
        OutputError
            If the folder is not empty, or the path cannot be written; nothing half-written stays.
        """
        roles = {"columns": self.columns.roles(), "counts": False}
        truth = {"seed": self.seed, "utility": self.utility, "truth": self.truth}
        notes = {ROLES_KEY: json.dumps(roles).encode(), TRUTH_KEY: json.dumps(truth).encode()}
        return write_tables(
            self.tables(),
            path,
            n_cases=self.n_cases,
            rows_per_file=rows_per_file,
            rows_per_group=rows_per_group,
            notes=notes,
            progress=progress,
        )

    @cached_property
    def chunk_cases(self) -> int:
        """How many cases are drawn from one random stream: whole persons, and a property of the specification alone."""
        cases = max(1, CHUNK_ROWS // self._width)
        persons = max(1, cases // self._per_person)
        return persons * self._per_person

    def _chunk(self, chunk: int, keep: int) -> pa.Table:
        """Return the first ``keep`` cases of a chunk; all are drawn, for else the first would differ."""
        rng = _stream(self.seed, (0, chunk))
        first_case = chunk * self.chunk_cases
        offered = self._offer(rng)
        sizes = np.full(self.chunk_cases, self._width) if offered is None else offered.sum(1)
        n_rows = int(sizes.sum())
        codes = np.nonzero(offered)[1] if offered is not None else np.tile(np.arange(self._width), self.chunk_cases)
        utility = np.array([self.constants.get(label, 0.0) for label in self._labels])[codes]
        values = {}
        for name, distribution in self._attributes.items():
            values[name] = self._draw(distribution, rng, sizes, n_rows, codes)
            self._add(utility, name, values[name], codes)
        available = self._availability(rng, codes, sizes)
        chosen = self._choose(rng, utility, available, offered)
        stop = int(sizes[:keep].sum())
        case = np.repeat(np.arange(first_case, first_case + keep), sizes[:keep])
        arrays: dict[str, Any] = {"case": case}
        if self.cases_per_person is not None:
            arrays["person"] = case // self.cases_per_person
        arrays["alternative"] = pa.DictionaryArray.from_arrays(codes[:stop].astype(np.int32), self._dictionary)
        arrays["chosen"] = pa.array(chosen[:stop])
        if available is not None:
            arrays["available"] = pa.array(available[:stop])
        wide = np.float32 if self.float32 else np.float64
        arrays |= {name: drawn[:stop].astype(wide, copy=False) for name, drawn in values.items()}
        return as_full(pa.table(arrays))

    def _offer(self, rng: np.random.Generator) -> Bool[np.ndarray, "cases alternatives"] | None:
        """Draw which alternatives each case offers, the outside option last; None when all cases offer all."""
        low, high = self.set_sizes
        if low == high:
            return None
        wanted = rng.integers(low, high + 1, size=self.chunk_cases)
        order = np.argsort(rng.random((self.chunk_cases, high), dtype=np.float32), axis=1)
        offered = np.ones((self.chunk_cases, self._width), dtype=bool)
        np.put_along_axis(offered[:, :high], order, np.arange(high) < wanted[:, None], axis=1)
        return offered

    def _draw(
        self,
        distribution: Distribution,
        rng: np.random.Generator,
        sizes: Int[np.ndarray, " cases"],
        n_rows: int,
        codes: Int[np.ndarray, " rows"],
    ) -> Float32[np.ndarray, " rows"]:
        counts = {"row": n_rows, "case": len(sizes), "person": len(sizes) // self._per_person}
        drawn = np.empty(counts[distribution.varies], np.float32)
        distribution.draw(rng, drawn)
        if distribution.varies == "person":
            drawn = np.repeat(drawn, self._per_person)
        if distribution.varies != "row":
            return np.repeat(drawn, sizes)
        if self.outside is not None:
            drawn[codes == self._width - 1] = 0.0
        return drawn

    def _add(
        self,
        utility: Float64[np.ndarray, " rows"],
        name: str,
        values: Float32[np.ndarray, " rows"],
        codes: Int[np.ndarray, " rows"],
    ) -> None:
        param = self.params.get(name, 0.0)
        if isinstance(param, Mapping):
            utility += np.array([param.get(label, 0.0) for label in self._labels])[codes] * values
        elif param:
            utility += np.multiply(values, param, dtype=np.float64)

    def _availability(
        self, rng: np.random.Generator, codes: Int[np.ndarray, " rows"], sizes: Int[np.ndarray, " cases"]
    ) -> Bool[np.ndarray, " rows"] | None:
        """Draw which rows can be chosen; a case left with none gets its first row back."""
        if self.availability == 1:
            return None
        available = rng.random(len(codes), dtype=np.float32) < self.availability
        if self.outside is not None:
            available |= codes == self._width - 1
        starts = np.cumsum(sizes) - sizes
        stranded = ~np.logical_or.reduceat(available, starts)
        available[starts[stranded]] = True
        return available

    def _choose(
        self,
        rng: np.random.Generator,
        utility: Float64[np.ndarray, " rows"],
        available: Bool[np.ndarray, " rows"] | None,
        offered: Bool[np.ndarray, "cases alternatives"] | None,
    ) -> Bool[np.ndarray, " rows"]:
        """Return where utility plus a Gumbel error, minus the logarithm of an exponential, is largest in its case."""
        utility = utility - np.log(rng.standard_exponential(len(utility)))
        if available is not None:
            utility[~available] = -np.inf
        grid = utility.reshape(self.chunk_cases, self._width) if offered is None else _spread(utility, offered)
        taken = np.zeros(grid.shape, dtype=bool)
        taken[np.arange(len(grid)), grid.argmax(axis=1)] = True
        return taken.ravel() if offered is None else taken[offered]

    # ---- what follows from the fields -----------------------------------------------------------------------------

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.alternatives) or tuple(_numbered("a", self.set_sizes[1]))

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        return self._names if self.outside is None else (*self._names, self.outside)

    @cached_property
    def _dictionary(self) -> pa.Array:
        return pa.array(self._labels, pa.string())

    @cached_property
    def _attributes(self) -> dict[str, Distribution]:
        unnamed = {name: Normal() for name in self.params if name not in self.attributes}
        return {**unnamed, **self.attributes}

    @property
    def _has_constants(self) -> bool:
        return self.outside is not None or any(self.constants.values())

    @property
    def _width(self) -> int:
        return len(self._labels)

    @property
    def _per_person(self) -> int:
        return self.cases_per_person or 1


def _spread(
    utility: Float64[np.ndarray, " rows"], offered: Bool[np.ndarray, "cases alternatives"]
) -> Float64[np.ndarray, "cases alternatives"]:
    grid = np.full(offered.shape, -np.inf)
    grid[offered] = utility
    return grid


def _stream(seed: int, key: tuple[int, ...]) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def _numbered(stem: str, count: int) -> list[str]:
    """Return ``x01``, ``x02``, …, as many digits as the last one needs, so that they sort as they count."""
    return [f"{stem}{number:0{len(str(count))}d}" for number in range(1, count + 1)]


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SpecificationError(message)


__all__ = ["CHUNK_ROWS", "TRUTH_KEY", "Simulation"]
