"""What a rule of exploration says, and what it may ask. Imports models."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

#: Scores no farther apart, in terms of their size, are equal: what sums in another order come to.
_EQUAL = 1e-9
#: A number for each action, of one decision or of each of several.
OfActions = Float[np.ndarray, "*n actions"]


@runtime_checkable
class Belief(Protocol):
    """A belief about parameters, as much of it as exploring needs: every posterior of ``models.glm`` is one."""

    @property
    def n_params(self) -> int:
        """The number of parameters, K."""
        ...

    @property
    def mean(self) -> Float[np.ndarray, " K"]:
        """The mean of each parameter."""
        ...

    def predictor(
        self, rows: Float[np.ndarray, "rows K"]
    ) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
        """Return mean and variance of each row's linear predictor."""
        ...

    def draw(self, normals: Float[np.ndarray, "draws K"]) -> Float[np.ndarray, "draws K"]:
        """Return parameters drawn from the belief, given independent standard normals.

        The mean plus what is linear in the normals, so that the same normals with the other sign give a draw as far
        from the mean on its other side.
        """
        ...


@runtime_checkable
class Outlook(Protocol):
    """What is believed of the candidates of one or several decisions, computed when asked for."""

    @property
    def eligible(self) -> Bool[np.ndarray, "*n actions"]:
        """Which may be shown."""
        ...

    def means(self) -> OfActions:
        """Return the mean of each linear predictor."""
        ...

    def deviations(self) -> OfActions:
        """Return the standard deviation of each linear predictor."""
        ...

    def under_draw(self, width: float) -> OfActions:
        """Return the linear predictors under the decision's own draw, ``width`` times as far from the mean."""
        ...

    def shares(self, width: float) -> OfActions:
        """Return in which share of the pool, of which the own draw is one, each action is the best eligible one."""
        ...


@runtime_checkable
class Rule(Protocol):
    """A law of exploration: how likely each candidate is shown.

    All links of ``models.glm`` rise, so that the best linear predictor is the best answer, and rules need no link.
    """

    @property
    def name(self) -> str:
        """What it is called in files."""
        ...

    def probabilities(self, outlook: Outlook) -> OfActions:
        """Return the probability of each action, 0 where it is not eligible; each row sums to one."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        ...


@runtime_checkable
class ScoringRule(Rule, Protocol):
    """A rule that shows the highest of some scores: no probabilities are needed to decide."""

    def scores(self, outlook: Outlook) -> OfActions:
        """Return the scores; they may depend on the decision's own draw."""
        ...


def best_of(scores: Float[np.ndarray, "n actions"], eligible: Bool[np.ndarray, "n actions"]) -> OfActions:
    """Return probability one for the highest eligible score of each row, the first of equals."""
    shown = np.where(eligible, scores, -np.inf).argmax(axis=1)
    certain = np.zeros(scores.shape)
    certain[np.arange(len(scores)), shown] = 1.0
    return certain


def equally_best_of(scores: Float[np.ndarray, "n actions"], eligible: Bool[np.ndarray, "n actions"]) -> OfActions:
    """Return probability one for the highest eligible score of each row, shared by those that are equally high."""
    some = np.where(eligible, scores, -np.inf)
    highest = some.max(axis=1, keepdims=True)
    best = some >= highest - _EQUAL * (1 + np.abs(highest))
    return np.asarray(best / best.sum(axis=1, keepdims=True))
