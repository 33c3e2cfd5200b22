"""`live`: frames of a market as it happens, the same as a replay of its recording gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from depthscope.api import always, followed
from depthscope.config import load_settings
from depthscope.engine import Engine
from depthscope.frame import frames_of
from depthscope.market.times import parse_duration
from depthscope.runtime.live import LiveFeed
from depthscope.runtime.models import model_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from depthscope.config import Settings
    from depthscope.engine import Batch
    from depthscope.features.kit import Setting
    from depthscope.frame import Frame
    from depthscope.signals.model import Model

__all__ = ["live"]

WAIT: Final = 0.2  # seconds between two looks at whether it is over


def live(
    symbols: str | Iterable[str] = (),
    venue: str = "binance",
    every: str | int = "100ms",
    *,
    duration: str | int | None = None,
    record: str | Path | None = None,
    features: Iterable[str] | None = None,
    detectors: Iterable[str] | None = (),
    sensitivity: str = "medium",
    sparse: bool = False,
    settings: Mapping[str, Setting] | None = None,
    signal: Model | str | Path | None = None,
    calendars: Mapping[str, str] | None = None,
    config: Settings | None = None,
) -> Iterator[Frame]:
    """Follow a market live: frames as `replay` gives them, one per instrument and boundary.

    The sockets are read in a thread of their own. A loop that falls behind gets every frame, late; the
    sockets are left alone when too much waits, so the venue may cut the connection: that shows as a gap.

    Parameters
    ----------
    symbols : str or iterable of str
        What to follow; those of the settings when there are none.
    venue : {"binance"}
    every : str or int
        Row grid, as for `features`.
    duration : str or int, optional
        End after so much market time (``"30m"``, or nanoseconds); otherwise when the loop is left.
    record : str or Path, optional
        Folder to record everything in. ``ds.replay(folder)`` then gives the same frames again.
    features, detectors, sensitivity, sparse, settings, signal, calendars
        As for `replay`.
    config : Settings, optional
        Where the venue is reached; by default as `depthscope live` finds it (settings file, environment).

    Yields
    ------
    Frame

    Raises
    ------
    UnknownName, ConfigError
        When the venue, a symbol or a setting cannot be used.
    OutputError
        When nothing can be recorded there.
    FeedFailed
        When the feed breaks off by itself. (Lost connections are made again for as long as it takes.)

    Examples
    --------
    >>> import depthscope as ds
    >>> for frame in ds.live("BTCUSDT", duration="1m"):                              # doctest: +SKIP
    ...     print(frame.time, frame.state, frame.book.best_bid, frame["ofi_1s"])
    """
    names = [symbols] if isinstance(symbols, str) else list(symbols)
    model = None if signal is None else model_named(signal)
    length = None if duration is None else parse_duration(duration)
    feed = LiveFeed(
        venue,
        names,
        settings=load_settings() if config is None else config,
        record=None if record is None else Path(record),
    )

    try:
        engine = Engine(
            followed(feed, calendars),
            every=every,
            features=features,
            detectors=detectors,
            sensitivity=sensitivity,
            sparse=sparse,
            settings=settings,
            signal=always(model),
        )
        yield from frames_of(_batches(feed, engine, length), engine, model)
    finally:
        feed.stop()


def _batches(feed: LiveFeed, engine: Engine, length: int | None) -> Iterator[Batch]:
    """Rows as they are completed, and those the end completes."""
    feed.start()
    end: int | None = None
    stopping = False
    while True:
        ended = feed.ended  # asked first: what came before the end is taken then
        events = feed.take(WAIT)
        if len(events):
            if end is None and length is not None:
                end = int(events["ts_recv"][0]) + length
            yield from engine.frames(events)
        elif ended:
            break
        if end is not None and not stopping and feed.clock.receive_time() >= end:
            stopping = True
            feed.stop()
    yield from engine.finish_frames()
