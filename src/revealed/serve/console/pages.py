"""The pages of the console. Imports its own room, serve, decide, report, store's protocol and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from revealed.answer.table import Table
from revealed.errors import SpecificationError, nearest
from revealed.report.policy import sections_of_policy
from revealed.serve.changes import Changes
from revealed.serve.console.better import FEWEST, Comparison, comparison_of
from revealed.serve.console.charts import chart
from revealed.serve.console.guard import PLACE, Viewer
from revealed.serve.console.judge import Found, Judge, found_of
from revealed.serve.console.layouts import Matrix, matrix_of
from revealed.serve.console.learned import PAGE, SEARCHED, Effects, effects_of
from revealed.serve.console.now import Now, OfPolicy, now_of
from revealed.serve.console.reading import Reading
from revealed.serve.console.shown import duration, sections_for
from revealed.serve.explaining import explained
from revealed.serve.explanation import Explanation
from revealed.serve.line import Line
from revealed.serve.roster import STATES, Standing, leads
from revealed.store.protocol import DecisionRow, PolicyRow, Store

WINDOWS = (("300", "5 minutes"), ("3600", "hour"), ("86400", "day"), ("604800", "week"))
KINDS = (("", "Decisions"), ("/strays", "Strays"), ("/acts", "Acts"))
#: Rows of a page of the log, decisions looked through for those of a policy, strays and acts.
ROWS, LOOKED, FEW = 50, 2000, 100
#: Seconds that outcomes may wait to be learned before it is told.
_PATIENCE = 30.0


Render = Callable[..., Response]


class Pages:
    """What each page shows, by the name of its template.

    Parameters
    ----------
    line : Line
    reading : Reading
    render : callable
        Makes a page of a template, a viewer and its fields.
    judge : Judge
        Has versions judged, for the page that compares them.
    """

    def __init__(self, line: Line, reading: Reading, render: Render, judge: Judge) -> None:
        self.line, self.reading, self.render, self.judge = line, reading, render, judge
        self._changes = Changes(line.store, line.clock)

    # ---- now ------------------------------------------------------------------------------------------------------

    async def now(self, request: Request, viewer: Viewer) -> Response:
        """Show what the service does these minutes."""
        named = dict(WINDOWS)
        window = request.query_params.get("window", "")
        window = window if window in named else WINDOWS[0][0]
        moment, standings = self.line.clock(), self.line.roster.standings
        names = sorted(standings)

        def found(store: Store) -> tuple[Now, list[dict[str, Any]]]:
            return now_of(store, names, moment, float(window)), [_learning(store, standings[name]) for name in names]

        now, learning = await self.reading(found)
        waits = [one["since"] for one in learning if one["behind"] and one["since"] is not None]
        late = max((moment - since for since in waits), default=0.0)
        counts = self.line.counts
        health = (
            ("Waiting in line", f"{self.line.waiting:,} of at most {self.line.options.waiting:,}"),
            ("Fall-backs answered", f"{counts['fallbacks']:,}"),
            ("Errors of the store", f"{counts['store_errors']:,}"),
            ("Other errors", f"{counts['errors']:,}"),
        )
        return self.render(
            "now.html", viewer, now=now, total=_total(now), charts=_charts(now), window=window, windows=WINDOWS,
            window_name=named[window], moment=moment, learning=learning, health=health,
            late=late if late > _PATIENCE else 0.0,
        )  # fmt: skip

    # ---- what it learned ------------------------------------------------------------------------------------------

    async def learned(self, request: Request, viewer: Viewer) -> Response:
        """Show the effects that a policy has learned, and its groups of features."""
        asked = request.query_params
        standings = self.line.roster.standings
        if not standings:
            return self.render("problem.html", viewer, heading="What it learned", reason="There is no policy yet.")
        name = asked.get("policy") or min(standings)
        policy = self.line.roster.named(name).policy
        search, group, number = asked.get("search", "")[:200], asked.get("group", ""), _whole(asked.get("page"), 1)

        def found() -> tuple[Effects, Matrix | None, list[Any]]:
            parts = [part for part in sections_of_policy(policy) if part.title != "Effects"]
            kept = tuple(part for part in parts if not _is_empty(part.blocks))
            matrix = matrix_of(policy, asked)
            return effects_of(policy, search, group, max(number, 1)), matrix, sections_for(kept)

        effects, matrix, parts = await self.reading.beside(found)

        def href(page: int) -> str:
            return "?" + str(asked_with(request, page=str(page)))

        return self.render(
            "learned.html", viewer, policy=name, policies=sorted(standings), groups=list(policy.space.group_names),
            group=group, search=search, effects=effects, matrix=matrix, parts=parts, number=max(number, 1), href=href,
            last=max(1, -(-effects.found // PAGE)), filtered=bool(search or group), searched=SEARCHED,
            answers=policy.model.n_answers, link=policy.model.link.name,
        )  # fmt: skip

    # ---- why this decision ----------------------------------------------------------------------------------------

    async def why(self, request: Request, viewer: Viewer) -> Response:
        """Show one decision: what was known, what might have been shown, what came of it."""
        name = request.query_params.get("decision", "").strip()[:1024].replace("\0", "")
        names = self.line.names
        row, outcomes = await self.reading(lambda store: names.found(store, name)) if name else (None, ())
        if row is None:
            return self.render("why.html", viewer, 404 if name else 200, name=name, row=None)
        shown, chances = json.loads(row.shown), json.loads(row.propensities)
        came = {outcome.position: outcome for outcome in outcomes}
        return self.render(
            "why.html", viewer, name=name, row=row, shown=shown, called=names.name(row.number),
            propensity=prod(chances), again=await self._again(row), context=_written_out(row.context),
            outcomes=[(at, label, chance, came.get(at))
                      for at, (label, chance) in enumerate(zip(shown, chances, strict=True), start=1)],
        )  # fmt: skip

    async def _again(self, row: DecisionRow) -> Explanation | str | None:
        standing = self.line.roster.standings.get(row.policy)
        if standing is None:
            return None
        return await self.reading.beside(explained, standing.policy, standing.lesson, row)

    # ---- is it better ---------------------------------------------------------------------------------------------

    async def better(self, _request: Request, viewer: Viewer) -> Response:
        """Show what came of the decisions of each policy of a slot, and how each version would have done since."""
        moment = self.line.clock()

        def found(store: Store) -> list[tuple[Comparison, Found]]:
            slots: dict[str, list[PolicyRow]] = {}
            for row in sorted(store.policies(), key=lambda row: (row.slot, row.name)):
                slots.setdefault(row.slot, []).append(row)
            told = [(comparison_of(store, rows, moment), found_of(store, slot, moment)) for slot, rows in slots.items()]
            if any(not judged.fresh for _, judged in told):
                self.judge.start()
            return told

        return self.render(
            "better.html", viewer, slots=await self.reading(found), fewest=FEWEST, judging=self.judge.is_running,
            failed=self.judge.has_failed,
        )  # fmt: skip

    # ---- log ------------------------------------------------------------------------------------------------------

    async def log(self, request: Request, viewer: Viewer) -> Response:
        """Show the latest decisions, those of a policy, or those before one of them."""
        policy, before = request.query_params.get("policy", ""), _whole(request.query_params.get("before"), 0)

        def found(store: Store) -> tuple[Sequence[tuple[int, DecisionRow]], int, dict[int, list[float]]]:
            place = before or store.ends()[0] + 1
            rows = store.decisions_before(place, LOOKED if policy else ROWS)
            some = [(seq, row) for seq, row in rows if not policy or row.policy == policy][:ROWS]
            # On from the last that is shown, or from the last that was looked at.
            older = some[-1][0] if len(some) == ROWS else rows[-1][0] if policy and len(rows) == LOOKED else 0
            rewards: dict[int, list[float]] = {}
            for outcome in store.outcomes_among([row.number for _, row in some]) if some else ():
                rewards.setdefault(outcome.decision, []).append(outcome.reward)
            return some, older, rewards

        some, older, rewards = await self.reading(found)

        def href(place: int | None) -> str:
            return "?" + str(asked_with(request, before=None if place is None else str(place)))

        rows = [{"rewards": rewards.get(row.number, ()), **self._told(row)} for _, row in some]
        return self.render(
            "log.html", viewer, kind="", kinds=KINDS, rows=rows, older=older, before=before, href=href, policy=policy,
            policies=sorted(self.line.roster.standings), newest=bool(before or policy), looked=LOOKED,
        )  # fmt: skip

    async def strays(self, _request: Request, viewer: Viewer) -> Response:
        """Show the latest outcomes that count for nothing."""
        found = await self.reading(lambda store: store.strays(FEW))
        names = self.line.names
        rows = [{**row, "ours": names.name(row["decision"]) if row["decision"] >= 0 else ""} for row in found]
        return self.render("log.html", viewer, kind="/strays", kinds=KINDS, strays=rows)

    async def acts(self, _request: Request, viewer: Viewer) -> Response:
        """Show the latest acts of administration."""
        notes = await self.reading(lambda store: store.notes(FEW))
        return self.render("log.html", viewer, kind="/acts", kinds=KINDS, notes=notes)

    def _told(self, row: DecisionRow) -> dict[str, Any]:
        chances = json.loads(row.propensities)
        name = self.line.names.name(row.number)
        return {"row": row, "name": name, "shown": json.loads(row.shown), "propensity": prod(chances)}

    # ---- people ---------------------------------------------------------------------------------------------------

    async def people(self, _request: Request, viewer: Viewer) -> Response:
        """Show the form to look a person up."""
        return self._people(viewer)

    async def person(self, _request: Request, viewer: Viewer, form: dict[str, str]) -> Response:
        """Show what is kept of a person."""
        return await self._kept(viewer, form.get("person", "").strip("\r\n"))

    async def forget(self, _request: Request, viewer: Viewer, form: dict[str, str]) -> Response:
        """Take a person out of the log, if the name was written twice."""
        person = form.get("person", "")
        if not person or form.get("again", "") != person:
            wrong = "Not forgotten: what was written to confirm is not that person."
            return await self._kept(viewer, person, wrong=wrong)
        return self._people(viewer, forgotten=await self.line.in_turn(self._changes.forget, person, viewer.who))

    async def _kept(self, viewer: Viewer, person: str, wrong: str = "") -> Response:
        if "\0" in person or not 0 < len(person) <= 1024:
            return self._people(viewer, wrong=wrong or "A person is 1 to 1,024 letters, none of them NUL.")
        rows = await self.reading(lambda store: store.decisions_of(person, ROWS + 1))
        told = [self._told(row) for row in rows[:ROWS]]
        return self._people(viewer, person=person, rows=told, more=len(rows) > ROWS, wrong=wrong)

    def _people(self, viewer: Viewer, **fields: Any) -> Response:
        given = {"person": "", "rows": None, "more": False, "wrong": "", "forgotten": None} | fields
        return self.render("people.html", viewer, **given)

    # ---- policies -------------------------------------------------------------------------------------------------

    async def policies(self, _request: Request, viewer: Viewer) -> Response:
        """Show all policies."""
        rows = await self.reading(lambda store: store.policies())
        told = [
            {
                "row": row,
                "leads": leads(row),
                "standing": self.line.roster.standings.get(row.name),
                "specification": json.dumps(json.loads(row.specification), indent=2, ensure_ascii=False),
            }
            for row in rows
        ]
        return self.render("policies.html", viewer, policies=told)

    async def change(self, _request: Request, viewer: Viewer, form: dict[str, str]) -> Response:
        """Do something with a policy, or with those of a slot."""
        name, act, who = form.get("policy", ""), form.get("act", ""), viewer.who
        if act in STATES:
            await self.line.in_turn(self._changes.change, name, act, _share(form.get("share", "")), who)
        elif act == "promote":
            await self.line.in_turn(self._changes.promote, name, who)
        elif act == "roll back":
            await self.line.in_turn(self._changes.roll_back, form.get("slot", ""), who)
        else:
            raise SpecificationError(f"no act {act!r}; {nearest(act, [*STATES, 'promote', 'roll back'])}")
        self.line.roster.told(await self.line.in_turn(self.line.store.policies))  # this process shows it at once
        return RedirectResponse(f"{PLACE}/policies", 303)


def asked_with(request: Request, **fields: str | None) -> str:
    """Return the query of a request with some fields changed, or left out."""
    return (
        request.url.remove_query_params(list(fields))
        .include_query_params(**{name: value for name, value in fields.items() if value is not None})
        .query
    )


def _learning(store: Store, standing: Standing) -> dict[str, Any]:
    """Return what a policy has learned and what waits for it."""
    lessons = store.lessons_after(standing.name, standing.lesson - 1) if standing.lesson else ()
    learned_to = lessons[0].outcomes_to if lessons else 0
    behind = max(store.ends()[1] - learned_to, 0)
    since = lessons[0].at if lessons else None
    return {"name": standing.name, "state": standing.state, "lesson": standing.lesson, "learned": standing.learned,
            "behind": behind, "since": since}  # fmt: skip


def _total(now: Now) -> OfPolicy | None:
    """Return all policies together."""
    count = sum(one.count for one in now.policies)
    if not count:
        return None
    rewards = [(one.count * one.answered, one.reward) for one in now.policies if one.reward is not None]
    weight = sum(part for part, _ in rewards)
    return OfPolicy(
        "",
        count,
        sum(one.count * one.answered for one in now.policies) / count,
        sum(part * reward for part, reward in rewards) / weight if weight else None,
        sum(one.count * one.exploration for one in now.policies) / count,
    )


def _charts(now: Now) -> list[tuple[str, Any]]:
    if not now.stretches:
        return []
    length = now.seconds / len(now.stretches)
    ends = (f"{duration(now.seconds)} ago", "now")
    series = (
        ("Decisions a second", [one.count / length for one in now.stretches], True),
        ("Mean reward, by time of decision", [one.reward for one in now.stretches], False),
        ("Exploration, by time of decision", [one.exploration for one in now.stretches], False),
    )
    return [(title, chart(values, ends, title, bars)) for title, values, bars in series]


def _share(percent: str) -> float | None:
    """Return a share that is written in percent; None where none is.

    Raises
    ------
    SpecificationError
        If it is no number.
    """
    if not percent.strip():
        return None
    try:
        return float(percent) / 100
    except ValueError:
        raise SpecificationError(f"a share of persons is a number of percent, not {percent!r}") from None


def _is_empty(blocks: Sequence[object]) -> bool:
    return all(isinstance(block, Table) and not block.rows for block in blocks)


def _written_out(context: str) -> list[tuple[str, str]]:
    """Return the fields of a context, values as JSON but texts as they are."""
    read: dict[str, Any] = json.loads(context)
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in read.items()]


def _whole(text: str | None, otherwise: int) -> int:
    """Return a whole number above 0 that a query holds."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 15:
        return otherwise
    return int(text)
