"""The doctor and this machine: each thing that can be wrong, brought about for real where it can be."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from depthscope import jit
from depthscope.config import Settings
from depthscope.ops import checks
from depthscope.ops.audit import AuditWriter
from depthscope.ops.checks_data import check_audit, check_data, is_audit
from depthscope.ops.doctor import Check, examine, report
from tests.rules.project import PACKAGE
from tests.venues.dbn_files import NOON, mbo, write

NOBODY = 65_534
SECOND = 10**9


def one(found: Iterator[Check]) -> Check:
    (check,) = found
    return check


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user who may not write everywhere."""
    if os.name != "posix" or os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder that can be read by all and written by nobody but root."""
    folder = Path(tempfile.gettempdir()) / f"depthscope-locked-{os.getpid()}"
    folder.mkdir(mode=0o555)
    try:
        yield folder
    finally:
        folder.rmdir()


# -- this machine ----------------------------------------------------------------------------------


def test_python() -> None:
    assert one(checks.check_python()).status == "ok"
    old = one(checks.check_python((3, 10, 14)))
    assert old.status == "fail" and "3.10.14" in old.finding and "3.11" in old.advice
    assert one(checks.check_python(bits=32)).status == "fail"


def test_packages(tmp_path: Path) -> None:
    assert one(checks.check_packages()).status == "ok"
    found = one(
        checks.check_packages(["numpy>=99", "no-such-package>=1", "numba>=0.1", "x; python_version < '3'"])
    )
    assert found.status == "fail"
    assert "numpy" in found.finding and "needs >=99" in found.finding
    assert "no-such-package is not installed" in found.finding
    (tmp_path / "pins.txt").write_text("# pins\nnumpy==1.0\nnumba==0.1; python_version > '3'\n")
    found = one(checks.check_packages(["numpy>=1"], tmp_path / "pins.txt"))
    assert found.status == "warn" and "tested with 1.0" in found.finding
    assert one(checks.check_packages(["numpy>=1"], tmp_path / "none.txt")).status == "ok"


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    jit.cache_folder.cache_clear()


def test_kernels(own_cache: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own_cache.setenv("DEPTHSCOPE_CACHE_DIR", str(tmp_path))
    loaded: list[str] = []
    steps: Any = [SimpleNamespace(is_kept=True, build=lambda name=name: loaded.append(name)) for name in "ab"]
    cache, kernels = checks.check_kernels(lambda: steps)
    assert (cache.status, kernels.status) == ("ok", "ok")
    assert str(tmp_path) in cache.finding and "2 loaded" in kernels.finding
    assert loaded == ["a", "b"]


def test_kernels_that_must_be_compiled(own_cache: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own_cache.setenv("DEPTHSCOPE_CACHE_DIR", str(tmp_path))
    steps: Any = [SimpleNamespace(is_kept=kept, build=pytest.fail) for kept in (True, False)]
    _, kernels = checks.check_kernels(lambda: steps)
    assert kernels.status == "warn" and "warmup" in kernels.advice and "1 of 2" in kernels.finding


def test_a_cache_that_cannot_be_written(own_cache: pytest.MonkeyPatch, locked: Path) -> None:
    own_cache.setenv("DEPTHSCOPE_CACHE_DIR", str(locked))
    with unprivileged():
        found = one(checks.check_kernels(list))
    assert found.status == "fail" and "Permission denied" in found.finding
    assert "DEPTHSCOPE_CACHE_DIR" in found.advice


def test_threads() -> None:
    assert one(checks.check_threads(1, {})).status == "ok"
    assert one(checks.check_threads(10_000, {})).status == "warn"
    found = one(checks.check_threads(1, {"NUMBA_DISABLE_JIT": "1"}))
    assert found.status == "fail" and "Unset" in found.advice


def test_the_clock() -> None:
    assert one(checks.check_clock()).status == "ok"
    readings = iter([5, 4, *range(6, 2_000)])
    assert "goes back" in one(checks.check_clock(steady=lambda: next(readings))).finding
    found = one(checks.check_clock(wall=lambda: time.time_ns() - 400 * 86_400 * SECOND))
    assert found.status == "fail" and "slow" in found.finding


def test_a_port_that_is_taken() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        port = sock.getsockname()[1]
        found = one(checks.check_port(port))
    assert found.status == "fail" and "another program listens" in found.finding
    assert one(checks.check_port(port)).status == "ok"
    assert one(checks.check_port(0)).status == "ok"


def test_a_port_that_is_not_for_this_user() -> None:
    found = one(checks.check_port(8050, "192.0.2.1"))
    assert found.status == "fail" and "8050" in found.finding


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "depthscope.toml"
    path.write_text("prot = 1")
    settings, found = checks.read_settings(path, {})
    assert found.status == "fail" and "nearest known one is 'port'" in found.finding
    assert settings == Settings()
    path.write_text('log_level = "loud"')
    assert "use one of debug, info, warning" in checks.read_settings(path, {})[1].finding
    found = checks.read_settings(None, {"DEPTHSCOPE_" + "PROT": "1"})[1]
    assert found.status == "fail" and "DEPTHSCOPE_PORT" in found.finding
    path.write_text("port = 9000")
    settings, found = checks.read_settings(path, {})
    assert found.status == "ok" and "9000" in found.finding
    assert settings.port == 9000


# -- disks -----------------------------------------------------------------------------------------


def test_a_folder_with_room(tmp_path: Path) -> None:
    assert one(checks.check_folder("data", tmp_path, write=False)).status == "ok"
    found = one(checks.check_folder("recording", tmp_path / "made" / "later"))
    assert found.status in ("ok", "warn") and "GiB free" in found.finding
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_folder_that_is_not_there_or_a_file(tmp_path: Path) -> None:
    found = one(checks.check_folder("data", tmp_path / "none", write=False, hint="Set DEPTHSCOPE_DATA."))
    assert found.status == "fail" and found.advice == "Set DEPTHSCOPE_DATA."
    (tmp_path / "file").write_text("x")
    assert "is a file" in one(checks.check_folder("data", tmp_path / "file" / "x")).finding


def test_a_folder_that_cannot_be_written(locked: Path) -> None:
    with unprivileged():
        found = one(checks.check_folder("recording", locked))
    assert found.status == "fail" and "Permission denied" in found.finding
    assert "give it to this user" in found.advice


def test_a_folder_that_cannot_be_looked_at(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o000)
    try:
        with unprivileged():
            found = one(checks.check_folder("recording", inner))
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert found.status == "fail"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, in memory."""
    folder.mkdir()
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("no tmpfs can be mounted here")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "big").write_bytes(b"\0" * 60_000)
        found = one(checks.check_folder("recording", disk))
    assert found.status == "fail" and "No space left" in found.finding
    assert "make room there" in found.advice


@pytest.mark.parametrize(("size", "status"), [("900m", "fail"), ("4g", "warn"), ("6g", "ok")])
def test_a_disk_with_little_room(tmp_path: Path, size: str, status: str) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        found = one(checks.check_folder("recording", disk))
    assert found.status == status


# -- the page --------------------------------------------------------------------------------------


def test_the_pages_files(tmp_path: Path) -> None:
    found = one(checks.check_assets())
    assert found.status == "ok"
    there = len([p for p in (PACKAGE / "web" / "static").rglob("*") if p.is_file()])
    assert int(found.finding.split()[1]) >= there - 2, "nearly all are found by what names them"
    copy = tmp_path / "static"
    shutil.copytree(PACKAGE / "web" / "static", copy)
    victim = sorted((copy / "js").glob("*.js"))[0]
    victim.unlink()
    found = one(checks.check_assets(copy))
    assert found.status == "fail" and victim.name in found.finding
    found = one(checks.check_assets(tmp_path / "none"))
    assert found.status == "fail" and "index.html" in found.finding


# -- data ------------------------------------------------------------------------------------------


def recording(path: Path, times: list[int]) -> Path:
    records = []
    for k, at in enumerate(times):
        side, price = (("B", 4800), ("A", 4801))[k % 2]
        records.append(mbo(at, side=side, price=price * SECOND, size=1, order=k + 1, sequence=k))
    return write(path, records)


def by_name(found: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_a_whole_recording(tmp_path: Path) -> None:
    told: list[tuple[float, float]] = []
    path = recording(tmp_path / "a.dbn", [NOON + k * SECOND for k in range(20)])
    found = by_name(check_data(str(path), lambda done, total: told.append((done, total))))
    assert found["data"].status == "ok" and "dbn" in found["data"].finding
    assert found["data: times"].status == "ok" and "20 events" in found["data: times"].finding
    assert "1.000 s" in found["data: times"].finding
    assert told
    assert found["data: books"].status in ("ok", "warn")


def test_a_silence_and_times_that_go_back(tmp_path: Path) -> None:
    times = [NOON + k * SECOND for k in range(10)] + [NOON + (400 + k) * SECOND for k in range(10)]
    found = by_name(check_data(str(recording(tmp_path / "a.dbn", times))))["data: times"]
    assert found.status == "warn" and "Nothing for 391 s" in found.finding
    times = [NOON + k * SECOND for k in (0, 1, 5, 3, 4)]
    found = by_name(check_data(str(recording(tmp_path / "b.dbn", times))))["data: times"]
    assert found.status == "warn" and "go back 1 times" in found.finding


def test_no_recording(tmp_path: Path) -> None:
    assert "There is no file" in one(check_data(str(tmp_path / "none"))).finding
    (tmp_path / "text").write_text("hello")
    assert one(check_data(str(tmp_path / "text"))).status == "fail"
    empty = write(tmp_path / "empty.dbn", [])
    assert "fail" in [check.status for check in check_data(str(empty))]


def test_a_damaged_recording(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.dbn", [NOON + k * SECOND for k in range(20)])
    path.write_bytes(path.read_bytes()[:-30])
    found = by_name(check_data(str(path)))
    assert found["data: damage"].status == "fail"
    assert "19 events" in found["data: times"].finding, "what is before the damage is told"


def test_an_audit_log(tmp_path: Path) -> None:
    assert not is_audit(str(tmp_path)) and not is_audit(str(tmp_path / "none"))
    with AuditWriter(tmp_path, "c0ffee", 1) as audit:
        for k in range(5):
            audit.write("alert", {"k": k}, k)
    assert is_audit(str(tmp_path))
    assert one(check_audit(str(tmp_path))).status == "ok"
    path = tmp_path / "audit-000001.jsonl"
    raw = path.read_bytes()
    path.write_bytes(raw[:-5])
    assert one(check_audit(str(tmp_path))).status == "warn"
    path.write_bytes(raw.replace(b'"k":3', b'"k":4'))
    found = one(check_audit(str(tmp_path)))
    assert found.status == "fail" and "audit-000001.jsonl:4" in found.finding


# -- all of it -------------------------------------------------------------------------------------


def test_a_check_that_breaks_is_a_finding_and_hides_secrets() -> None:
    def broken() -> list[Check]:
        raise RuntimeError("https://h/?token=cAnArY123")

    def leaking() -> list[Check]:
        return [Check("b", "warn", "signature=cAnArY123 \x1b[2J", "try listenKey=cAnArY123")]

    first, second = examine([("a", broken), ("b", leaking)])
    assert first.status == "fail" and "RuntimeError" in first.finding
    assert "cAnArY" not in first.finding + second.finding + second.advice
    assert "\x1b" not in second.finding


def test_a_report_is_as_bad_as_its_worst_check() -> None:
    def of(*statuses: Any) -> str:
        return str(report(Check("x", s, "y") for s in statuses)["status"])

    assert of() == of("skip") == of("ok", "skip") == "ok"
    assert of("ok", "warn") == "warn"
    assert of("fail", "warn") == "fail"
