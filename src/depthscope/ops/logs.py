"""Logs: one set-up for ours and everybody else's, for people on stderr and as JSON lines in a file.

Above this layer, use ``structlog.get_logger("depthscope.…")`` and say things as an event and fields:
``log.warning("book is stale", symbol=…, reason=…)``. Below it, and in libraries, Python's `logging`
does: ``log.warning("book is stale", extra={"symbol": …, "reason": …})`` gives the same record. On the
way out secrets are redacted, in fields, texts and tracebacks, and repeats are counted instead of shown.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec
import structlog

from depthscope.config import LOG_LEVELS
from depthscope.errors import ConfigError, OutputError
from depthscope.ops.redact import printable, redact, redact_text
from depthscope.ops.snapshot import LogPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping
    from types import TracebackType

__all__ = ["Logs", "log_part", "setup_logging"]

MAX_TEXT: Final = 16_384  # characters of one text in a record
MAX_BYTES: Final = 16 << 20
BACKUPS: Final = 5
REPEATS: Final = 5
REPEAT_SECONDS: Final = 60.0
_MAX_KEYS: Final = 1_024
STATE_OF: Final = "depthscope_state_of"  # field of a record: what it tells the state of
_in_force: Final[list[Logs]] = []  # the last one is


@dataclass(slots=True)
class _Seen:
    """Repeats of one message within its window."""

    since: float
    shown: int = 0
    hidden: int = 0


class _Repeats(logging.Filter):
    """Lets a message (of one symbol) through so many times a window, and counts what it holds back.

    Asked by every handler, it decides once a record. What is critical always passes. Records of one thing's
    states (`STATE_OF`) end on what is true: a good state is shown where the bad one before it was.
    """

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._limit, self._seconds, self._clock = limit, seconds, clock
        self._keys: OrderedDict[tuple[str, int, str, str, str], _Seen] = OrderedDict()
        self._shown: dict[str, bool] = {}  # by what has states: whether its last bad one was
        self._guard = threading.Lock()
        self.suppressed = 0
        self.records: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        decided: bool | None = getattr(record, "depthscope_shown", None)
        if decided is None:
            with self._guard:
                decided = self._decide(record)
            record.depthscope_shown = decided
        return decided

    def _decide(self, record: logging.LogRecord) -> bool:
        self.records[record.levelname.lower()] += 1
        if record.levelno >= logging.CRITICAL:
            return True
        of = getattr(record, STATE_OF, None)
        if of is None:
            return self._sparing(record)
        if record.levelno >= logging.WARNING:
            self._shown[of] = self._sparing(record)
        elif not self._shown.get(of, True):
            self.suppressed += 1
        return self._shown.get(of, True)

    def _sparing(self, record: logging.LogRecord) -> bool:
        """Whether it has not been said too often."""
        fields = record.msg if isinstance(record.msg, dict) else vars(record)
        said = fields["event"] if isinstance(record.msg, dict) else record.msg
        symbol, code = (str(fields.get(name, ""))[:32] for name in ("symbol", "code"))
        key = (record.name, record.levelno, str(said)[:200], symbol, code)
        now = self._clock()
        seen = self._keys.get(key)
        if seen is None or now - seen.since >= self._seconds:
            if seen is not None and seen.hidden:
                record.depthscope_hidden = seen.hidden
            self._keys[key] = _Seen(now, 1)
            self._keys.move_to_end(key)
            while len(self._keys) > _MAX_KEYS:
                self._keys.popitem(last=False)
            return True
        if seen.shown < self._limit:
            seen.shown += 1
            return True
        seen.hidden += 1
        self.suppressed += 1
        return False


class _Quiet:
    """What a handler does when it cannot write: count, say so once, and never show the record.

    Python's own answer prints the record as it is, secrets and all.
    """

    failures = 0
    _said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        self.failures += 1
        if not self._said:
            self._said = True
            reason = redact_text(str(sys.exc_info()[1]))
            with contextlib.suppress(OSError, ValueError, AttributeError):  # no stderr either: nobody to tell
                sys.stderr.write(f"note: a log record could not be written: {reason}. Others may be lost.\n")


class _Console(_Quiet, logging.StreamHandler[Any]):
    """Records for people."""


class _File(_Quiet, logging.handlers.RotatingFileHandler):
    """Records for machines, in a file for this user alone."""

    def _open(self) -> Any:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(handle, "a", encoding="utf-8")  # noqa: PTH123 - the descriptor is ours


class Logs:
    """A set-up in force; end it with :meth:`close`, or use it as a context.

    Parameters
    ----------
    handlers : iterable of Handler
        Where records go.
    repeats : filter
        What counts them.
    """

    def __init__(self, handlers: Iterable[Any], repeats: _Repeats, level: int) -> None:
        self._handlers, self._repeats = list(handlers), repeats
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
        root.handlers[:] = self._handlers
        root.setLevel(max(level, logging.WARNING))  # libraries: only what is odd
        logging.getLogger("depthscope").setLevel(level)
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread
        _in_force.append(self)

    def part(self) -> LogPart:
        """Its piece of a snapshot."""
        return LogPart(
            records={level: self._repeats.records[level] for level in LOG_LEVELS},
            suppressed=self._repeats.suppressed,
            failures=sum(handler.failures for handler in self._handlers),
        )

    def close(self) -> None:
        """Say how much was held back, and put back what was before."""
        if self._repeats.suppressed:
            structlog.get_logger("depthscope.logs").info(
                "repeats were not shown", suppressed=self._repeats.suppressed
            )
        if self in _in_force:
            _in_force.remove(self)
        root = logging.getLogger()
        root.handlers[:], level, sys.excepthook, threading.excepthook = self._before
        root.setLevel(level)
        logging.getLogger("depthscope").setLevel(logging.NOTSET)
        for handler in self._handlers:
            handler.close()
        structlog.reset_defaults()

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def log_part() -> LogPart | None:
    """What the set-up in force says of itself, for a snapshot; None where there is none."""
    return next((logs.part() for logs in _in_force[-1:]), None)


def setup_logging(
    level: str = "info",
    file: Path | str | None = None,
    *,
    console: IO[str] | None = None,
    colors: bool | None = None,
    max_bytes: int = MAX_BYTES,
    backups: int = BACKUPS,
    repeats: int = REPEATS,
    repeat_seconds: float = REPEAT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Logs:
    """Send what is logged to stderr, and to a file where one is named.

    Parameters
    ----------
    level : str
        debug, info, warning, error or critical; libraries are heard from warning on.
    file : Path or str, optional
        JSON lines; rotated at `max_bytes`, `backups` old ones are kept. Empty for none.
    console : text stream, optional
        For people; stderr by default.
    colors : bool, optional
        Whether to colour them; where it is a terminal by default.
    max_bytes, backups : int
        See `file`.
    repeats, repeat_seconds : int, float
        A message is shown so many times in so many seconds; the next one says how many were not.
    clock : callable
        Monotonic seconds, for the repeats.

    Returns
    -------
    Logs

    Raises
    ------
    ConfigError
        When the level is none.
    OutputError
        When the file cannot be written.
    """
    if level.lower() not in LOG_LEVELS:
        near = get_close_matches(level.lower(), LOG_LEVELS, 1, 0.0)[0]
        raise ConfigError(
            f"{level!r} is no log level. The nearest is {near}; known: {', '.join(LOG_LEVELS)}."
        )
    number = logging.getLevelNamesMapping()[level.upper()]
    stream = sys.stderr if console is None else console
    limiter = _Repeats(repeats, repeat_seconds, clock)
    coloured = stream.isatty() if colors is None else colors
    people = structlog.dev.ConsoleRenderer(colors=coloured, exception_formatter=structlog.dev.plain_traceback)
    handlers: list[Any] = [_prepared(_Console(stream), limiter, _for_people, people)]
    if file:
        path = Path(file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sink = _File(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"The log file {path} cannot be written: {error.strerror or error}. Name another one with "
                "the setting log_file."
            ) from error
        handlers.append(_prepared(sink, limiter, structlog.processors.JSONRenderer(serializer=_json)))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # loggers are made when modules are imported, before this
    )
    return Logs(handlers, limiter, number)


_COMMON: Final[list[Any]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    structlog.processors.StackInfoRenderer(),
]


def _prepared(handler: Any, limiter: _Repeats, *last: Any) -> Any:
    """Give a handler its filter and the last steps of the way."""
    handler.addFilter(limiter)
    handler.setFormatter(
        _Redacting(
            foreign_pre_chain=[*_COMMON, structlog.stdlib.ExtraAdder()],
            processors=[
                _hidden_repeats,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redact_event,
                *last,
            ],
        )
    )
    return handler


class _Redacting(structlog.stdlib.ProcessorFormatter):
    """A last look at the line itself: a record that cannot be formatted must not go out as it is."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - a wrong format string in a library must not end us
            failed = logging.LogRecord(
                record.name, record.levelno, "", 0, f"a record could not be formatted: {error}", None, None
            )
            return super().format(failed)


def _hidden_repeats(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("depthscope_shown", None)
    event.pop(STATE_OF, None)
    event.pop("depthscope_hidden", None)
    hidden = getattr(event.get("_record"), "depthscope_hidden", 0)
    return {**event, "repeats_not_shown": hidden} if hidden else event


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    plain: dict[str, Any] = redact(event)
    return {name: _short(value) if isinstance(value, str) else value for name, value in plain.items()}


def _for_people(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Spell out what would steer a terminal, or look like a line of its own."""
    return {
        name: printable(value, lines=name in ("exception", "stack")) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _short(text: str) -> str:
    """Cut a text that would flood the log; its end, where a traceback says what happened, is kept."""
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]} … {len(text) - MAX_TEXT:,} characters left out … {text[-half:]}"


def _json(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value).decode()


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what would end the program, instead of printing it as it is."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger("depthscope").critical("an error was not caught", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread is not None else "unknown"
        structlog.get_logger("depthscope").critical(
            "an error was not caught in a thread",
            thread=name,
            exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        )
