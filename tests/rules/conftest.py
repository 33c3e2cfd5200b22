"""One test a module of the package."""

from __future__ import annotations

import pytest

from tests.rules.project import MODULES, Module


@pytest.fixture(params=MODULES, ids=lambda module: module.name)
def module(request: pytest.FixtureRequest) -> Module:
    return request.param
