"""Work done in a thread beside the caller's, results in order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["LAG", "beside"]

T = TypeVar("T")
LAG: Final = 1  # results that may be outstanding: bounded memory


def beside(work: Callable[..., T], jobs: Iterable[tuple[object, ...]]) -> Iterator[T]:
    """Results of ``work(*job)``, computed while the caller makes the next jobs.

    Parameters
    ----------
    work : callable
        Called in a thread of its own, one job at a time.
    jobs : iterable of tuple
        Its arguments. What they refer to is the thread's until the result is yielded.

    Yields
    ------
    object
        In order of the jobs, at most `LAG` jobs late. An exception of `work` is raised here.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(1, "depthscope-beside") as pool:
        for job in jobs:
            waiting.append(pool.submit(work, *job))
            if len(waiting) > LAG:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
