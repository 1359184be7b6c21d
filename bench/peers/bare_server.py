"""The least that a server can do: the same server, answering a constant. python -m bench.peers.bare_server FD."""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

BODY = (
    b'{"decision":"AAAAAAAAAABk3kq1v9wXYZ","shown":["item 7"],"propensity":0.4375,"propensities":[0.4375],'
    b'"policy":"store","version":"1200-a1b2c3d4e5f6"}'
)
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Read a request to its end and answer the constant."""
    if scope["type"] != "http":
        return
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "ws": "none", "lifespan": "off"}
    config = uvicorn.Config(application, **options, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
