"""The public function for one moment: the state of a market."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from depthscope.api import always, chunks_of, opened
from depthscope.engine import Engine
from depthscope.errors import InputError
from depthscope.market.times import format_time, parse_time
from depthscope.market_state import StateKeeper
from depthscope.runtime.models import model_named

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from depthscope.api import Progress, Sources
    from depthscope.features.batch import Batch
    from depthscope.features.kit import Setting
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
        The state is that of the last boundary at or before this moment (ISO 8601 or UTC ns), of all
        that was received before that boundary; of the last boundary there is by default.
    symbol : str, optional
        Which one, where there are several.
    every : str or int
        Grid of the boundaries.
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
        When there are several instruments and none is named, none had a row by then, or `at` is after the
        data's end.

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
        signal=always(model),
        keep_samples=True,
    )
    keeper = StateKeeper(engine, model)
    first, last, passed = None, None, False
    for events in chunks_of(data, threads, progress):
        if len(events):
            first = int(events["ts_recv"][0]) if first is None else first
            last = max(int(events["ts_recv"][-1]), last or 0)
        for batch in engine.pieces(events):
            # A boundary is known to be one when something comes after it; so the data is read beyond `at`.
            passed = passed or (moment is not None and bool(np.any(batch.meta["ts"] > moment)))
            keeper.update(_until(batch, moment))
        if passed:
            break
    else:
        keeper.update(_until(engine.finish(), moment))
    if last is None or first is None:
        raise InputError(f"{data.info.path} has no event: there is no state to tell.")
    if moment is not None and moment < first:
        raise InputError(
            f"{format_time(moment)} is before the data, which begins at {format_time(first)}.{_meant(moment)}"
        )
    if moment is not None and moment > last:
        raise InputError(f"{format_time(moment)} is after the data, which ends at {format_time(last)}.")
    names = engine.symbols
    if symbol is None and len(names) != 1:
        raise InputError(f"The state is that of one instrument: name one of {', '.join(names[:12])}.")
    found: dict[str, Any] = msgspec.to_builtins(keeper.state(names[0] if symbol is None else symbol))
    return found


def _until(batch: Batch, moment: int | None) -> Batch:
    """Rows and messages of a batch that were known at a moment."""
    if moment is None:
        return batch
    rows, said = batch.meta["ts"] <= moment, batch.detections["ts"] <= moment
    return replace(
        batch,
        meta=batch.meta[rows],
        values=batch.values[:, rows],
        samples=None if batch.samples is None else batch.samples[rows],
        detections=batch.detections[said],
    )


def _meant(moment: int) -> str:
    """A guess at what a number far too small was meant to be."""
    return " Times are nanoseconds since 1970: were seconds meant?" if 0 < moment < 10**11 else ""
