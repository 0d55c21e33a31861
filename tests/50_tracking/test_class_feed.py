"""Students' classes in calendar feeds, read back by an independent library."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from tests.support.calls import call
from tests.support.centre import Centre
from tests.support.feeds import Feeds, claimed, events, uses
from tests.support.rest import Rest
from tests.support.world import World


@pytest.fixture
def centre(world: World) -> Centre:
    return Centre(world)


@pytest.fixture
def feeds(rest: Rest, centre: Centre, tmp_path: Path) -> Iterator[Feeds]:
    with Feeds.serve(centre.db, rest, tmp_path) as serving:
        yield serving


def test_a_teachers_feed_holds_the_classes_the_ledger_holds(feeds: Feeds, centre: Centre, world: World) -> None:
    tara = world.user("instructor", full_name="Tara Teacher")
    odo = world.user("instructor", full_name="Odo Other")
    course = world.insert("public.courses", code="M", title="Mathematics", duration_minutes=45).id
    start = centre.today - timedelta(days=30)
    for name, day, teacher in (("Mia Chen", 1, tara), ("Leo Park", 2, tara), ("Noa Weiss", 1, odo)):
        centre.student(
            name,
            [{"day": day, "start_time": "17:00"}],
            teacher,
            course_id=course,
            start_date=start,
            time_zone="America/New_York",
            notes="Secret",
        )
    since = datetime.combine(start - timedelta(days=2), time(), UTC)
    until = since + timedelta(days=100)
    for resource in (tara.profile_id, odo.profile_id, None):
        text = feeds.text(resource)
        assert uses(text, since, until) == claimed(centre.db, resource, since, until)
        assert len(uses(text, since, until)) >= 7
        assert {str(event["SUMMARY"]) for event in events(text).values()} == {"Mathematics"}
        for secret in ("Mia", "Leo", "Noa", "Secret"):
            assert secret not in text


def test_what_was_called_off_or_moved_is_told(feeds: Feeds, centre: Centre, world: World) -> None:
    tara = world.user("instructor", full_name="Tara Teacher")
    classes = centre.classes(centre.student(teacher=tara))
    feed = feeds.make(tara.profile_id)
    before = events(feeds.get(feed["token"]).text)
    assert {str(event["STATUS"]) for event in before.values()} == {"CONFIRMED"}
    call(centre.db, None, "cancel_class", p_class_id=classes[0], p_reason="Ill")
    [new] = call(
        centre.db,
        None,
        "reschedule_class",
        p_class_id=classes[1],
        p_date=centre.today + timedelta(days=40),
        p_start_time="09:00",
    )
    after = events(feeds.get(feed["token"]).text)
    for gone in classes[:2]:
        uid = f"classes-{gone}@classbase"
        assert str(after[uid]["STATUS"]) == "CANCELLED"
        assert after[uid]["SEQUENCE"] > before[uid]["SEQUENCE"]
    assert str(after[f"classes-{new['id']}@classbase"]["STATUS"]) == "CONFIRMED"
    assert len(after) == len(before) + 1


def test_a_class_without_a_teacher_is_in_the_feed_of_everything_only(
    feeds: Feeds, centre: Centre, world: World
) -> None:
    tara = world.user("instructor", full_name="Tara Teacher")
    centre.student()
    assert len(events(feeds.text())) == 4
    assert events(feeds.text(tara.profile_id)) == {}
