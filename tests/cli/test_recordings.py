"""The commands on real recordings: the facts every correct reader and book reproduces."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome
from tests.cli.test_commands import check

pytestmark = pytest.mark.real_data
Command = Callable[..., Outcome]

ES = "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def test_info_of_the_es_hour(command: Command, data_dir: Path) -> None:
    document = command("info", data_dir / ES, "--json").document
    check("info", document)
    assert document["actions"] == {"A": 29_216, "C": 17_999, "M": 12_233, "T": 2_973, "F": 6_371}
    assert document["records"] == 68_792
    assert document["crossed_events"] == 891
    odd = (
        "unknown_cancels",
        "unknown_modifies",
        "duplicates",
        "over_cancels",
        "off_tick",
        "gaps",
        "rejected",
    )
    assert {name: document[name] for name in odd} == dict.fromkeys(odd, 0)
    assert document["complete"] is True
    assert [i["symbol"] for i in document["instruments"]] == ["ESH4"]


def test_book_of_the_es_hour_at_its_end(command: Command, data_dir: Path) -> None:
    document = command("book", data_dir / ES, "--levels", 10_000, "--json").document
    check("book", document)
    assert (len(document["bids"]), len(document["asks"])) == (922, 565)
    assert sum(orders for side in ("bids", "asks") for _, _, orders in document[side]) == 11_217
    prices = [float(price) for price, _, _ in document["bids"]]
    assert prices == sorted(prices, reverse=True)
    assert float(document["bids"][0][0]) < float(document["asks"][0][0])


def test_book_and_features_agree(command: Command, data_dir: Path) -> None:
    at = "2023-12-25T23:30:00"
    book = command("book", data_dir / ES, "--at", at, "--levels", 1, "--json").document
    rows = csv.DictReader(
        io.StringIO(command("features", data_dir / ES, "--every", "1min", "--features", "mid").out)
    )
    (row,) = [r for r in rows if r["ts_recv"].startswith("2023-12-25 23:30:00")]
    ((bid, bid_size, _),), ((ask, ask_size, _),) = book["bids"], book["asks"]
    assert [float(row[n]) for n in ("best_bid", "best_ask", "bid_size", "ask_size")] == [
        float(bid), float(ask), bid_size, ask_size,
    ]  # fmt: skip


def test_info_of_a_binance_capture(command: Command, data_dir: Path) -> None:
    document = command("info", data_dir / "binance" / "btcusdt_20240808.gz", "--json").document
    check("info", document)
    assert document["records"] == 93_954
    assert document["gaps"] == 0
    book = command("book", data_dir / "binance" / "btcusdt_20240808.gz", "--json").document
    check("book", book)
    assert book["state"] == "LIVE"
    assert {orders for _, _, orders in book["bids"] + book["asks"]} == {None}


def test_every_file_of_the_corpus_opens_or_explains_itself(command: Command, data_dir: Path) -> None:
    paths = sorted((data_dir / "databento" / "dbn-corpus").iterdir())
    assert len(paths) == 81
    opened = 0
    for path in paths:
        done = command("info", path, "--json")
        assert "Traceback" not in done.err, path.name
        if done.code == 0:
            check("info", done.document)
            assert done.document["records"] > 0, path.name
            opened += 1
        else:
            assert done.code == 2, path.name
            assert done.err.startswith("error: "), path.name
            assert path.name in done.err.replace("\n", ""), path.name
    assert opened >= 60


def readme_transcript() -> list[tuple[list[str], str]]:
    """(arguments, output) of the commands README.md shows."""
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    console = text.partition("```console\n")[2].partition("```")[0]
    parts = [part.partition("\n") for part in console.split("$ depthscope ")[1:]]
    return [(arguments.split(), output.strip()) for arguments, _, output in parts]


@pytest.mark.parametrize("name", ["info", "book", "features"])
def test_the_readme_shows_what_is_printed(
    command: Command, data_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    ((arguments, output),) = [shown for shown in readme_transcript() if shown[0][0] == name]
    (tmp_path / Path(ES).name).symlink_to(data_dir / ES)
    done = command(*arguments)
    assert done.code == 0
    told = [line.rstrip() for line in (done.out + done.err).strip().splitlines()]
    assert told == output.splitlines()
