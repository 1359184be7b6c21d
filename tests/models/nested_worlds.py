"""Choices from nested logits with known truth, and their law written out in JAX, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from revealed.choices import ChoiceLog, Columns

LABELS = ("a", "b", "c", "d", "e")
NESTS = {"one": ["a", "b"], "two": ["c", "d"]}
CROSSED = {"one": ["a", "b", "c"], "two": ["c", "d", "a"], "three": ["a", "e"]}
TASTES = np.array([1.0, -0.7, 0.4])
COLUMNS = Columns(person="who")


def choices(
    n_cases: int = 400,
    seed: int = 0,
    *,
    scales: Mapping[str, float] | None = None,
    nests: Mapping[str, Sequence[str]] = NESTS,
    shares: Mapping[tuple[str, str], float] | None = None,
    **more: Any,
) -> ChoiceLog:
    """Return choices among five alternatives with attributes x, y, z and the tastes ``TASTES``.

    A leaf (an alternative in a nest) is drawn: the nest by what it is worth, then the leaf by its share in it.
    ``varying=True`` leaves alternatives away at random and shuffles them; ``counts``, ``weight`` and ``available`` do
    what they say.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_cases, len(LABELS), 3))
    there = np.ones((n_cases, len(LABELS)), dtype=bool)
    if more.get("varying") or more.get("available"):
        there = rng.random((n_cases, len(LABELS))) < 0.7
        there[np.arange(n_cases), rng.integers(0, len(LABELS), n_cases)] = True
    probability = law(x @ TASTES, there, nests, scales or {}, shares or {})
    if more.get("counts"):
        chosen = rng.multinomial(rng.integers(1, 5, n_cases), probability)
    else:
        draw = (probability.cumsum(axis=1) < rng.random((n_cases, 1))).sum(axis=1)
        chosen = np.eye(len(LABELS), dtype=np.int64)[np.minimum(draw, len(LABELS) - 1)]
    table = pa.table(
        {
            "case": np.repeat(np.arange(n_cases), len(LABELS)),
            "who": np.repeat(np.arange(n_cases) // 4, len(LABELS)),
            "alternative": np.tile(LABELS, n_cases),
            "chosen": chosen.reshape(-1).astype(np.float64),
            "x": x[:, :, 0].reshape(-1),
            "y": x[:, :, 1].reshape(-1),
            "z": x[:, :, 2].reshape(-1),
            "weight": np.repeat(rng.integers(1, 4, n_cases).astype(float), len(LABELS)),
            "open": there.reshape(-1),
        }
    )
    if more.get("varying"):
        order = rng.permutation(table.num_rows)
        table = table.take(pa.array(order[there.reshape(-1)[order]]))
    roles = Columns(
        person="who",
        weight="weight" if more.get("weight") else None,
        available="open" if more.get("available") else None,
    )
    return ChoiceLog.from_table(table, roles, counts=bool(more.get("counts")), source="nested world")


def law(
    utility: np.ndarray,
    there: np.ndarray,
    nests: Mapping[str, Sequence[str]],
    scales: Mapping[str, float],
    shares: Mapping[tuple[str, str], float],
) -> np.ndarray:
    """Return choice probabilities (cases, alternatives), straight from the textbook's generating function."""
    alone = [label for label in LABELS if not any(label in inside for inside in nests.values())]
    worth, leaves = [], []
    for nest, inside in (*nests.items(), *((label, [label]) for label in alone)):
        scale = scales.get(nest, 1.0)
        share = np.array([shares.get((label, nest), float(label in inside)) for label in LABELS])
        power = np.where(there, (share * np.exp(utility)) ** scale, 0.0)
        total = power.sum(axis=1, keepdims=True)
        worth.append(total[:, 0] ** (1 / scale))
        leaves.append(power / np.where(total > 0, total, 1.0))
    among = np.array(worth) / np.sum(worth, axis=0)
    return np.asarray(np.einsum("mn,mnj->nj", among, np.array(leaves)))


def by_autodiff(
    log: ChoiceLog, params: np.ndarray, nests: Mapping[str, Sequence[str]], divided: Sequence[tuple[str, str]]
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the log-likelihood, the scores by case and the information of a cross-nested logit, by JAX.

    ``params`` are tastes for x, y and z, then a log-share for each of ``divided`` (alternative, nest), then the nest
    parameters.
    """
    import jax

    codes = np.array([LABELS.index(label) for label in log.table.column("alternative").to_pylist()])
    cases = np.repeat(np.arange(log.n_cases), log.sizes)
    x, there = np.zeros((log.n_cases, len(LABELS), 3)), np.zeros((log.n_cases, len(LABELS)), dtype=bool)
    chosen = np.zeros(there.shape)
    x[cases, codes] = np.column_stack([log.numbers(name) for name in "xyz"])
    there[cases, codes] = True if log.available is None else log.available
    chosen[cases, codes] = log.chosen * (1.0 if log.weights is None else log.weights[cases])
    with jax.enable_x64(True):
        compiled = _derivatives(tuple((nest, tuple(inside)) for nest, inside in nests.items()), tuple(divided))
        value, scores, curvature = (np.asarray(part) for part in compiled(params, x, there, chosen))
    return float(value.sum()), scores, -curvature.sum(axis=0)


@cache
def _derivatives(nests: tuple[tuple[str, tuple[str, ...]], ...], divided: tuple[tuple[str, str], ...]) -> Any:
    """Return value, score and second derivatives of each case's log-likelihood, compiled once for some nests."""
    import jax
    import jax.numpy as jnp

    alone = [label for label in LABELS if not any(label in inside for _, inside in nests)]
    groups = (*nests, *((label, (label,)) for label in alone))
    member = np.array([[label in inside for label in LABELS] for _, inside in groups])
    names = [nest for nest, _ in groups]
    places = [(names.index(nest), LABELS.index(label)) for label, nest in divided]

    def of_case(params: Any, x: Any, there: Any, chosen: Any) -> Any:
        tastes, logs, scales = jnp.split(params, [3, 3 + len(divided)])
        scales = jnp.concatenate([scales, jnp.ones(len(alone))])[:, None]
        weight = jnp.zeros(member.shape)
        for place, value in zip(places, logs, strict=True):
            weight = weight.at[place].set(value)
        share = weight - jnp.log(jnp.sum(member * jnp.exp(weight), axis=0))
        power = jnp.where(member & there, jnp.exp(scales * (x @ tastes + share)), 0.0)
        total = power.sum(axis=1, keepdims=True)
        known = jnp.where(total > 0, total, 1.0)
        worth = jnp.where(total > 0, known ** (1 / scales), 0.0)
        probability = (power / known * worth).sum(axis=0) / worth.sum()
        return jnp.sum(chosen * jnp.log(jnp.where(chosen > 0, probability, 1.0)))

    score = jax.grad(of_case)
    each = (None, 0, 0, 0)
    return jax.jit(lambda *given: tuple(jax.vmap(part, each)(*given) for part in (of_case, score, jax.jacfwd(score))))
