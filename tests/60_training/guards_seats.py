"""Guards of seats that take more than one statement to prove."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.guards import guards
from tests.support.identity import as_user
from tests.support.stage import Stage

SESSION = "(select id from public.course_sessions where notes = 'Ours' and status = 'scheduled')"


@guards("public.course_sessions.t20_keep_booked")
def a_booked_session_is_not_deleted(stage: Stage) -> None:
    """In words; the foreign key would refuse it anyhow, with none."""
    with refused("illegal_transition"), stage.db.transaction():
        stage.db.execute(f"delete from public.course_sessions where id = {SESSION}".encode())


@guards("public.course_sessions.t40_close")
def a_session_that_is_cancelled_is_locked_whole(stage: Stage) -> None:
    """Nobody can take a seat of it from then on."""
    stage.db.execute(f"create temp table closing on commit drop as select {SESSION} as id".encode())
    stage.db.execute("delete from public.session_bookings where session_id = (select id from closing)")
    stage.db.execute(
        "update public.course_sessions set status = 'cancelled', cancellation_reason = 'Ill.' where id = (select id from closing)"
    )
    locked = stage.db.execute(
        "select bool_and(q.xmax::text <> '0') from public.session_seats q where q.session_id = (select id from closing)"
    ).fetchone()
    assert locked == (True,)


@guards("public.session_bookings.t05_guard_attendance")
def nobody_says_of_themselves_that_they_attended(stage: Stage) -> None:
    """Once the session has begun it would be allowed otherwise."""
    stage.db.execute("alter table public.course_sessions disable trigger user")
    stage.db.execute(
        f"update public.course_sessions set session_date = session_date - 60, starts_at = starts_at - interval '60 days', "
        f"ends_at = ends_at - interval '60 days' where id = {SESSION}".encode()
    )
    with refused("forbidden"), as_user(stage.db, stage.people["member"]) as by:
        by.execute("update public.session_bookings set status = 'attended' where notes = 'Ours'")


@guards("public.session_bookings.session_bookings_one_a_person")
def of_two_at_once_the_key_refuses_the_second(stage: Stage) -> None:
    """Where neither sees the other."""
    stage.db.execute("alter table public.session_bookings disable trigger user")
    with pytest.raises(psycopg.errors.UniqueViolation), stage.db.transaction():
        stage.db.execute(
            "insert into public.session_bookings (session_id, profile_id, price) "
            "select session_id, profile_id, 0 from public.session_bookings where notes = 'Ours'"
        )


@guards("public.session_bookings.session_bookings_one_an_address")
def and_the_second_of_one_address(stage: Stage) -> None:
    """Likewise for guests."""
    stage.db.execute("alter table public.session_bookings disable trigger user")
    with pytest.raises(psycopg.errors.UniqueViolation), stage.db.transaction():
        stage.db.execute(
            "insert into public.session_bookings (session_id, attendee_name, attendee_email, price) "
            "select session_id, attendee_name, attendee_email, 0 from public.session_bookings where attendee_name = 'Guest of Ours'"
        )


@guards("public.session_bookings.t60_owns_its_seats")
def a_live_booking_owns_its_seats(stage: Stage) -> None:
    """Whatever became of the trigger that takes them."""
    stage.db.execute("alter table public.session_bookings disable trigger t50_take_seats_insert")
    with refused("seats_full"), stage.db.transaction():
        stage.db.execute(
            f"insert into public.session_bookings (session_id, attendee_name) values ({SESSION}, 'Seatless')".encode()
        )
        stage.db.execute("set constraints all immediate")


@guards("public.session_seats.t60_is_not_lost")
def a_seat_is_not_lost(stage: Stage) -> None:
    """Whoever slipped past what keeps others from writing."""
    stage.db.execute("alter table public.session_seats disable trigger t00_only_triggers_write")
    with refused("seats_full"), stage.db.transaction():
        stage.db.execute(
            "update public.session_seats set booking_id = null, owner_live = null where booking_id is not null"
        )
        stage.db.execute("set constraints all immediate")


@guards(
    "public.session_holds.session_holds_seats_belong_to", "public.session_bookings.session_bookings_seats_belong_to"
)
def what_seats_refer_to_has_a_key(stage: Stage) -> None:
    """The keys are what the foreign keys of seats refer to: with them gone a seat belongs to anybody."""
    stage.db.execute("alter table public.session_seats disable trigger user")
    other = "(select q.id from public.{0} q where q.session_id <> {1} limit 1)"
    for change in (
        f"held_by = {other.format('session_holds', SESSION)}, held_until = private.now()",
        f"booking_id = {other.format('session_bookings', SESSION)}, owner_live = true",
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation), stage.db.transaction():
            stage.db.execute(
                f"update public.session_seats set {change} where session_id = {SESSION} and booking_id is null and held_by is null".encode()
            )


EMPTY = "(select id from public.course_sessions where notes = 'Empty')"


@guards("public.session_bookings.session_bookings_pkey", "public.session_holds.session_holds_pkey")
def an_id_is_given_once(stage: Stage) -> None:
    """Also in another session."""
    for table, columns, values in (
        ("session_bookings", "attendee_name, price", "'Double', 0"),
        ("session_holds", "held_until", "private.now()"),
    ):
        stage.db.execute(f"alter table public.{table} disable trigger user".encode())
        with pytest.raises(psycopg.errors.UniqueViolation), stage.db.transaction():
            stage.db.execute(
                f"insert into public.{table} (id, session_id, {columns}) select id, {EMPTY}, {values} from public.{table} "
                f"where session_id = {SESSION} limit 1".encode()
            )


@guards(
    "public.session_bookings.session_bookings_session_id_fkey", "public.session_holds.session_holds_session_id_fkey"
)
def what_is_booked_and_held_is_there(stage: Stage) -> None:
    """No booking and no hold of no session."""
    for table, columns, values in (
        ("session_bookings", "attendee_name, price, status, cancelled_at", "'Lost', 0, 'cancelled', private.now()"),
        ("session_holds", "held_until", "private.now()"),
    ):
        stage.db.execute(f"alter table public.{table} disable trigger user".encode())
        with pytest.raises(psycopg.errors.ForeignKeyViolation), stage.db.transaction():
            stage.db.execute(
                f"insert into public.{table} (session_id, {columns}) values (gen_random_uuid(), {values})".encode()
            )


@guards(
    "public.course_sessions.t50_claims_insert", "public.course_sessions.t50_claims_update", "public.course_sessions.t50_claims_delete"
)  # fmt: skip
def claims_follow_sessions(stage: Stage) -> None:
    """Made, moved and deleted, a session takes its place and leaves it."""
    claimed = "select count(*), min(lower(c.during)) from public.claims c where c.source_id = '00000000-0000-0000-0000-000000000060'"
    stage.db.execute(
        "insert into public.course_sessions (id, course_id, session_date, start_time, time_zone, location_id) "
        "select '00000000-0000-0000-0000-000000000060', course_id, private.today() + 40, '22:00', 'UTC', "
        "(select id from public.locations where name = 'Training room 0') from public.course_sessions where notes = 'Empty'"
    )
    first = stage.db.execute(claimed.encode()).fetchone()
    assert first is not None
    assert first[0] == 1
    stage.db.execute(
        "update public.course_sessions set start_time = '21:30' where id = '00000000-0000-0000-0000-000000000060'"
    )
    second = stage.db.execute(claimed.encode()).fetchone()
    assert second is not None
    assert second[1] < first[1]
    stage.db.execute("delete from public.course_sessions where id = '00000000-0000-0000-0000-000000000060'")
    assert stage.db.execute(claimed.encode()).fetchone() == (0, None)
