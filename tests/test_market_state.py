"""The state is what the columns, the book and the detectors say, and it says why something is unknown."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import depthscope as ds
from depthscope.engine import Engine
from depthscope.errors import BookUnavailable, InputError
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument
from depthscope.market.times import format_time
from depthscope.market_state import LABELS, NUMBERS, StateKeeper
from tests.rules.project import ROOT

SECOND = 10**9
MARKET = "synthetic:seed=9,minutes=4,symbols=1"
SCHEMA = json.loads((ROOT / "docs" / "state.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return ds.state(MARKET)


def test_it_keeps_its_schema(told: dict[str, Any]) -> None:
    jsonschema.validate(json.loads(json.dumps(told)), SCHEMA)
    assert list(told) == ["timestamp", "MARKET_STATE", "ACCOUNT_STATE", "ACTIVE_ORDERS"]
    assert told["ACCOUNT_STATE"] is None
    assert told["ACTIVE_ORDERS"] is None
    names = """
        L2_IMBALANCE SPREAD DOM_WALLS BID_STACK ASK_STACK TAPE_VELOCITY TAPE_VELOCITY_TPS TAPE_SENTIMENT
        TAPE_DELTA_1S TAPE_DELTA_5S LARGE_PRINTS_1M CVD_SESSION CVD_TREND CVD_SLOPE_5M HOD LOD VWAP POC VAH
        VAL LAST BID ASK TIME_SESSION FOOTPRINT_CURR_BAR ABSORPTION_DETECTED
    """
    assert set(names.split()) <= set(told["MARKET_STATE"])


def test_it_is_the_last_row_of_a_table(told: dict[str, Any]) -> None:
    table = ds.features(MARKET)
    last = {name: table[name][-1].as_py() for name in table.column_names}
    market = told["MARKET_STATE"]
    for name, column in (NUMBERS | LABELS).items():
        assert market[name.upper()] == last[column], name
    assert market["BOOK_STATE"] == last["state"]
    assert told["timestamp"].startswith(table["ts_recv"][-1].as_py().strftime("%Y-%m-%dT%H:%M:%S"))


def test_stacks_walls_and_signal_are_those_of_a_replay(told: dict[str, Any]) -> None:
    walls: dict[str, Any] = {}
    frame = None
    for frame in ds.replay(MARKET, detectors=None, signal="10s"):
        if format_time(frame.ts) == told["timestamp"]:
            bids, asks = frame.book.bids(), frame.book.asks()
        for said in frame.detections:
            if said.detector == "wall":
                walls[said.id] = said
        signal = frame.signal
    assert frame is not None
    market = told["MARKET_STATE"]
    assert market["BID_STACK"] == [[float(x.price), float(x.size)] for x in bids[:3]]
    assert market["ASK_STACK"] == [[float(x.price), float(x.size)] for x in asks[:3]]
    standing = {(w.side, w.price, w.label) for w in walls.values() if w.phase != "close"}
    shown = [(w["side"], w["price"], w["tier"]) for w in market["DOM_WALLS"]]
    now = {("B", float(x.price)): x.size for x in bids} | {("A", float(x.price)): x.size for x in asks}
    for wall in market["DOM_WALLS"]:
        assert wall["size"] == float(now[wall["side"], wall["price"]]), "as large as it is now"
    assert set(shown) <= standing
    assert len(shown) == min(5, len(standing))
    away = [w["distance_pct"] for w in market["DOM_WALLS"]]
    assert away == sorted(away)
    assert market["SIGNAL"]["direction"] == signal.direction
    assert market["SIGNAL"]["calibrated"] is False


def test_it_knows_nothing_after_the_moment_asked_for() -> None:
    table = ds.features(MARKET)
    early = ds.state(MARKET, at=table["ts_recv"][1_000].value)
    at = [format_time(ts.value) for ts in table["ts_recv"]].index(early["timestamp"])
    assert at == 1_000, "the state of a boundary is that of its row"
    for name, column in (NUMBERS | LABELS).items():
        assert early["MARKET_STATE"][name.upper()] == table[column][at].as_py(), name


def keeper(events: ev.Events, able: Capability) -> StateKeeper:
    instrument = Instrument("TEST", "X", 10**9, capabilities=able)
    engine = Engine(lambda *_: instrument, every="1s", detectors=None, keep_samples=True)
    found = StateKeeper(engine)
    found.update(engine.process(events))
    found.update(engine.finish())
    return found


def quotes(*rows: tuple[float, int, int, int, int]) -> ev.Events:
    """(seconds, action, side, price, size)."""
    made = ev.empty_events(len(rows))
    for k, (seconds, action, side, price, size) in enumerate(rows):
        made[k]["ts_event"] = made[k]["ts_recv"] = 1_700_000_000 * SECOND + int(seconds * SECOND)
        made[k]["action"], made[k]["side"], made[k]["flags"] = action, side, ev.LAST
        made[k]["price"], made[k]["size"] = price * 10**9, size
    return made


def test_why_something_is_unknown() -> None:
    able = Capability.L2 | Capability.TRADES | Capability.AGGRESSOR
    one_sided = quotes((0, ev.LEVEL, ev.BID, 100, 5), (3, ev.LEVEL, ev.BID, 99, 5))
    market = keeper(one_sided, able).state("X").market
    assert market.bid == 100.0
    assert market.ask is None
    assert market.mid is None
    assert market.why["ASK"] == "a side of the book is empty"
    assert market.why["VWAP"] == "no trade in this session yet"
    assert market.why["SIGNAL"] == "no model was given"
    assert market.dom_walls == []

    lost = quotes(
        (0, ev.LEVEL, ev.BID, 100, 5),
        (0, ev.LEVEL, ev.ASK, 101, 5),
        (2, ev.LOST, ev.NO_SIDE, 0, 0),
        (4, ev.NONE, ev.NO_SIDE, 0, 0),
    )
    market = keeper(lost, able).state("X").market
    assert market.book_state == "STALE"
    assert market.why["BID"] == "the book is STALE"

    quoted = quotes(
        (0, ev.QUOTE, ev.BID, 100, 5), (0, ev.QUOTE, ev.ASK, 101, 5), (3, ev.QUOTE, ev.BID, 100, 6)
    )
    market = keeper(quoted, Capability.L1).state("X").market
    assert market.mid == 100.5
    assert market.why["TAPE_VELOCITY"] == "the feed does not tell what it needs"
    assert market.why["DOM_WALLS"] == "the feed does not tell what it needs"
    assert "wall" in market.unavailable


def test_every_null_is_explained(told: dict[str, Any]) -> None:
    early = ds.state(MARKET, at=_start() + 2 * SECOND)["MARKET_STATE"]
    for market in (told["MARKET_STATE"], early):
        for name in NUMBERS | LABELS:
            assert (market[name.upper()] is None) == (name.upper() in market["WHY"]), name
        numbers = [v for v in market.values() if isinstance(v, float)]
        assert all(math.isfinite(v) for v in numbers)
    assert early["CVD_TREND"] is None


def _start() -> int:
    return int(ds.features(MARKET, every="1s", features=["mid"])["ts_recv"][0].value)


def test_several_instruments_must_be_named() -> None:
    with pytest.raises(InputError, match="name one of"):
        ds.state("synthetic:seed=9,minutes=1,symbols=2")
    with pytest.raises(InputError, match="is before the data, which begins at"):
        ds.state(MARKET, at="1999-01-01")
    with pytest.raises(InputError, match="is after the data, which ends at"):
        ds.state(MARKET, at="2099-01-01")
    with pytest.raises(InputError, match="were seconds meant"):
        ds.state(MARKET, at=1_703_547_000)


def test_before_the_first_row_there_is_none() -> None:
    events = quotes((0.2, ev.LEVEL, ev.BID, 100, 5))
    with pytest.raises(BookUnavailable, match="no row yet"):
        keeper(events, Capability.L2).state("X")


def test_the_recorded_hour(data_dir: Path) -> None:
    file = data_dir / "databento" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
    told = ds.state(file, at="2023-12-25T23:30:00")
    jsonschema.validate(json.loads(json.dumps(told)), SCHEMA)
    market = told["MARKET_STATE"]
    assert market["BID_STACK"] == [[4810.25, 49.0], [4810.0, 51.0], [4809.75, 45.0]]
    assert market["TIME_SESSION"] == "OVERNIGHT"
    assert market["LOD"] <= market["VAL"] <= market["POC"] <= market["VAH"] <= market["HOD"]
