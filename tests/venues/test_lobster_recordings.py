"""The LOBSTER samples give the facts known of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthscope.market import events as ev
from depthscope.market.source import SourceOptions
from depthscope.venues import lobster
from tests.venues.dict_book import DictBook, all_events, groups

pytestmark = pytest.mark.real_data

AMZN = "LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
EMPTY = 9_999_999_999
FIXED = 100_000
Side = dict[int, int]


def sides(row: str) -> tuple[Side, Side]:
    """Bids and asks of a book row: price -> shares."""
    cells = [int(cell) for cell in row.split(",")]
    asks = {cells[k]: cells[k + 1] for k in range(0, len(cells), 4) if cells[k] != EMPTY}
    bids = {cells[k + 2]: cells[k + 3] for k in range(0, len(cells), 4) if cells[k + 2] != -EMPTY}
    return bids, asks


def pair_of(archive: Path) -> Iterator[tuple[list[int], str]]:
    """(type, id, shares, price, direction), book row."""
    with zipfile.ZipFile(archive) as opened:
        names = {kind: next(n for n in opened.namelist() if kind in n) for kind in ("message", "orderbook")}
        with opened.open(names["message"]) as messages, opened.open(names["orderbook"]) as books:
            for message, row in zip(io.TextIOWrapper(messages), io.TextIOWrapper(books), strict=True):
                yield [int(v) for v in message.split(",")[1:]], row.strip()


def top(side: Side, n: int, *, bid: bool) -> list[tuple[int, int]]:
    return sorted(side.items(), reverse=bid)[:n]


def test_amzn_one_step_from_each_row(data_dir: Path) -> None:
    """Row k - 1 and message k make row k: the file itself, without the reader."""
    rows = exact = 0
    before: tuple[Side, Side] | None = None
    for (kind, _, shares, price, direction), row in pair_of(data_dir / "lobster" / AMZN):
        after = sides(row)
        rows += 1
        if before is not None:
            side = before[0 if direction == 1 else 1]
            if kind <= 4:
                side[price] = side.get(price, 0) + (shares if kind == 1 else -shares)
                if side[price] <= 0:
                    del side[price]
            exact += all(top(before[k], 4, bid=k == 0) == top(after[k], 4, bid=k == 0) for k in (0, 1))
        before = after
    assert (rows, exact) == (155_935, 155_934)


def test_amzn_levels_after_every_message(data_dir: Path) -> None:
    source = lobster.open_file(data_dir / "lobster" / AMZN, SourceOptions())
    found = groups(all_events(source))
    book = DictBook()
    snapshot = next(found)
    for event in snapshot:
        book.apply(event)
    assert snapshot[0]["ts_recv"] == 1_340_285_400_017_459_617
    trades = 0
    for group, (message, row) in zip(found, pair_of(data_dir / "lobster" / AMZN), strict=True):
        for event in group:
            book.apply(event)
        bids, asks = sides(row)
        assert {p // FIXED: q for p, q in book.bids.items()} == bids
        assert {p // FIXED: q for p, q in book.asks.items()} == asks
        letters = "".join(chr(e["action"]) for e in group)
        assert letters.startswith({4: "TF", 5: "T"}.get(message[0], ""))
        trades += "T" in letters
    assert trades == 8_974 + 2_445
    assert source.info.records == 155_935
    assert source.info.notes["rows explained by their message"] == "155,935 of 155,935"
    assert source.info.warnings == []


@pytest.mark.parametrize("mode", lobster.MODES)
def test_aapl_full_replay(data_dir: Path, mode: str) -> None:
    folder = data_dir / "lobster"
    path = folder / "AAPL_2012-06-21_message_50.csv"
    source = lobster.open_file(path, SourceOptions(extra={"lobster_mode": mode}))
    rows = (folder / "AAPL_2012-06-21_orderbook_50.csv").read_text(encoding="ascii").splitlines()
    orders: dict[int, list[int]] = {}
    book = DictBook()
    exact = {1: 0, 5: 0, 10: 0, 50: 0}
    found = groups(all_events(source))
    for number, group in enumerate(found):
        for e in group:
            book.apply(e)
            if e["action"] == ev.ADD:
                orders[e["order_id"]] = [e["side"], e["price"], e["size"]]
            elif e["action"] == ev.CANCEL:
                orders[e["order_id"]][2] -= e["size"]
                if orders[e["order_id"]][2] == 0:
                    del orders[e["order_id"]]
        if number == 0:
            continue
        if mode == "messages":
            book = DictBook()
            for side, price, size in orders.values():
                levels = book.bids if side == ev.BID else book.asks
                levels[price] = levels.get(price, 0) + size
        bids, asks = sides(rows[number - 1])
        mine = [{p // FIXED: q for p, q in side.items()} for side in (book.bids, book.asks)]
        for depth in exact:
            exact[depth] += top(mine[0], depth, bid=True) == top(bids, depth, bid=True) and top(
                mine[1], depth, bid=False
            ) == top(asks, depth, bid=False)
    assert number == len(rows) == 672
    assert (exact[1], exact[5], exact[10]) == (672, 672, 672)
    if mode == "book":
        assert exact[50] == 672
        assert source.info.notes["rows explained by their message"] == "672 of 672"
    else:
        assert source.info.notes["messages about unknown orders"] == "0 of 672"
