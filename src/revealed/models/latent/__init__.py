"""The latent-class logit: classes of people with weights of their own. Imports evidence and choices."""

from revealed.models.latent.law import LatentLaw
from revealed.models.latent.model import LatentClass

__all__ = ["LatentClass", "LatentLaw"]
