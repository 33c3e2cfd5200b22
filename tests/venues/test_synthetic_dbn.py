"""Synthetic markets as DBN files: the vendor's decoder reads them, our reader gives the same events."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard

from depthscope.errors import ConfigError, OutputError
from depthscope.runtime.sources import open_source
from depthscope.venues import synthetic as syn
from depthscope.venues.synthetic_dbn import write_dbn

if TYPE_CHECKING:
    from pathlib import Path

SPEC = "seed=11,minutes=2,symbols=3,inject=6"


@pytest.fixture(scope="module")
def direct() -> Any:
    return np.concatenate([chunk.copy() for chunk in syn.open_spec(SPEC).chunks()])


@pytest.mark.parametrize("name", ["market.mbo.dbn", "market.mbo.dbn.zst"])
def test_the_vendors_decoder_reads_it(tmp_path: Path, direct: Any, name: str) -> None:
    path = tmp_path / name
    written = write_dbn(path, SPEC)
    raw = path.read_bytes()
    if name.endswith(".zst"):
        raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
    decoder = dbn.DBNDecoder()
    decoder.write(raw)
    metadata, *found = decoder.decode()
    assert len(found) == len(direct) == written.events
    assert (metadata.dataset, metadata.version, str(metadata.schema)) == ("SYNTH.MBO", 3, "mbo")
    assert metadata.start == int(direct["ts_recv"][0])
    assert metadata.end > int(direct["ts_recv"][-1])
    assert {name: rows[0]["symbol"] for name, rows in metadata.mappings.items()} == {
        "SYNES": "1",
        "SYNBTC": "2",
        "SYN3": "3",
    }
    for record, event in zip(
        found[:3_000] + found[-3_000:], [*direct[:3_000], *direct[-3_000:]], strict=True
    ):
        assert isinstance(record, dbn.MBOMsg)
        for field in ("ts_event", "ts_recv", "order_id", "price", "size", "sequence", "instrument_id"):
            assert getattr(record, field) == event[field], field
        assert str(record.action) == chr(event["action"])
        assert str(record.side) == chr(event["side"])
        assert int(record.flags) == event["flags"]


def test_our_reader_gives_the_same_events_and_instruments(tmp_path: Path, direct: Any) -> None:
    path = tmp_path / "market.dbn.zst"
    write_dbn(path, SPEC)
    source = open_source(path)
    events = np.concatenate([chunk.copy() for chunk in source.chunks()])
    assert np.array_equal(events, direct)
    made = syn.open_spec(SPEC)
    for key, instrument in made.instruments.items():
        read = source.resolve(*key)
        assert (read.symbol, read.tick, read.lot, read.multiplier) == (
            instrument.symbol,
            instrument.tick,
            instrument.lot,
            instrument.multiplier,
        )


def test_truth_stands_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "market.dbn"
    seen: list[int] = []
    written = write_dbn(path, syn.parse_spec(SPEC), seen.append)
    assert seen[-1] == written.events
    assert sorted(p.name for p in tmp_path.iterdir()) == ["market.dbn", "market.dbn.truth.jsonl"]
    source = syn.open_spec(SPEC)
    for _ in source.chunks():
        pass
    truth = source.truth()
    lines = [json.loads(line) for line in written.truth.read_text().splitlines()]
    assert len(lines) == len(truth) == written.injections > 20
    for line, t in zip(lines, truth, strict=True):
        instrument = source.resolve(0, t.instrument_id)
        assert (line["kind"], line["outcome"], line["symbol"]) == (t.kind, t.outcome, t.symbol)
        assert line["price_fixed"] == t.price
        assert Decimal(line["price"]) == instrument.price(t.price)
        assert Decimal(line["size"]) == instrument.size(t.size)
        assert line["order_ids"] == list(t.order_ids)
        assert line["numbers"].keys() == t.numbers.keys()
        if "median" in t.numbers:
            assert Decimal(line["numbers"]["median"]) == instrument.size(t.numbers["median"])
        if "multiple" in t.numbers:
            assert line["numbers"]["multiple"] == t.numbers["multiple"] / 1_000
        if "far_price" in t.numbers:
            assert Decimal(line["numbers"]["far_price"]) == instrument.price(t.numbers["far_price"])


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("market.csv", SPEC, "dbn"),
        ("market.dbn", "minutes=inf", "endless"),
        ("market.dbn", "halts=1", "halts"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_dbn(tmp_path / name, spec)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_dbn(tmp_path / "nowhere" / "market.dbn", "minutes=1,symbols=1")
    assert list(tmp_path.iterdir()) == []


def test_endless_markets_can_be_cut_by_events(tmp_path: Path) -> None:
    written = write_dbn(tmp_path / "cut.dbn.zst", "minutes=inf,symbols=1,events=12345")
    assert 12_345 <= written.events < 12_800
