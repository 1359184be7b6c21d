"""A connection that is not waited for without end: uvicorn's, with limits on time and size. Imports uvicorn only.

uvicorn waits for ever for the rest of a header, and keeps all of it: some thousand clients that send a letter a minute
(slow loris), or one that never ends its header, would take all there is.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Seconds in which a request comes, from its first byte (or the connection) to its last; and in which a client must
#: read on when it does not take its answers.
PATIENCE = 20.0
#: Bytes that a header may have, with the line of the request.
LONGEST_HEADER = 64 * 1024
#: Files a process may have open besides connections, and the most connections that are worth it.
_OTHER_FILES, _MOST = 100, 16_384


def places() -> int:
    """Return how many connections this process can hold, having asked the system for as many as it gives.

    Who comes when they are taken is answered 503. Without a limit the process would run out of files, and could
    accept nobody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST + _OTHER_FILES
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return max(1, (wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)) - _OTHER_FILES)


class Connection(HttpToolsProtocol):
    """A client's connection."""

    _patience: asyncio.TimerHandle | None = None
    #: Bytes of the header that is coming; None while none is.
    _header: int | None = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, as long as a header is not too long."""
        if self.transport.is_closing():
            return
        if self._header is not None:
            self._header += len(data)
        super().data_received(data)
        # A request that ended within this piece has set it back; what is left has no end yet.
        if self._header is not None and self._header > LONGEST_HEADER + len(data):
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Wait for the rest of a request."""
        super().on_message_begin()
        self._header = 0
        self._wait()

    def on_headers_complete(self) -> None:
        """Go on to the body, which has limits of its own."""
        self._header = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting: the request is whole."""
        self._stop_waiting()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Stop waiting: it reads on."""
        self._stop_waiting()
        super().resume_writing()

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(PATIENCE, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        transport: Any = self.transport
        if transport is not None:
            transport.abort()
