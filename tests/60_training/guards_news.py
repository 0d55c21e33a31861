"""What nobody would hear of without each trigger that tells the feed or people."""

from __future__ import annotations

from tests.support.guards import works

SESSION = "(select id from public.course_sessions where notes = 'Ours' and status = 'scheduled')"
SAID = "select exists (select from public.changes where event = '{}' and created_at = private.now())"
OLGA = (
    "(select b.id from public.session_bookings b join public.course_sessions s on s.id = b.session_id "
    "where s.notes = 'Held by Otto' and b.profile_id is not null)"
)
TOLD = "select exists (select from public.notifications where kind = '{}' and created_at = private.now())"

SCENARIOS = [
    works(
        "public.course_sessions.t95_publish_insert",
        "insert into public.course_sessions (course_id, session_date, start_time) "
        "select course_id, session_date + 1, start_time from public.course_sessions where notes = 'Empty'",
        SAID.format("session-created"),
    ),
    works(
        "public.course_sessions.t95_publish_update",
        "update public.course_sessions set price = 7 where notes = 'Empty'",
        SAID.format("session-update"),
    ),
    works(
        "public.session_bookings.t95_publish_insert",
        f"insert into public.session_bookings (session_id, attendee_name) values ({SESSION}, 'News')",
        SAID.format("booking-confirmed"),
    ),
    works(
        "public.session_bookings.t95_publish_update",
        "update public.session_bookings set status = 'cancelled' where notes = 'Ours'",
        SAID.format("booking-cancelled"),
    ),
    works(
        "public.session_holds.t95_publish_insert",
        f"insert into public.session_holds (session_id) values ({SESSION})",
        SAID.format("session-update"),
    ),
    works(
        "public.session_holds.t95_publish_update",
        f"update public.session_holds set released_at = private.now() where session_id = {SESSION}",
        SAID.format("session-update"),
    ),
    works(
        "public.session_bookings.t96_tell_update",
        "update public.session_bookings set status = 'cancelled' where notes = 'Ours'",
        TOLD.format("session_booking_cancelled"),
    ),
    works(
        "public.course_sessions.t96_tell_update",
        f"update public.course_sessions set start_time = '20:30' where id = {SESSION}",
        TOLD.format("session_moved"),
    ),
    works(
        "public.certificates.t96_tell_insert",
        f"update public.certificates set revocation_reason = 'x' where booking_id = {OLGA}; "
        f"insert into public.certificates (booking_id) values ({OLGA})",
        TOLD.format("certificate_issued"),
    ),
    works(
        "public.certificates.t96_tell_update",
        f"update public.certificates set revocation_reason = 'x' where booking_id = {OLGA}",
        TOLD.format("certificate_revoked"),
    ),
]
