"""`fit` and `score` on the recorded files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from depthscope.runtime.models import load_model
from tests.cli.conftest import Outcome

BTC = "binance/btcusdt_20240808.gz"
ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
Command = Callable[..., Outcome]


def test_the_commands(data_dir: Path, tmp_path: Path, command: Command) -> None:
    model, report = tmp_path / "es.json", tmp_path / "es.html"
    done = command("fit", data_dir / ES, "--horizon", "10s", "--out", model)
    assert done.code == 0, done.err
    assert "too few independent labels" in done.err
    fitted = load_model(model)
    assert not fitted.calibrated
    assert fitted.provenance["data"][0]["name"] == Path(ES).name
    assert len(fitted.provenance["data"][0]["sha256"]) == 64
    assert str(data_dir) not in model.read_text()
    done = command("score", data_dir / ES, "--model", model, "--report", report, "--json")
    assert done.code == 0, done.err
    card = done.document["cards"][0]
    assert card["symbol"] == "ESH4"
    assert card["judged"] > 25_000
    assert {c["name"] for c in card["contenders"]} >= {"fitted here", "always neutral", "shuffled"}
    assert "<svg" in report.read_text()


def test_too_little_to_fit_leaves_no_file(data_dir: Path, tmp_path: Path, command: Command) -> None:
    done = command("fit", data_dir / BTC, "--horizon", "10s", "--out", tmp_path / "m.json")
    assert done.code == 2
    assert "at least 50" in done.err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_the_card_in_the_terminal(data_dir: Path, command: Command) -> None:
    done = command("score", data_dir / BTC, "--model", "1s")
    assert done.code == 0, done.err
    for words in ("BTCUSDT", "uncalibrated", "always neutral", "log-loss", "calls", "before fees"):
        assert words in done.out
    assert "…" not in done.out, "no figure is cut"


def test_bad_names(data_dir: Path, tmp_path: Path, command: Command) -> None:
    for arguments, says in (
        (("score", data_dir / BTC, "--model", "nowhere.json"), "cannot be read"),
        (("score", data_dir / BTC, "--report", tmp_path / "r.pdf"), "ends in .html"),
        (("score", data_dir / BTC, "--report", tmp_path), "is a folder"),
        (("fit", data_dir / BTC, "--out", tmp_path / "m.txt"), "ends in .json"),
        (("fit", data_dir / BTC, "--horizon", "soon", "--out", tmp_path / "m.json"), "duration"),
        (("features", data_dir / BTC, "--signal", "5s"), "cannot be read"),
    ):
        done = command(*arguments)
        assert done.code == 2
        assert says in " ".join(done.err.split())
        assert not list(tmp_path.glob("*.json"))


def test_a_card_says_where_its_model_comes_from(command: Command, tmp_path: Path) -> None:
    market = "synthetic:seed=3,minutes=20,symbols=1"
    fitted = command("fit", market, "--horizon", "1s", "--out", "m.json")
    assert fitted.code == 0, fitted.err
    (card,) = json.loads(command("score", market, "--model", "m.json", "--json").out)["cards"]
    assert any(
        "was fitted on" in note and "itself: these figures flatter it" in note for note in card["notes"]
    )
    assert card["data"] == [{"name": market}]
    assert card["span"][0] < card["span"][1]
    other = "synthetic:seed=3,minutes=6,symbols=2"
    cards = json.loads(command("score", other, "--model", "m.json", "--json").out)["cards"]
    notes = {card["symbol"]: card["notes"] for card in cards}
    assert len(notes) == 2
    told = [symbol for symbol, said in notes.items() if any(f"not on {symbol}" in note for note in said)]
    assert len(told) == 1, "of the one it was not fitted on"
    command("score", other, "--model", "m.json", "--report", "r.html")
    report = (tmp_path / "r.html").read_text()
    assert "Where it comes from" in report
    assert other in report


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("score", "--every", "1m"), "shorter than the rows are apart"),
        (("fit", "--horizon", "50ms", "--out", "m.json"), "shorter than the rows are apart"),
        (("fit", "--horizon", "10", "--out", "m.json"), "was 10ms or 10s meant"),
        (("fit", "--fee-bps", "10000", "--horizon", "1s", "--out", "m.json"), "nothing to learn"),
        (("score", "--model", "7s"), "1s, 10s, 60s"),
    ],
)
def test_what_makes_no_sense_is_refused(
    command: Command, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    done = command(options[0], "synthetic:seed=3,minutes=6,symbols=1", *options[1:])
    assert done.code == 2
    assert says in " ".join(done.err.split())
    assert not (tmp_path / "m.json").exists()
