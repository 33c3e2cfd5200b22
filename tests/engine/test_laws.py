"""The laws: chunking does not matter, nothing knows the future, a snapshot is everything."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthscope.book import groups
from depthscope.book.state import C_FLUSHES
from depthscope.engine import Batch, Engine
from depthscope.errors import InputError
from depthscope.features import driver
from depthscope.market import events as ev
from depthscope.market.instruments import Instrument
from depthscope.market.layouts import SAMPLE
from depthscope.runtime.models import default_model
from tests.engine.harness import MS, Hashes, Table, buffered, collect, digest, run
from tests.reference.dbn import read_mbo
from tests.strategies.streams import CAPABILITIES, MBO, Stream, examples, seeded_stream, streams

ROOT = Path(__file__).resolve().parents[2]
GRIDS = ("event", 100 * MS)
CHUNKS = (1, 7, 4_096, 65_536, None)


def engine(stream: Stream, every: int | str, **options: bool) -> Engine:
    """Make an engine with everything on."""
    model = default_model("1s")
    return Engine(
        stream.resolve, every=every, detectors=None, signal=lambda _: model, keep_samples=True, **options
    )


def prefix(part: Table, whole: Table) -> None:
    """Assert that `part` is the beginning of `whole`, byte for byte."""
    n = len(part)
    assert n <= len(whole)
    rows = np.arange(len(whole)) < n
    assert part.where(rows[:n]).digest() == whole.where(rows).digest()
    assert part.detections.tobytes() == whole.detections[: len(part.detections)].tobytes()


def by_symbol(table: Table, made: Engine) -> dict[str, Table]:
    """Rows of each symbol."""
    return {symbol: table.of(slot) for slot, symbol in enumerate(made.symbols)}


@examples(60)
@given(streams(), st.sampled_from(GRIDS), st.lists(st.integers(1, 40), max_size=12), st.booleans())
def test_any_split_of_a_stream_gives_the_same_bytes(
    stream: Stream, every: int | str, sizes: list[int], sparse: bool
) -> None:
    whole = run(engine(stream, every, sparse=sparse), stream.events).digest()
    assert run(engine(stream, every, sparse=sparse), stream.events, 1).digest() == whole
    cut = engine(stream, every, sparse=sparse)
    pieces = buffered(stream.events, [*sizes, len(stream)])
    table = collect([*(cut.process(piece) for piece in pieces), cut.finish()])
    assert table.digest() == whole


@pytest.mark.parametrize("every", GRIDS)
def test_chunk_sizes_on_a_long_stream(every: int | str) -> None:
    stream = seeded_stream(1, 12_000, 5, clean=False)
    assert len({digest(engine(stream, every), stream.events, size) for size in CHUNKS}) == 1


@pytest.mark.parametrize("every", GRIDS)
def test_it_does_not_matter_in_what_memory_events_lie(every: int | str) -> None:
    stream = seeded_stream(3, 3_000, 3, clean=True)
    raw = stream.events.tobytes()
    read_only = np.frombuffer(raw, ev.EVENT)
    odd_address = np.frombuffer(b"\0" + raw, ev.EVENT, offset=1)
    with_gaps = np.repeat(stream.events, 2)[::2]
    assert odd_address.ctypes.data % 8 and not (read_only.flags.writeable or with_gaps.flags.contiguous)
    tables = (stream.events, read_only, odd_address, with_gaps)
    assert len({digest(engine(stream, every), events, size) for events in tables for size in (7, None)}) == 1


def test_only_a_row_of_events_is_taken() -> None:
    stream = seeded_stream(3, 100, 1, clean=True)
    made = engine(stream, "event")
    made.process(stream.events[:50])
    for wrong in (stream.events[50:].reshape(2, -1), stream.events[50:].view(np.int64)):
        with pytest.raises(InputError, match="EVENT records"):
            made.process(wrong)


@pytest.mark.real_data
@pytest.mark.parametrize("every", GRIDS)
def test_chunk_sizes_on_the_es_recording(every: int | str, data_dir: Path) -> None:
    events = read_mbo(data_dir / "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst")
    stream = Stream(events, {(1, 17077): es_instrument()})
    assert len({digest(engine(stream, every), events, size) for size in CHUNKS}) == 1


def es_instrument() -> Instrument:
    """ES March 2024."""
    return Instrument("GLBX.MDP3", "ESH4", 250_000_000, capabilities=CAPABILITIES[MBO])


def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    digests = {digest_of_a_long_stream()}
    for seed in ("1", "4242"):
        command = [
            sys.executable,
            "-c",
            "from tests.engine import test_laws as t; print(t.digest_of_a_long_stream())",
        ]
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        }
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def digest_of_a_long_stream() -> str:
    """Run in this process and in others."""
    stream = seeded_stream(2, 3_000, 5, clean=False)
    return digest(engine(stream, 100 * MS), stream.events, 1_000)


@examples(60)
@given(streams(), st.sampled_from(GRIDS), st.integers(0, 260))
def test_rows_do_not_change_when_later_events_are_cut(stream: Stream, every: int | str, at: int) -> None:
    whole = run(engine(stream, every), stream.events)
    prefix(collect([engine(stream, every).process(stream.events[:at])]), whole)


@examples(40)
@given(streams(clean=True), st.sampled_from(GRIDS), st.integers(0, 260))
def test_a_stream_that_ends_early_has_the_first_rows_of_the_longer_one(
    stream: Stream, every: int | str, at: int
) -> None:
    prefix(run(engine(stream, every), stream.events[:at]), run(engine(stream, every), stream.events))


@examples(60)
@given(streams(), st.sampled_from(GRIDS), st.integers(0, 260), st.booleans())
def test_a_snapshot_is_everything(stream: Stream, every: int | str, at: int, sparse: bool) -> None:
    first, rest = stream.events[:at], stream.events[at:]
    one = engine(stream, every, sparse=sparse)
    one.process(first)
    kept = one.snapshot()
    expected = run(one, rest).digest()
    one.restore(kept)
    assert run(one, rest, 3).digest() == expected, "the engine it was taken from"
    fresh = engine(stream, every, sparse=sparse)
    fresh.restore(kept)
    assert run(fresh, rest, 5).digest() == expected, "an engine that has seen nothing"
    busy = engine(stream, every, sparse=sparse)
    busy.process(rest)
    busy.restore(kept)
    assert run(busy, rest).digest() == expected, "an engine that has seen something else"


@examples(60)
@given(streams(instruments=(2, 5), clean=True, interleave=True), st.sampled_from(GRIDS), st.booleans())
def test_each_symbol_has_the_rows_of_its_own_filtered_file(
    stream: Stream, every: int | str, sparse: bool
) -> None:
    made = engine(stream, every, sparse=sparse)
    tables = by_symbol(run(made, stream.events), made)
    for key, instrument in stream.instruments.items():
        events = stream.only(key).events
        alone = run(engine(stream.only(key), every, sparse=sparse), events)
        together = tables.get(instrument.symbol)
        if together is None:
            assert not len(alone)
            continue
        # The longer file may go on: over the time both cover, the rows are the same.
        assert len(alone) <= len(together)
        end = alone.meta["ts"].max() if len(alone) else 0
        if every != "event":
            # What is said of its last events comes behind its last row, and is said of both files.
            last = events["ts_recv"].max() if len(events) else 0
            said = together.detections[together.detections["ts"] <= last]
            together = replace(together.where(together.meta["ts"] <= end), detections=said)
        for table in (alone, together):
            table.meta["slot"] = 0
            table.samples["slot"] = table.detections["slot"] = 0
        if len(alone):  # an empty file knows no columns
            assert together.digest() == alone.digest()


@examples(40)
@given(streams())
def test_sparse_rows_are_the_dense_rows_that_changed(stream: Stream) -> None:
    dense = run(engine(stream, 100 * MS), stream.events)
    sparse = run(engine(stream, 100 * MS, sparse=True), stream.events)
    # Detectors may say more on dense rows: some things are brought about by time alone.
    changed = dense.where(dense.meta["changed"] == 1)
    assert changed.digest() == sparse.where(sparse.meta["changed"] == 1).digest()
    assert len(changed) == len(sparse)


@examples(40)
@given(streams(events=(1, 200)))
def test_dense_rows_leave_no_boundary_out(stream: Stream) -> None:
    made = engine(stream, 100 * MS)
    table = run(made, stream.events)
    end = max([made.clock, 0]) // (100 * MS) * (100 * MS)
    for rows in by_symbol(table, made).values():
        times = rows.meta["ts"].tolist()
        assert all(b - a == 100 * MS for a, b in pairwise(times))
        assert not times or times[-1] == end
    assert table.meta["ts"].tolist() == sorted(table.meta["ts"].tolist())


@examples(40)
@given(streams(), st.sampled_from(GRIDS), st.sampled_from((1, 9, 1_000)))
def test_frames_show_the_book_of_their_boundary(stream: Stream, every: int | str, size: int) -> None:
    """Pausing at boundaries gives the same rows, and the books are then as of the boundary."""
    paused = engine(stream, every)
    seen = []
    for at in range(0, len(stream), size):
        for batch in paused.frames(stream.events[at : at + size]):
            seen.append(check_frame(paused, batch))
    seen += [check_frame(paused, batch) for batch in paused.finish_frames()]
    whole = run(engine(stream, every), stream.events)
    assert (collect(seen).digest() if seen else Hashes().digest()) == whole.digest()


def check_frame(made: Engine, batch: Batch) -> Batch:
    """Compare a frame's rows with the engine's books."""
    assert len(set(batch.meta["ts"].tolist())) <= 1, "one boundary a frame"
    assert batch.samples is not None
    for row in batch.samples:
        book = made.book(int(row["slot"]))
        for side in ("bid", "ask"):
            prices, sizes, orders = book.raw(side, 20)
            n = int(row[f"n_{side}"])
            assert row[f"{side}_price"][:n].tolist() == prices.tolist()
            assert row[f"{side}_size"][:n].tolist() == sizes.tolist()
            assert row[f"{side}_orders"][:n].tolist() == orders.tolist()
        assert book.ts == row["ts_recv"]
    return batch


# ── worked cases ──────────────────────────────────────────────────────────────────────────


def adds(*times: int, flags: tuple[int, ...] | None = None, instrument_id: int = 1) -> ev.Events:
    """Bids of one lot, one more tick each, received at `times`."""
    out = ev.empty_events(len(times))
    out["ts_recv"] = out["ts_event"] = times
    out["order_id"] = out["price"] = np.arange(1, len(times) + 1)
    out["size"], out["instrument_id"], out["publisher"] = 1, instrument_id, 1
    out["action"], out["side"] = ev.ADD, ev.BID
    out["flags"] = ev.LAST if flags is None else flags
    return out


def rows(events: ev.Events, every: int | str = 1_000_000) -> list[tuple[int, int, int]]:
    """(time, orders in the book, groups since the previous row) of each row."""
    instruments = {
        (1, int(i)): Instrument("test", f"S{i}", 1, capabilities=CAPABILITIES[MBO]) for i in (1, 2)
    }
    table = run(engine(Stream(events, instruments), every), events)
    return [(int(r["ts"]), int(r["bid_orders"].sum()), int(r["groups"])) for r in table.samples]


def test_a_snapshot_stamped_at_midnight_makes_no_empty_hours() -> None:
    day, hour = 1_703_462_400 * 10**9, 3_600 * 10**9
    start = day + 22 * hour
    snapshot = ev.SNAPSHOT | ev.LAST
    assert rows(adds(day, day, start, start + 2 * MS, flags=(ev.SNAPSHOT, snapshot, ev.LAST, ev.LAST))) == [
        (start + MS, 3, 3 - 1),
        (start + 2 * MS, 3, 0),
    ]
    # As the ES recording does it: the snapshot's group is closed by the first live record.
    assert rows(adds(day, start, start + MS, flags=(ev.SNAPSHOT, ev.LAST, ev.LAST))) == [(start + MS, 2, 1)]


def test_a_group_that_spans_a_boundary_lands_whole_after_it() -> None:
    assert rows(adds(10, MS - 1, MS + 1, 2 * MS, flags=(ev.LAST, 0, ev.LAST, ev.LAST))) == [
        (MS, 1, 1),
        (2 * MS, 3, 1),
    ]


def test_a_group_exactly_on_a_boundary_belongs_to_the_next_row() -> None:
    assert rows(adds(10, MS, 2 * MS)) == [(MS, 1, 1), (2 * MS, 2, 1)]


def test_time_going_back_is_clamped() -> None:
    assert rows(adds(10, MS + 5, 20, 2 * MS)) == [(MS, 1, 1), (2 * MS, 3, 2)]


def test_a_group_that_never_ends_is_dropped_and_counted_and_its_time_has_come() -> None:
    events = adds(10, 3 * MS + 1, flags=(ev.LAST, 0))
    assert rows(events) == [(MS, 1, 1), (2 * MS, 1, 0), (3 * MS, 1, 0)]
    made = engine(Stream(events, {(1, 1): Instrument("test", "S1", 1)}), MS)
    made.process(events)
    made.finish()
    assert made.incomplete_groups == 1


def test_interleaved_groups_apply_in_the_order_of_their_last_records() -> None:
    one = adds(10, 30, 50, flags=(0, 0, ev.LAST))
    two = adds(20, 40, instrument_id=2)
    mixed = np.concatenate([one, two])[[0, 3, 1, 4, 2]]
    instruments = {(1, i): Instrument("test", f"S{i}", 1, capabilities=CAPABILITIES[MBO]) for i in (1, 2)}
    made = engine(Stream(mixed, instruments), "event")
    table = run(made, mixed)
    assert made.symbols == ["S2", "S1"]
    assert [(int(r["ts"]), made.symbols[r["slot"]]) for r in table.meta] == [
        (20, "S2"),
        (40, "S2"),
        (50, "S1"),
    ]


def test_groups_that_overlap_without_end() -> None:
    """Some group is open at every moment: chunks of any size must still pass, in linear time."""
    n = 6_000
    mixed = adds(*range(n))
    mixed["instrument_id"] = 1 + np.arange(n) // 2 % 2  # 1 1 2 2 1 1 2 2 …
    mixed["flags"] = np.where(np.arange(n) % 2 == 0, ev.LAST, 0)  # closes its group, opens the next
    instruments = {(1, i): Instrument("test", f"S{i}", 1, capabilities=CAPABILITIES[MBO]) for i in (1, 2)}
    stream = Stream(mixed, instruments)
    whole = digest(engine(stream, "event"), mixed)
    for size in (3, 999, 4_000):
        assert digest(engine(stream, "event"), mixed, size) == whole


def test_no_events_no_rows() -> None:
    assert rows(adds()) == []


def test_a_twin_row_has_the_same_book() -> None:
    """Features copy what they computed of a row's twin."""
    stream = seeded_stream(3, 6_000, 3, clean=False)
    fast = engine(stream, 20 * MS)
    book = [name for name in SAMPLE.names or () if name.startswith(("slot", "bid_", "ask_", "n_"))]
    copies = drains = 0
    for first in range(0, len(stream.events), 200):
        samples = fast.process(stream.events[first : first + 200]).samples
        drains, before = int(fast._books.context[C_FLUSHES]), drains
        if (
            samples is None or drains > before + 1
        ):  # several buffers in one: `twin` counts from each one's start
            continue
        for k, row in enumerate(samples):
            assert row["twin"] <= k
            copies += int(row["twin"] < k)
            for name in book:
                assert np.array_equal(row[name], samples[row["twin"]][name])
    assert copies > 100


def test_events_that_must_not_be_written_to_take_the_same_kernels() -> None:
    """A mapped file's have a type of their own, which would be compiled for once more: half a minute."""
    stream = seeded_stream(5, 2_000)
    events = stream.events.copy()
    events.setflags(write=False)
    rows, same = (engine(stream, 100 * MS).process(given) for given in (events, stream.events))
    assert len(rows) > 100
    assert rows.values.tobytes() == same.values.tobytes()
    complete, rest = groups.regroup(events)
    assert len(complete) + len(rest) == len(events)
    assert [len(kernel.signatures) for kernel in (driver.step, groups._order)] == [1, 1]
