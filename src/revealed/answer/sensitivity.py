r"""What hangs on assumptions that no choice tells: the anchor's reward, the discount factor. Imports models to choices.

Choices over time tell differences of values. Rewards follow once the reward of one action, the anchor, is taken as
known in every state, and the discount factor is given (Magnac and Thesmar 2002, "Identifying dynamic discrete decision
processes", Econometrica 70(2)). So estimates are taken again under other assumptions, to see which conclusions stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from revealed.answer.base import Answer
from revealed.answer.table import Column, Table
from revealed.errors import SpecificationError
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.model import DynamicModel
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.transitions import EstimatedTransitions

#: What the anchor's reward is called among the attributes of actions.
_ATTRIBUTE = "anchor_reward"
#: What it is taken as: a number, or one for each state.
AnchorReward = float | Float[np.ndarray, " S"]


@dataclass(frozen=True, repr=False)
class Sensitivity(Answer):
    """Estimates under several assumptions.

    Parameters
    ----------
    fits : mapping from str to DynamicFit
        By the assumption, in words; the one that was asked about first. Each takes what-ifs over time.
    """

    fits: Mapping[str, DynamicFit]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """Return the estimates and the log-likelihood, one row for each assumption."""
        names = tuple(dict.fromkeys(name for fit in self.fits.values() for name in fit.names if name != _ATTRIBUTE))
        columns = (Column("assumed", "text"), *(Column(name) for name in names), Column("log-likelihood"))
        rows = tuple(
            (said, *(fit[name] if name in fit.names else None for name in names), fit.log_likelihood)
            for said, fit in self.fits.items()
        )
        return Table("If other things were assumed", columns, rows, self.assumptions)


def sensitivity(
    model: DynamicModel,
    panel: Panel,
    process: DecisionProcess,
    *,
    anchor: str,
    anchor_rewards: Mapping[str, AnchorReward] | Sequence[float] = (),
    discounts: Sequence[float] = (),
    transitions: EstimatedTransitions | None = None,
) -> Sensitivity:
    """Estimate again, with other rewards of the anchor and other discount factors.

    Parameters
    ----------
    model : DynamicModel
        With a formula for each action; that of the anchor is ``"0"``.
    panel : Panel
    process : DecisionProcess
    anchor : str
        The action whose reward is taken as known.
    anchor_rewards : sequence of float, or mapping from str to float or ndarray of float64, shape (S,)
        What else it might be, in units of utility: numbers, or by a name for what is one number for each state.
    discounts : sequence of float
        What else the discount factor might be.
    transitions : EstimatedTransitions, optional

    Raises
    ------
    SpecificationError
        If the anchor has a formula of its own, or a reward is no finite number for each state.
    """
    if isinstance(model.utility, str) or model.utility.get(anchor, "0").strip() != "0":
        raise SpecificationError(f"{anchor!r} is no anchor here: give each action a formula, and the anchor '0'")
    place = process.index(anchor)
    fits = {
        f"{anchor!r} earns 0, discount factor {process.discount:g}": model.fit(panel, process, transitions=transitions)
    }
    given = anchor_rewards if isinstance(anchor_rewards, Mapping) else {f"{value:g}": value for value in anchor_rewards}
    others = replace(model, utility={**model.utility, anchor: _ATTRIBUTE}, fixed={**model.fixed, _ATTRIBUTE: 1.0})
    for name, reward in given.items():
        values = np.broadcast_to(np.asarray(reward, dtype=np.float64), (process.n_states,))
        if not np.isfinite(values).all():
            raise SpecificationError(f"the anchor's reward {name!r} is not a finite number in every state")
        attribute = np.zeros((process.n_states, process.n_actions))
        attribute[:, place] = values
        world = replace(process, attributes={**process.attributes, _ATTRIBUTE: attribute})
        fits[f"{anchor!r} earns {name}"] = others.fit(panel, world, transitions=transitions)
    for discount in discounts:
        world = replace(process, discount=discount)
        fits[f"discount factor {discount:g}"] = model.fit(panel, world, transitions=transitions)
    weak = tuple(f"assumed {said}: {message}" for said, fit in fits.items() for message in fit.status.messages())
    return Sensitivity(
        fits,
        (
            "no choice tells which of these holds: a log-likelihood that hardly differs is no evidence",
            f"all else is relative to the reward of {anchor!r}",
        ),
        weak,
    )
