"""A feature space as JSON-ready data, and back. Imports its own room and errors.

Whole numbers go as base64 of their little-endian bytes: a million parameters make ten megabytes, not forty.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from revealed.errors import SpecificationError
from revealed.models.glm.features.ledger import PAIR, Extent, Ledger, News
from revealed.models.glm.features.terms import Field, Specification, Term

#: Raised when what is written changes; files of a newer version are refused.
VERSION = 1


def to_dict(ledger: Ledger, extent: Extent) -> dict[str, Any]:
    """Return JSON-ready data of a part of a ledger."""
    specification = ledger.specification
    buckets = []
    for bucket, (n_taken, n_shared) in zip(ledger.buckets.values(), extent.buckets, strict=True):
        taken, owner = bucket.taken(n_taken)
        buckets.append(
            {
                "taken": _packed(taken),
                "owner": _packed(owner.view(np.int64)),
                "shared": _packed(bucket.shared(n_shared)),
            }
        )
    return {
        "what": "revealed feature space",
        "version": VERSION,
        "fields": [
            {
                "name": item.name,
                "categorical": item.categorical,
                "optional": item.optional,
                "bits": item.bits,
                "expression": item.expression,
            }
            for item in specification.fields
        ],
        "terms": [
            {"factors": list(term.factors), "name": term.name, "group": term.group, "bits": term.bits}
            for term in specification.terms
        ],
        "groups": list(specification.group_names),
        "labels": [mine[:n] for mine, n in zip(ledger.labels, extent.labels, strict=True)],
        "params": {
            "term": _packed(ledger.term_of(0, extent.n_grown)),
            "key": _packed(np.array(ledger.keys[: extent.n_grown], np.int64)),
        },
        "buckets": buckets,
    }


def from_dict(data: Mapping[str, Any]) -> Ledger:
    """Return the ledger that :func:`to_dict` wrote.

    Raises
    ------
    SpecificationError
        For data of a newer version, or that are damaged.
    """
    if not isinstance(data, Mapping) or data.get("what") != "revealed feature space":
        raise SpecificationError("this is not a saved feature space")
    if data.get("version") != VERSION:
        raise SpecificationError(
            f"a feature space of version {data.get('version')!r}; this package reads {VERSION}; use "
            "the one that wrote it"
        )
    try:
        ledger = Ledger(_specification(data))
        _fill(ledger, data)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise SpecificationError(f"a damaged feature space ({type(error).__name__}: {error}); save it again") from None
    return ledger


def _specification(data: Mapping[str, Any]) -> Specification:
    fields = tuple(
        Field(
            str(item["name"]), bool(item["categorical"]), bool(item["optional"]), int(item["bits"]), item["expression"]
        )
        for item in data["fields"]
    )
    groups = tuple(str(name) for name in data["groups"])
    terms = []
    for term in data["terms"]:
        factors, bits, group = tuple(int(i) for i in term["factors"]), int(term["bits"]), int(term["group"])
        if not (all(0 <= i < len(fields) for i in factors) and len(factors) <= 2 and 0 <= group < len(groups)):
            raise ValueError(f"the term {term['name']!r}")
        n_fixed = 2**bits if bits else int(not any(fields[i].categorical for i in factors))
        terms.append(Term(factors, str(term["name"]), group, bits, n_fixed))
    return Specification(fields, tuple(terms), groups)


def _fill(ledger: Ledger, data: Mapping[str, Any]) -> None:
    specification = ledger.specification
    labels = [(i, list(mine)) for i, mine in enumerate(data["labels"])]
    if len(labels) != len(specification.fields):
        raise ValueError("labels of other fields")
    for _, mine in labels:
        if not all(isinstance(label, str) for label in mine) or len(set(mine)) < len(mine):
            raise ValueError("labels that are no text, or twice there")
    term, key = _unpacked(data["params"]["term"]), _unpacked(data["params"]["key"])
    pairs = list(zip(term.tolist(), key.tolist(), strict=True))
    if len(set(pairs)) < len(pairs):
        raise ValueError("parameters twice there")
    for t, k in set(pairs):
        _require_key(specification, t, k, [len(mine) for _, mine in labels])
    ledger.append(News(labels, pairs))
    for bucket, stored in zip(ledger.buckets.values(), data["buckets"], strict=True):
        taken, shared = _unpacked(stored["taken"]), _unpacked(stored["shared"])
        bucket.owner[taken] = _unpacked(stored["owner"]).view(np.uint64)
        bucket.taken_as[taken] = 1 + np.arange(len(taken))
        bucket.shared_as[shared] = 1 + np.arange(len(shared))
        bucket.n_taken, bucket.n_shared = len(taken), len(shared)


def _require_key(specification: Specification, t: int, key: int, n_labels: list[int]) -> None:
    """Raise ValueError if a parameter is of labels that are not there."""
    term = specification.terms[t] if 0 <= t < len(specification.terms) else None
    if term is None or term.n_fixed:
        raise ValueError(f"a parameter of term {t}")
    codes = (key,) if len(term.factors) == 1 else divmod(key, PAIR)
    for i, code in zip(term.factors, codes, strict=True):
        item = specification.fields[i]
        known = (2**item.bits if item.bits else n_labels[i]) if item.categorical else 1
        if not 0 <= code < known:
            raise ValueError(f"a parameter of label {code} of {item.name!r}")


def _packed(numbers: Int64[np.ndarray, " n"]) -> str:
    return base64.b64encode(numbers.astype("<i8").tobytes()).decode("ascii")


def _unpacked(text: str) -> Int64[np.ndarray, " n"]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<i8").astype(np.int64)
