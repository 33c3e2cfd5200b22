"""Symbols of a Binance decoder: ids, grids, and the table the byte scanner looks names up in."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import UnknownInstrument
from depthscope.market.events import PRICE_SCALE
from depthscope.market.instruments import Capability, find_instrument
from depthscope.venues import binance_layout as b

if TYPE_CHECKING:
    import numpy.typing as npt

    from depthscope.market.instruments import Instrument

VENUE: Final = "binance"
PUBLISHER: Final = 1
CAPABILITIES: Final = Capability.TRADES | Capability.L1 | Capability.L2 | Capability.AGGRESSOR


class SymbolTable:
    """Symbols in order of appearance; index i has instrument id i + 1.

    Parameters
    ----------
    state : int64[STATE]
        The scanner's state: the table lives in it.
    tick, lot : int, optional
        Increments in 1e-9 units of every symbol; they win over definitions and the shipped table.

    Attributes
    ----------
    columns : int64[MOST_SYMBOLS, SYMBOL_COLUMNS]
        One row a symbol (`S_*` of the scanner).
    slots, words : int64[SLOTS], int64[MOST_SYMBOLS, WORDS]
        The scanner's hash table (index + 1, 0 for none) and the names in it.
    """

    def __init__(self, state: npt.NDArray[np.int64], tick: int | None, lot: int | None) -> None:
        self.tick, self.lot = tick, lot
        self.index: dict[str, int] = {}
        self.names: list[str] = []
        self.instruments: dict[tuple[int, int], Instrument] = {}
        self.definitions: dict[str, dict[str, int]] = {}
        self.unknown: dict[str, str] = {}
        self.slots = state[b.AT_SLOTS : b.AT_WORDS]
        self.words = state[b.AT_WORDS : b.AT_SYMBOLS].reshape(-1, b.WORDS)
        self.columns = state[b.AT_SYMBOLS : b.STATE].reshape(-1, b.SYMBOL_COLUMNS)

    def add(self, name: str) -> int | None:
        """Index of a symbol, new if need be; None when the table is full."""
        known = self.index.get(name)
        if known is not None:
            return known
        index = len(self.names)
        if index == b.MOST_SYMBOLS:
            return None
        self.names.append(name)
        self.index[name] = index
        self.words[index] = np.frombuffer(name.encode().ljust(b.SYMBOL_BYTES, b"\0"), "<i8")
        at = _hash(self.words[index].tolist())
        while self.slots[at]:
            at = (at + 1) & (b.SLOTS - 1)
        self.slots[at] = index + 1
        self.columns[index, b.S_ID] = index + 1
        self.settle(name)
        return index

    def settle(self, name: str) -> None:
        """Give a symbol its tick and lot if anything names them; `unknown` says why not."""
        row = self.columns[self.index[name]]
        try:
            instrument = find_instrument(
                VENUE, name, tick=self.tick, lot=self.lot, definition=self.definitions.get(name),
                capabilities=CAPABILITIES,
            )  # fmt: skip
        except UnknownInstrument as error:
            row[b.S_STATE] = b.UNKNOWN
            self.unknown[name] = str(error)
            return
        self.unknown.pop(name, None)
        self.instruments[PUBLISHER, self.index[name] + 1] = instrument
        row[b.S_STATE] = b.SYNCING
        row[b.S_LOT] = instrument.lot
        scale = PRICE_SCALE // instrument.lot if PRICE_SCALE % instrument.lot == 0 else 0
        decimals = len(str(scale)) - 1
        row[b.S_LOT_DECIMALS] = decimals if scale == 10**decimals else -1

    def save(self) -> dict[str, Any]:
        """Plain values :meth:`load` takes."""
        n = len(self.names)
        return copy.deepcopy({
            "names": self.names, "instruments": self.instruments, "definitions": self.definitions,
            "unknown": self.unknown, "columns": self.columns[:n], "words": self.words[:n],
            "slots": self.slots,
        })  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Become what :meth:`save` described."""
        state = copy.deepcopy(state)
        n = len(state["names"])
        self.names, self.instruments = state["names"], state["instruments"]
        self.definitions, self.unknown = state["definitions"], state["unknown"]
        self.index = {name: i for i, name in enumerate(self.names)}
        self.slots[:] = state["slots"]
        self.columns[:n], self.words[:n] = state["columns"], state["words"]


def _hash(words: list[int]) -> int:
    """Place of a name in the hash table, as the scanner computes it in 64 bits."""
    h = 0
    for word, factor in zip(words, (b.HASH_0, b.HASH_1, b.HASH_2, b.HASH_3), strict=True):
        h = (h ^ word) * factor & (1 << 64) - 1
    return h >> 32 & (b.SLOTS - 1)
