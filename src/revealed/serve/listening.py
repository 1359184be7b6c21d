"""The socket that a service listens on. Imports errors."""

from __future__ import annotations

import socket

from revealed.errors import SpecificationError


def listening_on(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    SpecificationError
        If that address cannot be had.
    """
    found = None
    try:
        found = socket.socket(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0])
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(2048)
    except OSError as error:
        if found is not None:
            found.close()
        reason = error.strerror or str(error)
        raise SpecificationError(f"cannot listen on {host}:{port}: {reason}; choose another --port or --host") from None
    found.set_inheritable(True)
    return found
