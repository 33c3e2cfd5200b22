"""Frames: exact bytes, shared with the page's decoder through golden_frames.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthscope.web.history import Run
from depthscope.web.stream import (
    CLOSED,
    GAP_FILL,
    HIST_REPLAY,
    INCOMPLETE,
    LAST_CHUNK,
    LOG_K,
    NO_TICK,
    NOT_LIVE,
    REPLAY,
    TRADE_RECORD,
    Column,
    Head,
    dequantise,
    hist_frame,
    merge_trades,
    quantise,
    tick_frame,
)
from tests.web.frames import decode, plain, sizes

GOLDEN = Path(__file__).with_name("golden_frames.json")
NAN = float("nan")


def trades(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(list(rows), TRADE_RECORD)


def golden() -> list[dict[str, object]]:
    """Frames of every kind: ordinary, empty, extreme."""
    f4 = np.float32
    ordinary = Column(
        18240, 19250, 19257, 19258, 12.0, 9.0, -120.5, 0.142857149, CLOSED | REPLAY,
        np.array([0, 3, 12.5, 0, 9, 1e6], f4), 18238, np.array([31, -4.25], f4),
    )  # fmt: skip
    prints = trades((18239, 19257, 0.0, 2, 41, 2, 0, 1), (18240, 19257, 0.5, 0.001, 42, 1, 1, 1))
    blank = Column(
        0, -100, NO_TICK, NO_TICK, 0, 0, 0, NAN, NOT_LIVE | INCOMPLETE, np.zeros(0, f4), 0, np.zeros(0, f4)
    )
    edge = Column(
        2**32 - 1, -(2**31) + 2, 2**31 - 2, NO_TICK, 3.4e38, 0, 1e300, -1, CLOSED,
        np.array([1e-6], f4), 2**32 - 1, np.array([NAN], f4),
    )  # fmt: skip
    run = Run(
        600, np.array([1.5, -2, 0]), np.array([10, 10, 12], "i4"), np.array([11, NO_TICK, 13], "i4"),
        np.array([12, 12, NO_TICK], "i4"), np.array([0.5, NAN, -1], f4), np.array([3, 0, NAN], f4),
        quantise(np.array([[0, 1, 2], [1000, 0, 123456789], [2.0**41, 5, 7]])),
        trades((601, 11, 0.25, 7, 9, 0, 0, 70_000 % 65_536)),
    )  # fmt: skip
    none = Run(
        0, np.zeros(0), *(np.zeros(0, "i4") for _ in range(3)), *(np.zeros(0, f4) for _ in range(2)),
        np.zeros((0, 200), "<u2"), trades(),
    )  # fmt: skip
    last_print = trades((2**32 - 1, -5, 0.0, 3e38, 2**32 - 1, 0, 0, 65535))
    flags = LAST_CHUNK | GAP_FILL | HIST_REPLAY
    frames = {
        "tick": tick_frame(Head(3, 912, 0, 1703459100123.25), ordinary, prints),
        "tick of a book that is not live": tick_frame(Head(0, 1, 2, 0.0), blank, trades()),
        "tick at the limits": tick_frame(Head(65535, 2**32 - 1, 1, 9e15), edge, last_print),
        "history": hist_frame(Head(3, 913, 1, 1703459100200.0), 0.001, run, flags),
        "empty history": hist_frame(Head(1, 5, 2, 1.0), 1.0, none, LAST_CHUNK),
    }
    return [
        {"name": name, "hex": data.hex(), "decoded": plain(decode(data))} for name, data in frames.items()
    ]


def test_frames_are_the_golden_bytes() -> None:
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == json.loads(json.dumps(golden())), (
        "the frames differ from golden_frames.json: a change of layout needs a new version byte, "
        "docs/STREAM.md and the page's decoder; then run python -m tests.web.test_frames"
    )


def test_the_decoder_reads_what_was_meant() -> None:
    tick, blank, edge, hist, empty = (f["decoded"] for f in golden())
    assert (tick["version"], tick["symbol"], tick["seq"], tick["server_ms"]) == (1, 3, 912, 1703459100123.25)
    assert (tick["col"], tick["base_tick"], tick["bid"], tick["ask"], tick["cvd"]) == (
        18240,
        19250,
        19257,
        19258,
        -120.5,
    )
    assert tick["size"] == [0, 3, 12.5, 0, 9, 1e6]
    assert (tick["ofi_first"], tick["ofi"]) == (18238, [31, -4.25])
    assert tick["trades"][1] == {
        "col": 18240, "tick": 19257, "tick_fraction": 0.5, "size": pytest.approx(0.001), "trade_seq": 42,
        "side": 1, "flags": 1, "count": 1,
    }  # fmt: skip
    assert (blank["bid"], blank["ask"], blank["imbalance"], blank["size"]) == (NO_TICK, NO_TICK, None, [])
    assert edge["col"] == edge["seq"] == 2**32 - 1
    assert hist["flags"] == LAST_CHUNK | GAP_FILL | HIST_REPLAY | 1 << 8
    assert hist["ofi"] == [3, 0, None]
    assert hist["q"][0] == 0
    assert hist["q"][6] == 65535, "more than 2**40 lots saturate"
    assert empty["nCols"] == 0


def test_history_sizes_come_back() -> None:
    hist = decode(bytes.fromhex(str(golden()[3]["hex"])))
    assert sizes(hist)[1] == pytest.approx([1.0, 0.0, 123456.789], rel=4.3e-4)


@given(st.integers(1, 2**40))
def test_quantisation_keeps_its_promise(lots: int) -> None:
    q = quantise(np.array([0, lots]))
    assert q[0] == 0
    assert q[1] >= 1
    assert dequantise(q, 1.0)[1] == pytest.approx(lots, rel=4.3e-4)
    assert np.float32(LOG_K) == LOG_K, "what the frame says must be what was used"


def test_quantisation_is_monotonic_and_never_loses_a_lot() -> None:
    lots = np.concatenate([np.arange(0, 5000), np.logspace(4, 12, 5000)])
    q = quantise(lots).astype(int)
    assert (np.diff(q) >= 0).all()
    assert q[1] >= 1
    assert quantise(np.array([1e-6]))[0] == 1, "a fraction of a lot is still something"


rows = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(-2, 2),
        st.sampled_from([0.0, 0.5]),
        st.integers(1, 50),
        st.integers(0, 2),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(rows)
def test_merging_keeps_volume_and_counts(given_rows: list[tuple[int, int, float, int, int]]) -> None:
    given_rows.sort(key=lambda r: r[0])
    records = trades(*[(c, t, f, s, k, side, 0, 1) for k, (c, t, f, s, side) in enumerate(given_rows)])
    merged = merge_trades(records)
    expected: dict[tuple[float, ...], list[float]] = {}
    for c, t, f, s, side in given_rows:
        total = expected.setdefault((c, t, f, side), [0, 0])
        total[0] += s
        total[1] += 1
    found = {
        (r["col"], r["tick"], r["fraction"], r["side"]): [float(r["size"]), int(r["count"])] for r in merged
    }
    assert found == expected
    assert list(merged["col"]) == sorted(merged["col"])


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n", encoding="utf-8")
