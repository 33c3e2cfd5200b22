"""`simulate`: a venue as a process, and clear words where it cannot be one."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Outcome

PATIENCE = 120.0  # seconds; a machine that runs other tests beside this one is slow

Command = Callable[..., Outcome]


def ended(folder: Path, *arguments: str, use: Callable[[str], None]) -> tuple[int, str, str]:
    """Run `simulate binance`, use it once it tells its address, end it by a signal; how it ended."""
    environ = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "depthscope", "simulate", "binance", *arguments, "--port", "0"],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        stream = process.stdout if "--json" in arguments else process.stderr
        assert stream is not None
        said = ""
        for line in stream:
            said += line
            found = re.search(r"http://127\.0\.0\.1:\d+", said)
            if found:
                use(found[0])
                process.send_signal(signal.SIGINT)
                break
        said += stream.read()
        out, err = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
    told = (said + out, err) if stream is process.stdout else (out, said + err)
    return process.returncode, *told


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another process")
def test_it_serves_until_interrupted(tmp_path: Path) -> None:
    def use(url: str) -> None:
        listed = httpx.get(url + "/fapi/v1/exchangeInfo").json()["symbols"]
        assert [s["symbol"] for s in listed] == ["SYNES", "BTCUSDT"]
        told = httpx.get(url + "/sim/status").json()
        assert [f["kind"] for f in told["faults"]] == ["mute"]

    code, out, err = ended(
        tmp_path, "--symbols", "SYNES, SYNBTC=BTCUSDT", "--fault", "mute:BTCUSDT+1h", "--fault", "drop@1h",
        use=use,
    )  # fmt: skip
    assert (code, out) == (0, "")
    assert "depthscope live" in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another process")
def test_json_for_machines(tmp_path: Path) -> None:
    code, out, err = ended(
        tmp_path, "synthetic:seed=3,minutes=5", "--skip", "1m", "--json", use=lambda url: None
    )
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["symbols"] == ["SYNES", "SYNBTC", "SYN3"]
    assert told["rest"].replace("http", "ws") == told["ws"]
    assert set(told["environment"].values()) == {told["rest"], told["ws"]}
    assert told["command"] == "depthscope live SYNES SYNBTC SYN3 --venue binance"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kraken"], "no simulated venue"),
        (["binance", "nosuch.gz"], "no file"),
        (["binance", "--symbols", "NOSUCH"], "NOSUCH"),
        (["binance", "--symbols", "SYNBTC=X,SYNES=X"], "once"),
        (["binance", "--symbols", ","], "once"),
        (["binance", "--symbols", "SYNES=x@y"], "'@' would mean something else"),
        (["binance", "--symbols", "SYNES=x y"], "' ' would mean something else"),
        (["binance", "--fault", "nonsense"], "nonsense"),
        (["binance", "--fault", "drop:NOSUCH@5s"], "NOSUCH"),
        (["binance", "--speed", "fast"], "0.1 to 1000"),
        (["binance", "--speed", "5000"], "0.1 to 1000"),
        (["binance", "--skip", "yesterday"], "--skip 'yesterday' is not a duration"),
        (["binance", "--tick", "0"], "--tick"),
    ],
)
def test_what_cannot_be_simulated(command: Command, arguments: list[str], said: str) -> None:
    outcome = command("simulate", *arguments)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err


def test_a_taken_port(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = command("simulate", "binance", "--port", str(taken.getsockname()[1]))
    assert outcome.code == 2
    assert "--port" in outcome.err


@pytest.mark.real_data
def test_trades_alone_are_refused(command: Command, data_dir: Path) -> None:
    outcome = command("simulate", "binance", str(data_dir / "databento" / "esu4-trades-20240701.dbn.zst"))
    assert outcome.code == 2
    assert "no depth" in " ".join(outcome.err.split())


def test_a_damaged_recording_ends_it_with_the_reason(command: Command, small_file: Path) -> None:
    whole = small_file.read_bytes()
    small_file.write_bytes(whole[:-20])
    outcome = command("simulate", "binance", small_file, "--speed", "1000", "--port", "0")
    assert outcome.code == 2
    assert "listed: ESH4" in outcome.err
    assert "error: " in outcome.err
