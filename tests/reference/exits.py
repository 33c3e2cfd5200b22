"""Exit recommendations straight from the definition, from the whole list of detections."""

from __future__ import annotations

from collections.abc import Sequence

from depthscope.detectors.messages import Detection

Advice = tuple[int, str, str, str, tuple[str, ...]]  # ts, symbol, side, rule, ids


def recommended(
    detections: Sequence[Detection], watched: set[tuple[str, str]], *, window: int, cooldown: int, burst: bool
) -> list[Advice]:
    """What is recommended for symbols and sides; times in ns."""
    found: list[Advice] = []
    for symbol, side in sorted(watched):
        mine = [(d, kind_of(d, detections[:k], side)) for k, d in enumerate(detections) if d.symbol == symbol]
        last: int | None = None
        for k, (now, kind) in enumerate(mine):
            if not kind or (last is not None and now.ts - last < cooldown):
                continue
            recent = [(d, of) for d, of in mine[: k + 1] if of and now.ts - d.ts <= window]
            traders = [d for d, of in recent if of == "trader"]
            if len(traders) >= 3:
                found.append((now.ts, symbol, side, "large_traders", tuple(d.id for d in traders)))
            elif burst and traders and len(traders) < len(recent):
                found.append((now.ts, symbol, side, "burst", tuple(d.id for d, _ in recent)))
            else:
                continue
            last = now.ts
    return sorted(found)


def kind_of(d: Detection, before: Sequence[Detection], side: str) -> str:
    """What alert a detection is against a side: a trader, a burst, or none."""
    whose, word = ("A", "SELLER") if side == "long" else ("B", "BUYER")
    if d.detector == "large_trader" and d.phase == "open":
        return "trader" if d.label == word or (d.label is None and d.side == whose) else ""
    if d.detector != "burst" or d.side != whose or d.label != "CRITICAL" or d.phase == "close":
        return ""
    return "" if any(b.id == d.id and b.label == "CRITICAL" for b in before) else "burst"
