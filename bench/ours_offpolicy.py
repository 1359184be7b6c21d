"""Ours, measured as obp's estimators are. Usage: FILE.npz REPEATS. Imports the package as a user would."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.peers.measure import cpu_seconds, pin_threads


def main(file: Path, repeats: int) -> None:
    """Estimate one at a time and all in one call, and print seconds and values as a line of JSON."""
    pin_threads()
    import numpy as np
    import pyarrow as pa

    from revealed.answer import offpolicy
    from revealed.answer.offpolicy import DirectMethod, DoublyRobust, InversePropensity, Shrunk, Switched
    from revealed.choices.feedback import Feedback

    data = dict(np.load(file))
    columns = {name: data[name] for name in ("action", "reward", "propensity")}
    table = pa.table({"decision": np.arange(len(data["action"])), **columns})
    estimators = {
        "IPS": InversePropensity(),
        "SNIPS": InversePropensity(normalised=True),
        "DM": DirectMethod(),
        "DR": DoublyRobust(),
        "SNDR": DoublyRobust(normalised=True),
        "Switch-DR": DoublyRobust(Switched(2.0)),
        "DRos": DoublyRobust(Shrunk(4.0)),
    }
    began = cpu_seconds()
    feedback = Feedback.from_table(table)
    _ = feedback.action_codes  # as obp is given them
    seconds = {"read and check": cpu_seconds() - began}
    values: dict[str, float] = {}
    for name, estimator in estimators.items():
        runs = []
        for _ in range(repeats):
            began = cpu_seconds()
            found = offpolicy.evaluate(feedback, data["policy"], estimator, rewards=data["rewards"])
            runs.append(cpu_seconds() - began)
        values[name], seconds[name] = found.value, float(np.median(runs))
    runs = []
    for _ in range(repeats):
        began = cpu_seconds()
        offpolicy.evaluate_each(feedback, data["policy"], tuple(estimators.values()), rewards=data["rewards"])
        runs.append(cpu_seconds() - began)
    seconds["all in one"] = float(np.median(runs))
    print(json.dumps({"seconds": seconds, "values": values}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
