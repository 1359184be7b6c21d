"""Which number makes a log-likelihood overflow: an attribute, a weight or a parameter. Imports evidence to choices.

Looked into once the sums have failed, never before: a pass over the design on the way to an error costs nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from revealed.choices.log import ChoiceLog, Partition
from revealed.choices.stream import ChoiceStream
from revealed.engine import Engine
from revealed.errors import DataError, Problem, RevealedError, SpecificationError
from revealed.evidence.exact import NotFiniteError
from revealed.models.blocks import blocks_of
from revealed.models.law import Law
from revealed.models.workspace import workspace

#: Sums hold squares of attributes, so numbers above this may be what overflows; smaller ones are not blamed alone.
_SUSPECT = 1e50


@dataclass(frozen=True)
class _Largest:
    """The number farthest from zero seen so far, and where; adds to the farther of two."""

    size: float = -1.0
    where: str = ""
    value: float = 0.0
    case: str = ""

    def __add__(self, other: _Largest) -> _Largest:
        return self if self.size >= other.size else other


@contextmanager
def told(
    law: Law,
    log: ChoiceLog | ChoiceStream,
    engine: Engine,
    start: Float[np.ndarray, " K"],
    fixed: Bool[np.ndarray, " K"],
) -> Iterator[None]:
    """Say which number it was if sums over a log overflow within.

    Parameters
    ----------
    law : Law
    log : ChoiceLog or ChoiceStream
    engine : Engine
    start : ndarray of float64, shape (K,)
        Where the parameters begin.
    fixed : ndarray of bool, shape (K,)
        Which are held there.

    Raises
    ------
    DataError
        If it was an attribute or a weight: with the column, the case and the number.
    SpecificationError
        If it was a parameter, or several together.
    """
    try:
        yield
    except NotFiniteError as error:
        raise _culprit(law, log, engine, start, fixed) from error


def _culprit(
    law: Law,
    log: ChoiceLog | ChoiceStream,
    engine: Engine,
    start: Float[np.ndarray, " K"],
    fixed: Bool[np.ndarray, " K"],
) -> RevealedError:
    variables = [name for design in law.designs for name in (*design.variables, *design.categories)]
    attribute: _Largest = engine.sum(_attributes(law), log, columns=list(dict.fromkeys(variables)))
    weight: _Largest = engine.sum(_weights, log, columns=[])
    with np.errstate(divide="ignore"):  # a scale near zero is as far out as one that is huge; zero itself is not
        away = np.where(start == 0, 0.0, np.abs(np.log(np.abs(start))))
    worst = int(away.argmax()) if len(start) else -1
    parameter = abs(float(start[worst])) if worst >= 0 else -1.0
    data = weight if weight.size > attribute.size else attribute
    if data.size > max(parameter, _SUSPECT):
        return DataError(log.source, [_problem(data)])
    held = worst >= 0 and bool(fixed[worst])
    begins = "is held at" if held else "starts at"
    if parameter > _SUSPECT:
        return SpecificationError(
            f"{law.names[worst]!r} {begins} {start[worst]:g}, with which utilities are beyond what numbers hold; "
            f"{'hold it at' if held else 'start it from'} a number of ordinary size"
        )
    found = [f"{law.names[worst]!r} {begins} {start[worst]:g}"] if worst >= 0 else []
    found += [f"the largest of {data.where} is {data.value:g}, in case {data.case}"] if data.case else []
    return SpecificationError(
        "the log-likelihood is beyond what numbers hold where the parameters start, or on the way from there "
        f"({'; '.join(found)}): start or hold parameters at numbers of ordinary size, and measure attributes in units "
        "in which they are about one"
    )


def _problem(data: _Largest) -> Problem:
    if data.where == "weights":
        remedy = "divide the weights by their mean: only how they compare with each other matters"
        return Problem(f"a weight of {data.value:g} makes sums beyond what numbers hold", remedy, cases=(data.case,))
    return Problem(
        f"{data.where} is {data.value:g}, and its square is beyond what numbers hold",
        "correct it if it is a slip; else measure it in a unit in which it is about one"
        + (f": I({data.where} / 1e{int(np.log10(data.size))})" if data.where.isidentifier() else ""),
        where=data.where,
        cases=(data.case,),
    )


def _attributes(law: Law) -> Callable[[Partition], _Largest]:
    """Return the task that finds the largest attribute of what is available."""

    def task(partition: Partition) -> _Largest:
        found, log = _Largest(), partition.log
        for design in law.designs:
            for block in blocks_of(partition, len(design.columns)):
                x = workspace().array("design", len(design.columns), block.row_stop - block.row_start)
                with np.errstate(all="ignore"):
                    design.fill(log, block.row_start, block.row_stop, x)
                if not x.size:
                    continue
                if log.available is not None:
                    x[:, ~log.available[block.row_start : block.row_stop]] = 0.0
                size = np.nan_to_num(np.abs(x), nan=np.inf)
                column, row = np.unravel_index(int(size.argmax()), x.shape)
                case = int(np.searchsorted(log.offsets, block.row_start + row, side="right")) - 1
                label = str(log.case_labels[case].as_py())
                found += _Largest(float(size[column, row]), design.names[column], float(x[column, row]), label)
        return found

    return task


def _weights(partition: Partition) -> _Largest:
    """Return the largest weight of a partition."""
    log = partition.log
    if log.weights is None or partition.stop <= partition.start:
        return _Largest()
    case = partition.start + int(log.weights[partition.start : partition.stop].argmax())
    value = float(log.weights[case])
    return _Largest(value, "weights", value, str(log.case_labels[case].as_py()))
