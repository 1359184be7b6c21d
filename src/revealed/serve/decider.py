"""A decider: one process that answers requests on a socket it was given. Imports its own room and errors.

``echo '{"store": …, "snapshots": …, "fd": …}' | python -m revealed.serve.decider``; the supervisor starts it
(:mod:`.supervisor`).
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvicorn

from revealed.serve import parent
from revealed.serve.connection import connections, places
from revealed.serve.service import ServiceOptions, application


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """What a decider is told.

    Parameters
    ----------
    store, snapshots : str
    fd : int
        The socket that listens.
    options : ServiceOptions
    encryption : pair of str, optional
        The files of a certificate and its private key, for TLS.
    """

    store: str
    snapshots: str
    fd: int
    options: ServiceOptions
    encryption: tuple[str, str] | None = None


def run(told: Told) -> None:
    """Answer requests until a signal says to stop; those under way are answered first."""
    # The thread that writes waits for the interpreter several times a group: 25 ms at the usual 5 ms a turn.
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()  # what was imported stays: it need not be looked through while requests wait
    gc.set_threshold(100_000, 20, 100)
    certificate, key = told.encryption or (None, None)
    listening = socket.socket(fileno=told.fd)
    opened = application(told.store, Path(told.snapshots), told.options)
    config = uvicorn.Config(
        opened,
        loop="uvloop",
        http=connections(told.options.limits, lambda: opened.service),
        ws="none",
        limit_concurrency=places(),
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    told = msgspec.json.decode(parent.told(), type=Told)
    parent.when_it_has_gone(lambda: os.kill(os.getpid(), signal.SIGTERM))
    run(told)
