r"""Random-coefficient demand on aggregate market shares, with instruments. Imports models, evidence and choices.

.. math:: s_{jt} = \int \frac{e^{\delta_{jt} + \mu_{ijt}}}{1 + \sum_k e^{\delta_{kt} + \mu_{ikt}}} dF(i), \qquad
   \delta_{jt} = x_{jt}^\top\beta + \xi_{jt}, \qquad c_{jt} \text{ or } \log c_{jt} = w_{jt}^\top\gamma + \omega_{jt}

Berry, Levinsohn and Pakes (1995), Automobile prices in market equilibrium, Econometrica 63(4), 841-890; Nevo (2000), A
practitioner's guide to estimation of random-coefficients logit models of demand, Journal of Economics & Management
Strategy 9(4), 513-548; Conlon and Gortmaker (2020), Best practices for differentiated products demand estimation with
PyBLP, RAND Journal of Economics 51(4), 1108-1161.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from revealed.errors import SpecificationError, nearest
from revealed.evidence import Status
from revealed.evidence.status import NotIdentified
from revealed.models.blp.fit import BlpFit
from revealed.models.blp.markets import Markets
from revealed.models.blp.moments import Concentrated, FixedEffects, Moments, Side, independent, root_of_inverse
from revealed.models.blp.problem import Costs, Point, Priced, Problem
from revealed.models.blp.search import searched
from revealed.models.blp.shares import ContractionOptions
from revealed.models.blp.tastes import Starts, Tastes
from revealed.models.blp.terms import Terms


@dataclass(frozen=True)
class Blp:
    """Random-coefficient demand on market shares, and perhaps supply.

    Parameters
    ----------
    linear : str
        What mean utility is linear in, such as ``"1 + prices + sugar"``; a constant is there only where ``1`` is.
    random : str
        What has random coefficients.
    demographics : str
        What of the agents these coefficients may move with.
    costs : str
        What marginal costs are linear in; without it there is no supply side.
    log_costs : bool
        Whether their logarithm is.
    absorb, absorb_costs : tuple of str
        Columns of the products with fixed effects.
    cost_floor : float or None
        Costs below it count as it while the search goes on; None for none.
    steps : {1, 2}
        One-step or two-step GMM.
    update_first : bool
        Whether the weights of the first step are those of the errors at the starts, and not of two-stage least squares.
    errors : {"robust", "clustered"}
        Of weights and standard errors; clusters are ``clustering_ids``.
    contraction : ContractionOptions
    max_evaluations : int
        The most evaluations of the objective in a step.
    """

    linear: str
    random: str = ""
    demographics: str = ""
    costs: str = ""
    log_costs: bool = False
    absorb: tuple[str, ...] = ()
    absorb_costs: tuple[str, ...] = ()
    cost_floor: float | None = None
    steps: int = 2
    update_first: bool = False
    errors: str = "robust"
    contraction: ContractionOptions = field(default_factory=ContractionOptions)
    max_evaluations: int = 300
    title: ClassVar[str] = "Random-coefficient demand on market shares"
    citation: ClassVar[str] = "Berry, Levinsohn and Pakes (1995), Automobile prices in market equilibrium"

    def terms(self) -> tuple[Terms, Terms]:
        """Return the terms of mean utility and those with random coefficients."""
        return Terms.read(self.linear), _terms(self.random)

    def fit(
        self,
        products: Any,
        agents: Any = None,
        *,
        sigma: Starts = None,
        pi: Starts = None,
        beta: Mapping[str, float] | None = None,
    ) -> BlpFit:
        """Estimate by the generalised method of moments.

        Parameters
        ----------
        products : Markets, or anything :meth:`Markets.read` takes for products
        agents : anything :meth:`Markets.read` takes for agents
        sigma : array, shape (K2, K2) or (K2,), or mapping
            Where to start: ``{term: start}`` for standard deviations, ``{term: {term: start}}`` below the diagonal. An
            entry of zero is held at zero. Its sign is not identified.
        pi : array, shape (K2, D), or mapping
            Where to start: ``{term: {demographic: start}}``.
        beta : mapping, optional
            With a supply side, where to start coefficients of linear terms that hold the price.

        Raises
        ------
        DataError
            If the tables do not hold markets; see :meth:`Markets.read`.
        SpecificationError
            For names that do not fit, starts without a finite objective, or too few instruments.
        """
        markets = products if isinstance(products, Markets) else Markets.read(products, agents)
        problem = self.problem(markets, sigma, pi)
        point = problem.at(np.concatenate([problem.tastes.values, self._beta(problem, beta)]))
        concentrated = self._first(problem, point)
        objectives: list[float] = []
        passes = 0
        for step in range(self.steps):
            found = searched(problem, concentrated, point, self.max_evaluations)
            point = found.point
            linear = concentrated.linear(point.left)
            errors = concentrated.errors(point.left, linear)
            covariance = problem.moments.covariance(errors)
            objectives.append(found.objective)
            passes += found.status.passes
            if step + 1 < self.steps:
                concentrated = Concentrated(problem.moments, root_of_inverse(covariance))
        spread = concentrated.parameter_covariance(problem.slopes(point), covariance)
        names = (*problem.names, *(name for side in problem.moments.sides for name in side.names))
        return BlpFit(
            model=self,
            problem=problem,
            point=point,
            names=names,
            params=np.concatenate([point.params, linear]),
            covariance=spread,
            xi=errors[0],
            omega=errors[1] if len(errors) > 1 else None,
            objective=found.objective,
            objectives=tuple(objectives),
            n_moments=concentrated.root.shape[1],
            status=_status(found.status, passes, spread, names, point),
        )

    def _first(self, problem: Problem, start: Point) -> Concentrated:
        """Return the moments under the weights of the first step."""
        concentrated = Concentrated(problem.moments, problem.moments.first_weights())
        if not self.update_first or not all(np.isfinite(column).all() for column in start.left):  # told by the search
            return concentrated
        errors = concentrated.errors(start.left, concentrated.linear(start.left))
        return Concentrated(problem.moments, root_of_inverse(problem.moments.covariance(errors)))

    # ---- reading --------------------------------------------------------------------------------------------------

    def problem(self, markets: Markets, sigma: Starts, pi: Starts) -> Problem:
        """Return the model read against markets; see :meth:`fit`."""
        if self.steps not in (1, 2):
            raise SpecificationError(f"steps={self.steps!r}; GMM has one step or two")
        if self.errors not in ("robust", "clustered"):
            raise SpecificationError(f"no errors {self.errors!r}; {nearest(str(self.errors), ('robust', 'clustered'))}")
        self._require_sides(sigma, pi)
        linear, random = self.terms()
        if not len(linear):
            raise SpecificationError(
                f"linear={self.linear!r} has no terms; name what utility is linear in: '1 + prices'"
            )
        demographics = _terms(self.demographics)
        tastes = Tastes.of(random.names, demographics.names, sigma, pi)
        if len(tastes.draws) > markets.nodes.shape[1]:
            raise SpecificationError(
                f"sigma needs {len(tastes.draws)} columns of draws and agents have {markets.nodes.shape[1]}; add "
                f"nodes{markets.nodes.shape[1]} … to the agents"
            )
        draws = np.hstack([markets.nodes[:, : len(tastes.draws)], markets.values(demographics, "agents")])
        values = markets.values(linear)
        priced = np.array(linear.depend_on("prices", "shares"), dtype=bool)
        with_supply = bool(self.costs)
        conducted = None
        if with_supply and priced.any():
            names = tuple(name for name, moves in zip(linear.names, priced, strict=True) if moves)
            conducted = Priced(names, values[:, priced], markets.slopes(linear)[:, priced])
        searched_for = priced if with_supply else np.zeros(len(linear), dtype=bool)
        sides = [_demand(markets, linear, values, priced, searched_for, self.absorb)]
        if with_supply:
            sides.append(_supply(markets, Terms.read(self.costs), self.absorb_costs))
        clusters = markets.ids("clustering_ids") if self.errors == "clustered" else None
        moments = Moments(tuple(sides), clusters)
        n_searched = len(tastes.free) + (len(conducted.names) if conducted else 0)
        _require_instruments(moments, n_searched)
        return Problem(
            markets,
            tastes,
            moments,
            markets.values(random),
            draws,
            self.contraction,
            Costs(markets.ids("firm_ids"), self.log_costs, self.cost_floor) if with_supply else None,
            conducted,
            markets.slopes(random) if with_supply else None,
        )

    def _require_sides(self, sigma: Starts, pi: Starts) -> None:
        """Refuse what would be passed over: random coefficients without starts, costs without their formula."""
        if self.random.strip() and sigma is None and pi is None:
            raise SpecificationError(
                f"none of the random coefficients of {self.random!r} has a start, so that all would be held at zero: "
                "name starts in sigma or pi"
            )
        given = {"log_costs": self.log_costs, "absorb_costs": self.absorb_costs, "cost_floor": self.cost_floor}
        odd = [] if self.costs else [name for name, value in given.items() if value not in (False, (), None)]
        if odd:
            raise SpecificationError(f"{odd[0]} is of marginal costs and there are none: give costs=formula")

    def _beta(self, problem: Problem, beta: Mapping[str, float] | None) -> Float[np.ndarray, " terms"]:
        """Return starts of the priced terms; by default those of two-stage least squares without mixed tastes."""
        names = problem.priced.names if problem.priced else ()
        for name in beta or {}:
            if name not in names:
                raise SpecificationError(f"no start needed for {name!r}; {nearest(name, names)}")
        if problem.priced is None:
            return np.zeros(0)
        side = problem.moments.sides[0]
        regressors = np.hstack([side.effects.removed(problem.priced.values), side.regressors])
        z = side.instruments
        projected = z @ np.linalg.lstsq(z, regressors, rcond=None)[0]
        plain = side.effects.removed(problem.logit_delta[:, None])[:, 0]
        first = np.linalg.lstsq(projected, plain, rcond=None)[0]
        return np.array([(beta or {}).get(name, first[place]) for place, name in enumerate(names)], dtype=np.float64)


def _terms(formula: str) -> Terms:
    return Terms.read(formula) if formula.strip() else Terms((), ())


def _demand(
    markets: Markets,
    linear: Terms,
    values: Float[np.ndarray, "N K1"],
    priced: Bool[np.ndarray, " K1"],
    searched_for: Bool[np.ndarray, " K1"],
    absorb: tuple[str, ...],
) -> Side:
    effects = FixedEffects(tuple(markets.ids(name) for name in absorb))
    columns = effects.removed(values)
    names = tuple(f"beta[{name}]" for name, moves in zip(linear.names, searched_for, strict=True) if not moves)
    _refuse_absorbed(linear.names, columns, values)
    excluded = effects.removed(markets.instruments("demand")[1])
    return Side(names, columns[:, ~searched_for], np.hstack([excluded, columns[:, ~priced]]), effects)


def _supply(markets: Markets, costs: Terms, absorb: tuple[str, ...]) -> Side:
    values = markets.values(costs)
    for name, moves in zip(costs.names, costs.depend_on("prices", "shares"), strict=True):
        if moves:
            raise SpecificationError(f"marginal costs cannot depend on prices or shares, as {name} does")
    effects = FixedEffects(tuple(markets.ids(name) for name in absorb))
    columns = effects.removed(values)
    _refuse_absorbed(costs.names, columns, values)
    excluded = effects.removed(markets.instruments("supply")[1])
    names = tuple(f"gamma[{name}]" for name in costs.names)
    return Side(names, columns, np.hstack([excluded, columns]), effects)


def _refuse_absorbed(
    names: tuple[str, ...], columns: Float[np.ndarray, "N K"], values: Float[np.ndarray, "N K"]
) -> None:
    for place, name in enumerate(names):
        if np.abs(columns[:, place]).max() <= 1e-10 * max(np.abs(values[:, place]).max(), 1e-300):
            raise SpecificationError(f"the fixed effects explain the term {name} whole; leave it out of the formula")


def _require_instruments(moments: Moments, n_searched: int) -> None:
    """Raise unless parameters are fewer than products, not more than independent instruments, and can be told apart."""
    for side in moments.sides:
        if independent(side.regressors) < side.regressors.shape[1]:
            raise SpecificationError(f"among {', '.join(side.names)} one repeats the others; leave one of them out")
    have = sum(independent(side.instruments) for side in moments.sides)
    n_linear = sum(side.regressors.shape[1] for side in moments.sides)
    constants = sum(side.effects.constants for side in moments.sides)
    seen = moments.n * len(moments.sides)
    if n_searched + n_linear + constants >= seen:
        absorbed = f", {constants} fixed effects" if constants else ""
        twice = " (each tells of demand and of costs)" if len(moments.sides) > 1 else ""
        raise SpecificationError(
            f"{n_searched + n_linear + constants} parameters ({n_searched} searched for, {n_linear} linear{absorbed}) "
            f"fit {moments.n} products{twice} whatever they are, so nothing is left to tell how sure they are: give "
            "more markets, or fewer terms and starts in sigma and pi"
        )
    if have < n_searched + n_linear:
        raise SpecificationError(
            f"{n_searched + n_linear} parameters ({n_searched} searched for, {n_linear} linear) but {have} independent "
            f"instruments, exogenous terms included: {n_searched + n_linear - have} more are needed, as columns "
            "demand_instruments0 … of the products, or fewer starts in sigma and pi"
        )


def _status(
    status: Status, passes: int, covariance: Float[np.ndarray, "K K"], names: tuple[str, ...], point: Point
) -> Status:
    """Return the status of all steps, with what the moments cannot tell."""
    unknown = tuple(name for name, value in zip(names, np.diag(covariance), strict=True) if np.isnan(value))
    items = (
        (
            NotIdentified(
                unknown,
                "collinear",
                f"the moments do not tell {', '.join(unknown)} apart; start fewer entries of sigma and pi",
            ),
        )
        if unknown
        else ()
    )
    reason = status.reason + (f"; {point.floored} costs are at the floor" if point.floored else "")
    return Status(converged=status.converged, reason=reason, passes=passes, not_identified=items, trail=status.trail)
