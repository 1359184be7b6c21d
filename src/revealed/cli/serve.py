"""``revealed serve`` and ``keys``: decisions over HTTP from one command, and who may ask. Imports serve and store."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from revealed.cli.options import Json
from revealed.cli.policies import policy_in
from revealed.cli.screen import Screen, remark
from revealed.errors import MissingExtraError, SpecificationError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from revealed.store.protocol import KeyRow

Where = Annotated[
    str, typer.Option(help="The log: a file, or postgresql://…", metavar="STORE", envvar="REVEALED_STORE")
]
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    policy: Annotated[
        Path,
        typer.Argument(help="What the policy is made of, in TOML; or one that has learned (JSON).", metavar="POLICY"),
    ],
    store: Where = "revealed.db",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    name: Annotated[str | None, typer.Option(help="What the policy is called; by default as its file.")] = None,
    slot: Annotated[
        str | None,
        typer.Option(
            help="What it decides on; by default a slot of its own name. Where others decide already, it learns in the "
            "shadow until it is promoted."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the exploration of a fresh policy.", min=0)] = 0,
    deciders: Annotated[int, typer.Option(help="Processes that decide.", min=1)] = 1,
    snapshots: Annotated[
        Path | None, typer.Option(help="Folder for what is learned; by default beside the log.")
    ] = None,
    stale: Annotated[
        float, typer.Option(help="Seconds without a learner after which the fall-back is shown; 0: never.", min=0)
    ] = 600.0,
    rate: Annotated[float, typer.Option(help="Requests a second for each key; 0 for any number.", min=0)] = 0.0,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Let everybody on this machine do everything, and nobody else.")
    ] = False,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Whose pages may ask in a browser: https://shop.example.", metavar="ORIGIN")
    ] = None,
    fit: Annotated[
        list[str] | None,
        typer.Option(
            help="A saved fit and the choices to ask it about, for what-ifs in the console. Repeat it for several.",
            metavar="FIT=CHOICES",
        ),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="For TLS, with its --private-key.")] = None,
    private_key: Annotated[Path | None, typer.Option(help="For TLS.")] = None,
) -> None:
    """Decide over HTTP, log every decision and outcome, and learn from them.

    revealed serve policy.toml --without-keys
    """
    require_service()
    from revealed.serve.crew import begun
    from revealed.serve.listening import listening_on

    if without_keys and host not in _LOOPBACK:
        raise SpecificationError(f"--without-keys is for this machine alone, not for {host}; leave one of the two out")
    if (certificate is None) != (private_key is None):
        raise SpecificationError("TLS needs both --certificate and --private-key")
    with closing(listening_on(host, port)) as listening, begun(listening.fileno(), deciders) as crew:
        # Only now what takes long to import: the crew does so at the same time.
        from revealed.serve.console.what_if import fits_of
        from revealed.serve.enrolment import enrol
        from revealed.serve.origins import require_origins
        from revealed.serve.service import ServiceOptions, folder_beside
        from revealed.serve.supervisor import Supervisor
        from revealed.store.open import open_store

        fits, origins = fits_of(fit), require_origins(allow_origin or ())
        learned = policy_in(policy, seed)
        called = name or policy.stem
        opened = open_store(store)
        if enrol(opened, called, learned, time.time(), slot):
            slots = dict.fromkeys(row.slot for row in opened.policies())
            if len(slots) > 1:
                remark(f"There are several slots now: requests have to say which, as their policy: {', '.join(slots)}")
        if not without_keys and not any(key.revoked is None for key in opened.keys()):  # noqa: SIM118 - no mapping
            key = _added(opened.put_key, ["admin"], "the first key")
            remark(f"Key, told this once: {key}")
        opened.close()
        scheme = "https" if certificate else "http"
        address = f"{scheme}://{host}:{listening.getsockname()[1]}"
        remark(f"Serving {called} at {address}, its log in {_told(store)}; Ctrl-C ends it")
        remark(f"To look at it: {address}/console/")
        options = ServiceOptions(rate=rate, stale=stale, open=without_keys, origins=origins, fits=fits)
        encryption = None if certificate is None or private_key is None else (str(certificate), str(private_key))
        Supervisor(store, snapshots or folder_beside(store), listening, options, crew, remark, encryption).run()
    remark("Ended; what was acknowledged is in the log")


def keys(
    store: Where = "revealed.db",
    add: Annotated[
        str | None, typer.Option(help="Make a key for decide, outcome, read or admin, separated by commas.")
    ] = None,
    note: Annotated[str, typer.Option(help="Whose the new key is.")] = "",
    days: Annotated[float | None, typer.Option(help="How long the new key is good for.", min=0)] = None,
    revoke: Annotated[str | None, typer.Option(help="The first letters of a key that is no longer to open.")] = None,
    json: Json = False,
) -> None:
    """Show the keys of a service, add one, or revoke one.

    revealed keys --add decide,outcome --note "the shop's page"
    """
    require_service()
    from dataclasses import replace

    from revealed.answer.table import Column, Table
    from revealed.report.content import Section
    from revealed.store.open import open_store

    screen, opened = Screen(json), open_store(store)
    if revoke is not None:
        known = {key.id: key for key in opened.keys()}  # noqa: SIM118
        if revoke not in known:
            raise SpecificationError(f"no key {revoke!r}; {nearest(revoke, known)}")
        opened.put_key(replace(known[revoke], revoked=time.time()))
        opened.note("the command line", "revoke", revoke)
    made = None
    if add is not None:
        made = _added(opened.put_key, [scope.strip() for scope in add.split(",")], note, days)
        opened.note("the command line", "add key", made.partition(".")[0])
    rows = [(key.id, ", ".join(key.scopes), key.note, _state(key)) for key in opened.keys()]  # noqa: SIM118
    opened.close()
    columns = tuple(Column(what, "text") for what in ("key", "scopes", "note", "state"))
    screen.show((Section("Keys", (Table("", columns, tuple(rows)),)),))
    if made is not None:
        remark(f"Key, told this once: {made}")
    told = [dict(zip(("key", "scopes", "note", "state"), row, strict=True)) for row in rows]
    screen.document({"keys": told} | ({} if made is None else {"made": made}))


def _added(put: Callable[[KeyRow], None], scopes: list[str], note: str, days: float | None = None) -> str:
    from revealed.serve.gate import new_key

    now = time.time()
    key, row = new_key(scopes, note, now, None if days is None else now + 86_400 * days)
    put(row)
    return key


def _state(key: KeyRow) -> str:
    if key.revoked is not None:
        return "revoked"
    return "expired" if key.expires is not None and key.expires <= time.time() else "good"


def _told(store: str) -> str:
    """Return where a store is, without a password in it."""
    from revealed.choices.databases import without_password
    from revealed.store.open import is_shared

    return without_password(store) if is_shared(store) else store


def require_service() -> None:
    """Raise MissingExtraError where what the service needs is not installed."""
    try:
        import apsw  # noqa: F401
        import httptools  # noqa: F401
        import jinja2  # noqa: F401
        import msgspec  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import uvloop  # noqa: F401
    except ImportError:
        raise MissingExtraError("the service", "serve") from None
