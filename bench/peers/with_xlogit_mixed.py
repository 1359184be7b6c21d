"""xlogit's mixed logit. Usage: FOLDER DRAWS (default | none)."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

from bench.peers.measure import Run, load, pin_threads

MODES = {
    "default": ("xlogit, default errors", "classic, the BFGS inverse", {}),
    "none": ("xlogit, no errors", "none", {"skip_std_errs": True}),
}


def main(folder: Path, draws: int, mode: str) -> None:
    """Fit once and print the run."""
    pin_threads()
    name, kind, options = MODES[mode]
    run = Run(name, version("xlogit"), kind)
    with run.timed("import"):
        import numpy as np
        from xlogit import MixedLogit
    attributes, chosen = load(folder)
    persons = np.load(folder / "persons.npy")
    n_cases, n_alternatives, k = attributes.shape
    with run.timed("prepare"):
        x = attributes.reshape(-1, k)
        alternatives = np.tile(np.arange(n_alternatives), n_cases)
        cases = np.repeat(np.arange(n_cases), n_alternatives)
        y = alternatives == np.repeat(chosen, n_alternatives)
        panels = np.repeat(persons, n_alternatives)
    names = [f"x{i}" for i in range(k)]
    model = MixedLogit()
    with run.timed("fit"):
        model.fit(
            X=x,
            y=y,
            varnames=names,
            alts=alternatives,
            ids=cases,
            panels=panels,
            randvars=dict.fromkeys(names, "n"),
            n_draws=draws,
            verbose=0,
            **options,
        )
    run.notes = "" if model.convergence else "did not converge"
    found = dict(zip(model.coeff_names, model.coeff_.tolist(), strict=True))
    run.params = [found[name] for name in names] + [abs(found[f"sd.{name}"]) for name in names]
    run.errors = None if mode == "none" else model.stderr.tolist()
    print(json.dumps({**vars(run), "log_likelihood": float(model.loglikelihood)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
