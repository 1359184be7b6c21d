"""What a command exits with, and how a failure is told. Imports the errors and cli's wording."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from revealed.cli.wording import for_the_command_line
from revealed.errors import DataError, RevealedError

#: An estimate came out, but is not sound; the result was still shown and written.
NOT_SOUND = 7
INTERRUPTED = 130

#: Told at the end of ``revealed --help``.
EXIT_CODES = {
    0: "all is well",
    1: "an unexpected error, ours to mend",
    2: "an option or argument that is not known or not complete",
    3: "data refused, with every problem found",
    4: "a formula, name or option that does not fit the data or the model",
    5: "an optional part is not installed",
    6: "a result cannot be written; what was there is untouched",
    NOT_SOUND: "estimated, but not converged or not identified; the result is still shown and written",
    8: "the log of decisions cannot be opened, read or written; what it holds is untouched",
    INTERRUPTED: "interrupted; nothing half-written",
}


class Commands(TyperGroup):
    """The group of commands; every failure of any of them is told in one way, here."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn errors into one clear message and an exit code."""
        # Typer hands a context of another class than it names, so commands ask for none; all is known here.
        debug, as_json = bool(ctx.params.get("debug")), "--json" in ctx.args

        def fail(error: BaseException, message: str, code: int) -> NoReturn:
            _tell(error, message, code, debug=debug, as_json=as_json)
            raise typer.Exit(code)

        try:
            return super().invoke(ctx)
        except RevealedError as error:
            fail(error, for_the_command_line(str(error)), error.exit_code)
        except KeyboardInterrupt as error:
            fail(error, "interrupted; nothing was left half-written", INTERRUPTED)
        except BrokenPipeError:  # the reader has read enough, as in ``revealed ... | head``
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except MemoryError as error:
            remedy = "ask for fewer states, periods or draws, or read data in batches: as Parquet, with --stream"
            fail(error, f"this does not fit into memory; {remedy}", RevealedError.exit_code)
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own: usage errors and exits
                if as_json and hasattr(error, "format_message"):
                    _write(error, error.format_message(), error.exit_code)
                raise
            told = f"unexpected {type(error).__name__}: {error}"
            message = f"{told}\nThis is a fault of revealed; 'revealed --debug …' shows where."
            fail(error, message, RevealedError.exit_code)


def _tell(error: BaseException, message: str, code: int, *, debug: bool, as_json: bool) -> None:
    """Tell an error on stderr; for a machine on stdout too."""
    from revealed.cli.screen import complain

    if debug:
        traceback.print_exception(error, file=sys.stderr)
    complain(message)
    if as_json:
        _write(error, message, code)


def _write(error: BaseException, message: str, code: int) -> None:
    """Tell an error on stdout, as a document."""
    told: dict[str, Any] = {"error": {"kind": type(error).__name__, "exit_code": code, "message": message}}
    if isinstance(error, DataError):
        told["error"]["source"] = error.source
        told["error"]["problems"] = [
            {**vars(problem), "remedy": for_the_command_line(problem.remedy)} for problem in error.problems
        ]
    sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
