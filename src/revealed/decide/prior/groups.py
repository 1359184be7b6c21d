"""What a meta-prior is: a mean and a variance for each group of parameters. Imports models and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError, nearest
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.model import Answers, BayesianGLM
from revealed.models.glm.posterior import Matrix

#: The least variance a group may have: what is believed to be exactly alike learns nothing of a new member.
FLOOR = 1e-4
#: Fewer members than this tell too little of their spread; their group keeps the first prior.
LEAST = 6


@dataclass(frozen=True)
class GroupPrior:
    """The prior of the parameters of a group.

    Parameters
    ----------
    name : str
    mean, variance : float
    n_params, n_learned : int
        Members, and those of which anything was learned.
    floored : bool
        Whether the estimate was below the floor, which then stands in its place.
    low, high : float, optional
        The 95% interval of the variance, where the estimator gives one.
    """

    name: str
    mean: float
    variance: float
    n_params: int
    n_learned: int
    floored: bool
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Effort:
    """What it took to find a meta-prior by prediction, and what it gained.

    Parameters
    ----------
    n_rows, n_fits : int
        Rows looked at, and passes over them.
    before, after : float
        Log-loss a row under the first prior and under the one found, each answer predicted before it was learned.
    finished : bool
        Whether the search came to its end within its limit of passes.
    """

    n_rows: int
    n_fits: int
    before: float
    after: float
    finished: bool

    def __str__(self) -> str:
        end = "" if self.finished else "; stopped at the limit of passes"
        return (
            f"{self.n_fits} passes over {self.n_rows:,} rows; log-loss a row {self.before:.4f} before, "
            f"{self.after:.4f} after{end}"
        )


@dataclass(frozen=True, eq=False)
class MetaPrior:
    """A prior for each group of parameters.

    Parameters
    ----------
    groups : tuple of GroupPrior
    effort : Effort, optional
        What it took, where it was found by prediction.
    """

    groups: tuple[GroupPrior, ...]
    effort: Effort | None = None

    def __getitem__(self, name: str) -> GroupPrior:
        for group in self.groups:
            if group.name == name:
                return group
        names = [group.name for group in self.groups]
        raise SpecificationError(f"no group {name!r}; {nearest(name, names)}")

    def mean_of(self, groups: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
        """Return the prior mean of parameters by their groups."""
        return np.asarray(np.array([group.mean for group in self.groups])[groups])

    def variance_of(self, groups: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
        """Return the prior variance of parameters by their groups."""
        return np.asarray(np.array([group.variance for group in self.groups])[groups])

    def in_unit(self, unit: float) -> MetaPrior:
        """Return the meta-prior of the same parameters, each divided by a number."""

        def changed(group: GroupPrior) -> GroupPrior:
            low, high = (None if end is None else end / unit**2 for end in (group.low, group.high))
            return replace(group, mean=group.mean / unit, variance=group.variance / unit**2, low=low, high=high)

        return self if unit == 1 else replace(self, groups=tuple(map(changed, self.groups)))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "groups": [asdict(group) for group in self.groups],
            "effort": None if self.effort is None else asdict(self.effort),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MetaPrior:
        """Return the meta-prior that :meth:`to_dict` wrote."""
        effort = data["effort"]
        return cls(tuple(GroupPrior(**group) for group in data["groups"]), None if effort is None else Effort(**effort))


def require_groups(
    model: BayesianGLM, groups: Int[np.ndarray, " parameters"], names: Sequence[str], means: Mapping[str, float | None]
) -> None:
    """Raise SpecificationError unless each parameter has a group, and means are of groups."""
    if len(groups) != model.n_params or (len(groups) and not 0 <= int(groups.min()) <= int(groups.max()) < len(names)):
        raise SpecificationError(f"{model.n_params} parameters need a group each, an index into {len(names)} names")
    for name in means:
        if name not in names:
            raise SpecificationError(f"no group {name!r} (in means); {nearest(name, names)}")


def restarted(
    model: BayesianGLM,
    prior: MetaPrior,
    groups: Int[np.ndarray, " K"],
    rows: Rows | Matrix,
    answers: Answers,
) -> BayesianGLM:
    """Return the model that starts again from a meta-prior and replays its answers to convergence."""
    return model.with_prior(prior.mean_of(groups), prior.variance_of(groups)).replay(rows, answers)
