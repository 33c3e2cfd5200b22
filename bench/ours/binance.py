"""depthscope on Binance depth messages, as a live feed hands them over: one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.contestant import Contestant, Final, Job
from bench.data import depth_messages
from bench.ours.common import final_of

if TYPE_CHECKING:
    from bench.data import Inputs


class BinanceMessages(Contestant):
    """`Decoder.step` and `Engine.process` for each message: books alone, as the peers keep them."""

    title = "depthscope, message by message"
    work = "parse and apply each depth message"
    unit = "messages"
    package = "depthscope"
    every: ClassVar[str] = "1h"  # no row of the grid falls into the six minutes
    features: ClassVar[list[str] | None] = []

    def load(self, inputs: Inputs, job: Job) -> int:
        self.frames = depth_messages()
        self.setup()
        self.run()  # compiles
        return len(self.frames)

    def setup(self) -> None:
        from depthscope.engine import Engine
        from depthscope.venues.binance_decoder import Decoder

        self.decoder = Decoder(only_symbol="BTCUSDT")
        self.engine = Engine(
            lambda publisher, number: self.decoder.instruments[publisher, number],
            every=self.every,
            features=self.features,
        )

    def run(self) -> None:
        step, take, process = self.decoder.step, self.decoder.take, self.engine.process
        for ts_recv, body in self.frames:
            if step(body, ts_recv):
                process(take())

    def final(self) -> Final:
        return final_of(self.engine)


class BinanceFeatures(BinanceMessages):
    """The same with every feature on the 100-ms grid: the shape of a live session."""

    title = "depthscope, all features, 100-ms grid"
    work = "parse and apply each depth message; every feature on the 100-ms grid"
    every = "100ms"
    features = None
