"""The empirical-Bayes meta-prior: what the parameters of a group are like, told by its members. Imports its own room.

:func:`meta_prior` chooses the variances that would have predicted the answers best. :func:`meta_prior_by_moments` is
the estimator of Nabi, Nassif, Hong, Mamani and Imbens (2022) from the posteriors of a first fit.
"""

from revealed.decide.prior.groups import FLOOR, LEAST, Effort, GroupPrior, MetaPrior, restarted
from revealed.decide.prior.moments import meta_prior_by_moments
from revealed.decide.prior.prediction import Search, meta_prior

__all__ = [
    "FLOOR",
    "LEAST",
    "Effort",
    "GroupPrior",
    "MetaPrior",
    "Search",
    "meta_prior",
    "meta_prior_by_moments",
    "restarted",
]
