"""hftbacktest: a Level-3 backtest in which the strategy wakes every 100 ms and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contestant import Contestant, Final, Job

if TYPE_CHECKING:
    from bench.data import Inputs

STEP = 100_000_000  # ns


def _kinds() -> tuple[np.ndarray, np.ndarray]:
    from hftbacktest import types

    action, side = np.zeros(256, np.uint64), np.zeros(256, np.uint64)
    for letter, kind in (
        ("A", types.ADD_ORDER_EVENT),
        ("C", types.CANCEL_ORDER_EVENT),
        ("M", types.MODIFY_ORDER_EVENT),
        ("R", types.DEPTH_CLEAR_EVENT),
        ("T", types.TRADE_EVENT),
        ("F", types.FILL_EVENT),
    ):
        action[ord(letter)] = kind
    side[ord("B")], side[ord("A")] = types.BUY_EVENT, types.SELL_EVENT
    return action, side


def _acceptable(events: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Events in a form it can run: without fills of unknown orders, partial cancels as modifications.

    It stops with an error at the fill of an order that is not in the book (the auction of the ES file has
    seven), and takes any cancel as the end of the order, so that the next message of that order stops it.
    """
    out = events.copy()
    keep = np.ones(len(events), bool)
    live: dict[int, tuple[int, int]] = {}  # price, size
    partial = 0
    names = ("action", "order_id", "price", "size")
    rows = zip(*(events[name].tolist() for name in names), strict=True)
    for at, (code, order_id, price, size) in enumerate(rows):
        action = chr(code)
        if action in "AM":
            live[order_id] = price, size
        elif action == "C" and order_id in live:
            at_price, had = live[order_id]
            if size < had:
                live[order_id] = at_price, had - size
                partial += 1
                row = out[at]
                row["action"], row["price"], row["size"] = ord("M"), at_price, had - size
            else:
                del live[order_id]
        elif action == "R":
            live.clear()
        elif action == "F" and order_id not in live:
            keep[at] = False
    return out[keep], int((~keep).sum()), partial


class HftBacktestNoop(Contestant):
    """ROI vector depth (its quickest), L3 FIFO queue model, constant order latency."""

    title = "hftbacktest L3 no-op"
    work = "backtest of the same events, elapse(100 ms) in a compiled loop that does nothing"
    package = "hftbacktest"

    def load(self, inputs: Inputs, job: Job) -> int:
        from hftbacktest.data.validation import (
            correct_event_order,
            correct_local_timestamp,
            validate_event_order,
        )
        from hftbacktest.types import event_dtype
        from numba import njit

        events = inputs.events(job.stream, job.tiles, job.total)
        count = len(events)
        events, self.left_out, self.partial = _acceptable(events)
        action, side = _kinds()
        rows = np.zeros(len(events), event_dtype)
        rows["ev"] = action[events["action"]] | side[events["side"]]
        snapshot = (events["flags"] & 32) != 0  # as its converter does: snapshot orders take the receive time
        rows["exch_ts"] = np.where(snapshot, events["ts_recv"], events["ts_event"])
        rows["local_ts"] = events["ts_recv"]
        rows["px"], rows["qty"] = events["price"] / 1e9, events["size"]
        rows["order_id"], rows["ival"] = events["order_id"], events["flags"]
        rows = correct_local_timestamp(rows, 0)
        self.data = correct_event_order(
            rows,
            np.argsort(rows["exch_ts"], kind="mergesort"),
            np.argsort(rows["local_ts"], kind="mergesort"),
        )
        validate_event_order(self.data)
        quotes = events["price"][np.isin(events["action"], [ord("A"), ord("M")])]
        self.low, self.high = float(quotes.min()) / 1e9 - 1, float(quotes.max()) / 1e9 + 1

        @njit
        def idle(backtest: Any, step: int) -> int:
            while True:
                code = backtest.elapse(step)
                if code != 0:
                    return code

        self.idle = idle
        return count

    def setup(self) -> None:
        from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest

        asset = (
            BacktestAsset()
            .data(self.data)
            .linear_asset(50.0)
            .constant_order_latency(100_000, 100_000)
            .l3_fifo_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(0.25)
            .lot_size(1.0)
            .roi_lb(max(0.0, self.low))
            .roi_ub(self.high)
            .last_trades_capacity(0)
        )
        self.backtest = ROIVectorMarketDepthBacktest([asset])

    def run(self) -> None:
        self.code = self.idle(self.backtest, STEP)

    def final(self) -> Final:
        if self.code != 1:
            raise RuntimeError(f"hftbacktest stopped with its error {self.code} before the end of the data")
        depth = self.backtest.depth(0)
        bids, asks = depth.bid_depth, depth.ask_depth
        notes = []
        if self.left_out:
            notes.append(f"{self.left_out:,} fills of orders not in the book left out of its input")
        if self.partial:
            notes.append(f"{self.partial:,} partial cancels given to it as modifications")
        final = Final(
            round(depth.best_bid_tick * 0.25 * 1e9),
            round(depth.best_ask_tick * 0.25 * 1e9),
            round(float(bids[depth.best_bid_tick - depth.roi_lb_tick])),
            round(float(asks[depth.best_ask_tick - depth.roi_lb_tick])),
            round(float(bids.sum())),
            round(float(asks.sum())),
            int((bids > 0).sum()),
            int((asks > 0).sum()),
            note="; ".join(notes),
        )
        self.backtest.close()
        return final
