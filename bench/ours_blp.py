"""Our demand on market shares, measured as the peer is. Usage: cereals|automobiles. Imports the package as users do."""

from __future__ import annotations

import json
import sys

from bench.peers.measure import Run, pin_threads


def main(problem: str) -> None:
    """Fit once, with standard errors, and print the run."""
    pin_threads()
    run = Run("revealed", errors_kind="robust" if problem == "cereals" else "clustered")
    with run.timed("import"):
        import scipy.optimize  # noqa: F401  (loaded when first used; here that is not the fit's doing)

        import revealed
        from revealed import datasets
        from revealed.models.blp import Blp, Markets
    run.version = revealed.__version__
    with run.timed("prepare"):
        markets = Markets.read(*(datasets.cereals() if problem == "cereals" else datasets.automobiles()))
    if problem == "cereals":
        model = Blp(
            "prices",
            "1 + prices + sugar + mushy",
            "income + income_squared + age + child",
            absorb=("product_ids",),
            steps=1,
        )
        sigma = [0.3302, 2.4526, 0.0163, 0.2441]
        pi = [[5.4819, 0, 0.2037, 0], [15.8935, -1.2, 0, 2.6342], [-0.2506, 0, 0.0511, 0], [1.2650, 0, -0.8091, 0]]
    else:
        model = Blp(
            "1 + hpwt + air + mpd + space",
            "1 + prices + hpwt + air + mpd + space",
            "I(1 / income)",
            costs="1 + log(hpwt) + air + log(mpg) + log(space) + trend",
            log_costs=True,
            cost_floor=0.001,
            update_first=True,
            errors="clustered",
        )
        sigma = [3.612, 0, 4.628, 1.818, 1.050, 2.056]
        pi = [[0.0], [-43.501], [0.0], [0.0], [0.0], [0.0]]
    with run.timed("fit"):
        fit = model.fit(markets, sigma=sigma, pi=pi)
        errors = fit.standard_errors()
    run.notes = f"{fit.status.passes} evaluations" + ("" if fit.status.converged else ", did not converge")
    size = len(fit.problem.names)
    run.more = {"objective": fit.objective}
    run.params, run.errors = fit.point.params.tolist(), errors[:size].tolist()
    print(json.dumps(vars(run)))


if __name__ == "__main__":
    main(sys.argv[1])
