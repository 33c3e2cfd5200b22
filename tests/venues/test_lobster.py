"""LOBSTER pairs and zips: exact levels after every message, tape, damage."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from depthscope.errors import (
    ConfigError,
    InputError,
    UnknownInstrument,
)
from depthscope.market import events as ev
from depthscope.market.instruments import Capability
from depthscope.market.source import Source, SourceOptions
from depthscope.runtime.formats import recognise
from depthscope.venues import lines, lobster, main_file, read_head
from tests.venues.dict_book import DictBook, all_events, groups
from tests.venues.lobster_feed import Market

MORNING = 1_340_285_400_000_000_000  # 2012-06-21 09:30 in New York (daylight saving time)
FIXED = 100_000


def opened(path: Path, **options: object) -> Source:
    return lobster.open_file(path, SourceOptions(**options))  # type: ignore[arg-type]


def in_mode(path: Path, mode: str) -> Source:
    return opened(path, extra={"lobster_mode": mode})


def best(book: DictBook, depth: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Levels of a book as the file shows them: shares at prices in 1/10,000."""
    bids = [(p // FIXED, q) for p, q in sorted(book.bids.items(), reverse=True)]
    asks = [(p // FIXED, q) for p, q in sorted(book.asks.items())]
    return bids[:depth], asks[:depth]


def test_pair_is_recognised_from_either_file(tmp_path: Path) -> None:
    path = Market(1, 5).run(50).write(tmp_path)
    other = tmp_path / path.name.replace("message", "orderbook")
    for file in (path, other):
        venue = recognise(file, read_head(file))
        assert venue is not None and venue.FORMAT == "lobster"
        assert main_file(venue, file) == path
        source = venue.open_file(file, SourceOptions())
        assert source.info.bytes_total == path.stat().st_size + other.stat().st_size
        assert len(all_events(source)) > 50
        assert source.info.bytes_read == source.info.bytes_total
    other.unlink()
    assert lobster.main_file(path) == path


def test_instrument_says_what_is_known(tmp_path: Path) -> None:
    path = Market(1, 5).run(20).write(tmp_path)
    source = opened(path)
    instrument = source.resolve(1, 1)
    assert (instrument.venue, instrument.symbol, instrument.tick, instrument.lot) == (
        "LOBSTER", "AMZN", 10**7, 10**9,
    )  # fmt: skip
    assert Capability.DEPTH_LIMITED in instrument.capabilities
    assert Capability.MBO not in instrument.capabilities
    assert source.info.notes["depth"].startswith("limited to 5 levels a side")
    assert Capability.MBO in in_mode(path, "messages").resolve(1, 1).capabilities
    with pytest.raises(UnknownInstrument, match="no instrument 1/2"):
        source.resolve(1, 2)
    assert list(source.instruments) == [(1, 1)]


@pytest.mark.parametrize("depth", [1, 2, 5, 40])
@pytest.mark.parametrize("seed", range(6))
def test_levels_are_exact_after_every_message(tmp_path: Path, depth: int, seed: int) -> None:
    market = Market(seed, depth, start_orders=3 + 8 * seed).run(400)
    source = opened(market.write(tmp_path))
    book = DictBook()
    row = 0
    for group in groups(all_events(source)):
        assert len({(e["ts_event"], e["ts_recv"], e["sequence"]) for e in group}) == 1
        for event in group:
            book.apply(event)
        if group[-1]["flags"] & ev.SNAPSHOT:
            assert row == 0
            assert [e["flags"] & ev.SNAPSHOT for e in group] == [ev.SNAPSHOT] * len(group)
            continue
        assert best(book, depth + 1) == market.books[row]
        row += 1
        assert group[-1]["sequence"] == row
    assert row == source.info.records == 400
    assert source.info.notes["rows explained by their message"] == "400 of 400"
    assert source.info.warnings == []


def test_opening_book_is_the_first_row_with_its_message_undone(tmp_path: Path) -> None:
    market = Market(3, 4).run(1)
    kind, _, size, price, side = (int(v) for v in market.messages[0].split(",")[1:])
    snapshot, first = groups(all_events(opened(market.write(tmp_path))))
    book = DictBook()
    for event in snapshot:
        book.apply(event)
    levels = book.bids if side == 1 else book.asks
    bids, asks = market.books[0]
    after = dict(bids if side == 1 else asks).get(price, 0)
    assert levels.get(price * FIXED, 0) == after + (-size if kind == 1 else size)
    assert [chr(e["action"]) for e in first][-1] == "L"


def tape(source: Source) -> list[tuple[str, ...]]:
    """(action, side, price, size, id, cond, aux, flags) of what is no level change."""
    return [
        (
            chr(e["action"]),
            chr(e["side"]),
            e["price"],
            e["size"],
            e["order_id"],
            e["cond"],
            e["aux"],
            e["flags"],
        )
        for e in all_events(source)
        if chr(e["action"]) not in "LRAC"
    ]


def hand_written(folder: Path, messages: list[str], date: str = "2012-06-21") -> Path:
    """Messages that leave a two-level book as it is."""
    market = Market(1, 2, start_orders=0)
    book = ([(2_231_800, 100), (2_230_700, 200)], [(2_239_500, 100), (2_239_900, 50)])
    for message in messages:
        market.add(message, book)
    return market.write(folder, date=date)


def test_tape(tmp_path: Path) -> None:
    market = Market(1, 1, start_orders=0)
    market.add("34200.1,1,11,100,2239500,-1", ([(2_231_800, 100)], [(2_239_500, 100)]))
    market.add("34200.2,4,11,30,2239500,-1", ([(2_231_800, 100)], [(2_239_500, 70)]))
    market.add("34200.3,4,12,100,2231800,1", ([], [(2_239_500, 70)]))
    market.add("34200.4,5,0,7,2235000,-1", ([], [(2_239_500, 70)]))
    market.add("34200.5,6,-1,500,2236000,-1", ([], [(2_239_500, 70)]))
    market.add("34200.6,7,0,0,-1,-1", ([], [(2_239_500, 70)]))
    market.add("34200.7,7,0,0,0,-1", ([], [(2_239_500, 70)]))
    market.add("34200.8,7,0,0,1,-1", ([], [(2_239_500, 70)]))
    path = market.write(tmp_path)
    ask, bid, last = 2_239_500 * FIXED, 2_231_800 * FIXED, ev.LAST
    expected = [
        ("T", "B", ask, 30, 11, 0, 0, 0), ("F", "A", ask, 30, 11, 0, 0, 0),
        ("T", "A", bid, 100, 12, 0, 0, 0), ("F", "B", bid, 100, 12, 0, 0, 0),
        ("T", "B", 2_235_000 * FIXED, 7, 0, 0, 0, last),
        ("T", "N", 2_236_000 * FIXED, 500, 0, ev.COND_OFF_BOOK, 0, last),
        ("S", "N", ev.UNDEF_PRICE, 0, 0, 0, ev.STATUS_HALT, last),
        ("S", "N", ev.UNDEF_PRICE, 0, 0, 0, ev.STATUS_AUCTION, last),
        ("S", "N", ev.UNDEF_PRICE, 0, 0, 0, ev.STATUS_TRADING, last),
    ]  # fmt: skip
    source = opened(path)
    assert tape(source) == expected
    assert source.info.notes["rows explained by their message"] == "8 of 8"
    actions = "".join(chr(e["action"]) for e in all_events(source))
    assert actions == "RLLTFLTFLTTSSS"
    assert "".join(chr(e["action"]) for e in all_events(in_mode(path, "messages"))) == "RAATFCTFCTTSSS"


def test_direction_of_hidden_executions_ends_with_the_old_feed(tmp_path: Path) -> None:
    for date, sides in (("2014-07-11", "BA"), ("2014-07-14", "NN"), ("2020-01-02", "NN")):
        messages = ["34200.1,5,0,7,2235000,-1", "34200.2,5,0,7,2235000,1"]
        path = hand_written(tmp_path, messages, date)
        assert "".join(event[1] for event in tape(opened(path))) == sides


@pytest.mark.parametrize(
    ("date", "time", "utc"),
    [
        ("2012-06-21", "34200.017459617", MORNING + 17_459_617),
        ("2012-06-21", "34200", MORNING),
        ("2012-06-21", "34200.5", MORNING + 500_000_000),
        ("2012-06-21", "34200.000000001", MORNING + 1),
        ("2012-06-21", "34200.632812672004", MORNING + 632_812_672),
        ("2012-06-21", "34200.6328126725", MORNING + 632_812_673),
        ("2012-06-21", "34200.9999999996", MORNING + 10**9),
        ("2012-01-17", "34200.25", 1_326_810_600_250_000_000),  # standard time: 14:30 UTC
        ("2012-03-12", "34200.0", 1_331_559_000_000_000_000),  # the Monday after clocks changed
    ],
)
def test_times_are_new_yorks(tmp_path: Path, date: str, time: str, utc: int) -> None:
    path = hand_written(tmp_path, [f"{time},5,0,7,2235000,-1"], date)
    assert {(e["ts_event"], e["ts_recv"]) for e in all_events(opened(path))} == {(utc, utc)}


def test_time_going_back_passes_and_is_told(tmp_path: Path) -> None:
    path = hand_written(tmp_path, [f"{t},5,0,7,2235000,-1" for t in ("34200.2", "34200.1", "34200.3")])
    for mode in lobster.MODES:
        source = in_mode(path, mode)
        assert [e["ts_recv"] - MORNING for e in all_events(source) if e["sequence"]] == [2e8, 1e8, 3e8]
        assert source.info.warnings == ["Time goes back 1 times: those messages count at the later time."]


def test_a_row_its_message_does_not_explain_is_followed_and_told(tmp_path: Path) -> None:
    market = Market(5, 5).run(200)
    bids, asks = market.books[120]
    forged = ([(bids[0][0], bids[0][1] + 1), *bids[1:]], asks)
    fake = Market(0, 5, start_orders=0)
    fake.add("", forged)
    market.rows[120] = fake.rows[0]
    market.books[120] = forged
    source = opened(market.write(tmp_path))
    book, row = DictBook(), 0
    for group in groups(all_events(source)):
        for event in group:
            book.apply(event)
        if not group[-1]["flags"] & ev.SNAPSHOT:
            assert best(book, 6) == market.books[row]
            row += 1
    (told,) = source.info.warnings
    assert told.startswith("2 of 200 book rows are not what their message makes")
    assert "row 121" in told
    assert source.info.notes["rows explained by their message"] == "198 of 200"


@pytest.mark.parametrize("seed", range(4))
def test_messages_mode_replays_orders(tmp_path: Path, seed: int) -> None:
    """With every level in the file, order by order and row by row are the same book."""
    market = Market(seed, 40).run(400)
    source = in_mode(market.write(tmp_path), "messages")
    orders: dict[int, list[int]] = {}
    row = 0
    for group in groups(all_events(source)):
        for e in group:
            if e["action"] == ev.ADD:
                assert e["order_id"] not in orders
                orders[e["order_id"]] = [e["side"], e["price"], e["size"]]
            elif e["action"] == ev.CANCEL:
                order = orders[e["order_id"]]
                assert order[:2] == [e["side"], e["price"]]
                order[2] -= e["size"]
                assert order[2] >= 0
                if not order[2]:
                    del orders[e["order_id"]]
            elif e["action"] == ev.FILL:
                assert orders[e["order_id"]][2] >= e["size"]
        if not group[-1]["flags"] & ev.SNAPSHOT:
            sums: dict[int, dict[int, int]] = {ev.BID: {}, ev.ASK: {}}
            for side, price, size in orders.values():
                sums[side][price] = sums[side].get(price, 0) + size
            book = DictBook()
            book.bids, book.asks = sums[ev.BID], sums[ev.ASK]
            assert best(book, 40) == market.books[row]
            row += 1
    assert row == 400
    assert source.info.notes["messages about unknown orders"] == "0 of 400"


def test_messages_mode_counts_what_comes_from_below(tmp_path: Path) -> None:
    source = in_mode(Market(2, 2).run(400).write(tmp_path), "messages")
    all_events(source)
    count = int(source.info.notes["messages about unknown orders"].split()[0])
    assert 0 < count < 400
    assert "drifts" in source.info.notes["depth"]


@pytest.mark.parametrize("mode", lobster.MODES)
@pytest.mark.parametrize("chunk", [1, 7, 4_096, 65_536])
@pytest.mark.parametrize("block", [600, 65_536])
def test_chunks_and_blocks_do_not_matter(
    tmp_path: Path, mode: str, chunk: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Market(9, 5).run(300).write(tmp_path)
    expected = b"".join(c.tobytes() for c in in_mode(path, mode).chunks())
    monkeypatch.setattr(lines, "BLOCK", block)
    source = opened(path, chunk=chunk, extra={"lobster_mode": mode})
    kept: list[tuple[ev.Events, ev.Events]] = []
    got = []
    for events in source.chunks():
        assert 0 < len(events) <= chunk
        kept = [*kept[-3:], (events, events.copy())]
        assert all(np.array_equal(view, copy) for view, copy in kept)
        got.append(events.tobytes())
    assert b"".join(got) == expected
    assert b"".join(c.tobytes() for c in source.chunks()) == expected


def test_lot_scales_sizes(tmp_path: Path) -> None:
    path = Market(9, 5).run(50).write(tmp_path)
    whole = [e["size"] for e in all_events(opened(path))]
    assert [e["size"] for e in all_events(opened(path, lot=10**6))] == [1_000 * q for q in whole]
    for lot in (3, 10**10):
        with pytest.raises(ConfigError, match="whole shares"):
            opened(path, lot=lot)


def packed(path: Path, folder: Path) -> Path:
    """The pair of a message file, zipped as LOBSTER ships it."""
    zipped = folder / "LOBSTER_SampleFile.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LOBSTER_SampleFiles_ReadMe.txt", "read me")
        for file in (path.with_name(path.name.replace("message", "orderbook")), path):
            archive.write(file, f"data/{file.name}")
    return zipped


@pytest.mark.parametrize("form", ["zip", "gz", "crlf", "no last newline", "seven columns"])
def test_same_events_from_any_form(tmp_path: Path, form: str) -> None:
    path = Market(9, 5).run(100).write(tmp_path)
    expected = all_events(opened(path))
    pair = (path, path.with_name(path.name.replace("message", "orderbook")))
    if form == "zip":
        target = packed(path, tmp_path)
    else:
        folder = tmp_path / "other"
        folder.mkdir()
        for file in pair:
            data = file.read_bytes()
            if form == "gz":
                (folder / f"{file.name}.gz").write_bytes(gzip.compress(data))
            elif form == "crlf":
                (folder / file.name).write_bytes(data.replace(b"\n", b"\r\n"))
            elif form == "no last newline":
                (folder / file.name).write_bytes(data[:-1])
            else:
                extra = b",null\n" if "message" in file.name else b"\n"
                (folder / file.name).write_bytes(data.replace(b"\n", extra))
        target = next(f for f in sorted(folder.iterdir()) if "message" in f.name)
    venue = recognise(target, read_head(target))
    assert venue is not None and venue.FORMAT == "lobster"
    source = venue.open_file(target, SourceOptions())
    assert all_events(source) == expected
    if form == "no last newline":
        (told,) = source.info.warnings
        assert "no line end" in told
    else:
        assert source.info.warnings == []


def test_a_zip_of_several_days_is_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "days"
    folder.mkdir()
    for seed, date in ((1, "2012-06-22"), (2, "2012-06-21")):
        Market(seed, 5).run(50).write(folder, date=date)
    target = tmp_path / "days.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    source = opened(target)
    events = all_events(source)
    assert source.info.notes["days"] == "2012-06-21, 2012-06-22"
    assert source.info.records == 100
    assert [e["ts_recv"] // 86_400_000_000_000 for e in events if e["action"] == ev.CLEAR] == [15_512, 15_513]
    Market(1, 5).run(5).write(folder, symbol="AAPL")
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    with pytest.raises(InputError, match=r"several symbols \(AAPL, AMZN\)"):
        opened(target)
