"""Worker processes: start one, ask it, notice when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from bench.data import ROOT, cache_folder
from bench.suites import Entry

PATIENCE = 1800.0  # seconds for one answer


class WorkerFailed(Exception):
    """A contestant cannot take part; the message is for the report."""


def environment() -> dict[str, str]:
    """Environment of every measured process: the checkout first, no hidden threads."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
    }


class Worker:
    """One contestant in its own process."""

    def __init__(self, entry: Entry, stream: str, tiles: int, total: int) -> None:
        self.entry, self.tiles = entry, tiles
        self._log = cache_folder() / f"worker-{entry.key}-{os.getpid()}.log"
        self._errors = self._log.open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", entry.path, stream, str(tiles), str(total)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        try:
            self.ready = self._answer()
        except WorkerFailed:
            self.close()
            raise

    def run(self) -> dict[str, Any]:
        """One timed run."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerFailed(self._story("died between two runs")) from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        out = self._process.stdout
        assert out is not None
        alarm = threading.Timer(PATIENCE, self._process.kill)  # selectors cannot wait for pipes on Windows
        alarm.start()
        try:
            line = out.readline()
        finally:
            late = not alarm.is_alive()
            alarm.cancel()
        if late:
            raise WorkerFailed(f"gave no answer within {PATIENCE:.0f} s")
        if not line:
            raise WorkerFailed(self._story(f"ended with exit code {self._process.wait()}"))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(str(answer["error"]))
        return answer

    def _story(self, what: str) -> str:
        self._errors.flush()
        tail = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return f"{what}{': ' + tail[0] if tail else ''}"

    def close(self) -> None:
        """End the process and forget its log."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it is gone already, which is what we want
                self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        self._log.unlink(missing_ok=True)


def run_json(arguments: list[str], timeout: float = PATIENCE) -> dict[str, Any]:
    """Run a module of the bench that prints one JSON object."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise WorkerFailed(lines[-1])
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def executable(name: str) -> Path:
    """A command installed beside this interpreter."""
    folder = Path(sys.executable).parent
    return folder / (f"{name}.exe" if os.name == "nt" else name)
