"""Binance USD-M futures as a live venue: its machine, and its feed with real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from depthscope.errors import ConfigError
from depthscope.venues.binance_feed import Feed
from depthscope.venues.binance_live import BinanceMachine
from depthscope.venues.binance_requests import LiveConfig
from depthscope.venues.binance_transport import NetworkTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from depthscope.market.inputs import Input

__all__ = ["feed", "machine"]


def machine() -> BinanceMachine:
    """A new machine."""
    return BinanceMachine()


def feed(
    symbols: Sequence[str],
    settings: Any,
    sink: Callable[[Input], None],
    clock: Any,
    chance: Callable[[], float],
) -> tuple[Feed, BinanceMachine, tuple[str, ...]]:
    """Feed and machine of a live session, and the symbols it follows.

    Parameters
    ----------
    symbols : sequence of str
        In any case of letters, each taken once; empty for those of the settings.
    settings : Settings
        Those that begin with ``binance_`` count.
    sink, clock, chance
        See `binance_feed.Feed`.

    Raises
    ------
    ConfigError
        When no symbol is named, or something that cannot be one.
    """
    named = [name.strip().upper() for name in symbols or settings.binance_symbols.split(",")]
    wanted = tuple(dict.fromkeys(name for name in named if name))
    if not wanted:
        raise ConfigError("No symbol is named: give one, such as BTCUSDT, or set binance_symbols.")
    bad = [name for name in wanted if not name.replace("_", "").isalnum() or not name.isascii()]
    if bad:
        raise ConfigError(f"{bad[0]!r} is no symbol of Binance futures; they look like BTCUSDT.")
    config = LiveConfig(
        list(wanted),
        depth_speed=settings.binance_depth_speed,
        snapshot_limit=settings.binance_snapshot_limit,
    )
    made = machine()
    transport = NetworkTransport(settings.binance_rest_url, settings.binance_ws_url)
    return Feed(config, made, sink, transport, clock, chance), made, wanted
