"""Level lists read in runs: what is written where, and never of another opinion than the slow path."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthscope.market import events as ev
from depthscope.venues import binance_json as j
from depthscope.venues import binance_layout as b
from depthscope.venues.binance_decoder import MOST_BYTES, Decoder
from depthscope.venues.binance_levels import plain_rows
from depthscope.venues.lines import PADDING
from tests.venues.binance_feed import MS, NS, depth, snapshot

# Each case is made from a number, which is what a failure prints. Those of many long cases are not traced:
# what they call is called by short ones too.
SEEDS = st.integers(0, 2**64 - 1)
LOTS = [10**k for k in range(10)] + [3, 250, 5 * 10**8, 10**10]
ODD = [
    "[]", "{}", '"1.5"', "1.5", '["1.5"]', '["1.5",""]', '["","1"]', '["-1.5","1"]', '["1.5","-1"]',
    '["1e5","1"]', '["1.5","1E2"]', '["+1.5","1"]', '[".5","1"]', '["5.","1"]', '["1.5","1."]',
    '["1..5","1"]', '["1,5","1"]', '["1 ","1"]', '[" 1","1"]', '["1_0","1"]', '["1.5",1]', '[1.5,"1"]',
    '["1.5",null]', '["1.5","1","0"]', '["1.5","1",[]]', '["0.00","1"]', '["0","1"]',
    '["00061.50","0001.000"]', '["\\u0031.5","1"]', '["1.5","\\u0031"]', '["१.५","1"]', '["1.5" , "1"]',
    '[ "1.5","1" ]', '["1.5","1"\t]', '["9223372036.854775807","1"]', '["9223372036.854775806","1"]',
    '["9999999999.5","1"]',
    '["1.5","99999999999999999999"]', '["1.5","1000000000000000"]', '["1.5","1000000000000001"]',
    '["1.0000000001","1"]', '["1.5","1.0000000001"]', '["1.5":"1"]', '["1.5""1"]', '["1.5","1"',
    '"1.5","1"]', '["1.5","1"]]', '["/.5","1"]', '["1.:","1"]',
]  # fmt: skip


def digits(rng: random.Random, whole: int, decimals: int) -> str:
    """A decimal with so many places, zeros in front among them."""
    text = f"{rng.randrange(10 ** (whole + decimals)):0{whole + decimals}}"
    return f"{text[:whole]}.{text[whole:]}" if decimals else text


def run_of_levels(rng: random.Random) -> list[str]:
    """A few levels, of which all have as many decimals and some a length of their own."""
    usual = rng.random() < 0.7
    whole, decimals = rng.randint(*((4, 6) if usual else (1, 9))), rng.randint(0, 3 if usual else 9)
    most, size_decimals = (5, rng.choice((0, 1, 3, 3, 3, 8))) if usual else (9, rng.randint(0, 9))
    found = []
    for _ in range(rng.randint(1, 9)):
        if rng.random() < 0.15:
            whole = max(1, whole + rng.choice((-1, 1)))
        price, size = digits(rng, whole, decimals), digits(rng, rng.randint(1, most), size_decimals)
        found.append(f'["{price}","{size}"]')
    return found


def list_of_levels(rng: random.Random, oddness: float) -> str:
    """Text of a level list; `oddness` is how likely a level is replaced by something else."""
    levels = [level for _ in range(rng.randint(0, 4)) for level in run_of_levels(rng)]
    levels = [rng.choice(ODD) if rng.random() < oddness else level for level in levels]
    spaces = rng.choice(("", "", "", " ", "\t")) if oddness else ""
    glue = [spaces + "," + rng.choice(("", spaces)) for _ in levels]
    return "[" + "".join(x for pair in zip(levels, glue, strict=True) for x in pair)[:-1].rstrip(",") + "]"


def update(rng: random.Random, last: int, oddness: float = 0.0) -> bytes:
    """A depth update that follows id `last`."""
    empty = depth(last + 1, last + 2, last)
    lists = [list_of_levels(rng, oddness).encode() for _ in "ba"]
    return empty.replace(b'"b":[],"a":[]', b'"b":' + lists[0] + b',"a":' + lists[1])


def damage(rng: random.Random, frame: bytes) -> bytes:
    """One to three small damages."""
    data = bytearray(frame)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        what = rng.randrange(5)
        if what == 0:
            data[at] = rng.choice(b'"[],.:0123456789 -eE\\\x00\n\r/\xb0\xff')
        elif what == 1:
            del data[at : at + rng.randint(1, 12)]
        elif what == 2:
            data[at:at] = data[at : at + rng.randint(1, 30)]
        elif what == 3:
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at:at] = bytes(rng.choice(b'"[],.0 ') for _ in range(rng.randint(1, 3)))
        if not data:
            return b"{"
    return bytes(data)


class Both:
    """A decoder that scans and one that does not, given the same."""

    def __init__(self, lot: int, capacity: int = 256) -> None:  # small: many are made
        options: dict[str, Any] = {"tick": 1, "lot": lot, "only_symbol": "BTCUSDT", "capacity": capacity}
        self.fast, self.slow = Decoder(**options), Decoder(**options, fast=False)
        self.last = 0
        self.renew()

    def renew(self) -> None:
        """Give both a fresh book."""
        self.last += 10
        self.step(snapshot(self.last))

    def step(self, frame: bytes) -> Any:
        """Events of a frame, of which both must think the same."""
        found = []
        for decoder in (self.fast, self.slow):
            decoder.step(frame, NS)
            said = decoder.skipped, decoder.rejected, decoder.requests, decoder.state("BTCUSDT")
            found.append((decoder.take(), said))
        assert found[0][1] == found[1][1], frame
        assert found[0][0].tobytes() == found[1][0].tobytes(), frame
        return found[0][0]

    def follow(self, frame: bytes) -> bool:
        """Give both an update made for `last`; whether the book outlived it."""
        self.step(frame)
        alive = self.fast.state("BTCUSDT") == "LIVE"
        self.last = int(self.fast.table.columns[0, b.S_LAST])
        if not alive:
            self.last += 10
            self.renew()
        return alive


@pytest.mark.untraced
@settings(max_examples=300)
@given(seed=SEEDS)
def test_runs_that_change_in_the_middle(seed: int) -> None:
    rng = random.Random(seed)
    both = Both(rng.choice(LOTS), rng.choice((1, 2, 5, 16_384)))
    for _ in range(6):
        both.follow(update(rng, both.last))


@pytest.mark.untraced
@settings(max_examples=300)
@given(seed=SEEDS)
def test_odd_levels_between_plain_ones(seed: int) -> None:
    rng = random.Random(seed)
    both = Both(rng.choice(LOTS))
    for _ in range(8):
        both.follow(update(rng, both.last, rng.choice((0.02, 0.1, 0.5))))


@pytest.mark.parametrize("level", ODD)
@pytest.mark.parametrize("before", ['["61800.50","1.500"]', '["61800","1"]', '["1.5","1"]', ""])
def test_every_odd_level_behind_a_run(level: str, before: str) -> None:
    both = Both(10**6)
    lists = [before] * 3 if before else []
    for after in ([], [before or '["2.5","2"]']):
        text = ",".join([*lists, level, *after]).encode()
        frame = depth(both.last + 1, both.last + 2, both.last)
        both.follow(frame.replace(b'"b":[]', b'"b":[' + text + b"]"))


@pytest.mark.untraced
@settings(max_examples=300)
@given(seed=SEEDS)
def test_damaged_messages(seed: int) -> None:
    rng = random.Random(seed)
    both = Both(rng.choice(LOTS))
    for _ in range(20):
        both.follow(damage(rng, update(rng, both.last)))


@settings(max_examples=40)
@given(seed=SEEDS)
def test_a_message_cut_at_any_byte_says_nothing(seed: int) -> None:
    rng = random.Random(seed)
    both = Both(10**6)
    frame = update(rng, both.last)
    for size in range(len(frame) - 1, -1, -1):  # downwards, so that the rest lies behind in the scratch text
        assert not len(both.step(frame[:size])), size
        assert both.fast._scan_frame(frame[:size], NS) == b.UNSURE, size
        assert not both.fast._scratch[size : size + PADDING].any(), size
    assert len(both.step(frame))


@settings(max_examples=40)
@given(seed=SEEDS)
def test_a_line_cut_at_any_byte_is_left_alone(seed: int) -> None:
    rng = random.Random(seed)
    both = Both(1)
    frame = update(rng, both.last)
    whole = f"{NS} ".encode() + frame + b"\n"
    for size in range(len(whole) - 2, 0, -1):
        text = np.frombuffer(whole[:size] + b"\n" + whole + bytes(PADDING), np.uint8)
        position, answer = both.fast.lines(text, 0, len(text) - PADDING, b.NANOS, NS)
        assert (position, answer, both.fast.out.n) == (0, b.UNSURE, 0), size


@settings(max_examples=100)
@given(seed=SEEDS)
def test_lines_and_messages_are_read_alike(seed: int) -> None:
    rng = random.Random(seed)
    lot, capacity = rng.choice(LOTS), rng.choice((2, 100, 16_384))
    one, other = Both(lot, capacity).fast, Both(lot, capacity).fast
    frame = update(rng, 10, rng.choice((0, 0, 0.05)))
    text = np.frombuffer(f"{NS} ".encode() + frame + b"\n" + bytes(PADDING), np.uint8)
    answer = b.ROOM
    while answer == b.ROOM:
        position, answer = one.lines(text, 0, len(text) - PADDING, b.NANOS, NS)
    scanned = other._scan_frame(frame, NS)
    assert (answer, position) == ((scanned, len(text) - PADDING) if scanned == b.DONE else (b.UNSURE, 0))
    assert one.take().tobytes() == other.take().tobytes()


@pytest.mark.parametrize("size_decimals", range(8))
@pytest.mark.parametrize("decimals", range(5))
def test_what_the_venue_writes_is_scanned(decimals: int, size_decimals: int) -> None:
    rng = random.Random(10 * decimals + size_decimals)
    for _ in range(20):
        both = Both(10 ** (9 - size_decimals))
        sides = [
            [
                (digits(rng, rng.randint(2, 6), decimals).replace("0", "1"), digits(rng, 3, size_decimals))
                for _ in range(rng.randint(1, 30))
            ]
            for _ in "ba"
        ]
        assert both.fast._scan_frame(depth(both.last + 1, both.last + 2, both.last, *sides), NS) == b.DONE
        events = both.fast.take()
        levels = [*sides[0], *sides[1]]
        scale = 10 ** (9 - decimals)
        assert events["price"].tolist() == [int(price.replace(".", "")) * scale for price, _ in levels]
        assert events["size"].tolist() == [int(size.replace(".", "")) for _, size in levels]
        assert events["side"].tobytes() == b"B" * len(sides[0]) + b"A" * len(sides[1])


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 100_000, MOST_BYTES])
def test_a_message_of_any_length_is_copied_whole(size: int) -> None:
    both = Both(10**6)
    frame = depth(both.last + 1, both.last + 2, both.last, [["61800.50", "1.500"]] * 50)
    at = frame.index(b'"a"')
    longer = frame[:at] + b" " * (size - len(frame)) + frame[at:]
    assert len(longer) == size
    assert len(both.step(longer)) == 50
    assert both.fast._state[b.H_LONGEST] >= size
    assert not both.fast.rejected


def test_rows_end_where_the_buffer_does() -> None:
    """A run stops at the last row there is room for; nothing lies behind it."""
    for capacity in range(1, 12):
        decoder = Decoder(tick=1, lot=10**6, only_symbol="BTCUSDT", capacity=capacity)
        decoder.step(snapshot(1), NS)
        decoder.take()
        buffer = decoder.out.buffer
        guarded = np.full((capacity + 3, 8), -7, np.int64)
        buffer._told[b.P_ROWS] = guarded.ctypes.data
        frame = depth(1, 2, 1, [["61800.50", "1.500"]] * 5, [["61900.50", "2.500"]] * 4)
        result = decoder._scan_message(buffer.place, frame, NS, 0)
        assert result & 3 == (b.DONE if capacity >= 9 else b.ROOM)
        assert (guarded[min(capacity, 9) :] == -7).all()
        assert (guarded[: min(capacity, 9), 1] == NS).all()


# ── snapshots ──


@pytest.mark.untraced
@settings(max_examples=300)
@given(seed=SEEDS)
def test_snapshots_in_the_usual_form_and_not(seed: int) -> None:
    rng = random.Random(seed)
    both = Both(rng.choice(LOTS))
    for k in range(6):
        lists = [list_of_levels(rng, rng.choice((0, 0, 0.05))).encode() for _ in "ba"]
        body = snapshot(1_000 + k).replace(b'"bids":[]', b'"bids":' + lists[0])
        both.step(body.replace(b'"asks":[]', b'"asks":' + lists[1]))


@settings(max_examples=200)
@given(seed=SEEDS)
def test_plain_rows_are_those_of_the_slow_reading_or_none(seed: int) -> None:
    rng = random.Random(seed)
    lot = rng.choice(LOTS)
    decoder = Both(lot).fast
    text = f"[{list_of_levels(rng, 0.02)},{list_of_levels(rng, 0.02)}]"
    try:
        sides = tuple(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return
    if len(sides) != 2:
        return
    rows = plain_rows(sides, decoder._state, 0, b.pack7(1, 0, 0, ev.SNAPSHOT))
    if rows is not None:
        assert rows.tobytes() == j.level_rows(sides, lot, 1, 1, ev.SNAPSHOT).tobytes()


@pytest.mark.parametrize(
    "side",
    [
        None, "x", 5, {}, [None], [[]], [["1"]], [["1", "2", "3"]], [[1, 2]], [["1", 2]], [["", ""]],
        [[[["1"]]]], [["1", "2"], {}], [["0", "1"]], [["1", "0.5"]],
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_list_of_levels_has_no_plain_rows(side: Any) -> None:
    state = Both(10**9).fast._state
    good = [["1.5", "2"]]
    assert plain_rows((side, good), state, 0, 0) is None
    assert plain_rows((good, side), state, 0, 0) is None
    rows = plain_rows((good, good), state, 0, b.pack7(1, 0, 0))
    assert rows is not None
    assert rows.tobytes() == j.level_rows((good, good), 10**9, 1, 1).tobytes()


def test_lists_deeper_than_can_be_written_have_no_plain_rows() -> None:
    side: list[Any] = []
    for _ in range(100_000):
        side = [side]
    assert plain_rows((side, []), Both(10**9).fast._state, 0, 0) is None


def test_a_snapshot_of_a_thousand_levels_takes_the_short_way() -> None:
    levels = [[f"{60_000 + k}.{k % 10}0", f"{k}.{k:03}"] for k in range(1_000)]
    decoder = Both(10**6).fast
    rows = plain_rows((levels, levels), decoder._state, 0, 0)
    assert rows is not None and len(rows) == 2_000
    decoder.step(snapshot(5_000, levels, levels), NS, None)
    events = decoder.take()
    assert len(events) == 2_001
    assert events["price"][1:1_001].tolist() == [(60_000 + k) * 10**9 + k % 10 * 10**8 for k in range(1_000)]
    assert set(events["ts_event"].tolist()) == {MS * 1_000_000}
