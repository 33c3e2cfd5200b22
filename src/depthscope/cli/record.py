"""`depthscope record`: everything a venue sends, to disk, without a page."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from depthscope.cli.common import Config, Debug, Json, print_json, say, settings, until_told
from depthscope.cli.live import Followed, Venue, feed_of
from depthscope.errors import FeedFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from depthscope.runtime.live import LiveFeed

EVERY = 1.0  # seconds between two looks


def record(
    symbols: Followed = None,
    venue: Venue = "binance",
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Folder of the recording; made if it is not there.")
    ] = Path("recordings"),
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="End after so long, for example 30m or 8h."),
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Record a market: every message as it came, checked and safe from crashes. Ctrl+C ends it cleanly.

    A recording is a source like any other file: replay it, make features of it, or look after it with
    `depthscope capture`.

    \b
    Examples:
      depthscope record BTCUSDT ETHUSDT --to recordings
      depthscope record BTCUSDT --for 8h --json
    """
    from depthscope.market.times import parse_duration
    from depthscope.ops.logs import setup_logging
    from depthscope.ops.watch import LiveWatch

    preferences = settings(config)
    seconds = None if length is None else parse_duration(length) / 1e9
    feed = feed_of(venue, symbols, preferences, to)
    began = time.monotonic()
    try:
        level = "warning" if json else preferences.log_level
        watch = LiveWatch(feed, preferences, audit=to / "audit")
        feed.on_notice = watch.hear
        with until_told() as stop, setup_logging(level, preferences.log_file), watch, _line() as tell:
            feed.start()
            if not json:
                say(f"recording {', '.join(feed.symbols)} of {venue} to {to}; Ctrl+C ends it")
            while not stop.wait(EVERY) and not feed.ended:
                feed.take()  # nobody computes here: what was recorded is enough
                tell(_now(feed, time.monotonic() - began))
                if seconds is not None and time.monotonic() - began >= seconds:
                    break
            ended = feed.ended
            feed.stop()
        if ended:
            while len(feed.take()):  # it raises what ended it, after what came before
                continue
            raise FeedFailed(f"The feed of {venue} ended by itself; what was recorded is in {to}.")
    finally:
        feed.stop()
    summary = _summary(feed, to, time.monotonic() - began)
    if json:
        print_json(summary)
    else:
        lost = summary["lost"]
        # Clock ticks and failed requests are inputs, too.
        trouble = "" if feed.instruments else f"; none of {venue}'s markets: it was never reached"
        trouble += f"; {lost:,} were lost: see `depthscope capture verify {to}`" if lost else ""
        kept = f"{summary['inputs'] - lost:,} of " if lost else ""
        say(f"recorded {kept}{summary['inputs']:,} inputs in {summary['seconds']:.0f} s to {to}{trouble}")


def _summary(feed: LiveFeed, to: Path, seconds: float) -> dict[str, Any]:
    recorder = feed.recorder
    if recorder is None:
        raise RuntimeError("the feed was made without a folder")
    return {
        "folder": str(to), "symbols": list(feed.symbols), "seconds": round(seconds, 3),
        "inputs": recorder.sequence, "acknowledged": recorder.acknowledged, "lost": recorder.lost,
        "bytes": feed.feed.figures.get("bytes", 0), "session": recorder.session.hex(),
    }  # fmt: skip


def _now(feed: LiveFeed, seconds: float) -> str:
    """One line of how it stands."""
    health = feed.health()
    states = [told["state"] for told in health.get("symbols", {}).values()]
    live = states.count("LIVE")
    recorder = feed.recorder
    failure = None if recorder is None else recorder.failure
    trouble = f"; NOT RECORDING: {failure}" if failure is not None else ""
    said = feed.notices[-1].reason if feed.notices and live < len(states) else ""
    inputs = 0 if recorder is None else recorder.sequence
    megabytes = feed.feed.figures.get("bytes", 0) / 1e6
    return (
        f"{seconds:6.0f} s  {live} of {len(states) or len(feed.symbols)} books LIVE  {inputs:,} inputs  "
        f"{megabytes:,.1f} MB  {said}{trouble}"
    )


@contextmanager
def _line() -> Iterator[Callable[[str], None]]:
    """One line on stderr that is written over, where it is a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from depthscope.ops.redact import printable

    with Live(console=Console(stderr=True), transient=True, refresh_per_second=4) as live:
        yield lambda text: live.update(Text(printable(text)))
