"""Writes the shipped weights from the two recordings: ``make weights``.

ES (Christmas evening 2023, the hour of trade) and BTCUSDT (six minutes of August 2024) are pooled, each in
its own scale. Two quiet markets and little time: the weights show the way, and say uncalibrated.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from depthscope.errors import InputError
from depthscope.market.times import parse_duration
from depthscope.research.fit import fit_model
from depthscope.research.rows import Rows, gather
from depthscope.runtime import models

RECORDINGS: Final = ("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "binance/btcusdt_20240808.gz")


def write(data: Path, folder: Path) -> list[Path]:
    """Fit the weights of every shipped horizon and write them.

    Parameters
    ----------
    data : Path
        Folder of the recordings.
    folder : Path
        Where the files go.

    Returns
    -------
    list of Path
    """
    rows: list[Rows] = []
    for name in RECORDINGS:
        rows += gather(data / name).values()
    folder.mkdir(exist_ok=True)
    written = []
    for horizon in models.HORIZONS:
        fitted = fit_model(
            rows,
            horizon=parse_duration(horizon),
            name=f"shipped {horizon}",
            provenance={"data": [Path(name).name for name in RECORDINGS], "command": "make weights"},
        ).model
        file = folder / f"{horizon}.json"
        # Calibration on these markets says nothing of others.
        shipped = replace(fitted, platt=(1.0, 0.0), calibrated=False)
        file.write_text(shipped.to_json(), encoding="utf-8")
        written.append(file)
    return written


def main() -> None:
    """Write the package's own files from the recordings in DEPTHSCOPE_DATA."""
    data = os.environ.get("DEPTHSCOPE_DATA")
    if not data:
        raise InputError("DEPTHSCOPE_DATA must name the folder of the recordings.")
    for file in write(Path(data), Path(models.__file__).with_name("weights")):
        sys.stdout.write(f"{file.name}\n")


if __name__ == "__main__":
    main()
