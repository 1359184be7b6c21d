r"""Action values given what people do: choice probabilities stand in for solving. Imports its own room and evidence.

Where behaviour :math:`P` is known, values are linear in the parameters (Hotz and Miller 1993; Aguirregabiria and Mira
2002): :math:`Q(s, a) = \tilde x(s, a)^\top\theta + \tilde e(s, a)`, and choices are a logit with known offsets. Two
ways:

- by valuation of who follows :math:`P` for ever, with :math:`W = (I - \gamma T_P)^{-1}`:
  :math:`\tilde x_a = x_a + \gamma T_a W \sum_b P_b x_b`,
  :math:`\tilde e_a = \gamma T_a W \sum_b P_b (-\alpha \log P_b)`;
- by finite dependence (Arcidiacono and Miller 2011) where an action :math:`R` renews, so that it does not matter
  afterwards where one came from: :math:`V(s') = Q(s', R) - \alpha \log P_R(s')`, and what comes after :math:`R` is the
  same number for all, which no choice depends on: :math:`\tilde x_a = x_a + \gamma T_a x_R`,
  :math:`\tilde e_a = -\gamma\alpha T_a \log P_R`. Nothing is solved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError, nearest
from revealed.evidence import Detail, Evidence, Maximum, NewtonOptions, maximise
from revealed.models.dynamic.likelihood import Policies, Seen
from revealed.models.dynamic.model import DynamicModel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import choose, forward
from revealed.models.estimate import prior_of, region_of

#: Behaviour is kept from zero by this much: a logarithm of it enters values.
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Pseudo:
    """Action values that are linear in parameters.

    Parameters
    ----------
    features : ndarray of float64, shape (S, A, K)
    offset : ndarray of float64, shape (S, A)
        Minus infinity where an action is not available.
    worth : ndarray of float64, shape (S, K + 1), optional
        What features and surprises are worth to who follows the behaviour: a guess for behaviour nearby.
    """

    features: Float[np.ndarray, "S A K"]
    offset: Float[np.ndarray, "S A"]
    worth: Float[np.ndarray, "S L"] | None = None

    def policy(self, process: DecisionProcess, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, "S A"]:
        """Return the choice probabilities at some parameters."""
        return choose(process, self.features @ params + self.offset)[1]


def require_stationary(process: DecisionProcess, title: str) -> None:
    """Raise SpecificationError for a process with a horizon."""
    if process.horizon is not None:
        raise SpecificationError(f"{title} is for processes without end; use NestedFixedPoint for a horizon")


def renewal_of(process: DecisionProcess, action: str) -> int:
    """Return the place of an action that renews wherever it leads to be needed.

    Raises
    ------
    SpecificationError
        If it does not renew, or is not available in a state that can be reached.
    """
    number = process.index(action)
    if action not in process.renewals:
        found = nearest(action, process.renewals) if process.renewals else "no action renews here"
        raise SpecificationError(f"{action!r} does not renew: where it leads depends on the state; {found}")
    if not process.mask[:, number].all():
        state = process.space.label(int(np.flatnonzero(~process.mask[:, number])[0]))
        raise SpecificationError(f"{action!r} is not available in state {state}, so dependence on it is not finite")
    return number


def by_valuation(
    process: DecisionProcess, linear: LinearReward, behaviour: Float[np.ndarray, "S A"], near: Pseudo | None = None
) -> Pseudo:
    """Return action values given behaviour, by valuing who follows it for ever, from those of behaviour nearby."""
    x, gamma = linear.features, process.discount
    surprise = -process.scale * np.log(np.maximum(behaviour, _LEAST))
    flow = np.concatenate(
        [np.einsum("sa,sak->sk", behaviour, x), (behaviour * surprise).sum(axis=1, keepdims=True)], axis=1
    )
    worth = forward(process, process.under(behaviour), flow, None if near is None else near.worth)
    later = gamma * process.expected(worth)
    return Pseudo(x + later[:, :, :-1], _where_available(process, later[:, :, -1]), worth)


def by_finite_dependence(
    process: DecisionProcess, linear: LinearReward, behaviour: Float[np.ndarray, "S A"], renewal: int
) -> Pseudo:
    """Return action values given behaviour, up to a number that is the same for all, through an action that renews."""
    x = linear.features
    told = -process.scale * np.log(np.maximum(behaviour[:, renewal], _LEAST))
    later = process.discount * process.expected(np.concatenate([x[:, renewal], told[:, None]], axis=1))
    return Pseudo(x + later[:, :, :-1], _where_available(process, later[:, :, -1]))


def _where_available(process: DecisionProcess, offset: np.ndarray) -> np.ndarray:
    return offset if process.available is None else np.where(process.available, offset, -np.inf)


def frequencies(seen: Seen, process: DecisionProcess, smoothing: float) -> Float[np.ndarray, "S A"]:
    """Return the share of each action in each state, drawn towards its share among all by ``smoothing`` choices.

    Where nobody was, the share among all stands, of the actions that are available there.
    """
    if not smoothing >= 0:
        raise SpecificationError(f"smoothing must not be below zero: {smoothing!r}")
    share = seen.counts.sum(axis=0) / seen.counts.sum()
    guess = np.where(process.mask, share, 0.0)
    guess = guess / guess.sum(axis=1, keepdims=True)
    total = seen.counts.sum(axis=1, keepdims=True)
    found = (seen.counts + smoothing * guess) / np.where(total + smoothing > 0, total + smoothing, 1.0)
    return np.asarray(np.where(total + smoothing > 0, found, guess))


def climbed(
    model: DynamicModel,
    process: DecisionProcess,
    linear: LinearReward,
    seen: Seen,
    pseudo: Pseudo,
    start: Float[np.ndarray, " K"],
    options: NewtonOptions | None,
) -> tuple[Maximum, Policies]:
    """Return the maximum of the pseudo-likelihood, that of a logit with offsets, and what it was climbed on."""
    signature = f"{model.title.lower()}({' + '.join(linear.names)}; discount {process.discount!r})"

    def policies(params: Float[np.ndarray, " K"]) -> tuple[np.ndarray, np.ndarray]:
        return pseudo.policy(process, params), pseudo.features / process.scale

    def evidence_at(params: Float[np.ndarray, " K"], detail: Detail) -> Evidence:
        return seen.evidence(signature, linear.names, params, policies, detail)

    region, prior = region_of(model, linear.names), prior_of(model, linear.names)
    return maximise(evidence_at, start, region, prior=prior, options=options), policies
