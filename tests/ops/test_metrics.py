"""Metrics: scraped from a running server, read by Prometheus's own parser, bounded labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Counter
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families

from depthscope.ops.meters import LatencyHistogram
from depthscope.ops.metrics import MAX_SYMBOLS, Metrics
from depthscope.ops.snapshot import EnginePart, LatencyPart, Snapshot
from depthscope.web.app import Address
from tests.ops.test_health import GOOD, feed, snapshot
from tests.rules.project import ROOT
from tests.web.clients import wait_open
from tests.web.conftest import make_session, serving


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def told(taken: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return samples(Metrics(lambda: taken).exposition()[0].decode())


def test_every_figure_of_a_snapshot_is_told() -> None:
    found = told(snapshot(**GOOD))
    about = (("feed", "binance"), ("symbol", "BTCUSDT"))
    assert found["depthscope_feed_messages_total", about] == 5
    assert found["depthscope_feed_message_age_seconds", about] == pytest.approx(0.1)
    assert found["depthscope_feed_books", (*about[:1], ("state", "LIVE"), about[1])] == 1
    assert found["depthscope_feed_books", (*about[:1], ("state", "STALE"), about[1])] == 0
    assert found["depthscope_feed_lag_seconds", (about[0], ("quantile", "0.99"), about[1])] == 0.1
    assert found["depthscope_health_status", (("status", "ok"),)] == 1
    assert found["depthscope_recorder_disk_free_bytes", ()] == 90 * 2**30
    assert found["depthscope_process_resident_memory_bytes", ()] == 1e8
    assert found["depthscope_recorder_stopped", ()] == 0
    assert found["depthscope_clock_skew_seconds", ()] == -0.003
    assert found["depthscope_page_clients", ()] == 2
    assert found["depthscope_audit_records_total", (("kind", "alert"),)] == 2
    assert found["depthscope_log_suppressed_records_total", ()] == 9
    assert found["depthscope_build_info", (("config", "ab12"), ("mode", "live"), ("version", "0.1.0"))] == 1


def test_the_verdict_is_told() -> None:
    found = told(snapshot(feeds=(feed(state="STALE"),)))
    assert found["depthscope_health_status", (("status", "failing"),)] == 1
    assert found["depthscope_health_status", (("status", "ok"),)] == 0
    assert found["depthscope_health_reasons", (("level", "degraded"),)] == 1
    assert found["depthscope_health_reasons", (("level", "failing"),)] == 1


def test_latencies_are_a_histogram_with_exact_counts() -> None:
    histogram, values = LatencyHistogram(), [900, 1024, 5_000, 70_000, 10**6, 10**9, 10**11]
    for ns in values:
        histogram.record(ns)
    found = told(snapshot(engine=EnginePart(latency=LatencyPart.of(histogram))))
    buckets = {
        dict(labels)["le"]: n for (name, labels), n in found.items() if name.endswith("seconds_bucket")
    }
    assert len(buckets) == 27
    for bound, count in buckets.items():
        limit = math.inf if bound == "+Inf" else float(bound) * 1e9
        assert count == sum(ns <= limit for ns in values)
    assert found["depthscope_engine_latency_seconds_count", ()] == len(values)
    assert found["depthscope_engine_latency_seconds_sum", ()] == sum(values) / 1e9


def test_names_follow_the_conventions() -> None:
    text = Metrics(lambda: snapshot(**GOOD)).exposition()[0].decode()
    names = set()
    for family in text_string_to_metric_families(text):
        names.add(family.name)
        assert re.fullmatch(r"depthscope_[a-z0-9_]+", family.name)
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        assert not re.search(r"_(ms|ns|us|minutes|kib|mib)(_|$)", family.name), "base units only"
    listed = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    assert {name for name in names if f"`{name}" not in listed} == set(), "docs/OPERATIONS.md lists them all"


def test_labels_are_bounded() -> None:
    feeds = tuple(feed(symbol=f"S{k}", messages=1, state="STALE" if k % 2 else "LIVE") for k in range(1_000))
    found = told(snapshot(feeds=feeds))
    assert len({dict(labels).get("symbol") for _, labels in found}) <= MAX_SYMBOLS + 2
    assert len(found) < 1_000
    assert sum(n for (name, _), n in found.items() if name == "depthscope_feed_messages_total") == 1_000
    books = [
        n
        for (name, labels), n in found.items()
        if name == "depthscope_feed_books" and ("state", "STALE") in labels
    ]
    assert sum(books) == 500
    long = told(snapshot(feeds=(feed(symbol="x" * 500, feed='we"ird\n\\'),)))
    assert max(len(value) for _, labels in long for _, value in labels) <= 32


def test_others_may_add_their_own() -> None:
    metrics = Metrics(snapshot)
    Counter("depthscope_orders", "Orders sent.", registry=metrics.registry).inc(3)
    assert samples(metrics.exposition()[0].decode())["depthscope_orders_total", ()] == 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("static")
    (folder / "index.html").write_text("<!doctype html><title>t</title>", encoding="utf-8")
    with serving(make_session(), folder=folder) as address:
        wait_open(address)
        yield address


def scrape(address: Address, **headers: str) -> httpx.Response:
    return httpx.get(f"{address.url}metrics", headers=headers)


def test_a_running_server_is_scraped(server: Address) -> None:
    bearer = {"Authorization": f"Bearer {server.token}"}
    answer = scrape(server, **bearer)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    found = samples(answer.text)
    assert found["depthscope_page_clients", ()] == 0
    assert found["depthscope_engine_events_total", ()] > 0
    assert found["depthscope_uptime_seconds", ()] > 0
    assert found["depthscope_health_status", (("status", "ok"),)] == 1
    later = samples(scrape(server, **bearer).text)
    assert later["depthscope_uptime_seconds", ()] > found["depthscope_uptime_seconds", ()]


def test_open_metrics_is_spoken_too(server: Address) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    answer = scrape(server, Authorization=f"Bearer {server.token}", Accept=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = list(open_parser.text_string_to_metric_families(answer.text))
    assert {f.name for f in families} >= {"depthscope_engine_events", "depthscope_page_clients"}


def test_a_scraper_without_the_token_gets_nothing(server: Address) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"depthscope_{server.port}=x"}):
        answer = scrape(server, **headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "no_token"
        assert "depthscope_" not in answer.text
    other = {"Authorization": f"Bearer {server.token}", "Host": "evil.example"}
    assert scrape(server, **other).status_code == 421
    assert "token" not in scrape(server, Authorization=f"Bearer {server.token}").text


def test_a_live_session_gives_its_own_snapshot(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>t</title>", encoding="utf-8")
    parts: dict[str, Any] = GOOD | {"page": None, "feeds": (feed(state="STALE", reason="gap"),)}
    with serving(make_session(), folder=tmp_path, snapshot=lambda: snapshot(**parts)) as address:
        wait_open(address)
        bearer = {"Authorization": f"Bearer {address.token}"}
        found = samples(scrape(address, **bearer).text)
        health = httpx.get(f"{address.url}api/v1/health", headers=bearer).json()["health"]
    assert found["depthscope_recorder_disk_free_bytes", ()] == 90 * 2**30
    assert found["depthscope_page_clients", ()] == 0, "the server knows its pages"
    assert health["status"] == "failing"
    assert health["reasons"][0]["code"] == "no_live_book"
    assert health["snapshot"]["page"]["clients"] == 0
