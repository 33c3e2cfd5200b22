"""Checks of data: a file, folder or glob read to its end, or an audit log's chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from depthscope.errors import CorruptData, InputError, NoBookData
from depthscope.ops.audit import audit_files, verify_audit
from depthscope.ops.doctor import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from depthscope.engine import Engine
    from depthscope.market.source import Source

__all__ = ["check_audit", "check_data", "is_audit"]

SECOND: Final = 1_000_000_000
SILENCE: Final = 60 * SECOND
_ODD: Final = {
    "gaps": "gaps in the feed",
    "rejected": "rejected values",
    "unknown_cancel": "cancels of unknown orders",
    "unknown_modify": "changes of unknown orders",
    "duplicate": "duplicate order ids",
    "over_cancel": "cancels of more than there was",
    "off_tick": "prices off the tick",
    "crossed": "crossed books",
}


def is_audit(name: str) -> bool:
    """Whether a name is a folder with an audit log."""
    path = Path(name)
    return path.is_dir() and bool(audit_files(path))


def check_audit(name: str) -> Iterator[Check]:
    """Sequence and chain of an audit log.

    Parameters
    ----------
    name : str
        Its folder.
    """
    found = verify_audit(Path(name))
    text = f"{found.records:,} records in {found.files} files."
    if found.damage:
        yield Check(
            "audit log",
            "fail",
            f"{text} Not as they were written: {'; '.join(found.damage[:3])}.",
            "Keep a copy of the folder as it is; records after that place cannot be relied on.",
        )
    elif found.torn:
        yield Check(
            "audit log",
            "warn",
            f"{text} Interrupted while writing: {', '.join(found.torn)}.",
            "Nothing to do: whole records are there, and writing went on in another file.",
        )
    else:
        yield Check("audit log", "ok", f"{text} The chain is whole.")


class _Times:
    """Receive times gone through: how often they go back, and the longest silence."""

    def __init__(self) -> None:
        self.start: int | None = None
        self.last: int | None = None
        self.back = 0
        self.silence = self.silence_at = 0
        self.events = 0

    def take(self, times: object) -> None:
        """Go through a chunk's."""
        import numpy as np

        stamps = np.asarray(times, np.int64)
        if self.last is None:
            self.start = int(stamps[0])
            self.last = self.start
        steps = np.diff(stamps, prepend=self.last)
        self.back += int((steps < 0).sum())
        longest = int(steps.argmax())
        if int(steps[longest]) > self.silence:
            self.silence = int(steps[longest])
            self.silence_at = int(stamps[longest]) - self.silence
        self.last = int(stamps[-1])
        self.events += len(stamps)


def check_data(name: str, advance: Callable[[float, float], None] | None = None) -> Iterator[Check]:
    """Read data to its end, build every book, and say what is odd.

    Parameters
    ----------
    name : str
        A file, folder or glob.
    advance : callable, optional
        Told (bytes read, bytes in all) as it goes.

    Yields
    ------
    Check
    """
    from depthscope.api import open_source

    try:
        source = open_source(name)
    except InputError as error:
        yield Check("data", "fail", str(error), "Name a recording that is whole, or record it again.")
        return
    about = source.info
    yield Check("data", "ok", f"{about.path}: {about.format} {about.schema}".rstrip() + ".")
    yield from _read(source, advance or (lambda _done, _total: None))


def _read(source: Source, advance: Callable[[float, float], None]) -> Iterator[Check]:
    from depthscope.engine import Engine

    engine, times = Engine(source.resolve, every="1s", features=[], sparse=True), _Times()
    try:
        for events in source.chunks():
            if len(events):
                times.take(events["ts_recv"])
                engine.process(events)
            advance(source.info.bytes_read, source.info.bytes_total)
    except NoBookData as error:
        yield Check("data: books", "warn", str(error), "Use it for what it holds; no book comes of it.")
        return
    except CorruptData as error:
        yield Check(
            "data: damage",
            "fail",
            str(error),
            "Record or download it again; what is before the damage can be used.",
        )
    engine.finish()
    yield from _clocks(times)
    yield from _books(engine)


def _clocks(times: _Times) -> Iterator[Check]:
    from depthscope.market.times import format_time

    name = "data: times"
    if times.start is None or times.last is None:
        yield Check(name, "fail", "There is no event in it.", "Check what was recorded.")
        return
    span = f"{times.events:,} events from {format_time(times.start)} to {format_time(times.last)}."
    if times.back:
        yield Check(
            name,
            "warn",
            f"{span} Receive times go back {times.back:,} times.",
            "Two recordings may have been joined; books are built in file order.",
        )
    elif times.silence > SILENCE:
        yield Check(
            name,
            "warn",
            f"{span} Nothing for {times.silence / SECOND:,.0f} s from {format_time(times.silence_at)} on.",
            "That may be a closed market; if it was open, the recorder was not connected then.",
        )
    else:
        yield Check(name, "ok", f"{span} The longest silence is {times.silence / SECOND:,.3f} s.")


def _books(engine: Engine) -> Iterator[Check]:
    name = "data: books"
    counts = dict.fromkeys(_ODD, 0)
    states: dict[str, int] = {}
    incomplete = 0
    for slot in range(len(engine.slots)):
        counters, view = engine.counters(slot), engine.book(slot)
        for odd in _ODD:
            counts[odd] += int(counters[odd])
        states[view.state] = states.get(view.state, 0) + 1
        incomplete += view.incomplete
    if not states:
        return
    said = ", ".join(f"{n:,} {state}" for state, n in sorted(states.items()))
    odd = ", ".join(f"{n:,} {_ODD[key]}" for key, n in counts.items() if n)
    text = f"{len(engine.slots):,} instruments; at the end {said}, {incomplete:,} incomplete."
    if not states.get("LIVE"):
        yield Check(
            name,
            "fail",
            f"{text} No book is LIVE at the end{f'; {odd}' if odd else ''}.",
            "It lacks a snapshot or ends in a gap: `depthscope info` tells each instrument's counters.",
        )
    elif odd or incomplete:
        yield Check(
            name,
            "warn",
            f"{text} {odd or 'Nothing odd'}.",
            "`depthscope info` tells each instrument's counters; figures of a gap are left out, not guessed.",
        )
    else:
        yield Check(name, "ok", f"{text} Nothing odd.")
