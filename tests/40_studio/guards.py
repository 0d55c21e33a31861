"""What goes wrong without each guard of bookings, schedules and classes. The names of the rows are those of sample.py.

That claims follow their sources is seen by asking the ledger itself: after every change nothing is missing in it, nothing
too much. Everything is there twice; OTTO's rows are those the statements are about.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.guards import Scenario, guards
from tests.support.identity import as_user
from tests.support.stage import Stage

OTTO = "(select id from public.user_profiles where full_name = 'Otto Other')"
CARA = "(select id from public.user_profiles where full_name = 'Cara Customer')"
SCHEDULE = f"(select id from public.class_schedules where instructor_id = {OTTO})"
A_DATE = f"(select occurs_on + 14 from public.class_assignments where schedule_id = {SCHEDULE})"


def lesson(notes: str) -> str:
    """The id of Otto's class with these notes."""
    return f"(select id from public.class_assignments where instructor_id = {OTTO} and notes = '{notes}')"


def code(name: str) -> str:
    """The code of Cara's booking of this name."""
    return f"(select booking_id from public.bookings where profile_id = {CARA} and first_name = '{name}')"


BOOKING = f"update public.bookings set {{}} where booking_id = {code('Waiting')}"
CLASS = f"update public.class_assignments set {{}} where id = {lesson('Served')}"
PLAN = f"update public.class_schedules set {{}} where id = {SCHEDULE}"

REFUSED = {
    # bookings
    "public.bookings.booking_id_is_a_code": BOOKING.format("booking_id = 'mine'"),
    "public.bookings.status_is_known": BOOKING.format("status = 'lost'"),
    "public.bookings.booking_type_is_known": BOOKING.format("booking_type = 'secret'"),
    "public.bookings.timezone_exists": BOOKING.format("timezone = 'Mars/Base'"),
    "public.bookings.email_is_an_address": BOOKING.format("email = 'at home'"),
    "public.bookings.class_date_is_between_1970_and_2200": BOOKING.format("class_date = '1950-01-01'"),
    "public.bookings.preferences_are_few": BOOKING.format("preferred_days = array_fill('Monday'::text, array[21])"),
    "public.bookings.texts_are_short": BOOKING.format("notes = repeat('x', 1001)"),
    "public.bookings.credits_belong_to_somebody": BOOKING.format("uses_credits = true, profile_id = null"),
    "public.bookings.t20_check": BOOKING.format("booking_id = 'YOG-20260101-0001'"),
    "public.bookings.t25_check_status": BOOKING.format("status = 'confirmed'"),
    "public.settings.t30_check_booking_prefix": "update public.settings set value = '\"yog\"' where key = 'booking_prefix'",
    "private.brought_links.brought_links_pkey": (
        "insert into private.brought_links select u, 'YOG-20260101-0001' from unnest(array_fill(gen_random_uuid(), array[2])) u"
    ),
    # schedules
    "public.class_schedules.day_of_week_is_sunday_0_to_saturday_6": PLAN.format("day_of_week = 7"),
    "public.class_schedules.start_is_before_end": PLAN.format("start_time = '21:00', duration_minutes = 0"),
    "public.class_schedules.duration_is_from_start_to_end": PLAN.format("duration_minutes = 61"),
    "public.class_schedules.time_zone_exists": PLAN.format("time_zone = 'Mars/Base'"),
    "public.class_schedules.somebody_can_take_part": PLAN.format("max_participants = 0"),
    "public.class_schedules.effective_is_between_1970_and_2200": PLAN.format("effective_from = '1950-01-01'"),
    "public.class_schedules.notes_are_short": PLAN.format("notes = repeat('x', 1001)"),
    "public.class_schedules.t20_check": PLAN.format("start_time = '20:45', duration_minutes = 15"),
    "public.class_schedules.t30_keep_room": (
        f"insert into public.assignment_bookings values ({lesson('Taken over')}, {code('Waiting')}), ({lesson('Taken over')}, {code('Served')}); "
        + PLAN.format("max_participants = 1")
    ),
    "public.class_types.t30_keep_room": (
        f"insert into public.assignment_bookings values ({lesson('Served')}, {code('Waiting')}); "
        "update public.class_types set max_participants = 1 where name = 'Evening yoga'"
    ),
    "public.weekly_rules.t70_keep_schedule_rule_new": (
        "insert into public.weekly_rules (title, weekday, start_time, end_time, time_zone, effective, source_table, source_id) "
        "values ('Nobody''s', 1, '05:00', '06:00', 'UTC', '[2026-01-01,)', 'class_schedules', gen_random_uuid())"
    ),
    "public.weekly_rules.t70_keep_schedule_rule_old": f"delete from public.weekly_rules where id = {SCHEDULE}",
    "public.weekly_rule_resources.t70_keep_schedule_resource": (
        f"delete from public.weekly_rule_resources where rule_id = {SCHEDULE} and resource_id = {OTTO}"
    ),
    # classes
    "public.class_assignments.times_go_together": CLASS.format("start_time = null, starts_at = null, ends_at = null"),
    "public.class_assignments.start_is_before_end": CLASS.format("end_time = '17:00'"),
    "public.class_assignments.instants_follow_the_times": CLASS.format("starts_at = null"),
    "public.class_assignments.date_is_between_1970_and_2200": CLASS.format("date = '1950-01-01'"),
    "public.class_assignments.time_zone_exists": CLASS.format("time_zone = 'Mars/Base'"),
    "public.class_assignments.payment_amount_is_an_amount": CLASS.format("payment_amount = 'NaN'"),
    "public.class_assignments.rate_is_above_zero": CLASS.format("rate = 0"),
    "public.class_assignments.payment_type_is_known": CLASS.format("payment_type = 'by_feel'"),
    "public.class_assignments.schedule_type_is_known": CLASS.format("schedule_type = 'yearly'"),
    "public.class_assignments.booking_type_is_known": CLASS.format("booking_type = 'secret'"),
    "public.class_assignments.class_status_is_known": CLASS.format("class_status = 'lost'"),
    "public.class_assignments.payment_status_is_known": CLASS.format("payment_status = 'lost'"),
    "public.class_assignments.instructor_status_is_known": CLASS.format("instructor_status = 'lost'"),
    "public.class_assignments.schedule_says_which_date": f"update public.class_assignments set occurs_on = null where id = {lesson('Taken over')}",
    "public.class_assignments.notes_are_short": CLASS.format("notes = repeat('x', 1001)"),
    "public.class_assignments.class_assignments_schedule_id_fkey": (
        f"update public.class_assignments set schedule_id = gen_random_uuid() where id = {lesson('Taken over')}"
    ),
    "public.class_assignments.t20_check": CLASS.format("end_time = '23:00'"),
    "public.class_assignments.t21_keep_archived_apart": (
        "insert into public.class_assignments (id, instructor_id, date, payment_amount) "
        "select id, instructor_id, date, 0 from public.class_assignments_archive limit 1"
    ),
    "public.class_assignments.t25_move": (
        "insert into public.class_assignments (instructor_id, date, payment_amount, class_status) "
        "select instructor_id, private.today() + 3, 0, 'completed' from public.class_assignments limit 1"
    ),
    "public.class_assignments.t25_move_on_update": (
        f"update public.class_assignments set class_status = 'scheduled' where id = {lesson('Called off')}"
    ),
    "public.class_assignments_archive.t10_only_added_to": "update public.class_assignments_archive set notes = 'Mine.'",
}  # fmt: skip


def ask(stage: Stage, question: str) -> Any:
    """The first value of the answer."""
    row = stage.db.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def ledger_agrees(stage: Stage) -> bool:
    """Whether the claims are those that the sources call for, and the weekly rules those of the schedules."""
    rules = (
        "select from (select id, title, weekday, start_time, end_time, time_zone, effective from private.class_schedule_rules except "
        "select id, title, weekday, start_time, end_time, time_zone, effective from public.weekly_rules where source_table = 'class_schedules') r"
    )
    return (
        stage.db.execute("select from private.ledger_difference()").fetchone() is None
        and stage.db.execute(rules.encode()).fetchone() is None
    )


def follows(guard: str, statement: str, then: str = "select true") -> Scenario:
    """After the statement the ledger agrees with the sources, and what `then` asks is true."""

    @guards(guard)
    def claims_follow(stage: Stage) -> None:
        assert ledger_agrees(stage)
        stage.db.execute(statement.encode())
        assert ledger_agrees(stage)
        assert ask(stage, then) is True

    return claims_follow


def titles(name: str, condition: str) -> str:
    """Whether everything of this condition is called so in the ledger."""
    return f"select count(*) > 0 and bool_and(title = '{name}') from public.claims where {condition}"


NEW_CLASS = (
    "insert into public.class_assignments (instructor_id, date, start_time, end_time, time_zone, payment_amount, schedule_id) values "
    "({}, {}, '{}', '{}', 'UTC', 0, {})"
)
SCENARIOS = [
    follows(
        "public.class_schedules.t50_follow_insert",
        "insert into public.class_schedules (class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id) "
        f"select class_type_id, day_of_week, '05:00', '06:00', 'UTC', {OTTO} from public.class_schedules limit 1",
    ),
    follows("public.class_schedules.t50_follow_update", PLAN.format("start_time = '19:30'")),
    follows(
        "public.class_schedules.t50_follow_delete",
        f"delete from public.class_schedules where id = {SCHEDULE}",
        f"select count(*) = 1 from public.weekly_rules where source_table = 'class_schedules' and source_id <> {OTTO}",
    ),
    follows(
        "public.class_types.t60_rename_schedules",
        "update public.class_types set name = 'Late yoga' where name = 'Evening yoga'",
        titles("Late yoga", f"source_id = {SCHEDULE}"),
    ),
    follows(
        "public.class_types.t60_rename_assignments",
        "update public.class_types set name = 'Late yoga' where name = 'Evening yoga'",
        titles("Late yoga", f"source_id = {lesson('Served')}"),
    ),
    follows(
        "public.packages.t60_rename_assignments",
        "update public.packages set name = 'Late card' where name = 'Evening card'",
        titles("Late card", f"source_id = {lesson('Of a package')}"),
    ),
    follows(
        "public.class_assignments.t30_prepare_insert",
        NEW_CLASS.format(CARA, "private.today() + 9", "08:00", "09:00", "null"),
        f"select count(*) = 1 from public.claims where resource_id = {CARA}",
    ),
    follows(
        "public.class_assignments.t30_prepare_update",
        f"update public.class_assignments set instructor_id = {CARA} where id = {lesson('Served')}",
        f"select count(*) = 1 from public.claims where resource_id = {CARA}",
    ),
    follows(
        "public.class_assignments.t40_take_over_insert",
        NEW_CLASS.format(OTTO, A_DATE, "20:00", "21:00", SCHEDULE),
    ),
    follows(
        "public.class_assignments.t40_take_over_update",
        f"update public.class_assignments set occurs_on = occurs_on + 7, date = date + 7 where id = {lesson('Taken over')}",
    ),
    follows(
        "public.class_assignments.t50_claims_insert",
        NEW_CLASS.format(OTTO, "private.today() + 9", "08:00", "09:00", "null"),
    ),
    follows("public.class_assignments.t50_claims_update", CLASS.format("start_time = '18:15'")),
    follows(
        "public.class_assignments.t50_claims_delete",
        f"delete from public.class_assignments where id = {lesson('Of a package')}",
    ),
    follows(
        "public.class_assignments.t60_give_back_update",
        f"update public.class_assignments set schedule_id = null, date = date + 1 where id = {lesson('Taken over')}",
        f"select count(*) = 0 from public.weekly_rule_exceptions where rule_id = {SCHEDULE}",
    ),
    follows(
        "public.class_assignments.t60_give_back_delete",
        f"delete from public.class_assignments where id = {lesson('Taken over')}",
        f"select count(*) = 0 from public.weekly_rule_exceptions where rule_id = {SCHEDULE}",
    ),
]  # fmt: skip


def status(stage: Stage, name: str) -> str:
    return str(ask(stage, f"select status from public.bookings where booking_id = {code(name)}"))


def credits_left(stage: Stage) -> int:
    return int(
        ask(
            stage,
            f"select credits_left from public.package_balances where profile_id = {CARA} and package_name = 'Evening card'",
        )
    )


def link(stage: Stage, notes: str, name: str) -> None:
    stage.db.execute(
        f"insert into public.assignment_bookings (assignment_id, booking_id) values ({lesson(notes)}, {code(name)})".encode()
    )


@guards("public.class_schedules.effective_ends_after_it_begins")
def a_schedule_ends_after_it_begins(stage: Stage) -> None:
    """Without it the range made of the days would complain in words nobody wrote for this."""
    stage.db.execute("alter table public.class_schedules disable trigger user")
    with pytest.raises(psycopg.errors.CheckViolation), stage.db.transaction():
        stage.db.execute(PLAN.format("effective_until = effective_from - 1").encode())


@guards("public.assignment_bookings.t50_follow_insert")
def a_link_confirms(stage: Stage) -> None:
    link(stage, "Of a package", "Waiting")
    assert status(stage, "Waiting") == "confirmed"


@guards("public.assignment_bookings.t50_follow_update")
def a_moved_link_confirms_the_one_and_not_the_other(stage: Stage) -> None:
    stage.db.execute(
        f"update public.assignment_bookings set booking_id = {code('Waiting')} where booking_id = {code('Served')}".encode()
    )
    assert (status(stage, "Waiting"), status(stage, "Served")) == ("confirmed", "pending")


@guards("public.assignment_bookings.t50_follow_delete")
def a_link_that_goes_leaves_it_pending(stage: Stage) -> None:
    stage.db.execute(f"delete from public.assignment_bookings where booking_id = {code('Served')}".encode())
    assert status(stage, "Served") == "pending"


@guards("public.class_assignments.t70_follow_served")
def a_class_that_is_called_off_serves_nobody(stage: Stage) -> None:
    stage.db.execute(CLASS.format("class_status = 'cancelled'").encode())
    assert status(stage, "Served") == "pending"


@guards("public.assignment_bookings.t65_use_credits_insert")
def a_class_uses_a_credit(stage: Stage) -> None:
    assert credits_left(stage) == 9
    stage.db.execute(BOOKING.format("uses_credits = true").encode())
    link(stage, "Of a package", "Waiting")
    assert credits_left(stage) == 8


@guards("public.assignment_bookings.t60_return_credits_delete")
def a_link_that_goes_gives_its_credit_back(stage: Stage) -> None:
    stage.db.execute(f"delete from public.assignment_bookings where booking_id = {code('Served')}".encode())
    assert credits_left(stage) == 10


@guards("public.assignment_bookings.t60_return_credits_update")
def a_link_of_somebody_else_gives_the_credit_back(stage: Stage) -> None:
    stage.db.execute(
        f"update public.assignment_bookings set booking_id = {code('Waiting')} where booking_id = {code('Served')}".encode()
    )
    assert credits_left(stage) == 10


@guards("public.assignment_bookings.t65_use_credits_update")
def a_link_of_another_booking_uses_its_credit(stage: Stage) -> None:
    link(stage, "Of a package", "Waiting")
    stage.db.execute(f"delete from public.assignment_bookings where booking_id = {code('Served')}".encode())
    assert credits_left(stage) == 10
    stage.db.execute(
        f"update public.assignment_bookings set booking_id = {code('Served')} where booking_id = {code('Waiting')}".encode()
    )
    assert credits_left(stage) == 9


@guards("public.bookings.t60_return_credits")
def a_booking_that_is_cancelled_gives_its_credits_back(stage: Stage) -> None:
    stage.db.execute(f"update public.bookings set status = 'cancelled' where booking_id = {code('Served')}".encode())
    assert credits_left(stage) == 10


@guards("public.class_assignments.t80_follow_with_credits")
def a_class_that_is_called_off_costs_nobody_a_credit(stage: Stage) -> None:
    stage.db.execute(CLASS.format("class_status = 'cancelled'").encode())
    assert credits_left(stage) == 10


@guards("public.class_assignments.t20_guard")
def an_instructor_does_not_set_their_own_pay(stage: Stage) -> None:
    teacher = stage.people["instructor"]
    with refused("forbidden"), as_user(stage.db, teacher):
        stage.db.execute("update public.class_assignments set payment_amount = 99 where notes = 'Served'")


@guards("public.class_assignments.t40_leave_delete")
def a_date_is_locked_before_the_time_of_its_class_goes(stage: Stage) -> None:
    """The order in which everybody locks: a trigger in between sees the exception locked by this transaction."""
    stage.db.execute("create table public.seen (is_locked boolean)")
    stage.db.execute(
        "create function public.look() returns trigger language plpgsql as $$ begin insert into public.seen "
        "select xmax::text::bigint >= pg_current_xact_id()::text::bigint % 4294967296 from public.weekly_rule_exceptions "
        "where taken_by_id in (select id from old_rows); return null; end $$"
    )
    stage.db.execute(
        "create trigger t45_look after delete on public.class_assignments referencing old table as old_rows "
        "for each statement execute function public.look()"
    )
    stage.db.execute(f"delete from public.class_assignments where id = {lesson('Taken over')}".encode())
    assert ask(stage, "select is_locked from public.seen") is True
