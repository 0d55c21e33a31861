"""Databases without anything of ours, for tests of how ours gets there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import PLATFORM_TEMPLATE, Database, TestServer


@pytest.fixture
def empty(server: TestServer) -> Iterator[Database]:
    """A database that has what the platform brings and nothing of ours."""
    made = server.create_database(PLATFORM_TEMPLATE)
    yield made
    made.drop()
