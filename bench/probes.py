"""What is measured once, in processes of their own: memory, commands, two thousand instruments."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.data import ES_FILE, ROOT, Inputs, MissingInput, cache_folder, recording, write_dbn
from bench.suites import TILES
from bench.workers import environment, executable, run_json

UNIVERSE_MINUTES = "5"
DAY_TILES, DAY_ROUNDS = 146, 3  # 10 million events
CACHE = "DEPTHSCOPE_CACHE_DIR"
# Mid, spread, imbalances, depth, OFI, volumes and CVD, VWAP, high and low: what the first release computed.
FIRST = (
    "mid", "spread", "imbalance", "weighted_imbalance", "imbalance_ratio", "depth", "ofi", "ofi_window",
    "depth_delta", "flow", "session",
)  # fmt: skip


def memory(rounds: int, quick: bool) -> dict[str, Any]:
    """Peak resident memory of `features_batches` on files of two sizes."""
    inputs = Inputs()
    small, large = (1, 4) if quick else (TILES // 4, TILES)
    found: dict[str, Any] = {"imports_mb": run_json(["bench.ours.process"])["peak_mb"], "files": []}
    for stream in ("es-busy",) if quick else ("es-busy", "es"):
        for tiles in (small, large):
            path = inputs.dbn(stream, tiles, TILES)
            result = run_json(["bench.ours.process", str(path), "100ms"])
            found["files"].append(
                {"stream": stream, "tiles": tiles, "file_mb": path.stat().st_size / 1e6, **result}
            )
    return found


def _plain_environment() -> dict[str, str]:
    """Environment without this bench's own variables, which the commands would refuse as unknown settings."""
    return {k: v for k, v in environment().items() if not k.startswith("DEPTHSCOPE_") or k == CACHE}


def _timed(arguments: list[str], extra: dict[str, str] | None = None) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        [str(executable("depthscope")), *arguments],
        cwd=ROOT, env={**_plain_environment(), **(extra or {})}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"depthscope {' '.join(arguments)}: exit code {done.returncode}: {lines[-1]}")
    return seconds


def _spread(times: list[float]) -> dict[str, float]:
    return {"median": median(times), "min": min(times), "max": max(times), "n": len(times)}


def _day(folder: Path) -> list[float]:
    """Wall times of a day's pass, warm: features on the 100-ms grid, signals and detections to Parquet."""
    day = Inputs().dbn("es-day", DAY_TILES, DAY_TILES)
    out = [str(folder / name) for name in ("day.parquet", "found.parquet")]
    arguments = ["features", str(day), "--out", out[0], "--detections", out[1], "--signal", "10s"]
    times = []
    for _ in range(DAY_ROUNDS + 1):
        for path in out:
            Path(path).unlink(missing_ok=True)
        times.append(_timed(arguments))
    return times[1:]


def commands(rounds: int, quick: bool) -> dict[str, Any]:
    """Wall time of whole commands: start, help, a warm and a cold run."""
    found: dict[str, Any] = {}
    _timed(["--help"])
    found["help"] = _spread([_timed(["--help"]) for _ in range(rounds)])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "es.parquet"
        arguments = ["features", str(recording(ES_FILE)), "--every", "100ms", "--out", str(out)]

        def features() -> float:
            out.unlink(missing_ok=True)
            return _timed(arguments)

        features()
        found["features"] = _spread([features() for _ in range(rounds)])
        found["warm"] = _spread([_timed(["warmup"]) for _ in range(rounds)])
        if not quick:
            found["day"] = _spread(_day(Path(folder)))
            cold = Path(folder) / "cache"
            found["cold"] = _spread([_timed(["warmup"], {CACHE: str(cold)})])
            out.unlink(missing_ok=True)
            first = [*arguments, "--features", ",".join(FIRST)]
            found["first"] = _spread([_timed(first, {CACHE: str(cold.with_name("first"))})])
    return found


def universe(rounds: int, quick: bool) -> dict[str, Any]:
    """Two thousand instruments in one file, from file to features."""
    from bench.synthetic import universe_events

    minutes = "0.2" if quick else UNIVERSE_MINUTES
    events = universe_events(minutes)
    path = cache_folder() / f"universe-{minutes}-{len(events)}.mbo.dbn.zst"
    if not path.is_file():
        events["publisher"] = 2  # XNAS.ITCH
        names = {n: f"SYN{n}" for n in sorted(set(events["instrument_id"].tolist()))}
        write_dbn(path, events, names, dataset="XNAS.ITCH")
    result = run_json(["bench.ours.process", str(path), "1s"])
    return {"minutes": minutes, "events": len(events), "file_mb": path.stat().st_size / 1e6, **result}


def costs(rounds: int, quick: bool) -> dict[str, Any]:
    """What each feature and detector costs."""
    if quick:
        raise MissingInput("left out of a quick run")
    return run_json(["bench.ours.costs"])


PROBES: tuple[tuple[str, str, Callable[[int, bool], dict[str, Any]]], ...] = (
    ("memory", "Peak memory", memory),
    ("commands", "Commands", commands),
    ("costs", "Cost of each feature and detector", costs),
    ("universe", "Two thousand instruments", universe),
)


def probe(function: Callable[[int, bool], dict[str, Any]], rounds: int, quick: bool) -> dict[str, Any]:
    """Run a probe; what cannot be measured here is told, never invented."""
    try:
        return function(rounds, quick)
    except MissingInput as error:
        return {"error": str(error)}
    except Exception as error:  # the report names it and the bench goes on
        if os.environ.get("DEPTHSCOPE_BENCH_DEBUG"):
            raise
        return {"error": f"{type(error).__name__}: {error}"}
