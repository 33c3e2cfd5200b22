"""What spares the kernels work gives what the plain way gives."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from depthscope.book.state import C_TRACE_OF
from depthscope.detectors.usual import READINGS, put_in_order
from depthscope.engine import Engine
from depthscope.features.components import OFTEN, Components
from depthscope.features.driver import BLOCK_ROWS
from depthscope.features.kit import INFO, tick_below
from depthscope.features.registry import all_features
from depthscope.market.events import LAST
from depthscope.market.layouts import TRACE_FLOW, TRACE_TRADES
from depthscope.runtime.models import default_model
from tests.engine.harness import run
from tests.strategies.streams import seeded_stream

FIXED = st.integers(-(2**62), 2**62)


@given(FIXED, st.integers(1, 10**12))
@example(4_806_750_000_000, 250_000_000)  # on the grid
@example(4_806_749_999_999, 250_000_000)
@example(-1, 250_000_000)
@example(2**62, 1)  # more than float64 tells apart
def test_ticks_below_a_price_without_division(price: int, tick: int) -> None:
    info = np.zeros(1, INFO)
    info["tick_fixed"], info["per_tick"] = tick, 1.0 / tick
    assert tick_below(price, info[0]) == price // tick


@given(st.lists(st.integers(0, 40), min_size=1, max_size=3 * READINGS))
def test_readings_stay_in_order(values: list[int]) -> None:
    readings, order = np.zeros(READINGS), np.zeros(READINGS, np.int64)
    for n, value in enumerate(values):
        readings[n % READINGS] = value
        put_in_order(order, readings, n % READINGS)
        assert sorted(order.tolist()) == list(range(READINGS))
        assert readings[order].tolist() == sorted(readings.tolist())


def test_rows_are_listed_for_those_who_ask_for_few() -> None:
    """Every list holds the rows of the block that match its mask, in order, and no other."""
    stream = seeded_stream(3, 6_000, 2)
    engine = Engine(stream.resolve, every="1s", features=None, detectors=None)
    components = engine._components
    assert engine._books.context[C_TRACE_OF] == components.traced
    masks = components.picks["mask"][1:].tolist()
    assert TRACE_TRADES in masks
    assert any(mask & TRACE_FLOW for mask in masks)
    assert not any(mask & OFTEN for mask in masks)
    seen = 0
    for event in range(0, len(stream.events), 400):  # fewer than a block's rows: the last block is looked at
        engine.process(stream.events[event : event + 400])
        n = int(components.picks["n"][0])
        assert n <= BLOCK_ROWS
        rows = engine._books.trace[:n]
        bits = np.left_shift(1, rows["action"].astype(np.int64) & 31)
        bits |= np.where((rows["ofi"] != 0) & (rows["last"] != 0), TRACE_FLOW, 0)
        for k, mask in enumerate(masks, 1):
            listed = components.picked[k - 1][: components.picks["n"][k]]
            assert listed.tolist() == np.flatnonzero(bits & mask).tolist()
            seen += len(listed)
    assert seen > 100


def test_bytes_that_look_like_actions_are_none() -> None:
    """Lists go by the lowest five bits of an action: others with the same bits change nothing."""
    stream = seeded_stream(4, 3_000, 2)
    model = default_model("1s")
    extra = stream.events[5::40].copy()
    extra["flags"], extra["order_id"], extra["aux"] = LAST, 0, 7
    tables = []
    for letters in (b"?", b"strx348\x13\x12"):
        actions = np.resize(np.frombuffer(letters, np.uint8), len(extra))
        extra["action"] = actions
        whole = np.insert(stream.events, np.arange(6, len(stream.events) + 1, 40)[: len(extra)], extra)
        engine = Engine(stream.resolve, every="100ms", detectors=None, signal=lambda _: model)
        tables.append(run(engine, whole))
    one, other = tables
    assert len(one.detections) > 20
    assert one.detections.tobytes() == other.detections.tobytes()
    assert [line.tobytes() for line in one.columns.values()] == [
        line.tobytes() for line in other.columns.values()
    ]


def test_longer_windows_keep_what_they_hold() -> None:
    """A ring that has gone round is moved in two pieces; every other ring stays as it is."""
    components = Components(tuple(f for f in all_features() if f.name == "volume_profile"), 10**9)
    components.add(next(iter(seeded_stream(1, 10, 1).instruments.values())))
    trades = components.states[0][0]["trades"]
    components.grow_ring(0, 0, 0)
    components.grow_ring(0, 0, 1)  # another ring behind it
    first, cap = int(trades["first"]), int(trades["cap"])
    trades["tail"], trades["head"] = 3 * cap - 5, 4 * cap - 5  # full, and past the end
    numbers = np.arange(3 * cap - 5, 4 * cap - 5)
    components.rings[first + numbers % cap, 0] = numbers
    other = components.states[0][0]["session_cells"]
    components.rings[int(other["first"]) : int(other["first"]) + int(other["cap"])] = 7
    components.grow_ring(0, 0, 0)
    assert int(trades["cap"]) == 2 * cap
    place = int(trades["first"]) + numbers % (2 * cap)
    assert components.rings[place, 0].tolist() == numbers.tolist()
    assert (components.rings[int(other["first"]) : int(other["first"]) + int(other["cap"])] == 7).all()
