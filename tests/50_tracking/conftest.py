from __future__ import annotations

import pytest

from tests.support.tracking import Tracking
from tests.support.world import World


@pytest.fixture
def tracking(world: World) -> Tracking:
    """Two teachers and a course, on a Monday morning."""
    return Tracking(world)
