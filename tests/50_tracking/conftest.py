"""Students and their classes, for tests of this module."""

from __future__ import annotations

import pytest

from tests.support.lessons import Lessons
from tests.support.tracking import Tracking
from tests.support.world import World


@pytest.fixture
def tracking(world: World) -> Tracking:
    """Two teachers and a course, on a Monday morning."""
    return Tracking(world)


@pytest.fixture
def lessons(tracking: Tracking) -> Lessons:
    """A student with a login, four classes ahead."""
    return Lessons(tracking)
