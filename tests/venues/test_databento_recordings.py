"""The DBN facts of the recordings' README, read from the files; every file of the vendor's corpus."""

from __future__ import annotations

from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest

from depthscope.errors import EmptyData, NoBookData
from depthscope.market.events import ASK, BID, LAST, SNAPSHOT, UNDEF_PRICE, Events
from depthscope.market.instruments import Capability
from depthscope.market.source import SourceOptions
from depthscope.runtime.formats import recognise
from depthscope.venues import read_head
from depthscope.venues.databento import DbnSource, main_file, open_file, sniff
from tests.conftest import recordings
from tests.venues.dbn_files import decode, expected

pytestmark = pytest.mark.real_data
ES = "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
ES_BEFORE = "esh4-glbx-mdp3-20231224.mbo.dbn.zst"
SECOND = 10**9


def read(source: DbnSource) -> Events:
    chunks = [events.copy() for events in source.chunks()]
    return np.concatenate(chunks)


def counts(events: Events) -> dict[str, int]:
    return {chr(a): int(n) for a, n in zip(*np.unique(events["action"], return_counts=True), strict=True)}


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    return data_dir / "databento"


@pytest.fixture(scope="module")
def es(folder: Path) -> Events:
    return read(open_file(folder / ES, SourceOptions()))


def test_es_counts_by_action(es: Events) -> None:
    assert len(es) == 68_792
    assert counts(es) == {"A": 29_216, "C": 17_999, "M": 12_233, "T": 2_973, "F": 6_371}


def test_es_says_what_it_is(folder: Path) -> None:
    source = open_file(folder / ES, SourceOptions())
    events = read(source)
    info = source.info
    assert (info.format, info.schema, info.dataset) == ("dbn", "mbo", "GLBX.MDP3")
    assert info.records == len(events) == 68_792
    assert info.bytes_read == info.bytes_total == (folder / ES).stat().st_size
    assert info.skipped == {} and info.warnings == []
    instrument = source.resolve(int(events["publisher"][0]), int(events["instrument_id"][0]))
    assert (instrument.symbol, instrument.tick, instrument.lot) == ("ESH4", 250_000_000, SECOND)
    assert Capability.MBO in instrument.capabilities and Capability.AGGRESSOR in instrument.capabilities
    assert dict(source.instruments) == {(1, 17077): instrument}


def test_es_trades_in_the_last_hour_of_its_day(es: Events) -> None:
    midnight = 1_703_548_800 * SECOND  # 2023-12-26 00:00 UTC
    trades = es[es["action"] == ord("T")]
    assert midnight - 3600 * SECOND <= trades["ts_recv"].min()
    assert trades["ts_recv"].max() < midnight
    assert es["ts_recv"][0] == midnight - 86_400 * SECOND
    assert (np.diff(es["ts_recv"]) >= 0).all()


def test_es_opens_with_the_order_set_of_the_day_before(es: Events, folder: Path) -> None:
    opening = es[(es["flags"] & SNAPSHOT) != 0]
    before = read(open_file(folder / ES_BEFORE, SourceOptions()))
    assert len(opening) == len(before) == 8_725
    assert counts(before) == {"A": 8_725}
    assert (es["flags"][: len(opening)] & SNAPSHOT != 0).all(), "the snapshot is not at the start"
    fields = ["order_id", "price", "size", "side"]
    assert set(opening[fields].tolist()) == set(before[fields].tolist())


def test_es_bytes_equal_the_vendors_decoder(es: Events, folder: Path) -> None:
    records = decode(folder / ES)
    assert es.tobytes() == expected(records, "mbo").tobytes()


def test_mbp1_trades_are_the_trades_file(folder: Path) -> None:
    quotes = open_file(folder / "esu4-mbp-1-20240701.dbn.zst", SourceOptions())
    trades = open_file(folder / "esu4-trades-20240701.dbn.zst", SourceOptions())
    mixed, alone = read(quotes), read(trades)
    assert quotes.info.records == 2_288
    assert trades.info.records == len(alone) == 120
    told = mixed[mixed["action"] == ord("T")]
    fields = ["ts_event", "ts_recv", "price", "size", "side", "sequence", "instrument_id", "publisher"]
    assert told[fields].tolist() == alone[fields].tolist()
    assert counts(mixed) == {"T": 120, "Q": 2 * 2_288}
    # There, T opens a group that the book change closes; alone, each is a group.
    assert (told["flags"] & LAST == 0).all() and (alone["flags"] & LAST == LAST).all()
    span = mixed["ts_recv"][-1] - mixed["ts_recv"][0]
    assert 235 * SECOND < span < 240 * SECOND
    assert mixed.tobytes() == expected(decode(quotes.path), "mbp-1").tobytes()
    assert alone.tobytes() == expected(decode(trades.path), "trades").tobytes()


@pytest.mark.parametrize(
    ("name", "publisher", "symbols"),
    [
        ("definition-glbx-es-opt.dbn.zst", 1, {"ESM4 C4250", "ESM4 C3550"}),
        ("definition-opra.dbn.zst", 30, {"SPY   240119P00340000", "SPY   240119P00370000"}),
    ],
)
def test_definitions_are_counted_and_are_no_book(
    folder: Path, name: str, publisher: int, symbols: set[str]
) -> None:
    source = open_file(folder / name, SourceOptions(tick=50_000_000))
    assert main_file(folder / name) is None
    with pytest.raises(NoBookData, match=r"definition records.*depthscope info"):
        source.chunks()
    scan = source.scan()
    assert scan.records == {"definition": 2} and scan.actions == {}
    assert {key[0] for key in scan.keys} == {publisher}
    assert {i.symbol for i in source.instruments.values()} == symbols


# --- the vendor's corpus -------------------------------------------------------------------------

CORPUS = recordings() / "databento" / "dbn-corpus"
FILES = sorted(path.name for path in CORPUS.glob("*")) if CORPUS.is_dir() else []
NO_BOOK = ("definition", "imbalance", "ohlcv-1h", "ohlcv-1m", "ohlcv-1s", "statistics")
EMPTY = ("ohlcv-1d",)
BOOK = {
    "mbo": 2, "mbp-1": 2, "mbp-10": 2, "tbbo": 2, "trades": 2, "bbo-1m": 4, "bbo-1s": 4, "cbbo-1s": 2,
    "cmbp-1": 2, "status": 4,
}  # fmt: skip


def schema_of(name: str) -> str:
    return name.removeprefix("test_data.").removeprefix("multi-frame.").split(".")[0]


def test_the_corpus_has_its_81_files(data_dir: Path) -> None:
    assert len(FILES) == 81
    assert {schema_of(name) for name in FILES} == {*NO_BOOK, *EMPTY, *BOOK}


@pytest.mark.parametrize("name", FILES)
def test_corpus_file_opens_or_explains_itself(name: str) -> None:
    path, schema = CORPUS / name, schema_of(name)
    head = read_head(path)
    assert sniff(path, head)
    assert sniff(Path("no-name"), head), "not recognised by content alone"
    module = recognise(path, head)
    assert module is not None and module.FORMAT == "dbn"
    if schema in EMPTY:
        with pytest.raises(EmptyData, match=r"holds no record.*ohlcv-1d"):
            open_file(path, SourceOptions())
        return
    source = open_file(path, SourceOptions())
    assert source.info.schema == schema
    if schema in NO_BOOK:
        with pytest.raises(NoBookData, match=f"holds {schema} records"):
            source.chunks()
        scan = source.scan()
        assert sum(scan.records.values()) == (8 if name.startswith("multi") else 2)
        assert list(scan.records) == (
            [schema] if not name.endswith(".dbz") or schema == "definition" else ["ohlcv"]
        )
        assert 0 < scan.start <= scan.end
        return
    events = read(source)
    assert source.info.records == BOOK[schema]
    # DBZ, which the library cannot read, holds the very records of its version-1 twin.
    twin = CORPUS / name.replace(".dbz", ".v1.dbn.zst")
    assert events.tobytes() == expected(decode(twin), schema).tobytes()
    key = (int(events["publisher"][0]), int(events["instrument_id"][0]))
    assert key == (1, 5482)
    assert source.resolve(*key).symbol == "ESH1"


@pytest.mark.parametrize("name", [name for name in FILES if schema_of(name) == "definition"])
def test_corpus_definitions_equal_the_vendors_decoder(name: str) -> None:
    source = open_file(CORPUS / name, SourceOptions(tick=1))
    keys = source.scan().keys
    if name.endswith(".dbz"):
        assert {source.resolve(*key).symbol for key in keys} == {"MSFT"}
        return
    records = decode(CORPUS / name)
    assert keys == [(r.publisher_id, r.instrument_id) for r in records]
    assert [source.resolve(*key).symbol for key in keys] == [r.raw_symbol for r in records]
    told = open_file(CORPUS / name, SourceOptions())
    told.scan()
    for record in records:
        if record.min_price_increment != UNDEF_PRICE:
            instrument = told.resolve(record.publisher_id, record.instrument_id)
            assert instrument.tick == record.min_price_increment
            assert instrument.currency == record.currency


def test_corpus_ten_levels_make_a_book(data_dir: Path) -> None:
    path = CORPUS / "test_data.mbp-10.v3.dbn.zst"
    events = read(open_file(path, SourceOptions()))
    first, second = decode(path)
    assert chr(events["action"][0]) == "R"
    book: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
    states = []
    for event in events:
        if event["action"] == ord("L"):
            if event["size"]:
                book[int(event["side"])][int(event["price"])] = int(event["size"])
            else:
                del book[int(event["side"])][int(event["price"])]
        if event["flags"] & LAST:
            states.append({side: dict(levels) for side, levels in book.items()})
    assert len(states) == 2
    for state, record in zip(states, (first, second), strict=True):
        assert state[BID] == {level.bid_px: level.bid_sz for level in record.levels}
        assert state[ASK] == {level.ask_px: level.ask_sz for level in record.levels}
    snapshot = events["flags"] & SNAPSHOT != 0
    assert snapshot[:21].all() and not snapshot[21:].any()


def test_library_enum_names_are_ours() -> None:
    from depthscope.venues import dbn_layout

    assert tuple(str(s) for s in dbn.Schema.variants()) == dbn_layout.SCHEMAS
    assert tuple(str(s) for s in dbn.SType.variants()) == dbn_layout.STYPES
