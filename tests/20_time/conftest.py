"""The ledger, for tests of this module."""

from __future__ import annotations

import pytest

from tests.support.ledger import Ledger
from tests.support.server import Database


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """A ledger of its own for each test."""
    return Ledger(database)
