"""Doctor: checks what a session needs, and says what to do about what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from depthscope.ops.redact import printable, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["SCHEMA", "Check", "Outcome", "examine", "report"]

SCHEMA: Final = 1

Outcome = Literal["ok", "warn", "fail", "skip"]
_RANK: Final = {"ok": 0, "skip": 0, "warn": 1, "fail": 2}


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one check found.

    Attributes
    ----------
    name : str
        What was looked at.
    status : str
        ok, warn (it works, but not as it should), fail, or skip (it was not looked at).
    finding : str
        What was found.
    advice : str
        What to do; empty where there is nothing.
    """

    name: str
    status: Outcome
    finding: str
    advice: str = ""


def examine(checks: Iterable[tuple[str, Callable[[], Iterable[Check]]]]) -> Iterator[Check]:
    """Run checks one after the other; one that breaks is a finding, not an end.

    Parameters
    ----------
    checks : iterable of (str, callable)
        Name, and what gives its findings.

    Yields
    ------
    Check
        Without secrets and control characters.
    """
    for name, check in checks:
        try:
            found = list(check())
        except Exception as error:  # noqa: BLE001 - the doctor must be able to speak of anything
            found = [
                Check(
                    name,
                    "fail",
                    f"The check itself failed: {type(error).__name__}: {error}",
                    "Report this with the whole output of `depthscope doctor --json`.",
                )
            ]
        for item in found:
            finding, advice = (printable(redact_text(text)) for text in (item.finding, item.advice))
            yield msgspec.structs.replace(item, finding=finding, advice=advice)


def report(checks: Iterable[Check]) -> dict[str, Any]:
    """JSON form of what was found; its status is the worst one."""
    found = list(checks)
    worst = max((check.status for check in found), key=_RANK.__getitem__, default="ok")
    return {
        "schema": SCHEMA,
        "status": "ok" if worst == "skip" else worst,
        "checks": [msgspec.to_builtins(check) for check in found],
    }
