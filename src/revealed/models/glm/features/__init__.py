"""From records to sparse rows: fields, interactions, hashing, groups. Imports choices and the errors only."""

from revealed.models.glm.features.hashing import Collisions
from revealed.models.glm.features.rows import Rows, Unseen
from revealed.models.glm.features.space import FeatureSpace

__all__ = ["Collisions", "FeatureSpace", "Rows", "Unseen"]
