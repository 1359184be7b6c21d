"""Anything at all, as JSON and msgpack: only documented statuses, answers as described, never a 500."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from revealed.serve import messages
from revealed.serve.openapi import description
from tests.faults.running import LONG
from tests.serve.world import OFFERS, made, request, serving

EXAMPLES = 2000 if LONG else 150
DOCUMENT = description()
HOT = {"/v1/decide": messages.DecideRequest, "/v1/decide/batch": messages.DecideBatch,
       "/v1/outcome": messages.OutcomeRequest, "/v1/outcome/batch": messages.OutcomeBatch}  # fmt: skip
ANSWERS = {"/v1/decide": messages.Decided, "/v1/decide/batch": messages.DecidedBatch,
           "/v1/outcome": messages.Taken, "/v1/outcome/batch": messages.Taken}  # fmt: skip

_FLOATS = st.floats(allow_nan=True, allow_infinity=True)
_INTEGERS = st.integers(-(2**63), 2**64 - 1)
_TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", "phone", "\0", "'; DROP TABLE decisions; --", "<script>", "\u202e", "x" * 2000]
)
_SCALARS = st.none() | st.booleans() | _INTEGERS | _FLOATS | _TEXTS
ANYTHING = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4), max_leaves=12
)
_CONTEXTS = st.dictionaries(st.just("device") | _TEXTS, _SCALARS, max_size=3)
_ITEMS = (
    st.sampled_from(OFFERS) | _TEXTS | st.fixed_dictionaries({"offer": st.sampled_from(OFFERS) | _SCALARS}) | _CONTEXTS
)
_DECIDE = st.fixed_dictionaries(
    {"context": _CONTEXTS | st.just({"device": "phone"})},
    optional={
        "candidates": st.lists(_ITEMS, max_size=5) | st.none() | st.just([{"offer": offer} for offer in OFFERS]),
        "count": st.integers(-3, 9) | _INTEGERS | st.none(),
        "person": _TEXTS | st.none(),
        "id": _TEXTS | st.none(),
        "policy": st.just("offers") | _TEXTS,
    },
)
_OUTCOME = st.fixed_dictionaries(
    {"decision": _TEXTS, "reward": _FLOATS | st.sampled_from([0, 1])},
    optional={"position": st.integers(-2, 3) | _INTEGERS, "time": _FLOATS | st.none()},
)
_SOUND = st.fixed_dictionaries(
    {
        "context": st.fixed_dictionaries({"device": st.sampled_from(["phone", "desktop", None, 5, "\u202e"])}),
        "candidates": st.lists(st.sampled_from(OFFERS), min_size=1, unique=True).map(
            lambda offers: [{"offer": offer} for offer in offers]
        ),
    },
    optional={"id": st.sampled_from(["a", "b", "c"]), "person": st.text("abc", min_size=1)},
)
_HAPPENED = st.fixed_dictionaries(
    {"decision": st.sampled_from(["a", "b", "d"]), "reward": st.sampled_from([0, 1, 0.5])}
)
SOUND_OF = {
    "/v1/decide": _SOUND,
    "/v1/decide/batch": st.fixed_dictionaries({"requests": st.lists(_SOUND | _DECIDE, min_size=1, max_size=4)}),
    "/v1/outcome": _HAPPENED,
    "/v1/outcome/batch": st.fixed_dictionaries({"outcomes": st.lists(_HAPPENED, min_size=1, max_size=4)}),
}
VALID_OF = {
    "/v1/decide": _DECIDE,
    "/v1/decide/batch": st.fixed_dictionaries({"requests": st.lists(_DECIDE, max_size=4)}),
    "/v1/outcome": _OUTCOME,
    "/v1/outcome/batch": st.fixed_dictionaries({"outcomes": st.lists(_OUTCOME, max_size=4)}),
}

#: Well formed, and not to be decided: no such policy.
UNDECIDABLE = ("/v1/decide", b"application/json", b'{"context": {"device": "phone"}, "policy": "none"}')


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """Return a path, a form and a body: sound, nearly so, any value, or any bytes."""
    path = draw(st.sampled_from(sorted(HOT)))
    form = draw(st.sampled_from([b"application/json", b"application/msgpack"]))
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return path, form, draw(st.binary(max_size=200))
    value = draw(ANYTHING if kind == 1 else (SOUND_OF if kind >= 4 else VALID_OF)[path])
    body = msgspec.msgpack.encode(value) if form.endswith(b"msgpack") else json.dumps(value).encode()
    if kind == 2 and body:  # one byte is another, or the end is missing
        at = draw(st.integers(0, len(body) - 1))
        body = body[:at] + draw(st.binary(max_size=1)) + (body[at + 1 :] if draw(st.booleans()) else b"")
    return path, form, body


def _require_described(path: str, form: bytes, answer: httpx.Response) -> None:
    assert str(answer.status_code) in DOCUMENT["paths"][path]["post"]["responses"], (answer.status_code, answer.text)
    kind: Any = ANSWERS[path] if answer.status_code == 200 else messages.Refused
    decode = msgspec.msgpack.decode if answer.headers["content-type"].endswith("msgpack") else msgspec.json.decode
    if kind is messages.DecidedBatch:
        kind = dict[str, list[dict[str, Any]]]  # of two kinds without a tag
    decode(answer.content, type=kind)


def test_anything_is_answered_as_described(tmp_path: Path, capsys) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    with asyncio.Runner() as runner:
        service = serving(made(tmp_path))
        client = runner.run(service.__aenter__())

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(requests())
        @example(UNDECIDABLE)
        def sent(drawn: tuple[str, bytes, bytes]) -> None:
            path, form, body = drawn
            answer = runner.run(client.post(path, content=body, headers={"content-type": form.decode()}))
            seen[path, answer.status_code] += 1
            _require_described(path, form, answer)

        sent()
        well = runner.run(client.post("/v1/decide", json=request()))
        assert well.status_code == 200
        errors = runner.run(client.get("/metrics")).text
        runner.run(service.__aexit__(None, None, None))
    assert not re.search(r"revealed_(errors|store_errors)_total [1-9]", errors), errors
    with capsys.disabled():
        sys.stdout.write(f"\n  {sum(seen.values()):,} requests: {dict(sorted(seen.items()))}\n")
    assert {status for _, status in seen} >= {200, 400, 422}
    assert {path for path, status in seen if status == 200} == set(HOT)


def test_every_path_described_answers_what_it_describes(tmp_path: Path) -> None:
    """Odd names in paths and odd bodies, on all that the description lists."""
    texts = ["offers", "x", "%00", "%ff", "a" * 3000, "'; DROP TABLE decisions; --", "<script>", "..", "\u20ac"]
    bodies: list[object] = [None, 5, [], {}, {"state": None}, {"state": "nowhere"}, {"x": {}}, "text"]

    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            for path, operations in DOCUMENT["paths"].items():
                for method, told in operations.items():
                    for text in texts if "{" in path else [""]:
                        for body in bodies if "requestBody" in told else [None]:
                            filled = re.sub(r"\{\w+\}", text.replace("/", "%2f"), path)
                            answer = await client.request(method.upper(), filled, json=body)
                            # "..": what a client makes of it is another path.
                            known = {*told["responses"], *(("404", "405") if text == ".." else ())}
                            assert str(answer.status_code) in known, (method, filled, body, answer.text)
                            assert answer.status_code != 500

    asyncio.run(scenario())
