"""The mixed logit: coefficients that differ between people. Imports evidence and choices."""

from revealed.models.mixed.individual import IndividualCoefficients, individual_coefficients
from revealed.models.mixed.model import Mixed

__all__ = ["IndividualCoefficients", "Mixed", "individual_coefficients"]
