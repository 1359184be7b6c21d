r"""Types of decision makers that nobody observes: a finite mixture, by expectation and maximisation. Imports its room.

A type is one more column of the state, which never moves and is not seen (Arcidiacono and Miller 2011, "Conditional
choice probability estimation of dynamic discrete choice models with unobserved heterogeneity", Econometrica 79(6)). So
a reward says in its formula what differs between types (``"payment + use + use:type"``), and every estimator serves.
With :math:`L_{ik}` the likelihood of person :math:`i`'s choices as one of type :math:`k`,

.. math:: \tau_{ik} = \frac{\pi_k L_{ik}}{\sum_l \pi_l L_{il}}, \qquad \pi_k = \frac1N \sum_i \tau_{ik},

and parameters are estimated with each person counted as of type :math:`k` to the part :math:`\tau_{ik}`, again and
again. Standard errors are from the information of what was observed (Louis 1982, JRSS B 44(2)).

Choices left open: shares do not depend on the state in which a person is first seen, and choices are taken as made
given that state. Starts are parts drawn at random; the best of several is kept, and how many came near it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.special import logsumexp

from revealed.errors import SpecificationError
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.likelihood import require_fit
from revealed.models.dynamic.model import DynamicModel
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.space import StateSpace

#: What the column is called.
TYPE = "type"
#: Starts whose log-likelihood is within so much of the best came to the same.
_SAME = 1e-2

#: Told of the start, the round and the log-likelihood.
Told = Callable[[int, int, float], None]


@dataclass(frozen=True, eq=False)
class TypesFit:
    """Rewards by type, and who is of which.

    Parameters
    ----------
    fit : DynamicFit
        Of the process with the type as the last column of its states: for what-ifs over time like any other.
    shares : ndarray of float64, shape (types,)
    share_errors : ndarray of float64, shape (types,)
        Their standard errors.
    posterior : ndarray of float64, shape (P, types)
        The probability of each type, for each person of the panel.
    log_likelihood : float
        Of the choices, types unknown.
    trail : tuple of float
        The log-likelihood after each round of the best start.
    near_best : int
        How many starts came to the same maximum.
    converged : bool
    """

    fit: DynamicFit
    shares: Float[np.ndarray, " types"]
    share_errors: Float[np.ndarray, " types"]
    posterior: Float[np.ndarray, "P types"]
    log_likelihood: float
    trail: tuple[float, ...]
    near_best: int
    converged: bool

    def start(self, states: Float[np.ndarray, " S"]) -> Float[np.ndarray, " extended"]:
        """Return who begins where for what-ifs over time: members in states, spread over types by their shares."""
        return np.asarray(np.kron(states, self.shares))


@dataclass(frozen=True)
class UnobservedTypes:
    """A mixture of types of decision makers.

    Parameters
    ----------
    model : DynamicModel
        Its formula uses the column ``type``, numbers from 0; ``C(type)`` for three or more.
    types : int
    starts : int
    seed : int
    tolerance : float
        It has settled when a round gains less log-likelihood.
    most : int
        Rounds of a start.
    """

    model: DynamicModel
    types: int = 2
    starts: int = 5
    seed: int = 0
    tolerance: float = 1e-6
    most: int = 500

    def fit(self, panel: Panel, process: DecisionProcess, *, told: Told | None = None) -> TypesFit:
        """Estimate shares and rewards.

        Raises
        ------
        SpecificationError
            For fewer than two types or one start, states with a column ``type``, or a formula that does not use it.
        """
        if self.types < 2 or self.starts < 1:
            raise SpecificationError(f"two types and one start at least, not {self.types} and {self.starts}")
        if TYPE in process.space.columns:
            raise SpecificationError(f"states have a column {TYPE!r} already; give it another name")
        utility = self.model.utility
        formulas = [utility] if isinstance(utility, str) else list(utility.values())
        if not any(TYPE in formula for formula in formulas):
            raise SpecificationError(
                f"no formula uses the column {TYPE!r}, so types would be alike: add 'asc:{TYPE}', say"
            )
        require_fit(panel, process)
        wide, many = with_types(process, self.types), _copies(panel, self.types)
        rng = np.random.default_rng(self.seed)
        found = [self._climbed(panel, wide, many, rng, number, told) for number in range(self.starts)]
        best = max(found, key=lambda one: one.trail[-1])
        near = sum(one.trail[-1] > best.trail[-1] - _SAME for one in found)
        return self._concluded(panel, best, near)

    def _climbed(
        self,
        panel: Panel,
        wide: DecisionProcess,
        many: Panel,
        rng: np.random.Generator,
        number: int,
        told: Told | None,
    ) -> _Climb:
        tau = rng.dirichlet(np.full(self.types, 0.5), panel.n_persons)
        model, trail, converged = self.model, [], False
        while True:
            fit = model.fit(replace(many, weight=tau[panel.person].ravel()), wide)
            shares = tau.mean(axis=0)
            likelihood = _by_type(fit, panel, self.types) + np.log(np.maximum(shares, 1e-300))
            of_person = logsumexp(likelihood, axis=1)
            trail.append(float(of_person.sum()))
            tau = np.exp(likelihood - of_person[:, None])
            if told is not None:
                told(number, len(trail), trail[-1])
            if len(trail) > 1 and trail[-1] - trail[-2] < self.tolerance:
                converged = True
            if converged or len(trail) >= self.most:
                return _Climb(fit, shares, tau, tuple(trail), converged)
            model = replace(model, start=dict(zip(fit.names, fit.params.tolist(), strict=True)))

    def _concluded(self, panel: Panel, best: _Climb, near: int) -> TypesFit:
        fit, shares, tau = best.fit, best.shares, best.posterior
        covariance, clustered = _covariances(fit, shares, tau)
        k = len(fit.params)
        sums = np.vstack([np.eye(self.types - 1), -np.ones(self.types - 1)])  # the last share is what is left
        errors = np.sqrt(np.maximum(np.diag(sums @ clustered[k:, k:] @ sums.T), 0.0))
        ended = "settled" if best.converged else f"NOT settled after {len(best.trail)} rounds"
        told = f"{self.types} types that nobody observed, {ended}; {near} of {self.starts} starts came to this maximum"
        status = fit.status if best.converged else replace(fit.status, converged=False, reason="types did not settle")
        shown = replace(
            fit,
            method=f"{fit.method}, {self.types} types",
            status=status,
            covariances={"classic": covariance[:k, :k], "clustered": clustered[:k, :k]},
            errors="clustered",
            n_observations=panel.n_observations,
            n_persons=panel.n_persons,
            remarks=(told, *panel.remarks()),
            assumptions=(*fit.assumptions, "types do not depend on the state in which a person is first seen"),
        )
        return TypesFit(shown, shares, errors, tau, best.trail[-1], best.trail, near, best.converged)


@dataclass(frozen=True, eq=False)
class _Climb:
    fit: DynamicFit
    shares: Float[np.ndarray, " types"]
    posterior: Float[np.ndarray, "P types"]
    trail: tuple[float, ...]
    converged: bool


def with_types(process: DecisionProcess, types: int) -> DecisionProcess:
    """Return the process whose states tell the type too, as their last column, which never moves."""
    same = sparse.eye_array(types, format="csr")
    return replace(
        process,
        space=StateSpace({**process.space.levels, TYPE: np.arange(types, dtype=np.float64)}),
        transitions=tuple(sparse.csr_array(sparse.kron(matrix, same)) for matrix in process.transitions),
        available=None if process.available is None else np.repeat(process.available, types, axis=0),
        attributes={name: np.repeat(values, types, axis=0) for name, values in process.attributes.items()},
    )


def _copies(panel: Panel, types: int) -> Panel:
    """Return the panel with each person once as each type."""
    n, kind = panel.n_observations, np.tile(np.arange(types), panel.n_observations)
    follows = np.repeat(panel.following, types)
    return replace(
        panel,
        space=StateSpace({**panel.space.levels, TYPE: np.arange(types, dtype=np.float64)}),
        state=np.repeat(panel.state, types) * types + kind,
        action=np.repeat(panel.action, types),
        following=np.where(follows >= 0, follows * types + kind, -1),
        person=np.repeat(panel.person, types) * types + kind,
        persons=panel.persons.take(np.repeat(np.arange(panel.n_persons), types)),
        period=np.repeat(panel.period, types),
        weight=np.ones(n * types),
    )


def _by_type(fit: DynamicFit, panel: Panel, types: int) -> Float[np.ndarray, "P types"]:
    """Return the log-likelihood of each person's choices as each type."""
    policy = fit.solution.policy
    if policy.ndim == 3:
        period = panel.period - panel.period.min()
        taken = policy.reshape(len(policy), panel.space.n_states, types, -1)[period, panel.state, :, panel.action]
    else:
        taken = policy.reshape(panel.space.n_states, types, -1)[panel.state, :, panel.action]
    logs = np.log(np.maximum(taken, 1e-300))
    return np.stack([np.bincount(panel.person, logs[:, kind], panel.n_persons) for kind in range(types)], axis=1)


def _covariances(
    fit: DynamicFit, shares: Float[np.ndarray, " types"], tau: Float[np.ndarray, "P types"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance of parameters and free shares, by the information of what was observed and clustered."""
    n_persons, types = tau.shape
    assert fit.evidence.ledger is not None
    who, scores = fit.evidence.ledger.by_person()
    k = len(fit.params)
    weighted = np.zeros((n_persons * types, k))
    weighted[who] = scores
    weighted = weighted.reshape(n_persons, types, k)
    part = np.maximum(tau, 1e-12)[:, :, None]
    of_share = np.broadcast_to(
        np.eye(types)[:, :-1] / shares[:, None] - (np.arange(types) == types - 1)[:, None] / shares[-1],
        (n_persons, types, types - 1),
    )
    whole = np.concatenate([weighted / part, of_share], axis=2)
    mean = np.einsum("pk,pkj->pj", tau, whole)
    complete = np.zeros((k + types - 1, k + types - 1))
    complete[:k, :k] = fit.evidence.information
    complete[k:, k:] = n_persons * (np.diag(1 / shares[:-1]) + 1 / shares[-1])
    missing = np.einsum("pk,pki,pkj->ij", tau, whole, whole) - mean.T @ mean
    observed = complete - missing
    free = np.concatenate([fit.free, np.ones(types - 1, bool)])
    inverse = np.zeros_like(observed)
    inverse[np.ix_(free, free)] = np.linalg.pinv(observed[np.ix_(free, free)])
    return inverse, inverse @ (mean.T @ mean) @ inverse
