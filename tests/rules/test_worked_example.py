"""The feature built in docs/ADD_A_FEATURE.md, taken from the page and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.rules.project import ROOT

PAGE = ROOT / "docs" / "ADD_A_FEATURE.md"

# In a process of its own: registering changes what every other test would see.
SCRIPT = """
import importlib, sys
import numpy as np
from depthscope.engine import Engine
from depthscope.features import registry
from depthscope.market import events as ev
from depthscope.market.instruments import Capability, Instrument

sys.path.insert(0, sys.argv[1])
module = importlib.import_module("top_share")
registry.register(module)

can = Capability.L2 if sys.argv[2] == "L2" else Capability.L1
instrument = Instrument("test", "T", 10**7, capabilities=can)
rng = np.random.default_rng(11)
stream = ev.empty_events(4000)
book = {ord("B"): {}, ord("A"): {}}
expected = []
for k, e in enumerate(stream):
    side = (ord("B"), ord("A"))[int(rng.integers(2))]
    level, size = int(rng.integers(8)), int(rng.integers(0, 5) * rng.integers(1, 50))
    price = (1000 - level if side == ord("B") else 1001 + level) * 10**7
    e["ts_recv"] = e["ts_event"] = 10**18 + k * 1000
    e["price"], e["size"], e["side"], e["action"], e["flags"] = price, size, side, ev.LEVEL, ev.LAST
    book[side][price] = size
    shares = []
    for s, sign in ((ord("B"), -1), (ord("A"), 1)):
        best = sorted((p for p, q in book[s].items() if q), key=lambda p: sign * p)[:5]
        sizes = [book[s][p] for p in best]
        shares.append(sizes[0] / sum(sizes) if sizes else np.nan)
    expected.append(shares)

engine = Engine(lambda publisher, number: instrument, every="event", features=["top_share"])
batch = engine.process(stream)
assert [c.name for c in batch.columns] == ["top_share_bid", "top_share_ask"]
assert len(batch) == len(stream), len(batch)
wanted = np.array(expected).T if sys.argv[2] == "L2" else np.full((2, len(stream)), np.nan)
np.testing.assert_array_equal(batch.values, wanted)
assert sys.argv[2] == "L1" or np.isfinite(batch.values).mean() > 0.9
print("ok")
"""


def example() -> str:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return code


def run(folder: Path, kind: str) -> None:
    (folder / "top_share.py").write_text(example(), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder), kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("ok")


def test_the_example_computes_what_it_says(tmp_path: Path) -> None:
    run(tmp_path, "L2")


def test_the_example_is_null_where_the_feed_cannot_tell(tmp_path: Path) -> None:
    run(tmp_path, "L1")


def test_the_names_on_the_page_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    kit = (ROOT / "src" / "depthscope" / "features" / "kit.py").read_text(encoding="utf-8")
    for name in ("as_price", "as_size", "infos", "column", "ring_full", "RING"):
        assert name in text
        assert re.search(rf"^(def {name}\b|{name}: )", kit, re.M), name
    features = (ROOT / "src" / "depthscope" / "features" / "__init__.py").read_text(encoding="utf-8")
    assert "FEATURES" in features
