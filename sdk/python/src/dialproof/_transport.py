"""One HTTP call with its repetitions, by the standard library."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from ._errors import DialproofConnectionError, DialproofError

_MAX_ANSWER = 8 << 20  # bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect must not carry the key to somewhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Transport:
    def __init__(
        self, base_url: str, key: str, timeout: float, retries: int, max_wait: float, user_agent: str, handlers: Sequence[urllib.request.BaseHandler]
    ) -> None:
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("dialproof: the server's address must look like https://verify.example.com")
        if not key.strip() or "\n" in key or "\r" in key:
            raise ValueError("dialproof: an API key is needed, on one line; `dialproof key create` makes one")
        self._base, self._host, self._key = base_url.rstrip("/"), parts.netloc, key
        self._timeout, self._retries, self._max_wait = timeout, retries, max_wait
        self._agent = f"{user_agent} dialproof-python/0.1".strip()
        self._opener = urllib.request.build_opener(_NoRedirect, *handlers)
        self._sleep: Callable[[float], None] = time.sleep
        self._jitter: Callable[[], float] = random.random

    def call(self, method: str, path: str, body: Any = None, query: Optional[Mapping[str, str]] = None, idempotency_key: Optional[str] = None) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", "User-Agent": self._agent}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if method == "POST":
            headers["Idempotency-Key"] = idempotency_key or secrets.token_urlsafe(16)
        url = self._base + path + ("?" + urllib.parse.urlencode(query) if query else "")
        tries = 0
        while True:
            try:
                return self._try(urllib.request.Request(url, data, headers, method=method))
            except (DialproofError, DialproofConnectionError) as error:
                wait = self._repeat_after(error, tries)
                if wait is None or tries >= self._retries:
                    raise
            self._sleep(wait)
            tries += 1

    def _repeat_after(self, error: Exception, tries: int) -> Optional[float]:
        """How long to wait before a repetition, or None when none would help."""
        # Up to a quarter more, so that those who were refused together do not come back together.
        backoff: float = min(0.2 * 2 ** min(tries, 10) * (1 + self._jitter() / 4), self._max_wait)
        if not isinstance(error, DialproofError):
            return backoff
        again = error.status in (429, 502, 503, 504) or error.code == "idempotency_in_flight"
        if not again or (error.status == 429 and not error.retry_after):
            return None
        wait: float = max(error.retry_after, backoff)
        return wait if wait <= self._max_wait else None

    def _try(self, request: urllib.request.Request) -> Any:
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                status, headers, text = response.status, response.headers, self._read(response)
        except urllib.error.HTTPError as refusal:
            with refusal:
                status, headers, text = refusal.code, refusal.headers, self._read(refusal)
        except (OSError, http.client.HTTPException) as cause:
            # Without its text: the address of a list may hold a number.
            reason = getattr(cause, "reason", cause)
            raise DialproofConnectionError(self._host, isinstance(reason, TimeoutError) or "timed out" in str(reason)) from None
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if 200 <= status < 300 and isinstance(answer, dict):
            return answer
        raise DialproofError(None if status < 300 else answer, status, _retry_after(headers.get("Retry-After")))

    def _read(self, response: Any) -> bytes:
        """The body, within the time: the socket's own time-out begins anew with each byte."""
        end, parts, size = time.monotonic() + self._timeout, [], 0
        try:
            while part := response.read1(1 << 16):
                size += len(part)
                if size > _MAX_ANSWER or time.monotonic() > end:
                    raise TimeoutError
                parts.append(part)
        except (OSError, http.client.HTTPException) as cause:
            raise DialproofConnectionError(self._host, isinstance(cause, TimeoutError)) from None
        length = response.headers.get("Content-Length")
        if length and size < int(length):
            raise DialproofConnectionError(self._host, False)
        return b"".join(parts)


def _retry_after(header: Optional[str]) -> float:
    """Seconds of a Retry-After: a number, which is how Dialproof writes it, or a date (RFC 9110 §10.2.3); a day at most."""
    if not header:
        return 0
    try:
        seconds = float(int(header))
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0
    return min(max(seconds, 0), 86400)
