from __future__ import annotations

from typing import Any, Literal, Union

from ._decode import decode
from .models import ErrorCode, FieldError


class DialproofError(Exception):
    """A refusal of the server (RFC 9457). Act on ``code``, which never changes; the text is for people."""

    code: Union[ErrorCode, Literal["bad_answer"]]
    """Stable. ``bad_answer`` is the SDK's own: what answered is no Dialproof server, or a proxy stands before it."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong, in words. It holds no code and no whole number."""
    errors: list[FieldError]
    """The fields that are wrong, with ``invalid_request``."""
    limit: Union[str, None]
    """The limit that refused, with ``rate_limited`` and ``number_locked``."""
    request_id: str
    """Names the request in the server's log; empty when the server did not say."""
    retry_after: float
    """Seconds after which another try may pass; 0 when the server did not say."""

    def __init__(self, problem: Any, status: int, retry_after: float = 0) -> None:
        if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
            problem = {"code": "bad_answer", "detail": "the answer is not that of a Dialproof server"}
        self.code = problem["code"]
        self.status = status
        self.detail = problem.get("detail") or problem.get("title") or ""
        self.errors = [decode(FieldError, e) for e in problem.get("errors") or []]
        self.limit = problem.get("limit")
        self.request_id = problem.get("instance") or ""
        self.retry_after = retry_after
        fields = "".join(f"; {e.field}: {e.detail}" for e in self.errors)
        super().__init__(f"dialproof: {self.code} ({status}): {self.detail}{fields}")


class DialproofConnectionError(Exception):
    """No answer came: the server could not be reached, the answer broke off, or the time was up."""

    def __init__(self, host: str, timeout: bool) -> None:
        self.timeout = timeout
        super().__init__(f"dialproof: no answer from {host}{' in time' if timeout else ''}")
