"""Sessions, for tests of this module."""

from __future__ import annotations

import pytest

from tests.support.training import Training
from tests.support.world import World


@pytest.fixture
def training(world: World) -> Training:
    """A course and a manager."""
    return Training(world)
