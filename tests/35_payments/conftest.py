"""The till, for tests of this module."""

from __future__ import annotations

import pytest

from tests.support.server import Database
from tests.support.till import Till


@pytest.fixture
def till(database: Database) -> Till:
    """Books of its own for each test."""
    return Till(database)
