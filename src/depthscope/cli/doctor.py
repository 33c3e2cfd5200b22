"""`depthscope doctor`: is everything there that a session needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from depthscope.cli.common import EXIT_FAILURE, Config, Debug, Json, print_json, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from depthscope.config import Settings
    from depthscope.ops.checks_venue import Target
    from depthscope.ops.doctor import Check

    Named = tuple[str, Callable[[], Iterable[Check]]]

STYLES = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}


def doctor(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A recording or an audit log's folder to look through."),
    ] = None,
    network: Annotated[
        bool, typer.Option("--network", help="Ask every live venue too; without it, nobody is contacted.")
    ] = False,
    venue: Annotated[
        list[str] | None, typer.Option("--venue", metavar="NAME", help="Ask this live venue.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(metavar="SYMBOL", help="To ask the venue for.")] = None,
    rest_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The venue's address for requests.")
    ] = None,
    ws_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The venue's address for streams.")
    ] = None,
    recording: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where a live session is to record.")
    ] = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> None:
    r"""Check Python, packages, kernels, disks, clock, settings, port, page, and on request venues and data.

    Exit code 1 when something fails; warnings do not count.

    \b
    Examples:
      depthscope doctor
      depthscope doctor --venue binance
      depthscope doctor day.mbo.dbn.zst --json
    """
    from dataclasses import asdict

    from depthscope.ops.checks import read_settings
    from depthscope.ops.checks_venue import VENUES, target
    from depthscope.ops.doctor import examine, report

    preferences, read = read_settings(config)
    named = asdict(preferences)
    names = venue or (list(VENUES) if network else [])
    targets = [_with(target(name, named), symbol, rest_url, ws_url) for name in names]
    with progress("doctor") as advance:
        found = list(examine(_checks(file, targets, recording, preferences, read, advance)))
    document = report(found)
    if json:
        print_json(document)
    else:
        _show(found)
    if document["status"] == "fail":
        raise typer.Exit(EXIT_FAILURE)


def _with(target: Target, symbol: str | None, rest_url: str | None, ws_url: str | None) -> Target:
    """Put what the command line says into a venue's target."""
    from dataclasses import replace

    given = {"symbol": symbol, "rest_url": rest_url, "ws_url": ws_url}
    return replace(target, **{name: value for name, value in given.items() if value is not None})


def _checks(
    file: str | None,
    targets: list[Target],
    recording: Path | None,
    preferences: Settings,
    read: Check,
    advance: Callable[[float, float], None],
) -> list[Named]:
    import os

    from depthscope import venues
    from depthscope.cli.warmup import steps
    from depthscope.ops import checks, checks_data, checks_venue
    from depthscope.ops.doctor import Check

    found: list[Named] = [
        ("python", checks.check_python),
        ("packages", checks.check_packages),
        ("settings", lambda: [read]),
        ("kernels", lambda: checks.check_kernels(lambda: steps(modules=venues.KERNELS))),
        ("threads", lambda: checks.check_threads(preferences.threads)),
        ("clock", checks.check_clock),
        ("port", lambda: checks.check_port(preferences.port)),
        ("page", checks.check_assets),
        ("disk: working folder", lambda: checks.check_folder("working folder", Path.cwd())),
    ]
    data = os.environ.get("DEPTHSCOPE_DATA")
    if data:
        found.append(
            (
                "disk: data",
                lambda: checks.check_folder("data", Path(data), write=False, hint="Set DEPTHSCOPE_DATA."),
            )
        )
    if recording is not None:
        found.append(("disk: recording", lambda: checks.check_folder("recording", recording)))
    found.extend(
        (target.name, lambda target=target: checks_venue.check_venue(target))  # type: ignore[misc]
        for target in targets
    )
    if not targets:
        known = ", ".join(checks_venue.VENUES)
        found.append(
            ("venues", lambda: [Check("venues", "skip", f"Not asked: name one with --venue ({known}).")])
        )
    if file is not None:
        audit = checks_data.is_audit(file)
        found.append((
            "data",
            lambda: checks_data.check_audit(file) if audit else checks_data.check_data(file, advance),
        ))  # fmt: skip
    return found


def _show(found: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("check", "", "finding and what to do"):
        table.add_column(title, overflow="fold")
    for check in found:
        text = Text(check.finding)
        if check.advice:
            text.append(f"\n→ {check.advice}", "bold" if check.status == "fail" else "")
        table.add_row(check.name, Text(check.status, STYLES[check.status]), text)
    console = Console(highlight=False)
    Console(highlight=False, width=max(console.width, 100)).print(table)
