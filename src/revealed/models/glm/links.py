r"""Links of the generalised linear model: what one answer says of its linear predictor. Imports errors only.

A linear predictor :math:`f = x^\top\theta` that is believed to be :math:`N(m, v)` meets an answer :math:`y`. What the
answer adds is a *site*: a Gaussian factor in :math:`f` of precision :math:`\tau` and shift :math:`\nu`, so that
:math:`\Lambda \mathrel{+}= \tau xx^\top` and :math:`\eta \mathrel{+}= \nu x`. Sites add, and subtract.

- **probit**, :math:`P(y=1) = \Phi(f)`: the moments of the tilted belief are matched, as Graepel, Candela, Borchert and
  Herbrich (ICML 2010, eqs. 9 and 10) do with noise :math:`\beta = 1`.
- **logit**, :math:`P(y=1) = 1/(1+e^{-f})`, and **Poisson**, :math:`E(y) = e^f`: Laplace, at the mode of the tilted
  belief, since its moments have no closed form.
- **Gaussian**, :math:`y \sim N(f, s^2)`: exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.special import erfcx, expit, gammaln, log_ndtr, ndtr

from revealed.errors import DataError, Problem, SpecificationError, nearest

Vector = Float[np.ndarray, " rows"]

#: The largest number that can be learned from: sums hold squares.
LARGEST = 1e150
#: The largest count: beyond, steps towards the mode are of the size of rounding errors.
LARGEST_COUNT = 1e9


@runtime_checkable
class Link(Protocol):
    """How an answer depends on its linear predictor; its functions are elementwise."""

    @property
    def name(self) -> str:
        """What it is called in files."""
        ...

    def log_likelihood(self, answer: Vector, predictor: Vector) -> Vector:
        """Return the log-likelihood of answers."""
        ...

    def slope(self, answer: Vector, predictor: Vector) -> tuple[Vector, Vector]:
        """Return the derivative of the log-likelihood in the predictor, and less the second derivative (above zero)."""
        ...

    def site(self, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:
        """Return the precision and the shift of the sites of answers whose predictors are ``N(mean, variance)``."""
        ...

    def mean(self, predictor: Vector) -> Vector:
        """Return the expected answer at a predictor."""
        ...

    def expected(self, mean: Vector, variance: Vector) -> Vector:
        """Return the expected answer where the predictor is ``N(mean, variance)``."""
        ...

    def require(self, answer: Vector) -> None:
        """Raise DataError where an answer cannot be."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        ...


@dataclass(frozen=True)
class Probit:
    """Answers 0 and 1 with probability ``Φ(f)``."""

    name: ClassVar[str] = "probit"

    def log_likelihood(self, answer: Vector, predictor: Vector) -> Vector:
        """Return ``log Φ(±f)``."""
        return np.asarray(log_ndtr((2 * answer - 1) * predictor))

    def slope(self, answer: Vector, predictor: Vector) -> tuple[Vector, Vector]:
        """Return the two derivatives."""
        sign = 2 * answer - 1
        ratio = _mills(sign * predictor)
        return sign * ratio, ratio * (ratio + sign * predictor)

    def site(self, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:
        """Return sites that match the moments of the tilted beliefs."""
        sign = 2 * answer - 1
        spread = np.sqrt(1 + variance)
        t = sign * mean / spread
        ratio = _mills(t)
        first, second = sign * ratio / spread, ratio * (ratio + t) / (1 + variance)
        return matched(mean, variance, first, second)

    def mean(self, predictor: Vector) -> Vector:
        """Return ``Φ(f)``."""
        return np.asarray(ndtr(predictor))

    def expected(self, mean: Vector, variance: Vector) -> Vector:
        """Return ``Φ(m / √(1 + v))``, exactly the expectation."""
        return np.asarray(ndtr(mean / np.sqrt(1 + variance)))

    def require(self, answer: Vector) -> None:
        """Raise DataError unless all answers are 0 or 1."""
        _require_binary(answer)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"link": self.name}


@dataclass(frozen=True)
class LogitLink:
    """Answers 0 and 1 with probability ``1 / (1 + exp(-f))``."""

    name: ClassVar[str] = "logit"

    def log_likelihood(self, answer: Vector, predictor: Vector) -> Vector:
        """Return ``y f - log(1 + exp f)``."""
        return np.asarray(answer * predictor - np.logaddexp(0.0, predictor))

    def slope(self, answer: Vector, predictor: Vector) -> tuple[Vector, Vector]:
        """Return the two derivatives."""
        probability = expit(predictor)
        return answer - probability, probability * (1 - probability)

    def site(self, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:
        """Return the sites at the modes of the tilted beliefs."""
        return _at_mode(self, answer, mean, variance)

    def mean(self, predictor: Vector) -> Vector:
        """Return ``1 / (1 + exp(-f))``."""
        return np.asarray(expit(predictor))

    def expected(self, mean: Vector, variance: Vector) -> Vector:
        """Return MacKay's (1992) ``1 / (1 + exp(-m / √(1 + πv/8)))``, within .02 of the expectation."""
        return np.asarray(expit(mean / np.sqrt(1 + np.pi / 8 * variance)))

    def require(self, answer: Vector) -> None:
        """Raise DataError unless all answers are 0 or 1."""
        _require_binary(answer)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"link": self.name}


@dataclass(frozen=True)
class GaussianLink:
    """Answers ``f`` plus noise.

    Parameters
    ----------
    noise : float
        The standard deviation of the noise, in units of the answer.
    """

    noise: float = 1.0
    name: ClassVar[str] = "gaussian"

    def __post_init__(self) -> None:
        if not (self.noise > 0 and np.isfinite(self.noise)):
            raise SpecificationError(f"the noise must be a finite number above zero, not {self.noise!r}")

    def log_likelihood(self, answer: Vector, predictor: Vector) -> Vector:
        """Return the log density."""
        return np.asarray(-0.5 * ((answer - predictor) / self.noise) ** 2 - np.log(self.noise * np.sqrt(2 * np.pi)))

    def slope(self, answer: Vector, predictor: Vector) -> tuple[Vector, Vector]:
        """Return the two derivatives."""
        return (answer - predictor) / self.noise**2, np.full_like(predictor, self.noise**-2)

    def site(self, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:  # noqa: ARG002
        """Return the exact sites, which depend on the answers alone."""
        return np.full_like(mean, self.noise**-2), answer / self.noise**2

    def mean(self, predictor: Vector) -> Vector:
        """Return the predictor."""
        return predictor

    def expected(self, mean: Vector, variance: Vector) -> Vector:  # noqa: ARG002
        """Return the predictor's mean."""
        return mean

    def require(self, answer: Vector) -> None:
        """Raise DataError unless all answers are finite, and their squares, too."""
        _refuse(~np.isfinite(answer), answer, "answers that are not finite numbers", "leave them out")
        remedy = "correct them, or measure in a unit in which they are about one"
        _refuse(np.abs(answer) > LARGEST, answer, "answers whose squares are beyond what numbers hold", remedy)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"link": self.name, "noise": self.noise}


@dataclass(frozen=True)
class PoissonLink:
    """Counts with mean ``exp(f)``."""

    name: ClassVar[str] = "poisson"

    def log_likelihood(self, answer: Vector, predictor: Vector) -> Vector:
        """Return ``y f - exp f - log y!``."""
        return np.asarray(answer * predictor - np.exp(predictor) - gammaln(answer + 1))

    def slope(self, answer: Vector, predictor: Vector) -> tuple[Vector, Vector]:
        """Return the two derivatives."""
        mean = np.exp(predictor)
        return answer - mean, mean

    def site(self, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:
        """Return the sites at the modes of the tilted beliefs."""
        return _at_mode(self, answer, mean, variance)

    def mean(self, predictor: Vector) -> Vector:
        """Return ``exp f``."""
        return np.asarray(np.exp(predictor))

    def expected(self, mean: Vector, variance: Vector) -> Vector:
        """Return ``exp(m + v/2)``, exactly the expectation."""
        return np.asarray(np.exp(mean + variance / 2))

    def require(self, answer: Vector) -> None:
        """Raise DataError unless all answers are counts, and no larger than can be learned."""
        with np.errstate(invalid="ignore"):
            odd = ~np.isfinite(answer) | (answer < 0) | (answer != np.floor(answer))
        _refuse(odd, answer, "answers that are not counts", "write whole numbers from zero, or use the Gaussian link")
        remedy = "correct them, count in thousands, or use the Gaussian link"
        _refuse(answer > LARGEST_COUNT, answer, f"counts above {LARGEST_COUNT:.0e}", remedy)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {"link": self.name}


def matched(mean: Vector, variance: Vector, first: Vector, second: Vector) -> tuple[Vector, Vector]:
    """Return the sites for which beliefs ``N(mean, variance)`` get the moments that two derivatives of log Z imply.

    With the first derivative of ``log Z`` in the mean, and less its second: the tilted belief has mean ``m + v·first``
    and variance ``v - v²·second`` (Minka 2001, eqs. 3.26 and 3.27); the site is what it has more of in natural
    parameters.
    """
    left = 1 - variance * second
    return second / left, (first + mean * second) / left


def _at_mode(link: Link, answer: Vector, mean: Vector, variance: Vector) -> tuple[Vector, Vector]:
    """Return the sites at the modes of tilted beliefs, by Newton's method in each predictor alone.

    The step is kept to one unit of the predictor, which no concave log-likelihood of ours overshoots.
    """
    predictor = mean.copy()
    for _ in range(100):
        first, second = link.slope(answer, predictor)
        step = (variance * first - (predictor - mean)) / (1 + variance * second)
        predictor += np.clip(step, -1.0, 1.0)
        if np.abs(step).max(initial=0.0) < 1e-10:
            break
    first, second = link.slope(answer, predictor)
    return second, first + second * predictor


def _mills(t: Vector) -> Vector:
    """Return ``φ(t) / Φ(t)``, without under- or overflow."""
    return np.asarray(np.sqrt(2 / np.pi) / erfcx(-t / np.sqrt(2)))


def _require_binary(answer: Vector) -> None:
    _refuse((answer != 0) & (answer != 1), answer, "answers that are not 0 or 1", "write 1 for a success and else 0")


def _refuse(odd: np.ndarray, answer: Vector, what: str, remedy: str) -> None:
    if odd.any():
        rows = np.flatnonzero(odd)
        shown = ", ".join(repr(float(value)) for value in answer[rows[:3]])
        numbers = tuple((rows[:5] + 1).tolist())
        raise DataError("answers", [Problem(f"{what}: {shown}", remedy, rows=numbers, count=len(rows))])


LINKS: dict[str, type[Probit] | type[LogitLink] | type[GaussianLink] | type[PoissonLink]] = {
    "probit": Probit,
    "logit": LogitLink,
    "gaussian": GaussianLink,
    "poisson": PoissonLink,
}


def link_named(name: str, **options: float) -> Link:
    """Return a link by its name: probit, logit, gaussian (with ``noise``) or poisson."""
    if name not in LINKS:
        raise SpecificationError(f"no link {name!r}; {nearest(name, LINKS)}")
    link: Link = LINKS[name](**options)
    return link


def link_from_dict(data: dict[str, Any]) -> Link:
    """Return the link that ``to_dict`` wrote."""
    return link_named(data["link"], **{key: value for key, value in data.items() if key != "link"})
