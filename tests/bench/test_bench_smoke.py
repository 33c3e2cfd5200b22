"""The bench runs end to end: cheap programs, two tiles, its own checks. No figure is asserted."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-bench" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture(scope="module")
def interpreter() -> Path:
    if not (ROOT / ".venv-bench" / "bench.json").is_file():
        pytest.skip("the bench's environment is not made here (make bench makes it)")
    return PYTHON


def run(interpreter: Path, folder: Path, *only: str, **extra: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DEPTHSCOPE_BENCH_CACHE": str(folder / "cache"), **extra}
    command = [
        str(interpreter), "-m", "bench.compare", "--quick", "--rounds", "1", "--out", str(folder),
        "--only", *only,
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=400, check=False
    )


@pytest.mark.real_data
def test_cheap_peers_are_measured_and_judged(interpreter: Path, data_dir: Path, tmp_path: Path) -> None:
    done = run(interpreter, tmp_path, "es-sorteddict", "es-naive", DEPTHSCOPE_DATA=str(data_dir))
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    entries = results["suites"]["es"]["entries"]
    assert [entries[key]["n"] for key in ("es-sorteddict", "es-naive")] == [2 * 68_793, 68_793]
    for record in entries.values():
        assert "error" not in record
        assert record["rounds"][0]["seconds"] > 0
    assert [check["key"] for check in results["checks"]] == ["es-sorteddict", "es-naive"]
    for check in results["checks"]:
        assert not check["differences"]
        assert "bid_total" in check["compared"]
    # The facts of the recording: what the last tile leaves behind.
    final = entries["es-naive"]["final"]
    assert (final["orders"], final["bid_levels"], final["ask_levels"]) == (11_217, 922, 565)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "A quick smoke run" in text
    assert text.count("| exact |") == 2


@pytest.mark.slow
@pytest.mark.real_data
def test_our_outputs_equal_those_of_a_peer(interpreter: Path, data_dir: Path, tmp_path: Path) -> None:
    done = run(interpreter, tmp_path, "es-stage1", "es-sorteddict", DEPTHSCOPE_DATA=str(data_dir))
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    kinds = [check["kind"] for check in results["checks"]]
    assert kinds == ["final book", "final book", "outputs against es-sorteddict"]
    assert all(not check["differences"] for check in results["checks"])


def test_what_cannot_run_is_told_and_the_rest_goes_on(interpreter: Path, tmp_path: Path) -> None:
    done = run(interpreter, tmp_path, "es-sorteddict", "es-naive", DEPTHSCOPE_DATA=str(tmp_path / "nowhere"))
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    errors = [record["error"] for record in results["suites"]["es"]["entries"].values()]
    assert len(errors) == 2
    assert all("DEPTHSCOPE_DATA" in error for error in errors)
    assert (tmp_path / "RESULTS.md").read_text().count("is left out") == 2


def test_unknown_names_are_refused(interpreter: Path, tmp_path: Path) -> None:
    done = run(interpreter, tmp_path, "nautilos")
    assert done.returncode == 2
    assert "nautilos" in done.stderr
    assert not (tmp_path / "RESULTS.md").exists()
