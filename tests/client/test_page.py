"""The script for pages, run by node against a real service; and which pages of other sites may ask."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from typing import Any

import httpx
import pytest

from revealed.errors import SpecificationError
from revealed.serve.origins import require_origins
from revealed.serve.page_script import page_script
from revealed.serve.service import ServiceOptions
from tests.serve.world import OFFERS, SPECIFICATION, listening, made, serving

SHOP = "https://shop.example"
DECIDE = {"context": {"device": "phone"}, "candidates": [{"offer": offer} for offer in OFFERS]}
NODE = shutil.which("node")


def ask(
    origin: str | None, method: str, path: str, options: tuple[str, ...], tmp_path: Any, **more: Any
) -> httpx.Response:
    """Ask a service in this process as a browser does for a page of an origin."""

    async def scenario() -> httpx.Response:
        async with serving(made(tmp_path), ServiceOptions(open=True, origins=options)) as client:
            headers = {"origin": origin} if origin else {}
            return await client.request(method, path, headers=headers | more.pop("headers", {}), **more)

    return asyncio.run(asyncio.wait_for(scenario(), 30))


def cors_of(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


def test_a_page_on_the_list_may_ask_and_read(tmp_path) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    before = ask(SHOP, "OPTIONS", "/v1/decide", (SHOP,), tmp_path, headers=asks)
    assert before.status_code == 204
    assert cors_of(before) == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, content-type",
        "access-control-max-age": "7200",
        "access-control-expose-headers": "retry-after",
    }
    assert before.headers["vary"] == "origin"
    answer = ask(SHOP, "POST", "/v1/decide", (SHOP,), tmp_path, json=DECIDE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in answer.headers
    wrong = ask(SHOP, "POST", "/v1/outcome", (SHOP,), tmp_path, json={"reward": 1})
    assert (wrong.status_code, wrong.headers["access-control-allow-origin"]) == (400, SHOP)


@pytest.mark.parametrize("options", [(), ("https://other.example",), ("http://shop.example", f"{SHOP}:444")])
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_other_pages_are_refused_before_anything_is_decided(options, method, tmp_path) -> None:
    answer = ask(SHOP, method, "/v1/decide", options, tmp_path, json=DECIDE)
    assert (answer.status_code, cors_of(answer)) == (403, {})
    assert "shown" not in answer.json()


def test_its_own_pages_and_programs_ask_as_ever(tmp_path) -> None:
    for origin in (None, "http://localhost"):
        answer = ask(origin, "POST", "/v1/decide", (), tmp_path, json=DECIDE)
        assert (answer.status_code, cors_of(answer)) == (200, {})


@pytest.mark.parametrize("path", ["/v1/policies", "/metrics", "/ready", "/v1/people/ann", "/v1/strays"])
def test_nothing_else_is_open_to_pages_even_of_the_list(path, tmp_path) -> None:
    for method in ("GET", "OPTIONS", "POST", "DELETE"):
        answer = ask(SHOP, method, path, (SHOP,), tmp_path)
        assert (answer.status_code, cors_of(answer)) == (403, {})


@pytest.mark.parametrize("origin", [SHOP, "null", "http://localhost:3000", "http://localhost.shop.example"])
def test_no_page_administers_a_service_without_keys(origin, tmp_path) -> None:
    # As fetch(…, {method: "POST", mode: "no-cors"}) or a form sends it, which asks nobody before.
    wanted = {"name": "evil", "slot": "offers", "specification": SPECIFICATION}
    plain = {"content-type": "text/plain", "origin": origin}

    async def scenario() -> None:
        async with serving(made(tmp_path), ServiceOptions(open=True, origins=(SHOP,))) as client:
            for path in ("/v1/policies", "/v1/policies/offers/promote", "/v1/slots/offers/rollback"):
                answer = await client.post(path, content=json.dumps(wanted), headers=plain)
                assert (answer.status_code, "other sites" in answer.json()["error"]) == (403, True), path
            assert [policy["name"] for policy in (await client.get("/v1/policies")).json()] == ["offers"]

    asyncio.run(asyncio.wait_for(scenario(), 30))


ELSEWHERE = ("evil.example", "evil.example:8000", "192.168.1.7", "127.0.0.1.evil.example", "localhost.evil.example", "")
HERE = ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000")
DOORS = (("POST", "/v1/decide"), ("GET", "/v1/policies"), ("DELETE", "/v1/people/ann"), ("GET", "/health"))


def test_without_keys_only_names_of_this_machine_are_answered(tmp_path) -> None:
    """Somebody else's name may be made to point here (DNS rebinding): then its pages are of the same origin."""

    async def scenario() -> None:
        async with serving(made(tmp_path)) as client:
            for host, status in [*((host, 421) for host in ELSEWHERE), *((host, 200) for host in HERE)]:
                for method, path in DOORS:
                    for more in ({}, {"origin": f"http://{host}"}):
                        answer = await client.request(method, path, json=DECIDE, headers={"host": host} | more)
                        assert answer.status_code == status, (host, method, path, more)

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_with_keys_any_name_is_answered(tmp_path) -> None:
    async def scenario() -> None:
        async with serving(made(tmp_path), ServiceOptions()) as client:
            told = {"host": "decide.shop.example"}
            assert (await client.get("/health", headers=told)).status_code == 200
            assert (await client.post("/v1/decide", json=DECIDE, headers=told)).status_code == 401
            own = told | {"origin": "https://decide.shop.example"}
            assert (await client.post("/v1/decide", json=DECIDE, headers=own)).status_code == 401

    asyncio.run(asyncio.wait_for(scenario(), 30))


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "shop.example", "https://a.b/page", "null", "file:///x", ""]
)
def test_what_is_no_origin_is_refused(origin) -> None:
    with pytest.raises(SpecificationError, match="not the origin of a page"):
        require_origins([origin])


def test_origins_are_written_as_browsers_do() -> None:
    assert require_origins(["https://Shop.Example/", SHOP, "http://127.0.0.1:8080"]) == (SHOP, "http://127.0.0.1:8080")


def test_the_script_is_sent_once_and_kept(tmp_path) -> None:
    first = ask(SHOP, "GET", "/revealed.js", (), tmp_path)
    assert first.headers["content-type"].startswith("text/javascript")
    assert "max-age" in first.headers["cache-control"]
    assert first.text.count("class Revealed") == 1
    again = ask(None, "GET", "/revealed.js", (), tmp_path, headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert page_script.__doc__


def script(code: str, url: str, tmp_path: Any) -> Any:
    """Run code after the script in node; return what it resolves to."""
    page = tmp_path / "page.js"
    source = httpx.get(f"{url}/revealed.js").text
    page.write_text(f"{source}\n(async () => {{ {code} }})().then((told) => console.log(JSON.stringify(told)));\n")
    done = subprocess.run([str(NODE), str(page)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_a_page_decides_and_tells(tmp_path) -> None:
    with listening(made(tmp_path)) as url:
        told = script(
            f"""
            const shop = new Revealed("{url}/", {{fallback: ["news"], timeout: 5000}});
            const options = {{candidates: {json.dumps(DECIDE["candidates"])}, person: "ann", id: "visit 1"}};
            const decided = await shop.decide({{device: "phone"}}, options);
            const again = await shop.decide({{device: "phone"}}, options);
            const sent = [await shop.outcome(decided, 1), await shop.outcome(decided.decision, true)];
            const never = [await shop.outcome({{decision: null}}, 1), await shop.outcome(decided, NaN)];
            const wrong = await shop.decide({{device: "phone"}}, {{candidates: [{{no: "label"}}]}});
            return {{decided, again, sent, never, wrong}};
            """,
            url,
            tmp_path,
        )
        assert told["decided"]["shown"][0] in OFFERS
        assert told["again"] == told["decided"]
        assert (told["sent"], told["never"]) == ([True, True], [False, False])
        assert (told["wrong"]["shown"], told["wrong"]["fallback"]) == (["news"], "status 422")
        looked_up = httpx.get(f"{url}/v1/decisions/visit 1").json()
        assert [outcome["reward"] for outcome in looked_up["outcomes"]] == [1.0]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_a_page_never_waits_long_and_never_breaks(tmp_path) -> None:
    with listening(made(tmp_path)) as url:
        told = script(
            """
            const began = Date.now(), found = [];
            const net = require("net").createServer(() => {});
            await new Promise((go) => net.listen(0, "127.0.0.1", go));
            const silent = new Revealed(`http://127.0.0.1:${net.address().port}`, {fallback: ["news"], timeout: 100});
            found.push(await silent.decide({}));
            globalThis.AbortController = undefined;
            found.push(await silent.decide({}, {fallback: ["gift"], timeout: 50}));
            const took = Date.now() - began, gone = new Revealed("http://127.0.0.1:1", {fallback: ["news"]});
            found.push(await gone.decide({}));
            const loop = {}; loop.loop = loop;
            found.push(await gone.decide(loop));
            found.push(await new Revealed("no address").decide({}));
            found.push(await new Revealed().decide());
            const outcomes = [await gone.outcome()];
            globalThis.fetch = async () => ({ok: true, status: 200, json: async () => "hello"});
            found.push(await gone.decide({}));
            globalThis.fetch = undefined;
            found.push(await gone.decide({}));
            setTimeout(() => process.exit(0), 50);
            return {found, took, outcomes};
            """,
            url,
            tmp_path,
        )
    assert [one["decision"] for one in told["found"]] == [None] * 8
    assert [one["shown"] for one in told["found"]] == [
        ["news"],
        ["gift"],
        ["news"],
        ["news"],
        [],
        [],
        ["news"],
        ["news"],
    ]
    assert all(one["fallback"] for one in told["found"])
    assert told["found"][0]["fallback"] == "nothing within 100 ms"
    assert told["took"] < 1000
    assert told["outcomes"] == [False]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_an_outcome_is_sent_again_and_to_its_end(tmp_path) -> None:
    with listening(made(tmp_path)) as url:
        told = script(
            """
            const sent = [], waits = [], answers = [null, 503, 200, 503, 429, 500, 400];
            globalThis.setTimeout = (go, wait) => { waits.push(wait); queueMicrotask(go); };
            globalThis.fetch = async (where, options) => {
              sent.push([where, options.keepalive, options.credentials, options.headers.authorization]);
              const status = answers[sent.length - 1];
              if (status === null) throw new TypeError("lost");
              return {status, ok: status === 200};
            };
            const shop = new Revealed("https://decide.example/", {key: "rk_1"});
            const told = [await shop.outcome("a", 1), await shop.outcome("b", 1), await shop.outcome("c", 1)];
            return {told, sent, waits};
            """,
            url,
            tmp_path,
        )
    assert told["told"] == [True, False, False]
    assert told["waits"] == [1000, 4000, 1000, 4000]
    assert told["sent"] == [["https://decide.example/v1/outcome", True, "omit", "Bearer rk_1"]] * 7
