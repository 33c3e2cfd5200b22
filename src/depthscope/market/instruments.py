"""Instruments: tick, lot and what a feed can tell, fixed before the first event."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntFlag
from math import gcd
from typing import TYPE_CHECKING, Final

from depthscope.errors import InputError, UnknownInstrument
from depthscope.market.calendars import UNKNOWN_CALENDAR, default_calendar
from depthscope.market.events import PRICE_SCALE

if TYPE_CHECKING:
    from collections.abc import Mapping


class Capability(IntFlag):
    """What a feed can tell about an instrument."""

    TRADES = 1
    L1 = 2
    L2 = 4
    MBO = 8
    AGGRESSOR = 16
    DEPTH_LIMITED = 32  # only the best N levels are ever known

    def covers(self, needed: Capability) -> bool:
        """Whether all of `needed` can be told, one by one; more depth implies less (MBO, L2, L1)."""
        has = self
        if has & Capability.MBO:
            has |= Capability.L2
        if has & Capability.L2:
            has |= Capability.L1
        return needed & has == needed


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing on one venue.

    Parameters
    ----------
    venue, symbol : str
        Identity. `venue` is the dataset or exchange (``GLBX.MDP3``, ``binance``).
    tick : int
        Price increment in 1e-9 units.
    lot : int
        Smallest size increment in 1e-9 units (not a round lot). Sizes inside the engine are
        integers of it; public sizes are size x lot.
    multiplier : Decimal
        Currency per price unit per contract.
    currency : str
        What prices are quoted in.
    calendar : str
        Name of the trading calendar (:mod:`depthscope.market.calendars`); ``unknown`` promises nothing.
    capabilities : Capability
        What the feed can tell; features that need more are null.
    allows_negative : bool
        Whether zero and negative prices are prices.
    """

    venue: str
    symbol: str
    tick: int
    lot: int = PRICE_SCALE
    multiplier: Decimal = Decimal(1)
    currency: str = "USD"
    calendar: str = UNKNOWN_CALENDAR
    capabilities: Capability = Capability.L2
    allows_negative: bool = False

    def __post_init__(self) -> None:
        if self.tick <= 0 or self.lot <= 0:
            raise InputError(
                f"Instrument {self.symbol}: tick and lot must be positive, got tick "
                f"{Decimal(self.tick) / PRICE_SCALE} and lot {Decimal(self.lot) / PRICE_SCALE}."
            )

    @property
    def infers(self) -> bool:
        """Whether aggressors are inferred: trades and quotes are told, sides are not."""
        told = self.capabilities
        return told.covers(Capability.TRADES | Capability.L1) and not told & Capability.AGGRESSOR

    @property
    def size_ratio(self) -> tuple[int, int]:
        """(mul, div): public size = lots * mul / div, exactly rounded once."""
        g = gcd(self.lot, PRICE_SCALE)
        return self.lot // g, PRICE_SCALE // g

    @property
    def price_decimals(self) -> int:
        """Decimals needed to print any on-tick price."""
        return max(0, -int(Decimal(self.tick).scaleb(-9).normalize().as_tuple().exponent))

    def price(self, fixed: int) -> Decimal:
        """Exact price of `fixed`, a 1e-9 integer, with the tick's decimals (more when off-tick)."""
        exact = Decimal(fixed).scaleb(-9).normalize()
        places = max(self.price_decimals, -int(exact.as_tuple().exponent))
        return exact.quantize(Decimal(1).scaleb(-places))

    def size(self, lots: int) -> Decimal:
        """Exact public size of a number of `lots`."""
        exact = (Decimal(lots) * self.lot).scaleb(-9).normalize()
        return exact if int(exact.as_tuple().exponent) <= 0 else exact.quantize(Decimal(1))


def to_fixed(text: str | int | float | Decimal) -> int:
    """1e-9 fixed integer of a decimal number, refusing what it cannot hold exactly.

    Raises
    ------
    InputError
        When the value is not a finite number or has more than nine decimals.
    """
    try:
        value = Decimal(str(text))
        scaled = value.scaleb(9)
        if not value.is_finite() or scaled != scaled.to_integral_value():
            raise InputError(f"{text!r} is not a finite number with at most nine decimals.")
    except ArithmeticError as error:
        raise InputError(f"{text!r} is not a number.") from error
    return int(scaled)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the shipped table."""

    tick: str
    lot: str = "1"
    multiplier: str = "1"
    allows_negative: bool = False


# Shipped tick table: (dataset prefix, root) -> row. Sources: CME contract specifications,
# SEC Rule 612 (US equities $0.01, $0.0001 under $1), OPRA, Binance USD-M exchangeInfo.
TICK_TABLE: Final[Mapping[tuple[str, str], _Row]] = {
    ("GLBX.MDP3", "ES"): _Row("0.25", multiplier="50"),
    ("GLBX.MDP3", "MES"): _Row("0.25", multiplier="5"),
    ("GLBX.MDP3", "NQ"): _Row("0.25", multiplier="20"),
    ("GLBX.MDP3", "MNQ"): _Row("0.25", multiplier="2"),
    ("GLBX.MDP3", "RTY"): _Row("0.10", multiplier="50"),
    ("GLBX.MDP3", "M2K"): _Row("0.10", multiplier="5"),
    ("GLBX.MDP3", "YM"): _Row("1", multiplier="5"),
    ("GLBX.MDP3", "MYM"): _Row("1", multiplier="0.5"),
    ("GLBX.MDP3", "CL"): _Row("0.01", multiplier="1000", allows_negative=True),
    ("GLBX.MDP3", "MCL"): _Row("0.01", multiplier="100", allows_negative=True),
    ("GLBX.MDP3", "NG"): _Row("0.001", multiplier="10000", allows_negative=True),
    ("GLBX.MDP3", "GC"): _Row("0.10", multiplier="100"),
    ("GLBX.MDP3", "MGC"): _Row("0.10", multiplier="10"),
    ("GLBX.MDP3", "SI"): _Row("0.005", multiplier="5000"),
    ("GLBX.MDP3", "HG"): _Row("0.0005", multiplier="25000"),
    ("GLBX.MDP3", "ZN"): _Row("0.015625", multiplier="1000"),
    ("GLBX.MDP3", "ZB"): _Row("0.03125", multiplier="1000"),
    ("GLBX.MDP3", "ZF"): _Row("0.0078125", multiplier="1000"),
    ("GLBX.MDP3", "ZT"): _Row("0.00390625", multiplier="2000"),
    ("GLBX.MDP3", "UB"): _Row("0.03125", multiplier="1000"),
    ("GLBX.MDP3", "TN"): _Row("0.015625", multiplier="1000"),
    ("GLBX.MDP3", "SR3"): _Row("0.0025", multiplier="2500"),
    ("GLBX.MDP3", "6E"): _Row("0.00005", multiplier="125000"),
    ("GLBX.MDP3", "6B"): _Row("0.0001", multiplier="62500"),
    ("GLBX.MDP3", "SIL"): _Row("0.005", multiplier="1000"),
    ("GLBX.MDP3", "MHG"): _Row("0.0005", multiplier="2500"),
    ("GLBX.MDP3", "BTC"): _Row("5", multiplier="5"),
    ("GLBX.MDP3", "MBT"): _Row("5", multiplier="0.1"),
    ("GLBX.MDP3", "ETH"): _Row("0.5", multiplier="50"),
    ("GLBX.MDP3", "MET"): _Row("0.5", multiplier="0.1"),
    ("binance", "BTCUSDT"): _Row("0.1", "0.001"),
    ("binance", "ETHUSDT"): _Row("0.01", "0.001"),
    ("binance", "BNBUSDT"): _Row("0.01", "0.01"),
    ("binance", "SOLUSDT"): _Row("0.01", "0.01"),
    ("binance", "XRPUSDT"): _Row("0.0001", "0.1"),
    ("binance", "DOGEUSDT"): _Row("0.00001", "1"),
    ("binance", "ADAUSDT"): _Row("0.0001", "1"),
    # The synthetic market: an index future, a perpetual; its shares stand in VENUE_TABLE.
    ("SYNTH.MBO", "SYNES"): _Row("0.25", multiplier="50"),
    ("SYNTH.MBO", "SYNBTC"): _Row("0.1", "0.001"),
}

# Venues whose every instrument shares one grid. US equities trade in 0.0001 under $1.00;
# 0.01 is the quoting increment above it, and a finer price is kept exactly as off-tick.
VENUE_TABLE: Final[Mapping[str, _Row]] = {
    "SYNTH": _Row("0.01"),
    "OPRA": _Row("0.01", multiplier="100"),  # its 0.05 and 0.10 classes lie on it
} | {
    prefix: _Row("0.01")
    for prefix in (
        "XNAS", "XNYS", "XBOS", "XPSX", "XCHI", "XASE", "XCIS", "ARCX", "BATS", "BATY",
        "EDGA", "EDGX", "IEXG", "MEMX", "EPRL", "DBEQ", "EQUS", "LOBSTER",
    )
}  # fmt: skip

_MONTHS = frozenset("FGHJKMNQUVXZ")


def futures_root(symbol: str) -> str:
    """Root of a futures symbol: ``ESH4`` -> ``ES``, ``ES.c.0`` -> ``ES``."""
    head = symbol.split(".", 1)[0]
    digits = len(head) - len(head.rstrip("0123456789"))
    if digits and len(head) > digits + 1 and head[-digits - 1] in _MONTHS:
        return head[: -digits - 1]
    return head


def find_instrument(
    venue: str,
    symbol: str,
    *,
    tick: int | None = None,
    lot: int | None = None,
    definition: Mapping[str, int] | None = None,
    capabilities: Capability = Capability.L2,
) -> Instrument:
    """Settle an instrument before its first event.

    Precedence: argument, then in-file or sidecar `definition` (keys ``tick``, ``lot``, 1e-9
    fixed), then the shipped table by dataset and root.

    Raises
    ------
    UnknownInstrument
        When none of them names the tick.
    """
    row = (
        TICK_TABLE.get((venue, symbol))
        or TICK_TABLE.get((venue, futures_root(symbol)))
        or VENUE_TABLE.get(venue.split(".", 1)[0])
    )
    found = dict(definition or {})
    tick = tick if tick is not None else found.get("tick") or (to_fixed(row.tick) if row else None)
    lot = lot if lot is not None else found.get("lot") or (to_fixed(row.lot) if row else PRICE_SCALE)
    if tick is None:
        raise UnknownInstrument(
            f"No tick size is known for {symbol} on {venue}: it is in neither the file's "
            f"definitions nor the shipped table. Name it, for example --tick 0.01"
            f"{'' if row else ' (and --lot if sizes are fractional)'}."
        )
    return Instrument(
        venue,
        symbol,
        tick,
        lot,
        multiplier=Decimal(row.multiplier) if row else Decimal(1),
        calendar=default_calendar(venue, futures_root(symbol)),
        capabilities=capabilities,
        allows_negative=bool(row and row.allows_negative),
    )
