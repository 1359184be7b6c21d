r"""Types of decision makers that nobody observes: a finite mixture, by EM. Imports its own room and engine.

A type is one more column of the state, which never moves and is not seen (Arcidiacono and Miller 2011, "Conditional
choice probability estimation of dynamic discrete choice models with unobserved heterogeneity", Econometrica 79(6)). So
a reward says in its formula what differs between types (``"payment + use + use:type"``), and every estimator serves.
With :math:`L_{ik}` the likelihood of person :math:`i`'s choices as one of type :math:`k`,

.. math:: \tau_{ik} = \frac{\pi_k L_{ik}}{\sum_l \pi_l L_{il}}, \qquad \pi_k = \frac1N \sum_i \tau_{ik},

and parameters are estimated with each person counted as of type :math:`k` to the part :math:`\tau_{ik}`, again and
again. Standard errors are from the information of what was observed (Louis 1982, JRSS B 44(2)). Where persons have
weights, sums over them are weighted: estimates are those of as many persons who chose alike. Clustered errors take the
weights for a survey's: they do not depend on their scale.

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

from revealed.engine.blas import single_threaded_blas
from revealed.errors import SpecificationError
from revealed.evidence import Checkpoint
from revealed.models.dynamic.bootstrap import Bootstrap, Mover, again, drawn_of
from revealed.models.dynamic.bootstrap import Told as ToldOfDraws
from revealed.models.dynamic.draws import Drawn, TypeShares
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.likelihood import Seen, require_fit
from revealed.models.dynamic.model import DynamicModel, Estimated, Near
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import Solution
from revealed.models.dynamic.space import StateSpace
from revealed.models.dynamic.transitions import EstimatedTransitions

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
        It has settled when a round gains less log-likelihood; with weights, less times their mean.
    most : int
        Rounds of a start.
    """

    model: DynamicModel
    types: int = 2
    starts: int = 5
    seed: int = 0
    tolerance: float = 1e-6
    most: int = 500

    @single_threaded_blas()
    def fit(
        self,
        panel: Panel,
        process: DecisionProcess,
        *,
        transitions: EstimatedTransitions | None = None,
        told: Told | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TypesFit:
        """Estimate shares and rewards.

        Parameters
        ----------
        panel : Panel
        process : DecisionProcess
            Of states without the type.
        transitions : EstimatedTransitions, optional
            Where its transitions were estimated, for the likelihood of the moves and remarks.
        told : callable, optional
            Told of the start, the round and the log-likelihood.
        checkpoint : Checkpoint, optional
            Where it is noted how high each start came, and known from: of the starts noted only the best is climbed
            again, which comes to the same to the last bit. It is for the caller to say that it is done.

        Raises
        ------
        SpecificationError
            For fewer than two types or one start, states with a column ``type``, a formula that does not use it, or
            weights that differ among the choices of a person.
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
        self.model.require(process)
        search = _Search(self, panel, process)
        if not search.weight.any():
            raise SpecificationError("every person has weight zero")
        rng = np.random.default_rng(self.seed)
        starts = [rng.dirichlet(np.full(self.types, 0.5), panel.n_persons) for _ in range(self.starts)]
        best, ends = search.highest(starts, told, checkpoint)
        near = sum(bool(end > max(ends) - _SAME * search.weight.mean()) for end in ends)
        return self._concluded(search, search.fit_of(best, transitions), best, near)

    def _concluded(self, search: _Search, fit: DynamicFit, best: _Climb, near: int) -> TypesFit:
        panel = search.panel
        shares, tau = best.shares, best.posterior
        covariance, clustered = _covariances(fit, shares, tau, search.weight)
        k = len(fit.params)
        types = TypeShares(shares, {"classic": covariance, "clustered": clustered}, best.trail[-1])
        ended = "settled" if best.converged else f"NOT settled after {len(best.trail)} rounds"
        told = f"{self.types} types that nobody observed, {ended}; {near} of {self.starts} starts came to this maximum"
        status = fit.status if best.converged else replace(fit.status, converged=False, reason="types did not settle")
        of_copies = search.many.remarks(fit.process)  # which count each person once as each type
        shown = replace(
            fit,
            method=f"{fit.method}, {self.types} types",
            status=status,
            covariances={"classic": covariance[:k, :k], "clustered": clustered[:k, :k]},
            errors="clustered",
            n_observations=panel.n_observations,
            n_persons=panel.n_persons,
            remarks=(told, *panel.remarks(search.process), *(one for one in fit.remarks if one not in of_copies)),
            types=types,
            assumptions=(*fit.assumptions, "types do not depend on the state in which a person is first seen"),
        )
        return TypesFit(shown, shares, types.errors("clustered"), tau, best.trail[-1], best.trail, near, best.converged)


def bootstrapped_types(
    mixture: UnobservedTypes,
    panel: Panel,
    process: DecisionProcess,
    start: TypesFit,
    mover: Mover = None,
    *,
    draws: int = 200,
    seed: int = 0,
    told: ToldOfDraws | None = None,
    checkpoint: Checkpoint | None = None,
) -> Bootstrap:
    """Fit types again and again to persons drawn with replacement, from where those of all persons ended.

    Shares of types, parameters and transitions all differ from draw to draw; see :func:`.bootstrap.bootstrapped`.

    Raises
    ------
    SpecificationError
        For fewer than two draws or persons.
    """
    return again(panel, process, mover, _TypesAgain(mixture, start), draws, seed, told, checkpoint)


@dataclass(frozen=True, eq=False)
class _TypesAgain:
    """Estimates from where those of all persons ended: one climb, and types keep their order; parameters, then shares.

    Parameters
    ----------
    mixture : UnobservedTypes
    start : TypesFit
    """

    mixture: UnobservedTypes
    start: TypesFit

    @property
    def size(self) -> int:
        return len(self.start.fit.params) + len(self.start.shares)

    def numbers(self, drawn: Panel, world: DecisionProcess) -> Float[np.ndarray, " size"] | None:
        search = _Search(self.mixture, drawn, world, self.start.fit.linear)
        if not search.weight.any():
            return None
        likelihood = _by_type(self.start.fit.solution, drawn, self.mixture.types)
        posterior, _ = _parts(likelihood, self.start.shares, search.weight)
        best = search.climbed(posterior, 0, None, self.start.fit)
        sound = best.converged and best.found.maximum.status.sound
        return np.concatenate([best.found.params, best.shares]) if sound else None

    def drawn(self, numbers: Float[np.ndarray, " size"], world: DecisionProcess) -> Drawn:
        fit = self.start.fit
        params, shares = np.split(numbers, [len(fit.params)])
        return drawn_of(params, with_types(world, len(shares)), fit.linear, fit, shares)


@dataclass(frozen=True, eq=False)
class _Climb:
    found: Estimated
    counted: Float[np.ndarray, "P types"]  # the part of each person in each type by which the estimates were made
    shares: Float[np.ndarray, " types"]
    posterior: Float[np.ndarray, "P types"]
    trail: tuple[float, ...]
    converged: bool


@dataclass(eq=False)
class _Search:
    """Climbs from several starts; the formula is read, and choices are counted, once for all rounds of all."""

    mixture: UnobservedTypes
    panel: Panel
    process: DecisionProcess
    read: LinearReward | None = None

    def __post_init__(self) -> None:
        self.weight = _of_persons(self.panel)
        self.wide, self.many = with_types(self.process, self.mixture.types), _copies(self.panel, self.mixture.types)
        if self.read is None:
            self.linear, self.seen = self.mixture.model.bound(self.many, self.wide)
        else:
            self.linear, self.seen = self.read, Seen.of(self.many, self.wide)

    def highest(
        self, starts: list[Float[np.ndarray, "P types"]], told: Told | None, checkpoint: Checkpoint | None
    ) -> tuple[_Climb, list[float]]:
        """Return the climb that came highest, and how high each came."""
        best: tuple[int, _Climb] | None = None
        ends: list[float] = []
        for number, start in enumerate(starts):
            end = None if checkpoint is None else checkpoint.known(f"start {number}", 1)
            if end is None:
                climb = self.climbed(start, number, told)
                end = np.array(climb.trail[-1:])
                if not ends or end[0] > max(ends):
                    best = number, climb
                if checkpoint is not None:
                    checkpoint.note(f"start {number}", end)
            ends.append(float(end[0]))
        place = ends.index(max(ends))
        if best is None or best[0] != place:  # it came there before an interrupt
            return self.climbed(starts[place], place, told), ends
        return best[1], ends

    def climbed(
        self,
        posterior: Float[np.ndarray, "P types"],
        number: int,
        told: Told | None,
        found: Near = None,
    ) -> _Climb:
        """Return where the climb ended that began with these parts of each person in each type."""
        mixture, panel, trail = self.mixture, self.panel, list[float]()
        while True:
            counted = posterior
            many, seen = self._weighted(counted)
            found = mixture.model.estimated(many, self.wide, self.linear, seen, near=found)
            shares = np.average(counted, axis=0, weights=self.weight)
            posterior, log_likelihood = _parts(_by_type(found.solution, panel, mixture.types), shares, self.weight)
            trail.append(log_likelihood)
            if told is not None:
                told(number, len(trail), trail[-1])
            gained = trail[-1] - trail[-2] if len(trail) > 1 else np.inf
            converged = bool(gained < mixture.tolerance * self.weight.mean())
            if converged or len(trail) >= mixture.most:
                return _Climb(found, counted, shares, posterior, tuple(trail), converged)

    def fit_of(self, climb: _Climb, transitions: EstimatedTransitions | None) -> DynamicFit:
        """Return the fit of a climb's estimates, in the states with their types."""
        many, seen = self._weighted(climb.counted)
        linear = self.linear.counting(self.wide, seen.by_state)
        return self.mixture.model.conclude(many, self.wide, linear, seen, climb.found, transitions)

    def _weighted(self, parts: Float[np.ndarray, "P types"]) -> tuple[Panel, Seen]:
        weight = (self.weight[:, None] * parts)[self.panel.person].ravel()
        return replace(self.many, weight=weight), self.seen.weighted(weight)


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
        offered=None if panel.offered is None else np.repeat(panel.offered, types, axis=0),
    )


def _of_persons(panel: Panel) -> Float[np.ndarray, " P"]:
    """Return the weight of each person."""
    if panel.weight is None:
        return np.ones(panel.n_persons)
    weight = np.zeros(panel.n_persons)
    weight[panel.person] = panel.weight
    differs = np.flatnonzero(weight[panel.person] != panel.weight)
    if len(differs):
        who = panel.persons[int(panel.person[differs[0]])].as_py()
        raise SpecificationError(
            f"a type is a person's, and the choices of person {who!r} have weights that differ; give all choices of a "
            "person one weight, or read the log without"
        )
    return weight


def _parts(
    likelihood: Float[np.ndarray, "P types"], shares: Float[np.ndarray, " types"], weight: Float[np.ndarray, " P"]
) -> tuple[Float[np.ndarray, "P types"], float]:
    """Return the probability of each type for each person, and the log-likelihood of all, types unknown."""
    joint = likelihood + np.log(np.maximum(shares, 1e-300))
    of_person = logsumexp(joint, axis=1)
    return np.exp(joint - of_person[:, None]), float(weight @ of_person)


def _by_type(solution: Solution, panel: Panel, types: int) -> Float[np.ndarray, "P types"]:
    """Return the log-likelihood of each person's choices as each type."""
    policy = solution.policy
    each = policy.reshape(-1, panel.space.n_states, types, policy.shape[-1])
    taken = each[panel.elapsed if policy.ndim == 3 else 0, panel.state, :, panel.action]
    logs = np.log(np.maximum(taken, 1e-300))
    return np.stack([np.bincount(panel.person, logs[:, kind], panel.n_persons) for kind in range(types)], axis=1)


def _covariances(
    fit: DynamicFit,
    shares: Float[np.ndarray, " types"],
    tau: Float[np.ndarray, "P types"],
    weight: Float[np.ndarray, " P"],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance of parameters and free shares, by the information of what was observed and clustered."""
    n_persons, types = tau.shape
    assert fit.evidence.ledger is not None
    who, scores = fit.evidence.ledger.by_person()
    k = len(fit.params)
    weighted = np.zeros((n_persons * types, k))
    weighted[who] = scores
    weighted = weighted.reshape(n_persons, types, k)
    part = (np.maximum(tau, 1e-12) * np.where(weight > 0, weight, 1.0)[:, None])[:, :, None]  # by which scores count
    of_share = np.broadcast_to(
        np.eye(types)[:, :-1] / shares[:, None] - (np.arange(types) == types - 1)[:, None] / shares[-1],
        (n_persons, types, types - 1),
    )
    whole = np.concatenate([weighted / part, of_share], axis=2)
    mean = np.einsum("pk,pkj->pj", tau, whole)
    complete = np.zeros((k + types - 1, k + types - 1))
    complete[:k, :k] = fit.evidence.information
    complete[k:, k:] = weight.sum() * (np.diag(1 / shares[:-1]) + 1 / shares[-1])
    missing = np.einsum("pk,pki,pkj->ij", weight[:, None] * tau, whole, whole) - mean.T @ (weight[:, None] * mean)
    observed = complete - missing
    free = np.concatenate([fit.free, np.ones(types - 1, bool)])
    inverse = np.zeros_like(observed)
    inverse[np.ix_(free, free)] = np.linalg.pinv(observed[np.ix_(free, free)])
    mean *= weight[:, None]
    return inverse, inverse @ (mean.T @ mean) @ inverse
