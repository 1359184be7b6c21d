"""The console as an ASGI application to be mounted: signing in, its pages. Imports its own room, serve and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from revealed.errors import RevealedError, StoreError
from revealed.serve.console.guard import COOKIE, PLACE, Guard, TurnedAwayError, Viewer, guarded, inside, login_for
from revealed.serve.console.judge import Judge
from revealed.serve.console.pages import Pages
from revealed.serve.console.reading import Reading
from revealed.serve.console.sessions import Sessions
from revealed.serve.console.shown import HERE, environment
from revealed.serve.console.what_if import FitFile
from revealed.serve.console.what_if_page import WhatIfPage
from revealed.serve.gate import Gate, GateError
from revealed.serve.line import Line
from revealed.store.protocol import Store

PAGES = (
    ("", "Now"),
    ("learned", "What it learned"),
    ("why", "Why this decision"),
    ("better", "Is it better"),
    ("what-if", "What if"),
    ("log", "Log"),
    ("people", "People"),
    ("policies", "Policies"),
)

Handler = Callable[[Request], Awaitable[Response]]
Page = Callable[[Request, Viewer], Awaitable[Response]]
Act = Callable[[Request, Viewer, dict[str, str]], Awaitable[Response]]


class Console:
    """The console of a service.

    Parameters
    ----------
    line : Line
    gate : Gate, optional
    secret : bytes
        The store's, which sessions are signed with.
    opener : callable
        Opens the store once more, to read: deciding never waits for who looks.
    judge : Judge
        Has versions of policies judged.
    fits : sequence of FitFile
        What can be asked what if.
    """

    def __init__(
        self,
        line: Line,
        gate: Gate | None,
        secret: bytes,
        opener: Callable[[], Store],
        judge: Judge,
        fits: Sequence[FitFile] = (),
    ) -> None:
        self.line, self.gate = line, gate
        self.reading = Reading(opener)
        self.guard = Guard(gate, Sessions(secret, line.clock), line.clock)
        self._templates = environment()
        self.judge = judge
        self.pages = Pages(line, self.reading, self._render, judge)
        self.what_if = WhatIfPage(fits, self._render)

    def route(self) -> Mount:
        """Return the route to it."""
        pages = self.pages
        routes = [
            Route("/", self._page(pages.now)),
            Route("/learned", self._page(pages.learned)),
            Route("/why", self._page(pages.why)),
            Route("/better", self._page(pages.better)),
            Route("/what-if", self._page(self.what_if)),
            Route("/log", self._page(pages.log)),
            Route("/log/strays", self._page(pages.strays)),
            Route("/log/acts", self._page(pages.acts)),
            Route("/people", self._page(pages.people), methods=["GET"]),
            Route("/people", self._act(pages.person, admin=False), methods=["POST"]),
            Route("/people/forget", self._act(pages.forget), methods=["POST"]),
            Route("/policies", self._page(pages.policies), methods=["GET"]),
            Route("/policies", self._act(pages.change), methods=["POST"]),
            Route("/login", self.login_page, methods=["GET"]),
            Route("/login", self._tried(self.login), methods=["POST"]),
            Route("/logout", self._tried(self.logout), methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]
        handlers: Any = {HTTPException: self._no_page, Exception: self._ours}
        return Mount(PLACE, guarded(Starlette(routes=routes, exception_handlers=handlers)))

    def close(self) -> None:
        """Close what it reads with."""
        self.what_if.close()
        self.reading.close()
        self.judge.close()

    # ---- who may --------------------------------------------------------------------------------------------------

    def _page(self, page: Page) -> Handler:
        """Return a page for those who have signed in."""

        async def handler(request: Request) -> Response:
            viewer = self.guard.viewer(request)
            if viewer is None:
                return RedirectResponse(login_for(request), 303)
            response = await page(request, viewer)
            self.guard.remember(request, response, viewer.session)
            return response

        return self._tried(handler)

    def _act(self, act: Act, admin: bool = True) -> Handler:
        """Return what a form does, for those who may."""

        async def handler(request: Request) -> Response:
            viewer = self.guard.viewer(request)
            if viewer is None:
                return RedirectResponse(login_for(request), 303)
            form = await self.guard.form(request)
            if admin and not viewer.admin:
                raise TurnedAwayError(403, f"the key {viewer.key} is not for admin")
            return await act(request, viewer, form)

        return self._tried(handler)

    def _tried(self, handler: Handler) -> Handler:
        """Return a handler whose errors are told on a page."""

        async def trying(request: Request) -> Response:
            try:
                return await handler(request)
            except TurnedAwayError as error:
                return self._problem(request, error.status, "Not possible", error.reason)
            except StoreError as error:
                return self._problem(request, 503, "The store does not answer", str(error))
            except RevealedError as error:
                return self._problem(request, 422, "Not possible", str(error))

        return trying

    # ---- signing in -----------------------------------------------------------------------------------------------

    async def login_page(self, request: Request) -> Response:
        """Show the form to sign in."""
        if self.gate is None:
            return RedirectResponse(f"{PLACE}/", 303)
        return self._login(request, request.query_params.get("next", ""))

    async def login(self, request: Request) -> Response:
        """Let somebody in who has a key for it."""
        form = await self.guard.form(request)
        if self.gate is None:
            return RedirectResponse(f"{PLACE}/", 303)
        try:
            row = self.gate.let(f"Bearer {form.get('key', '').strip()}", "read")
        except GateError as error:
            return self._login(request, form.get("next", ""), error.reason, error.status)
        await self.line.in_turn(self.line.store.note, row.id, "sign in", "the console")
        response = RedirectResponse(inside(form.get("next", "")), 303)
        self.guard.remember(request, response, self.guard.sessions.opened(row.id))
        return response

    async def logout(self, request: Request) -> Response:
        """Let the browser forget who it is."""
        await self.guard.form(request)
        response = RedirectResponse(f"{PLACE}/login", 303)
        response.delete_cookie(COOKIE, path=PLACE, httponly=True, samesite="strict")
        return response

    def _login(self, request: Request, wanted: str, wrong: str = "", status: int = 200) -> Response:
        session = self.guard.visitor(request)
        token = self.guard.sessions.token(session)
        response = self._render("login.html", None, status, token=token, next=inside(wanted), wrong=wrong)
        self.guard.remember(request, response, session)
        return response

    # ---- answering ------------------------------------------------------------------------------------------------

    def _render(self, template: str, viewer: Viewer | None, status: int = 200, **fields: Any) -> Response:
        name = template.removesuffix(".html")
        text = self._templates.get_template(template).render(
            viewer=viewer, pages=PAGES, page="" if name == "now" else name, **fields
        )
        return HTMLResponse(text, status)

    def _problem(self, request: Request, status: int, heading: str, reason: str) -> Response:
        try:
            viewer = self.guard.viewer(request)
        except TurnedAwayError:
            viewer = None
        return self._render("problem.html", viewer, status, heading=heading, reason=reason)

    async def _no_page(self, request: Request, error: HTTPException) -> Response:
        return self._problem(request, error.status_code, "No such page", error.detail)

    async def _ours(self, request: Request, error: Exception) -> Response:
        self.line.counts.add("errors", 1)
        return self._problem(request, 500, "An error of ours", type(error).__name__)
