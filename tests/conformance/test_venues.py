"""Every venue keeps the contract of docs/ADD_A_VENUE.md."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from depthscope.runtime.formats import recognise
from depthscope.venues import FORMATS, SPECS, read_head, venue

NORMALIZATION = Path(__file__).resolve().parents[2] / "docs" / "NORMALIZATION.md"


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_has_what_the_registry_asks_for(name: str) -> None:
    module = venue(FORMATS[name])
    assert name == module.FORMAT
    assert list(inspect.signature(module.sniff).parameters) == ["path", "head"]
    assert list(inspect.signature(module.open_file).parameters) == ["path", "options"]
    assert inspect.getdoc(module)
    assert "Raises" in (inspect.getdoc(module.open_file) or "")


@pytest.mark.parametrize("name", SPECS)
def test_a_specification_can_be_opened(name: str) -> None:
    module = venue(SPECS[name])
    assert list(inspect.signature(module.open_spec).parameters) == ["spec", "options"]
    assert name == module.FORMAT


@pytest.mark.parametrize("name", [*FORMATS, *SPECS])
def test_its_meanings_are_written_down(name: str) -> None:
    assert name in NORMALIZATION.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_format(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path / "noise.bin"
    path.write_bytes(rng.integers(0, 256, int(rng.integers(0, 5000)), dtype=np.uint8).tobytes())
    assert recognise(path, read_head(path)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a,b,c\n1,2,3\n",
        "{}",
        "[1, 2]",
        "<html>",
        "2024-01-01 12:00:00 hello",
        "%PDF-1.4",
        "# notes\n",
    ],
)
def test_text_is_no_format(text: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    assert recognise(path, read_head(path)) is None
