"""Run by a test as a process of its own: starts writers, kills each at a random instant.

Arguments: folder, how many, seed. Prints a line of JSON for each: the folder it wrote to, what it had been
told is durable, what it had appended, and for how long the first inputs had been in its hands by then.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

from depthscope.storage.capture_writer import CaptureWriter
from tests.storage.generated import made_input

TOGETHER = 4  # writers that run at the same time
MOST = 100_000  # inputs of a writer


def write(folder: Path, seed: int, shared: mmap.mmap) -> None:
    """Append until killed."""
    rng = random.Random(seed)
    inputs = [made_input(seed, number) for number in range(1, 400)]
    struct.pack_into("<Q", shared, 16, time.monotonic_ns())
    writer = CaptureWriter(folder, segment_bytes=rng.choice((5_000, 50_000, 1 << 20)), sync_seconds=0.005)
    for number in range(1, MOST):
        one = inputs[number - 1] if number < 400 else made_input(seed, number)
        struct.pack_into("<Q", shared, 24 + 8 * number, time.monotonic_ns())
        writer.append(one)
        struct.pack_into("<QQ", shared, 0, writer.acknowledged, number)
        if rng.random() < 0.02:
            time.sleep(rng.random() * 0.004)


def main(root: Path, count: int, seed: int) -> None:
    """Start and kill `count` writers, a few at a time."""
    rng = random.Random(seed)
    for start in range(0, count, TOGETHER):
        running = []
        for number in range(start, min(count, start + TOGETHER)):
            shared = mmap.mmap(-1, 24 + 8 * (MOST + 1))
            folder = root / f"{number:05d}"
            pid = os.fork()
            if not pid:
                write(folder, seed + number, shared)
                os._exit(0)
            running.append((rng.random() * 0.15, pid, shared, folder, seed + number))
        begun = time.monotonic()
        for delay, pid, shared, folder, own in sorted(running):
            time.sleep(max(0.0, begun + delay - time.monotonic()))
            os.kill(pid, signal.SIGKILL)
            now = time.monotonic_ns()
            os.waitpid(pid, 0)
            acknowledged, appended = struct.unpack_from("<QQ", shared, 0)
            times = struct.unpack_from(f"<{appended + 1}Q", shared, 24)
            ages = [(now - when) / 1e6 for when in times[1:]]
            told = {"folder": str(folder), "seed": own, "acknowledged": acknowledged, "ages_ms": ages}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
