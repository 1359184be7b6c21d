"""What a client raises when it has no answer to give. Imports errors only."""

from __future__ import annotations

from revealed.errors import RevealedError


class ServiceError(RevealedError):
    """The ancestor of what a client raises about a service."""


class UnavailableError(ServiceError):
    """No answer, however often it was tried: the service is gone, busy or broken. It may be tried again later.

    What was sent may have been taken all the same; to send it again, with the same id, is safe.
    """


class RefusedError(ServiceError):
    """The service says that the request is wrong: trying again does not help.

    Parameters
    ----------
    status : int
        Of HTTP, such as 401 for a wrong key and 422 for what cannot be decided.
    reason : str
        In the words of the service.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the service refuses (status {status}): {reason}")
        self.status, self.reason = status, reason
