"""Binance USD-M futures, recorded: capture files into EVENTs through the live decoder.

Events come in the order of receive time, which is the order of the lines; several files of one
set are merged by it. docs/NORMALIZATION.md says what each message becomes.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from depthscope.errors import ConfigError, CorruptData, EmptyData, UnknownInstrument, UnknownName
from depthscope.market.instruments import find_instrument
from depthscope.market.source import SourceInfo, instrument_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from depthscope.market.events import Events
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key, SourceOptions
    from depthscope.venues.binance_capture import LineCursor
    from depthscope.venues.binance_decoder import Decoder

FORMAT: Final = "binance"
DATASET: Final = "binance"
HEAD: Final = 1 << 20  # bytes looked at for symbols before the first event
_MAYBE: Final = re.compile(rb"\s*(?:[0-9]+[ .:]|https?://|wss?://)")


def sniff(path: Path, head: bytes) -> bool:
    """Whether a file holds lines of a Binance capture."""
    if not _MAYBE.match(head):
        return False
    from depthscope.venues.binance_capture import looks_like_capture

    return looks_like_capture(head)


def main_file(path: Path) -> Path | None:
    """First stream file of the set a file belongs to; itself when it is in none."""
    from depthscope.venues.binance_capture import members

    found = members(path)
    first = [parts[0] for role, parts in found.items() if role.startswith("ws")]
    return first[0] if first else path


def open_file(path: Path, options: SourceOptions) -> BinanceSource:
    """Open one capture: a raw file, or any file of a set (all of which are read).

    Raises
    ------
    EmptyData
        When there is no line.
    UnknownInstrument
        When nothing names the tick of any symbol met in the first lines, or of one asked for.
        (Others without a tick are left out, with a warning.)
    UnknownName
        When a symbol asked for is not in the files.
    ConfigError
        When `options.extra` names an option (this format has none).
    """
    return BinanceSource(path, options)


class BinanceSource:
    """One capture as a source of EVENT chunks (see `depthscope.market.source.Source`).

    Parameters
    ----------
    path : Path
        The file, or one file of a set.
    options : SourceOptions
        `tick` and `lot` apply to every symbol.

    Attributes
    ----------
    info : SourceInfo
        Filled in as the files are read.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        from depthscope.venues.binance_capture import members, symbols_in
        from depthscope.venues.dbn_stream import ByteStream

        if options.extra:
            raise ConfigError(f"Binance captures take no option {', '.join(sorted(options.extra))}.")
        self.path = path
        self._options = options
        self._files = members(path)
        every = [file for parts in self._files.values() for file in parts]
        self.info = SourceInfo(
            str(path), FORMAT, dataset=DATASET, bytes_total=sum(file.stat().st_size for file in every)
        )
        if len(every) > 1:
            self.info.notes["files"] = ", ".join(file.name for file in every)
        head = b""
        for role, parts in self._files.items():
            if role.startswith("ws"):
                stream = ByteStream(parts[0])
                head += stream.read(HEAD)
                stream.check_end()
                stream.close()
        if not head.strip():
            if stream.damage:
                raise CorruptData(f"{path}: {stream.damage}. No line could be read. Fetch it again.")
            raise EmptyData(f"{path} holds no line: the recording stopped before its first message.")
        self._named = symbols_in(head)
        self._defined_inside = b'"tickSize"' in head
        self._check_symbols()
        self._decoder = self._new_decoder()
        self._check_grids()

    def _new_decoder(self) -> Decoder:
        from depthscope.venues.binance_capture import LineCursor, read_line
        from depthscope.venues.binance_decoder import Decoder
        from depthscope.venues.binance_json import Rejected, Skipped, definitions, envelope

        options = self._options
        decoder = Decoder(
            tick=options.tick,
            lot=options.lot,
            only_symbol=self._named[0] if len(self._named) == 1 else None,
            capacity=max(options.chunk, 16_384),
        )
        cursor = LineCursor(self._files.get("config", []))
        while cursor.ready():
            line = read_line(cursor.line())
            cursor.skip_line()
            if line is not None and line.payload:
                try:
                    decoder.learn(definitions(envelope(line.payload)))
                except (Rejected, Skipped) as why:
                    self.info.warnings.append(f"A line beside the capture was not understood: {why}.")
        return decoder

    def _check_symbols(self) -> None:
        """Refuse symbols that are nowhere in the files; what the head does not show is searched for."""
        from depthscope.venues.binance_capture import mentioned

        missing = (self._options.symbols or frozenset()) - set(self._named)
        if missing:
            files = [file for role, parts in self._files.items() if role != "config" for file in parts]
            missing -= mentioned(files, missing)
        if missing:
            near = [n for m in missing for n in difflib.get_close_matches(m, self._named, n=3, cutoff=0.5)]
            raise UnknownName(
                f"{self.path} has no {', '.join(sorted(missing))} (it has "
                f"{', '.join(near or self._named[:8]) or 'none'}). `depthscope info` lists what a file holds."
            )

    def _check_grids(self) -> None:
        """Refuse early a capture none of whose symbols (or one asked for) can be converted."""
        options = self._options
        if self._defined_inside or options.tick is not None:
            return
        unknown: list[UnknownInstrument] = []
        for name in self._named:
            if options.symbols is None or name in options.symbols:
                try:
                    find_instrument(DATASET, name, definition=self._decoder.table.definitions.get(name))
                except UnknownInstrument as error:
                    unknown.append(error)
        if unknown and (options.symbols or len(unknown) == len(self._named)):
            raise unknown[0]

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments met so far, numbered in order of appearance."""
        return self._decoder.instruments

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When no event had that key.
        """
        return instrument_of(self._decoder.instruments, publisher, instrument_id, self.path)

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; each stays valid until three more have been produced.

        May be called again: reading starts over.

        Raises
        ------
        CorruptData
            After all that was readable.
        UnknownInstrument
            At the end, when no symbol had a tick.
        """
        from depthscope.venues.binance_capture import LineCursor

        self.info.warnings.clear()
        self._decoder = decoder = self._new_decoder()
        cursors = [LineCursor(parts) for role, parts in self._files.items() if role != "config"]
        try:
            yield from self._merge(cursors)
            yield from decoder.out.chunks(self._options.chunk)
        finally:
            for cursor in cursors:
                cursor.close()
            self._progress(cursors)
            self._settle(cursors)
        damage = next((cursor.damage for cursor in cursors if cursor.damage), "")
        frames = decoder.counters()["frames"]
        if damage or frames == sum(decoder.rejected.values()):
            why = damage or f"not one of its lines is a usable message ({_listed(decoder.rejected)})"
            raise CorruptData(
                f"{self.path}: {why}. {frames:,} lines were read up to there. What came before the damage "
                f"is good; fetch or record it again for the rest.",
                frames,
            )
        unknown = decoder.table.unknown
        if unknown and not decoder.instruments:
            raise UnknownInstrument(next(iter(unknown.values())))

    def _merge(self, cursors: list[LineCursor]) -> Iterator[Events]:
        """Read the cursors in the order of receive time; on a tie the earlier cursor goes first."""
        from depthscope.venues.binance_layout import MOST_NS

        active = [cursor for cursor in cursors if cursor.ready()]
        while active:
            if len(active) == 1:
                cursor, until = active[0], MOST_NS
            else:
                times = [cursor.peek() for cursor in active]
                first = min(range(len(active)), key=lambda i: (times[i], i))
                cursor = active[first]
                until = min(times[i] - (i < first) for i in range(len(active)) if i != first)
            yield from self._read(cursor, until)
            self._progress(cursors)
            if not cursor.ready():
                active.remove(cursor)

    def _read(self, cursor: LineCursor, until: int) -> Iterator[Events]:
        """Take at least one line of a cursor, then on as far as the buffer and `until` reach."""
        from depthscope.venues import binance_layout as b

        decoder = self._decoder
        taken = False
        while cursor.pos < cursor.stop:
            before = cursor.pos
            cursor.pos, answer = decoder.lines(cursor.buf, before, cursor.stop, cursor.framing, until)
            taken = taken or cursor.pos > before
            if answer == b.ROOM:
                yield from decoder.out.chunks(self._options.chunk)
            elif answer == b.DONE:
                return
            else:
                if taken and cursor.peek() > until:
                    return
                self._take_line(cursor)
                taken = True
                if decoder.out.n >= self._options.chunk:
                    yield from decoder.out.chunks(self._options.chunk)

    def _take_line(self, cursor: LineCursor) -> None:
        """Give the line at the cursor to the decoder."""
        from depthscope.venues.binance_capture import read_line
        from depthscope.venues.binance_layout import BARE

        text = cursor.line()
        cursor.skip_line()
        if not text:
            return
        line = read_line(text)
        if line is None:
            self._decoder.reject("line without a readable receive time")
        elif line.link is not None:
            self._decoder.disconnect(line.ts_recv, line.link or None)
        else:
            if line.framing != BARE:
                cursor.framing = line.framing
            self._decoder.step(line.payload, line.ts_recv, line.symbol)

    def _progress(self, cursors: list[LineCursor]) -> None:
        self.info.bytes_read = sum(cursor.bytes_read for cursor in cursors)
        self.info.records = self._decoder.counters()["frames"]

    def _settle(self, cursors: list[LineCursor]) -> None:
        """Tell in `info` what was counted, left out and odd."""
        from depthscope.venues.binance_decoder import TOO_LONG
        from depthscope.venues.binance_sync import UNUSED

        decoder, info = self._decoder, self.info
        rejected = dict(decoder.rejected)
        if overlong := sum(cursor.overlong for cursor in cursors):
            rejected[TOO_LONG] = rejected.get(TOO_LONG, 0) + overlong
        info.skipped = dict(decoder.skipped) | {f"rejected: {k}": n for k, n in rejected.items()}
        if waiting := sum(decoder.waiting().values()):
            info.skipped[UNUSED] = info.skipped.get(UNUSED, 0) + waiting
        counters, clock = decoder.counters(), decoder.clock()
        info.notes |= {name: f"{count:,}" for name, count in counters.items() if name != "frames"}
        if bad := sum(rejected.values()):
            info.warnings.append(
                f"{bad:,} of {counters['frames'] + overlong:,} lines are damaged or absurd and were left "
                f"out: {_listed(rejected)}."
            )
        if counters["receive times going back"]:
            info.warnings.append(
                f"Receive time goes back {counters['receive times going back']:,} times, by up to "
                f"{clock['back'] / 1e9:.6f} s: those lines count at the later time."
            )
        if clock.get("least lag", 0) < 0:
            info.warnings.append(
                f"The venue's clock is up to {-clock['least lag'] / 1e9:.3f} s ahead of the recorder's; "
                f"receive time is what counts."
            )
        for name, reason in decoder.table.unknown.items():
            info.warnings.append(f"{name} was left out. {reason}")
        for request in decoder.requests:
            if request.kind == "snapshot" and decoder.state(request.symbol) != "LIVE":
                info.warnings.append(
                    f"The book of {request.symbol} is out of sync at the end ({request.reason}): the capture "
                    f"holds no snapshot that fits."
                )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items())) or "empty lines"
