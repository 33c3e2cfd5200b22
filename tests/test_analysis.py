"""One pass gives what two passes give, and the table of messages says what the messages say."""

from __future__ import annotations

import json
from dataclasses import asdict

import pyarrow as pa
import pytest

import depthscope as ds
from depthscope.detectors.messages import messages
from depthscope.runtime.sources import open_source
from depthscope.tables import detections_batch

MARKET = "synthetic:seed=5,minutes=3,symbols=2"


def test_one_pass_equals_two() -> None:
    made = list(ds.analysis_batches(MARKET, "50ms", signal="10s"))
    rows = pa.Table.from_batches([m.features for m in made]).unify_dictionaries()
    said = pa.Table.from_batches([m.detections for m in made])
    assert rows.equals(ds.features(MARKET, "50ms", signal="10s"))
    assert said.equals(ds.detections(MARKET, every="50ms"))
    assert said.num_rows > 100


def test_messages_stand_beside_the_rows_they_came_with() -> None:
    seen = 0
    for made in ds.analysis_batches(MARKET, "1s", detectors=["sweep"], features=["mid"]):
        seen += made.detections.num_rows
    assert seen == ds.detections(MARKET, every="1s", detectors=["sweep"]).num_rows > 0


def test_a_market_without_rows_still_has_its_messages() -> None:
    """A grid coarser than the market's life makes no row; what was said is not lost with them."""
    made = list(ds.analysis_batches(MARKET, "1h", detectors=["sweep"]))
    assert sum(m.features.num_rows for m in made) == 0
    assert sum(m.detections.num_rows for m in made) > 0


@pytest.mark.parametrize("market", [MARKET, "synthetic:seed=2,minutes=1,symbols=1"])
def test_the_table_says_what_messages_say(market: str) -> None:
    source = open_source(market)
    engine = ds.Engine(source.resolve, every="100ms", features=(), detectors=None)
    records = [engine.process(events).detections for events in source.chunks()]
    records.append(engine.finish().detections)
    told = 0
    for found in records:
        table = detections_batch(found, engine.slots)
        expected = [asdict(m) | {"id": m.id} for m in messages(found, engine.slots)]
        assert table.num_rows == len(expected)
        plain = pa.RecordBatch.from_arrays(
            [c.cast(pa.int64()) if pa.types.is_timestamp(c.type) else c for c in table.columns],
            names=table.schema.names,
        ).to_pylist()
        for row, message in zip(plain, expected, strict=True):
            evidence = json.loads(row.pop("evidence"))
            assert evidence == dict(message.pop("evidence"))
            assert row == {name: message[name] for name in row}
        told += len(expected)
    assert told > 20
    assert detections_batch(records[0][:0], engine.slots).num_rows == 0


def test_one_name_is_a_name_and_not_its_letters() -> None:
    small = "synthetic:seed=5,minutes=0.5,symbols=1"
    assert ds.features(small, "1s", features="mid").equals(ds.features(small, "1s", features=["mid"]))
    found = ds.detections(small, detectors="wall")
    assert found.equals(ds.detections(small, detectors=["wall"]))
