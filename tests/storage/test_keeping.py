"""Secrets, retention, room on the disk, and what other programs get of a capture log."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from depthscope.errors import (
    ConfigError,
    CorruptData,
    InputError,
    OutputError,
    RecordingFailed,
    SourceMissing,
)
from depthscope.market.inputs import Input, Kind
from depthscope.runtime.sources import open_source
from depthscope.storage.capture import (
    Batch,
    CaptureReader,
    CaptureWriter,
    list_segments,
    read_capture,
    repair,
    verify,
)
from depthscope.storage.frames import FrameReader
from depthscope.storage.redaction import redacted, redacted_text
from depthscope.storage.retention import JOURNAL, Retention, has_ended, mark_archived, retain, surplus
from depthscope.storage.segments import HEADER_BYTES
from depthscope.storage.space import SpaceLevel, SpaceLimits, SpaceStatus, SpaceWatch, space_level
from depthscope.storage.venue_lines import line_of, write_lines
from tests.storage.made_events import all_of

SECRET = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
SECOND = 10**9


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.LINK, '{"event":"open","url":"wss://fstream.binance.com/ws/%s"}'),
        (Kind.LINK, '{"event":"open","url":"wss://fstream.binance.com/private/ws/%s"}'),
        (Kind.LINK, '{"event":"open","url":"wss:\\/\\/fstream.binance.com\\/ws\\/%s"}'),
        (Kind.LINK, '{"event":"open","url":"wss://x/stream?streams=%s/btcusdt@depth"}'),
        (Kind.LINK, '{"event":"open","url":"wss://x/ws?listenKey=%s&events=A"}'),
        (Kind.LINK, '{"event":"lost","reason":"401 for https://x/?token=%s"}'),
        (Kind.REST, '{"url":"/fapi/v1/order?symbol=A&timestamp=1&signature=%s","status":200}\n{}'),
        (Kind.REST, '{"url":"https://x/v3/quotes?apiKey=%s","status":200}\n{"results":[]}'),
        (Kind.REST, '{"url":"/x?API_KEY=%s&access_token=b","status":200}\n{}'),
        (Kind.REST, '{"url":"/fapi/v1/listenKey","status":200}\n{"listenKey":"%s"}'),
        (Kind.REST, '{"url":"/x","headers":{"X-MBX-APIKEY":"%s"},"status":200}\n{}'),
        (Kind.WS, '{"e":"listenKeyExpired","E":1,"listenKey":"%s"}'),
        (Kind.CONFIG, '{"binance":{"api_key":"%s","symbols":["BTCUSDT"]}}'),
        (Kind.CONFIG, '{"massive_api_key": "%s", "secret":"%s"}'),
        (Kind.CONFIG, '{"text":"{\\"password\\": \\"%s\\"}"}'),
        (Kind.STATUS, '{"what":"sent https://x/?signature=%s"}'),
    ],
)
def test_secrets_are_replaced(tmp_path: Path, kind: Kind, text: str) -> None:
    payload = text.replace("%s", SECRET).encode()
    clean = redacted(Input(kind, 1, 5, payload))
    assert SECRET.encode() not in clean.payload
    assert b"<redacted>" in clean.payload
    for line in clean.payload.split(b"\n"):
        json.loads(line)
    with CaptureWriter(tmp_path / "log") as writer:
        writer.append(Input(kind, 1, 5, payload))
    assert list(read_capture(tmp_path / "log")) == [clean]
    assert all(SECRET.encode() not in path.read_bytes() for path in (tmp_path / "log").iterdir())


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Kind.WS, b'{"stream":"btcusdt@depth","data":{"e":"depthUpdate","s":"BTCUSDT"}}'),
        (Kind.REST, b'{"url":"/fapi/v1/depth?symbol=BTCUSDT&limit=1000","status":200}\n{"lastUpdateId":1}'),
        (Kind.LINK, b'{"event":"open","url":"wss://fstream.binance.com/stream?streams=btcusdt@depth@100ms"}'),
        (Kind.CONFIG, b'{"tokens_a_second":5,"keys":["a"],"binance":{"api_key":null}}'),
        (Kind.BLOB, b'{"name":"token","sha256":"0"}\n"secret":"x"'),
        (Kind.CLOCK, b'{"wall":1}'),
    ],
)
def test_everything_else_is_left_as_it_is(kind: Kind, payload: bytes) -> None:
    received = Input(kind, 0, 1, payload)
    assert redacted(received) is received


def test_text_without_secrets_is_the_same_object() -> None:
    text = b"nothing here"
    assert redacted_text(text) is text


# ── Retention ────────────────────────────────────────────────────────────────────────────────────


def segments_of(folder: Path, n: int = 5) -> None:
    with CaptureWriter(folder, segment_seconds=10) as writer:
        for second in range(n * 10):
            writer.append(Input(Kind.CLOCK, 0, second * SECOND, b"x" * 100))


def test_only_archived_segments_go_and_only_from_the_front(tmp_path: Path) -> None:
    segments_of(tmp_path)
    paths = [segment.path for segment in list_segments(tmp_path)]
    now = list_segments(tmp_path)[-1].created + 100 * SECOND
    everything = Retention(max_age_seconds=1)
    assert retain(tmp_path, everything, now).going == []
    mark_archived(paths[0], "run1")
    mark_archived(paths[1], "run1")
    mark_archived(paths[3], "run1")
    gone, kept = retain(tmp_path, everything, now)
    assert kept == f"{paths[2].name} and all later ones are kept: nothing says that it is archived"
    assert [one.segment for one in gone] == [path.name for path in paths[:2]]
    assert {(one.reason, one.archived) for one in gone} == {("age", "run1")}
    assert [segment.path for segment in list_segments(tmp_path)] == paths[2:]
    journal = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()]
    assert [line["segment"] for line in journal] == [path.name for path in paths[:2]]
    assert verify(tmp_path).sound
    assert not list(tmp_path.glob("*000001.cap.archived"))


def test_by_size_and_unarchived_when_asked(tmp_path: Path) -> None:
    segments_of(tmp_path)
    segments = list_segments(tmp_path)
    sizes = [segment.path.stat().st_size for segment in segments]
    now = segments[0].created
    policy = Retention(max_bytes=sum(sizes[3:]), unarchived=True)
    assert [one.reason for one in surplus(segments, policy, now).going] == ["size"] * 3
    retain(tmp_path, policy, now)
    assert len(list_segments(tmp_path)) == 2
    assert retain(tmp_path, Retention(max_bytes=10**9, max_age_seconds=10**6), now) == ([], "")
    assert retain(tmp_path / "absent", policy, now) == ([], "")


def test_the_open_segment_and_a_torn_one_stay(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path)
    writer.append(Input(Kind.WS, 0, 1, b"x"))
    writer.flush()
    assert writer.path is not None
    assert not has_ended(writer.path)
    with pytest.raises(InputError, match="not ended"):
        mark_archived(writer.path, "run")
    policy = Retention(max_bytes=0, unarchived=True)
    assert retain(tmp_path, policy, 0) == (
        [],
        f"{writer.path.name} and all later ones are kept: it is being written",
    )
    path = writer.path
    writer.close()
    assert has_ended(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert not has_ended(path)
    gone, kept = retain(tmp_path, policy, 0)
    assert gone == []
    assert "capture repair" in kept
    repair(tmp_path)
    assert [one.segment for one in retain(tmp_path, policy, 0).going] == [path.name]


def test_a_segment_whose_process_went_down_is_no_obstacle_once_another_follows(tmp_path: Path) -> None:
    """It ends without a seal, between two frames: that is sound, and nothing will ever seal it."""
    segments_of(tmp_path, 2)
    first = list_segments(tmp_path)[0].path
    reader = FrameReader(first, HEADER_BYTES)
    seal = [offset for _, offset in reader.outline(HEADER_BYTES)][-1]
    reader.close()
    first.write_bytes(first.read_bytes()[:seal])
    assert verify(tmp_path).sound
    assert has_ended(first, followed=True)
    assert not has_ended(first), "as the last of its log it may go on"
    mark_archived(first, "run", followed=True)
    policy = Retention(max_bytes=0)
    assert [one.segment for one in surplus(list_segments(tmp_path)[:1], policy, 0).going] == []
    assert [one.segment for one in retain(tmp_path, policy, 0).going] == [first.name]


def test_a_mark_of_another_size_counts_for_nothing(tmp_path: Path) -> None:
    segments_of(tmp_path, 2)
    first = list_segments(tmp_path)[0].path
    mark_archived(first, "run")
    mark = first.with_name(first.name + ".archived")
    for text in ('{"run":"run","size":1}', "nonsense", "[]"):
        mark.write_text(text)
        assert retain(tmp_path, Retention(max_bytes=0), 0).going == []


def test_limits_below_nothing() -> None:
    with pytest.raises(ConfigError, match="less than nothing"):
        Retention(max_bytes=-1)
    with pytest.raises(ConfigError, match="must be"):
        SpaceLimits(low=1, critical=2)


# ── Room ─────────────────────────────────────────────────────────────────────────────────────────


def test_levels_are_left_later_than_they_are_reached() -> None:
    limits = SpaceLimits(low=1_000, critical=100)
    level = SpaceLevel.ENOUGH
    seen = []
    for free in (2_000, 1_000, 999, 1_200, 1_250, 99, 120, 125, 5_000, 0):
        level = space_level(free, limits, level)
        seen.append(level.name[0])
    assert "".join(seen) == "EELLECCLEC"


def test_recording_ends_before_the_disk_is_full_and_goes_on(tmp_path: Path) -> None:
    free = [10_000]
    told: list[SpaceStatus] = []
    failures: list[RecordingFailed] = []
    writer = CaptureWriter(tmp_path, on_failure=failures.append)
    limits = SpaceLimits(low=5_000, critical=1_000)
    watch = SpaceWatch(
        tmp_path, limits, writer=writer, on_change=told.append, usage=lambda _: (20_000, 0, free[0])
    )
    for number, room in enumerate((10_000, 4_000, 900, 800, 7_000)):
        free[0] = room
        watch.poll()
        writer.append(Input(Kind.WS, 0, number, b"%d" % number))
    writer.close()
    assert [status.level.name for status in told] == ["LOW", "CRITICAL", "ENOUGH"]
    assert "make room" in str(told[0])
    assert "session goes on" in str(failures[0])
    read = [item for item in read_capture(tmp_path) if isinstance(item, Input)]
    assert [one.payload for one in read] == [b"0", b"1", b"4"]
    assert verify(tmp_path).sound


def test_a_failure_of_the_disk_is_not_resumed_by_the_watch(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path) as writer:
        writer.stop("asked to")
        SpaceWatch(tmp_path, writer=writer, usage=lambda _: (10**12, 0, 10**12)).poll()
        assert writer.failure is not None


def test_the_real_disk_is_asked(tmp_path: Path) -> None:
    status = SpaceWatch(tmp_path).poll()
    assert 0 < status.free <= status.total


# ── Lines ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("received", "line"),
    [
        (Input(Kind.WS, 1, 1_700_000_000_123_456_789, b' {"a":\n1}\n'), b'1700000000123456789 {"a": 1}\n'),
        (
            Input(Kind.REST, 0, 1_700_000_000_000_000_005, b'{"url":"/fapi/v1/depth?symbol=A"}\n{"b":2}'),
            b'https://fapi.binance.com/fapi/v1/depth?symbol=A -> 1700000000.000000005: {"b":2}\n',
        ),
        (
            Input(Kind.REST, 0, SECOND, b'{"url":"http://h/depth","status":200,"symbol":"A"}\n{"b":2}'),
            b'http://h/depth?symbol=A -> 1.000000000: {"b":2}\n',
        ),
        (Input(Kind.REST, 0, SECOND, b'{"url":"/x","status":429}\n{"code":1}'), None),
        (Input(Kind.REST, 0, SECOND, b"no head"), None),
        (Input(Kind.REST, 0, SECOND, b'{"url":"/x","status":200}\n[]'), None),
        (Input(Kind.WS, 0, SECOND, b"pong"), None),
        (Input(Kind.CLOCK, 0, SECOND, b"{}"), None),
    ],
)
def test_lines_of_inputs(received: Input, line: bytes | None) -> None:
    assert line_of(received) == line


def test_a_log_without_messages_gives_no_file(tmp_path: Path) -> None:
    segments_of(tmp_path / "log", 1)
    with pytest.raises(CorruptData, match="no message"):
        write_lines(tmp_path / "log", tmp_path / "x.gz")
    with pytest.raises(SourceMissing):
        write_lines(tmp_path / "absent", tmp_path / "x.gz")
    with pytest.raises(OutputError):
        write_lines(tmp_path / "log", tmp_path / "absent" / "x.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_lines_of_a_segment_begin_with_all_that_it_repeats(tmp_path: Path) -> None:
    repeated = [Input(Kind.WS, 1, SECOND, b'{"opening":%d}' % number) for number in range(150)]
    with CaptureWriter(tmp_path / "log", wait=True, segment_seconds=10, opening=lambda: repeated) as writer:
        for second in (1, 12):
            writer.append(Input(Kind.WS, 1, second * SECOND, b'{"live":%d}' % second))
    second = list_segments(tmp_path / "log")[1].path
    openings = [item for item in CaptureReader(second) if isinstance(item, Batch) and item.opening]
    assert len(openings) > 1, "it takes several batches"
    write_lines(second, tmp_path / "x.raw")
    told = [line.split(b" ", 1)[1] for line in (tmp_path / "x.raw").read_bytes().splitlines()]
    assert told == [*(one.payload for one in repeated), b'{"live":12}']
    write_lines(tmp_path / "log", tmp_path / "all.raw")
    read = [item.payload for item in read_capture(tmp_path / "log") if isinstance(item, Input)]
    assert [line.split(b" ", 1)[1] for line in (tmp_path / "all.raw").read_bytes().splitlines()] == read


@pytest.mark.real_data
def test_a_recording_through_the_log_gives_the_same_events(data_dir: Path, tmp_path: Path) -> None:
    original = data_dir / "binance" / "btcusdt_20240808.gz"
    with CaptureWriter(tmp_path / "log", wait=True) as writer:
        for line in gzip.decompress(original.read_bytes()).splitlines():
            payload = line[20:]
            kind = Kind.WS
            if payload.startswith(b'{"lastUpdateId"'):
                kind, payload = Kind.REST, b'{"url":"/fapi/v1/depth?symbol=BTCUSDT"}\n' + payload
            writer.append(Input(kind, 1, int(line[:19]), payload))
    write_lines(tmp_path / "log", tmp_path / "x.gz")
    assert (
        all_of(open_source(tmp_path / "x.gz").chunks()).tobytes()
        == all_of(open_source(original).chunks()).tobytes()
    )
