"""The microprice's fit: known answers, the plain power series, symmetry, out of sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import depthscope as ds
from depthscope.errors import InputError
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.source import SourceInfo
from depthscope.research import microprice
from depthscope.research.microprice import MicropriceTable, adjustments

SECOND = 10**9
ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
OPEN, HALF, END = (t * SECOND for t in (1_703_545_230, 1_703_547_000, 1_703_548_800))


@pytest.mark.parametrize("iterations", [1, 2, 6, 400])
def test_two_states_with_a_closed_answer(iterations: int) -> None:
    """State 0 is heavy with asks, state 1 with bids.

    A step leaves the state as it is with probability 0.7 and turns it with 0.2; with 0.1 the mid moves a tick
    the way the state leans, which then lasts (0.07) or turns (0.03). From state 1, the expected first move is
    g = 0.7·g + 0.2·(−g) + 0.1, so g = 0.1 / 0.5. The state after it is 1 with probability
    p = 0.7·p + 0.2·(1 − p) + 0.07. The sum over moves is geometric in 2p − 1.
    """
    stay = np.array([[0.7, 0.2], [0.2, 0.7]])
    move = np.array([[0.07, 0.03], [0.03, 0.07]])
    found = adjustments(stay * 1_000, move * 1_000, np.array([-0.1, 0.1]) * 1_000, iterations)
    first = 0.1 / (1 - 0.7 + 0.2)
    p = (0.2 + 0.07) / (1 - 0.7 + 0.2)
    factor = 2 * p - 1
    want = first * (1 - factor**iterations) / (1 - factor)
    assert found == pytest.approx([-want, want], rel=1e-12)


def test_it_is_the_plain_power_series() -> None:
    """(1 − Q)⁻¹ = Σ Qᵏ, and the adjustment is the expected sum of the next six moves."""
    rng = np.random.default_rng(7)
    n = 6
    weights = rng.random((n, 2 * n)) + 0.05
    weights /= weights.sum(axis=1)[:, None]
    stay, move = weights[:, :n], weights[:, n:]
    shift = rng.normal(size=n)
    want = np.zeros(n)
    state = np.eye(n)  # distribution at the begin of each move's wait, by first state
    for _ in range(6):
        now, after = state, np.zeros((n, n))
        for _ in range(4_000):
            want += now @ shift
            after += now @ move
            now = now @ stay
        state = after
    np.testing.assert_allclose(adjustments(stay, move, shift), want, rtol=1e-10)


def test_states_that_never_moved_are_unknown() -> None:
    stay = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 5]])
    move = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    found = adjustments(stay, move, np.array([2.0, 0, 0, 0]))
    assert np.isnan(found).tolist() == [False, True, False, True]


@dataclass
class Made:
    """A source of events that are at hand."""

    events: ev.Events
    instruments: Mapping[tuple[int, int], Instrument]
    info: SourceInfo = field(default_factory=lambda: SourceInfo("made", "made"))

    def chunks(self) -> Iterator[ev.Events]:
        """Cut so that the chain has to go on from chunk to chunk."""
        for first in range(0, len(self.events), 1_000):
            yield self.events[first : first + 1_000]

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """The one there is."""
        return self.instruments[publisher, instrument_id]


def quotes(bids: list[tuple[int, int]], asks: list[tuple[int, int]], symbol: str = "S") -> Made:
    """Best quotes (price, size) a millisecond apart, both sides in one group."""
    n = len(bids)
    events = ev.empty_events(2 * n)
    events["publisher"] = events["instrument_id"] = 1
    events["action"], events["flags"] = ev.QUOTE, np.tile([0, ev.LAST], n)
    events["ts_recv"] = 1_700_000_000 * SECOND + np.repeat(np.arange(n), 2) * 10**6
    events["side"] = np.tile([ev.BID, ev.ASK], n)
    events["price"][::2], events["size"][::2] = np.array(bids).T
    events["price"][1::2], events["size"][1::2] = np.array(asks).T
    events["price"] *= 10**9
    instrument = Instrument("test", symbol, 10**9, capabilities=Capability.L1)
    return Made(events, {(1, 1): instrument})


def walk(seed: int, n: int = 4_000) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Quotes whose mid tends to move towards the smaller side."""
    rng = np.random.default_rng(seed)
    bids, asks, bid, spread = [], [], 1_000, 1
    for _ in range(n):
        b, a = (int(x) for x in rng.integers(1, 20, 2))
        bids.append((bid, b))
        asks.append((bid + spread, a))
        if rng.random() < 0.2:
            bid += 1 if rng.random() < b / (a + b) else -1
            spread = int(rng.integers(1, 4))
    return bids, asks


def test_a_market_and_its_mirror_image_have_opposite_adjustments() -> None:
    bids, asks = walk(1)
    (table,) = microprice.fit(quotes(bids, asks), buckets=5, spreads=2).tables
    lines = np.array(table.adjustments, float)
    np.testing.assert_array_equal(lines, -lines[:, ::-1])  # symmetrised data
    assert (np.diff(lines[0]) > 0.0).all(), "more bids, higher"
    mirrored = quotes([(5_000 - p, q) for p, q in asks], [(5_000 - p, q) for p, q in bids])
    (other,) = microprice.fit(mirrored, buckets=5, spreads=2).tables
    np.testing.assert_allclose(np.array(other.adjustments, float), lines, atol=1e-12)
    assert (table.states, table.moves) == (other.states, other.moves)
    assert table.states == len(bids) - 1


def test_what_lies_outside_is_left_out() -> None:
    bids, asks = walk(2)
    whole = quotes(bids, asks)
    time = whole.events["ts_recv"]
    (first,) = microprice.fit(whole, end=int(time[4_000])).tables
    (again,) = microprice.fit(quotes(bids[:2_000], asks[:2_000])).tables
    assert first == again
    with pytest.raises(InputError, match="50 times"):
        microprice.fit(whole, start=int(time[-10]))


def test_kept_in_a_file(tmp_path: Path) -> None:
    model = microprice.fit("synthetic:seed=3,minutes=3,symbols=2")
    assert [table.symbol for table in model.tables] == ["SYNES", "SYNBTC"]
    assert model.source == "synthetic:seed=3,minutes=3,symbols=2"
    microprice.save(model, tmp_path / "model.json")
    assert microprice.load(tmp_path / "model.json") == model
    table = ds.features(
        "synthetic:seed=4,minutes=1,symbols=2", "1s", features=["microprice"], settings={"microprice": model}
    )
    assert table["microprice_fitted"].to_pylist().count("FITTED") > 100


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "other"}', '{"kind": "depthscope microprice 1"}'])
def test_files_of_something_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(InputError, match="no microprice file"):
        microprice.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        microprice.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    "lines", [(), ((),), ((0.0, 1.0),), ((0.0,), (0.0, 1.0, 2.0)), ((float("nan"),),), ((0.0,) * 35,)]
)
def test_tables_that_are_none(lines: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(InputError, match="microprice table of S"):
        MicropriceTable("S", lines, 1, 1, 0, 1, 6)


@pytest.mark.parametrize("options", [{"buckets": 8}, {"buckets": 35}, {"spreads": 0}, {"iterations": 0}])
def test_what_cannot_be_fitted(options: dict[str, int]) -> None:
    with pytest.raises(InputError):
        microprice.fit(quotes(*walk(3, 10)), **options)


def bias(now: np.ndarray, later: np.ndarray, state: np.ndarray) -> float:
    """Root mean square, over states by their weight, of the mean of what comes later less what is now."""
    count = np.bincount(state)
    mean = np.bincount(state, later - now) / np.maximum(count, 1)
    return float(np.sqrt((count * mean**2).sum() / count.sum()))


@pytest.mark.real_data
def test_es_out_of_sample(data_dir: Path) -> None:
    """Fitted on the first half hour; on the second it is nearer to a martingale, and to mids to come."""
    path = data_dir / ES
    model = microprice.fit(path, start=OPEN, end=HALF)
    assert model.tables[0].moves > 500
    assert OPEN <= model.tables[0].start < model.tables[0].end < HALF
    prices = ("mid", "weighted_mid", "microprice")
    table = ds.features(
        path, "event", features=[*prices, "queue_imbalance", "spread_ticks"], settings={"microprice": model}
    )
    time, spread = table["ts_recv"].cast("int64").to_numpy(), table["spread_ticks"].to_numpy()
    keep = (time >= HALF) & (time < END) & (spread > 0)
    time, spread = time[keep], spread[keep]
    ticks = {name: table[name].to_numpy()[keep] / 0.25 for name in prices}
    imbalance = np.floor((table["queue_imbalance"].to_numpy()[keep] + 1) * 4.9999).astype(int)
    state = imbalance * 3 + np.clip(spread, 1, 3).astype(int) - 1  # tenths: other buckets than the table's

    def later(seconds: int) -> tuple[np.ndarray, np.ndarray]:
        known = np.flatnonzero(time + seconds * SECOND < END)
        return known, np.searchsorted(time, time[known] + seconds * SECOND, "right") - 1

    known, then = later(1)
    own = {name: bias(p[known], p[then], state[known]) for name, p in ticks.items()}
    assert own == pytest.approx({"mid": 0.134, "weighted_mid": 0.046, "microprice": 0.028}, abs=0.002)
    known, then = later(10)
    mid = {name: bias(p[known], ticks["mid"][then], state[known]) for name, p in ticks.items()}
    assert mid == pytest.approx({"mid": 0.202, "weighted_mid": 0.152, "microprice": 0.141}, abs=0.002)
    errors = {
        name: float(np.sqrt(np.mean((ticks["mid"][then] - p[known]) ** 2))) for name, p in ticks.items()
    }
    assert errors["microprice"] < errors["weighted_mid"] < errors["mid"]
