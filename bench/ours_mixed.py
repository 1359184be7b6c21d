"""Our mixed logit, measured as the peer is. Usage: FOLDER DRAWS [compiled]. Imports the package as a user would."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.peers.measure import Run, pin_threads


def main(folder: Path, draws: int, *, compiled: bool = False) -> None:
    """Fit once, with classic and robust errors, and print the run."""
    if not compiled:  # which is to find a GPU, and what else there is
        pin_threads()
    run = Run("revealed, compiled" if compiled else "revealed", errors_kind="classic and robust")
    with run.timed("import"):
        import formulaic  # noqa: F401  (the package loads its parts when first used; here that is not the fit's doing)
        import scipy.stats  # noqa: F401

        import revealed
        from revealed.models import Mixed, estimate  # noqa: F401
    run.version = revealed.__version__
    with run.timed("prepare"):
        log = revealed.read(folder / "long.parquet", person="person")
    names = list(log.attribute_names)
    with run.timed("fit"):
        fit = Mixed(" + ".join(names), random=dict.fromkeys(names, "normal"), draws=draws, compiled=compiled).fit(log)
        errors = fit.standard_errors("classic")
        fit.standard_errors("robust")
    run.notes = f"{fit.status.passes} passes and {fit.status.sample_passes:g} on samples" + (
        "" if fit.status.converged else ", did not converge"
    )
    run.params, run.errors = fit.params.tolist(), errors.tolist()
    print(json.dumps({**vars(run), "log_likelihood": fit.log_likelihood}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), compiled="compiled" in sys.argv[3:])
