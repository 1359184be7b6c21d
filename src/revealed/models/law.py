"""A law: a model bound to the columns of a log, as evidence and predictions. Imports evidence and choices."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from revealed.choices.log import ChoiceLog, Partition
from revealed.evidence import Detail, Evidence
from revealed.models.design import Design


class Prediction(NamedTuple):
    """What a model says of each case.

    Parameters
    ----------
    probability : ndarray of float64, shape (rows,)
        Choice probabilities; zero where not available.
    logsum : ndarray of float64, shape (cases,)
        The expected maximum utility up to a constant, in units of utility: the denominator's logarithm.
    """

    probability: Float[np.ndarray, " rows"]
    logsum: Float[np.ndarray, " cases"]


class Predicted(NamedTuple):
    """What a model says of a run of cases at some of many parameter vectors.

    Parameters
    ----------
    points, rows, cases : slice
        Which parameter vectors, rows and cases these are.
    probability : ndarray of float64, shape (points, rows)
    logsum : ndarray of float64, shape (points, cases)
    """

    points: slice
    rows: slice
    cases: slice
    probability: Float[np.ndarray, "points rows"]
    logsum: Float[np.ndarray, "points cases"]


@runtime_checkable
class Law(Protocol):
    """A model bound to the columns of a log: all that estimation and answers need of it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        ...

    @property
    def designs(self) -> tuple[Design, ...]:
        """The design columns it reads."""
        ...

    @property
    def signature(self) -> str:
        """The model and its specification in one line; evidence of another signature is refused."""
        ...

    def evidence(
        self, partition: Partition, params: Float[np.ndarray, " K"], detail: Detail, *, ledger: bool = False
    ) -> Evidence:
        """Return the evidence of a partition at ``params``; scores by person too with ``ledger``."""
        ...

    def predict(self, log: ChoiceLog, params: Float[np.ndarray, " K"]) -> Prediction:
        """Return choice probabilities and logsums."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data from which the model's class rebuilds the law."""
        ...
