"""Levels wider than a tick, where 200 ticks are a sliver of the price; and the exact ticks beside them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.web.history import History, Level, Sample
from depthscope.web.recorder import Recorder, Track
from depthscope.web.stream import BOOK, NO_TICK, Head, book_frame, dequantise, quantise
from tests.web.clients import page, wait_open
from tests.web.conftest import make_session, serving
from tests.web.frames import sizes
from tests.web.market import COIN

LEVELS = 200


@pytest.fixture
def track() -> Track:
    return Track(4, COIN, History(0, LEVELS, ((50, 8),)))


def sample(base: int, lots: list[float], row: int) -> Sample:
    size = np.array(lots, "<f4")
    return Sample(base, 0, row, 0.0, 0.0, 0.0, 0.0, 0, size, quantise(size), row)


@pytest.mark.parametrize(
    ("price", "row"),
    [(19_258, 1), (66_666, 1), (66_667, 2), (265_000, 5), (616_600, 10), (3, 1), (-616_600, 10)],
)
def test_a_column_spans_three_thousandths_of_the_price(price: int, row: int, track: Track) -> None:
    recorder = Recorder(LEVELS)
    assert recorder._row(track, price, price + 1) == row
    assert recorder._row(track, 10 * price, 10 * price + 1) == row, "the grid of a history never changes"
    assert recorder.rows == {track.id: row}


def test_one_side_is_enough_and_none_settles_nothing(track: Track) -> None:
    recorder = Recorder(LEVELS)
    assert recorder._row(track, NO_TICK, NO_TICK) == 1 and recorder.rows == {}
    assert recorder._row(track, NO_TICK, 616_600) == 10


@given(
    mid=st.integers(-(2**31) + 2, 2**31 - 3),
    row=st.sampled_from([1, 2, 5, 10, 50, 1000]),
    old=st.none() | st.integers(-(2**31) + 2, 2**31 - 3),
)
def test_windows_start_at_whole_levels_and_hold_the_mid(mid: int, row: int, old: int | None) -> None:
    recorder = Recorder(LEVELS)
    base = recorder._window(old, mid, mid, row)
    assert base % row == 0
    assert base > -(2**31) and base + LEVELS * row < 2**31
    if abs(mid) < 2**31 - LEVELS * row:
        assert base <= mid < base + LEVELS * row
    assert recorder._window(base, mid, mid, row) == base or abs(mid) > 2**31 - LEVELS * row


def test_coarse_columns_are_aligned_by_levels() -> None:
    level = Level(250, 8, 4, finest=False)
    level.write(1, 1, sample(100, [1, 2, 3, 4], 10))
    level.write(1, 1, sample(120, [1, 9, 0, 5], 10))
    assert np.rint(dequantise(level.row(1), 1.0)).tolist() == [3, 9, 0, 5]
    assert level.scalars(1)[0] == 120


def test_the_book_frame_is_what_the_document_says() -> None:
    size = np.array([0, 1.5, 3e6], "<f4")
    frame = book_frame(Head(3, 2**32 + 7, 0, 12.5), 99, -40, -39, NO_TICK, 9, size)
    assert struct.unpack_from("<BBHId", frame) == (BOOK, 1, 3, 7, 12.5)
    assert struct.unpack_from("<IiiiHH", frame, 16) == (99, -40, -39, NO_TICK, 3, 9)
    assert np.frombuffer(frame, "<f4", offset=36).tolist() == size.tolist()


@pytest.mark.anyio
async def test_the_exact_ticks_follow_the_columns() -> None:
    with serving(make_session(speed=1.0)) as address:
        wait_open(address)
        async with page(address) as p:
            await p.until("hello")
            await p.subscribed(1)
            await p.read_for(0.5)
            hello = next(m for m in reversed(p.texts) if m["t"] == "hello")
            row = hello["symbols"][1]["row"]
            assert (hello["symbols"][0]["row"], row) == (1, 5)
            assert len(p.books) > 3
            await p.send(cmd="pause")
            await p.until("session", state="paused")
            p.books.clear()
            column = (await p.subscribed(1))[0]  # newest chunk first
            await p.read_for(0.3)
            book = p.books[-1]  # a paused market sends no TICK: the exact ticks come with the fill
            assert (book["symbol"], book["col"]) == (1, column["first"] + column["nCols"] - 1)
            assert (book["bid"], book["ask"]) == (column["bid"][-1], column["ask"][-1])
            level = sizes(column)[-1]
            start = -(-book["base_tick"] // row) * row
            compared = 0
            for tick in range(start, book["base_tick"] + len(book["size"]) - row, row):
                k = (tick - column["base"][-1]) // row
                if 0 <= k < len(level):
                    exact = sum(book["size"][tick - book["base_tick"] :][:row])
                    assert exact == pytest.approx(level[k], rel=1e-3, abs=1e-9)
                    compared += 1
            assert compared > 25
