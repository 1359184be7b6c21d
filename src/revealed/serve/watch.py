"""What looks unlike before: rewards, exploration, missing fields, delays. Imports decide, store and its own room.

Of the rows of each lesson two running means are kept of several measures, one that forgets soon and one that forgets
late (exponential weights of 500 and 10,000 rows). It is an alarm where the soon one has left the late one by more than
chance, 4.5 standard errors of a mean of so many rows, and by more than a fifth of the measure, so that many rows do not
make an alarm of nothing. Propensities are held against a fixed level: a policy that shows one thing with certainty
leaves a log that tells of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import expm1, log1p, sqrt
from typing import Any

import msgspec

from revealed.decide.policy import LearningPolicy
from revealed.models.glm.features.joint import CONTEXT, ITEM
from revealed.serve.lessons import Shown

_SOON, _LATE = 500, 10_000
#: Rows before anything is an alarm.
_FIRST = 1000
_ERRORS, _SHARE = 4.5, 0.2
#: The mean propensity of what is shown above which a policy hardly explores.
_CERTAIN = 0.99

KINDS = ("reward", "propensity", "missing", "delay")

_READ = msgspec.json.Decoder(dict[str, Any]).decode
_CHANCES = msgspec.json.Decoder(list[float]).decode


class Alarm(msgspec.Struct):
    """Something that looks unlike before.

    Parameters
    ----------
    kind : str
        ``reward``, ``propensity``, ``missing`` or ``delay``.
    about : str
        The field, for ``missing``.
    now, before : float
        The measure of late, and as it used to be: a mean; of delays a typical one, in seconds.
    """

    kind: str
    about: str
    now: float
    before: float


@dataclass(slots=True)
class _Mean:
    """A running mean with its variance, by exponential weights; plain at first."""

    span: int
    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        step = 1 / min(self.count, self.span)
        off = value - self.mean
        self.mean += step * off
        self.variance = (1 - step) * (self.variance + step * off * off)


@dataclass(slots=True)
class _Pair:
    soon: _Mean = field(default_factory=lambda: _Mean(_SOON))
    late: _Mean = field(default_factory=lambda: _Mean(_LATE))

    def add(self, value: float) -> None:
        self.soon.add(value)
        self.late.add(value)

    @property
    def has_left(self) -> bool:
        """Whether the one that forgets soon is elsewhere by more than chance, and by more than a little."""
        if self.late.count < _FIRST:
            return False
        off = abs(self.soon.mean - self.late.mean)
        # Exponential weights over n rows know as much as 2n - 1 rows that count alike.
        error = sqrt(max(self.late.variance, 1e-12) / (2 * _SOON - 1))
        return off > _ERRORS * error and off > _SHARE * abs(self.late.mean)


class Watch:
    """Watches what a policy learns from.

    Parameters
    ----------
    fields : sequence of str
        Of contexts: those whose absence is watched.
    """

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._reward, self._delay, self._propensity = _Pair(), _Pair(), _Pair()
        self._missing = {name: _Pair() for name in fields}

    @classmethod
    def over(cls, policy: LearningPolicy) -> Watch:
        """Return a watch over what a policy is told: of what may be missing, and of what came."""
        items = (policy.catalogue.column, *policy.catalogue.fields)
        names = [item.name for item in policy.space.specification.fields if item.optional and item.name not in items]
        return cls([name.removeprefix(CONTEXT) for name in names if not name.startswith(ITEM)])

    def see(self, shown: Sequence[Shown]) -> None:
        """Take in the rows of a lesson."""
        for one in shown:
            decision = one.decision
            self._propensity.add(_CHANCES(decision.propensities)[one.position - 1])
            if self._missing:
                context = _READ(decision.context)
                for name, pair in self._missing.items():
                    pair.add(float(context.get(name) is None))
            if one.outcome is not None:
                self._reward.add(one.outcome.reward)
                self._delay.add(log1p(max(one.outcome.came - decision.made, 0.0)))

    def alarms(self) -> list[Alarm]:
        """Return what looks unlike before."""
        found = []
        if self._reward.has_left:
            found.append(Alarm("reward", "", self._reward.soon.mean, self._reward.late.mean))
        if self._delay.has_left:
            found.append(Alarm("delay", "", expm1(self._delay.soon.mean), expm1(self._delay.late.mean)))
        propensity = self._propensity
        if propensity.late.count >= _FIRST and propensity.soon.mean > _CERTAIN:
            found.append(Alarm("propensity", "", propensity.soon.mean, propensity.late.mean))
        for name, pair in self._missing.items():
            if pair.has_left:
                found.append(Alarm("missing", name, pair.soon.mean, pair.late.mean))
        return found
