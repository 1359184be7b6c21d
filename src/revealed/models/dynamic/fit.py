"""A fitted decision process: rewards, what they lead to, how sure that is. Imports its own room and evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from revealed.doors import door
from revealed.errors import SpecificationError, nearest
from revealed.evidence import Evidence, Status
from revealed.files import load_saved, write_whole
from revealed.models.dynamic.draws import Drawn, Draws, TypeShares
from revealed.models.dynamic.process import DecisionProcess
from revealed.models.dynamic.reward import LinearReward
from revealed.models.dynamic.solve import Solution, solved


@dataclass(frozen=True, eq=False, repr=False)
class DynamicFit:
    """Rewards linear in parameters, estimated from choices over time.

    Parameters
    ----------
    method, citation : str
    process : DecisionProcess
    linear : LinearReward
    params : ndarray of float64, shape (K,)
    evidence : Evidence
        Of the choices, at the estimates.
    status : Status
    covariances : mapping
        ``{kind: (K, K)}``: classic, robust, clustered by person, and by a bootstrap where there are draws.
    free : ndarray of bool, shape (K,)
    solution : Solution
        What the process comes to under the estimated rewards.
    n_observations, n_persons : int
    formulas : mapping
        The reward as written: one formula, called ``""``, or one for each action.
    transition_log_likelihood : float or None
        Of the moves, where transitions were estimated.
    assumptions, remarks : tuple of str
        What the estimates lean on, what they are relative to; what to know of the data.
    errors : str
        Which covariance is shown by default.
    trail : tuple of ndarray
        The parameters of each outer step, where the method has several (nested pseudo-likelihood).
    draws : Draws, optional
        Estimates from persons drawn again: see :meth:`Bootstrap.kept_in`.
    types : TypeShares, optional
        How many are of which type, where there are types that nobody observes.
    first_states : ndarray of float64, shape (S,), optional
        Where there is a horizon, how many were seen in each state in the first period; zero everywhere if nobody was.
    """

    method: str
    citation: str
    process: DecisionProcess
    linear: LinearReward
    params: Float[np.ndarray, " K"]
    evidence: Evidence
    status: Status
    covariances: Mapping[str, Float[np.ndarray, "K K"]]
    free: Bool[np.ndarray, " K"]
    solution: Solution
    n_observations: int
    n_persons: int
    formulas: Mapping[str, str] = field(default_factory=dict)
    transition_log_likelihood: float | None = None
    assumptions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    errors: str = "clustered"
    trail: tuple[np.ndarray, ...] = field(default=())
    draws: Draws | None = None
    types: TypeShares | None = None
    first_states: Float[np.ndarray, " S"] | None = None

    @cached_property
    def fits(self) -> tuple[Drawn, ...]:
        """What the persons of each draw tell; none without draws."""
        draws = self.draws
        if draws is None:
            return ()
        found = []
        for place, params in enumerate(draws.params):
            process = self.process
            if draws.transitions is not None:
                process = replace(process, transitions=draws.transitions[place])
            if draws.solutions is not None:
                solution = draws.solutions[place]
            else:
                near = self.solution.value if process.horizon is None else None
                solution = solved(process, self.linear.of(params), near)
            shares = None if draws.shares is None else draws.shares[place]
            found.append(Drawn(params, process, self.linear, solution, shares))
        return tuple(found)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return self.linear.names

    def __getitem__(self, name: str) -> float:
        """Return one estimate by name."""
        return float(self.params[self.index(name)])

    def index(self, name: str) -> int:
        """Return the place of a parameter.

        Raises
        ------
        SpecificationError
            If there is none of that name.
        """
        if name not in self.names:
            raise SpecificationError(f"no parameter {name!r}; {nearest(name, self.names)}")
        return self.names.index(name)

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood of the choices."""
        return self.evidence.log_likelihood

    @property
    def full_log_likelihood(self) -> float:
        """The log-likelihood of choices and moves."""
        return self.log_likelihood + (self.transition_log_likelihood or 0.0)

    @property
    def reward(self) -> Float[np.ndarray, "S A"]:
        """The estimated reward of each action in each state."""
        return self.linear.of(self.params)

    def covariance(self, errors: str | None = None) -> Float[np.ndarray, "K K"]:
        """Return a covariance matrix of the estimates.

        Raises
        ------
        SpecificationError
            For a kind that is not there.
        """
        kind = errors or self.errors
        if kind not in self.covariances:
            raise SpecificationError(f"no standard errors {kind!r}; {nearest(kind, self.covariances)}")
        return self.covariances[kind]

    def standard_errors(self, errors: str | None = None) -> Float[np.ndarray, " K"]:
        """Return standard errors; NaN for what is not identified, zero for what was not estimated."""
        return np.sqrt(np.diag(self.covariance(errors)))

    # ---- doors to later rooms, and files --------------------------------------------------------------------------

    def summary(self, *, errors: str | None = None, level: float = 0.95) -> Any:
        """Return the summary: :func:`revealed.report.dynamic.summarise_over_time`."""
        return door("dynamic_summary")(self, errors=errors, level=level)

    def over_time(self, *changes: Any, **options: Any) -> Any:
        """Tell what would happen: :func:`revealed.answer.counterfactual.over_time`."""
        return door("over_time")(self, *changes, **options)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fit to a JSON file, whole or not at all."""
        from revealed.models.dynamic.saved import data_of

        return write_whole(path, json.dumps(data_of(self), ensure_ascii=False, allow_nan=False))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DynamicFit:
        """Read a fit from a JSON file; no code in it is ever run.

        Raises
        ------
        DataError
            If the file cannot be read, or parts of it are missing or spoiled.
        RevealedError
            If it holds something else, or a newer version's fit.
        """
        from revealed.models.dynamic.saved import fit_of

        return load_saved(path, fit_of, "give a file that fit.save(path) or revealed dynamic --out wrote")

    def __str__(self) -> str:
        return str(door("text")(self.summary()))

    def _repr_html_(self) -> str:
        return str(door("html")(self.summary()))

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.4g}" for name, value in zip(self.names, self.params, strict=True))
        ending = "" if self.status.sound and self.solution.converged else "; NOT SOUND: " + "; ".join(self.messages())
        return f"DynamicFit({self.method}: {told}; log-likelihood {self.log_likelihood:.3f}{ending})"

    def messages(self) -> list[str]:
        """Return what a reader must know, in words."""
        return [*self.status.messages(), *self.solution.messages(), *self.remarks]
