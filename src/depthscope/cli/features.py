"""`depthscope features`: a file of market data to a table."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from depthscope.cli.common import (
    Config,
    Debug,
    Json,
    Lot,
    Sources,
    Tick,
    increment,
    print_json,
    progress,
    say,
    say_warnings,
    settings,
)
from depthscope.errors import InputError

if TYPE_CHECKING:
    from depthscope.features.kit import Setting


def names(text: str | None) -> list[str] | None:
    """Split a comma-separated list; None stays None."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def setting_values(pairs: list[str] | None) -> dict[str, Setting]:
    """Feature settings of ``--set NAME=VALUE`` options: numbers, words where one may choose, fitted files.

    Raises
    ------
    InputError
        When one of them is not of that form.
    """
    found: dict[str, Setting] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if name.strip() == "microprice" and text:
            from depthscope.research.microprice import load

            found["microprice"] = load(text)
            continue
        value: Setting
        try:
            if not (name and equals) or "_" in text:
                raise ValueError
            value = float(text)
        except ValueError:
            value = text if name and text.isalpha() else math.nan
        if not isinstance(value, str) and not math.isfinite(value):
            raise InputError(f"--set {pair!r} is not NAME=VALUE, such as --set decay=0.9.")
        found[name.strip()] = value
    return found


def check_grid(every: str) -> None:
    """Refuse a grid that is none.

    Raises
    ------
    InputError
        When it is neither a duration nor ``event``.
    """
    from depthscope.market.times import parse_every

    try:
        parse_every(every)
    except InputError as error:
        raise InputError(f"--every {error}") from error


def features(
    files: Sources,
    every: Annotated[
        str, typer.Option(metavar="GRID", help='Row spacing in receive time (50ms, 1s …) or "event".')
    ] = "100ms",
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help=".parquet, .csv, .arrow, or - for standard output."),
    ] = "-",
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these symbols; all of them by default.")
    ] = None,
    chosen: Annotated[
        str | None, typer.Option("--features", metavar="a,b", help="Only these features; all by default.")
    ] = None,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="Leave rows out in which nothing changed.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A feature's setting, such as decay=0.9."),
    ] = None,
    signal: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Also signals: of a file `fit` wrote, or 1s, 10s, 60s (shipped)."),
    ] = None,
    found: Annotated[
        str | None,
        typer.Option("--detections", metavar="FILE", help="Also what detectors find, to a file of its own."),
    ] = None,
    tick: Tick = None,
    lot: Lot = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Compute features: a row every GRID, or one a group of events.

    Streams within bounded memory whatever the size of the files. A file appears under its name
    when it is complete, never before. With --json the summary is JSON, and rows on standard
    output are one JSON object a line. Signals and detections are made in the same pass.

    \b
    Examples:
      depthscope features day.mbo.dbn.zst --every 100ms --out day.parquet
      depthscope features day.mbo.dbn.zst --every event --features mid,ofi | head
      depthscope features day.mbo.dbn.zst -o day.csv --signal 10s --detections found.csv
    """
    preferences = settings(config)
    from depthscope.api import analysis_batches, open_source
    from depthscope.cli.output import check_outputs, table_output
    from depthscope.cli.warmup import warm
    from depthscope.market.calendars import parse_calendars
    from depthscope.runtime.models import model_named

    check_grid(every)  # a wrong one should not cost the opening of a large file
    check_outputs({"--out": out, "--detections": found}, [*files, *filter(None, [signal])])
    only, wanted, values = names(symbols), names(chosen), setting_values(set_)
    model = None if signal is None else model_named(signal)
    calendars = parse_calendars(preferences.calendars)
    if found == "-":
        raise InputError("--detections needs the name of a file: standard output is for rows.")
    with ExitStack() as outputs:
        writer = outputs.enter_context(table_output(out, lines_of_json=json))
        said = None if found is None else outputs.enter_context(table_output(found, option="--detections"))
        source = open_source(files, symbols=only, tick=increment(tick, "--tick"), lot=increment(lot, "--lot"))
        detectors = () if said is None else None
        warm(None if wanted is None else ["quotes", *wanted], detectors, signals=model is not None)
        with progress("features") as advance:
            for made in analysis_batches(
                source,
                every=every,
                symbols=only,
                features=wanted,
                detectors=detectors,
                sparse=sparse,
                settings=values,
                signal=model,
                calendars=calendars,
                threads=preferences.threads,
                progress=advance,
            ):
                writer.write(made.features)
                if said is not None:
                    said.write(made.detections)
    say_warnings(source)
    if json and out != "-":
        told = {} if said is None else {"detections": {"path": found, "rows": said.rows}}
        print_json({"path": out, "rows": writer.rows, "columns": writer.columns, **told})
        return
    if out != "-":
        say(f"{out}: {writer.rows:,} rows, {len(writer.columns)} columns")
    if said is not None:
        say(f"{found}: {said.rows:,} messages")
