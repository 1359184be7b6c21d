"""Evidence objects, Gaussians in natural parameters, the Newton driver. Imports engine and choices."""

from revealed.evidence.checkpoint import Checkpoint, fingerprint
from revealed.evidence.evidence import Detail, Evidence, Ledger, Tally
from revealed.evidence.exact import ExactSum
from revealed.evidence.gaussian import Gaussian
from revealed.evidence.newton import Maximum, NewtonOptions, Region, Sample, maximise
from revealed.evidence.status import NotIdentified, Status

__all__ = [
    "Checkpoint",
    "Detail",
    "Evidence",
    "ExactSum",
    "Gaussian",
    "Ledger",
    "Maximum",
    "NewtonOptions",
    "NotIdentified",
    "Region",
    "Sample",
    "Status",
    "Tally",
    "fingerprint",
    "maximise",
]
