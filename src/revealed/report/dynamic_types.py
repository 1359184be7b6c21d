"""Types of decision makers that nobody observes, as a table: how many, and the parameters of each. Imports models.

A formula says what differs between types by the column ``type``: where it says ``asc + type``, the constant of type 1
is the sum of two parameters. So each type's parameters are told as the same formula without types would have them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from revealed.answer.table import Cell, Column, Table
from revealed.models.dynamic.fit import DynamicFit

#: A column of the design is made of others if it misses them by less, in units of its own size.
_SAME = 1e-9


def table_of_types(fit: DynamicFit, errors: str) -> Table | None:
    """Return the share and the parameters of each type with their standard errors; None for a fit without types."""
    if fit.types is None:
        return None
    kinds = range(len(fit.types.shares))
    kind = errors if errors in fit.types.covariances else "clustered"
    columns = [Column("", "text")]
    for number in kinds:
        columns += [Column(f"type {number}"), Column("error" if not number else f"error {number}")]
    spread = zip(fit.types.shares, fit.types.errors(kind), strict=True)
    rows: list[tuple[Cell, ...]] = [("share", *(float(cell) for pair in spread for cell in pair))]
    names, maps = by_type(fit)
    covariance = fit.covariance(errors)
    found = [(each @ fit.params, np.sqrt(np.einsum("ij,jk,ik->i", each, covariance, each))) for each in maps]
    known = [np.abs(each).sum(axis=1) > 0 for each in maps]
    for place, name in enumerate(names):
        cells: list[Cell] = [name]
        for number in kinds:
            value, error = (float(part[place]) for part in found[number])
            cells += [value, error] if known[number][place] else [None, None]
        rows.append(tuple(cells))
    return Table("", tuple(columns), tuple(rows))


def by_type(fit: DynamicFit) -> tuple[tuple[str, ...], list[Float[np.ndarray, "M K"]]]:
    """Return the names of a type's parameters, and for each type the matrix that makes them of those of the fit.

    A column of the design that differs between types is, for one type, a multiple of columns that do not; where it is
    not, it keeps its own name.
    """
    assert fit.types is not None
    x, k = fit.linear.features, len(fit.names)
    x = x.reshape(-1, len(fit.types.shares), *x.shape[1:])
    alike = [j for j in range(k) if (x[..., j] == x[:, :1, :, j]).all()]
    parts = [x[:, number].reshape(-1, k) for number in range(x.shape[1])]
    base, own = parts[0][:, alike], list[int]()
    weights = []
    for part in parts:
        fill = np.linalg.lstsq(base, part, rcond=None)[0] if alike else np.zeros((0, k))
        missed = np.abs(part - base @ fill).max(axis=0, initial=0.0)
        far = missed > _SAME * np.maximum(np.abs(part).max(axis=0), 1.0)
        own += [j for j in np.flatnonzero(far).tolist() if j not in own]
        weights.append(np.where(np.abs(fill) < _SAME, 0.0, fill))
    maps = []
    for part, fill in zip(parts, weights, strict=True):
        each = np.zeros((len(alike) + len(own), k))
        each[: len(alike)] = fill
        each[: len(alike), alike] = np.eye(len(alike))  # exactly
        each[:, own] = 0.0
        for place, j in enumerate(own, len(alike)):
            each[place, j] = float(np.abs(part[:, j]).max() > 0)
        maps.append(each)
    return tuple(fit.names[j] for j in (*alike, *own)), maps
