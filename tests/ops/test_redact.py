"""Redaction: what is hidden, what is not, and that it stays quick."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

import msgspec
import numpy as np
import pytest

from depthscope.market.inputs import Kind
from depthscope.ops.redact import HIDDEN, forget, is_secret_name, protect, redact, redact_text

CANARY = "cAnArY7f3kd92kQ"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"  # as long as the venue's are


@pytest.fixture
def protected() -> Iterator[str]:
    secret = 'p&ß "/s:' + CANARY
    protect(secret)
    yield secret
    forget(secret)


@pytest.mark.parametrize(
    "text",
    [
        "https://h/fapi/v1/order?symbol=BTCUSDT&signature={}&recvWindow=5",
        "https://h/x?a=1;token={}",
        "https://h/x%3Fa%3D1%26token%3D{}%26b%3D2",
        "http://127.0.0.1:8050/?token={}",
        "wss://h/private/stream?listenKey={}&events=ORDER_TRADE_UPDATE",
        "wss://user:{}@h/ws",
        "Authorization: Bearer {}",
        "authorization: basic {}==",
        "Headers({{'authorization': 'Bearer {}', 'accept': '*/*'}})",
        "[(b'cookie', b'depthscope_8050={}')]",
        "Cookie: a={0}; b={0}\nHost: h",
        "Set-Cookie: depthscope_8050={}; HttpOnly",
        '{{"listenKey": "{}"}}',
        '"{{\\"secretKey\\": \\"{}\\"}}"',
        "{{'X-MBX-APIKEY': '{}'}}",
        "apiKey={} api_secret='{}'",
        "password: {}",
        "API-Key = {}",
        "page token={}",
        "sent bearer {} to it",
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\n{} (cut off",
    ],
)
def test_what_stands_where_secrets_stand_is_hidden(text: str) -> None:
    told = redact_text(text.format(*[CANARY] * text.count("{")))
    assert CANARY not in told
    assert HIDDEN in told
    assert CANARY[2:] not in told


@pytest.mark.parametrize(
    "text",
    [
        f"wss://h/private/ws/{KEY}",
        f"wss://h/ws/{KEY.lower()}",
        f"key {KEY} was refused",
        f"wss://h/stream?streams={KEY}",
    ],
)
def test_listen_keys_in_addresses_are_hidden(text: str) -> None:
    assert KEY.lower() not in redact_text(text).lower()


@pytest.mark.parametrize(
    "text",
    [
        "btcusdt@depth@100ms",
        "wss://h/public/ws/btcusdt@depth@100ms",
        "wss://h/market/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade",
        "https://h/fapi/v1/depth?symbol=BTCUSDT&limit=1000",
        "the signature was wrong",
        "no token was given",
        "a cookie is needed",
        "tokenizer = fast",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "keyboard: qwerty",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_the_rest_of_a_text_stays() -> None:
    text = f"GET /x?symbol=BTCUSDT&signature={CANARY}&limit=5 took 3 ms"
    assert redact_text(text) == f"GET /x?symbol=BTCUSDT&signature={HIDDEN}&limit=5 took 3 ms"


def test_a_protected_value_is_hidden_in_every_writing(protected: str) -> None:
    writings = [
        protected,
        quote(protected, safe=""),
        repr(protected),
        msgspec.json.encode(protected).decode(),
        base64.b64encode(protected.encode()).decode(),
        base64.urlsafe_b64encode(protected.encode()).decode(),
        protected.encode().hex(),
    ]
    for text in writings:
        told = redact_text(f"look: {text}.")
        assert HIDDEN in told, text
        assert CANARY not in told


def test_what_is_forgotten_is_shown_again() -> None:
    protect("opensesame")
    assert redact_text("opensesame!") == f"{HIDDEN}!"
    forget("opensesame")
    forget("opensesame")
    assert redact_text("opensesame!") == "opensesame!"


def test_a_short_secret_is_refused_without_telling_it() -> None:
    with pytest.raises(ValueError, match="fewer than 6") as told:
        protect("abc1")
    assert "abc1" not in str(told.value)


@pytest.mark.parametrize(
    "name",
    ["X-MBX-APIKEY", "listen_key", "Set-Cookie", "pageToken", "authorization", "secretKey", "PASSWORD"],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["symbol", "key", "tokenizer", "signature_algorithm", "cookie_name", "size"])
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


@dataclass
class Login:
    user: str
    password: str


class Session(msgspec.Struct):
    api_key: str
    symbol: str


class Mute:
    def __str__(self) -> str:
        raise RuntimeError(CANARY)


def test_nested_values() -> None:
    loop: list[object] = []
    loop.append(loop)
    told = redact(
        {
            "login": Login("me", CANARY),
            "session": Session(CANARY, "BTCUSDT"),
            "headers": [("Authorization", CANARY), (b"cookie", b"x=" + CANARY.encode()), ("Accept", "*/*")],
            "deep": {"a": [{"b": {"token": [CANARY, {"c": CANARY}]}}]},
            b"listenKey": CANARY,
            f"https://h/?token={CANARY}": 1,
            "password": 12345,
            "tokens": 17,
            "token": None,
            "url": f"https://h/?signature={CANARY}".encode(),
            "set": {"b", "a"},
            "numbers": (1, 2.5, True, Decimal("0.1"), np.int64(5), np.array([1, 2]), 2**70),
            "kind": Kind.REST,
            "loop": loop,
            "mute": Mute(),
        }
    )
    text = msgspec.json.encode(told).decode()
    assert CANARY not in text
    assert told["login"] == {"user": "me", "password": HIDDEN}
    assert told["session"] == {"api_key": HIDDEN, "symbol": "BTCUSDT"}
    assert told["headers"] == [["Authorization", HIDDEN], ["cookie", HIDDEN], ["Accept", "*/*"]]
    assert (told["password"], told["tokens"], told["token"]) == (HIDDEN, 17, None)
    assert told["set"] == ["a", "b"]
    assert told["numbers"] == [1, 2.5, True, "0.1", 5, [1, 2], str(2**70)]
    assert told["kind"] == "REST"
    assert "…" in str(told["loop"])
    assert told["mute"] == "<Mute without text: RuntimeError>"


@pytest.mark.parametrize(
    "text",
    [
        "a_" * 50_000,
        "token='" * 20_000,
        'cookie: "' * 20_000,
        "=" * 100_000,
        "x" * 200_000,
        "secret-" * 20_000,
    ],
)
def test_long_texts_take_no_time(text: str) -> None:
    start = time.process_time()
    redact_text(text)
    assert time.process_time() - start < 3.0


def test_a_huge_text_is_cut_where_it_hides_nothing() -> None:
    start = time.process_time()
    told = redact_text("secret-" * 700_000)
    assert time.process_time() - start < 3.0
    assert len(told) < 140_000 and told.endswith("characters left out")
    text = "a" * 131_000 + f" {KEY} " + "b" * 1_000
    for shift in range(0, 80):
        told = redact_text("a" * shift + text)
        assert KEY[:8] not in told
