"""What goes wrong without each guard of series, registers and certificates. The rows are those of sample_series.py: OTTO's."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.guards import guards, works
from tests.support.stage import Stage

SERIES = "update public.session_series set {} where notes = 'Series of Otto'"
OTTO = "(select id from public.session_series where notes = 'Series of Otto')"
SESSION = f"update public.course_sessions set {{}} where id = (select id from public.course_sessions where series_id = {OTTO} order by session_date limit 1)"
HELD = "(select id from public.course_sessions where notes = 'Held by Otto')"
OLGA = f"(select id from public.session_bookings where session_id = {HELD} and profile_id is not null)"
GUEST = "(select id from public.session_bookings where attendee_name = 'Guest of Otto')"
NOBODY = "(select id from public.session_bookings where attendee_name = 'Nobody of Otto')"
MARK = f"update public.attendance set {{}} where booking_id = {OLGA}"
CERTIFICATE = f"update public.certificates set {{}} where booking_id = {OLGA}"

REFUSED = {
    # series
    "public.session_series.rrule_can_be_read": SERIES.format("rrule = 'FREQ=HOURLY'"),
    "public.session_series.dates_are_between_1970_and_2200": SERIES.format("ends_on = first_date - 2"),
    "public.session_series.exceptions_are_dates": SERIES.format("rdates = array[null]::date[]"),
    "public.session_series.start_is_before_end": SERIES.format("end_time = start_time"),
    "public.session_series.time_zone_exists": SERIES.format("time_zone = 'Mars/Base'"),
    "public.session_series.capacity_is_sensible": SERIES.format("max_capacity = 0"),
    "public.session_series.minimum_fits_in": SERIES.format("min_bookings = max_capacity + 1"),
    "public.session_series.price_is_an_amount": SERIES.format("price = 'NaN'"),
    "public.session_series.status_is_known": SERIES.format("status = 'paused'"),
    "public.session_series.cancelled_says_why": SERIES.format("status = 'cancelled'"),
    "public.session_series.texts_are_short": SERIES.format("notes = repeat('x', 1001)"),
    "public.session_series.t20_check": SERIES.format("max_capacity = 10000"),
    # their sessions
    "public.course_sessions.series_says_which_date": SESSION.format("series_date = null"),
    "public.course_sessions.course_sessions_one_a_series_and_date": SESSION.format(
        f"series_date = (select max(o.series_date) from public.course_sessions o where o.series_id = {OTTO})"
    ),
    "public.course_sessions.course_sessions_series_id_fkey": SESSION.format("series_id = gen_random_uuid()"),
    # the register
    "public.attendance.status_is_known": f"update public.attendance set status = 'asleep' where booking_id = {GUEST}",
    "public.attendance.notes_are_short": MARK.format("notes = repeat('x', 1001)"),
    "public.attendance.booking_is_live": (
        "insert into public.attendance (booking_id, session_id, status, booking_live) "
        "select b.id, b.session_id, 'absent', false from public.session_bookings b where b.attendee_name = 'Gone of Otto'"
    ),
    "public.attendance.mark_belongs_to_a_live_booking_of_its_session": (
        "insert into public.attendance (booking_id, session_id, status) "
        f"select {NOBODY}, s.id, 'present' from public.course_sessions s where s.notes = 'Held by Fiona'"
    ),
    "public.attendance.attendance_pkey": f"insert into public.attendance (booking_id, session_id, status) values ({GUEST}, {HELD}, 'absent')",
    # certificates
    "public.certificates.certificates_booking_id_fkey": (
        f"update public.certificates set booking_id = gen_random_uuid() where booking_id = {GUEST}"
    ),
    "public.certificates.enough_was_attended": CERTIFICATE.format("sessions_attended = 0"),
    "public.certificates.expires_after_it_was_issued": CERTIFICATE.format("expires_at = issued_at"),
    "public.certificates.revoked_says_why": CERTIFICATE.format("revocation_reason = 'x'"),
    "public.certificates.verification_code_cannot_be_guessed": CERTIFICATE.format("verification_code = '12345678'"),
    "public.certificates.holder_name_is_given": CERTIFICATE.format("holder_name = ' '"),
    "public.certificates.revocation_reason_is_short": (
        f"update public.certificates set revocation_reason = repeat('x', 1001) where booking_id = {GUEST}"
    ),
    "public.certificates.t20_keep": CERTIFICATE.format("serial = 'C-1'"),
    "public.certificates.certificates_one_a_person_and_run": (
        f"update public.certificates set person_key = (select o.person_key from public.certificates o where o.booking_id = {OLGA}), "
        f"run_id = (select o.run_id from public.certificates o where o.booking_id = {OLGA}) where revoked_at is null"
    ),
}

FORGED = (
    "insert into public.certificates (booking_id, course_id, run_id, person_key, holder_name, course_title, sessions_attended, sessions_required, "
    "serial, verification_code) select {}, c.course_id, c.run_id, 'x', 'Forged', 'x', 1, 1, 'x', repeat('A', 32) "
    f"from public.certificates c where c.booking_id = {GUEST}"
)

SCENARIOS = [
    works(
        "public.attendance.t20_check",
        f"insert into public.attendance (booking_id, status) values ({NOBODY}, 'absent')",
        f"select session_id = {HELD} from public.attendance where booking_id = {NOBODY}",
    ),
    works(
        "public.certificates.t20_write",
        FORGED.format(GUEST),
        "select not exists (select from public.certificates where holder_name = 'Forged')",
    ),
    works(
        "public.session_series.t60_cancel_sessions",
        SERIES.format("status = 'cancelled', cancellation_reason = 'No room'"),
        f"select count(*) = 2 and bool_and(s.status = 'cancelled') from public.course_sessions s where s.series_id = {OTTO}",
    ),
    works(
        "public.course_sessions.t25_keep_series_date",
        f"update public.course_sessions set series_id = {OTTO}, series_date = null where notes = 'Held by Otto'",
        "select series_date = session_date from public.course_sessions where notes = 'Held by Otto'",
    ),
    works(
        "public.course_sessions.t60_leave_date_out",
        f"delete from public.course_sessions where series_id = {OTTO}",
        "select cardinality(exdates) = 3 from public.session_series where notes = 'Series of Otto'",
    ),
    works(
        "public.attendance.t60_follow_insert",
        f"insert into public.attendance (booking_id, status) values ({NOBODY}, 'late')",
        "select status = 'attended' from public.session_bookings where attendee_name = 'Nobody of Otto'",
    ),
    works(
        "public.attendance.t60_follow_update",
        f"update public.attendance set status = 'absent' where booking_id = {GUEST}",
        "select status = 'no_show' from public.session_bookings where attendee_name = 'Guest of Otto'",
    ),
    works(
        "public.attendance.t60_follow_delete",
        f"delete from public.attendance where booking_id = {GUEST}",
        "select status = 'confirmed' from public.session_bookings where attendee_name = 'Guest of Otto'",
    ),
]


def certified_over_two_days(stage: Stage) -> None:
    """Olga attended two sessions of one run, and her certificate counts both; the second booking has a seat in neither."""
    db = stage.db
    db.execute("alter table public.session_bookings disable trigger user")
    db.execute(f"update public.course_sessions set series_id = {OTTO} where notes in ('Held by Otto', 'Held by Fiona')")
    db.execute("update public.settings set value = '50' where key = 'certificate_attendance_percent'")
    db.execute(
        "insert into public.session_bookings (session_id, profile_id, price, notes) select f.id, b.profile_id, 0, 'Second day' "
        f"from public.course_sessions f, public.session_bookings b where f.notes = 'Held by Fiona' and b.id = {OLGA}"
    )
    db.execute(
        "insert into public.attendance (booking_id, status) select id, 'present' from public.session_bookings where notes = 'Second day'"
    )
    db.execute(
        "update public.certificates set revoked_at = private.now(), revocation_reason = 'Anew' where revoked_at is null"
    )
    db.execute(f"insert into public.certificates (booking_id) values ({OLGA})")


SECOND = "(select id from public.session_bookings where notes = 'Second day')"


@guards("public.attendance.t70_certificates_rest_on_update")
def what_a_certificate_counted_is_not_corrected(stage: Stage) -> None:
    certified_over_two_days(stage)
    with refused("illegal_transition"), stage.db.transaction():
        stage.db.execute(f"update public.attendance set status = 'absent' where booking_id = {SECOND}")


@guards("public.attendance.t70_certificates_rest_on_delete")
def nor_deleted(stage: Stage) -> None:
    certified_over_two_days(stage)
    with refused("illegal_transition"), stage.db.transaction():
        stage.db.execute(f"delete from public.attendance where booking_id = {SECOND}")


@guards("public.certificates.rests_on_attendance", "public.attendance.attendance_certificates_rest_on")
def no_certificate_without_attendance_even_with_triggers_off(stage: Stage) -> None:
    stage.db.execute("alter table public.certificates disable trigger user")
    with pytest.raises(psycopg.errors.ForeignKeyViolation), stage.db.transaction():
        stage.db.execute(FORGED.format(NOBODY).encode())
