"""Formats of files that hold events: those of venues, and our own archives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from depthscope import venues

if TYPE_CHECKING:
    from pathlib import Path

    from depthscope.venues import Venue

__all__ = ["FORMATS", "KERNELS", "recognise"]

# ── ADD AN ARCHIVE: one line; the module offers what a venue's does. Asked before the venues. ──
ARCHIVES: Final[dict[str, str]] = {
    "events": "depthscope.storage.events",
    "parquet": "depthscope.storage.parquet_source",
}

FORMATS: Final[dict[str, str]] = ARCHIVES | venues.FORMATS

# Modules whose compiled kernels `depthscope warmup` makes ready.
KERNELS: Final = (*venues.KERNELS, "depthscope.storage.event_kernels")


def recognise(path: Path, head: bytes) -> Venue | None:
    """Return the module that reads files such as `path`, None when there is none."""
    for module in FORMATS.values():
        candidate = venues.venue(module)
        if candidate.sniff(path, head):
            return candidate
    return None
