"""A whole process that turns one file into features and says what memory it took."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path


def peak_bytes() -> int | None:
    """Largest resident size of this program so far; None where the system does not tell.

    Not `ru_maxrss` on Linux: that also counts what the process was before it became this program, a copy of
    the one that started it.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(path: str | None, every: str) -> None:
    import pyarrow  # noqa: F401  (part of what features need)

    import depthscope
    from depthscope import engine  # noqa: F401  (numba)

    rows = instruments = 0
    start = time.perf_counter()
    if path is not None:
        names = set()
        for batch in depthscope.features_batches(path, every=every):
            rows += batch.num_rows
            names.update(batch.column("symbol").unique().to_pylist())
        instruments = len(names)
    peak = peak_bytes()
    print(
        json.dumps(
            {
                "peak_mb": None if peak is None else peak / 1e6,
                "rows": rows,
                "instruments": instruments,
                "seconds": time.perf_counter() - start,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None, sys.argv[2] if len(sys.argv) > 2 else "100ms")
