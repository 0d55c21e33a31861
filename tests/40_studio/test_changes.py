"""What the studio tells the change feed: which rows changed, to those who may read them, and nothing of what is in them."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.support.calls import call, refused
from tests.support.changes import Reader
from tests.support.studio import Studio
from tests.support.world import World

Connection = psycopg.Connection[Any]


def test_a_class_is_told_to_its_instructor_and_to_planners(db: Connection, world: World, studio: Studio) -> None:
    manager = world.user("manager")
    one, other = studio.teacher, studio.other
    mine, theirs = (
        Reader(db, [f"instructor:{one.profile_id}"], one),
        Reader(db, [f"instructor:{other.profile_id}"], other),
    )
    planner = Reader(db, ["assignments", f"instructor:{one.profile_id}"], manager)
    made = studio.assignment().id
    heard = [(change["event"], change["payload"]) for change in mine.news()]
    assert heard == [("assignment-created", {"rows": [{"id": str(made), "version": 1}]})]
    assert [change["topic"] for change in planner.news()] == ["assignments", f"instructor:{one.profile_id}"]
    assert theirs.news() == []
    db.execute("update public.class_assignments set instructor_id = %s", [other.profile_id])
    assert [change["event"] for change in mine.news()] == ["assignment-updated"]
    assert [change["event"] for change in theirs.news()] == ["assignment-updated"]
    db.execute("delete from public.class_assignments")
    assert mine.news() == []
    assert [change["event"] for change in theirs.news()] == ["assignment-deleted"]


def test_only_who_may_read_the_rows_may_follow_them(db: Connection, world: World, studio: Studio) -> None:
    member, instructor, manager = world.user("member"), studio.teacher, world.user("manager")
    nobody: tuple[Any, ...] = ("anon", world.user(None))
    readers = {
        "assignments": (manager,),
        f"instructor:{instructor.profile_id}": (instructor, manager),
        "bookings": (manager,),
        f"customer:{member.profile_id}": (member, manager),
        "schedules": (member, instructor, manager, nobody[1]),
    }
    for topic, allowed in readers.items():
        for caller in (member, instructor, manager, *nobody):
            if caller in allowed:
                assert call(db, caller, "changes_since", p_topics=[topic])[0]["id"] is None
            else:
                with refused("forbidden"):
                    call(db, caller, "changes_since", p_topics=[topic])


def test_many_rows_are_one_change_a_topic(db: Connection, studio: Studio) -> None:
    reader = Reader(db, ["bookings"], "service_role")
    db.execute("insert into public.bookings (first_name) select 'Mia' || n from generate_series(1, 50) n")
    db.execute("insert into public.bookings (first_name) select 'Noa' || n from generate_series(1, 51) n")
    first, second = reader.news()
    assert len(first["payload"]["rows"]) == 50
    assert second["payload"] == {"count": 51}
    assert "Mia" not in str(first)


def test_what_changes_nothing_says_nothing(db: Connection, studio: Studio) -> None:
    reader = Reader(db, None, "service_role")
    db.execute("update public.bookings set notes = 'none is there'")
    db.execute("delete from public.class_assignments")
    assert reader.news() == []


def test_the_studio_is_silent_when_asked_to_be(db: Connection, studio: Studio) -> None:
    reader = Reader(db, None, "service_role")
    db.execute("update public.settings set value = 'false' where key = 'changes_from_studio'")
    studio.booking()
    studio.assignment()
    studio.schedule(weekday=3)
    assert reader.news() == []
