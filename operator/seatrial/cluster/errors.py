# ruff: noqa: N818  (the names are what happened, as the API server says it)
"""What can go wrong between us and the API server. `again` says whether asking again helps.

ApiError
├── Refused            again=False   400, 405, 413, 415, 422: it will never be taken as it is
│   ├── NotFound       again=False   404
│   ├── Forbidden      again=False   403 from admission or a policy
│   └── Gone           again=False   410: the version asked for is too old; list again
├── NotAllowed         again=True    401, and 403 from RBAC: an administrator can mend it
├── QuotaExceeded      again=True    403 from a ResourceQuota
├── Conflict           again=True    409: somebody else wrote first; look again, then decide again
│   └── AlreadyExists  again=True    409 for a POST: the name is taken
├── Busy               again=True    429, not carried out; `retry_after` says when
├── ServerFailed       again=True    5xx
└── Unreachable        again=True    no answer; a write may or may not have been carried out
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class ApiError(Exception):
    """The API server did not do what was asked."""

    again: ClassVar[bool] = True

    def __init__(self, message: str, *, said: str = "", code: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.said = said or message
        """The API server's own words, without the request."""
        self.code = code
        """HTTP status; 0 without an answer."""
        self.retry_after = retry_after
        """Seconds the server asks us to wait."""


class Refused(ApiError):
    """The same request gets the same answer."""

    again = False


class NotFound(Refused):
    """The object, or its kind, is not there."""


class Forbidden(Refused):
    """Admission or a policy forbids it."""


class Gone(Refused):
    """The resource version is too old to go on from."""


class NotAllowed(ApiError):
    """The operator's own account lacks the right, or its credentials are not accepted."""


class QuotaExceeded(ApiError):
    """A ResourceQuota forbids it, for now."""


class Conflict(ApiError):
    """Somebody else wrote the object since we read it."""


class AlreadyExists(Conflict):
    """An object of that name exists."""


class Busy(ApiError):
    """The API server asks for patience; the request was not carried out."""


class ServerFailed(ApiError):
    """The API server failed."""


class Unreachable(ApiError):
    """No answer: a time-out or a broken connection. A write may have been carried out."""


def from_answer(code: int, body: Mapping[str, Any], what: str, retry_after: float | None = None) -> ApiError:
    """The error for an answer that is not a success; `what` names the request ("POST deployments a/b")."""
    said = str(body.get("message") or "no reason given")
    reason = str(body.get("reason") or "")
    message = f"{what}: {said} ({code})"
    return _class(code, reason, said)(message, said=said, code=code, retry_after=retry_after)


def _class(code: int, reason: str, said: str) -> type[ApiError]:
    if code == 401:
        return NotAllowed
    if code == 403:
        # The API server has one reason for all of these; only the words tell them apart.
        if "exceeded quota" in said:
            return QuotaExceeded
        return NotAllowed if " cannot " in said and " resource " in said else Forbidden
    if code == 404:
        return NotFound
    if code == 409:
        return AlreadyExists if reason == "AlreadyExists" else Conflict
    if code == 410:
        return Gone
    if code == 429:
        return Busy
    return Refused if 400 <= code < 500 else ServerFailed
