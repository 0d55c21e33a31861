"""What students' classes tell the change feed, and whom."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.support.calls import call, refused
from tests.support.changes import Reader
from tests.support.tracking import Tracking, slot
from tests.support.world import World

Connection = psycopg.Connection[Any]


def test_generated_classes_are_told_to_student_and_teacher(db: Connection, world: World, tracking: Tracking) -> None:
    login, student = tracking.login(fixed_schedule=[])
    own, everything = Reader(db, [f"student:{student}"], login), Reader(db, ["classes"], world.user("manager"))
    tracking.reschedule(student, [slot("monday", "10:00")])
    tracking.run()
    heard = [change for change in own.news() if change["event"] == "class-created"]
    rows = db.execute("select id from public.classes where student_id = %s", [student]).fetchall()
    made = {str(row[0]) for row in rows}
    assert made
    assert {row["id"] for change in heard for row in change["payload"]["rows"]} == made
    assert {change["topic"] for change in everything.news()} == {"classes"}


def test_only_student_teacher_and_planners_follow(db: Connection, world: World, tracking: Tracking) -> None:
    login, student = tracking.login()
    stranger, manager = world.user("member"), world.user("manager")
    found = db.execute("select teacher_id from public.students where id = %s", [student]).fetchone()
    assert found is not None
    for topic, allowed in ((f"student:{student}", (login, manager)), ("classes", (manager,)), (f"teacher:{found[0]}", (manager,))):
        for caller in (login, manager, stranger, "anon"):
            if caller in allowed:
                assert call(db, caller, "changes_since", p_topics=[topic])[0]["id"] is None
            else:
                with refused("forbidden"):
                    call(db, caller, "changes_since", p_topics=[topic])
