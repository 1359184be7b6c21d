"""A fit: parameters with names, evidence, covariance and status. Imports evidence to choices; later rooms by doors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from revealed.choices.columns import Columns
from revealed.choices.log import ChoiceLog
from revealed.choices.stream import ChoiceStream
from revealed.doors import door
from revealed.errors import RevealedError, SpecificationError, nearest
from revealed.evidence import Evidence, Gaussian, Status
from revealed.files import names_to_numbers, numbers_to_names, write_whole
from revealed.models.law import Law, Prediction

if TYPE_CHECKING:
    from revealed.engine import Engine
    from revealed.models.model import Model

FORMAT = 1


@dataclass(frozen=True)
class DataSummary:
    """What a fit keeps of its log: sizes, shares, names of columns; no rows.

    Parameters
    ----------
    source : str
    columns : Columns
    counts : bool
    n_cases, n_rows, n_persons : int
    n_choices : float
    alternatives : tuple of str
    shares : tuple of float
        The observed share of choices of each alternative.
    null_log_likelihood : float
        With all available alternatives equally likely.
    """

    source: str
    columns: Columns
    counts: bool
    n_cases: int
    n_rows: int
    n_persons: int
    n_choices: float
    alternatives: tuple[str, ...]
    shares: tuple[float, ...]
    null_log_likelihood: float

    @classmethod
    def of(cls, log: ChoiceLog | ChoiceStream) -> DataSummary:
        """Return the summary of a log."""
        facts = log.facts
        return cls(
            source=log.source,
            columns=log.columns,
            counts=log.counts,
            n_cases=facts.n_cases,
            n_rows=facts.n_rows,
            n_persons=facts.n_persons,
            n_choices=facts.n_choices,
            alternatives=facts.levels.labels,
            shares=tuple(facts.chosen[label] / facts.n_choices for label in facts.levels.labels),
            null_log_likelihood=facts.null_log_likelihood,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DataSummary:
        """Return the summary that ``asdict`` wrote."""
        lists = {key: tuple(data[key]) for key in ("alternatives", "shares")}
        return cls(**{**data, **lists, "columns": Columns(**data["columns"])})


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """An estimated model.

    Parameters
    ----------
    model : Model
        What was fitted.
    law : Law
        The model bound to the columns of the log.
    params : ndarray of float64, shape (K,)
        The estimates.
    evidence : Evidence
        The evidence of the whole log, within ``status.utility_step`` of the estimates.
    status : Status
        How the estimation went.
    prior : Gaussian or None
    free : ndarray of bool, shape (K,)
        Which parameters were estimated; the others are fixed or at a bound.
    errors : str
        Which covariance is shown by default.
    covariances : mapping
        ``{kind: (K, K)}``.
    data : DataSummary
    """

    model: Model
    law: Law
    params: Float[np.ndarray, " K"]
    evidence: Evidence
    status: Status
    prior: Gaussian | None
    free: Bool[np.ndarray, " K"]
    errors: str
    covariances: Mapping[str, Float[np.ndarray, "K K"]]
    data: DataSummary

    # ---- numbers --------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of ``params``."""
        return self.law.names

    def __getitem__(self, name: str) -> float:
        """Return one estimate by name."""
        return float(self.params[self.index(name)])

    def index(self, name: str) -> int:
        """Return the place of a parameter.

        Raises
        ------
        SpecificationError
            If there is none of that name, with the nearest.
        """
        if name not in self.names:
            raise SpecificationError(f"no parameter {name!r}; {nearest(name, self.names)}")
        return self.names.index(name)

    @property
    def estimates(self) -> dict[str, float]:
        """The estimates by name."""
        return dict(zip(self.names, self.params.tolist(), strict=True))

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood at the estimates (without the prior)."""
        step = self.params - self.evidence.point
        score, information = self.evidence.score, self.evidence.information
        return float(self.evidence.log_likelihood + score @ step - 0.5 * step @ information @ step)

    @property
    def n_free(self) -> int:
        """The number of estimated parameters."""
        return int(self.free.sum())

    def covariance(self, errors: str | None = None) -> Float[np.ndarray, "K K"]:
        """Return the covariance of the estimates.

        Parameters
        ----------
        errors : {"classic", "robust", "clustered"}, optional
            By default the kind the fit was asked to show.
        """
        kind = errors or self.errors
        if kind not in self.covariances:
            remedy = "; fit with errors='clustered' and person=…" if kind == "clustered" else ""
            raise SpecificationError(f"this fit has no {kind!r} errors; {nearest(kind, self.covariances)}{remedy}")
        return self.covariances[kind]

    def standard_errors(self, errors: str | None = None) -> Float[np.ndarray, " K"]:
        """Return standard errors; zero where fixed or at a bound, NaN where not identified."""
        variance = np.diag(self.covariance(errors))
        return np.sqrt(np.where(variance >= 0, variance, np.nan))

    def predict(self, log: ChoiceLog) -> Prediction:
        """Return choice probabilities (per row) and logsums (per case) on a log."""
        return self.law.predict(log, self.params)

    def probabilities(self, log: ChoiceLog) -> Float[np.ndarray, " rows"]:
        """Return the choice probability of each row of a log."""
        return self.predict(log).probability

    # ---- evidence adds --------------------------------------------------------------------------------------------

    def update(
        self, new: ChoiceLog, log: ChoiceLog | ChoiceStream | None = None, *, engine: Engine | None = None
    ) -> Fit:
        """Return the fit with new choices added.

        Parameters
        ----------
        new : ChoiceLog
            The choices that came.
        log : ChoiceLog or ChoiceStream, optional
            All choices, old and new. With it the result is a full maximum, reached from here in a pass or two.
            Without it, it is one Newton step from the stored evidence, a local approximation whose size
            ``status.utility_step`` tells.
        engine : Engine, optional
        """
        from revealed.models.revise import revise

        return revise(self, new, +1, log, engine)

    def forget(
        self, gone: ChoiceLog, log: ChoiceLog | ChoiceStream | None = None, *, engine: Engine | None = None
    ) -> Fit:
        """Return the fit with the choices of some persons taken out; the mirror of :meth:`update`.

        Parameters
        ----------
        gone : ChoiceLog
            Their choices, which must have been in the fit.
        log : ChoiceLog or ChoiceStream, optional
            The choices that stay. With it the result is a full maximum; without it, one Newton step.
        engine : Engine, optional
        """
        from revealed.models.revise import revise

        return revise(self, gone, -1, log, engine)

    # ---- what later rooms add -------------------------------------------------------------------------------------

    def summary(self, **options: Any) -> Any:
        """Return the summary: goodness of fit, estimates with errors and tests. See :mod:`revealed.report.summary`."""
        return door("summary")(self, **options)

    def whatif(self, log: ChoiceLog, *changes: Any, **options: Any) -> Any:
        """Return shares and surplus after changes. See :func:`revealed.answer.whatif.whatif`."""
        return door("whatif")(self, log, *changes, **options)

    def elasticities(self, log: ChoiceLog, attribute: str, **options: Any) -> Any:
        """Return own and cross elasticities. See :func:`revealed.answer.elasticity.elasticities`."""
        return door("elasticities")(self, log, attribute, **options)

    def diversion(self, log: ChoiceLog, attribute: str | None = None, **options: Any) -> Any:
        """Return where the choices go that alternatives lose. See :func:`revealed.answer.diversion.diversion`."""
        return door("diversion")(self, log, attribute, **options)

    def willingness_to_pay(self, *names: str, cost: str, **options: Any) -> Any:
        """Return what a unit of each is worth in money. See :func:`revealed.answer.willingness.willingness_to_pay`."""
        return door("willingness_to_pay")(self, *names, cost=cost, **options)

    def surplus(self, log: ChoiceLog, *, cost: str, **options: Any) -> Any:
        """Return the expected consumer surplus. See :func:`revealed.answer.surplus.surplus`."""
        return door("surplus")(self, log, cost=cost, **options)

    def goodness(self, log: ChoiceLog | None = None) -> Any:
        """Return log-likelihoods, information criteria and pseudo rho². See :mod:`revealed.answer.goodness`."""
        return door("goodness")(self, log)

    def demand_curve(self, log: ChoiceLog, attribute: str, alternative: str, *rest: Any, **options: Any) -> Any:
        """Return an alternative's share as its price runs. See :func:`revealed.answer.demand.demand_curve`."""
        return door("demand_curve")(self, log, attribute, alternative, *rest, **options)

    def calibrate(self, log: ChoiceLog, **options: Any) -> Any:
        """Return how true the probabilities come on a log. See :func:`revealed.answer.calibration.calibrate`."""
        return door("calibrate")(self, log, **options)

    def wald_test(self, *hypotheses: str, **options: Any) -> Any:
        """Test linear hypotheses such as ``"cost = time"``. See :func:`revealed.answer.hypotheses.wald_test`."""
        return door("wald_test")(self, *hypotheses, **options)

    def likelihood_ratio_test(self, restricted: Fit) -> Any:
        """Test a restricted fit against this one. See :func:`revealed.answer.hypotheses.likelihood_ratio_test`."""
        return door("likelihood_ratio_test")(self, restricted)

    def _repr_html_(self) -> str:
        return str(door("html")(self.summary()))

    def __repr__(self) -> str:
        state = "converged" if self.status.sound else "; ".join(self.status.messages())
        numbers = ", ".join(f"{name}={value:.6g}" for name, value in self.estimates.items())
        size = f"{self.data.n_cases:,} cases, log-likelihood {self.log_likelihood:.3f}"
        return f"Fit({self.model.title}, {size}, {numbers}; {state})"

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the fit as JSON: everything but the ledger of persons."""
        data = {
            "revealed": FORMAT,
            "model": self.model.to_dict(),
            "law": self.law.to_dict(),
            "names": list(self.names),
            "params": self.params.tolist(),
            "evidence": self.evidence.to_dict(),
            "status": self.status.to_dict(),
            "prior": None if self.prior is None else self.prior.to_dict(),
            "free": self.free.tolist(),
            "errors": self.errors,
            "covariances": {kind: matrix.tolist() for kind, matrix in self.covariances.items()},
            "data": asdict(self.data),
        }
        return json.dumps(numbers_to_names(data), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Fit:
        """Return the fit that :meth:`to_json` wrote; no code in the text is ever run.

        Raises
        ------
        RevealedError
            If the text is not a fit, or a newer version's.
        """
        from revealed.models.model import Model, model_class

        try:
            data = names_to_numbers(json.loads(text))
            version = data["revealed"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise RevealedError("this is not a saved fit; save one with fit.save(path) or revealed fit --out") from None
        if version != FORMAT:
            raise RevealedError(
                f"this fit was saved in format {version}, this version reads {FORMAT}; fit again or upgrade"
            )
        try:
            model = Model.from_dict(data["model"])
            return cls(
                model=model,
                law=model_class(data["model"]["class"]).law_from_dict(data["law"]),
                params=np.array(data["params"], dtype=np.float64),
                evidence=Evidence.from_dict(data["evidence"]),
                status=Status.from_dict(data["status"]),
                prior=None if data["prior"] is None else Gaussian.from_dict(data["prior"]),
                free=np.array(data["free"], dtype=bool),
                errors=data["errors"],
                covariances={k: np.array(m, dtype=np.float64) for k, m in data["covariances"].items()},
                data=DataSummary.from_dict(data["data"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RevealedError(f"this saved fit is damaged ({type(error).__name__}: {error}); fit again") from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fit to a JSON file, whole or not at all."""
        return write_whole(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fit:
        """Read a fit from a JSON file."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise RevealedError(f"cannot read {path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise RevealedError(f"{path} is not a saved fit: it is not text") from None

    def showing(self, errors: str) -> Fit:
        """Return the fit with another kind of standard errors shown."""
        self.covariance(errors)
        return replace(self, errors=errors)
