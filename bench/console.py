"""How soon a page of the console is seen on a long log: first paint in Chromium, each page opened several times.

``python -m bench.console --decisions 1000000`` writes a log (a half minute and 250 MB for a million), serves it on
loopback and opens the pages. The service and the browser share this machine's cores; figures are wall time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from revealed.serve.service import ServiceOptions
from revealed.store.open import open_store
from revealed.store.protocol import DecisionRow, OutcomeRow
from tests.console.browser import chromium
from tests.serve.world import OFFERS, listening, made

CANDIDATES = json.dumps([{"offer": offer} for offer in OFFERS])
PAGES = ("?window=300", "?window=604800", "learned", "why?decision={}", "log", "log?policy=offers", "policies")
RATE, AT_ONCE = 200, 10_000


def filled(where: str, count: int) -> int:
    """Write decisions, 200 a second until now, and outcomes of two thirds; return the number of the last."""
    store = open_store(where)
    numbers, now = store.lease(count), time.time()
    for start in range(0, count, AT_ONCE):
        rows = [
            DecisionRow(
                numbers[i], "offers", f"{i // 1000}-abc", now - (count - i) / RATE, '{"device":"phone"}',
                f'["{OFFERS[i % 5]}"]', "[0.3]", f"person {i % 5000}", None, CANDIDATES,
            )
            for i in range(start, min(start + AT_ONCE, count))
        ]  # fmt: skip
        told = [OutcomeRow(row.number, 1, float(row.number % 2), row.made + 30, row.made + 30) for row in rows]
        store.write(rows, told[::3] + told[1::3])
    store.close()
    return numbers[-1]


def measured(address: str, last: str, repeats: int) -> None:
    """Print when each page was first seen."""
    print(f"{'page':<22} {'first':>8} {'median':>8} {'largest':>8}   milliseconds to first contentful paint")
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1200, "height": 800}).new_page()
        page.goto(f"{address}/health")  # a browser that runs already; the service has shown nothing yet
        for path in PAGES:
            found = []
            for _ in range(repeats):
                page.goto(f"{address}/console/{path.format(last)}", wait_until="load")
                painted = None
                while painted is None:  # by itself, as no page may evaluate a text as a script
                    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
                found.append(painted)
            name = path.partition("=")[0] + "=…" if "{}" in path else path
            print(f"{name:<22} {found[0]:>8.0f} {median(found):>8.0f} {max(found):>8.0f}")


def main() -> None:
    """Fill, serve, look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="console-"))
    try:
        where = made(folder)
        number = filled(where, told.decisions)
        store = open_store(where)
        from revealed.serve.names import Names

        last = Names(store.secret()).name(number)
        store.close()
        print(f"{told.decisions:,} decisions, {(folder / 'log.db').stat().st_size / 1e6:,.0f} MB")
        with listening(where, ServiceOptions(open=True)) as address:
            measured(address, last, told.repeats)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
