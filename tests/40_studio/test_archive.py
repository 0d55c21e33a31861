"""Moving what is over into the archive keeps links, pay, bookings and dates as they were."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.calls import call, refused
from tests.support.crowd import crowd
from tests.support.identity import User, as_user
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio


@pytest.fixture
def manager(studio: Studio) -> User:
    return studio.world.user("manager")


def archive(studio: Studio, by: User, **more: Any) -> int:
    [answer] = call(studio.db, by, "archive_assignments", **{"p_before": studio.today, **more})
    return int(answer["archive_assignments"])


def test_what_is_over_moves_with_its_links_and_its_pay(studio: Studio, manager: User, ledger: Ledger) -> None:
    booking = studio.booking().booking_id
    over = studio.assignment(-60, payment_amount=25)
    studio.link(over.id, booking)
    studio.db.execute("update public.class_assignments set class_status = 'completed', payment_status = 'paid'")
    called_off = studio.assignment(-59, class_status="cancelled")
    open_still, coming = studio.assignment(-58), studio.assignment(0)
    before = studio.db.execute("select * from public.class_assignments where id = %s", [over.id]).fetchone()
    assert archive(studio, manager) == 2
    kept = studio.db.execute("select * from public.class_assignments_archive where id = %s", [over.id]).fetchone()
    assert before is not None
    assert kept is not None
    assert kept[: len(before)] == before
    assert kept[len(before) : len(before) + 2] == ([booking], manager.id)
    assert studio.status(booking) == "confirmed"
    left = {row[0] for row in studio.db.execute("select id from public.class_assignments")}
    assert left == {open_still.id, coming.id}
    assert called_off.id not in left
    assert studio.claims(studio.teacher.profile_id, -70, -59) == []
    assert archive(studio, manager) == 0
    assert ledger.faults() == []


def test_a_date_that_was_held_early_does_not_come_back(studio: Studio, manager: User, ledger: Ledger) -> None:
    """The class of a coming Monday was held last week instead."""
    schedule = studio.schedule()
    lesson = studio.assignment(0, schedule_id=schedule.id)
    studio.db.execute("update public.class_assignments set date = private.today() - 1 where id = %s", [lesson.id])
    studio.db.execute("update public.class_assignments set class_status = 'completed'")
    assert archive(studio, manager) == 1
    assert studio.claims(studio.teacher.profile_id, 0, 7) == [("weekly_rules", studio.day(7))]
    assert ledger.faults() == []


def test_oldest_first_so_many_at_a_time(studio: Studio, manager: User) -> None:
    for day in range(5):
        studio.assignment(-60 - day, class_status="completed")
    assert archive(studio, manager, p_limit=2) == 2
    row = studio.db.execute("select max(date) from public.class_assignments_archive").fetchone()
    assert row == (studio.day(-63),)
    assert archive(studio, manager, p_limit=2, p_idempotency_key="k") == 2
    assert archive(studio, manager, p_limit=2, p_idempotency_key="k") == 2
    assert archive(studio, manager) == 1


def test_what_is_not_asked_right(studio: Studio, manager: User) -> None:
    for arguments, field in (
        ({"p_before": None}, "p_before"),
        ({"p_before": studio.day(0)}, "p_before"),
        ({"p_limit": 0}, "p_limit"),
        ({"p_limit": 5001}, "p_limit"),
    ):
        with refused("invalid_input") as refusal:
            archive(studio, manager, **arguments)
        assert refusal.fields == {field}


def test_many_at_once_move_each_class_once(studio: Studio, database: Database, manager: User) -> None:
    for day in range(20):
        studio.assignment(-60 - day, class_status="completed")

    def move(by: Any, number: int) -> None:
        with as_user(by, manager) as acting:
            acting.execute("select public.archive_assignments(private.today(), 10)")

    assert crowd(database, 8, move) == {"done": 8}
    row = studio.db.execute(
        "select (select count(*) from public.class_assignments_archive), (select count(*) from public.class_assignments)"
    ).fetchone()
    assert row == (20, 0)


def test_what_is_there_stays_as_it_is(studio: Studio, manager: User, rest: Rest) -> None:
    over = studio.assignment(-60, class_status="completed")
    archive(studio, manager)
    for statement in (
        "update public.class_assignments_archive set notes = 'Mine'",
        "delete from public.class_assignments_archive",
        "truncate public.class_assignments_archive",
    ):
        with refused("forbidden"):
            studio.db.execute(statement.encode())
    with refused("duplicate"):
        studio.assignment(-60, id=over.id)
    for method in ("patch", "delete", "post"):
        options: Any = {} if method == "delete" else {"json": {"notes": "Mine"}}
        for caller in (manager, "service_role"):
            answer = rest.request(method.upper(), "/class_assignments_archive", user=caller, **options)
            assert answer.status_code == 403, answer.text


def test_who_sees_it_and_who_moves_it(studio: Studio, manager: User, rest: Rest) -> None:
    studio.assignment(-60, class_status="completed")
    for nobody in (studio.world.user("staff"), studio.teacher, studio.world.user()):
        with refused("forbidden"):
            archive(studio, nobody)
    archive(studio, manager)
    seen = [
        len(rest.get("/class_assignments_archive", user=caller).json())
        for caller in (manager, studio.teacher, studio.other, studio.world.user())
    ]
    assert seen == [1, 1, 0, 0]


def test_a_booking_whose_last_class_is_archived_stays_confirmed(studio: Studio, manager: User) -> None:
    booking = studio.booking().booking_id
    over, coming = studio.assignment(-60), studio.assignment(0)
    for lesson in (over, coming):
        studio.link(lesson.id, booking)
    studio.db.execute("update public.class_assignments set class_status = 'completed' where id = %s", [over.id])
    archive(studio, manager)
    studio.db.execute("delete from public.class_assignments")
    assert studio.status(booking) == "confirmed"
