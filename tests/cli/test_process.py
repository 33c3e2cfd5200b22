"""Commands as processes: terminals, pipes that close, faults of our own, light imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from depthscope.cli.warmup import compile_steps

PROGRAM = [sys.executable, "-m", "depthscope"]
PATIENCE = 240.0


def in_terminal(arguments: list[str], folder: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command whose three streams are terminals."""
    pty = pytest.importorskip("pty")
    import threading

    ends = [pty.openpty() for _ in range(2)]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "XDG_CONFIG_HOME": str(folder)}
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environ,
        stdin=ends[0][1],
        stdout=ends[0][1],
        stderr=ends[1][1],
    )
    said = [b"", b""]

    def read(k: int) -> None:
        while True:
            try:
                piece = os.read(ends[k][0], 4096)
            except OSError:  # the other end is closed: Linux says so with an error
                return
            if not piece:
                return
            said[k] += piece

    readers = [threading.Thread(target=read, args=(k,), daemon=True) for k in range(2)]
    for k, reader in enumerate(readers):
        os.close(ends[k][1])
        reader.start()
    code = process.wait(PATIENCE)
    for reader in readers:
        reader.join(10)
    for master, _ in ends:
        os.close(master)
    return code, said[0].decode(), said[1].decode()


def test_progress_is_shown_in_a_terminal(small_file: Path, tmp_path: Path) -> None:
    code, _, err = in_terminal(["warmup"], tmp_path)
    assert code == 0
    assert "compiling kernels" in err
    assert "100%" in err
    assert "kernels ready in" in err
    code, _, err = in_terminal(["features", str(small_file), "--out", "t.csv"], tmp_path)
    assert code == 0
    assert "features" in err
    assert "t.csv: " in err


def test_json_is_indented_in_a_terminal(small_file: Path, tmp_path: Path) -> None:
    code, out, _ = in_terminal(["book", str(small_file), "--json", "--levels", "1"], tmp_path)
    assert code == 0
    assert '\n  "symbol": "ESH4"' in out.replace("\r", "")
    assert json.loads(out)["symbol"] == "ESH4"


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    source = "synthetic:seed=3,minutes=30,symbols=1"
    process = subprocess.Popen(
        [*PROGRAM, "features", source, "--every", "100ms", "--features", "mid"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'"ts_event"')
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(PATIENCE) == 1
    process.stderr.close()
    assert "Traceback" not in err
    assert "error" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "arguments", [["info"], ["info", "--json"], ["book"], ["book", "--json"], ["features"]]
)
def test_output_that_cannot_be_written_is_no_fault_of_ours(
    small_file: Path, tmp_path: Path, arguments: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *arguments, str(small_file)],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
        )  # fmt: skip
    told = " ".join(done.stderr.split())
    assert done.returncode == 2, told
    assert told.startswith("error: ")
    assert "tandard output" in told
    assert "No space left on device" in told
    assert "fault" not in told
    assert "Exception ignored" not in told


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX systems")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
@pytest.mark.parametrize(
    ("what", "target"), [("features", "t.csv"), ("archive", "t.events"), ("archive", "parquet")]
)
def test_a_signal_leaves_no_partial_file(tmp_path: Path, what: str, target: str, name: str) -> None:
    process = subprocess.Popen(
        [*PROGRAM, what, "synthetic:seed=3,minutes=inf,symbols=1", "--out", target],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    kind = getattr(signal, name)
    try:
        deadline = time.monotonic() + PATIENCE
        while not any(path.stat().st_size for path in tmp_path.rglob("*.part")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(kind)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()  # it would go on for ever
    assert process.returncode == 128 + kind
    assert list(tmp_path.iterdir()) == []
    assert b"Traceback" not in err


FAULT = """
import sys
from depthscope.cli.app import app, run

@app.command()
def explode(debug: bool = False) -> None:
    raise RuntimeError("first line\\nsecond line")

run(["explode"] if len(sys.argv) < 2 else ["--debug", "explode"])
"""


def test_a_fault_of_ours_is_one_paragraph(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FAULT], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert " ".join(done.stderr.split()).startswith(
        "error: depthscope failed unexpectedly (RuntimeError: first line)"
    )
    assert "Traceback" not in done.stderr
    told = subprocess.run(
        [sys.executable, "-c", FAULT, "debug"], cwd=tmp_path, capture_output=True, text=True
    )
    assert told.returncode == 1
    assert "Traceback" in told.stderr
    assert "second line" in told.stderr


def test_warnings_are_notes(tmp_path: Path, small_file: Path) -> None:
    """Where compiled kernels cannot be kept, one line says so and the command works."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    environ = {**os.environ, "DEPTHSCOPE_CACHE_DIR": str(blocked), "XDG_CONFIG_HOME": str(tmp_path)}
    environ["NUMBA_OPT"] = "0"  # it compiles, and what comes out need not be fast
    done = subprocess.run(
        [*PROGRAM, "archive", str(small_file), "--out", "small.events"],  # compiles little: no engine
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "small.events").stat().st_size > 100
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "DEPTHSCOPE_CACHE_DIR" in notes[0]


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("kept", [5, 3])
def test_steps_are_taken_once_and_in_order(
    kept: int, always: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """What has to be compiled is announced."""
    taken: list[int] = []
    todo: Any = [
        SimpleNamespace(is_kept=k < kept, module="here", function=str(k), build=lambda k=k: taken.append(k))
        for k in range(5)
    ]
    compile_steps(todo, always=always)
    assert taken == [0, 1, 2, 3, 4]
    assert capfd.readouterr().err.count("compiling kernels, once: 2 of 5") == (kept == 3)
