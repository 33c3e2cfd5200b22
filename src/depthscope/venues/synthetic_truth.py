"""What was injected, as records people and programs can read.

One JSON object a line in ``<file>.truth.jsonl``; the fields are those of :class:`Injection`,
prices as decimal strings, sizes in public units.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from depthscope.venues.synthetic_layout import (
    ABSORPTION,
    BAND,
    BIDS,
    BURST,
    EXHAUSTION,
    GAP,
    HALT,
    ICEBERG,
    IDS,
    KINDS,
    LAYERING,
    OUTCOMES,
    REFILLER,
    SWEEP,
    WALL,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from depthscope.market.instruments import Instrument

SIDES: Final = ("bid", "ask")

# Numbers of each kind: public name -> TRUTH field and how it is counted.
# n = a count, s = lots, p = ticks to a price, m = thousandths, t = nanoseconds
_NUMBERS: Final[Mapping[int, Mapping[str, tuple[str, str]]]] = {
    WALL: {"median": ("base", "s"), "multiple": ("multiple", "m"), "orders": ("count", "n")},
    ICEBERG: {"displayed": ("shown", "s"), "refills": ("count", "n"), "oversize_fills": ("count2", "n")},
    REFILLER: {"slice": ("shown", "s"), "refills": ("count", "n"), "longest_refill_ns": ("mark1", "t")},
    LAYERING: {
        "median": ("base", "s"),
        "multiple": ("multiple", "m"),
        "levels": ("count", "n"),
        "far_price": ("tick2", "p"),
        "per_level": ("shown", "s"),
        "opposite_filled": ("mark1", "s"),
    },
    ABSORPTION: {"usual_volume": ("base", "s"), "multiple": ("multiple", "m"), "attacks": ("count", "n")},
    SWEEP: {
        "levels": ("count", "n"),
        "orders": ("count2", "n"),
        "last_price": ("tick2", "p"),
        "planned": ("mark1", "n"),
    },
    BURST: {
        "minute_average": ("base", "s"),
        "multiple": ("multiple", "m"),
        "side_volume": ("mark1", "s"),
        "side_share": ("mark2", "m"),
        "last_price": ("tick2", "p"),
    },
    EXHAUSTION: {
        "mean_depth": ("base", "s"),
        "least_depth": ("mark1", "s"),
        "widest_spread_ticks": ("mark2", "n"),
        "mean_spread_ticks": ("mark3", "m"),
        "cancels": ("count", "n"),
    },
    GAP: {"median": ("base", "s"), "levels": ("count", "n"), "far_price": ("tick2", "p")},
    HALT: {"length_ns": ("size", "t")},
    BAND: {"median": ("base", "s"), "multiple": ("multiple", "m")},
}


@dataclass(frozen=True, slots=True)
class Injection:
    """One injected event of the synthetic market, as it really came out.

    Parameters
    ----------
    kind : str
        ``wall``, ``iceberg_native``, ``iceberg_synthetic``, ``layering``, ``absorption``, ``sweep``,
        ``burst``, ``exhaustion``, ``liquidity_gap``, ``halt``, or ``band`` (ordinary orders that
        gather at a price for minutes).
    grade : str
        ``minor`` or ``major`` walls, ``warning`` or ``critical`` bursts, else empty.
    side : str
        ``bid`` or ``ask``: the resting side; of a sweep or burst the aggressor's (``bid`` buys).
        An absorption on ``bid`` is a hidden buyer, on ``ask`` a hidden seller.
    price : int
        1e-9 fixed: where it rests, or where a sweep or burst began.
    size, filled : int
        Lots placed in all (for an iceberg with its reserve; for a sweep or burst the volume), and
        lots executed against it.
    ts_start, ts_end : int
        Receive times (UTC ns) of its first and last group.
    order_ids : tuple of int
        Its orders, the most recent sixteen; empty where the crowd's own orders make it up.
    outcome : str
        ``held``, ``pulled``, ``traded``, ``withdrawn``, ``unfilled``, ``broken``, ``done``, or
        ``open`` when the stream ended first.
    numbers : Mapping of str to int
        What the kind is measured by, in the unit its name ends with or docs/SYNTHETIC.md states
        (sizes in lots, prices 1e-9 fixed, ``multiple``, ``side_share``, ``mean_spread_ticks`` in
        thousandths).
    """

    kind: str
    grade: str
    symbol: str
    instrument_id: int
    side: str
    price: int
    size: int
    filled: int
    ts_start: int
    ts_end: int
    order_ids: tuple[int, ...]
    outcome: str
    numbers: Mapping[str, int] = field(default_factory=dict)


def injection(row: Any, symbol: str, instrument_id: int, tick: int) -> Injection:
    """Build an :class:`Injection` from a TRUTH record."""
    kind = int(row["kind"])
    numbers = {
        name: int(row[column]) * (tick if unit == "p" else 1)
        for name, (column, unit) in _NUMBERS[kind].items()
    }
    grade = ""
    if kind == WALL:
        grade = "major" if row["grade"] else "minor"
    elif kind == BURST:
        grade = "critical" if row["grade"] else "warning"
    n = min(int(row["n_ids"]), IDS)
    return Injection(
        kind=KINDS[kind],
        grade=grade,
        symbol=symbol,
        instrument_id=instrument_id,
        side=SIDES[0] if row["side"] == BIDS else SIDES[1],
        price=int(row["tick"]) * tick,
        size=0 if kind == HALT else int(row["size"]),
        filled=int(row["filled"]),
        ts_start=int(row["ts_start"]),
        ts_end=int(row["ts_end"]),
        order_ids=tuple(sorted(int(x) for x in row["ids"][:n])),
        outcome=OUTCOMES[int(row["outcome"])],
        numbers=numbers,
    )


def to_json(found: Injection, instrument: Instrument) -> str:
    """One line of a truth file: prices and sizes as decimal strings in the instrument's units."""
    kind = KINDS.index(found.kind)
    numbers: dict[str, Any] = {}
    for name, value in found.numbers.items():
        unit = _NUMBERS[kind][name][1]
        if unit == "p":
            numbers[name] = str(instrument.price(value))
        elif unit == "s":
            numbers[name] = str(instrument.size(value))
        elif unit == "m":
            numbers[name] = value / 1_000
        else:
            numbers[name] = value
    return json.dumps(
        {
            "kind": found.kind,
            "grade": found.grade or None,
            "symbol": found.symbol,
            "instrument_id": found.instrument_id,
            "side": found.side,
            "price": str(instrument.price(found.price)),
            "price_fixed": found.price,
            "size": str(instrument.size(found.size)),
            "filled": str(instrument.size(found.filled)),
            "ts_start": found.ts_start,
            "ts_end": found.ts_end,
            "order_ids": list(found.order_ids),
            "outcome": found.outcome,
            "numbers": numbers,
        }
    )


def write_truth(path: Path, found: Iterable[Injection], instruments: Mapping[int, Instrument]) -> int:
    """Write a truth file; `instruments` by instrument id. Returns the lines written."""
    n = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for one in found:
            file.write(to_json(one, instruments[one.instrument_id]) + "\n")
            n += 1
    return n
