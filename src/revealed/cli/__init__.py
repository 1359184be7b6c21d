"""The command line, one file per command; thin: it reads options, asks the rooms, shows what they say.

Nothing heavy is imported before a command needs it, so that ``revealed --help`` is there at once.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

#: Numpy reads them when it is imported, and the processes of a service inherit them. Engines have threads of their own;
#: those of linear algebra, with matrices as small as most are here, wait for each other: a search for types takes
#: three times as long with two of them. Who says otherwise has their way.
_BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    """Run the command line; the entry point of ``revealed``."""
    signal.signal(signal.SIGTERM, _terminate)
    for name in _BLAS:
        os.environ.setdefault(name, "1")
    try:
        from revealed.cli.app import app
    except KeyboardInterrupt:
        sys.exit(130)
    app(prog_name="revealed")


def _terminate(*_: object) -> NoReturn:
    """Leave as on an error, so that temporary files are taken away."""
    raise SystemExit(128 + signal.SIGTERM)


__all__ = ["main"]
