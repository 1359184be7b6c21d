"""What a policy is made of, read from a TOML file or a dictionary. Imports its own room, models and errors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.business import Business
from revealed.decide.catalogue import Catalogue
from revealed.decide.delay.section import Delay
from revealed.decide.layout.catalogue import LayoutCatalogue
from revealed.decide.layout.specified import Layout
from revealed.decide.slate.specified import Slates
from revealed.errors import DataError, Problem, SpecificationError, nearest
from revealed.models.glm.features import FeatureSpace
from revealed.models.glm.model import BayesianGLM
from revealed.models.glm.noise import NoiseEstimate

#: The largest whole number in a specification, far above whatever has a meaning.
_LARGEST = 1e18


@dataclass(frozen=True)
class Features:
    """The features: a formula, or fields and their interactions.

    Parameters
    ----------
    formula : str, optional
        As for :meth:`FeatureSpace.from_formula`; the action itself is called by its column.
    numeric, categorical, interactions, optional : tuple of str
        As for :meth:`FeatureSpace.of`; none beside a formula, but for ``optional``.
    hashed : mapping
        Bits by field or pair.
    groups : str or mapping
        Which parameters share a prior.
    item : tuple of str
        The fields that belong to the action shown; all others are of the context.
    """

    formula: str | None = None
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    interactions: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    hashed: Mapping[str, int] = field(default_factory=dict)
    groups: Any = field(default="attribute", metadata={"accepts": (str, Mapping)})
    item: tuple[str, ...] = ()

    def space(self) -> FeatureSpace:
        """Return the feature space, which has seen nothing yet."""
        if self.formula is None:
            return FeatureSpace.of(
                numeric=self.numeric,
                categorical=self.categorical,
                interactions=self.interactions,
                optional=self.optional,
                hashed=self.hashed,
                groups=self.groups,
            )
        if self.numeric or self.categorical or self.interactions:
            raise SpecificationError("features are a formula, or fields and interactions; give one of the two")
        return FeatureSpace.from_formula(self.formula, optional=self.optional, hashed=self.hashed, groups=self.groups)


@dataclass(frozen=True)
class Learning:
    """How the policy learns.

    Parameters
    ----------
    link : str
        logit, probit, gaussian or poisson.
    covariance : str
        full, grouped or diagonal.
    mean, variance : float
        Of the first prior of each parameter. With the Gaussian link the variance is in units of the noise's.
    noise : float, optional
        The standard deviation of the noise of a Gaussian link, in units of the reward; by default it is estimated from
        all answers learned (:mod:`revealed.models.glm.noise`).
    batch : int
        Answers learned at a time.
    keep : float
        The share of what was learned that is kept over so many answers, for worlds that drift; of fewer answers,
        however they are cut into logs, a share that makes up as much in the end.
    meta_prior : bool or str
        Whether to estimate the prior of each group of features from the first log, and start from it; true is
        "prediction", and "moments" is the estimator of Nabi and others (:mod:`revealed.decide.prior`). A fresh policy
        that learns from all logs estimates it anew.
    """

    link: str = "logit"
    covariance: str = "full"
    mean: float = 0.0
    variance: float = 1.0
    noise: float | None = field(default=None, metadata={"accepts": (int, float, NoneType)})
    batch: int = 1000
    keep: float = 1.0
    meta_prior: bool | str = field(default=False, metadata={"accepts": (bool, str)})

    @property
    def estimator(self) -> str:
        """The estimator of the meta-prior, or nothing."""
        return ("prediction" if self.meta_prior else "") if isinstance(self.meta_prior, bool) else self.meta_prior

    def model(
        self, n_params: int, variance: float | Float[np.ndarray, " K"], groups: Int[np.ndarray, " K"] | None = None
    ) -> BayesianGLM:
        """Return a model that has learned nothing; the variances are in units of the noise's."""
        made = BayesianGLM.fresh(
            n_params,
            self.link,
            covariance=self.covariance,
            groups=groups if self.covariance == "grouped" else None,
            mean=self.mean,
            variance=variance,
        )
        if self.link != "gaussian":
            return made
        return replace(made, noise=NoiseEstimate()) if self.noise is None else made.with_noise(self.noise)

    def kept(self, n_answers: int) -> float:
        """Return the share of what was learned that is kept when so many answers come."""
        return float(self.keep ** (n_answers / self.batch))

    def __post_init__(self) -> None:
        for name, value in (("mean", self.mean), ("variance", self.variance)):
            if not abs(value) <= _LARGEST:
                raise SpecificationError(f"[learn] {name} must be a finite number that has a meaning, not {value!r}")
        if self.noise is not None and self.link != "gaussian":
            raise SpecificationError(f'[learn] noise is of amounts, link = "gaussian"; leave it out with {self.link}')
        if self.noise is not None and not (self.noise > 0 and np.isfinite(self.noise)):
            raise SpecificationError(f"[learn] noise must be a finite number above zero, not {self.noise!r}")
        if self.meta_prior not in (True, False, "prediction", "moments"):
            known = nearest(self.estimator, ["prediction", "moments"])
            raise SpecificationError(f"meta_prior is true, false or an estimator, not {self.meta_prior!r}; {known}")
        if self.batch < 1:
            raise SpecificationError(f"a batch holds at least one answer, not {self.batch}")
        if not 0 < self.keep <= 1:
            raise SpecificationError(f"the share to keep must be above 0 and at most 1, not {self.keep!r}")


@dataclass(frozen=True)
class Exploration:
    """How the policy explores.

    Parameters
    ----------
    rule : str
        thompson, top_two, upper_confidence, epsilon_greedy or greedy.
    options : mapping
        Of the rule, such as ``width``.
    floor, cap : float
        Limits on the propensity of each eligible action.
    """

    rule: str = "thompson"
    options: Mapping[str, float] = field(default_factory=dict, metadata={"numbers": True})
    floor: float = 0.0
    cap: float = 1.0


@dataclass(frozen=True)
class Specification:
    """A policy before it has learned anything.

    Parameters
    ----------
    features : Features
    learn : Learning
    explore : Exploration
    business : Business
    log : mapping from role to column
        The columns of the logs it learns from, as for :func:`revealed.choices.feedback.read_feedback`.
    slate : Slates, optional
        How several things are shown; by default one after the other, each as if it were the only one.
    delay : Delay, optional
        How answers that come late are learned; by default rows without an answer teach nothing.
    layout : Layout, optional
        The slots that are filled together, each way to do so an action; by default actions are what logs and candidates
        name.
    """

    features: Features
    learn: Learning = field(default_factory=Learning)
    explore: Exploration = field(default_factory=Exploration)
    business: Business = field(default_factory=Business)
    log: Mapping[str, str] = field(default_factory=dict)
    slate: Slates | None = None
    delay: Delay | None = None
    layout: Layout | None = None

    def __post_init__(self) -> None:
        if self.layout is not None:
            self._require_layout(self.layout)
        if self.slate is None:
            return
        for name in self.slate.attributes:
            if name not in self.features.item:
                raise SpecificationError(
                    f"[slate] speaks of {name!r}, which is no attribute of what is shown: name it in item = […] of "
                    f"[features]; {nearest(name, self.features.item)}"
                )
        if self.slate.positions == "estimated" and "position" not in self.log:
            raise SpecificationError(
                '[slate] positions = "estimated" needs the column of positions: position = "…" in [log]'
            )

    def _require_layout(self, layout: Layout) -> None:
        if self.slate is not None:
            raise SpecificationError(
                "[layout] fills all slots at once, and [slate] one place after the other; keep one"
            )
        rules = self.business
        layout.require_labels([*rules.blocked, *rules.fallback, *([] if rules.pinned is None else [rules.pinned])])
        for role in ("decision", "action", "reward", "propensity", "position", "person", "time"):
            if self.log.get(role, role) in layout.space.names:
                raise SpecificationError(
                    f"{self.log.get(role, role)!r} is a slot of [layout] and the log's column of the {role}; give that "
                    f'column another name in [log]: {role} = "…"'
                )

    def space(self) -> FeatureSpace:
        """Return the feature space, which has seen nothing yet but the options of a layout.

        Raises
        ------
        SpecificationError
            For a formula or fields that cannot be, or that nobody knows yet when it is decided what to show.
        """
        space = self.features.space() if self.layout is None else self.layout.feature_space(self.features)
        if not space.specification.fields:
            raise SpecificationError("[features] name no field, so all actions are alike; name what tells them apart")
        told = {self.log.get(role, role): f"of the {role}" for role in ("reward", "decision", "propensity")}
        if self.delay is not None and self.delay.answered is not None:
            told[self.delay.answered] = "that says when the answer came"
        for name in (source for known in space.specification.fields for source in known.sources):
            if name in told:
                raise SpecificationError(
                    f"[features] use {name!r}, the log's column {told[name]}, which nobody knows before the decision; "
                    "leave it out"
                )
        return space

    def catalogue(self, column: str, met: Mapping[str, Any] | None = None) -> Catalogue:
        """Return what can be shown: what was met, or all layouts.

        Parameters
        ----------
        column : str
            What the field of an action's label is called.
        met : mapping from label to its attributes, optional
        """
        if self.layout is None:
            return Catalogue(column, self.features.item, met or {})
        return LayoutCatalogue.of(column, self.layout)

    def variances(self, groups: Sequence[str]) -> list[float]:
        """Return the variance that the parameters of some groups of features start from."""
        known = {} if self.layout is None else self.layout.variances(self.features)
        return [known.get(name, self.learn.variance) for name in groups]

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Specification:
        """Return what a TOML file says.

        Raises
        ------
        DataError
            If there is no such file, or it is no TOML.
        SpecificationError
            For a name that is not known, with the nearest, or a value of the wrong type.
        """
        where = Path(path)
        try:
            data = tomllib.loads(where.read_text(encoding="utf-8"))
        except FileNotFoundError:
            problem = Problem("there is no such file", "write the policy's specification first, in TOML")
            raise DataError(str(path), [problem]) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DataError(str(path), [Problem(f"is not TOML: {error}", "correct the line it names")]) from None
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Specification:
        """Return the specification of nested mappings, as a TOML file holds; see :meth:`read` for what is raised."""
        sections = [entry.name for entry in fields(cls)]
        for name in data:
            if name not in sections:
                raise SpecificationError(f"a policy has no section [{name}]; {nearest(name, sections)}")
        if "features" not in data and "layout" not in data:
            raise SpecificationError("a policy needs a section [features], with a formula or with fields")
        log = data.get("log", {})
        if not isinstance(log, Mapping):
            raise SpecificationError(f"[log] must be a section, not {log!r}")
        for role, column in log.items():
            if not isinstance(column, str):
                raise SpecificationError(f"[log] {role} must name a column, not {column!r}")
        return cls(
            _section(Features, "features", data),
            _section(Learning, "learn", data),
            _section(Exploration, "explore", data),
            _section(Business, "business", data),
            dict(log),
            _section(Slates, "slate", data) if "slate" in data else None,
            _section(Delay, "delay", data) if "delay" in data else None,
            _section(Layout, "layout", data) if "layout" in data else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data that :meth:`from_dict` reads."""
        data = {key: value for key, value in asdict(self).items() if value is not None}
        for name in ("features", "learn", "business", "slate", "delay", "layout"):
            if name in data:
                data[name] = {key: value for key, value in data[name].items() if value is not None}
        return data


def _section(kind: type[Any], name: str, data: Mapping[str, Any]) -> Any:
    given = data.get(name, {})
    if not isinstance(given, Mapping):
        raise SpecificationError(f"[{name}] must be a section, not {given!r}")
    known = {entry.name: entry for entry in fields(kind)}
    values = {}
    for key, value in given.items():
        if key not in known:
            raise SpecificationError(f"[{name}] has no {key!r}; {nearest(key, known)}")
        _require_numbers(value, known[key], f"[{name}] {key}")
        values[key] = _checked(value, known[key], f"[{name}] {key}")
    return kind(**values)


def _checked(value: Any, entry: Any, where: str) -> Any:
    """Return a value as its field wants it: lists as tuples of text, whole numbers as fractions."""
    default = entry.default if entry.default is not MISSING else entry.default_factory()
    wanted: tuple[type, ...]
    if "accepts" in entry.metadata:
        wanted = entry.metadata["accepts"]
    elif isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise SpecificationError(f"{where} must be a list of names, not {value!r}")
        return tuple(value)
    elif isinstance(default, bool):
        wanted = (bool,)
    elif isinstance(default, float):
        wanted = (int, float)
    elif isinstance(default, int):
        wanted = (int,)
    elif isinstance(default, dict):
        wanted = (Mapping,)
    else:
        wanted = (str, type(None)) if default is None else (str,)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        names = " or ".join(kind.__name__ for kind in wanted)
        raise SpecificationError(f"{where} must be of type {names}, not {value!r}")
    return float(value) if isinstance(default, float) else value  # type: ignore[arg-type]


def _require_numbers(value: Any, entry: Any, where: str) -> None:
    """Refuse options that are no numbers, and whole numbers of more digits than a float holds."""
    options = value.items() if "numbers" in entry.metadata and isinstance(value, Mapping) else ()
    for name, option in options:
        if isinstance(option, bool) or not isinstance(option, int | float):
            raise SpecificationError(f"{where}: {name} must be a number, not {option!r}")
    for told, number in ((where, value), *((f"{where}: {name}", option) for name, option in options)):
        if isinstance(number, int) and abs(number) > _LARGEST:
            raise SpecificationError(f"{told} is too large a number: {str(number)[:20]}…")
