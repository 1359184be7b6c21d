"""How an estimation went, as data; and what of it is not identified, by name. Imports its own room only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

#: Below this share of its largest eigenvalue a direction of the scaled information is rounding error.
RANK_TOLERANCE = 1e-11


@dataclass(frozen=True)
class NotIdentified:
    """Parameters that the data cannot tell, and why.

    Parameters
    ----------
    names : tuple of str
        The parameters involved.
    kind : str
        ``"no variation"``, ``"collinear"`` or ``"separation"``.
    why : str
        In words, with the remedy.
    """

    names: tuple[str, ...]
    kind: str
    why: str


@dataclass(frozen=True)
class Status:
    """How an estimation went.

    Parameters
    ----------
    converged : bool
        Whether the parameters maximise the log-likelihood to the tolerance.
    reason : str
        Why it stopped.
    passes : int
        Passes over the full log.
    sample_passes : float
        Passes over samples of cases, as a share of the full log.
    utility_step : float
        The root mean square change of utility in the last Newton step, the measure of convergence.
    condition_number : float
        Of the information scaled to unit diagonal.
    not_identified : tuple of NotIdentified
        What the data cannot tell.
    at_bound : tuple of str
        Parameters at one of their bounds.
    trail : tuple of float
        The log-likelihood at each full pass.
    """

    converged: bool
    reason: str
    passes: int = 0
    sample_passes: float = 0.0
    utility_step: float = float("nan")
    condition_number: float = float("nan")
    not_identified: tuple[NotIdentified, ...] = ()
    at_bound: tuple[str, ...] = ()
    trail: tuple[float, ...] = field(default=())

    @property
    def sound(self) -> bool:
        """Whether the estimates can be used as they stand: converged, and all parameters identified."""
        return self.converged and not self.not_identified

    def messages(self) -> list[str]:
        """Return what a reader must know, in words; empty when all is well."""
        notes = [] if self.converged else [f"not converged: {self.reason}"]
        notes += [f"{item.kind}: {item.why}" for item in self.not_identified]
        if self.at_bound:
            notes.append(f"at a bound (no standard error): {listed(self.at_bound)}")
        if self.condition_number > 1e8 and not self.not_identified:
            notes.append(
                f"nearly collinear: the scaled information has condition number {self.condition_number:.1e}; "
                "standard errors are large and digits are lost"
            )
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Status:
        """Return the status that :meth:`to_dict` wrote."""
        items = tuple(NotIdentified(tuple(i["names"]), i["kind"], i["why"]) for i in data["not_identified"])
        fields = {**data, "not_identified": items, "at_bound": tuple(data["at_bound"]), "trail": tuple(data["trail"])}
        return cls(**fields)


def scaled(information: Float[np.ndarray, "K K"]) -> tuple[Float[np.ndarray, "K K"], Float[np.ndarray, " K"]]:
    """Return the information scaled to unit diagonal and the scale; zero rows stay zero."""
    diagonal = np.sqrt(np.maximum(np.diag(information), 0.0))
    scale = np.where(diagonal > 0, 1 / np.where(diagonal > 0, diagonal, 1.0), 0.0)
    return information * scale * scale[:, None], scale


def condition_number(information: Float[np.ndarray, "K K"]) -> float:
    """Return the condition number of the information scaled to unit diagonal."""
    if not len(information):
        return 1.0
    values = np.linalg.eigvalsh(scaled(information)[0])
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")


def collinearities(information: Float[np.ndarray, "K K"], names: Sequence[str]) -> list[NotIdentified]:
    """Return what the information cannot tell: parameters without variation, and sets that move together."""
    matrix, scale = scaled(information)
    found = [
        NotIdentified(
            (name,),
            "no variation",
            f"{name} never differs between the alternatives of a choice situation, so nothing can be learned "
            "about it; drop it"  # what has a label in its name differs by it already
            + ("" if "[" in name else f", or let its effect differ by alternative: C(alternative):{name}"),
        )
        for name, s in zip(names, scale, strict=True)
        if s == 0
    ]
    alive = np.flatnonzero(scale)
    if not len(alive):
        return found
    values, vectors = np.linalg.eigh(matrix[np.ix_(alive, alive)])
    null = vectors[:, values < RANK_TOLERANCE * max(values[-1], 1.0)]
    # Two separate collinear sets are named as two.
    for group in _groups(null):
        members = tuple(names[alive[i]] for i in group)
        found.append(
            NotIdentified(
                members,
                "collinear",
                f"{listed(members)} move together: a combination of them is the same for all alternatives of every "
                "choice situation; drop one of them, fix one, or use a ridge",
            )
        )
    return found


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names with commas between, the first few and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def involved(direction: Float[np.ndarray, " K"], names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that make up a direction, largest first."""
    size = np.abs(direction)
    order = np.argsort(-size, kind="stable")
    return tuple(names[i] for i in order if size[i] > 0.05 * size.max())


def _groups(null: Float[np.ndarray, "K nullity"]) -> list[list[int]]:
    """Return the sets of rows tied together by the null space: connected components of its projection."""
    projection = null @ null.T
    tied = np.abs(projection) > 1e-6
    left = [i for i in range(len(null)) if tied[i, i]]
    groups = []
    while left:
        group, queue = [], [left.pop(0)]
        while queue:
            i = queue.pop()
            group.append(i)
            linked = [j for j in left if tied[i, j]]
            left = [j for j in left if j not in linked]
            queue += linked
        groups.append(sorted(group))
    return groups
