"""A capture log as lines that other programs read: the venue's own messages, a line each.

Stream messages become ``<receive time, ns> {json}``; replies ``<url> -> <seconds>: {json}``, so that it
is told what they answer. These are the lines the reader of Binance captures knows.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from depthscope.errors import CorruptData
from depthscope.market.inputs import Kind
from depthscope.storage.capture_reader import CaptureReader, Gap, unrepeated
from depthscope.storage.outputs import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from depthscope.market.inputs import Input
    from depthscope.storage.outputs import Whole

__all__ = ["Lines", "write_lines"]

HOST: Final = "https://fapi.binance.com"  # of replies whose URL names none
SECOND: Final = 1_000_000_000


@dataclass(slots=True)
class Lines:
    """What was written.

    Attributes
    ----------
    lines : int
    skipped : dict of str to int
        Inputs that became no line, by kind.
    gaps : list of Gap
        Recorded gaps: the lines say nothing of them.
    """

    lines: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)


def line_of(received: Input) -> bytes | None:
    """The line of an input, None for what is none of the venue's messages."""
    kind, _, ts_recv, payload = received
    if kind == Kind.WS:
        text = payload.strip().replace(b"\n", b" ").replace(b"\r", b" ")
        return b"%d %s\n" % (ts_recv, text) if text.startswith(b"{") else None
    if kind != Kind.REST:
        return None
    head, _, body = payload.partition(b"\n")
    try:
        told = json.loads(head)
        url, status = str(told["url"]), int(told.get("status", 200))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    body = body.strip().replace(b"\n", b" ").replace(b"\r", b" ")
    if status != 200 or not body.startswith(b"{"):
        return None
    if not url.startswith(("http://", "https://")):
        url = HOST + "/" + url.lstrip("/")
    if "symbol=" not in url and told.get("symbol"):
        url += f"{'&' if '?' in url else '?'}symbol={told['symbol']}"
    seconds, nanos = divmod(ts_recv, SECOND)
    return b"%s -> %d.%09d: %s\n" % ("".join(url.split()).encode(), seconds, nanos, body)


def write_lines(path: Path, target: Path, progress: Callable[[float, float], None] | None = None) -> Lines:
    """Write the venue's messages of a capture log to a file; ending in ``.gz`` it is compressed.

    Parameters
    ----------
    path : Path
        Folder of a log, or one segment.
    target : Path
    progress : callable, optional
        Called with bytes read and in all.

    Raises
    ------
    CorruptData
        When the log is damaged, or holds none of the venue's messages; nothing is written then.
    OutputError
        When the file cannot be written.
    SourceMissing, FormatUnknown, InputError
        When there is no log, or it cannot be read.
    """
    done = Lines()
    with whole_file(target) as out:
        if target.suffix == ".gz":
            with gzip.GzipFile("", "wb", 6, cast("Any", out), 0) as packed:
                _write(path, cast("Any", packed), done, progress)
        else:
            _write(path, out, done, progress)
        if not done.lines:
            raise CorruptData(f"{path} holds no message of a venue: there is nothing to write.")
    return done


def _write(path: Path, sink: Whole, done: Lines, progress: Callable[[float, float], None] | None) -> None:
    reader = CaptureReader(path)
    for item in unrepeated(reader):
        if isinstance(item, Gap):
            if not item.sound:
                raise CorruptData(
                    f"{item}. Repair the log first (`depthscope capture repair {path}`): what is missing "
                    f"then stands in it as a recorded gap.",
                    done.lines,
                )
            done.gaps.append(item)
            continue
        for received in item:
            line = line_of(received)
            if line is None:
                name = received.kind.name.lower()
                done.skipped[name] = done.skipped.get(name, 0) + 1
            else:
                sink.write(line)
                done.lines += 1
        if progress is not None:
            progress(reader.bytes_read, reader.bytes_total)
