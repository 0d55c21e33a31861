"""The stage on which permissions are measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import TestServer
from tests.support.stage import Stage


@pytest.fixture(scope="session")
def stage(server: TestServer) -> Iterator[Stage]:
    """A database with something in every table; what a test does to it is rolled back."""
    made = Stage.set(server)
    yield made
    made.database.drop()
