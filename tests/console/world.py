"""A console to look at: a service on loopback whose log has something in it, hostile texts among the rest."""

from __future__ import annotations

import time

import httpx

from revealed.serve.gate import new_key
from revealed.store.open import open_store
from tests.serve.world import OFFERS, Learning, request

#: What would do something if it were not escaped: in HTML, in an attribute, in SQL, in a template.
HOSTILE = (
    '<script>document.title="taken"</script>',
    '"><img src=x onerror="document.title=\'taken\'">',
    "' onmouseover='document.title=\"taken\"' x='",
    "'; DROP TABLE decisions; --",
    "{{ 7 * 7 }}{% include 'x' %}",
    "</title><svg/onload=alert(1)>",
)


def keys_of(where: str) -> dict[str, str]:
    """Put a key for each kind of viewer into a store; return them by scope."""
    store, made = open_store(where), {}
    for scope in ("read", "admin", "decide"):
        made[scope], row = new_key([scope], f"a test's, for {scope}", time.time())
        store.put_key(row)
    store.close()
    return made


def visited(address: str, where: str, headers: dict[str, str] | None = None) -> list[str]:
    """Let some people decide for, hostile ones among them, and tell what came; return the names of the decisions."""
    names: list[str] = []
    with Learning(where), httpx.Client(base_url=address, headers=headers) as client:
        for round_ in range(4):
            asked = [
                request(person=f"person {i % 9}", context={"device": ("phone", "desktop")[i % 2]}) for i in range(60)
            ]
            made = client.post("/v1/decide/batch", json={"requests": asked}).raise_for_status().json()["decisions"]
            told = [
                {"decision": one["decision"], "reward": float(OFFERS.index(one["shown"][0]) > i % 5)}
                for i, one in enumerate(made)
            ]
            client.post("/v1/outcome/batch", json={"outcomes": told[: 60 - 10 * round_]}).raise_for_status()
            names += [one["decision"] for one in made]
            time.sleep(0.15)
        for number, text in enumerate(HOSTILE):
            hostile = request(person=text, id=f"{text} {number}", context={"device": text})
            hostile["candidates"] = [{"offer": text}, {"offer": "news"}]
            answer = client.post("/v1/decide", json=hostile).raise_for_status().json()
            names.append(answer["decision"])
            client.post("/v1/outcome", json={"decision": answer["decision"], "reward": 1.0}).raise_for_status()
        client.post("/v1/outcome", json={"decision": "<b>nobody</b>", "reward": 1.0}).raise_for_status()
        _wait_until_learned(client, headers)
    return names


def _wait_until_learned(client: httpx.Client, headers: dict[str, str] | None) -> None:
    """Wait until the service has taken what was learned."""
    deadline = time.monotonic() + 10
    before = None
    while time.monotonic() < deadline:
        now = client.get("/ready").json()["policies"]["offers"]["lesson"]
        if now and now == before:
            return
        before = now
        time.sleep(0.3)
