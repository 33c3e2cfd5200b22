"""One row of a replay, with the book it was made from."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.detectors.messages import Detection, messages
from depthscope.errors import InputError, StaleFrame
from depthscope.features.batch import NOTHING_FOUND
from depthscope.market.layouts import STATE_NAMES
from depthscope.market.times import format_time
from depthscope.signals.reasons import Signal, read_signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from depthscope.book.view import OrderBook
    from depthscope.engine import Batch, Engine
    from depthscope.signals.model import Model

__all__ = ["Frame", "frames_of"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Frame:
    """One row of a replay: an instrument's features and book at a boundary.

    Attributes
    ----------
    ts : int
        Boundary (or group time by event), UTC ns.
    symbol, state : str
    """

    __slots__ = ("_batch", "_engine", "_live", "_model", "_row", "_said", "state", "symbol", "ts")

    def __init__(
        self,
        engine: Engine,
        batch: Batch,
        row: int,
        live: list[bool],
        model: Model | None = None,
        said: npt.NDArray[Any] = NOTHING_FOUND,
    ) -> None:
        meta = batch.meta[row]
        self._model, self._said = model, said
        self._engine, self._batch, self._row, self._live = engine, batch, row, live
        self.ts = int(meta["ts"])
        self.symbol = engine.slots[int(meta["slot"])].symbol
        self.state = STATE_NAMES[int(meta["state"])]

    @property
    def detections(self) -> tuple[Detection, ...]:
        """What the replay's detectors said of this instrument since its frame before."""
        return messages(self._said, self._engine.slots)

    @property
    def signal(self) -> Signal:
        """What the replay's model says, with reasons.

        Raises
        ------
        InputError
            When the replay makes no signals.
        """
        if self._model is None:
            raise InputError("This replay makes no signals: give it a model, such as signal='10s'.")
        state = int(self._batch.meta[self._row]["state"])
        return read_signal(self._model, lambda name: float(self._batch[name][self._row]), state)

    @property
    def time(self) -> datetime:
        """Boundary as a UTC datetime (microseconds; `ts` has nanoseconds)."""
        return EPOCH + timedelta(microseconds=self.ts // 1000)

    @property
    def ts_event(self) -> int:
        """Venue time of the last group, UTC ns."""
        return int(self._batch.meta[self._row]["ts_event"])

    @property
    def sequence(self) -> int:
        """Sequence of the last group."""
        return int(self._batch.meta[self._row]["sequence"])

    @property
    def book(self) -> OrderBook:
        """The book at this boundary.

        Raises
        ------
        StaleFrame
            When iteration has moved on: the book has changed since.
        """
        if not self._live[0]:
            raise StaleFrame(
                f"The book of the frame at {format_time(self.ts)} is gone: iteration has moved on. "
                "Read frame.book inside the loop, or keep frame.book.bids() and .asks()."
            )
        return self._engine.book(int(self._batch.meta[self._row]["slot"]))

    def __getitem__(self, name: str) -> float | str | None:
        value = float(self._batch[name][self._row])
        if math.isnan(value):
            return None
        for column in self._batch.columns:
            if column.name == name and column.labels:
                return column.labels[int(value)]
        return value

    def to_dict(self) -> dict[str, float | str | int | None]:
        """Every value of the frame by name."""
        values = {c.name: self[c.name] for c in self._batch.columns}
        return {"ts": self.ts, "symbol": self.symbol, "state": self.state, **values}

    def __repr__(self) -> str:
        line = ", ".join(
            f"{name}={self[name]}"
            for name in ("best_bid", "best_ask", "mid", "ofi_1s")
            if any(c.name == name for c in self._batch.columns)
        )
        return f"Frame({format_time(self.ts)} {self.symbol} {self.state} {line})"


def frames_of(batches: Iterable[Batch], engine: Engine, model: Model | None) -> Iterator[Frame]:
    """Frames of what an engine gives boundary by boundary.

    Whatever the batches, a frame has the detections since its instrument's frame before: those that come
    without a row, as at the end of a chunk of events, wait for the next one.

    Parameters
    ----------
    batches : iterable of Batch
        From `Engine.frames` and `Engine.finish_frames`: rows of one boundary each.
    engine : Engine
        That makes them, and stands at the boundary while a frame is looked at.
    model : Model, optional
        What signals are made with.

    Yields
    ------
    Frame
    """
    waiting = NOTHING_FOUND
    for batch in batches:
        said = batch.detections
        if len(waiting):
            said = np.concatenate([waiting, said])
        for row, slot in enumerate(batch.meta["slot"].tolist()):
            mine = said["slot"] == slot
            shown = [True]
            yield Frame(engine, batch, row, shown, model, said[mine])
            shown[0] = False
            said = said[~mine]
        waiting = said
