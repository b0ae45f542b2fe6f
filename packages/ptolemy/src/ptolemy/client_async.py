"""The async twin: the same questions, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

from ptolemy.client import Api, api
from ptolemy.client_http import CONNECTIONS


class AsyncApi:
    """Every method and every interface of `Api` as a coroutine, with the same parameters, results and errors.

    Up to 16 calls run side by side, each on a connection or a reader of its own; a call that is
    cancelled is not waited for.

    >>> async def both():
    ...     async with async_api() as api:
    ...         return await asyncio.gather(api.daily(ts_code="AAPL.US"), api.daily(ts_code="IBM.US"))
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="ptolemy")

    async def close(self) -> None:
        """Let go of connections and threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        asked = getattr(self._api, name)

        async def call(*words: Any, **named: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(asked, *words, **named))

        return call

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._api)})


def async_api(token: str = "", url: str | None = None, *, series: str | None = None, timeout: float = 30.0) -> AsyncApi:
    """Return the async twin of `ptolemy.api`; parameters as there."""
    return AsyncApi(api(token, url, series=series, timeout=timeout))
