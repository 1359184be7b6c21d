"""The page that asks a saved fit what if, and asks again while something is moved. Imports its own room and answer.

Asking changes nothing, so it is a GET, and its address can be kept; a thread of its own computes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import isfinite
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from revealed.answer.interval import Estimate
from revealed.answer.whatif import ShareChange, WhatIf
from revealed.errors import RevealedError, SpecificationError, nearest
from revealed.report.numbers import number_as_text
from revealed.serve.console.guard import Viewer
from revealed.serve.console.levers import Lever
from revealed.serve.console.share_chart import share_chart
from revealed.serve.console.what_if import Asked, FitFile

#: Alternatives that are told of in a line, and a share that has not moved.
_TOLD, _STILL = 3, 5e-4


@dataclass(frozen=True)
class Group:
    """The levers of an alternative, or of everybody, as a form shows them.

    Parameters
    ----------
    title : str
    levers : sequence of (Lever, str, str)
        Each with what stands in its field and what that means.
    """

    title: str
    levers: Sequence[tuple[Lever, str, str]]


class WhatIfPage:
    """The page, and the fits that can be asked on it.

    Parameters
    ----------
    files : sequence of FitFile
        Read now, beside all else.
    render : callable
        Makes a page of a template, a viewer and its fields.
    """

    def __init__(self, files: Sequence[FitFile], render: Callable[..., Response]) -> None:
        self._render = render
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="what if")
        self._fits: dict[str, Future[Asked]] = {file.name: self._thread.submit(Asked.opened, file) for file in files}

    def close(self) -> None:
        """Ask nothing more."""
        self._thread.shutdown(cancel_futures=True)

    async def __call__(self, request: Request, viewer: Viewer) -> Response:
        """Show what would be chosen if what is moved were different.

        Raises
        ------
        RevealedError
            For a fit that is not there or cannot be read, or a move that cannot be made.
        """
        if not self._fits:
            return self._render("what-if.html", viewer, asked=None)
        moves = dict(request.query_params)
        name, cost = moves.pop("fit", "") or next(iter(self._fits)), moves.pop("cost", "")
        if name not in self._fits:
            raise SpecificationError(f"no fit {name[:80]!r}; {nearest(name[:80], self._fits)}")
        # Who goes away while it is read must not end the reading for all.
        asked = await asyncio.shield(asyncio.wrap_future(self._fits[name]))
        if cost and cost not in asked.costs:
            raise SpecificationError(f"no money {cost[:80]!r}; {nearest(cost[:80], asked.costs)}")
        changes = asked.changes(moves)
        answer, wrong = None, ""
        try:
            work = asyncio.get_running_loop().run_in_executor(self._thread, asked.ask, changes, cost or None)
            answer = await work
        except RevealedError as error:  # of what was asked: the levers stay as they are
            wrong = str(error)
        return self._render(
            "what-if.html", viewer, 422 if wrong else 200, asked=asked, fits=list(self._fits), cost=cost, wrong=wrong,
            groups=groups_of(asked.levers, moves), answer=answer and answer_of(answer),
            told="No answer" if answer is None else told_of(answer), command=asked.command(changes, cost or None),
            moved=bool(changes),
        )  # fmt: skip


def groups_of(levers: Sequence[Lever], moves: dict[str, str]) -> list[Group]:
    """Return the levers by alternative, those of everybody first, each as a form shows it."""
    groups: dict[str, list[tuple[Lever, str, str]]] = {}
    for lever in levers:
        text = moves.get(lever.name, "").strip()
        groups.setdefault(lever.alternative or "", []).append((lever, text, meaning(lever, lever.moved(text))))
    return [Group(title or "All alternatives", own) for title, own in groups.items()]


def meaning(lever: Lever, moved: float | None) -> str:
    """Return what a move means.

    >>> lever = Lever("cost of car", "cost", "car", "scale", 2.0, 1.0, 3.0, 2.0, -50, 50, None)
    >>> meaning(lever, 10.0), meaning(lever, None)
    ('+10%: mean 2 → 2.2', 'as it is: mean 2')
    """
    now = _mean(lever.mean)
    if moved is None:
        return f"as it is: mean {now}"
    if lever.kind == "flag":
        return f"{moved:g} for all: mean {now} → {moved:g}"
    return f"{_minus(f'{moved:+.4g}')}%: mean {now} → {_mean(lever.mean_at(moved))}"


def answer_of(answer: WhatIf) -> dict[str, Any]:
    """Return what a page shows of an answer, numbers as text."""
    shares = [
        (
            one.alternative,
            _percent(one.before.value),
            _percent(one.after.value),
            _span(one.after, _percent),
            _points(one.difference.value),
            _span(one.difference, _points),
        )
        for one in answer.shares
    ]
    surplus = [
        (what, _amount(found.value), _span(found, _amount))
        for one in answer.surplus
        for what, found in (("A choice", one.per_choice), (f"All {one.n_choices:,.6g} choices", one.total))
    ]
    return {
        "chart": share_chart(answer.shares), "shares": shares, "surplus": surplus, "cost": answer.cost,
        "warnings": answer.warnings, "assumptions": answer.assumptions,
    }  # fmt: skip


def told_of(answer: WhatIf) -> str:
    """Return an answer in a line: the shares that moved most, and who is better off."""
    most = sorted(answer.shares, key=lambda one: -abs(one.difference.value))[:_TOLD]
    moved = [_in_points(one) for one in most if abs(one.difference.value) >= _STILL]
    if not moved:
        return "Shares are as they are"
    if answer.surplus and isfinite(answer.surplus[0].per_choice.value):
        gain = answer.surplus[0].per_choice.value
        moved.append(f"{'better' if gain > 0 else 'worse'} off by {_mean(abs(gain))} of {answer.cost} a choice")
    return ", ".join(moved)


def _in_points(one: ShareChange) -> str:
    return f"{one.alternative} {_percent(one.after.value)} ({_points(one.difference.value)})"


def _span(found: Estimate, as_text: Callable[[float], str]) -> str:
    """Return an interval as text; where what it leans on is not identified, that."""
    if not (isfinite(found.low) and isfinite(found.high)):
        return "not identified"
    return f"{as_text(found.low)} to {as_text(found.high)}"


def _mean(value: float) -> str:
    return _minus(f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if isfinite(share) else "–"


def _points(share: float) -> str:
    return _minus(f"{100 * share:+.2f}") if isfinite(share) else "–"


def _amount(value: float) -> str:
    return _minus(number_as_text(value)) if isfinite(value) else "–"


def _minus(text: str) -> str:
    return text.replace("-", "−")
