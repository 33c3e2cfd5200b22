"""`depthscope liquidity`: the mean size that rested at each price."""

from __future__ import annotations

from typing import Annotated

import typer

from depthscope.cli.common import (
    Config,
    Debug,
    Json,
    Lot,
    Sources,
    Tick,
    check_duration,
    increment,
    settings,
)
from depthscope.cli.features import names


def liquidity(
    files: Sources,
    every: Annotated[
        str, typer.Option(metavar="LENGTH", help="Time between profiles (5s, 1m, 1h …).")
    ] = "1m",
    window: Annotated[str, typer.Option(metavar="LENGTH", help="How far back each looks.")] = "180s",
    levels: Annotated[
        int, typer.Option(metavar="N", help="Levels a side, from the best on; 20 at most.")
    ] = 20,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help=".parquet, .csv, .arrow, or - for standard output."),
    ] = "-",
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these symbols; all of them by default.")
    ] = None,
    tick: Tick = None,
    lot: Lot = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Liquidity profile: the mean size that rested at each price, averaged over time.

    A row a profile, side and price; exact for the best levels. With --json the summary is JSON,
    and rows on standard output are one JSON object a line.

    \b
    Examples:
      depthscope liquidity day.mbo.dbn.zst --every 5m --out day.parquet
      depthscope liquidity day.mbo.dbn.zst --window 30s --levels 5 | head
    """
    preferences = settings(config)
    from depthscope.api import open_source
    from depthscope.cli.tables import write_table
    from depthscope.liquidity import liquidity_profile_batches

    # Wrong ones should not cost the opening of a large file.
    check_duration("--every", every)
    check_duration("--window", window)
    only = names(symbols)
    write_table(
        "liquidity",
        out,
        json,
        files,
        lambda: open_source(files, symbols=only, tick=increment(tick, "--tick"), lot=increment(lot, "--lot")),
        lambda source, advance: liquidity_profile_batches(
            source,
            every=every,
            window=window,
            levels=levels,
            symbols=only,
            threads=preferences.threads,
            progress=advance,
        ),
        empty="the book was never LIVE, or the feed has none",
    )
