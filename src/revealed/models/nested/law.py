"""A nested logit bound to the columns of a log: evidence and predictions. Imports evidence and choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.choices.log import ChoiceLog, Partition
from revealed.errors import EvidenceError
from revealed.evidence import Detail, Evidence, Tally
from revealed.models.blocks import Block, blocks_of, gram
from revealed.models.design import Design
from revealed.models.law import Predicted, Prediction
from revealed.models.nested.branches import NestBlock, Nests
from revealed.models.nested.memberships import Memberships
from revealed.models.nested.sums import NestShares, NestSums, Taken
from revealed.models.workspace import workspace


@dataclass(frozen=True, eq=False)
class NestedLaw:
    """A nested logit bound to design columns, in closed form over cache-sized blocks.

    Parameters
    ----------
    design : Design
        The columns of the utility.
    memberships : Memberships
        Which alternative is in which nests.
    """

    design: Design
    memberships: Memberships

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters: of the utility, of allocations, of nests."""
        return (*self.design.names, *self.memberships.allocation_names, *self.memberships.nest_names)

    @property
    def designs(self) -> tuple[Design, ...]:
        """The design columns in use."""
        return (self.design,)

    @property
    def signature(self) -> str:
        """The model in one line."""
        return f"nested logit({' + '.join(self.names)}; {self.memberships})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"utility": self.design.to_dict(), "nests": self.memberships.to_dict()}

    def evidence(
        self, partition: Partition, params: Float[np.ndarray, " K"], detail: Detail, *, ledger: bool = False
    ) -> Evidence:
        """Return the evidence of a partition at ``params``.

        Raises
        ------
        EvidenceError
            If a nest parameter is not positive.
        DataError
            If cells in use are missing or infinite.
        """
        log, point = partition.log, _Point.of(self, params)
        tally = Tally(self.signature, self.names, params, detail, ledger=ledger)
        for block in blocks_of(partition, self._width):
            nests = self._nests.of(log, block)
            with np.errstate(all="ignore"):  # what is not finite is looked into below
                index, z = self._leaves(log, block, nests, point)
                shares = NestShares.of(index, nests, point.scales)
                sums = NestSums.of(z, nests, shares, Taken.of(log, block, nests), len(self.memberships.nests))
                if detail < Detail.INFORMATION and not ledger:
                    tally.add(nests.n_cases, sums.log_likelihood, sums.score())
                else:
                    scores, information = self._squares(sums, point, detail >= Detail.INFORMATION)
                    outer = gram(scores, scores) if detail >= Detail.OUTER else None
                    tally.add(nests.n_cases, sums.log_likelihood, scores.sum(axis=1), information, outer)
            if not np.isfinite(sums.log_likelihood):
                self.design.require_clean(log)
            if ledger:
                persons = log.person_codes[block.case_start : block.case_stop]
                tally.enter(persons, log.first_case + block.case_start, scores.T)
        return tally.evidence()

    def predict(self, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Prediction:
        """Return choice probabilities and logsums."""
        probability, logsum = np.empty(log.n_rows), np.empty(log.n_cases)
        for part in self.predict_each(log, params[None]):
            probability[part.rows], logsum[part.cases] = part.probability[0], part.logsum[0]
        return Prediction(probability, logsum)

    def predict_each(self, log: ChoiceLog, points: Float[np.ndarray, "points K"]) -> Iterator[Predicted]:
        """Yield predictions at many parameter vectors, block by block: the design of a block is filled once for all."""
        where = [_Point.of(self, params) for params in points]
        for block in blocks_of(Partition(log, 0, log.n_cases), self._width):
            nests = self._nests.of(log, block)
            x = self._fill(log, block).copy()  # whoever takes what is yielded may use the workspace
            for i, point in enumerate(where):
                with np.errstate(all="ignore"):
                    index = nests.leaves(point.utility @ x) + point.logs[nests.member]
                    shares = NestShares.of(index, nests, point.scales)
                    probability = nests.rows_of(shares.leaf_probability(nests), x.shape[1])
                if not np.isfinite(shares.logsum).all():
                    self.design.require_clean(log)
                yield Predicted(
                    slice(i, i + 1),
                    slice(block.row_start, block.row_stop),
                    slice(block.case_start, block.case_stop),
                    probability[None],
                    shares.logsum[None],
                )

    # ---- pieces ---------------------------------------------------------------------------------------------------

    @cached_property
    def _nests(self) -> Nests:
        return Nests(self.memberships)

    @property
    def _width(self) -> int:
        """Doubles per row that a block is worked out in: the design, that of its leaves, and this weighted."""
        leaves = (len(self.design.columns) + len(self.memberships.free)) * self.memberships.most
        return len(self.design.columns) + 2 * leaves

    def _fill(self, log: ChoiceLog, block: Block) -> Float[np.ndarray, "columns rows"]:
        """Return the design of a block, in the workspace."""
        x: np.ndarray = workspace().array("design", len(self.design.columns), block.row_stop - block.row_start)
        self.design.fill(log, block.row_start, block.row_stop, x)
        return x

    def _leaves(
        self, log: ChoiceLog, block: Block, nests: NestBlock, point: _Point
    ) -> tuple[Float[np.ndarray, " leaves"], Float[np.ndarray, "K leaves"]]:
        """Return the index of each leaf, and how it moves with the parameters of the utility and of allocations."""
        x = self._fill(log, block)
        utility = np.matmul(point.utility, x, out=workspace().array("utility", x.shape[1]))
        if nests.rows is None and not self.memberships.free:
            return utility + point.logs[nests.member], x
        k = len(x)
        z: np.ndarray = workspace().array("design of leaves", k + len(self.memberships.free), nests.n_leaves)
        np.take(x, nests.leaf_rows, axis=1, out=z[:k], mode="clip")  # they are within bounds; spares a checked copy
        np.take(point.slopes, nests.member, axis=1, out=z[k:], mode="clip")
        return nests.leaves(utility) + point.logs[nests.member], z

    def _squares(
        self, sums: NestSums, point: _Point, informed: bool
    ) -> tuple[Float[np.ndarray, "L cases"], Float[np.ndarray, "L L"] | None]:
        """Return the scores by case and the information of a block."""
        scores, information = sums.squares(informed)
        if information is not None and self.memberships.free:
            part = slice(len(self.design.columns), len(sums.z))
            weights = sums.allocation_weights(len(point.shares))
            information[part, part] += self.memberships.curvature(point.shares, weights)
        return scores, information


@dataclass(frozen=True, eq=False)
class _Point:
    """The parameters, by what they are of.

    Parameters
    ----------
    utility : ndarray of float64, shape (columns,)
    shares, logs : ndarray of float64, shape (members + 1,)
        The allocation of each membership, and its logarithm.
    slopes : ndarray of float64, shape (G, members + 1)
        How the logarithms move with the parameters of allocation.
    scales : ndarray of float64, shape (nests + 1,)
        The nest parameters, and one for what has none.
    """

    utility: Float[np.ndarray, " columns"]
    shares: Float[np.ndarray, " members"]
    logs: Float[np.ndarray, " members"]
    slopes: Float[np.ndarray, "G members"]
    scales: Float[np.ndarray, " nests"]

    @classmethod
    def of(cls, law: NestedLaw, params: Float[np.ndarray, " K"]) -> _Point:
        """Return the parameters of a law by what they are of."""
        k, members = len(law.design.columns), law.memberships
        middle = k + len(members.free)
        for name, value in zip(members.nest_names, params[middle:], strict=True):
            if not value > 0:
                raise EvidenceError(f"a nest parameter is positive, but {name} is {value}")
        logs = members.log_shares(params[k:middle])
        shares = np.exp(logs)
        return cls(params[:k], shares, logs, members.slopes(shares), np.append(params[middle:], 1.0))
