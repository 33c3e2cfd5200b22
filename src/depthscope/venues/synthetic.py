"""Synthetic market: seeded order-by-order (Level 3) data that behaves like a real venue's.

``synthetic:seed=7,minutes=60,symbols=2`` is a source like any file. The same specification gives
the same bytes on every platform, however it is read, and each instrument's stream is the same
whatever the number of others. What was injected on purpose (walls, icebergs, sweeps, …) is known:
see :meth:`SyntheticSource.truth`.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from depthscope.errors import ConfigError, UnknownInstrument, UnknownName
from depthscope.market.events import EVENT, LAST, empty_events
from depthscope.market.instruments import Capability, Instrument, find_instrument
from depthscope.market.source import Key, SourceInfo, SourceOptions
from depthscope.venues.synthetic_presets import LISTINGS
from depthscope.venues.synthetic_profiles import CHARACTERS, DATASET, profile_row
from depthscope.venues.synthetic_spec import PRESETS, SyntheticSpec, parse_spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from depthscope.market.events import Events
    from depthscope.venues.synthetic_truth import Injection

__all__ = ["DATASET", "FORMAT", "PRESETS", "SyntheticSource", "SyntheticSpec", "open_spec", "parse_spec"]

FORMAT: Final = "synthetic"
PUBLISHER: Final = 0
RING: Final = 5  # buffers: a chunk stays valid until three more have been produced
KEPT_TRUTH: Final = 200_000  # injections remembered by an endless stream
NS: Final = 1_000_000_000
NEVER: Final = 1 << 62


def open_spec(spec: str | SyntheticSpec, options: SourceOptions | None = None) -> SyntheticSource:
    """Open a synthetic market as a source.

    Parameters
    ----------
    spec : str or SyntheticSpec
        Such as ``seed=7,minutes=60,symbols=2``; see :func:`parse_spec`.
    options : SourceOptions, optional
        Chunk size, and options of the specification by name in `extra`.

    Raises
    ------
    ConfigError, UnknownName
        When the specification cannot be used.
    """
    options = options or SourceOptions()
    if isinstance(spec, str):
        spec = parse_spec(spec)
    if options.extra:
        spec = parse_spec(",".join(f"{k}={v}" for k, v in options.extra.items()), spec)
    return SyntheticSource(spec, options)


class SyntheticSource:
    """A synthetic market being generated, chunk by chunk, in bounded memory.

    Parameters
    ----------
    spec : SyntheticSpec
        What to generate.
    options : SourceOptions, optional
        Chunk size and symbols that must exist. A tick or lot cannot be imposed.
    """

    def __init__(self, spec: SyntheticSpec, options: SourceOptions | None = None) -> None:
        options = options or SourceOptions()
        if options.tick is not None or options.lot is not None:
            raise ConfigError(
                "A synthetic market has its own price and size increments, so --tick and --lot cannot be "
                "given for it. Choose another preset instead."
            )
        # Here, not at the first chunk: whoever opened the source can then show compilation's progress.
        import_module("depthscope.venues.synthetic_kernel")
        self.spec = spec
        self._chunk = options.chunk
        listings = [LISTINGS[spec.preset](n) for n in range(spec.symbols or 0)]
        capabilities = (
            Capability.TRADES | Capability.L1 | Capability.L2 | Capability.MBO | Capability.AGGRESSOR
        )
        self._instruments = {
            (PUBLISHER, n + 1): find_instrument(DATASET, listing.symbol, capabilities=capabilities)
            for n, listing in enumerate(listings)
        }
        missing = sorted((options.symbols or frozenset()) - {x.symbol for x in listings})
        if missing:
            raise UnknownName(
                f"The {spec.preset} preset with {len(listings)} symbols has no {', '.join(missing)}; it has "
                f"{', '.join(x.symbol for x in listings[:8])}{' …' if len(listings) > 8 else ''}."
            )
        self._listings = listings
        self.info = SourceInfo(path=str(spec), format=FORMAT, schema="mbo", dataset=DATASET)
        self._clock = 0
        self._finished = False
        self._truth: deque[Any] = deque(maxlen=KEPT_TRUTH)

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Every instrument, by (publisher, instrument id)."""
        return MappingProxyType(self._instruments)

    def resolve(self, publisher: int, instrument_id: int) -> Instrument:
        """Return the instrument of a key.

        Raises
        ------
        UnknownInstrument
            When this market has no such instrument.
        """
        try:
            return self._instruments[publisher, instrument_id]
        except KeyError:
            raise UnknownInstrument(
                f"The market {self.spec} has no instrument {instrument_id} of publisher {publisher}."
            ) from None

    def chunks(self) -> Iterator[Events]:
        """Yield EVENT arrays; each stays valid until three more have been produced.

        May be called again: the same market starts over, and so does :meth:`truth`.
        """
        self._truth.clear()
        self._clock, self._finished = 0, False
        self.info.records = 0
        return self._generate()

    def _generate(self) -> Iterator[Events]:
        memory = _Memory(self.spec, self._listings)
        left = self.spec.events if self.spec.events is not None else NEVER
        ring = [empty_events(self._chunk) for _ in range(RING)]
        turn, cut = 0, False
        while not cut:
            out = ring[turn % RING]
            turn += 1
            n = 0
            while n < len(out) and memory.running[0]:
                n = memory.merge(out, n)
                self._truth.extend(memory.drain())
            if n >= left:  # the group that holds event number `left` ends here or in a later chunk
                ends = np.flatnonzero(out["flags"][left - 1 : n] & LAST)
                if cut := len(ends) > 0:
                    n = left + int(ends[0])
            if n == 0:
                break
            left = max(left - n, 1)
            self._clock = int(out["ts_recv"][n - 1])
            self.info.records += n
            yield out[:n]
            if n < len(out):
                break
        self._finished = not cut

    def truth(self) -> list[Injection]:
        """Injections that had ended before the last event handed out, in that order.

        Once the market has run its length, those still running are told too, with the outcome
        ``open``. An endless stream remembers the most recent 200,000.
        """
        from depthscope.venues.synthetic_truth import injection

        upto = NEVER if self._finished else self._clock
        rows = [row for row in self._truth if row["known"] < upto]
        rows.sort(key=lambda row: (row["known"], row["lane"]))
        found = []
        for row in rows:
            lane = int(row["lane"])
            instrument = self._instruments[PUBLISHER, lane + 1]
            found.append(injection(row, instrument.symbol, lane + 1, instrument.tick))
        return found


class _Memory:
    """Arrays of the kernels: one row an instrument."""

    def __init__(self, spec: SyntheticSpec, listings: list[Any]) -> None:
        from depthscope.venues.synthetic_layout import ACTOR, LEVEL, ORDER, PROFILE, STATE, TRUTH

        kinds = sorted({x.character for x in listings})
        characters = [CHARACTERS[kind] for kind in kinds]
        n = len(listings)
        slots = max(c.slots for c in characters)
        self.fresh: list[Any] = []
        self.profiles = np.zeros(len(kinds), PROFILE)
        for row, character in zip(self.profiles, characters, strict=True):
            profile_row(character, row, spec.inject, spec.halts, spec.rate)
        self.states = np.zeros(n, STATE)
        end = NEVER if spec.minutes is None else spec.start_ns + int(spec.minutes * 60 * NS)
        for lane, listing in enumerate(listings):
            self._open(lane, listing, spec, kinds.index(listing.character), end)
        self.truth = np.zeros(256, TRUTH)
        self.told = np.zeros(1, np.int64)
        self.outs = np.zeros((n, max(c.buffer for c in characters)), EVENT)
        self.heap = np.arange(n, dtype=np.int64)
        self.running = np.full(1, -n, np.int64)
        self.arrays = (
            self.profiles,
            self.states,
            np.zeros((n, max(c.orders for c in characters)), ORDER),
            np.zeros((n, slots), LEVEL),
            np.zeros((n, max(c.actors for c in characters)), ACTOR),
            self.outs,
            self.truth,
            self.told,
        )

    def _open(self, lane: int, listing: Any, spec: SyntheticSpec, profile: int, end: int) -> None:
        """Set what one instrument starts from: it depends on the seed and its number alone."""
        s = self.states[lane]
        seed = (spec.seed * 0x9E3779B97F4A7C15 + (lane + 1) * 0xD1B54A32D192ED03) % 2**64
        seed ^= seed >> 29
        seed = seed * 0xBF58476D1CE4E5B9 % 2**64
        s["rng"] = seed ^ (seed >> 32)
        s["texture"] = seed * 0x94D049BB133111EB % 2**64
        s["profile"] = profile
        s["instrument"] = lane + 1
        s["size_scale"], s["rate_scale"] = listing.size, listing.rate
        s["start"], s["end"] = spec.start_ns, end
        tick = Decimal(CHARACTERS[listing.character].tick)
        s["fair"] = int(Decimal(listing.price) / tick * 65_536) + 21_000
        s["next_id"] = 6_400_000_000_000 + (lane << 42)

    def merge(self, out: Events, n: int) -> int:
        """Add events to `out` from position `n` on; return how many it then holds.

        May return before `out` is full; the stream has ended when ``running[0]`` is 0.
        """
        from depthscope.venues.synthetic_kernel import advance, merge, open_market

        if self.running[0] < 0:
            for lane in range(len(self.states)):
                open_market(lane, *self.arrays)
                self._refill(lane, advance)
        else:
            lane = int(self.heap[0])
            if self.states["at"][lane] >= self.states["n"][lane]:
                self._refill(lane, advance)
        return int(merge(out, n, self.states, self.outs, self.heap, self.running))

    def _refill(self, lane: int, advance: Any) -> None:
        advance(lane, *self.arrays)
        n = int(self.told[0])
        self.told[0] = 0
        if n:
            self.fresh.extend(self.truth[:n].copy())

    def drain(self) -> list[Any]:
        """Take the injections told since the last call."""
        found, self.fresh = self.fresh, []
        return found
