"""Logs of the commands that serve a page: their settings, and errors that steer no terminal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from depthscope.cli import common, replay
from depthscope.runtime.session import Session
from depthscope.web.app import Address
from tests.cli.conftest import Outcome

Command = Callable[..., Outcome]


def test_a_level_that_is_none(command: Command, small_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTHSCOPE_LOG_LEVEL", "verbose")
    outcome = command("replay", small_file, "--no-open", "--port", 0)
    assert outcome.code == 2
    assert "use one of debug, info, warning, error, critical" in " ".join(outcome.err.split())


def test_what_goes_wrong_is_in_the_log_file(
    command: Command, small_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    monkeypatch.setenv("DEPTHSCOPE_LOG_FILE", str(path))

    def fail(*_: object) -> bool:
        raise RuntimeError("https://h/?token=cAnArY7f3kd92kQ")

    def watch(address: Address) -> None:
        def wait() -> None:
            bearer = {"Authorization": f"Bearer {address.token}"}
            for _ in range(600):
                if httpx.get(f"{address.url}api/v1/health", headers=bearer).json()["status"] == "failed":
                    break
            address.stop()

        threading.Thread(target=wait).start()

    monkeypatch.setattr(Session, "step", fail)
    monkeypatch.setattr(replay, "announce", watch)
    outcome = command("replay", small_file, "--no-open", "--port", 0)
    assert outcome.code == 0
    (record,) = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert (record["event"], record["level"], record["logger"]) == (
        "the market stopped", "error", "depthscope.web",
    )  # fmt: skip
    assert "RuntimeError" in record["exception"] and "the market stopped" in outcome.err
    assert "cAnArY" not in path.read_text(encoding="utf-8") + outcome.err + outcome.out


def test_an_error_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    common.say_error("There is no file \x1b[2Jx?token=cAnArY7f3kd92kQ")
    said = capsys.readouterr().err
    assert "\x1b" not in said and "cAnArY" not in said
