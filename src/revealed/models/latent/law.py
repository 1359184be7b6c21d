"""A latent-class logit bound to the columns of a log: evidence and predictions. Imports evidence and choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, Int

from revealed.choices.log import ChoiceLog, Partition
from revealed.evidence import Detail, Evidence, Tally
from revealed.models.design import Design
from revealed.models.latent.sums import LatentSums, log_shares
from revealed.models.law import Prediction
from revealed.models.logit import LogitLaw
from revealed.models.people import Panel, PeopleBlock, added_up


@dataclass(frozen=True, eq=False)
class LatentLaw:
    """A latent-class logit bound to design columns.

    Parameters
    ----------
    design : Design
        The columns of the utility, which each class weighs by itself.
    membership : Design or None
        What memberships depend on besides a constant.
    classes : int
    """

    design: Design
    membership: Design | None
    classes: int

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters: of each class's utility, then of membership in each class but the first."""
        told = ("constant", *(() if self.membership is None else self.membership.names))
        return (
            *(f"class{k}.{name}" for k in range(1, self.classes + 1) for name in self.design.names),
            *(f"share{k}.{name}" for k in range(2, self.classes + 1) for name in told),
        )

    @property
    def designs(self) -> tuple[Design, ...]:
        """The design columns in use."""
        return (self.design,) if self.membership is None else (self.design, self.membership)

    @property
    def signature(self) -> str:
        """The model in one line."""
        return f"latent-class logit({' + '.join(self.names)})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        membership = None if self.membership is None else self.membership.to_dict()
        return {"utility": self.design.to_dict(), "membership": membership, "classes": self.classes}

    def parts(
        self, params: Float[np.ndarray, " K"]
    ) -> tuple[Float[np.ndarray, "columns classes"], Float[np.ndarray, "Z classes"]]:
        """Return the weights of each class, and the coefficients of membership, zero for the first class."""
        split = self.classes * len(self.design.names)
        free = params[split:].reshape(self.classes - 1, -1)
        weights = params[:split].reshape(self.classes, -1).T
        return np.ascontiguousarray(weights), np.concatenate([np.zeros((1, free.shape[1])), free]).T

    def evidence(
        self, partition: Partition, params: Float[np.ndarray, " K"], detail: Detail, *, ledger: bool = False
    ) -> Evidence:
        """Return the evidence of the persons whose first choice is in a partition; a score is of a person.

        Raises
        ------
        DataError
            If cells in use are missing or infinite.
        """
        log, tally = partition.log, Tally(self.signature, self.names, params, detail, ledger=ledger)
        return added_up(tally, log, self._panel(log), self.sums(partition, params), ledger)

    def sums(self, partition: Partition, params: Float[np.ndarray, " K"]) -> Iterator[tuple[PeopleBlock, LatentSums]]:
        """Yield the people of a partition block by block, with what their choices say."""
        log = partition.log
        panel, weights = self._panel(log), self.parts(params)
        z = self._covariates(log)
        for persons in panel.blocks(partition, self.classes * max(len(self.design.columns), 1)):
            people = PeopleBlock.of(log, panel, persons)
            with np.errstate(all="ignore"):
                yield people, LatentSums.of(people, z[panel.first_cases[persons]], *weights)

    def posterior(
        self, log: ChoiceLog, params: Float[np.ndarray, " K"]
    ) -> tuple[Int[np.ndarray, " persons"], Float[np.ndarray, "persons classes"]]:
        """Return each person's first case, and the probability of each class given the person's choices."""
        panel = self._panel(log)
        found = np.empty((panel.n_persons, self.classes))
        for people, sums in self.sums(Partition(log, 0, log.n_cases), params):
            found[people.persons] = sums.posterior
        return panel.first_cases, found

    def predict(self, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Prediction:
        """Return choice probabilities and logsums: means over the classes by their shares, no choice seen."""
        weights, share = self.parts(params)[0], self.shares(log, params).T
        probability, logsum = np.zeros(log.n_rows), np.zeros(log.n_cases)
        for part in LogitLaw(self.design).predict_each(log, np.ascontiguousarray(weights.T)):
            here = share[part.points, part.cases]
            sizes = log.sizes[part.cases]
            probability[part.rows] += (np.repeat(here, sizes, axis=1) * part.probability).sum(axis=0)
            logsum[part.cases] += (here * part.logsum).sum(axis=0)
        return Prediction(probability, logsum)

    def shares(self, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Float[np.ndarray, "cases classes"]:
        """Return the probability that whoever chooses in each case is of each class, no choice seen."""
        return np.asarray(np.exp(log_shares(self._covariates(log), self.parts(params)[1])))

    def each_class(self, points: Float[np.ndarray, "points K"]) -> list[Float[np.ndarray, "points columns"]]:
        """Return the weights of each class, in which it is a logit of the same design, at many parameter vectors."""
        width = len(self.design.names)
        return [np.ascontiguousarray(points[:, k * width : (k + 1) * width]) for k in range(self.classes)]

    # ---- pieces ---------------------------------------------------------------------------------------------------

    @cached_property
    def _kept(self) -> WeakKeyDictionary[ChoiceLog, tuple[Panel, np.ndarray]]:
        return WeakKeyDictionary()

    def _panel(self, log: ChoiceLog) -> Panel:
        return self._of(log)[0]

    def _covariates(self, log: ChoiceLog) -> Float[np.ndarray, "cases Z"]:
        return self._of(log)[1]

    def _of(self, log: ChoiceLog) -> tuple[Panel, np.ndarray]:
        found = self._kept.get(log)
        if found is None:
            z = np.ones((log.n_cases, 1))
            if self.membership is not None:
                self.membership.require_clean(log)
                z = np.column_stack([z, self.membership.matrix(log)[:, log.offsets[:-1]].T])
            found = Panel.of(log, self.design), z
            self._kept[log] = found
        return found
