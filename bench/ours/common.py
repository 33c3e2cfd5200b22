"""What every measurement of depthscope shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bench.contestant import Final
from depthscope.market.instruments import Capability, Instrument, find_instrument
from depthscope.runtime.models import default_model

if TYPE_CHECKING:
    from depthscope.engine import Engine
    from depthscope.signals.model import Model

# What the peers are compared with: the book, its flow and the tape. Later features come on top.
FIRST_FEATURES = (
    "quotes", "mid", "spread", "imbalance", "weighted_imbalance", "imbalance_ratio", "depth",
    "ofi", "ofi_window", "depth_delta", "flow", "tape", "session",
)  # fmt: skip
CHUNK = 1 << 16  # events handed over at a time, as a reader would


def instrument(stream: str) -> Callable[[int, int], Instrument]:
    """Resolver of a bench stream: all of them are one future with a tick of 0.25."""
    found = find_instrument(
        "GLBX.MDP3",
        "ESH4",
        capabilities=Capability.TRADES
        | Capability.L1
        | Capability.L2
        | Capability.MBO
        | Capability.AGGRESSOR,
    )
    return lambda publisher, instrument_id: found


def shipped(instrument: Instrument) -> Model:
    """The weights that are shipped for 10 seconds."""
    return default_model("10s")


def final_of(engine: Engine) -> Final:
    """Read the whole book of the only instrument."""
    book = engine.book(0)
    bid, bid_sizes, bid_orders = book.raw("bid")
    ask, ask_sizes, ask_orders = book.raw("ask")
    return Final(
        int(bid[0]), int(ask[0]), int(bid_sizes[0]), int(ask_sizes[0]),
        int(np.sum(bid_sizes)), int(np.sum(ask_sizes)), len(bid), len(ask),
        int(np.sum(bid_orders) + np.sum(ask_orders)),
    )  # fmt: skip
