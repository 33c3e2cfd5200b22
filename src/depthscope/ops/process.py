"""The process itself: how much memory it holds, and giving back what it does not use."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["one_heap", "release_memory", "resident_bytes", "settle_memory"]

_STATM = Path("/proc/self/statm")
# Parameters of mallopt (malloc.h), and what a program that runs for days wants of them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE = 128 * 1024
_WISHES = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _LARGE, _M_TRIM_THRESHOLD: _LARGE}


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


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), name, None)  # glibc alone has them


def one_heap() -> bool:
    """Let all threads take memory of one heap and large blocks of the system, in programs that run for days.

    glibc gives each thread a heap of its own, with holes of its own, and learns from each large block that is
    freed to keep larger ones. A live session grew by 1.9 megabytes an hour of it and grows by 0.5 without,
    for a twentieth more processor time (33 minutes side by side, from the tenth on). To be called before
    threads start; what the user set in the environment stands.

    Returns
    -------
    bool
        Whether the allocator does so.
    """
    told = _of_glibc("mallopt")
    if told is None or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    heard = [told(option, value) for option, value in _WISHES.items()]
    return all(heard)


def release_memory() -> bool:
    """Free cycles, and give freed memory back to the system where the allocator must be asked for it.

    Cycles (each lost connection leaves some) would wait for the collector, for minutes in a quiet market.
    glibc keeps pages that were freed between blocks in use; a session that decodes messages of all lengths
    grows by megabytes an hour of them. Once memory has settled (`settle_memory`) it takes milliseconds.

    Returns
    -------
    bool
        Whether the allocator was asked.
    """
    gc.collect()
    trim = _of_glibc("malloc_trim")
    if trim is None:
        return False
    trim(0)
    return True


def settle_memory() -> None:
    """Tell the garbage collector that what is there now stays: modules, kernels, what a session is made of.

    It looks at everything only once what is new exceeds a quarter of what is old, so beside a large program
    cycles (each lost connection leaves some) would pile up for hours before they are freed. It is then also
    quick, while threads wait for it. It takes a tenth of a second or two.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # at once done; the quarter is of what this one leaves
