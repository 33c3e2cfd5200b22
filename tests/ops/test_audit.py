"""Audit log: order, chain, rotation, what an interruption and a failing disk leave behind."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from depthscope.config import Settings
from depthscope.errors import OutputError
from depthscope.ops.audit import (
    AuditWriter,
    audit_files,
    config_hash,
    read_audit,
    verify_audit,
)
from depthscope.storage.disk import DISK

T = 1_700_000_000_000_000_000
MS = 1_000_000


def fill(folder: Path, count: int = 20, **options: Any) -> None:
    with AuditWriter(folder, "c0ffee", T, **options) as audit:
        for k in range(count):
            audit.write("alert", {"k": k, "price": 100.5}, T + k)


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    with AuditWriter(tmp_path / "a", "c0ffee", T) as audit:
        assert audit.write("transition", {"symbol": "BTCUSDT", "to": "STALE"}, T + 1) == 1
        assert audit.write("order", {"id": 7, "size": 3}, T + 2) == 2
        part = audit.part()
    first, second = read_audit(tmp_path / "a")
    assert (first.seq, first.ts, first.kind, first.data) == (
        1, T + 1, "transition", {"symbol": "BTCUSDT", "to": "STALE"},
    )  # fmt: skip
    assert (second.seq, second.config, second.schema) == (2, "c0ffee", 1)
    assert (part.records, part.sequence, part.failures) == ({"transition": 1, "order": 1}, 2, 0)
    report = verify_audit(tmp_path / "a")
    assert (report.files, report.records, report.first, report.last) == (1, 2, 1, 2)
    assert (report.torn, report.damage) == ((), ())


def test_the_form_of_a_line_is_pinned(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    line = (tmp_path / "audit-000001.jsonl").read_text(encoding="utf-8")
    body = (
        '{"seq":1,"schema":1,"ts":1700000000000000000,"config":"c0ffee","kind":"alert",'
        '"data":{"k":0,"price":100.5}}'
    )
    chain = hashlib.sha256(("0" * 32 + body).encode()).hexdigest()[:32]
    assert line == body[:-1] + f',"chain":"{chain}"' + "}\n"


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path)
    assert [r.seq for r in read_audit(tmp_path)] == list(range(1, 41))
    assert len(audit_files(tmp_path)) == 1
    assert verify_audit(tmp_path).damage == ()


def test_it_rotates_and_the_chain_goes_on(tmp_path: Path) -> None:
    fill(tmp_path, 50, rotate_bytes=1_000)
    fill(tmp_path, 50, rotate_bytes=1_000)
    files = audit_files(tmp_path)
    assert len(files) > 5
    assert all(path.stat().st_size < 1_300 for path in files)
    report = verify_audit(tmp_path)
    assert (report.records, report.damage, report.torn) == (100, (), ())


def test_old_files_may_be_moved_away(tmp_path: Path) -> None:
    fill(tmp_path, 50, rotate_bytes=1_000)
    for path in audit_files(tmp_path)[:3]:
        path.unlink()
    fill(tmp_path, 1)
    report = verify_audit(tmp_path)
    assert report.damage == ()
    assert report.first is not None and report.first > 1
    assert report.last == 51


def test_files_are_for_this_user_alone(tmp_path: Path) -> None:
    fill(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert audit_files(tmp_path / "new")[0].stat().st_mode & 0o077 == 0


def test_a_torn_last_line_is_left_and_writing_goes_on_behind_it(tmp_path: Path) -> None:
    """Cut at every byte of the last two records: whole records stay, no sequence is given twice."""
    source = tmp_path / "source"
    fill(source, 5)
    raw = (source / "audit-000001.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(raw) if byte == 10]
    for cut in range(ends[2], len(raw) + 1):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / "audit-000001.jsonl").write_bytes(raw[:cut])
        whole = sum(end <= cut for end in ends)
        torn = cut not in ends
        with AuditWriter(folder, "c0ffee", T) as audit:
            assert audit.write("decision", {"cut": cut}, T + 99) == whole + 1 + torn
        found = list(read_audit(folder))
        assert [r.seq for r in found] == list(range(1, whole + 2 + torn))
        report = verify_audit(folder)
        assert report.damage == ()
        assert report.torn == (("audit-000001.jsonl",) if torn else ())
        assert (folder / "audit-000001.jsonl").read_bytes()[:cut] == raw[:cut], "nothing was taken back"
        if torn:
            assert found[whole].kind == "recovery"
            assert found[whole].data["torn"] == ["audit-000001.jsonl"]


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """1,000 single flips, seed 3, anywhere: each is told as damage or a torn end."""
    fill(tmp_path / "a", 30)
    path = tmp_path / "a" / "audit-000001.jsonl"
    raw, chance, missed = path.read_bytes(), random.Random(3), []
    for _ in range(1_000):
        place = chance.randrange(len(raw) * 8)
        flipped = bytearray(raw)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        report = verify_audit(tmp_path / "a")
        if not report.damage and not report.torn:
            missed.append(place)
    assert missed == []


def test_a_removed_or_inserted_line_is_found(tmp_path: Path) -> None:
    fill(tmp_path / "a", 10)
    path = tmp_path / "a" / "audit-000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (
        lines[:4] + lines[5:],
        lines[:4] + lines[3:],
        lines[1:],
        [lines[1], lines[0], *lines[2:]],
    ):
        path.write_bytes(b"".join(changed))
        assert verify_audit(tmp_path / "a").damage


def test_after_damage_writing_goes_on_in_another_file(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    path = tmp_path / "audit-000001.jsonl"
    raw = bytearray(path.read_bytes())
    raw[-60] ^= 1
    path.write_bytes(raw)
    fill(tmp_path, 3)
    report = verify_audit(tmp_path)
    assert report.damage and all(line.startswith("audit-000001.jsonl:5") for line in report.damage)
    assert [r.kind for r in read_audit(tmp_path)][-4:] == ["recovery", "alert", "alert", "alert"]
    assert report.last == 5 + 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_and_writing_goes_on_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AuditWriter(tmp_path, "c0ffee", T) as audit:
        audit.write("alert", {"k": 1}, T)
        assert audit._handle is not None
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, audit._handle)
        os.close(full)
        with pytest.raises(OutputError, match="No space left on device"):
            audit.write("order", {"k": 2}, T)
        assert audit.part().failures == 1
        assert audit.write("order", {"k": 3}, T) == 3
    kinds = [(r.seq, r.kind) for r in read_audit(tmp_path)]
    assert kinds == [(1, "alert"), (2, "recovery"), (3, "order")]
    assert verify_audit(tmp_path).damage == ()
    assert len(audit_files(tmp_path)) == 2


def test_a_disk_that_stays_full_does_not_fill_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with AuditWriter(tmp_path, "c0ffee", T) as audit:
        audit.write("alert", {"k": 1}, T)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", refuse)
            for _ in range(20):
                with pytest.raises(OutputError, match="No space left on device"):
                    audit.write("alert", {"k": 2}, T)
        assert len(audit_files(tmp_path)) == 2
        assert audit.write("order", {"k": 3}, T) == 3
    assert [(r.seq, r.kind) for r in read_audit(tmp_path)] == [(1, "alert"), (2, "recovery"), (3, "order")]
    assert verify_audit(tmp_path).damage == ()
    assert len(audit_files(tmp_path)) == 2


def count_syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    done: list[int] = []
    real = DISK.sync
    monkeypatch.setattr(DISK, "sync", lambda handle: (done.append(handle), real(handle))[1])
    return done


def test_orders_and_decisions_are_on_the_disk_when_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AuditWriter(tmp_path, "c0ffee", T) as audit:
        done = count_syncs(monkeypatch)
        audit.write("alert", {}, T)
        assert done == []
        audit.write("order", {}, T + 1)
        assert len(done) == 1
        audit.write("decision", {}, T + 2)
        assert len(done) == 2


def test_other_records_are_on_the_disk_within_200_ms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with AuditWriter(tmp_path, "c0ffee", T) as audit:
        done = count_syncs(monkeypatch)
        audit.write("alert", {}, T)
        audit.tick(T + 199 * MS)
        assert done == []
        audit.tick(T + 200 * MS)
        audit.tick(T + 900 * MS)
        assert len(done) == 1
        audit.write("alert", {}, T + 1000 * MS)
        audit.write("alert", {}, T + 1200 * MS)
        assert len(done) == 2
        audit.write("alert", {}, T + 1300 * MS)
        audit.tick(T)  # the clock was set back
        assert len(done) == 3


@pytest.mark.parametrize("step", ["write", "tick", "close"])
def test_a_sync_that_fails_ends_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    audit = AuditWriter(tmp_path, "c0ffee", T)
    audit.write("alert", {"k": 1}, T)

    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(DISK, "sync", broken)
        with pytest.raises(OutputError, match="Input/output error"):
            {
                "write": lambda: audit.write("order", {"k": 2}, T),
                "tick": lambda: audit.tick(T + 300 * MS),
                "close": audit.close,
            }[step]()
    assert audit.part().failures == 1
    if step != "close":
        audit.write("order", {"k": 3}, T)
        audit.close()
        assert len(audit_files(tmp_path)) == 2
        assert "recovery" in [r.kind for r in read_audit(tmp_path)]
    assert verify_audit(tmp_path).damage == ()


def test_one_writer_a_folder(tmp_path: Path) -> None:
    with (
        AuditWriter(tmp_path, "c0ffee", T),
        pytest.raises(OutputError, match="another session writes there") as told,
    ):
        AuditWriter(tmp_path, "c0ffee", T)
    assert "Name another folder" in str(told.value)
    assert "make room" not in str(told.value)
    AuditWriter(tmp_path, "c0ffee", T).close()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    fill(tmp_path, 3)
    assert verify_audit(tmp_path).records == 3


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        AuditWriter(tmp_path / "file" / "audit", "c0ffee", T)


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    audit = AuditWriter(tmp_path, "c0ffee", T)
    audit.close()
    audit.close()
    with pytest.raises(OutputError, match="closed"):
        audit.write("alert", {}, T)
    assert list(read_audit(tmp_path)) == []


def test_secrets_are_not_written_and_numbers_are_plain(tmp_path: Path) -> None:
    with AuditWriter(tmp_path, "c0ffee", T) as audit:
        audit.write("order", {"apiKey": "cAnArY123", "url": "x?signature=cAnArY123", "nan": float("nan")}, T)
    raw = (tmp_path / "audit-000001.jsonl").read_text(encoding="utf-8")
    assert "cAnArY" not in raw
    assert json.loads(raw)["data"]["nan"] is None


def test_settings_are_told_apart_by_their_hash() -> None:
    assert config_hash(Settings()) == config_hash(Settings())
    assert config_hash(Settings()) != config_hash(Settings(port=1))
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})
    assert len(config_hash(Settings())) == 16


WRITER = """
import sys
from pathlib import Path
from depthscope.ops.audit import AuditWriter
audit = AuditWriter(Path(sys.argv[1]), "c0ffee", 1)
k = audit.part().sequence
while True:
    kind = "order" if k % 50 == 0 else "alert"
    seq = audit.write(kind, {"k": k, "text": "x" * (k % 300)}, k + 1)
    sys.stdout.write(f"{seq}\\n")
    sys.stdout.flush()
    k += 1
"""


def test_kill_9_loses_no_record_that_was_acknowledged(tmp_path: Path) -> None:
    """20 kills at random moments, seed 11, of writers of one log."""
    chance, last = random.Random(11), 0
    for _ in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        said = [child.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.05))
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read().splitlines(keepends=True)
        child.wait()
        acknowledged = int([line for line in said if line.endswith("\n")][-1])
        report = verify_audit(tmp_path)
        assert report.damage == ()
        assert report.last is not None
        assert report.last >= acknowledged > last
        last = report.last
