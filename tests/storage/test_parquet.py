"""Parquet archives: every event back in its order, columns that other programs read, damage told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthscope.errors import ConfigError, CorruptData, FormatUnknown, OutputError, UnknownName
from depthscope.market.events import EVENT, UNDEF_PRICE, Events
from depthscope.market.source import SourceOptions
from depthscope.runtime.sources import open_source
from depthscope.storage import parquet
from depthscope.storage.frames import crc32c
from depthscope.storage.manifest import FOLDER
from depthscope.storage.outputs import Whole
from depthscope.storage.parquet import write_parquet
from depthscope.storage.parquet_source import open_file
from tests.storage.generated import NIGHTLY
from tests.storage.made_events import START, MadeSource, all_of, market_events, strange_events

Record = Callable[[str, object], None]


def files_of(root: Path) -> list[Path]:
    return sorted(root.rglob("*.parquet"))


@pytest.mark.parametrize("chunk", [100, 33_000])
def test_an_archive_gives_the_same_events(tmp_path: Path, chunk: int) -> None:
    events = market_events(50_000, 2)
    root = tmp_path / "archive"
    manifest = write_parquet(MadeSource(events, chunk), root)
    assert manifest.events == len(events)
    source = open_source(root, chunk=chunk)
    pieces = list(source.chunks())
    assert np.concatenate(pieces).tobytes() == events.tobytes()
    assert max(map(len, pieces)) <= chunk
    made = MadeSource(events)
    assert {key: made.resolve(*key) for key in source.instruments} == dict(source.instruments)
    assert source.info.records == len(events)
    assert source.info.bytes_read == source.info.bytes_total == sum(p.stat().st_size for p in files_of(root))
    assert all_of(source.chunks()).tobytes() == events.tobytes()


def test_small_row_groups_of_many_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 500)
    monkeypatch.setattr(parquet, "HELD_ROWS", 900)
    events = market_events(9_000, 3, days=4)
    write_parquet(MadeSource(events, 700), tmp_path)
    assert {p.parent.name for p in files_of(tmp_path)} > {"date=2023-11-15", "date=2023-11-16"}
    assert all_of(open_source(tmp_path).chunks()).tobytes() == events.tobytes()


def test_partitions_are_named_as_others_expect(tmp_path: Path) -> None:
    write_parquet(MadeSource(market_events(300, 1)), tmp_path)
    folders = {p.parent.relative_to(tmp_path).as_posix() for p in files_of(tmp_path)}
    assert folders == {
        f"venue=TEST.X/symbol={name}/date=2023-11-14" for name in ("A", "B%2FC%20d", "%C3%BC%3D1")
    }


def test_several_runs_are_read_in_order_of_time(tmp_path: Path) -> None:
    first, second = market_events(400, 1), market_events(400, 2)
    second["ts_recv"] += 86_400 * 10**9
    for events in (second, first):
        write_parquet(MadeSource(events), tmp_path)
    source = open_source(tmp_path, continuous=True)
    read = all_of(source.chunks())
    assert read.tobytes() == first.tobytes() + second.tobytes()


def test_one_file_alone(tmp_path: Path) -> None:
    events = market_events(5_000, 4)
    write_parquet(MadeSource(events), tmp_path)
    for path in files_of(tmp_path):
        lone = tmp_path / "lone.parquet"
        lone.write_bytes(path.read_bytes())
        source = open_source(lone, chunk=700)
        ((key, instrument),) = source.instruments.items()
        assert MadeSource(events).resolve(*key) == instrument
        assert all_of(source.chunks()).tobytes() == events[events["instrument_id"] == key[1]].tobytes()


def test_other_parquet_is_no_archive(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1, 2, 3]}), tmp_path / "other.parquet")
    with pytest.raises(FormatUnknown):
        open_source(tmp_path / "other.parquet")


def test_columns_for_others(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    import pyarrow.dataset as ds

    events = market_events(4_000, 6)
    write_parquet(MadeSource(events), tmp_path)
    pattern = str(tmp_path / "**" / "*.parquet")
    frame = polars.scan_parquet(pattern, hive_partitioning=True).sort("row").collect()
    assert frame["ts_recv"].dtype == polars.Datetime("ns", "UTC")
    assert frame["ts_recv"].cast(polars.Int64).to_numpy().tolist() == events["ts_recv"].tolist()
    assert frame["price_fixed"].to_list() == events["price"].tolist()
    absent = events["price"] == UNDEF_PRICE
    assert frame["price"].is_null().to_list() == absent.tolist()
    assert np.allclose(frame["price"].to_numpy()[~absent], events["price"][~absent] / 1e9)
    assert frame["action"].cast(polars.String).to_list() == [chr(a) for a in events["action"].tolist()]
    lots = {"A": 0.001, "B/C d": 0.002, "ü=1": 0.003}
    sizes = [lots[symbol] * n for symbol, n in zip(frame["symbol"], events["size"].tolist(), strict=True)]
    assert np.allclose(frame["size"].to_numpy(), sizes)
    table = ds.dataset(tmp_path, format="parquet", partitioning="hive").to_table()
    assert table.num_rows == len(events)
    assert set(table["venue"].to_pylist()) == {"TEST.X"}
    pandas_frame = pandas.read_parquet(files_of(tmp_path)[0])
    assert str(pandas_frame["ts_event"].dtype) == "datetime64[ns, UTC]"
    assert set(pandas_frame["side"]) <= {"A", "B", "N"}


def test_read_by_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    events = market_events(4_000, 6)
    write_parquet(MadeSource(events), tmp_path)
    query = f"""
        select symbol, action, count(*) n, sum(lots)::bigint lots, min(ts_recv) first
        from read_parquet('{tmp_path}/**/*.parquet', hive_partitioning=true)
        where date = '2023-11-14' group by all
    """
    rows = duckdb.sql(query).fetchall()
    assert sum(row[2] for row in rows) == len(events)
    assert sum(row[3] for row in rows) == int(events["size"].sum())


def test_options(tmp_path: Path) -> None:
    write_parquet(MadeSource(market_events(500, 3)), tmp_path)
    assert open_source(tmp_path, tick="0.5").resolve(1, 1).tick == 500_000_000
    with pytest.raises(UnknownName, match=r"no symbol AA.*A"):
        open_source(tmp_path, symbols=["AA"])
    with pytest.raises(ConfigError, match="another lot"):
        open_source(tmp_path, lot="3")
    with pytest.raises(ConfigError, match="no option"):
        open_source(tmp_path, strange="1")


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    class Broken(MadeSource):
        def chunks(self):  # type: ignore[no-untyped-def]
            yield self.events[:1_000]
            raise CorruptData("cut", 10)

    root = tmp_path / "archive"
    with pytest.raises(CorruptData, match="cut"):
        write_parquet(Broken(market_events(5_000, 1)), root)
    assert list(tmp_path.iterdir()) == []
    root.write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        write_parquet(MadeSource(market_events(50, 1)), root)


def test_a_failure_in_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from depthscope.storage import outputs

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(outputs.os, "fsync", fails)
    with pytest.raises(OutputError, match="Input/output"):
        write_parquet(MadeSource(market_events(5_000, 1)), tmp_path / "archive")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_read_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "events_of", lambda table: (np.zeros(1, np.int64), np.zeros(1, EVENT)))
    with pytest.raises(CorruptData, match="did not read back"):
        write_parquet(MadeSource(market_events(5_000, 1)), tmp_path / "archive")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [900, 5_000, -200, -5])
def test_what_does_not_read_back_never_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    sync = Whole.sync

    def turned(self: Whole) -> None:
        sync(self)
        data = bytearray(self.part.read_bytes())
        data[place] ^= 16
        self.part.write_bytes(data)

    monkeypatch.setattr(Whole, "sync", turned)
    monkeypatch.setattr(Whole, "end", lambda self: pytest.fail("it got its name"))
    with pytest.raises(CorruptData, match="did not read back"):
        write_parquet(MadeSource(market_events(5_000, 3)), tmp_path / "archive")
    assert list(tmp_path.iterdir()) == []


def test_files_are_named_once_all_have_been_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, end = parquet.events_of, Whole.end
    steps: list[str] = []
    monkeypatch.setattr(parquet, "events_of", lambda table: (steps.append("read"), read(table))[1])
    monkeypatch.setattr(Whole, "end", lambda self: (steps.append(self.path.suffix), end(self))[1])
    write_parquet(MadeSource(market_events(5_000, 1)), tmp_path)
    assert steps == ["read"] * 3 + [".parquet"] * 3 + [".json"]


def test_a_manifest_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Whole.end

    def fails(self: Whole) -> None:
        end(self)
        if self.path.suffix == ".json":
            raise OutputError("no room")

    monkeypatch.setattr(Whole, "end", fails)
    with pytest.raises(OutputError, match="no room"):
        write_parquet(MadeSource(market_events(5_000, 1)), tmp_path / "archive")
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_of_before_is_read(tmp_path: Path) -> None:
    events = market_events(5_000, 1)
    write_parquet(MadeSource(events), tmp_path)
    (path,) = (tmp_path / FOLDER).iterdir()
    told = json.loads(path.read_bytes()[:-9])
    told["start"] = START
    for file in told["files"]:
        file["rows"] = 1
        for piece in (*file["groups"], *file["rest"]):
            piece["last"] = -1
    text = json.dumps(told).encode() + b"\n"
    path.write_bytes(text + f"{crc32c(text):08x}\n".encode())
    assert all_of(open_source(tmp_path).chunks()).tobytes() == events.tobytes()


def test_what_comes_before_damage_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 500)
    events = market_events(9_000, 3)
    manifest = write_parquet(MadeSource(events, 700), tmp_path)
    hurt = manifest.files[1]
    path = tmp_path / hurt.path
    data = bytearray(path.read_bytes())
    piece = hurt.groups[3]
    data[piece.offset + piece.size // 2] ^= 1
    path.write_bytes(data)
    pieces: list[Events] = []
    with pytest.raises(CorruptData, match="do not fit their checksum") as caught:
        pieces.extend(open_source(tmp_path).chunks())
    read = np.concatenate(pieces)
    assert len(read) == caught.value.records == piece.first
    assert read.tobytes() == events[: piece.first].tobytes()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    write_parquet(MadeSource(market_events(900, 3)), tmp_path)
    files_of(tmp_path)[0].unlink()
    with pytest.raises(CorruptData, match="No such file"):
        list(open_source(tmp_path).chunks())


def flip_bits(tmp_path: Path, count: int, seed: int) -> str:
    events = market_events(600, seed)
    write_parquet(MadeSource(events), tmp_path)
    rng = np.random.default_rng(seed)
    (manifest,) = (tmp_path / FOLDER).iterdir()
    targets = [manifest, *files_of(tmp_path)]
    sizes = [path.stat().st_size for path in targets]
    descriptors = [os.open(path, os.O_RDWR) for path in targets]
    for _ in range(count):
        offset, bit = int(rng.integers(sum(sizes))), int(rng.integers(8))
        which = 0
        while offset >= sizes[which]:
            offset -= sizes[which]
            which += 1
        byte = os.pread(descriptors[which], 1, offset)[0]
        os.pwrite(descriptors[which], bytes([byte ^ 1 << bit]), offset)
        read: list[bytes] = []
        with pytest.raises((CorruptData, FormatUnknown)):
            read.extend(piece.tobytes() for piece in open_file(manifest, SourceOptions()).chunks())
        os.pwrite(descriptors[which], bytes([byte]), offset)
        assert events.tobytes().startswith(b"".join(read))
    for descriptor in descriptors:
        os.close(descriptor)
    assert all_of(open_source(tmp_path).chunks()).tobytes() == events.tobytes()
    return (
        f"G5 bit flips in a Parquet archive of {sum(sizes):,} bytes in {len(sizes)} files: n={count} "
        f"seed={seed}, 0 silent, 0 uncaught, 0 wrong events"
    )


@pytest.mark.untraced
def test_flipped_bits(tmp_path: Path, record_property: Record) -> None:
    record_property("proof", flip_bits(tmp_path, 4_000, 88))


@pytest.mark.slow
def test_very_many_flipped_bits(tmp_path: Path, record_property: Record) -> None:
    record_property("proof", flip_bits(tmp_path, 1_000_000 if NIGHTLY else 100_000, 880))


@settings(max_examples=10)
@given(n=st.integers(1, 2_000), chunk=st.integers(50, 3_000), seed=st.integers(0, 99), strange=st.booleans())
def test_any_events_in_any_chunks(
    n: int, chunk: int, seed: int, strange: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("archive")
    events = strange_events(n, seed) if strange else market_events(n, seed)
    if strange:  # any times but within a few days: each day is a file
        events["ts_recv"] = START + events["ts_recv"] % (3 * 86_400 * 10**9)
    write_parquet(MadeSource(events, chunk), root)
    assert all_of(open_source(root).chunks()).tobytes() == events.tobytes()


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name", ["databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "binance/BINANCE_FUTURES.ws.1.0"]
)
def test_recordings_come_back(data_dir: Path, tmp_path: Path, name: str) -> None:
    original = open_source(data_dir / name)
    write_parquet(original, tmp_path)
    source = open_source(tmp_path)
    assert all_of(source.chunks()).tobytes() == all_of(original.chunks()).tobytes()
    assert dict(source.instruments) == dict(original.instruments)
