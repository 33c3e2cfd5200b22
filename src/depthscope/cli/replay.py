"""`depthscope replay`: recorded files on the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from depthscope.cli.common import Config, Debug, Lot, Sources, Tick, increment, say, settings
from depthscope.errors import InputError

if TYPE_CHECKING:
    from depthscope.config import Settings

Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port of the page; 8050 by default.", show_default=False)
]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")]
Speed = Annotated[str, typer.Option(metavar="N|max", help="Market seconds a second: 0.1 to 1000, or max.")]


def speed_of(text: str) -> float:
    """Replay speed as a number; ``max`` is infinite.

    Raises
    ------
    InputError
        When it is neither a number nor ``max``.
    """
    if text.strip().lower() == "max":
        return math.inf
    try:
        speed = math.nan if "_" in text else float(text)
    except ValueError:
        speed = math.nan
    if not 0.1 <= speed <= 1000:
        raise InputError(f"--speed {text!r} is out of range: give a number from 0.1 to 1000, or max.")
    return speed
