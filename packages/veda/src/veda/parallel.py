"""Work in a few threads, whose results come in the order of what they are made from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_MOST = 256 << 20  # bytes that may be in the making or wait, unless a single item has more


def in_order(
    work: Callable[[_T], _R], items: Iterable[_T], size: Callable[[_T], int], *, workers: int = 4
) -> Iterator[_R]:
    """Give ``work(item)`` for each of `items`, some of them made ahead; `size` says how many bytes one takes.

    An error of `work` is raised in its turn; what has not begun by then is not done.
    """
    ahead: deque[tuple[Future[_R], int]] = deque()
    held = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                taken = size(item)
                while ahead and (len(ahead) >= 2 * workers or held + taken > _MOST):
                    future, given = ahead.popleft()
                    held -= given
                    yield future.result()
                ahead.append((pool.submit(work, item), taken))
                held += taken
            while ahead:
                yield ahead.popleft()[0].result()
        finally:
            for future, _ in ahead:
                future.cancel()
