"""Each command on small files: what it prints, how it ends, and what it leaves behind."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet
import pytest
import typer

from depthscope.cli.app import app
from depthscope.research.microprice import Microprice, MicropriceTable, save
from tests.cli.conftest import SECOND, Outcome
from tests.venues.dbn_files import NOON, header, mbo, write

SCHEMAS = Path(__file__).parent / "schemas"
Command = Callable[..., Outcome]


def check(name: str, document: Any) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# -- help and endings -------------------------------------------------------------------------

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_commands() -> None:
    assert COMMANDS == [
        "book", "demo", "detections", "features", "fit", "footprint",
        "info", "liquidity", "replay", "score", "simulate", "state", "version", "warmup",
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_fits_a_terminal(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.code == 0
    assert f"\n    depthscope {name}" in done.out
    assert "\\b" not in done.out
    assert "--debug" in done.out
    assert max(map(len, done.out.splitlines())) <= 90


def test_no_command_shows_help(command: Command) -> None:
    done = command()
    assert "Usage: depthscope" in done.out + done.err
    assert done.code == 2


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["book"], ["book", "a", "b"], ["demo", "--port", "65536"], ["info", "x", "--nope"]],
)
def test_wrong_usage_is_bad_input(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_version(command: Command) -> None:
    done = command("version", "--json")
    assert done.document["depthscope"] == "0.1.0"
    assert {"python", "numpy", "numba", "pyarrow", "platform"} <= set(done.document)
    assert "depthscope     0.1.0" in command("version").out
    assert command("--version").out == "depthscope 0.1.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "_DEPTHSCOPE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "depthscope fe",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "depthscope fe",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    program = Path(sys.executable).with_name("depthscope")
    done = subprocess.run([program], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert "features" in done.stdout, done.stderr
    assert "replay" not in done.stdout


# -- book -------------------------------------------------------------------------------------


def test_book_for_machines(command: Command, small_file: Path) -> None:
    done = command("book", small_file, "--json", "--levels", 2)
    check("book", done.document)
    assert (done.code, done.err) == (0, "")
    assert done.document == {
        "symbol": "ESH4",
        "ts": NOON + 10 * SECOND,
        "state": "LIVE",
        "incomplete": False,
        "bids": [["4800.00", 1, 1], ["4799.75", 2, 1]],
        "asks": [["4801.25", 2, 1], ["4801.50", 3, 1]],
    }


def test_book_at_a_time_is_strictly_before_it(command: Command, small_file: Path) -> None:
    third = NOON + 2 * SECOND
    before = command("book", small_file, "--at", third, "--json").document
    assert (before["ts"], len(before["bids"])) == (NOON + SECOND, 2)
    after = command("book", small_file, "--at", third + 1, "--json").document
    assert (after["ts"], len(after["bids"])) == (third, 3)
    assert command("book", small_file, "--at", "2023-12-09T12:00:02Z", "--json").document == before
    late = command("book", small_file, "--at", "2024-01-01", "--json").document
    assert late == command("book", small_file, "--json").document


def test_book_before_the_first_event(command: Command, small_file: Path) -> None:
    done = command("book", small_file, "--at", NOON, "--instrument", "ESH4", "--json")
    check("book", done.document)
    assert done.document["ts"] is None
    assert done.document["symbol"] == "ESH4"
    assert "The book is empty" in command("book", small_file, "--at", NOON, "--instrument", "ESH4").out
    unnamed = command("book", small_file, "--at", NOON)
    assert unnamed.code == 2
    assert "no event up to then" in " ".join(unnamed.err.split())


def test_a_group_that_spans_the_time_is_not_in_the_book(command: Command, tmp_path: Path) -> None:
    path = write(
        tmp_path / "span.dbn",
        [
            mbo(NOON, price=10**11, order=1),
            mbo(NOON + 1, price=2 * 10**11, order=2, flags=0),
            mbo(NOON + SECOND, price=3 * 10**11, order=3),
        ],
    )
    document = command("book", path, "--at", NOON + SECOND, "--json").document
    assert [price for price, _, _ in document["bids"]] == ["100.00"]
    assert len(command("book", path, "--at", NOON + SECOND + 1, "--json").document["bids"]) == 3


def test_book_for_people(command: Command, small_file: Path) -> None:
    done = command("book", small_file, "--levels", 3)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["ESH4", "GLBX.MDP3"]
    assert "2023-12-09T12:00:10" in lines[0]
    prices = [
        word for line in lines[2:] for word in line.split() if word.startswith("48") or word.startswith("47")
    ]
    assert prices == ["4801.75", "4801.50", "4801.25", "4800.00", "4799.75", "4799.50"]
    assert "1.25" in done.out


def test_book_levels_follow_the_settings(
    command: Command, small_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPTHSCOPE_DEPTH_ROWS", "4")
    assert len(command("book", small_file, "--json").document["bids"]) == 4


def test_book_of_several_instruments(command: Command, two_instruments: Path) -> None:
    done = command("book", two_instruments)
    assert done.code == 2
    assert "2 instruments: ESH4, NQH4. Choose one with --instrument." in " ".join(done.err.split())
    for symbol in ("ESH4", "NQH4"):
        document = command("book", two_instruments, "--instrument", symbol, "--json").document
        check("book", document)
        assert document["symbol"] == symbol
    silent = command("book", two_instruments, "--instrument", "ESM4", "--json")
    assert silent.document["ts"] is None
    unknown = command("book", two_instruments, "--instrument", "ESZ4")
    assert unknown.code == 2
    assert "ESH4" in unknown.err


@pytest.mark.parametrize("at", ["yesterday", "-1", "99999999999999999999"])
def test_book_at_no_time(command: Command, small_file: Path, at: str) -> None:
    done = command("book", small_file, f"--at={at}")
    assert (done.code, done.out) == (2, "")
    assert "--at" in done.err


# -- info -------------------------------------------------------------------------------------


def test_info_for_machines(command: Command, small_file: Path) -> None:
    done = command("info", small_file, "--json")
    check("info", done.document)
    document = done.document
    assert (done.code, done.err) == (0, "")
    assert document["actions"] == {"A": 20, "C": 1, "T": 1, "F": 1}
    assert (document["records"], document["events"]) == (23, 23)
    assert (document["start"], document["end"]) == (NOON, NOON + 10 * SECOND)
    assert document["format"] == "dbn"
    (instrument,) = document["instruments"]
    assert (instrument["symbol"], instrument["tick"], instrument["lot"]) == ("ESH4", "0.25", "1")
    assert document["complete"] is True
    assert document["gaps"] == document["unknown_cancels"] == document["crossed_events"] == 0


def test_info_counts_what_is_odd(command: Command, tmp_path: Path) -> None:
    path = write(
        tmp_path / "odd.dbn",
        [
            mbo(NOON, price=10**11, order=1),
            mbo(NOON + 1, price=10**11 + 1, order=2),  # off the tick
            mbo(NOON + 2, "C", order=77, price=10**11),  # never seen
            mbo(NOON + 3, "M", order=78, price=10**11, size=3),  # never seen
            mbo(NOON + 4, "A", "A", price=10**11, order=4),  # crosses
        ],
    )
    document = command("info", path, "--json").document
    check("info", document)
    assert document["unknown_cancels"] == 1
    assert document["unknown_modifies"] == 1
    assert document["off_tick"] == 1
    assert document["crossed_events"] == 1
    assert document["complete"] is False
    text = command("info", path).out
    assert "1 unknown cancels" in text
    assert "incomplete" in text


def test_info_for_people(command: Command, two_instruments: Path) -> None:
    done = command("info", two_instruments)
    assert done.code == 0
    for words in ("ESH4", "NQH4", "12 add", "2023-12-09T12:00:00", "nothing odd", "yes"):
        assert words in done.out, words


def test_info_of_a_damaged_file(command: Command, small_file: Path) -> None:
    small_file.write_bytes(small_file.read_bytes()[:-30])
    done = command("info", small_file, "--json")
    check("info", done.document)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert done.document["records"] == 22
    assert done.document["damage"]
    assert done.document["complete"] is False


# -- features ---------------------------------------------------------------------------------


def test_features_to_a_file(command: Command, small_file: Path, tmp_path: Path) -> None:
    done = command("features", small_file, "--every", "1s", "--out", tmp_path / "t.parquet")
    assert (done.code, done.out) == (0, "")
    table = pyarrow.parquet.read_table(tmp_path / "t.parquet")
    assert table.column_names[:9] == [
        "ts_event", "ts_recv", "sequence", "symbol", "state", "best_bid", "best_ask", "bid_size", "ask_size",
    ]  # fmt: skip
    assert table["best_bid"].to_pylist()[0] == 4800.0
    assert f"{table.num_rows} rows" in done.err
    assert files(tmp_path) == {"small.mbo.dbn", "t.parquet"}


def test_features_summary_for_machines(command: Command, small_file: Path, tmp_path: Path) -> None:
    done = command(
        "features", small_file, "--every", "1s", "--features", "mid", "--out", tmp_path / "t.csv", "--json"
    )
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert done.document["path"] == str(tmp_path / "t.csv")
    assert done.document["rows"] == len(rows) > 5
    assert done.document["columns"] == list(rows[0])
    assert rows[-1]["mid"] == "4800.5"


def test_features_to_standard_output(command: Command, small_file: Path) -> None:
    done = command("features", small_file, "--every", "event", "--features", "spread")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert len(rows) == 22
    assert rows[-1]["spread"] == "1.25"
    assert done.err == ""
    lines = command(
        "features", small_file, "--every", "event", "--features", "spread", "--json"
    ).out.splitlines()
    assert len(lines) == 22
    last = json.loads(lines[-1])
    assert (last["symbol"], last["spread"], last["ts_recv"]) == ("ESH4", 1.25, NOON + 10 * SECOND)


def test_features_of_some_symbols(command: Command, two_instruments: Path) -> None:
    done = command("features", two_instruments, "--every", "1s", "--symbols", "NQH4", "--features", "mid")
    assert {row["symbol"] for row in csv.DictReader(io.StringIO(done.out))} == {"NQH4"}


def test_settings_of_features(command: Command, small_file: Path) -> None:
    def last(*more: str) -> float:
        done = command("features", small_file, "--every", "event", "--features", "weighted_imbalance", *more)
        return float(list(csv.DictReader(io.StringIO(done.out)))[-1]["weighted_imbalance"])

    sizes = {"bid": range(1, 11), "ask": range(2, 11)}

    def expected(decay: float) -> float:
        bid, ask = (sum(decay**k * q for k, q in enumerate(sizes[side])) for side in ("bid", "ask"))
        return (bid - ask) / (bid + ask)

    assert last("--set", "min_volume_threshold=0") == pytest.approx(expected(0.8))
    both = last("--set", "min_volume_threshold=0", "--set", "decay=0.5")
    assert both == pytest.approx(expected(0.5))


def test_settings_that_are_words(command: Command, small_file: Path) -> None:
    def last(*more: str) -> str:
        done = command("features", small_file, "--every", "event", "--features", "large_prints", *more)
        return list(csv.DictReader(io.StringIO(done.out)))[-1]["large_prints_1m"]

    assert last() == ""  # too few prints to judge by
    assert last("--set", "large_print_mode=notional") == "0"


def test_a_setting_that_is_a_file(command: Command, small_file: Path, tmp_path: Path) -> None:
    def last(*more: str) -> dict[str, str]:
        done = command("features", small_file, "--every", "event", "--features", "microprice", *more)
        return list(csv.DictReader(io.StringIO(done.out)))[-1]

    plain = last()
    table = MicropriceTable(plain["symbol"], ((0.0, 0.0, 0.0),), 1, 1, 0, 1, 6)
    save(Microprice((table,)), tmp_path / "table_1.json")
    fitted = last("--set", f"microprice={tmp_path / 'table_1.json'}")
    assert (plain["microprice_fitted"], fitted["microprice_fitted"]) == ("WEIGHTED_MID", "FITTED")
    middle = (float(fitted["best_bid"]) + float(fitted["best_ask"])) / 2
    assert float(fitted["microprice"]) == middle


def test_sparse_leaves_unchanged_rows_out(command: Command, small_file: Path) -> None:
    dense = command("features", small_file, "--every", "100ms", "--features", "mid").out.splitlines()
    sparse = command(
        "features", small_file, "--every", "100ms", "--features", "mid", "--sparse"
    ).out.splitlines()
    assert len(dense) > 95
    assert len(sparse) < 15


@pytest.mark.parametrize(
    "arguments",
    [
        ["--every", "often"],
        ["--every", "-1s"],
        ["--features", "midd"],
        ["--symbols", "ESZ9"],
        ["--tick", "zero"],
        ["--tick", "-0.25"],
        ["--lot", "0"],
        ["--set", "decay"],
        ["--set", "decay=much"],
        ["--set", "decay=nan"],
        ["--set", "dekay=0.5"],
        ["--set", "large_print_mode=classic"],
        ["--set", "microprice=no_such_file.json"],
        ["--out", "table.xlsx"],
        ["--out", "no/such/folder/t.csv"],
    ],
)
def test_features_of_bad_input(
    command: Command, small_file: Path, tmp_path: Path, arguments: list[str]
) -> None:
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "t.parquet")]
    done = command("features", small_file, *arguments, *out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert files(tmp_path) == {"small.mbo.dbn"}


@pytest.mark.parametrize(
    ("every", "told"),
    [
        ("often", "error: --every 'often' is not a duration"),
        ("0ms", "error: --every '0ms' is not a positive"),
        ("1ns", "error: --every '1ns' is shorter than 1us"),
        ("100", "was 100ms or 100s meant?"),
    ],
)
def test_a_wrong_grid_names_the_option(command: Command, small_file: Path, every: str, told: str) -> None:
    done = command("features", small_file, "--every", every)
    assert done.code == 2
    assert told in " ".join(done.err.split())


def test_features_of_a_damaged_file_leave_nothing(command: Command, small_file: Path, tmp_path: Path) -> None:
    small_file.write_bytes(small_file.read_bytes()[:-30])
    (tmp_path / "t.csv").write_text("what was there before")
    done = command("features", small_file, "--out", tmp_path / "t.csv")
    assert done.code == 2
    assert (tmp_path / "t.csv").read_text() == "what was there before"
    assert files(tmp_path) == {"small.mbo.dbn", "t.csv"}


# -- bad files, whatever the command ----------------------------------------------------------


def bad_file(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.dbn"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path = folder / "notes.md"
        path.write_text("# Notes\n")
    elif kind == "folder":
        path = folder / "nothing here"
        path.mkdir()
    elif kind == "header":
        path.write_bytes(header()[:20])
    elif kind == "records":
        write(path, [])
    elif kind == "tick":
        write(path, [mbo()], head=header(dataset="NONE.SUCH"))
    elif kind == "glob":
        path = folder / "*.dbn.zst"
    return path


@pytest.mark.parametrize("name", ["info", "book", "features", "replay"])
@pytest.mark.parametrize("kind", ["missing", "empty", "text", "folder", "header", "records", "glob"])
def test_bad_files(command: Command, tmp_path: Path, name: str, kind: str) -> None:
    extra = ["--no-open"] if name == "replay" else []
    done = command(name, bad_file(kind, tmp_path), *extra)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert "\n\n" not in done.err.strip()
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["book", "features"])
def test_an_unknown_tick_names_the_option(command: Command, tmp_path: Path, name: str) -> None:
    path = bad_file("tick", tmp_path)
    done = command(name, path)
    assert done.code == 2
    assert "--tick" in done.err
    assert command(name, path, "--tick", "0.5").code == 0


def test_debug_shows_the_traceback(command: Command, tmp_path: Path) -> None:
    done = command("info", tmp_path / "none.dbn", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err
    assert "SourceMissing" in done.err


def test_settings_are_checked_first(command: Command, small_file: Path, tmp_path: Path) -> None:
    (tmp_path / "depthscope.toml").write_text("depth_row = 3")
    done = command("book", small_file)
    assert done.code == 2
    assert "depth_rows" in done.err
    assert command("book", small_file, "--levels", 2).code == 0
    good = tmp_path / "good.toml"
    good.write_text("depth_rows = 3")
    assert len(command("book", small_file, "--config", good, "--json").document["asks"]) == 3


def test_warmup(command: Command) -> None:
    done = command("warmup", "--json")
    assert done.code == 0
    assert set(done.document) == {"compiled", "seconds", "cache"}
    assert command("warmup").out == ""
