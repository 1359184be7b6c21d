"""Demand fitted to market shares as JSON-ready data and back, without pickle. Imports its own room and evidence.

The file holds the tables of products and agents as well, whole, since mark-ups, mergers and all else are of these
markets. Each is an Arrow stream in base64: every column keeps its type and every number its bits.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from revealed.errors import RevealedError
from revealed.evidence import Status
from revealed.files import names_to_numbers, numbers_to_names
from revealed.models.blp.fit import BlpFit
from revealed.models.blp.markets import Markets
from revealed.models.blp.model import Blp
from revealed.models.blp.problem import Point
from revealed.models.blp.shares import ContractionOptions

#: What a file says it is, and the version of its form.
KIND = "demand on market shares"
FORMAT = 1

_PLAIN = ("objective", "n_moments")


def data_of(fit: BlpFit) -> dict[str, Any]:
    """Return all of a fit, its markets included, as JSON-ready data."""
    tastes, point, markets = fit.problem.tastes, fit.point, fit.markets
    spread = np.zeros((len(tastes.random),) * 2)
    spread[:, list(tastes.draws)] = tastes.start[:, : len(tastes.draws)]
    data = {
        "kind": KIND,
        "format": FORMAT,
        "model": asdict(fit.model),
        "products": _text_of(markets.products),
        "agents": _text_of(markets.agents),
        "sigma": spread.tolist(),
        "pi": tastes.start[:, len(tastes.draws) :].tolist(),
        "names": list(fit.names),
        "params": fit.params.tolist(),
        "covariance": fit.covariance.tolist(),
        "xi": fit.xi.tolist(),
        "omega": None if fit.omega is None else fit.omega.tolist(),
        "point": {
            "params": point.params.tolist(),
            "delta": point.delta.tolist(),
            "markups": None if point.markups is None else point.markups.tolist(),
            "left": [part[:, 0].tolist() for part in point.left],
            "residual": point.residual,
            "evaluations": point.evaluations,
            "floored": point.floored,
        },
        **{name: getattr(fit, name) for name in _PLAIN},
        "objectives": list(fit.objectives),
        "status": fit.status.to_dict(),
    }
    return dict(numbers_to_names(data))


def fit_of(data: Mapping[str, Any]) -> BlpFit:
    """Return the fit of :func:`data_of`.

    Raises
    ------
    RevealedError
        If the data are of something else, or of a newer version.
    KeyError, TypeError, ValueError
        If parts are missing or spoiled.
    """
    if data.get("kind") != KIND:
        raise RevealedError(
            "this is no saved demand on market shares; save one with fit.save(path) or revealed blp --out"
        )
    if data["format"] != FORMAT:
        raise RevealedError(
            f"this fit was saved in format {data['format']}, this version reads {FORMAT}; fit again or upgrade"
        )
    data = names_to_numbers(dict(data))
    model = _model_of(data["model"])
    markets = Markets.read(_table_of(data["products"]), _table_of(data["agents"]))
    random = len(model.terms()[1])
    sigma = np.array(data["sigma"], dtype=np.float64).reshape(random, random)
    pi = np.array(data["pi"], dtype=np.float64).reshape(random, -1)
    problem = model.problem(markets, sigma, pi)
    point = _point_of(data["point"])
    params, names = np.array(data["params"], dtype=np.float64), tuple(data["names"])
    n = len(markets.shares)
    if not len(params) == len(names) or len(point.delta) != n or len(data["xi"]) != n:
        raise ValueError("estimates and markets do not go together")
    return BlpFit(
        model=model,
        problem=problem,
        point=point,
        names=names,
        params=params,
        covariance=np.array(data["covariance"], dtype=np.float64).reshape(len(names), len(names)),
        xi=np.array(data["xi"], dtype=np.float64),
        omega=None if data["omega"] is None else np.array(data["omega"], dtype=np.float64),
        **{name: data[name] for name in _PLAIN},
        objectives=tuple(data["objectives"]),
        status=Status.from_dict(data["status"]),
    )


def _model_of(data: Mapping[str, Any]) -> Blp:
    lists = {name: tuple(data[name]) for name in ("absorb", "absorb_costs")}
    return Blp(**{**data, **lists, "contraction": ContractionOptions(**data["contraction"])})


def _point_of(data: Mapping[str, Any]) -> Point:
    return Point(
        params=np.array(data["params"], dtype=np.float64),
        delta=np.array(data["delta"], dtype=np.float64),
        markups=None if data["markups"] is None else np.array(data["markups"], dtype=np.float64),
        left=tuple(np.array(part, dtype=np.float64)[:, None] for part in data["left"]),
        residual=data["residual"],
        evaluations=data["evaluations"],
        floored=data["floored"],
    )


def _text_of(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue()).decode("ascii")


def _table_of(text: str) -> pa.Table:
    try:
        return pa.ipc.open_stream(base64.b64decode(text, validate=True)).read_all()
    except (binascii.Error, pa.ArrowException) as error:
        raise ValueError(f"a table is no Arrow stream in base64: {error}") from None
