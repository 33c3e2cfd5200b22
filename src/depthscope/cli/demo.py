"""`depthscope demo`: the embedded market on the page."""

from __future__ import annotations

from typing import Annotated

import typer

from depthscope.cli.common import Config, Debug, settings
from depthscope.cli.replay import NoOpen, Port, Signal, Speed, serve_page

HISTORY = 300.0  # seconds already played when the page opens


def demo(
    port: Port = None,
    no_open: NoOpen = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the market: the same seed, the same market.")] = 7,
    speed: Speed = "1",
    signal: Signal = "10s",
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Show the embedded market on a live page. Needs no data, account or internet.

    \b
    Example:
      depthscope demo --seed 42 --speed 2
    """
    source = f"synthetic:seed={seed},minutes=inf"
    preferences = settings(config)
    serve_page(
        [source], "demo", port, no_open, speed, None, None, preferences, history=HISTORY, signal=signal
    )
