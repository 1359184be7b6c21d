r"""The risk minimised in a class linear in features, the inner maximum in closed form. Imports its own room.

With :math:`Q_a = \phi^\top\theta_a` and :math:`\zeta` in the same class, the best :math:`\zeta` of an action is least
squares of :math:`V(s')` on :math:`\phi(s)`, :math:`\zeta_A = \phi^\top S\,V(s')`. What it leaves is orthogonal to the
features, so the squared Bellman error less the variance of :math:`V(s')` is

.. math:: \sum_{a_i = A} w_i\,(\phi_i^\top\rho)^2,\qquad \rho = S\,(g + \gamma V(s')) - \theta_A,

which is a sum of K squares, whatever the data. Gauss–Newton steps for it, Newton steps for the likelihood. The ridge is
that of :class:`.Polynomial` alone: in the least squares of S, and on what actions' coefficients differ by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import cho_factor, cho_solve

from revealed.models.dynamic.irl.iteration import Fixed
from revealed.models.dynamic.irl.polynomial import Polynomial, PowersFunction
from revealed.models.dynamic.irl.risk import Risk, worth
from revealed.models.dynamic.irl.scaling import Scaling, log_shares

_STEPS, _HALVINGS = 200, 40
#: Of a constant, so that a logit that nobody's choices bound still has one.
_LEAST = 1e-9


def minimised(family: Polynomial, risk: Risk) -> Fixed:
    """Return action values, in units of the shocks, that minimise the risk with the ridge of the class.

    Parameters
    ----------
    family : Polynomial
    risk : Risk

    Returns
    -------
    Fixed
        Its rounds are Newton steps; what is left is what the last one moved action values.
    """
    few, _ = risk.tallied(np.zeros(risk.data.n_choices, dtype=np.int64), 1)
    scaling = Scaling.of(risk.data.states)
    parts = _Parts.of(family, few, scaling)
    params = np.zeros((parts.x.shape[1], few.data.n_actions))
    rounds, left, tolerance = 0, np.inf, family.iteration.tolerance
    while left > tolerance and rounds < _STEPS:
        rounds += 1
        loss, slope, curvature = parts.expanded(params)
        try:
            step = cho_solve(cho_factor(curvature), slope.ravel()).reshape(params.shape)
        except np.linalg.LinAlgError:  # flat to the last digit, as where discounting hardly does: what is left says so
            break
        for _ in range(_HALVINGS):
            # At the end a step is smaller than what the loss can tell.
            if parts.loss(params - step) <= loss + 1e-12 * abs(loss):
                break
            step = step / 2
        params = params - step
        size = max(float(np.abs(parts.x @ params).max()), 1.0)
        left = float(np.abs(parts.x @ step).max()) / size
    return Fixed(PowersFunction(family, scaling, params), rounds, left, bool(left <= tolerance))


@dataclass(frozen=True, eq=False)
class _Parts:
    """Features and factors that steps share.

    Parameters
    ----------
    risk : Risk
    x : ndarray of float64, shape (n, K)
    after : ndarray of float64, shape (m, K)
        Features of what followed the anchor.
    can : ndarray of bool, shape (n, A)
    can_after : ndarray of bool, shape (m, A)
        Which actions can be taken there.
    solver : ndarray of float64, shape (K, m)
        Coefficients of a regression on the anchor's rows, from its targets.
    gram : ndarray of float64, shape (K, K)
        Sums of products of features over the anchor's rows, with the ridge.
    ridge : ndarray of float64, shape (K, 1)
    """

    risk: Risk
    x: Float[np.ndarray, "n K"]
    after: Float[np.ndarray, "m K"]
    can: Bool[np.ndarray, "n A"]
    can_after: Bool[np.ndarray, "m A"]
    solver: Float[np.ndarray, "K m"]
    gram: Float[np.ndarray, "K K"]
    ridge: Float[np.ndarray, "K 1"]

    @classmethod
    def of(cls, family: Polynomial, risk: Risk, scaling: Scaling) -> _Parts:
        x = family.features(scaling(risk.data.states))
        rows = risk.anchored
        at = x[rows]
        weighted = (at * risk.data.weights[rows, None]).T
        ridge = np.full((x.shape[1], 1), family.ridge)
        ridge[0] = _LEAST
        gram = weighted @ at + np.diag(ridge[:, 0])
        # As in regressions of the class, the ridge draws towards the mean of the targets.
        mean = weighted[:1] / weighted[0].sum()
        solver = cho_solve(cho_factor(gram), weighted - weighted.sum(axis=1, keepdims=True) * mean)
        solver[:1] += mean
        after = family.features(scaling(risk.data.next_states[rows]))
        can, can_after = risk.data.mask(risk.data.states), risk.data.mask(risk.data.next_states[rows])
        return cls(risk, x, after, can, can_after, solver, gram, ridge)

    def loss(self, params: Float[np.ndarray, "K A"]) -> float:
        """Return the risk, times the choices, with the ridge."""
        logs = log_shares(self.x @ params, self.can)[np.arange(len(self.x)), self.risk.data.actions]
        wrong = self._wrong(params)
        choices = -float(self.risk.data.weights @ logs)
        return choices + float(wrong @ self.gram @ wrong) + 0.5 * float((self.ridge * _apart(params) ** 2).sum())

    def expanded(
        self, params: Float[np.ndarray, "K A"]
    ) -> tuple[float, Float[np.ndarray, "K A"], Float[np.ndarray, "KA KA"]]:
        """Return the loss, its slope and a curvature that is never negative; parameters run over actions first."""
        data, (n_columns, n_actions) = self.risk.data, params.shape
        share = np.exp(log_shares(self.x @ params, self.can))
        residual = share.copy()
        residual[np.arange(len(self.x)), data.actions] -= 1.0
        slope = self.x.T @ (data.weights[:, None] * residual) + self.ridge * _apart(params)
        curvature = np.empty((n_columns, n_actions, n_columns, n_actions))
        for one in range(n_actions):
            for other in range(n_actions):
                weight = data.weights * share[:, one] * (float(one == other) - share[:, other])
                curvature[:, one, :, other] = (self.x * weight[:, None]).T @ self.x
        wrong = self._wrong(params)
        _, likely = worth(self.after @ params, self.can_after)
        moves = self.risk.discount * np.einsum("km,mj,ma->kja", self.solver, self.after, likely, optimize=True)
        moves[:, :, self.risk.anchor] -= np.eye(n_columns)
        flat = moves.reshape(n_columns, -1)
        slope += 2 * (flat.T @ (self.gram @ wrong)).reshape(params.shape)
        whole = curvature.reshape(params.size, -1) + 2 * flat.T @ self.gram @ flat
        whole += np.kron(np.diag(self.ridge[:, 0]), _apart(np.eye(n_actions)))
        return self.loss(params), slope, whole

    def _wrong(self, params: Float[np.ndarray, "K A"]) -> Float[np.ndarray, " K"]:
        """Return the coefficients of Bellman's error at the anchor."""
        value, _ = worth(self.after @ params, self.can_after)
        target = self.risk.known[self.risk.anchored] + self.risk.discount * value
        return np.asarray(self.solver @ target - params[:, self.risk.anchor])


def _apart(params: Float[np.ndarray, "rows A"]) -> Float[np.ndarray, "rows A"]:
    """Return coefficients less their mean over actions: what choices depend on."""
    return np.asarray(params - params.mean(axis=1, keepdims=True))
