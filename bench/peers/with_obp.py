"""The Open Bandit Pipeline's off-policy estimators. Usage: FILE.npz REPEATS [values]. Imports numpy and obp.

obp 0.4.1 imports torch for the types of tensors that nobody here passes; where torch is not installed a stand-in gives
it the names. Install: pip install --no-deps obp==0.4.1, and scikit-learn, pandas, matplotlib, seaborn, pyyaml, tqdm.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import sys
import types
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.peers.measure import cpu_seconds, pin_threads


class _Anything(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name


class _Name(metaclass=_Anything):
    def __init__(self, *given: Any, **named: Any) -> None: ...


class _StandIn(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012  (what makes it a package)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stand-ins for what obp imports and does not need here."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None: ...


def main(file: Path, repeats: int, *, values_only: bool) -> None:
    """Estimate with each of them and print seconds and values as a line of JSON."""
    pin_threads()
    lacking = [name for name in ("torch", "mypy_extensions") if find_spec(name) is None]
    sys.meta_path.append(_Finder(lacking))
    import numpy as np
    from obp import __version__, ope

    data = dict(np.load(file))
    n_rows = len(data["action"])
    each, rewards = data["policy"][:, :, None], data["rewards"][:, :, None]
    place = np.zeros(n_rows, dtype=int)
    logged = {"reward": data["reward"], "action": data["action"], "position": place, "pscore": data["propensity"]}
    model = {"estimated_rewards_by_reg_model": rewards}
    single: dict[str, tuple[Any, dict[str, Any]]] = {
        "IPS": (ope.InverseProbabilityWeighting(), {**logged, "action_dist": each}),
        "SNIPS": (ope.SelfNormalizedInverseProbabilityWeighting(), {**logged, "action_dist": each}),
        "DM": (ope.DirectMethod(), {"position": place, "action_dist": each, **model}),
        "DR": (ope.DoublyRobust(), {**logged, "action_dist": each, **model}),
        "SNDR": (ope.SelfNormalizedDoublyRobust(), {**logged, "action_dist": each, **model}),
        "Switch-DR": (ope.SwitchDoublyRobust(tau=2.0), {**logged, "action_dist": each, **model}),
        "DRos": (ope.DoublyRobustWithShrinkage(lambda_=4.0), {**logged, "action_dist": each, **model}),
    }
    seconds: dict[str, float] = {}
    values: dict[str, float] = {}
    for name, (estimator, given) in single.items():
        runs = []
        for _ in range(repeats):
            began = cpu_seconds()
            values[name] = float(estimator.estimate_policy_value(**given))
            runs.append(cpu_seconds() - began)
        seconds[name] = float(np.median(runs))
    with_interval: dict[str, float] = {}
    ends: dict[str, list[float]] = {}
    for name, (estimator, given) in () if values_only else single.items():
        began = cpu_seconds()
        drawn = estimator.estimate_interval(**given, n_bootstrap_samples=100, random_state=0)  # 100: what its ope draws
        with_interval[name] = seconds[name] + cpu_seconds() - began
        ends[name] = [float(drawn["95.0% CI (lower)"]), float(drawn["95.0% CI (upper)"])]
    found = {"seconds": seconds, "with_interval": with_interval, "values": values, "ends": ends}
    print(json.dumps({"name": "obp", "version": __version__, **found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), values_only=sys.argv[3:] == ["values"])
