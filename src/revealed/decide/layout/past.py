r"""What past tests say of layouts: the GLM fitted to counts, with an effect of each test. Imports models to choices.

Each test has a level of its own, and each row differs by more than clicks do by chance: by hours, audiences, and what
no slot tells. How much options, pairs, tests and rows differ is learned too (:mod:`revealed.decide.layout.deviations`),
and intervals are as wide as not knowing it makes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from revealed.decide.layout.counts import Belief, Counts
from revealed.decide.layout.design import Design, Priors
from revealed.decide.layout.deviations import Deviation, learned
from revealed.decide.layout.effects import Effect
from revealed.decide.layout.learner import LayoutLearner
from revealed.decide.layout.ranking import Ranking
from revealed.decide.layout.saved import FORMAT, require_kind
from revealed.decide.layout.search import SearchOptions
from revealed.decide.layout.space import Layouts
from revealed.decide.layout.table import LayoutTests
from revealed.errors import SpecificationError, nearest
from revealed.files import load_saved, write_whole
from revealed.models.glm.full import FullPosterior
from revealed.models.glm.links import link_named
from revealed.models.glm.model import BayesianGLM

#: Parameters beyond which all covariances are too many.
MOST_PARAMS = 4000

#: What saved fits say they are.
KIND = "fit of layout tests"


@dataclass(frozen=True, eq=False)
class TestsFit:
    """What past tests say; a learner that goes on from there is in it.

    Parameters
    ----------
    learner : LayoutLearner
        Its posterior is what the tests say, at the level of the average test.
    layouts : ndarray of int, shape (n, slots)
        The distinct layouts that were shown.
    impressions, clicks : ndarray of float64, shape (n,)
        Of each over all tests.
    n_rows, n_tests : int
        Of the table.
    deviations : dict from str to Deviation
        How much the effects of options and of pairs, the levels of tests, and rows beyond chance differ, in units of
        the predictor; those of "option", "pair", "test" and "row" of which the table can tell something.
    converged : bool
    """

    __test__ = False  # pytest: it is no test, whatever its name says

    learner: LayoutLearner
    layouts: Layouts
    impressions: Float[np.ndarray, " n"]
    clicks: Float[np.ndarray, " n"]
    n_rows: int
    n_tests: int
    deviations: dict[str, Deviation]
    converged: bool

    def effects(self, level: float = 0.95) -> tuple[Effect, ...]:
        """Return the effect of each option and pair, with intervals."""
        return self.learner.effects(level)

    def ranked(self, *, top: int = 10, level: float = 0.95, seed: int = 0) -> Ranking:
        """Return the layouts of the highest expected rates of clicks, in the average test."""
        return self.learner.ranked(top=top, level=level, seed=seed)

    def impressions_of(self, layout: Mapping[str, str]) -> int:
        """Return how often tests showed a layout."""
        numbers = [slot.options.index(layout[slot.name]) for slot in self.learner.design.space.slots]
        return int(self.impressions[(self.layouts == numbers).all(axis=1)].sum())

    def impressions_of_effect(self, effect: Effect) -> int:
        """Return how often tests showed an option, or a pair."""
        space = self.learner.design.space
        there = np.ones(len(self.layouts), dtype=bool)
        for name, option in zip(effect.slots, effect.options, strict=True):
            slot = space.slot_of(name)
            there &= self.layouts[:, slot] == space.slots[slot].options.index(option)
        return int(self.impressions[there].sum())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "format": FORMAT,
            "kind": KIND,
            "learner": self.learner.to_dict(),
            "layouts": self.layouts.tolist(),
            "impressions": self.impressions.tolist(),
            "clicks": self.clicks.tolist(),
            "n_rows": self.n_rows,
            "n_tests": self.n_tests,
            "deviations": {name: asdict(deviation) for name, deviation in self.deviations.items()},
            "converged": self.converged,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TestsFit:
        """Return the fit that :meth:`to_dict` wrote.

        Raises
        ------
        SpecificationError
            If it is none, or a newer version of the package wrote it.
        """
        require_kind(data, KIND)
        return cls(
            LayoutLearner.from_dict(data["learner"]),
            np.array(data["layouts"], dtype=np.int64),
            np.array(data["impressions"], dtype=np.float64),
            np.array(data["clicks"], dtype=np.float64),
            int(data["n_rows"]),
            int(data["n_tests"]),
            {name: Deviation(**deviation) for name, deviation in data["deviations"].items()},
            bool(data["converged"]),
        )

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the fit as JSON, whole or not at all."""
        return write_whole(path, json.dumps(self.to_dict()))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> TestsFit:
        """Return the fit that :meth:`save` wrote.

        Raises
        ------
        DataError
            If there is no such file, it is no JSON, or parts of it are missing or spoiled.
        """
        return load_saved(path, cls.from_dict, "give a file that TestsFit.save or revealed layout --out wrote")


def fit_tests(
    tests: LayoutTests,
    link: str = "logit",
    *,
    pairs: bool | Sequence[tuple[str, str]] = True,
    priors: Priors | None = None,
    options: SearchOptions | None = None,
) -> TestsFit:
    """Fit what options and pairs of them do to a table of past tests.

    Parameters
    ----------
    tests : LayoutTests
    link : {"logit", "probit"}
    pairs : bool or sequence of (str, str)
        All pairs of slots, none, or these.
    priors : Priors, optional
        Its deviations of options and of pairs are first guesses: each is learned from the tests, and believed before
        to be within a factor of e (one standard deviation of its logarithm).
    options : SearchOptions, optional
        How the best layout is looked for.

    Raises
    ------
    SpecificationError
        For another link, or options beyond some thousand parameters.
    """
    if link not in ("logit", "probit"):
        raise SpecificationError(f"no link {link!r} for clicks; {nearest(link, ('logit', 'probit'))}")
    law, design = link_named(link), Design.of(tests.space, pairs=pairs)
    if design.n_params > MOST_PARAMS:
        raise SpecificationError(
            f"{design.n_params:,} effects are more than the {MOST_PARAMS:,} that can be fitted together; name "
            "fewer slots, leave pairs out, or make options coarser"
        )
    priors = priors or Priors()
    counts = Counts(design.rows(tests.layouts), tests.impressions, tests.clicks, tests.tests, len(tests.names))
    found = learned(law, counts, design, priors)
    medians = {name: deviation.median for name, deviation in found.deviations.items()}
    belief = Belief.of(design, priors.level, priors.level_deviation, medians)
    posterior = _gaussian(found.mean, found.covariance)
    model = BayesianGLM(
        law, posterior, FullPosterior.independent(belief.mean, belief.variance), int(tests.impressions.sum())
    )
    cells, cell = np.unique(tests.layouts, axis=0, return_inverse=True)
    return TestsFit(
        LayoutLearner(design, model, options=options or SearchOptions()),
        cells,
        np.bincount(cell.ravel(), tests.impressions, len(cells)),
        np.bincount(cell.ravel(), tests.clicks, len(cells)),
        n_rows=len(tests),
        n_tests=len(tests.names),
        deviations=found.deviations,
        converged=found.converged,
    )


def _gaussian(mean: Float[np.ndarray, " K"], covariance: Float[np.ndarray, "K K"]) -> FullPosterior:
    precision = np.linalg.inv(covariance)
    precision = 0.5 * (precision + precision.T)
    return FullPosterior(precision, precision @ mean)
