r"""The conditional (multinomial) logit. Imports evidence and choices.

.. math:: P_n(j) = \frac{e^{v_{nj}}}{\sum_k e^{v_{nk}}}, \qquad v_{nj} = x_{nj}^\top\theta

McFadden (1974), "Conditional logit analysis of qualitative choice behavior", eqs. 12 and 17-19 for the score and the
information. With weight :math:`w_n` and :math:`m_n` choices in the case (1 unless the log is of counts
:math:`c_{nj}`),

.. math::
   \ell = \sum_n w_n \sum_j c_{nj} \log P_n(j), \quad
   s_n = w_n \sum_j (c_{nj} - m_n p_{nj})\, x_{nj}, \quad
   I = \sum_n w_n m_n \Big(\sum_j p_{nj} x_{nj} x_{nj}^\top - \bar x_n \bar x_n^\top\Big)

with :math:`\bar x_n = \sum_j p_{nj} x_{nj}`. The log-likelihood is concave, and observed and expected information are
the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from revealed.choices.log import ChoiceLog, Partition
from revealed.choices.stream import ChoiceStream
from revealed.evidence import Detail, Evidence, Tally
from revealed.models.blocks import Block, ChoiceSets, blocks_of, gram
from revealed.models.design import Design
from revealed.models.law import Predicted, Prediction
from revealed.models.model import Model
from revealed.models.utility import read_utility
from revealed.models.workspace import workspace

_PROPORTIONAL = (
    "independence of irrelevant alternatives: an alternative draws from all others of a choice situation in proportion "
    "to their probabilities, however alike they are"
)


@dataclass(frozen=True)
class Logit(Model):
    """The conditional (multinomial) logit: utility linear in parameters, independent extreme-value errors."""

    title: ClassVar[str] = "Conditional logit"
    citation: ClassVar[str] = "McFadden (1974), Conditional logit analysis of qualitative choice behavior"
    assumptions: ClassVar[tuple[str, ...]] = (_PROPORTIONAL,)

    def law(self, log: ChoiceLog | ChoiceStream) -> LogitLaw:
        """Bind the utility to the columns of a log."""
        return LogitLaw(read_utility(self.utility, log, self.reference))

    @staticmethod
    def law_from_dict(data: Mapping[str, Any]) -> LogitLaw:
        """Rebuild the law a fit was saved with."""
        return LogitLaw(Design.from_dict(data["utility"]))


@dataclass(frozen=True, eq=False)
class LogitLaw:
    """The logit bound to design columns, in closed form over cache-sized blocks.

    Parameters
    ----------
    design : Design
        The columns of the utility.
    """

    design: Design

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return self.design.names

    @property
    def designs(self) -> tuple[Design, ...]:
        """The design columns in use."""
        return (self.design,)

    @property
    def signature(self) -> str:
        """The model in one line."""
        return f"logit({' + '.join(self.names)})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"utility": self.design.to_dict()}

    def evidence(
        self, partition: Partition, params: Float[np.ndarray, " K"], detail: Detail, *, ledger: bool = False
    ) -> Evidence:
        """Return the evidence of a partition at ``params``, in closed form."""
        log, k = partition.log, len(self.names)
        tally = Tally(self.signature, self.names, params, detail, ledger=ledger)
        # The score alone needs the design, all else the weighted design too.
        for block in blocks_of(partition, k if detail == Detail.SCORE and not ledger else 2 * k):
            sets, x = self._block(log, block)
            with np.errstate(all="ignore"):  # what is not finite is looked into below
                sums = _block_sums(_Taken.of(log, block, sets), x, params, detail, ledger)
            if not np.isfinite(sums[0]):
                self.design.require_clean(log)
            tally.add(block.case_stop - block.case_start, *sums[:4])
            if ledger:
                cases = slice(block.case_start, block.case_stop)
                assert sums[4] is not None
                tally.enter(log.person_codes[cases], log.first_case + block.case_start, sums[4].T)
        return tally.evidence()

    def _block(self, log: ChoiceLog, block: Block) -> tuple[ChoiceSets, Float[np.ndarray, "K rows"]]:
        """Return a block's choice sets, and its design in the workspace."""
        sets = ChoiceSets.of(log, block)
        x = workspace().array("design", len(self.design.columns), block.row_stop - block.row_start)
        self.design.fill(log, block.row_start, block.row_stop, x)
        if sets.available is not None:
            x[:, ~sets.available] = 0.0  # those cells may be missing
        return sets, x

    def predict(self, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Prediction:
        """Return choice probabilities and logsums."""
        probability, logsum = np.empty(log.n_rows), np.empty(log.n_cases)
        for block in blocks_of(Partition(log, 0, log.n_cases), len(self.names)):
            sets, x = self._block(log, block)
            rows, cases = slice(block.row_start, block.row_stop), slice(block.case_start, block.case_stop)
            with np.errstate(all="ignore"):
                probability[rows], logsum[cases] = sets.softmax(_utility(params, x))
        if not np.isfinite(logsum).all():
            self.design.require_clean(log)
        return Prediction(probability, logsum)

    def predict_each(self, log: ChoiceLog, points: Float[np.ndarray, "points K"]) -> Iterator[Predicted]:
        """Yield predictions at many parameter vectors, block by block: the design of a block is filled once for all."""
        for block in blocks_of(Partition(log, 0, log.n_cases), len(self.names)):
            sets, x = self._block(log, block)
            x = x.copy()  # whoever takes what is yielded may use the workspace
            rows, cases = slice(block.row_start, block.row_stop), slice(block.case_start, block.case_stop)
            at_once = max(1, _PREDICTED_CELLS // x.shape[1])
            for start in range(0, len(points), at_once):
                some = slice(start, min(start + at_once, len(points)))
                with np.errstate(all="ignore"):
                    probability, logsum = sets.times(some.stop - start).softmax((points[some] @ x).reshape(-1))
                if not np.isfinite(logsum).all():
                    self.design.require_clean(log)
                yield Predicted(
                    some, rows, cases, probability.copy().reshape(-1, x.shape[1]), logsum.reshape(-1, len(sets.sizes))
                )


#: Probabilities predicted at a time (256 KiB), so that what follows finds them in the second-level cache.
_PREDICTED_CELLS = 1 << 15


@dataclass(frozen=True, eq=False)
class _Taken:
    """What was chosen in a block: one row per case, or counts; and what each case counts for.

    Parameters
    ----------
    sets : ChoiceSets
    rows : ndarray of int64, shape (cases,), optional
        The row chosen in each case; None for a log of counts.
    counts : ndarray of float64, shape (rows,), optional
        The weighted counts, for a log of counts.
    size : ndarray of float64, shape (cases,), optional
        The weight of each case times its choices; None when all count for one.
    """

    sets: ChoiceSets
    rows: np.ndarray | None
    counts: np.ndarray | None
    size: np.ndarray | None

    @classmethod
    def of(cls, log: ChoiceLog, block: Block, sets: ChoiceSets) -> _Taken:
        cases = slice(block.case_start, block.case_stop)
        weights = None if log.weights is None else log.weights[cases]
        if log.chosen_rows is not None:
            return cls(sets, log.chosen_rows[cases] - block.row_start, None, weights)
        counts, size = log.chosen[block.row_start : block.row_stop], log.choices_per_case[cases]
        if weights is None:
            return cls(sets, None, counts, size)
        return cls(sets, None, counts * sets.spread(weights), size * weights)

    def log_likelihood(self, utility: np.ndarray, logsum: np.ndarray) -> float:
        if self.counts is not None:
            return float(self.counts @ utility - self.size @ logsum)
        gain = utility[self.rows] - logsum
        return float(gain.sum() if self.size is None else gain @ self.size)

    def score(self, x: np.ndarray, probability: np.ndarray) -> np.ndarray:
        """Return the score of the block; ``probability`` (times size) is overwritten."""
        residual = np.negative(probability, out=probability)
        if self.counts is not None:
            residual += self.counts
        else:
            residual[self.rows] += 1.0 if self.size is None else self.size
        # Not x @ residual: a product of so few entries holds the interpreter.
        return np.asarray(np.einsum("kr,r->k", x, residual))

    def attributes(self, x: np.ndarray) -> np.ndarray:
        """Return the attributes of what was chosen, summed by case, times size; shape (K, cases), in the workspace."""
        chosen: np.ndarray = workspace().array("chosen", len(x), len(self.sets.sizes))
        if self.counts is not None:
            np.copyto(chosen, self.sets.sum_each(x * self.counts))
            return chosen
        assert self.rows is not None
        # Not x[:, rows]: that holds the interpreter. The rows are within bounds; "clip" spares a checked copy.
        np.take(x, self.rows, axis=1, out=chosen, mode="clip")
        if self.size is not None:
            chosen *= self.size
        return chosen


def _block_sums(
    taken: _Taken,
    x: Float[np.ndarray, "K rows"],
    params: Float[np.ndarray, " K"],
    detail: Detail,
    ledger: bool,
) -> tuple[float, np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return log-likelihood, score, information, outer product and the scores by case of a block."""
    utility = _utility(params, x)
    probability, logsum = taken.sets.softmax(utility)
    log_likelihood = taken.log_likelihood(utility, logsum)
    if taken.size is not None:
        probability *= taken.sets.spread(taken.size)
    if detail < Detail.INFORMATION and not ledger:
        return log_likelihood, taken.score(x, probability), None, None, None
    scores = taken.attributes(x)
    px = np.multiply(x, probability, out=workspace().array("weighted design", *x.shape))
    mean = taken.sets.sum_each(px)  # times size
    scores -= mean
    information = None
    if detail >= Detail.INFORMATION:
        information = _information(gram(px, x), mean, taken.size)
    outer = gram(scores, scores) if detail >= Detail.OUTER else None
    return log_likelihood, scores.sum(axis=1), information, outer, scores


def _utility(params: Float[np.ndarray, " K"], x: Float[np.ndarray, "K rows"]) -> Float[np.ndarray, " rows"]:
    return np.asarray(np.matmul(params, x, out=workspace().array("utility", x.shape[1])))


def _information(
    second: Float[np.ndarray, "K K"], mean: Float[np.ndarray, "K cases"], size: Float[np.ndarray, " cases"] | None
) -> Float[np.ndarray, "K K"]:
    """Return the second moment less the outer product of means."""
    information = second - (gram(mean, mean) if size is None else gram(mean / np.where(size > 0, size, 1.0), mean))
    # A column that is constant within each case leaves rounding error where its variance is zero.
    still = np.diag(information) <= 1e-13 * np.diag(second)
    if still.any():
        information[still] = 0.0
        information[:, still] = 0.0
    return np.asarray(information)
