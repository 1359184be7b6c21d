"""pyblp on the problems of its own tutorials. Usage: cereals|automobiles.

As in the tutorials, but: the Hessian, which only checks the result, is left out; and the search for the automobiles
ends at a gradient of 1e-5 (by default it goes on at rounding error until it gives up).
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from bench.peers.measure import Run, pin_threads

CEREAL_PI = [[5.4819, 0, 0.2037, 0], [15.8935, -1.2, 0, 2.6342], [-0.2506, 0, 0.0511, 0], [1.2650, 0, -0.8091, 0]]


def read(path: str) -> Any:
    """Return one of its files."""
    return np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf8")


def cereals(pyblp: Any) -> tuple[Any, dict[str, Any]]:
    """Return the problem and how it is solved."""
    products = (
        pyblp.Formulation("0 + prices", absorb="C(product_ids)"),
        pyblp.Formulation("1 + prices + sugar + mushy"),
    )
    agents = pyblp.Formulation("0 + income + income_squared + age + child")
    tables = read(pyblp.data.NEVO_PRODUCTS_LOCATION), read(pyblp.data.NEVO_AGENTS_LOCATION)
    problem = pyblp.Problem(products, tables[0], agents, tables[1])
    search = pyblp.Optimization("bfgs", {"gtol": 1e-5})
    start = {"sigma": np.diag([0.3302, 2.4526, 0.0163, 0.2441]), "pi": CEREAL_PI}
    return problem, {**start, "optimization": search, "method": "1s"}


def automobiles(pyblp: Any) -> tuple[Any, dict[str, Any]]:
    """Return the problem and how it is solved."""
    products = (
        pyblp.Formulation("1 + hpwt + air + mpd + space"),
        pyblp.Formulation("1 + prices + hpwt + air + mpd + space"),
        pyblp.Formulation("1 + log(hpwt) + air + log(mpg) + log(space) + trend"),
    )
    agents = pyblp.Formulation("0 + I(1 / income)")
    tables = read(pyblp.data.BLP_PRODUCTS_LOCATION), read(pyblp.data.BLP_AGENTS_LOCATION)
    problem = pyblp.Problem(products, tables[0], agents, tables[1], costs_type="log")
    start = {"sigma": np.diag([3.612, 0, 4.628, 1.818, 1.050, 2.056]), "pi": np.c_[[0, -43.501, 0, 0, 0, 0]]}
    search = pyblp.Optimization("l-bfgs-b", {"gtol": 1e-5, "ftol": 0})
    weights = {"W_type": "clustered", "se_type": "clustered", "initial_update": True}
    return problem, {**start, **weights, "costs_bounds": (0.001, None), "optimization": search}


def main(name: str) -> None:
    """Fit once, with standard errors, and print the run."""
    pin_threads()
    run = Run("pyblp", errors_kind="robust" if name == "cereals" else "clustered")
    with run.timed("import"):
        import pyblp
    run.version = pyblp.__version__
    pyblp.options.verbose = False
    with run.timed("prepare"):
        problem, how = (cereals if name == "cereals" else automobiles)(pyblp)
    with run.timed("fit"):
        results = problem.solve(**how, check_optimality="gradient")
    evaluations = int(np.sum(results.cumulative_objective_evaluations))
    run.notes = f"{evaluations} evaluations" + ("" if results.converged else ", did not converge")
    run.more = {"objective": float(results.objective)}
    run.params = results.theta.ravel().tolist()
    run.errors = np.sqrt(np.diag(results.parameter_covariances))[: results.theta.size].tolist()
    print(json.dumps(vars(run)))


if __name__ == "__main__":
    main(sys.argv[1])
