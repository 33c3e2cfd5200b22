"""What is measured: which programs, on which stream, on how much of it."""

from __future__ import annotations

from dataclasses import dataclass

TILES = 60  # 4.1 million events; also what makes the busy hour


@dataclass(frozen=True)
class Entry:
    """One contestant of a suite. `tiles` is smaller for slow programs: rates are per event."""

    key: str
    path: str
    tiles: int
    quick: bool = False  # takes part in `--quick`


@dataclass(frozen=True)
class Suite:
    """Contestants that take turns, round by round; the first is ours."""

    key: str
    title: str
    stream: str
    entries: tuple[Entry, ...]
    judged: bool = True  # final states are compared with the reference


def _books(prefix: str) -> tuple[Entry, ...]:
    return (
        Entry(f"{prefix}-stage1", "ours.stage1:Stage1", TILES, quick=True),
        Entry(f"{prefix}-grid", "ours.grid:FeatureGrid", TILES, quick=True),
        Entry(f"{prefix}-everything", "ours.grid:Everything", TILES),
        Entry(f"{prefix}-nautilus", "peers.nautilus:NautilusBook", 20),
        Entry(f"{prefix}-nautilus-groups", "peers.nautilus:NautilusGroups", 20),
        Entry(f"{prefix}-nautilus-backtest", "peers.nautilus:NautilusBacktest", 5),
        Entry(f"{prefix}-hftbacktest", "peers.hftbacktest_noop:HftBacktestNoop", TILES),
        Entry(f"{prefix}-order-book", "peers.python_books:OrderBookPackage", 10),
        Entry(f"{prefix}-sorteddict", "peers.python_books:SortedDictBook", 10, quick=True),
        Entry(f"{prefix}-sorteddict-every", "peers.python_books:SortedDictEveryEvent", 10),
        Entry(f"{prefix}-databento", "peers.databento_example:DatabentoBook", 5),
        Entry(f"{prefix}-naive", "peers.python_books:NaiveBook", 1, quick=True),
        Entry(f"{prefix}-naive-every", "peers.python_books:NaiveEveryEvent", 1),
    )


SUITES = (
    Suite("es", "ES tiled, in memory", "es-busy", _books("es")),
    Suite("synthetic", "Synthetic future, in memory", "synthetic", _books("synthetic")),
    Suite(
        "spacing",
        "ES tiled at its real spacing (120 hours, 4.3 million rows)",
        "es",
        (
            Entry("spacing-stage1", "ours.stage1:Stage1", TILES),
            Entry("spacing-grid", "ours.grid:FeatureGrid", TILES),
        ),
    ),
    Suite(
        "file",
        "ES tiled from a .dbn.zst file",
        "es-busy",
        (
            Entry("file-two", "ours.grid:FileFeatures", TILES, quick=True),
            Entry("file-one", "ours.grid:FileFeaturesSerial", TILES),
            Entry("file-everything", "ours.grid:FileEverything", TILES),
            Entry("file-zstd", "ours.grid:ZstdOnly", TILES, quick=True),
        ),
        judged=False,
    ),
    Suite(
        "file-spacing",
        "ES tiled from a .dbn.zst file, real spacing (4.3 million rows)",
        "es",
        (
            Entry("file-spacing-two", "ours.grid:FileFeatures", TILES),
            Entry("file-spacing-one", "ours.grid:FileFeaturesSerial", TILES),
            Entry("file-spacing-zstd", "ours.grid:ZstdOnly", TILES),
        ),
        judged=False,
    ),
    Suite(
        "binance",
        "Binance BTCUSDT depth messages, in memory",
        "binance",
        (
            Entry("binance-ours", "ours.binance:BinanceMessages", 1, quick=True),
            Entry("binance-features", "ours.binance:BinanceFeatures", 1),
            Entry("binance-json", "peers.binance_json:JsonSortedDict", 1, quick=True),
            Entry("binance-msgspec", "peers.binance_json:MsgspecSortedDict", 1),
        ),
    ),
    Suite(
        "live",
        "Single live updates",
        "es",
        (
            Entry("live-off", "ours.live:LiveUpdate", 1, quick=True),
            Entry("live-grid", "ours.live:LiveGrid", 1),
            Entry("live-event", "ours.live:LiveEvent", 1),
            Entry("live-everything", "ours.live:LiveEverything", 1),
            Entry("live-everything-event", "ours.live:LiveEverythingEvent", 1),
        ),
        judged=False,
    ),
)
