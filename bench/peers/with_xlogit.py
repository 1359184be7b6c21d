"""xlogit's multinomial logit. Usage: FOLDER (default | fast | none)."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from bench.peers.measure import Run, load, pin_threads

MODES = {
    "default": ("xlogit, default errors", "classic, by differences", {}),
    "fast": ("xlogit, fastest errors", "the BFGS inverse", {"num_hess": False}),
    "none": ("xlogit, no errors", "none", {"skip_std_errs": True}),
}


def main(folder: Path, mode: str) -> None:
    """Fit once and print the run."""
    pin_threads()
    name, kind, options = MODES[mode]
    run = Run(name, version("xlogit"), kind)
    with run.timed("import"):
        import numpy as np
        from xlogit import MultinomialLogit
    attributes, chosen = load(folder)
    n_cases, n_alternatives, n_params = attributes.shape
    with run.timed("prepare"):
        x = attributes.reshape(-1, n_params)
        alternatives = np.tile(np.arange(n_alternatives), n_cases)
        cases = np.repeat(np.arange(n_cases), n_alternatives)
        y = alternatives == np.repeat(chosen, n_alternatives)
    model = MultinomialLogit()
    with run.timed("fit"):
        names = [f"x{k}" for k in range(n_params)]
        model.fit(X=x, y=y, varnames=names, alts=alternatives, ids=cases, verbose=0, **options)
    run.notes = "" if model.convergence else "did not converge"
    run.done(folder, model.coeff_, None if mode == "none" else model.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
