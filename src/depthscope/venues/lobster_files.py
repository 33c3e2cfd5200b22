"""LOBSTER files: names, pairs of message and book files, zip archives, and the trading day.

A pair is ``SYMBOL_DATE_START_END_message_LEVEL.csv`` and ``…_orderbook_LEVEL.csv`` (start and end
may be missing), beside each other or in one zip.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import ConfigError, CorruptData, InputError, SourceMissing
from depthscope.venues import ZIP_MAGIC
from depthscope.venues.dbn_stream import ByteStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.venues.lines import Stream

UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # a password, or a compression we do not have
)
ZONE: Final = "America/New_York"
# From this day on Nasdaq's ITCH calls every hidden order a buy, whatever it was.
HIDDEN_SIDES_END: Final = "2014-07-14"
_NAME: Final = re.compile(
    r"(?P<symbol>[A-Za-z0-9.\-]+)_(?P<date>\d{4}-\d{2}-\d{2})(?P<span>(?:_\d+_\d+)?)"
    r"_(?P<kind>message|orderbook)_(?P<level>\d+)\.csv(?:\.gz|\.zst)?"
)


@dataclass(frozen=True, slots=True)
class Name:
    """What a file name says."""

    symbol: str
    date: str
    span: str
    kind: str
    level: int

    @property
    def pair(self) -> tuple[str, str, str, int]:
        """What both files of a pair share."""
        return self.date, self.symbol, self.span, self.level


@dataclass(frozen=True, slots=True)
class Pair:
    """A message file with its book file: how to open both, and what they are."""

    name: Name
    messages: Callable[[], Stream]
    books: Callable[[], Stream]


def parse(file: str) -> Name | None:
    """Read a file name; None when it is none of LOBSTER's."""
    found = _NAME.fullmatch(file)
    if found is None:
        return None
    return Name(found["symbol"], found["date"], found["span"], found["kind"], int(found["level"]))


def looks_like_zip(path: Path, head: bytes) -> bool:
    """Whether a zip holds LOBSTER files (`head` lists its members), even where it is cut."""
    if not head.startswith(ZIP_MAGIC):
        return False
    names = head.decode("utf-8", "replace").split("\n")[1:]
    if any(parse(Path(name).name) for name in names):
        return True
    return re.search(rb"_(?:message|orderbook)_\d+\.csv", head[:4_096]) is not None


def midnight(date: str) -> int:
    """Local midnight of a trading day in New York, UTC ns, such that noon is right.

    Raises
    ------
    InputError
        When there is no such day.
    ConfigError
        When the system has no time zones.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        noon: Any = np.datetime64(f"{date}T12:00:00").item()
    except ValueError as error:
        raise InputError(
            f"{date} in a LOBSTER file name is no day of the calendar, so its times cannot be placed. "
            f"Rename the file to its trading day."
        ) from error
    try:
        offset = noon.replace(tzinfo=ZoneInfo(ZONE)).utcoffset()
    except ZoneInfoNotFoundError as error:
        raise ConfigError(
            f"LOBSTER times are New York's, and this system has no data on {ZONE}. Install the Python "
            f"package tzdata."
        ) from error
    return int(np.datetime64(date, "ns").astype(np.int64)) - int(offset.total_seconds()) * 1_000_000_000


def pairs_of(path: Path) -> list[Pair]:
    """Return the pair a csv belongs to, or all pairs of a zip, by day.

    Raises
    ------
    SourceMissing
        When the other file of the pair is not there.
    CorruptData
        When a zip cannot be opened.
    InputError
        When a zip holds several symbols, or a name does not say symbol and day.
    """
    if zipfile.is_zipfile(path):
        return _zipped(path)
    name = parse(path.name)
    if name is None:
        with path.open("rb") as file:
            if file.read(4) == ZIP_MAGIC:
                raise CorruptData(
                    f"{path} is cut or damaged: the list of files at the end of the zip is missing. Fetch it "
                    f"again."
                )
        raise InputError(
            f"{path} is not named as LOBSTER names files (SYMBOL_DATE_START_END_message_LEVEL.csv): symbol "
            f"and day stand only there. Give it its name back."
        )
    other = partner(path)
    if other is None:
        want = "orderbook" if name.kind == "message" else "message"
        near = sorted(
            p.name for p in path.parent.glob(f"{name.symbol}_*_{want}_*") if parse(p.name) is not None
        )
        beside = f" (beside it is only {', '.join(near[:4])})" if near else ""
        raise SourceMissing(
            f"{path} has no {want} file of the same symbol, day and level beside it{beside}. LOBSTER gives "
            f"messages and books as a pair: put both in one folder, or name the zip they came in."
        )
    files = {name.kind: path, "orderbook" if name.kind == "message" else "message": other}
    return [Pair(name, partial(ByteStream, files["message"]), partial(ByteStream, files["orderbook"]))]


def partner(path: Path) -> Path | None:
    """Return the other file of a pair, None when it is not there."""
    name = parse(path.name)
    if name is None:
        return None
    for sibling in sorted(path.parent.iterdir()):
        other = parse(sibling.name)
        if other is not None and other.pair == name.pair and other.kind != name.kind:
            return sibling
    return None


def _zipped(path: Path) -> list[Pair]:
    found: dict[tuple[str, str, str, int], dict[str, tuple[Name, str]]] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            name = parse(Path(member).name)
            if name is not None:
                found.setdefault(name.pair, {})[name.kind] = name, member
    pairs = []
    for kinds in (found[key] for key in sorted(found)):
        name, member = next(iter(kinds.values()))
        if len(kinds) == 1:
            want = "orderbook" if name.kind == "message" else "message"
            raise SourceMissing(f"{path} holds {member} but no {want} file to go with it. Fetch it again.")
        opened = [partial(ZipMember, path, kinds[kind][1]) for kind in ("message", "orderbook")]
        pairs.append(Pair(kinds["message"][0], *opened))
    if len({pair.name.symbol for pair in pairs}) > 1:
        symbols = ", ".join(sorted({pair.name.symbol for pair in pairs}))
        raise InputError(f"{path} holds several symbols ({symbols}). Unpack it and name the folder.")
    return pairs


class ZipMember:
    """One file of a zip as a stream (see `depthscope.venues.lines.Stream`)."""

    def __init__(self, path: Path, member: str) -> None:
        self.damage = ""
        self._archive = zipfile.ZipFile(path)
        self._share = self._archive.getinfo(member)
        self._read = 0
        self._file = self._archive.open(member)

    @property
    def position(self) -> int:
        """Bytes of the archive consumed for this member, in proportion to what was read."""
        share = self._share
        return share.compress_size * self._read // max(1, share.file_size)

    def readinto(self, target: memoryview) -> int:
        """Fill `target`; returns the bytes written, fewer only where the data ends."""
        done = 0
        while done < len(target) and not self.damage:
            try:
                piece = self._file.read(min(len(target) - done, 1 << 17))
            except UNREADABLE as error:
                self.damage = f"{self._share.filename} in the zip is damaged ({error})"
                break
            if not piece:
                break
            target[done : done + len(piece)] = piece
            done += len(piece)
        self._read += done
        return done

    def check_end(self) -> None:
        """Nothing more shows at the end: a zip's checksum is checked while reading."""

    def close(self) -> None:
        """Close the archive."""
        self._file.close()
        self._archive.close()
