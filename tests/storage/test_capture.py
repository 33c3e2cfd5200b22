"""The capture log: what is written comes back, in order, and what is missing is told."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthscope.errors import FormatUnknown, InputError, OutputError, RecordingFailed, SourceMissing
from depthscope.market.inputs import Input, Kind
from depthscope.storage.batches import read_inputs, write_inputs
from depthscope.storage.capture import (
    CaptureReader,
    CaptureWriter,
    Gap,
    list_segments,
    read_capture,
    repair,
    verify,
)
from depthscope.storage.frames import FrameKind, Packer
from depthscope.storage.segments import HEADER_BYTES

INPUTS = st.builds(
    Input,
    st.sampled_from(list(Kind)),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=300),
)


def some_inputs(n: int, seed: int = 0, size: int = 200) -> list[Input]:
    """Messages of random content, some of them long runs of the same."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, size, n)
    return [
        Input(Kind.WS, int(i % 3), 1_700_000_000_000_000_000 + i * 1_000_000, rng.bytes(int(length)))
        for i, length in enumerate(lengths)
    ]


def inputs_of(path: Path) -> list[Input]:
    return [item for item in read_capture(path) if isinstance(item, Input)]


def gaps_of(path: Path) -> list[Gap]:
    return [item for item in read_capture(path) if isinstance(item, Gap)]


@given(st.lists(INPUTS, min_size=1, max_size=40))
def test_inputs_to_bytes_and_back(inputs: list[Input]) -> None:
    batch = read_inputs(write_inputs(inputs), 7, opening=False)
    assert list(batch) == inputs
    assert len(batch) == len(inputs)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_inputs(content: bytes) -> None:
    try:
        batch = read_inputs(content, 1, opening=False)
    except ValueError:
        return
    assert write_inputs(list(batch)) == content


@settings(max_examples=25)
@given(inputs=st.lists(INPUTS, max_size=60), cut=st.integers(0, 60), level=st.sampled_from([None, 1]))
def test_what_is_written_comes_back(
    inputs: list[Input], cut: int, level: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    inputs = [one._replace(kind=Kind.WS) if one.kind in (2, 4, 5, 7) else one for one in inputs]
    with CaptureWriter(folder, level=level) as writer:
        numbers = [writer.append(one) for one in inputs[:cut]]
        writer.flush()
        numbers += [writer.append(one) for one in inputs[cut:]]
    assert numbers == list(range(1, len(inputs) + 1))
    assert list(read_capture(folder)) == inputs
    assert verify(folder).sound


def test_input_of_many_megabytes(tmp_path: Path) -> None:
    large = Input(Kind.REST, 0, 5, b'{"url":"/depth"}\n' + os.urandom(9 << 20))
    with CaptureWriter(tmp_path, queue_bytes=1 << 20) as writer:
        writer.append(large)
    assert list(read_capture(tmp_path)) == [large]


def test_input_that_no_log_can_hold(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path) as writer:
        for wrong in (
            Input(Kind.WS, 0, 1, bytes((64 << 20) + 1)),
            Input(Kind.WS, 2**32, 1, b""),
            Input(Kind.WS, -1, 1, b""),
            Input(Kind.WS, 0, 2**63, b""),
        ):
            with pytest.raises(InputError, match="cannot be recorded"):
                writer.append(wrong)
        assert writer.append(Input(Kind.WS, 0, 1, b"fine")) == 1


def test_acknowledged_is_durable_and_moves(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path, sync_seconds=0.02) as writer:
        writer.append(Input(Kind.WS, 0, 1, b"one"))
        deadline = time.monotonic() + 10
        while writer.acknowledged < 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert writer.acknowledged == 1
        assert inputs_of(tmp_path) == [Input(Kind.WS, 0, 1, b"one")]
        assert [gap.reason for gap in gaps_of(tmp_path)] == ["open"]


def test_segments_rotate_by_size_and_repeat_what_is_needed(tmp_path: Path) -> None:
    inputs = some_inputs(3_000, size=300)
    head = [
        Input(Kind.CONFIG, 0, 1, b'{"old":1}'),
        Input(Kind.INSTRUMENT, 0, 1, b'{"id":1,"symbol":"A"}'),
        Input(Kind.INSTRUMENT, 0, 1, b'{"id":2,"symbol":"B"}'),
        Input(Kind.BLOB, 0, 1, b'{"name":"model","sha256":"00"}\nbytes'),
        Input(Kind.CONFIG, 0, 2, b'{"new":1}'),
        Input(Kind.INSTRUMENT, 0, 2, b'{"id":1,"symbol":"A","tick":5}'),
    ]
    extra = Input(Kind.STATUS, 0, 3, b'{"state":1}')
    with CaptureWriter(tmp_path, segment_bytes=50_000, opening=lambda: [extra]) as writer:
        for one in head:
            writer.append(one)
        for start in range(0, len(inputs), 100):
            for one in inputs[start : start + 100]:
                writer.append(one)
            writer.flush()
    segments = list_segments(tmp_path)
    assert len(segments) > 3
    assert [segment.number for segment in segments] == list(range(1, len(segments) + 1))
    assert list(read_capture(tmp_path)) == head + inputs
    # A later segment alone begins with what it needs.
    later = list(read_capture(segments[2].path))
    repeated = [head[4], head[5], head[2], head[3], extra]
    assert later[:5] == repeated
    assert later[5:] == [one for one in inputs if one in later]
    openings = [item for item in CaptureReader(tmp_path) if not isinstance(item, Gap) and item.opening]
    assert len(openings) == len(segments) - 1


def test_segments_rotate_by_time_of_the_inputs(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path, segment_seconds=10) as writer:
        for second in range(35):
            writer.append(Input(Kind.CLOCK, 0, second * 1_000_000_000, b"{}"))
    assert [report.inputs for report in verify(tmp_path).segments] == [10, 10, 10, 5]


def test_what_follows_a_rotation_is_written_without_being_asked(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path, segment_seconds=1, sync_seconds=0.01) as writer:
        for second in range(5):
            writer.append(Input(Kind.CLOCK, 0, second * 1_000_000_000, b"{}"))
            deadline = time.monotonic() + 5
            while writer.acknowledged <= second and time.monotonic() < deadline:
                time.sleep(0.002)
            assert writer.acknowledged == second + 1


def test_a_restart_opens_a_new_segment(tmp_path: Path) -> None:
    first, second = some_inputs(50, 1), some_inputs(60, 2)
    for inputs in (first, second):
        with CaptureWriter(tmp_path) as writer:
            for one in inputs:
                writer.append(one)
    read = list(read_capture(tmp_path))
    assert [item for item in read if isinstance(item, Input)] == first + second
    assert [gap.reason for gap in read if isinstance(gap, Gap)] == ["restart"]
    assert verify(tmp_path).sound


def test_overflow_is_a_recorded_gap(tmp_path: Path) -> None:
    inputs = some_inputs(2_000, size=400)
    with CaptureWriter(tmp_path, queue_bytes=20_000) as writer:
        for one in inputs:
            writer.append(one)
        writer.flush()
        tail = Input(Kind.WS, 0, 9, b"after")
        writer.append(tail)
        lost = writer.lost
    assert lost > 0
    read = list(read_capture(tmp_path))
    gaps = [item for item in read if isinstance(item, Gap)]
    assert sum(gap.lost or 0 for gap in gaps) == lost
    assert {(gap.reason, gap.recorded) for gap in gaps} == {("overflow", True)}
    assert len(read) - len(gaps) + lost == len(inputs) + 1
    assert verify(tmp_path).sound


def test_waiting_instead_of_losing(tmp_path: Path) -> None:
    inputs = some_inputs(3_000, size=400)
    with CaptureWriter(tmp_path, queue_bytes=20_000, wait=True) as writer:
        for one in inputs:
            writer.append(one)
    assert list(read_capture(tmp_path)) == inputs


def test_appending_from_several_threads(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path, segment_bytes=20_000) as writer:

        def work(number: int) -> None:
            for i in range(500):
                writer.append(Input(Kind.WS, number, i, b"%d" % i))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    read = list(read_capture(tmp_path))
    for number in range(4):
        assert [one.ts_recv for one in read if one.connection == number] == list(range(500))


def test_stop_and_resume(tmp_path: Path) -> None:
    told: list[RecordingFailed] = []
    writer = CaptureWriter(tmp_path, on_failure=told.append)
    writer.append(Input(Kind.CONFIG, 0, 1, b"{}"))
    writer.append(Input(Kind.WS, 0, 2, b"kept"))
    writer.stop("the disk is nearly full")
    assert writer.failure is not None
    assert "nearly full" in str(told[0])
    writer.append(Input(Kind.WS, 0, 3, b"lost"))
    writer.append(Input(Kind.WS, 0, 4, b"lost too"))
    writer.resume()
    writer.append(Input(Kind.WS, 0, 5, b"again"))
    writer.close()
    read = list(read_capture(tmp_path))
    assert [one.payload for one in read if isinstance(one, Input)] == [b"{}", b"kept", b"again"]
    (gap,) = [one for one in read if isinstance(one, Gap)]
    assert (gap.reason, gap.lost, gap.recorded) == ("stopped", 2, True)
    assert [segment.sealed for segment in verify(tmp_path).segments] == [True, True]


def test_a_fault_of_our_own_is_a_failure_not_a_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(failure: RecordingFailed) -> None:
        raise KeyError("deaf")

    writer = CaptureWriter(tmp_path, on_failure=deaf)
    with monkeypatch.context() as patch:
        patch.setattr(writer._packer, "pack", lambda *_: 1 / 0)
        writer.append(Input(Kind.WS, 0, 1, b"lost"))
        with pytest.warns(UserWarning, match="deaf"):
            deadline = time.monotonic() + 10
            while writer.failure is None and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(0.05)
    assert "ZeroDivisionError" in str(writer.failure)
    writer.resume()
    writer.append(Input(Kind.WS, 0, 2, b"again"))
    writer.close()
    assert inputs_of(tmp_path) == [Input(Kind.WS, 0, 2, b"again")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_a_look_at_the_lock_does_not_disturb_the_writer(tmp_path: Path) -> None:
    from depthscope.storage.disk import is_open_elsewhere

    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for path in tmp_path.glob("*.cap"):
                is_open_elsewhere(path)

    thread = threading.Thread(target=look)
    thread.start()
    with CaptureWriter(tmp_path, segment_seconds=1) as writer:
        for second in range(300):
            writer.append(Input(Kind.CLOCK, 0, second * 1_000_000_000, b"{}"))
    done.set()
    thread.join()
    assert len(inputs_of(tmp_path)) == 300
    assert verify(tmp_path).sound


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path)
    writer.close()
    writer.close()
    with pytest.raises(RecordingFailed, match="closed"):
        writer.append(Input(Kind.WS, 0, 1, b""))
    with pytest.raises(RecordingFailed, match="closed"):
        writer.resume()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="No capture log can be written"):
        CaptureWriter(tmp_path / "log")


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("here")
    with pytest.raises(OutputError, match="No capture log can be written"):
        CaptureWriter(tmp_path / "log")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no segment"):
        list_segments(tmp_path)
    with pytest.raises(SourceMissing, match="no file"):
        list_segments(tmp_path / "absent")
    (tmp_path / "notes.cap").write_text("no segment at all")
    with pytest.raises(FormatUnknown, match=r"notes\.cap is no segment"):
        list_segments(tmp_path)


def written(folder: Path, n: int = 400, **settings: object) -> list[Input]:
    inputs = some_inputs(n)
    with CaptureWriter(folder, **settings) as writer:  # type: ignore[arg-type]
        for start in range(0, n, 40):
            for one in inputs[start : start + 40]:
                writer.append(one)
            writer.flush()
    return inputs


@pytest.mark.parametrize("level", [None, 1])
def test_a_torn_end_at_every_byte_is_an_exact_prefix(tmp_path: Path, level: int | None) -> None:
    inputs = written(tmp_path, 60, level=level)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    ends = {HEADER_BYTES} | {end for _, end in _frames(path)}
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        read = list(read_capture(path))
        (gap,) = [item for item in read if isinstance(item, Gap)]
        assert gap.reason == ("unsealed" if cut in ends else "torn")
        assert [item for item in read if isinstance(item, Input)] == inputs[: len(read) - 1]
        assert read[-1] is gap


def _frames(path: Path) -> list[tuple[int, int]]:
    from depthscope.storage.frames import Frame, FrameReader

    return [(f.offset, f.end) for f in FrameReader(path, HEADER_BYTES) if isinstance(f, Frame)]


def test_a_torn_end_of_zeros_or_noise(tmp_path: Path) -> None:
    inputs = written(tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    half = whole[: len(whole) // 2]
    rng = np.random.default_rng(4)
    for tail in (bytes(5_000), rng.bytes(3_000_000), bytes(3_000_000), b'{"json":1}\n' * 300_000):
        path.write_bytes(half + tail)
        read = list(read_capture(path))
        assert read[-1].reason == "torn"  # type: ignore[union-attr]
        assert read[:-1] == inputs[: len(read) - 1]
        assert len(read) > 100


def test_repair_of_a_torn_end(tmp_path: Path) -> None:
    inputs = written(tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    before = inputs_of(path)
    assert not verify(tmp_path).sound
    (done,) = repair(tmp_path)
    assert done.kept.read_bytes() == whole[: len(whole) * 3 // 4]
    checked = verify(tmp_path)
    assert checked.sound
    assert checked.segments[0].sealed
    assert inputs_of(tmp_path) == before == inputs[: len(before)]
    assert [gap.reason for gap in checked.gaps] == ["torn"]
    assert repair(tmp_path) == []
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".cap", ".damaged"]


@pytest.mark.parametrize("where", [3, 40, HEADER_BYTES + 2, HEADER_BYTES + 30, 3_000, -3])
def test_repair_of_damage(tmp_path: Path, where: int) -> None:
    inputs = written(tmp_path)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[where] ^= 0x10
    path.write_bytes(data)
    before = verify(tmp_path)
    assert not before.sound
    kept = inputs_of(tmp_path)
    assert set(kept) <= set(inputs)
    (done,) = repair(tmp_path)
    after = verify(tmp_path)
    assert after.sound
    assert inputs_of(tmp_path) == kept
    assert done.inputs == len(kept)
    assert after.lost == before.lost
    assert done.kept.read_bytes() == bytes(data)


def test_what_is_being_written_is_not_repaired(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path)
    writer.append(Input(Kind.WS, 0, 1, b"here"))
    writer.flush()
    path = writer.path
    assert path is not None
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + 20)
        file.write(b"\xff\xff")
    if not all(gap.sound for gap in gaps_of(tmp_path)):
        with pytest.raises(InputError, match="still being written"):
            repair(tmp_path)
    writer.close()
    assert not verify(tmp_path).sound


def test_a_missing_segment_is_told(tmp_path: Path) -> None:
    written(tmp_path, 2_000, segment_bytes=20_000)
    segments = list_segments(tmp_path)
    assert len(segments) > 3
    whole = verify(tmp_path)
    gone = whole.segments[1]
    gone.path.unlink()
    (gap,) = gaps_of(tmp_path)
    assert (gap.reason, gap.lost) == ("missing", gone.inputs)
    assert not verify(tmp_path).sound


def test_the_same_segment_twice_gives_nothing_twice(tmp_path: Path) -> None:
    inputs = written(tmp_path)
    (path,) = tmp_path.iterdir()
    path.with_name("copy.cap").write_bytes(path.read_bytes())
    assert inputs_of(tmp_path) == inputs
    assert not verify(tmp_path).sound


def test_frames_of_another_log_are_damage(tmp_path: Path) -> None:
    written(tmp_path)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    seal = _frames(path)[-1]
    strange = Packer(None).pack(FrameKind.EVENTS, 401, b"x" * 40)
    path.write_bytes(data[: seal[0]] + strange + data[seal[0] :])
    assert [gap.reason for gap in gaps_of(path)] == ["damage"]
    path.write_bytes(data + Packer(None).pack(FrameKind.GAP, 401, json.dumps({"reason": "x"}).encode()))
    assert [gap.detail for gap in gaps_of(path)] == ["a frame after the seal"]


def test_reading_while_writing_gives_growing_prefixes(tmp_path: Path) -> None:
    inputs = some_inputs(4_000)
    done = threading.Event()

    def write() -> None:
        with CaptureWriter(tmp_path, segment_bytes=60_000, sync_seconds=0.01) as writer:
            for number, one in enumerate(inputs):
                writer.append(one)
                if number % 50 == 0:
                    time.sleep(0.001)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    lengths = []
    while not done.is_set():
        try:
            read = inputs_of(tmp_path)
        except SourceMissing:
            continue
        assert read == inputs[: len(read)]
        lengths.append(len(read))
    thread.join()
    assert list(read_capture(tmp_path)) == inputs
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 2
