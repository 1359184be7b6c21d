"""choice-learn's linear multinomial logit by L-BFGS, its best optimiser. Usage: FOLDER (errors | none)."""

from __future__ import annotations

import contextlib
import io
import sys
from importlib.metadata import version
from pathlib import Path

from bench.peers.measure import Run, load, pin_threads


def main(folder: Path, mode: str) -> None:
    """Fit once and print the run."""
    pin_threads()
    with_errors = mode == "errors"
    run = Run(
        "choice-learn, with errors" if with_errors else "choice-learn, no errors",
        version("choice-learn"),
        "classic, autodiff" if with_errors else "none",
    )
    with run.timed("import"):
        import tensorflow_probability
        from choice_learn.data import ChoiceDataset
        from choice_learn.models import SimpleMNL

        tensorflow_probability.optimizer.lbfgs_minimize  # noqa: B018  (it loads when touched: not the fit's doing)
    attributes, chosen = load(folder)
    with run.timed("prepare"):
        names = [f"x{k}" for k in range(attributes.shape[2])]
        data = ChoiceDataset(choices=chosen, items_features_by_choice=attributes, items_features_by_choice_names=names)
    model = SimpleMNL(intercept=None, optimizer="lbfgs", epochs=1000)
    with run.timed("fit"), contextlib.redirect_stdout(io.StringIO()):
        model.fit(data, get_report=with_errors)
    run.notes = "single precision"
    errors = model.report["Std. Err"].to_numpy() if with_errors else None
    run.done(folder, model.trainable_weights[0].numpy(), errors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
