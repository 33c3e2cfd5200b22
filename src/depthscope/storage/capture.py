"""The capture log of a live session: everything that can change a result, as it came.

`CaptureWriter` writes it, `read_capture` and `CaptureReader` read it, `verify` and `repair` look after it.
docs/RECORDING.md states what is guaranteed.
"""

from __future__ import annotations

from depthscope.storage.batches import Batch
from depthscope.storage.capture_check import Verification, repair, verify
from depthscope.storage.capture_reader import CaptureReader, Gap, SegmentReport, read_capture
from depthscope.storage.capture_writer import CaptureWriter
from depthscope.storage.segments import Segment, list_segments

__all__ = [
    "Batch",
    "CaptureReader",
    "CaptureWriter",
    "Gap",
    "Segment",
    "SegmentReport",
    "Verification",
    "list_segments",
    "read_capture",
    "repair",
    "verify",
]
