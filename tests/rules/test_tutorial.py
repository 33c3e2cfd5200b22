"""The code of docs/WORTH.md, taken from the page and run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.rules.project import ROOT

PAGE = ROOT / "docs" / "WORTH.md"


def test_the_tutorial_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    script = tmp_path / "tutorial.py"
    script.write_text("\n\n".join(blocks), encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    for words in ("centred looks ahead", "always neutral", "calls, after half the spread"):
        assert words in done.stdout
