"""``revealed loadtest``: a running service under the load of a simulated store. Imports serve, answer and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from revealed.cli.options import Json
from revealed.cli.results import require_writable
from revealed.cli.screen import Screen, remark
from revealed.errors import MissingExtraError

if TYPE_CHECKING:
    from revealed.report.content import Section
    from revealed.serve.load.found import Found


def loadtest(
    url: Annotated[str, typer.Argument(help="The service, on this machine.", metavar="URL")] = "http://127.0.0.1:8000",
    rate: Annotated[
        float | None,
        typer.Option(help="Decisions a second that are asked for; without it as many as it goes.", min=0.001),
    ] = None,
    connections: Annotated[int, typer.Option(help="How many ask at once, at most.", min=1)] = 32,
    seconds: Annotated[float, typer.Option(help="How long decisions are asked for.", min=0.1)] = 10.0,
    delay: Annotated[float, typer.Option(help="Seconds from a decision to its outcome.", min=0)] = 1.0,
    policy: Annotated[str | None, typer.Option(help="Which policy is asked, where there are several.")] = None,
    key: Annotated[str | None, typer.Option(help="For decide and outcome.", envvar="REVEALED_KEY")] = None,
    seed: Annotated[int, typer.Option(help="Of the visitors.", min=0)] = 0,
    write_policy: Annotated[
        Path | None, typer.Option(help="Write a policy for the simulated store to serve, and end.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    """Put a service under the load of a simulated store: what it takes, and what it learns.

    The store has 20 items and features of its own, so the service needs a policy made for it (--write-policy). Its
    decisions and outcomes are real: they are logged and learned. It is for services on this machine alone.

    revealed loadtest http://127.0.0.1:8000 --rate 200 --seconds 30
    """
    _require_installed()
    from revealed.serve.load.drive import LoadOptions, driven
    from revealed.serve.load.visitors import Visitors, store_policy
    from revealed.serve.load.wire import Address

    screen = Screen(json)
    if write_policy is not None:
        require_writable(None, write_policy)
        store_policy().save(write_policy)
        remark(f"Wrote {write_policy}; serve it: revealed serve {write_policy} --without-keys")
        return
    address = Address.of(url)
    options = LoadOptions(seconds, rate, connections, delay, key=key)
    with screen.working("Asking"):
        found = driven(address, Visitors(seed, policy), options)
    screen.show(sections_of(found, options.rate))
    screen.document(found.to_dict())


def sections_of(found: Found, rate: float | None) -> tuple[Section, ...]:
    """Return how fast it went, what was earned and what went wrong."""
    from revealed.answer.table import Column, Table
    from revealed.report.content import Section

    told = found.to_dict()
    shares = ("p50", "p90", "p99", "max")
    columns = (
        Column("what", "text"),
        Column("number", "integer"),
        Column("a second"),
        *(Column(f"{share} ms") for share in shares),
    )
    n_told = sum(found.outcomes.values())
    rows = (
        ("decisions", found.answered, told["decisions_per_second"], *told["decision_ms"].values()),
        ("outcomes, by batches", n_told, n_told / found.seconds, *told["outcome_batch_ms"].values()),
    )
    how = "as fast as it goes" if rate is None else f"{rate:,.6g} asked for a second, timed from when each was due"
    answered = f"{found.answered:,} of {found.due:,} answered, {found.fallbacks:,} of them by the fall-back"
    speed = Table("", columns, rows, (how, answered, f"the test itself: {told['generator_cpu_us']:.0f} µs each"))
    columns = (
        Column("of the time", "text"),
        Column("decisions", "integer"),
        Column("reward"),
        Column("regret"),
        Column("regret of chance"),
        Column("of chance", "share"),
    )
    earned = tuple((name, *told[part].values()) for name, part in (("all", "all"), ("last quarter", "last_quarter")))
    notes = ("regret is what the best item would have earned in expectation, less what was shown does",)
    sections = [Section("Speed", (speed,)), Section("Earned, a decision", (Table("", columns, earned, notes),))]
    if found.errors:
        columns = (Column("error", "text"), Column("number", "integer"))
        sections.append(Section("Errors", (Table("", columns, tuple(found.errors.most_common())),)))
    return tuple(sections)


def _require_installed() -> None:
    try:
        import msgspec  # noqa: F401
        import uvloop  # noqa: F401
    except ImportError:
        raise MissingExtraError("the load test", "serve") from None
