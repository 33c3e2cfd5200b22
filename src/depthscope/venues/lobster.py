"""LOBSTER: Nasdaq messages with the book after each of them, from one pair of files or a zip.

A message file of depth N says nothing of deeper orders, so no replay of it can know when they
come into view. By default the book rows are therefore followed: each message becomes its tape
events (`T`, `F`, `S`) and `L` events for whatever its row changed, so the best N levels are exact
after every message, by the file's own word, and nothing deeper is claimed. That every row agrees
with its message is checked on the way. With the option ``lobster_mode="messages"`` the messages
are replayed order by order instead, from the first row on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from depthscope.errors import ConfigError, CorruptData, UnknownInstrument, UnknownName
from depthscope.market.events import PRICE_SCALE
from depthscope.market.instruments import Capability, find_instrument
from depthscope.market.source import SourceInfo
from depthscope.venues.lobster_files import (
    HIDDEN_SIDES_END,
    looks_like_zip,
    midnight,
    pairs_of,
    parse,
    partner,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key, SourceOptions
    from depthscope.venues.lobster_replay import PairReader

FORMAT: Final = "lobster"
DATASET: Final = "LOBSTER"
KEY: Final = (1, 1)
OPTION: Final = "lobster_mode"
MODES: Final = ("book", "messages")
COMMON: Final = Capability.TRADES | Capability.AGGRESSOR | Capability.DEPTH_LIMITED | Capability.L1


def sniff(path: Path, head: bytes) -> bool:
    """Whether a file is LOBSTER's, by the name LOBSTER gives it (symbol and day stand only there)."""
    return parse(path.name) is not None or looks_like_zip(path, head)


def main_file(path: Path) -> Path | None:
    """Message file of the pair a file belongs to; itself when it stands alone."""
    name = parse(path.name)
    if name is None or name.kind == "message":
        return path
    return partner(path) or path


def open_file(path: Path, options: SourceOptions) -> LobsterSource:
    """Open a pair (given either file) or a zip.

    ``options.extra["lobster_mode"]`` is ``book`` (default) or ``messages``.

    Raises
    ------
    SourceMissing
        When the other file of the pair is not there.
    EmptyData, CorruptData
        When there is no row, or the first one is damaged.
    InputError
        When the name does not say symbol and day.
    ConfigError
        When an option is unknown, or the lot does not divide a share.
    UnknownName
        When a symbol asked for is not this one.
    """
    return LobsterSource(path, options)


class LobsterSource:
    """One trading day (or a zip of several) as a source of EVENT chunks.

    Parameters
    ----------
    path : Path
        Either file of a pair, or the zip.
    options : SourceOptions
        `tick` and `lot` win over the shipped table.

    Attributes
    ----------
    info : SourceInfo
        Filled in as the files are read.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        unknown = sorted(set(options.extra) - {OPTION})
        if unknown:
            raise ConfigError(f"LOBSTER files take the option {OPTION}, not {', '.join(unknown)}.")
        self.mode = options.extra.get(OPTION, MODES[0])
        if self.mode not in MODES:
            raise ConfigError(f"{OPTION} is one of {', '.join(MODES)}, not {self.mode!r}.")
        self.path = path
        self._options = options
        self._pairs = pairs_of(path)
        symbol = self._pairs[0].name.symbol
        if options.symbols and options.symbols != {symbol}:
            raise UnknownName(
                f"{path} has {symbol} only, not {', '.join(sorted(options.symbols - {symbol}))}."
            )
        for pair in self._pairs:
            midnight(pair.name.date)
        self.instrument = find_instrument(
            DATASET,
            symbol,
            tick=options.tick,
            lot=options.lot,
            capabilities=COMMON | (Capability.L2 if self.mode == "book" else Capability.MBO),
        )
        if PRICE_SCALE % self.instrument.lot:
            raise ConfigError(
                f"{path}: sizes are whole shares, so the lot must be 1 or divide 1 evenly, not "
                f"{self.instrument.lot / PRICE_SCALE:g}."
            )
        self.info = SourceInfo(str(path), FORMAT, self.mode, DATASET, bytes_total=self._bytes())
        self._note()
        self._reader(0).close()  # what is wrong with the first rows shows now

    def _bytes(self) -> int:
        other = partner(self.path)
        return self.path.stat().st_size + (other.stat().st_size if other else 0)

    def _note(self) -> None:
        level = self._pairs[0].name.level
        self.info.notes["days"] = ", ".join(pair.name.date for pair in self._pairs)
        self.info.notes["depth"] = (
            f"limited to {level} levels a side: nothing is known of deeper orders"
            if self.mode == "book"
            else f"orders within {level} levels a side only: deeper ones are unknown when they come into "
            f"view, so the book drifts; the default mode follows the book file instead"
        )

    def _reader(self, index: int) -> PairReader:
        from depthscope.venues.lobster_replay import PairReader

        pair = self._pairs[index]
        return PairReader(
            str(self.path),
            pair,
            midnight(pair.name.date),
            PRICE_SCALE // self.instrument.lot,
            KEY,
            hidden_sides=pair.name.date < HIDDEN_SIDES_END,
            capacity=max(self._options.chunk, 16_384),
        )

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """The one instrument."""
        return {KEY: self.instrument}

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When it is not the one of these files.
        """
        if (publisher, instrument_id) != KEY:
            raise UnknownInstrument(f"{self.path}: there is no instrument {publisher}/{instrument_id}.")
        return self.instrument

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; each stays valid until three more have been produced.

        May be called again: reading starts over.

        Raises
        ------
        CorruptData
            After all that was readable.
        """
        info = self.info
        info.warnings.clear()
        rows = read = differ = back = first = strangers = 0
        for index, pair in enumerate(self._pairs):
            reader = self._reader(index)
            try:
                for events in reader.events(self.mode, self._options.chunk):
                    yield events
                    info.records, info.bytes_read = rows + reader.rows, read + reader.bytes_read
            finally:
                rows, read = rows + reader.rows, read + reader.bytes_read
                info.records, info.bytes_read = rows, read
                differ, back = differ + reader.differing, back + reader.back
                strangers += reader.strangers
                first = first or reader.first_differing
                reader.close()
                info.warnings[:] = self._told(rows, differ, first, back, strangers)
                if reader.unended:
                    info.warnings.append(
                        f"The last row of {pair.name.date} has no line end: the file may have been cut."
                    )
            if reader.fault:
                raise CorruptData(
                    f"{self.path}: {reader.fault}. {rows:,} rows were read up to there and are good. "
                    f"Fetch the files again.",
                    rows,
                )

    def _told(self, rows: int, differ: int, first: int, back: int, strangers: int) -> list[str]:
        """Note the counts; return the warnings they call for."""
        info = self.info
        warnings = []
        if self.mode == "book":
            info.notes["rows explained by their message"] = f"{rows - differ:,} of {rows:,}"
        else:
            info.notes["messages about unknown orders"] = f"{strangers:,} of {rows:,}"
        if differ:
            warnings.append(
                f"{differ:,} of {rows:,} book rows are not what their message makes of the row before (the "
                f"first is row {first:,}): the book follows the rows."
            )
        if back:
            warnings.append(f"Time goes back {back:,} times: those messages count at the later time.")
        return warnings
