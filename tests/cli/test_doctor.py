"""`depthscope doctor`: its table, its JSON, its exit code."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from depthscope.config import load_settings
from depthscope.ops import checks as looks
from tests.cli.conftest import Outcome
from tests.ops.venue import running

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "doctor.json").read_text(encoding="utf-8"))
Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTHSCOPE_PORT", "0")
    monkeypatch.delenv("DEPTHSCOPE_DATA", raising=False)


def checks(outcome: Outcome) -> dict[str, dict[str, Any]]:
    jsonschema.Draft202012Validator(SCHEMA).validate(outcome.document)
    return {check["name"]: check for check in outcome.document["checks"]}


def test_all_well(command: Command) -> None:
    outcome = command("doctor", "--json")
    found = checks(outcome)
    assert outcome.code == 0, found
    assert outcome.document["status"] in ("ok", "warn")
    assert found["venues"]["status"] == "skip", "nobody is contacted unless asked to"
    assert {
        "python",
        "packages",
        "settings",
        "kernel cache",
        "kernels",
        "threads",
        "clock",
        "port",
        "page",
    } < set(found)


def test_the_table(command: Command) -> None:
    outcome = command("doctor")
    assert outcome.code == 0
    for word in ("python", "kernel cache", "ok", "--venue"):
        assert word in outcome.out
    assert outcome.err == ""


def test_a_taken_port_fails_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        monkeypatch.setenv("DEPTHSCOPE_PORT", str(sock.getsockname()[1]))
        outcome = command("doctor", "--json")
        table = command("doctor")
    assert (outcome.code, outcome.document["status"]) == (1, "fail")
    assert checks(outcome)["port"]["status"] == "fail"
    assert table.code == 1 and "→ End the other program" in table.out


def test_wrong_settings_fail_it_and_the_rest_is_still_looked_at(command: Command, tmp_path: Path) -> None:
    (tmp_path / "depthscope.toml").write_text("page_hertz = 3")
    outcome = command("doctor", "--json")
    found = checks(outcome)
    assert outcome.code == 1
    assert "'page_hz'" in found["settings"]["finding"]
    assert found["page"]["status"] == "ok"


def test_settings_are_read_once(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(looks, "load_settings", lambda *given: (read.append(given), load_settings(*given))[1])
    assert command("doctor", "--json").code == 0
    assert len(read) == 1


def test_folders(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPTHSCOPE_DATA", str(tmp_path / "none"))
    outcome = command("doctor", "--json", "--recording", tmp_path)
    found = checks(outcome)
    assert found["disk: data"]["status"] == "fail"
    assert found["disk: recording"]["status"] in ("ok", "warn")


def test_a_file(command: Command, small_file: Path, tmp_path: Path) -> None:
    outcome = command("doctor", small_file, "--json")
    assert outcome.code == 0
    assert checks(outcome)["data: times"]["status"] == "ok"
    (tmp_path / "text").write_text("hello")
    outcome = command("doctor", tmp_path / "text", "--json")
    assert (outcome.code, checks(outcome)["data"]["status"]) == (1, "fail")


def test_a_venue(command: Command) -> None:
    with running() as venue:
        urls = ("--rest-url", venue.target.rest_url, "--ws-url", venue.target.ws_url)
        well = command("doctor", "--venue", "binance", *urls, "--json")
        venue.offset = 3600.0
        hour = command("doctor", "--network", *urls, "--json")
        other = command("doctor", "--venue", "binance", "--symbol", "LUNAUSDT", *urls, "--json")
    assert well.code == 0
    assert [c["status"] for n, c in checks(well).items() if n.startswith("binance")] == ["ok"] * 5
    assert (hour.code, checks(hour)["binance: clock"]["status"]) == (1, "fail")
    assert checks(other)["binance: symbols"]["status"] == "warn"


def test_a_venue_that_does_not_exist(command: Command) -> None:
    outcome = command("doctor", "--venue", "binanse")
    assert outcome.code == 2
    assert "nearest is 'binance'" in outcome.err


def test_secrets_in_what_is_given_are_not_repeated(command: Command) -> None:
    outcome = command(
        "doctor", "--venue", "binance", "--rest-url", "ftp://u:cAnArY123@h/?token=cAnArY123", "--json"
    )
    assert outcome.code == 1
    assert "cAnArY123" not in outcome.out + outcome.err
