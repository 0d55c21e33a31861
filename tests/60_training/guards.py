"""What goes wrong without each guard of sessions, bookings, holds and seats. The names of the rows are those of sample.py."""

from __future__ import annotations

from tests.support.guards import works

SESSION = "(select id from public.course_sessions where notes = 'Ours' and status = 'scheduled')"
EMPTY = "(select id from public.course_sessions where notes = 'Empty')"
CHANGE = "update public.course_sessions set {} where notes = 'Empty'"
BOOKING = "update public.session_bookings set {} where attendee_name = 'Guest of Ours'"
MINE = "(select id from public.session_bookings where notes = 'Ours')"
HOLD = f"update public.session_holds set {{}} where session_id = {SESSION}"
SEAT = f"update public.session_seats set {{}} where session_id = {EMPTY} and seat_no = 1"
BOOK = "insert into public.session_bookings (session_id, {}) values (" + EMPTY + ", {})"
PLAN = (
    "insert into public.course_sessions (course_id, session_date, start_time, {}) "
    "select course_id, session_date + 1, start_time, {} from public.course_sessions where notes = 'Empty'"
)

REFUSED = {
    # sessions
    "public.course_sessions.start_is_before_end": CHANGE.format("end_time = '20:00'"),
    "public.course_sessions.date_is_between_1970_and_2200": CHANGE.format("session_date = '1950-01-01'"),
    "public.course_sessions.time_zone_exists": CHANGE.format("time_zone = 'Mars/Base'"),
    "public.course_sessions.capacity_is_sensible": CHANGE.format("max_capacity = 0"),
    "public.course_sessions.minimum_fits_in": CHANGE.format("min_bookings = 500"),
    "public.course_sessions.status_is_known": CHANGE.format("status = 'lost'"),
    "public.course_sessions.tentative_waits_for_something": CHANGE.format("status = 'tentative'"),
    "public.course_sessions.price_is_an_amount": CHANGE.format("price = 'NaN'"),
    "public.course_sessions.cancelled_says_why_and_when": CHANGE.format("cancelled_at = private.now()"),
    "public.course_sessions.texts_are_short": CHANGE.format("notes = repeat('x', 1001)"),
    "public.course_sessions.t20_check": CHANGE.format("max_capacity = 500"),
    "public.course_sessions.t40_follow_capacity": (
        "update public.course_sessions set max_capacity = 2 where notes = 'Ours' and status = 'scheduled'"
    ),
    # bookings
    "public.session_bookings.status_is_known": BOOKING.format("status = 'lost'"),
    "public.session_bookings.seats_are_few": BOOKING.format("seats = 0"),
    "public.session_bookings.somebody_takes_part": BOOKING.format("attendee_name = null"),
    "public.session_bookings.attendee_email_is_a_lower_case_address": BOOKING.format("attendee_email = 'at home'"),
    "public.session_bookings.price_is_an_amount": BOOKING.format("price = 'NaN'"),
    "public.session_bookings.cancelled_says_when": BOOKING.format("cancelled_at = private.now()"),
    "public.session_bookings.texts_are_short": BOOKING.format("notes = repeat('x', 1001)"),
    "public.session_bookings.t20_check": f"update public.session_bookings set status = 'attended' where id = {MINE}",
    "public.session_bookings.t50_take_seats_insert": (
        f"insert into public.session_bookings (session_id, attendee_name, seats) values ({SESSION}, 'Crowd', 4)"
    ),
    "public.session_bookings.t50_take_seats_update": BOOKING.format("seats = 6"),
    "public.session_bookings.t30_keep_what_is_paid": (
        "insert into public.payments (payer_id, amount, method) select profile_id, 50, 'cash' from public.session_bookings where notes = 'Ours'; "
        "insert into public.payment_items (payment_id, source_table, source_id, amount) "
        f"select id, 'session_bookings', {MINE}, 50 from public.payments where payer_id = (select profile_id from public.session_bookings where notes = 'Ours') "
        f"order by created_at desc limit 1; delete from public.session_bookings where id = {MINE}"
    ),
    # holds
    "public.session_holds.seats_are_few": HOLD.format("seats = 0"),
    "public.session_holds.held_until_is_finite": HOLD.format("held_until = 'infinity'"),
    "public.session_holds.t20_check": HOLD.format("held_until = held_until + interval '1 hour'"),
    "public.session_holds.t50_hold_seats": f"insert into public.session_holds (session_id, seats) values ({SESSION}, 5)",
    # seats
    "public.session_seats.seat_no_is_counted_from_one": SEAT.format("seat_no = 0"),
    "public.session_seats.owner_is_live_or_nobody": (
        "update public.session_seats set owner_live = false, booking_id = (select id from public.session_bookings where attendee_name = 'Gone of Ours') "
        f"where session_id = {SESSION} and booking_id is null and held_by is null"
    ),
    "public.session_seats.taken_says_by_whom": SEAT.format("booking_id = gen_random_uuid()"),
    "public.session_seats.held_says_for_whom_and_until_when": SEAT.format("held_until = private.now()"),
    "public.session_seats.taken_is_not_held": (
        f"update public.session_seats set held_by = (select id from public.session_holds where session_id = {SESSION}), "
        f"held_until = private.now() where session_id = {SESSION} and booking_id is not null"
    ),
    "public.session_seats.seat_belongs_to_a_live_booking_of_its_session": SEAT.format(f"booking_id = {MINE}, owner_live = true"),
    "public.session_seats.seat_is_held_by_a_hold_of_its_session": SEAT.format(
        f"held_by = (select id from public.session_holds where session_id = {SESSION}), held_until = private.now()"
    ),
    "public.session_seats.t00_only_triggers_write": SEAT.format("seat_no = 99"),
}  # fmt: skip

SCENARIOS = [
    works(
        "public.course_sessions.t40_make_seats",
        PLAN.format("max_capacity, notes", "7, 'New'"),
        "select count(*) = 7 from public.session_seats q join public.course_sessions s on s.id = q.session_id where s.notes = 'New'",
    ),
    works(
        "public.course_sessions.t30_prepare_insert",
        "insert into public.user_profiles (full_name) values ('Nora New'); "
        "delete from public.resources where profile_id = (select id from public.user_profiles where full_name = 'Nora New'); "
        + PLAN.format("instructor_id", "(select id from public.user_profiles where full_name = 'Nora New')"),
        "select exists (select from public.resources where name = 'Nora New')",
    ),
    works(
        "public.course_sessions.t30_prepare_update",
        "insert into public.user_profiles (full_name) values ('Nora New'); "
        "delete from public.resources where profile_id = (select id from public.user_profiles where full_name = 'Nora New'); "
        + CHANGE.format("instructor_id = (select id from public.user_profiles where full_name = 'Nora New')"),
        "select exists (select from public.resources where name = 'Nora New')",
    ),
    works(
        "public.course_sessions.t45_cancel_bookings",
        f"update public.course_sessions set status = 'cancelled', cancellation_reason = 'Ill.' where id = {SESSION}",
        "select bool_and(status = 'cancelled') from public.session_bookings b where b.session_id in "
        "(select id from public.course_sessions where cancellation_reason = 'Ill.')",
    ),
    works(
        "public.courses.t60_rename_sessions",
        "update public.courses set title = 'Fires' where code = 'TRAIN 1'",
        "select exists (select from public.claims where source_table = 'course_sessions' and title = 'Fires')",
    ),
    works(
        "public.session_bookings.t40_give_seats_back_update",
        BOOKING.format("status = 'cancelled'"),
        f"select count(*) = 1 from public.session_seats where session_id = {SESSION} and booking_id is not null",
    ),
    works(
        "public.session_bookings.t40_give_seats_back_delete",
        "delete from public.session_bookings where attendee_name = 'Guest of Ours'",
        f"select count(*) = 1 from public.session_seats where session_id = {SESSION} and booking_id is not null",
    ),
    works(
        "public.session_holds.t40_release_update",
        HOLD.format("released_at = private.now()"),
        f"select count(*) = 0 from public.session_seats where session_id = {SESSION} and held_by is not null",
    ),
    works(
        "public.session_holds.t40_release_delete",
        f"delete from public.session_holds where session_id = {SESSION}",
        f"select count(*) = 0 from public.session_seats where session_id = {SESSION} and held_by is not null",
    ),
    works(
        "private.seat_rebuilds.t50_rebuild",
        "alter table public.session_seats disable trigger user; "
        f"delete from public.session_seats where session_id = {EMPTY}; alter table public.session_seats enable trigger user; "
        f"insert into private.seat_rebuilds (session_ids) values (array[{EMPTY}])",
        f"select count(*) = (select max_capacity from public.course_sessions where notes = 'Empty') from public.session_seats where session_id = {EMPTY}",
    ),
]
