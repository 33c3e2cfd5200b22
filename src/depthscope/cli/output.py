"""Tables and texts to files: written beside the target, renamed when complete."""

from __future__ import annotations

import glob
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from depthscope.errors import OutputError
from depthscope.storage.outputs import whole_file, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

LAG: Final = 2  # groups that may wait to be written
GROUP_ROWS: Final = 16_384  # rows gathered before they are handed on: bounded memory, sane row groups
PAIRS: Final = (("_message_", "_orderbook_"), ("_orderbook_", "_message_"))
SUFFIXES: Final = (".parquet", ".csv", ".arrow")


def check_outputs(outputs: Mapping[str, str | None], inputs: Iterable[str]) -> None:
    """Refuse outputs that would overwrite what is read, or one another.

    Parameters
    ----------
    outputs : mapping of str to str or None
        Option and what it names; ``-`` is standard output.
    inputs : iterable of str
        Files, folders, globs, and names that are no files.

    Raises
    ------
    OutputError
        Nothing has been touched then.
    """
    read: set[Path] = set()
    for name in inputs:
        found = Path(name)
        if found.is_dir():
            read |= {inside.resolve() for inside in found.iterdir()}
            continue
        for path in (found, *map(Path, glob.glob(name))):  # noqa: PTH207 - the pattern may be absolute
            # LOBSTER's files come in pairs, of which one is named.
            twins = (path.name.replace(a, b) for a, b in PAIRS)
            read |= {path.resolve(), *(path.with_name(twin).resolve() for twin in twins)}
    taken: dict[Path, str] = {}
    for option, target in outputs.items():
        if target is None or target == "-":
            continue
        path = Path(target).resolve()
        if path in read and path.exists():
            raise OutputError(
                f"{option} {target} is a file that is read: it would be lost. Name another one."
            )
        if path in taken:
            raise OutputError(f"{taken[path]} and {option} name the same file, {target}. Name two.")
        taken[path] = option


class _Sink(Protocol):
    """What pyarrow's writers have in common."""

    def write_batch(self, batch: Any) -> None: ...

    def close(self) -> None: ...


class _JsonLines:
    """One JSON object a row; times are integers, UTC nanoseconds."""

    def __init__(self, stream: IO[bytes]) -> None:
        import msgspec

        self._stream = stream
        self._encoder = msgspec.json.Encoder()

    def write_batch(self, batch: Any) -> None:
        import pyarrow as pa

        arrays = [
            array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array for array in batch.columns
        ]
        buffer = bytearray()
        for row in pa.RecordBatch.from_arrays(arrays, names=batch.schema.names).to_pylist():
            self._encoder.encode_into(row, buffer, -1)
            buffer += b"\n"
        self._stream.write(buffer)

    def close(self) -> None:
        self._stream.flush()


class TableWriter:
    """Gathers record batches and hands them to a file writer in groups.

    Parameters
    ----------
    target : str
        What is written, for messages.
    open_sink : callable
        Makes the file writer of a schema; called with the first batch.
    """

    def __init__(self, target: str, open_sink: Callable[[Any], _Sink]) -> None:
        self._target = target
        self._open = open_sink
        self._sink: _Sink | None = None
        self._pool = ThreadPoolExecutor(1, "depthscope-output")
        self._jobs: deque[Future[None]] = deque()
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self.rows = 0
        self.columns: list[str] = []

    def write(self, batch: Any) -> None:
        """Take one record batch.

        Raises
        ------
        OutputError
            When the target takes no more.
        """
        if self._sink is None:
            with writing(self._target):
                self._sink = self._open(batch.schema)
            self.columns = list(batch.schema.names)
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._waiting_rows >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write the rest and the file's end.

        Raises
        ------
        OutputError
            When the target takes no more.
        """
        self._flush()
        while self._jobs:
            self._jobs.popleft().result()
        self._pool.shutdown()
        if self._sink is not None:
            sink, self._sink = self._sink, None
            with writing(self._target):
                sink.close()

    def abandon(self) -> None:
        """Let go of the file writer; what was written is of no use."""
        self._waiting.clear()
        self._pool.shutdown(cancel_futures=True)
        if self._sink is not None:
            # The writer wants to finish its file even so; that it cannot is no news any more.
            with suppress(OSError, ValueError):
                self._sink.close()

    def _flush(self) -> None:
        if self._sink is None or not self._waiting_rows:
            return
        self._jobs.append(self._pool.submit(self._write, self._sink, self._waiting))
        self._waiting, self._waiting_rows = [], 0
        while len(self._jobs) > LAG:
            self._jobs.popleft().result()

    def _write(self, sink: _Sink, waiting: list[Any]) -> None:
        """Compress and write a group, beside the computation of the next."""
        import pyarrow as pa

        table = pa.Table.from_batches(waiting).combine_chunks()
        with writing(self._target):
            for batch in table.to_batches():
                sink.write_batch(batch)


def _opener(kind: str, stream: IO[bytes]) -> Callable[[Any], _Sink]:
    """Writer factory of one format over an open stream."""

    def parquet(schema: Any) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Numbers hardly repeat: a dictionary for each of their columns would cost a megabyte apiece.
        words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        # Nor does anybody look for rows by the range of a feature; times, counts and words have theirs.
        ranges = [field.name for field in schema if not pa.types.is_floating(field.type)]
        return pq.ParquetWriter(
            stream, schema, compression="zstd", use_dictionary=words, write_statistics=ranges
        )

    def csv(schema: Any) -> Any:
        import pyarrow.csv as pc

        return pc.CSVWriter(stream, schema)

    def arrow(schema: Any) -> Any:
        import pyarrow as pa

        return pa.ipc.new_file(stream, schema)

    if kind == "jsonl":
        return lambda schema: _JsonLines(stream)
    return {".parquet": parquet, ".csv": csv, ".arrow": arrow}[kind]


def _kind(path: Path, option: str) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        wrong = f"{suffix} is not one we write" if suffix else "this name has none"
        raise OutputError(
            f"{option} {path}: the ending says the format, and {wrong}. "
            f"Use {', '.join(SUFFIXES)}, or - for CSV on standard output."
        )
    return suffix


@contextmanager
def table_output(target: str, *, option: str = "--out", lines_of_json: bool = False) -> Iterator[TableWriter]:
    """Open `target` for a table; it appears complete or not at all.

    Parameters
    ----------
    target : str
        A path ending in .parquet, .csv or .arrow, or ``-`` for standard output.
    option : str
        What it was named with, for messages.
    lines_of_json : bool
        On standard output: one JSON object a row instead of CSV.

    Yields
    ------
    TableWriter

    Raises
    ------
    OutputError
        When the target cannot be written. Nothing is left behind then, nor when the body raises.
    """
    if target == "-":
        writer = TableWriter(
            "standard output", _opener("jsonl" if lines_of_json else ".csv", sys.stdout.buffer)
        )
        yield writer
        writer.close()
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    _refuse_folder(path, option, "table.parquet")
    kind = _kind(path, option)
    with whole_file(path, option) as whole:
        writer = TableWriter(str(path), _opener(kind, whole.stream))
        try:
            yield writer
            writer.close()
        finally:
            writer.abandon()


@contextmanager
def text_output(target: str, option: str, suffix: str) -> Iterator[list[str]]:
    """Open `target` for text; it appears complete or not at all.

    Parameters
    ----------
    target : str
        A path ending in `suffix`.
    option : str
        The option it was named with, for messages.
    suffix : str

    Yields
    ------
    list of str
        What is appended to it becomes the file.

    Raises
    ------
    OutputError
        When the target cannot be written. Nothing is left behind then, nor when the body raises.
    """
    path = Path(target)
    _refuse_folder(path, option, f"result{suffix}")
    if path.suffix.lower() != suffix:
        raise OutputError(f"{option} {path}: the name of what is written here ends in {suffix}.")
    with whole_file(path, option) as whole:
        pieces: list[str] = []
        yield pieces
        whole.write("".join(pieces).encode())


def _refuse_folder(path: Path, option: str, example: str) -> None:
    if path.is_dir():
        raise OutputError(f"{option} {path} is a folder. Name a file in it, for example {path / example}.")
