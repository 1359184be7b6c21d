"""A connection that costs the one who measures next to nothing: HTTP/1.1 by hand. Imports errors only.

A client that parses all there is to HTTP costs more than the service that is to be measured. This one knows what the
service answers: a status and a content-length.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from revealed.errors import SpecificationError

#: Takes the status, the body and the moment; status 0 is no answer, and the body says why.
Then = Callable[[int, bytes, float], None]
#: Milliseconds for which connections that are being closed are waited for.
_ROUNDS = 1000


@dataclass(frozen=True)
class Address:
    """Where a service on this machine is.

    Parameters
    ----------
    host : str
        A number.
    port : int
    """

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the address in a URL.

        Raises
        ------
        SpecificationError
            If it is not of this machine: nobody else's service is to be put under load.
        """
        parts = urlsplit(url)
        try:
            port = parts.port or 80
        except ValueError:
            port = 0
        if parts.scheme != "http" or not parts.hostname or not port or parts.path.strip("/"):
            raise SpecificationError(f"not the address of a service on this machine: {url!r}; http://127.0.0.1:8000")
        try:
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except OSError:
            raise SpecificationError(f"there is no machine {parts.hostname!r}") from None
        hosts = [str(entry[4][0]) for entry in found]
        if not all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host in hosts):
            raise SpecificationError(f"{parts.hostname} is another machine; run the load test on the one that serves")
        return cls(next((host for host in hosts if ":" not in host), hosts[0]), port)


def post(path: str, body: bytes, key: str | None = None) -> bytes:
    """Return a request as it goes over the wire."""
    return b"".join((head(path, key), b"%d\r\n\r\n" % len(body), body))


def head(path: str, key: str | None) -> bytes:
    """Return what comes before the length of a body."""
    let = "" if key is None else f"authorization: Bearer {key}\r\n"
    told = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{let}content-type: application/json\r\ncontent-length: "
    return told.encode("ascii")


class Wire(asyncio.Protocol):
    """A connection that is kept, for one request at a time.

    Parameters
    ----------
    lost : callable, optional
        Called when the connection is gone.
    """

    def __init__(self, lost: Callable[[Wire], None] | None = None) -> None:
        self._lost = lost
        self._then: Then | None = None
        self._transport: Any = None
        self._came, self.open, self.since = b"", False, 0.0

    def connection_made(self, transport: Any) -> None:  # uvloop does not register its own as a transport
        """Be ready for requests."""
        self._transport, self.open = transport, True

    @property
    def busy(self) -> bool:
        """Whether it waits for an answer."""
        return self._then is not None

    def ask(self, request: bytes, then: Then) -> None:
        """Send a request; ``then`` is called once, also if the connection is lost."""
        self._then, self.since = then, perf_counter()
        if self.open:
            self._transport.write(request)
        else:
            asyncio.get_running_loop().call_soon(self._end, 0, b"the connection is lost")

    def data_received(self, data: bytes) -> None:
        """Take what comes, until the answer is whole."""
        came = self._came + data if self._came else data
        end = came.find(b"\r\n\r\n")
        if end < 0:
            self._came = came
            return
        start = came.find(b"content-length: ", 0, end)
        length = int(came[start + 16 : came.find(b"\r", start, end + 1)]) if start > 0 else 0
        if len(came) < end + 4 + length:
            self._came = came
            return
        self._came = came[end + 4 + length :]
        self._end(int(came[9:12]), came[end + 4 : end + 4 + length])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Tell whoever waits."""
        self.open = False
        self._end(0, b"the connection is lost")
        if self._lost is not None:
            self._lost(self)

    def give_up(self) -> None:
        """Wait no longer."""
        self._end(0, b"no answer in time")
        self._transport.abort()

    def close(self) -> None:
        """Close the connection."""
        self._lost = None
        if self._transport is not None:
            self._transport.close()

    def _end(self, status: int, body: bytes) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(status, body, perf_counter())


async def connected(address: Address, lost: Callable[[Wire], None] | None = None) -> Wire:
    """Return a connection.

    Raises
    ------
    SpecificationError
        If nobody listens there.
    """
    try:
        _, wire = await asyncio.get_running_loop().create_connection(lambda: Wire(lost), address.host, address.port)
    except OSError as error:
        where = f"http://{address.host}:{address.port}"
        raise SpecificationError(f"no service at {where}: {error.strerror or error}; start one first") from None
    return wire


async def closed(wires: Sequence[Wire]) -> None:
    """Close connections, and wait until they are."""
    for wire in wires:
        wire.close()
    for _ in range(_ROUNDS):
        if not any(wire.open for wire in wires):
            return
        await asyncio.sleep(0.001)


async def asked(wire: Wire, request: bytes) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    wire.ask(request, lambda status, body, _: future.set_result((status, body)))
    return await future
