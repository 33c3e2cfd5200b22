"""Event archives: every event back byte for byte, or a clear end."""

from __future__ import annotations

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
from depthscope.storage import events as archive
from depthscope.storage.event_blocks import BLOCK_ROWS, BlockReader, BlockWriter
from depthscope.storage.events import EventSource, write_events
from depthscope.storage.outputs import Whole
from tests.storage.generated import NIGHTLY
from tests.storage.made_events import MadeSource, all_of, market_events, strange_events

Record = Callable[[str, object], None]
WORDS = st.sampled_from([0, 1, 2, 255, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)


def there_and_back(events: Events) -> Events:
    rows = np.zeros(BLOCK_ROWS, EVENT)
    return BlockReader().read(BlockWriter().write(events), rows)


@given(st.lists(st.tuples(*[WORDS] * 8), min_size=1, max_size=40))
def test_any_rows_come_back(rows: list[tuple[int, ...]]) -> None:
    events = np.array(rows, np.uint64).view(EVENT).reshape(-1)
    assert there_and_back(events).tobytes() == events.tobytes()


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 1_000, BLOCK_ROWS])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_any_length_come_back(n: int, seed: int) -> None:
    for events in (market_events(n, seed), strange_events(n, seed), np.zeros(n, EVENT)):
        assert there_and_back(events).tobytes() == events.tobytes()


def test_extremes_of_a_price_come_back() -> None:
    events = market_events(500, 1)
    for prices in ([UNDEF_PRICE], [UNDEF_PRICE, 1], [-(2**63), UNDEF_PRICE, 2**62], [0, -5, 10]):
        events["price"] = np.resize(np.array(prices, np.int64), 500)
        assert there_and_back(events).tobytes() == events.tobytes()


@given(st.binary(max_size=600))
def test_other_bytes_are_no_block(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        BlockReader().read(content, np.zeros(BLOCK_ROWS, EVENT))


@pytest.mark.parametrize("chunk", [1, 7, 20_000, 100_000])
def test_an_archive_gives_the_same_events(tmp_path: Path, chunk: int) -> None:
    events = market_events(40_000 if chunk > 100 else 700, chunk)
    path = tmp_path / "x.events"
    written = write_events(MadeSource(events, chunk), path)
    assert (written.events, written.instruments, written.size) == (len(events), 3, path.stat().st_size)
    source = open_source(path, chunk=chunk)
    assert [one.symbol for one in source.instruments.values()]
    assert all_of(source.chunks()).tobytes() == events.tobytes()
    assert all(len(piece) <= chunk for piece in source.chunks())
    expected = MadeSource(events)
    for key in source.instruments:
        assert source.resolve(*key) == expected.resolve(*key)
    assert source.info.records == len(events)
    assert source.info.bytes_read == source.info.bytes_total
    assert (source.info.format, source.info.schema, source.info.dataset) == ("events", "mbo", "TEST")
    assert list(tmp_path.iterdir()) == [path]


def test_chunks_stay_valid_until_three_more(tmp_path: Path) -> None:
    events = market_events(BLOCK_ROWS * 6, 5)
    write_events(MadeSource(events, 9_000), tmp_path / "x.events")
    held: list[Events] = []
    copies: list[bytes] = []
    for piece in open_source(tmp_path / "x.events").chunks():
        held.append(piece)
        copies.append(piece.tobytes())
        assert [one.tobytes() for one in held[-4:]] == copies[-4:]


def test_an_empty_archive(tmp_path: Path) -> None:
    write_events(MadeSource(np.zeros(0, EVENT)), tmp_path / "x.events")
    assert len(all_of(open_source(tmp_path / "x.events").chunks())) == 0


def test_options(tmp_path: Path) -> None:
    path = tmp_path / "x.events"
    write_events(MadeSource(market_events(500, 3)), path)
    assert open_source(path, tick="0.5").resolve(1, 1).tick == 500_000_000
    assert open_source(path, symbols=["A"]).info.format == "events"
    with pytest.raises(UnknownName, match=r"no symbol AA.*A"):
        open_source(path, symbols=["AA"])
    with pytest.raises(ConfigError, match="another lot"):
        open_source(path, lot="3")
    with pytest.raises(ConfigError, match="no option"):
        open_source(path, strange="1")


def test_every_cut_is_told(tmp_path: Path) -> None:
    events = market_events(3_000, 8)
    path = tmp_path / "x.events"
    write_events(MadeSource(events), path)
    whole = path.read_bytes()
    for cut in [*range(0, 700, 7), *range(700, len(whole), 997), len(whole) - 1]:
        path.write_bytes(whole[:cut])
        with pytest.raises(CorruptData) as caught:
            read = EventSource(path, SourceOptions())
            for piece in read.chunks():
                assert piece.tobytes() == events[: len(piece)].tobytes()
        assert caught.value.records in (0, len(events))


def test_what_comes_before_damage_is_given(tmp_path: Path) -> None:
    events = market_events(BLOCK_ROWS * 3 + 5, 9)
    path = tmp_path / "x.events"
    write_events(MadeSource(events, 5_000), path)
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 4
    path.write_bytes(data)
    pieces: list[Events] = []
    source = open_source(path)
    with pytest.raises(CorruptData, match="events were read up to there") as caught:
        pieces.extend(piece.copy() for piece in source.chunks())
    read = np.concatenate(pieces)
    assert len(read) == caught.value.records
    assert len(read) in (BLOCK_ROWS, BLOCK_ROWS * 2)
    assert read.tobytes() == events[: len(read)].tobytes()


def test_a_later_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.events"
    write_events(MadeSource(market_events(5, 1)), path)
    monkeypatch.setattr(archive, "VERSION", 2)
    with pytest.raises(FormatUnknown, match="version 1"):
        open_source(path)


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    class Broken(MadeSource):
        def chunks(self):  # type: ignore[no-untyped-def]
            yield self.events[:10]
            raise CorruptData("cut", 10)

    with pytest.raises(CorruptData, match="cut"):
        write_events(Broken(market_events(50, 1)), tmp_path / "x.events")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="cannot be written"):
        write_events(MadeSource(market_events(50, 1)), tmp_path / "absent" / "x.events")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / f".x.events.{os.getpid()}.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left"):
        write_events(MadeSource(market_events(100_000, 1), 50_000), tmp_path / "x.events")
    assert list(tmp_path.iterdir()) == []


def flip_bits(path: Path, count: int, seed: int) -> str:
    events = market_events(1_000, seed)
    write_events(MadeSource(events), path)
    rng = np.random.default_rng(seed)
    size = path.stat().st_size
    before = 0
    with path.open("r+b", buffering=0) as file:
        for _ in range(count):
            offset, bit = int(rng.integers(size)), int(rng.integers(8))
            byte = os.pread(file.fileno(), 1, offset)[0]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), offset)
            read: list[bytes] = []
            with pytest.raises((CorruptData, FormatUnknown)):
                read.extend(piece.tobytes() for piece in EventSource(path, SourceOptions()).chunks())
            os.pwrite(file.fileno(), bytes([byte]), offset)
            assert events.tobytes().startswith(b"".join(read))
            before += bool(read)
    assert all_of(open_source(path).chunks()).tobytes() == events.tobytes()
    return (
        f"G5 bit flips in an event archive of {size:,} bytes: n={count} seed={seed}, 0 silent, 0 uncaught, "
        f"0 wrong events ({before} gave what came before)"
    )


@pytest.mark.untraced
def test_flipped_bits(tmp_path: Path, record_property: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BLOCK_ROWS", 256)
    record_property("proof", flip_bits(tmp_path / "x.events", 6_000, 77))


@pytest.mark.slow
def test_very_many_flipped_bits(tmp_path: Path, record_property: Record) -> None:
    record_property("proof", flip_bits(tmp_path / "x.events", 1_000_000 if NIGHTLY else 100_000, 770))


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst",
        "binance/btcusdt_20240808.gz",
        "databento/esu4-mbp-1-20240701.dbn.zst",
    ],
)
def test_recordings_come_back(data_dir: Path, tmp_path: Path, name: str) -> None:
    original = open_source(data_dir / name)
    write_events(original, tmp_path / "x.events")
    source = open_source(tmp_path / "x.events")
    assert all_of(source.chunks()).tobytes() == all_of(original.chunks()).tobytes()
    for key, instrument in original.instruments.items():
        assert source.resolve(*key) == instrument


@settings(max_examples=20)
@given(
    n=st.integers(1, 3_000), chunk=st.integers(1, 5_000), seed=st.integers(0, 10**6), strange=st.booleans()
)
def test_any_events_in_any_chunks(
    n: int, chunk: int, seed: int, strange: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    events = strange_events(n, seed) if strange else market_events(n, seed)
    path = tmp_path_factory.mktemp("archive") / "x.events"
    write_events(MadeSource(events, max(chunk, n // 50)), path)
    assert all_of(open_source(path).chunks()).tobytes() == events.tobytes()


@pytest.mark.parametrize("place", [3, 70, -200, -5])
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
    with pytest.raises(CorruptData, match="did not read back"):
        write_events(MadeSource(market_events(500, 3)), tmp_path / "x.events")
    assert list(tmp_path.iterdir()) == []
