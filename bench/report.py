"""RESULTS.md out of results.json: tables, ratios of the same round, targets beside what was measured."""

from __future__ import annotations

from statistics import median
from typing import Any

from bench.targets import verdicts


def rates(record: dict[str, Any]) -> list[float]:
    """Events (or messages) per second of each counted round."""
    return [record["n"] / r["seconds"] for r in record["rounds"]]


def ratios(ours: dict[str, Any], peer: dict[str, Any]) -> list[float]:
    """Our rate over the peer's, round by round."""
    return [a / b for a, b in zip(rates(ours), rates(peer), strict=False)]


def processor_ratios(ours: dict[str, Any], peer: dict[str, Any]) -> list[float]:
    """The same by processor time: what a busy machine would have given."""
    pairs = zip(ours["rounds"], peer["rounds"], strict=False)
    return [(ours["n"] / a["cpu"]) / (peer["n"] / b["cpu"]) for a, b in pairs]


def short(value: float) -> str:
    """Three significant digits without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def spread(values: list[float], scale: float = 1.0) -> str:
    """Median and, in brackets, least and most."""
    scaled = [v * scale for v in values]
    return f"{short(median(scaled))} ({short(min(scaled))}-{short(max(scaled))})"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown table; every column but the first is right-aligned."""
    line = "|" + "|".join(["---"] + ["--:"] * (len(head) - 1)) + "|"
    return ["| " + " | ".join(head) + " |", line, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _suite(suite: dict[str, Any], checks: list[dict[str, Any]], unavailable: dict[str, str]) -> list[str]:
    entries = list(suite["entries"].values())
    measured = [r for r in entries if r["rounds"]]
    out = [f"## {suite['title']}", ""]
    if suite["key"] == "live":
        return out + _live(measured) + _failed(entries, unavailable)
    ours = measured[0] if measured else None
    per_message = bool(measured) and measured[0]["unit"] == "messages"
    rate_name = "µs a message" if per_message else "million events/s"
    rows = []
    for record in measured:
        figures = (
            [1e6 * r["seconds"] / record["n"] for r in record["rounds"]] if per_message
            else [rate / 1e6 for rate in rates(record)]
        )  # fmt: skip
        ratio = "1" if record is ours else spread(ratios(ours, record)) if ours else ""
        name = record["title"] + (f" {record['version']}" if record["version"] else "")
        by_cpu = "1" if record is ours else short(median(processor_ratios(ours, record))) if ours else ""
        rows.append(
            [
                f"{name}: {record['work']}",
                f"{record['n']:,}",
                spread(figures),
                ratio,
                by_cpu,
                _right(record, checks),
            ]
        )
    count = "messages" if per_message else "events"
    head = ["program: its work", count, f"{rate_name}, median (min-max)", "depthscope is … times faster"]
    out += table([*head, "by processor time", "final book"], rows)
    return out + _failed(entries, unavailable)


def _right(record: dict[str, Any], checks: list[dict[str, Any]]) -> str:
    found = [c for c in checks if c["key"] == record["key"] and c["kind"] == "final book"]
    if not found:
        return "-"
    return "differs (see Checks)" if any(c["differences"] for c in found) else "exact"


def _failed(entries: list[dict[str, Any]], unavailable: dict[str, str]) -> list[str]:
    lines = []
    for record in entries:
        if "error" in record:
            reason = unavailable.get(record["package"].replace("_", "-")) or unavailable.get(
                record["package"]
            )
            why = f"could not be installed: {reason}" if reason else record["error"]
            lines.append(f"* {record['title']} ({record['key']}) is left out: {why}")
    return [*lines, ""] if lines else []


def _live(measured: list[dict[str, Any]]) -> list[str]:
    rows = []
    for record in measured:
        values = [r["extra"] for r in record["rounds"]]
        rows.append(
            [record["title"]]
            + [
                spread([v[name] for v in values])
                for name in ("median_us", "p99_us", "last_median_us", "last_p99_us", "closing_median_us")
            ]
        )
    head = [
        "µs a call of `Engine.process` with one event",
        "median",
        "p99",
        "median at LAST",
        "p99 at LAST",
        "median closing a group",
    ]
    clock = [r["extra"]["clock_us"] for record in measured for r in record["rounds"]]
    note = f"Reading the clock is part of each figure: {short(median(clock))} µs." if clock else ""
    return [*table(head, rows), note, ""]


def _memory(found: dict[str, Any]) -> list[str]:
    def size(value: float | None) -> str:
        return "not told by this system" if value is None else f"{value:,.0f}"

    rows = [
        [f"{f['stream']}, {f['tiles']} tiles", f"{f['file_mb']:,.1f}", f"{f['rows']:,}", size(f["peak_mb"]),
         f"{f['seconds']:.1f}"]
        for f in found["files"]
    ]  # fmt: skip
    head = ['`features_batches(file, every="100ms")`', "file, MB", "rows", "peak resident, MB", "seconds"]
    return [*table(head, rows), f"Python with the imports alone: {size(found['imports_mb'])} MB.", ""]


def _commands(found: dict[str, Any]) -> list[str]:
    names = {
        "help": "`depthscope --help`",
        "features": "`depthscope features ES-file --every 100ms --out x.parquet`, warm",
        "warm": "`depthscope warmup`, warm",
        "day": "10 million events of a 23-hour day to features (100 ms), signals and detections in Parquet",
        "cold": "`depthscope warmup`, empty cache",
        "first": "`depthscope features ES-file` with the first features alone, empty cache",
    }
    rows = [
        [
            name,
            f"{found[key]['median']:.2f} ({found[key]['min']:.2f}-{found[key]['max']:.2f})",
            str(found[key]["n"]),
        ]
        for key, name in names.items()
        if key in found
    ]
    return table(["command", "seconds, median (min-max)", "runs"], rows)


def _costs(found: dict[str, Any]) -> list[str]:
    def cell(value: float) -> str:
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"

    rows = [
        [f"{m['name']} ({m['kind']})", cell(m["event_ns"]), cell(m["row_ns"])]
        for m in sorted(found["members"], key=lambda m: (m["kind"], m["name"]))
    ]
    busy, spaced = found["events"]
    return [
        "Over the bare books, alone and with what it needs (the trace of events it asks for, other features "
        f"it reads). Two streams of ES ({busy:,} events with few rows, {spaced:,} with a row each) give two "
        f"equations; medians of {found['rounds']} runs that take turns with bare ones. Below about 0.5 ns an "
        "event or 5 ns a row is noise.",
        "",
        *table(["component", "ns an event", "ns a row"], rows),
    ]


def _universe(found: dict[str, Any]) -> list[str]:
    peak = "not told by this system" if found["peak_mb"] is None else f"{found['peak_mb']:,.0f} MB"
    return [
        f"{found['instruments']:,} instruments, {found['events']:,} events ({found['minutes']} minutes, "
        f"{found['file_mb']:,.0f} MB file), all features every second: {found['rows']:,} rows in "
        f"{found['seconds']:.1f} s, peak resident {peak}.",
        "",
    ]


PROBE_TEXT = {
    "memory": ("Peak memory", _memory),
    "commands": ("Commands", _commands),
    "costs": ("Cost of each feature and detector", _costs),
    "universe": ("Two thousand instruments", _universe),
}


def _checks(checks: list[dict[str, Any]]) -> list[str]:
    out = [
        "## Checks", "",
        "Final books are compared with a plain dict book that shares no code with any program here "
        "(Binance: with the JSON book). Outputs are sums over all LAST states.", "",
    ]  # fmt: skip
    for check in checks:
        if check["differences"]:
            parts = "; ".join(
                f"{name} {pair[0]:,} instead of {pair[1]:,}" if isinstance(pair, list) else f"{name}: {pair}"
                for name, pair in check["differences"].items()
            )
            verdict = f"**differs**: {parts}"
        else:
            verdict = f"equal in {', '.join(check['compared'])}"
        note = f" ({check['note']})" if check["note"] else ""
        out.append(f"* {check['key']}, {check['kind']}: {verdict}{note}")
    return [*out, ""]


def _about(results: dict[str, Any]) -> list[str]:
    a = results["about"]
    shares = [
        r["cpu"] / r["seconds"]
        for suite in results["suites"].values()
        for record in suite["entries"].values()
        for r in record["rounds"]
        if not record["key"].endswith("-two")
    ]
    memory = f", {a['memory_gb']:.0f} GB" if a["memory_gb"] else ""
    load = f", load {a['load_before']:.1f} before the run" if a["load_before"] is not None else ""
    quiet = (
        f" Single-threaded runs had a processor for {100 * median(shares):.0f} % of their time "
        f"(least {100 * min(shares):.0f} %): below 95 % the machine was busy with something else."
        if shares else ""
    )  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in a["versions"].items())
    changed = f" with {a['changed']} changed files" if a["changed"] else ""
    return [
        "# Results of the bench", "",
        "Written by `make bench`; how things are measured stands in [README.md](README.md)."
        + (" **A quick smoke run: these figures mean nothing.**" if a["quick"] else ""), "",
        f"* {a['date']}, commit {a['commit'] or 'unknown'}{changed}",
        f"* {a['processor']}, {a['cores']} cores{memory}, {a['system']}, Python {a['python']}{load}",
        f"* {versions}",
        f"* {a['rounds']} rounds after one that does not count; the programs of a table take turns in each "
        f"round, and ratios are taken within a round.{quiet}", "",
    ]  # fmt: skip


def render(results: dict[str, Any]) -> str:
    """Whole text of RESULTS.md."""
    out = _about(results)
    found = verdicts(results)
    if found:
        out += ["## Targets", ""]
        out += table(
            ["target", "asked", "measured", ""],
            [[v["what"], v["asked"], v["measured"], "met" if v["met"] else "**not met**"] for v in found],
        )
    for suite in results["suites"].values():
        out += _suite(suite, results["checks"], results["unavailable"])
    for key, found_probe in results["probes"].items():
        title, text = PROBE_TEXT[key]
        out += [f"## {title}", ""]
        out += (
            [f"Not measured here: {found_probe['error']}", ""]
            if "error" in found_probe
            else text(found_probe)
        )
    out += _checks(results["checks"])
    return "\n".join(out).rstrip() + "\n"
