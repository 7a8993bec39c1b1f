from __future__ import annotations

import asyncio
import functools
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ._client import Dialproof

if TYPE_CHECKING:  # type checkers bring it; nothing of it is needed when it runs
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")
T = TypeVar("T")


def _in_thread(method: Callable[Concatenate[Dialproof, P], T]) -> Callable[Concatenate[AsyncDialproof, P], Coroutine[Any, Any, T]]:
    """A method of Dialproof that waits in a thread."""

    @functools.wraps(method)
    async def call(self: AsyncDialproof, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, self._sync, *args, **kwargs)

    return call


def _each_in_thread(method: Callable[Concatenate[Dialproof, P], Iterator[T]]) -> Callable[Concatenate[AsyncDialproof, P], AsyncIterator[T]]:
    """An iterator of Dialproof whose steps wait in a thread."""

    @functools.wraps(method)
    async def call(self: AsyncDialproof, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        steps = method(self._sync, *args, **kwargs)
        while True:
            step = await asyncio.to_thread(next, steps, None)
            if step is None:
                return
            yield step

    return call


class AsyncDialproof:
    """``Dialproof`` for asyncio: the same arguments and methods, each a coroutine that waits in a thread of asyncio's pool."""

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
        self._sync = Dialproof(base_url, key, timeout=timeout, retries=retries, max_wait=max_wait, user_agent=user_agent, handlers=handlers)

    start = _in_thread(Dialproof.start)
    check = _in_thread(Dialproof.check)
    check_by_number = _in_thread(Dialproof.check_by_number)
    resend = _in_thread(Dialproof.resend)
    cancel = _in_thread(Dialproof.cancel)
    create_link = _in_thread(Dialproof.create_link)
    get = _in_thread(Dialproof.get)
    list_page = _in_thread(Dialproof.list_page)
    list = _each_in_thread(Dialproof.list)
