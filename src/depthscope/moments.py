"""The public function for one moment: the state of a market."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from depthscope.api import chunks_of, opened
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market.times import parse_time
from depthscope.market_state import StateKeeper
from depthscope.runtime.models import model_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from depthscope.api import Progress, Sources
    from depthscope.features.kit import Setting
    from depthscope.market.events import Events
    from depthscope.signals.model import Model

__all__ = ["state"]


def state(
    source: Sources,
    at: str | int | None = None,
    *,
    symbol: str | None = None,
    every: str | int = "100ms",
    signal: Model | str | Path | None = "10s",
    sensitivity: str = "medium",
    settings: Mapping[str, Setting] | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """State of an instrument as one document: book, tape, session, walls, signal.

    Parameters
    ----------
    source, settings, threads, progress
        As for `depthscope.features`.
    at : str or int, optional
        Only what was received before this moment counts (ISO 8601 or UTC ns); all by default.
    symbol : str, optional
        Which one, where there are several.
    every : str or int
        Grid: the state is that of the last boundary at or before `at`.
    signal : Model, str or Path, optional
        Model of the signal, as for `features`; None for none.
    sensitivity : {"low", "medium", "high"}
        Of the detectors.

    Returns
    -------
    dict
        ``timestamp``, ``MARKET_STATE``, and ``ACCOUNT_STATE`` and ``ACTIVE_ORDERS``, which are None. The
        names are in docs/state.schema.json. What is unknown is None, and ``MARKET_STATE["WHY"]`` says why.

    Raises
    ------
    InputError
        When there are several instruments and none is named, or none had a row by then.

    Examples
    --------
    >>> import depthscope as ds
    >>> ds.state("day.mbo.dbn.zst", at="2023-12-25T23:30:00")["MARKET_STATE"]["VWAP"]   # doctest: +SKIP
    """
    moment = None if at is None else parse_time(at)
    chosen = None if symbol is None else frozenset([symbol])
    data = opened(source, {"symbols": chosen})
    model = None if signal is None else model_named(signal)
    engine = Engine(
        data.resolve,
        every=every,
        detectors=None,
        sensitivity=sensitivity,
        symbols=chosen,
        settings=settings,
        signal=None if model is None else lambda instrument: model,
        keep_samples=True,
    )
    keeper = StateKeeper(engine, model)
    for events in _before(chunks_of(data, threads, progress), moment):
        for batch in engine.pieces(events):
            keeper.update(batch)
    keeper.update(engine.finish())
    names = engine.symbols
    if symbol is None and len(names) != 1:
        listed = f"name one of {', '.join(names[:12])}" if names else "there was no event before it"
        raise InputError(f"The state is that of one instrument: {listed}.")
    found: dict[str, Any] = msgspec.to_builtins(keeper.state(names[0] if symbol is None else symbol))
    return found


def _before(chunks: Iterator[Events], moment: int | None) -> Iterator[Events]:
    """Events received before a moment, on the clamped clock."""
    last = -(2**63)
    for events in chunks:
        if moment is not None and len(events):
            times = np.maximum(np.maximum.accumulate(events["ts_recv"]), last)
            last = int(times[-1])
            if last >= moment:
                yield events[: int(np.searchsorted(times, moment, "left"))]
                return
        yield events
