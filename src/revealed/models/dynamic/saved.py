"""Fits of decision processes as JSON-ready data and back, without pickle. Imports its own room, models and evidence."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from revealed.errors import RevealedError
from revealed.evidence import Evidence, Status
from revealed.files import names_to_numbers, numbers_to_names
from revealed.models.design import Design
from revealed.models.dynamic.draws import Draws, TypeShares, packed, unpacked
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward, log_of_states
from revealed.models.dynamic.solve import solved
from revealed.models.dynamic.space import StateSpace

#: What a file says it is, and the version of its form.
KIND = "dynamic fit"
FORMAT = 1

_PLAIN = ("method", "citation", "n_observations", "n_persons", "transition_log_likelihood", "errors")


def data_of(fit: DynamicFit) -> dict[str, Any]:
    """Return all of a fit but its ledger of persons, and the steps it took, as JSON-ready data."""
    data = {
        "kind": KIND,
        "format": FORMAT,
        **{name: getattr(fit, name) for name in _PLAIN},
        "process": _data_of_process(fit.process),
        "design": fit.linear.design.to_dict(),
        "counts": fit.linear.counts.tolist(),
        "formulas": dict(fit.formulas),
        "params": fit.params.tolist(),
        "free": fit.free.tolist(),
        "evidence": fit.evidence.to_dict(),
        "status": fit.status.to_dict(),
        "covariances": {kind: matrix.tolist() for kind, matrix in fit.covariances.items()},
        "value": fit.solution.value.tolist(),
        "assumptions": list(fit.assumptions),
        "remarks": list(fit.remarks),
        "types": None if fit.types is None else _data_of_types(fit.types),
        "draws": None if fit.draws is None else _data_of_draws(fit.draws),
        "first_states": None if fit.first_states is None else fit.first_states.tolist(),
    }
    return dict(numbers_to_names(data))


def fit_of(data: Mapping[str, Any]) -> DynamicFit:
    """Return the fit of :func:`data_of`; its process is solved again, from the values saved.

    Raises
    ------
    RevealedError
        If the data are of something else, or of a newer version.
    KeyError, TypeError, ValueError
        If parts are missing or spoiled.
    """
    if data.get("kind") != KIND:
        raise RevealedError("this is no saved dynamic fit; save one with fit.save(path) or revealed dynamic --out")
    if data["format"] != FORMAT:
        raise RevealedError(
            f"this fit was saved in format {data['format']}, this version reads {FORMAT}; fit again or upgrade"
        )
    data = names_to_numbers(dict(data))
    if data["errors"] not in data["covariances"]:
        raise ValueError(f"no standard errors {data['errors']!r}")
    process = _process_of(data["process"])
    counts = np.array(data["counts"], dtype=np.float64)
    log = log_of_states(process.space, process.actions, counts, process.available, process.attributes)
    linear = LinearReward(Design.from_dict(data["design"]), log)
    params = np.array(data["params"], dtype=np.float64)
    start = np.array(data["value"], dtype=np.float64)
    return DynamicFit(
        **{name: data[name] for name in _PLAIN},
        process=process,
        linear=linear,
        formulas=dict(data["formulas"]),
        params=params,
        free=np.array(data["free"], dtype=bool),
        evidence=Evidence.from_dict(data["evidence"]),
        status=Status.from_dict(data["status"]),
        covariances={kind: np.array(matrix, dtype=np.float64) for kind, matrix in data["covariances"].items()},
        solution=solved(process, linear.of(params), start if process.horizon is None else None),
        assumptions=tuple(data["assumptions"]),
        remarks=tuple(data["remarks"]),
        types=_types_of(data.get("types"), params),  # files of earlier versions have none of these
        draws=_draws_of(data.get("draws"), process, params),
        first_states=_first_states_of(data.get("first_states"), process),
    )


def _first_states_of(data: list[float] | None, process: DecisionProcess) -> np.ndarray | None:
    found = None if data is None else np.array(data, dtype=np.float64)
    if found is not None and (found.shape != (process.n_states,) or not (found >= 0).all()):
        raise ValueError(f"no counts of who began in {process.n_states} states")
    return found


def _data_of_types(types: TypeShares) -> dict[str, Any]:
    spread = {kind: matrix.tolist() for kind, matrix in types.covariances.items()}
    return {"shares": types.shares.tolist(), "covariances": spread, "log_likelihood": types.log_likelihood}


def _types_of(data: Mapping[str, Any] | None, params: np.ndarray) -> TypeShares | None:
    if data is None:
        return None
    shares = np.array(data["shares"], dtype=np.float64)
    covariances = {kind: np.array(matrix, dtype=np.float64) for kind, matrix in data["covariances"].items()}
    size = len(params) + len(shares) - 1
    if any(matrix.shape != (size, size) for matrix in covariances.values()):
        raise ValueError(f"covariances of other than {size} parameters and shares")
    return TypeShares(shares, covariances, float(data["log_likelihood"]))


def _data_of_draws(draws: Draws) -> dict[str, Any]:
    moves = None
    if draws.transitions is not None:
        wheres, numbers = packed(draws.transitions)
        moves = [
            {"starts": where.indptr.tolist(), "states": where.indices.tolist(), "probabilities": _deflated(each)}
            for where, each in zip(wheres, numbers, strict=True)
        ]
    return {
        "params": draws.params.tolist(),
        "transitions": moves,
        "failed": draws.failed,
        "shares": None if draws.shares is None else draws.shares.tolist(),
    }


def _draws_of(data: Mapping[str, Any] | None, process: DecisionProcess, params: np.ndarray) -> Draws | None:
    if data is None:
        return None
    drawn = np.array(data["params"], dtype=np.float64).reshape(-1, len(params))
    transitions = None
    if data["transitions"] is not None:
        shape = (process.n_states, process.n_states)
        wheres = [
            sparse.csr_array((np.ones(len(each["states"])), np.array(each["states"]), np.array(each["starts"])), shape)
            for each in data["transitions"]
        ]
        numbers = [_inflated(each["probabilities"], len(drawn)) for each in data["transitions"]]
        transitions = unpacked(wheres, numbers)
    shares = None if data["shares"] is None else np.array(data["shares"], dtype=np.float64)
    return Draws(drawn, transitions, int(data["failed"]), shares)


def _deflated(numbers: np.ndarray) -> str:
    """Return an array as text that is short where numbers come again and again, as in transitions by increments."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(numbers.T, dtype="<f8").tobytes())).decode()


def _inflated(text: str, draws: int) -> np.ndarray:
    try:
        found = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f8")
    except zlib.error as error:
        raise ValueError(f"probabilities of draws: {error}") from None
    return np.array(found.reshape(-1, draws).T, dtype=np.float64)


def _data_of_process(process: DecisionProcess) -> dict[str, Any]:
    return {
        "space": process.space.to_dict(),
        "actions": list(process.actions),
        "discount": process.discount,
        "horizon": process.horizon,
        "scale": process.scale,
        "available": None if process.available is None else process.available.tolist(),
        "attributes": {name: values.tolist() for name, values in process.attributes.items()},
        "transitions": [
            {"starts": matrix.indptr.tolist(), "states": matrix.indices.tolist(), "probabilities": matrix.data.tolist()}
            for matrix in process.transitions
        ],
    }


def _process_of(data: Mapping[str, Any]) -> DecisionProcess:
    space = StateSpace.from_dict(data["space"])
    shape = (space.n_states, space.n_states)
    matrices = tuple(
        sparse.csr_array((np.array(each["probabilities"]), np.array(each["states"]), np.array(each["starts"])), shape)
        for each in data["transitions"]
    )
    return DecisionProcess(
        space,
        tuple(data["actions"]),
        matrices,
        data["discount"],
        data["horizon"],
        None if data["available"] is None else np.array(data["available"], dtype=bool),
        data["scale"],
        {name: np.array(values, dtype=np.float64) for name, values in data["attributes"].items()},
    )
