"""How to talk to the service, in OpenAPI's terms: from the types of its messages. Imports its own room."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from revealed.serve.explanation import DecisionTold
from revealed.serve.messages import (
    DecideBatch,
    Decided,
    DecidedBatch,
    DecideRequest,
    NewPolicy,
    OutcomeBatch,
    OutcomeRequest,
    PolicyChange,
    Refused,
    Taken,
)

_HOT: tuple[tuple[str, str, str, type[Any], type[Any]], ...] = (
    ("/v1/decide", "decide", "Decide what to show", DecideRequest, Decided),
    ("/v1/decide/batch", "decide", "Decide several times", DecideBatch, DecidedBatch),
    ("/v1/outcome", "outcome", "Tell what came of a decision", OutcomeRequest, Taken),
    ("/v1/outcome/batch", "outcome", "Tell what came of several decisions", OutcomeBatch, Taken),
)
_OTHERS = (
    ("/health", "get", "", "Whether the process lives"),
    ("/ready", "get", "", "Whether it can decide and write"),
    ("/metrics", "get", "read", "Counters and gauges for Prometheus"),
    ("/v1/policies", "get", "read", "The policies"),
    ("/v1/policies", "post", "admin", "Take a policy in; beside another it begins in the shadow"),
    ("/v1/policies/{name}", "patch", "admin", "Stop a policy, or let it decide for a share of persons"),
    ("/v1/policies/{name}/promote", "post", "admin", "Let a policy decide for all"),
    ("/v1/slots/{slot}/rollback", "post", "admin", "Let the policy decide that did before"),
    ("/v1/decisions/{name}", "get", "read", "What was decided, why, and what came of it"),
    ("/v1/alarms", "get", "read", "What looks unlike before: rewards, propensities, missing fields, delays"),
    ("/v1/strays", "get", "read", "The latest outcomes that count for nothing"),
    ("/v1/people/{person}", "delete", "admin", "Take a person out of the log"),
)
_TAKEN: dict[str, dict[str, type[Any]]] = {
    "/v1/policies": {"post": NewPolicy},
    "/v1/policies/{name}": {"patch": PolicyChange},
}
_GIVEN: dict[str, dict[str, type[Any]]] = {"/v1/decisions/{name}": {"get": DecisionTold}}
_WRONG = {
    "400": "not what is taken here", "401": "no key, or a wrong one", "403": "the key is for something else",
    "408": "the body took too long", "413": "too long", "415": "neither JSON nor msgpack", "422": "cannot be decided",
    "429": "too often", "503": "nothing was taken; try again after Retry-After",
}  # fmt: skip


@cache
def description() -> dict[str, Any]:
    """Return the document."""
    kinds = [DecideRequest, Decided, DecideBatch, OutcomeRequest, OutcomeBatch, Taken, Refused, NewPolicy, PolicyChange]
    kinds += [DecisionTold]
    _, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    # Of two kinds without a tag, which msgspec writes but does not describe.
    one_of = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (Decided, Refused)]
    listed = {"type": "array", "items": {"oneOf": one_of}}
    components["DecidedBatch"] = {"type": "object", "properties": {"decisions": listed}, "required": ["decisions"]}
    paths: dict[str, Any] = {}
    for path, scope, summary, taken, given in _HOT:
        paths[path] = {
            "post": {
                "summary": summary,
                "security": [{"key": [scope]}],
                "requestBody": {"required": True, "content": _content(taken)},
                "responses": {"200": {"description": summary, "content": _content(given)}} | _wrong(),
            }
        }
    for path, method, scope, summary in _OTHERS:
        name = path.partition("{")[2].partition("}")[0]
        operation: dict[str, Any] = {"summary": summary, "responses": {"200": {"description": summary}} | _wrong()}
        if scope:
            operation["security"] = [{"key": [scope]}]
        if name:
            schema = {"type": "string"}
            operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": schema}]
            operation["responses"] |= {"404": {"description": "there is none of that name"} | _refused()}
        if method in _TAKEN.get(path, {}):
            operation["requestBody"] = {"required": True, "content": _as_json(_TAKEN[path][method])}
        if method in _GIVEN.get(path, {}):
            operation["responses"]["200"]["content"] = _as_json(_GIVEN[path][method])
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Revealed", "version": version("revealed"), "description": "Decisions that learn"},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _content(kind: type[Any]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {form: {"schema": schema} for form in ("application/json", "application/msgpack")}


def _as_json(kind: type[Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def _wrong() -> dict[str, Any]:
    return {status: {"description": why} | _refused() for status, why in _WRONG.items()}


def _refused() -> dict[str, Any]:
    return {"content": _as_json(Refused)}
