"""One contestant in a process of its own: commands on standard input, one JSON answer a line."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import time
import traceback
from importlib import metadata
from typing import Any

from bench.contestant import Contestant, Job
from bench.data import Inputs, MissingInput


def contestant(path: str) -> Contestant:
    """Instance of ``module:Class`` inside this package."""
    module, name = path.split(":")
    made = getattr(importlib.import_module(f"bench.{module}"), name)()
    assert isinstance(made, Contestant)
    return made


def measure(one: Contestant) -> dict[str, Any]:
    """One timed run with the collector off, after a fresh setup."""
    one.setup()
    gc.collect()
    gc.disable()
    try:
        cpu, start = time.process_time(), time.perf_counter()
        one.run()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    finally:
        gc.enable()
    final = one.final()
    return {"seconds": seconds, "cpu": cpu, "final": final.as_dict() if final else None, "extra": one.extra()}


def serve(path: str, job: Job) -> None:
    """Answer commands until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # peers that print must not break the protocol

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")

    try:
        one = contestant(path)
        count = one.load(Inputs(), job)
        version = ""
        if one.package:
            with contextlib.suppress(metadata.PackageNotFoundError):
                version = metadata.version(one.package)
        answer({"ready": True, "n": count, "version": version})
        for line in sys.stdin:
            if line.strip() == "run":
                answer(measure(one))
            else:
                break
    except MissingInput as error:
        answer({"error": str(error), "missing": True})
    except Exception as error:  # noqa: BLE001  (the coordinator reports it and goes on without it)
        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    serve(sys.argv[1], Job(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
