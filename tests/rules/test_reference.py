"""The pages about features, detectors and the state say what the code says."""

from __future__ import annotations

import importlib.util

import pytest

from tests.rules.project import ROOT

SPEC = importlib.util.spec_from_file_location("docs_reference", ROOT / "docs" / "reference.py")
assert SPEC is not None
assert SPEC.loader is not None
reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)


@pytest.mark.parametrize("name", ["FEATURES.md", "DETECTORS.md", "state.schema.json"])
def test_pages_are_up_to_date(name: str) -> None:
    page = ROOT / "docs" / name
    assert page.read_text(encoding="utf-8") == reference.pages()[name], "run `make docs`"
