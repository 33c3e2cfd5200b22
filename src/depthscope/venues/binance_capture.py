"""Lines of a Binance capture: how files are grouped, cut into lines and stamped.

Two recordings of the same messages are read:

- raw: ``<local ns> {json}`` a line; REST replies stand among the stream messages.
- a set of files ``NAME.ws.<connection>.<part>``, ``NAME.http.<connection>.<part>`` and
  ``NAME.<part>``: ``<seconds.fraction>: {json}`` a line; connections open with
  ``<url> <-> <seconds>``; REST replies read ``<url> -> <seconds>: {json}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from depthscope.venues import binance_layout as b
from depthscope.venues.dbn_stream import ByteStream
from depthscope.venues.lines import BLOCK, LineReader

if TYPE_CHECKING:
    from pathlib import Path

_MEMBER: Final = re.compile(
    r"(?P<name>.+?)\.(?:(?P<kind>ws|http)\.(?P<connection>\d+)\.)?(?P<part>\d+)(?:\.gz|\.zst)?"
)
_STAMP: Final = rb"([0-9]{1,10})(?:\.([0-9]{1,9}))?"
_NANOS: Final = re.compile(rb"([0-9]{18,19}) +(?=\{)")
_SECONDS: Final = re.compile(_STAMP + rb": +")
_REPLY: Final = re.compile(rb"(https?://\S+) -> " + _STAMP + rb": +")
_LINK: Final = re.compile(rb"(wss?://\S+) <-> " + _STAMP + rb"\s*")
_SYMBOL: Final = re.compile(rb"[?&]symbol=([A-Z0-9_]+)")
_DEPTH_STREAM: Final = re.compile(rb"([^/=?&@]+)@depth")
_MESSAGE: Final = re.compile(
    rb'"(?:e|stream)"\s*:\s*"(?:depthUpdate|aggTrade|trade|bookTicker|[^"]*@[^"]*)"|"lastUpdateId"\s*:'
    rb'|"exchangeFilters"'
)
_NAMED: Final = re.compile(
    rb'"e"\s*:\s*"(?:depthUpdate|aggTrade|trade|bookTicker)"[^{}\[\]]{0,200}?"s"\s*:\s*"([^"\\]{1,32})"'
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line understood.

    Parameters
    ----------
    ts_recv : int
        UTC ns.
    payload : bytes
        The message; empty for a connection that opened.
    symbol : str, optional
        What a REST reply is of.
    framing : int
        NANOS or SECONDS where the byte scanner can read such lines, BARE otherwise.
    link : frozenset of str, optional
        Symbols whose depth a connection that opened here carries; empty when it does not say.
    """

    ts_recv: int
    payload: bytes
    symbol: str | None = None
    framing: int = b.BARE
    link: frozenset[str] | None = None


def _ns(seconds: bytes, fraction: bytes | None) -> int:
    return int(seconds) * 1_000_000_000 + int((fraction or b"0").ljust(9, b"0"))


def read_line(line: bytes) -> Line | None:
    """Understand one line, None when it is of no known form (or a note of the recorder)."""
    if found := _NANOS.match(line):
        return Line(int(found[1]), line[found.end() :], framing=b.NANOS)
    if found := _SECONDS.match(line):
        return Line(_ns(found[1], found[2]), line[found.end() :], framing=b.SECONDS)
    if found := _REPLY.match(line):
        named = _SYMBOL.search(found[1])
        return Line(_ns(found[2], found[3]), line[found.end() :], named[1].decode() if named else None)
    if found := _LINK.fullmatch(line):
        names = frozenset(n.decode("utf-8", "replace").upper() for n in _DEPTH_STREAM.findall(found[1]))
        return Line(_ns(found[2], found[3]), b"", link=names)
    return None


def looks_like_capture(head: bytes) -> bool:
    """Whether the first bytes of a file are lines of a Binance capture."""
    for line in head.split(b"\n", 8)[:8]:
        read = read_line(line.rstrip())
        if read is not None:
            return b"binance" in line if read.link is not None else bool(_MESSAGE.search(head))
    return False


def symbols_in(head: bytes) -> list[str]:
    """Symbols of the book and trade messages in the first bytes of a file, in order."""
    found = dict.fromkeys(_NAMED.findall(head))
    return [name.decode("utf-8", "replace") for name in found]


def mentioned(files: list[Path], names: frozenset[str]) -> frozenset[str]:
    """Those of `names` that the files mention anywhere; reads until all are found."""
    left = set(names)
    for file in files:
        stream = ByteStream(file)
        tail = b""
        while left and (block := stream.read(BLOCK)):
            text = tail + block
            left = {name for name in left if f'"{name}"'.encode() not in text}
            tail = block[-64:]
        stream.close()
    return names - left


def members(path: Path) -> dict[str, list[Path]]:
    """Files of the set `path` belongs to, by role and connection; the file alone if in no set.

    Keys are ``ws.<connection>``, ``http.<connection>`` and ``config``; parts stand in order.
    """
    mine = _MEMBER.fullmatch(path.name)
    if mine is None:
        return {"ws": [path]}
    found: dict[str, list[tuple[int, Path]]] = {}
    for sibling in sorted(path.parent.iterdir()):
        match = _MEMBER.fullmatch(sibling.name)
        if match is not None and match["name"] == mine["name"] and sibling.is_file():
            role = f"{match['kind']}.{match['connection']}" if match["kind"] else "config"
            found.setdefault(role, []).append((int(match["part"]), sibling))
    if not any(role.startswith("ws.") for role in found):
        return {"ws": [path]}
    return {role: [p for _, p in sorted(parts)] for role, parts in sorted(found.items())}


class LineCursor(LineReader):
    """Lines of one connection's recording, all its parts.

    Parameters
    ----------
    paths : list of Path
        The parts in order.

    Attributes
    ----------
    framing : int
        How lines begin, as far as seen.
    """

    def __init__(self, paths: list[Path]) -> None:
        super().__init__(partial(ByteStream, path) for path in paths)
        self.framing = b.NANOS
        self._when = 0

    def peek(self) -> int:
        """Receive time of the line at `pos`; of the one before it where it has none."""
        read = read_line(self.line())
        if read is not None:
            self._when = read.ts_recv
        return self._when
