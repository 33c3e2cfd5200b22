"""Capture files: forms, sets, damage, and the same events whatever the chunk size."""

from __future__ import annotations

import gzip
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zstandard

from depthscope.errors import (
    ConfigError,
    CorruptData,
    EmptyData,
    UnknownInstrument,
    UnknownName,
)
from depthscope.market import events as ev
from depthscope.market.source import Source, SourceOptions
from depthscope.runtime.formats import recognise
from depthscope.venues import binance, main_file, read_head
from depthscope.venues import lines as lines_module
from tests.venues.binance_feed import NS, Exchange, dump, message
from tests.venues.dict_book import DictBook, all_events, groups

STEP = 40_000_000
LATER = 60_000_000_000  # received well after the venue's own times


def lines(n: int = 300, seed: int = 4) -> list[tuple[int, bytes]]:
    """A capture of one symbol: (receive time, message)."""
    exchange = Exchange(seed)
    found = []
    for k in range(n):
        body, _ = exchange.update()
        found.append(dump({"stream": "btcusdt@depth", "data": body}))
        if k == 2:
            found.append(dump(exchange.snapshot()))
        if k % 3 == 0:
            found.append(message("bookTicker", u=body["u"], b="60000.00", B="1.000", a="60000.10", A="2"))
            found.append(message("trade", t=k, p="60000.10", q="0.5", X="MARKET", m=bool(k % 2)))
    return [(NS + LATER + k * STEP, frame) for k, frame in enumerate(found)]


def raw(captured: list[tuple[int, bytes]]) -> bytes:
    return b"".join(b"%d %b\n" % line for line in captured)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def events_of(path: Path, **options: object) -> tuple[Source, bytes]:
    """A source read to its end, and its events as bytes."""
    source = binance.open_file(path, SourceOptions(**options))  # type: ignore[arg-type]
    return source, b"".join(chunk.tobytes() for chunk in source.chunks())


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return write(tmp_path / "capture.txt", raw(lines()))


def test_raw_capture_is_recognised_and_read(capture: Path) -> None:
    venue = recognise(capture, read_head(capture))
    assert venue is not None and venue.FORMAT == "binance"
    assert main_file(venue, capture) == capture
    source = venue.open_file(capture, SourceOptions())
    events = all_events(source)
    assert [i.symbol for i in source.instruments.values()] == ["BTCUSDT"]
    assert source.resolve(1, 1).symbol == "BTCUSDT"
    with pytest.raises(UnknownInstrument, match="no instrument 1/2"):
        source.resolve(1, 2)
    exchange = Exchange(4)
    truths = {body["u"]: truth for body, truth in (exchange.update() for _ in range(300))}
    book, checked = DictBook(), 0
    for group in groups(events):
        for event in group:
            book.apply(event)
        if chr(group[-1]["action"]) in "LN":
            assert (book.bids, book.asks) == truths[group[-1]["sequence"]]
            checked += 1
    assert checked == 299  # the snapshot taken at the third update, that update, and all later ones
    assert source.info.records == 501
    assert source.info.skipped == {"depth update older than its snapshot": 2}
    assert source.info.bytes_read == source.info.bytes_total == capture.stat().st_size
    assert source.info.warnings == []
    assert source.info.notes["depth messages"] == "300"


@pytest.mark.parametrize(
    "form",
    ["gz", "zst", "two zst frames", "crlf", "no last newline", "blank lines", "spaces"],
)
def test_same_events_from_any_form(capture: Path, tmp_path: Path, form: str) -> None:
    data = capture.read_bytes()
    half = data.index(b"\n", len(data) // 2) + 1
    compress = zstandard.ZstdCompressor().compress
    forms = {
        "gz": gzip.compress(data[:half]) + gzip.compress(data[half:]),
        "zst": compress(data),
        "two zst frames": compress(data[:half]) + compress(data[half:]),
        "crlf": data.replace(b"\n", b"\r\n"),
        "no last newline": data[:-1],
        "blank lines": b"\n" + data.replace(b"\n", b"\n\n"),
        "spaces": data.replace(b" {", b"   {").replace(b'":', b'" : ').replace(b"],[", b"] , ["),
    }
    path = write(tmp_path / f"form.{form.rsplit(maxsplit=1)[-1]}", forms[form])
    assert binance.sniff(path, read_head(path))
    source, got = events_of(path)
    assert got == events_of(capture)[1]
    assert source.info.warnings == []


@pytest.mark.parametrize("chunk", [1, 7, 4_096, 65_536])
@pytest.mark.parametrize("block", [2_048, 65_536])
def test_chunks_and_blocks_do_not_matter(
    capture: Path, chunk: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = events_of(capture)[1]
    monkeypatch.setattr(lines_module, "BLOCK", block)
    source = binance.open_file(capture, SourceOptions(chunk=chunk))
    kept: list[tuple[ev.Events, ev.Events]] = []
    got = []
    for events in source.chunks():
        assert 0 < len(events) <= chunk
        kept = [*kept[-3:], (events, events.copy())]
        assert all(np.array_equal(view, copy) for view, copy in kept)
        got.append(events.tobytes())
    assert b"".join(got) == expected
    assert b"".join(chunk.tobytes() for chunk in source.chunks()) == expected  # from the start again
    assert source.info.records == 501


def test_damaged_lines_are_left_out_and_told(capture: Path, tmp_path: Path) -> None:
    captured = capture.read_bytes().splitlines()
    expected = events_of(capture)[1]
    damage = [b"garbage", b"%d {" % NS, b'%d {"e":5}' % NS, b"12 {}", b"%d [1]" % NS, b"\xff\xfe\x00", b"{}"]
    rng = random.Random(3)
    for line in damage:
        captured.insert(rng.randint(1, len(captured)), line)
    captured[:0] = [b"# recorded by hand"]
    source, got = events_of(write(tmp_path / "damaged.txt", b"\n".join(captured) + b"\n"))
    assert got == expected
    assert source.info.skipped == {
        "depth update older than its snapshot": 2, "other message": 1, "rejected: malformed JSON": 1,
        "rejected: line without a readable receive time": 6,
    }  # fmt: skip
    told = next(w for w in source.info.warnings if "damaged or absurd" in w)
    assert told.startswith("7 of 509 lines")
    assert "line without a readable receive time 6, malformed JSON 1" in told


def test_a_line_cut_short_at_the_end_is_told(capture: Path, tmp_path: Path) -> None:
    source, _ = events_of(write(tmp_path / "cut.txt", capture.read_bytes()[:-30]))
    assert source.info.skipped["rejected: malformed JSON"] == 1
    assert any("1 of 501 lines" in w for w in source.info.warnings)


def test_a_line_of_many_megabytes_is_left_out(capture: Path, tmp_path: Path) -> None:
    data = capture.read_bytes()
    half = data.index(b"\n", len(data) // 2) + 1
    for size in ((4 << 20) + 30_000, 5 << 20, 9 << 20):
        long = b'%d {"e":"kline","k":"%b"}\n' % (NS, b"x" * size)
        source, got = events_of(write(tmp_path / "long.txt", data[:half] + long + data[half:]))
        assert got == events_of(capture)[1]
        assert source.info.skipped["rejected: longer than 4 MiB"] == 1
    source, got = events_of(write(tmp_path / "long.txt", data + long[:-1] * 3))
    assert got == events_of(capture)[1]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_truncated_compression_gives_what_was_readable(capture: Path, tmp_path: Path, suffix: str) -> None:
    data = capture.read_bytes()
    packed = gzip.compress(data) if suffix == "gz" else zstandard.ZstdCompressor().compress(data)
    path = write(tmp_path / f"cut.{suffix}", packed[: len(packed) * 2 // 3])
    whole = events_of(capture)[1]
    got = b""
    with pytest.raises(CorruptData, match=r"up to there|No line could be read") as caught:
        for chunk in binance.open_file(path, SourceOptions()).chunks():
            got += chunk.tobytes()
    assert whole.startswith(got)
    if suffix == "gz":  # all of this file is one zstd block
        assert len(got) > len(whole) // 3
        assert caught.value.records > 501 // 3


def test_flipped_bits_in_compression_are_contained(capture: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    for suffix, packed in (
        ("gz", gzip.compress(capture.read_bytes())),
        ("zst", zstandard.ZstdCompressor(write_checksum=True).compress(capture.read_bytes())),
    ):
        for k in range(40):
            damaged = bytearray(packed)
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            path = write(tmp_path / f"flip{k}.{suffix}", bytes(damaged))
            try:
                events_of(path)
            except (CorruptData, EmptyData):
                continue


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b"", EmptyData, "holds no line"),
        (b"\n \n\n", EmptyData, "holds no line"),
        (b"%d {" % NS, CorruptData, "not one of its lines is a usable message"),
        (b"1723161255 {}\n", CorruptData, "not one of its lines"),
    ],
)
def test_nothing_usable(tmp_path: Path, data: bytes, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        events_of(write(tmp_path / "bad.txt", data))


def test_receive_time_going_back_passes_and_is_told(tmp_path: Path) -> None:
    captured = lines(30)
    captured[20] = (captured[20][0] - 10 * STEP, captured[20][1])
    source, _ = events_of(write(tmp_path / "back.txt", raw(captured)))
    events = all_events(source)
    assert min(b["ts_recv"] - a["ts_recv"] for a, b in pairwise(events)) == -9 * STEP
    (told,) = source.info.warnings
    assert told == "Receive time goes back 1 times, by up to 0.360000 s: those lines count at the later time."


def test_unknown_tick_is_refused_early_and_named(tmp_path: Path) -> None:
    path = write(tmp_path / "sushi.txt", raw(lines(20)).replace(b"BTCUSDT", b"SUSHIUSDT"))
    with pytest.raises(UnknownInstrument, match=r"SUSHIUSDT on binance.*--tick"):
        binance.open_file(path, SourceOptions())
    source, got = events_of(path, tick=10**8, lot=10**6)
    assert got and [i.symbol for i in source.instruments.values()] == ["SUSHIUSDT"]


def test_a_stranger_later_in_the_file_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binance, "HEAD", 2_000)
    captured = lines(60)
    stray = (captured[-1][0], message("trade", s="SUSHIUSDT", t=1, p="7.6", q="3", X="MARKET", m=True))
    source, got = events_of(write(tmp_path / "mixed.txt", raw([*captured, stray])))
    assert got == events_of(write(tmp_path / "pure.txt", raw(captured)))[1]
    assert source.info.skipped["no tick is known for the symbol"] == 1
    (told,) = source.info.warnings
    assert told.startswith("SUSHIUSDT was left out. No tick size is known")


def test_only_strangers_is_an_error_even_when_found_late(tmp_path: Path) -> None:
    odd = [(NS + k, b'{"s":"SUSHIUSDT","e":"trade","t":1,"p":"7","q":"1"}') for k in range(3)]
    with pytest.raises(UnknownInstrument, match="SUSHIUSDT"):
        events_of(write(tmp_path / "odd.txt", raw(odd)))


def test_symbols_asked_for_must_exist(capture: Path) -> None:
    assert events_of(capture, symbols=frozenset({"BTCUSDT"}))[1]
    with pytest.raises(UnknownName, match=r"no BTCUSD \(it has BTCUSDT\)"):
        events_of(capture, symbols=frozenset({"BTCUSD"}))


def test_a_symbol_asked_for_may_come_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance, "HEAD", 2_000)
    late = (NS + 2 * LATER, message("trade", s="ETHUSDT", t=1, p="2600", q="3", X="MARKET", m=True))
    path = write(tmp_path / "late.txt", raw([*lines(60), late]))
    source, got = events_of(path, symbols=frozenset({"ETHUSDT", "BTCUSDT"}))
    assert got and source.resolve(1, 2).symbol == "ETHUSDT"
    with pytest.raises(UnknownName, match="has no ADAUSDT"):
        binance.open_file(path, SourceOptions(symbols=frozenset({"ADAUSDT"})))


def test_options_of_other_venues_are_refused(capture: Path) -> None:
    with pytest.raises(ConfigError, match="no option lobster_mode"):
        events_of(capture, extra={"lobster_mode": "messages"})


def test_a_book_that_never_syncs_is_told(tmp_path: Path) -> None:
    captured = [line for line in lines(20) if b"lastUpdateId" not in line[1]]
    source, _ = events_of(write(tmp_path / "nosnap.txt", raw(captured)))
    assert source.info.skipped == {"depth update without a snapshot that fits": 20}
    (told,) = source.info.warnings
    assert told.startswith("The book of BTCUSDT is out of sync at the end (no snapshot yet)")


def test_definitions_in_the_stream(tmp_path: Path) -> None:
    information = (
        b'{"rateLimits":[],"exchangeFilters":[],"symbols":[{"symbol":"SUSHIUSDT","filters":[{"filterType":'
        b'"PRICE_FILTER","tickSize":"0.10"},{"filterType":"LOT_SIZE","stepSize":"0.001"}]}]}'
    )
    captured = [(NS - 1, information), *((t, f.replace(b"BTCUSDT", b"SUSHIUSDT")) for t, f in lines(30))]
    source, got = events_of(write(tmp_path / "defined.txt", raw(captured)))
    assert got
    assert source.resolve(1, 1).tick == 10**8
    assert source.info.skipped["exchange information"] == 1


# ── sets of files ──


def stamp(ns: int) -> bytes:
    return f"{ns // 10**9}.{ns % 10**9:09}".rstrip("0").removesuffix(".").encode()


LINK = b"wss://fstream.binance.com/stream?streams=btcusdt@depth/btcusdt@trade <-> %b\n"


def write_set(folder: Path, captured: list[tuple[int, bytes]], parts: int = 1) -> Path:
    """The same capture as a set: stream parts, replies, and a note of the recorder."""
    stream = [line for line in captured if b"lastUpdateId" not in line[1]]
    replies = [line for line in captured if b"lastUpdateId" in line[1]]
    size = -(-len(stream) // parts)
    for part in range(parts):
        some = stream[part * size : (part + 1) * size]
        head = LINK % stamp(some[0][0] - 1) if part == 0 else b""
        body = b"\n".join(stamp(t) + b": " + f for t, f in some)  # no newline at the end
        write(folder / f"BINANCE.ws.1.{part}", head + body)
    url = b"https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000 -> "
    write(folder / "BINANCE.http.0.0", b"".join(url + stamp(t) + b": " + f + b"\n" for t, f in replies))
    write(folder / "BINANCE.0", b'configuration: {"l2_book":["BTC-USDT-PERP"]}\n')
    return folder


@pytest.mark.parametrize("parts", [1, 3])
def test_a_set_is_one_source_whichever_file_is_named(capture: Path, tmp_path: Path, parts: int) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write_set(folder, lines(), parts)
    expected = events_of(capture)[1]
    names = [f"BINANCE.ws.1.{k}" for k in range(parts)] + ["BINANCE.http.0.0", "BINANCE.0"]
    for name in names:
        assert binance.main_file(folder / name) == folder / "BINANCE.ws.1.0"
        source, got = events_of(folder / name)
        assert got == expected
        assert source.info.notes["files"].split(", ") == sorted(names)
        assert source.info.bytes_total == sum(f.stat().st_size for f in folder.iterdir())
    assert binance.sniff(folder / names[0], read_head(folder / names[0]))
    assert source.info.warnings == []


def test_two_connections_are_merged_by_receive_time(capture: Path, tmp_path: Path) -> None:
    write_set(tmp_path, lines())
    path = tmp_path / "BINANCE.ws.1.0"
    captured = path.read_bytes().splitlines(keepends=True)
    write(path, b"".join(line for line in captured if b"bookTicker" not in line))
    write(tmp_path / "BINANCE.ws.2.0", b"".join(line for line in captured if b"bookTicker" in line))
    assert events_of(path)[1] == events_of(capture)[1]


def test_a_reconnect_in_a_set_is_a_gap_in_the_book(tmp_path: Path) -> None:
    captured = lines(60)
    write_set(tmp_path, captured)
    path = tmp_path / "BINANCE.ws.1.0"
    text = path.read_bytes().splitlines(keepends=True)
    text.insert(50, LINK % stamp(captured[49][0]))
    write(path, b"".join(text))
    source, _ = events_of(path)
    actions = "".join(chr(e["action"]) for e in all_events(source))
    assert actions.count("X") == 1
    assert "L" not in actions[actions.index("X") :]
    assert any("out of sync at the end" in w for w in source.info.warnings)


def test_a_numbered_file_without_a_set_stands_alone(capture: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "log.1", capture.read_bytes())
    write(tmp_path / "log.2", capture.read_bytes())
    assert binance.main_file(path) == path
    assert events_of(path)[1] == events_of(capture)[1]


@pytest.mark.parametrize(
    "head",
    [
        b"", b"\x00" * 100, b"DBN\x01", b"time,price\n1,2\n", b'{"e":"depthUpdate"}\n',
        b"34200.1,1,2,3,4,1\n", b'1723161255030314667 {"some":"json"}\n', b"https://example.org -> 1.5: {}\n",
        b"wss://x <-> 1.5\n",
    ],
)  # fmt: skip
def test_other_files_are_not_taken_for_captures(head: bytes) -> None:
    assert not binance.sniff(Path("any"), head)
