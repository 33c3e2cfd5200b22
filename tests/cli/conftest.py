"""Running commands in this process, and small files for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from depthscope.cli import common
from depthscope.cli.app import run
from tests.venues.dbn_files import NOON, header, mbo, write

SECOND = 10**9


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Compile first: a command says when that takes long, and tests look at what commands say."""
    from depthscope import venues
    from depthscope.cli.warmup import compile_steps, steps

    compile_steps(steps(modules=venues.KERNELS))


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Run `depthscope …` in an empty folder, without the settings of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DEPTHSCOPE_CONFIG", raising=False)
    monkeypatch.setattr(common, "_debug", False)

    def go(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run([str(a) for a in arguments])
        said = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    return go


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """Ten bids and ten asks of one instrument, a second apart, and a trade; ESH4 with its own tick."""
    records = []
    for k in range(10):
        for side, price in (
            ("B", 4800_000_000_000 - k * 250_000_000),
            ("A", 4801_000_000_000 + k * 250_000_000),
        ):
            records.append(
                mbo(NOON + k * SECOND, side=side, price=price, size=k + 1, order=len(records) + 1, sequence=k)
            )
    records.append(mbo(NOON + 10 * SECOND, "T", "B", 4801_000_000_000, 1, 0, sequence=10))
    records.append(mbo(NOON + 10 * SECOND, "F", "A", 4801_000_000_000, 1, 2, flags=0, sequence=11))
    records.append(mbo(NOON + 10 * SECOND, "C", "A", 4801_000_000_000, 1, 2, sequence=11))
    return write(tmp_path / "small.mbo.dbn", records)


@pytest.fixture
def two_instruments(tmp_path: Path) -> Path:
    """Two instruments in one file, and a third that is only named."""
    from datetime import date

    span = (date(2020, 1, 1), date(2030, 1, 1))
    mappings = {"ESH4": [(*span, "5")], "NQH4": [(*span, "6")], "ESM4": [(*span, "7")]}
    records = [
        mbo(
            NOON + k * SECOND,
            side="AB"[k % 2],
            price=(16_000 - k % 2) * 10**9,
            order=k + 1,
            number=5 + k % 3 % 2,
        )
        for k in range(12)
    ]
    return write(tmp_path / "two.mbo.dbn.zst", records, head=header(mappings=mappings))
