"""The script that a page asks for decisions with: ``/revealed.js``. Imports nothing of ours."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

#: A browser asks again after an hour, and a cache on the way may show the old one while it asks.
_KEPT = "public, max-age=3600, stale-while-revalidate=86400"


@cache
def _script() -> tuple[bytes, str]:
    """Return the script, and a tag that changes when it does."""
    content = files("revealed.serve").joinpath("static", "revealed.js").read_bytes()
    return content, f'"{blake2b(content, digest_size=8).hexdigest()}"'


async def page_script(request: Request) -> Response:
    """Answer the script, or that it has not changed."""
    content, tag = _script()
    headers = {"etag": tag, "cache-control": _KEPT, "x-content-type-options": "nosniff"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    # Also for pages that load it as a module, or check what it is by its digest.
    headers["access-control-allow-origin"] = "*"
    return Response(content, 200, headers, "text/javascript")
