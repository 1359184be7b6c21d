r"""The search for tastes: least-squares steps on the projected moments, then quasi-Newton. Imports its own room only.

The objective is a sum of squares :math:`\|r(\theta)\|^2` with a known Jacobian, so far from the minimum a step solves a
linear least-squares problem (scipy's trust-region reflective method). These steps end slowly where the residual is
large, as they leave its curvature out; so once near, BFGS goes on from there, in coordinates in which their Hessian is
one, and learns the rest. Convergence is judged by how much the objective could
still fall to first order, :math:`\|Q^\top r\|^2` with :math:`Q` a basis of the Jacobian: it has no unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.evidence import Status
from revealed.models.blp.moments import Concentrated
from revealed.models.blp.problem import Point, Problem

#: A change of mean utilities in the last step of the contraction above which a point is no point.
_UNSOLVED = 1e-6
#: The objective may still fall by this at the estimates: they are then within 1e-4 standard errors of the minimum.
DECREMENT = 1e-8
#: Gauss and Newton's steps end once they lower the objective by less than this share of it.
_NEAR = 1e-4
#: Then quasi-Newton steps end where the gradient, in units that make their first Hessian one, is below this.
_GRADIENT = 1e-5
#: Then at most so many steps follow the gradient alone.
_POLISH = 15
#: … until the gradient is below this.
_FLAT = 1e-9


@dataclass(frozen=True, eq=False)
class Found:
    """Where a search ended.

    Parameters
    ----------
    point : Point
    objective : float
    status : Status
    """

    point: Point
    objective: float
    status: Status


class _Search:
    """The function and its Jacobian, which share a solution of the shares."""

    def __init__(self, problem: Problem, concentrated: Concentrated, point: Point) -> None:
        self.problem, self.concentrated, self.point = problem, concentrated, point
        self.passes, self.trail = 0, [float((self._of(point) ** 2).sum())]

    def _of(self, point: Point) -> Float[np.ndarray, " M"]:
        return self.concentrated.residual(point.left)[:, 0]

    def residual(self, params: Float[np.ndarray, " P"]) -> Float[np.ndarray, " M"]:
        self.passes += 1
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            point = self.problem.at(params, self.point.delta)
            found = self._of(point)
        # Not solved to the tolerance is no value: the trust region shrinks.
        if not np.isfinite(found).all() or point.residual > _UNSOLVED:
            return np.full(len(found), np.inf)
        self.point = point
        self.trail.append(float((found**2).sum()))
        return found

    def jacobian(self, params: Float[np.ndarray, " P"]) -> Float[np.ndarray, "M P"]:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if not np.array_equal(self.point.params, params):
                self.point = self.problem.at(params, self.point.delta)
            return self.concentrated.residual(self.problem.slopes(self.point))


def _descended(search: _Search, params: Float[np.ndarray, " P"], max_evaluations: int) -> None:
    """Go down to the minimum, and leave the search at it."""
    from scipy.optimize import least_squares, minimize

    far = least_squares(
        search.residual,
        params,
        search.jacobian,
        x_scale="jac",
        ftol=_NEAR,
        xtol=1e-12,
        gtol=1e-12,
        max_nfev=max_evaluations,
    )
    jacobian = np.asarray(far.jac, dtype=np.float64)
    scale = np.linalg.norm(jacobian, axis=0)
    upper = np.linalg.qr(jacobian / np.where(scale > 0, scale, 1.0), mode="r")
    shape = np.linalg.pinv(upper, rcond=1e-12) / np.where(scale > 0, scale, 1.0)[:, None]

    def value(offset: Float[np.ndarray, " P"]) -> tuple[float, Float[np.ndarray, " P"]]:
        here = far.x + shape @ offset
        residual = search.residual(here)
        if not np.isfinite(residual).all():
            return float("inf"), np.zeros(len(offset))
        return float(residual @ residual) / 2, shape.T @ (search.jacobian(here).T @ residual)

    left = max(max_evaluations - search.passes, 1)
    near = minimize(value, np.zeros(len(params)), jac=True, method="BFGS", options={"gtol": _GRADIENT, "maxiter": left})
    offset = _polished(value, near.x, np.array(near.hess_inv, dtype=np.float64))
    search.jacobian(far.x + shape @ offset)


def _polished(
    value: Callable[[np.ndarray], tuple[float, np.ndarray]],
    offset: Float[np.ndarray, " P"],
    inverse: Float[np.ndarray, "P P"],
) -> Float[np.ndarray, " P"]:
    """Follow the gradient alone while it falls: close to the minimum the objective itself differs by rounding only."""
    gradient, failed = value(offset)[1], 0
    for _ in range(_POLISH):
        if failed == 3 or np.linalg.norm(gradient) < _FLAT:
            break
        step = -inverse @ gradient
        after = value(offset + step)[1]
        change = after - gradient
        curve = step @ change
        if curve > 0:  # the update of Broyden, Fletcher, Goldfarb and Shanno
            bent = inverse @ change
            inverse = inverse + (1 + change @ bent / curve) * np.outer(step, step) / curve
            inverse -= (np.outer(bent, step) + np.outer(step, bent)) / curve
        if np.linalg.norm(after) < np.linalg.norm(gradient):
            offset, gradient, failed = offset + step, after, 0
        else:
            failed += 1
    return offset


def searched(problem: Problem, concentrated: Concentrated, start: Point, max_evaluations: int) -> Found:
    """Return the tastes at which the objective is least, from a start.

    Raises
    ------
    SpecificationError
        If the start gives no finite objective.
    """
    search = _Search(problem, concentrated, start)
    if not np.isfinite(search.trail[0]):
        raise SpecificationError(
            f"the objective is not finite at the starts of sigma{', pi and beta' if problem.priced else ' and pi'}: "
            + (
                "some marginal costs are zero or less there, which have no logarithm; set cost_floor=0.001, or start "
                "with tastes under which demand is more elastic"
                if problem.costs is not None and problem.costs.log
                else "start with smaller values"
                if problem.priced is None
                else "start with smaller values of sigma and pi, and where people mind prices"
            )
        )
    if len(start.params) and start.residual <= _UNSOLVED:
        _descended(search, start.params, max_evaluations)
    if not all(np.isfinite(column).all() for column in (search.point.delta, *search.point.left)):
        raise SpecificationError(
            "the search left the tastes at which shares can be inverted, and did not come back: start elsewhere, with "
            "fewer entries of sigma and pi, or give more markets"
        )
    jacobian = concentrated.residual(problem.slopes(search.point))
    residual = concentrated.residual(search.point.left)[:, 0]
    basis = np.linalg.qr(jacobian / np.maximum(np.linalg.norm(jacobian, axis=0), 1e-300))[0]
    decrement = float(((basis.T @ residual) ** 2).sum())
    solved = search.point.residual < max(10 * problem.contraction.tolerance, 1e-12)
    reason = "the gradient is zero to the tolerance"
    if not solved:
        reason = f"shares were not inverted: the last step still changed a mean utility by {search.point.residual:.1e}"
    elif decrement >= DECREMENT:
        reason = f"the objective could still fall by {decrement:.1e}, to first order, after {search.passes} evaluations"
    status = Status(
        converged=solved and decrement < DECREMENT, reason=reason, passes=search.passes, trail=tuple(search.trail)
    )
    return Found(search.point, float((residual**2).sum()), status)
