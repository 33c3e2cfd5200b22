"""DBN records of every schema and version into EVENTs: generated files against the slow way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depthscope.errors import NoBookData, UnknownInstrument
from depthscope.market import events as ev
from depthscope.market.events import LAST, SNAPSHOT, UNDEF_PRICE, Events
from depthscope.market.source import Source, SourceOptions
from depthscope.venues import dbn_layout as layout
from depthscope.venues import dbn_reader  # noqa: F401  # here coverage sees it: an untraced test may be its first user
from depthscope.venues.databento import DbnSource, open_file
from depthscope.venues.dbn_publishers import PUBLISHERS
from tests.venues.dbn_files import DAY, NOON, UNDEF_TIME, decode, expected, header, mbo, write

U32 = st.integers(0, 2**32 - 1)
PRICES = st.one_of(
    st.sampled_from([UNDEF_PRICE, 0, -(2**63), -250_000_000, 1]),
    st.integers(4_000 * 10**9, 4_001 * 10**9),
    st.integers(-(2**63), 2**63 - 1),
)
TIMES = st.one_of(st.integers(NOON, NOON + 1000), st.just(UNDEF_TIME))
SIDES = st.sampled_from("ABN").map(dbn.Side.from_str)
FLAGS = st.integers(0, 255)
SMALL = st.integers(0, 9)
HEAD = {"publisher_id": st.integers(0, 2**16 - 1), "instrument_id": st.integers(0, 3), "ts_event": TIMES}
TRADED = {**HEAD, "price": PRICES, "size": U32, "side": SIDES, "ts_recv": TIMES, "flags": FLAGS}


def actions(letters: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(letters).map(dbn.Action.from_str)


def pairs(n: int) -> st.SearchStrategy[Any]:
    one = st.builds(
        dbn.BidAskPair,
        bid_px=PRICES, ask_px=PRICES, bid_sz=U32, ask_sz=U32, bid_ct=SMALL, ask_ct=SMALL,
    )  # fmt: skip
    return (
        one
        if n == 1
        else st.lists(one, min_size=n, max_size=n, unique_by=(lambda p: p.bid_px, lambda p: p.ask_px))
    )


CONSOLIDATED = st.builds(
    dbn.ConsolidatedBidAskPair,
    bid_px=PRICES, ask_px=PRICES, bid_sz=U32, ask_sz=U32, bid_pb=SMALL, ask_pb=SMALL,
)  # fmt: skip
MARKET = {**TRADED, "action": actions("ACMRTN"), "depth": st.integers(0, 9), "sequence": U32}
RECORDS: dict[str, st.SearchStrategy[Any]] = {
    "mbo": st.builds(
        dbn.MBOMsg, **TRADED, order_id=st.integers(0, 2**64 - 1), action=actions("ACMRTFN"), sequence=U32
    ),
    "trades": st.builds(dbn.TradeMsg, **MARKET | {"action": actions("T")}),
    "mbp-1": st.builds(dbn.MBP1Msg, **MARKET, levels=pairs(1)),
    "tbbo": st.builds(dbn.MBP1Msg, **MARKET | {"action": actions("T")}, levels=pairs(1)),
    "mbp-10": st.builds(dbn.MBP10Msg, **MARKET, levels=pairs(10)),
    "bbo-1s": st.builds(dbn.BBOMsg, rtype=st.just(dbn.RType.BBO_1S), **TRADED, sequence=U32, levels=pairs(1)),
    "bbo-1m": st.builds(dbn.BBOMsg, rtype=st.just(dbn.RType.BBO_1M), **TRADED, sequence=U32, levels=pairs(1)),
    "cbbo-1s": st.builds(dbn.CBBOMsg, rtype=st.just(dbn.RType.CBBO_1S), **TRADED, levels=CONSOLIDATED),
    "cbbo-1m": st.builds(dbn.CBBOMsg, rtype=st.just(dbn.RType.CBBO_1M), **TRADED, levels=CONSOLIDATED),
    "cmbp-1": st.builds(
        dbn.CMBP1Msg, rtype=st.just(dbn.RType.CMBP_1), **TRADED, action=actions("ACMRTN"), levels=CONSOLIDATED
    ),
    "tcbbo": st.builds(
        dbn.CMBP1Msg, rtype=st.just(dbn.RType.TCBBO), **TRADED, action=actions("T"), levels=CONSOLIDATED
    ),
    "status": st.builds(
        dbn.StatusMsg,
        **HEAD,
        ts_recv=TIMES,
        action=st.sampled_from(list(dbn.StatusAction.variants())),
        is_trading=st.sampled_from([dbn.TriState.YES, dbn.TriState.NO, dbn.TriState.NOT_AVAILABLE]),
    ),
}


def read(source: Source) -> Events:
    chunks = [events.copy() for events in source.chunks()]
    return np.concatenate(chunks) if chunks else ev.empty_events(0)


def letters(events: Events) -> str:
    return bytes(events["action"]).decode()


def opened(path: Path, **options: Any) -> DbnSource:
    return open_file(path, SourceOptions(**options))


@pytest.mark.untraced  # files by the hundred; those of the tests below cover the decoder
@pytest.mark.parametrize("schema", RECORDS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_round_trip(schema: str, tmp_path: Path, data: st.DataObject) -> None:
    """Any record the vendor's library can write, in any version and container, cut anywhere."""
    version = data.draw(st.sampled_from([1, 2, 3]), "version")
    name = data.draw(st.sampled_from(["x.dbn", "x.dbn.zst"]), "container")
    chunk = data.draw(st.sampled_from([1, 7, 16_384]), "chunk")
    records = data.draw(st.lists(RECORDS[schema], min_size=1, max_size=12), "records")
    path = write(
        tmp_path / name,
        records,
        head=header(schema, version, start=0, end=None),
        frames=data.draw(st.integers(1, 3), "frames"),
    )
    source = opened(path, chunk=chunk)
    got = read(source)
    marks = any(int(record.flags) & LAST for record in records) if schema != "status" else True
    assert got.tobytes() == expected(decode(path), schema, marks).tobytes()
    assert source.info.records == len(records)
    assert max((len(events) for events in source.chunks()), default=0) <= chunk


# --- containers and versions ---------------------------------------------------------------------


def test_sent_time_makes_records_longer(tmp_path: Path) -> None:
    records = [mbo(NOON + i, order=i, ts_out=NOON + i + 5) for i in range(100)]
    assert len(bytes(records[0])) == 64
    path = write(tmp_path / "x.dbn.zst", records, head=header(ts_out=True))
    assert read(opened(path)).tobytes() == expected(records, "mbo").tobytes()
    quotes = [
        dbn.MBP1Msg(1, 5, NOON, 10**9, 1, dbn.Action.ADD, dbn.Side.BID, 0, NOON, flags=128, ts_out=NOON + 1)
    ]
    path = write(tmp_path / "q.dbn", quotes, head=header("mbp-1", ts_out=True))
    assert read(opened(path)).tobytes() == expected(quotes, "mbp-1").tobytes()


def test_gzip_and_fragments(tmp_path: Path) -> None:
    import gzip

    records = [mbo(NOON + i) for i in range(10)]
    plain = write(tmp_path / "x.dbn", records)
    packed = tmp_path / "x.dbn.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(opened(packed)).tobytes() == read(opened(plain)).tobytes()
    fragment = write(tmp_path / "anything", records, head=b"")
    source = opened(fragment)
    assert read(source).tobytes() == read(opened(plain)).tobytes()
    assert source.info.notes["container"] == "dbn fragment"
    assert (source.info.schema, source.info.dataset) == ("mbo", "GLBX.MDP3")
    with pytest.raises(UnknownInstrument, match="--tick"):
        source.resolve(1, 5)  # a fragment names no symbol
    assert opened(fragment, tick=10).resolve(1, 5).symbol == "5"


def test_large_file_is_the_same_in_any_chunking(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    raw = np.frombuffer(bytes(mbo()), np.uint8)
    body = np.tile(raw, 50_000).reshape(-1, 56).copy()
    body[:, 16:24] = rng.integers(0, 256, (50_000, 8))
    body[:, 40:48].view("<u8")[:] = NOON + np.arange(50_000, dtype=np.uint64)[:, None]
    path = write(tmp_path / "x.dbn.zst", [body.tobytes()], frames=7)
    whole = read(opened(path))
    assert len(whole) == 50_000
    assert (whole["order_id"] == body[:, 16:24].copy().view("<u8").ravel()).all()
    for chunk in (1_000, 4_097, 65_536):
        assert read(opened(path, chunk=chunk)).tobytes() == whole.tobytes()


def test_chunks_stay_valid_until_three_more_are_produced(tmp_path: Path) -> None:
    path = write(tmp_path / "x.dbn.zst", [bytes(mbo(NOON + i, order=i)) for i in range(60_000)])
    kept: list[tuple[Events, bytes]] = []
    for events in opened(path, chunk=4_096).chunks():
        kept.append((events, events.tobytes()))
        for view, content in kept[-4:]:
            assert view.tobytes() == content


def test_reading_starts_over_each_time(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "x.dbn", [mbo(NOON + 5), mbo(NOON)]))
    first = read(source)
    assert len(source.info.warnings) == 1
    next(source.chunks())  # abandoned half-way
    assert read(source).tobytes() == first.tobytes()
    assert len(source.info.warnings) == 1


# --- what records mean ---------------------------------------------------------------------------


def test_flag_bits_and_unknown_letters(tmp_path: Path) -> None:
    odd = bytearray(bytes(mbo(flags=255)))
    odd[38], odd[39] = ord("Z"), 0
    path = write(tmp_path / "x.dbn", [bytes(odd), mbo(flags=129)])
    source = opened(path)
    events = read(source)
    assert letters(events) == "NA"
    assert bytes(events["side"]).decode() == "NB"
    assert events["flags"].tolist() == [254, 128]  # bit 0 means nothing in DBN
    assert any("action or side" in warning for warning in source.info.warnings)


def test_times_that_are_absent_or_go_back(tmp_path: Path) -> None:
    records = [
        mbo(UNDEF_TIME, ts_event=UNDEF_TIME),
        mbo(NOON),
        mbo(UNDEF_TIME, ts_event=NOON + 7),
        mbo(NOON + 3, ts_event=UNDEF_TIME),
        mbo(UNDEF_TIME, ts_event=UNDEF_TIME),
    ]
    source = opened(write(tmp_path / "x.dbn", records))
    events = read(source)
    start = NOON - DAY // 2
    assert events["ts_recv"].tolist() == [start, NOON, NOON + 7, NOON + 3, NOON + 7]
    assert events["ts_event"].tolist() == [start, NOON, NOON + 7, NOON + 3, NOON + 7]
    back, absent = source.info.warnings
    assert "1 of 5 records are older" in back and "0.000000 s" in back
    assert "4 records lack" in absent


def mbp1(action: str, flags: int, bid: int = 10, ask: int = 11, ts: int = NOON, **more: Any) -> dbn.MBP1Msg:
    level = dbn.BidAskPair(bid_px=bid, ask_px=ask, bid_sz=3, ask_sz=4, bid_ct=1, ask_ct=2)
    return dbn.MBP1Msg(
        1, 5, ts, 10, 2, dbn.Action.from_str(action), dbn.Side.BID, 0, ts, flags=flags, levels=level, **more
    )


def test_best_prices_and_the_end_of_groups(tmp_path: Path) -> None:
    records = [mbp1("T", 0), mbp1("C", LAST), mbp1("R", LAST, bid=UNDEF_PRICE, ask=UNDEF_PRICE)]
    events = read(opened(write(tmp_path / "x.dbn", records, head=header("mbp-1"))))
    assert letters(events) == "TQQQQRQQ"
    assert [int(f) & LAST for f in events["flags"]] == [0, 0, 0, 0, LAST, 0, 0, LAST]
    assert events["aux"].tolist() == [0, 1, 2, 1, 2, 0, 1, 2]
    assert events["size"].tolist() == [2, 3, 4, 3, 4, 0, 0, 0]


def test_records_that_never_mark_a_group_are_groups(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "x.dbn", [mbp1("A", 0), mbp1("T", 0)], head=header("mbp-1")))
    events = read(source)
    assert [int(f) & LAST for f in events["flags"]] == [0, LAST, 0, 0, LAST]
    assert any("group of its own" in warning for warning in source.info.warnings)
    tbbo = opened(write(tmp_path / "t.dbn", [mbp1("T", 0)], head=header("tbbo")))
    assert [int(f) & LAST for f in read(tbbo)["flags"]] == [0, 0, LAST]
    assert tbbo.info.warnings == []


def ten(number: int, bids: list[int], ts: int = NOON, action: str = "A", size: int = 1) -> dbn.MBP10Msg:
    levels = [
        dbn.BidAskPair(bid_px=p, ask_px=p + 100, bid_sz=size, ask_sz=size, bid_ct=1, ask_ct=1) for p in bids
    ]
    levels += [dbn.BidAskPair()] * (10 - len(levels))
    return dbn.MBP10Msg(
        1, number, ts, 5, 1, dbn.Action.from_str(action), dbn.Side.BID, 0, ts, flags=128, levels=levels
    )


def test_ten_levels_tell_only_what_changed(tmp_path: Path) -> None:
    records = [
        ten(5, [10, 9, 8]),
        ten(5, [10, 9, 8], ts=NOON + 1),  # nothing changed: the group still ends
        ten(5, [11, 10, 9], ts=NOON + 2),  # 8 has scrolled out
        ten(5, [11, 10, 9], ts=NOON + 3, action="T"),
        ten(5, [20], ts=NOON + 4, action="R"),
    ]
    events = read(opened(write(tmp_path / "x.dbn", records, head=header("mbp-10"))))
    assert letters(events) == "RLLLLLL" + "N" + "LLLL" + "T" + "RLL"
    assert events["flags"][:7].tolist() == [SNAPSHOT] * 6 + [SNAPSHOT | LAST]
    changed = events[8:12]
    assert changed["price"].tolist() == [8, 11, 108, 111]
    assert changed["size"].tolist() == [0, 1, 0, 1]
    assert events.tobytes() == expected(records, "mbp-10").tobytes()


def test_ten_levels_of_many_instruments(tmp_path: Path) -> None:
    """More instruments than the state holds at first."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 2**32, 300, np.uint32).tolist()
    records = [
        ten(n, sorted(rng.choice(50, 10, replace=False).tolist(), reverse=True), ts=NOON + i)
        for i, n in enumerate(rng.choice(numbers, 1_500).tolist())
    ]
    events = read(opened(write(tmp_path / "x.dbn.zst", records, head=header("mbp-10"))))
    assert events.tobytes() == expected(records, "mbp-10").tobytes()


@pytest.mark.parametrize("schema", ["ohlcv-1s", "statistics", "imbalance", "definition"])
def test_no_book_of_bars_statistics_imbalances_definitions(schema: str, tmp_path: Path) -> None:
    sizes = {
        "ohlcv-1s": (56, 0x20),
        "statistics": (80, 0x18),
        "imbalance": (112, 0x14),
        "definition": (520, 0x13),
    }
    size, rtype = sizes[schema]
    record = bytearray(size)
    record[0], record[1] = size // 4, rtype
    record[8:16] = record[16:24] = NOON.to_bytes(8, "little")
    source = opened(write(tmp_path / "x.dbn", [record] * 3, head=header(schema)))
    with pytest.raises(NoBookData, match=f"holds {schema} records"):
        source.chunks()
    scan = source.scan()
    assert scan.records == {schema: 3}
    assert scan.start == scan.end == NOON
    assert source.info.skipped == {schema: 3}


def test_scan_counts_a_book_file_too(tmp_path: Path) -> None:
    records = [mbo(NOON + 1, "A"), mbo(NOON + 2, "T"), mbo(NOON + 3, "A", number=6)]
    scan = opened(write(tmp_path / "x.dbn", records)).scan()
    assert scan.records == {"mbo": 3}
    assert scan.actions == {"A": 2, "T": 1}
    assert (scan.start, scan.end) == (NOON + 1, NOON + 3)
    assert scan.keys == [(1, 5), (1, 6)]


# --- captures of several schemas -----------------------------------------------------------------


def mapping(number: int, asked: str, meant: str, ts: int = NOON) -> dbn.SymbolMappingMsg:
    return dbn.SymbolMappingMsg(
        1, number, ts, dbn.SType.RAW_SYMBOL, asked, dbn.SType.RAW_SYMBOL, meant, NOON, NOON + DAY
    )


LIVE = {"schema": None, "mappings": {}, "stype_in": "", "end": None}


def trade(number: int, ts: int = NOON, size: int = 1) -> dbn.TradeMsg:
    return dbn.TradeMsg(1, number, ts, 10, size, dbn.Action.TRADE, dbn.Side.ASK, 0, ts)


def test_capture_names_symbols_in_band(tmp_path: Path) -> None:
    records = [
        mapping(5, "ES.FUT", "ESH4"),
        dbn.SystemMsg(NOON, "subscription ok"),
        mbo(NOON, number=5),
        bytes([14, 0x7E]) + bytes(54),  # a record type of the future
        mbo(NOON + 1, "T", number=5),
        dbn.StatusMsg(1, 5, NOON, NOON + 2, action=dbn.StatusAction.HALT),
    ]
    source = opened(write(tmp_path / "x.dbn", records, head=header(**LIVE)))
    events = read(source)
    assert source.info.schema == "mixed"
    assert letters(events) == "ATS"
    assert events["aux"][2] == ev.STATUS_HALT
    assert source.resolve(1, 5).symbol == "ESH4"
    assert source.info.records == 6
    assert source.info.skipped == {"symbol-mapping": 1, "system": 1, "record type 0x7e": 1}


def test_capture_counts_each_trade_once(tmp_path: Path) -> None:
    both = [mbo(NOON, "T", number=5), trade(5), mbp1("T", 0)]
    source = opened(write(tmp_path / "x.dbn", both, head=header(**LIVE)))
    assert letters(read(source)) == "T"
    assert source.info.skipped == {
        "trades (told by finer records)": 1,
        "mbp-1 (told by finer records)": 1,
    }
    apart = [mbo(NOON, "T", number=5), trade(5), trade(6)]
    source = opened(write(tmp_path / "y.dbn", apart, head=header(**LIVE)))
    assert letters(read(source)) == "TTT"
    assert any("count twice" in warning for warning in source.info.warnings)


def test_mbo_file_with_something_else_inside_goes_on(tmp_path: Path) -> None:
    records = [mbo(NOON + i, order=i) for i in range(5)]
    records[3:3] = [dbn.SystemMsg(NOON, "heartbeat"), trade(9)]
    source = opened(write(tmp_path / "x.dbn", records))
    assert letters(read(source)) == "AAATAA"
    assert source.info.records == 7
    assert source.info.skipped == {"system": 1}


def test_lost_records_are_an_event(tmp_path: Path) -> None:
    records = [
        mbo(NOON, number=5),
        mbo(NOON + 1, number=6, publisher=2),
        dbn.ErrorMsg(NOON + 2, "too slow", code=dbn.ErrorCode.SKIPPED_RECORDS_AFTER_SLOW_READING),
        mbo(NOON + 3, number=5),
    ]
    source = opened(write(tmp_path / "x.dbn", records, head=header(**LIVE)))
    events = read(source)
    assert letters(events) == "AAXXA"
    assert [(int(e["publisher"]), int(e["instrument_id"])) for e in events[2:4]] == [(1, 5), (2, 6)]
    assert (events["flags"][2:4] == LAST).all()
    assert any("too slow" in warning for warning in source.info.warnings)


# --- our tables against the library's ------------------------------------------------------------


def test_sizes_and_offsets_are_the_librarys() -> None:
    classes = {
        layout.RT_TRADE: [dbn.TradeMsg], layout.RT_MBP1: [dbn.MBP1Msg], layout.RT_MBP10: [dbn.MBP10Msg],
        layout.RT_STATUS: [dbn.StatusMsg], layout.RT_ERROR: [dbn.ErrorMsgV1, dbn.ErrorMsg],
        layout.RT_DEFINITION: [dbn.InstrumentDefMsgV1, dbn.InstrumentDefMsgV2, dbn.InstrumentDefMsg],
        layout.RT_MAPPING: [dbn.SymbolMappingMsgV1, dbn.SymbolMappingMsg],
        layout.RT_SYSTEM: [dbn.SystemMsgV1, dbn.SystemMsg], layout.RT_MBO: [dbn.MBOMsg],
        layout.RT_CMBP1: [dbn.CMBP1Msg], layout.RT_TCBBO: [dbn.CMBP1Msg], 0x14: [dbn.ImbalanceMsg],
        0x18: [dbn.StatMsgV1, dbn.StatMsg], 0xC0: [dbn.CBBOMsg], 0xC1: [dbn.CBBOMsg], 0xC3: [dbn.BBOMsg],
        0xC4: [dbn.BBOMsg],
    } | {rtype: [dbn.OHLCVMsg] for rtype in (0x11, 0x20, 0x21, 0x22, 0x23, 0x24)}  # fmt: skip
    assert set(classes) == set(layout.RECORDS) == {int(r) for r in dbn.RType.variants()}
    for rtype, kinds in classes.items():
        dtypes = [np.dtype([(name, kind) for name, kind in k._dtypes]) for k in kinds]
        assert layout.RECORDS[rtype][1] == tuple(d.itemsize for d in dtypes)
        ours = {layout.RT_DEFINITION: layout.DEFINITION, layout.RT_MAPPING: layout.MAPPING}.get(rtype, {})
        for theirs in dtypes:
            mine = ours.get(theirs.itemsize)
            for name in (mine.names or ()) if mine is not None else ():
                assert mine.fields[name][:2] == theirs.fields[name][:2], (rtype, name)


def test_publishers_are_the_librarys() -> None:
    for number, (dataset, name) in PUBLISHERS.items():
        record = repr(mbo(publisher=number))
        assert f"publisher_id={dataset}.{name} ({number})" in record
    assert len(PUBLISHERS) >= 139
