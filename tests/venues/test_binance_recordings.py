"""The recorded Binance captures give the facts known of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthscope.market import events as ev
from depthscope.market.source import Source, SourceOptions
from depthscope.venues import binance
from tests.venues.dict_book import DictBook, all_events, groups

pytestmark = pytest.mark.real_data


def open_capture(data_dir: Path, name: str) -> Source:
    return binance.open_file(data_dir / "binance" / name, SourceOptions())


def against_quotes(events: list[dict[str, int]]) -> tuple[int, int]:
    """(equal, compared): each depth group's best levels and the last quote with u not later."""
    quotes: dict[int, list[tuple[int, tuple[int, int, int, int]]]] = {}
    states: dict[int, list[tuple[int, tuple[int, int, int, int]]]] = {}
    books: dict[int, DictBook] = {}
    for group in groups(events):
        key, last = group[-1]["instrument_id"], group[-1]
        if last["action"] == ev.QUOTE:
            bid, ask = group
            quotes.setdefault(key, []).append(
                (last["sequence"], (bid["price"], bid["size"], ask["price"], ask["size"]))
            )
            continue
        book = books.setdefault(key, DictBook())
        for event in group:
            book.apply(event)
        if last["action"] in (ev.LEVEL, ev.NONE) and not last["flags"] & ev.SNAPSHOT:
            assert book.state == "LIVE"
            states.setdefault(key, []).append((last["sequence"], book.best()))
    equal = compared = 0
    for key, found in states.items():
        known = sorted(quotes[key])
        at = -1
        for sequence, best in found:
            while at + 1 < len(known) and known[at + 1][0] <= sequence:
                at += 1
            if at >= 0:
                compared += 1
                equal += known[at][1] == best
    return equal, compared


def test_btcusdt_facts(data_dir: Path) -> None:
    source = open_capture(data_dir, "btcusdt_20240808.gz")
    events = all_events(source)
    info = source.info
    assert info.records == 93_954
    assert info.notes["depth messages"] == "6,551"
    assert info.notes["level changes"] == "443,521"
    assert (info.notes["gaps"], info.notes["snapshots"]) == ("0", "1")
    assert (info.notes["trades"], info.notes["quotes"]) == ("21,313", "66,089")
    assert info.skipped == {"depth update older than its snapshot": 4}
    assert not any(e["action"] == ev.LOST for e in events)
    assert against_quotes(events) == (6_547, 6_547)
    instrument = source.resolve(1, 1)
    assert (instrument.symbol, instrument.tick, instrument.lot) == ("BTCUSDT", 10**8, 10**6)
    assert all(e["price"] % instrument.tick == 0 for e in events if e["price"] != ev.UNDEF_PRICE)
    lags = sorted(e["ts_recv"] - e["ts_event"] for e in events)
    assert -1.3e9 < lags[len(lags) // 2] < -1.2e9  # the local clock was behind
    assert any("1.272 s ahead of the recorder's" in warning for warning in info.warnings)
    span = events[-1]["ts_recv"] - events[0]["ts_recv"]
    assert 344e9 < span < 346e9


def test_four_symbols_facts(data_dir: Path) -> None:
    source = open_capture(data_dir, "BINANCE_FUTURES.ws.1.0")
    events = all_events(source)
    symbols = {key[1]: i.symbol for key, i in source.instruments.items()}
    assert sorted(symbols.values()) == ["AKROUSDT", "CTKUSDT", "KEEPUSDT", "SUSHIUSDT"]
    assert source.info.skipped == {"kline": 67, "depth update older than its snapshot": 12}
    assert {k: source.info.notes[k] for k in ("snapshots", "gaps", "trades", "quotes")} == {
        "snapshots": "4", "gaps": "0", "trades": "91", "quotes": "613",
    }  # fmt: skip
    grids = {symbols[k[1]]: (i.tick, i.lot) for k, i in source.instruments.items()}
    assert grids == {
        "SUSHIUSDT": (10**6, 10**9), "AKROUSDT": (10**4, 10**9), "KEEPUSDT": (10**5, 10**9),
        "CTKUSDT": (10**6, 10**9),
    }  # fmt: skip
    assert against_quotes(events) == (744, 744)
    for other in ("BINANCE_FUTURES.0", "BINANCE_FUTURES.http.0.0"):
        assert all_events(open_capture(data_dir, other)) == events


def test_first_usable_event_of_each_symbol(data_dir: Path) -> None:
    """Three snapshots carry the u of an update, one the U of an update."""
    events = all_events(open_capture(data_dir, "BINANCE_FUTURES.ws.1.0"))
    last_ids: dict[int, int] = {}
    first_u: dict[int, int] = {}
    for group in groups(events):
        key, tail = group[-1]["instrument_id"], group[-1]
        if tail["flags"] & ev.SNAPSHOT:
            last_ids[key] = tail["sequence"]
        elif tail["action"] in (ev.LEVEL, ev.NONE):
            first_u.setdefault(key, tail["sequence"])
    assert len(last_ids) == 4
    assert sorted(first_u[k] == last_ids[k] for k in last_ids) == [False, True, True, True]
    (other,) = (k for k in last_ids if first_u[k] != last_ids[k])
    folder = data_dir / "binance" / "BINANCE_FUTURES.ws.1.0"
    text = folder.read_text(encoding="utf-8")
    assert f'"U":{last_ids[other]},"u":{first_u[other]},' in text
