"""Sessions on stage: one the instructor teaches, with the member in it, and one of somebody else's; some held, some over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Two courses of which nobody takes the second twice; a session of each person's, and of a stranger's, late at night."""
    db = world.db
    row = db.execute("select private.today()").fetchone()
    assert row is not None
    today: date = row[0]
    manager = people["manager"]
    course = world.insert("public.courses", code="TRAIN 1", title="Fire safety", duration_minutes=30, price=50).id
    once = world.insert(
        "public.courses",
        code="TRAIN 2",
        title="Fork lifts",
        duration_minutes=30,
        price=90,
        default_capacity=4,
        is_repeatable=False,
    ).id
    pairs = (
        (people["instructor"], people["member"], "Ours"),
        (world.user("instructor", full_name="Tess Trainer"), world.user("member", full_name="Theo Trainee"), "Theirs"),
    )
    for number, (teacher, learner, notes) in enumerate(pairs):
        room = world.insert("public.locations", name=f"Training room {number}").id
        common = {
            "location_id": room, "instructor_id": teacher.profile_id, "time_zone": "UTC", "notes": notes, "created_by": manager.id
        }  # fmt: skip
        session = world.insert(
            "public.course_sessions",
            course_id=course, session_date=today + timedelta(days=30), start_time="21:00", max_capacity=6, **common,
        ).id  # fmt: skip
        world.insert(
            "public.course_sessions",
            course_id=once, session_date=today + timedelta(days=31), start_time="21:00", min_bookings=3,
            decide_by=db.execute("select private.now() + interval '20 days'").fetchone()[0], **common,  # type: ignore[index]
        )  # fmt: skip
        booked = {"session_id": session, "booked_by": learner.id}
        world.insert("public.session_bookings", profile_id=learner.profile_id, notes=notes, **booked)
        world.insert(
            "public.session_bookings",
            attendee_name=f"Guest of {notes}", attendee_email=f"guest{number}@example.org", seats=2, **booked,
        )  # fmt: skip
        world.insert("public.session_bookings", attendee_name=f"Gone of {notes}", **booked)
        db.execute(
            "update public.session_bookings set status = 'cancelled' where attendee_name = %s", [f"Gone of {notes}"]
        )
        world.insert("public.session_holds", session_id=session, user_id=learner.id, seats=1)
    # One that nobody booked, and can be deleted.
    world.insert(
        "public.course_sessions",
        course_id=course,
        session_date=today + timedelta(days=32),
        start_time="21:00",
        notes="Empty",
    )
    db.execute(
        "insert into private.seat_rebuilds (session_ids) select array_agg(id) from public.course_sessions where notes = 'Empty'"
    )
