"""The commands and what they have in common. Imports the commands' files, which are light until they run."""

from __future__ import annotations

from typing import Annotated

import typer

from revealed.cli.blp import blp, markets
from revealed.cli.compare import compare
from revealed.cli.datasets import datasets
from revealed.cli.demo import demo
from revealed.cli.describe import describe
from revealed.cli.dynamic import dynamic
from revealed.cli.elasticities import demand, elasticities
from revealed.cli.exits import EXIT_CODES, Commands
from revealed.cli.fit import fit
from revealed.cli.layout import layout
from revealed.cli.loadtest import loadtest
from revealed.cli.options import expanded
from revealed.cli.policies import decide, evaluate, learn
from revealed.cli.replay import replay
from revealed.cli.serve import keys, serve
from revealed.cli.simulate import simulate
from revealed.cli.validate import validate
from revealed.cli.whatif import whatif
from revealed.cli.worth import wtp

# A paragraph that starts with a backspace keeps its lines.
_EPILOG = "\b\nExit codes\n" + "\n".join(f"{code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    epilog=_EPILOG,
)


def _version(value: bool) -> bool:
    if value:
        from revealed import __version__

        typer.echo(f"revealed {__version__}")
        raise typer.Exit
    return value


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error comes from.")] = False,
) -> None:
    """Learn what people value from what they choose, and act on it."""
    del version, debug  # the one has ended the run already, the other is looked up where errors are told


_PANELS = {
    "Start": (demo, datasets, simulate),
    "Estimate": (describe, fit, dynamic, blp, validate, compare),
    "Decide": (learn, decide, evaluate, replay, layout),
    "Serve": (serve, keys, loadtest),
    "Ask": (whatif, wtp, elasticities, demand, markets),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(expanded(_command))
