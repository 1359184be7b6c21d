r"""Log-likelihood, score and information of some people who are each of one class. Imports models' own files only.

With :math:`\ell_{nk} = \sum_t m_{nt} \log P_{nt}(\beta_k)`, shares :math:`\pi_{nk} \propto e^{z_n^\top\gamma_k}`
(:math:`\gamma_1 = 0`) and the posterior :math:`\tau_{nk} \propto \pi_{nk} e^{\ell_{nk}}`, the score is the mean of the
scores :math:`u_{nk}` that a person known to be of class :math:`k` would have, and the information (Louis 1982, JRSS B
44(2))

.. math:: -\nabla^2 L_n = \sum_k \tau_{nk} I_{nk} - \sum_k \tau_{nk} u_{nk} u_{nk}^\top + \bar u_n \bar u_n^\top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from revealed.models.people import PeopleBlock


@dataclass(frozen=True, eq=False)
class LatentSums:
    """What some people's choices say at some parameters.

    Parameters
    ----------
    people : PeopleBlock
    z : ndarray of float64, shape (persons, Z)
        What memberships depend on, a constant first.
    posterior : ndarray of float64, shape (persons, classes)
    share : ndarray of float64, shape (persons, classes)
        Before any choice is seen.
    log_likelihoods : ndarray of float64, shape (persons,)
    probability : ndarray of float64, shape (persons, cases, rows, classes)
    """

    people: PeopleBlock
    z: Float[np.ndarray, "persons Z"]
    posterior: Float[np.ndarray, "persons classes"]
    share: Float[np.ndarray, "persons classes"]
    log_likelihoods: Float[np.ndarray, " persons"]
    probability: Float[np.ndarray, "persons cases rows classes"]

    @classmethod
    def of(
        cls,
        people: PeopleBlock,
        z: Float[np.ndarray, "persons Z"],
        weights: Float[np.ndarray, "columns classes"],
        membership: Float[np.ndarray, "Z classes"],
    ) -> LatentSums:
        """Return the sums at the weights of each class and the coefficients of membership, zero for the first class."""
        utility = people.x @ weights
        if people.closed is not None:
            utility = np.where(people.closed[..., None], -np.inf, utility)
        logsum = logsumexp(utility, axis=2)
        of_class = -np.einsum("pt,ptk->pk", people.size, logsum)
        share = log_shares(z, membership)
        joint = of_class + share
        total = logsumexp(joint, axis=1)
        probability = np.exp(utility - logsum[:, :, None])
        return cls(people, z, np.exp(joint - total[:, None]), np.exp(share), total, probability)

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood, weighted."""
        return float(self.log_likelihoods @ self.people.weight)

    def by_class(self) -> Float[np.ndarray, "persons classes K"]:
        """Return the score each person would have if known to be of each class."""
        persons, classes = self.posterior.shape
        columns, size = self.people.x.shape[3], self.z.shape[1]
        found = np.zeros((persons, classes, classes * columns + (classes - 1) * size))
        weighted = self.people.x * self.people.size[:, :, None, None]
        taste = -np.einsum("ptjc,ptjk->pkc", weighted, self.probability)
        for k in range(classes):
            found[:, k, k * columns : (k + 1) * columns] = taste[:, k]
            for other in range(1, classes):
                at = classes * columns + (other - 1) * size
                found[:, k, at : at + size] = ((k == other) - self.share[:, other])[:, None] * self.z
        return found

    def scores(self) -> Float[np.ndarray, "persons K"]:
        """Return the score of each person, weighted."""
        return np.asarray(np.einsum("pk,pkm->pm", self.posterior, self.by_class()) * self.people.weight[:, None])

    def complete(self) -> Float[np.ndarray, "K K"]:
        """Return the information there would be if classes were known."""
        people, classes = self.people, self.posterior.shape[1]
        columns, size = people.x.shape[3], self.z.shape[1]
        found = np.zeros((classes * columns + (classes - 1) * size,) * 2)
        flat = people.x.reshape(-1, columns)
        for k in range(classes):
            weight = people.size * (people.weight * self.posterior[:, k])[:, None]
            by_row = (self.probability[..., k] * weight[:, :, None]).reshape(-1)
            mean = np.einsum("ptj,ptjc->ptc", self.probability[..., k], people.x)
            spread = (flat * by_row[:, None]).T @ flat
            spread -= np.einsum("ptc,pt,ptd->cd", mean, weight, mean)
            found[k * columns : (k + 1) * columns, k * columns : (k + 1) * columns] = spread
        for a in range(1, classes):
            for b in range(1, classes):
                each = people.weight * self.share[:, a] * ((a == b) - self.share[:, b])
                one, other = classes * columns + (a - 1) * size, classes * columns + (b - 1) * size
                found[one : one + size, other : other + size] = (self.z * each[:, None]).T @ self.z
        return found

    def squares(self) -> tuple[Float[np.ndarray, "persons K"], Float[np.ndarray, "K K"]]:
        """Return the score of each person, weighted, and the information of the choices, classes unknown."""
        each = self.by_class()
        mean = np.einsum("pk,pkm->pm", self.posterior, each)
        weight = self.posterior * self.people.weight[:, None]
        scaled = (each * np.sqrt(weight)[:, :, None]).reshape(-1, each.shape[2])
        centred = mean * np.sqrt(self.people.weight)[:, None]
        information = self.complete() - scaled.T @ scaled + centred.T @ centred
        return mean * self.people.weight[:, None], np.asarray(information)


def log_shares(
    z: Float[np.ndarray, "persons Z"], membership: Float[np.ndarray, "Z classes"]
) -> Float[np.ndarray, "persons classes"]:
    """Return the logarithm of each person's probability of each class before any choice is seen."""
    score = z @ membership
    return np.asarray(score - logsumexp(score, axis=1, keepdims=True))
