from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ._client import Dialproof
from .models import Check, Verification, VerificationPage


class AsyncDialproof:
    """``Dialproof`` for asyncio. It has the same arguments; each call waits in a thread of asyncio's pool."""

    def __init__(self, base_url: str, key: str, **options: Any) -> None:
        self._sync = Dialproof(base_url, key, **options)

    async def start(self, to: str, **options: Any) -> Verification:
        """See ``Dialproof.start``."""
        return await asyncio.to_thread(self._sync.start, to, **options)

    async def check(self, id: str, code: str, **options: Any) -> Check:
        """See ``Dialproof.check``."""
        return await asyncio.to_thread(self._sync.check, id, code, **options)

    async def check_by_number(self, to: str, code: str, **options: Any) -> Check:
        """See ``Dialproof.check_by_number``."""
        return await asyncio.to_thread(self._sync.check_by_number, to, code, **options)

    async def resend(self, id: str, **options: Any) -> Verification:
        """See ``Dialproof.resend``."""
        return await asyncio.to_thread(self._sync.resend, id, **options)

    async def cancel(self, id: str, **options: Any) -> Verification:
        """See ``Dialproof.cancel``."""
        return await asyncio.to_thread(self._sync.cancel, id, **options)

    async def get(self, id: str) -> Verification:
        """See ``Dialproof.get``."""
        return await asyncio.to_thread(self._sync.get, id)

    async def list_page(self, **filter: Any) -> VerificationPage:
        """See ``Dialproof.list_page``."""
        return await asyncio.to_thread(self._sync.list_page, **filter)

    async def list(self, **filter: Any) -> AsyncIterator[Verification]:
        """See ``Dialproof.list``."""
        while True:
            page = await self.list_page(**filter)
            for verification in page.data:
                yield verification
            if not page.next_cursor:
                return
            filter["cursor"] = page.next_cursor
