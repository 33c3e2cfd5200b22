"""The venue's own client library, unmodified, against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from depthscope.simulators.binance_rules import Rules
from depthscope.simulators.binance_server import Server, serve
from tests.simulators.market import synthetic

common = pytest.importorskip("binance_common.configuration")
sdk: Any = pytest.importorskip(
    "binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures"
)
errors: Any = pytest.importorskip("binance_common.errors")

pytestmark = pytest.mark.untraced


def client_of(server: Server) -> Any:
    rest = common.ConfigurationRestAPI(api_key="", api_secret="", base_path=server.url, retries=0)
    streams = common.ConfigurationWebSocketStreams(stream_url=server.ws_url)
    return sdk.DerivativesTradingUsdsFutures(config_rest_api=rest, config_ws_streams=streams)


def test_requests() -> None:
    async def main() -> None:
        async with serve(synthetic(symbols=2, minutes=5)) as server:
            api = client_of(server).rest_api

            def ask(method: Callable[..., Any], **query: Any) -> Any:
                return asyncio.to_thread(lambda: method(**query))

            await asyncio.sleep(0.5)
            reply = await ask(api.order_book, symbol="SYNBTC", limit=1000)
            book, (limit,) = reply.data(), reply.rate_limits
            assert (limit.rateLimitType, limit.interval) == ("REQUEST_WEIGHT", "MINUTE")
            assert limit.count == 20
            assert book.last_update_id <= server.exchange.book("SYNBTC").last_id
            assert float(book.bids[0][0]) < float(book.asks[0][0])
            info = (await ask(api.exchange_information)).data()
            assert [s.symbol for s in info.symbols] == ["SYNES", "SYNBTC"]
            assert info.symbols[1].filters[0].tick_size == "0.10"
            assert info.symbols[1].status == "TRADING"
            clock = (await ask(api.check_server_time)).data()
            assert abs(clock.server_time - server.now() // 10**6) < 5_000
            await ask(api.test_connectivity)
            trades = (await ask(api.compressed_aggregate_trades_list, symbol="SYNBTC", limit=5)).data()
            assert len(trades) == 5
            assert trades[-1].a - trades[0].a == 4
            mark = (await ask(api.mark_price, symbol="SYNBTC")).data().actual_instance
            assert mark.symbol == "SYNBTC"
            assert float(mark.mark_price) == pytest.approx(64_000, rel=0.05)
            ticker = (await ask(api.symbol_order_book_ticker, symbol="SYNBTC")).data().actual_instance
            assert float(ticker.bid_price) < float(ticker.ask_price)

    asyncio.run(main())


def test_errors_are_the_librarys_own() -> None:
    async def main() -> None:
        async with serve(synthetic(symbols=1, rules=Rules(weight_per_minute=30, patience=2))) as server:
            api = client_of(server).rest_api
            cases: list[tuple[dict[str, Any], type[Exception], int]] = [
                ({"symbol": "NOSUCH"}, errors.BadRequestError, -1121),
                ({"symbol": "SYNES", "limit": 7}, errors.BadRequestError, -4021),
            ]
            for query, kind, code in cases:
                with pytest.raises(kind) as caught:
                    await asyncio.to_thread(api.order_book, **query)
                assert str(code) in f"{caught.value.__dict__}"
            seen = []
            for _ in range(6):
                try:
                    await asyncio.to_thread(api.order_book, symbol="SYNES", limit=500)
                except errors.TooManyRequestsError:
                    seen.append(429)
                except errors.RateLimitBanError:
                    seen.append(418)
                else:
                    seen.append(200)
            assert seen == [200, 429, 429, 418, 418, 418]

    asyncio.run(main())


def test_streams() -> None:
    async def main() -> None:
        async with serve(synthetic(symbols=2, minutes=5)) as server:
            link = await client_of(server).websocket_streams.create_connection()
            got: dict[str, list[Any]] = {}

            def listen(name: str, stream: Any) -> None:
                got[name] = []
                stream.on("message", got[name].append)

            streams = {
                "depth": await link.diff_book_depth_streams(symbol="synbtc", update_speed="100ms"),
                "top": await link.partial_book_depth_streams(symbol="synbtc", levels=5, update_speed="100ms"),
                "ticker": await link.individual_symbol_book_ticker_streams(symbol="synbtc"),
                "trades": await link.aggregate_trade_streams(symbol="synbtc"),
                "mark": await link.mark_price_stream(symbol="synbtc", update_speed="1s"),
                "rpi": await link.rpi_diff_book_depth_streams(symbol="synbtc"),
            }
            for name, stream in streams.items():
                listen(name, stream)
            async with asyncio.timeout(15):
                while not all(got.values()):
                    await asyncio.sleep(0.1)
            depth = got["depth"]
            assert (depth[0].e, depth[0].s) == ("depthUpdate", "SYNBTC")
            assert all(b.pu == a.u for a, b in pairwise(depth))
            assert len(got["top"][0].b) == 5
            assert got["ticker"][0].e == "bookTicker"
            assert float(got["ticker"][0].b) < float(got["ticker"][0].a)
            assert (got["trades"][0].e, got["mark"][0].e) == ("aggTrade", "markPriceUpdate")
            routes = {c.route: sorted(c.streams) for c in server.exchange.connections.open.values()}
            assert routes["market"] == ["synbtc@aggTrade", "synbtc@markPrice@1s"]
            await streams["depth"].unsubscribe()
            await asyncio.sleep(0.3)
            count = len(depth)
            await asyncio.sleep(0.4)
            assert len(depth) == count
            await link.close_connection(close_session=True)

    asyncio.run(main())
