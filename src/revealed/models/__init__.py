"""One law per file or folder: the logit, with group scales, nested; later mixed … Imports evidence to choices."""

from revealed.models.fit import Fit
from revealed.models.logit import Logit
from revealed.models.model import Model
from revealed.models.nested import CrossNested, Nested
from revealed.models.scaled_logit import ScaledLogit

__all__ = ["CrossNested", "Fit", "Logit", "Model", "Nested", "ScaledLogit"]
