"""`depthscope fit`: a signal model from recorded data."""

from __future__ import annotations

from typing import Annotated

import typer

from depthscope.cli.common import (
    Config,
    Debug,
    Json,
    Sources,
    check_duration,
    print_json,
    progress,
    say,
    settings,
)
from depthscope.cli.features import check_grid, names


def fit(
    files: Sources,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Model to write (.json).")],
    horizon: Annotated[str, typer.Option(metavar="TIME", help="How far ahead it looks (1s, 10s …).")] = "10s",
    fee: Annotated[
        float, typer.Option("--fee-bps", metavar="NUMBER", help="Fee of a trade, added to half the spread.")
    ] = 0.0,
    factors: Annotated[
        str | None, typer.Option(metavar="a,b", help="Only these factors; all by default.")
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these symbols; several are pooled.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the model; the symbols by default.")] = "",
    every: Annotated[str, typer.Option(metavar="GRID", help="Row spacing in receive time.")] = "100ms",
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 1,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Fit a signal model: weights on early rows, calibration on later ones, figures on the last.

    No outcome is on two sides of a cut. The model calls itself calibrated only with 2,000 labels that do
    not overlap behind that word; its file carries the figures and where they come from.

    \b
    Example:
      depthscope fit january/*.dbn.zst --horizon 10s --fee-bps 0.5 --out es.json
    """
    preferences = settings(config)
    from depthscope.cli.output import check_outputs, text_output
    from depthscope.cli.warmup import warm
    from depthscope.research.judging import fit as learn

    check_grid(every)
    check_duration("--horizon", horizon)
    check_outputs({"--out": out}, files)
    warm(["mid", "spread"], signals=True)
    with text_output(out, "--out", ".json") as text, progress("fit") as advance:
        fitted = learn(
            files if len(files) > 1 else files[0],
            horizon=horizon,
            fee_bps=fee,
            factors=names(factors),
            every=every,
            symbols=names(symbols),
            name=name,
            seed=seed,
            threads=preferences.threads,
            progress=advance,
        )
        text.append(fitted.model.to_json())
    model, metrics = fitted.model, fitted.metrics
    if json:
        print_json({"path": out, **model.to_dict()})
        return
    free = model.provenance["independent_labels"]
    word = "calibrated" if model.calibrated else "uncalibrated (too few independent labels for that word)"
    say(f"{out}: {model.name}, {word}")
    say(
        f"independent labels: {free['fit']:,} to fit, {free['calibration']:,} to calibrate, "
        f"{free['judged']:,} to judge"
    )
    for key, title in (("log_loss", "log-loss"), ("brier", "Brier")):
        own, base = metrics[key], metrics[f"{key}_frequencies"]
        say(f"{title} on rows it had not seen: {_range(own)}; of frequencies alone: {_range(base)}")
    say(f"calibration error: {_range(metrics['calibration_error'])}")


def _range(found: dict[str, float | None]) -> str:
    if found["value"] is None:
        return "–"
    text = f"{found['value']:.4f}"
    return text if found["low"] is None else f"{text} [{found['low']:.4f}, {found['high']:.4f}]"
