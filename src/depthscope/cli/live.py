"""`depthscope live`: a venue's market as it happens, on the page or in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from depthscope.cli.common import Config, Debug, settings
from depthscope.cli.replay import NoOpen, Port, Signal, serve_market

if TYPE_CHECKING:
    from depthscope.config import Settings
    from depthscope.runtime.live import LiveFeed

Followed = Annotated[
    list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="What to follow, such as BTCUSDT ETHUSDT.")
]
Venue = Annotated[str, typer.Option(metavar="NAME", help="Where: binance.")]


def feed_of(venue: str, symbols: list[str] | None, preferences: Settings, record: Path | None) -> LiveFeed:
    """Make a feed, not started."""
    from depthscope.runtime.live import LiveFeed

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
    from depthscope.runtime.live_session import LiveSession
    from depthscope.runtime.models import model_named

    feed = feed_of(venue, symbols, preferences, record)  # what is wrong with it shows here, not on the page
    if tui:
        from depthscope.cli.terminal import SHOWN, show

    session = LiveSession(
        lambda: feed,
        features=SHOWN if tui else ("ofi", "cvd"),
        model=None if signal == "off" else model_named(signal),
        calendars=parse_calendars(preferences.calendars),
    )
    if tui:
        show(session, preferences.depth_rows)
        return
    serve_market(session, preferences, port, no_open)
