"""Ours, measured as the peers are. Usage: FOLDER [nested]. Imports the package as a user would."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.peers.measure import NESTS, Run, pin_threads


def main(folder: Path, *, nested: bool) -> None:
    """Fit once, the conditional or the nested logit, with classic and robust errors, and print the run."""
    pin_threads()
    run = Run("revealed", errors_kind="classic and robust")
    with run.timed("import"):
        import formulaic  # noqa: F401  (the package loads its parts when first used; here that is not the fit's doing)

        import revealed
        from revealed.models import Logit, Nested, estimate  # noqa: F401
    run.version = revealed.__version__
    with run.timed("prepare"):
        log = revealed.read(folder / "long.parquet")
    utility = " + ".join(log.attribute_names)
    nests = {f"n{m}": [str(j) for j in range(start, stop)] for m, (start, stop) in enumerate(NESTS)}
    model = Nested(utility, nests=nests) if nested else Logit(utility)
    with run.timed("fit"):
        fit = model.fit(log)
        robust = fit.standard_errors("robust")
        classic = fit.standard_errors("classic")
    run.notes = f"{fit.status.passes} passes" + ("" if fit.status.converged else ", did not converge")
    run.more = {"robust": robust.tolist(), "own_log_likelihood": fit.log_likelihood}
    run.done(folder, fit.params, classic)


if __name__ == "__main__":
    main(Path(sys.argv[1]), nested=sys.argv[2:] == ["nested"])
