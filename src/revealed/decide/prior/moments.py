r"""The meta-prior by moments: what the estimates of a group spread beyond their errors. Imports models and errors.

After Nabi, Nassif, Hong, Mamani and Imbens (2022), "Bayesian meta-prior learning using empirical Bayes", Management
Science (arXiv 2002.01129): the parameters of a group are draws from :math:`N(m_g, \sigma_g^2)`, a first fit estimates
each with an error of known variance, and :math:`\sigma_g^2` is what the estimates spread beyond their errors. The model
then starts again from that prior, and new members of a group start from it.

Choices the paper leaves open. Its estimator subtracts posterior variances from squared posterior means, which is
unbiased where the first prior is flat. A first prior :math:`N(m_0, v_0)` pulls the means in, so it is taken out of each
posterior first: what remains of parameter :math:`i` is the estimate :math:`\hat w_i` with error variance
:math:`\tau_i^2`, infinite where nothing was learned. Estimates are weighted by
:math:`u_i = (v_0 / (v_0 + \tau_i^2))^2`, which depend on errors only, so that

.. math::
   \hat\sigma_g^2 = \frac{\sum_i u_i (\hat w_i - \hat m_g)^2 - \sum_i u_i \tau_i^2 (1 - u_i / U)}{U - \sum_i u_i^2 / U},
   \qquad U = \sum_i u_i

stays unbiased (the terms in :math:`1/U` go where the mean is given), and no parameter that saw little data can upset
it. Posterior correlations between parameters are left out: where several parameters with wide first priors share each
answer, what is left of a marginal posterior is mostly the first priors of the others, and estimates end at the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from revealed.decide.prior.groups import FLOOR, LEAST, GroupPrior, MetaPrior, require_groups
from revealed.errors import SpecificationError
from revealed.models.glm.model import BayesianGLM


def meta_prior_by_moments(
    model: BayesianGLM,
    groups: Int[np.ndarray, " K"],
    names: Sequence[str],
    *,
    means: Mapping[str, float | None] | None = None,
    floor: float = FLOOR,
) -> MetaPrior:
    """Estimate the prior of each group from the posteriors of its members.

    Parameters
    ----------
    model : BayesianGLM
        A first fit.
    groups : ndarray of int, shape (K,)
        The group of each parameter, as an index into ``names``.
    names : sequence of str
        The groups.
    means : mapping from group to float or None, optional
        The mean of a group: a number where it is given, None where it is estimated, as it is for groups not named. A
        group of which fewer than :data:`LEAST` members were learned keeps the first prior.
    floor : float
        The least variance.

    Returns
    -------
    MetaPrior

    Raises
    ------
    SpecificationError
        If the groups do not number the parameters, a name in ``means`` is no group, or the floor is not above zero.
    """
    given = dict(means or {})
    require_groups(model, groups, names, given)
    if not (floor > 0 and np.isfinite(floor)):
        raise SpecificationError(f"the floor must be a finite number above zero, not {floor!r}")
    first = model.prior.mean, model.prior.variance
    last = model.posterior.mean, model.posterior.variance
    found = []
    for number, name in enumerate(names):
        of_group = groups == number
        part = [values[of_group] for values in (*first, *last)]
        found.append(_of_group(name, part[0], part[1], part[2], part[3], given.get(name), floor))
    return MetaPrior(tuple(found))


def _of_group(
    name: str,
    prior_mean: np.ndarray,
    prior_variance: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    given: float | None,
    floor: float,
) -> GroupPrior:
    n_params = len(mean)
    learned = 1 / variance - 1 / prior_variance  # the precision that data gave
    # A millionth of the prior's is rounding, or as good as nothing.
    some = learned > 1e-6 / prior_variance
    n_learned = int(some.sum())
    if n_learned < LEAST:
        before = (float(prior_mean.mean()), float(prior_variance.mean())) if n_params else (0.0, 1.0)
        return GroupPrior(name, before[0] if given is None else given, before[1], n_params, n_learned, floored=False)
    error = 1 / learned[some]
    estimate = (mean[some] / variance[some] - prior_mean[some] / prior_variance[some]) * error
    weight = (prior_variance[some] / (prior_variance[some] + error)) ** 2
    total = float(weight.sum())
    if given is None:
        center = float(weight @ estimate) / total
        spread = float(weight @ (estimate - center) ** 2 - weight @ (error * (1 - weight / total)))
        scale = total - float(weight @ weight) / total
    else:
        center = given
        spread, scale = float(weight @ ((estimate - center) ** 2 - error)), total
    found = spread / scale if scale > 1e-12 * total else 0.0
    return GroupPrior(name, center, max(found, floor), n_params, n_learned, floored=found < floor)
