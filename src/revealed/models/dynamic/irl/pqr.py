r"""Deep PQR: policy, then action values by the anchor action, then rewards. Imports its own room.

Geng, Nassif, Manzanares, Reppen and Sircar (2020), "Deep PQR: Solving inverse reinforcement learning using anchor
actions", ICML. One action, the anchor :math:`A`, has a reward :math:`g(s)` that is known: buying nothing earns nothing.

- **P**: :math:`\pi(a|s)` by maximum likelihood.
- **Q**: as :math:`V(s) = Q(s, A) - \alpha\log\pi(A|s)`, the anchor's own value solves, on the transitions where it was
  taken, :math:`Q_A(s) = g(s) + \gamma\,\mathrm{E}[-\alpha\log\pi(A|s') + Q_A(s') | s, A]`; then
  :math:`Q(s, a) = Q_A(s) + \alpha[\log\pi(a|s) - \log\pi(A|s)]`.
- **R**: :math:`r(s, a) = Q(s, a) - \gamma\,\mathrm{E}[V(s') | s, a]`, by regression on all transitions.

The authors' code lets the slope go through the target of step Q; here it does not (:mod:`.iteration`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from revealed.errors import DataError, Problem, SpecificationError
from revealed.models.dynamic.irl.function_class import Function, FunctionClass, Rows
from revealed.models.dynamic.irl.iteration import Fixed, fixed_point
from revealed.models.dynamic.irl.neural import Neural
from revealed.models.dynamic.irl.recovered import Known, RecoveredReward, at, in_words, require_discounting
from revealed.models.dynamic.irl.risk import worth
from revealed.models.dynamic.irl.scaling import log_shares
from revealed.models.dynamic.irl.trajectories import Can, Trajectories, can_be_taken

#: From states, shape (m, d), to probabilities of actions, shape (m, A).
Normaliser = Callable[[np.ndarray], np.ndarray]
#: Below this probability of the anchor its value is more guessed than seen.
_RARE = 0.02
#: States named in an error.
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Recovery:
    r"""What PQR and GenPQR are told alike.

    Parameters
    ----------
    discount : float
        :math:`\gamma`, from 0 to below 1.
    scale : float
        :math:`\alpha`, the scale of the shocks.
    function_class : FunctionClass
        Of behaviour and of values: :class:`~.tabular.Tabular`, :class:`~.polynomial.Polynomial`,
        :class:`~.boosted.Boosted` or :class:`~.neural.Neural`.
    policy : FunctionClass, optional
        Of behaviour, where that is another class.
    floor : float
        Probabilities are taken as this at least; their logarithms enter values :math:`1/(1-\gamma)` times.
    """

    discount: float
    scale: float = 1.0
    function_class: FunctionClass = field(default_factory=Neural)
    policy: FunctionClass | None = None
    floor: float = 0.0

    def __post_init__(self) -> None:
        require_discounting(self.discount, self.scale)
        if not 0 <= self.floor < 1:
            raise SpecificationError(f"the floor of probabilities must be from 0 to below 1, not {self.floor!r}")

    def behaviour(self, data: Trajectories) -> Function:
        """Return log-probabilities, estimated from all choices, not below the floor."""
        found = (self.policy or self.function_class).policy(data)
        if data.available is not None:  # whether or not the class of functions looked at it
            found = Restricted(found, data.available)
        if self.floor == 0:
            return found
        least = float(np.log(self.floor))
        return Floored(found, least, data.available)

    def expected(self, data: Trajectories, value: Function) -> Function:
        """Return the expected value of the next state, given state and action."""
        rows = Rows(data.states, data.actions, data.n_actions, data.weights)
        regression = self.function_class.regression(rows, data.states[:1])
        regression.fit(value(data.next_states))
        return regression.function()

    def relative(self, what: str) -> str:
        """Return what rewards are relative to."""
        unit = f"in units of the shocks' scale {self.scale:g}, for a discount factor of {self.discount:g}"
        return f"rewards are relative to {what}, {unit}"

    @property
    def spoken(self) -> str:
        """The classes of functions in words."""
        behaviour = "" if self.policy is None else f", behaviour: {self.policy.title}"
        return f"{self.function_class.title}{behaviour}"


@dataclass(frozen=True, kw_only=True)
class Anchored(Recovery):
    """Rewards from behaviour, given the reward of one action; see :class:`Recovery` for the other parameters.

    Parameters
    ----------
    anchor : str
        The action whose reward is known.
    anchor_reward : float or callable
        That reward: a number, or a function from states, shape (m, d), to numbers, shape (m,).
    """

    anchor: str
    anchor_reward: Known = 0.0

    @property
    def identification(self) -> tuple[str, ...]:
        """What is assumed, and what rewards are relative to."""
        return (
            f"the reward of {self.anchor!r} is {in_words(self.anchor_reward)}: assumed, as no choice tells it",
            self.relative(repr(self.anchor)),
        )


@dataclass(frozen=True, kw_only=True)
class Normalised(Recovery, ABC):
    """Rewards from behaviour, given their mean under a policy, of which an anchor is a case."""

    @abstractmethod
    def assumed(self, data: Trajectories) -> tuple[Normaliser, Known, str]:
        """Return the policy whose mean reward is known, that mean, and what it is called."""

    @abstractmethod
    def assuming(self, known: Known) -> Normalised:
        """Return the estimator with something else known beforehand."""

    @abstractmethod
    def recover(self, data: Trajectories, log_policy: Function | None = None) -> RecoveredReward:
        """Recover rewards."""


@dataclass(frozen=True, kw_only=True)
class PQR(Anchored, Normalised):
    """Rewards from behaviour, and from that of the anchor on: Deep PQR; see :class:`Anchored` for the parameters."""

    def recover(self, data: Trajectories, log_policy: Function | None = None) -> RecoveredReward:
        """Recover rewards.

        Parameters
        ----------
        data : Trajectories
        log_policy : callable, optional
            Logarithms of choice probabilities, where they are known or were estimated before.

        Raises
        ------
        SpecificationError
            If the anchor is no action.
        DataError
            If the anchor was never taken, or in too few states: a table needs it in every state seen.
        """
        anchor = data.index(self.anchor)
        taken = require_taken(data, self.anchor, self.function_class)
        if not data.mask(data.states)[:, anchor].all():
            raise SpecificationError(
                f"the anchor {self.anchor!r} cannot be taken in every state: GenPQR(normaliser={self.anchor!r}) "
                "recovers rewards all the same, where those of what can be taken instead are known"
            )
        log_policy = log_policy or self.behaviour(data)
        places = np.concatenate([data.states, data.next_states[data.followed]])
        require_known(places, log_policy(places)[:, anchor], data, self.anchor)
        fixed = self._anchor_value(data.only(taken), log_policy, anchor)

        value = AnchoredValue(fixed.function, log_policy, anchor, self.scale)
        # Where a table knows how likely the anchor is, it may not know where it led: nobody was seen a period later.
        require_known(places, value(places), data, self.anchor)
        expected = self.expected(data.only(data.followed), value)
        return RecoveredReward(
            method=f"PQR ({self.spoken})",
            citation="Geng, Nassif, Manzanares, Reppen and Sircar (2020), Deep PQR",
            labels=data.labels,
            discount=self.discount,
            scale=self.scale,
            log_policy=log_policy,
            reward=LaterOff(value, log_policy, expected, self.scale, self.discount),
            value=value,
            fixed=fixed,
            identification=self.identification,
            remarks=(*data.remarks(), *rare(data, log_policy, anchor)),
            data=data,
            again=Again(self, data, log_policy),
        )

    def assumed(self, data: Trajectories) -> tuple[Normaliser, Known, str]:
        """Return the policy that always takes the anchor, its reward, and its name."""
        return always(data, self.anchor), self.anchor_reward, self.anchor

    def assuming(self, known: Known) -> PQR:
        """Return the estimator with another reward of the anchor."""
        return replace(self, anchor_reward=known)

    def _anchor_value(self, data: Trajectories, log_policy: Function, anchor: int) -> Fixed:
        """Return the action value of the anchor, from transitions in which it was taken: step Q."""
        family = self.function_class
        rows = Rows(data.states, np.zeros(data.n_choices, dtype=np.int64), 1, data.weights)
        surprise = -self.scale * log_policy(data.next_states)[:, anchor]
        flow = at(self.anchor_reward, data.states) + self.discount * surprise
        regression = family.regression(rows, data.next_states)
        return fixed_point(regression, flow, np.ones((len(flow), 1)), self.discount, family.iteration)


@dataclass(frozen=True, eq=False)
class Restricted:
    """Log-probabilities of what can be taken, scaled to sum to one.

    Parameters
    ----------
    function : callable
    available : callable
    """

    function: Function
    available: Can

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return them at some states."""
        found = self.function(states)
        return log_shares(found, can_be_taken(self.available, states, found.shape[1]))


@dataclass(frozen=True, eq=False)
class Floored:
    """Log-probabilities that are not below some number, where an action can be taken.

    Parameters
    ----------
    function : callable
    least : float
    available : callable, optional
    """

    function: Function
    least: float
    available: Can = None

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return them at some states."""
        found = np.maximum(self.function(states), self.least)
        return np.where(can_be_taken(self.available, states, found.shape[1]), found, -np.inf)


@dataclass(frozen=True, eq=False)
class LogSum:
    r""":math:`V(s) = \alpha\log\sum_a e^{Q(s, a)/\alpha}`.

    Parameters
    ----------
    function : callable
        Action values in units of the shocks' scale, shape (m, A).
    scale : float
    available : callable, optional
    """

    function: Function
    scale: float
    available: Can = None

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
        """Return values of some states."""
        found = self.function(states)
        return np.asarray(self.scale * worth(found, can_be_taken(self.available, states, found.shape[1]))[0])


@dataclass(frozen=True, eq=False)
class AnchoredValue:
    r""":math:`V(s) = Q_A(s) - \alpha\log\pi(A|s)`.

    Parameters
    ----------
    anchor_value : callable
        :math:`Q_A`, shape (m, 1).
    log_policy : callable
    anchor : int
    scale : float
    """

    anchor_value: Function
    log_policy: Function
    anchor: int
    scale: float

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " m"]:
        """Return values of some states."""
        return np.asarray(self.anchor_value(states)[:, 0] - self.scale * self.log_policy(states)[:, self.anchor])


@dataclass(frozen=True, eq=False)
class LaterOff:
    r""":math:`r(s, a) = V(s) + \alpha\log\pi(a|s) - \gamma\,\mathrm{E}[V(s')|s, a]`.

    Parameters
    ----------
    value, log_policy, expected : callable
    scale, discount : float
    """

    value: Function
    log_policy: Function
    expected: Function
    scale: float
    discount: float

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return rewards in some states."""
        action_value = self.value(states)[:, None] + self.scale * self.log_policy(states)
        return np.asarray(action_value - self.discount * self.expected(states))


@dataclass(frozen=True, eq=False)
class Usual:
    """A policy of fixed shares, scaled to what can be taken; each alike where none of what it takes can be.

    Parameters
    ----------
    shares : ndarray of float64, shape (A,)
    available : callable, optional
    """

    shares: Float[np.ndarray, " A"]
    available: Can = None

    def __call__(self, states: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m A"]:
        """Return probabilities in some states."""
        can = can_be_taken(self.available, states, len(self.shares))
        kept = np.where(can, self.shares, 0.0)
        kept = np.where(kept.sum(axis=1, keepdims=True) > 0, kept, can)
        return np.asarray(kept / kept.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Again:
    """Recovers once more from the same behaviour.

    Parameters
    ----------
    model : Normalised
    data : Trajectories
    log_policy : callable
    """

    model: Normalised
    data: Trajectories
    log_policy: Function

    def __call__(self, known: Known) -> RecoveredReward:
        """Recover with something else known beforehand."""
        return self.model.assuming(known).recover(self.data, self.log_policy)


def always(data: Trajectories, action: str) -> Usual:
    """Return the policy that takes an action wherever it can be taken."""
    return Usual(np.eye(data.n_actions)[data.index(action)], data.available)


def require_taken(data: Trajectories, anchor: str, family: FunctionClass) -> Bool[np.ndarray, " n"]:
    """Return the choices of the anchor with a known next state.

    Raises
    ------
    SpecificationError
        If there is no such action.
    DataError
        If there is none, or there are fewer than the class of functions needs.
    """
    of_anchor = data.actions == data.index(anchor)
    taken = of_anchor & data.followed & (data.weights > 0)
    least, count = family.needs(data.states.shape[1]), int(taken.sum())
    if not of_anchor.any():
        problem = Problem(f"nobody ever took the anchor {anchor!r}", "choose an anchor that people take")
        raise DataError(data.source, [problem])
    if count < least:
        what = (
            f"the anchor {anchor!r} was taken {count:,} times with a known next state; {family.title} needs {least:,}"
        )
        raise DataError(data.source, [Problem(what, "give more data, fewer columns, or another anchor")])
    return np.asarray(taken)


def require_known(
    states: Float[np.ndarray, "m d"], numbers: Float[np.ndarray, " m"], data: Trajectories, anchor: str
) -> None:
    """Raise DataError that names the states in which a table knows nothing of the anchor."""
    odd = np.unique(states[~np.isfinite(numbers)], axis=0)
    if len(odd):
        where = "; ".join(data.told(state) for state in odd[:_SHOWN]) + ("; …" if len(odd) > _SHOWN else "")
        what = f"the anchor {anchor!r} was taken in too few states; never where people came to"
        remedy = "take coarser states, a smooth class of functions (Polynomial, Neural), or another anchor"
        raise DataError(data.source, [Problem(what, remedy, f"{len(odd):,} states: {where}")])


def rare(data: Trajectories, log_policy: Function, anchor: int) -> tuple[str, ...]:
    """Return a remark if the anchor is rare somewhere, with the state in which it is rarest."""
    chance = np.exp(log_policy(data.states)[:, anchor])
    share = float((chance < _RARE).mean())
    if share == 0:
        return ()
    where = f"least of all at {data.told(data.states[int(chance.argmin())])} ({chance.min():.2%})"
    told = f"in {share:.1%} of the states seen {data.labels[anchor]!r} has a probability below {_RARE:.0%}, {where}"
    return (f"{told}: values there are guesses of the class of functions",)
