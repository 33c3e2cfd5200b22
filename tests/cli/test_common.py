"""Times, increments, names and JSON as the commands read and write them."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.cli import common
from depthscope.cli.record import _line
from depthscope.cli.replay import speed_of
from depthscope.errors import InputError
from depthscope.market.times import format_time


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("1703545200000000001", 1703545200000000001),
        ("2023-12-25", 1703462400 * 10**9),
        ("2023-12-25T23:00", 1703545200 * 10**9),
        ("2023-12-25 23:00:00", 1703545200 * 10**9),
        ("2023-12-25T23:00:00Z", 1703545200 * 10**9),
        ("2023-12-25T18:00:00-05:00", 1703545200 * 10**9),
        ("2023-12-25T18:00:00-0500", 1703545200 * 10**9),
        ("2023-12-25T23:00:00.000000001", 1703545200 * 10**9 + 1),
        ("2023-12-25T23:00:00.25Z", 1703545200 * 10**9 + 250_000_000),
        (" 1970-01-01T00:00:00.5 ", 500_000_000),
    ],
)
def test_times(text: str, ns: int) -> None:
    assert common.moment(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", "now", "end", "23:00", "2023-13-01", "2023-12-25T25:00",
     "9223372036854775808", "-5", "1969-12-31", "1e9", "2023-12-25T23:00:00+99:00", "1703545200.5"],
)  # fmt: skip
def test_no_times(text: str) -> None:
    with pytest.raises(InputError, match=r"--at .* is not a time"):
        common.moment(text)


@given(st.integers(0, 2**63 - 1))
def test_a_printed_time_is_read_back(ns: int) -> None:
    assert common.moment(format_time(ns)) == ns


@pytest.mark.parametrize(
    ("text", "fixed"),
    [("0.25", 250_000_000), ("1", 10**9), ("0.000000001", 1), ("1e-3", 10**6), (None, None)],
)
def test_increments(text: str | None, fixed: int | None) -> None:
    assert common.increment(text, "--tick") == fixed


@pytest.mark.parametrize("text", ["0", "-0.25", "abc", "", "nan", "inf", "0.0000000001", "1_0"])
def test_no_increments(text: str) -> None:
    with pytest.raises(InputError, match="--tick"):
        common.increment(text, "--tick")


@pytest.mark.parametrize(
    ("text", "speed"),
    [("1", 1.0), ("0.1", 0.1), ("1000", 1000.0), ("max", float("inf")), (" MAX ", float("inf"))],
)
def test_speeds(text: str, speed: float) -> None:
    assert speed_of(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "inf", "1001", ""])
def test_no_speeds(text: str) -> None:
    with pytest.raises(InputError, match="--speed"):
        speed_of(text)


def test_json_keeps_every_digit() -> None:
    text = common.to_json({"size": Decimal("12345678901234567.123456789"), "ts": 2**62 + 1, "none": None})
    assert text == '{"size":12345678901234567.123456789,"ts":4611686018427387905,"none":null}'
    assert json.loads(text, parse_float=Decimal)["size"] == Decimal("12345678901234567.123456789")


def test_progress_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with common.progress("reading") as advance:
        advance(1, 2)
        advance(1, 0)
    assert capsys.readouterr() == ("", "")


def test_errors_are_one_paragraph(capsys: pytest.CaptureFixture[str]) -> None:
    common.say_error("What happened. " * 20)
    text = capsys.readouterr().err
    assert text.startswith("error: What happened.")
    assert "\n\n" not in text
    assert max(map(len, text.splitlines())) <= 96


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_others_say_does_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue's error, a symbol of a file: they may hold the codes that clear a screen or set a title."""
    said = "refused: \x1b]0;owned\x07\x1b[2J"
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    common.say(said)
    with _line() as tell:
        tell(said)
    assert screen.getvalue().count(r"\x1b]0;owned\x07\x1b[2J") >= 2
    assert "\x1b]0" not in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
