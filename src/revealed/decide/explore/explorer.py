"""The explorer: decides by a rule, within limits, and says with which propensity. Imports models and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.decide.explore.draws import POOL, uniforms_of
from revealed.decide.explore.outlook import ManyOutlook, OneOutlook, Source, require_finite
from revealed.decide.explore.propensity import Limits, drawn
from revealed.decide.explore.protocol import Belief, Outlook, Rule, ScoringRule
from revealed.decide.explore.rules import rule_from_dict
from revealed.decide.explore.sparse import condensed
from revealed.decide.explore.thompson import Thompson
from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.glm.features.rows import Rows

Features = Float[np.ndarray, "actions K"]
ManyFeatures = Float[np.ndarray, "n actions K"]


class Choice(NamedTuple):
    """The number of the action to show, and the probability with which it was chosen."""

    action: int
    propensity: float


@dataclass(frozen=True, eq=False)
class Choices:
    """What to show in several decisions.

    Parameters
    ----------
    actions : ndarray of int64, shape (n,)
    propensities : ndarray of float64, shape (n,)
    """

    actions: Int[np.ndarray, " n"]
    propensities: Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Explorer:
    r"""Chooses among candidates: the same for the same seed and number, alone or with others.

    A decision's number names its random numbers, so each number is to be used once. Propensities are exact: Thompson
    sampling takes one draw for each decision out of a pool of ``pool`` draws, and its propensity is the share of the
    pool in which the action is the best one (``docs/design/exploration.md``).

    Parameters
    ----------
    rule : Rule
        Thompson sampling by default.
    seed : int
        From 0 to :math:`2^{64} - 1`.
    limits : Limits
        A floor and a cap on propensities; none by default. Where they bind, probabilities come first and the action is
        drawn by them, at the price of the whole pool.
    pool : int
        The number of draws that propensities are shares of.
    """

    rule: Rule = field(default_factory=Thompson)
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    pool: int = POOL

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**64:
            raise SpecificationError(f"the seed must be a whole number from 0 to 2**64 - 1, not {self.seed!r}")
        if self.pool < 1:
            raise SpecificationError(f"the pool must hold at least one draw, not {self.pool!r}")

    # ---- one decision ---------------------------------------------------------------------------------------------

    def pick(
        self,
        posterior: Belief,
        features: Features | Rows,
        number: int,
        eligible: Bool[np.ndarray, " actions"] | None = None,
    ) -> int:
        """Return the action of :meth:`choose`, without its propensity: a few microseconds where no limit binds.

        :meth:`propensities` gives that of many decisions later.

        Parameters
        ----------
        posterior : Belief
        features : ndarray of float64, shape (actions, K), or Rows
            Of each candidate.
        number : int
            The decision's number, from 0.
        eligible : ndarray of bool, shape (actions,), optional
            Which may be shown; all by default.

        Raises
        ------
        DataError
            If a feature is no finite number, or nothing is eligible.
        """
        if isinstance(features, Rows):
            posterior, features = condensed(posterior, features)
        _require(posterior, features, number)
        rule = self._scoring
        if rule is None or not len(features):
            return int(self._many(posterior, features[None], np.array([number]), _several(eligible))[0][0])
        with np.errstate(invalid="ignore", over="ignore"):  # refused here, whatever the settings
            scores = rule.scores(OneOutlook(self.source, posterior, features, number))
            if not isfinite(scores.dot(scores)):  # what is odd in features is in scores: less to look at
                _refuse_scores(features[None])
        if eligible is not None:
            _require_eligible(eligible, features.shape[:1])
            scores = np.where(eligible, scores, -np.inf)
        return int(scores.argmax())

    def choose(
        self,
        posterior: Belief,
        features: Features | Rows,
        number: int,
        eligible: Bool[np.ndarray, " actions"] | None = None,
    ) -> Choice:
        """Return what to show and its propensity; see :meth:`pick`."""
        if isinstance(features, Rows):
            posterior, features = condensed(posterior, features)
        _require(posterior, features, number)
        shown, probabilities = self._many(
            posterior, features[None], np.array([number]), _several(eligible), shares=True
        )
        assert probabilities is not None
        return Choice(int(shown[0]), float(max(probabilities[0, shown[0]], self._least)))

    def probabilities(
        self,
        posterior: Belief,
        features: Features | Rows,
        number: int,
        eligible: Bool[np.ndarray, " actions"] | None = None,
    ) -> Float[np.ndarray, " actions"]:
        """Return the probability of each action, given the pool of the decision's number; see :meth:`pick`."""
        if isinstance(features, Rows):
            posterior, features = condensed(posterior, features)
        _require(posterior, features, number)
        outlook = self._outlook(posterior, features[None], np.array([number]), _several(eligible))
        return np.asarray(self._probabilities(outlook)[0])

    # ---- by somebody else's outlook -------------------------------------------------------------------------------

    def outlook(self, posterior: Belief, features: Features | Rows, number: int) -> ManyOutlook:
        """Return what is believed of the candidates of one decision, to make another outlook of; see :meth:`pick`."""
        if isinstance(features, Rows):
            posterior, features = condensed(posterior, features)
        _require(posterior, features, number)
        return self._outlook(posterior, features[None], np.array([number]), None)

    def choose_by(self, outlook: Outlook, number: int) -> Choice:
        """Return what to show and its propensity by an outlook on one decision, rows of shape (1, actions).

        A slate's outlook, for instance, tells what each candidate would add to what is shown already.
        """
        choices = self.choose_many_by(outlook, np.array([number]))
        return Choice(int(choices.actions[0]), float(choices.propensities[0]))

    def probabilities_by(self, outlook: Outlook) -> Float[np.ndarray, " actions"]:
        """Return the probability of each action by an outlook on one decision; see :meth:`choose_by`."""
        return np.asarray(self._probabilities(outlook)[0])

    def probabilities_many_by(self, outlook: Outlook) -> Float[np.ndarray, "n actions"]:
        """Return the probability of each action by an outlook on several decisions; see :meth:`choose_many_by`."""
        return np.asarray(self._probabilities(outlook))

    # ---- several decisions ----------------------------------------------------------------------------------------

    def pick_many(
        self,
        posterior: Belief,
        features: ManyFeatures,
        numbers: Int[np.ndarray, " n"],
        eligible: Bool[np.ndarray, "n actions"] | None = None,
    ) -> Int[np.ndarray, " n"]:
        """Return the actions of :meth:`choose_many`, without their propensities.

        Parameters
        ----------
        posterior : Belief
        features : ndarray of float64, shape (n, actions, K)
        numbers : ndarray of int64, shape (n,)
            The decisions' numbers: each has random numbers of its own.
        eligible : ndarray of bool, shape (n, actions), optional

        Raises
        ------
        DataError
            If a feature is no finite number, or nothing is eligible in a decision.
        """
        return self._many(posterior, features, numbers, eligible)[0]

    def choose_many(
        self,
        posterior: Belief,
        features: ManyFeatures,
        numbers: Int[np.ndarray, " n"],
        eligible: Bool[np.ndarray, "n actions"] | None = None,
    ) -> Choices:
        """Return what to show and the propensities; see :meth:`pick_many`."""
        shown, probabilities = self._many(posterior, features, numbers, eligible, shares=True)
        assert probabilities is not None
        return Choices(shown, np.maximum(probabilities[np.arange(len(shown)), shown], self._least))

    def choose_many_by(self, outlook: Outlook, numbers: Int[np.ndarray, " n"]) -> Choices:
        """Return what to show and the propensities by an outlook on several decisions, rows of shape (n, actions)."""
        probabilities = self._probabilities(outlook)
        if self._scoring is None:
            shown = drawn(probabilities, self._uniforms(numbers))
        else:
            shown = np.where(outlook.eligible, self._scoring.scores(outlook), -np.inf).argmax(axis=1)
        return Choices(shown, np.maximum(probabilities[np.arange(len(shown)), shown], self._least))

    def probabilities_many(
        self,
        posterior: Belief,
        features: ManyFeatures,
        numbers: Int[np.ndarray, " n"],
        eligible: Bool[np.ndarray, "n actions"] | None = None,
    ) -> Float[np.ndarray, "n actions"]:
        """Return the probability of each action in several decisions; see :meth:`pick_many`."""
        _require_many(posterior, features, numbers)
        return self._probabilities(self._outlook(posterior, features, numbers, eligible))

    def propensities(
        self,
        posterior: Belief,
        features: ManyFeatures,
        numbers: Int[np.ndarray, " n"],
        actions: Int[np.ndarray, " n"],
        eligible: Bool[np.ndarray, "n actions"] | None = None,
    ) -> Float[np.ndarray, " n"]:
        """Return the propensities of actions that :meth:`pick` or :meth:`pick_many` chose from this posterior."""
        found = self.probabilities_many(posterior, features, numbers, eligible)
        return np.asarray(np.maximum(found[np.arange(len(actions)), actions], self._least))

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"rule": self.rule.to_dict(), "seed": self.seed, "limits": self.limits.to_dict(), "pool": self.pool}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Explorer:
        """Return the explorer that :meth:`to_dict` wrote."""
        return cls(rule_from_dict(data["rule"]), int(data["seed"]), Limits(**data["limits"]), int(data["pool"]))

    # ---- how ------------------------------------------------------------------------------------------------------

    @cached_property
    def source(self) -> Source:
        """Where its draws come from."""
        return Source(self.seed, self.pool)

    @property
    def by_scores(self) -> bool:
        """Whether the highest of some scores is shown, of which limits change nothing."""
        return self._scoring is not None

    @property
    def width(self) -> float | None:
        """The width of draws, if it shows what is the best under a decision's own draw, whatever else is known."""
        return self.rule.width if isinstance(self.rule, Thompson) and not self.limits.bind else None

    @cached_property
    def _scoring(self) -> ScoringRule | None:
        """The rule, if what it shows is known without its probabilities."""
        return self.rule if isinstance(self.rule, ScoringRule) and not self.limits.bind else None

    @property
    def _least(self) -> float:
        """The least propensity of what was shown.

        One draw of the pool, its own, favours it. Counted at another time, in another order of sums, it might favour
        the other of two candidates that are equal but for rounding.
        """
        return 1 / self.pool if self._scoring else 0.0

    def _many(
        self,
        posterior: Belief,
        features: ManyFeatures,
        numbers: Int[np.ndarray, " n"],
        eligible: Bool[np.ndarray, "n actions"] | None,
        shares: bool = False,
    ) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n actions"] | None]:
        _require_many(posterior, features, numbers)
        outlook = self._outlook(posterior, features, numbers, eligible)
        if self._scoring is None:
            probabilities = self._probabilities(outlook)
            return drawn(probabilities, self._uniforms(numbers)), probabilities
        with np.errstate(invalid="ignore", over="ignore"):
            scores = self._scoring.scores(outlook)
            flat = scores.ravel()
            if not isfinite(flat.dot(flat)):
                _refuse_scores(features)
        if eligible is not None:
            scores = np.where(eligible, scores, -np.inf)
        return scores.argmax(axis=1), self._probabilities(outlook) if shares else None

    def _outlook(
        self,
        posterior: Belief,
        features: ManyFeatures,
        numbers: Int[np.ndarray, " n"],
        eligible: Bool[np.ndarray, "n actions"] | None,
    ) -> ManyOutlook:
        shape = features.shape[:2]
        if eligible is not None:
            _require_eligible(eligible, shape)
        elif not shape[1]:
            raise _nothing_eligible(np.arange(len(numbers)))
        return ManyOutlook(self.source, posterior, features, numbers, eligible)

    def _probabilities(self, outlook: Outlook) -> Float[np.ndarray, "n actions"]:
        found = self.rule.probabilities(outlook)
        return self.limits.applied(found, outlook.eligible) if self.limits.bind else found

    def _uniforms(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        blocks, places = np.divmod(numbers, self.pool)
        out = np.empty(len(numbers))
        for block in np.unique(blocks):
            some = blocks == block
            out[some] = uniforms_of(self.seed, int(block), self.pool)[places[some]]
        return out


def _several(eligible: Bool[np.ndarray, " actions"] | None) -> Bool[np.ndarray, "one actions"] | None:
    return None if eligible is None else eligible[None]


def _require(posterior: Belief, features: Features, number: int) -> None:
    if features.shape[1] != posterior.n_params:
        _refuse_width(features.shape[1], posterior.n_params)
    if number < 0:
        raise SpecificationError(f"decisions are numbered from 0, not {number!r}")


def _require_many(posterior: Belief, features: ManyFeatures, numbers: Int[np.ndarray, " n"]) -> None:
    if features.shape[2] != posterior.n_params:
        _refuse_width(features.shape[2], posterior.n_params)
    if len(numbers) != len(features):
        raise SpecificationError(f"{len(features)} decisions need as many numbers, not {len(numbers)}")
    if len(numbers) and np.minimum.reduce(numbers) < 0:  # half the time of numbers.min()
        raise SpecificationError(f"decisions are numbered from 0, not {int(numbers.min())}")


def _refuse_width(found: int, n_params: int) -> None:
    raise SpecificationError(f"candidates of {found} features for a posterior of {n_params} parameters")


def _refuse_scores(features: ManyFeatures) -> None:
    require_finite(features)
    raise SpecificationError(
        "the linear predictors of these candidates are beyond 1e154; bring features and posterior to a usual scale"
    )


def _require_eligible(eligible: np.ndarray, shape: tuple[int, ...]) -> None:
    if eligible.shape != shape:
        raise SpecificationError(f"eligibility of shape {eligible.shape} for candidates of shape {shape}")
    some = eligible.any(axis=-1)
    if not some.all():
        raise _nothing_eligible(np.flatnonzero(~np.atleast_1d(some)))


def _nothing_eligible(decisions: np.ndarray) -> DataError:
    shown = ", ".join(str(int(one)) for one in decisions[:5])
    problem = Problem(
        "nothing is eligible",
        "leave something eligible, or do not ask",
        where=f"decision {shown} of these",
        count=len(decisions),
    )
    return DataError("candidates", [problem])
