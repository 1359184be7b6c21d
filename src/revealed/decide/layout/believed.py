r"""What a policy of layouts has learned of each option and each pair. Imports models and evidence.

With a parameter for each option and each pair many parameters say the same of layouts; effects do not. Those of pairs
sum to zero over the options of either slot, those of options over their slot, as in
:mod:`revealed.decide.layout.effects`. With reference layout :math:`0` and predictors :math:`f(a)`, :math:`f(a, b)` of
it with the option :math:`a`, or :math:`a` and :math:`b`, put in,

.. math::
   p_{ab} = f(a, b) - f(a) - f(b) + f(0), \qquad u_a = f(a) - f(0) + \sum_t \bar p_{a \cdot}^{(t)},

centred over both slots and over the slot, are sums of parameters, with mean and variance by the posterior.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from revealed.decide.layout.effects import Effect
from revealed.decide.layout.specified import Layout
from revealed.errors import SpecificationError
from revealed.evidence.level import quantile, require_level
from revealed.models.glm.features import FeatureSpace

if TYPE_CHECKING:
    from revealed.decide.policy import LearningPolicy

#: A label that nobody has met: the context of it has no parameters.
_NOBODY = "\0"


@dataclass(frozen=True, eq=False)
class _Looking:
    """Rows of layouts in a context, some of whose fields are averaged over the labels met so far."""

    layout: Layout
    space: FeatureSpace
    context: Mapping[str, Any]
    averaged: Mapping[str, tuple[str, ...]]

    def rows(self, changes: list[dict[str, str]]) -> Float[np.ndarray, "n K"]:
        """Return the rows of the reference layout with some options put in."""
        reference = {slot.name: slot.options[0] for slot in self.layout.space.slots}
        records = [reference | change for change in changes]
        found = self._plain(self.context, records)
        for name, labels in self.averaged.items():  # terms have one field of the context each: the others stay as is
            each = [self._plain({**self.context, name: label}, records) for label in labels]
            found = found + np.mean(each, axis=0) - self._plain({**self.context, name: _NOBODY}, records)
        return found

    def _plain(self, context: Mapping[str, Any], records: list[dict[str, str]]) -> Float[np.ndarray, "n K"]:
        return self.space.joint(context, records).dense()


def effects_in(policy: LearningPolicy, context: Mapping[str, Any], level: float = 0.95) -> tuple[Effect, ...]:
    """Return the effect of each option and of each pair in a context, with intervals.

    Parameters
    ----------
    policy : LearningPolicy
        Of layouts.
    context : mapping
        The fields that are known. Of labels not given the average over those met so far is taken, numbers not given
        are 0.
    level : float
        The probability of the intervals.

    Raises
    ------
    SpecificationError
        If the policy is not one of layouts.
    """
    require_level(level)
    layout = policy.specification.layout
    if layout is None:
        raise SpecificationError("this policy has no part [layout]; only one that has shows options and pairs")
    names, weights = zip(*_contrasts(layout, _looking(policy, layout, context)), strict=True)
    rows = np.stack(weights)
    (mean, variance), before = policy.model.posterior.predictor(rows), policy.model.prior.predictor(rows)[1]
    deviation = np.sqrt(variance)
    reach = quantile(level) * deviation
    told = np.clip(1 - variance / before, 0.0, 1.0)
    columns = np.stack([mean, mean - reach, mean + reach, ndtr(mean / deviation), told], axis=1)
    return tuple(
        Effect("option" if len(slots) == 1 else "pair", slots, options, "", *numbers)
        for (slots, options), numbers in zip(names, columns.tolist(), strict=True)
    )


def _looking(policy: LearningPolicy, layout: Layout, context: Mapping[str, Any]) -> _Looking:
    space, known, averaged = policy.space, dict[str, Any](), dict[str, tuple[str, ...]]()
    for i, field in enumerate(space.specification.fields):
        if field.name in layout.space.names:
            continue
        name = field.name.removeprefix("context.")
        if name in context:
            known[name] = context[name]
        elif field.categorical:
            known[name], labels = _NOBODY, tuple(space.ledger.labels[i][: space.extent.labels[i]])
            if labels:
                averaged[name] = labels
        else:
            known[name] = 0.0
    return _Looking(layout, space, known, averaged)


def _contrasts(
    layout: Layout, looking: _Looking
) -> Iterator[tuple[tuple[tuple[str, ...], tuple[str, ...]], Float[np.ndarray, " K"]]]:
    """Yield the slots and options of each effect, and the weights with which it is made of parameters."""
    slots = layout.space.slots
    reference = looking.rows([{}])[0]
    alone = {s.name: looking.rows([{s.name: option} for option in s.options]) - reference for s in slots}
    own, pairs = dict(alone), []
    for one, other in combinations(slots, 2):
        if (one.name, other.name) not in layout.paired:
            continue
        both = looking.rows([{one.name: a, other.name: b} for a in one.options for b in other.options])
        beyond = both.reshape(len(one.options), len(other.options), -1) - reference
        beyond = beyond - alone[one.name][:, None] - alone[other.name]
        own[one.name] = own[one.name] + beyond.mean(axis=1)
        own[other.name] = own[other.name] + beyond.mean(axis=0)
        beyond = beyond - beyond.mean(axis=0)
        pairs.append((one, other, beyond - beyond.mean(axis=1, keepdims=True)))
    for slot in slots:
        for option, weights in zip(slot.options, own[slot.name] - own[slot.name].mean(axis=0), strict=True):
            yield ((slot.name,), (option,)), weights
    for one, other, centred in pairs:
        for a, row in zip(one.options, centred, strict=True):
            for b, weights in zip(other.options, row, strict=True):
                yield ((one.name, other.name), (a, b)), weights
