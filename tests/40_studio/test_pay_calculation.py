"""What a rate buys, against plain Decimal arithmetic."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import call, refused
from tests.support.server import TEMPLATE, TestServer

CENT = Decimal("0.01")
TYPES = ("per_class", "monthly", "per_member", "total_duration", "per_class_total", "per_student_per_class")
Connection = psycopg.Connection[Any]

rates = st.decimals(min_value="0.001", max_value="100000", places=3) | st.decimals(
    min_value="0.01", max_value="500", places=2
)
counts = st.integers(1, 60)


@pytest.fixture(scope="module")
def pure(server: TestServer) -> Any:
    """A connection for questions that leave nothing behind."""
    database = server.create_database(TEMPLATE)
    yield database.connect()
    database.drop()


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def split(total: Decimal, parts: int) -> list[Decimal]:
    whole, left = divmod(int(total * 100), parts)
    return [Decimal(whole + (number < left)) / 100 for number in range(parts)]


def model(kind: str, rate: Decimal, classes: int, students: int, months: int) -> list[Decimal]:
    if kind == "per_class":
        return [cents(rate)] * classes
    if kind == "per_student_per_class":
        return [cents(rate * students)] * classes
    times = {"per_class_total": classes, "total_duration": 1, "monthly": months, "per_member": students}[kind]
    return split(cents(rate * times), classes)


def calculate(
    db: Connection,
    kind: str,
    rate: Any,
    classes: Any = 1,
    students: Any = None,
    minutes: Any = None,
    months: Any = None,
) -> Any:
    row = db.execute(
        "select * from public.calculate_payment(%s, %s::numeric, %s, %s, %s, %s)",
        [kind, rate, classes, students, minutes, months],
    ).fetchone()
    assert row is not None
    return row


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(TYPES), rate=rates, classes=counts, students=counts, months=st.integers(1, 24))
def test_as_plain_decimals_say(
    pure: Connection, kind: str, rate: Decimal, classes: int, students: int, months: int
) -> None:
    total, amounts = calculate(pure, kind, rate, classes, students, 60 * classes, months)
    assert amounts == model(kind, rate, classes, students, months)
    assert total == sum(amounts)
    assert max(amounts) - min(amounts) <= CENT
    assert amounts == sorted(amounts, reverse=True), "the earlier classes get the cents left over"
    assert all(amount.as_tuple().exponent == -2 for amount in amounts)


days = st.lists(
    st.integers(0, 200).map(lambda number: date(2026, 1, 1) + timedelta(days=number)), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(TYPES), rate=rates, dates=days, students=counts)
def test_a_plan_pays_by_date_in_whatever_order_it_is_given(
    pure: Connection, kind: str, rate: Decimal, dates: list[date], students: int
) -> None:
    row = pure.execute(
        "select private.plan_amounts(%s, %s::numeric, %s, %s, null)", [kind, rate, dates, students]
    ).fetchone()
    assert row is not None
    order = sorted(range(len(dates)), key=lambda number: (dates[number], number))
    expected = [Decimal(0)] * len(dates)
    if kind == "monthly":
        for month in {day.replace(day=1) for day in dates}:
            members = [number for number in order if dates[number].replace(day=1) == month]
            for number, amount in zip(members, split(cents(rate), len(members)), strict=True):
                expected[number] = amount
    else:
        for number, amount in zip(order, model(kind, rate, len(dates), students, 1), strict=True):
            expected[number] = amount
    assert row[0] == expected


@pytest.mark.parametrize(
    ("arguments", "total", "amounts"),
    [
        # The examples of the function's comment.
        (("per_class", "50.00", 3), "150.00", ["50.00", "50.00", "50.00"]),
        (("per_class_total", "16.665", 2), "33.33", ["16.67", "16.66"]),
        (("total_duration", "100.00", 3), "100.00", ["33.34", "33.33", "33.33"]),
        (("monthly", "100.00", 8, None, None, 2), "200.00", ["25.00"] * 8),
        (("monthly", "100.00", 4), "100.00", ["25.00"] * 4),
        (("per_member", "40.00", 3, 5), "200.00", ["66.67", "66.67", "66.66"]),
        (("per_student_per_class", "10.00", 2, 4), "80.00", ["40.00", "40.00"]),
        # Half a cent goes up, and what a type does not need may be anything.
        (("per_class", "10.005", 1), "10.01", ["10.01"]),
        (("per_class", "10.004999999999999999999", 1), "10.00", ["10.00"]),
        (("per_class", "50", 1, 0, 0, 0), "50.00", ["50.00"]),
        # Fewer cents than classes.
        (("total_duration", "0.02", 3), "0.02", ["0.01", "0.01", "0.00"]),
        (("total_duration", "9999999999.99", 1), "9999999999.99", ["9999999999.99"]),
    ],
)
def test_examples(pure: Connection, arguments: tuple[Any, ...], total: str, amounts: list[str]) -> None:
    assert calculate(pure, *arguments) == (Decimal(total), [Decimal(amount) for amount in amounts])


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (("per_hour", "50", 1), {"p_payment_type"}),
        ((None, "50", 1), {"p_payment_type"}),
        (("per_class", "0", 1), {"p_rate"}),
        (("per_class", "-1", 1), {"p_rate"}),
        (("per_class", None, 1), {"p_rate"}),
        (("per_class", "NaN", 1), {"p_rate"}),
        (("per_class", "Infinity", 1), {"p_rate"}),
        (("per_class", "-Infinity", 1), {"p_rate"}),
        (("per_class", "10000000000", 1), {"p_rate"}),
        (("per_class", "50", 0), {"p_class_count"}),
        (("per_class", "50", None), {"p_class_count"}),
        (("per_class", "50", 1001), {"p_class_count"}),
        (("per_member", "50", 1), {"p_student_count"}),
        (("per_member", "50", 1, 0), {"p_student_count"}),
        (("per_student_per_class", "50", 1, -3), {"p_student_count"}),
        (("per_student_per_class", "50", 1, 10001), {"p_student_count"}),
        (("per_student_per_class", "9999999999", 1, 10), {"p_rate"}),
        (("monthly", "50", 1, None, None, 0), {"p_months"}),
        (("per_class", "50", 1, None, -1), {"p_minutes"}),
        (("per_member", "0", 0, 0, -1), {"p_rate", "p_class_count", "p_student_count", "p_minutes"}),
    ],
)
def test_what_makes_no_sense_is_named_at_once(pure: Connection, arguments: tuple[Any, ...], fields: set[str]) -> None:
    with refused("invalid_input") as refusal:
        calculate(pure, *arguments)
    assert refusal.fields == fields


@pytest.mark.parametrize("dates", [[], None, [date(2026, 1, 1), None], [date(2026, 1, 1)] * 1001])
def test_a_plan_has_dates(pure: Connection, dates: list[date | None] | None) -> None:
    with refused("invalid_input"):
        pure.execute("select private.plan_amounts('monthly', 100, %s::date[])", [dates])


def test_it_is_pure_and_for_whoever_signed_in(pure: Connection) -> None:
    [row] = pure.execute(
        "select provolatile, proparallel from pg_proc where oid = 'public.calculate_payment'::regproc"
    ).fetchall()
    assert row == ("i", "s")
    [answer] = call(pure, "authenticated", "calculate_payment", p_payment_type="per_class", p_rate=7)
    assert answer == {"total_amount": Decimal("7.00"), "class_amounts": [Decimal("7.00")]}
