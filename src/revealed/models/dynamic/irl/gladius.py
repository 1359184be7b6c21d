r"""GLADIUS: behaviour and values learned together, as one empirical risk. Imports its own room.

Kang, Yoganarasimhan and Jain (2025), "An empirical risk minimization approach for offline inverse RL and dynamic
discrete choice model", arXiv 2502.14131. With one action, the anchor :math:`A`, whose reward :math:`g(s)` is known, the
action values minimise (their equations 12 and 15, theorem 5)

.. math::
   -\log\pi_Q(a|s) + 1\{a = A\}\,\big[(g(s) + \gamma V_Q(s') - Q(s, A))^2
   - \gamma^2 (V_Q(s') - \zeta(s, A))^2\big]

in the mean over choices, where :math:`\pi_Q` is the logit of :math:`Q` and :math:`V_Q` its log-sum, and :math:`\zeta`
maximises the same, so that it is :math:`\mathrm{E}[V_Q(s') | s, a]`. What is taken off is the variance that a squared
error has from transitions with chance; without it the minimum is elsewhere (:mod:`.iteration`). Then
:math:`r(s, a) = Q(s, a) - \gamma\zeta(s, a)`.

What the paper leaves open, and what is done here:

- *Units.* The two parts of the sum have different ones. Values are measured in the scale of the shocks, so that
  results do not depend on the unit of rewards.
- *The level of values.* Bellman's error moves by :math:`1-\gamma` where all values move by one, the likelihood not at
  all: down a slope the level takes longest, and where one stops decides the reward. Networks learn differences; the
  level that is best for them is known in closed form, and taken at each step (:mod:`.alternating`).
- *The last ascent* is taken to its end: :math:`\zeta` in the reward is a regression of :math:`V_Q(s')` on all
  transitions, as in step R of PQR.
- *Batches.* Choices for the likelihood and transitions of the anchor are drawn apart, as anchors may be rare.
- *When to stop.* Each network of an ensemble leaves out a fold of persons, and is kept where the likelihood of those
  and their error of :math:`g + \gamma\zeta - Q` are least together.
- *Classes linear in features* have the inner maximum, and hence the risk, in closed form (:mod:`.projected`). Each
  action has coefficients of its own, so both parts of the risk can be at their least at once: what choices tell of
  are differences between actions, and one action's values are left to solve Bellman's equation. Whatever does both is
  what PQR finds, behaviour first. So in a table and in polynomials the two are one, where the iteration of PQR ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from revealed.errors import SpecificationError
from revealed.models.dynamic.irl import alternating, projected
from revealed.models.dynamic.irl.iteration import Fixed
from revealed.models.dynamic.irl.neural import Neural
from revealed.models.dynamic.irl.polynomial import Polynomial
from revealed.models.dynamic.irl.pqr import PQR, Anchored, LaterOff, LogSum, Restricted, rare, require_taken
from revealed.models.dynamic.irl.recovered import Known, RecoveredReward, at
from revealed.models.dynamic.irl.risk import Risk
from revealed.models.dynamic.irl.tabular import Tabular
from revealed.models.dynamic.irl.trajectories import Trajectories

_CITATION = "Kang, Yoganarasimhan and Jain (2025), arXiv 2502.14131"


@dataclass(frozen=True, kw_only=True)
class GLADIUS(Anchored):
    """Rewards from behaviour and values learned as one; see :class:`.Anchored` for the parameters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy is not None or self.floor:
            remedy = "leave policy= and floor= out, or take PQR, which learns behaviour first"
            raise SpecificationError(f"GLADIUS learns behaviour and values as one function; {remedy}")
        if not isinstance(self.function_class, Neural | Polynomial | Tabular):
            what = f"GLADIUS goes down a slope, which {self.function_class.title} has not"
            raise SpecificationError(f"{what}; take Neural, Polynomial or Tabular, or PQR")

    def recover(self, data: Trajectories) -> RecoveredReward:
        """Recover rewards.

        Parameters
        ----------
        data : Trajectories

        Raises
        ------
        SpecificationError
            If the anchor is no action, or cannot be taken in every state.
        DataError
            If the anchor was never taken, or in too few states: a table needs it in every state seen.
        """
        anchor = data.index(self.anchor)
        require_taken(data, self.anchor, self.function_class)
        if isinstance(self.function_class, Tabular):
            return self._by_table(data)
        if not data.mask(data.states)[:, anchor].all():
            what = f"the anchor {self.anchor!r} cannot be taken in every state"
            raise SpecificationError(f"{what}; GenPQR recovers rewards all the same, with normaliser={self.anchor!r}")
        known = at(self.anchor_reward, data.states) / self.scale
        fixed = self._minimised(Risk(data, anchor, known, self.discount))

        log_policy = Restricted(fixed.function, data.available)
        value = LogSum(fixed.function, self.scale, data.available)
        expected = self.expected(data.only(data.followed), value)
        return RecoveredReward(
            method=f"GLADIUS ({self.spoken})",
            citation=_CITATION,
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
            again=Afresh(self, data),
        )

    def _minimised(self, risk: Risk) -> Fixed:
        family = self.function_class
        if isinstance(family, Polynomial):
            return projected.minimised(family, risk)
        assert isinstance(family, Neural)
        return alternating.minimised(family, risk)

    def _by_table(self, data: Trajectories) -> RecoveredReward:
        """Return the exact minimiser in a table, which has both parts of the risk at their least."""
        exact = PQR(
            discount=self.discount,
            scale=self.scale,
            function_class=self.function_class,
            anchor=self.anchor,
            anchor_reward=self.anchor_reward,
        ).recover(data)
        return replace(
            exact,
            method=f"GLADIUS ({self.spoken})",
            citation=_CITATION,
            again=Afresh(self, data),
        )


@dataclass(frozen=True, eq=False)
class Afresh:
    """Recovers once more from the same choices, behaviour too, as it is one with values.

    Parameters
    ----------
    model : GLADIUS
    data : Trajectories
    """

    model: GLADIUS
    data: Trajectories

    def __call__(self, known: Known) -> RecoveredReward:
        """Recover with something else known beforehand."""
        return replace(self.model, anchor_reward=known).recover(self.data)
