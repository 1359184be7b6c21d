r"""The meta-prior by prediction: the variances under which answers would have been expected most. Imports models.

The parameters of a group are draws from :math:`N(m_g, \sigma_g^2)`. A prior is judged by the prequential log-loss of
the model that starts from it (:mod:`revealed.decide.prior.surprise`), which is minus its log marginal likelihood as
the model itself reckons it: empirical Bayes (Robbins 1956; Good 1965), with no posterior of single parameters in
between. So it holds for any link and any covariance, and what a model without covariances gets wrong is part of the
judgement.

Variances are searched by powers of two (:mod:`revealed.decide.prior.search`). The first prior has a say: a group's
variance is believed to be within a factor of 16 of it (one standard deviation), which is nothing where answers tell,
and all where they are silent. Means are parameters of their own (:class:`~revealed.decide.prior.sample.Sample`),
learned on the way.

Probit and Gaussian learning keep to the moments, and the variances found are the true ones. Under Laplace, by which
logit and Poisson learn, they are a fifth to a third less where answers are rare (one in twenty), a fourth more where
they are even.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from revealed.decide.prior.groups import FLOOR, GroupPrior, MetaPrior, require_groups
from revealed.decide.prior.sample import Sample, chosen, require_rows, sampled
from revealed.decide.prior.search import Losses, least, most_passes, refined
from revealed.errors import SpecificationError
from revealed.models.glm.features.rows import Rows
from revealed.models.glm.model import Answers, BayesianGLM
from revealed.models.glm.posterior import Matrix

#: Rows are not cut below this to save time.
_FEWEST_ROWS = 1_000


@dataclass(frozen=True)
class Search:
    """How much a search may take.

    Parameters
    ----------
    n_rows : int
        Rows to look at, at most.
    seconds : float
        What all passes that are allowed may take, reckoned from sizes and not measured, so that the result is the same
        on every machine. Fewer rows are looked at where there are many groups or all covariances, but 1,000.
    floor : float
        The least variance.
    """

    n_rows: int = 20_000
    seconds: float = 60.0
    floor: float = FLOOR

    def __post_init__(self) -> None:
        if self.n_rows < 1 or not self.seconds > 0:
            raise SpecificationError(f"a search needs rows and time, not {self.n_rows} rows and {self.seconds} seconds")
        if not (self.floor > 0 and np.isfinite(self.floor)):
            raise SpecificationError(f"the floor must be a finite number above zero, not {self.floor!r}")


def meta_prior(
    model: BayesianGLM,
    groups: Int[np.ndarray, " parameters"],
    names: Sequence[str],
    rows: Rows | Matrix,
    answers: Answers,
    *,
    means: Mapping[str, float | None] | None = None,
    units: Int[np.ndarray, " units"] | None = None,
    search: Search | None = None,
) -> MetaPrior:
    """Return the prior of each group from which the model would have expected the answers most.

    Parameters
    ----------
    model : BayesianGLM
        Tells the link, the kind of covariance and the first prior; what it learned does not matter.
    groups : ndarray of int, shape (K,)
        The group of each parameter, as an index into ``names``.
    names : sequence of str
        The groups. One of which fewer than :data:`~revealed.decide.prior.LEAST` members are in the rows looked at keeps
        the first prior.
    rows, answers
        What the model is to learn, in the order of time.
    means : mapping from group to float or None, optional
        The mean of a group: a number where it is given, None where it is estimated, as it is for groups not named. A
        mean that answers cannot tell from a parameter that keeps its prior, such as the base, stays the first prior's.
    units : ndarray of int, shape (rows,), optional
        Which rows go together, such as those of an item. Where there are more rows than are looked at, all rows of
        some units are; by default some of all rows.
    search : Search, optional
        How much it may take.

    Returns
    -------
    MetaPrior
        With what it took and what it gained in ``effort``.

    Raises
    ------
    SpecificationError
        If the groups do not number the parameters, a name in ``means`` is no group, or rows, answers and units do not
        number the same.
    DataError
        If an answer cannot be, or features are not finite.
    """
    search, given = search or Search(), dict(means or {})
    require_groups(model, groups, names, given)
    answers = np.asarray(answers, dtype=np.float64)
    sparse = require_rows(model, rows, answers, units)
    fixed = {number: mean for number, name in enumerate(names) if (mean := given.get(name)) is not None}
    firsts = _first_priors(model, groups, fixed, len(names))
    sample = _sample(model, groups, fixed, sparse, answers, units, search)
    losses = Losses(model, sample, firsts)
    lowest = np.minimum(np.ceil(np.log2(search.floor / firsts[1][sample.searched])), 0).astype(int)
    powers = least(losses, lowest)
    found = dict(zip(sample.searched.tolist(), refined(losses, powers), strict=True))
    centers = dict(zip(sample.centered.tolist(), losses.centers(powers).tolist(), strict=True))
    n_params = np.bincount(groups, minlength=len(names)).tolist()
    n_learned = np.bincount(groups[np.unique(sparse.index)], minlength=len(names)).tolist()
    priors = []
    for k, name in enumerate(names):
        mean, before = centers.get(k, float(firsts[0][k])), float(firsts[1][k])
        if k not in found:
            priors.append(GroupPrior(name, mean, before, n_params[k], n_learned[k], floored=False))
            continue
        power, deviation = found[k]
        variance, reach = max(before * 2.0**power, search.floor), 2.0 ** (1.96 * deviation)
        floored = variance <= search.floor
        priors.append(
            GroupPrior(name, mean, variance, n_params[k], n_learned[k], floored, variance / reach, variance * reach)
        )
    return MetaPrior(tuple(priors), losses.effort(powers))


def _first_priors(
    model: BayesianGLM, groups: Int[np.ndarray, " K"], fixed: Mapping[int, float], n_groups: int
) -> tuple[Float[np.ndarray, " groups"], Float[np.ndarray, " groups"]]:
    """Return the mean and the variance that members of each group start from."""
    members = np.maximum(np.bincount(groups, minlength=n_groups), 1)
    mean = np.bincount(groups, model.prior.mean, minlength=n_groups) / members
    variance = np.bincount(groups, model.prior.variance, minlength=n_groups) / members
    mean[list(fixed)] = list(fixed.values())
    variance[np.bincount(groups, minlength=n_groups) == 0] = 1.0
    return mean, variance


def _sample(
    model: BayesianGLM,
    groups: Int[np.ndarray, " K"],
    fixed: Mapping[int, float],
    rows: Rows,
    answers: Answers,
    units: Int[np.ndarray, " units"] | None,
    search: Search,
) -> Sample:
    """Return as many rows as there is time for."""
    most = min(search.n_rows, len(rows))
    while True:
        some = chosen(len(rows), units, most)
        sample = sampled(model, groups, fixed, rows.take(some), answers[some])
        if sample.seconds * most_passes(len(sample.searched)) <= search.seconds or most <= _FEWEST_ROWS:
            return sample
        most = max(most // 2, _FEWEST_ROWS)
