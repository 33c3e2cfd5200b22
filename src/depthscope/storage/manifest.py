"""Manifest of a Parquet archive's run: which files it is, and checksums of every piece of them.

Parquet guards its pages at best; a flipped bit in a footer goes unseen or breaks the program that
reads it. So nothing of a file is parsed before its bytes have been checked against the manifest.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from depthscope.errors import CorruptData, FormatUnknown
from depthscope.storage.archived import About
from depthscope.storage.frames import crc32c

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FOLDER", "ArchivedFile", "Manifest", "Piece", "read_manifest"]

FOLDER: Final = "_depthscope"  # of manifests, in an archive's root
HEAD: Final = b'{"depthscope parquet archive": 1, '
_READ: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file: a row group, or what stands around them.

    Parameters
    ----------
    offset, size, crc : int
        `crc` is their CRC32C.
    first : int
        First place among the archive's events, of a row group; -1 otherwise.
    """

    offset: int
    size: int
    crc: int
    first: int = -1


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One file of a run.

    Parameters
    ----------
    path : str
        From the archive's root, with slashes.
    instrument : dict
        As :func:`~depthscope.storage.archived.instrument_to_json` tells it.
    groups : list of Piece
        Its row groups.
    rest : list of Piece
        Its other bytes: with the groups, all of it.
    """

    path: str
    instrument: dict[str, Any]
    groups: list[Piece]
    rest: list[Piece]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(piece.size for piece in (*self.groups, *self.rest))


@dataclass(slots=True)
class Manifest:
    """One run of archiving.

    Parameters
    ----------
    run : str
        Its name: that of its files and of its manifest.
    events : int
    about : About
    files : list of ArchivedFile
    """

    run: str
    events: int
    about: About
    files: list[ArchivedFile] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """Its file: JSON, and its CRC32C on the last line."""
        told = {
            "run": self.run,
            "events": self.events,
            "about": self.about.to_json(),
            "files": [asdict(one) for one in self.files],
        }
        text = HEAD + json.dumps(told, ensure_ascii=False).encode()[1:] + b"\n"
        return text + f"{crc32c(text):08x}\n".encode()


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    CorruptData
        When it is damaged.
    FormatUnknown
        When a later version wrote it.
    """
    data = path.read_bytes()
    text, check = data[:-9], data[-9:]
    if check != f"{crc32c(text):08x}\n".encode():
        raise CorruptData(
            f"{path}: this manifest of a Parquet archive is damaged. Its files can still be read one by one; "
            f"for all symbols in order archive the original again."
        )
    if not text.startswith(HEAD):
        raise FormatUnknown(f"{path} is of a later version of the archive. Use a later depthscope.")
    told = json.loads(text)
    files = [
        ArchivedFile(one["path"], one["instrument"], _pieces(one["groups"]), _pieces(one["rest"]))
        for one in told["files"]
    ]
    return Manifest(told["run"], told["events"], About.from_json(told["about"]), files)


def _pieces(told: list[dict[str, int]]) -> list[Piece]:
    """Pieces of a manifest; earlier ones say more of them than is needed."""
    return [Piece(one["offset"], one["size"], one["crc"], one["first"]) for one in told]


def checksum(path: Path, offset: int, size: int) -> int | None:
    """CRC32C of some bytes of a file, None when they are not there."""
    crc = 0
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while size:
            data = file.read(min(size, _READ))
            if not data:
                return None
            crc = crc32c(data, crc)
            size -= len(data)
    return crc
