"""Several symbols in one source: each gets the rows of its own filtered file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthscope as ds
from depthscope.engine import Engine
from tests.engine.harness import MS, run
from tests.strategies.streams import Stream, examples, streams

if TYPE_CHECKING:
    import pyarrow as pa

MARKET = "synthetic:seed=5,minutes=1,symbols=3"


def rows_of(table: pa.Table, symbol: str) -> pa.Table:
    """Rows of one symbol, with plain text columns (dictionaries differ from table to table)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pa.table(
        {
            name: column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )
    return plain.filter(pc.equal(plain["symbol"], symbol))


@pytest.mark.parametrize("every", ["1s", "event"])
def test_a_symbol_asked_for_alone_has_the_rows_it_has_among_others(every: str) -> None:
    together = ds.features(MARKET, every=every)
    symbols = together["symbol"].unique().to_pylist()
    assert len(symbols) == 3
    for symbol in symbols:
        alone = ds.features(MARKET, every=every, symbols=[symbol])
        assert alone["symbol"].unique().to_pylist() == [symbol]
        n = min(len(alone), len(rows_of(together, symbol)))
        assert n >= 58
        assert len(rows_of(together, symbol)) - n <= 1, "only the last boundary may depend on the others"
        assert rows_of(together, symbol).slice(0, n).equals(rows_of(alone, symbol).slice(0, n))


@examples(60)
@given(
    streams(instruments=(1, 5)),
    st.sampled_from(("event", 100 * MS)),
    st.booleans(),
    st.sets(st.sampled_from(("S0", "S1", "S2", "S3", "S4"))),
    st.sampled_from((None, 1, 7)),
)
def test_rows_of_chosen_symbols_are_the_rows_of_all(
    stream: Stream, every: int | str, sparse: bool, chosen: set[str], size: int | None
) -> None:
    everything = Engine(stream.resolve, every=every, sparse=sparse, keep_samples=True)
    whole = run(everything, stream.events)
    some = Engine(stream.resolve, every=every, sparse=sparse, symbols=chosen, keep_samples=True)
    table = run(some, stream.events, size)
    assert {some.symbols[k] for k in table.meta["slot"]} <= chosen
    for symbol in sorted(chosen & set(everything.symbols)):
        expected = whole.of(everything.slot(symbol))
        got = table.of(some.slot(symbol)) if symbol in some.symbols else table.of(-1)
        for rows in (expected, got):
            rows.meta["slot"] = rows.samples["slot"] = 0
        assert got.digest() == expected.digest(), symbol
