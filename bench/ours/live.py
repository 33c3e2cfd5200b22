"""depthscope, live: one event a call, each call timed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bench.contestant import Contestant, Job
from bench.ours.common import instrument, shipped

if TYPE_CHECKING:
    from bench.data import Inputs

SESSION = 30_000  # events timed: of the ES session, after the opening auction


class LiveUpdate(Contestant):
    """`Engine.process` of single events of the ES session, features off."""

    title = "features off"
    work = "one event a call"
    package = "depthscope"
    every: ClassVar[str] = "100ms"
    features: ClassVar[list[str] | None] = []
    everything: ClassVar[bool] = False

    def load(self, inputs: Inputs, job: Job) -> int:
        events = inputs.events("es", 1)
        self.before, session = events[:-SESSION], events[-SESSION:]
        self.singles = [session[i : i + 1] for i in range(len(session))]
        self.setup()
        self.run()  # compiles
        return SESSION

    def setup(self) -> None:
        from depthscope.engine import Engine

        self.engine = Engine(
            instrument("es"),
            every=self.every,
            features=self.features,
            detectors=None if self.everything else (),
            signal=shipped if self.everything else None,
        )
        self.engine.process(self.before)

    def run(self) -> None:
        process, clock = self.engine.process, time.perf_counter_ns
        times = []
        for event in self.singles:
            start = clock()
            process(event)
            times.append(clock() - start)
        self.times = times

    def extra(self) -> dict[str, object]:
        clock = time.perf_counter_ns
        empty = []
        for _ in self.singles:
            start = clock()
            empty.append(clock() - start)
        times = np.array(self.times)
        last = np.array([(event["flags"][0] & 128) != 0 for event in self.singles])
        closing = last & ~np.r_[True, last[:-1]]  # LAST of a group of several records
        return {
            "median_us": float(np.median(times)) / 1e3,
            "p99_us": float(np.percentile(times, 99)) / 1e3,
            "last_median_us": float(np.median(times[last])) / 1e3,
            "last_p99_us": float(np.percentile(times[last], 99)) / 1e3,
            "closing_median_us": float(np.median(times[closing])) / 1e3,
            "clock_us": float(np.median(empty)) / 1e3,
        }


class LiveGrid(LiveUpdate):
    """All features on the 100-ms grid: the shape of a live session."""

    title = "all features on, 100-ms grid"
    features = None


class LiveEvent(LiveUpdate):
    """All features at every LAST: the hardest case."""

    title = "all features on, a row at every LAST"
    every = "event"
    features = None


class LiveEverything(LiveGrid):
    """Every feature, every detector and signals on the 100-ms grid: what a trader's page runs."""

    title = "everything on, 100-ms grid"
    everything = True


class LiveEverythingEvent(LiveEvent):
    """Every feature, every detector and signals at every LAST."""

    title = "everything on, a row at every LAST"
    everything = True
