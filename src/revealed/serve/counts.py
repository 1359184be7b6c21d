"""What a service has done, for its metrics. Imports store."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from revealed.store.protocol import Verdict

#: Upper ends of the classes of durations, in seconds.
_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Counts:
    """Counters that only rise, and how long requests took."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._classes = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def add(self, what: str, number: int) -> None:
        """Count something."""
        self._counts[what] += number

    def served(self, decisions: int, verdicts: Sequence[Verdict]) -> None:
        """Count what was written."""
        self._counts["decisions"] += decisions
        for kind, number in Counter(verdicts).items():
            self._counts[f"outcomes_{kind}"] += number

    def took(self, seconds: float) -> None:
        """Count a request that took so long."""
        self._classes[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def __getitem__(self, what: str) -> int:
        return self._counts[what]

    def text(self, gauges: dict[str, float]) -> str:
        """Return everything in the text form of Prometheus."""
        lines = []
        for name in sorted(self._counts):
            lines += [f"# TYPE revealed_{name}_total counter", f"revealed_{name}_total {self._counts[name]}"]
        lines.append("# TYPE revealed_request_seconds histogram")
        total = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self._classes, strict=True):
            total += count
            lines.append(f'revealed_request_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"revealed_request_seconds_sum {self._seconds:.9g}", f"revealed_request_seconds_count {total}"]
        alike = sorted(gauges.items(), key=lambda one: one[0].partition("{")[0])  # stable: a name's are together
        for kind, some in groupby(alike, key=lambda one: one[0].partition("{")[0]):
            lines += [f"# TYPE revealed_{kind} gauge", *(f"revealed_{name} {value:.9g}" for name, value in some)]
        return "\n".join(lines) + "\n"
