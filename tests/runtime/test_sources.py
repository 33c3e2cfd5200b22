"""open_source: files, folders, globs and lists; order, merging, resets, names, bad input."""

from __future__ import annotations

import socket
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import depthscope.venues as registry
from depthscope.errors import (
    ConfigError,
    CorruptData,
    EmptyData,
    FormatUnknown,
    InputError,
    NoBookData,
    SourceMissing,
    UnknownInstrument,
    UnknownName,
)
from depthscope.market.events import CLEAR, LAST, Events
from depthscope.market.source import Source, SourceOptions
from depthscope.runtime.sources import open_source
from tests.venues.dbn_files import DAY, NOON, header, mbo, write
from tests.venues.test_databento import mbp1, trade

SYMBOLS = {5: "ESH4", 6: "NQH4", 7: "CLH4"}


def file(
    folder: Path, name: str, records: list[Any], names: dict[int, str] | None = None, **head: Any
) -> Path:
    """A DBN file whose instrument ids have these names."""
    told = SYMBOLS if names is None else names
    mappings = {symbol: [(date(2020, 1, 1), date(2030, 1, 1), str(n))] for n, symbol in told.items()}
    return write(folder / name, records, head=header(mappings=mappings, end=None, **head))


def read(source: Source) -> Events:
    chunks = [events.copy() for events in source.chunks()]
    return np.concatenate(chunks)


def letters(events: Events) -> str:
    return bytes(events["action"]).decode()


def symbols(source: Source, events: Events) -> list[str]:
    return [source.resolve(int(e["publisher"]), int(e["instrument_id"])).symbol for e in events]


# --- one file ------------------------------------------------------------------------------------


def test_one_file_by_any_name(tmp_path: Path) -> None:
    path = file(tmp_path, "anything.bin", [mbo()])
    for given_as in (path, str(path), [path], tmp_path, str(tmp_path / "*.bin"), (p for p in [path])):
        source = open_source(given_as)
        assert isinstance(source, Source)
        assert letters(read(source)) == "A"
        assert source.info.format == "dbn"


def test_a_name_with_glob_letters_is_still_a_name(tmp_path: Path) -> None:
    path = file(tmp_path, "[x]*.dbn", [mbo()])
    assert letters(read(open_source(path))) == "A"


@pytest.mark.parametrize(
    ("tick", "fixed"),
    [("0.5", 5 * 10**8), (0.5, 5 * 10**8), (Decimal("0.5"), 5 * 10**8), (7, 7), (None, 25 * 10**7)],
)
def test_tick_as_users_and_programs_write_it(tick: Any, fixed: int, tmp_path: Path) -> None:
    source = open_source(file(tmp_path, "x.dbn", [mbo()]), tick=tick, symbols="ESH4")
    assert source.resolve(1, 5).tick == fixed


def test_options_are_checked(tmp_path: Path) -> None:
    path = file(tmp_path, "x.dbn", [mbo()])
    with pytest.raises(ConfigError, match="colour"):
        open_source(path, colour="red")
    with pytest.raises(ConfigError, match="chunk"):
        open_source(path, chunk=0)
    with pytest.raises(ConfigError, match="tick"):
        open_source(path, tick="-1")
    with pytest.raises(InputError, match="finite"):
        open_source(path, tick=float("nan"))
    with pytest.raises(ConfigError, match="not both"):
        open_source(path, SourceOptions(), chunk=5)
    assert max(len(e) for e in open_source([path], SourceOptions(chunk=1)).chunks()) == 1


def test_what_is_not_a_file_is_named_with_a_colon(tmp_path: Path) -> None:
    source = open_source("synthetic:seed=7,minutes=1", chunk=500)
    assert source.info.format == "synthetic"
    assert 0 < len(next(iter(source.chunks()))) <= 500
    with pytest.raises(InputError, match="name it alone"):
        open_source(["synthetic:seed=7", tmp_path])


# --- nothing there, or nothing readable ----------------------------------------------------------


def test_nothing_there(tmp_path: Path) -> None:
    file(tmp_path, "day.mbo.dbn", [mbo()])
    with pytest.raises(SourceMissing, match=r"Did you mean day\.mbo\.dbn\?"):
        open_source(tmp_path / "day.mbo.dbm")
    with pytest.raises(SourceMissing, match="There is no"):
        open_source(tmp_path / "no" / "such" / "file")
    with pytest.raises(SourceMissing, match="No file matches"):
        open_source(str(tmp_path / "*.parquet"))
    with pytest.raises(SourceMissing, match="No file was named"):
        open_source([])
    with pytest.raises(SourceMissing, match="name of a file is empty"):
        open_source("")


def test_links_to_nothing(tmp_path: Path) -> None:
    file(tmp_path, "x.dbn", [mbo()])
    link = tmp_path / "day.dbn"
    try:
        link.symlink_to("gone.dbn")
    except OSError:
        pytest.skip("no links here")
    with pytest.raises(SourceMissing, match=r"day\.dbn is a link to gone\.dbn, which is not there"):
        open_source(link)
    assert open_source(tmp_path).info.notes["passed over"] == "day.dbn (a link to nothing)"


def test_a_folder_without_data_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "empty.dbn").touch()
    (tmp_path / "sub").mkdir()
    with pytest.raises(SourceMissing) as caught:
        open_source(tmp_path)
    for part in (
        "README.md (no market data)",
        ".hidden (hidden)",
        "empty.dbn (empty)",
        "sub/ (a folder)",
        "dbn",
    ):
        assert part in str(caught.value)


def test_what_is_passed_over_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".x.dbn").write_bytes(b"")
    file(tmp_path, "x.dbn", [mbo()])
    source = open_source(tmp_path)
    assert source.info.notes["passed over"] == ".x.dbn (hidden), notes.txt (no market data)"


def test_named_files_must_be_good(tmp_path: Path) -> None:
    good = file(tmp_path, "x.dbn", [mbo()])
    text = tmp_path / "x.txt"
    text.write_text("hello, this is no market data")
    with pytest.raises(FormatUnknown, match=r"of no kind.*b'hello, t'.*Readable are"):
        open_source([good, text])
    (tmp_path / "e").touch()
    with pytest.raises(EmptyData, match="0 bytes"):
        open_source([good, tmp_path / "e"])


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = file(tmp_path, "x.dbn", [mbo()])
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            open_source(path)
    else:
        pytest.skip("this user may read everything")
    finally:
        path.chmod(0o600)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_what_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.dbn"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        with pytest.raises(InputError, match="no regular file"):
            open_source(path)


# --- several files -------------------------------------------------------------------------------


def test_files_come_in_order_of_time_and_books_are_reset(tmp_path: Path) -> None:
    late = file(tmp_path, "a.dbn", [mbo(NOON + DAY, order=3), mbo(NOON + DAY + 1, number=6, order=4)])
    early = file(tmp_path, "b.dbn", [mbo(NOON, order=1), mbo(NOON + 1, number=6, order=2), mbo(NOON + 2)])
    source = open_source([late, early])
    events = read(source)
    assert letters(events) == "AAARRAA"
    resets = events[3:5]
    assert set(resets["ts_recv"].tolist()) == {NOON + DAY}
    assert resets["instrument_id"].tolist() == [5, 6]
    assert (resets["flags"] == LAST).all()
    assert events["order_id"].tolist() == [1, 2, 1, 0, 0, 3, 4]
    info = source.info
    assert (info.format, info.schema, info.dataset, info.records) == ("dbn", "mbo", "GLBX.MDP3", 5)
    assert info.bytes_total == info.bytes_read == sum(p.stat().st_size for p in (late, early))
    assert symbols(source, events[:2]) == ["ESH4", "NQH4"]
    assert {i.symbol for i in source.instruments.values()} == {"ESH4", "NQH4"}
    # Read again, it is the same again.
    assert read(source).tobytes() == events.tobytes()
    assert info.records == 5
    assert letters(read(open_source([late, early], continuous=True))) == "AAAAA"


def test_only_books_since_the_last_reset_are_reset(tmp_path: Path) -> None:
    for i, number in enumerate((5, 6, 6)):
        file(tmp_path, f"{i}.dbn", [mbo(NOON + i * DAY, number=number)])
    events = read(open_source(tmp_path))
    assert letters(events) == "ARARA"
    assert events["instrument_id"].tolist() == [5, 5, 6, 6, 6]


def test_a_symbol_keeps_one_key_through_all_files(tmp_path: Path) -> None:
    first = {7: "AAA", 8: "BBB"}
    second = {8: "AAA", 7: "BBB", 9: "CCC"}
    third = {9: "AAA", 7: "DDD"}
    day = {"dataset": "XNAS.ITCH"}
    file(tmp_path, "1.dbn", [mbo(NOON, number=7), mbo(NOON, number=8)], first, **day)
    file(tmp_path, "2.dbn", [mbo(NOON + DAY, number=n) for n in (7, 8, 9, 7)], second, **day)
    file(tmp_path, "3.dbn", [mbo(NOON + 2 * DAY, number=n) for n in (7, 9)], third, **day)
    source = open_source(tmp_path)
    events = read(source)
    assert letters(events) == "AA" + "RR" + "AAAA" + "RRR" + "AA"
    added = events[events["action"] == ord("A")]
    assert symbols(source, added) == ["AAA", "BBB", "BBB", "AAA", "CCC", "BBB", "DDD", "AAA"]
    keys = {symbol: set() for symbol in symbols(source, added)}
    for symbol, event in zip(symbols(source, added), added, strict=True):
        keys[symbol].add((int(event["publisher"]), int(event["instrument_id"])))
    assert all(len(found) == 1 for found in keys.values())
    assert len(set.union(*keys.values())) == 4


def test_files_that_overlap_are_merged(tmp_path: Path) -> None:
    file(tmp_path, "es.dbn", [mbo(NOON + t, number=5, order=t) for t in (0, 4, 4, 9)])
    file(tmp_path, "nq.dbn", [mbo(NOON + t, number=6, order=t) for t in (1, 4, 7)])
    file(tmp_path, "cl.dbn", [mbo(NOON + t, number=7, order=t) for t in (8, 20)])
    file(tmp_path, "next.dbn", [mbo(NOON + t, number=5, order=t) for t in (30, 31)])
    source = open_source(tmp_path)
    events = read(source)
    assert letters(events) == "A" * 9 + "RRR" + "AA"
    assert events["order_id"].tolist() == [0, 1, 4, 4, 4, 7, 8, 9, 20, 0, 0, 0, 30, 31]
    assert events["instrument_id"].tolist() == [5, 6, 5, 5, 6, 6, 7, 5, 7, 6, 5, 7, 5, 5]
    assert source.info.records == 11


def test_a_file_that_ended_is_reset_although_another_goes_on(tmp_path: Path) -> None:
    file(tmp_path, "es.dbn", [mbo(NOON + t, number=5, order=t) for t in range(0, 40, 2)])
    file(tmp_path, "nq1.dbn", [mbo(NOON + t, number=6, order=t) for t in (1, 3)])
    file(tmp_path, "nq2.dbn", [mbo(NOON + t, number=6, order=t) for t in (11, 13)])
    source = open_source(tmp_path, chunk=1)
    events = read(source)
    assert (np.diff(events["ts_recv"]) >= 0).all()
    resets = events[events["action"] == CLEAR]
    assert resets[["instrument_id", "ts_recv"]].tolist() == [(6, NOON + 11)]


def test_one_instrument_twice_at_once_is_refused(tmp_path: Path) -> None:
    file(tmp_path, "a.dbn", [mbo(NOON), mbo(NOON + 9)])
    file(tmp_path, "b.dbn", [mbo(NOON + 5), mbo(NOON + 6)])
    with pytest.raises(InputError, match=r"a\.dbn and b\.dbn overlap in time and both hold ESH4"):
        read(open_source(tmp_path))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_split_by_symbol_and_merged_is_the_whole(tmp_path: Path, data: st.DataObject) -> None:
    times = sorted(data.draw(st.lists(st.integers(0, 50), min_size=1, max_size=60)))
    owners = data.draw(st.lists(st.sampled_from([5, 6, 7]), min_size=len(times), max_size=len(times)))
    chunk = data.draw(st.sampled_from([1, 3, 4_096]))
    records = [mbo(NOON + t, number=n, order=i) for i, (t, n) in enumerate(zip(times, owners, strict=True))]
    paths = [
        file(tmp_path, f"{n}.dbn", [r for r in records if r.instrument_id == n]) for n in sorted(set(owners))
    ]
    got = read(open_source(paths, chunk=chunk, continuous=True))
    assert (np.diff(got["ts_recv"]) >= 0).all()
    assert sorted(got["order_id"].tolist()) == list(range(len(records)))
    for n in set(owners):
        mine = got[got["instrument_id"] == n]["order_id"]
        assert (np.diff(mine.astype(np.int64)) > 0).all(), "a file's own order was changed"


def test_merged_chunks_stay_valid_until_three_more_are_produced(tmp_path: Path) -> None:
    file(tmp_path, "a.dbn", [bytes(mbo(NOON + 2 * i, order=i)) for i in range(30_000)])
    file(tmp_path, "b.dbn", [bytes(mbo(NOON + 30_000 + 2 * i, order=i, number=6)) for i in range(30_000)])
    kept: list[tuple[Events, bytes]] = []
    for events in open_source(tmp_path, chunk=4_096).chunks():
        kept.append((events, events.tobytes()))
        for view, content in kept[-4:]:
            assert view.tobytes() == content
    assert sum(len(events) for events, _ in kept) == 60_000


def test_several_formats_or_schemas_are_refused(tmp_path: Path) -> None:
    file(tmp_path, "a.dbn", [mbo()])
    line = (
        b'1723075200000000000 {"e":"trade","E":1723075200000,"T":1723075200000,"s":"BTCUSDT","t":1,'
        b'"p":"1.0","q":"1","m":true}\n'
    )
    (tmp_path / "capture.txt").write_bytes(line * 20)
    with pytest.raises(InputError, match=r"several formats \(binance: capture\.txt; dbn: a\.dbn\)"):
        open_source(tmp_path)
    (tmp_path / "capture.txt").unlink()
    file(tmp_path, "b.dbn", [trade(5, NOON + DAY)], schema="trades")
    with pytest.raises(InputError, match=r"several schemas \(mbo: a\.dbn; trades: b\.dbn\)"):
        open_source(tmp_path)


def test_days_without_a_record_are_passed_over(tmp_path: Path) -> None:
    file(tmp_path, "1.dbn", [mbo(NOON)])
    file(tmp_path, "2.dbn", [])
    bars = bytes([14, 0x20]) + bytes(54)
    file(tmp_path, "3.dbn", [bars], schema="ohlcv-1s")
    file(tmp_path, "4.dbn", [mbo(NOON + DAY)])
    source = open_source(tmp_path)
    assert letters(read(source)) == "ARA"
    assert source.info.notes["passed over"] == "2.dbn (no record), 3.dbn (no book data)"
    for name in ("1.dbn", "4.dbn"):
        (tmp_path / name).unlink()
    with pytest.raises(NoBookData, match="None of the 2 files"):
        open_source(tmp_path)
    file(tmp_path, "3.dbn", [])
    with pytest.raises(EmptyData, match="None of the 2 files"):
        open_source(tmp_path)


def test_definitions_beside_the_data_are_no_data(tmp_path: Path) -> None:
    definition = bytes([130, 0x13]) + bytes(518)
    side = file(tmp_path, "x.definition.dbn", [definition], schema="definition")
    file(tmp_path, "x.mbo.dbn", [mbo()])
    assert letters(read(open_source(tmp_path))) == "A"
    with pytest.raises(NoBookData, match="definition"):
        open_source(side).chunks()


def test_damage_ends_the_sequence_where_it_is(tmp_path: Path) -> None:
    file(tmp_path, "1.dbn", [mbo(NOON + i) for i in range(10)])
    broken = file(tmp_path, "2.dbn", [mbo(NOON + DAY + i) for i in range(10)])
    broken.write_bytes(broken.read_bytes()[:-60])
    file(tmp_path, "3.dbn", [mbo(NOON + 2 * DAY)])
    source = open_source(tmp_path)
    got = 0
    with pytest.raises(CorruptData, match=r"2\.dbn.*8 records were read") as caught:
        for events in source.chunks():
            got += len(events)
    assert got == 10 + 1 + 8
    assert caught.value.records == source.info.records == 18
    assert any(w.startswith("2.dbn: Reading ended early") for w in source.info.warnings)


def test_symbols_may_be_in_some_of_the_files(tmp_path: Path) -> None:
    file(tmp_path, "1.dbn", [mbo(NOON)], {5: "ESH4"})
    file(tmp_path, "2.dbn", [mbo(NOON + DAY)], {5: "ESM4"})
    assert len(read(open_source(tmp_path, symbols=["ESH4", "ESM4"]))) == 3
    with pytest.raises(UnknownName, match=r"None of the files of .* has ESH5\. .*it has ES"):
        open_source(tmp_path, symbols=["ESH4", "ESH5"])


def test_unknown_instruments_are_told_when_asked_for(tmp_path: Path) -> None:
    odd = {5: "ODD"}
    file(tmp_path, "1.dbn", [mbo(NOON)], odd)
    file(tmp_path, "2.dbn", [mbo(NOON + DAY)], odd)
    source = open_source(tmp_path)
    assert letters(read(source)) == "ARA"
    with pytest.raises(UnknownInstrument, match=r"ODD.*--tick"):
        source.resolve(1, 5)
    with pytest.raises(UnknownInstrument, match="not been met"):
        source.resolve(1, 99)
    source = open_source(tmp_path, tick="0.01")
    read(source)
    assert source.resolve(1, 5).tick == 10**7


def test_warnings_of_every_file_are_kept(tmp_path: Path) -> None:
    file(tmp_path, "1.dbn", [mbp1("A", 0)], schema="mbp-1")
    file(
        tmp_path, "2.dbn", [mbp1("A", 128, ts=NOON + DAY + 5), mbp1("A", 128, ts=NOON + DAY)], schema="mbp-1"
    )
    source = open_source(tmp_path)
    read(source)
    assert [w.split(":")[0] for w in source.info.warnings] == ["1.dbn", "2.dbn"]


@pytest.mark.real_data
def test_recorded_days_in_order(data_dir: Path) -> None:
    folder = data_dir / "databento"
    days = [folder / f"esh4-glbx-mdp3-202312{day}.mbo.dbn.zst" for day in (25, 24)]
    events = read(open_source(days))
    assert letters(events[:8_726]) == "A" * 8_725 + "R"
    assert len(events) == 8_725 + 1 + 68_792
    assert events["ts_recv"][8_725] == events["ts_recv"][8_726] == 1_703_462_400 * 10**9
    assert read(open_source(str(folder / "esh4*.mbo.*"))).tobytes() == events.tobytes()
    with pytest.raises(InputError, match="several schemas"):
        open_source(folder)


# --- the registry --------------------------------------------------------------------------------


def test_every_registered_venue_keeps_the_contract() -> None:
    for name, module_name in registry.FORMATS.items():
        module = registry.venue(module_name)
        assert name == module.FORMAT
        for function in (module.sniff, module.open_file):
            assert function.__doc__
        assert module.sniff(Path("nothing"), b"") is False
        assert module.sniff(Path("nothing"), b"\x89PNG\r\n\x1a\n" + bytes(100)) is False
    for module_name in registry.SPECS.values():
        assert registry.venue(module_name).open_spec.__doc__  # type: ignore[attr-defined]


def test_heads_are_what_readers_see(tmp_path: Path) -> None:
    import gzip
    import zipfile

    import zstandard

    content = bytes(range(256)) * 1_000
    path = tmp_path / "x"
    frames = zstandard.compress(content[:300]) + zstandard.compress(content[300:])
    for stored in (content, gzip.compress(content), zstandard.compress(content), frames):
        path.write_bytes(stored)
        assert registry.read_head(path) == content[: registry.HEAD_BYTES]
        path.write_bytes(stored[: len(stored) // 2])
        assert content.startswith(registry.read_head(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b.csv", "x")
        archive.writestr("c.csv", "x")
    assert registry.read_head(path) == b"PK\x03\x04\na/b.csv\nc.csv"
    path.write_bytes(path.read_bytes()[:40])
    assert registry.read_head(path).startswith(b"PK")
    path.write_bytes(b"")
    assert registry.read_head(path) == b""
