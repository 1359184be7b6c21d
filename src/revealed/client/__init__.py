"""Asks a service for decisions and tells it what came of them. Imports the service's messages and errors only.

It needs httpx and msgspec, and none of the rooms that compute: importing it is quick.
"""

from __future__ import annotations

from revealed.errors import MissingExtraError

try:
    import httpx as _httpx  # noqa: F401
    import msgspec as _msgspec  # noqa: F401
except ImportError:
    raise MissingExtraError("the client of a service", "client") from None

from revealed.client.answers import PolicyTold, Readiness, StandingTold
from revealed.client.awaiting import AsyncClient
from revealed.client.blocking import Client
from revealed.client.failures import RefusedError, ServiceError, UnavailableError
from revealed.client.retries import Retries
from revealed.serve.explanation import Contribution, DecisionTold, Explanation, OutcomeTold
from revealed.serve.messages import Decided, DecideRequest, OutcomeRequest, Refused, Taken

__all__ = [
    "AsyncClient",
    "Client",
    "Contribution",
    "DecideRequest",
    "Decided",
    "DecisionTold",
    "Explanation",
    "OutcomeRequest",
    "OutcomeTold",
    "PolicyTold",
    "Readiness",
    "Refused",
    "RefusedError",
    "Retries",
    "ServiceError",
    "StandingTold",
    "Taken",
    "UnavailableError",
]
