"""Settings: one TOML file and environment overrides; unknown keys are rejected.

Precedence, strongest first: what a command line says, ``DEPTHSCOPE_<KEY>`` in the environment,
the file, the defaults below. The file is the first of: ``--config FILE``, the one named by
``DEPTHSCOPE_CONFIG``, ``depthscope.toml`` here, ``depthscope/depthscope.toml`` in the user's
configuration folder. The library itself (:func:`depthscope.features` and the like) reads no
setting: its results depend on its arguments alone.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from depthscope.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENVIRONMENT_ONLY", "LOG_LEVELS", "Settings", "load_settings"]

PREFIX: Final = "DEPTHSCOPE_"
LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")

# Names under our prefix that are not settings: where to look, and switches of tests and benchmarks.
ENVIRONMENT_ONLY: Final = frozenset(
    {
        "DEPTHSCOPE_BENCH_CACHE",
        "DEPTHSCOPE_BENCH_DEBUG",
        "DEPTHSCOPE_CACHE_DIR",
        "DEPTHSCOPE_CHROMIUM",
        "DEPTHSCOPE_CONFIG",
        "DEPTHSCOPE_DATA",
        "DEPTHSCOPE_REQUIRE_BROWSER",
        "DEPTHSCOPE_REQUIRE_DATA",
        "DEPTHSCOPE_SCREENSHOTS",
    }
)

_WORDS: Final[Mapping[str, bool]] = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


SECTIONS: Final = (
    "binance",
)  # tables of the file: ``[binance] rest_url`` is the setting ``binance_rest_url``


def _setting(
    default: Any, low: float | None = None, high: float | None = None, *, form: str = "", example: str = ""
) -> Any:
    """Declare a setting with its inclusive range, or the regular expression of a text and an example.

    Without an example the expression is a choice of words in small letters, taken in any case.
    """
    return field(default=default, metadata={"low": low, "high": high, "form": form, "example": example})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, its default, unit and range.

    Attributes
    ----------
    port : int
        Port of the page (0…65535, 0 takes a free one). Default 8050.
    open_browser : bool
        Whether `demo` and `replay` open a browser. Default true.
    page_hz : float
        Updates the page gets a second (1…60). Default 20.
    depth_rows : int
        Ladder rows a side, on the page and in `book` (1…1000). Default 20.
    history_seconds : int
        Heatmap history kept on the server, in seconds (60…86400). Default 86400.
    threads : int
        2 reads and computes side by side, 1 uses one core. Default 2.
    calendars : str
        Who follows another trading calendar than the shipped table says:
        ``venue=calendar`` or ``venue/symbol=calendar``, separated by commas. Default empty.
    binance_rest_url : str
        Where Binance USD-M futures answer requests, without a path. Default the real venue,
        ``https://fapi.binance.com``.
    binance_ws_url : str
        Where their streams are, without a path. Default ``wss://fstream.binance.com``.
    binance_depth_speed : str
        Cadence of its depth streams: 100ms, 250ms or 500ms. Default 100ms.
    binance_symbols : str
        What a live session follows when none is named, separated by commas. Default BTCUSDT.
    binance_snapshot_limit : int
        Levels a side of its snapshots: 5, 10, 20, 50, 100, 500 or 1000; more weigh more in the
        venue's request limit. Default 1000.
    log_level : str
        What is logged: debug, info, warning, error or critical and worse. Default info.
    log_file : str
        File that logs go to as JSON lines, beside stderr. Default empty, for none.
    """

    port: int = _setting(8050, 0, 65535)
    open_browser: bool = _setting(True)
    page_hz: float = _setting(20.0, 1, 60)
    depth_rows: int = _setting(20, 1, 1000)
    history_seconds: int = _setting(86_400, 60, 86_400)
    threads: int = _setting(2, 1, 2)
    calendars: str = _setting("")
    binance_rest_url: str = _setting(
        "https://fapi.binance.com", form=r"https?://[^/\s]+", example="https://host:port"
    )
    binance_ws_url: str = _setting(
        "wss://fstream.binance.com", form=r"wss?://[^/\s]+", example="wss://host:port"
    )
    binance_depth_speed: str = _setting("100ms", form="100ms|250ms|500ms")
    binance_symbols: str = _setting(
        "BTCUSDT", form=r"[A-Z0-9_]+( *, *[A-Z0-9_]+)*", example="BTCUSDT, ETHUSDT"
    )
    binance_snapshot_limit: int = _setting(1000, form="5|10|20|50|100|500|1000")
    log_level: str = _setting("info", form="|".join(LOG_LEVELS))
    log_file: str = _setting("")


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    path : Path, optional
        The TOML file. Without it the places named in the module's description are tried;
        it is no error that none exists.
    environ : mapping of str to str, optional
        The environment; the process's own by default.

    Returns
    -------
    Settings

    Raises
    ------
    ConfigError
        When a key is unknown, a value is of the wrong type or out of range, or a file that was
        named cannot be read.
    """
    environ = os.environ if environ is None else environ
    known = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}

    file = path or _named_file(environ) or _found_file(environ)
    if file is not None:
        for key, value in _flat(_read(file)).items():
            values[key] = _checked(key, value, known, str(file))

    by_variable = {PREFIX + name.upper(): name for name in known}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in ENVIRONMENT_ONLY:
            continue
        name = by_variable.get(variable)
        if name is None:
            near = get_close_matches(variable, [*by_variable, *ENVIRONMENT_ONLY], 1, 0.0)[0]
            raise ConfigError(
                f"The environment sets {variable}, which is no setting of depthscope. "
                f"The nearest known one is {near}. Unset it or correct its name."
            )
        values[name] = _checked(name, _parsed(text, known[name].type), known, variable)
    return Settings(**values)


def _flat(read: dict[str, Any]) -> dict[str, Any]:
    """Settings of a file with those of its sections under their full names."""
    flat: dict[str, Any] = {}
    for key, value in read.items():
        if key in SECTIONS and isinstance(value, dict):
            flat |= {f"{key}_{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


def _named_file(environ: Mapping[str, str]) -> Path | None:
    name = environ.get("DEPTHSCOPE_CONFIG")
    return Path(name) if name else None


def _found_file(environ: Mapping[str, str]) -> Path | None:
    base = environ.get("XDG_CONFIG_HOME") or environ.get("APPDATA")
    home = environ.get("HOME") or environ.get("USERPROFILE")
    folders = [Path(base)] if base else [Path(home) / ".config"] if home else []
    places = [Path("depthscope.toml"), *(f / "depthscope" / "depthscope.toml" for f in folders)]
    return next((p for p in places if p.is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"The settings file {file} cannot be read: {error.strerror or error}. "
            "Correct --config or DEPTHSCOPE_CONFIG."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The settings file {file} is not valid TOML: {error}. Correct that line."
        ) from error


def _parsed(text: str, kind: Any) -> Any:
    """Value of an environment variable, or the text itself where it is of another type."""
    text = text.strip()
    if kind == "str":
        return text
    if kind == "bool":
        return _WORDS.get(text.lower(), text)
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        return text


def _checked(key: str, value: Any, known: Mapping[str, Any], where: str) -> Any:
    """Check type and range of one setting."""
    if key not in known:
        near = get_close_matches(key, known, 1, 0.0)[0]
        raise ConfigError(
            f"{where} sets {key!r}, which is no setting of depthscope. The nearest known one is {near!r}. "
            f"Known: {', '.join(sorted(known))}."
        )
    kind = known[key].type
    if kind == "float" and type(value) is int:
        value = float(value)
    if type(value).__name__ != kind:
        raise ConfigError(f"{where}: {key} must be of type {kind}, got {value!r}. Correct it there.")
    low, high = known[key].metadata["low"], known[key].metadata["high"]
    if low is not None and not low <= value <= high:
        raise ConfigError(f"{where}: {key} must lie in {low} … {high}, got {value}. Correct it there.")
    form, example = known[key].metadata["form"], known[key].metadata["example"]
    taken = value.lower() if form and not example and kind == "str" else value
    if form and not re.fullmatch(form, str(taken)):
        right = f"write it like {example}" if example else f"use one of {form.replace('|', ', ')}"
        raise ConfigError(f"{where}: {key} cannot be {value!r}; {right}. Correct it there.")
    return taken
