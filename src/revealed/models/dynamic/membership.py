r"""A simulated membership: people who choose none, monthly or annual each month, looking ahead. Imports its own room.

Each month a person who is not bound by an annual plan chooses among no membership, a month, and a year. A month costs
the price of the day, a year ``annual`` months' worth of it, at once; to begin costs trouble; membership is worth what
it is used for (delivery, video, music: none, some or much, which changes from month to month, and less often to none
for members). Who takes a year is bound for eleven more months. Prices move between three levels. Two segments differ in
what use is worth to them.

The truth is known, so answers about other worlds can be compared with true ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from scipy import sparse

from revealed.choices.columns import Columns
from revealed.choices.log import ChoiceLog
from revealed.errors import SpecificationError
from revealed.models.dynamic.panel import Panel
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.solve import Solution, solved
from revealed.models.dynamic.space import StateSpace
from revealed.models.dynamic.transitions import Counted, Rule, joint, ruled_column

ACTIONS = ("annual", "monthly", "none")
#: The reward as a formula: no membership is worth nothing, and all else is relative to it.
REWARD = {
    "annual": "payment + trouble + use + use:heavy",
    "monthly": "payment + trouble + use + use:heavy",
    "none": "0",
}


@dataclass(frozen=True)
class Membership:
    """A world of members.

    Parameters
    ----------
    prices : tuple of float
        The levels of a month's price.
    annual : float
        A year's price, in months.
    money, trouble, use, heavy : float
        What a unit of money, beginning, and a step of use are worth, and a step of use more to heavy users.
    discount : float
    """

    prices: tuple[float, ...] = (8.0, 10.0, 12.0)
    annual: float = 9.0
    money: float = -0.12
    trouble: float = -1.0
    use: float = 0.7
    heavy: float = 0.5
    discount: float = 0.95
    months: int = field(default=12, init=False)

    @property
    def truth(self) -> Mapping[str, float]:
        """The parameters of :data:`REWARD`."""
        return {"payment": self.money, "trouble": self.trouble, "use": self.use, "use:heavy": self.heavy}

    @cached_property
    def space(self) -> StateSpace:
        """Months still bound, member last month or not, price, use, segment."""
        return StateSpace.grid(left=range(self.months), member=[0, 1], price=self.prices, use=[0, 1, 2], heavy=[0, 1])

    @property
    def moves(self) -> Mapping[str, Rule | Counted]:
        """How each column of the state moves, as far as anybody would know without data."""
        last = self.months - 1

        def left(cells: Mapping[str, np.ndarray], action: str) -> np.ndarray:
            begun = last if action == "annual" else 0
            return np.where(cells["left"] > 0, cells["left"] - 1, begun)

        def member(cells: Mapping[str, np.ndarray], action: str) -> np.ndarray:
            return np.where((cells["left"] > 0) | (action != "none"), 1.0, 0.0)

        # A segment is never left, and what was never seen to move stays.
        return {"left": left, "member": member, "price": Counted(), "use": Counted(("action",)), "heavy": Counted()}

    @cached_property
    def process(self) -> DecisionProcess:
        """The true process."""
        space, moves = self.space, self.moves
        cells = {name: space.column(name) for name in space.columns}
        place = dict(zip(space.columns, np.unravel_index(np.arange(space.n_states), space.shape), strict=True))
        n_prices = len(self.prices)
        stays = 0.9 if n_prices > 1 else 1.0
        price = np.full((n_prices, n_prices), (1 - stays) / max(n_prices - 1, 1))
        np.fill_diagonal(price, stays)
        transitions = {}
        for action in ACTIONS:
            use = _USE_OF_MEMBERS if action != "none" else _USE_OF_OTHERS
            shares = {"price": price, "use": use, "heavy": np.eye(2)}
            parts = []
            for name in space.columns:
                rule = moves[name]
                if isinstance(rule, Counted):
                    parts.append(sparse.csr_array(shares[name][place[name]]))
                else:
                    parts.append(ruled_column(space.levels[name], rule(cells, action), name, action))
            transitions[action] = joint(parts, space.n_states)
        return DecisionProcess.of(
            space, transitions, self.discount, available=self.available, attributes=self.attributes
        )

    @property
    def available(self) -> np.ndarray:
        """Who is bound has nothing to choose."""
        free = self.space.column("left") == 0
        return np.column_stack([np.ones_like(free), free, free])

    @property
    def attributes(self) -> Mapping[str, Float[np.ndarray, "S A"]]:
        """What is paid, and whether one begins."""
        cells = {name: self.space.column(name) for name in self.space.columns}
        free, nothing = cells["left"] == 0, np.zeros(self.space.n_states)
        begins = np.where(cells["member"] == 0, 1.0, 0.0)
        return {
            "payment": np.column_stack([np.where(free, self.annual * cells["price"], 0.0), cells["price"], nothing]),
            "trouble": np.column_stack([np.where(free, begins, 0.0), begins, nothing]),
        }

    @cached_property
    def reward(self) -> Float[np.ndarray, "S A"]:
        """The true reward of each action in each state."""
        use, heavy = self.space.column("use"), self.space.column("heavy")
        worth = (self.use + self.heavy * heavy) * use
        gains = np.column_stack([worth, worth, np.zeros_like(worth)])
        return np.asarray(self.money * self.attributes["payment"] + self.trouble * self.attributes["trouble"] + gains)

    @cached_property
    def solution(self) -> Solution:
        """What members do, and what it is worth to them."""
        return solved(self.process, self.reward)

    def log(self, members: int, months: int, seed: int = 0) -> ChoiceLog:
        """Return what members chose: a case for each member and month, bound or not.

        Columns: person, month, the state's, and ``available``.

        Raises
        ------
        SpecificationError
            If there is nobody, or no month.
        """
        return self._log_of(*self._lived(members, months, seed))

    def panel(self, members: int, months: int, seed: int = 0) -> Panel:
        """Return the panel of :meth:`log`, without the log: twenty thousand members for three years take a second."""
        states, actions = self._lived(members, months, seed)
        n = states.size
        following = np.arange(1, n + 1)
        following[months - 1 :: months] = -1
        return Panel(
            space=self.space,
            actions=ACTIONS,
            state=states.T.ravel(),
            action=actions.T.ravel(),
            following=following,
            person=np.repeat(np.arange(members), months),
            persons=pa.array(np.arange(members)),
            period=np.tile(np.arange(months), members),
            source="membership",
            offered=np.where(np.isin(np.arange(self.space.n_states), states)[:, None], self.available, np.nan),
        )

    def _lived(self, members: int, months: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        if members < 1 or months < 1:
            raise SpecificationError(f"{members} members and {months} months make no log; give one or more of each")
        rng = np.random.default_rng(seed)
        state = rng.choice(self.process.n_states, members, p=self.start)
        cumulative = self.solution.policy.cumsum(axis=1)
        moves = [matrix.toarray().cumsum(axis=1)[:, :-1] for matrix in self.process.transitions]
        states, actions = np.empty((months, members), np.int64), np.empty((months, members), np.int64)
        for month in range(months):
            states[month] = state
            actions[month] = (rng.random(members)[:, None] >= cumulative[state][:, :-1]).sum(axis=1)
            after, luck = np.empty_like(state), rng.random(members)
            for action, rows in enumerate(moves):
                for place in np.unique(state[actions[month] == action]):
                    who = np.flatnonzero((state == place) & (actions[month] == action))
                    after[who] = np.searchsorted(rows[place], luck[who], side="right")
            state = after
        return states, actions

    @property
    def start(self) -> Float[np.ndarray, " S"]:
        """Where members begin: outside, at any price and use, half of each segment."""
        outside = (self.space.column("left") == 0) & (self.space.column("member") == 0)
        return np.asarray(outside / outside.sum())

    def _log_of(self, states: np.ndarray, actions: np.ndarray) -> ChoiceLog:
        months, members = states.shape
        flat, taken = states.ravel(), actions.ravel()
        each = np.repeat(np.arange(flat.size), len(ACTIONS))
        alternative = np.tile(np.arange(len(ACTIONS), dtype=np.int32), flat.size)
        columns: dict[str, object] = {
            "case": each,
            "person": np.tile(np.arange(members), months)[each],
            "month": np.repeat(np.arange(months), members)[each],
            "alternative": pa.DictionaryArray.from_arrays(alternative, pa.array(ACTIONS)),
            "chosen": taken[each] == alternative,
            "available": self.available[flat].ravel(),
        }
        columns |= {name: self.space.column(name)[flat][each] for name in self.space.columns}
        roles = Columns(person="person", time="month", available="available")
        return ChoiceLog.from_table(pa.table(columns), roles, attributes=self.space.columns, source="membership")


_USE_OF_MEMBERS = np.array([[0.6, 0.3, 0.1], [0.15, 0.6, 0.25], [0.05, 0.25, 0.7]])
_USE_OF_OTHERS = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.15, 0.3, 0.55]])
