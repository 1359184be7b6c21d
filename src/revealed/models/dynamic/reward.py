r"""Rewards linear in parameters, written as a utility formula over states and actions. Imports models and choices.

The same language as for static models: the states are choice situations, the actions alternatives, and how often each
action was taken in a state is a log of counts. A static logit of that log is what one gets for a discount factor of
zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from revealed.choices.columns import Columns
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models.design import Design
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.solve import forward
from revealed.models.dynamic.space import StateSpace
from revealed.models.utility import Utility, read_utility

#: The discount factor at which it is tried whether actions lead to more or less of something, and what is no less.
_TRIED, _SAME = 0.9, 1e-9


def log_of_states(
    space: StateSpace,
    actions: tuple[str, ...],
    counts: Float[np.ndarray, "S A"],
    available: Bool[np.ndarray, "S A"] | None = None,
    attributes: Mapping[str, Float[np.ndarray, "S A"]] | None = None,
) -> ChoiceLog:
    """Return a choice log of counts in which each state is a case and each action an alternative."""
    n_states, n_actions = counts.shape
    attributes = attributes or {}
    for role in ("case", "alternative", "chosen", "available"):
        if role in space.columns or role in attributes:
            raise SpecificationError(f"a column of the state cannot be called {role!r}; give it another name")
    columns: dict[str, pa.Array] = {
        "case": pa.array(np.repeat(np.arange(n_states), n_actions)),
        "alternative": pa.DictionaryArray.from_arrays(
            np.tile(np.arange(n_actions, dtype=np.int32), n_states), pa.array(list(actions))
        ),
        "chosen": pa.array(counts.ravel()),
    }
    if available is not None:
        columns["available"] = pa.array(available.ravel())
    each = pa.array(np.repeat(np.arange(n_states), n_actions))
    columns |= {name: space.table.column(name).take(each) for name in space.columns}
    columns |= {name: pa.array(values.ravel()) for name, values in attributes.items()}
    roles = Columns(available=None if available is None else "available")
    return ChoiceLog.from_table(
        pa.table(columns), roles, counts=True, attributes=(*space.columns, *attributes), source="states"
    )


@dataclass(frozen=True, eq=False)
class LinearReward:
    r"""Rewards :math:`r(s, a) = x(s, a)^\top\theta`.

    Parameters
    ----------
    design : Design
    log : ChoiceLog
        Of the states.
    """

    design: Design
    log: ChoiceLog

    @classmethod
    def read(
        cls,
        utility: Utility,
        log: ChoiceLog,
        reference: Mapping[str, str] | None = None,
        *,
        looking_ahead: bool = False,
    ) -> LinearReward:
        """Read a formula against a log of states; see :func:`revealed.models.utility.read_utility`."""
        return cls(read_utility(utility, log, reference, looking_ahead=looking_ahead), log)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return self.design.names

    @cached_property
    def features(self) -> Float[np.ndarray, "S A K"]:
        """What the parameters multiply."""
        self.design.require_clean(self.log)
        matrix = self.design.matrix(self.log)
        if self.log.available is not None:
            matrix = np.where(self.log.available, matrix, 0.0)  # what cannot be taken need not be like anything
        return np.ascontiguousarray(matrix.reshape(len(self.names), self.log.n_cases, -1).transpose(1, 2, 0))

    def idle(self, process: DecisionProcess) -> tuple[str, ...]:
        """Return the parameters that change no choice: the same for all actions, and no action leads to more of it."""
        can = process.mask[:, :, None]

        def spread(worth: Float[np.ndarray, "S A k"]) -> Float[np.ndarray, "S k"]:
            return np.asarray(np.where(can, worth, -np.inf).max(axis=1) - np.where(can, worth, np.inf).min(axis=1))

        alike = np.flatnonzero((spread(self.features) == 0).all(axis=0))
        if not len(alike):
            return ()
        flow = np.where(can, self.features[:, :, alike], -np.inf).max(axis=1)
        flow = flow / np.maximum(np.abs(flow).max(axis=0), 1e-300)
        # Of who does anything as soon as anything else: whether it matters does not hang on how much later counts.
        tried = replace(process, discount=_TRIED, horizon=None)
        later = forward(tried, tried.under(can[:, :, 0] / can.sum(axis=1)), flow)
        return tuple(self.names[place] for place in alike[(spread(process.expected(later)) < _SAME).all(axis=0)])

    @property
    def counts(self) -> Float[np.ndarray, "S A"]:
        """How often each action was taken in each state."""
        return self.log.numbers("chosen").reshape(self.log.n_cases, -1)

    def counting(self, process: DecisionProcess, counts: Float[np.ndarray, "S A"]) -> LinearReward:
        """Return the same formula in the states of a process, other choices counted."""
        return replace(
            self, log=log_of_states(process.space, process.actions, counts, process.available, process.attributes)
        )

    def on(self, log: ChoiceLog, touched: tuple[str, ...]) -> LinearReward:  # noqa: ARG002
        """Return the formula read against states some of whose columns, those ``touched``, were changed."""
        return LinearReward(self.design, log)

    def like(self, other: LinearReward) -> LinearReward:  # noqa: ARG002
        """Return the reward in these states as another fit has it: the same formula; the parameters are told apart."""
        return self

    def of(self, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, "S A"]:
        """Return the rewards."""
        return np.asarray(self.features @ params)
