"""The page's key: a secret of this user that outlives the server, so that an open page stays let in.

The token in the address is random at each start. The cookie it is exchanged for is derived from a
key kept in the user's state folder: when a server is started again on its port, the pages that were
open reconnect by themselves. Who can read the file already has the user's rights.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

__all__ = ["cookie_for", "page_key"]

_SIZE: Final = 32


def _folder() -> Path | None:
    """Where programs keep their state, None where there is no home."""
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "depthscope"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "depthscope"
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "depthscope"
    except RuntimeError:
        return None


def _read(path: Path) -> bytes | None:
    """Return the key kept at `path`, None when there is none or others could have read or made it."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            return None
        if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o077):
            return None
        key = os.read(handle, _SIZE + 1)
    finally:
        os.close(handle)
    return key if len(key) == _SIZE else None


def page_key() -> bytes:
    """Return this user's key, made on first use.

    Returns
    -------
    bytes
        32 of them. Where none can be kept, a new one: pages then need the address again after
        the server is started anew.
    """
    folder = _folder()
    key = secrets.token_bytes(_SIZE)
    if folder is None:
        return key
    path = folder / "page.key"
    found = _read(path)
    if found is not None:
        return found
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / f".page.key.{secrets.token_hex(8)}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
                file.write(key)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        # Two servers may start at once: the one that came last is what both go by.
        return _read(path) or key
    return key


def cookie_for(key: bytes, port: int, token: str | None) -> str:
    """Cookie of the page at a port; another one where the user changes a token of their own."""
    text = f"page cookie\0{port}\0{token or ''}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, text, hashlib.sha256)).rstrip(b"=").decode()
