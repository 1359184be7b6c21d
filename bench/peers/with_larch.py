"""larch's multinomial and nested logit on its compiled engine. Usage: FOLDER (errors | none) [nested]."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from bench.peers.measure import NESTS, Run, load, pin_threads


def main(folder: Path, mode: str, nested: bool) -> None:
    """Fit once and print the run."""
    pin_threads()
    warnings.simplefilter("ignore")
    with_errors = mode == "errors"
    run = Run(
        "larch, with errors" if with_errors else "larch, no errors",
        version("larch"),
        "classic" if with_errors else "none",
    )
    with run.timed("import"):
        import larch as lx
        import numpy as np
        import pandas as pd
    attributes, chosen = load(folder)
    n_cases, n_alternatives, n_params = attributes.shape
    names = [f"x{k}" for k in range(n_params)]
    with run.timed("prepare"):
        index = pd.MultiIndex.from_product([range(n_cases), range(1, n_alternatives + 1)], names=["case", "alt"])
        long = pd.DataFrame(attributes.reshape(-1, n_params), columns=names, index=index)
        long["chosen"] = (np.arange(n_alternatives) == chosen[:, None]).ravel().astype(np.float64)
        data = lx.Dataset.construct.from_idca(long)
    with run.timed("fit"):
        model = lx.Model(data, compute_engine="numba")
        model.utility_ca = sum((lx.P(name) * lx.X(name) for name in names[1:]), lx.P("x0") * lx.X("x0"))
        model.choice_ca_var = "chosen"
        dissimilarities = [f"z{m}" for m in range(len(NESTS))] if nested else []
        for name, (start, stop) in zip(dissimilarities, NESTS, strict=False):
            model.graph.new_node(parameter=name, children=list(range(start + 1, stop + 1)), name=name)
        model.maximize_loglike(quiet=True)
        if with_errors:
            model.calculate_parameter_covariance()
    # larch sorts its parameters by name, and has the inverse of the nest parameters.
    place = [list(model.pf.index).index(name) for name in names + dissimilarities]
    values, errors = model.pf["value"].to_numpy()[place], model.pstderr[place] if with_errors else None
    inverse = np.concatenate([np.ones(n_params), values[n_params:] ** -2.0])
    values = np.concatenate([values[:n_params], 1 / values[n_params:]])
    run.done(folder, values, None if errors is None else errors * inverse)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "nested" in sys.argv[3:])
