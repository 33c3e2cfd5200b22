"""The terminal view of a market: ladder, flow, signal and alerts, for users over ssh."""

from __future__ import annotations

import math
import time
from collections import deque
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from depthscope.cli.common import until_told
from depthscope.detectors.messages import messages
from depthscope.errors import DepthscopeError
from depthscope.ops.redact import printable
from depthscope.signals.reasons import read_signal

if TYPE_CHECKING:
    from threading import Event

    import numpy as np
    import numpy.typing as npt
    from rich.console import RenderableType

    from depthscope.engine import Batch
    from depthscope.market.events import Events
    from depthscope.runtime.market import Market

__all__ = ["SHOWN", "Follower", "show"]

HZ: Final = 4.0
ALERTS: Final = 12
WORDS: Final = {"BUY": "bold green", "SELL": "bold red", "NEUTRAL": "bold"}
FIGURES: Final = ("mid", "spread_bps", "imbalance_ratio", "ofi_1s", "cvd", "tape_velocity", "vwap")
SHOWN: Final = ("ofi", "cvd", *FIGURES)
"""Features the view needs."""


class Follower:
    """The spectator that keeps what the terminal shows: the last row and the last messages of each symbol."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[npt.NDArray[np.float64], int]] = {}
        self.said: dict[int, deque[Any]] = {}
        self.columns: tuple[Any, ...] = ()
        self.slots: list[Any] = []

    def begin(self, session: Market, start: int) -> None:
        """Hear where the market clock starts."""
        self.slots = session.engine.slots
        self.columns = session.engine.columns

    def fed(self, events: Events, times: npt.NDArray[np.int64], batch: Batch) -> None:
        """Keep the last row of each symbol, and what detectors said."""
        slots = batch.meta["slot"].tolist()
        for row, slot in enumerate(slots):
            self.rows[slot] = batch.values[:, row], int(batch.meta["state"][row])
        of = batch.detections["slot"].tolist()
        for slot, message in zip(of, messages(batch.detections, self.slots), strict=True):
            self.said.setdefault(slot, deque(maxlen=ALERTS)).appendleft(message)

    def advanced(self, ts: int) -> None:
        """Nothing hangs on the time alone."""

    @property
    def held_bytes(self) -> int:
        """Nothing that grows."""
        return 0

    def snapshot(self) -> Any:
        """A live market does not go back."""
        return None

    def restore(self, state: Any, ts: int) -> None:
        """A live market does not go back."""


def show(session: Market, depth_rows: int) -> None:
    """Show a market in the terminal until it ends or is interrupted; its status says which."""
    follower = Follower()
    session.spectator = follower
    console = Console()
    try:
        with until_told() as stop:
            console.print("connecting; Ctrl+C ends it")
            _open(session, console, stop)
            with Live(console=console, refresh_per_second=HZ, screen=console.is_terminal) as live:
                while not stop.wait(1 / HZ) and session.status.state == "playing":
                    session.step(time.monotonic())
                    rows = min(depth_rows, max(5, (console.height - 8) // 2))
                    live.update(picture(session, follower, rows))
    finally:
        session.close()


def _open(session: Market, console: Console, stop: Event) -> None:
    """Open a market, telling how it goes."""
    opening = Thread(target=session.open, name="depthscope-opening", daemon=True)
    opening.start()
    said = ""
    while opening.is_alive():
        opening.join(0.1)
        if stop.is_set():
            session.cancel()
        warm = session.status.warm
        if warm is not None and warm[0] != said:
            said = warm[0]
            console.print(printable(said), markup=False)


def picture(session: Market, follower: Follower, rows: int) -> RenderableType:
    """What the terminal shows now."""
    if not session.engine.slots:
        return Text("no book yet")
    return Columns([_symbol(session, follower, slot, rows) for slot in range(len(session.engine.slots))])


def _symbol(session: Market, follower: Follower, slot: int, rows: int) -> Panel:
    instrument = session.engine.slots[slot]
    book = session.engine.book(slot)
    parts: list[RenderableType] = []
    head = Text.assemble((f"{book.state} ", "bold green" if book.state == "LIVE" else "bold red"))
    if book.state != "LIVE":
        head.append(printable(session.reason(instrument.symbol) or ""))
    parts += [head, _ladder(book, instrument, rows)]
    row = follower.rows.get(slot)
    if row is not None:
        values = {c.name: float(v) for c, v in zip(follower.columns, row[0], strict=True)}
        parts += [_figures(values), _signal(session, values, row[1])]
    parts += [_alert(message) for message in follower.said.get(slot, ())]
    return Panel(Group(*parts), title=f"{instrument.symbol} {instrument.venue}", width=62)


def _ladder(book: Any, instrument: Any, rows: int) -> Table:
    """Asks above bids, with bars as long as their sizes."""
    table = Table(box=None, pad_edge=False, show_header=False, expand=True)
    for justify in ("right", "right", "left"):
        table.add_column(justify=justify)
    asks, bids = book.asks(rows), book.bids(rows)
    largest = max((float(level.size) for level in (*asks, *bids)), default=1.0)
    for levels, style in ((reversed(asks), "red"), (bids, "green")):
        for level in levels:
            bar = "█" * max(1, round(24 * float(level.size) / largest))
            price = f"{level.price:.{instrument.price_decimals}f}"
            table.add_row(Text(price, style), f"{float(level.size):g}", Text(bar, style))
    return table


def _figures(values: dict[str, float]) -> Text:
    told = [f"{name} {values[name]:,.6g}" for name in FIGURES if not math.isnan(values.get(name, math.nan))]
    return Text("  ".join(told), "cyan")


def _signal(session: Market, values: dict[str, float], state: int) -> Text:
    model = session.model
    if model is None:
        return Text("no signal: no model was asked for", "dim")
    try:
        said = read_signal(model, lambda name: values.get(name, math.nan), state)
    except DepthscopeError as error:
        return Text(str(error), "dim")
    if said.direction is None:
        return Text(f"no signal: {said.why_not}", "dim")
    odds = "" if said.confidence is None else f" {said.confidence:.0%}"
    reasons = ", ".join(reason.says for reason in said.reasons[:3])
    return Text.assemble((f"{said.direction}{odds}", WORDS[said.direction]), f"  {reasons}")


def _alert(message: Any) -> Text:
    when = time.strftime("%H:%M:%S", time.gmtime(message.ts / 1e9))
    return Text(
        f"{when} {message.detector} {message.phase} {message.side or ''} {message.price or ''}", "yellow"
    )
