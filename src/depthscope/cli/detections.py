"""`depthscope detections`: what detectors find in a file."""

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
from depthscope.cli.features import check_grid, names, setting_values


def detections(
    files: Sources,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help=".parquet, .csv, .arrow, or - for standard output."),
    ] = "-",
    chosen: Annotated[
        str | None, typer.Option("--detectors", metavar="a,b", help="Only these detectors; all by default.")
    ] = None,
    sensitivity: Annotated[
        str, typer.Option("--sensitivity", metavar="LEVEL", help="low, medium or high.")
    ] = "medium",
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these symbols; all of them by default.")
    ] = None,
    every: Annotated[
        str, typer.Option(metavar="GRID", help="Grid on which resting size is looked at (100ms, 1s …).")
    ] = "100ms",
    sparse: Annotated[
        bool, typer.Option("--sparse", help="Look only at rows in which something changed: quicker.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=NUMBER", help="A detector's setting."),
    ] = None,
    tick: Tick = None,
    lot: Lot = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Find icebergs, sweeps and more: a line for each thing a detector says, with its evidence.

    Messages are append-only: what is opened is updated and closed under the same id. With --json
    the summary is JSON, and messages on standard output are one JSON object a line.

    \b
    Examples:
      depthscope detections day.mbo.dbn.zst --detectors iceberg
      depthscope detections day.mbo.dbn.zst --sensitivity low --out day.parquet
    """
    preferences = settings(config)
    from depthscope.api import open_source
    from depthscope.cli.tables import write_table
    from depthscope.detectors.registry import chosen as select
    from depthscope.findings import detections_batches

    check_grid(every)
    only, wanted, values = names(symbols), names(chosen), setting_values(set_)
    select(wanted, sensitivity)  # a wrong name should not cost the opening of a large file
    write_table(
        "detections",
        out,
        json,
        files,
        lambda: open_source(files, symbols=only, tick=increment(tick, "--tick"), lot=increment(lot, "--lot")),
        lambda source, advance: detections_batches(
            source,
            every=every,
            symbols=only,
            detectors=wanted,
            sensitivity=sensitivity,
            sparse=sparse,
            settings=values,
            threads=preferences.threads,
            progress=advance,
        ),
        detectors=wanted,
        rows="messages",
        empty="no detector found anything its feed lets it tell",
    )
