r"""The noise of Gaussian answers where nobody knows it: estimated as they come. Imports nothing of the package.

Answers are :math:`y = x^\top\theta + \varepsilon` with :math:`\varepsilon \sim N(0, \sigma^2)`, and the prior is as
wide as the noise lets it be: :math:`\theta \mid \sigma \sim N(m_0, \sigma^2 V_0)`. So what answers say of
:math:`\theta` in units of the noise does not depend on the noise, and only the unit changes as more is known of it.
With :math:`R` the sum of squares that all answers miss what is expected of them now, :math:`w` their number and
:math:`\gamma = \sum_k (1 - V_{kk} / V_{0,kk})` the parameters that they determine (MacKay 1992, "Bayesian
interpolation", Neural Computation 4(3)), :math:`R / (w - \gamma)` estimates :math:`\sigma^2` without bias: where
effects are as the prior has them, and where the prior says nothing.

At first there is next to nothing left over beside the parameters, and a policy that took that for the noise would be
certain after a few answers. So the estimate starts from how much the answers differ among themselves (:math:`T`, their
sum of squares about their mean, what the prior expects being one of them), which is the noise and more, as if three
answers had told that; and variances are those of the Student law that is then left:

.. math::
   \hat\sigma^2 = \frac{R + 3\,T / w}{w - \gamma + 3} \cdot \frac{w - \gamma + 3}{w - \gamma + 1}

:math:`R`, :math:`T` and :math:`w` are sums, so it does not matter how answers are cut into batches (with all
covariances; else but for what the others leave out), and what is forgotten takes its share of each along. The unit of
the answers does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from jaxtyping import Float

#: So many answers is the start of the estimate worth.
_START = 3.0
#: Squares below this are of answers all alike, just as expected.
_ALIKE = 1e-200


@dataclass(frozen=True)
class NoiseEstimate:
    """What answers told of their noise.

    Parameters
    ----------
    weight : float
        How many answers that is, less what was forgotten.
    missed : float
        The sum of squares that they miss what is expected of them now, in units of the answer squared.
    mean, spread : float
        Their mean, and their sum of squares about it.
    """

    weight: float = 0.0
    missed: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    def deviation(self, before: float, determined: float) -> float:
        """Return the standard deviation of the noise.

        Parameters
        ----------
        before : float
            What it is taken for as long as all answers are alike, just as expected.
        determined : float
            How many parameters the answers determine.
        """
        if self.spread + self.missed < _ALIKE:
            return before
        left = max(self.weight - determined, 0.0)
        return sqrt((self.missed + _START * self.spread / self.weight) / (left + _START - 2))

    def plus(self, answers: Float[np.ndarray, " rows"], missed: float, expected: float) -> NoiseEstimate:
        """Return the estimate with what further answers told.

        Parameters
        ----------
        answers : ndarray of float64, shape (rows,)
        missed : float
            By how much more all answers, these and those before, miss what is expected of them now.
        expected : float
            What the prior expects of the first of them.
        """
        n, mean = len(answers), float(answers.mean())
        # One more than there are: what the prior expects is among them, from the first on.
        before, known = self.weight + 1, self.mean if self.weight else expected
        away = mean - known
        spread = self.spread + float(np.sum((answers - mean) ** 2)) + away**2 * before * n / (before + n)
        return NoiseEstimate(self.weight + n, max(self.missed + missed, 0.0), known + away * n / (before + n), spread)

    def missing(self, more: float) -> NoiseEstimate:
        """Return the estimate where all answers miss by so much more what is expected of them."""
        return replace(self, missed=max(self.missed + more, 0.0))

    def faded(self, keep: float) -> NoiseEstimate:
        """Return the estimate with a share of what it is from."""
        return replace(self, weight=keep * self.weight, missed=keep * self.missed, spread=keep * self.spread)

    def in_unit(self, unit: float) -> NoiseEstimate:
        """Return the estimate of the same answers, each divided by a number."""
        return NoiseEstimate(self.weight, self.missed / unit**2, self.mean / unit, self.spread / unit**2)
