"""All routes but the hot ones: policies, explanations, forgetting, health, metrics. Imports its own room and errors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import ceil
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from revealed.decide.policy import LearningPolicy
from revealed.decide.specification import Specification
from revealed.errors import RevealedError, SpecificationError, StoreError
from revealed.serve.changes import Changes
from revealed.serve.explaining import explained
from revealed.serve.explanation import DecisionTold, Explanation, OutcomeTold
from revealed.serve.gate import Gate, GateError
from revealed.serve.line import Line
from revealed.serve.messages import NewPolicy, PolicyChange, Refused
from revealed.serve.openapi import description
from revealed.serve.page_script import page_script
from revealed.serve.roster import leads
from revealed.serve.watch import KINDS
from revealed.store.protocol import PolicyRow

Handler = Callable[[Request], Awaitable[Response]]
Message = TypeVar("Message")

#: Seconds for which a write that went well tells that others would: who asks again and again writes no more often.
_PROVED = 1.0


class _Any(PathConvertor):
    """The rest of a path, whatever is in it: Starlette's leaves out an end of a line, and would forget another one."""

    regex = "(?s:.*)"


register_url_convertor("any", _Any())


class OtherRoutes:
    """What is asked seldom.

    Parameters
    ----------
    line : Line
    gate : Gate, optional
    """

    def __init__(self, line: Line, gate: Gate | None) -> None:
        self.line, self.gate, self._changes = line, gate, Changes(line.store, line.clock)
        self._proving, self._proved = asyncio.Lock(), (-_PROVED, 0)

    def application(self, *more: BaseRoute, **options: Any) -> Starlette:
        """Return the application, with more routes."""
        routes = [
            *more,
            Route("/health", self.health),
            Route("/ready", self.ready),
            Route("/revealed.js", page_script),
            Route("/openapi.json", self.openapi),
            Route("/metrics", self._for("read", self.metrics)),
            Route("/v1/policies", self._for("read", self.policies)),
            Route("/v1/policies", self._for("admin", self.create), methods=["POST"]),
            Route("/v1/policies/{name}", self._for("admin", self.change), methods=["PATCH"]),
            Route("/v1/policies/{name}/promote", self._for("admin", self.promote), methods=["POST"]),
            Route("/v1/slots/{slot}/rollback", self._for("admin", self.roll_back), methods=["POST"]),
            Route("/v1/decisions/{name:any}", self._for("read", self.decision)),
            Route("/v1/alarms", self._for("read", self.alarms)),
            Route("/v1/strays", self._for("read", self.strays)),
            Route("/v1/people/{person:any}", self._for("admin", self.forget), methods=["DELETE"]),
        ]
        handlers: Any = {HTTPException: _told, Exception: _ours}
        return Starlette(routes=routes, exception_handlers=handlers, **options)

    def _for(self, scope: str, handler: Callable[[Request, str], Awaitable[Response]]) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                who = "nobody"
                if self.gate is not None:
                    who = self.gate.let(request.headers.get("authorization"), scope).id
                return await handler(request, who)
            except GateError as error:
                headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
                if error.wait:
                    headers["retry-after"] = str(ceil(error.wait))
                return _answer(Refused(error.reason), error.status, headers)
            except StoreError as error:
                return _answer(Refused(str(error)), 503, {"retry-after": "1"})
            except RevealedError as error:
                return _answer(Refused(str(error)), 422)

        return guarded

    # ---- is it well? ----------------------------------------------------------------------------------------------

    async def health(self, _request: Request) -> Response:
        """Answer that the process lives."""
        return _answer({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """Answer whether it can decide and write."""
        try:
            await self._require_writable()
        except StoreError as error:
            return _answer({"status": "not ready", "reason": str(error)}, 503, {"retry-after": "1"})
        now = self.line.clock()
        told = {
            name: {"state": each.state, "version": each.policy.version, "lesson": each.lesson,
                   "since_lesson": now - each.learned if each.lesson else None}
            for name, each in self.line.roster.standings.items()
        }  # fmt: skip
        return _answer({"status": "ready", "policies": told})

    async def _require_writable(self) -> None:
        """Write something, unless that went well a moment ago and nothing has failed since; StoreError if it cannot."""
        async with self._proving:
            moment, errors = self._proved
            failed = self.line.counts["store_errors"]
            if errors != failed or time.monotonic() - moment >= _PROVED:
                await self.line.thread.in_time(self.line.store.lease, 1)
                self._proved = time.monotonic(), failed

    async def metrics(self, _request: Request, _who: str) -> Response:
        """Answer counters and gauges."""
        roster = self.line.roster
        gauges = {"waiting": self.line.waiting, "learner_silence_seconds": roster.silence, "stale": roster.is_stale}
        for name, each in roster.standings.items():
            named = json.dumps(name, ensure_ascii=False)  # escaped as Prometheus does
            gauges[f"lesson{{policy={named}}}"] = each.lesson
            with suppress(StoreError):  # all else is told, above all that the store fails
                behind = await self.line.thread.in_time(self._behind, name, each.lesson)
                gauges[f"outcomes_since_lesson{{policy={named}}}"] = behind
            gauges[f"left_out{{policy={named}}}"] = each.left_out
            for kind in KINDS:
                gauges[f'alarm{{policy={named},kind="{kind}"}}'] = sum(alarm.kind == kind for alarm in each.alarms)
        return PlainTextResponse(self.line.counts.text(gauges), media_type="text/plain; version=0.0.4")

    def _behind(self, name: str, lesson: int) -> int:
        """Return how many outcomes came since a lesson."""
        last = next(iter(self.line.store.lessons_after(name, max(lesson - 1, 0))), None)
        known = 0 if last is None or last.number != lesson else last.outcomes_to
        return self.line.store.ends()[1] - known

    async def alarms(self, _request: Request, _who: str) -> Response:
        """Answer what looks unlike before, by policy."""
        standings = self.line.roster.standings
        return _answer({name: list(each.alarms) for name, each in standings.items() if each.alarms})

    async def openapi(self, _request: Request) -> Response:
        """Answer how to talk to the service."""
        return _answer(description())

    # ---- policies and decisions -----------------------------------------------------------------------------------

    async def policies(self, _request: Request, _who: str) -> Response:
        """Answer which policies there are."""
        rows = await self.line.in_turn(self.line.store.policies)
        return _answer([self._policy(row) for row in rows])

    async def create(self, request: Request, who: str) -> Response:
        """Take a policy in: the first in its slot decides, a later one begins in the shadow."""
        wanted = _read(NewPolicy, await request.body())
        policy = LearningPolicy.fresh(Specification.from_dict(wanted.specification), wanted.seed)
        new = await self.line.in_turn(self._changes.create, wanted.name, policy, wanted.slot, who)
        return await self._told_of(wanted.name, 201 if new else 200)

    async def change(self, request: Request, who: str) -> Response:
        """Stop a policy, put it in the shadow, or let it decide, for all or for a share of persons."""
        name = request.path_params["name"]
        wanted = _read(PolicyChange, await request.body())
        await self.line.in_turn(self._changes.change, name, wanted.state, wanted.share, who)
        return await self._told_of(name)

    async def promote(self, request: Request, who: str) -> Response:
        """Let a policy decide for all in its slot."""
        name = request.path_params["name"]
        await self.line.in_turn(self._changes.promote, name, who)
        return await self._told_of(name)

    async def roll_back(self, request: Request, who: str) -> Response:
        """Let the policy decide that did before."""
        return await self._told_of(await self.line.in_turn(self._changes.roll_back, request.path_params["slot"], who))

    async def _told_of(self, name: str, status: int = 200) -> Response:
        """Answer what a policy is now; this process knows it too."""
        rows = await self.line.in_turn(self.line.store.policies)
        self.line.roster.told(rows)
        return _answer(self._policy(next(row for row in rows if row.name == name)), status)

    def _policy(self, row: PolicyRow) -> dict[str, Any]:
        standing = self.line.roster.standings.get(row.name)
        return {
            "name": row.name,
            "slot": row.slot,
            "state": row.state,
            "share": row.share,
            "leads": leads(row),
            "changed": row.changed,
            "version": None if standing is None else standing.policy.version,
            "lesson": None if standing is None else standing.lesson,
            "specification": msgspec.Raw(row.specification.encode()),
        }

    async def decision(self, request: Request, _who: str) -> Response:
        """Answer what was decided, why, and what came of it."""
        name = request.path_params["name"]
        row, outcomes = await self.line.in_turn(self.line.names.found, self.line.store, name)
        if row is None:
            return _answer(Refused(f"no decision {name!r}"), 404)
        standing, shown = self.line.roster.standings.get(row.policy), json.loads(row.shown)
        why: Explanation | str = f"the policy {row.policy!r} is not served here any more"
        if standing is not None:
            why = await run_in_threadpool(explained, standing.policy, standing.lesson, row)
        told = DecisionTold(
            self.line.names.name(row.number),
            row.policy,
            row.version,
            row.made,
            row.person,
            json.loads(row.context),
            shown,
            json.loads(row.propensities),
            [OutcomeTold(each.position, each.reward, each.came, each.received) for each in outcomes],
            row.number,
            self.line.roster.layout(row.policy, shown),
            *((None, why) if isinstance(why, str) else (why, None)),
        )
        return _answer(told)

    async def strays(self, _request: Request, _who: str) -> Response:
        """Answer the latest outcomes that count for nothing."""
        rows = await self.line.in_turn(self.line.store.strays, 100)
        name = self.line.names.name
        ours = [{"name": name(row["decision"])} if row["decision"] >= 0 else {} for row in rows]
        return _answer([{**row, **named} for row, named in zip(rows, ours, strict=True)])

    async def forget(self, request: Request, who: str) -> Response:
        """Take a person's decisions and outcomes out of the log."""
        person = request.path_params["person"]
        return _answer({"decisions": await self.line.in_turn(self._changes.forget, person, who)})


def _read(kind: type[Message], body: bytes) -> Message:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpecificationError(f"not what is taken here: {error}") from None


def _answer(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")


async def _told(_request: Request, error: HTTPException) -> Response:
    return _answer(Refused(error.detail), error.status_code)


async def _ours(_request: Request, error: Exception) -> Response:
    return _answer(Refused(f"an error of ours: {type(error).__name__}"), 500)
