"""The public functions `fit` and `score`: from files to a model, and to what it is worth."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from depthscope.errors import InputError
from depthscope.market.times import format_time, parse_duration, parse_every
from depthscope.research.fit import Fitted, fit_model
from depthscope.research.rows import NAMES, gather
from depthscope.research.scorecard import Card, score_rows
from depthscope.runtime.models import model_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from depthscope.api import Progress, Sources
    from depthscope.features.kit import Setting
    from depthscope.research.rows import Rows
    from depthscope.signals.model import Model

__all__ = ["fit", "score"]


def score(
    source: Sources,
    *,
    model: Model | str | Path | None = None,
    every: str | int = "100ms",
    symbols: Iterable[str] | None = None,
    sensitivity: str = "medium",
    settings: Mapping[str, Setting] | None = None,
    seed: int = 1,
    threads: int = 2,
    progress: Progress | None = None,
) -> dict[str, Card]:
    """Judge a model's signals on recorded data.

    Parameters
    ----------
    source, every, symbols, settings, threads, progress
        As for `depthscope.features`.
    model : Model, str or Path, optional
        A model, a file that `fit` wrote, or the horizon of shipped weights (``1s``, ``10s``, ``60s``);
        ``10s`` by default.
    sensitivity : {"low", "medium", "high"}
        Of the detectors.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to Card
        By symbol. Nothing in it was known to the model beforehand, unless it was fitted on these files.

    Examples
    --------
    >>> import depthscope as ds
    >>> ds.score("day.mbo.dbn.zst")["ESH4"].contenders[0].log_loss   # doctest: +SKIP
    """
    chosen = model_named(model)
    check_horizon(chosen.horizon, every)
    found = gather(
        source,
        lambda instrument: chosen,
        every=every,
        symbols=symbols,
        sensitivity=sensitivity,
        settings=settings,
        threads=threads,
        progress=progress,
    )
    if not found:
        raise InputError("No instrument of the data had a row with a book: there is nothing to judge.")
    data = _read(source)
    return {
        symbol: replace(card, notes=(*_origin(chosen, symbol, data), *card.notes), data=tuple(data))
        for symbol, card in ((s, score_rows(rows, chosen, seed=seed)) for s, rows in found.items())
    }


def check_horizon(horizon: int, every: str | int) -> None:
    """Refuse a horizon that ends before the next row.

    Raises
    ------
    InputError
        When it is shorter than the grid's step.
    """
    step = parse_every(every)
    if horizon < step:
        raise InputError(
            f"The horizon of {horizon / 1e9:g} s is shorter than the rows are apart ({every}): what a mid "
            "did meanwhile cannot be seen. Take a finer grid, or look farther ahead."
        )


def _origin(model: Model, symbol: str, data: Sequence[Mapping[str, str]]) -> list[str]:
    """Notes about what a model was fitted on, where that bears on what its figures mean."""
    about = model.provenance
    fitted = [one if isinstance(one, str) else one.get("name", "") for one in about.get("data", [])]
    hashes = {one.get("sha256") for one in about.get("data", []) if not isinstance(one, str)}
    notes = []
    again = [d["name"] for d in data if d["name"] in fitted or d.get("sha256", 0) in hashes]
    if again:
        notes.append(f"The model was fitted on {', '.join(again)} itself: these figures flatter it.")
    symbols = [*about.get("symbols", []), *about.get("span", {})]
    if symbols and symbol not in symbols:
        notes.append(f"The model was fitted on {', '.join(symbols)}, not on {symbol}.")
    return notes


def fit(
    source: Sources,
    *,
    horizon: str | int = "10s",
    fee_bps: float = 0.0,
    factors: Sequence[str] | None = None,
    every: str | int = "100ms",
    symbols: Iterable[str] | None = None,
    sensitivity: str = "medium",
    settings: Mapping[str, Setting] | None = None,
    name: str = "",
    seed: int = 1,
    threads: int = 2,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a signal model on recorded data of one instrument, or of several pooled.

    Parameters
    ----------
    source, every, symbols, settings, threads, progress
        As for `depthscope.features`.
    horizon : str or int
        How far ahead it looks.
    fee_bps : float
        Fee of one trade, added to half the spread: the cost a move must exceed.
    factors : sequence of str, optional
        Factors to use; all by default.
    sensitivity : {"low", "medium", "high"}
        Of the detectors.
    name : str
        Of the model; the symbols by default.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Fitted
        ``.model``, ready to save, and ``.metrics`` on rows it had not seen. The model says calibrated only
        with at least 2,000 independent labels behind that word.

    Raises
    ------
    InputError
        When there is too little to fit, or a factor is unknown.

    Examples
    --------
    >>> import depthscope as ds
    >>> ds.fit("day.mbo.dbn.zst", horizon="10s").save("es.json")   # doctest: +SKIP
    """
    used = tuple(NAMES if factors is None else [factors] if isinstance(factors, str) else factors)
    unknown = [factor for factor in used if factor not in NAMES]
    if unknown or not used:
        raise InputError(f"There is no factor called {(unknown or [''])[0]!r}; known are {', '.join(NAMES)}.")
    if not 0.0 <= fee_bps < float("inf"):
        raise InputError(f"The fee is {fee_bps} bps; it is a number from 0 on.")
    try:
        ahead = parse_duration(horizon)
    except InputError as error:
        raise InputError(f"horizon: {error}") from error
    check_horizon(ahead, every)
    found = gather(
        source,
        every=every,
        symbols=symbols,
        sensitivity=sensitivity,
        settings=settings,
        threads=threads,
        progress=progress,
    )
    config = {
        "every": every,
        "horizon": ahead,
        "fee_bps": fee_bps,
        "factors": list(used),
        "sensitivity": sensitivity,
        "settings": {name: _setting(value) for name, value in (settings or {}).items()},
    }
    return fit_model(
        list(found.values()),
        horizon=ahead,
        fee_bps=fee_bps,
        factors=used,
        name=name,
        seed=seed,
        provenance=_provenance(source, found, config),
    )


def _provenance(source: Any, found: Mapping[str, Rows], config: dict[str, Any]) -> dict[str, Any]:
    """Data and configuration a model comes from, without a path of this machine."""
    text = json.dumps(config, sort_keys=True)
    return {
        "data": _read(source),
        "span": {
            symbol: [format_time(int(rows.ts[0])), format_time(int(rows.ts[-1]))]
            for symbol, rows in found.items()
        },
        "rows": {symbol: len(rows) for symbol, rows in found.items()},
        "config": config,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "depthscope": version("depthscope"),
    }


def _read(source: Any) -> list[dict[str, str]]:
    """What was read: names, and hashes of files."""
    named = source if isinstance(source, list | tuple) else [source]
    return [_described(name) for name in named if isinstance(name, str | Path)]


def _setting(value: Setting) -> float | str:
    """A setting as a file may hold it; a fitted model by its words, as its own file says the rest."""
    return value if isinstance(value, float | int | str) else repr(value)


def _described(name: str | Path) -> dict[str, str]:
    """Name of a file or source, and the hash of a file's bytes."""
    path = Path(name)
    if not path.is_file():
        return {"name": str(name) if ":" in str(name) else path.name}
    with path.open("rb") as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
