"""Biogeme's logit and nested logit. Usage: FOLDER (errors | none) [nested]."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from bench.peers.measure import NESTS, Run, load, pin_threads


def main(folder: Path, mode: str, nested: bool) -> None:
    """Fit once and print the run."""
    pin_threads()
    with_errors = mode == "errors"
    run = Run(
        "biogeme, with errors" if with_errors else "biogeme, no errors",
        version("biogeme"),
        "robust, autodiff" if with_errors else "none",
    )
    with run.timed("import"):
        import pandas as pd
        from biogeme import models
        from biogeme.biogeme import BIOGEME
        from biogeme.database import Database
        from biogeme.expressions import Beta, Variable
        from biogeme.nests import NestsForNestedLogit, OneNestForNestedLogit
    logging.disable(logging.WARNING)
    attributes, chosen = load(folder)
    folder = folder.resolve()
    n_cases, n_alternatives, n_params = attributes.shape
    os.chdir(tempfile.mkdtemp())
    with run.timed("prepare"):
        names = [f"x{k}_{j}" for j in range(n_alternatives) for k in range(n_params)]
        wide = pd.DataFrame(attributes.reshape(n_cases, -1), columns=names)
        wide["choice"] = chosen + 1
        data = Database("bench", wide)
        betas = [Beta(f"b{k}", 0, None, None, 0) for k in range(n_params)]
        utility = {
            j + 1: sum((betas[k] * Variable(f"x{k}_{j}") for k in range(1, n_params)), betas[0] * Variable(f"x0_{j}"))
            for j in range(n_alternatives)
        }
        scales = [Beta(f"mu{m}", 1, 1, None, 0) for m in range(len(NESTS))] if nested else []
        if nested:
            inside = tuple(
                OneNestForNestedLogit(nest_param=scale, list_of_alternatives=list(range(start + 1, stop + 1)))
                for scale, (start, stop) in zip(scales, NESTS, strict=True)
            )
            nests = NestsForNestedLogit(choice_set=list(utility), tuple_of_nests=inside)
            probability = models.lognested(utility, None, nests, Variable("choice"))
        else:
            probability = models.loglogit(utility, None, Variable("choice"))
    with run.timed("fit"):
        model = BIOGEME(
            data,
            probability,
            generate_html=False,
            generate_yaml=False,
            save_iterations=False,
            number_of_threads=1,
            calculating_second_derivatives="analytical" if with_errors else "never",
        )
        model.model_name = "bench"
        results = model.estimate() if with_errors else model.quick_estimate()
    found = results.get_beta_values()
    order = [f"b{k}" for k in range(n_params)] + [f"mu{m}" for m in range(len(scales))]
    errors = [results.get_parameter_std_err(name) for name in order] if with_errors else None
    run.done(folder, [found[name] for name in order], errors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "nested" in sys.argv[3:])
