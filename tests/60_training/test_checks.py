"""Each check of sessions and seats: clean, a fault planted, found, fixed, clean, undone, found again."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.support.repairs import Repairs
from tests.support.server import Database
from tests.support.training import Training
from tests.support.world import World

REGISTERED = {
    "session_seats_differ", "booking_seats_differ", "seats_of_nothing", "bookings_of_cancelled_sessions", "session_instants_differ",
    "sessions_past_but_open", "sessions_undecided",
}  # fmt: skip


class Office(Repairs):
    """A session with two bookings and free seats, one that is cancelled, and one that needs more bookings."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.training = training = Training(World(self.db))
        self.names: dict[str, UUID] = {
            "session": training.session(5, instructor_id=training.world.user("instructor").profile_id)
        }
        self.names["one"] = training.guest(self.names["session"], "One", seats=2)
        self.names["two"] = training.guest(self.names["session"], "Two")
        self.names["off"] = training.session(3, start_time="12:00")
        self.names["gone"] = training.guest(self.names["off"], "Gone")
        self.db.execute("select public.cancel_session(%s, 'Ill.')", [self.names["off"]])
        self.names["few"] = training.session(6, start_time="14:00", min_bookings=3)
        training.guest(self.names["few"], "Few")

    def break_with(self, damage: str) -> None:
        """Plants statements that name things of this office."""
        for statement in damage.split(";"):
            self.plant(statement, self.names)


@pytest.fixture
def office(database: Database) -> Office:
    made = Office(database)
    assert made.found() == set()
    return made


def test_all_of_them_are_registered(office: Office) -> None:
    found = office.db.execute("select name from public.integrity_checks where module = '60_training'").fetchall()
    assert {name for (name,) in found} >= REGISTERED


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("session_seats_differ", "delete from public.session_seats where session_id = %(session)s and booking_id is null"),
        ("session_seats_differ", "insert into public.session_seats (session_id, seat_no) values (%(session)s, 6), (%(session)s, 9)"),
        ("session_seats_differ", "update public.course_sessions set max_capacity = 4 where id = %(session)s"),
        ("booking_seats_differ", "update public.session_seats set booking_id = null, owner_live = null where booking_id = %(one)s"),
        ("booking_seats_differ", "update public.session_bookings set seats = 3 where id = %(one)s"),
        ("booking_seats_differ", "update public.session_bookings set seats = 1 where id = %(one)s"),
        ("session_instants_differ", "update public.course_sessions set starts_at = starts_at + interval '2 hours', ends_at = ends_at + interval '2 hours' where id = %(session)s"),
    ],
)  # fmt: skip
def test_planted_found_fixed_clean_undone_found_again(office: Office, check: str, damage: str) -> None:
    office.break_with(damage)
    office.goes_round(check)


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("booking_seats_differ", "update public.session_bookings set status = 'cancelled', cancelled_at = private.now() where id = %(one)s"),
        ("booking_seats_differ", "update public.session_seats set booking_id = %(two)s, owner_live = true where session_id = %(off)s and seat_no = 1"),
        ("seats_of_nothing", "delete from public.session_bookings where id = %(two)s"),
    ],
)  # fmt: skip
def test_what_the_foreign_key_refuses_is_not_put_back(office: Office, check: str, damage: str) -> None:
    """Undoing would bring a seat back that belongs to nobody it may belong to: it is refused, and nothing changes."""
    office.break_with(damage)
    fix_id = office.fix(check)
    assert office.refused(fix_id).code == "illegal_transition"
    assert office.found() == set()
    assert office.training.broken() == []


def test_a_booking_of_a_cancelled_session_is_cancelled(office: Office) -> None:
    office.break_with(
        "update public.session_bookings set status = 'confirmed', cancelled_at = null where id = %(gone)s; "
        "update public.session_seats set booking_id = %(gone)s, owner_live = true where session_id = %(off)s and seat_no = 1"
    )
    office.goes_round("bookings_of_cancelled_sessions")
    assert office.training.broken() == []


def test_what_is_over_is_completed(office: Office) -> None:
    office.training.db.execute(
        "update public.course_sessions set session_date = %s where id = %s",
        [office.training.today - timedelta(days=3), office.names["session"]],
    )
    office.goes_round("sessions_past_but_open")
    assert office.training.status(office.names["session"]) == "completed"


def test_too_few_seats_are_given_in_the_order_of_booking(office: Office) -> None:
    """What does not fit is for a person to decide."""
    office.break_with(
        "update public.session_seats set booking_id = null, owner_live = null where session_id = %(session)s; "
        "delete from public.session_seats where session_id = %(session)s and seat_no > 2; "
        "update public.course_sessions set max_capacity = 2 where id = %(session)s"
    )
    assert office.try_fix("booking_seats_differ")[:3] == (2, 1, 1)
    [message] = office.finds("booking_seats_differ")
    assert "has 0 seats, and should have 1" in message


def test_a_session_that_needs_more_raises_an_alert_when_its_time_has_come(office: Office) -> None:
    few = office.names["few"]
    assert office.training.status(few) == "tentative"
    office.db.execute(
        "update public.course_sessions set decide_by = private.now() - interval '1 hour' where id = %s", [few]
    )
    [message] = office.finds("sessions_undecided")
    assert message.endswith("needs 3 bookings and has 1: hold it or cancel it")
    office.db.execute("select private.run_scheduled_checks()")
    assert (
        office.one(
            "select count(*) from public.alerts where subject like '%%sessions_undecided%%' or kind like '%%sessions_undecided%%'"
        )
        == 1
    )
    office.training.guest(few, "Two more", seats=2)
    assert office.training.status(few) == "scheduled"
    assert office.finds("sessions_undecided") == []
