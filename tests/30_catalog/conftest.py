"""Two connections at once, for tests of this module."""

from __future__ import annotations

import pytest

from tests.support.ledger import Ledger
from tests.support.server import Database


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """A database, with connections that collide in it."""
    return Ledger(database)
