r"""Coefficients of the classes of a latent-class logit, for answers in money. Imports models to choices.

Each class weighs money by itself. What a change is worth is then divided inside each class by the marginal utility of
money there, and averaged over people by their probabilities of each class,
:math:`\sum_k \pi_{nk}\,\Delta L_{nk}/\alpha_k`; it is not the mean change of the logsum over the mean marginal utility.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from revealed.errors import SpecificationError
from revealed.models.design import Design
from revealed.models.fit import Fit
from revealed.models.latent import LatentLaw
from revealed.models.latent.sums import log_shares
from revealed.models.law import Law
from revealed.models.logit import LogitLaw


class Kind(NamedTuple):
    """People with one set of coefficients: everybody, or a class.

    Parameters
    ----------
    prefix : str
        What the names of their parameters begin with: ``class1.``, or nothing.
    law : Law
    params : ndarray of float64, shape (K,)
    """

    prefix: str
    law: Law
    params: Float[np.ndarray, " K"]

    @property
    def among(self) -> str:
        """Where that is, in words."""
        return f" in class {self.prefix[5:-1]}" if self.prefix else ""


def kinds_of(fit: Fit) -> list[Kind]:
    """Return everybody, or the classes of a latent-class logit, each with its law and estimates."""
    law = fit.law
    if not isinstance(law, LatentLaw):
        return [Kind("", law, fit.params)]
    logit = LogitLaw(law.design)
    return [Kind(f"class{k}.", logit, at[0]) for k, at in enumerate(law.each_class(fit.params[None]), 1)]


def utility_designs(fit: Fit) -> tuple[Design, ...]:
    """Return the design columns of the utility, without those that memberships depend on."""
    return (fit.law.design,) if isinstance(fit.law, LatentLaw) else fit.law.designs


def require_shares_alike(fit: Fit) -> None:
    """Raise SpecificationError where memberships depend on what people are: a mean then needs to know who they are."""
    assert isinstance(fit.law, LatentLaw)
    if fit.law.membership is not None:
        raise SpecificationError(
            f"memberships depend on {', '.join(fit.law.membership.names)}, so a mean over classes depends on who is "
            "asked about; name parameters of a class and its cost (class1.price)"
        )


def mean_over_classes(
    fit: Fit, values: Float[np.ndarray, "values classes points"], points: Float[np.ndarray, "points K"]
) -> Float[np.ndarray, "values points"]:
    """Return the mean by the shares of classes, which are the same for all people; see :func:`require_shares_alike`."""
    assert isinstance(fit.law, LatentLaw)
    shares = np.concatenate([np.exp(log_shares(np.ones((1, 1)), fit.law.parts(params)[1])) for params in points])
    return np.asarray(np.einsum("vkp,pk->vp", values, shares))
