"""What a live Binance session counts of each stream: when it last spoke, how often, how late, how whole.

One row of integers a symbol and stream, written by a kernel after each message, of fixed size however
long the session runs.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types

from depthscope.jit import carray, direct, kernel, pointer
from depthscope.venues import binance_layout as b

STREAMS: Final = ("", "depth", "trade", "aggTrade", "bookTicker", "markPrice")  # by H_KIND
KINDS: Final = len(STREAMS)

# Columns of a row. Times are ns; W_FIRST is the first message since the stream last began.
W_COUNT, W_LAST, W_FIRST, W_SINCE = 0, 1, 2, 3  # messages; receive times; messages since it began
W_ID, W_SEEN, W_TIME = 4, 5, 6  # newest id, bits of the 63 before it, its venue time
W_MISSED, W_REPEATED = 7, 8  # trades whose id never came; messages that came before
W_LONGEST, W_BEFORE = 9, 10  # longest interval of this hour, and of the last one
W_AHEAD = 11  # most a venue time was ahead of its receive time
W_MINUTE, W_USUAL = 12, 13  # messages of this minute; of a usual minute, times 1024
W_SLOW, W_MINUTES = 14, 15  # whether a warning stands; whole minutes seen since it began
W_RING: Final = 16
RING: Final = 64  # newest intervals
W_LAGS: Final = W_RING + RING
LAGS: Final = 64  # 0: venue time ahead; then four to an octave from 65 µs to 7.5 s
COLUMNS: Final = W_LAGS + LAGS
LAG_SHIFT: Final = 16

NEW, REPEATED = 0, 1  # what `note` says of a message

SILENT_NS: Final = 4_900_000_000  # with a look every 100 ms, silence is told within 5 s
MEDIANS: Final = 20
LONGESTS: Final = 3
KNOWN_NS: Final = 30_000_000_000  # how long a stream is listened to before its silence means anything
KNOWN: Final = RING // 2
CHANGES: Final = 20  # of the best prices, after which depth must have spoken
SECOND: Final = 1_000_000_000
BUSY: Final = 300  # depth messages a minute that make their rate worth a warning
PACED: Final = 50  # mark prices a minute that do: one a second is what was asked for


@kernel(types.int64(types.int64, types.int64, types.int64))
def note(state_at: Any, watch_at: Any, ts_recv: Any) -> Any:
    """Count the message the scanner or the decoder took last.

    Parameters
    ----------
    state_at, watch_at : int
        Addresses of the decoder's int64[STATE] and of the rows, int64[:, COLUMNS].
    ts_recv : int
        Receive time, UTC ns.

    Returns
    -------
    int
        Its row times two, plus NEW or REPEATED; -1 when there was none.
    """
    state = carray(pointer(state_at), b.STATE, np.int64)
    kind = state[b.H_KIND]
    if kind == 0:
        return np.int64(-1)
    state[b.H_KIND] = 0
    place = (state[b.H_SYMBOL] - b.AT_SYMBOLS) // b.SYMBOL_COLUMNS * KINDS + kind
    w = carray(pointer(watch_at + place * (8 * COLUMNS)), COLUMNS, np.int64)
    when = state[b.H_TIME]
    if kind in (b.AGGREGATE_TRADE, b.SINGLE_TRADE, b.BOOK_TICKER):
        number = state[b.H_FINAL]
        if kind == b.AGGREGATE_TRADE:
            number = state[b.H_AGG_ID]
        elif kind == b.SINGLE_TRADE:
            number = state[b.H_ID]
        step = number - w[W_ID]
        if w[W_COUNT] == 0 or (step <= 0 and when > w[W_TIME]):  # the first, or numbered anew
            w[W_ID], w[W_SEEN], w[W_TIME] = number, 0, when
        elif step > 0:
            if kind != b.BOOK_TICKER:
                w[W_MISSED] += step - 1
                before = w[W_SEEN] << step if step < 64 else np.int64(0)
                w[W_SEEN] = before | (np.int64(1) << (step - 1) if step <= 64 else np.int64(0))
            w[W_ID], w[W_TIME] = number, max(when, w[W_TIME])
        else:
            bit = np.int64(1) << (-step - 1) if 0 < -step <= 64 else np.int64(0)
            if kind == b.BOOK_TICKER or bit == 0 or w[W_SEEN] & bit:
                w[W_REPEATED] += 1
                return 2 * place + REPEATED
            w[W_SEEN] |= bit
            w[W_MISSED] -= 1
    if w[W_SINCE] == 0:
        w[W_FIRST] = ts_recv
    else:
        interval = max(ts_recv - w[W_LAST], np.int64(0))
        w[W_RING + (w[W_SINCE] - 1) % RING] = interval
        w[W_LONGEST] = max(w[W_LONGEST], interval)
    w[W_COUNT] += 1
    w[W_SINCE] += 1
    w[W_MINUTE] += 1
    w[W_LAST] = ts_recv
    lag = ts_recv - when
    if lag < 0:
        w[W_LAGS] += 1
        w[W_AHEAD] = max(w[W_AHEAD], -lag)
    else:
        value = lag >> LAG_SHIFT
        octave = 0
        while value >= 8:
            value >>= 1
            octave += 1
        w[W_LAGS + min(1 + 4 * octave + value, LAGS - 1)] += 1
    return 2 * place + NEW


def lag_bound(bucket: int) -> int:
    """Ns that a lag counted in a bucket does not exceed (the last one holds all longer ones too)."""
    if bucket == 0:
        return 0
    k = bucket - 1
    octave = max(0, k // 4 - 1)
    return (k - 4 * octave + 1) << (LAG_SHIFT + octave)


class Watch:
    """The rows of all symbols.

    Attributes
    ----------
    rows : int64[symbols * KINDS, COLUMNS]
        Row ``index * KINDS + H_KIND``.
    """

    def __init__(self, symbols: int = 0) -> None:
        self.hold(symbols)
        self.note = direct(note)

    def hold(self, symbols: int) -> None:
        """Begin anew for so many symbols."""
        self.rows: npt.NDArray[np.int64] = np.zeros((max(1, symbols) * KINDS, COLUMNS), np.int64)
        self.at: int = self.rows.ctypes.data

    def load(self, rows: npt.NDArray[np.int64]) -> None:
        """Take the `rows` of another watch."""
        self.rows, self.at = rows, rows.ctypes.data

    def restart(self, place: int, now: int) -> None:
        """A stream begins anew (connected, subscribed or heard again): its silence means nothing yet."""
        self.rows[place, [W_SINCE, W_MINUTE, W_USUAL, W_SLOW, W_MINUTES]] = 0
        self.rows[place, W_LAST] = now

    def excuse(self, ns: int) -> None:
        """Nobody listened for so long: no stream was silent."""
        begun = self.rows[:, W_LAST] > 0
        self.rows[begun, W_LAST] += ns
        self.rows[begun, W_FIRST] += ns

    def silent(self, now: int) -> list[int]:
        """Rows of depth and mark price whose silence is longer than their own limit."""
        rows = self.rows
        quiet = np.nonzero((rows[:, W_SINCE] > KNOWN) & (now - rows[:, W_LAST] >= SILENT_NS))[0]
        return [
            place
            for place in quiet.tolist()
            if place % KINDS in (b.DEPTH_UPDATE, b.MARK_PRICE)
            and now - rows[place, W_LAST] >= self.limit(place)
        ]

    def contradicted(self) -> list[int]:
        """Rows of depth that said nothing for 5 s in which the best prices changed many times.

        Whatever changes the best prices changes the depth, so this needs no knowledge of how often either
        speaks.
        """
        depth, quotes = self.rows[b.DEPTH_UPDATE :: KINDS], self.rows[b.BOOK_TICKER :: KINDS]
        since = quotes[:, W_LAST] - depth[:, W_LAST]
        spoke = (depth[:, W_LAST] > 0) & (since >= SILENT_NS) & (quotes[:, W_SINCE] > CHANGES)
        found = []
        for index in np.nonzero(spoke)[0].tolist():
            n = int(quotes[index, W_SINCE]) - 1
            newest = [W_RING + k % RING for k in range(n - CHANGES, n)]
            if int(quotes[index, newest].sum()) < since[index] - SECOND:
                found.append(index * KINDS + b.DEPTH_UPDATE)
        return found

    def limit(self, place: int) -> int:
        """Ns of silence after which a stream counts as lost.

        At least 5 s, 20 median intervals and three times the longest of the last two hours, so that
        one with bursts and pauses is not taken for a dead one; without end while it is not known.
        """
        row = self.rows[place]
        if row[W_SINCE] <= KNOWN or row[W_LAST] - row[W_FIRST] < KNOWN_NS:
            return int(b.MOST_NS)
        longest = max(int(row[W_LONGEST]), int(row[W_BEFORE]))
        return max(SILENT_NS, MEDIANS * self.median(place), LONGESTS * longest)

    def median(self, place: int) -> int:
        """Median of the newest intervals, ns; 0 without any."""
        n = min(int(self.rows[place, W_SINCE]) - 1, RING)
        ordered = sorted(self.rows[place, W_RING : W_RING + n].tolist())
        return int(ordered[(n - 1) // 2] + ordered[n // 2]) // 2 if n > 0 else 0

    def minute(self) -> list[tuple[int, int, int]]:
        """Close a minute: (row, messages, usual) of streams that fell below half their rate or came back.

        Only streams with a pace of their own are judged: depth (up to ten a second) and mark price. `usual`
        is 0 for one that came back.
        """
        found: list[tuple[int, int, int]] = []
        for kind, floor in ((b.DEPTH_UPDATE, BUSY), (b.MARK_PRICE, PACED)):
            rows = self.rows[kind::KINDS]
            heard = rows[:, W_SINCE] > 0
            count, usual = rows[:, W_MINUTE].copy(), rows[:, W_USUAL] >> 10
            rows[:, W_MINUTE] = 0
            rows[heard, W_MINUTES] += 1
            whole = heard & (rows[:, W_MINUTES] > 1)  # the first one is not
            known = whole & (rows[:, W_MINUTES] > 3) & (usual >= floor)
            fell = known & (rows[:, W_SLOW] == 0) & (2 * count < usual)
            back = whole & (rows[:, W_SLOW] == 1) & (4 * count >= 3 * usual)
            rows[fell, W_SLOW], rows[back, W_SLOW] = 1, 0
            found += [
                (k * KINDS + kind, int(count[k]), int(usual[k]) if fell[k] else 0)
                for k in np.nonzero(fell | back)[0].tolist()
            ]
            weight = np.where(rows[:, W_MINUTES] == 2, 1, 16)
            step = ((count << 10) - rows[:, W_USUAL]) // weight
            rows[whole, W_USUAL] += step[whole]
        return found

    def hour(self) -> None:
        """Close an hour: old intervals and lags count less."""
        self.rows[:, W_BEFORE] = self.rows[:, W_LONGEST]
        self.rows[:, W_LONGEST] = 0
        self.rows[:, W_LAGS:] >>= 1

    def lag(self, place: int, share: float) -> int | None:
        """Quantile of receive minus venue time, ns (0 also where the venue was ahead); None without any."""
        counts = np.cumsum(self.rows[place, W_LAGS:])
        if not counts[-1]:
            return None
        return lag_bound(int(np.searchsorted(counts, share * counts[-1])))
