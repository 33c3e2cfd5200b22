"""The targets the project set itself, beside what a run measured. Noted, never asserted."""

from __future__ import annotations

from statistics import median
from typing import Any


def _ratio(results: dict[str, Any], suite: str, ours: str, peer: str) -> float | None:
    """Median over the rounds of our rate over the peer's."""
    entries = results["suites"].get(suite, {}).get("entries", {})
    a, b = entries.get(ours), entries.get(peer)
    if not a or not b or not a["rounds"] or not b["rounds"]:
        return None
    pairs = zip(a["rounds"], b["rounds"], strict=False)
    return median((a["n"] / mine["seconds"]) / (b["n"] / theirs["seconds"]) for mine, theirs in pairs)


def _extra(results: dict[str, Any], suite: str, key: str, name: str) -> float | None:
    record = results["suites"].get(suite, {}).get("entries", {}).get(key)
    return median(r["extra"][name] for r in record["rounds"]) if record and record["rounds"] else None


def _probe(results: dict[str, Any], *path: str) -> Any:
    found: Any = results["probes"]
    for step in path:
        if not isinstance(found, dict) or step not in found:
            return None
        found = found[step]
    return found


# (what, suite, ours, peer, least ratio). The books: outputs at every event against the peer's own work.
RATIOS = (
    ("ES / NautilusTrader book, delta by delta", "es", "es-stage1", "es-nautilus", 15.0),
    ("ES / NautilusTrader book, group by group", "es", "es-stage1", "es-nautilus-groups", 15.0),
    ("ES / hftbacktest L3 no-op", "es", "es-stage1", "es-hftbacktest", 10.0),
    ("ES / SortedDict, outputs at every event", "es", "es-stage1", "es-sorteddict-every", 35.0),
    ("ES / SortedDict, outputs at every event, stretch", "es", "es-stage1", "es-sorteddict-every", 50.0),
    ("ES / SortedDict, outputs at LAST only", "es", "es-stage1", "es-sorteddict", 35.0),
    ("ES / two dicts, sorted at every event", "es", "es-stage1", "es-naive-every", 500.0),
    ("ES / two dicts, sorted at LAST only", "es", "es-stage1", "es-naive", 500.0),
    ("ES: 100-ms features / outputs at every event, busy hour", "es", "es-grid", "es-stage1", 1.0),
    ("ES: the same, real spacing", "spacing", "spacing-grid", "spacing-stage1", 1.0),
    ("Synthetic / NautilusTrader book, delta by delta", "synthetic", "synthetic-stage1",
     "synthetic-nautilus", 15.0),
    ("Synthetic / hftbacktest L3 no-op", "synthetic", "synthetic-stage1", "synthetic-hftbacktest", 10.0),
    ("Synthetic / SortedDict, outputs at every event", "synthetic", "synthetic-stage1",
     "synthetic-sorteddict-every", 35.0),
    ("Synthetic / SortedDict, outputs at LAST only", "synthetic",
     "synthetic-stage1", "synthetic-sorteddict", 35.0),
    ("Synthetic / two dicts, sorted at every event", "synthetic",
     "synthetic-stage1", "synthetic-naive-every", 500.0),
    ("Synthetic / two dicts, sorted at LAST only", "synthetic", "synthetic-stage1", "synthetic-naive", 500.0),
    ("File to features, two threads / zstd alone, busy hour", "file", "file-two", "file-zstd", 0.7),
    ("File to features, one thread / zstd alone, busy hour", "file", "file-one", "file-zstd", 0.45),
    ("The same, two threads, real spacing", "file-spacing", "file-spacing-two", "file-spacing-zstd", 0.7),
    ("The same, one thread, real spacing", "file-spacing", "file-spacing-one", "file-spacing-zstd", 0.45),
    ("Binance message / json + SortedDict", "binance", "binance-ours", "binance-json", 15.0),
)  # fmt: skip


def _rate(results: dict[str, Any], suite: str, key: str) -> float | None:
    """Median rate of an entry, a second."""
    record = results["suites"].get(suite, {}).get("entries", {}).get(key)
    if not record or not record["rounds"]:
        return None
    return median(record["n"] / r["seconds"] for r in record["rounds"])


def _everything(results: dict[str, Any]) -> list[tuple[str, str, float | None, str, bool]]:
    """What all features, detectors and signals together were asked to do."""
    found = []
    for suite, title in (("es", "ES tiled"), ("synthetic", "synthetic")):
        rate = _rate(results, suite, f"{suite}-everything")
        if rate is not None:
            told = f"{rate / 1e6:.2f} M/s"
            found.append((f"Everything on, in memory, {title}", "≥ 5 M/s", rate, told, rate >= 5e6))
    rates = [_rate(results, *key) for key in (("file", "file-zstd"), ("es", "es-everything"))]
    mine = _rate(results, "file", "file-everything")
    if mine is not None and rates[0] is not None and rates[1] is not None:
        ratio = mine / min(rates[0], rates[1])
        what = "File to everything, two threads / the slower of zstd alone and in memory"
        found.append((what, "≥ 0.8 x", ratio, f"{ratio:.3g} x", ratio >= 0.8))
    return found


def verdicts(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target that this run can speak of: what was asked, what was measured, whether it is met."""
    found = []

    def add(what: str, asked: str, value: float | None, measured: str, met: bool) -> None:
        if value is not None:
            found.append({"what": what, "asked": asked, "value": value, "measured": measured, "met": met})

    def most(what: str, limit: float, unit: str, value: float | None, digits: int = 2) -> None:
        if value is not None:
            add(what, f"≤ {limit:g} {unit}", value, f"{value:.{digits}f} {unit}", value <= limit)

    for what, suite, ours, peer, least in RATIOS:
        value = _ratio(results, suite, ours, peer)
        if value is not None:
            add(
                what,
                f"≥ {least:g} x",
                value,
                f"{value:.3g} x" if value < 100 else f"{value:.0f} x",
                value >= least,
            )
    for line in _everything(results):
        add(*line)
    most(
        "Single live update, everything on, 100-ms grid (p99)",
        30,
        "µs",
        _extra(results, "live", "live-everything", "p99_us"),
    )
    most(
        "Single live update, features off (median)", 3, "µs", _extra(results, "live", "live-off", "median_us")
    )
    most(
        "Single live update, all features, 100-ms grid",
        10,
        "µs",
        _extra(results, "live", "live-grid", "median_us"),
    )
    most(
        "Single live update, all features, a row at every LAST",
        10,
        "µs",
        _extra(results, "live", "live-event", "median_us"),
    )
    files = _probe(results, "memory", "files") or []
    peaks = [f["peak_mb"] for f in files if f["peak_mb"] is not None]
    most("Peak memory of features_batches, largest file", 250, "MB", max(peaks) if peaks else None, 0)
    most("depthscope --help", 0.3, "s", _probe(results, "commands", "help", "median"))
    most("Warm `features` on the ES file", 1.5, "s", _probe(results, "commands", "features", "median"))
    most("Warm start of the kernels (`warmup`)", 1, "s", _probe(results, "commands", "warm", "median"))
    most(
        "A day of 10 M events to features, signals and detections in Parquet",
        3,
        "s",
        _probe(results, "commands", "day", "median"),
        1,
    )
    most("Cold compile of everything", 120, "s", _probe(results, "commands", "cold", "median"), 1)
    most(
        "The first features, cold: compiled and computed",
        40,
        "s",
        _probe(results, "commands", "first", "median"),
        1,
    )
    most("2,000 instruments, peak memory", 1500, "MB", _probe(results, "universe", "peak_mb"), 0)
    return found
