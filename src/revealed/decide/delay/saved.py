"""Ledgers of pending decisions in files, to the bit: numpy's npz, without pickle. Imports its own room and models."""

from __future__ import annotations

import io
import json
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
from revealed.decide.delay.oracle import Oracle
from revealed.decide.delay.pending import LedgerOptions, PendingLedger
from revealed.decide.delay.treatment import Treatment
from revealed.decide.delay.truncated import DelayFit
from revealed.decide.delay.waiting import Waiting
from revealed.decide.delay.watch import LawOptions, LawWatch
from revealed.decide.delay.weighted import ElapsedWeighted, FakeNegativeWeighted
from revealed.errors import SpecificationError
from revealed.evidence import Status
from revealed.files import write_whole
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.model import BayesianGLM

FORMAT = 1
TREATMENTS: tuple[type[Any], ...] = (NothingYet, Naive, Oracle, Waiting, FakeNegativeWeighted, ElapsedWeighted)

_WATCHED = ("ticket", "decided", "delay", "covariates")


def save_ledger(ledger: PendingLedger, path: str | PathLike[str]) -> Path:
    """Write a ledger, all or nothing.

    Raises
    ------
    SpecificationError
        If its treatment is not one of ours.
    """
    if type(ledger.treatment) not in TREATMENTS:
        raise SpecificationError(
            f"a ledger with the treatment {ledger.treatment.name!r} cannot be written: it is not ours"
        )
    delays = ledger.watch.options
    meta = {
        "format": FORMAT,
        "treatment": {"name": ledger.treatment.name, **asdict(ledger.treatment)},  # type: ignore[call-overload]
        "delays": {**vars(delays), "law": None if delays.law is None else delays.law.to_dict()},
        "options": asdict(ledger.options),
        "model": ledger.start.to_dict(),
        "now": ledger.now if np.isfinite(ledger.now) else None,
        "n_too_late": ledger.n_too_late,
        "since_sweep": ledger.book.since_sweep,
        "watch": _of_watch(ledger.watch),
    }
    arrays = {f"live_{name}": array for name, array in ledger.live.arrays().items()}
    arrays |= {f"watch_{name}": getattr(ledger.watch, name) for name in _WATCHED}
    for name, posterior in (("posterior", ledger.book.posterior), ("settled", ledger.book.settled)):
        arrays |= {f"{name}_precision": posterior.precision, f"{name}_shift": posterior.shift}
    arrays["state"] = ledger.state[: ledger.n_decisions]
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
    meta = json.loads(arrays["meta"].tobytes())
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
    ledger.live = ledger.book.live = Live.of(
        {name.removeprefix("live_"): array for name, array in arrays.items() if name.startswith("live_")}
    )
    ledger.book.posterior = FullPosterior(arrays["posterior_precision"], arrays["posterior_shift"])
    ledger.book.settled = FullPosterior(arrays["settled_precision"], arrays["settled_shift"])
    ledger.book.since_sweep, ledger.n_too_late = meta["since_sweep"], meta["n_too_late"]
    ledger.now = -np.inf if meta["now"] is None else meta["now"]
    ledger.state, ledger.n_decisions = arrays["state"], len(arrays["state"])
    for name in _WATCHED:
        setattr(ledger.watch, name, arrays[f"watch_{name}"])
    _into_watch(ledger.watch, meta["watch"])
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
