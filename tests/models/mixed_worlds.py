"""Worlds of people with tastes of their own, and the mixed logit written out another way, for tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import ndtri

from revealed.choices import ChoiceLog, Columns, Partition
from revealed.models import Mixed
from revealed.models.mixed.law import MixedLaw
from revealed.models.mixed.worth import WorthCoefficients

COLUMNS = Columns(case="case", alternative="alternative", chosen="chosen", person="person")

#: Kinds of logs.
WORLDS: dict[str, dict[str, Any]] = {
    "panel": {},
    "alone": {"alone": True},
    "available": {"available": True},
    "counts": {"counts": True, "available": True},
    "weights": {"weight": True},
}
#: Models with a point to look at them: coefficients as they enter the utility, and as worths.
SPECS: dict[str, tuple[Mixed, list[float]]] = {
    "normal": (Mixed("x + y + z", random={"x": "normal", "z": "normal"}, draws=20), [0.8, -0.5, 0.3, 0.7, 0.4]),
    "skewed": (
        Mixed("x + y + z", random={"x": "lognormal", "y": "truncated-", "z": "lognormal-"}, draws=20, kind="halton"),
        [-0.3, 0.5, -1.0, 0.6, 0.8, 0.3],
    ),
    "bounded": (
        Mixed("x + y + z", random={"y": "triangular", "x": "uniform", "z": "truncated"}, draws=20, seed=5),
        [0.8, -0.5, -0.3, 0.7, 0.4, 0.5],
    ),
    "correlated": (
        Mixed(
            "x + y + z",
            random={"x": "normal", "y": "uniform", "z": "lognormal"},
            correlated=["x", "z"],
            draws=20,
        ),
        [0.8, -0.5, -0.3, 0.3, 0.7, -0.4, 0.5],
    ),
}
WORTH_SPECS: dict[str, tuple[Mixed, list[float]]] = {
    "cost the same for all": (
        Mixed("x + y + z", random={"x": "normal", "z": "uniform"}, worth_in="y", draws=20),
        [0.8, -0.5, 0.3, 0.7, 0.4],
    ),
    "cost log-normal": (
        Mixed("x + y + z", random={"x": "normal", "y": "lognormal-"}, worth_in="y", draws=20),
        [0.8, -0.5, 0.3, 0.7, 0.4],
    ),
    "skewed worths": (
        Mixed(
            "x + y + z",
            random={"y": "lognormal-", "x": "lognormal", "z": "truncated-"},
            worth_in="y",
            draws=20,
            kind="halton",
        ),
        [-0.3, -0.4, 0.5, 0.6, 0.8, 0.3],
    ),
    "cost truncated": (
        Mixed("x + y + z", random={"y": "truncated-", "x": "triangular"}, worth_in="y", draws=20),
        [0.8, 0.9, 0.3, 0.7, 0.4],
    ),
    "all correlated": (
        Mixed(
            "x + y + z",
            random={"x": "normal", "y": "lognormal-", "z": "lognormal"},
            correlated=["x", "y", "z"],
            worth_in="y",
            draws=20,
        ),
        [0.8, -0.5, -0.3, 0.7, -0.4, 0.5, 0.2, 0.1, 0.3],
    ),
    "skewed, cost the same": (
        Mixed("x + y + z", random={"x": "lognormal", "z": "truncated"}, worth_in="y", draws=20),
        [-0.2, -0.9, 0.3, 0.7, 0.4],
    ),
}


def people(n_persons: int, seed: int, **options: Any) -> ChoiceLog:
    """Return one to five choices each of some people, in mixed order, between two to four alternatives."""
    random = np.random.default_rng(seed)
    person = random.permutation(np.repeat(np.arange(n_persons), random.integers(1, 6, n_persons)))
    n_cases = len(person)
    sizes = random.integers(2, 5, n_cases)
    case = np.repeat(np.arange(n_cases), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    place = np.arange(len(case)) - starts[case]
    x, y, z = random.normal(size=(3, len(case)))
    draw = 0.8 * x - 0.5 * y + 0.3 * z + random.gumbel(size=len(case))
    best = np.array([a + np.argmax(draw[a:b]) for a, b in pairwise(starts)])
    chosen = np.isin(np.arange(len(case)), best)
    open_ = (random.random(len(case)) < 0.8) | chosen
    values: np.ndarray = chosen
    if options.get("counts"):
        values = random.poisson(0.6, len(case)) + chosen
        open_ |= values > 0
    table = pa.table(
        {
            "case": case,
            "person": person[case],
            "alternative": np.array(list("abcd"))[place],
            "chosen": values,
            "x": x,
            "y": y,
            "z": np.where(open_, z, np.nan) if options.get("available") else z,
            "open": open_,
            "weight": random.integers(1, 4, n_cases).astype(float)[case],
        }
    )
    columns = COLUMNS
    if options.get("available"):
        columns = replace(columns, available="open")
    if options.get("weight"):
        columns = replace(columns, weight="weight")
    if options.get("alone"):
        columns = replace(columns, person=None)
    return ChoiceLog.from_table(table, columns, counts=bool(options.get("counts")))


def everything(log: ChoiceLog) -> Partition:
    """Return the whole log."""
    return Partition(log, 0, log.n_cases)


def coefficients_by_hand(law: MixedLaw, params: np.ndarray, label: str) -> np.ndarray:
    """Return the coefficients of one person at each draw, shape (columns, draws)."""
    space, at = law.coefficients, dict(zip(law.names, params, strict=True))
    spec = space.plain if isinstance(space, WorthCoefficients) else space
    uniform = law.draws.uniform(law.draws.keys([label]), len(spec.random))[0]
    out = np.repeat(params[: len(spec.columns), None], uniform.shape[1], axis=1)
    names = list(spec.random)
    for a, name in enumerate(names):
        family, u, location = spec.random[name], uniform[a], at[name]
        sign = -1.0 if family.endswith("-") else 1.0
        if name in spec.correlated:
            inside = [other for other in names[: a + 1] if other in spec.correlated]
            spread = sum(at[f"chol[{name}:{other}]"] * ndtri(uniform[names.index(other)]) for other in inside)
        else:
            scale = at[f"sd[{name}]"]
            spread = scale * ndtri(u)
        row = spec.columns.index(name)
        if family == "normal":
            out[row] = location + spread
        elif family.startswith("lognormal"):
            out[row] = sign * np.exp(location + spread)
        elif family == "uniform":
            out[row] = location + scale * (2 * u - 1) * np.sqrt(3)
        elif family == "triangular":
            out[row] = location + scale * np.sqrt(6) * np.where(u < 0.5, np.sqrt(2 * u) - 1, 1 - np.sqrt(2 - 2 * u))
        else:
            from scipy.stats import truncnorm

            out[row] = sign * truncnorm(-location / scale, np.inf, location, scale).ppf(u)
    if isinstance(space, WorthCoefficients):
        cost = spec.columns.index(space.cost)
        return np.array([value if k == cost else -out[cost] * value for k, value in enumerate(out)])
    return out


def log_likelihoods_by_hand(law: MixedLaw, log: ChoiceLog, params: np.ndarray) -> dict[str, float]:
    """Return the simulated log-likelihood of each person, case by case and without weights of persons."""
    x = np.nan_to_num(law.design.matrix(log))
    labels = log.case_labels if log.columns.person is None else log.first_cells("person")
    found: dict[str, np.ndarray] = {}
    betas: dict[str, np.ndarray] = {}
    for case in range(log.n_cases):
        label = str(labels[case])
        if label not in found:
            betas[label] = coefficients_by_hand(law, params, label)
            found[label] = np.zeros(betas[label].shape[1])
        rows = slice(log.offsets[case], log.offsets[case + 1])
        utility = x[:, rows].T @ betas[label]
        if log.available is not None:
            utility[~log.available[rows]] = -np.inf
        logs = utility - np.logaddexp.reduce(utility, axis=0)
        counts = log.chosen[rows]
        found[label] += (counts[counts > 0, None] * logs[counts > 0]).sum(axis=0)
    return {label: float(np.logaddexp.reduce(of_draw) - np.log(len(of_draw))) for label, of_draw in found.items()}
