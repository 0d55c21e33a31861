"""What students' classes tell the change feed, and whom."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.support.calls import call, refused
from tests.support.changes import Reader
from tests.support.tracking import Tracking
from tests.support.world import World

Connection = psycopg.Connection[Any]


def test_generated_classes_are_told_to_student_and_teacher(db: Connection, world: World, tracking: Tracking) -> None:
    everything = Reader(db, ["classes"], world.user("manager"))
    login, student = tracking.login()
    own = Reader(db, [f"student:{student.id}"], login)
    db.execute("delete from public.classes")
    assert {change["event"] for change in own.news()} == {"class-deleted"}
    tracking.run()
    rows = db.execute("select id from public.classes where student_id = %s", [student.id]).fetchall()
    heard = [change for change in own.news() if change["event"] == "class-created"]
    assert rows
    assert {row["id"] for change in heard for row in change["payload"]["rows"]} == {str(row[0]) for row in rows}
    assert {change["topic"] for change in everything.news()} == {"classes"}


def test_only_student_teacher_and_planners_follow(db: Connection, world: World, tracking: Tracking) -> None:
    login, student = tracking.login()
    stranger, manager = world.user("member"), world.user("manager")
    teacher = tracking.teacher
    readers = {
        f"student:{student.id}": (login, teacher, manager),
        "classes": (manager,),
        f"teacher:{teacher.profile_id}": (teacher, manager),
    }
    for topic, allowed in readers.items():
        for caller in (login, teacher, tracking.other, manager, stranger, "anon"):
            if caller in allowed:
                assert call(db, caller, "changes_since", p_topics=[topic])[0]["id"] is None
            else:
                with refused("forbidden"):
                    call(db, caller, "changes_since", p_topics=[topic])
