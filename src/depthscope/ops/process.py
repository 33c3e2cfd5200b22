"""The process itself: how much memory it holds."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["resident_bytes"]

_STATM = Path("/proc/self/statm")


def resident_bytes(statm: Path = _STATM) -> int | None:
    """Return the memory this process holds now, in bytes; None where the platform does not tell.

    Read from Linux's ``/proc``. Other systems tell a peak without further libraries, and a peak
    never falls: no figure is better than one that means something else.
    """
    try:
        pages = int(statm.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
