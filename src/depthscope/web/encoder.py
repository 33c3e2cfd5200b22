"""Encoder: what a recorder holds, as frames. Each frame is encoded once for all its clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from depthscope.web.stream import (
    CHUNK,
    CLOSED,
    GAP_FILL,
    HIST_REPLAY,
    LAST_CHUNK,
    REPLAY,
    TRADE_RECORD,
    Column,
    Head,
    book_frame,
    dequantise,
    hist_frame,
    merge_trades,
    tick_frame,
)

if TYPE_CHECKING:
    from depthscope.web.history import Level
    from depthscope.web.recorder import Recorder, Track

__all__ = ["Frame", "Key", "encode_book", "encode_fill", "encode_tick"]

Key = tuple[int, int]  # (symbol id, resolution)
_MOST_TICKS: Final = 4  # columns of one tick sent one by one; more go as one HIST
_MOST_PRINTS: Final = 256
_MOST_OFI: Final = 60_000
_MOST_IN_TICK: Final = 60_000  # prints a TICK can count


class Frame(NamedTuple):
    """An encoded frame; `keep` is false where a newer one replaces it."""

    keep: bool
    data: bytes


def encode_tick(
    recorder: Recorder, wanted: frozenset[Key], seq: int, server_ms: float
) -> dict[Key, list[Frame]]:
    """Frames of everything that happened since the call before, for each key wanted.

    Levels nobody wants are marked as given out: who comes later gets them in a fill.
    """
    out: dict[Key, list[Frame]] = {}
    for track in recorder.tracks.values():
        for res, level in enumerate(track.history.levels):
            if (track.id, res) in wanted and level.head >= 0:
                out[(track.id, res)] = _level(recorder, track, Head(track.id, seq, res, server_ms))
            level.fresh.clear()
            level.ofi_sent = level.final
            level.sent = level.head + 1 if _closed(recorder, level, level.head) else max(level.head, 0)
    return out


def encode_book(recorder: Recorder, symbol: int, seq: int, server_ms: float) -> bytes | None:
    """BOOK frame of a symbol, None where its columns already hold every tick."""
    track = recorder.tracks.get(symbol)
    found = None if track is None else recorder.near(track)
    if track is None or found is None:
        return None
    base, bid, ask, flags, size = found
    col = max(track.history.levels[0].head, 0)
    return book_frame(Head(symbol, seq, 0, server_ms), col, base, bid, ask, flags, size)


def _closed(recorder: Recorder, level: Level, col: int) -> bool:
    return recorder.session.clock >= recorder.origin + (col + 1) * level.ns


def _level(recorder: Recorder, track: Track, head: Head) -> list[Frame]:
    level = track.history.levels[head.res]
    first = max(level.sent, level.tail)
    frames: list[Frame] = []
    if level.head - first >= _MOST_TICKS or sum(map(len, level.fresh)) > _MOST_IN_TICK:
        frames = [Frame(True, f) for f in _runs(recorder, track, head, first, GAP_FILL)]
        trades, first = np.zeros(0, TRADE_RECORD), level.head
    else:
        trades = np.concatenate(level.fresh) if level.fresh else np.zeros(0, TRADE_RECORD)
        if len(trades) > 1 and (head.res or len(trades) > _MOST_PRINTS):
            trades = merge_trades(trades)
    ofi = (max(level.ofi_sent, level.final - _MOST_OFI), level.final)
    for col in range(min(first, level.head), level.head + 1):
        newest = col == level.head
        column = _column(recorder, track, head.res, col, ofi if newest else (level.final, level.final))
        mine = trades if newest else trades[:0]
        keep = bool(column.flags & CLOSED) or len(mine) > 0 or len(column.ofi) > 0
        frames.append(Frame(keep, tick_frame(head, column, mine)))
    return frames


def _column(recorder: Recorder, track: Track, res: int, col: int, ofi: tuple[int, int]) -> Column:
    level, last = track.history.levels[res], track.history.last
    base, bid, ask, bid_size, ask_size, cvd, imbalance, flags = level.scalars(col)
    # The finest newest column goes out exactly as it was read; the others as they are kept.
    exact = res == 0 and col == level.head and last is not None
    size = last.size if exact and last is not None else dequantise(level.row(col), track.unit)
    if _closed(recorder, level, col):
        flags |= CLOSED
    return Column(
        col, base, bid, ask, bid_size, ask_size, cvd, imbalance, flags, size, ofi[0], level.ofi(*ofi)
    )  # fmt: skip


def _runs(recorder: Recorder, track: Track, head: Head, first: int, flags: int) -> list[bytes]:
    """HIST frames of columns `first` to the newest, newest chunk first."""
    level = track.history.levels[head.res]
    flags |= HIST_REPLAY if recorder.flags & REPLAY else 0
    frames = []
    end = level.head
    while True:
        start = max(first, end - CHUNK + 1)
        done = start <= first
        run = level.run(start, end)
        frames.append(hist_frame(head, track.unit, run, flags | (LAST_CHUNK if done else 0)))
        if done:
            return frames
        end = start - 1


def encode_fill(recorder: Recorder, head: Head, cols: int, since: int | None) -> list[bytes]:
    """HIST frames that bring a client up to date.

    Parameters
    ----------
    head : Head
        Whose, when and at which resolution.
    cols : int
        Columns wanted at most.
    since : int or None
        First column missing; None for everything (the client empties what it has).

    Returns
    -------
    list of bytes
        Newest chunk first; the last carries LAST_CHUNK. One empty chunk where there is nothing.
    """
    track = recorder.tracks[head.symbol]
    level = track.history.levels[head.res]
    if level.head < 0:
        return [hist_frame(head, track.unit, level.run(0, -1), LAST_CHUNK)]
    first = max(level.tail, level.head - cols + 1)
    if since is None:
        return _runs(recorder, track, head, first, 0)
    return _runs(recorder, track, head, min(max(first, since), level.head), GAP_FILL)
