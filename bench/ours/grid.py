"""depthscope, features on the 100-ms grid, in memory and from a file; detectors beside them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

from bench.contestant import Contestant, Final, Job
from bench.ours.common import CHUNK, FIRST_FEATURES, final_of, instrument, shipped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.data import Inputs


class FeatureGrid(Contestant):
    """`Engine(every="100ms")` over EVENT chunks, the first features."""

    title = "depthscope, first features, 100-ms grid"
    work = "apply; the first features on the 100-ms grid"
    package = "depthscope"
    features: ClassVar[Iterable[str] | None] = FIRST_FEATURES
    detectors: ClassVar[Iterable[str] | None] = ()
    signals: ClassVar[bool] = False

    def load(self, inputs: Inputs, job: Job) -> int:
        self.stream = job.stream
        self.events = inputs.events(job.stream, job.tiles, job.total)
        self.setup()
        self.engine.process(self.events[:CHUNK])  # compiles
        return len(self.events)

    def setup(self) -> None:
        from depthscope.engine import Engine

        self.engine = Engine(
            instrument(self.stream),
            every="100ms",
            features=self.features,
            detectors=self.detectors,
            signal=shipped if self.signals else None,
        )
        self.rows = 0

    def run(self) -> None:
        events, process = self.events, self.engine.process
        for first in range(0, len(events), CHUNK):
            self.rows += len(process(events[first : first + CHUNK]))
        self.rows += len(self.engine.finish())

    def final(self) -> Final:
        return final_of(self.engine)

    def extra(self) -> dict[str, object]:
        return {"rows": self.rows, "columns": len(self.engine.columns)}


class Everything(FeatureGrid):
    """The same with every feature, every detector and signals."""

    title = "depthscope, everything, 100-ms grid"
    work = "apply; every feature, every detector and signals on the 100-ms grid"
    features = None
    detectors = None
    signals = True


class FileFeatures(Contestant):
    """`features_batches` of a .dbn.zst file: read, decompress, decode, first features, Arrow batches."""

    title = "depthscope, file to features, two threads"
    work = "read .dbn.zst, the first features on the 100-ms grid, Arrow record batches"
    package = "depthscope"
    threads: ClassVar[int] = 2

    def load(self, inputs: Inputs, job: Job) -> int:
        self.path = inputs.dbn(job.stream, job.tiles, job.total)
        for _ in itertools.islice(self._batches(), 1):
            pass  # compiles
        self.path.read_bytes()  # in the page cache, as for the others
        return len(inputs.events(job.stream, job.tiles, job.total))

    def _batches(self) -> Any:
        import depthscope

        return depthscope.features_batches(self.path, features=FIRST_FEATURES, threads=self.threads)

    def run(self) -> None:
        self.rows = sum(batch.num_rows for batch in self._batches())

    def extra(self) -> dict[str, object]:
        return {"rows": self.rows, "bytes": self.path.stat().st_size}


class FileFeaturesSerial(FileFeatures):
    """The same in one thread."""

    title = "depthscope, file to features, one thread"
    threads = 1


class FileEverything(FileFeatures):
    """`analysis_batches`: every feature, every detector and signals."""

    title = "depthscope, file to everything, two threads"
    work = "read .dbn.zst; every feature, every detector and signals on the 100-ms grid; Arrow record batches"

    def _batches(self) -> Any:
        import depthscope

        return depthscope.analysis_batches(self.path, signal="10s", threads=self.threads)

    def run(self) -> None:
        self.rows = self.found = 0
        for made in self._batches():
            self.rows += made.features.num_rows
            self.found += made.detections.num_rows

    def extra(self) -> dict[str, object]:
        return {**super().extra(), "messages": self.found}


class ZstdOnly(Contestant):
    """Decompress the same file into one reused buffer and look at nothing: the floor of any reader."""

    title = "zstd alone"
    work = "decompress .dbn.zst into a reused buffer, no parsing"
    package = "zstandard"

    def load(self, inputs: Inputs, job: Job) -> int:
        self.path = inputs.dbn(job.stream, job.tiles, job.total)
        self.path.read_bytes()
        return len(inputs.events(job.stream, job.tiles, job.total))

    def run(self) -> None:
        import zstandard

        buffer: Any = memoryview(bytearray(1 << 20))
        with self.path.open("rb") as raw:
            stream = zstandard.ZstdDecompressor().stream_reader(
                raw, read_size=1 << 17, read_across_frames=True
            )
            while stream.readinto(buffer):
                pass
