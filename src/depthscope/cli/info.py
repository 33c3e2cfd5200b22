"""`depthscope info`: what a file is, what it holds, and how whole its books are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from depthscope.cli.common import Debug, Json, Lot, OneSource, Tick, increment, print_json, progress
from depthscope.errors import CorruptData, NoBookData

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.engine import Engine
    from depthscope.errors import InputError
    from depthscope.market.source import Scan, Source


@runtime_checkable
class Countable(Protocol):
    """A source that can be counted even where no book can be built of it."""

    def scan(self) -> Scan:
        """Count records and events from end to end."""
        ...


@dataclass(slots=True)
class Tally:
    """What reading a source to its end told.

    Attributes
    ----------
    engine : Engine
        With every book as of the end.
    start, end : int or None
        First and last receive time, UTC ns.
    records : dict of str to int
        Records by kind, where the source tells them apart.
    actions : dict of str to int
        Events by action letter.
    obstacle : InputError or None
        What kept it from being read whole, or from giving a book.
    """

    engine: Engine
    start: int | None = None
    end: int | None = None
    records: dict[str, int] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    obstacle: InputError | None = None


def read_through(source: Source, advance: Callable[[float, float], None]) -> Tally:
    """Read everything once: counts by action, span, and every book to its end.

    Damage ends the reading; what was readable is counted and the damage is kept. A file without
    book data is counted by its records.
    """
    import numpy as np

    from depthscope.engine import Engine
    from depthscope.market.events import ACTIONS

    tally = Tally(Engine(source.resolve, every="1s", features=[], sparse=True))
    counts = np.zeros(256, np.int64)
    try:
        for events in source.chunks():
            if not len(events):
                continue
            low, high = int(events["ts_recv"].min()), int(events["ts_recv"].max())
            tally.start = low if tally.start is None else min(low, tally.start)
            tally.end = high if tally.end is None else max(high, tally.end)
            counts += np.bincount(events["action"], minlength=256)
            tally.engine.process(events)
            advance(source.info.bytes_read, source.info.bytes_total)
    except NoBookData as error:
        if not isinstance(source, Countable):
            raise
        tally.obstacle = error
        scan = source.scan()
        tally.records, tally.actions = dict(scan.records), dict(scan.actions)
        tally.start, tally.end = scan.start or None, scan.end or None
        return tally
    except CorruptData as error:
        tally.obstacle = error
    tally.engine.finish()
    tally.actions = {letter: int(counts[ord(letter)]) for letter in ACTIONS if counts[ord(letter)]}
    return tally


INTEGRITY = (
    "unknown_cancel", "unknown_modify", "duplicate", "over_cancel", "rejected", "off_tick", "crossed", "gaps",
)  # fmt: skip

# Letters of the actions, as people read them.
ACTION_NAMES = {
    "A": "add", "C": "cancel", "M": "modify", "R": "clear", "T": "trade", "F": "fill", "N": "none",
    "L": "level", "Q": "quote", "S": "status", "X": "feed lost",
}  # fmt: skip


def decimal_text(fixed: int) -> str:
    """Decimal text of a 1e-9 integer, without needless zeros."""
    from decimal import Decimal

    text = f"{Decimal(fixed).scaleb(-9):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def info_document(source: Source, tally: Tally) -> dict[str, Any]:
    """Everything `info` tells, for machines. Times are receive times in UTC ns."""
    engine = tally.engine
    instruments: list[dict[str, Any]] = []
    for slot, instrument in enumerate(engine.slots):
        counters, view = engine.counters(slot), engine.book(slot)
        instruments.append(
            {
                "symbol": instrument.symbol,
                "venue": instrument.venue,
                "tick": decimal_text(instrument.tick),
                "lot": decimal_text(instrument.lot),
                "multiplier": str(instrument.multiplier),
                "currency": instrument.currency,
                "capabilities": [
                    c.name for c in type(instrument.capabilities) if c in instrument.capabilities
                ],
                "state": view.state,
                "complete": not view.incomplete,
                "counters": {name: int(value) for name, value in counters.items()},
            }
        )
    named = [i.symbol for i in source.instruments.values()]
    total = {name: sum(i["counters"][name] for i in instruments) for name in INTEGRITY}
    about = source.info
    return {
        "path": about.path,
        "format": about.format,
        "schema": about.schema or None,
        "dataset": about.dataset or None,
        "start": tally.start,
        "end": tally.end,
        "records": about.records,
        "kinds": tally.records,
        "events": sum(tally.actions.values()),
        "actions": tally.actions,
        "skipped": about.skipped,
        "instruments": instruments,
        "silent_instruments": len(set(named) - {i["symbol"] for i in instruments}),
        "unknown_cancels": total["unknown_cancel"],
        "unknown_modifies": total["unknown_modify"],
        "duplicates": total["duplicate"],
        "over_cancels": total["over_cancel"],
        "rejected": total["rejected"],
        "off_tick": total["off_tick"],
        "crossed_events": total["crossed"],
        "gaps": total["gaps"],
        "incomplete_groups": engine.incomplete_groups,
        "book": not isinstance(tally.obstacle, NoBookData),
        "complete": all(i["complete"] for i in instruments) and tally.obstacle is None,
        "damage": str(tally.obstacle) if isinstance(tally.obstacle, CorruptData) else None,
        "warnings": about.warnings,
        "notes": about.notes,
    }


def print_info(document: dict[str, Any]) -> None:
    """Print what `info` tells for people."""
    from rich.console import Console
    from rich.table import Table

    from depthscope.market.times import format_time

    console = Console(highlight=False, soft_wrap=True)

    def line(name: str, value: Any) -> None:
        if value not in (None, "", [], {}):
            console.print(f"[dim]{name:14}[/] {value}")

    line("file", document["path"])
    line("format", " ".join(filter(None, (document["format"], document["schema"], document["dataset"]))))
    if document["start"] is not None:
        span = (document["end"] - document["start"]) / 1e9
        line("received", f"{format_time(document['start'])} … {format_time(document['end'])} ({span:,.3f} s)")
    line("records", f"{document['records']:,} ({document['events']:,} events)")
    line("kinds", ", ".join(f"{n:,} {kind}" for kind, n in document["kinds"].items()))
    line("actions", ", ".join(f"{n:,} {ACTION_NAMES[a]}" for a, n in document["actions"].items()))
    line("skipped", ", ".join(f"{n:,} {why}" for why, n in document["skipped"].items()))
    odd = {k: document[k] for k in (
        "unknown_cancels", "unknown_modifies", "duplicates", "over_cancels", "rejected", "off_tick",
        "crossed_events", "gaps", "incomplete_groups",
    )}  # fmt: skip
    said = ", ".join(f"{n:,} {k.replace('_', ' ')}" for k, n in odd.items() if n) or "nothing odd"
    line("integrity", said if document["book"] else "")
    line(
        "book",
        "" if document["book"] else "none can be built: these records tell nothing of orders or levels",
    )
    line("complete", ("yes" if document["complete"] else "no") if document["book"] else "")
    for name, value in document["notes"].items():
        line(name, value)
    for warning in document["warnings"]:
        line("note", warning)
    if not document["instruments"]:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("instrument", "venue", "tick", "lot", "state", "groups", "trades", "odd"):
        table.add_column(title, justify="left" if title in ("instrument", "venue", "state") else "right")
    for item in document["instruments"][:20]:
        counters = item["counters"]
        state = item["state"] + ("" if item["complete"] else ", incomplete")
        odd_here = sum(counters[name] for name in INTEGRITY)
        table.add_row(
            item["symbol"], item["venue"], item["tick"], item["lot"], state,
            f"{counters['groups']:,}", f"{counters['trades']:,}", f"{odd_here:,}",
        )  # fmt: skip
    console.print(table)
    if len(document["instruments"]) > 20:
        console.print(f"… and {len(document['instruments']) - 20:,} more (--json lists all)")


def info(
    file: OneSource, tick: Tick = None, lot: Lot = None, json: Json = False, debug: Debug = False
) -> None:
    r"""Say what a file is: format, span, counts by action, instruments, integrity.

    Reads it to its end and builds every book on the way. A damaged file is told as far as it is
    readable, with exit code 2.

    \b
    Example:
      depthscope info day.mbo.dbn.zst --json
    """
    from depthscope.api import open_source
    from depthscope.cli.warmup import warm

    source = open_source(file, tick=increment(tick, "--tick"), lot=increment(lot, "--lot"))
    warm([])
    with progress("info") as advance:
        tally = read_through(source, advance)
    document = info_document(source, tally)
    if json:
        print_json(document)
    else:
        print_info(document)
    if isinstance(tally.obstacle, CorruptData):
        raise tally.obstacle
