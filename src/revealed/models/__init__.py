"""One law per file: the logit, the group-scale logit, later nested, mixed, dynamic … Imports evidence to choices."""

from revealed.models.fit import Fit
from revealed.models.logit import Logit
from revealed.models.model import Model
from revealed.models.scaled_logit import ScaledLogit

__all__ = ["Fit", "Logit", "Model", "ScaledLogit"]
