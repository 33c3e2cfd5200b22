"""Read a source ahead of the engine, in one thread with a bounded queue."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from depthscope.market.events import empty_events

if TYPE_CHECKING:
    from depthscope.market.events import Events
    from depthscope.market.source import Source

__all__ = ["NEVER", "Cursor", "ReadAhead", "last_time"]

NEVER: Final = 2**63 - 1  # the time of the event after the last


class ReadAhead:
    """Decode chunks in a thread while the engine works on the one before.

    One chunk waits in the queue and one in the reader's hand, so the chunk the caller holds is
    at most two productions old: inside the three a :class:`~depthscope.market.source.Source`
    guarantees. Decoders release the interpreter lock, so two cores are used.

    Parameters
    ----------
    source : Source
        Read from its beginning, once.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._queue: queue.Queue[Events | BaseException | None] = queue.Queue(maxsize=1)
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="depthscope-reader", daemon=True)
        self._thread.start()

    def _put(self, item: Events | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _run(self) -> None:
        chunks = iter(self.source.chunks())
        try:
            for chunk in chunks:
                if len(chunk) and not self._put(chunk):
                    return
            self._put(None)
        except Exception as error:  # noqa: BLE001 - handed to the consumer, raised there
            self._put(error)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:  # a generator: closes its file now, not at collection
                close()

    @property
    def ended(self) -> bool:
        """Whether the end of the source has been handed over."""
        return self._ended

    def get(self, timeout: float) -> Events | None:
        """Next chunk, or None when none came within `timeout` seconds or the source has ended.

        Raises
        ------
        DepthscopeError
            What the source raised (damage, unknown instrument), after its readable chunks.
        """
        if self._ended:
            return None
        try:
            item = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if item is None:
            self._ended = True
            return None
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        return item

    def close(self) -> None:
        """Stop reading and wait for the thread (at most two seconds)."""
        self._stop.set()
        self._ended = True
        self._thread.join(timeout=2.0)


class Cursor:
    """A place in the stream of events, with its clamped receive times.

    Parameters
    ----------
    source : Source
        Read from its beginning.
    skip : int
        Events to pass over first.
    last : int
        Receive time of the last of them (UTC ns).

    Attributes
    ----------
    index : int
        Events taken or passed over so far.
    last : int
        Receive time of the last of them.
    """

    def __init__(self, source: Source, skip: int = 0, last: int = 0) -> None:
        self._reader = ReadAhead(source)
        self._chunk = empty_events(0)
        self._times: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._pos = 0
        self._skip = skip
        self.index = skip
        self.last = last

    @property
    def rest(self) -> Events:
        """Events at hand that have not been taken."""
        return self._chunk[self._pos :]

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """Their receive times (UTC ns), never going back: clamped as the engine clamps them."""
        return self._times[self._pos :]

    def take(self, n: int) -> tuple[Events, npt.NDArray[np.int64]]:
        """Take `n` of the events at hand and their times."""
        part = slice(self._pos, self._pos + n)
        self._pos += n
        self.index += n
        if n:
            self.last = int(self._times[self._pos - 1])
        return self._chunk[part], self._times[part]

    def next_time(self, wait: float = 0.0) -> int | None:
        """Receive time of the next event; NEVER at the end; None when none came within `wait` seconds.

        Raises
        ------
        DepthscopeError
            What the source raised.
        """
        until = time.perf_counter() + wait
        while self._pos >= len(self._chunk):
            if self._reader.ended:
                return NEVER
            left = until - time.perf_counter()
            chunk = self._reader.get(max(0.0, left))
            if chunk is None:
                if left <= 0 and not self._reader.ended:
                    return None
                continue
            if self._skip >= len(chunk):
                self._skip -= len(chunk)
                continue
            times = np.maximum.accumulate(chunk["ts_recv"])
            self._times = np.maximum(times, self.last, out=times)
            self._chunk, self._pos, self._skip = chunk, self._skip, 0
        return int(self._times[self._pos])

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()


def last_time(source: Source, stop: threading.Event) -> int | None:
    """Receive time of a source's last event (UTC ns), read through; None when stopped or empty.

    Raises
    ------
    CorruptData
        When the source is damaged: its end cannot be told.
    """
    last = None
    for chunk in source.chunks():
        if stop.is_set():
            return None
        if len(chunk):
            last = max(last or 0, int(chunk["ts_recv"].max()))
    return last
