"""Symbols of a session: small stable ids for the instruments a page can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depthscope.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from depthscope.market.instruments import Instrument

__all__ = ["Symbols"]


class Symbols:
    """Instruments in order of first mention; an id is a place in that order and never changes."""

    def __init__(self) -> None:
        self._instruments: list[Instrument] = []
        self._ids: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._instruments)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._instruments)

    def __getitem__(self, symbol_id: int) -> Instrument:
        return self._instruments[symbol_id]

    def register(self, instruments: Iterable[Instrument]) -> None:
        """Give an id to each instrument that has none."""
        for instrument in instruments:
            key = (instrument.venue, instrument.symbol)
            if key not in self._ids:
                self._ids[key] = len(self._instruments)
                self._instruments.append(instrument)

    def id_of(self, instrument: Instrument) -> int:
        """Id of an instrument, registered now if it was not."""
        self.register((instrument,))
        return self._ids[(instrument.venue, instrument.symbol)]

    def find(self, name: str) -> int:
        """Id of a symbol by name, the first where two venues share it.

        Raises
        ------
        UnknownName
            When there is none.
        """
        for symbol_id, instrument in enumerate(self._instruments):
            if instrument.symbol == name:
                return symbol_id
        known = ", ".join(i.symbol for i in self._instruments[:12])
        more = " and more" if len(self._instruments) > 12 else ""
        raise UnknownName(f"No symbol {name!r} here. Known: {known or 'none yet'}{more}.")
