"""The page in a real Chromium against the real server: painted, streaming, steerable, safe, accessible.

Needs the system's Chromium (``/usr/bin/chromium`` or DEPTHSCOPE_CHROMIUM). Without it these tests are left out,
or fail where DEPTHSCOPE_REQUIRE_BROWSER=1.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
).split()
WAIT = 30_000
START_SECONDS = 150  # a cold kernel cache compiles on the first start
CANVASES = {"heat": 24, "over": 12, "cols": 6, "strips": 10, "dom": 12, "depth": 8, "tape": 8, "legend": 30}

READY = "() => { const d = window.__depthscope; return d && d.store && d.store.head > 40 && d.perf.draws > 3 && !d.app.market.filling; }"
DISTINCT = """id => {
  const c = document.getElementById(id), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set();
  for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 0) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
  return seen.size;
}"""


def chromium() -> str:
    path = os.environ.get("DEPTHSCOPE_CHROMIUM") or "/usr/bin/chromium"
    if not Path(path).exists():
        message = f"no Chromium at {path}"
        if os.environ.get("DEPTHSCOPE_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Server:
    """`depthscope …` in a process of its own, on one port over its lives."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.port = free_port()
        self.env = os.environ | {"DEPTHSCOPE_TOKEN": "a-token-for-the-browser-tests-only"}
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self.url = ""

    def start(self) -> None:
        self.lines = []
        process = subprocess.Popen(
            [sys.executable, "-m", "depthscope", *self.command, "--port", str(self.port), "--no-open"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env,
        )  # fmt: skip
        self.process = process
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = re.search(r"page: (http\S+)", "".join(self.lines))
            if found:
                self.url = found.group(1)
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        pytest.fail(f"the server did not start:\n{''.join(self.lines)}")

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        request = Request(
            self.origin + path,
            headers={"Authorization": f"Bearer {urlsplit(self.url).query.removeprefix('token=')}"},
        )
        with urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def demo(browser: Browser) -> Iterator[Server]:
    server = Server("demo", "--seed", "7")
    server.start()
    yield server
    server.stop()


@contextlib.contextmanager
def opened(browser: Browser, server: Server, width: int = 1600, height: int = 900) -> Iterator[Page]:
    """A page that fails the test on a foreign request, a console error or a CSP violation."""
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    foreign: list[str] = []
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("console", lambda m: errors.append(m.text) if m.type in {"error", "warning"} else None)
    page.on(
        "websocket",
        lambda w: None if w.url.startswith(f"ws://127.0.0.1:{server.port}/") else foreign.append(w.url),
    )

    def watch(route: Any) -> None:
        if route.request.url.startswith((server.origin + "/", "data:")):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    context.route("**/*", watch)
    page.add_init_script(
        "window.violations = []; document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective + ' ' + e.blockedURI))"
    )
    page.goto(server.url)
    page.wait_for_function(READY, timeout=START_SECONDS * 1000)
    page.expected_errors = []  # type: ignore[attr-defined]
    try:
        yield page
        assert foreign == []
        assert page.evaluate("window.violations") == []
        unexpected = [e for e in errors if not any(re.search(p, e) for p in page.expected_errors)]  # type: ignore[attr-defined]
        assert unexpected == []
    finally:
        context.close()


@pytest.fixture
def page(browser: Browser, demo: Server) -> Iterator[Page]:
    with opened(browser, demo) as found:
        found.evaluate(
            "() => { const a = __depthscope.app; if (a.paused) a.togglePause(); a.feed.send({cmd: 'speed', x: 1}); }"
        )
        yield found


def head(page: Page) -> int:
    return int(page.evaluate("__depthscope.store.head"))


def test_every_canvas_is_painted(page: Page) -> None:
    page.wait_for_timeout(600)
    painted = {name: page.evaluate(DISTINCT, name) for name in CANVASES}
    assert all(painted[name] >= least for name, least in CANVASES.items()), painted


def test_streams_twenty_columns_a_second_within_the_frame_budget(page: Page) -> None:
    """Best of five windows: other tests share the two cores."""
    best = {"updates": 0.0, "fps": 0.0, "ms": 1e9}
    for _ in range(5):
        before = page.evaluate(
            "({t: performance.now(), u: __depthscope.perf.updates, f: __depthscope.perf.frames, ms: __depthscope.perf.chartMs + __depthscope.perf.panelMs + __depthscope.perf.textMs + __depthscope.app.feed.stats.decodeMs})"
        )
        page.wait_for_timeout(2000)
        after = page.evaluate(
            "({t: performance.now(), u: __depthscope.perf.updates, f: __depthscope.perf.frames, ms: __depthscope.perf.chartMs + __depthscope.perf.panelMs + __depthscope.perf.textMs + __depthscope.app.feed.stats.decodeMs})"
        )
        seconds = (after["t"] - before["t"]) / 1000
        updates = after["u"] - before["u"]
        best["updates"] = max(best["updates"], updates / seconds)
        best["fps"] = max(best["fps"], (after["f"] - before["f"]) / seconds)
        best["ms"] = min(best["ms"], (after["ms"] - before["ms"]) / max(1, updates))
        if best["updates"] >= 18 and best["fps"] >= 50 and best["ms"] <= 16:
            break
    assert best["updates"] >= 18 and best["fps"] >= 50 and best["ms"] <= 16, best


def test_the_book_on_the_page_is_the_book_of_the_server(page: Page, demo: Server) -> None:
    page.keyboard.press("Space")
    page.wait_for_function("__depthscope.app.paused && __depthscope.app.market.session.state === 'paused'")
    page.wait_for_timeout(1300)  # the table is filled once a second
    name = page.evaluate("__depthscope.app.market.symbol.name")
    book = demo.get(f"/api/v1/book?symbol={name}&levels=10")
    rows = page.evaluate(
        "[...document.querySelectorAll('#book-table tbody tr')].map(r => [...r.cells].map(c => c.textContent.replace(/\\u2009/g, '')))"
    )
    assert len(rows) == 10
    for k, (bid_size, bid, ask, ask_size) in enumerate(rows):
        for price, size, level in ((bid, bid_size, book["bids"][k]), (ask, ask_size, book["asks"][k])):
            assert float(price) == pytest.approx(float(level[0]))
            assert float(size) == pytest.approx(float(level[1]), rel=1e-5)
    page.keyboard.press("l")


def test_pause_and_latest(page: Page) -> None:
    page.keyboard.press("Space")
    page.wait_for_function("__depthscope.app.market.session.state === 'paused'")
    page.wait_for_timeout(200)
    stopped = head(page)
    page.wait_for_timeout(700)
    assert head(page) == stopped
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    page.keyboard.press("l")
    page.wait_for_function(f"__depthscope.store.head > {stopped + 5}")
    assert page.get_attribute("#pause", "aria-pressed") == "false"


def test_speed(page: Page) -> None:
    page.select_option("#speed", "20")
    page.wait_for_function("__depthscope.app.market.session.speed === 20")
    before, at = head(page), time.monotonic()
    page.wait_for_timeout(1500)
    gained = (head(page) - before) / (time.monotonic() - at)
    page.select_option("#speed", "1")
    assert gained > 100, f"{gained:.0f} columns a second at 20 times"
    page.wait_for_function("__depthscope.app.market.session.speed === 1")


def test_seek(page: Page) -> None:
    page.select_option("#speed", "20")
    page.wait_for_function(
        "__depthscope.app.market.session.tsMs - __depthscope.app.market.session.startMs > 20000"
    )
    page.select_option("#speed", "1")
    start = float(page.evaluate("__depthscope.app.market.session.startMs"))
    target = start + 8000
    page.evaluate(
        "ms => { const s = document.getElementById('seek'); s.value = ms; s.dispatchEvent(new Event('input')); }",
        target,
    )
    assert page.is_visible("#seek-label")
    assert re.match(r"\d\d:\d\d:\d\d ", page.inner_text("#seek-label"))
    epoch = page.evaluate("__depthscope.app.market.epoch")
    page.evaluate("document.getElementById('seek').dispatchEvent(new Event('change'))")
    page.wait_for_function(
        f"__depthscope.app.market.epoch > {epoch} && __depthscope.store.head >= 0 && __depthscope.app.market.session.state === 'playing'"
    )
    now = float(page.evaluate("__depthscope.app.market.originMs + __depthscope.app.market.nowMs"))
    assert target - 1000 <= now <= target + 6000
    assert page.is_hidden("#seek-label")


def test_symbols(page: Page) -> None:
    names = page.evaluate("__depthscope.app.market.hello.symbols.map(s => s.name)")
    buttons = page.locator("#symbols button")
    assert buttons.count() == min(len(names), 6)
    assert page.get_attribute("#symbols button.on", "aria-pressed") == "true"
    if len(names) < 2:
        pytest.skip("the demo has one symbol")
    page.keyboard.press("2")
    page.wait_for_function(
        "name => __depthscope.app.market.symbol.name === name && __depthscope.store.head > 0", arg=names[1]
    )
    tick = float(page.evaluate("__depthscope.app.market.symbol.tick"))
    mid = float(
        page.evaluate("(() => { const s = __depthscope.store; return s.mid(s.lastQuoted(s.head)); })()")
    )
    page.wait_for_timeout(500)
    assert float(page.inner_text("#last-price")) == pytest.approx(mid * tick, rel=0.02)
    page.locator("#symbols button").first.click()
    page.wait_for_function(
        "name => __depthscope.app.market.symbol.name === name && __depthscope.store.head > 0", arg=names[0]
    )


def test_zooming_out_fetches_coarser_history_and_comes_back(page: Page) -> None:
    page.mouse.move(400, 300)
    for _ in range(9):
        page.mouse.wheel(0, 120)
    page.wait_for_function("__depthscope.app.market.coarse !== null && __depthscope.app.renderer.res === 1")
    page.wait_for_timeout(400)
    assert page.evaluate(DISTINCT, "heat") >= CANVASES["heat"]
    # Coarse columns made here are the maximum of the fine ones.
    worst = page.evaluate("""() => {
      const { fine, coarse } = __depthscope.app.market; let worst = 0, seen = 0;
      for (let c = coarse.head - 12; c < coarse.head - 2; c++) for (let k = 0; k < coarse.levels; k += 3) {
        const tick = coarse.base[coarse.slot(c)] + k; let most = NaN;
        for (let f = c * 5; f < c * 5 + 5; f++) { const v = fine.at(f, tick); if (!(most >= v)) most = v; }
        if (most === most) { seen++; worst = Math.max(worst, Math.abs(most - coarse.at(c, tick)) / (most + 1)); }
      }
      return seen > 100 ? worst : 1e9;
    }""")
    assert worst < 1e-3
    for _ in range(14):
        page.mouse.wheel(0, -120)
    page.wait_for_function("__depthscope.app.market.coarse === null && __depthscope.app.renderer.res === 0")
    before = head(page)
    page.wait_for_function(f"__depthscope.store.head > {before + 10}")


def test_panning_shows_the_way_back(page: Page) -> None:
    assert page.is_hidden("#pill")
    page.mouse.move(300, 300)
    page.mouse.down()
    page.mouse.move(560, 302, steps=4)
    page.mouse.up()
    page.wait_for_selector("#pill", state="visible")
    edge = page.evaluate("__depthscope.app.view.edge")
    page.wait_for_timeout(400)
    assert page.evaluate("__depthscope.app.view.edge") == edge
    page.click("#pill")
    page.wait_for_selector("#pill", state="hidden")


def test_price_zoom_on_the_axis_and_reset(page: Page) -> None:
    page.wait_for_function("__depthscope.app.view.fitted")
    rows = page.evaluate("__depthscope.app.view.rows")
    width = page.evaluate("__depthscope.app.renderer.plot.width")
    page.mouse.move(width + 30, 300)
    page.mouse.wheel(0, 240)
    page.wait_for_function(f"__depthscope.app.view.rows > {rows * 1.1}")
    page.mouse.dblclick(300, 300)
    page.wait_for_function(
        f"Math.abs(__depthscope.app.view.rows / {rows} - 1) < 0.6 && __depthscope.app.view.followPrice"
    )


def test_crosshair_tells_price_time_and_size(page: Page) -> None:
    page.keyboard.press("Space")
    page.wait_for_function("__depthscope.app.market.session.state === 'paused'")
    page.wait_for_timeout(300)
    page.mouse.move(420, 330)
    page.wait_for_timeout(150)
    said = page.evaluate(
        "import('/js/crosshair.js').then(m => m.describePoint(__depthscope.app.renderer.crossInput()))"
    )
    price, tick = float(said["price"]), float(page.evaluate("__depthscope.app.market.symbol.tick"))
    assert price == pytest.approx(round(price / tick) * tick)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d", said["time"])
    assert any(
        re.match(r"resting |outside the recorded|no live book|no history", line) for line in said["lines"]
    ), said
    assert page.evaluate(DISTINCT, "cross") >= 3
    page.mouse.move(420, 5)
    page.wait_for_timeout(150)
    assert page.evaluate(DISTINCT, "cross") == 0 or page.evaluate(
        "__depthscope.app.renderer.pointer === null"
    )
    page.keyboard.press("l")


def test_theme_and_settings_are_kept(page: Page) -> None:
    corner = "(() => getComputedStyle(document.body).backgroundColor)()"
    dark = page.evaluate(corner)
    page.keyboard.press("t")
    page.select_option("#palette", "cividis")
    page.wait_for_timeout(300)
    assert page.evaluate(corner) != dark
    assert page.evaluate(DISTINCT, "heat") >= CANVASES["heat"]
    page.reload()
    page.wait_for_function(READY)
    assert page.get_attribute("html", "data-theme") == "light"
    assert page.input_value("#palette") == "cividis"


def test_dots_can_be_filtered(page: Page) -> None:
    page.evaluate(
        "() => { const s = document.getElementById('dots'); s.value = 90; s.dispatchEvent(new Event('input')); }"
    )
    page.wait_for_function("document.getElementById('dots-least').textContent.startsWith('≥')")
    assert page.evaluate("__depthscope.app.renderer.dots.least") > 0


def test_ladder_stays_under_the_cursor(page: Page) -> None:
    box = page.locator("#dom").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 200)
    centre = page.evaluate("__depthscope.app.renderer.ladder.centre")
    page.mouse.wheel(0, -120)
    page.wait_for_function(f"__depthscope.app.renderer.ladder.centre === {centre + 3}")
    page.wait_for_selector("#recentre.on")
    page.mouse.move(300, 300)
    page.keyboard.press("c")
    page.wait_for_function("!__depthscope.app.renderer.ladder.manual")
    page.select_option("#group", "5")
    page.wait_for_function("__depthscope.app.renderer.ladderGroup === 5")


def test_help_and_accessibility(page: Page) -> None:
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    assert page.is_hidden("#help")
    unnamed = page.evaluate("""() => [...document.querySelectorAll('button, select, input, canvas')].filter(e =>
      !e.closest('dialog, [hidden]') && e.getAttribute('aria-hidden') !== 'true' && !e.getAttribute('aria-label') && !e.textContent.trim() && !e.labels?.length && !e.title)
      .map(e => e.id)""")
    assert unnamed == []
    assert page.get_attribute("#announce", "aria-live") == "polite"
    assert "live" in page.inner_text("#announce")


@pytest.mark.parametrize(("width", "height"), [(1600, 900), (1280, 720), (1920, 1080)])
def test_nothing_is_clipped(browser: Browser, demo: Server, width: int, height: int) -> None:
    with opened(browser, demo, width, height) as page:
        page.wait_for_timeout(1300)
        out = page.evaluate("""() => {
          const bad = [];
          if (document.documentElement.scrollWidth > innerWidth || document.documentElement.scrollHeight > innerHeight) bad.push('the page scrolls');
          for (const bar of ['top', 'bottom']) {
            const edge = document.getElementById(bar).getBoundingClientRect(); let last = -1;
            for (const e of document.getElementById(bar).children) {
              const r = e.getBoundingClientRect(); if (r.width === 0) continue;
              if (r.right > edge.right + 1) bad.push(`${bar}: ${e.id || e.className} sticks out`);
              if (r.left < last - 1) bad.push(`${bar}: ${e.id || e.className} overlaps`);
              if (e.scrollWidth > e.clientWidth + 1 && e.tagName !== 'DETAILS' && getComputedStyle(e).display !== 'inline') bad.push(`${bar}: ${e.id || e.className} overflows`);
              last = r.right;
            }
          }
          for (const e of document.querySelectorAll('#side td, #side th, #side dd, #side h2')) if (e.scrollWidth > e.clientWidth + 1) bad.push(`side: ${e.textContent}`);
          return bad;
        }""")
        assert out == []


def test_policy_of_the_answer(demo: Server, browser: Browser) -> None:
    context = browser.new_context()
    try:
        answer = context.new_page().goto(demo.url)
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "token" not in answer.url
        cookie = context.cookies()[0]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    finally:
        context.close()


def test_a_killed_server_is_shown_and_the_page_comes_back(browser: Browser) -> None:
    server = Server("demo", "--seed", "3")
    server.start()
    try:
        with opened(browser, server) as page:
            page.expected_errors = [
                r"WebSocket connection",
                r"ERR_CONNECTION_REFUSED",
                r"Failed to load resource",
            ]  # type: ignore[attr-defined]
            held = head(page)
            server.stop(signal.SIGKILL)
            page.wait_for_selector("#badge[data-kind=offline]")
            assert "DISCONNECTED" in page.inner_text("#badge")
            assert page.is_visible("#notice")
            assert head(page) >= held, "what was there stays on show"
            server.start()
            page.wait_for_selector("#badge[data-kind=live]", timeout=START_SECONDS * 1000)
            page.wait_for_function("__depthscope.store.head > 40 && !__depthscope.app.market.filling")
            assert page.evaluate("__depthscope.app.feed.stats.drops") >= 1
            columns = page.evaluate(
                "(() => { const s = __depthscope.store; let n = 0; for (let c = s.oldest; c <= s.head; c++) n += s.has(c); return n === s.head - s.oldest + 1; })()"
            )
            assert columns, "no hole in what came back"
    finally:
        server.stop()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "speed"),
    [("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst", "100"), ("binance/btcusdt_20240808.gz", "5")],
    ids=["es", "btc"],
)
def test_replay_of_a_recording(browser: Browser, data_dir: Path, file: str, speed: str) -> None:
    server = Server("replay", str(data_dir / file), "--speed", speed)
    server.start()
    try:
        with opened(browser, server) as page:
            page.wait_for_function(
                "__depthscope.app.market.info?.state === 'LIVE' && __depthscope.store.trades.list.length > 20",
                timeout=60_000,
            )
            page.wait_for_timeout(500)
            painted = {name: page.evaluate(DISTINCT, name) for name in CANVASES}
            assert all(painted[name] >= CANVASES[name] / 2 for name in CANVASES), painted
            bid, ask = page.evaluate(
                "(() => { const s = __depthscope.store, i = s.slot(s.lastQuoted(s.head)); return [s.bid[i], s.ask[i]]; })()"
            )
            assert 0 < ask - bid < 50
            if out := os.environ.get("DEPTHSCOPE_SCREENSHOTS"):
                page.screenshot(path=str(Path(out) / f"{Path(file).name.split('.')[0]}.png"))
    finally:
        server.stop()


def test_node_runs_the_unit_tests() -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("DEPTHSCOPE_REQUIRE_BROWSER") == "1":
            pytest.fail("node is missing")
        pytest.skip("node is missing")
    done = subprocess.run(
        [node, "--test", str(Path(__file__).parent / "js")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.M), done.stdout[-500:]
