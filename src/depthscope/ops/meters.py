"""Meters: what is counted while a session runs, in memory that does not grow. Time is an argument."""

from __future__ import annotations

from collections import deque
from math import ceil
from statistics import median
from typing import Final

__all__ = ["BacklogAge", "LatencyHistogram", "MemoryWatch", "RateWatch"]

SECOND: Final = 1_000_000_000
_SUB_BITS: Final = 5
_SUB: Final = 1 << _SUB_BITS  # buckets an octave: a bound is at most 1/32 above the value


def _bucket(value: int) -> int:
    """Bucket of a magnitude; the upper bound belongs to it, as in Prometheus."""
    value = min(max(value - 1, 0), (1 << 63) - 1)
    if value < _SUB:
        return value
    shift = value.bit_length() - _SUB_BITS - 1
    return (value >> shift) + _SUB * shift


def _upper(bucket: int) -> int:
    """Largest magnitude of a bucket."""
    if bucket < 2 * _SUB:
        return bucket + 1
    shift = bucket // _SUB - 1
    return (bucket - _SUB * shift + 1) << shift


def _bound(bucket: int) -> int:
    """Largest value of a bucket; those of negative values count down from -1."""
    if bucket >= 0:
        return _upper(bucket)
    nearer = -bucket - 2  # the bucket of magnitudes below this one's
    return -(_upper(nearer) + 1) if nearer >= 0 else -1


class LatencyHistogram:
    """Counts of durations in logarithmic buckets: 32 an octave, exact counts, fixed memory.

    Negative durations (a venue's clock ahead of ours) are counted in buckets of their own, so a
    percentile is right whatever the clocks say.

    Attributes
    ----------
    count, total : int
        Durations recorded, and their exact sum in nanoseconds.
    low, high : int or None
        Smallest and largest one, exact; None before the first.
    """

    __slots__ = ("_counts", "count", "high", "low", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}  # by bucket, negative ones below zero; at most 2 × 1,888 of them
        self.count = self.total = 0
        self.low: int | None = None
        self.high: int | None = None

    def record(self, ns: int, times: int = 1) -> None:
        """Count a duration in nanoseconds, `times` times."""
        bucket = _bucket(ns) if ns >= 0 else -_bucket(-ns) - 1
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + times
        self.count += times
        self.total += ns * times
        if self.low is None or ns < self.low:
            self.low = ns
        if self.high is None or ns > self.high:
            self.high = ns

    def percentile(self, share: float) -> int | None:
        """Smallest bound that at least `share` (0…1) of the durations do not exceed, in ns.

        By nearest rank, at most 1/32 of its value above the exact one; None before the first
        duration.
        """
        wanted, seen = max(1, ceil(round(share * self.count, 6))), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                bound = _bound(bucket)
                return bound if self.high is None else min(bound, self.high)
        return self.high

    def at_most(self, octave: int) -> int:
        """How many durations were at most 2 to the power `octave` ns: exact, for Prometheus."""
        last = _bucket(1 << octave)
        return sum(times for bucket, times in self._counts.items() if bucket <= last)


class RateWatch:
    """How often something comes, beside how often it should.

    Parameters
    ----------
    expected : float, optional
        Times a second. Without it, the median of the windows before is expected, once six have
        gone by.
    window_ns : int
        Ten seconds by default.
    """

    HISTORY: Final = 60
    ENOUGH: Final = 6

    def __init__(self, expected: float | None = None, window_ns: int = 10 * SECOND) -> None:
        self.window_ns = window_ns
        self.rate: float | None = None
        self._given = expected
        self._past: deque[float] = deque(maxlen=self.HISTORY)
        self._start: tuple[int, int] | None = None

    def observe(self, now_ns: int, total: int) -> None:
        """Tell how many there were in all at a moment; call it once a second or so."""
        if self._start is None or now_ns < self._start[0] or total < self._start[1]:
            self._start = (now_ns, total)
            return
        elapsed = now_ns - self._start[0]
        if elapsed >= self.window_ns:
            if self.rate is not None:
                self._past.append(self.rate)
            self.rate = (total - self._start[1]) * SECOND / elapsed
            self._start = (now_ns, total)

    @property
    def expected(self) -> float | None:
        """Times a second to expect; None while nothing is known."""
        if self._given is not None:
            return self._given
        return median(self._past) if len(self._past) >= self.ENOUGH else None


class MemoryWatch:
    """Memory of the process, apart from histories that fill, against what it was once all had started.

    Parameters
    ----------
    warmup_ns : int
        How long after the first observation memory may still settle: kernels are compiled, caches
        and rings filled. Five minutes by default.
    settle_ns : int
        The baseline is the median of the observations of this long after that. One minute.

    Attributes
    ----------
    rss : int or None
        Last observation, in bytes, with those histories.
    baseline : int or None
        Without them; None until it has settled.
    """

    MAX_SAMPLES: Final = 600

    def __init__(self, warmup_ns: int = 300 * SECOND, settle_ns: int = 60 * SECOND) -> None:
        self.warmup_ns, self.settle_ns = warmup_ns, settle_ns
        self.rss: int | None = None
        self.baseline: int | None = None
        self._own: int | None = None
        self._start: int | None = None
        self._samples: list[int] = []

    def observe(self, now_ns: int, rss: int | None, filling: int = 0) -> None:
        """Take one observation.

        Parameters
        ----------
        now_ns : int
            The present.
        rss : int or None
            Bytes held; None where the platform does not tell.
        filling : int
            Bytes of them in histories of a bounded size. They fill for up to a day, as they are
            meant to: what they take is no growth.
        """
        self.rss = rss
        self._own = None if rss is None else rss - filling
        if self._own is None or self.baseline is not None:
            return
        self._start = now_ns if self._start is None else self._start
        age = now_ns - self._start
        if age >= self.warmup_ns and len(self._samples) < self.MAX_SAMPLES:
            self._samples.append(self._own)
        if age >= self.warmup_ns + self.settle_ns:
            self.baseline = int(median(self._samples))
            self._samples.clear()

    @property
    def growth(self) -> float | None:
        """Share by which memory apart from histories has grown over its baseline; None until it settled."""
        if self._own is None or not self.baseline:
            return None
        return self._own / self.baseline - 1.0


class BacklogAge:
    """How long the oldest of what came has waited to be done with, such as inputs to be safe on the disk.

    Fixed memory: of a backlog that lasts, the last 4,096 observations are kept and its beginning.
    """

    MAX_MARKS: Final = 4_096

    def __init__(self) -> None:
        self._marks: deque[tuple[int, int]] = deque()  # (sequence come by then, when), neither done with yet
        self._done = 0

    def observe(self, now_ns: int, come: int, done: int) -> int | None:
        """Age of the oldest not done with, None when there is none; call it ten times a second or so.

        Parameters
        ----------
        now_ns : int
            The present.
        come, done : int
            Sequences of the last one that came, and of the last one done with.

        Returns
        -------
        int or None
            Nanoseconds; too small by at most the time between two calls.
        """
        last = self._marks[-1][0] if self._marks else self._done
        if come > max(last, done):
            if len(self._marks) == self.MAX_MARKS:
                self._marks.pop()  # a mark at the end may stand for later ones: ages are told by the first
            self._marks.append((come, now_ns))
        while self._marks and self._marks[0][0] <= done:
            self._marks.popleft()
        self._done = done
        return now_ns - self._marks[0][1] if self._marks else None
