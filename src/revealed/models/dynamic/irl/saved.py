"""Recovered rewards as files and back, without pickle: a tree of named parts in JSON, its numbers as arrays of npz.

Imports dynamic and its own room. A reward is made of functions that are data: tables, polynomials, networks, and what
PQR makes of them. Their classes are named here, and nothing else is ever made of a file.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from scipy import sparse

from revealed.errors import DataError, Problem, RevealedError, SpecificationError
from revealed.files import names_to_numbers, numbers_to_names, write_whole
from revealed.models.dynamic.irl import (
    airl,
    alternating,
    boosted,
    boosting,
    estimated,
    finite,
    genpqr,
    gladius,
    iteration,
    maxent,
    neural,
    polynomial,
    pqr,
    scaling,
    tabular,
    trajectories,
)
from revealed.models.dynamic.irl.recovered import OfStates, RecoveredReward
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.space import StateSpace

#: What a file says it is, and the version of its form.
KIND = "recovered reward"
FORMAT = 1
_STRUCTURE = "structure.json"

_PARTS: tuple[type, ...] = (
    DecisionProcess,
    Panel,
    RecoveredReward,
    StateSpace,
    airl.NetworkReward,
    alternating.EnsembleMean,
    boosted.Boosted,
    boosted.LogTrees,
    boosted.TreesFunction,
    boosting.Bins,
    estimated.EstimatedProcess,
    estimated.Led,
    estimated.NothingKnown,
    estimated.Powers,
    estimated.Worth,
    finite.AgainOn,
    finite.FirstColumn,
    finite.WhereChosen,
    genpqr.GenPQR,
    genpqr.MeanKnown,
    genpqr.MeanOff,
    gladius.Afresh,
    gladius.GLADIUS,
    iteration.Fixed,
    maxent.LinearReward,
    neural.LogNetwork,
    neural.Neural,
    neural.NetworkFunction,
    polynomial.LogPowers,
    polynomial.Polynomial,
    polynomial.PowersFunction,
    pqr.Again,
    pqr.AnchoredValue,
    pqr.Floored,
    pqr.LaterOff,
    pqr.LogSum,
    pqr.PQR,
    pqr.Restricted,
    pqr.Usual,
    scaling.Scaling,
    tabular.Cells,
    tabular.TableFunction,
    tabular.Tabular,
    trajectories.Availability,
    trajectories.Trajectories,
)

Saved = TypeVar("Saved")


def save_parts(path: str | os.PathLike[str], kind: str, parts: Mapping[str, Any], known: tuple[type, ...] = ()) -> Path:
    """Write named parts to a file, whole or not at all.

    Raises
    ------
    SpecificationError
        If a part is a function that somebody wrote, which no file can hold.
    OutputError
        If the file cannot be written.
    """
    writing = _Writing({one.__name__: one for one in (*_PARTS, *known)})
    structure = {"kind": kind, "format": FORMAT, "parts": writing.told(dict(parts))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(_STRUCTURE, json.dumps(structure, ensure_ascii=False, allow_nan=False))
        for number, array in enumerate(writing.arrays):
            with file.open(f"{number}.npy", "w") as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    return write_whole(path, buffer.getvalue())


def load_parts(
    path: str | os.PathLike[str], kind: str, remedy: str, wanted: Mapping[str, type], known: tuple[type, ...] = ()
) -> dict[str, Any]:
    """Return the parts of :func:`save_parts`, by name of the classes wanted; no code in the file is ever run.

    Raises
    ------
    DataError
        If the file cannot be read, or parts of it are missing or spoiled.
    RevealedError
        If it holds something else, or was written by a newer version.
    """
    try:
        with zipfile.ZipFile(Path(path)) as file:
            structure = json.loads(file.read(_STRUCTURE))
            if structure["kind"] != kind:
                raise RevealedError(f"{path} holds a {structure['kind']}, no {kind}; {remedy}")
            if structure["format"] != FORMAT:
                what = f"{path} was saved in format {structure['format']}, this version reads {FORMAT}"
                raise RevealedError(f"{what}; recover again or upgrade")
            return _made(_Reading(file, {one.__name__: one for one in (*_PARTS, *known)}), structure["parts"], wanted)
    except FileNotFoundError:
        what = "there is no such file"
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
    except zipfile.BadZipFile as error:
        what = f"is no file of that kind: {error}"
    except (KeyError, TypeError, ValueError, AttributeError, EOFError) as error:
        what = f"parts missing or spoiled ({error})"
    raise DataError(str(path), [Problem(what, remedy)])


def _made(reading: _Reading, data: Any, wanted: Mapping[str, type]) -> dict[str, Any]:
    """Return the parts wanted; ValueError where they refuse what they are made of, TypeError where they are others."""
    try:
        found = reading.made(data)
    except RevealedError as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not (isinstance(found, dict) and all(isinstance(found[name], made) for name, made in wanted.items())):
        raise TypeError("other parts than such a file has")
    return found


class _Writing:
    """Turns parts into JSON-ready data, and gathers arrays; one that comes twice is written once."""

    def __init__(self, classes: Mapping[str, type]) -> None:
        self._classes = classes
        self._places: dict[int, int] = {}
        self.arrays: list[np.ndarray] = []

    def told(self, value: Any) -> Any:
        """Return a part as JSON-ready data."""
        if isinstance(value, OfStates):  # the check is made anew with the reward
            value = value.function
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | str | float):
            return numbers_to_names(value)
        if isinstance(value, np.ndarray):
            return {"array": self._place(value)}
        if isinstance(value, pa.Array):
            return {"persons": len(value)}  # who they are is nobody's business
        if isinstance(value, sparse.csr_array):
            matrix = [self._place(part) for part in (value.data, value.indices, value.indptr)]
            return {"matrix": matrix, "shape": list(value.shape)}
        if isinstance(value, tuple | list):
            return {"tuple": [self.told(one) for one in value]}
        if isinstance(value, Mapping):
            return {"mapping": {str(name): self.told(one) for name, one in value.items()}}
        name = type(value).__name__
        if is_dataclass(value) and self._classes.get(name) is type(value):
            return {"part": name, "fields": {one.name: self.told(getattr(value, one.name)) for one in _fields(value)}}
        called = getattr(value, "__name__", name)
        raise SpecificationError(
            f"{called!r} cannot be saved: it is code and no data; give a number or an action instead of a function, "
            "and take Tabular, Polynomial, Boosted or Neural"
        )

    def _place(self, array: np.ndarray) -> int:
        if array.dtype.kind not in "biufU":
            raise SpecificationError(f"an array of {array.dtype} cannot be saved")
        if id(array) not in self._places:
            self._places[id(array)] = len(self.arrays)
            self.arrays.append(array)  # which also keeps it, so that its id stays its own
        return self._places[id(array)]


class _Reading:
    """Turns data of :class:`_Writing` back into parts, of known classes only."""

    def __init__(self, file: zipfile.ZipFile, classes: Mapping[str, type]) -> None:
        self._file, self._classes = file, classes
        self._arrays: dict[int, np.ndarray] = {}

    def made(self, data: Any) -> Any:
        """Return a part."""
        if not isinstance(data, dict):
            return data
        if "float" in data:
            return names_to_numbers(data)
        if "array" in data:
            return self._array(data["array"])
        if "persons" in data:
            return pa.array(np.arange(data["persons"]))
        if "matrix" in data:
            return sparse.csr_array(tuple(self._array(place) for place in data["matrix"]), shape=tuple(data["shape"]))
        if "tuple" in data:
            return tuple(self.made(one) for one in data["tuple"])
        if "mapping" in data:
            return {name: self.made(one) for name, one in data["mapping"].items()}
        made = self._classes[data["part"]]
        return made(**{name: self.made(one) for name, one in data["fields"].items()})

    def _array(self, place: int) -> np.ndarray:
        if place not in self._arrays:
            with self._file.open(f"{place}.npy") as entry:
                self._arrays[place] = np.lib.format.read_array(entry, allow_pickle=False)
        return self._arrays[place]


def _fields(value: Any) -> list[Any]:
    """Return the fields that a class is made with."""
    return [one for one in fields(value) if one.init]
