"""Rates frozen on classes, pay that follows who taught, and pay agreed on for several classes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.calls import call, refused
from tests.support.identity import as_user
from tests.support.rest import Rest
from tests.support.studio import Studio
from tests.support.world import World

D = Decimal


@pytest.fixture
def studio(world: World) -> Studio:
    return Studio(world)


def rate(studio: Studio, amount: str, who: Any = None, since: int = -1000, **values: Any) -> Any:
    """A rate of `teacher` (or `who`), from so many days before `monday`; returns its id."""
    instructor = (who or studio.teacher).profile_id
    return studio.world.insert(
        "public.instructor_rates", instructor_id=instructor, rate=amount, effective_from=studio.day(since), **values
    ).id


def pay(studio: Studio, assignment: Any) -> Any:
    return studio.db.execute(
        "select payment_amount, rate, rate_id from public.class_assignments where id = %s", [assignment.id]
    ).fetchone()


def change(studio: Studio, assignment: Any, **values: Any) -> None:
    for column, value in values.items():
        studio.db.execute(
            f"update public.class_assignments set {column} = %s where id = %s".encode(), [value, assignment.id]
        )


def calculations(studio: Studio, assignment: Any) -> list[Any]:
    return studio.db.execute(
        "select method, original_amount, calculated_amount, difference, inputs from public.payment_calculations "
        "where assignment_id = %s order by id",
        [assignment.id],
    ).fetchall()


def test_an_amount_left_out_is_the_rate_of_that_day_for_that_class_type(studio: Studio) -> None:
    old = rate(studio, "40", since=-1000, effective_until=studio.day(0))
    new = rate(studio, "50", since=1)
    special = rate(studio, "65.50", since=1, class_type_id=studio.hatha)
    flow = studio.world.insert("public.class_types", name="Flow").id
    assert pay(studio, studio.assignment(0, payment_amount=None)) == (40, 40, old)
    assert pay(studio, studio.assignment(1, payment_amount=None)) == (D("65.50"), D("65.50"), special)
    assert pay(studio, studio.assignment(2, payment_amount=None, class_type_id=flow)) == (50, 50, new)
    assert pay(studio, studio.assignment(3, payment_amount=None, class_type_id=None)) == (50, 50, new)


def test_without_a_rate_it_is_unpaid_and_an_amount_given_stays(studio: Studio) -> None:
    unpaid = studio.assignment(0, payment_amount=None)
    rate(studio, "50")
    given = studio.assignment(1, payment_amount="12.34")
    monthly = studio.assignment(2, payment_amount=None, payment_type="monthly")
    assert pay(studio, unpaid) == (0, None, None)
    assert pay(studio, given) == (D("12.34"), None, None)
    assert pay(studio, monthly) == (0, None, None)
    for assignment in (unpaid, given, monthly):
        assert calculations(studio, assignment) == []
        change(studio, assignment, notes="Bring mats.")
        assert pay(studio, assignment)[2] is None


def test_a_rate_given_with_the_class_is_what_it_is_paid(studio: Studio) -> None:
    rate(studio, "50")
    agreed = studio.assignment(0, payment_amount=None, rate="70")
    assert pay(studio, agreed) == (70, 70, None)
    [(method, original, calculated, difference, inputs)] = calculations(studio, agreed)
    assert (method, original, calculated, difference) == ("per_class", 0, 70, 70)
    assert inputs["rate"] == 70
    assert inputs["minutes"] == 60


def test_what_is_frozen_does_not_follow_the_rate(studio: Studio) -> None:
    frozen = rate(studio, "50")
    assignment = studio.assignment(0, payment_amount=None)
    studio.db.execute("update public.instructor_rates set rate = 99")
    change(studio, assignment, notes="Later.", class_status="cancelled")
    assert pay(studio, assignment) == (50, 50, frozen)
    [(method, original, calculated, _, inputs)] = calculations(studio, assignment)
    assert (method, original, calculated) == ("per_class", 0, 50)
    assert inputs == {"rate": 50, "rate_id": str(frozen), "class_count": 1, "minutes": 60, "total": 50, "position": 1}


def test_pay_follows_who_teaches_what_and_when(studio: Studio) -> None:
    tara = rate(studio, "40", effective_until=studio.day(2))
    tara_later = rate(studio, "44", since=3)
    odo = rate(studio, "60", studio.other)
    special = rate(studio, "90", studio.other, class_type_id=studio.hatha, since=5)
    assignment = studio.assignment(0, payment_amount=None)
    assert pay(studio, assignment) == (40, 40, tara)
    change(studio, assignment, instructor_id=studio.other.profile_id)
    assert pay(studio, assignment) == (60, 60, odo)
    change(studio, assignment, date=studio.day(5))
    assert pay(studio, assignment) == (90, 90, special)
    change(studio, assignment, class_type_id=None)
    assert pay(studio, assignment) == (60, 60, odo)
    change(studio, assignment, instructor_id=studio.teacher.profile_id)
    assert pay(studio, assignment) == (44, 44, tara_later)
    assert [row[1:3] for row in calculations(studio, assignment)] == [(0, 40), (40, 60), (60, 90), (90, 60), (60, 44)]


def test_a_substitute_without_a_rate_is_paid_the_same(studio: Studio) -> None:
    rate(studio, "40")
    assignment = studio.assignment(0, payment_amount=None)
    change(studio, assignment, instructor_id=studio.other.profile_id)
    assert pay(studio, assignment) == (40, 40, None)
    rate(studio, "60", studio.other)
    change(studio, assignment, date=studio.day(1))
    assert pay(studio, assignment) == (40, 40, None)


def test_another_amount_is_agreed_on_by_hand(studio: Studio) -> None:
    rate(studio, "40")
    rate(studio, "60", studio.other)
    assignment = studio.assignment(0, payment_amount=None)
    change(studio, assignment, payment_amount=45)
    assert pay(studio, assignment) == (45, None, None)
    change(studio, assignment, instructor_id=studio.other.profile_id)
    assert pay(studio, assignment) == (45, None, None)
    change(studio, assignment, payment_amount=None)
    assert pay(studio, assignment)[:2] == (60, 60)


def test_another_rate_is_agreed_on_by_hand(studio: Studio) -> None:
    rate(studio, "40")
    rate(studio, "60", studio.other)
    assignment = studio.assignment(0, payment_amount=None)
    change(studio, assignment, rate=45)
    assert pay(studio, assignment) == (45, 45, None)
    assert [row[2] for row in calculations(studio, assignment)] == [40, 45]
    change(studio, assignment, rate=None)
    assert pay(studio, assignment) == (45, None, None)
    assignment = studio.assignment(1, payment_amount=None)
    studio.db.execute(
        "update public.class_assignments set instructor_id = %s, rate = 55 where id = %s",
        [studio.other.profile_id, assignment.id],
    )
    assert pay(studio, assignment) == (55, 55, None)
    assignment = studio.assignment(2, payment_amount=50, payment_type="monthly")
    change(studio, assignment, rate=200)
    assert pay(studio, assignment) == (50, 200, None)


def test_the_amount_in_the_same_statement_wins(studio: Studio) -> None:
    rate(studio, "40")
    rate(studio, "60", studio.other)
    assignment = studio.assignment(0, payment_amount=None)
    studio.db.execute(
        "update public.class_assignments set instructor_id = %s, payment_amount = 55 where id = %s",
        [studio.other.profile_id, assignment.id],
    )
    assert pay(studio, assignment) == (55, None, None)


def test_a_payment_type_for_whole_plans_keeps_the_amount(studio: Studio) -> None:
    rate(studio, "40")
    assignment = studio.assignment(0, payment_amount=None)
    change(studio, assignment, payment_type="total_duration")
    assert pay(studio, assignment) == (40, 40, None)


def test_somebody_elses_rate_is_refused(studio: Studio) -> None:
    theirs = rate(studio, "60", studio.other)
    with refused("invalid_input") as refusal:
        studio.assignment(0, payment_amount=60, rate=60, rate_id=theirs)
    assert refusal.fields == {"rate_id"}
    own = rate(studio, "40")
    assert pay(studio, studio.assignment(0, payment_amount=40, rate=40, rate_id=own)) == (40, 40, own)


def test_a_row_that_is_not_written_leaves_no_calculation(studio: Studio) -> None:
    rate(studio, "40")
    assignment = studio.assignment(0, payment_amount=None)
    studio.db.execute(
        "insert into public.class_assignments (id, instructor_id, date) values (%s, %s, %s) on conflict (id) do nothing",
        [assignment.id, studio.teacher.profile_id, studio.day(0)],
    )
    assert len(calculations(studio, assignment)) == 1


def test_two_rates_do_not_hold_at_once(studio: Studio) -> None:
    rate(studio, "40", effective_until=studio.day(10))
    with refused("duplicate") as refusal:
        rate(studio, "50", since=10)
    assert refusal.details["effective_until"] == str(studio.day(10))
    rate(studio, "50", since=11)
    rate(studio, "50", since=-5, payment_type="monthly")
    rate(studio, "50", since=-5, class_type_id=studio.hatha)
    rate(studio, "50", studio.other, since=-5)


def test_bad_rates_are_refused_field_by_field(studio: Studio) -> None:
    with refused("invalid_input") as refusal:
        rate(studio, "-1", payment_type="per_hour", effective_until=studio.day(-2000))
    assert refusal.fields == {"rate", "payment_type", "effective_until"}


@pytest.mark.parametrize("statement", ["update", "delete", "truncate"])
def test_calculations_are_only_ever_added_to(studio: Studio, statement: str) -> None:
    rate(studio, "40")
    studio.assignment(0, payment_amount=None)
    sql = {
        "update": "update public.payment_calculations set calculated_amount = 1",
        "delete": "delete from public.payment_calculations",
        "truncate": "truncate public.payment_calculations",
    }[statement]
    with refused("forbidden"):
        studio.db.execute(sql.encode())


# set_assignment_pay


def three(studio: Studio) -> list[Any]:
    return [studio.assignment(day, payment_amount=10 * day) for day in (20, 0, 6)]


def test_a_total_is_split_over_classes_in_the_order_of_their_dates(studio: Studio) -> None:
    classes = three(studio)
    manager = studio.world.user("manager")
    answer = call(studio.db, manager, "set_assignment_pay", p_assignment_ids=[row.id for row in classes],
        p_payment_type="total_duration", p_rate=D("100"))  # fmt: skip
    assert [(row["date"], row["payment_amount"]) for row in answer] == [
        (studio.day(0), D("33.34")), (studio.day(6), D("33.33")), (studio.day(20), D("33.33")),
    ]  # fmt: skip
    assert {row["plan_id"] for row in answer} == {answer[0]["plan_id"]} != {None}
    assert {(row["payment_type"], row["rate"], row["rate_id"]) for row in answer} == {("total_duration", D(100), None)}
    [(method, original, calculated, difference, inputs)] = calculations(studio, classes[0])
    assert (method, original, calculated, difference) == ("total_duration", 200, D("33.33"), D("-166.67"))
    assert inputs == {
        "rate": 100, "class_count": 3, "student_count": None, "minutes": 180, "months": None, "total": 100, "position": 3,
    }  # fmt: skip
    [(signed,)] = studio.db.execute("select distinct calculated_by from public.payment_calculations").fetchall()
    assert signed == manager.id


def test_a_plan_keeps_its_id_and_its_agreed_rate(studio: Studio) -> None:
    rate(studio, "40")
    rate(studio, "60", studio.other)
    ids = [row.id for row in three(studio)]
    by_class = {"p_payment_type": "per_class_total"}
    first = call(studio.db, None, "set_assignment_pay", p_assignment_ids=ids, p_rate=50, **by_class)
    again = call(studio.db, None, "set_assignment_pay", p_assignment_ids=ids[:2], p_rate=55, **by_class)
    assert again[0]["plan_id"] == first[0]["plan_id"] is not None
    single = studio.assignment(30, payment_amount=None)
    joined = call(studio.db, None, "set_assignment_pay", p_assignment_ids=[*ids, single.id], p_rate=58, **by_class)
    assert {row["plan_id"] for row in joined} != {first[0]["plan_id"]}
    assert len({row["plan_id"] for row in joined}) == 1
    change(studio, single, instructor_id=studio.other.profile_id)
    assert [row[2] for row in calculations(studio, single)] == [40, 58]
    assert pay(studio, single) == (58, 58, None)


def test_classes_paid_one_by_one_need_no_plan_and_are_written_down_once(studio: Studio) -> None:
    rows = three(studio)
    rate(studio, "40")
    frozen = studio.assignment(30, payment_amount=None)
    for amount in (50, 50, 51):
        answer = call(studio.db, None, "set_assignment_pay", p_assignment_ids=[row.id for row in (*rows, frozen)],
            p_payment_type="per_class", p_rate=amount)  # fmt: skip
        assert {(row["plan_id"], row["rate"], row["payment_amount"], row["rate_id"]) for row in answer} == {
            (None, amount, amount, None)
        }
    assert [row[1:3] for row in calculations(studio, rows[0])] == [(200, 50), (50, 51)]
    assert [row[1:3] for row in calculations(studio, frozen)] == [(0, 40), (40, 50), (50, 51)]


def test_months_are_those_of_the_dates_unless_said(studio: Studio) -> None:
    days = [day for day in range(60) if studio.day(day).day in (1, 2, 15)]
    rows = [studio.assignment(day) for day in days]
    arguments = {"p_assignment_ids": [row.id for row in rows], "p_payment_type": "monthly", "p_rate": 300}
    by_calendar = call(studio.db, None, "set_assignment_pay", **arguments)
    months: dict[Any, Decimal] = {}
    for row in by_calendar:
        months[row["date"].replace(day=1)] = months.get(row["date"].replace(day=1), D(0)) + row["payment_amount"]
    assert set(months.values()) == {D(300)}
    assert len(months) >= 2
    agreed = call(studio.db, None, "set_assignment_pay", **arguments, p_months=1)
    assert sum(row["payment_amount"] for row in agreed) == 300


def test_a_repeated_call_answers_the_same_and_calculates_once(studio: Studio) -> None:
    ids = [row.id for row in three(studio)]
    arguments = {
        "p_assignment_ids": ids,
        "p_payment_type": "per_member",
        "p_rate": D("9.99"),
        "p_student_count": 3,
        "p_idempotency_key": "k",
    }
    first = call(studio.db, None, "set_assignment_pay", **arguments)
    assert call(studio.db, None, "set_assignment_pay", **arguments) == first
    assert studio.db.execute("select count(*) from public.payment_calculations").fetchone() == (3,)
    with refused("idempotency_mismatch"):
        call(studio.db, None, "set_assignment_pay", **{**arguments, "p_rate": 10})


def test_pay_that_cannot_be_set(studio: Studio) -> None:
    open_one, cancelled = studio.assignment(0), studio.assignment(1, class_status="cancelled")
    paid = studio.assignment(-30, class_status="completed", payment_status="paid")
    arguments: dict[str, Any] = {"p_payment_type": "per_class", "p_rate": 50}
    for settled in (cancelled, paid):
        with refused("illegal_transition") as refusal:
            call(studio.db, None, "set_assignment_pay", p_assignment_ids=[open_one.id, settled.id], **arguments)
        assert refusal.details["ids"] == [str(settled.id)]
    with refused("not_found") as refusal:
        call(studio.db, None, "set_assignment_pay", p_assignment_ids=[open_one.id, studio.room], **arguments)
    assert refusal.details["missing"] == [str(studio.room)]
    with refused("invalid_input") as refusal:
        call(studio.db, None, "set_assignment_pay", p_assignment_ids=[], p_payment_type="per_member", p_rate=D("0"))
    assert refusal.fields == {"p_assignment_ids", "p_rate", "p_student_count"}
    with refused("invalid_input") as refusal:
        call(
            studio.db,
            None,
            "set_assignment_pay",
            p_assignment_ids=[open_one.id],
            p_payment_type="per_class",
            p_rate=D("1.005"),
        )
    assert refusal.fields == {"p_rate"}
    studio.db.execute("update public.settings set value = '1' where key = 'bulk_limit'")
    with refused("limit_exceeded"):
        call(studio.db, None, "set_assignment_pay", p_assignment_ids=[open_one.id, cancelled.id], **arguments)
    assert pay(studio, open_one) == (0, None, None)


@pytest.mark.parametrize(
    ("role", "may"), [("manager", True), ("staff", True), ("instructor", False), ("member", False), (None, False)]
)
def test_who_may_set_pay(studio: Studio, role: str | None, may: bool) -> None:
    assignment = studio.assignment(0)
    arguments = {"p_assignment_ids": [assignment.id], "p_payment_type": "per_class", "p_rate": 50}
    if may:
        assert call(studio.db, studio.world.user(role), "set_assignment_pay", **arguments)[0]["payment_amount"] == 50
    else:
        with refused("forbidden"):
            call(studio.db, studio.world.user(role), "set_assignment_pay", **arguments)


def test_instructors_see_their_own_rates_and_calculations(studio: Studio) -> None:
    rate(studio, "40")
    rate(studio, "60", studio.other)
    mine = studio.assignment(-30, payment_amount=None, class_status="completed")
    archived = studio.assignment(-31, payment_amount=None, class_status="completed")
    studio.assignment(-30, "12:00", "13:00", payment_amount=None, instructor_id=studio.other.profile_id)
    studio.db.execute("select private.archive_classes(%s)", [[archived.id]])
    seen = {}
    for user in (studio.teacher, studio.world.user("manager"), studio.world.user("staff"), studio.world.user("member")):
        with as_user(studio.db, user):
            seen[user.role] = (
                sorted(row[0] for row in studio.db.execute("select rate from public.instructor_rates")),
                sorted(
                    row[0] for row in studio.db.execute("select calculated_amount from public.payment_calculations")
                ),
            )
    assert mine.payment_amount == 40
    assert seen == {
        "instructor": ([40], [40, 40]),
        "manager": ([40, 60], [40, 40, 60]),
        "staff": ([], []),
        "member": ([], []),
    }


def test_over_rest_only_managers_write_rates(studio: Studio, rest: Rest) -> None:
    row = {"instructor_id": str(studio.teacher.profile_id), "rate": 50, "effective_from": "2026-01-01"}
    assert rest.post("/instructor_rates", row, user=studio.world.user("staff")).status_code == 403
    assert rest.post("/instructor_rates", row, user=studio.teacher).status_code == 403
    manager = studio.world.user("manager")
    assert rest.post("/instructor_rates", row, user=manager).status_code == 201
    refused_twice = rest.post("/instructor_rates", row, user=manager)
    assert (refused_twice.status_code, refused_twice.json()["code"]) == (409, "duplicate")
    answer = rest.post(
        "/rpc/calculate_payment", {"p_payment_type": "per_class", "p_rate": 50, "p_class_count": 2}, user=manager
    )
    assert answer.json() == [{"total_amount": 100.00, "class_amounts": [50.00, 50.00]}]
