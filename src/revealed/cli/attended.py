"""``python -m revealed.cli.attended …``: the command line, ended when whoever started it has gone. Imports serve.

For a service that another process of ours starts, with a pipe to its standard input: none is left behind, however the
other ends.
"""

from __future__ import annotations

import os
import signal

from revealed.cli import main
from revealed.serve.parent import when_it_has_gone

if __name__ == "__main__":
    when_it_has_gone(lambda: os.kill(os.getpid(), signal.SIGTERM))
    main()
