"""``python -m revealed`` is the command line. Imports the command line only."""

from revealed.cli import main

main()
