"""Entry of the bench: makes its own virtual environment with pinned peers, then measures in it.

Only the standard library is used here, so that any Python 3.11 or newer can start it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-bench"
CONSTRAINTS = ROOT / "bench" / "constraints.txt"

# Each is installed by itself: one that cannot be had on this machine is reported and left out.
PEERS = ("sortedcontainers", "databento", "nautilus_trader", "hftbacktest", "order-book", "msgspec")


def python() -> Path:
    """Interpreter of the bench's environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def say(text: str) -> None:
    """Tell the user what takes time."""
    print(text, file=sys.stderr, flush=True)


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the environment's installer."""
    command = [str(python()), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Reason of a failed installation, in one line."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no reason given"])[-1]


def prepare() -> dict[str, str]:
    """Make the environment when it is missing or out of date; peers that cannot be had, with the reason."""
    key = hashlib.sha256(
        CONSTRAINTS.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + repr(PEERS).encode()
    )
    stamp, wanted = VENV / "bench.json", key.hexdigest()
    if stamp.is_file():
        told = json.loads(stamp.read_text(encoding="utf-8"))
        if told["key"] == wanted:
            return dict(told["unavailable"])
    if not python().is_file():
        say(f"making {VENV.name} …")
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    say("installing depthscope from this checkout …")
    done = pip("-c", str(CONSTRAINTS), "-e", str(ROOT))
    if done.returncode:
        raise SystemExit(f"depthscope could not be installed into {VENV.name}: {last_words(done)}")
    unavailable = {}
    for name in PEERS:
        say(f"installing {name} …")
        done = pip("-c", str(CONSTRAINTS), name)
        if done.returncode:
            unavailable[name] = last_words(done)
            say(f"  left out: {unavailable[name]}")
    stamp.write_text(json.dumps({"key": wanted, "unavailable": unavailable}), encoding="utf-8")
    return unavailable


def main(arguments: list[str]) -> int:
    """Prepare, then hand over to the environment's interpreter."""
    unavailable = prepare()
    command = [str(python()), "-m", "bench.compare", *arguments, "--unavailable", json.dumps(unavailable)]
    try:
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
