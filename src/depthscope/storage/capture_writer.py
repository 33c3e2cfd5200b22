"""Writing a capture log: one thread frames and writes, another makes what it wrote durable.

Nothing here waits for the disk but :meth:`CaptureWriter.flush` and :meth:`CaptureWriter.close`.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from depthscope.errors import InputError, OutputError, RecordingFailed
from depthscope.market.inputs import Input
from depthscope.storage.batches import INPUT_BYTES, write_inputs
from depthscope.storage.capture_items import Rotate, Stop, Stopped
from depthscope.storage.disk import DISK
from depthscope.storage.frames import FrameKind, Packer
from depthscope.storage.redaction import redacted
from depthscope.storage.repeats import Repeats
from depthscope.storage.segments import Header
from depthscope.storage.sync import Output, Syncer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from depthscope.storage.capture_items import Item
    from depthscope.storage.disk import Disk

__all__ = ["MAX_INPUT", "CaptureWriter"]

MAX_INPUT: Final = 64 << 20  # bytes of one input's payload
FRAME_BYTES: Final = 256 << 10  # payload bytes after which a frame is full
FRAME_SECONDS: Final = 0.012  # how long the first input of a frame waits for others
CLOSE_SECONDS: Final = 30.0
_TOGETHER: Final = 64  # inputs repeated in one frame


class CaptureWriter:
    """An append-only log of inputs in a folder. Appending never waits and may be done from any thread.

    Inputs are framed within 20 ms and written; what was written is made durable every 200 ms.
    When a write or a sync fails the segment ends there: nothing is written to it or synced again,
    `failure` says why, and further inputs are counted as lost until :meth:`resume` opens a new one.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    segment_bytes : int
        A new segment is begun when one has grown to this size.
    segment_seconds : float
        … or when its inputs span this time by their receive times.
    opening : callable, optional
        Called where a segment other than the first begins, by the thread that appends and before
        its input is taken (it must not append): gives inputs to repeat there besides the CONFIG,
        INSTRUMENT and BLOB inputs so far, which are always repeated (the last one of each name).
    queue_bytes : int
        Most payload bytes that may wait to be written. What comes while they do is lost, which is
        recorded as a gap and told by `lost`; with `wait`, appending waits instead.
    wait : bool
        For converting files, where nobody minds.
    level : int or None
        zstd level of the frames; None writes them plain.
    sync_seconds : float
        How often what was written is made durable.
    on_failure : callable, optional
        Called once a failure, with it, by a thread of the writer.
    disk : Disk
        What writes.

    Attributes
    ----------
    session : bytes
        16 random bytes that all segments of this writer share.

    Raises
    ------
    OutputError
        When the folder or the first segment cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = 256 << 20,
        segment_seconds: float = 3_600.0,
        opening: Callable[[], Iterable[Input]] | None = None,
        queue_bytes: int = 64 << 20,
        wait: bool = False,
        level: int | None = 1,
        sync_seconds: float = 0.2,
        on_failure: Callable[[RecordingFailed], None] | None = None,
        disk: Disk = DISK,
    ) -> None:
        self.folder = folder
        self.session = secrets.token_bytes(16)
        self._segment_bytes = segment_bytes
        self._segment_ns = int(segment_seconds * 1e9)
        self._repeats = Repeats(opening)
        self._queue_bytes = queue_bytes
        self._wait = wait
        self._packer = Packer(level)
        self._on_failure = on_failure
        self._disk = disk

        # Shared between the threads, under the lock.
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)  # notified when anything below changes
        self._queue: list[Item] = []
        self._waiting = 0  # bytes in the queue and in the writing thread's hands
        self._sequence = 0  # of the last input appended
        self._lost = 0
        self._failure: RecordingFailed | None = None
        self._closing = False
        self._stopped = False  # the failure is that we were told to
        self._segment_start: int | None = None  # receive time of the first input of the segment
        self._full = False  # the segment has grown to its size

        # The writing thread's own.
        self._next = 1  # sequence of the next input to frame
        self._number = 0
        self._output: Output | None = None

        self._work = threading.Event()  # something is in the queue
        self._now = threading.Event()  # … and should not wait for company
        self._syncer = Syncer(disk, folder, sync_seconds, self._notify, self._fail)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._begin_segment([])
            self._syncer.sync()  # its name and header are durable, or we hear of it now
        except OSError as error:
            self._syncer.give_up()
            raise OutputError(
                f"No capture log can be written in {folder}: {error.strerror or error}. Choose a folder on a "
                f"disk with room that you may write to."
            ) from error
        self._thread = threading.Thread(target=self._run, name="depthscope-capture", daemon=True)
        self._thread.start()
        self._syncer.start()

    @property
    def acknowledged(self) -> int:
        """Sequence up to which everything survives a loss of power, but for recorded gaps."""
        return self._syncer.acknowledged

    @property
    def sequence(self) -> int:
        """Sequence of the last input appended, 0 before the first."""
        return self._sequence

    @property
    def lost(self) -> int:
        """Inputs that were appended but not written."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Payload bytes that wait to be written."""
        return self._waiting

    @property
    def most_waiting(self) -> int:
        """How many may: what comes beyond that is lost."""
        return self._queue_bytes

    @property
    def failure(self) -> RecordingFailed | None:
        """Why nothing is being written at present; None while all is well."""
        return self._failure

    @property
    def path(self) -> Path | None:
        """The segment that is being written, None while there is none."""
        output = self._output
        return None if output is None or output.failed else output.path

    def append(self, received: Input) -> int:
        """Take one input; secrets in it are replaced (see `storage.redaction`).

        Returns
        -------
        int
            Its sequence, from 1. It is durable once `acknowledged` has come so far.

        Raises
        ------
        InputError
            When it cannot be stored in any log: too large, or numbers out of range.
        RecordingFailed
            When the writer has been closed.
        """
        received = redacted(received)
        _, connection, ts_recv, payload = received
        if len(payload) > MAX_INPUT or not (0 <= connection < 1 << 32 and -(1 << 63) <= ts_recv < 1 << 63):
            raise InputError(
                f"An input of {len(payload):,} bytes, connection {connection}, time {ts_recv} cannot be "
                f"recorded: at most {MAX_INPUT:,} bytes, 32 and 64 bits."
            )
        size = len(payload) + INPUT_BYTES
        with self._lock:
            if self._wait and not self._has_room(size):
                self._moved.wait_for(lambda: self._has_room(size) or self._failure or self._closing)
            if self._closing:
                raise self._closed()
            first = not self._queue
            if self._failure is None and self._rotates(ts_recv):
                self._rotate()
            self._sequence += 1
            self._repeats.note(received)
            if self._failure is not None or not self._has_room(size):
                self._lost += 1
                return self._sequence
            if self._segment_start is None:
                self._segment_start = ts_recv
            self._queue.append((self._sequence, received))
            self._waiting += size
            sequence = self._sequence
            much = self._waiting - size < FRAME_BYTES <= self._waiting
        if first:
            self._work.set()
        if much:
            self._now.set()
        return sequence

    def flush(self, timeout: float = CLOSE_SECONDS) -> int:
        """Wait until everything appended so far is durable; returns `acknowledged`.

        Raises
        ------
        RecordingFailed
            When it cannot be made durable, or is not within `timeout` seconds.
        """
        with self._lock:
            wanted = self._sequence
        deadline = time.monotonic() + timeout
        while self._failure is None and self._behind(wanted) and time.monotonic() < deadline:
            self._hurry()
            self._syncer.wake()
            with self._lock:
                self._moved.wait(0.02)
        if self._failure is not None:
            raise self._failure
        if self._behind(wanted):
            raise RecordingFailed(
                f"The disk of {self.folder} has not confirmed what was recorded within {timeout:g} s. It "
                f"may be failing or overloaded; recording goes on."
            )
        return self.acknowledged

    def resume(self) -> None:
        """Open a new segment after a failure; what was lost in between is recorded in it as a gap.

        Raises
        ------
        RecordingFailed
            When the writer has been closed.
        """
        with self._lock:
            if self._closing:
                raise self._closed()
            if self._failure is None:
                return
            self._rotate("stopped" if self._stopped else "failure")
            self._failure, self._stopped = None, False
        self._hurry()

    def stop(self, reason: str) -> None:
        """End recording on purpose, for example before the disk is full; :meth:`resume` begins anew.

        What was appended before is written and its segment sealed; `failure` then says `reason`, and
        what is appended later is lost, as after a failure.
        """
        with self._lock:
            if self._failure is None and not self._closing:
                self._queue.append((self._sequence + 1, Stop(reason)))
        self._hurry()
        with self._lock:
            self._moved.wait_for(lambda: self._failure is not None or self._closing, CLOSE_SECONDS)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Write what waits, seal the segment, make it durable, end the threads. Does no harm twice.

        Raises
        ------
        RecordingFailed
            When not everything could be made durable (also when recording had failed before, but not
            when it had been stopped).
        """
        with self._lock:
            self._closing = True
            self._moved.notify_all()
        self._hurry()
        self._thread.join(timeout)
        ended = not self._thread.is_alive() and self._syncer.close(timeout)
        if self._failure is not None and not self._stopped:
            raise self._failure
        if not ended:
            raise RecordingFailed(
                f"The disk of {self.folder} has not confirmed the end of the capture log within "
                f"{timeout:g} s: acknowledged are {self.acknowledged:,} of {self._sequence:,} inputs."
            )

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self.close()
            return
        with suppress(RecordingFailed):  # what went wrong first is what counts
            self.close()

    def _closed(self) -> RecordingFailed:
        return RecordingFailed(f"The capture log in {self.folder} has been closed.")

    def _hurry(self) -> None:
        self._work.set()
        self._now.set()

    def _notify(self) -> None:
        with self._lock:
            self._moved.notify_all()

    # Under the lock:

    def _behind(self, wanted: int) -> bool:
        """Whether inputs up to `wanted` are still on their way (those at the end may be lost)."""
        return self.acknowledged < wanted and (bool(self._waiting) or self.acknowledged < self._next - 1)

    def _has_room(self, size: int) -> bool:
        return not self._waiting or self._waiting + size <= self._queue_bytes

    def _rotates(self, now: int) -> bool:
        start = self._segment_start
        return self._full or (start is not None and now - start >= self._segment_ns)

    def _rotate(self, reason: str = "") -> None:
        self._queue.append((self._sequence + 1, Rotate(self._repeats.all(), reason)))
        self._full, self._segment_start = False, None
        self._work.set()

    def _fail(self, reason: str, stopped: bool = False) -> None:
        """End recording; by whichever thread met the failure."""
        with self._lock:
            if self._failure is not None:
                return
            failure = RecordingFailed(
                f"Recording to {self.folder} has stopped: {reason}. What was acknowledged (up to input "
                f"{self.acknowledged:,}) is safe. See to the disk; recording goes on in a new segment when "
                f"it is resumed, with the gap recorded."
            )
            self._failure, self._stopped = failure, stopped
            queued = [item for _, item in self._queue if isinstance(item, Input)]
            self._lost += len(queued)
            self._waiting -= sum(len(item.payload) + INPUT_BYTES for item in queued)
            self._queue = []
            if self._output is not None:
                self._output.failed = True
            self._moved.notify_all()
        if self._on_failure is None:
            return
        try:
            self._on_failure(failure)
        except Exception as error:  # noqa: BLE001  (its fault must not end the thread that told it)
            warnings.warn(f"What was to hear of a failed recording failed itself: {error!r}", stacklevel=2)

    # The writing thread:

    def _run(self) -> None:
        while True:
            self._work.wait()
            if not self._closing:
                self._now.wait(FRAME_SECONDS)
            self._now.clear()
            self._work.clear()
            with self._lock:
                taken, self._queue = self._queue, []
                size = self._waiting
                last = self._closing
            reason, told = "", False
            try:
                self._write(taken)
                if last:
                    self._seal(self._sequence + 1)  # what was lost since the last frame is a gap too
            except OSError as error:
                reason = f"writing failed: {error.strerror or error}"
            except Stopped as stopped:
                reason, told = stopped.reason, True
            except Exception as error:  # noqa: BLE001  (a thread that dies unheard would record nothing)
                reason = f"an unexpected {type(error).__name__}: {error}"
            if reason:
                self._fail(reason, told)
                self._syncer.wake()
            if self._output is not None and self._output.failed:
                self._let_go()
            with self._lock:
                if taken and self._next <= taken[-1][0]:
                    self._lost += sum(
                        isinstance(item, Input) and number >= self._next for number, item in taken
                    )
                self._waiting -= size
                self._moved.notify_all()
            if last:
                return

    def _write(self, taken: list[Item]) -> None:
        """Frame and write what was taken from the queue."""
        batch: list[Input] = []
        size = 0
        for number, item in taken:
            if batch and (
                number != self._next + len(batch)
                or not isinstance(item, Input)
                or size + len(item.payload) > FRAME_BYTES
            ):
                self._put_inputs(batch)
                batch, size = [], 0
            if isinstance(item, Input):
                if number != self._next + len(batch):
                    self._put_gap(number, "overflow")
                batch.append(item)
                size += len(item.payload)
            elif isinstance(item, Rotate):
                self._seal(self._next)
                self._begin_segment(item.opening, number, item.reason)
            else:
                self._seal(number)
                raise Stopped(item.reason)
        if batch:
            self._put_inputs(batch)

    def _put_inputs(self, batch: list[Input]) -> None:
        self._put(FrameKind.INPUTS, self._next, write_inputs(batch), self._next + len(batch) - 1)

    def _put_gap(self, number: int, reason: str) -> None:
        told = {"reason": reason, "lost": number - self._next}
        self._put(FrameKind.GAP, number, json.dumps(told).encode(), number - 1)

    def _put(self, kind: FrameKind, sequence: int, content: bytes, last: int) -> None:
        """Write a frame; afterwards everything up to `last` is written or a recorded gap."""
        output = self._output
        if output is None or output.failed:
            raise Stopped("")  # why has been told already
        frame = self._packer.pack(kind, sequence, content)
        try:
            self._disk.write_all(output.descriptor, frame)
        except OSError:
            if output.failed:  # by the other thread, in this very moment: that failure has been told
                raise Stopped("") from None
            with suppress(OSError):  # half a frame is no damage, but it would look like it
                self._disk.truncate(output.descriptor, output.size)
            raise
        self._next = last + 1
        # Size first: the thread that syncs must never see the new sequence with a size that is durable.
        output.size += len(frame)
        output.sequence = last
        if output.size >= self._segment_bytes and not output.full:
            output.full = self._full = True

    def _seal(self, end: int) -> None:
        """End the segment as meant: input `end` is the next one anywhere."""
        output = self._output
        if output is not None and not output.failed:
            told = {"segment": self._number, "next": end}
            self._put(FrameKind.SEAL, end, json.dumps(told).encode(), end - 1)
        self._let_go()

    def _let_go(self) -> None:
        """Be done with the segment: its file may be closed."""
        if self._output is not None:
            self._output.ended = True
        self._output = None

    def _begin_segment(self, opening: list[Input], number: int = 1, reason: str = "") -> None:
        self._number += 1
        header = Header(self.session, self._number, time.time_ns(), self._next)
        path = self.folder / header.name
        output = Output(path, self._disk.create(path), self._next - 1)
        self._output = output
        self._syncer.add(output)
        packed = header.pack()
        try:
            self._disk.write_all(output.descriptor, packed)
        except OSError:
            output.failed = True
            with suppress(OSError):  # a file without a header would look like damage, one for each attempt
                path.unlink()
            raise
        output.size = len(packed)
        if number > self._next or reason:
            self._put_gap(number, reason or "overflow")
        for start in range(0, len(opening), _TOGETHER):
            self._put(FrameKind.OPENING, number, write_inputs(opening[start : start + _TOGETHER]), number - 1)
