"""`depthscope book`: one instrument's book at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from depthscope.cli.common import (
    Config,
    Debug,
    Json,
    Lot,
    OneSource,
    Tick,
    increment,
    moment,
    print_json,
    progress,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.engine import Engine
    from depthscope.market.source import Source


# A book before its first event.
NO_EVENT_YET: dict[str, Any] = {
    "symbol": "",
    "ts": None,
    "state": "SYNCING",
    "incomplete": False,
    "bids": [],
    "asks": [],
}


def run_until(
    source: Source, at: int | None, symbols: list[str] | None, advance: Callable[[float, float], None]
) -> Engine:
    """Feed an engine everything received strictly before `at` (ns), or everything.

    A group that is complete only at or after `at` is not in the book yet.

    Raises
    ------
    CorruptData
        When the source is damaged before `at`.
    """
    import numpy as np

    from depthscope.engine import Engine

    engine = Engine(source.resolve, every="1s", features=[], sparse=True, symbols=symbols)
    last = -(2**63)
    for events in source.chunks():
        n = len(events)
        if at is not None and n:
            times = np.maximum.accumulate(events["ts_recv"])
            times = np.maximum(times, last, out=times)
            last = int(times[-1])
            n = int(np.searchsorted(times, at, "left"))
        engine.process(events[:n])
        advance(source.info.bytes_read, source.info.bytes_total)
        if n < len(events):
            return engine
    if at is None:
        engine.finish()
    return engine


def print_ladder(document: dict[str, Any], venue: str) -> None:
    """Print a book for people: asks above, bids below, bars for size."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from depthscope.market.times import format_time

    rows = [*document["bids"], *document["asks"]]
    largest = max((size for _, size, _ in rows), default=0)
    counted = any(orders is not None for _, _, orders in rows)

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("orders", "bid", "price", "ask", "orders"):
        if title != "orders" or counted:
            table.add_column(title, justify="right")
    table.add_column("")

    def line(price: str, size: Any, orders: int | None, is_bid: bool) -> None:
        count, shown = "" if orders is None else f"{orders:,}", f"{size:,}"
        bar = Text("▇" * max(1, round(24 * float(size / largest))), "green" if is_bid else "red")
        cells = [count, shown, price, "", ""] if is_bid else ["", "", price, shown, count]
        table.add_row(*(cells if counted else cells[1:4]), bar)

    for price, size, orders in reversed(document["asks"]):
        line(price, size, orders, is_bid=False)
    if document["bids"] and document["asks"]:
        from decimal import Decimal

        spread = Decimal(document["asks"][0][0]) - Decimal(document["bids"][0][0])
        table.add_row(*(["", ""] if counted else [""]), Text(f"— {spread} —", "dim"))
    for price, size, orders in document["bids"]:
        line(price, size, orders, is_bid=True)

    when = format_time(document["ts"]) if document["ts"] else "before its first event"
    state = document["state"] + (", incomplete" if document["incomplete"] else "")
    console = Console(highlight=False)
    console.print(f"[bold]{document['symbol']}[/] {venue}   {when}   {state}")
    if rows:
        console.print(table)
    else:
        console.print("The book is empty.")


def book(
    file: OneSource,
    at: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="The book before this moment: ISO 8601 (UTC), ns since 1970, or end."
        ),
    ] = "end",
    levels: Annotated[int | None, typer.Option(min=1, help="Levels a side; 20 by default.")] = None,
    instrument: Annotated[
        str | None, typer.Option(metavar="SYMBOL", help="Which one, where the file has several.")
    ] = None,
    tick: Tick = None,
    lot: Lot = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Show a book as it stood: best prices in the middle.

    TIME is on the receive clock and exclusive: what was received at TIME is not in it yet.

    \b
    Examples:
      depthscope book day.mbo.dbn.zst --at 2023-12-25T23:30:00 --levels 10
      depthscope book day.mbo.dbn.zst --instrument ESH4 --json
    """
    limit = None if at == "end" else moment(at)
    rows = levels if levels is not None else settings(config).depth_rows
    from depthscope.api import open_source
    from depthscope.cli.warmup import warm

    wanted = None if instrument is None else [instrument.partition("@")[0]]
    source = open_source(file, symbols=wanted, tick=increment(tick, "--tick"), lot=increment(lot, "--lot"))
    warm([])
    with progress("book") as advance:
        engine = run_until(source, limit, wanted, advance)
    symbol = chosen_symbol(engine, source, instrument, file)
    document, venue = NO_EVENT_YET | {"symbol": symbol}, source.info.dataset
    if symbol in engine.symbols or "@" in symbol:
        view = engine.book(symbol)
        document, venue = view.to_json(rows), view.instrument.venue
    if json:
        print_json(document)
    else:
        print_ladder(document, venue)


def chosen_symbol(engine: Engine, source: Source, wanted: str | None, file: str) -> str:
    """Return the symbol to show: the one asked for, or the only one there is.

    Raises
    ------
    InputError
        When there is none, or several and it is not clear which.
    """
    from depthscope.errors import InputError

    if wanted is None:
        symbols = engine.symbols
        if not symbols:
            raise InputError(
                f"{file} has no event up to then: there is no book to show. Try a later --at, or name "
                "the --instrument."
            )
        if len(symbols) > 1:
            listed = ", ".join(symbols[:12]) + (" …" if len(symbols) > 12 else "")
            raise InputError(
                f"{file} holds {len(symbols)} instruments: {listed}. Choose one with --instrument."
            )
        return symbols[0]
    if engine.symbols.count(wanted) > 1:
        publishers = sorted(p for (p, _), i in source.instruments.items() if i.symbol == wanted)
        choices = ", ".join(f"{wanted}@{publisher}" for publisher in publishers)
        raise InputError(f"{wanted} is listed by several publishers. Choose one: --instrument {choices}.")
    return wanted  # open_source has refused what the data does not name
