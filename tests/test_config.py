"""Settings: precedence, types, ranges, and names that are not known."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from depthscope.config import Settings, load_settings
from depthscope.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}) == Settings()


def test_environment_wins_over_file(tmp_path: Path) -> None:
    path = write(tmp_path, "port = 9000\npage_hz = 10\n")
    assert load_settings(path, {}) == Settings(port=9000, page_hz=10.0)
    assert load_settings(path, {"DEPTHSCOPE_PORT": "9001"}) == Settings(port=9001, page_hz=10.0)


def test_a_text_stays_a_text(tmp_path: Path) -> None:
    path = write(tmp_path, 'calendars = "binance=24/7"')
    assert load_settings(path, {}).calendars == "binance=24/7"
    assert load_settings(path, {"DEPTHSCOPE_CALENDARS": "1"}).calendars == "1"


def test_a_choice_is_taken_in_any_case(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, 'log_level = "WARNING"'), {}).log_level == "warning"
    assert load_settings(environ={"DEPTHSCOPE_LOG_LEVEL": "Debug"}).log_level == "debug"


def test_places_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    user = tmp_path / "home" / ".config" / "depthscope"
    user.mkdir(parents=True)
    (user / "depthscope.toml").write_text("port = 1001")
    home = {"HOME": str(tmp_path / "home")}
    assert load_settings(environ=home).port == 1001
    (tmp_path / "depthscope.toml").write_text("port = 1002")
    assert load_settings(environ=home).port == 1002
    named = write(tmp_path, "port = 1003")
    assert load_settings(environ={**home, "DEPTHSCOPE_CONFIG": str(named)}).port == 1003
    argument = tmp_path / "argument.toml"
    argument.write_text("port = 1004")
    assert load_settings(argument, {**home, "DEPTHSCOPE_CONFIG": str(named)}).port == 1004


def test_xdg_folder_replaces_dot_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "xdg" / "depthscope"
    folder.mkdir(parents=True)
    (folder / "depthscope.toml").write_text("threads = 1")
    assert load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).threads == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prot = 9000", r"'prot'.*nearest known one is 'port'"),
        ("depth_row = 3", r"nearest known one is 'depth_rows'"),
        ('port = "9000"', r"port must be of type int, got '9000'"),
        ("port = true", r"port must be of type int, got True"),
        ("open_browser = 1", r"open_browser must be of type bool"),
        ("port = 65536", r"port must lie in 0 … 65535, got 65536"),
        ("page_hz = 61", r"page_hz must lie in 1 … 60"),
        ("page_hz = nan", r"page_hz must lie in 1 … 60"),
        (
            'log_level = "loud"',
            "'loud'; use one of debug, info, warning, error, critical",
        ),
        ("calendars = 24", r"calendars must be of type str, got 24"),
        ("port = ", r"not valid TOML"),
    ],
)
def test_bad_file(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        load_settings(write(tmp_path, text), {})
    assert "settings.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DEPTHSCOPE_PROT", "1", r"DEPTHSCOPE_PROT.*nearest known one is DEPTHSCOPE_PORT"),
        ("DEPTHSCOPE_PORT", "many", r"DEPTHSCOPE_PORT: port must be of type int, got 'many'"),
        ("DEPTHSCOPE_PORT", "99999", r"must lie in"),
        ("DEPTHSCOPE_OPEN_BROWSER", "perhaps", r"must be of type bool, got 'perhaps'"),
        ("DEPTHSCOPE_PAGE_HZ", "inf", r"must lie in"),
    ],
)
def test_bad_environment(variable: str, value: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_settings(write(tmp_path, ""), {variable: value})


@pytest.mark.parametrize("word", ["0", "false", "No", " OFF "])
def test_words_for_no(word: str, tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, ""), {"DEPTHSCOPE_OPEN_BROWSER": word}).open_browser is False


def test_a_named_file_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(environ={"DEPTHSCOPE_CONFIG": str(tmp_path / "none.toml")})


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    environ = {"DEPTHSCOPE_DATA": "somewhere", "PATH": "x", "DEPTHSCOPES": "y"}
    assert load_settings(write(tmp_path, ""), environ) == Settings()


def test_every_setting_is_described() -> None:
    text = Settings.__doc__ or ""
    described = set(re.findall(r"^    (\w+) : ", text, re.M))
    assert described == {f.name for f in fields(Settings)}


def test_a_section_of_the_file_and_its_variables(tmp_path: Path) -> None:
    path = write(tmp_path, '[binance]\nws_url = "ws://127.0.0.1:9000"\nsymbols = "BTCUSDT, ETHUSDT"')
    found = load_settings(path, {"DEPTHSCOPE_BINANCE_REST_URL": "http://127.0.0.1:9000"})
    assert (found.binance_rest_url, found.binance_ws_url) == ("http://127.0.0.1:9000", "ws://127.0.0.1:9000")
    assert found.binance_symbols == "BTCUSDT, ETHUSDT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[binance]\nurl = 1", "binance_url.*nearest"),
        ('[binance]\nrest_url = "ftp://x"', "binance_rest_url cannot be"),
        ('[binance]\nrest_url = "https://x/path"', "binance_rest_url cannot be"),
        ('[binance]\ndepth_speed = "1ms"', "use one of 100ms, 250ms, 500ms"),
        ("[binance]\nsnapshot_limit = 7", "binance_snapshot_limit cannot be 7; use one of 5, 10, 20"),
        ('[binance]\nsymbols = "btcusdt"', "binance_symbols cannot be"),
        ('[binanec]\nrest_url = "https://x"', "'binanec'"),
    ],
)
def test_a_section_that_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_settings(write(tmp_path, text), {})
