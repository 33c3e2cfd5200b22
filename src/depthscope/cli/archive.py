"""`depthscope archive`: market data into a file that reads faster, or into Parquet for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from depthscope.cli.common import (
    Debug,
    Json,
    Lot,
    Sources,
    Tick,
    increment,
    print_json,
    progress,
    say,
    say_warnings,
)
from depthscope.errors import InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from depthscope.market.source import Source

EVENTS = ".events"
MOST_FILES = 10_240  # what every system grants that grants more than the usual

Target = Annotated[
    str,
    typer.Option("--out", "-o", metavar="TARGET", help="A file ending in .events, or a folder for Parquet."),
]


def allow_many_files() -> None:
    """Let this process have as many files open as it may: a Parquet archive has one a symbol and day."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_target(target: str) -> Path:
    """Refuse what is neither an event archive nor a folder.

    Raises
    ------
    OutputError
        When a file is there already, or the name's ending is another format's.
    """
    path = Path(target)
    if path.suffix == EVENTS:
        if path.exists():
            raise OutputError(f"--out {path} exists already. Name another file, or delete it first.")
    elif path.suffix or (path.exists() and not path.is_dir()):
        raise OutputError(
            f"--out {path} is neither a file ending in {EVENTS} nor a folder, in which Parquet files are put."
        )
    return path


def archive_source(source: Source, target: Path, advance: Callable[[float, float], None]) -> dict[str, Any]:
    """Archive a source to what its target's name says; what there is to tell of it."""
    if target.suffix == EVENTS:
        from depthscope.storage.events import write_events

        made = write_events(source, target, advance)
        return {
            "path": str(target), "format": "events", "events": made.events, "bytes": made.size,
            "instruments": made.instruments, "files": 1,
        }  # fmt: skip
    from depthscope.storage.parquet import write_parquet

    allow_many_files()
    run = write_parquet(source, target, advance)
    return {
        "path": str(target), "format": "parquet", "events": run.events,
        "bytes": sum(file.size for file in run.files),
        "instruments": len({(f.instrument["publisher"], f.instrument["id"]) for f in run.files}),
        "files": len(run.files), "run": run.run,
    }  # fmt: skip


def tell(told: dict[str, Any], json: bool) -> None:
    """Print what was archived."""
    if json:
        print_json(told)
        return
    say(
        f"{told['path']}: {told['events']:,} events of {told['instruments']:,} instruments, "
        f"{told['bytes']:,} bytes in {told['files']:,} files, read back and equal"
    )


def archive(
    files: Sources,
    out: Target,
    tick: Tick = None,
    lot: Lot = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Archive market data: as one fast file, or as Parquet by venue, symbol and day.

    A file ending in .events reads several times faster than what it was made of, again and again.
    Parquet files are for DuckDB, Polars and pandas too. Both give every event back as it was. What is
    written appears complete, after it has been read back and compared, or not at all.

    \b
    Examples:
      depthscope archive day.mbo.dbn.zst --out day.events
      depthscope archive day.mbo.dbn.zst --out archive
    """
    from depthscope.cli.warmup import warm_readers
    from depthscope.runtime.sources import open_source

    target = check_target(out)
    for file in files:
        if Path(file).resolve() == target.resolve():
            raise InputError(f"--out {out} is what is read. Name another place.")
    source = open_source(files, tick=increment(tick, "--tick"), lot=increment(lot, "--lot"))
    warm_readers()
    with progress("archive") as advance:
        told = archive_source(source, target, advance)
    say_warnings(source)
    tell(told, json)
