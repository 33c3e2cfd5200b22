"""The tape's features on the recordings: all rows against sums over whole arrays, taken by numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from depthscope.engine import Engine
from depthscope.market import events as ev
from depthscope.runtime.sources import open_source
from tests.engine.harness import MS, Table, run

pytestmark = pytest.mark.real_data

SECOND = 1_000 * MS
ES, BTC = FILES = ("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "binance/btcusdt_20240808.gz")
FEATURES = ["mid", "tape", "large_prints", "cvd_trend", "vpin", "realised_volatility"]
F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


class Recording:
    """A file's trades, and rows every 100 ms."""

    def __init__(self, path: Path) -> None:
        source = open_source(path)
        events = np.concatenate([chunk.copy() for chunk in source.chunks()])
        settings = {"vpin_bucket_volume": 25.0}
        self.table: Table = run(
            Engine(source.resolve, every=100 * MS, features=FEATURES, settings=settings), events
        )
        (self.instrument,) = source.instruments.values()
        self.lot = self.instrument.lot / 1e9
        # A trade's time is that of its group's end, and time never goes back.
        last = np.flatnonzero(events["flags"] & ev.LAST)
        ends = np.maximum.accumulate(events["ts_recv"][last])
        is_trade = (events["action"] == ev.TRADE) & (events["cond"] & ev.COND_NOT_VOLUME == 0)
        where = np.flatnonzero(is_trade)
        self.trades: Any = events[where]
        self.ts: I8 = ends[np.searchsorted(last, where)]
        side = self.trades["side"]
        self.sign: I8 = (side == ev.BID).astype(np.int64) - (side == ev.ASK)
        self.size: I8 = self.trades["size"]

    def window(self, values: I8, seconds: int) -> I8:
        """Sum of trades' values over [t - w, t) at each row."""
        total = np.concatenate([[0], np.cumsum(values)])
        rows = self.table.meta["ts"]
        first, last = (np.searchsorted(self.ts, edge, "left") for edge in (rows - seconds * SECOND, rows))
        found: I8 = total[last] - total[first]
        return found


@pytest.fixture(scope="module", params=FILES, ids=("es", "btc"))
def recording(request: pytest.FixtureRequest, data_dir: Path) -> Recording:
    return Recording(data_dir / request.param)


def close(got: F8, want: F8, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12)
    assert np.isfinite(got).sum() > 100


def test_windows(recording: Recording) -> None:
    r, columns = recording, recording.table.columns
    signed, told = r.sign * r.size, np.abs(r.sign)
    for seconds in (1, 5, 60):
        close(columns[f"delta_{seconds}s"], r.window(signed, seconds) * r.lot)
    with np.errstate(invalid="ignore"):
        for seconds in (10, 60):
            bought, sold = (r.window(r.size * (r.sign == sign), seconds) for sign in (1, -1))
            close(columns[f"buy_pressure_{seconds}s"], bought / (bought + sold))
    close(columns["trades_5s"], r.window(told, 5).astype(float))
    close(columns["tape_velocity"], r.window(np.ones_like(told), 5) / 5)
    word = np.digitize(columns["tape_velocity"], [10, 30, 60])
    np.testing.assert_array_equal(columns["tape_velocity_label"], word)
    bought, sold = (r.window(r.size * (r.sign == sign), 10) for sign in (1, -1))
    mood = np.where(bought > 2 * sold, 2.0, np.where(sold > 2 * bought, 0.0, 1.0))
    np.testing.assert_array_equal(columns["tape_sentiment"], np.where(r.window(told, 10) < 5, np.nan, mood))


def test_trend(recording: Recording) -> None:
    """The last row of every tenth second, against numpy's least squares in long double."""
    r, columns = recording, recording.table.columns
    begin = r.ts[np.flatnonzero(r.sign)[0]]
    whole = np.flatnonzero((r.table.meta["ts"] % SECOND == 0) & (r.table.meta["ts"] > begin))
    total = np.concatenate([[0], np.cumsum(r.sign * r.size)])
    cvd = total[np.searchsorted(r.ts, r.table.meta["ts"][whole], "left")]
    assert np.isnan(columns["cvd_slope_5m"][whole[:59]]).all()
    words = set()
    for k in range(59, len(whole), 10):
        y = cvd[max(k - 299, 0) : k + 1].astype(np.longdouble)
        n = len(y)
        x = np.arange(n) - np.longdouble(n - 1) / 2
        y -= y.mean()
        slope, syy = x @ y / (x @ x), y @ y
        residual = y - slope * x
        assert columns["cvd_slope_5m"][whole[k]] == pytest.approx(float(slope) * r.lot, rel=1e-9, abs=1e-12)
        if syy == 0:
            continue
        r2 = 1 - residual @ residual / syy
        assert columns["cvd_r2_5m"][whole[k]] == pytest.approx(float(r2), rel=1e-9, abs=1e-12)
        t = slope / np.sqrt(residual @ residual / (n - 2) / (x @ x))
        word = 1 + np.sign(slope) * (abs(t) >= 40 * np.sqrt(n / 300))
        assert columns["cvd_trend"][whole[k]] == word
        words.add(float(word))
    assert len(words) == (2 if len(whole) > 1_000 else 1)


def test_volatility(recording: Recording) -> None:
    """Against numpy over the whole column of mids at whole seconds."""
    table, columns = recording.table, recording.table.columns
    whole = table.meta["ts"] % SECOND == 0
    mid = columns["mid"][whole]
    first = int(np.flatnonzero(np.isfinite(mid) & (table.meta["state"][whole] == 1))[0])
    assert np.isfinite(mid[first:]).all()
    squares = np.concatenate([[0.0], np.cumsum(np.diff(np.log(mid[first:])).astype(np.longdouble) ** 2)])
    for n in (60, 300):
        want = np.full(len(mid), np.nan)
        want[first + n :] = 1e4 * np.sqrt((squares[n:] - squares[:-n]).astype(float))
        got = columns[f"realised_volatility_{n}s"][whole]
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
        assert np.isfinite(got).sum() > 40


def test_prints(recording: Recording) -> None:
    """Prints from a split of the array of trades; how many are large is what one expects of the quantile."""
    r, columns = recording, recording.table.columns
    new = (np.diff(r.trades["ts_event"]) != 0) | (np.diff(r.trades["side"]) != 0) | (np.diff(r.ts) > 100 * MS)
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    sizes = np.add.reduceat(r.size, starts)
    shown = columns["large_print_size"]
    shown = shown[np.isfinite(shown)]
    assert set(np.unique(np.round(shown / r.lot)).astype(int)) <= set(sizes.tolist())
    per_minute = np.nan_to_num(columns["large_prints_1m"])
    large = per_minute[599::600].sum()
    assert 0.002 * len(sizes) < large < 0.02 * len(sizes)


def test_buckets(recording: Recording) -> None:
    """Cumulative buy and sell volume, read off at every 25 units: no loop over trades."""
    r, columns = recording, recording.table.columns
    told = r.sign != 0
    size, sign, ts = r.size[told], r.sign[told], r.ts[told]
    volume = np.concatenate([[0], np.cumsum(size)])
    signed = np.concatenate([[0], np.cumsum(sign * size)])
    bucket = round(25 / r.lot)
    edges = np.arange(0, volume[-1] + 1, bucket)
    excess = np.abs(np.diff(np.interp(edges, volume, signed)))
    sums = np.concatenate([[0.0], np.cumsum(excess)])
    traded = volume[np.searchsorted(ts, r.table.meta["ts"], "left")]
    full = traded // bucket
    first = np.maximum(full - 50, 0)
    with np.errstate(invalid="ignore"):
        want = (sums[full] - sums[first]) / ((full - first) * bucket)
    close(columns["vpin"], np.where(full < 10, np.nan, want), 1e-9)
