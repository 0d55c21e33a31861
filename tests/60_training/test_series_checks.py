"""Each check of series, registers and certificates: clean, a fault planted, found, fixed, clean, undone, found again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.repairs import Repairs
from tests.support.school import School
from tests.support.server import Database
from tests.support.world import World

CHECKS = {"series_missing_sessions", "registers_differ", "certificates_without_attendance"}


class Office(Repairs):
    """A series of three, and a session of yesterday whose two guests were marked and certified, a third one not."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.school = school = School(World(self.db))
        self.session = school.session()
        self.bookings = [school.book(self.session, f"Guest {n}") for n in range(3)]
        self.series = school.series(p_rrule="FREQ=WEEKLY;COUNT=3", p_first_date=school.monday + timedelta(28))[
            "series_id"
        ]
        school.pass_days((school.monday - school.today).days + 1)
        for booking in self.bookings[:2]:
            self.db.execute("insert into public.attendance (booking_id, status) values (%s, 'present')", [booking])
            self.db.execute("insert into public.certificates (booking_id) values (%s)", [booking])
        self.db.execute("update public.course_sessions set status = 'completed' where id = %s", [self.session])

    def mine(self) -> set[tuple[str, str]]:
        """What these checks find."""
        return {(check, entity) for check, entity in self.found() if check in CHECKS}


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


def test_an_office_in_order_has_no_findings(office: Office) -> None:
    assert office.mine() == set()


def test_missing_sessions_are_made_again(office: Office) -> None:
    gone = "(select id from public.course_sessions where series_id = %s order by session_date limit 2)"
    for table, key in (("claims", "source_id"), ("session_seats", "session_id"), ("course_sessions", "id")):
        office.plant(f"delete from public.{table} where {key} in {gone}", [office.series])
    [message] = office.finds("series_missing_sessions")
    assert "lacks 2 sessions" in message
    office.goes_round("series_missing_sessions")
    assert len(office.school.dates(office.series)) == 3


def test_one_that_finds_no_room_stays_a_finding(office: Office) -> None:
    day = office.school.dates(office.series)[0]
    session = office.school.session_on(office.series, day)
    for table, key in (("claims", "source_id"), ("session_seats", "session_id"), ("course_sessions", "id")):
        office.plant(f"delete from public.{table} where {key} = %s", [session])
    office.school.meeting(office.school.room, day)
    faults, fixed, remaining, _ = office.try_fix("series_missing_sessions")
    assert (faults, fixed, remaining) == (1, 0, 1)


@pytest.mark.parametrize(
    "damage",
    [
        "update public.session_bookings set status = 'no_show' where id = %s",
        "update public.session_bookings set status = 'confirmed' where id = %s",
        "update public.attendance set status = 'absent' where booking_id = %s",
    ],
)
def test_bookings_follow_the_register_again(office: Office, damage: str) -> None:
    # Of the guest whose certificate was revoked, so that only one check has something to say.
    office.db.execute(
        "update public.certificates set revoked_at = private.now(), revocation_reason = 'x' where booking_id = %s",
        [office.bookings[1]],
    )
    office.plant(damage, [office.bookings[1]])
    office.goes_round("registers_differ")


def test_attended_without_a_mark_is_confirmed_again(office: Office) -> None:
    office.plant("update public.session_bookings set status = 'attended' where id = %s", [office.bookings[2]])
    office.goes_round("registers_differ")


def test_a_certificate_without_attendance_is_for_a_person_to_decide(office: Office) -> None:
    office.plant("delete from public.attendance where booking_id = %s", [office.bookings[0]])
    [(_, entity)] = {finding for finding in office.mine() if finding[0] == "certificates_without_attendance"}
    assert entity == str(office.one("select id from public.certificates where booking_id = %s", office.bookings[0]))
    assert office.one(
        "select fix_description is null from public.integrity_checks where name = 'certificates_without_attendance'"
    )
