"""What the commands share: options, numbers and times as users write them, output, errors."""

from __future__ import annotations

import inspect
import signal
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from depthscope.errors import InputError
from depthscope.ops.redact import printable, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from depthscope.config import Settings
    from depthscope.market.source import Source

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
MOST_NOTES = 8

_debug = False


def _set_debug(value: bool) -> bool:
    global _debug  # noqa: PLW0603  (one process, one command)
    _debug = _debug or value
    return value


def debugging() -> bool:
    """Whether ``--debug`` was given: tracebacks are then shown."""
    return _debug


Debug = Annotated[
    bool,
    typer.Option("--debug", callback=_set_debug, is_eager=True, help="Show the traceback of an error."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (TOML) instead of depthscope.toml."),
]
Tick = Annotated[
    str | None,
    typer.Option(
        "--tick", metavar="NUMBER", help="Price increment; wins over the file's and the shipped one."
    ),
]
Lot = Annotated[
    str | None,
    typer.Option("--lot", metavar="NUMBER", help="Smallest size increment (not a round lot); wins likewise."),
]
Sources = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="Files, folders or globs; several are read in order of time."),
]
OneSource = Annotated[str, typer.Argument(metavar="FILE", help="A file, folder or glob.")]


def help_of(function: Callable[..., object]) -> str:
    """Help text of a command: its docstring, where a backspace line keeps a paragraph's line breaks."""
    return inspect.cleandoc(function.__doc__ or "").replace("\\b\n", "\b\n")


def say(text: str) -> None:
    """Print one line of information on stderr; what others say in it must not steer a terminal."""
    print(printable(text, lines=True), file=sys.stderr)  # noqa: T201


def say_warnings(source: Source) -> None:
    """Say what was odd about a source that has been read: a result must not look as if nothing were."""
    for warning in source.info.warnings[:MOST_NOTES]:
        say(f"note: {warning}")
    if (more := len(source.info.warnings) - MOST_NOTES) > 0:
        say(f"note: {more:,} more of the kind: `depthscope info` lists them")


def say_error(message: str) -> None:
    """Print one clear paragraph on stderr."""
    text = printable(redact_text(f"error: {message}"), lines=True)
    say("\n".join(textwrap.wrap(text, 96, break_long_words=False, break_on_hyphens=False)))


def settings(path: Path | None) -> Settings:
    """Load the settings a command runs with."""
    from depthscope.config import load_settings

    return load_settings(path)


def increment(text: str | None, option: str) -> int | None:
    """1e-9 integer of a ``--tick`` or ``--lot``.

    Raises
    ------
    InputError
        When it is not a positive decimal number of at most nine places.
    """
    if text is None:
        return None
    from depthscope.market.instruments import to_fixed

    if "_" in text:  # Python reads 1_0 as ten; nobody who types it means that
        raise InputError(f"{option} {text!r} is not a number.")
    try:
        value = to_fixed(text)
    except InputError as error:
        raise InputError(f"{option} {error}") from error
    if value <= 0:
        raise InputError(f"{option} must be greater than zero, got {text}.")
    return value


def check_duration(option: str, text: str) -> None:
    """Refuse what is no duration.

    Raises
    ------
    InputError
        When it is none.
    """
    from depthscope.market.times import parse_duration

    try:
        parse_duration(text)
    except InputError as error:
        raise InputError(f"{option} {error}") from error


def moment(text: str, option: str = "--at") -> int:
    """UTC nanoseconds of a time as users write it.

    Raises
    ------
    InputError
        When it is neither ISO 8601 nor a number of nanoseconds of our era.
    """
    from depthscope.market.times import parse_time

    try:
        ns = parse_time(text)
    except InputError as error:
        raise InputError(f"{option} {error}") from error
    if not 0 <= ns < 2**63:
        raise InputError(f"{option} {text!r} is not a time between 1970 and 2262.")
    return ns


def to_json(value: Any) -> str:
    """One line of JSON: a Decimal becomes a number with its own digits, never a rounded float."""
    import msgspec

    return msgspec.json.Encoder(decimal_format="number").encode(value).decode()


def print_json(value: Any) -> None:
    """Print a JSON document on stdout, indented for people when stdout is a terminal."""
    text = to_json(value)
    if sys.stdout.isatty():
        import msgspec

        text = msgspec.json.format(text, indent=2)
    print(text, flush=True)  # noqa: T201 - whoever reads a pipe may wait for it


@contextmanager
def progress(label: str) -> Iterator[Callable[[float, float], None]]:
    """Show a progress bar on stderr where it is a terminal, and nothing elsewhere.

    Parameters
    ----------
    label : str
        What is being done.

    Yields
    ------
    callable
        Call it with (done, total); a total of 0 means unknown.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


@contextmanager
def until_told() -> Iterator[Event]:
    """Take Ctrl+C and SIGTERM as a wish to end: the event they set is for the caller to look at."""
    told = Event()
    before = {kind: signal.signal(kind, lambda *_: told.set()) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def stdout_bytes() -> IO[bytes]:
    """Return the binary side of stdout."""
    return sys.stdout.buffer
