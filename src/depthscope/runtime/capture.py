"""A capture log as a source: the recorded inputs stepped through the venue's machine once more.

The machine that made the events of the live session makes them again from what it was fed, so a
replay has the same events in the same order. Nothing is taken from this machine: settings and
instruments stand in the recording.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import (
    ConfigError,
    CorruptData,
    EmptyData,
    SourceMissing,
    UnknownName,
)
from depthscope.market.events import LOST
from depthscope.market.inputs import Input, Kind
from depthscope.market.source import SourceInfo, instrument_of
from depthscope.runtime.machines import machine_for, venue_of
from depthscope.storage.capture import CaptureReader, Gap, list_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from depthscope.market.events import Events
    from depthscope.market.inputs import Machine
    from depthscope.market.instruments import Instrument
    from depthscope.market.source import Key, SourceOptions

__all__ = ["CaptureSource", "holds_capture"]

FORMAT: Final = "capture"
ENDS: Final = ("unsealed", "open")  # a segment's end that says nothing of inputs missing
_SHOWN: Final = 20  # gaps named one by one in `info.warnings`


def holds_capture(path: Path) -> bool:
    """Whether a path is a segment of a capture log, or a folder with any."""
    if path.is_dir():
        return any(path.glob("*.cap"))
    return path.suffix == ".cap" and path.is_file()


class CaptureSource:
    """One capture log (see `depthscope.market.source.Source`).

    Sessions follow one another: where one begins anew, books of the one before are given up (``X``)
    and a symbol keeps its key if its tick and lot are the same.

    Parameters
    ----------
    path : Path
        A folder, or one segment.
    options : SourceOptions
        A recording replays as it was: `tick`, `lot` and options of venues are refused.

    Attributes
    ----------
    info : SourceInfo
        Filled in as it is read.

    Raises
    ------
    SourceMissing, FormatUnknown, InputError
        When there is no log, or it cannot be read.
    EmptyData
        When nothing was recorded.
    UnknownName
        When a symbol asked for was not recorded.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        if options.tick is not None or options.lot is not None or options.extra:
            given = [name for name in ("tick", "lot") if getattr(options, name) is not None]
            extra = sorted(options.extra)
            raise ConfigError(
                f"A recording replays with what its venue told: leave out {', '.join([*given, *extra])}."
            )
        self.path = path
        self._chunk = options.chunk
        segments = list_segments(path)
        self.info = SourceInfo(
            str(path), FORMAT, bytes_total=sum(segment.path.stat().st_size for segment in segments)
        )
        self.info.notes["segments"] = str(len(segments))
        self._instruments: dict[Key, Instrument] = {}
        self._opened(options.symbols or frozenset())

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Instruments met so far."""
        return self._instruments

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key met in the events.

        Raises
        ------
        UnknownInstrument
            When no event had that key.
        """
        return instrument_of(self._instruments, publisher, instrument_id, self.path)

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; may be called again: reading starts over.

        Raises
        ------
        CorruptData
            After all that was readable, when bytes of the log are damaged.
        """
        info = self.info
        info.warnings.clear()
        info.records = 0
        self._instruments.clear()
        reader = CaptureReader(self.path)
        held: list[Events] = []
        rows = 0
        gaps: list[Gap] = []
        for events in self._sessions(reader, gaps):
            held.append(events)
            rows += len(events)
            info.bytes_read = reader.bytes_read
            while rows >= self._chunk:
                whole = np.concatenate(held)
                yield whole[: self._chunk]
                held, rows = [whole[self._chunk :]], rows - self._chunk
        if rows:
            yield np.concatenate(held)
        info.bytes_read = info.bytes_total
        info.warnings += [f"{gap}." for gap in gaps[:_SHOWN]]
        if len(gaps) > _SHOWN:
            info.warnings.append(f"{len(gaps) - _SHOWN:,} more gaps: `depthscope capture verify` lists them.")
        if not self._instruments:
            info.warnings.append(
                "No market speaks in this recording: the venue was not reached, or lists none of the symbols."
            )
        damaged = next((gap for gap in gaps if not gap.sound and gap.reason != "torn"), None)
        if damaged is not None:
            raise CorruptData(
                f"{damaged}. {info.records:,} inputs were read, before and after the damage; what is missing "
                "shows as a gap. `depthscope capture repair` makes the log whole but for that.",
                info.records,
            )

    # -- reading ------------------------------------------------------------------------------

    def _opened(self, wanted: frozenset[str]) -> None:
        """Check what can be checked before anything is read: settings, symbols."""
        symbols: set[str] = set()
        recorded = False
        for config in self._settings():
            recorded = True
            if config is not None:
                self.info.dataset = venue_of(config)
                symbols |= _symbols(config)
        if not recorded:
            raise EmptyData(f"{self.path} holds no input: nothing was recorded.")
        if not symbols:
            raise SourceMissing(
                f"{self.path} holds no settings of a session: its first segments are missing. Name the whole "
                "folder of the recording."
            )
        missing = sorted(wanted - symbols)
        if missing:
            near = [
                n for m in missing for n in difflib.get_close_matches(m, sorted(symbols), n=3, cutoff=0.5)
            ]
            raise UnknownName(
                f"{self.path} has no {', '.join(missing)} (it has {', '.join(near or sorted(symbols)[:8])})."
            )

    def _settings(self) -> Iterator[bytes | None]:
        """Settings of each session; None of one that has inputs and none."""
        seen: set[str] = set()
        for segment in list_segments(self.path):
            if segment.session and segment.session in seen:
                continue
            config = None
            recorded = False
            for batch in CaptureReader([segment]):
                if isinstance(batch, Gap):
                    continue
                recorded = True
                config = next((i.payload for i in batch if i.kind == Kind.CONFIG), None)
                if config is not None:
                    seen.add(segment.session)
                    break
            if recorded:
                yield config

    def _sessions(self, reader: CaptureReader, gaps: list[Gap]) -> Iterator[Events]:
        machine: Machine | None = None
        last = 0
        missing = False  # whether inputs are missing since the last segment began
        beginning = False  # whether the opening of a segment is being taken
        for found in reader:
            if isinstance(found, Gap):
                gaps.append(found)
                restart = found.reason == "restart"
                lost = restart or (found.lost != 0 and found.reason not in ENDS)
                if lost and machine is not None:
                    yield from self._given_up(machine, last)
                missing = (missing or lost) and not restart
                machine = None if restart else machine
                beginning = False
                continue
            # What an opening repeats is for those who begin to read there; it takes several batches. After a
            # gap that may have opened and closed connections, we begin anew with it too.
            if found.opening and not beginning and machine is not None:
                if not missing:
                    continue
                machine, missing = None, False
            beginning = found.opening
            for received in found:
                if machine is None:
                    if received.kind != Kind.CONFIG:
                        continue
                    machine = machine_for(venue_of(received.payload))
                machine.step(received)
                last = received.ts_recv
            if not found.opening:
                self.info.records += len(found)
            if machine is not None:
                events = machine.take()
                if len(events):
                    yield self._keyed(machine, events)

    def _given_up(self, machine: Machine, last: int) -> Iterator[Events]:
        """Give up every book: inputs are missing, or the session is over and another one follows."""
        machine.step(Input(Kind.STATUS, 0, last, b'{"event":"resync","reason":"inputs are missing"}'))
        events = machine.take()
        kept = events[events["action"] == LOST]
        if len(kept):
            yield self._keyed(machine, kept)

    def _keyed(self, machine: Machine, events: Events) -> Events:
        """Events with the keys their instruments have in this source."""
        events = events.copy()
        told = events["instrument_id"].copy()
        pairs = zip(events["publisher"].tolist(), told.tolist(), strict=True)
        for key in dict.fromkeys(pairs):
            number = self._number_of(key, machine.instruments[key])
            if number != key[1]:
                events["instrument_id"][(events["publisher"] == key[0]) & (told == key[1])] = number
        return events

    def _number_of(self, key: Key, instrument: Instrument) -> int:
        """Number of an instrument here: its own, unless a session before gave that to another."""
        publisher, number = key
        for (other, there), known in self._instruments.items():
            if other == publisher and known == instrument:
                return there
        if key in self._instruments:
            number = 1 + max(n for p, n in self._instruments if p == publisher)
        self._instruments[publisher, number] = instrument
        return number


def _symbols(config: bytes) -> set[str]:
    import msgspec

    told: Any = msgspec.json.decode(config)
    return {str(name) for part in told.values() if isinstance(part, dict) for name in part.get("symbols", ())}
