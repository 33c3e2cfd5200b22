"""`depthscope state`: everything known of a market at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from depthscope.cli.common import Config, Debug, Json, OneSource, moment, print_json, progress, settings

if TYPE_CHECKING:
    from rich.table import Table


def state(
    file: OneSource,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Before this moment: ISO 8601 (UTC), ns since 1970, or end.")
    ] = "end",
    instrument: Annotated[
        str | None, typer.Option(metavar="SYMBOL", help="Which one, where the file has several.")
    ] = None,
    signal: Annotated[
        str, typer.Option(metavar="MODEL", help="A file of `fit`, 1s, 10s or 60s (shipped), or off.")
    ] = "10s",
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Tell the state of a market: book, tape, session, walls, signal, and why what is unknown is.

    With --json it is the document of docs/state.schema.json, for programs and language models.

    \b
    Example:
      depthscope state day.mbo.dbn.zst --at 2023-12-25T23:30:00 --json
    """
    preferences = settings(config)
    from depthscope.api import open_source
    from depthscope.cli.warmup import warm
    from depthscope.moments import state as tell

    when = None if at == "end" else moment(at)
    source = open_source([file], symbols=None if instrument is None else [instrument])
    warm(None, detectors=None, signals=signal != "off")
    with progress("state") as advance:
        document = tell(
            source,
            when,
            symbol=instrument,
            signal=None if signal == "off" else signal,
            threads=preferences.threads,
            progress=advance,
        )
    if json:
        print_json(document)
    else:
        _show(document)


def _words(value: Any) -> str:
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, float):
        return f"{value:,.9g}"
    if isinstance(value, dict):
        return "  ".join(f"{name} {_words(v)}" for name, v in value.items() if v is not None)
    if isinstance(value, list):
        return (
            " · ".join(" × ".join(map(_words, v)) if isinstance(v, list) else _words(v) for v in value)
            or "none"
        )
    return str(value)


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console

    market = document["MARKET_STATE"]
    why = market.pop("WHY")
    unavailable = market.pop("UNAVAILABLE")
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{market.pop('SYMBOL')}[/] {market.pop('VENUE')}   {document['timestamp']}")
    Console(highlight=False, width=max(console.width, 120)).print(_table(market, why))
    if unavailable:
        console.print(f"the feed cannot support: {', '.join(unavailable)}", markup=False)


def _table(market: dict[str, Any], why: dict[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in market.items():
        known = value is not None and name not in why
        table.add_row(
            name, Text(_words(value)) if known else Text(f"unknown: {why.get(name, 'none')}", "dim")
        )
    return table
