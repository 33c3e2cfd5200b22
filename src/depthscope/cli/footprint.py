"""`depthscope footprint`: volume at price, bar by bar."""

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
    increment,
    settings,
)
from depthscope.cli.features import names
from depthscope.errors import InputError


def check_bar(bar: str) -> None:
    """Refuse a bar that is no duration.

    Raises
    ------
    InputError
        When it is none.
    """
    from depthscope.market.times import parse_duration

    try:
        parse_duration(bar)
    except InputError as error:
        raise InputError(f"--bar {error}") from error


def footprint(
    files: Sources,
    bar: Annotated[str, typer.Option(metavar="LENGTH", help="Length of a bar (30s, 1m, 1h …).")] = "1m",
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help=".parquet, .csv, .arrow, or - for standard output."),
    ] = "-",
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these symbols; all of them by default.")
    ] = None,
    imbalance: Annotated[
        float, typer.Option(metavar="TIMES", help="What makes an imbalance; 3 is 300 %.")
    ] = 3.0,
    min_volume: Annotated[
        float | None,
        typer.Option("--min-volume", metavar="SIZE", help="Smallest size that makes one; 10 on ES."),
    ] = None,
    stacked: Annotated[
        int, typer.Option(metavar="N", help="Imbalances in a row that are called stacked.")
    ] = 3,
    tick: Tick = None,
    lot: Lot = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Footprint: what was bought and sold at each price of each bar, with imbalances.

    A row a bar and price. With --json the summary is JSON, and rows on standard output are one
    JSON object a line.

    \b
    Examples:
      depthscope footprint day.mbo.dbn.zst --bar 5m --out day.parquet
      depthscope footprint day.mbo.dbn.zst --min-volume 20 | head
    """
    preferences = settings(config)
    from depthscope.api import open_source
    from depthscope.bars import footprint_batches
    from depthscope.cli.tables import write_table

    check_bar(bar)  # a wrong one should not cost the opening of a large file
    only = names(symbols)
    write_table(
        "footprint",
        out,
        json,
        files,
        lambda: open_source(files, symbols=only, tick=increment(tick, "--tick"), lot=increment(lot, "--lot")),
        lambda source, advance: footprint_batches(
            source,
            bar=bar,
            symbols=only,
            imbalance=imbalance,
            min_volume=min_volume,
            stacked=stacked,
            threads=preferences.threads,
            progress=advance,
        ),
        empty="nothing traded, or the feed tells no trades",
    )
