"""What goes wrong without each guard of pay. The rows are those of sample_pay.py."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.guards import guards
from tests.support.identity import as_user
from tests.support.stage import Stage

IN_CLOSED = "date between (select starts_on from public.pay_periods where name = 'Closed') and (select ends_on from public.pay_periods where name = 'Closed')"
PIA = "(select id from public.user_profiles where full_name = 'Pia Paid')"

REFUSED = {
    # rates
    "public.instructor_rates.payment_type_is_known": "update public.instructor_rates set payment_type = 'per_hour'",
    "public.instructor_rates.rate_is_above_zero": "update public.instructor_rates set rate = 'NaN'",
    "public.instructor_rates.effective_is_between_1970_and_2200": "update public.instructor_rates set effective_from = '1950-01-01'",
    "public.instructor_rates.one_rate_at_a_time": "update public.instructor_rates set class_type_id = null",
    # periods
    "public.pay_periods.name_is_given": "update public.pay_periods set name = ' ' where name = 'Never closed'",
    "public.pay_periods.status_is_known": "update public.pay_periods set status = 'lost'",
    "public.pay_periods.is_between_1970_and_2200": "update public.pay_periods set starts_on = '1950-01-01', ends_on = '1950-01-02' where name = 'Never closed'",
    "public.pay_periods.periods_do_not_overlap": (
        "update public.pay_periods set starts_on = (select o.starts_on from public.pay_periods o where o.name = 'Reopened') where name = 'Never closed'"
    ),
    "public.pay_periods.t20_check": "update public.pay_periods set status = 'open' where name = 'Closed'",
    "public.pay_period_events.kind_is_known": "update public.pay_period_events set kind = 'lost' where event_no = 2",
    "public.pay_period_events.closing_and_reopening_take_turns": "update public.pay_period_events set event_no = 3 where event_no = 2",
    "public.pay_period_events.reopening_says_why": "update public.pay_period_events set reason = null where kind = 'reopened'",
    "public.pay_period_events.t10_only_added_to": "update public.pay_period_events set reason = 'Mine.'",
    "public.class_assignments.t30_keep_closed_periods": (
        "insert into public.class_assignments (instructor_id, date, payment_amount, class_status) "
        f"select {PIA}, ends_on, 1, 'completed' from public.pay_periods where name = 'Closed'"
    ),
    "public.class_assignments.t15_keep_closed_periods": f"update public.class_assignments set payment_amount = 1 where {IN_CLOSED}",
    "public.class_assignments_archive.t30_keep_closed_periods": (
        "insert into public.class_assignments_archive select (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))).* "
        "from public.class_assignments_archive a"
    ),
    # calculations
    "public.payment_calculations.method_is_known": "update public.payment_calculations set method = 'by_feel'",
    "public.payment_calculations.inputs_are_an_object": "update public.payment_calculations set inputs = '[]'",
    "public.payment_calculations.t10_only_added_to": "update public.payment_calculations set calculated_amount = 1",
}  # fmt: skip


@guards("public.instructor_rates.effective_ends_after_it_begins", "public.pay_periods.ends_after_it_starts")
def days_that_end_before_they_begin_are_refused_by_name(stage: Stage) -> None:
    """Without it the ranges made of them would complain in words nobody wrote for this."""
    for table, first, last in (
        ("instructor_rates", "effective_from", "effective_until"),
        ("pay_periods", "starts_on", "ends_on"),
    ):
        stage.db.execute(f"alter table public.{table} disable trigger user".encode())
        with pytest.raises(psycopg.errors.CheckViolation), stage.db.transaction():
            stage.db.execute(f"update public.{table} set {last} = {first} - 1".encode())


@guards(
    "public.instructor_rates.holders of manage:pay add rates",
    "public.pay_periods.holders of manage:pay add pay periods",
)
def managers_add_rates_and_periods(stage: Stage) -> None:
    with as_user(stage.db, stage.people["manager"]) as db:
        db.execute(
            f"insert into public.instructor_rates (instructor_id, rate, payment_type) values ({PIA}, 1, 'monthly')".encode()
        )
        db.execute(
            "insert into public.pay_periods (name, starts_on, ends_on) values ('Long ago', '1990-01-01', '1990-01-31')"
        )


@guards("public.instructor_rates.t20_check")
def the_rate_in_the_way_is_named_to_those_it_concerns(stage: Stage) -> None:
    with refused("forbidden"), as_user(stage.db, stage.people["member"]) as db:
        db.execute(f"insert into public.instructor_rates (instructor_id, rate) values ({PIA}, 1)".encode())
    with refused("duplicate"), stage.db.transaction():
        stage.db.execute(f"insert into public.instructor_rates (instructor_id, rate) values ({PIA}, 1)".encode())


@guards("public.pay_periods.t20_keep_recorded")
def a_period_that_was_closed_is_not_deleted(stage: Stage) -> None:
    with refused("illegal_transition"), stage.db.transaction():
        stage.db.execute("delete from public.pay_periods where name = 'Reopened'")
    stage.db.execute("delete from public.pay_periods where name = 'Never closed'")


@guards("public.pay_period_events.t20_check")
def an_event_is_numbered_and_refused_in_words(stage: Stage) -> None:
    event = "insert into public.pay_period_events (pay_period_id, kind, reason) select id, %s, 'x' from public.pay_periods where name = %s"
    stage.db.execute(event.encode(), ["closed", "Reopened"])
    with refused("illegal_transition"), stage.db.transaction():
        stage.db.execute(event.encode(), ["closed", "Reopened"])


@guards("public.pay_period_events.t50_follow")
def a_period_follows_its_events(stage: Stage) -> None:
    stage.db.execute(
        "insert into public.pay_period_events (pay_period_id, event_no, kind) select id, 1, 'closed' from public.pay_periods where name = 'Never closed'"
    )
    assert stage.db.execute("select status from public.pay_periods where name = 'Never closed'").fetchone() == (
        "closed",
    )


@guards("public.class_assignments.t27_freeze_rate", "public.class_assignments.t60_keep_calculation")
def a_rate_is_frozen_and_the_calculation_kept(stage: Stage) -> None:
    row = stage.db.execute(
        f"insert into public.class_assignments (instructor_id, date) values ({PIA}, private.today()) returning id, payment_amount".encode()
    ).fetchone()
    assert row is not None
    assert row[1] == 41
    kept = stage.db.execute(
        "select calculated_amount from public.payment_calculations where assignment_id = %s", [row[0]]
    )
    assert kept.fetchone() == (41,)


@guards("public.class_assignments.t27_freeze_rate_on_update", "public.class_assignments.t60_keep_calculation_anew")
def pay_that_follows_is_kept_too(stage: Stage) -> None:
    rows = stage.db.execute(
        f"update public.class_assignments set class_type_id = null where rate = 51 and instructor_id = {PIA} "
        "and date > (select ends_on from public.pay_periods where name = 'Closed') returning id, payment_amount".encode()
    ).fetchall()
    assert {amount for _, amount in rows} == {41}
    for assignment, _ in rows:
        kept = stage.db.execute(
            "select calculated_amount from public.payment_calculations where assignment_id = %s order by id desc limit 1",
            [assignment],
        )
        assert kept.fetchone() == (41,)


@guards("public.class_assignments.t20_guard_paid")
def what_was_paid_for_is_not_deleted_by_whoever_assigned_it(stage: Stage) -> None:
    staff = stage.people["staff"]
    row = stage.world.insert(
        "public.class_assignments",
        instructor_id=stage.people["instructor"].profile_id,
        date="2020-01-01",
        class_status="completed",
        payment_status="paid",
        assigned_by=staff.id,
    )
    with refused("forbidden"):
        call(stage.db, staff, "bulk_assignment_operations", operation_type="delete", assignment_ids=[row.id])


@guards("public.bookings.t30_keep_what_is_paid")
def a_booking_that_was_paid_for_is_not_deleted(stage: Stage) -> None:
    member = stage.people["member"].profile_id
    booking = stage.world.insert("public.bookings", profile_id=member).id
    payment = stage.world.insert("public.payments", payer_id=member, amount=5, method="cash").id
    stage.world.insert("public.payment_items", payment_id=payment, source_table="bookings", source_id=booking, amount=5)
    with refused("illegal_transition"), stage.db.transaction():
        stage.db.execute("delete from public.bookings where id = %s", [booking])
