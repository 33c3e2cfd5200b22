"""`depthscope capture`: look after the capture log of a live session."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from depthscope.cli.archive import EVENTS, archive_source, check_target
from depthscope.cli.common import Debug, Json, help_of, print_json, progress, say
from depthscope.errors import CorruptData, InputError, OutputError

if TYPE_CHECKING:
    from depthscope.storage.capture_check import Verification

SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.IGNORECASE)
DAYS = re.compile(r"([0-9]+(?:\.[0-9]+)?) *d(?:ays?)?", re.IGNORECASE)
UNITS = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}  # fmt: skip
LINES = (".gz", ".raw", ".txt")

Log = Annotated[Path, typer.Argument(metavar="PATH", help="Folder of a capture log, or one segment (.cap).")]


def gap_document(gap: Any) -> dict[str, Any]:
    """A gap, for machines."""
    return {
        "segment": gap.path.name,
        "reason": gap.reason,
        "lost": gap.lost,
        "sequence": gap.sequence,
        "offset": gap.offset,
        "end": gap.end,
        "recorded": gap.recorded,
        "sound": gap.sound,
        "detail": gap.detail,
    }


def document(path: Path, checked: Verification) -> dict[str, Any]:
    """What checking told, for machines. Times are receive times in UTC ns."""
    starts = [one.start for one in checked.segments if one.inputs]
    ends = [one.end for one in checked.segments if one.inputs]
    return {
        "path": str(path),
        "sound": checked.sound,
        "inputs": checked.inputs,
        "lost": checked.lost,
        "bytes": sum(one.size for one in checked.segments),
        "start": min(starts, default=None),
        "end": max(ends, default=None),
        "segments": [
            {
                "name": one.path.name, "session": one.session, "number": one.number, "inputs": one.inputs,
                "frames": one.frames, "bytes": one.size, "first": one.first, "last": one.last,
                "sealed": one.sealed, "sound": one.sound,
            }
            for one in checked.segments
        ],
        "gaps": [gap_document(gap) for gap in checked.gaps],
    }  # fmt: skip


def print_document(told: dict[str, Any], checked: Verification) -> None:
    """Print what checking told, for people."""
    from depthscope.market.times import format_time

    holds = f"{told['inputs']:,} inputs in {len(told['segments']):,} segments, {told['bytes']:,} bytes"
    typer.echo(f"{told['path']}: {holds}")
    if told["start"] is not None:
        span = (told["end"] - told["start"]) / 1e9
        typer.echo(f"received {format_time(told['start'])} … {format_time(told['end'])} ({span:,.3f} s)")
    for gap in checked.gaps:
        typer.echo(f"{'note' if gap.sound else 'DAMAGE'}: {gap}")
    typer.echo("sound" if checked.sound else "not sound")


def _checked(path: Path, label: str) -> Verification:
    from depthscope.storage.capture_check import verify as check

    with progress(label) as advance:
        return check(path, advance)


def _end(path: Path, checked: Verification) -> None:
    """End with the code of damage where there is some."""
    wrong = [gap for gap in checked.gaps if not gap.sound]
    if wrong:
        more = f" and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise CorruptData(
            f"{wrong[0]}{more}. {checked.inputs:,} inputs are readable. Run `depthscope capture repair "
            f"{path}`: it keeps the damaged files beside.",
            checked.inputs,
        )


def verify(path: Log, json: Json = False, debug: Debug = False) -> None:
    r"""Read a capture log from end to end and check every byte of it.

    A log that was cut short by a crash is an exact prefix of what was recorded; its torn end counts
    as damage until it is repaired. Exit codes: 0 sound, 2 damaged.

    \b
    Example:
      depthscope capture verify recordings/btcusdt --json
    """
    checked = _checked(path, "verify")
    told = document(path, checked)
    if json:
        print_json(told)
    else:
        print_document(told, checked)
    _end(path, checked)


def repair(path: Log, json: Json = False, debug: Debug = False) -> None:
    r"""Make damaged segments whole: what is good is kept, what is not becomes a recorded gap.

    Sound segments are not touched; the damaged files stay beside, their names ending in .damaged.

    \b
    Example:
      depthscope capture repair recordings/btcusdt
    """
    from depthscope.storage.capture_check import repair as mend

    done = mend(path)
    if json:
        print_json(
            [
                {
                    "segment": one.path.name, "kept": one.kept.name, "inputs": one.inputs,
                    "gaps": [gap_document(gap) for gap in one.gaps],
                }
                for one in done
            ]
        )  # fmt: skip
        return
    for one in done:
        say(f"{one.path.name}: {one.inputs:,} inputs kept; the damaged file is {one.kept.name}")
        for gap in one.gaps:
            say(f"  {gap}")
    if not done:
        say(f"{path}: nothing to repair")


def info(path: Log, json: Json = False, debug: Debug = False) -> None:
    r"""Say what a capture log holds: sessions, span, inputs by kind, connections.

    \b
    Example:
      depthscope capture info recordings/btcusdt
    """
    from depthscope.market.inputs import Kind
    from depthscope.storage.capture_check import Verification
    from depthscope.storage.capture_reader import CaptureReader, Gap

    reader = CaptureReader(path)
    kinds: dict[str, int] = {}
    payload: dict[str, int] = {}
    connections: set[int] = set()
    with progress("info") as advance:
        for item in reader:
            if isinstance(item, Gap) or item.opening:
                continue
            connections.update(item.connections)
            for received in item:
                name = Kind(received.kind).name.lower()
                kinds[name] = kinds.get(name, 0) + 1
                payload[name] = payload.get(name, 0) + len(received.payload)
            advance(reader.bytes_read, reader.bytes_total)
    checked = Verification(reader.reports)
    told = {
        **document(path, checked),
        "sessions": len({one.session for one in checked.segments}),
        "kinds": kinds,
        "payload_bytes": payload,
        "connections": len(connections - {0}),
    }
    if json:
        print_json(told)
    else:
        print_document(told, checked)
        for name, count in kinds.items():
            typer.echo(f"{name}: {count:,} inputs, {payload[name]:,} bytes")
    _end(path, checked)


def export(
    path: Log,
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="TARGET",
            help="The venue's lines (.gz, .raw, .txt), an event archive (.events), or a folder for Parquet.",
        ),
    ],
    json: Json = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    r"""Write a capture log in a form that other programs read.

    The venue's lines are its messages as they came, which every command reads (.gz, .raw, .txt); a file
    ending in .events or a folder (Parquet) holds the session's events, the same that the log itself gives
    as a source, read back and compared: `capture prune` may delete the segments then. A damaged log is
    refused.

    \b
    Examples:
      depthscope capture export recordings/btcusdt --out btcusdt.gz
      depthscope capture export recordings/btcusdt --out archive
    """  # fmt: skip
    from depthscope.storage.venue_lines import write_lines

    target = Path(out)
    if target.suffix in LINES:
        if target.exists():
            raise OutputError(f"--out {target} exists already. Name another file, or delete it first.")
        with progress("export") as advance:
            done = write_lines(path, target, advance)
        told: dict[str, Any] = {
            "path": out, "format": "lines", "lines": done.lines, "skipped": done.skipped,
            "gaps": len(done.gaps),
        }  # fmt: skip
    elif target.suffix and target.suffix != EVENTS:
        raise OutputError(
            f"--out {out}: the ending says what is written. Use {', '.join(LINES)} for the venue's lines, "
            f"{EVENTS} for one file of events, or a folder for Parquet."
        )
    else:
        told = _export_events(path, check_target(out))
    if json:
        print_json(told)
        return
    if "lines" in told:
        say(f"{out}: {told['lines']:,} lines")
        for name, count in told["skipped"].items():
            say(f"left out: {count:,} {name} inputs, which are no messages of the venue")
    else:
        say(f"{out}: {told['events']:,} events, read back and equal")
    if told["gaps"]:
        say(f"note: the log has {told['gaps']:,} recorded gaps (see `depthscope capture info {path}`)")


def _export_events(path: Path, target: Path) -> dict[str, Any]:
    """Archive the events of a log, and note beside its ended segments that they are archived."""
    from depthscope.cli.warmup import warm_readers
    from depthscope.runtime.sources import open_source
    from depthscope.storage.retention import has_ended, mark_archived
    from depthscope.storage.segments import list_segments

    # A session may be writing to it: what is ended before we begin is all in the archive.
    paths = [segment.path for segment in list_segments(path)]
    ended = [one for one in paths if has_ended(one, followed=one != paths[-1])]
    checked = _checked(path, "verify")
    _end(path, checked)
    source = open_source(path)
    warm_readers()
    with progress("export") as advance:
        told = archive_source(source, target, advance)
    for segment in ended:
        with suppress(FileNotFoundError):  # pruned meanwhile
            mark_archived(segment, str(told.get("run", target.resolve())), followed=segment != paths[-1])
    return {**told, "gaps": len(checked.gaps)}


def _size(text: str, option: str) -> int:
    """Bytes of a size such as 50GB or 4.5GiB.

    Raises
    ------
    InputError
        When it is none.
    """
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{option} {text!r} is no size: write it like 50GB, 800MB or 4.5GiB.")
    return int(Decimal(found[1]) * UNITS[found[2].lower()])


def _seconds(text: str) -> float:
    """Seconds of an age, which may be told in days."""
    from depthscope.market.times import parse_duration

    days = DAYS.fullmatch(text.strip())
    return float(days[1]) * 86_400 if days else parse_duration(text) / 1e9


def prune(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of a capture log.")],
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="Most that is kept, such as 50GB.")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", metavar="DURATION", help="Longest it is kept, such as 30d.")
    ] = None,
    unarchived: Annotated[
        bool, typer.Option("--unarchived", help="Also what nothing says is in an archive.")
    ] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Delete the oldest segments of a capture log, by size and age.

    Only segments that have ended go, oldest first, each written down in retention.jsonl before it does.
    Segments whose events `capture export` has not archived are kept unless --unarchived says otherwise.

    \b
    Examples:
      depthscope capture prune recordings --max-size 50GB --dry-run
      depthscope capture prune recordings --max-age 30d --unarchived
    """
    from depthscope.storage.retention import Retention, retain, surplus
    from depthscope.storage.segments import list_segments

    if max_size is None and max_age is None:
        raise InputError("Say how much is kept: --max-size, --max-age or both.")
    policy = Retention(
        max_bytes=None if max_size is None else _size(max_size, "--max-size"),
        max_age_seconds=None if max_age is None else _seconds(max_age),
        unarchived=unarchived,
    )
    segments, now = list_segments(path), time.time_ns()
    gone, kept = surplus(segments, policy, now) if dry else retain(path, policy, now)
    if json:
        print_json([asdict(one) for one in gone])
        return
    for one in gone:
        typer.echo(f"{one.segment}  {one.size:,} bytes  {one.reason}")
    what = "would be deleted" if dry else "deleted"
    say(f"{len(gone)} of {len(segments)} segments {what}, {sum(one.size for one in gone):,} bytes")
    if kept:
        say(f"note: {kept}")


def group(debug: Debug = False) -> None:
    r"""Look after the capture log of a live session.

    \b
    Examples:
      depthscope capture verify recordings/btcusdt
      depthscope capture export recordings/btcusdt --out btcusdt.gz
    """


capture = typer.Typer(
    name="capture", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
capture.callback(help=help_of(group))(group)
for _command in (verify, repair, export, info, prune):
    capture.command(help=help_of(_command))(_command)
