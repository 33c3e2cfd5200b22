"""Names and price grids of the instruments in a DBN file.

DBN events carry instrument ids. What an id means can change from one day to the next, and one
symbol can have several ids (a rolling contract, a venue that deals ids anew each day). The
engine keeps one book per (publisher, id), so here every symbol gets *one* id, the first it had,
and a different symbol that later takes over an id gets a fresh one. In the usual file, one id
a symbol throughout, nothing is rewritten.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from depthscope.errors import UnknownName
from depthscope.market.instruments import find_instrument
from depthscope.venues.dbn_publishers import venue_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from depthscope.market.events import Events
    from depthscope.market.instruments import Capability, Instrument
    from depthscope.market.source import Key, SourceOptions
    from depthscope.venues.dbn_definitions import Definition
    from depthscope.venues.dbn_header import Header

TOP_ID: Final = 0xFFFF_FFFF


class Names:
    """Ids and symbols of one file, as they change while it is read.

    Parameters
    ----------
    header : Header
        Its mappings give the symbol of each id by UTC day.
    """

    def __init__(self, header: Header) -> None:
        self._symbols: dict[int, str] = {}  # our id -> symbol, never changed once set
        self._ours: dict[str, int] = {}  # symbol -> our id
        self._now: dict[int, str] = {}  # the file's id -> symbol at this moment
        self._moved: dict[int, int] = {}  # the file's id -> our id, where they differ
        self._fresh = TOP_ID
        self._whole_plan = _plan(header)
        self._plan = list(self._whole_plan)
        self._fallback: dict[int, str] = {}
        for _, changes in self._plan:
            for raw, symbol in changes:
                if symbol:
                    self._fallback.setdefault(raw, symbol)
        self.known = {symbol for _, changes in self._plan for _, symbol in changes if symbol}
        self.steady = _steady(self._plan)
        if self.steady:
            for raw, symbol in self._fallback.items():
                self.assign(raw, symbol)
            self._whole_plan = self._plan = []
        self._started = False

    @property
    def due(self) -> int:
        """Time of the next change of meaning (UTC nanoseconds), a far one when there is none."""
        return self._plan[0][0] if self._plan else 2**63 - 1

    def rewind(self) -> None:
        """Go back to the start of the file; our ids stay what they are."""
        if not self.steady:
            self._plan = list(self._whole_plan)
            self._now.clear()
            self._moved.clear()
        self._started = False

    def ours(self, raw: int) -> int:
        """Our id of one of the file's."""
        return self._moved.get(raw, raw)

    def assign(self, raw: int, symbol: str) -> int | None:
        """Let the file's id mean `symbol` from now on.

        Returns
        -------
        int or None
            Our id of a symbol that goes on under another id of the file: its book must be cleared.
        """
        if self._now.get(raw) == symbol:
            return None
        self._now[raw] = symbol
        self.known.add(symbol)
        self._moved.pop(raw, None)
        ours = self._ours.get(symbol)
        if ours is None:
            ours = raw if raw not in self._symbols else self._fresh_id()
            self._ours[symbol] = ours
            self._symbols[ours] = symbol
            again = None
        else:
            again = ours
        if ours != raw:
            self._moved[raw] = ours
        return again

    def _fresh_id(self) -> int:
        while self._fresh in self._fallback or self._fresh in self._symbols:
            self._fresh -= 1
        return self._fresh

    def begin(self, now: int) -> None:
        """Apply, once, what holds at the first event: what ended before it never mattered."""
        if self._started:
            return
        self._started = True
        current: dict[int, str] = {}
        while self._plan and self._plan[0][0] <= now:
            current.update(self._plan.pop(0)[1])
        for raw, symbol in current.items():
            if symbol:
                self.assign(raw, symbol)

    def advance(self, now: int) -> list[int]:
        """Apply the changes due at `now`; returns our ids whose books must be cleared."""
        cleared: list[int] = []
        while self._plan and self._plan[0][0] <= now:
            for raw, symbol in self._plan.pop(0)[1]:
                again = self.assign(raw, symbol or str(raw))
                if again is not None:
                    cleared.append(again)
        return cleared

    def translate(self, events: Events) -> None:
        """Rewrite the ids of a chunk in place, where ours differ from the file's."""
        if not self._moved:
            return
        raw = np.array(sorted(self._moved), np.uint32)
        ours = np.array([self._moved[r] for r in raw.tolist()], np.uint32)
        ids = events["instrument_id"]
        at = np.minimum(np.searchsorted(raw, ids), len(raw) - 1)
        hit = raw[at] == ids
        ids[hit] = ours[at[hit]]

    def symbol(self, ours: int) -> str:
        """Symbol of one of our ids: what a mapping says, else the number itself."""
        return self._symbols.get(ours) or self._fallback.get(ours) or str(ours)

    def named(self, raw: int) -> bool:
        """Whether the file has named one of its ids so far."""
        return raw in self._now or raw in self._fallback

    def check(self, wanted: Iterable[str], where: str) -> None:
        """Refuse symbols the file does not have.

        Raises
        ------
        UnknownName
            With the nearest names.
        """
        unknown = sorted(set(wanted) - self.known)
        if unknown:
            near = [n for u in unknown for n in difflib.get_close_matches(u, self.known, n=3, cutoff=0.5)]
            shown = ", ".join(near or sorted(self.known)[:8])
            raise UnknownName(
                f"{where} has no {', '.join(unknown)}"
                f"{f' (it has {shown})' if shown else ' (it names no symbol at all)'}. "
                f"`depthscope info` lists what a file holds."
            )


def _plan(header: Header) -> list[tuple[int, list[tuple[int, str]]]]:
    """Changes of meaning by time: [(time, [(file's id, symbol or '' at an end)])]."""
    by_symbol = header.stype_in == "instrument_id" and header.stype_out != "instrument_id"
    ends: dict[int, dict[int, str]] = {}
    starts: dict[int, dict[int, str]] = {}
    for name, intervals in header.mappings:
        for interval in intervals:
            number, symbol = (name, interval.symbol) if by_symbol else (interval.symbol, name)
            if not number.isdecimal() or not symbol or int(number) > TOP_ID:
                continue
            if header.end and header.start and not _overlaps(header, interval.start, interval.end):
                continue
            starts.setdefault(interval.start, {}).setdefault(int(number), symbol)
            ends.setdefault(interval.end, {}).setdefault(int(number), "")
    times = sorted({*starts, *ends})
    return [(t, list({**ends.get(t, {}), **starts.get(t, {})}.items())) for t in times]


def _overlaps(header: Header, start: int, end: int) -> bool:
    return start < max(header.end, header.start + 1) and end > header.start


def _steady(plan: list[tuple[int, list[tuple[int, str]]]]) -> bool:
    """Whether each id means one symbol and each symbol has one id, all through."""
    pairs = {(raw, symbol) for _, changes in plan for raw, symbol in changes if symbol}
    return len({raw for raw, _ in pairs}) == len({symbol for _, symbol in pairs}) == len(pairs)


class Catalogue:
    """Instruments of one file: settled when first asked for, then fixed.

    Parameters
    ----------
    header, names, options
        Of the file.
    capabilities : Capability
        What its records can tell.
    sidecar : callable
        Returns the definitions found beside the file; called once, if needed.
    notes : dict of str to str
        Told which definition file an instrument was taken from.
    """

    def __init__(
        self,
        header: Header,
        names: Names,
        options: SourceOptions,
        capabilities: Capability,
        sidecar: Callable[[], list[Definition]],
        notes: dict[str, str],
    ) -> None:
        self._notes = notes
        self._header, self._names, self._options = header, names, options
        self._capabilities = capabilities
        self._sidecar: Callable[[], list[Definition]] | None = sidecar
        self._by_id: dict[int, Definition] = {}
        self._by_symbol: dict[str, Definition] = {}
        self.found: dict[Key, Instrument] = {}

    def define(self, ours: int, definition: Definition) -> None:
        """Note a definition met in the file itself."""
        self._by_id[ours] = definition
        self._by_symbol[definition.symbol] = definition

    def resolve(self, publisher: int, ours: int) -> Instrument:
        """Return the instrument of a key.

        Raises
        ------
        UnknownInstrument
            When no argument, definition or shipped table names its tick.
        """
        key = (publisher, ours)
        if key not in self.found:
            self.found[key] = self._settle(publisher, ours)
        return self.found[key]

    def _settle(self, publisher: int, ours: int) -> Instrument:
        symbol = self._names.symbol(ours)
        definition = self._definition(symbol, ours)
        told = {"tick": definition.tick} if definition and definition.tick else {}
        if definition and definition.file:
            self._notes["definitions from"] = definition.file
        instrument = find_instrument(
            venue_of(publisher, self._header.dataset),
            symbol,
            tick=self._options.tick,
            lot=self._options.lot,
            definition=told,
            capabilities=self._capabilities,
        )
        if definition and definition.currency:
            instrument = replace(instrument, currency=definition.currency)
        if definition and definition.tick and definition.tick_value:
            instrument = replace(
                instrument, multiplier=Decimal(definition.tick_value) / Decimal(definition.tick)
            )
        return instrument

    def _definition(self, symbol: str, ours: int) -> Definition | None:
        inside = self._by_symbol.get(symbol) or self._by_id.get(ours)
        if inside or self._sidecar is None:
            return inside
        load, self._sidecar = self._sidecar, None
        for definition in load():
            self._by_symbol.setdefault(definition.symbol, definition)
            if self._header.stype_in != "raw_symbol":  # ids are dealt anew: trust them only without a name
                self._by_id.setdefault(definition.instrument_id, definition)
        return self._by_symbol.get(symbol) or self._by_id.get(ours)
