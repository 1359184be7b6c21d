"""Ours, measured as obp's estimators are. Usage: FILE.npz REPEATS [values]. Imports the package as a user would."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.peers.measure import cpu_seconds, pin_threads


def barest(data: dict[str, Any], codes: Any, *, check: bool) -> float:
    """Return inverse propensity's value and nothing else, in blocks, as plain numpy: what our pass cannot go below.

    Parameters
    ----------
    data : dict
        The log, the policy among it.
    codes : array of int, shape (rows,)
        What was shown.
    check : bool
        Look whether the policy's rows are probabilities that sum to one.
    """
    import numpy as np

    policy, total, size = data["policy"], 0.0, 32_768
    ones, starts = np.ones(policy.shape[1]), np.arange(size) * policy.shape[1]
    for start in range(0, len(policy), size):
        rows = slice(start, min(start + size, len(policy)))
        block = policy[rows]
        if check:
            sums = block @ ones
            assert sums.max() < 1 + 1e-6
            assert sums.min() > 1 - 1e-6
            assert block.min() >= 0
        shown = block.ravel().take(starts[: len(block)] + codes[rows], mode="clip")
        total += float((shown / data["propensity"][rows]) @ data["reward"][rows])
    return total / len(policy)


def main(file: Path, repeats: int, *, values_only: bool) -> None:
    """Estimate one at a time and all in one call, and print seconds, values and intervals as a line of JSON."""
    pin_threads()
    import numpy as np
    import pyarrow as pa

    from revealed.answer.offpolicy import (
        Bootstrap,
        DirectMethod,
        DoublyRobust,
        InversePropensity,
        Shrunk,
        Switched,
        asked_once,
        evaluate,
        evaluate_each,
    )
    from revealed.choices.feedback import Feedback

    def timed(work: Callable[[], Any]) -> tuple[float, Any]:
        """Return the median seconds of some work, and what it gave."""
        runs = []
        for _ in range(repeats):
            began = cpu_seconds()
            found = work()
            runs.append(cpu_seconds() - began)
        return float(np.median(runs)), found

    data = dict(np.load(file))
    policy, rewards = data["policy"], data["rewards"]
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
    more = {"read and check": cpu_seconds() - began}
    seconds: dict[str, float] = {}
    bootstrapped: dict[str, float] = {}
    values: dict[str, float] = {}
    ends: dict[str, list[float]] = {}
    for name, estimator in estimators.items():
        seconds[name], found = timed(partial(evaluate, feedback, policy, estimator, rewards=rewards))
        values[name] = found.value
        if values_only:
            continue
        began = cpu_seconds()
        drawn = evaluate(feedback, policy, estimator, rewards=rewards, interval=Bootstrap(draws=100))
        bootstrapped[name] = cpu_seconds() - began
        ends[name] = [drawn.low, drawn.high]
    each = tuple(estimators.values())
    more["all in one"], _ = timed(partial(evaluate_each, feedback, policy, each, rewards=rewards))
    more["ask once"], asked = timed(partial(asked_once, feedback, policy))
    once = {}
    for name, estimator in estimators.items():
        once[name], found = timed(partial(evaluate, feedback, asked, estimator, rewards=rewards))
        assert found.value == values[name]
    more["read the policy once"], _ = timed(policy.max)
    more["barest"], _ = timed(partial(barest, data, feedback.action_codes, check=False))
    more["barest with a check"], _ = timed(partial(barest, data, feedback.action_codes, check=True))
    more["bytes of the policy"] = float(policy.nbytes)
    found = {
        "seconds": seconds,
        "once": once,
        "bootstrapped": bootstrapped,
        "values": values,
        "ends": ends,
        "more": more,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), values_only=sys.argv[3:] == ["values"])
