"""econirl's nested fixed point on Rust's buses. Usage: GROUP (0 for all). Imports econirl and numpy only."""

from __future__ import annotations

import json
import sys

from bench.peers.measure import cpu_seconds, peak_gib, pin_threads

pin_threads()

import numpy as np  # noqa: E402

GROUPS = {0: (1, 2, 3, 4), 4: (4,)}


def main(group: str) -> None:
    """Estimate, and print a line of JSON."""
    began = cpu_seconds()
    from econirl import NFXP, __version__
    from econirl.datasets import rust_bus_reward_spec
    from econirl.datasets.rust_bus import load_rust_bus

    imported = cpu_seconds() - began
    data = load_rust_bus(original=True)
    data = data[data["group"].isin(GROUPS[int(group)])].copy()
    began = cpu_seconds()
    model = NFXP(n_states=90, discount=0.9999, utility=rust_bus_reward_spec(90))
    model.fit(data=data, state="mileage_bin", action="replaced", id="bus_id")
    fitted = cpu_seconds() - began
    params = {str(name): float(np.asarray(value)) for name, value in dict(model.params_).items()}
    found = {
        "version": __version__,
        "import": imported,
        "fit": fitted,
        "peak": peak_gib(),
        "params": params,
        "log_likelihood": float(getattr(model, "log_likelihood_", np.nan)),
        "rows": len(data),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
