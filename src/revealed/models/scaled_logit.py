r"""The logit with a scale that differs by case: louder and quieter choices. Imports its own room only.

.. math:: P_n(j) \propto \exp(\mu_n\, x_{nj}^\top\theta), \qquad \log\mu_n = z_n^\top\gamma

Swait and Louviere (1993), "The role of the scale parameter in the estimation and comparison of multinomial logit
models": pooled sources (revealed and stated choices, two surveys) share tastes but not their noise. Biogeme's
Swissmetro example ``03scale`` is the model with one scale for a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from revealed.errors import SpecificationError
from revealed.models.autodiff import AutodiffModel, ByFormula, require_jax
from revealed.models.logit import Logit
from revealed.models.utility import Utility


@dataclass(frozen=True)
class ScaledLogit(AutodiffModel):
    """The logit whose log-scale is linear in attributes of the case, such as ``scale="C(survey)"``."""

    scale: str = ""
    title: ClassVar[str] = "Logit with group scales"
    citation: ClassVar[str] = "Swait and Louviere (1993), The role of the scale parameter"
    assumptions: ClassVar[tuple[str, ...]] = Logit.assumptions
    of_the_case: ClassVar[tuple[str, ...]] = ("scale",)

    def formulas(self) -> dict[str, Utility]:
        """Return the utility and the log-scale."""
        if not self.scale:
            raise SpecificationError("a logit with group scales needs the formula of its log-scale: scale='C(survey)'")
        return {"utility": self.utility, "scale": self.scale}

    def described(self) -> dict[str, str]:
        """Return the utility and the log-scale."""
        return super().described() | {"log-scale": self.scale}

    @staticmethod
    def log_probability(params: ByFormula, attributes: ByFormula, available: Any) -> Any:
        """Return the log-softmax of the scaled utilities."""
        jax = require_jax()
        scale = jax.numpy.exp(attributes["scale"] @ params["scale"])
        utility = scale * (attributes["utility"] @ params["utility"])
        return jax.nn.log_softmax(jax.numpy.where(available, utility, -jax.numpy.inf))

    @staticmethod
    def logsum(params: ByFormula, attributes: ByFormula, available: Any) -> Any:
        """Return the logsum in units of utility: that of the scaled utilities over the scale."""
        jax = require_jax()
        logs = attributes["scale"] @ params["scale"]
        scale = jax.numpy.exp(jax.numpy.max(jax.numpy.where(available, logs, -jax.numpy.inf)))
        utility = scale * (attributes["utility"] @ params["utility"])
        return jax.nn.logsumexp(jax.numpy.where(available, utility, -jax.numpy.inf)) / scale
