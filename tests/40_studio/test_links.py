"""Links between classes and bookings: never more than there is room for, never a booking that has ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.support.calls import refused
from tests.support.crowd import crowd
from tests.support.ledger import Change, Connection, Ledger
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio
from tests.support.waiting import until_blocked


def link(assignment: UUID, code: str) -> Change:
    return lambda by: by.execute("insert into public.assignment_bookings values (%s, %s)", [assignment, code])


def say(statement: str, *arguments: Any) -> Change:
    return lambda by: by.execute(statement.encode(), arguments)


def linked(studio: Studio, assignment: UUID) -> int:
    row = studio.db.execute(
        "select count(*) from public.assignment_bookings where assignment_id = %s", [assignment]
    ).fetchone()
    assert row is not None
    return int(row[0])


def codes(studio: Studio, how_many: int) -> list[str]:
    return [studio.booking().booking_id for _ in range(how_many)]


def test_fifty_want_the_last_place(studio: Studio, database: Database) -> None:
    lesson = studio.assignment()
    studio.link(lesson.id, *codes(studio, 3))
    wanting = codes(studio, 50)
    told = crowd(database, 50, lambda by, n: link(lesson.id, wanting[n])(by))
    assert told == {"done": 1, "seats_full": 49}
    assert linked(studio, lesson.id) == 4
    assert sorted(studio.status(code) for code in wanting) == ["confirmed", *["pending"] * 49]


def test_without_the_lock_the_last_place_goes_twice(studio: Studio, ledger: Ledger) -> None:
    """That the test above is a race."""
    ledger.rewrite(
        "private.follow_links()",
        "perform private.lock_sources('class_assignments', array(select n.assignment_id from unnest(v_new) n));",
        "",
    )
    lesson = studio.assignment()
    studio.link(lesson.id, *codes(studio, 3))
    first, second = codes(studio, 2)
    assert ledger.collide(link(lesson.id, first), link(lesson.id, second)).code is None
    assert linked(studio, lesson.id) == 5


def test_a_statement_that_takes_one_too_many_takes_none(studio: Studio) -> None:
    lesson = studio.assignment()
    with refused("seats_full") as refusal:
        studio.link(lesson.id, *codes(studio, 5))
    assert (refusal.details["limit"], refusal.details["asked"]) == (4, 5)
    assert linked(studio, lesson.id) == 0


def test_the_schedule_says_how_many_before_the_class_type_does(studio: Studio) -> None:
    schedule = studio.schedule(max_participants=2)
    lesson = studio.assignment(schedule_id=schedule.id)
    studio.link(lesson.id, *codes(studio, 2))
    with refused("seats_full"):
        studio.link(lesson.id, *codes(studio, 1))
    # Nobody says how many can take part in a class of no type.
    anything = studio.assignment(1, class_type_id=None)
    studio.link(anything.id, *codes(studio, 9))


def test_a_cancelled_booking_takes_no_place(studio: Studio) -> None:
    lesson = studio.assignment()
    first, *others = codes(studio, 4)
    studio.link(lesson.id, first, *others)
    studio.db.execute("update public.bookings set status = 'cancelled' where booking_id = %s", [first])
    studio.link(lesson.id, *codes(studio, 1))
    with refused("seats_full"):
        studio.link(lesson.id, *codes(studio, 1))


@pytest.mark.parametrize("where", ["class_types", "class_schedules"])
@pytest.mark.parametrize("lowered_first", [True, False])
def test_lowered_while_somebody_links(studio: Studio, ledger: Ledger, where: str, lowered_first: bool) -> None:
    schedule = studio.schedule(max_participants=4 if where == "class_schedules" else None)
    lesson = studio.assignment(schedule_id=schedule.id)
    studio.link(lesson.id, *codes(studio, 3))
    changes = [say(f"update public.{where} set max_participants = 3"), link(lesson.id, *codes(studio, 1))]
    outcome = ledger.collide(*changes if lowered_first else reversed(changes))
    assert (outcome.waited, outcome.code) == (True, "seats_full")


def test_less_room_than_are_coming(studio: Studio) -> None:
    lesson = studio.assignment()
    studio.link(lesson.id, *codes(studio, 3))
    with refused("seats_full"):
        studio.db.execute("update public.class_types set max_participants = 2")
    studio.db.execute("update public.class_types set max_participants = 3")
    small = studio.world.insert("public.class_types", name="Small", max_participants=1).id
    with refused("seats_full"):
        studio.db.execute("update public.class_assignments set class_type_id = %s", [small])
    studio.db.execute("update public.class_assignments set class_status = 'cancelled'")
    studio.db.execute("update public.class_types set max_participants = 1")


def test_out_of_the_past_into_less_room(studio: Studio) -> None:
    lesson = studio.assignment(-60)
    served = codes(studio, 3)
    studio.link(lesson.id, *served)
    studio.db.execute("update public.class_types set max_participants = 2")
    with refused("seats_full"):
        studio.db.execute("update public.class_assignments set date = %s", [studio.day(0)])
    studio.db.execute("update public.class_assignments set date = date - 1")
    studio.db.execute("delete from public.assignment_bookings where booking_id = %s", [served[0]])
    studio.db.execute("update public.class_assignments set date = %s", [studio.day(0)])


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_what_has_ended_is_not_served(studio: Studio, end: str) -> None:
    code = studio.booking().booking_id
    studio.link(studio.assignment().id, code)
    studio.db.execute("update public.bookings set status = %s", [end])
    with refused("illegal_transition"):
        studio.link(studio.assignment(1).id, code)
    another = studio.booking().booking_id
    lesson = studio.assignment(2)
    studio.link(lesson.id, another)
    with refused("illegal_transition"):
        studio.db.execute(
            "update public.assignment_bookings set booking_id = %s where assignment_id = %s", [code, lesson.id]
        )


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_a_class_that_is_cancelled_meanwhile_confirms_nobody(
    studio: Studio, ledger: Ledger, cancelled_first: bool
) -> None:
    lesson = studio.assignment()
    code = studio.booking().booking_id
    changes = [
        say("update public.class_assignments set class_status = 'cancelled' where id = %s", lesson.id),
        link(lesson.id, code),
    ]
    outcome = ledger.collide(*changes if cancelled_first else reversed(changes))
    assert (outcome.waited, outcome.code) == (True, None)
    assert studio.status(code) == "pending"


def test_moving_a_link_moves_the_place(studio: Studio) -> None:
    full, empty = studio.assignment(0), studio.assignment(1)
    studio.link(full.id, *codes(studio, 4))
    extra = codes(studio, 1)[0]
    studio.link(empty.id, extra)
    with refused("seats_full"):
        studio.db.execute(
            "update public.assignment_bookings set assignment_id = %s where booking_id = %s", [full.id, extra]
        )
    assert linked(studio, full.id) == 4


def test_who_may_link(studio: Studio, rest: Rest) -> None:
    bea = studio.world.user()
    booking = studio.booking(bea)
    lesson = studio.assignment()
    row = {"assignment_id": str(lesson.id), "booking_id": booking.booking_id}
    path = f"/assignment_bookings?booking_id=eq.{booking.booking_id}"
    for caller in (None, bea, studio.teacher):
        assert rest.post("/assignment_bookings", row, user=caller).status_code in (401, 403)
    staff = studio.world.user("staff")
    assert rest.post("/assignment_bookings", row, user=staff).status_code == 201
    again = rest.post("/assignment_bookings", row, user=staff)
    assert (again.status_code, again.json()["code"]) == (409, "23505")
    for caller in (bea, studio.teacher, staff):
        assert len(rest.get(path, user=caller).json()) == 1
    for stranger in (studio.other, studio.world.user()):
        assert rest.get(path, user=stranger).json() == []
    assert rest.delete(path, user=bea).json() == []
    assert rest.delete(path, user=studio.teacher).json() == []
    unknown = rest.post("/assignment_bookings", {**row, "booking_id": "YOG-20200101-0000"}, user=staff)
    assert unknown.json()["code"] == "23503"
    assert len(rest.delete(path, user=staff).json()) == 1


def test_embedding_and_the_views_of_each(studio: Studio, rest: Rest) -> None:
    bea = studio.world.user()
    booking = studio.booking(bea)
    lesson = studio.assignment()
    studio.link(lesson.id, booking.booking_id)
    manager = studio.world.user("manager")
    query = "/class_assignments?select=*,class_types(*),packages(*),user_profiles(*),assignment_bookings(bookings(*))"
    [row] = rest.get(f"{query}&order=date.asc,start_time.asc", user=manager).json()
    assert row["class_types"]["name"] == "Hatha"
    assert row["user_profiles"]["full_name"] == "Tara Teacher"
    assert row["assignment_bookings"][0]["bookings"]["booking_id"] == booking.booking_id
    [details] = rest.get("/assignment_details", user=manager).json()
    assert (details["booking_count"], details["booking_ids"]) == (1, [booking.booking_id])
    [mine] = rest.get("/my_classes", user=bea).json()
    assert (mine["booking_id"], mine["instructor_name"]) == (booking.booking_id, "Tara Teacher")
    assert rest.get("/my_classes", user=studio.world.user()).json() == []
    assert len(rest.get("/class_participants", user=studio.teacher).json()) == 1
    assert rest.get("/class_participants", user=studio.other).json() == []
    assert rest.get("/class_assignments", user=bea).json() == []


def test_deleting_a_class_beside_planning_another_for_the_same_customer(studio: Studio, ledger: Ledger) -> None:
    """Whoever deletes reaches for the instructor's time before the booking, as whoever plans does: neither waits in a circle."""
    code = studio.booking().booking_id
    schedule = studio.schedule()
    going = studio.assignment(0, schedule_id=schedule.id)
    studio.link(going.id, code)
    planner, deleter = (studio.world.db, ledger.database.connect(autocommit=False))
    with ThreadPoolExecutor(1) as pool, planner.transaction():
        coming = studio.assignment(7, schedule_id=schedule.id)
        deleting = pool.submit(remove, deleter, going.id)
        until_blocked(ledger.db, deleter)
        studio.link(coming.id, code)
    assert deleting.result() is None
    assert studio.status(code) == "confirmed"
    assert ledger.faults() == []


def remove(by: Connection, assignment: UUID) -> None:
    by.execute("delete from public.class_assignments where id = %s", [assignment])
    by.commit()


@pytest.mark.parametrize("deleted_first", [True, False])
def test_linked_while_the_class_is_deleted(studio: Studio, ledger: Ledger, deleted_first: bool) -> None:
    lesson = studio.assignment()
    code = studio.booking().booking_id
    changes = [say("delete from public.class_assignments where id = %s", lesson.id), link(lesson.id, code)]
    outcome = ledger.collide(*changes if deleted_first else reversed(changes))
    assert outcome.waited
    assert outcome.code == ("23503" if deleted_first else None)
    assert (linked(studio, lesson.id), studio.status(code)) == (0, "pending")
