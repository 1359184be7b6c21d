"""A client's connection: uvicorn's, with limits on time and size, and a short way to what is hot. Imports the app.

uvicorn waits for ever for the rest of a request, keeps all of its header, and for each request that it answers takes in
all that came behind it: some thousand clients that send a letter a minute (slow loris), one whose header never ends, or
one that asks without waiting for answers would take all there is.

For each request uvicorn makes a task, an event and messages, which costs more than a decision. What a service spends
its time with, a short POST by a program to a hot route, is handed to the service as it is and answered by a callback;
all else goes the usual way, to the same code. What such requests begin with is remembered: the next one of that client
mostly begins with the very same bytes, and needs no parser.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Sized
from math import inf
from typing import Any, ClassVar, NamedTuple

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from revealed.serve.app import HOT, SHORT, BadRequestError, Limits, Reply, Service, Way
from revealed.serve.origins import is_here

#: Bytes that a header may have, with the line of the request.
LONGEST_HEADER = 64 * 1024
#: Bytes on the wire for each of a body: a chunk of one byte takes six.
_WRAPPING = 8
#: Requests that may wait behind the one that is answered, on one connection.
_AHEAD = 256
#: Files that a process may have open besides connections, and the most connections that one process is good for.
_OTHER_FILES, _MOST = 100, 16_384
#: The hot routes as they stand in a request.
_PATHS = {path.encode(): path for path in HOT}
#: What ends a header.
_END = b"\r\n\r\n"
#: Beginnings that are remembered, and the longest, in bytes.
_KNOWN, _LONGEST_KNOWN = 1024, 2048
_CLOSE = (b"connection", b"close")
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def places() -> int:
    """Return how many connections this process can hold, having asked the system for as many files as it gives.

    Who comes when they are taken is answered 503. Without a limit the process would run out of files and accept nobody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST + _OTHER_FILES
    files = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, files - _OTHER_FILES)


def connections(limits: Limits, service: Callable[[], Service | None]) -> type[Connection]:
    """Return the kind of connection for such requests to a service, which is there from some moment on."""
    told = {"longest": LONGEST_HEADER + _WRAPPING * limits.body, "patience": 2 * limits.seconds}
    kept = {"beginnings": {}, "tops": _Tops()}
    return type("Connection", (Connection,), {**told, **kept, "service": staticmethod(service)})


class _Flow(FlowControl):
    """Reads on only when nothing waits to be answered."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, if all that was read is being answered."""
        if not self._waiting:
            super().resume_reading()


class _Beginning(NamedTuple):
    """What the line of a request that can go the short way, and its header, come to."""

    way: Way
    length: int
    keep_alive: bool


class _Hot:
    """A request that goes the short way, where uvicorn has its own kind of cycle."""

    __slots__ = ("body", "disconnected", "keep_alive", "response_complete", "way")
    #: What uvicorn sets when a connection is lost; nobody waits for it here.
    message_event = asyncio.Event()

    def __init__(self, beginning: _Beginning, body: bytes) -> None:
        self.way, self.keep_alive, self.body = beginning.way, beginning.keep_alive, body
        self.disconnected, self.response_complete = False, False


class _Tops:
    """What answers begin with, above what differs: the same for all of a second, as uvicorn tells the time in them."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._known: dict[tuple[int, bytes], bytes] = {}

    def top(self, headers: list[tuple[bytes, bytes]], status: int, form: bytes) -> bytes:
        """Return the first lines of an answer, under the headers that all have."""
        if headers is not self._headers:
            self._headers, self._known = headers, {}
        known = self._known.get((status, form))
        if known is None:
            lines = (b"%b: %b\r\n" % header for header in (*headers, (b"content-type", form)))
            known = self._known[status, form] = b"".join((STATUS_LINE[status], *lines))
        return known


class Connection(HttpToolsProtocol):
    """A client's connection."""

    #: Bytes that a request may have on the wire.
    longest = LONGEST_HEADER
    #: Seconds in which a request comes, from its first byte (or the connection's start) to its last; and in which a
    #: client must read on that does not take its answers.
    patience = 20.0
    #: What answers, once it is there.
    service: Callable[[], Service | None] = staticmethod(lambda: None)
    #: What requests that went the short way began with, byte by byte: a client's next ones most often begin the same.
    beginnings: ClassVar[dict[bytes, _Beginning]] = {}
    tops: ClassVar[_Tops] = _Tops()
    _hot: _Hot | None = None
    #: What is being answered: uvicorn's ``cycle`` is the request that came last, which may wait behind it.
    _running: Any = None
    #: What began in the piece that is being read, and whether nothing of a request is there that is not all there.
    _began: _Beginning | None = None
    _between = True
    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    #: When the request, or the next one, must be there; and whether it is the next one that is waited for.
    _until, _rests = inf, False
    _bytes, _in_header = 0, True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._until = self.loop.time() + self.patience
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        for timer in (self._timer, self._writing):
            if timer is not None:
                timer.cancel()
        if self._running is not None:  # else it would write to a connection that is closed, and be told as an error
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, unless a request has grown too long."""
        fresh = self._between
        if fresh:
            end = data.find(_END) + len(_END)
            beginning = self.beginnings.get(data[:end])
            if beginning is not None and len(data) == end + beginning.length and self._is_free():
                self._until = inf
                self.cycle = self._running = self._hot = _Hot(beginning, data[end:])  # type: ignore[assignment]
                self._ask(self._hot)
                return
        self._bytes += len(data)
        self._began = None
        super().data_received(data)  # a request that begins in this piece counts from the next
        if fresh:
            self._remember(data, end)
        if self._bytes > (LONGEST_HEADER if self._in_header else self.longest) and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def _remember(self, data: bytes, end: int) -> None:
        """Keep what the bytes above a body were read as, if the piece was one request that goes the short way."""
        began = self._began
        if began is None or not self._between or len(data) != end + began.length or end > _LONGEST_KNOWN:
            return
        if len(self.beginnings) >= _KNOWN:
            self.beginnings.clear()
        self.beginnings[data[:end]] = began

    def on_message_begin(self) -> None:
        """Wait for the rest of the request."""
        super().on_message_begin()
        self._bytes, self._in_header, self._between = 0, True, False
        self._until, self._rests = self.loop.time() + self.patience, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a line of the header; those behind a body are left out, as nothing here asks for them."""
        if self._in_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        if len(self.pipeline) >= _AHEAD:
            raise BufferError("too many requests at once")  # told as a bad request, and closed
        self._in_header = False
        beginning = self._beginning()
        if beginning is None:
            super().on_headers_complete()
        else:
            self._began, self._hot = beginning, _Hot(beginning, b"")
            self.cycle = self._hot  # type: ignore[assignment]
        if not self.pipeline:
            self._running = self.cycle

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._running = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        self._unset_keepalive_if_required()  # what is waited for here waits by one timer
        self._rest()

    def _rest(self) -> None:
        """Wait for the next request, if it has not begun: then it has its own time."""
        if self._between and self._running is None:
            self._until, self._rests = self.loop.time() + self.timeout_keep_alive, True

    def _is_free(self) -> bool:
        """Return whether a request can go the short way now, if it is one that can."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and (self.limit_concurrency is None or len(self.connections) < self.limit_concurrency)
        )

    def _beginning(self) -> _Beginning | None:
        """Return what a request's line and header come to, if it can go the short way."""
        path, service = _PATHS.get(self.url), self.service()
        if path is None or service is None or self.expect_100_continue or not self._is_free():
            return None
        headers, hosts = dict(self.headers), [value for name, value in self.headers if name == b"host"]
        length = headers.get(b"content-length", b"")
        usual = (
            length.isdigit()
            and 0 < int(length) <= min(SHORT, service.limits.body)
            and b"origin" not in headers
            and (service.gate is not None or (hosts and all(map(is_here, hosts))))
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
        )
        if not usual:
            return None
        try:
            return _Beginning(service.way(path, headers), int(length), self.parser.should_keep_alive())
        except BadRequestError:  # told on the other way
            return None

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        hot = self._current()
        if hot is None:
            super().on_body(body)
        else:
            hot.body += body

    def on_message_complete(self) -> None:
        """Stop waiting: the request is whole."""
        self._bytes, self._between, self._until = 0, True, inf
        hot = self._current()
        if hot is None:
            super().on_message_complete()
        else:
            self._ask(hot)

    def _ask(self, hot: _Hot) -> None:
        service = self.service()
        if service is not None:
            service.take(hot.way, hot.body, self._reply)

    def _current(self) -> _Hot | None:
        """Return the request that is being read, if it goes the short way: others may come behind one that does."""
        cycle: object = self.cycle
        return self._hot if cycle is self._hot else None

    def _reply(self, reply: Reply) -> None:
        """Answer the request that went the short way."""
        hot, self._hot = self._hot, None
        if hot is None or hot.disconnected or self.transport.is_closing():
            return
        hot.response_complete = True
        status, form, content, more = reply
        if not hot.keep_alive:
            more = [*more, _CLOSE]
        lines = b"".join([b"%b: %b\r\n" % header for header in more]) if more else b""
        top = self.tops.top(self.server_state.default_headers, status, form)
        self.transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (top, lines, len(content), content))
        if not hot.keep_alive:
            self.transport.close()
        if self.pipeline or self.flow.read_paused:
            self.on_response_complete()
        else:  # uvicorn would set a timer for each answer
            self.server_state.total_requests += 1
            self._running = None
            self._rest()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers."""
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(self.patience, self._give_up)

    def resume_writing(self) -> None:
        """Stop waiting: it reads on."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def _look(self) -> None:
        """Give up what has not come in time: by one timer, since one for each request costs more than reading it."""
        left = self._until - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(min(left, self.patience, self.timeout_keep_alive), self._look)
        elif self._rests:
            self.transport.close()
        else:
            self._give_up()

    def _give_up(self) -> None:
        transport: Any = self.transport
        transport.abort()
