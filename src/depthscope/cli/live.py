"""`depthscope live`: a venue's market as it happens, on the page or in the terminal."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from depthscope.cli.common import Config, Debug, settings
from depthscope.cli.replay import NoOpen, Port, Signal, announce, serve_market

if TYPE_CHECKING:
    from depthscope.config import Settings
    from depthscope.runtime.live import LiveFeed
    from depthscope.web.app import Address

Followed = Annotated[
    list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="What to follow, such as BTCUSDT ETHUSDT.")
]
Venue = Annotated[str, typer.Option(metavar="NAME", help="Where: binance.")]


def feed_of(venue: str, symbols: list[str] | None, preferences: Settings, record: Path | None) -> LiveFeed:
    """Make a feed, not started, in a program that is to follow it for days."""
    from depthscope.ops.process import one_heap
    from depthscope.runtime.live import LiveFeed

    one_heap()
    return LiveFeed(venue, symbols or [], settings=preferences, record=record)


def live(
    symbols: Followed = None,
    venue: Venue = "binance",
    record: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also record everything received; without it nothing is written."),
    ] = None,
    tui: Annotated[bool, typer.Option("--tui", help="Show it in this terminal instead of a page.")] = False,
    port: Port = None,
    no_open: NoOpen = False,
    signal: Signal = "10s",
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Follow a market live: heatmap, ladder, flow, signal and alerts. Public data: no account or key.

    Nothing but the venue's own addresses is contacted (`[binance] rest_url` and `ws_url` of the settings).

    \b
    Examples:
      depthscope live BTCUSDT ETHUSDT
      depthscope live BTCUSDT --record recordings --no-open
      depthscope live BTCUSDT --tui
    """
    preferences = settings(config)
    from depthscope.market.calendars import parse_calendars
    from depthscope.ops.logs import setup_logging
    from depthscope.ops.watch import LiveWatch
    from depthscope.runtime.live_session import LiveSession
    from depthscope.runtime.models import model_named

    # What is wrong with it shows here, not on the page.
    feed = feed_of(venue, symbols, preferences, record)
    if tui:
        from depthscope.cli.terminal import SHOWN, show

    session = LiveSession(
        lambda: feed,
        features=SHOWN if tui else ("ofi", "cvd"),
        model=None if signal == "off" else model_named(signal),
        calendars=parse_calendars(preferences.calendars),
    )
    watch = LiveWatch(
        feed,
        preferences,
        status=lambda: session.status,
        audit=None if record is None else record / "audit",
        filling=lambda: 0 if session.spectator is None else session.spectator.held_bytes,
    )
    feed.on_notice = watch.hear
    session.on_applied = watch.latency.record

    def ready(address: Address) -> None:
        announce(address)
        session.on_failure = address.stop
        if session.failure is not None:
            address.stop()

    # The terminal view has the screen to itself: what happens shows in it, and in the log file.
    level = "critical" if tui else preferences.log_level
    with setup_logging(level, preferences.log_file), watch:
        if tui:
            show(session, preferences.depth_rows)
        else:
            try:
                serve_market(session, preferences, port, no_open, ready, watch.told)
            finally:
                session.close()  # here, where it is waited for, and where what it raises is heard
    if session.failure is not None:
        raise session.failure
