"""`depthscope replay`: recorded files on the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from depthscope.cli.common import Config, Debug, Lot, Sources, Tick, increment, say, settings
from depthscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.config import Settings
    from depthscope.ops.snapshot import Snapshot
    from depthscope.runtime.market import Market
    from depthscope.web.app import Address

Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port of the page, 0 for a free one; 8050 by default.")
]
Signal = Annotated[
    str,
    typer.Option(
        metavar="MODEL", help="A file of `fit`, 1s, 10s or 60s (shipped), or off: no alerts either."
    ),
]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")]
Speed = Annotated[str, typer.Option(metavar="N|max", help="Market seconds a second: 0.1 to 1000, or max.")]


def speed_of(text: str) -> float:
    """Replay speed as a number; ``max`` is infinite.

    Raises
    ------
    InputError
        When it is neither a number nor ``max``.
    """
    if text.strip().lower() == "max":
        return math.inf
    try:
        speed = math.nan if "_" in text else float(text)
    except ValueError:
        speed = math.nan
    if not 0.1 <= speed <= 1000:
        raise InputError(f"--speed {text!r} is out of range: give a number from 0.1 to 1000, or max.")
    return speed


def serve_page(
    files: list[str],
    mode: Literal["replay", "demo"],
    port: int | None,
    no_open: bool,
    speed: str,
    tick: str | None,
    lot: str | None,
    preferences: Settings,
    history: float = 0.0,
    signal: str = "10s",
) -> None:
    """Serve the page of a session until interrupted.

    Raises
    ------
    InputError
        When the source cannot be opened or the port is taken: nothing was started then.
    """
    pace = speed_of(speed)
    options: dict[str, Any] = {"tick": increment(tick, "--tick"), "lot": increment(lot, "--lot")}
    from depthscope.market.calendars import parse_calendars
    from depthscope.ops.logs import setup_logging
    from depthscope.runtime.models import model_named
    from depthscope.runtime.session import Session
    from depthscope.runtime.sources import open_source

    calendars = parse_calendars(preferences.calendars)
    model = None if signal == "off" else model_named(signal)
    open_source(files, **options)  # what is wrong with it shows here, not on the page
    session = Session(
        lambda: open_source(files, **options),
        mode=mode,
        speed=pace,
        history=history,
        model=model,
        calendars=calendars,
    )
    with setup_logging(preferences.log_level, preferences.log_file):
        serve_market(session, preferences, port, no_open)


def serve_market(
    session: Market,
    preferences: Settings,
    port: int | None,
    no_open: bool,
    ready: Callable[[Address], None] | None = None,
    snapshot: Callable[[], Snapshot] | None = None,
) -> None:
    """Serve the page of a market until interrupted, as the settings say."""
    from depthscope.web.app import serve

    serve(
        session,
        port=preferences.port if port is None else port,
        open_browser=preferences.open_browser and not no_open,
        page_hz=preferences.page_hz,
        depth_rows=preferences.depth_rows,
        history_seconds=preferences.history_seconds,
        ready=ready or announce,
        snapshot=snapshot,
    )


def announce(address: Address) -> None:
    """Tell where the page is. The token is for this terminal alone; it is kept nowhere."""
    say(f"page: {address.open_url}\nCtrl+C ends it.")


def replay(
    files: Sources,
    speed: Speed = "1",
    port: Port = None,
    no_open: NoOpen = False,
    signal: Signal = "10s",
    tick: Tick = None,
    lot: Lot = None,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Replay recorded files on the live page: heatmap, ladder, flow, with pause, speed and seek.

    \b
    Examples:
      depthscope replay day.mbo.dbn.zst --speed 20
      depthscope replay 'btcusdt_*.gz' --speed max --no-open
    """
    serve_page(files, "replay", port, no_open, speed, tick, lot, settings(config), signal=signal)
