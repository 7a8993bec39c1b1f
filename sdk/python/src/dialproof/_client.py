from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Optional
from urllib.parse import quote

from ._decode import decode, encode
from ._transport import Transport
from .models import (
    Alphabet,
    Autofill,
    Channel,
    Check,
    Device,
    Link,
    ProofForm,
    Status,
    Transaction,
    Verification,
    VerificationPage,
)

_PATH = "/v1/verifications"


class Dialproof:
    """Talks to one server with one API key. It is safe for many threads; make one and keep it.

    Calls that meet a lost connection, a full server or a short limit are repeated under one idempotency key, so that a
    repetition never sends a second message.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeout: float = 10,
        retries: int = 3,
        max_wait: float = 5,
        user_agent: str = "",
        handlers: Sequence[urllib.request.BaseHandler] = (),
    ) -> None:
        """
        :param base_url: the server's address, like ``https://verify.example.com``
        :param key: an API key, ``dp_live_…`` or ``dp_test_…``
        :param timeout: bounds one try of one call, in seconds
        :param retries: how many times a call is repeated after its first try
        :param max_wait: the longest pause before a repetition; when the server asks for a longer one, the call fails
        :param handlers: handlers of ``urllib.request``, for a proxy or special certificates
        """
        self._transport = Transport(base_url, key, timeout, retries, max_wait, user_agent, handlers)

    def start(
        self,
        to: str,
        *,
        region: Optional[str] = None,
        channel: Optional[Channel] = None,
        email: Optional[str] = None,
        purpose: Optional[str] = None,
        locale: Optional[str] = None,
        code_length: Optional[int] = None,
        code_alphabet: Optional[Alphabet] = None,
        code: Optional[str] = None,
        expires_in: Optional[int] = None,
        max_attempts: Optional[int] = None,
        transaction: Optional[Transaction] = None,
        autofill: Optional[Autofill] = None,
        client: Optional[Device] = None,
        metadata: Optional[Mapping[str, str]] = None,
        idempotency_key: Optional[str] = None,
    ) -> Verification:
        """Ask for a verification. It is durable and on its way when the answer comes. ``models.Start`` says what each is."""
        body = {k: v for k, v in locals().items() if k not in ("self", "idempotency_key")}
        return decode(Verification, self._post(_PATH, body, idempotency_key))

    def check(
        self,
        id: str,
        code: str,
        *,
        transaction: Optional[Transaction] = None,
        proof: Optional[ProofForm] = None,
        idempotency_key: Optional[str] = None,
    ) -> Check:
        """Submit the code that the person typed. Look at ``result``: only ``approved`` proves anything, and a wrong code is
        an answer, not an error. A payment's transaction must be that of the start; ``proof`` asks for a signed statement."""
        body = {"code": code, "transaction": transaction, "proof": proof}
        return decode(Check, self._post(f"{_PATH}/{quote(id, safe='')}/check", body, idempotency_key))

    def check_by_number(
        self,
        to: str,
        code: str,
        *,
        region: Optional[str] = None,
        purpose: Optional[str] = None,
        transaction: Optional[Transaction] = None,
        proof: Optional[ProofForm] = None,
        idempotency_key: Optional[str] = None,
    ) -> Check:
        """The same for the newest verification of a number and purpose, for who did not keep the id."""
        body = {k: v for k, v in locals().items() if k not in ("self", "idempotency_key")}
        return decode(Check, self._post(f"{_PATH}/check", body, idempotency_key))

    def resend(self, id: str, *, channel: Optional[Channel] = None, idempotency_key: Optional[str] = None) -> Verification:
        """Send the code again, over another channel if one is named. Too early, it fails with ``rate_limited``."""
        return decode(Verification, self._post(f"{_PATH}/{quote(id, safe='')}/resend", {"channel": channel}, idempotency_key))

    def cancel(self, id: str, *, idempotency_key: Optional[str] = None) -> Verification:
        """End a pending verification. Its code is dead when the answer comes."""
        return decode(Verification, self._post(f"{_PATH}/{quote(id, safe='')}/cancel", {}, idempotency_key))

    def create_link(
        self,
        *,
        return_url: Optional[str] = None,
        embed: Optional[str] = None,
        state: Optional[str] = None,
        to: Optional[str] = None,
        region: Optional[str] = None,
        channel: Optional[Channel] = None,
        purpose: Optional[str] = None,
        locale: Optional[str] = None,
        expires_in: Optional[int] = None,
        transaction: Optional[Transaction] = None,
        no_autofill: Optional[bool] = None,
        metadata: Optional[Mapping[str, str]] = None,
        idempotency_key: Optional[str] = None,
    ) -> Link:
        """Make a link to the hosted page. Send the person to its ``url``, and keep its ``id``: the proof they come back with must name it."""
        body = {k: v for k, v in locals().items() if k not in ("self", "idempotency_key")}
        return decode(Link, self._post("/v1/links", body, idempotency_key))

    def get(self, id: str) -> Verification:
        """Look at a verification."""
        return decode(Verification, self._transport.call("GET", f"{_PATH}/{quote(id, safe='')}"))

    def list_page(
        self,
        *,
        to: Optional[str] = None,
        region: Optional[str] = None,
        status: Optional[Status] = None,
        purpose: Optional[str] = None,
        created_after: Optional[datetime] = None,
        created_before: Optional[datetime] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> VerificationPage:
        """One page, newest first. ``next_cursor`` is None on the last."""
        query = {k: str(encode(v)) for k, v in locals().items() if k != "self" and v is not None}
        return decode(VerificationPage, self._transport.call("GET", _PATH, query=query))

    def list(
        self,
        *,
        to: Optional[str] = None,
        region: Optional[str] = None,
        status: Optional[Status] = None,
        purpose: Optional[str] = None,
        created_after: Optional[datetime] = None,
        created_before: Optional[datetime] = None,
        limit: Optional[int] = None,
    ) -> Iterator[Verification]:
        """All of them, newest first, page after page as they are read. ``limit`` is how many come with one call."""
        cursor: Optional[str] = None
        while True:
            page = self.list_page(
                to=to, region=region, status=status, purpose=purpose, created_after=created_after, created_before=created_before, limit=limit, cursor=cursor
            )
            yield from page.data
            if not page.next_cursor:
                return
            cursor = page.next_cursor

    def _post(self, path: str, body: Any, idempotency_key: Optional[str]) -> Any:
        return self._transport.call("POST", path, encode(body), idempotency_key=idempotency_key)
