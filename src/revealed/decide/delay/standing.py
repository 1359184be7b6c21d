r"""What a decision says of its linear predictor as things stand. Imports its own room and models.

With answer probability :math:`p(f)`, a decision of which a share :math:`F` of the answers would have come by now
says, times a weight,

- answered "yes": :math:`\log p`;
- nothing yet: :math:`\log(1 - F p)` (Chapelle 2014, eq. 6, as :math:`1 - p + pS` with :math:`F = 1 - S`), a plain
  "no" when :math:`F = 1` and nothing at all when :math:`F = 0`.

The latter is concave in :math:`f` where :math:`p` is small, and not where it is large: there the true curvature is
below zero, as silence makes an answer's meaning less certain. A site's precision must not be, or the posterior might
stop being one: it is set to zero there, the shift is kept, and so the mode is right and the spread a little small,
where :math:`p` is above about a half and only while the answer is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from revealed.errors import SpecificationError
from revealed.models.glm.links import Link, LogitLink, Probit

Vector = Float[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class Standing:
    """Where some decisions stand.

    Parameters
    ----------
    answer : ndarray of float64, shape (rows,)
        1 for "yes", 0 for "no" or nothing yet.
    share : ndarray of float64, shape (rows,)
        Of the answers that would have come by now; used where the answer is 0.
    weight : ndarray of float64, shape (rows,)
    """

    answer: Vector
    share: Vector
    weight: Vector

    def some(self, rows: Bool[np.ndarray, " rows"]) -> Standing:
        """Return where some of them stand."""
        return Standing(self.answer[rows], self.share[rows], self.weight[rows])


@dataclass(frozen=True, eq=False)
class StandingLink:
    """The link of decisions as they stand: bound to these rows, in this order.

    Parameters
    ----------
    base : Link
        Logit or probit.
    standing : Standing
    """

    base: Link
    standing: Standing
    name: str = "standing"

    def log_likelihood(self, answer: Vector, predictor: Vector) -> Vector:
        """Return the weighted log-likelihood of each row."""
        share, no = self.standing.share, self.base.mean(-predictor)
        rest = (1 - share) + share * no
        plain = self.base.log_likelihood(np.zeros_like(predictor), predictor)
        silent = np.where(share < 1, np.log(np.where(share < 1, rest, 1.0)), plain)
        yes = self.base.log_likelihood(np.ones_like(predictor), predictor)
        return np.asarray(self.standing.weight * np.where(answer > 0, yes, silent))

    def slope(self, answer: Vector, predictor: Vector) -> tuple[Vector, Vector]:
        """Return the derivative in the predictor, and less the second derivative (zero where that is below zero)."""
        share, weight = self.standing.share, self.standing.weight
        yes, yes_curve = self.base.slope(np.ones_like(predictor), predictor)
        no, no_curve = self.base.slope(np.zeros_like(predictor), predictor)
        part = share < 1
        p, q = self.base.mean(predictor), self.base.mean(-predictor)
        # The chance of an answer by now, given that there is none: the plain no's odds, shared out.
        odds = share * p / np.where(part, (1 - share) + share * q, 1.0)
        first = np.where(part, -odds * yes, no)
        second = np.where(part, odds * (yes**2 - yes_curve) + (odds * yes) ** 2, no_curve)
        first, second = np.where(answer > 0, yes, first), np.where(answer > 0, yes_curve, np.maximum(second, 0.0))
        return weight * first, weight * second

    def site(self, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:
        """Return the sites at the modes of the tilted beliefs, each row alone."""
        predictor = mean.copy()
        for _ in range(200):
            first, second = self.slope(answer, predictor)
            step = (variance * first - (predictor - mean)) / (1 + variance * second)
            predictor += np.clip(step, -1.0, 1.0)
            if np.abs(step).max(initial=0.0) < 1e-10:
                break
        first, second = self.slope(answer, predictor)
        return second, first + second * predictor

    def mean(self, predictor: Vector) -> Vector:
        """Return the probability of "yes", sooner or later."""
        return self.base.mean(predictor)

    def expected(self, mean: Vector, variance: Vector) -> Vector:
        """Return the expected probability of "yes", sooner or later."""
        return self.base.expected(mean, variance)

    def require(self, answer: Vector) -> None:
        """Raise DataError unless all answers are 0 or 1."""
        self.base.require(answer)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data: the base link's, as a standing is of the moment."""
        return self.base.to_dict()


def require_binary(link: Link) -> None:
    """Raise SpecificationError unless a link is for answers yes and no."""
    if not isinstance(link, LogitLink | Probit):
        raise SpecificationError(f"late answers are yes or no: use the logit or the probit link, not {link.name!r}")
