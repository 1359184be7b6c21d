"""The sites of decisions as cells of a table, whatever kind of posterior they are of. Imports models.

A site is what one decision adds to a posterior: for all covariances a precision and a shift along its row; for
covariances within groups one of each a group; for none one of each a feature of the row.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from revealed.models.glm.diagonal import DiagonalPosterior, DiagonalSites
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullSites
from revealed.models.glm.grouped import GroupedPosterior, GroupedSites
from revealed.models.glm.posterior import Matrix, Posterior, Sites, dense

#: One row a decision; what a row is shorter than the table is wide is zeros.
Cells = Float[np.ndarray, "rows width"]


def cells_of(sites: Sites, rows: Rows | Matrix) -> tuple[Cells, Cells]:
    """Return the precisions and the shifts of sites that some rows added."""
    if isinstance(sites, FullSites):
        return sites.precision[:, None], sites.shift[:, None]
    if isinstance(sites, GroupedSites):
        parts = sites.parts
        return np.column_stack([part.precision for part in parts]), np.column_stack([part.shift for part in parts])
    assert isinstance(sites, DiagonalSites)
    entries = sparse(rows)
    precision, shift = np.zeros((2, len(entries), int(np.diff(entries.starts).max(initial=0))))
    precision[_cells(entries)], shift[_cells(entries)] = sites.precision, sites.shift
    return precision, shift


def sites_of(posterior: Posterior, rows: Rows | Matrix, precision: Cells, shift: Cells) -> Sites:
    """Return the sites of some rows, of the posterior's kind; the inverse of :func:`cells_of`."""
    if isinstance(posterior, DiagonalPosterior):
        entries = sparse(rows)
        lacking = int(np.diff(entries.starts).max(initial=0)) - precision.shape[1]
        if lacking > 0:  # no row so long has said anything yet
            precision, shift = (np.pad(table, ((0, 0), (0, lacking))) for table in (precision, shift))
        return DiagonalSites(entries.index, precision[_cells(entries)], shift[_cells(entries)], len(entries))
    x = dense(rows)
    if isinstance(posterior, GroupedPosterior):
        places = posterior.places[: precision.shape[1]]  # groups that came since have no feature of these rows
        parts = [FullSites(x[:, place], precision[:, i], shift[:, i]) for i, place in enumerate(places)]
        late = [FullSites(x[:, place], np.zeros(len(x)), np.zeros(len(x))) for place in posterior.places[len(parts) :]]
        return GroupedSites((*parts, *late))
    return FullSites(x, precision[:, 0], shift[:, 0])


def sparse(rows: Rows | Matrix) -> Rows:
    """Return rows of features without their zeros."""
    return rows if isinstance(rows, Rows) else Rows.of_dense(rows)


def _cells(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the place in a table of each entry of some rows."""
    return rows.row, np.arange(rows.nnz) - rows.starts[rows.row]
