"""Damage to series, registers and certificates."""

from __future__ import annotations

from tests.support.damage import Damage, Town


def prepare(town: Town) -> None:
    """What the sample rows are called here."""
    for name, query in {
        "series": "select id from public.session_series where notes = 'Series of Otto'",
        "recurring": "select s.id from public.course_sessions s join public.session_series r on r.id = s.series_id where r.notes = 'Series of Otto' "
        "order by s.session_date limit 1",
        "attended": "select a.booking_id from public.attendance a join public.certificates c on c.booking_id = a.booking_id and c.revoked_at is null "
        "where a.notes = 'Sat with Otto'",
        "certificate": "select c.id from public.attendance a join public.certificates c on c.booking_id = a.booking_id and c.revoked_at is null "
        "where a.notes = 'Sat with Otto'",
        "unmarked": "select id from public.session_bookings where attendee_name = 'Nobody of Otto'",
    }.items():
        town.names[name] = town.one(query)


DAMAGES = [
    Damage(
        "a session of a series is gone",
        "delete from public.claims where source_id = '{recurring}'; delete from public.session_seats where session_id = '{recurring}'; "
        "delete from public.course_sessions where id = '{recurring}'",
        (
            ("series_missing_sessions", "warning", "session_series", "{series}"),
        ), mended=True,
    ),
    Damage(
        "a booking that says it was attended",
        "update public.session_bookings set status = 'attended' where id = '{unmarked}'",
        (
            ("registers_differ", "error", "session_bookings", "{unmarked}"),
        ), mended=True,
    ),
    Damage(
        "a certificate whose mark was turned",
        "update public.attendance set status = 'absent' where booking_id = '{attended}'; "
        "update public.session_bookings set status = 'no_show' where id = '{attended}'",
        (
            ("certificates_without_attendance", "critical", "certificates", "{certificate}"),
        ),
    ),
]  # fmt: skip
