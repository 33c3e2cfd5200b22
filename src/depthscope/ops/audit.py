"""Audit log: one line of JSON a decision, alert, order or transition; appended, never changed.

A line is ``{"seq", "schema", "ts", "config", "kind", "data", "chain"}``: sequence from 1 without a gap,
version of this form, UTC nanoseconds, hash of the settings in force, what kind of record it is, what
happened, and a chain: the first 32 hex digits of the SHA-256 of the chain before and everything else
in the line. A line that was changed, removed or inserted breaks the chain at that place.

What is promised. Every record is handed to the system before `write` returns: the death of the
process loses none. Decisions and orders are on the disk before `write` returns; other kinds by
the first `write` or `tick` 200 ms later or more, and `LiveWatch` ticks once a second: a power cut loses
no more. A write or sync that fails ends that file: nothing is appended to what may be torn. The next
record opens another file, whose first record says what was found. Files are rotated by size and never
deleted here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from depthscope.errors import OutputError
from depthscope.ops.redact import redact
from depthscope.ops.snapshot import AuditPart
from depthscope.storage.disk import DISK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "AuditRecord",
    "AuditReport",
    "AuditWriter",
    "Kind",
    "audit_files",
    "config_hash",
    "read_audit",
    "verify_audit",
]

SCHEMA: Final = 1
ROTATE_BYTES: Final = 64 << 20
SYNC_NS: Final = 200_000_000
START: Final = "0" * 32  # the chain before the first record
_NAME: Final = re.compile(r"audit-(\d{6})\.jsonl")

Kind = Literal["session", "transition", "alert", "decision", "order", "recovery"]
_AT_ONCE: Final = frozenset({"decision", "order"})


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record.

    Attributes
    ----------
    seq : int
        From 1, without a gap.
    schema : int
        Version of this form.
    ts : int
        UTC ns.
    config : str
        Hash of the settings in force.
    kind : str
        session (start, end), transition, alert, decision, order, or recovery.
    data : dict
        What happened.
    chain : str
        Ties it to the record before.
    """

    seq: int
    schema: int
    ts: int
    config: str
    kind: Kind
    data: dict[str, Any]
    chain: str


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What reading an audit log told.

    Attributes
    ----------
    files, records : int
        Read, and whole.
    first, last : int or None
        Sequences of the first and last whole record.
    torn : tuple of str
        Files that end in the middle of a record, as an interrupted write leaves them.
    damage : tuple of str
        What cannot be explained by an interruption: where, and what is wrong.
    """

    files: int
    records: int
    first: int | None
    last: int | None
    torn: tuple[str, ...]
    damage: tuple[str, ...]


_decoder: Final = msgspec.json.Decoder(AuditRecord)
_encoder: Final = msgspec.json.Encoder()


def config_hash(settings: Any) -> str:
    """Return 16 hex digits that tell settings apart: of their redacted values, by name."""
    plain = redact(settings)
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()[:16]


def audit_files(folder: Path) -> list[Path]:
    """Files of an audit log, oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _number(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def _link(before: str, body: bytes) -> str:
    return hashlib.sha256(before.encode() + body).hexdigest()[:32]


def _line(body: bytes, chain: str) -> bytes:
    """Put the chain into a record's JSON."""
    return body[:-1] + b',"chain":"' + chain.encode() + b'"}\n'


_TAIL: Final = len(_line(b"}", START)) - 1  # bytes of a line, without its end, that the chain takes


def _parse(line: bytes, before: str | None) -> tuple[AuditRecord, str]:
    """Read one line; the second value says what is wrong with it, if anything is.

    Where the chain before it is not known (None), as at the start of a file read alone, it is taken as it is.

    Raises
    ------
    msgspec.MsgspecError
        When it is no record at all.
    """
    record = _decoder.decode(line)
    if before is None:
        return record, ""
    expected = _link(before, line[:-_TAIL] + b"}")
    # A recovery starts the chain anew where the record before could not be relied on.
    anew = record.kind == "recovery" and record.chain == _link(START, line[:-_TAIL] + b"}")
    return record, "" if record.chain == expected or anew else "does not follow from the record before"


class _Tail:
    """State of an audit log at its end, as reading it from one of its files on tells."""

    def __init__(self, files: list[Path]) -> None:
        self.seq = 0
        # What comes before a first file that is not number 1 has been moved away.
        self.chain: str | None = START if not files or _number(files[0]) == 1 else None
        self.records = 0
        self.first: int | None = None
        self.torn: list[str] = []
        self.damage: list[str] = []
        self.whole = True  # the last file may be appended to

    def read(self, path: Path) -> Iterator[AuditRecord]:
        """Go through one file."""
        self.whole = True
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self.torn.append(path.name)
                    self.whole = False
                    return
                try:
                    record, wrong = _parse(line[:-1], self.chain)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    self.damage.append(f"{path.name}:{number} is no record: {error}")
                    self.seq += 1  # it had a sequence, which is not given again
                    self.whole = False
                    continue
                if not wrong and record.seq != self.seq + 1 and self.chain is not None:
                    wrong = f"has sequence {record.seq} after {self.seq}"
                if wrong:
                    self.damage.append(f"{path.name}:{number} {wrong}")
                    self.whole = False
                self.seq, self.chain = record.seq, record.chain
                self.records += 1
                self.first = record.seq if self.first is None else self.first
                yield record


def read_audit(folder: Path) -> Iterator[AuditRecord]:
    """Every whole record of an audit log, in order; what is torn or no record is passed over.

    Raises
    ------
    OSError
        When a file cannot be read.
    """
    files = audit_files(folder)
    tail = _Tail(files)
    for path in files:
        yield from tail.read(path)


def verify_audit(folder: Path) -> AuditReport:
    """Read an audit log and check sequence and chain.

    Raises
    ------
    OSError
        When a file cannot be read.
    """
    files = audit_files(folder)
    tail = _Tail(files)
    for path in files:
        for _ in tail.read(path):
            continue
    return AuditReport(
        files=len(files),
        records=tail.records,
        first=tail.first,
        last=tail.seq if tail.records else None,
        torn=tuple(tail.torn),
        damage=tuple(tail.damage),
    )


class AuditWriter:
    """Appends to the audit log of a folder. One writer a folder, used from one thread.

    Parameters
    ----------
    folder : Path
        Made when it is not there, for this user alone.
    config : str
        Hash of the settings in force, see :func:`config_hash`.
    ts : int
        The present, UTC ns.
    rotate_bytes : int
        Size at which another file is begun.

    Raises
    ------
    OutputError
        When the folder cannot be written, or another writer has it.
    """

    def __init__(self, folder: Path, config: str, ts: int, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.folder, self.config = folder, config
        self._rotate = rotate_bytes
        self._handle: int | None = None
        self._number = self._size = 0
        self._seq, self._chain = 0, START
        self._unsynced_since: int | None = None
        self._records: dict[str, int] = {}
        self._failures = 0
        self._lock: int | None = None
        self._closed = False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(folder / "audit.lock")
            self._resume(ts)
        except OSError as error:
            self.close()
            raise self._error(error) from error

    def write(self, kind: Kind, data: Mapping[str, Any], ts: int) -> int:
        """Append one record.

        Parameters
        ----------
        kind : str
            Decisions and orders are safe on the disk when this returns.
        data : mapping
            What happened; secrets are redacted.
        ts : int
            When, UTC ns.

        Returns
        -------
        int
            Its sequence.

        Raises
        ------
        OutputError
            When it could not be written: what depends on it must not be done.
        """
        try:
            if self._closed:
                raise OSError("it is closed")
            if self._handle is None:
                self._resume(ts)
            if self._size >= self._rotate:
                self._sync()
                self._open(self._number + 1)
            self._append(kind, redact(data), ts)
            if kind in _AT_ONCE or self._due(ts):
                self._sync()
        except OSError as error:
            self._failures += 1
            self._drop()
            raise self._error(error) from error
        return self._seq

    def tick(self, ts: int) -> None:
        """Put on the disk what has waited 200 ms or more; call it once a second or so.

        Raises
        ------
        OutputError
            When the disk does not take it.
        """
        if self._handle is None or not self._due(ts):
            return
        try:
            self._sync()
        except OSError as error:
            self._failures += 1
            self._drop()
            raise self._error(error) from error

    def part(self) -> AuditPart:
        """Its piece of a snapshot."""
        return AuditPart(records=dict(self._records), sequence=self._seq, failures=self._failures)

    def close(self) -> None:
        """Put everything on the disk and let go of the folder.

        Raises
        ------
        OutputError
            When the disk does not take it.
        """
        try:
            if self._handle is not None and self._unsynced_since is not None:
                self._sync()
        except OSError as error:
            self._failures += 1
            raise self._error(error) from error
        finally:
            self._closed = True
            self._drop()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> AuditWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------------------

    def _resume(self, ts: int) -> None:
        """Go on after the last whole record, in another file where the last one is not whole."""
        files = audit_files(self.folder)
        # An attempt that failed at once has left an empty file: it is used, or each would leave one more.
        spare = files.pop() if files and not files[-1].stat().st_size else None
        tail, whole = _Tail(files), True
        for path in reversed(files):  # files are large: the last one that holds a record is enough
            tail = _Tail([path])
            for _ in tail.read(path):
                continue
            whole &= tail.whole
            if tail.records:
                break
        self._seq, self._chain = tail.seq, tail.chain or START
        again = self._failures > 0 and self._number > 0
        goes_on = whole and not again
        if spare is not None:
            self._open(_number(spare))
        else:
            last = _number(files[-1]) if files else 0
            self._open(last if files and goes_on else last + 1)
        if files and not goes_on:
            if tail.damage:
                self._chain = START
            found = {"torn": tail.torn, "damage": tail.damage, "after_failure": again}
            self._append("recovery", {"file": files[-1].name, **found}, ts)
            self._sync()

    def _open(self, number: int) -> None:
        self._drop()
        path = self.folder / f"audit-{number:06d}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._handle = os.open(path, flags, 0o600)
        self._number, self._size = number, os.fstat(self._handle).st_size
        DISK.sync_folder(self.folder)

    def _append(self, kind: Kind, data: dict[str, Any], ts: int) -> None:
        if self._handle is None:
            raise OSError("no file is open")
        body = _encoder.encode(
            {
                "seq": self._seq + 1,
                "schema": SCHEMA,
                "ts": ts,
                "config": self.config,
                "kind": kind,
                "data": data,
            }
        )
        chain = _link(self._chain, body)
        line = _line(body, chain)
        written = os.write(self._handle, line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes were taken")
        self._seq, self._chain = self._seq + 1, chain
        self._size += len(line)
        self._records[kind] = self._records.get(kind, 0) + 1
        if self._unsynced_since is None:
            self._unsynced_since = ts

    def _due(self, ts: int) -> bool:
        since = self._unsynced_since
        # A clock that was set back must not put the sync off.
        return since is not None and (ts - since >= SYNC_NS or ts < since)

    def _sync(self) -> None:
        if self._handle is not None:
            DISK.sync(self._handle)
        self._unsynced_since = None

    def _drop(self) -> None:
        """Let go of the file; nothing more is appended to it."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with contextlib.suppress(OSError):  # what it had to say came from write or sync
                os.close(handle)
        self._unsynced_since = None

    def _error(self, error: OSError) -> OutputError:
        advice = (  # OSError makes this kind of what a lock that is held gives
            "Name another folder, or end that session first."
            if isinstance(error, BlockingIOError)
            else "What needs a record is not done; make room, check the disk and its permissions, try again."
        )
        return OutputError(
            f"The audit log in {self.folder} cannot be written: {error.strerror or error}. {advice}"
        )


def _lock(path: Path) -> int | None:
    """Hold a folder for one writer; None where the platform or the file system has no such locks.

    Raises
    ------
    OSError
        When another writer holds it, or the file cannot be made.
    """
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise OSError(error.errno, "another session writes there") from error
    except OSError:  # as on some network file systems
        os.close(handle)
        return None
    return handle
