"""NautilusTrader: its L3 book alone, and its backtest with a strategy that does nothing.

Deltas come from its own Databento loader, so what it makes of each record is its own decision. The loader
leaves trades and fills out; the time is still divided by all records of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.contestant import Contestant, Final, Job

if TYPE_CHECKING:
    from bench.data import Inputs

INSTRUMENT = "ESH4.GLBX"


def _load(inputs: Inputs, job: Job) -> tuple[Any, list[Any], int]:
    from nautilus_trader.adapters.databento import DatabentoDataLoader
    from nautilus_trader.model.identifiers import InstrumentId

    instrument = InstrumentId.from_str(INSTRUMENT)
    path = inputs.dbn(job.stream, job.tiles, job.total)
    deltas = DatabentoDataLoader().from_dbn_file(path, instrument, price_precision=2)
    return instrument, deltas, len(inputs.events(job.stream, job.tiles, job.total))


def _final(book: Any) -> Final:
    def fixed(value: Any) -> int | None:
        return None if value is None else round(float(value) * 1e9)

    bids, asks = book.bids(), book.asks()
    return Final(
        fixed(book.best_bid_price()),
        fixed(book.best_ask_price()),
        round(bids[0].size()) if bids else None,  # best_bid_size() is the size of the level's first order
        round(asks[0].size()) if asks else None,
        round(sum(level.size() for level in bids)),
        round(sum(level.size() for level in asks)),
        len(bids),
        len(asks),
        sum(len(level.orders()) for level in (*bids, *asks)),
    )


class NautilusBook(Contestant):
    """OrderBook(L3_MBO): one `apply_delta` a delta, best prices read after each."""

    title = "NautilusTrader book"
    work = "apply_delta; best prices after every delta"
    package = "nautilus_trader"

    def load(self, inputs: Inputs, job: Job) -> int:
        self.instrument, self.deltas, count = _load(inputs, job)
        return count

    def setup(self) -> None:
        from nautilus_trader.model.book import OrderBook
        from nautilus_trader.model.enums import BookType

        self.book = OrderBook(self.instrument, BookType.L3_MBO)

    def run(self) -> None:
        apply, bid, ask = self.book.apply_delta, self.book.best_bid_price, self.book.best_ask_price
        for delta in self.deltas:
            apply(delta)
            bid()
            ask()

    def final(self) -> Final:
        return _final(self.book)


class NautilusGroups(NautilusBook):
    """The same with one `apply_deltas` a LAST group: fewer calls, the quicker way where groups are long."""

    title = "NautilusTrader book, by group"
    work = "apply_deltas of each LAST group; best prices after every group"

    def load(self, inputs: Inputs, job: Job) -> int:
        from nautilus_trader.model.data import OrderBookDeltas

        count = super().load(inputs, job)
        self.groups, group = [], []
        for delta in self.deltas:
            group.append(delta)
            if delta.flags & 128:
                self.groups.append(OrderBookDeltas(self.instrument, group))
                group = []
        if group:
            self.groups.append(OrderBookDeltas(self.instrument, group))
        self.deltas = []
        return count

    def run(self) -> None:
        apply, bid, ask = self.book.apply_deltas, self.book.best_bid_price, self.book.best_ask_price
        for group in self.groups:
            apply(group)
            bid()
            ask()


class NautilusBacktest(Contestant):
    """BacktestEngine with an L3 venue and a strategy that only subscribes."""

    title = "NautilusTrader no-op backtest"
    work = "backtest of the same deltas; the strategy subscribes and does nothing"
    package = "nautilus_trader"

    def load(self, inputs: Inputs, job: Job) -> int:
        self.instrument, self.deltas, count = _load(inputs, job)
        return count

    def setup(self) -> None:
        from decimal import Decimal

        import pandas as pd
        from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
        from nautilus_trader.config import LoggingConfig
        from nautilus_trader.model.currencies import USD
        from nautilus_trader.model.enums import AccountType, AssetClass, BookType, OmsType
        from nautilus_trader.model.identifiers import Symbol, Venue
        from nautilus_trader.model.instruments import FuturesContract
        from nautilus_trader.model.objects import Money, Price, Quantity
        from nautilus_trader.trading.strategy import Strategy

        contract = FuturesContract(
            instrument_id=self.instrument,
            raw_symbol=Symbol("ESH4"),
            asset_class=AssetClass.INDEX,
            currency=USD,
            price_precision=2,
            price_increment=Price.from_str("0.25"),
            multiplier=Quantity.from_int(50),
            lot_size=Quantity.from_int(1),
            underlying="ES",
            activation_ns=0,
            expiration_ns=pd.Timestamp("2030-01-01", tz="UTC").value,
            ts_event=0,
            ts_init=0,
        )
        instrument = self.instrument

        class Idle(Strategy):  # type: ignore[misc]
            def on_start(self) -> None:
                self.subscribe_order_book_deltas(instrument, BookType.L3_MBO)

        self.engine = BacktestEngine(
            BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False)
        )
        self.engine.add_venue(
            venue=Venue("GLBX"),
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            starting_balances=[Money(1_000_000, USD)],
            default_leverage=Decimal(1),
            book_type=BookType.L3_MBO,
        )
        self.engine.add_instrument(contract)
        self.engine.add_data(self.deltas)
        self.engine.add_strategy(Idle())

    def run(self) -> None:
        self.engine.run()

    def final(self) -> Final:
        final = _final(self.engine.cache.order_book(self.instrument))
        self.engine.dispose()
        return final
