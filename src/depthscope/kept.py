"""The cache folder: what is slow to make and can be made again.

Nothing depends on it: what is missing, out of date or damaged is made anew, and a folder that cannot
be written only costs the next start its time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Columns", "cache_root", "kept"]

Columns = dict[str, list[int]]


def cache_root() -> Path:
    """Folder for what is kept: ``DEPTHSCOPE_CACHE_DIR``, or the system's place for such things.

    Raises
    ------
    RuntimeError
        When this user has no home.
    """
    named = os.environ.get("DEPTHSCOPE_CACHE_DIR")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "depthscope" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "depthscope"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "depthscope"


def kept(folder: str, name: str, make: Callable[[], Columns]) -> Columns:
    """Columns of integers kept under a name, made where they are not.

    Parameters
    ----------
    folder : str
        Of the cache folder.
    name : str
        It must say everything that the columns depend on.
    make : callable
        Makes them.
    """
    try:
        path = cache_root() / folder / name
    except RuntimeError:  # no home: nothing is kept
        return make()
    found = _read(path)
    if found is None:
        found = make()
        with contextlib.suppress(OSError):  # the next start makes them again
            _write(path, found)
    return found


def _read(path: Path) -> Columns | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    body = data[4:]
    if zlib.crc32(body).to_bytes(4, "little") != data[:4]:
        return None
    return msgspec.msgpack.decode(body, type=Columns)


def _write(path: Path, columns: Columns) -> None:
    body = msgspec.msgpack.encode(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own until it is whole: other processes read the folder meanwhile.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        try:
            file.write(zlib.crc32(body).to_bytes(4, "little") + body)
            file.close()
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
