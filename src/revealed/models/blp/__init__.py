"""Random-coefficient demand on market shares (BLP): demand, supply, mergers. Imports models, evidence and choices."""

from revealed.models.blp.fit import BlpFit
from revealed.models.blp.markets import Markets
from revealed.models.blp.model import Blp
from revealed.models.blp.shares import ContractionOptions
from revealed.models.blp.world import Equilibrium, World

__all__ = ["Blp", "BlpFit", "ContractionOptions", "Equilibrium", "Markets", "World"]
