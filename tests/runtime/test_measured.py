"""The figures shown beside an alert are those of the page about them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from depthscope.detectors import DETECTORS
from depthscope.runtime.measured import Measured, measured

PAGE = Path(__file__).parents[2] / "docs" / "MEASURED.md"


def cells(symbol: str, feed: str, detector: str) -> list[str]:
    """A detector's line of the page."""
    text = PAGE.read_text(encoding="utf-8")
    title = f"## {symbol}, told by levels" if (symbol, feed) == ("ESH4", "levels") else f"## {symbol}\n"
    part = text[text.index(title) :].partition("| injection |")[0]
    (line,) = [line for line in part.splitlines() if line.startswith(f"| {detector} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", DETECTORS)
def test_figures_are_those_of_the_page(name: str) -> None:
    assert measured(name), "a detector without figures"
    for one in measured(name):
        _, n, _, precision, recall, latency, _, _, hourly = cells(one.symbol, one.feed, name)
        assert one.n == int(n)
        for value, shown, places in (
            (one.precision, precision, 2),
            (one.recall, recall, 2),
            (one.latency, latency, 2),
            (one.hourly, hourly, 1),
        ):
            if value is None:
                assert shown == "–"
                continue
            low, high = re.findall(r"[\d.]+", shown)[1:]
            for mine, theirs in zip(value, (shown.split()[0], low, high), strict=True):
                assert abs(mine - float(theirs)) <= 0.51 * 10**-places


def test_words() -> None:
    whole = Measured("wall", "X", "orders", 4, (0.5, 0.1, 0.9), (0.25, 0.0, 0.7), None, None)
    assert str(whole) == "X: precision 0.50, recall 0.25 (n = 4)"
    silent = Measured("wall", "X", "levels", 4, None, (0.0, 0.0, 0.5), None, None)
    assert str(silent) == "X told by levels: no alert, recall 0.00 (n = 4)"
    assert str(Measured("wall", "X", "orders", 0, None, None, None, None)) == "X: not measured"
    assert measured("no such detector") == ()
