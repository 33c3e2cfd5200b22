"""`depthscope score`: what a signal was worth on recorded data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from depthscope.cli.common import Config, Debug, Json, Sources, print_json, progress, say, settings
from depthscope.cli.features import check_grid, names

if TYPE_CHECKING:
    from depthscope.research.metrics import Interval
    from depthscope.research.scorecard import Card
    from depthscope.signals.model import Model


def score(
    files: Sources,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="A file `fit` wrote, or 1s, 10s, 60s (shipped).")
    ] = "10s",
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Also write the whole card, with drawings (.html)."),
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these symbols; all of them by default.")
    ] = None,
    every: Annotated[str, typer.Option(metavar="GRID", help="Row spacing in receive time.")] = "100ms",
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 1,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Judge a model: its forecasts beside what costs nothing, and what its calls brought after cost.

    Every forecast was made before its outcome was known, unless the model was fitted on these very
    files: judge it on others. Intervals are 95 %.

    \b
    Examples:
      depthscope score day.mbo.dbn.zst --report day.html
      depthscope score monday.dbn.zst tuesday.dbn.zst --model es.json --json
    """
    preferences = settings(config)
    from depthscope.cli.output import check_outputs, text_output
    from depthscope.cli.warmup import warm
    from depthscope.research.judging import score as judge
    from depthscope.research.report import report_html
    from depthscope.runtime.models import model_named

    check_grid(every)
    check_outputs({"--report": report}, [*files, model])
    chosen, only = model_named(model), names(symbols)
    warm(["mid", "spread"], signals=True)
    with progress("score") as advance:
        cards = judge(
            files if len(files) > 1 else files[0],
            model=chosen,
            every=every,
            symbols=only,
            seed=seed,
            threads=preferences.threads,
            progress=advance,
        )
    if report is not None:
        with text_output(report, "--report", ".html") as text:
            text.append(report_html(list(cards.values()), f"Scorecard of {chosen.name}", _about(chosen)))
    if json:
        print_json(
            {"model": chosen.name, "report": report, "cards": [_plain(card) for card in cards.values()]}
        )
        return
    for card in cards.values():
        _show(card)
    if report is not None:
        say(f"{report}: the whole card")


def _about(model: Model) -> dict[str, str]:
    """What the report says of the model."""
    named = [one if isinstance(one, str) else one.get("name", "") for one in model.provenance.get("data", [])]
    told = {"model": model.name, "fitted on": ", ".join(named)}
    told["configuration (sha256)"] = model.provenance.get("config_sha256", "")
    return {name: text for name, text in told.items() if text}


def _plain(card: Card) -> dict[str, Any]:
    from dataclasses import asdict

    data = asdict(card)
    data["markouts"] = {
        name: [{"seconds": seconds, **found.to_dict()} for seconds, found in curve]
        for name, curve in card.markouts.items()
    }
    return data


def _range(found: Interval, digits: int = 3) -> str:
    if found.value is None:
        return "–"
    text = f"{found.value:.{digits}f}"
    return text if found.low is None else f"{text} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def _show(card: Card) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    wide = Console(highlight=False, width=max(console.width, 120))  # a cut figure is none
    sure = "calibrated" if card.calibrated else "uncalibrated"
    console.print(
        f"{card.symbol}   {card.model} ({sure}), {card.horizon / 1e9:g} s ahead, fee {card.fee_bps:g} bps: "
        f"{card.judged:,} rows judged, {card.independent:,} horizons that do not overlap",
        markup=False,
    )
    if card.contenders:
        table = Table(box=None, pad_edge=False)
        for head in ("", "log-loss", "Brier", "calibration error", "IC"):
            table.add_column(head, justify="left" if not head else "right", no_wrap=True)
        for c in card.contenders:
            table.add_row(
                c.name, _range(c.log_loss), _range(c.brier), _range(c.calibration_error), _range(c.ic)
            )
        wide.print(table)
        calls = card.overall
        console.print(
            f"calls {calls.calls:,} of {calls.rows:,} rows, hit rate {_range(calls.hit_rate)}, gross "
            f"{_range(calls.gross_bps)} bps, after cost {_range(calls.net_bps)} bps",
            markup=False,
        )
    for note in card.notes:
        console.print(f"note: {note}", markup=False)
