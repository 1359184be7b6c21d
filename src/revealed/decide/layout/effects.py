"""The effect of each option, pair and option by context, with intervals. Imports models and evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from revealed.decide.layout.contrasts import contrasts
from revealed.decide.layout.design import Design
from revealed.evidence.level import quantile, require_level
from revealed.models.glm.full import FullPosterior


@dataclass(frozen=True)
class Effect:
    """What an option, or two together, do to the linear predictor, against the average of their slots.

    Parameters
    ----------
    kind : {"option", "pair", "option by context"}
    slots, options : tuple of str
        One, or two for a pair.
    feature : str
        Of the context, where the effect depends on it: then the effect is for each unit of the feature.
    mean, low, high : float
        With the interval of the posterior.
    above_zero : float
        The probability that it is above zero.
    told : float
        The share of the prior's variance that data took away: at 0 the interval is the prior's, and says nothing.
    """

    kind: str
    slots: tuple[str, ...]
    options: tuple[str, ...]
    feature: str
    mean: float
    low: float
    high: float
    above_zero: float
    told: float

    @property
    def name(self) -> str:
        """What it is the effect of, ``headline=plain × image=dog``."""
        parts = [f"{slot}={option}" for slot, option in zip(self.slots, self.options, strict=True)]
        return " × ".join([*parts, *([self.feature] if self.feature else [])])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {**asdict(self), "slots": list(self.slots), "options": list(self.options)}


def effects_of(
    design: Design, posterior: FullPosterior, prior_variance: Float[np.ndarray, " K"], level: float = 0.95
) -> tuple[Effect, ...]:
    """Return all effects: of options, then of pairs, then of options by context.

    Parameters
    ----------
    design : Design
    posterior : FullPosterior
    prior_variance : ndarray of float64, shape (K,)
    level : float
        The probability of the intervals.
    """
    require_level(level)
    labels, weights = _contrasts_of(design)
    mean = weights @ posterior.mean
    deviation = np.sqrt(np.einsum("ek,ek->e", (spread := weights @ posterior.root), spread))
    before = weights**2 @ prior_variance
    reach = quantile(level) * deviation
    told = np.clip(1 - deviation**2 / before, 0.0, 1.0)
    above = ndtr(mean / deviation)
    columns = (mean, mean - reach, mean + reach, above, told)
    return tuple(
        Effect(kind, slots, options, feature, *numbers)
        for (kind, slots, options, feature), numbers in zip(
            labels, np.stack(columns, axis=1).tolist(), strict=True
        )
    )  # fmt: skip


_Label = tuple[str, tuple[str, ...], tuple[str, ...], str]


def _contrasts_of(design: Design) -> tuple[list[_Label], Float[np.ndarray, "effects K"]]:
    """Return the effects' labels, and the weights with which each is made of parameters."""
    space = design.space
    _, option, pair, _, by = design.parts
    labels: list[_Label] = [("option", (slot,), (name,), "") for slot, name in space.places]
    blocks = [np.zeros((space.n_options, design.n_params))]
    blocks[0][:, option] = design.coding
    start = pair.start
    for j, k in design.pairs:
        one, other = space.slots[j], space.slots[k]
        size = (len(one.options) - 1) * (len(other.options) - 1)
        block = np.zeros((len(one.options) * len(other.options), design.n_params))
        block[:, start : start + size] = np.kron(contrasts(len(one.options)), contrasts(len(other.options)))
        labels += [("pair", (one.name, other.name), (a, b), "") for a in one.options for b in other.options]
        blocks.append(block)
        start += size
    if design.context is not None:
        for number, feature in enumerate(design.context.names):
            for slot in design.by_context:
                low = int(space.offsets[slot])
                high = low + int(space.sizes[slot])
                block = np.zeros((high - low, design.n_params))
                columns = by.start + np.arange(len(design.by_columns)) * design.n_features + number
                block[:, columns] = design.coding[low:high, design.by_columns]
                labels += [("option by context", (name,), (o,), feature) for name, o in space.places[low:high]]
                blocks.append(block)
    return labels, np.concatenate(blocks)
