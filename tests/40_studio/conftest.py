from __future__ import annotations

import pytest

from tests.support.ledger import Ledger
from tests.support.server import Database
from tests.support.studio import Studio
from tests.support.world import World


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """The ledger of the test's database, for looking for faults in it."""
    return Ledger(database)


@pytest.fixture
def studio(world: World) -> Studio:
    """Two instructors, a class type for four and a room."""
    return Studio(world)
