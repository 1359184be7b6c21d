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
from functools import cached_property
from math import erfc, exp, sqrt
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from revealed.errors import SpecificationError
from revealed.models.glm.links import Link, LogitLink, Probit
from revealed.models.glm.tilt import Tilt, tilt_of

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

    def some(self, rows: Bool[np.ndarray, " held"] | Int[np.ndarray, " some"]) -> Standing:
        """Return where some of them stand."""
        return Standing(self.answer[rows], self.share[rows], self.weight[rows])

    def plus(self, other: Standing) -> Standing:
        """Return where these stand, and after them others."""
        pairs = ((self.answer, other.answer), (self.share, other.share), (self.weight, other.weight))
        return Standing(*(np.append(one, another) for one, another in pairs))

    @property
    def says(self) -> Bool[np.ndarray, " rows"]:
        """Which say anything at all."""
        return np.asarray((self.weight > 0) & ((self.answer > 0) | (self.share > 0)))

    @property
    def plain(self) -> Bool[np.ndarray, " rows"]:
        """Which are a plain "yes" or "no", as any answer is."""
        return np.asarray((self.weight == 1) & ((self.answer > 0) | (self.share >= 1)))


@dataclass(frozen=True, eq=False)
class StandingLink:
    """The link of decisions as they stand.

    Its answers are the places of decisions in ``standing``, so that a posterior may take them one at a time or all
    together, in any order.

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
        stands = self._of(answer)
        share, no = stands.share, self.base.mean(-predictor)
        rest = (1 - share) + share * no
        plain = self.base.log_likelihood(np.zeros_like(predictor), predictor)
        silent = np.where(share < 1, np.log(np.where(share < 1, rest, 1.0)), plain)
        yes = self.base.log_likelihood(np.ones_like(predictor), predictor)
        return np.asarray(stands.weight * np.where(stands.answer > 0, yes, silent))

    def slope(self, answer: Vector, predictor: Vector) -> tuple[Vector, Vector]:
        """Return the derivative in the predictor, and less the second derivative (zero where that is below zero)."""
        return self._slope(self._of(answer), predictor)

    def site(self, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:
        """Return the sites of each row alone: the base link's for plain answers, else at the mode of the tilted belief.

        (The probit link matches moments for plain answers; of silence they have no closed form.)
        """
        stands = self._of(answer)
        plain = stands.plain
        known = self.base.site((stands.answer > 0).astype(np.float64), mean, variance)
        if plain.all():
            return known
        predictor = mean.copy()
        for _ in range(200):
            first, second = self._slope(stands, predictor)
            step = (variance * first - (predictor - mean)) / (1 + variance * second)
            predictor += np.clip(step, -1.0, 1.0)
            if np.abs(step).max(initial=0.0) < 1e-10:
                break
        first, second = self._slope(stands, predictor)
        precision, shift = np.where(plain, known[0], second), np.where(plain, known[1], first + second * predictor)
        return precision, shift

    def tilt(self, answer: float, mean: float, variance: float) -> tuple[float, float]:
        """Return what :meth:`site` says of one row, as derivatives of ``log Z``, in plain numbers.

        For posteriors that take rows one at a time: numpy calls on one number cost ten times as much.
        """
        says, share, weight, plain = self._cells[int(answer)]
        if plain:
            return self._plain_tilt(says, mean, variance)
        predictor = mean
        for _ in range(200):
            first, second = self._slope_at(says, share, weight, predictor)
            step = (variance * first - (predictor - mean)) / (1 + variance * second)
            predictor += max(-1.0, min(1.0, step))
            if -1e-10 < step < 1e-10:
                break
        first, second = self._slope_at(says, share, weight, predictor)
        left = 1 + variance * second
        return (first + second * (predictor - mean)) / left, second / left

    def mean(self, predictor: Vector) -> Vector:
        """Return the probability of "yes", sooner or later."""
        return self.base.mean(predictor)

    def expected(self, mean: Vector, variance: Vector) -> Vector:
        """Return the expected probability of "yes", sooner or later."""
        return self.base.expected(mean, variance)

    def require(self, answer: Vector) -> None:
        """Raise DataError unless all answers are 0 or 1."""
        self.base.require(self._of(answer).answer)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data: the base link's, as a standing is of the moment."""
        return self.base.to_dict()

    @cached_property
    def _cells(self) -> list[tuple[float, float, float, bool]]:
        stands = self.standing
        says = (stands.answer > 0).astype(np.float64)
        return list(
            zip(says.tolist(), stands.share.tolist(), stands.weight.tolist(), stands.plain.tolist(), strict=True)
        )

    @cached_property
    def _plain_tilt(self) -> Tilt:
        return tilt_of(self.base)

    def _slope_at(self, says: float, share: float, weight: float, predictor: float) -> tuple[float, float]:
        """Return :meth:`slope` of one row; the tilt of a belief without variance is the slope."""
        if says or share >= 1:
            first, second = self._plain_tilt(says, predictor, 0.0)
            return weight * first, weight * second
        yes, curve = self._plain_tilt(1.0, predictor, 0.0)
        if isinstance(self.base, LogitLink):
            p = 1 / (1 + exp(-predictor)) if predictor > -700 else 0.0
        else:
            p = 0.5 * erfc(-predictor * sqrt(0.5))
        odds = share * p / (1 - share * p)
        return -weight * odds * yes, weight * max(0.0, odds * (yes**2 - curve) + (odds * yes) ** 2)

    def _of(self, answer: Vector) -> Standing:
        return self.standing.some(answer.astype(np.int64))

    def _slope(self, stands: Standing, predictor: Vector) -> tuple[Vector, Vector]:
        share, weight = stands.share, stands.weight
        yes, yes_curve = self.base.slope(np.ones_like(predictor), predictor)
        no, no_curve = self.base.slope(np.zeros_like(predictor), predictor)
        part = share < 1
        p, q = self.base.mean(predictor), self.base.mean(-predictor)
        # The chance of an answer by now, given that there is none: the plain no's odds, shared out.
        odds = share * p / np.where(part, (1 - share) + share * q, 1.0)
        first = np.where(part, -odds * yes, no)
        second = np.where(part, odds * (yes**2 - yes_curve) + (odds * yes) ** 2, no_curve)
        first = np.where(stands.answer > 0, yes, first)
        second = np.where(stands.answer > 0, yes_curve, np.maximum(second, 0.0))
        return weight * first, weight * second


def require_binary(link: Link) -> None:
    """Raise SpecificationError unless a link is for answers yes and no."""
    if not isinstance(link, LogitLink | Probit):
        raise SpecificationError(f"late answers are yes or no: use the logit or the probit link, not {link.name!r}")
