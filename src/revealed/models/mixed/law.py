"""A mixed logit bound to the columns of a log: evidence and predictions. Imports evidence and choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.choices.log import ChoiceLog, Partition
from revealed.evidence import Detail, Evidence, Tally
from revealed.models.blocks import blocks_of
from revealed.models.design import Design
from revealed.models.law import Predicted, Prediction
from revealed.models.mixed.coefficients import Drawn
from revealed.models.mixed.compiled import BLOCK_CELLS, CompiledSums, most_rows
from revealed.models.mixed.draws import Draws
from revealed.models.mixed.panel import Panels
from revealed.models.mixed.sums import Logits, MixedSums, logits
from revealed.models.mixed.worth import Space, WorthCoefficients
from revealed.models.people import BLOCK_UTILITIES, Panel, PeopleBlock, added_up


class _AtDraws(NamedTuple):
    """A block of cases at the draws of their persons, at one parameter vector.

    ``inside`` says which of the padded rows of a case there are; ``persons`` is the place of each case's in ``drawn``.
    """

    points: slice
    rows: slice
    cases: slice
    inside: Bool[np.ndarray, "cases rows"]
    persons: Int[np.ndarray, " cases"]
    drawn: Drawn
    logits: Logits


@dataclass(frozen=True, eq=False)
class MixedLaw:
    """A mixed logit bound to design columns: simulated likelihood with closed-form derivatives over blocks of persons.

    Parameters
    ----------
    design : Design
        The columns of the utility.
    coefficients : Coefficients or WorthCoefficients
        Which differ between people, and how.
    draws : Draws
    compiled : bool
        Evidence is summed by JAX (:mod:`revealed.models.mixed.compiled`).
    """

    design: Design
    coefficients: Space
    draws: Draws
    compiled: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters: of the utility, then of the spread."""
        return self.coefficients.names

    @property
    def designs(self) -> tuple[Design, ...]:
        """The design columns in use."""
        return (self.design,)

    @property
    def signature(self) -> str:
        """The model in one line."""
        random = ", ".join(f"{name} {family}" for name, family in self.coefficients.random.items())
        draws = f"{self.draws.count} {self.draws.kind} draws, seed {self.draws.seed}"
        worth = f"; worth in {self.coefficients.cost}" if isinstance(self.coefficients, WorthCoefficients) else ""
        return f"mixed logit({' + '.join(self.names)}; {random}{worth}; {draws})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "utility": self.design.to_dict(),
            "coefficients": self.coefficients.to_dict(),
            "draws": asdict(self.draws),
        }

    def evidence(
        self, partition: Partition, params: Float[np.ndarray, " K"], detail: Detail, *, ledger: bool = False
    ) -> Evidence:
        """Return the evidence of the persons whose first choice is in a partition; a score is of a person.

        Raises
        ------
        DataError
            If cells in use are missing or infinite.
        """
        log, panel = partition.log, self._panels.of(partition.log)
        tally = Tally(self.signature, self.names, params, detail, ledger=ledger)
        sums = self._compiled if self.compiled else self._sums
        return added_up(tally, log, panel, sums(log, panel, partition, params), ledger)

    def posterior(
        self, log: ChoiceLog, params: Float[np.ndarray, " K"]
    ) -> tuple[Int[np.ndarray, " persons"], Float[np.ndarray, "persons random"], Float[np.ndarray, "persons random"]]:
        """Return each person's first case, and mean and standard deviation of the random coefficients given choices.

        Revelt and Train (2000), "Customer-specific taste parameters and mixed logit"; Train (2009), chapter 11.
        """
        panel = self._panels.of(log)
        shape = (panel.n_persons, len(self.coefficients.random))
        mean, spread = np.empty(shape), np.empty(shape)
        for people, sums in self._sums(log, panel, Partition(log, 0, log.n_cases), params):
            values, weight = sums.drawn.values, sums.posterior[:, :, None]
            mean[people.persons] = here = np.matmul(values, weight)[:, :, 0]
            apart = np.matmul((values - here[:, :, None]) ** 2, weight)[:, :, 0]
            spread[people.persons] = np.sqrt(apart)
        return panel.first_cases, mean, spread

    def predict(self, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Prediction:
        """Return choice probabilities and logsums, means over the draws of each person."""
        probability, logsum = np.empty(log.n_rows), np.empty(log.n_cases)
        for part in self.predict_each(log, params[None]):
            probability[part.rows], logsum[part.cases] = part.probability[0], part.logsum[0]
        return Prediction(probability, logsum)

    def predict_each(self, log: ChoiceLog, points: Float[np.ndarray, "points K"]) -> Iterator[Predicted]:
        """Yield predictions at many parameter vectors, block by block: draws of a block are made once for all."""
        for at in self._at_draws(log, points):
            probability = at.logits.probability.mean(axis=2)[at.inside]
            yield Predicted(at.points, at.rows, at.cases, probability[None], at.logits.logsum.mean(axis=1)[None])

    def logsums_over_cost(
        self, log: ChoiceLog, points: Float[np.ndarray, "points K"], cost: str
    ) -> Float[np.ndarray, "points cases"]:
        """Return the mean over each person's draws of the logsum over minus the cost's coefficient, both of the draw.

        Parameters
        ----------
        log : ChoiceLog
        points : ndarray of float64, shape (points, K)
        cost : str
            A design column, below zero for everybody.
        """
        found = np.empty((len(points), log.n_cases))
        for at in self._at_draws(log, points):
            money = -self.coefficients.coefficient(cost, at.drawn, points[at.points][0])[at.persons]
            with np.errstate(all="ignore"):
                found[at.points, at.cases] = (at.logits.logsum / money).mean(axis=1)
        return found

    # ---- pieces ---------------------------------------------------------------------------------------------------

    @cached_property
    def _panels(self) -> Panels:
        return Panels(self.design, self.coefficients, self.draws)

    def _at_draws(self, log: ChoiceLog, points: Float[np.ndarray, "points K"]) -> Iterator[_AtDraws]:
        """Yield the logits of a log's cases at the draws of their persons, block by block."""
        panel, coefficients = self._panels.of(log), self.coefficients
        width = max(BLOCK_UTILITIES // (self.draws.count * max(int(log.sizes.max(initial=1)), 1)), 1)
        for run in blocks_of(Partition(log, 0, log.n_cases), 1):
            for start in range(run.case_start, run.case_stop, width):
                cases = np.arange(start, min(start + width, run.case_stop))
                sizes = log.sizes[cases]
                inside = np.arange(int(sizes.max())) < sizes[:, None]
                rows = np.where(inside, log.offsets[cases][:, None] + np.arange(inside.shape[1]), log.n_rows)
                x, closed = panel.attributes[rows], ~inside
                if log.available is not None:
                    closed |= ~np.append(log.available, False)[rows]
                persons, place = np.unique(panel.of_case[cases], return_inverse=True)
                variates = self._panels.variates(log, persons)
                stop = int(cases[-1]) + 1
                where = slice(int(log.offsets[start]), int(log.offsets[stop])), slice(start, stop)
                for i, params in enumerate(points):
                    with np.errstate(all="ignore"):
                        drawn = coefficients.at(params, variates)
                        with_one, values = coefficients.utility(x, drawn, params)
                        found = logits(with_one, values[place], closed if closed.any() else None, x.shape[1])
                    yield _AtDraws(slice(i, i + 1), *where, inside, place, drawn, found)

    def _sums(
        self, log: ChoiceLog, panel: Panel, partition: Partition, params: Float[np.ndarray, " K"]
    ) -> Iterator[tuple[PeopleBlock, MixedSums]]:
        for people, variates in self._blocks(log, panel, partition):
            with np.errstate(all="ignore"):
                sums = MixedSums.of(people, self.coefficients, variates, params)
            yield people, sums

    def _compiled(
        self, log: ChoiceLog, panel: Panel, partition: Partition, params: Float[np.ndarray, " K"]
    ) -> Iterator[tuple[PeopleBlock, CompiledSums]]:
        least, widest = most_rows(self.coefficients), int(log.sizes.max(initial=1))
        for people, variates in self._blocks(log, panel, partition, BLOCK_CELLS, least):
            yield people, CompiledSums(people, self.coefficients, variates, params, widest)

    def _blocks(
        self, log: ChoiceLog, panel: Panel, partition: Partition, *room: int
    ) -> Iterator[tuple[PeopleBlock, Float[np.ndarray, "persons random draws"]]]:
        """Yield blocks of persons, each with its draws; ``room`` is as for :meth:`Panel.blocks`."""
        for persons in panel.blocks(partition, self.draws.count, *room):
            yield PeopleBlock.of(log, panel, persons), self._panels.variates(log, persons)
