"""Nested logits: alternatives that resemble each other, in one nest or in several. Imports evidence and choices."""

from revealed.models.nested.cross import CrossNested
from revealed.models.nested.model import Nested

__all__ = ["CrossNested", "Nested"]
