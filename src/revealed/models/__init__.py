"""One law per file or folder: the logit, with group scales, nested, mixed … Imports evidence to choices."""

from revealed.models.fit import Fit
from revealed.models.latent import LatentClass
from revealed.models.logit import Logit
from revealed.models.mixed import Mixed, individual_coefficients
from revealed.models.model import Model
from revealed.models.nested import CrossNested, Nested
from revealed.models.scaled_logit import ScaledLogit

__all__ = [
    "CrossNested",
    "Fit",
    "LatentClass",
    "Logit",
    "Mixed",
    "Model",
    "Nested",
    "ScaledLogit",
    "individual_coefficients",
]
