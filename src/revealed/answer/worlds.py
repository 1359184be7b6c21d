"""Worlds to live in: a process, the rewards in it, what is paid; as it is, and as changes make it. Imports models.

The states are choice situations with the actions as alternatives, so the changes of static what-ifs serve: on columns
of states, on attributes of the process, and on what is available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from revealed.answer.change import Change
from revealed.answer.grammar import read_change
from revealed.answer.scenario import Scenario
from revealed.choices.expression import Labels, evaluate
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models.dynamic.draws import Drawn
from revealed.models.dynamic.fit import DynamicFit
from revealed.models.dynamic.free import FreeReward, RecoveredFit
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward, log_of_states
from revealed.models.dynamic.solve import Solution, solved


@dataclass(frozen=True, eq=False)
class World:
    """A process, the rewards in it as a formula, and what is paid.

    Parameters
    ----------
    process : DecisionProcess
    linear : LinearReward or FreeReward
    payment : ndarray of float64, shape (S, A)
    """

    process: DecisionProcess
    linear: LinearReward | FreeReward
    payment: Float[np.ndarray, "S A"]

    @classmethod
    def as_it_is(cls, fit: DynamicFit | RecoveredFit, paid: str | None) -> World:
        """Return the world of a fit, with what is paid as an expression on columns of states."""
        return cls(fit.process, fit.linear, _payment(paid, Scenario.of(fit.linear.log), fit.process))

    def known_as(self, fit: Drawn | RecoveredFit) -> World:
        """Return the world with the transitions, and the rewards where they have no formula, of another fit."""
        process = replace(self.process, transitions=fit.process.transitions)
        return replace(self, process=process, linear=self.linear.like(fit.linear))  # type: ignore[arg-type]

    def solved(self, params: Float[np.ndarray, " K"], near: Float[np.ndarray, " S"] | None = None) -> Solution:
        """Return what people do in it."""
        return solved(self.process, self.linear.of(params), near)


def changed_world(
    fit: DynamicFit | RecoveredFit,
    changes: Sequence[str | Change],
    process: DecisionProcess | None,
    discount: float | None,
    paid: str | None,
) -> tuple[World, Scenario]:
    """Return the other world, and its states as choice situations.

    Parameters
    ----------
    fit : DynamicFit or RecoveredFit
    changes : sequence of str or Change
        Made to the states, attributes and availability of ``process``, or else of the fit.
    process : DecisionProcess, optional
    discount : float, optional
    paid : str, optional

    Raises
    ------
    SpecificationError
        For a change that cannot be, or a process of other states or actions, or without an attribute.
    """
    given, touched = fit.process, tuple[str, ...]()
    scenario = Scenario.of(fit.linear.log)
    if process is not None:
        given, (log, touched) = process, _states_of(fit, process)
        scenario = Scenario.of(log)
    for change in map(read_change, changes):
        scenario = change.apply(scenario)
    scenario.require_choice()
    added = [label for label in scenario.labels if label not in given.actions]
    if added:
        raise SpecificationError(
            f"{added[0]!r} is no action of the process: where would it lead? Give process= with its transitions"
        )
    available = scenario.numbers(scenario.available_column).reshape(given.n_states, -1) != 0
    changed = replace(
        given,
        available=None if available.all() else available,
        discount=given.discount if discount is None else discount,
    )
    linear = fit.linear.on(scenario.log, tuple(dict.fromkeys((*touched, *scenario.touched))))
    return World(changed, linear, _payment(paid, scenario, changed)), scenario


def _states_of(fit: DynamicFit | RecoveredFit, process: DecisionProcess) -> tuple[ChoiceLog, tuple[str, ...]]:
    """Return the states of another process as choice situations, and the attributes in which it differs."""
    own = fit.process
    if process.space.to_dict() != own.space.to_dict() or process.actions != own.actions:
        raise SpecificationError("the other process must have the states and actions of the fit")
    lacking = [name for name in own.attributes if name not in process.attributes]
    if lacking:
        raise SpecificationError(
            f"the other process has no attribute {lacking[0]!r}, which the fit's has; give it, "
            "attributes=fit.process.attributes where they are the same"
        )
    both = own.mask & process.mask
    differs = [
        name for name, values in own.attributes.items() if (process.attributes[name][both] != values[both]).any()
    ]
    seen = np.where(process.mask, fit.linear.counts, 0.0)
    log = log_of_states(process.space, process.actions, seen, process.available, process.attributes)
    return log, tuple(differs)


def _payment(paid: str | None, scenario: Scenario, process: DecisionProcess) -> Float[np.ndarray, "S A"]:
    if paid is None:
        return np.zeros((process.n_states, process.n_actions))
    value = evaluate(paid, scenario.values)
    if isinstance(value, Labels):
        raise SpecificationError(f"{paid!r} is a label, not what is paid")
    numbers = np.broadcast_to(np.asarray(value, dtype=np.float64), (scenario.log.n_rows,))
    numbers = np.where(process.mask, numbers.reshape(process.n_states, process.n_actions), 0.0)
    if not np.isfinite(numbers).all():
        raise SpecificationError(f"{paid!r} is not a finite number in every state")
    return numbers
