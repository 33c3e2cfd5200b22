"""How faults are written, and that anything else is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from depthscope.errors import ConfigError, DepthscopeError, UnknownName
from depthscope.simulators.binance_faults import KINDS, Fault, parse_fault
from depthscope.simulators.binance_rules import MINUTE, NEVER
from tests.simulators.market import MS, SECOND, START, quiet


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("drop", Fault("drop")),
        ("drop:btcusdt@30s", Fault("drop", target="BTCUSDT", at=30 * SECOND)),
        ("drop:*@now", Fault("drop")),
        ("drop:BTCUSDT@#120", Fault("drop", target="BTCUSDT", number=120)),
        ("drop:BTCUSDT@30s x3", Fault("drop", target="BTCUSDT", at=30 * SECOND, count=3)),
        ("duplicate@0s", Fault("duplicate", at=0)),
        ("reorder@10s/5s", Fault("reorder", at=10 * SECOND, every=5 * SECOND)),
        ("reorder@~5s", Fault("reorder", mean=5 * SECOND)),
        ("mute:BTCUSDT@1m+20s", Fault("mute", target="BTCUSDT", at=MINUTE, duration=20 * SECOND)),
        ("mute:BTCUSDT+20s", Fault("mute", target="BTCUSDT", duration=20 * SECOND)),
        ("mute", Fault("mute", duration=10 * SECOND)),
        ("malformed=nan:BTCUSDT", Fault("malformed", "nan", "BTCUSDT")),
        ("lag=1500ms:BTCUSDT", Fault("lag", 1_500 * MS, "BTCUSDT", duration=10 * SECOND)),
        ("skew=-1h@10s", Fault("skew", -3_600 * SECOND, at=10 * SECOND, duration=NEVER)),
        ("skew=+5s@10s+1m", Fault("skew", 5 * SECOND, at=10 * SECOND, duration=MINUTE)),
        ("storm=500ms:public@10s+30s", Fault("storm", 500 * MS, "public", 10 * SECOND, duration=30 * SECOND)),
        ("503:depth x3", Fault("503", target="depth", count=3)),
        ("429+5s", Fault("429", duration=5 * SECOND)),
        ("tick=0.5:BTCUSDT", Fault("tick", 500_000_000, "BTCUSDT")),
        ("crossed=0:BTCUSDT", Fault("crossed", 0, "BTCUSDT", duration=100 * MS)),
        ("halt:BTCUSDT@5s+10s", Fault("halt", "SETTLING", "BTCUSDT", 5 * SECOND, duration=10 * SECOND)),
        ("unknown-level:BTCUSDT", Fault("unknown-level", target="BTCUSDT")),
    ],
)  # fmt: skip
def test_reading(text: str, wanted: Fault) -> None:
    found = parse_fault(text)
    assert found == (
        wanted if wanted.value is not None else Fault(**{**_fields(wanted), "value": found.value})
    )


def _fields(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in Fault.__slots__}


@pytest.mark.parametrize(
    "text",
    [
        "", "nothing", "drop:", "drop@", "drop=5", "drop@#0", "drop x0", "drop@5", "mute@#3", "mute x3",
        "skew", "skew=fast", "skew=1h:BTCUSDT", "skew=nan", "malformed=odd", "tick=NaN:BTCUSDT", "tick=0",
        "tick=-1:BTCUSDT", "tick=1e999", "tick=0.0000000001", "lag=-2s", "crossed=much", "drop@~0s",
        "drop@30s/", "drop@30s/0s", "drop@-5s", "drop;rm", "close=1005", "close=x", "storm=1us",
        "skew=99999999h", "drop@1s/1us", "drop@~10us", "mute@9999999h", "429:depth=7",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="Fault"):
        parse_fault(text)


@settings(max_examples=500)
@given(st.text("drop:mute=@#~+x0123456789sBTC*-./", max_size=24) | st.text(max_size=24))
@example("skew=" + "9" * 400 + "h")
@example("drop@" + "9" * 400 + "h")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        fault = parse_fault(text)
    except DepthscopeError:
        return
    assert fault.kind in KINDS


def test_a_fault_of_no_symbol_is_refused() -> None:
    with pytest.raises(UnknownName, match="NOSUCH"):
        quiet(faults=["drop:NOSUCH@5s"])
    for text in ("mute:NOSUCH", "disconnect:nowhere", "503:nothing", "slow=1s:NOSUCH"):
        with pytest.raises(UnknownName):
            quiet().inject(text, START)
