"""Certificates: only with the attendance they certify, verified by strangers, revoked with a reason."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.school import School
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World


@pytest.fixture
def school(world: World) -> School:
    return School(world)


class Run:
    """A course of three days that is over; Mia was always there, Leo missed the last day, Zoe is a guest who came."""

    def __init__(self, school: School, world: World) -> None:
        self.school = school
        self.mia, self.leo = world.user(full_name="Mia Chen"), world.user(full_name="Leo Park")
        self.series = school.series(p_rrule="FREQ=DAILY;COUNT=3")["series_id"]
        self.sessions = [school.session_on(self.series, school.monday + timedelta(n)) for n in range(3)]
        self.bookings = {
            (name, n): school.book(session, who)
            for n, session in enumerate(self.sessions)
            for name, who in (("mia", self.mia), ("leo", self.leo))
        }
        for n, session in enumerate(self.sessions):
            self.bookings["zoe", n] = world.insert(
                "public.session_bookings",
                session_id=session,
                attendee_name="Zoe <b>Guest</b>",
                attendee_email="zoe@example.org",
            ).id
        school.pass_days((school.monday - school.today).days + 4)
        for (name, n), booking in self.bookings.items():
            status = "absent" if (name, n) == ("leo", 2) else "present"
            school.db.execute("insert into public.attendance (booking_id, status) values (%s, %s)", [booking, status])

    def issue(self, n: int = 2, by: User | None = None, **more: Any) -> dict[str, dict[str, Any]]:
        rows = call(self.school.db, by or self.school.boss, "issue_certificates", p_session_id=self.sessions[n], **more)
        return {row["holder_name"]: row for row in rows}


@pytest.fixture
def run(school: School, world: World) -> Run:
    return Run(school, world)


def insert(connection: psycopg.Connection[Any], booking: UUID) -> None:
    connection.execute("insert into public.certificates (booking_id) values (%s)", [booking])


def test_who_attended_all_of_it_gets_one_and_nobody_else(school: School, run: Run) -> None:
    told = run.issue()
    assert {name: row["status"] for name, row in told.items()} == {
        "Mia Chen": "issued", "Leo Park": "lacking", "Zoe <b>Guest</b>": "issued",
    }  # fmt: skip
    assert told["Leo Park"]["lacking"] == [school.monday + timedelta(2)]
    assert (told["Leo Park"]["attended"], told["Leo Park"]["required"]) == (2, 3)
    # Again, also from another of its days, changes nothing.
    assert {row["status"] for row in run.issue(0).values()} == {"had", "lacking"}
    assert school.one("select count(*) from public.certificates") == 2
    assert school.one("select count(distinct serial) from public.certificates") == 2


def test_no_certificate_without_attendance_whoever_writes(school: School, run: Run) -> None:
    for booking in (run.bookings["leo", 2], run.bookings["leo", 0]):
        with refused("illegal_transition"):
            insert(school.db, booking)
    later = school.book(school.session(school.monday + timedelta(30)), run.mia)
    with refused("illegal_transition"):
        insert(school.db, later)
    # And not with the trigger out of the way either.
    school.db.execute("alter table public.certificates disable trigger t20_write")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        school.db.execute(
            "insert into public.certificates (booking_id, course_id, run_id, person_key, holder_name, course_title, sessions_attended, "
            "sessions_required, serial, verification_code) values (%s, %s, %s, 'x', 'X', 'X', 1, 1, 'X', repeat('A', 32))",
            [run.bookings["leo", 2], school.course, run.series],
        )


def test_a_share_is_enough_where_the_setting_says_so(school: School, run: Run) -> None:
    school.db.execute("update public.settings set value = '60' where key = 'certificate_attendance_percent'")
    assert run.issue(0)["Leo Park"]["status"] == "issued"
    # But it is a booking he was there for that it names.
    booking = school.one("select booking_id from public.certificates where holder_name = 'Leo Park'")
    assert booking == run.bookings["leo", 0]


def test_holders_are_told(school: School, run: Run) -> None:
    certificate = run.issue()["Mia Chen"]["certificate_id"]
    code = school.one("select verification_code from public.certificates where id = %s", [certificate])
    told = "select kind, title, body from public.notifications where recipient_id = %s and source_table = 'certificates' order by created_at"
    [(kind, title, body)] = school.db.execute(told, [run.mia.profile_id]).fetchall()
    assert (kind, title) == ("certificate_issued", "Your certificate: First Aid")
    assert "Mia Chen" in body
    assert code in body
    assert school.db.execute(told, [run.leo.profile_id]).fetchall() == []
    mail = "select subject from public.outbox where recipient = 'zoe@example.org' and kind like 'certificate%%' order by created_at"
    assert school.db.execute(mail).fetchall() == [("Your certificate: First Aid",)]
    # Nobody is told again that they had one, and the code of a revoked one is of no use to anybody.
    run.issue(0)
    call(school.db, school.boss, "revoke_certificate", p_id=certificate, p_reason="Wrong person")
    [_, (kind, title, body)] = school.db.execute(told, [run.mia.profile_id]).fetchall()
    assert (kind, title) == ("certificate_revoked", "Your certificate is revoked: First Aid")
    assert "Wrong person" in body
    assert code not in body


def test_what_it_rests_on_cannot_be_taken_away(school: School, run: Run) -> None:
    certificate = run.issue()["Mia Chen"]["certificate_id"]
    for n in range(3):
        with pytest.raises(psycopg.Error) as caught:
            school.db.execute(
                "update public.attendance set status = 'absent' where booking_id = %s", [run.bookings["mia", n]]
            )
        assert caught.value.sqlstate in ("PGRST", "23503")
        with pytest.raises(psycopg.Error):
            school.db.execute("delete from public.attendance where booking_id = %s", [run.bookings["mia", n]])
    school.db.execute("update public.attendance set status = 'late' where booking_id = %s", [run.bookings["mia", 1]])
    call(school.db, school.boss, "revoke_certificate", p_id=certificate, p_reason="Wrong person")
    school.db.execute("update public.attendance set status = 'absent' where booking_id = %s", [run.bookings["mia", 1]])
    assert run.issue()["Mia Chen"]["status"] == "lacking"


def test_a_correction_and_an_issue_at_once(school: School, run: Run, database: Database) -> None:
    first, second = database.connect(autocommit=False), database.connect()
    first.execute("update public.attendance set status = 'absent' where booking_id = %s", [run.bookings["mia", 0]])
    with ThreadPoolExecutor(1) as other:
        late = other.submit(insert, second, run.bookings["mia", 2])
        until_blocked(school.db, second)
        first.commit()
        with refused("illegal_transition"):
            late.result()
    first.execute("update public.attendance set status = 'present' where booking_id = %s", [run.bookings["mia", 0]])
    first.commit()
    insert(first, run.bookings["mia", 2])
    with ThreadPoolExecutor(1) as other:
        late = other.submit(
            second.execute,
            b"update public.attendance set status = 'absent' where booking_id = %s",
            [run.bookings["mia", 0]],
        )  # type: ignore[arg-type]
        until_blocked(school.db, second)
        first.commit()
        with refused("illegal_transition"):
            late.result()


def test_a_stranger_verifies_it(school: School, run: Run) -> None:
    school.db.execute("update public.courses set certificate_validity_days = 365")
    told = run.issue()["Mia Chen"]
    code = told["verification_code"]
    assert re.fullmatch("[0-9A-F]{32}", code)
    for said in (
        code,
        code.lower(),
        " ".join(code[n : n + 4] for n in range(0, 32, 4)),
        "-".join((code[:16], code[16:])),
    ):
        [row] = call(school.db, "anon", "verify_certificate", p_code=said)
        assert (row["status"], row["holder_name"], row["course_title"], row["serial"]) == (
            "valid",
            "Mia Chen",
            "First Aid",
            told["serial"],
        )
        assert row["expires_on"] - row["issued_on"] == timedelta(365)
        assert set(row) == {
            "status",
            "serial",
            "holder_name",
            "course_title",
            "organisation",
            "issued_on",
            "expires_on",
            "revoked_on",
        }
    for wrong in ("", code[:-1], code[:-1] + "G", code[::-1], "%", "x" * 101, code + "0"):
        assert call(school.db, "anon", "verify_certificate", p_code=wrong) == []
    school.pass_days(400)
    assert call(school.db, "anon", "verify_certificate", p_code=code)[0]["status"] == "expired"
    call(school.db, school.boss, "revoke_certificate", p_id=told["certificate_id"], p_reason="Fraud")
    [row] = call(school.db, "anon", "verify_certificate", p_code=code)
    assert (row["status"], "Fraud" in str(row)) == ("revoked", False)


def test_guesses_are_counted(school: School, run: Run, rest: Rest) -> None:
    school.db.execute("update public.settings set value = '5' where key = 'anonymous_calls_per_minute'")
    answers = [rest.post("/rpc/verify_certificate", json={"p_code": f"{n:032x}"}) for n in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[0].json() == []


def test_revoked_once_with_a_reason_by_who_may(school: School, run: Run) -> None:
    told = run.issue()["Mia Chen"]
    with refused("forbidden"):
        call(school.db, school.clerk, "revoke_certificate", p_id=told["certificate_id"], p_reason="No")
    with refused("invalid_input"):
        call(school.db, school.boss, "revoke_certificate", p_id=told["certificate_id"], p_reason="  ")
    with refused("not_found"):
        call(school.db, school.boss, "revoke_certificate", p_id=school.course, p_reason="No")
    call(school.db, school.boss, "revoke_certificate", p_id=told["certificate_id"], p_reason="Typo in the name")
    with refused("illegal_transition"):
        call(school.db, school.boss, "revoke_certificate", p_id=told["certificate_id"], p_reason="Again")
    with refused("illegal_transition"):
        school.db.execute("update public.certificates set revoked_at = null, revocation_reason = null")
    with refused("illegal_transition"):
        school.db.execute("update public.certificates set serial = 'C-1'")
    again = run.issue()["Mia Chen"]
    assert (again["status"], again["verification_code"] != told["verification_code"]) == ("issued", True)


def test_who_stands_how(school: School, run: Run, world: World) -> None:
    run.issue()
    rows = call(school.db, school.clerk, "certificate_eligibility", p_course_id=school.course)
    assert [(row["attendee_name"], row["attended"], row["is_eligible"], row["serial"] is not None) for row in rows] == [
        ("Leo Park", 2, False, False), ("Mia Chen", 3, True, True), ("Zoe <b>Guest</b>", 3, True, True),
    ]  # fmt: skip
    [own] = call(school.db, run.leo, "certificate_eligibility", p_course_id=school.course)
    assert (own["profile_id"], own["lacking"]) == (run.leo.profile_id, [school.monday + timedelta(2)])
    assert call(school.db, world.user(), "certificate_eligibility", p_course_id=school.course) == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        call(school.db, "anon", "certificate_eligibility", p_course_id=school.course)


def test_a_series_that_went_on_as_another_is_one_course(school: School, world: World) -> None:
    mia = world.user(full_name="Mia Chen")
    series = school.series(p_rrule="FREQ=DAILY;COUNT=2")["series_id"]
    second = school.session_on(series, school.monday + timedelta(1))
    [done] = call(
        school.db, school.boss, "update_series", p_scope="following", p_session_id=second,
        p_changes=Jsonb({"start_time": "15:00", "end_time": "16:00"}),
    )  # fmt: skip
    assert done["series_id"] != series
    first = school.session_on(series, school.monday)
    bookings = [school.book(session, mia) for session in (first, second)]
    school.pass_days((school.monday - school.today).days + 4)
    for n, booking in enumerate(bookings):
        school.db.execute("insert into public.attendance (booking_id, status) values (%s, 'present')", [booking])
        [row] = call(school.db, school.boss, "issue_certificates", p_session_id=first)
        assert row["status"] == ("lacking", "issued")[n]


def test_two_clerks_issue_at_once(school: School, run: Run, database: Database) -> None:
    first, second = database.connect(autocommit=False), database.connect()
    call(first, None, "issue_certificates", p_session_id=run.sessions[2])
    with ThreadPoolExecutor(1) as other:
        late = other.submit(call, second, None, "issue_certificates", p_session_id=run.sessions[1])
        until_blocked(school.db, second)
        first.commit()
        statuses = {row["status"] for row in late.result()}
    assert statuses == {"had", "lacking"}
    assert school.one("select count(*) from public.certificates") == 2
