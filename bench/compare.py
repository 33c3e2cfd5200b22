"""The bench itself: interleaved rounds, checks in the same run, results.json and RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.checks import flow_check, judge
from bench.data import ROOT
from bench.probes import PROBES, probe
from bench.report import render
from bench.suites import SUITES, TILES, Suite
from bench.workers import Worker, WorkerFailed, run_json

DISTRIBUTIONS = (
    "depthscope", "numpy", "numba", "llvmlite", "zstandard", "databento-dbn", "pyarrow", "nautilus_trader",
    "hftbacktest", "order_book", "sortedcontainers", "databento", "msgspec",
)  # fmt: skip
QUICK_TILES = 2


def _versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    return platform.machine()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def about(rounds: int, quick: bool) -> dict[str, Any]:
    """Machine, versions, commit."""
    try:
        memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):  # Windows
        memory_gb = None
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    # Figures describe the code that ran: results and notes of the bench itself do not count as changes.
    changed = _git("status", "--porcelain", "--untracked-files=all", "--", "src")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed": len(changed.splitlines()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": memory_gb,
        "load_before": load,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rounds": rounds,
        "quick": quick,
        "versions": _versions(),
    }


def _start(suite: Suite, quick: bool, only: set[str], show: Progress) -> tuple[list[Worker], dict[str, Any]]:
    workers, entries = [], {}
    total = QUICK_TILES if quick else TILES
    for entry in suite.entries:
        if (quick and not entry.quick) or (only and entry.key not in only):
            continue
        tiles = min(entry.tiles, total)
        task = show.add_task(f"loading {entry.key}", total=None)
        record: dict[str, Any] = {"key": entry.key, "path": entry.path, "tiles": tiles, "rounds": []}
        record.update(_words(entry.path))
        try:
            worker = Worker(entry, suite.stream, tiles, total)
        except WorkerFailed as error:
            record["error"] = str(error)
        else:
            record.update(n=worker.ready["n"], version=worker.ready["version"])
            workers.append(worker)
        show.remove_task(task)
        entries[entry.key] = record
    return workers, entries


def _words(path: str) -> dict[str, str]:
    from bench.worker import contestant

    one = contestant(path)
    return {"title": one.title, "work": one.work, "unit": one.unit, "package": one.package}


def run_suite(suite: Suite, rounds: int, quick: bool, only: set[str], show: Progress) -> dict[str, Any]:
    """Let the contestants of a suite take turns."""
    workers, entries = _start(suite, quick, only, show)
    try:
        task = show.add_task(suite.title, total=(rounds + 1) * len(workers))
        for number in range(rounds + 1):  # the first round warms up and is not counted
            for worker in list(workers):
                record = entries[worker.entry.key]
                try:
                    answer = worker.run()
                except WorkerFailed as error:
                    record["error"] = str(error)
                    workers.remove(worker)
                    worker.close()
                    continue
                record["final"] = answer.pop("final")
                if number:
                    record["rounds"].append(answer)
                show.advance(task)
        show.remove_task(task)
    finally:
        for worker in workers:
            worker.close()
    return {
        "key": suite.key,
        "title": suite.title,
        "stream": suite.stream,
        "judged": suite.judged,
        "entries": entries,
    }


def references(suite: dict[str, Any], total: int) -> dict[int, dict[str, Any]]:
    """Judge's final state for every length a suite used."""
    stream = suite["stream"]
    if stream == "binance":  # another feed: the plain JSON book is the independent one
        record = suite["entries"].get("binance-json", {})
        return {record["tiles"]: record["final"]} if record.get("final") else {}
    lengths = {record["tiles"] for record in suite["entries"].values() if record.get("final")}
    return {tiles: run_json(["bench.reference", stream, str(tiles), str(total)]) for tiles in sorted(lengths)}


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; the exit code is 1 when a book that must be exact was not."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two tiles, few programs: a smoke test, no figures to quote"
    )
    parser.add_argument("--rounds", type=int, help="rounds that count (7; 2 with --quick)")
    parser.add_argument("--only", nargs="*", default=[], help="suites, contestants or probes by key")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "bench", help="folder for RESULTS.md and results.json"
    )
    parser.add_argument("--unavailable", type=json.loads, default={}, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    rounds = options.rounds or (2 if options.quick else 7)
    console = Console(stderr=True)
    chosen = set(options.only)
    known = (
        {s.key for s in SUITES} | {e.key for s in SUITES for e in s.entries} | {key for key, _, _ in PROBES}
    )
    if chosen - known:
        console.print(
            f"Nothing in the bench is called {', '.join(sorted(chosen - known))}; "
            f"there are {', '.join(sorted(known))}."
        )
        return 2
    total = QUICK_TILES if options.quick else TILES
    results: dict[str, Any] = {
        "about": about(rounds, options.quick),
        "unavailable": options.unavailable,
        "suites": {},
        "probes": {},
        "checks": [],
    }
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as show:
        for suite in SUITES:
            keys = {e.key for e in suite.entries}
            if chosen and suite.key not in chosen and not chosen & keys:
                continue
            only = set() if not chosen or suite.key in chosen else chosen & keys
            if options.quick and not any(e.quick and (not only or e.key in only) for e in suite.entries):
                continue
            done = run_suite(suite, rounds, options.quick, only, show)
            results["suites"][suite.key] = done
            if suite.judged:
                task = show.add_task(f"checking {suite.title}", total=None)
                results["checks"] += judge(done, references(done, total))
                results["checks"] += flow_check(done, total)
                show.remove_task(task)
            console.print(f"[green]✓[/] {suite.title}")
        for key, title, function in PROBES:
            if chosen and key not in chosen:
                continue
            task = show.add_task(title, total=None)
            results["probes"][key] = probe(function, rounds, options.quick)
            show.remove_task(task)
            console.print(f"[green]✓[/] {title}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = render(results)
    (options.out / "RESULTS.md").write_text(text, encoding="utf-8")
    console.print(f"written: {options.out / 'RESULTS.md'}")
    ours_wrong = [c for c in results["checks"] if c["ours"] and c["differences"]]
    for check in ours_wrong:
        console.print(f"[red]{check['key']} is not exact:[/] {check['differences']}")
    return 1 if ours_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
