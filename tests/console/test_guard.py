"""Who gets in and what a form may do, asked without a browser: sessions, tokens, cookies, headers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from revealed.serve.console.guard import COOKIE, inside
from revealed.serve.console.sessions import LENGTH, Sessions
from revealed.serve.service import ServiceOptions
from revealed.store.open import open_store
from tests.console.world import keys_of
from tests.serve.world import made, request, serving

_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')
_PAGES = ("", "learned", "why", "better", "log", "log/strays", "log/acts", "people", "policies")


def run(scenario: Any) -> None:
    """Run a scenario to its end."""
    asyncio.run(asyncio.wait_for(scenario, 30))


def token_of(page: httpx.Response) -> str:
    """Return the token of a page's forms."""
    found = _TOKEN.search(page.text)
    assert found is not None, page.text
    return found[1]


@asynccontextmanager
async def console(where: str, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a browser without a screen, of a service that asks for keys."""
    async with serving(where, ServiceOptions(**{"refresh": 0.01} | options)) as client:
        client.base_url = httpx.URL("http://localhost")
        yield client


async def sign_in(client: httpx.AsyncClient, key: str, wanted: str = "/console/") -> httpx.Response:
    """Send the form to sign in."""
    page = await client.get("/console/login", params={"next": wanted})
    return await client.post("/console/login", data={"token": token_of(page), "next": wanted, "key": key})


def with_console(
    tmp_path: Path, scenario: Callable[[httpx.AsyncClient, dict[str, str]], Awaitable[None]], **options: Any
) -> str:
    """Run a scenario in the console of a new service, with the keys of it; return its store."""
    where = made(tmp_path)
    keys = keys_of(where)

    async def whole() -> None:
        async with console(where, **options) as client:
            await scenario(client, keys)

    run(whole())
    return where


def test_nobody_sees_a_page_who_has_not_signed_in(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        for page in _PAGES:
            answer = await client.get(f"/console/{page}")
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/login?next=%2Fconsole%2F")
        for act in ("people", "people/forget", "policies"):
            answer = await client.post(f"/console/{act}", data={"person": "ann", "again": "ann"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/console/login?next=%2Fconsole%2F")
        assert (await client.get("/console/static/console.css")).status_code == 200

    with_console(tmp_path, scenario)


def test_a_key_for_read_or_admin_opens_and_comes_back_to_what_was_asked_for(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        answer = await sign_in(client, keys["read"], "/console/learned?policy=offers")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/learned?policy=offers")
        for page in _PAGES:
            assert (await client.get(f"/console/{page}")).status_code == 200
        client.cookies.clear()
        for wrong, status in ((keys["decide"], 403), ("rk_000000000000.x", 401), ("", 401), (keys["read"] + "x", 401)):
            answer = await sign_in(client, wrong)
            assert answer.status_code == status
            assert 'role="alert"' in answer.text
            assert (await client.get("/console/")).status_code == 303
            assert not wrong or wrong not in answer.text

    where = with_console(tmp_path, scenario)
    store = open_store(where)
    assert [note["act"] for note in store.notes(10) if note["about"] == "the console"] == ["sign in"]
    store.close()


def test_the_cookie_is_for_this_site_and_its_server_alone(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        before = (await client.get("/console/login")).headers["set-cookie"]
        told = (await sign_in(client, keys["read"])).headers["set-cookie"]
        assert before != told, "a session from before signing in goes on after it"
        flags = {part.strip().lower() for part in told.split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/console", f"max-age={LENGTH:.0f}"} <= flags
        assert "secure" not in flags
        client.base_url = httpx.URL("https://localhost")
        client.cookies.clear()
        assert "secure" in (await sign_in(client, keys["read"])).headers["set-cookie"].lower()

    with_console(tmp_path, scenario)


@pytest.mark.parametrize("act", ["people", "people/forget", "policies", "logout", "login"])
def test_a_form_without_the_token_of_its_session_does_nothing(tmp_path, act) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        await client.post(
            "/v1/decide", json=request(person="ann"), headers={"authorization": f"Bearer {keys['admin']}"}
        )
        await sign_in(client, keys["admin"])
        own = dict(client.cookies)
        form = {"person": "ann", "again": "ann", "policy": "offers", "act": "stopped", "key": keys["admin"]}
        client.cookies.clear()
        await sign_in(client, keys["admin"])
        other = token_of(await client.get("/console/people"))
        client.cookies.clear()
        client.cookies.update(own)
        for token in ({}, {"token": ""}, {"token": "0" * 48}, {"token": other}, {"token": "ü"}):
            answer = await client.post(f"/console/{act}", data=form | token)
            assert answer.status_code == 403, token
        answer = await client.post(f"/console/{act}", json=form)
        assert answer.status_code == 415
        answer = await client.post(f"/console/{act}", data={"token": "x" * 70_000})
        assert answer.status_code == 413
        assert (await client.get("/console/people")).status_code == 200, "still signed in"

    where = with_console(tmp_path, scenario)
    store = open_store(where)
    assert len(store.decisions_of("ann", 5)) == 1
    assert {row.state for row in store.policies()} == {"live"}
    assert {note["act"] for note in store.notes(10)} <= {"sign in", "create"}
    store.close()


def test_a_wrong_old_or_revoked_session_signs_in_again(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        await sign_in(client, keys["read"])
        cookie = client.cookies[COOKIE]
        identity, key, ends, signature = cookie.split(".")
        store = open_store(str(tmp_path / "log.db"))
        admin = next(row.id for row in store.keys() if "admin" in row.scopes)  # noqa: SIM118
        sessions = Sessions(store.secret(), lambda: time.time() - LENGTH - 1)
        wrong = [
            f"{identity}.{admin}.{ends}.{signature}",
            f"{identity}.{key}.{int(ends) + 1}.{signature}",
            f"{identity}.{key}.{ends}.{signature[:-1]}",
            sessions.cookie(sessions.opened(key)),  # was right, and has ended
            Sessions(b"another store", time.time).cookie(sessions.opened(key)),
            sessions.cookie(replace(sessions.opened(""), ends=int(time.time()) + 99)),  # nobody's
            "",
            ".",
            "...",
            "é",
        ]
        for each in wrong:
            sent = f"{COOKIE}={each}".encode("latin-1")
            client.cookies.clear()
            answer = await client.get("/console/policies", headers=[(b"cookie", sent)])
            assert answer.status_code == 303, each
        right = {"cookie": f"{COOKIE}={cookie}"}
        assert (await client.get("/console/policies", headers=right)).status_code == 200
        row = next(row for row in store.keys() if row.id == key)  # noqa: SIM118
        store.put_key(replace(row, revoked=time.time()))
        store.close()
        for _ in range(300):
            if (await client.get("/console/policies", headers=right)).status_code == 303:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("a revoked key still opens the console")

    with_console(tmp_path, scenario)


def test_a_key_for_read_looks_and_does_nothing(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        headers = {"authorization": f"Bearer {keys['admin']}"}
        await client.post("/v1/decide", json=request(person="ann"), headers=headers)
        await sign_in(client, keys["read"])
        form = {"token": token_of(await client.get("/console/people")), "person": "ann", "again": "ann"}
        looked = await client.post("/console/people", data=form)
        assert "1 decision:" in looked.text
        assert "Only a key for admin" in looked.text
        assert (await client.post("/console/people/forget", data=form)).status_code == 403
        answer = await client.post("/console/policies", data=form | {"policy": "offers", "act": "stopped"})
        assert answer.status_code == 403

    where = with_console(tmp_path, scenario)
    store = open_store(where)
    assert len(store.decisions_of("ann", 5)) == 1
    assert {row.state for row in store.policies()} == {"live"}
    store.close()


def test_signing_out_leaves_no_cookie(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        await sign_in(client, keys["read"])
        token = token_of(await client.get("/console/"))
        answer = await client.post("/console/logout", data={"token": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")
        assert COOKIE not in client.cookies
        assert (await client.get("/console/")).status_code == 303

    with_console(tmp_path, scenario)


def test_without_keys_it_opens_on_this_machine_alone_and_forms_still_need_their_token(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        page = await client.get("/console/people")
        assert page.status_code == 200
        assert "httponly" in page.headers["set-cookie"].lower()
        token = token_of(page)
        assert (await client.post("/console/people", data={"person": "ann"})).status_code == 403
        assert (await client.post("/console/people", data={"person": "ann", "token": token})).status_code == 200
        assert (await client.get("/console/login")).status_code == 303
        for host in ("evil.example", "192.168.1.7", "127.0.0.1.evil.example"):
            assert (await client.get("/console/people", headers={"host": host})).status_code == 421
        for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"):
            assert (await client.get("/console/people", headers={"host": host})).status_code == 200

    with_console(tmp_path, scenario, open=True)


def test_every_answer_says_what_a_browser_may_do(tmp_path) -> None:
    async def scenario(client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        await sign_in(client, keys["read"])
        for path in ("", "login", "nothing-here", "why?decision=none", "learned?policy=none", "static/console.js"):
            answer = await client.get(f"/console/{path}")
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == ("no-cache" if "static" in path else "no-store")
            if "static" not in path:
                assert not re.search(r"<script(?! src=)|<style| style=| on[a-z]+=", answer.text)
        assert (await client.get("/console/nothing-here")).status_code == 404
        assert (await client.get("/console/learned?policy=none")).status_code == 422
        assert (await client.get("/console/static/../app.py")).status_code == 404
        assert (await client.get("/console/static/%2e%2e/app.py")).status_code == 404
        assert (await client.get("/console")).headers["location"].endswith("/console/")

    with_console(tmp_path, scenario)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/console/../v1",
        "/console//evil",
        "/console/\r\nx: y",
        "/v1/policies",
        "",
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(path) -> None:
    assert inside(path) == "/console/" or inside(path).startswith("/console/")
    assert "evil.example" not in inside(path)
    assert ".." not in inside(path)
    assert "\n" not in inside(path)
