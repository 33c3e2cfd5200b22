"""Symbols of DBN files, their meanings over time, and where ticks come from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import databento_dbn as dbn
import pytest

from depthscope.errors import ConfigError, UnknownInstrument, UnknownName
from depthscope.market.events import LAST
from depthscope.venues.dbn_publishers import venue_of
from tests.venues.dbn_files import DAY, NOON, header, mbo, write
from tests.venues.test_databento import LIVE, letters, mapping, opened, read


def day(n: int) -> date:
    return date(2023, 12, 9 + n)  # NOON is on the 9th


def test_symbol_asked_for_must_be_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.dbn", [mbo()])
    assert read(opened(path, symbols=frozenset({"ESH4"}))).size == 1
    with pytest.raises(UnknownName, match=r"no ESH5 \(it has ESH4\)"):
        opened(path, symbols=frozenset({"ESH5", "ESH4"}))
    live = write(tmp_path / "y.dbn", [mapping(5, "ESH4", "ESH4"), mbo()], head=header(**LIVE))
    assert read(opened(live, symbols=frozenset({"ESH4"}))).size == 1
    with pytest.raises(UnknownName, match="ESH4"):
        read(opened(live, symbols=frozenset({"ESH9"})))


def test_precedence_of_the_tick(tmp_path: Path) -> None:
    unknown = {"mappings": {"XYZ": [(date(2020, 1, 1), date(2030, 1, 1), "5")]}}
    path = write(tmp_path / "x.dbn", [mbo()], head=header(**unknown))
    with pytest.raises(UnknownInstrument, match=r"XYZ.*--tick"):
        opened(path).resolve(1, 5)
    definition = dbn.InstrumentDefMsg(
        1, 5, NOON, NOON, 20_000_000, 10**9, "XYZ", "X", "FUT", dbn.InstrumentClass.FUTURE,
        dbn.SecurityUpdateAction.ADD, min_price_increment_amount=5 * 10**8, currency="EUR",
    )  # fmt: skip
    write(tmp_path / "x.definition.dbn.zst", [definition], head=header("definition", **unknown))
    source = opened(path)
    instrument = source.resolve(1, 5)
    assert (instrument.tick, str(instrument.multiplier), instrument.currency) == (20_000_000, "25", "EUR")
    assert source.info.notes["definitions from"] == "x.definition.dbn.zst"
    inside = write(
        tmp_path / "y.dbn",
        [bytes(definition)[:24] + (3).to_bytes(8, "little") + bytes(definition)[32:], mbo()],
        head=header(**unknown),
    )
    source = opened(inside)
    read(source)
    assert source.resolve(1, 5).tick == 3, "the file's own definition wins over the one beside it"
    assert opened(inside, tick=7, lot=11).resolve(1, 5).tick == 7
    assert opened(inside, tick=7, lot=11).resolve(1, 5).lot == 11


def test_sidecar_of_another_dataset_or_damaged_is_left_out(tmp_path: Path) -> None:
    unknown = {"mappings": {"XYZ": [(date(2020, 1, 1), date(2030, 1, 1), "5")]}}
    path = write(tmp_path / "x.dbn", [mbo()], head=header(**unknown))
    definition = dbn.InstrumentDefMsg(
        1, 5, NOON, NOON, 20_000_000, 10**9, "XYZ", "X", "FUT", dbn.InstrumentClass.FUTURE,
        dbn.SecurityUpdateAction.ADD,
    )  # fmt: skip
    write(tmp_path / "a.definition.dbn", [definition], head=header("definition", dataset="XEUR.EOBI"))
    (tmp_path / "b.definition.dbn").write_bytes(header("definition")[:50])
    source = opened(path)
    with pytest.raises(UnknownInstrument):
        source.resolve(1, 5)
    assert any("left out" in warning for warning in source.info.warnings)


def test_an_id_that_changes_its_meaning_never_mixes_books(tmp_path: Path) -> None:
    """7 is AAA, then BBB; AAA goes on as 8: one id a symbol, a clear where it moves."""
    midnight = NOON + DAY // 2
    mappings = {
        "AAA": [(day(0), day(1), "7"), (day(1), day(2), "8")],
        "BBB": [(day(1), day(2), "7")],
    }
    head = header(dataset="XNAS.ITCH", mappings=mappings, start=NOON - DAY // 2, end=NOON + DAY + DAY // 2)
    records = [
        mbo(NOON, number=7, publisher=2),
        mbo(midnight - 1, number=7, publisher=2, order=2),
        mbo(midnight, number=7, publisher=2, order=3),
        mbo(midnight + 1, number=8, publisher=2, order=4),
    ]
    for chunk in (1, 16_384):
        source = opened(write(tmp_path / "x.dbn", records, head=head), chunk=chunk)
        events = read(source)
        names = [source.resolve(2, int(n)).symbol for n in events["instrument_id"]]
        assert letters(events) == "AARAA"
        assert names == ["AAA", "AAA", "AAA", "BBB", "AAA"]
        assert events["ts_recv"][2] == midnight and events["flags"][2] == LAST
        assert len({int(n) for n in events["instrument_id"]}) == 2
        assert read(source).tobytes() == events.tobytes()


def test_rolling_contract_keeps_its_name(tmp_path: Path) -> None:
    mappings = {"ES.c.0": [(day(0), day(1), "5"), (day(1), day(2), "6")]}
    head = header(mappings=mappings, stype_in="continuous", end=NOON + DAY + DAY // 2)
    records = [mbo(NOON, number=5), mbo(NOON + DAY, number=6)]
    source = opened(write(tmp_path / "x.dbn", records, head=head))
    events = read(source)
    assert letters(events) == "ARA"
    assert events["instrument_id"].tolist() == [5, 5, 5]
    assert source.resolve(1, 5).symbol == "ES.c.0"
    assert source.resolve(1, 5).tick == 250_000_000


def test_ids_asked_for_are_named_by_their_symbols(tmp_path: Path) -> None:
    head = header(
        mappings={"5": [(date(2020, 1, 1), date(2030, 1, 1), "ESH4")]},
        stype_in="instrument_id",
        stype_out="raw_symbol",
    )
    assert opened(write(tmp_path / "x.dbn", [mbo()], head=head)).resolve(1, 5).symbol == "ESH4"


def test_consolidated_publishers_are_venues_of_their_own() -> None:
    assert venue_of(1, "GLBX.MDP3") == "GLBX.MDP3"
    assert venue_of(48, "EQUS.PLUS") == "EQUS.PLUS.XCHI"
    assert venue_of(1, "") == "GLBX.MDP3"
    assert venue_of(1, "XNAS.ITCH") == "XNAS.ITCH"
    assert venue_of(9_999, "") == "publisher 9999"


@pytest.mark.parametrize(
    ("dataset", "publisher", "symbol", "tick", "multiplier"),
    [
        ("GLBX.MDP3", 1, "TNH4", 15_625_000, "1000"),
        ("GLBX.MDP3", 1, "6BH4", 100_000, "62500"),
        ("OPRA.PILLAR", 22, "SPY   240119P00340000", 10_000_000, "100"),
        ("XNAS.ITCH", 2, "NVDA", 10_000_000, "1"),
    ],
)
def test_shipped_grids(
    dataset: str, publisher: int, symbol: str, tick: int, multiplier: str, tmp_path: Path
) -> None:
    mappings = {symbol: [(date(2020, 1, 1), date(2030, 1, 1), "5")]}
    head = header(dataset=dataset, mappings=mappings)
    instrument = opened(write(tmp_path / "x.dbn", [mbo(publisher=publisher)], head=head)).resolve(
        publisher, 5
    )
    assert (instrument.symbol, instrument.tick, str(instrument.multiplier)) == (symbol, tick, multiplier)
    assert instrument.venue == ("OPRA.PILLAR.XCBO" if publisher == 22 else dataset)


def test_unknown_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="colour"):
        opened(write(tmp_path / "x.dbn", [mbo()]), extra={"colour": "red"})
