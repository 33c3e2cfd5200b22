"""`depthscope simulate`: a venue on this machine, to rehearse with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from depthscope.cli.common import Debug, Json, Lot, Tick, check_duration, increment, print_json, say
from depthscope.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    from depthscope.simulators.binance_exchange import Exchange
    from depthscope.simulators.binance_server import Server

VENUES = ("binance",)
PORT = 8060
SOURCE = "synthetic:seed=7,minutes=inf"


def simulate(
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="Which venue to be: binance.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE", help="What to play: files, a folder, a glob, or synthetic:…", show_default=SOURCE
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port, 0 for a free one.")] = PORT,
    speed: Annotated[str, typer.Option(metavar="N", help="Market seconds a second: 0.1 to 1000.")] = "1",
    symbols: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Symbols to list, with commas; SYNBTC=BTCUSDT lists one under another name."
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT", help="What goes wrong and when, such as drop:BTCUSDT@30s; may be repeated."
        ),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again when the recording ends.")] = False,
    skip: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begin so far into the recording, its books built.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of update ids and of faults at random times.")] = 0,
    rpi: Annotated[
        bool,
        typer.Option("--rpi", help="Retail price improvement orders: trades are larger than the book shows."),
    ] = False,
    tick: Tick = None,
    lot: Lot = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Be a venue on this machine: play a recording or the synthetic market over its protocol.

    Clients connect as they would to the venue: REST and streams, limits, bans and, if you like,
    faults. Everything plays as if it happened now. Ctrl+C ends it.

    \b
    Examples:
      depthscope simulate binance
      depthscope simulate binance btcusdt.gz --speed 2 --loop
      depthscope simulate binance --symbols SYNBTC=BTCUSDT --fault drop:BTCUSDT@30s
    """
    if venue not in VENUES:
        raise UnknownName(f"There is no simulated venue {venue!r}; there is {', '.join(VENUES)}.")
    exchange = _exchange(
        files or [SOURCE],
        {"tick": increment(tick, "--tick"), "lot": increment(lot, "--lot")},
        speed=speed,
        symbols=_symbols(symbols),
        faults=fault or [],
        loop=loop,
        skip=skip,
        seed=seed,
        rpi=rpi,
    )
    import asyncio
    import contextlib

    with contextlib.closing(exchange), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(exchange, port, json))
    if exchange.playback.damage is not None:
        raise exchange.playback.damage


def _symbols(text: str | None) -> dict[str, str] | None:
    """Symbols of the recording, each with the name it is listed under."""
    if text is None:
        return None
    found: dict[str, str] = {}
    for item in text.split(","):
        symbol, _, name = (part.strip() for part in item.partition("="))
        name = name or symbol
        if not symbol or name in found.values() or symbol in found:
            raise ConfigError(f"--symbols {text!r}: write each name once, separated by commas.")
        if held := sorted({c for c in name if c in "@/!?&#=%" or c.isspace()}):
            raise ConfigError(
                f"--symbols {item!r}: the name {name!r} stands in names of streams and in addresses, where "
                f"{' '.join(map(repr, held))} would mean something else; leave it out."
            )
        found[symbol] = name
    return found


def _exchange(
    files: list[str], options: dict[str, Any], *, symbols: dict[str, str] | None, faults: list[str],
    skip: str | None, rpi: bool, **settings: Any,
) -> Exchange:  # fmt: skip
    """Make the exchange; what is wrong with its source shows here, and its kernels are compiled."""
    import time

    from depthscope.market.times import parse_duration
    from depthscope.runtime.sources import open_source
    from depthscope.simulators.binance_exchange import Exchange
    from depthscope.simulators.binance_faults import parse_fault
    from depthscope.simulators.binance_rules import Rules

    if skip is not None:
        check_duration("--skip", skip)
    settings["skip"] = 0 if skip is None else parse_duration(skip)
    settings["faults"] = [parse_fault(text) for text in faults]

    def opened() -> Any:
        # Small chunks: decoding one delays the streams by a few milliseconds at most.
        return open_source(files, chunk=2_048, symbols=list(symbols) if symbols else None, **options)

    return Exchange(opened, start=time.time_ns, symbols=symbols, rules=Rules(rpi=rpi), **settings)


async def _serve(exchange: Exchange, port: int, json: bool) -> None:
    """Serve until SIGINT or SIGTERM."""
    import asyncio
    import signal

    from depthscope.simulators.binance_server import serve

    loop = asyncio.get_running_loop()
    async with serve(exchange, port=port) as server:
        if sys.platform != "win32":  # there Ctrl+C interrupts the loop itself
            for kind in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(kind, server.ended.set)
        _announce(server, json)
        await server.ended.wait()
        late = server.late / 1e9
        if late:
            say(f"note: this machine is too slow for that speed: the market ran {late:.1f} s late.")


def _announce(server: Server, json: bool) -> None:
    """Tell where the exchange is and how to use it."""
    from depthscope.config import PREFIX

    names = list(server.exchange.listings)
    settings = {f"{PREFIX}BINANCE_REST_URL": server.url, f"{PREFIX}BINANCE_WS_URL": server.ws_url}
    shown = names[:3]
    command = f"depthscope live {' '.join(shown)} --venue binance"
    if json:
        urls = {"rest": server.url, "ws": server.ws_url}
        print_json({**urls, "symbols": names, "environment": settings, "command": command})
        return
    variables = " ".join(f"{name}={value}" for name, value in settings.items())
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    say(
        f"binance: {server.url} (REST), {server.ws_url} (streams)\n"
        f"listed: {', '.join(shown)}{more}\n"
        f"use it: {variables} {command}\n"
        f"books and faults: {server.url}/sim/status\n"
        "Ctrl+C ends it."
    )
