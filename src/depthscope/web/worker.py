"""Worker: one thread that does one thing after the other for the event loop."""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Worker"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Worker:
    """A thread that does not keep the process alive.

    A pool's threads are joined when the interpreter ends: Ctrl+C while kernels compile would
    seem to hang. This one is waited for only as long as :meth:`stop` says.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any] | None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            do, future = job
            try:
                result, error = do(), None
            except Exception as caught:  # noqa: BLE001 - raised where the result is awaited
                result, error = None, caught
            if future is not None:
                try:
                    future.get_loop().call_soon_threadsafe(_settle, future, result, error)
                except RuntimeError:  # the loop has ended: nobody waits any more
                    return

    async def call(self, do: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something in the thread, after everything asked before, and return what it returns."""
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._jobs.put((lambda: do(*args, **kwargs), future))
        return await future

    def post(self, do: Callable[[], object]) -> None:
        """Do something in the thread when its turn comes; nobody waits for it."""
        self._jobs.put((do, None))

    def stop(self, timeout: float) -> bool:
        """Let the thread end after what was asked; whether it did within `timeout` seconds."""
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():  # given up meanwhile
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
