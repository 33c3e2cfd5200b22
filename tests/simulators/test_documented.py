"""docs/SIMULATORS.md says what the simulator does: its faults, its variants, its example."""

from __future__ import annotations

import re

import pytest

from depthscope.simulators.binance_faults import KINDS, parse_fault
from depthscope.simulators.binance_garbage import VARIANTS
from tests.rules.project import ROOT

PAGE = (ROOT / "docs" / "SIMULATORS.md").read_text(encoding="utf-8")


def test_every_fault_is_listed_with_what_it_does() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| ([^|]+) \|$", PAGE, re.M)
    assert {name: does.strip() for name, does in rows if name in KINDS} == {
        name: kind.does for name, kind in KINDS.items()
    }


def test_every_variant_is_listed() -> None:
    (told,) = re.findall(r"^Damaged messages \(`malformed=…`\): (.*?)\. Each", PAGE, re.M)
    assert re.findall(r"`([\w-]+)`", told) == list(VARIANTS)


def test_faults_of_the_examples_can_be_read() -> None:
    found = re.findall(r"--fault (\S+)", PAGE)
    assert len(found) >= 2
    for text in found:
        parse_fault(text)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 49  # fifty messages but one
