"""What every model is: a utility with its constraints, fitted by one shared procedure. Imports evidence to choices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, ClassVar

from revealed.choices.log import ChoiceLog
from revealed.choices.stream import ChoiceStream
from revealed.engine import Engine, InProcess, Progress
from revealed.errors import SpecificationError, nearest
from revealed.evidence import NewtonOptions
from revealed.models.fit import Fit
from revealed.models.law import Law
from revealed.models.utility import Utility

#: Where the models that come with the package live; a model of the user's own registers when it is defined.
_HOMES = {
    "Logit": "revealed.models.logit",
    "ScaledLogit": "revealed.models.scaled_logit",
    "Nested": "revealed.models.nested",
    "CrossNested": "revealed.models.nested",
    "Mixed": "revealed.models.mixed",
    "LatentClass": "revealed.models.latent",
}
_KNOWN: dict[str, type[Model]] = {}

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Model(ABC):
    """A model: its utility and what is imposed on its parameters.

    Parameters
    ----------
    utility : str or mapping
        A formula, or one per alternative; see :func:`revealed.models.utility.read_utility`.
    reference : mapping, optional
        ``{column: level}``: reference levels of categorical columns (by default the first in order).
    fixed : mapping, optional
        ``{parameter: value}``: held at the value.
    bounds : mapping, optional
        ``{parameter: (lower, upper)}``, None for no bound.
    start : mapping, optional
        ``{parameter: value}`` to start from (by default zero).
    ridge : float, optional
        Strength of a ridge: a prior N(0, 1/ridge) on every parameter.
    prior : mapping, optional
        ``{parameter: (mean, standard deviation)}``: Gaussian prior beliefs.
    """

    utility: Utility
    reference: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    ridge: float = 0.0
    prior: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    title: ClassVar[str]
    citation: ClassVar[str]
    #: What an answer from the model leans on beyond its utility, in words.
    assumptions: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _KNOWN[cls.__name__] = cls

    @abstractmethod
    def law(self, log: ChoiceLog | ChoiceStream) -> Law:
        """Bind the model to the columns of a log."""

    @staticmethod
    @abstractmethod
    def law_from_dict(data: Mapping[str, Any]) -> Law:
        """Rebuild a law from what its ``to_dict`` wrote."""

    def fit(
        self,
        log: ChoiceLog | ChoiceStream,
        *,
        errors: str | None = None,
        engine: Engine | None = None,
        options: NewtonOptions | None = None,
        progress: Progress | None = None,
    ) -> Fit:
        """Estimate the parameters by maximum likelihood (or the posterior mode, with a prior).

        Parameters
        ----------
        log : ChoiceLog or ChoiceStream
            The choices, in memory or on disk.
        errors : {"classic", "robust", "clustered"}, optional
            Which standard errors the fit shows. By default clustered by person where the log names persons, else
            robust. The others stay at hand: ``fit.standard_errors("classic")``.
        engine : Engine, optional
            Where sums are computed; by default this process.
        options : NewtonOptions, optional
            Tolerance and the most passes over the log.
        progress : callable, optional
            Told of the cases done in each pass.

        Returns
        -------
        Fit
            With ``fit.status``: a failure to converge or to identify is status, not an exception.

        Raises
        ------
        SpecificationError
            If the model does not fit the log.
        DataError
            If a column in use has missing or infinite cells, with their rows.
        """
        from revealed.models.estimate import estimate

        return estimate(self, log, errors, engine or InProcess(), options or NewtonOptions(), progress)

    # ---- what summaries say ---------------------------------------------------------------------------------------

    def null_value(self, name: str) -> float:
        """Return the value at which a parameter says nothing, which it is tested against: zero for most."""
        del name
        return 0.0

    def spread_of(self, name: str) -> str:
        """Return the distribution that a coefficient has over people, empty where it is the same for all."""
        del name
        return ""

    def derived(self, estimates: Mapping[str, float]) -> dict[str, float]:
        """Return what else is told of the estimates, functions of them by name; their errors follow by themselves."""
        del estimates
        return {}

    def described(self) -> dict[str, str]:
        """Return the model's formulas and what else specifies it, by name; a utility alone has none."""
        if isinstance(self.utility, str):
            return {"": self.utility}
        return {str(alternative): formula for alternative, formula in self.utility.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"class": type(self).__name__, **asdict(self)}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Model:
        """Return the model that :meth:`to_dict` wrote."""
        name = data["class"]
        fields = {key: value for key, value in data.items() if key != "class"}
        for key in ("bounds", "prior"):
            fields[key] = {parameter: tuple(pair) for parameter, pair in fields[key].items()}
        return model_class(name)(**fields)


def model_class(name: str) -> type[Model]:
    """Return the model class of a name: one of the package's, or one the user has defined in this process."""
    if name not in _KNOWN and name in _HOMES:
        import_module(_HOMES[name])
    if name not in _KNOWN:
        raise SpecificationError(
            f"no model class {name!r}; if it is your own, import it first; {nearest(name, [*_HOMES, *_KNOWN])}"
        )
    return _KNOWN[name]
