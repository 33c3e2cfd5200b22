"""Venues: one module each, recognised by content. ADD A VENUE: one file and one line below.

A venue module exposes

``FORMAT : str``
    Its name in messages and in `SourceInfo.format`.
``sniff(path: Path, head: bytes) -> bool``
    Whether a file is of this format; cheap. `head` is :func:`read_head` of the file.
``open_file(path: Path, options: SourceOptions) -> Source``
    Open one file (or the main one of a group).

and, where they mean something,

``main_file(path: Path) -> Path | None``
    The file that stands for the group `path` belongs to (several files read as one source,
    such as messages and book rows); ``None`` for a side file that is only ever read with another.
``open_spec(spec: str, options: SourceOptions) -> Source``
    Open what is not a file; `spec` is the text after ``name:``.

Modules are imported when first asked, so this package costs nothing to import.
"""

from __future__ import annotations

import gzip
import importlib
import zipfile
import zlib
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from depthscope.market.source import Source, SourceOptions

HEAD_BYTES: Final = 65_536
ZIP_MAGIC: Final = b"PK\x03\x04"
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"

# ── ADD A VENUE: one line. Asked in this order; the first that says yes opens the file. ──
FORMATS: Final[dict[str, str]] = {
    "dbn": "depthscope.venues.databento",
    "binance": "depthscope.venues.binance",
    "lobster": "depthscope.venues.lobster",
}

# Sources that are not files: the text before the first colon -> module with `open_spec`.
SPECS: Final[dict[str, str]] = {
    "synthetic": "depthscope.venues.synthetic",
}

# Modules whose compiled kernels `depthscope warmup` makes ready; readers load them late.
KERNELS: Final = (
    "depthscope.venues.dbn_kernels",
    "depthscope.venues.binance_scan",
    "depthscope.venues.binance_tops",
    "depthscope.venues.binance_watch",
    "depthscope.venues.lobster_scan",
    "depthscope.venues.synthetic_kernel",
)


class Venue(Protocol):
    """The functions a venue module offers (see the package docstring)."""

    FORMAT: str

    def sniff(self, path: Path, head: bytes) -> bool:
        """Whether `path` is of this format."""
        ...

    def open_file(self, path: Path, options: SourceOptions) -> Source:
        """Open one file."""
        ...


def venue(module: str) -> Venue:
    """Import a venue module by its dotted name."""
    return cast("Venue", importlib.import_module(module))


def main_file(module: Venue, path: Path) -> Path | None:
    """Return the file that stands for the group `path` belongs to (usually itself)."""
    chooser = cast("Callable[[Path], Path | None] | None", getattr(module, "main_file", None))
    return path if chooser is None else chooser(path)


def read_head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """First bytes of a file as its reader sees them: what :func:`Venue.sniff` looks at.

    gzip and zstd are decompressed (as far as they are readable: damage is the reader's to
    report). A zip gives its magic number, a newline and its member names, one a line.

    Raises
    ------
    OSError
        When the file cannot be opened or read.
    """
    with path.open("rb") as file:
        raw = file.read(size)
        if raw.startswith(ZIP_MAGIC):
            try:
                with zipfile.ZipFile(path) as archive:
                    names = "\n".join(archive.namelist())
            except zipfile.BadZipFile:
                return raw
            return (ZIP_MAGIC + b"\n" + names.encode())[:size]
    if raw.startswith(GZIP_MAGIC):
        return _gzip_head(path, size)
    if raw.startswith(ZSTD_MAGIC):
        return _zstd_head(raw, size)
    return raw


def _gzip_head(path: Path, size: int) -> bytes:
    got = bytearray()
    with gzip.open(path) as stream:
        try:
            while len(got) < size and (piece := stream.read1(size - len(got))):
                got += piece
        except (EOFError, OSError, zlib.error):
            return bytes(got)
    return bytes(got)


def _zstd_head(raw: bytes, size: int) -> bytes:
    import zstandard

    got = bytearray()
    try:
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
            while len(got) < size and (piece := stream.read(min(size - len(got), 4_096))):
                got += piece
    except zstandard.ZstdError:
        return bytes(got)
    return bytes(got)
