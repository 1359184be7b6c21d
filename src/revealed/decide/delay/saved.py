"""Ledgers of pending decisions in files, to the bit, without pickle: numpy's npz, or JSON. Imports its room and models.

In JSON the arrays go as base64 of their compressed little-endian bytes.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from revealed.decide.delay.hazard import law_of
from revealed.decide.delay.laws import law_from_dict
from revealed.decide.delay.live import Live
from revealed.decide.delay.naive import Naive
from revealed.decide.delay.nothing_yet import NothingYet
from revealed.decide.delay.options import LedgerOptions
from revealed.decide.delay.oracle import Oracle
from revealed.decide.delay.pending import PendingLedger
from revealed.decide.delay.treatment import Treatment
from revealed.decide.delay.truncated import DelayFit
from revealed.decide.delay.waiting import Waiting
from revealed.decide.delay.watch import LawOptions, LawWatch
from revealed.decide.delay.weighted import ElapsedWeighted, FakeNegativeWeighted
from revealed.errors import SpecificationError
from revealed.evidence import Status
from revealed.files import write_whole
from revealed.models.glm.model import KINDS, BayesianGLM

FORMAT = 2
TREATMENTS: tuple[type[Any], ...] = (NothingYet, Naive, Oracle, Waiting, FakeNegativeWeighted, ElapsedWeighted)

_WATCHED = ("ticket", "decided", "delay", "covariates")


def save_ledger(ledger: PendingLedger, path: str | PathLike[str]) -> Path:
    """Write a ledger, all or nothing.

    Raises
    ------
    SpecificationError
        If its treatment is not one of ours.
    """
    meta, arrays = _taken_apart(ledger)
    arrays["meta"] = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), np.uint8)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return write_whole(path, content.getvalue())


def load_ledger(path: str | PathLike[str]) -> PendingLedger:
    """Return the ledger that :func:`save_ledger` wrote.

    Raises
    ------
    SpecificationError
        If a newer version of the package wrote it.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return _put_together(json.loads(arrays["meta"].tobytes()), arrays)


def ledger_to_dict(ledger: PendingLedger) -> dict[str, Any]:
    """Return a ledger as JSON-ready data.

    Raises
    ------
    SpecificationError
        If its treatment is not one of ours.
    """
    meta, arrays = _taken_apart(ledger)
    return {**meta, "arrays": {name: packed(array) for name, array in arrays.items()}}


def ledger_from_dict(data: Mapping[str, Any]) -> PendingLedger:
    """Return the ledger that :func:`ledger_to_dict` wrote.

    Raises
    ------
    SpecificationError
        If a newer version of the package wrote it.
    """
    return _put_together(data, {name: unpacked(array) for name, array in data["arrays"].items()})


def packed(array: np.ndarray) -> dict[str, Any]:
    """Return an array as JSON-ready data."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    text = base64.b64encode(zlib.compress(little.tobytes())).decode("ascii")
    return {"type": little.dtype.str, "shape": list(array.shape), "zlib": text}


def unpacked(data: Mapping[str, Any]) -> np.ndarray:
    """Return the array that :func:`packed` packed."""
    try:
        content = zlib.decompress(base64.b64decode(data["zlib"], validate=True))
    except zlib.error as error:
        raise ValueError(f"an array that cannot be unpacked: {error}") from None
    cells = np.frombuffer(content, np.dtype(data["type"])).reshape(data["shape"])
    return cells.astype(cells.dtype.newbyteorder("="))


def _taken_apart(ledger: PendingLedger) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    hearing = ledger.hearing
    treatment, delays, book = hearing.treatment, hearing.watch.options, hearing.book
    if type(treatment) not in TREATMENTS:
        raise SpecificationError(f"a ledger with the treatment {treatment.name!r} cannot be written: it is not ours")
    meta = {
        "format": FORMAT,
        "treatment": {"name": treatment.name, **asdict(treatment)},  # type: ignore[call-overload]
        "delays": {**vars(delays), "law": None if delays.law is None else delays.law.to_dict()},
        "options": asdict(hearing.options),
        "model": hearing.start.to_dict(),
        "posterior": book.posterior.to_dict(),
        "settled": book.settled.to_dict(),
        "now": hearing.now if np.isfinite(hearing.now) else None,
        "n_too_late": ledger.n_too_late,
        "since_sweep": book.since_sweep,
        "watch": _of_watch(hearing.watch),
    }
    arrays = {f"live_{name}": array for name, array in hearing.live.arrays().items()}
    arrays |= {f"watch_{name}": getattr(hearing.watch, name) for name in _WATCHED}
    arrays["state"] = ledger.state[: ledger.n_decisions]
    return meta, arrays


def _put_together(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> PendingLedger:
    if meta.get("format") != FORMAT:
        raise SpecificationError(
            f"a ledger of format {meta.get('format')!r}, which this version does not know; use the version that wrote "
            "it, or a newer one"
        )
    law = None if meta["delays"]["law"] is None else law_from_dict(meta["delays"]["law"])
    ledger = PendingLedger(
        BayesianGLM.from_dict(meta["model"]),
        _treatment(meta["treatment"]),
        LawOptions(**{**meta["delays"], "law": law}),
        LedgerOptions(**meta["options"]),
    )
    hearing, book = ledger.hearing, ledger.hearing.book
    columns = {name.removeprefix("live_"): array for name, array in arrays.items() if name.startswith("live_")}
    hearing.live = book.live = Live.of(columns, hearing.start.n_params)
    book.posterior, book.settled = (
        KINDS[meta[part]["kind"]].from_dict(meta[part]) for part in ("posterior", "settled")
    )
    book.since_sweep, ledger.n_too_late = meta["since_sweep"], meta["n_too_late"]
    hearing.now = -np.inf if meta["now"] is None else meta["now"]
    ledger.state, ledger.n_decisions = arrays["state"], len(arrays["state"])
    for name in _WATCHED:
        setattr(hearing.watch, name, arrays[f"watch_{name}"])
    _into_watch(hearing.watch, meta["watch"])
    return ledger


def _treatment(data: Mapping[str, Any]) -> Treatment:
    kinds = {kind.name: kind for kind in TREATMENTS}
    treatment: Treatment = kinds[data["name"]](**{key: value for key, value in data.items() if key != "name"})
    return treatment


def _of_watch(watch: LawWatch) -> dict[str, Any]:
    data: dict[str, Any] = {"seen": watch.seen, "fitted_at": watch.fitted_at, "misfit": watch.misfit, "fit": None}
    if watch.fit is not None:
        fit = watch.fit
        data["fit"] = {
            "params": fit.params.tolist(),
            "covariance": fit.covariance.tolist(),
            "n_answers": fit.n_answers,
            "status": fit.status.to_dict(),
            "names": list(fit.names),
        }
    return data


def _into_watch(watch: LawWatch, data: Mapping[str, Any]) -> None:
    watch.seen, watch.fitted_at, watch.misfit = data["seen"], data["fitted_at"], data["misfit"]
    if data["fit"] is not None:
        fit = data["fit"]
        params, covariance = np.array(fit["params"]), np.array(fit["covariance"])
        law, status = law_of(params, watch.options.family), Status.from_dict(fit["status"])
        watch.fit = DelayFit(law, params, covariance, fit["n_answers"], status, tuple(fit["names"]))
