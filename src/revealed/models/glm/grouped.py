"""A posterior with covariances within groups of features, none across. Imports its own room and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.errors import SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.full import FullPosterior, FullSites, require_share
from revealed.models.glm.links import Link
from revealed.models.glm.posterior import Matrix, Posterior, Sites, Vector, dense
from revealed.models.glm.tilt import tilt_of


@dataclass(frozen=True, eq=False)
class GroupedSites:
    """Sites of answers in the part of their predictors that each group makes up."""

    parts: tuple[FullSites, ...]

    def __len__(self) -> int:
        return len(self.parts[0])


@dataclass(frozen=True, eq=False)
class GroupedPosterior:
    """Gaussians on groups of parameters, independent of each other.

    Answers are learned one after the other by assumed-density filtering: what an answer says of its predictor moves
    each group in proportion to the group's share of the predictor's variance.

    Parameters
    ----------
    groups : ndarray of int64, shape (K,)
        The group of each parameter, numbered from zero.
    parts : tuple of FullPosterior
        One a group, its parameters in the order of their indices.
    """

    groups: Int[np.ndarray, " K"]
    parts: tuple[FullPosterior, ...]

    def __post_init__(self) -> None:
        counts = np.bincount(self.groups, minlength=len(self.parts))
        if counts.tolist() != [part.n_params for part in self.parts]:
            raise SpecificationError("the groups must number the parameters from 0, and each must have its posterior")

    @classmethod
    def independent(
        cls, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"], groups: Sequence[int] | np.ndarray
    ) -> GroupedPosterior:
        """Return independent beliefs, a prior for instance."""
        of_each = np.asarray(groups, dtype=np.int64)
        if len(of_each) != len(mean) or (len(of_each) and (of_each < 0).any()):
            raise SpecificationError(f"{len(mean)} parameters need as many groups, numbered from 0, not {len(of_each)}")
        places = [np.flatnonzero(of_each == group) for group in range(int(of_each.max(initial=-1)) + 1)]
        return cls(of_each, tuple(FullPosterior.independent(mean[place], variance[place]) for place in places))

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        return len(self.groups)

    @cached_property
    def places(self) -> tuple[Int[np.ndarray, " some"], ...]:
        """The parameters of each group."""
        return tuple(np.flatnonzero(self.groups == group) for group in range(len(self.parts)))

    @property
    def mean(self) -> Float[np.ndarray, " K"]:
        """The mean of each parameter."""
        return self._gathered([part.mean for part in self.parts])

    @property
    def variance(self) -> Float[np.ndarray, " K"]:
        """The variance of each parameter."""
        return self._gathered([part.variance for part in self.parts])

    def predictor(self, rows: Rows | Matrix) -> tuple[Vector, Vector]:
        """Return mean and variance of each row's linear predictor."""
        x = dense(rows)
        both = [part.predictor(x[:, place]) for part, place in zip(self.parts, self.places, strict=True)]
        return np.sum([mean for mean, _ in both], axis=0), np.sum([variance for _, variance in both], axis=0)

    def draw(self, normals: Float[np.ndarray, "draws K"]) -> Float[np.ndarray, "draws K"]:
        """Return parameters drawn from the posterior, given independent standard normals."""
        drawn = np.empty_like(normals)
        for part, place in zip(self.parts, self.places, strict=True):
            drawn[:, place] = part.draw(normals[:, place])
        return drawn

    def learn(self, link: Link, rows: Rows | Matrix, answers: Vector) -> tuple[GroupedPosterior, GroupedSites]:
        """Return the posterior after some answers, taken one after the other, and what they added.

        Raises
        ------
        DataError
            If an answer cannot be.
        """
        link.require(answers)
        x = dense(rows)
        columns = [np.ascontiguousarray(x[:, place]) for place in self.places]
        means, covariances = [p.mean.copy() for p in self.parts], [p.covariance for p in self.parts]
        precision, shift = np.empty((len(self.parts), len(x))), np.empty((len(self.parts), len(x)))
        tilt = tilt_of(link)
        for i, answer in enumerate(answers.tolist()):
            rows_i = [column[i] for column in columns]
            gains = [covariance @ row for covariance, row in zip(covariances, rows_i, strict=True)]
            m = np.array([row @ mean for row, mean in zip(rows_i, means, strict=True)])
            v = np.array([row @ gain for row, gain in zip(rows_i, gains, strict=True)])
            first, second = tilt(answer, float(m.sum()), float(v.sum()))
            # The same derivatives, seen from each group alone.
            precision[:, i] = second / (1 - v * second)
            shift[:, i] = (first + m * second) / (1 - v * second)
            for mean, covariance, gain in zip(means, covariances, gains, strict=True):
                mean += first * gain
                covariance -= np.multiply.outer(second * gain, gain)
        sites = GroupedSites(tuple(map(FullSites, columns, precision, shift)))
        return self.changed(sites, 1.0), sites

    def changed(self, sites: Sites, sign: float) -> GroupedPosterior:
        """Return the posterior with sites added (sign 1) or taken out (sign -1)."""
        if not isinstance(sites, GroupedSites):
            raise SpecificationError("these sites are of another kind of posterior")
        return self._changed([part.changed(s, sign) for part, s in zip(self.parts, sites.parts, strict=True)])

    def without(self, sites: Sites) -> GroupedPosterior:
        """Return the posterior without what some answers added.

        Raises
        ------
        EvidenceError
            If no proper belief is left.
        """
        if not isinstance(sites, GroupedSites):
            raise SpecificationError("these sites are of another kind of posterior")
        return self._changed([part.without(s) for part, s in zip(self.parts, sites.parts, strict=True)])

    def faded(self, keep: float, prior: Posterior) -> GroupedPosterior:
        """Return the posterior with a share of what was learned beyond the prior."""
        require_share(keep)
        assert isinstance(prior, GroupedPosterior)
        return self._changed([part.faded(keep, before) for part, before in zip(self.parts, prior.parts, strict=True)])

    def extended(self, mean: Float[np.ndarray, " new"], variance: Float[np.ndarray, " new"]) -> GroupedPosterior:
        """Return the posterior with new parameters, all in one new group."""
        groups = np.concatenate([self.groups, np.full(len(mean), len(self.parts), np.int64)])
        if not len(mean):
            return self
        return GroupedPosterior(groups, (*self.parts, FullPosterior.independent(mean, variance)))

    def anew(self, mean: Float[np.ndarray, " K"], variance: Float[np.ndarray, " K"]) -> GroupedPosterior:
        """Return independent beliefs of the same kind."""
        return GroupedPosterior.independent(mean, variance, self.groups)

    def with_prior(self, before: Posterior, after: Posterior) -> GroupedPosterior:
        """Return the posterior with one prior in place of another."""
        assert isinstance(before, GroupedPosterior)
        assert isinstance(after, GroupedPosterior)
        triples = zip(self.parts, before.parts, after.parts, strict=True)
        return self._changed([part.with_prior(one, other) for part, one, other in triples])

    def scaled(self, precision: float, shift: float) -> GroupedPosterior:
        """Return the posterior with precision and shift times two numbers."""
        return self._changed([part.scaled(precision, shift) for part in self.parts])

    def distance(self, mean: Float[np.ndarray, " K"]) -> float:
        """Return how far a mean is from the posterior's, squared, as its precision measures it."""
        return sum(part.distance(mean[place]) for part, place in zip(self.parts, self.places, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "kind": "grouped",
            "groups": self.groups.tolist(),
            "parts": [part.to_dict() for part in self.parts],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GroupedPosterior:
        """Return the posterior that :meth:`to_dict` wrote."""
        return cls(
            np.array(data["groups"], dtype=np.int64), tuple(FullPosterior.from_dict(part) for part in data["parts"])
        )

    def _gathered(self, of_groups: list[np.ndarray]) -> Float[np.ndarray, " K"]:
        gathered = np.empty(self.n_params)
        for place, values in zip(self.places, of_groups, strict=True):
            gathered[place] = values
        return gathered

    def _changed(self, parts: Sequence[FullPosterior]) -> GroupedPosterior:
        return GroupedPosterior(self.groups, tuple(parts))
