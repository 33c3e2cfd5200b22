"""Logs: people and machines, levels, repeats, rotation, failures, and what libraries say."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from depthscope.errors import ConfigError, OutputError
from depthscope.ops.logs import Logs, log_part, setup_logging
from depthscope.ops.redact import HIDDEN

CANARY = "cAnArY7f3kd92kQ"


class Desk:
    """A set-up with a console and a file to look at."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.now = 0.0
        self.path, self.console = folder / "log" / "depthscope.jsonl", io.StringIO()
        self.logs = setup_logging(
            file=self.path, console=self.console, clock=lambda: self.now, **({"level": "debug"} | options)
        )
        self.log = structlog.get_logger("depthscope.test")

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.logs.close()


def test_a_record_for_people_and_one_for_machines(desk: Desk) -> None:
    desk.log.warning("book is stale", symbol="BTCUSDT", gap=3, nan=float("nan"))
    (record,) = desk.records
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "book is stale", "symbol": "BTCUSDT", "gap": 3, "nan": None,
        "level": "warning", "logger": "depthscope.test",
    }  # fmt: skip
    line = desk.console.getvalue()
    assert "book is stale" in line and "symbol=BTCUSDT" in line and "\x1b" not in line


def test_what_libraries_say_goes_the_same_way(desk: Desk) -> None:
    logging.getLogger("httpx").info("GET %s", "x")  # only from warnings on
    logging.getLogger("websockets.client").error("lost %s: signature=%s", "it", CANARY)
    logging.getLogger("depthscope.web").info("ours at %s", "info")
    assert [(r["logger"], r["event"]) for r in desk.records] == [
        ("websockets.client", f"lost it: signature={HIDDEN}"), ("depthscope.web", "ours at info"),
    ]  # fmt: skip


def test_the_level_holds_back_what_is_below(tmp_path: Path) -> None:
    desk = Desk(tmp_path, level="error")
    desk.log.warning("a")
    desk.log.error("b")
    logging.getLogger("other").warning("c")
    desk.logs.close()
    assert [r["event"] for r in desk.records] == ["b"]


def test_a_level_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="nearest is warning"):
        setup_logging("warnign")


def test_exceptions_are_told_with_their_trace_and_without_secrets(desk: Desk) -> None:
    def call(token: str) -> None:
        try:
            raise ValueError(f"https://h/?token={token}")
        except ValueError as error:
            raise RuntimeError({"apiKey": token}) from error

    try:
        call(CANARY)
    except RuntimeError:
        desk.log.exception("request failed")
        logging.getLogger("other").exception("request failed too")
    for record in desk.records:
        assert "RuntimeError" in record["exception"] and "ValueError" in record["exception"]
        assert "call(" in record["exception"]
    assert CANARY not in desk.console.getvalue() + desk.path.read_text(encoding="utf-8")
    assert desk.console.getvalue().count("\nRuntimeError: ") == 2


def test_repeats_are_counted_instead_of_shown(desk: Desk) -> None:
    for k in range(100):
        desk.log.warning("gap", k=k)
        logging.getLogger("lib").warning("slow %d", k)
    desk.log.error("gap")  # another level is another message
    assert [r["event"] for r in desk.records].count("gap") == 6
    assert sum(r["event"].startswith("slow") for r in desk.records) == 5
    desk.now = 61.0
    desk.log.warning("gap", k=100)
    assert desk.records[-1]["repeats_not_shown"] == 95
    part = desk.logs.part()
    assert part.suppressed == 190
    assert part.records == {"debug": 0, "info": 0, "warning": 201, "error": 1, "critical": 0}
    desk.logs.close()
    assert desk.records[-1]["suppressed"] == 190


def test_a_snapshot_tells_of_the_set_up_in_force(tmp_path: Path) -> None:
    before = log_part()
    with setup_logging(console=io.StringIO()):
        structlog.get_logger("depthscope.test").warning("outer")
        with setup_logging(console=io.StringIO()) as inner:
            assert log_part() == inner.part()
        told = log_part()
        assert told is not None and told.records["warning"] == 1
    assert log_part() == before


def test_repeats_are_counted_by_symbol(desk: Desk) -> None:
    for k in range(50):
        desk.log.warning("stale", symbol=f"S{k % 10}")
        logging.getLogger("depthscope.feed").warning("gap", extra={"symbol": f"S{k % 10}"})
    assert len(desk.records) == 100


def test_fields_of_pythons_own_records(desk: Desk) -> None:
    log = logging.getLogger("depthscope.feed")
    for _ in range(7):
        log.warning("book is stale", extra={"symbol": "BTCUSDT", "listenKey": CANARY})
    desk.now = 100.0
    log.warning("book is stale", extra={"symbol": "BTCUSDT", "listenKey": CANARY})
    record = desk.records[0]
    del record["timestamp"]
    assert record == {
        "event": "book is stale", "symbol": "BTCUSDT", "listenKey": HIDDEN,
        "level": "warning", "logger": "depthscope.feed",
    }  # fmt: skip
    assert desk.records[-1]["repeats_not_shown"] == 2


def test_what_a_venue_says_does_not_steer_the_terminal(desk: Desk) -> None:
    desk.log.warning("refused\x1b[2J", reply="a\nforged line\x1b]0;title\x07\x9b31m", why="größer\t→")
    line = desk.console.getvalue()
    assert line.count("\n") == 1
    assert not {"\x1b", "\x07", "\x9b"} & set(line)
    assert "größer" in line and "→" in line
    assert desk.records[0]["reply"].startswith("a\nforged")
    try:
        raise ValueError("\x1b[31m")
    except ValueError:
        desk.log.exception("failed")
    assert "\x1b" not in desk.console.getvalue() and desk.console.getvalue().count("\n") > 4


def test_what_is_critical_always_passes_and_memory_stays_bounded(desk: Desk) -> None:
    for _ in range(20):
        desk.log.critical("stop")
    assert len(desk.records) == 20
    for k in range(3_000):
        desk.log.debug(f"message {k}")
    assert len(desk.logs._repeats._keys) <= 1_024


def test_the_file_is_rotated_and_for_this_user_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path, max_bytes=2_000, backups=2, repeats=10_000)
    for k in range(200):
        desk.log.info("tick", k=k)
    desk.logs.close()
    files = sorted(desk.path.parent.iterdir())
    assert [p.name for p in files] == ["depthscope.jsonl", "depthscope.jsonl.1", "depthscope.jsonl.2"]
    assert all(p.stat().st_size <= 2_000 for p in files)
    if os.name == "posix":
        assert all(p.stat().st_mode & 0o077 == 0 for p in files)
    assert desk.records[-1]["k"] == 199


def test_a_long_text_is_cut_in_the_middle(desk: Desk) -> None:
    desk.log.info("reply", body="a" * 50_000 + "the end")
    body = desk.records[0]["body"]
    assert len(body) < 17_000 and body.endswith("the end") and "characters left out" in body


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="log_file"):
        setup_logging(file=tmp_path / "file" / "log.jsonl")
    assert not isinstance(logging.getLogger().handlers, Logs)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_record_that_cannot_be_written_is_counted_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        logs = setup_logging(console=full)
        for k in range(3):
            logging.getLogger("lib").error("x %s %s", CANARY, k)
        assert logs.part().failures == 3
        logs.close()
        full.flush = lambda: None  # type: ignore[method-assign]
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    said = capsys.readouterr().err
    assert said.count("could not be written") == 1
    assert CANARY not in said


def test_a_wrong_format_string_is_told_without_its_arguments(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", desk.logs._handlers)  # without the test runner's
    logging.getLogger("lib").error("%d bytes", CANARY)
    assert "could not be formatted" in desk.records[0]["event"]
    assert CANARY not in desk.console.getvalue()


def test_all_is_put_back_at_the_end(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    with setup_logging(console=io.StringIO()):
        assert root.handlers[:] != before[0]
        assert sys.excepthook is not before[2]
    assert (root.handlers[:], root.level, sys.excepthook, threading.excepthook) == before


UNCAUGHT = """
import sys, threading
from depthscope.ops.logs import setup_logging
setup_logging("info", sys.argv[1])
def fail():
    raise RuntimeError("https://h/?listenKey=cAnArY7f3kd92kQ")
thread = threading.Thread(target=fail, name="reader")
thread.start()
thread.join()
fail()
"""


def test_what_nobody_catches_is_logged_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    done = subprocess.run([sys.executable, "-c", UNCAUGHT, str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    text = path.read_text(encoding="utf-8")
    assert CANARY not in done.stdout + done.stderr + text
    first, second = (json.loads(line) for line in text.splitlines())
    assert (first["thread"], first["level"], second["level"]) == ("reader", "critical", "critical")
    assert "RuntimeError" in second["exception"] and "RuntimeError" in done.stderr
