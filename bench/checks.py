"""Is what was measured also right? Final books against the judge, outputs against each other."""

from __future__ import annotations

import math
from typing import Any

from bench.suites import Entry
from bench.workers import Worker, WorkerFailed

STATE = (
    "best_bid", "best_ask", "bid_size", "ask_size", "bid_total", "ask_total", "bid_levels", "ask_levels",
    "orders",
)  # fmt: skip
FLOW = ("ofi", "imbalance5", "weighted_mid")
CLOSE = 1e-9  # relative: float sums in another order


def _ours(record: dict[str, Any]) -> bool:
    return str(record["path"]).startswith("ours.")


def _check(
    suite: dict[str, Any],
    record: dict[str, Any],
    kind: str,
    compared: list[str],
    differences: dict[str, Any],
    note: str = "",
) -> dict[str, Any]:
    return {
        "suite": suite["key"],
        "key": record["key"],
        "kind": kind,
        "ours": _ours(record),
        "compared": compared,
        "differences": differences,
        "note": note,
    }


def judge(suite: dict[str, Any], references: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare each final book with the reference of the same length."""
    checks = []
    for record in suite["entries"].values():
        final, expected = record.get("final"), references.get(record["tiles"])
        if not final or not expected:
            continue
        known = [name for name in STATE if final[name] is not None and expected[name] is not None]
        if suite["stream"] == "binance":
            known = [name for name in known if name != "orders"]
        differences = {name: [final[name], expected[name]] for name in known if final[name] != expected[name]}
        checks.append(_check(suite, record, "final book", known, differences, final["note"]))
    return checks


def flow_check(suite: dict[str, Any], total: int) -> list[dict[str, Any]]:
    """Compare our OFI, imbalance and weighted mid with the Python books', on as many events as they took."""
    entries = suite["entries"]
    ours = next((r for r in entries.values() if r["path"] == "ours.stage1:Stage1" and r.get("final")), None)
    peers = [r for r in entries.values() if r is not ours and (r.get("final") or {}).get("ofi") is not None]
    if ours is None:
        return []
    checks = []
    for peer in peers:
        try:
            worker = Worker(
                Entry(f"{ours['key']}-check", ours["path"], peer["tiles"]),
                suite["stream"],
                peer["tiles"],
                total,
            )
            try:
                final = worker.run()["final"]
            finally:
                worker.close()
        except WorkerFailed as error:
            compared, differences = [], {"failed": str(error)}
        else:
            compared = list(FLOW)
            differences = {
                name: [final[name], peer["final"][name]]
                for name in FLOW
                if not math.isclose(final[name], peer["final"][name], rel_tol=CLOSE)
            }
        kind = f"outputs against {peer['key']}"
        checks.append(_check(suite, ours, kind, compared, differences))
    return checks
