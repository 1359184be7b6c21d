"""A policy for layouts that learns as answers arrive: one posterior draw a decision. Imports models to choices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.decide.explore.thompson import require_width
from revealed.decide.layout.decision import LayoutDecision
from revealed.decide.layout.design import Design, Priors
from revealed.decide.layout.effects import Effect, effects_of
from revealed.decide.layout.ranking import Ranking, rank
from revealed.decide.layout.saved import FORMAT, require_kind
from revealed.decide.layout.search import Search, SearchOptions
from revealed.decide.layout.space import Layouts
from revealed.errors import DataError, Problem, SpecificationError
from revealed.files import load_saved, write_whole
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.links import Link
from revealed.models.glm.model import BayesianGLM
from revealed.models.glm.posterior import Sites

Answers = Float[np.ndarray, " answers"]

#: What saved learners say they are.
KIND = "layout learner"


@dataclass(frozen=True, eq=False)
class LayoutLearner:
    """Chooses layouts by Thompson sampling under a Bayesian GLM with interactions; immutable.

    Parameters
    ----------
    design : Design
        What the predictor is made of; without pairs it is the paper's model without interactions.
    model : BayesianGLM
        With all covariances.
    width : float
        Multiplies a draw's distance from the mean; see :class:`revealed.decide.explore.Thompson`.
    options : SearchOptions
    """

    design: Design
    model: BayesianGLM
    width: float = 0.5
    options: SearchOptions = field(default_factory=SearchOptions)

    def __post_init__(self) -> None:
        require_width(self.width)
        if not isinstance(self.model.posterior, FullPosterior):
            raise SpecificationError('layouts need all covariances; make the model with covariance="full"')
        if self.model.n_params != self.design.n_params:
            raise SpecificationError(
                f"a model of {self.model.n_params} parameters for a design of {self.design.n_params}"
            )

    @classmethod
    def fresh(
        cls,
        design: Design,
        link: str | Link = "logit",
        *,
        priors: Priors | None = None,
        width: float = 0.5,
        options: SearchOptions | None = None,
    ) -> LayoutLearner:
        """Return a learner that knows nothing.

        Parameters
        ----------
        design : Design
        link : str or Link
            logit or probit for answers of 0 and 1; also gaussian and poisson.
        priors : Priors, optional
        width : float
        options : SearchOptions, optional
        """
        mean, variance = design.prior(priors or Priors())
        model = BayesianGLM.fresh(design.n_params, link, mean=mean, variance=variance)
        return cls(design, model, width, options or SearchOptions())

    @property
    def posterior(self) -> FullPosterior:
        """The belief about parameters."""
        assert isinstance(self.model.posterior, FullPosterior)
        return self.model.posterior

    @cached_property
    def search(self) -> Search:
        """What finds the best layout."""
        return Search(self.design.space, self.options)

    @cached_property
    def version(self) -> str:
        """Which policy this is, learned from what."""
        digest = sha256(json.dumps([self.design.to_dict(), self.width, asdict(self.options)]).encode())
        digest.update(self.posterior.precision.tobytes() + self.posterior.shift.tobytes())
        return f"layout-{digest.hexdigest()[:12]}"

    # ---- deciding ---------------------------------------------------------------------------------------------------

    def decide(
        self, context: Mapping[str, Any] | None = None, *, seed: int | np.random.SeedSequence, pool: int = 1
    ) -> LayoutDecision:
        """Return the best layout of a posterior draw; the same for the same seed.

        Parameters
        ----------
        context : mapping, optional
            What is known, if the design has a context.
        seed : int or SeedSequence
            Another for each decision.
        pool : int
            So many draws are made and one of them is shown, each as likely: the layout is as random as with one draw,
            and its propensity is the share of the pool that agrees with it. One draw costs the least, and leaves the
            propensity unknown.
        """
        if pool < 1:
            raise SpecificationError(f"a pool has one draw or more, not {pool}")
        features = self.design.features(None if context is None else [context], 1)
        rng = np.random.Generator(np.random.Philox(seed))
        found = [self._best(rng, None if features is None else features[0]) for _ in range(pool)]
        shown = found[0] if pool == 1 else found[int(rng.integers(pool))]
        propensity = None if pool == 1 else found.count(shown) / pool
        return LayoutDecision(self.design.space.decode(shown), shown, self.search.method, propensity, self.version)

    def _best(self, rng: np.random.Generator, features: np.ndarray | None) -> tuple[int, ...]:
        posterior = self.posterior
        params = posterior.mean + self.width * (posterior.root @ rng.standard_normal(self.design.n_params))
        _, unary, pairs = self.design.tables(params, features)
        return self.search.best(unary, pairs, rng).layout

    # ---- learning ---------------------------------------------------------------------------------------------------

    def learn(
        self,
        layouts: Layouts | Sequence[Mapping[str, str]],
        answers: Answers,
        contexts: Sequence[Mapping[str, Any]] | None = None,
    ) -> LayoutLearner:
        """Return the learner after some answers.

        Parameters
        ----------
        layouts : ndarray of int, shape (n, slots), or sequence of mappings
            What was shown: numbers (``LayoutDecision.options``) or names.
        answers : ndarray of float64, shape (n,)
            What came of it: 0 or 1 with logit and probit.
        contexts : sequence of mappings, optional
            In which contexts, if the design has one.

        Raises
        ------
        DataError
            For layouts that are not allowed and answers that cannot be; nothing is learned then.
        SpecificationError
            For unknown names and unlike numbers of layouts, answers and contexts.
        """
        return self.learned(layouts, answers, contexts)[0]

    def learned(
        self,
        layouts: Layouts | Sequence[Mapping[str, str]],
        answers: Answers,
        contexts: Sequence[Mapping[str, Any]] | None = None,
    ) -> tuple[LayoutLearner, Sites]:
        """Return the learner after some answers, and what they added; see :meth:`learn` and :meth:`without`."""
        space = self.design.space
        if isinstance(layouts, np.ndarray):
            space.require_allowed(layouts)
        numbers = layouts if isinstance(layouts, np.ndarray) else space.encode(layouts)
        values = np.asarray(answers, dtype=np.float64)
        if not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values))
            rows = tuple((bad[:5] + 1).tolist())
            problem = Problem("answers that are not finite numbers", "leave them out", rows=rows, count=len(bad))
            raise DataError("answers", [problem])
        rows_of = self.design.rows(numbers, self.design.features(contexts, len(numbers)))
        model, sites = self.model.learned(rows_of, values)
        return replace(self, model=model), sites

    def without(self, sites: Sites) -> LayoutLearner:
        """Return the learner without what some answers added."""
        return replace(self, model=self.model.without(sites))

    # ---- what was learned -------------------------------------------------------------------------------------------

    def effects(self, level: float = 0.95) -> tuple[Effect, ...]:
        """Return the effect of each option, pair, and option by context, with intervals."""
        return effects_of(self.design, self.posterior, self.model.prior.variance, level)

    def ranked(
        self, context: Mapping[str, Any] | None = None, *, top: int = 10, level: float = 0.95, seed: int = 0
    ) -> Ranking:
        """Return the layouts of the highest expected answers, with intervals and how likely each is the best."""
        features = self.design.features(None if context is None else [context], 1)
        return rank(
            self.design,
            self.posterior,
            self.model.link,
            self.search,
            features=None if features is None else features[0],
            top=top,
            level=level,
            seed=seed,
        )

    # ---- files ------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "format": FORMAT,
            "kind": KIND,
            "design": self.design.to_dict(),
            "model": self.model.to_dict(),
            "width": self.width,
            "search": asdict(self.options),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LayoutLearner:
        """Return the learner that :meth:`to_dict` wrote.

        Raises
        ------
        SpecificationError
            If it is none, or a newer version of the package wrote it.
        """
        require_kind(data, KIND)
        design, model = Design.from_dict(data["design"]), BayesianGLM.from_dict(data["model"])
        return cls(design, model, float(data["width"]), SearchOptions(**data["search"]))

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the learner as JSON, whole or not at all."""
        return write_whole(path, json.dumps(self.to_dict()))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> LayoutLearner:
        """Return the learner that :meth:`save` wrote.

        Raises
        ------
        DataError
            If there is no such file, it is no JSON, or parts of it are missing or spoiled.
        """
        return load_saved(path, cls.from_dict, "give a file that LayoutLearner.save wrote")
