"""What the organisation on stage offers: some of it on sale, some of it no longer."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Two class types, two packages and three courses, one of each switched off; one course requires another."""
    maker = people["manager"].id
    world.insert("public.class_types", name="Hatha yoga", created_by=maker)
    world.insert("public.class_types", name="Power yoga", difficulty_level="advanced", is_active=False)
    world.insert("public.packages", name="Ten classes", price=100, class_count=10, created_by=maker)
    world.insert("public.packages", name="Old offer", price=10, class_count=2, is_active=False)
    first = world.insert("public.courses", code="YT 200", title="Teacher training", created_by=maker)
    second = world.insert("public.courses", code="YT 500", title="Advanced teacher training")
    gone = world.insert("public.courses", code="YT 900", title="Master class", is_active=False)
    world.insert("public.course_prerequisites", course_id=second.id, required_course_id=first.id)
    world.insert("public.course_prerequisites", course_id=gone.id, required_course_id=second.id)
