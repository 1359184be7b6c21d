r"""Which alternative is in which nests, and with what share of itself. Imports the errors only.

An alternative :math:`j` is in nest :math:`m` with allocation :math:`\alpha_{jm} \ge 0`, :math:`\sum_m \alpha_{jm} = 1`.
Shares are given, or estimated as :math:`\alpha_{jm} = e^{\gamma_{jm}} / \sum_k e^{\gamma_{jk}}` with
:math:`\gamma_{jm} = 0` for the first nest of the alternative, so that whatever the parameters are, the shares are
positive and sum to one. In a two-level nested logit every alternative is in one nest, with a share of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Member(NamedTuple):
    """An alternative in a nest.

    Parameters
    ----------
    alternative, nest : str
    share : float or None
        The allocation, between 0 and 1; None where it is estimated.
    """

    alternative: str
    nest: str
    share: float | None


@dataclass(frozen=True, eq=False)
class Memberships:
    """The nests of a model.

    Parameters
    ----------
    members : tuple of Member
        Those of one alternative stand together.
    order : tuple of str
        The nests, in the order the user named them.
    """

    members: tuple[Member, ...]
    order: tuple[str, ...]

    @cached_property
    def nests(self) -> tuple[str, ...]:
        """The nests that have a parameter: those of two alternatives or more, as one alone has nothing to share."""
        sizes = {
            nest: len({member.alternative for member in self.members if member.nest == nest}) for nest in self.order
        }
        return tuple(nest for nest in self.order if sizes[nest] > 1)

    @cached_property
    def nest(self) -> Int[np.ndarray, " members_and_one"]:
        """The nest of each member as an index into ``nests``; the number of them where it has no parameter.

        One more entry stands for whatever is in no nest.
        """
        alone = len(self.nests)
        codes = [self.nests.index(member.nest) if member.nest in self.nests else alone for member in self.members]
        return np.array([*codes, alone], dtype=np.int64)

    @cached_property
    def free(self) -> tuple[int, ...]:
        """The members that have a parameter of allocation: all but the first of an alternative to be divided."""
        return tuple(
            i
            for i, member in enumerate(self.members)
            if member.share is None and i > 0 and self.members[i - 1].alternative == member.alternative
        )

    @property
    def allocation_names(self) -> tuple[str, ...]:
        """The parameters of allocation: the logarithm of a share over the share in the alternative's first nest."""
        return tuple(f"allocation[{self.members[i].alternative}:{self.members[i].nest}]" for i in self.free)

    @property
    def nest_names(self) -> tuple[str, ...]:
        """The nest parameters."""
        return tuple(f"nest[{nest}]" for nest in self.nests)

    @cached_property
    def most(self) -> int:
        """The most nests that an alternative is in."""
        alternatives = [member.alternative for member in self.members]
        return max((alternatives.count(label) for label in set(alternatives)), default=1)

    def of_labels(self, labels: Sequence[str]) -> Int[np.ndarray, "labels_and_one 2"]:
        """Return the first member of each of some alternatives, and how many there are; last, of an unknown one."""
        places: dict[str, list[int]] = {}
        for i, member in enumerate(self.members):
            places.setdefault(member.alternative, []).append(i)
        unknown = [len(self.members)]
        found = [places.get(label, unknown) for label in labels]
        return np.array([(place[0], len(place)) for place in (*found, unknown)], dtype=np.int64)

    # ---- allocations ----------------------------------------------------------------------------------------------

    def log_shares(self, params: Float[np.ndarray, " G"]) -> Float[np.ndarray, " members_and_one"]:
        """Return the logarithm of each member's allocation at some parameters, zero for what is in no nest."""
        logs = np.array([0.0 if member.share is None else np.log(member.share) for member in self.members] + [0.0])
        logs[list(self.free)] = params
        for group in self._groups:
            logs[group] -= np.logaddexp.reduce(logs[group])
        return logs

    def slopes(self, shares: Float[np.ndarray, " members_and_one"]) -> Float[np.ndarray, "G members_and_one"]:
        """Return how the logarithm of each share moves with each parameter of allocation."""
        slopes = np.zeros((len(self.free), len(shares)))
        for row, i in zip(slopes, self.free, strict=True):
            row[self._group_of[i]] = -shares[i]
            row[i] += 1.0
        return slopes

    def curvature(
        self, shares: Float[np.ndarray, " members_and_one"], weight: Float[np.ndarray, " members_and_one"]
    ) -> Float[np.ndarray, "G G"]:
        """Return minus the second derivative of the sum of the logarithms of shares, each times its weight."""
        slopes = self.slopes(shares)
        result = np.zeros((len(self.free), len(self.free)))
        for group in self._groups:
            inside = slopes[:, group]
            result += weight[group].sum() * ((inside * shares[group]) @ inside.T)
        return result

    @cached_property
    def _groups(self) -> list[Int[np.ndarray, " group"]]:
        """The members of each alternative that is divided by parameters."""
        alternatives = np.array([member.alternative for member in self.members])
        divided = dict.fromkeys(self.members[i].alternative for i in self.free)
        return [np.flatnonzero(alternatives == label) for label in divided]

    @cached_property
    def _group_of(self) -> dict[int, Int[np.ndarray, " group"]]:
        return {int(i): group for group in self._groups for i in group}

    # ---- in words, and as JSON ------------------------------------------------------------------------------------

    def words(self, nest: str) -> str:
        """Return who is in a nest, with shares below one."""
        inside = [member for member in self.members if member.nest == nest]
        return ", ".join(
            m.alternative + (" (share estimated)" if m.share is None else "" if m.share == 1 else f" ({m.share:g})")
            for m in inside
        )

    def __str__(self) -> str:
        return "; ".join(f"{nest}: {self.words(nest)}" for nest in self.order)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"members": [list(member) for member in self.members], "order": list(self.order)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Memberships:
        """Return the memberships that :meth:`to_dict` wrote."""
        return cls(tuple(Member(*member) for member in data["members"]), tuple(data["order"]))
