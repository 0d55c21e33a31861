"""Money received: recorded once, in the organisation's currency, for rows that are there, never more than it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.till import Till
from tests.support.world import World


@pytest.fixture
def world(till: Till) -> World:
    return World(till.db)


@pytest.fixture
def staff(world: World) -> User:
    return world.user("staff")


def item(purchase: UUID, amount: Any, table: str = "package_purchases") -> dict[str, Any]:
    return {"source_table": table, "source_id": str(purchase), "amount": amount}


def test_a_payment_says_what_for_and_by_whom(till: Till, rest: Rest, staff: User) -> None:
    person = till.person()
    first, second = till.sell(person), till.sell(person)
    answer = rest.post(
        "/rpc/record_payment",
        {
            "p_payer_id": str(person), "p_amount": 150.50, "p_method": "upi", "p_provider": "razorpay",
            "p_provider_reference": " pay_1 ", "p_items": [item(second, "50.50"), item(first, 80)],
        },
        user=staff,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    [payment] = answer.json()
    assert (payment["amount"], payment["currency"], payment["status"], payment["provider_reference"], payment["recorded_by"]) == (
        150.5, till.one("select private.setting_text('currency')"), "succeeded", "pay_1", str(staff.id),
    )  # fmt: skip
    lines = till.db.execute("select source_id, amount from public.payment_items order by amount desc").fetchall()
    assert lines == [(first, 80), (second, Decimal("50.50"))]


def test_one_key_is_one_payment(till: Till, staff: User) -> None:
    person = till.person()
    asked = {"p_payer_id": person, "p_amount": 20, "p_method": "cash"}
    first = call(till.db, staff, "record_payment", **asked, p_idempotency_key="once")
    assert call(till.db, staff, "record_payment", **asked, p_idempotency_key="once") == first
    with refused("idempotency_mismatch"):
        call(till.db, staff, "record_payment", **{**asked, "p_amount": 21}, p_idempotency_key="once")
    assert till.one("select count(*) from public.payments") == 1
    # Without a reference or a key, two payments of the same amount are two payments.
    call(till.db, staff, "record_payment", **asked)
    assert till.one("select count(*) from public.payments") == 2


def test_a_reference_counts_once(till: Till, staff: User) -> None:
    person = till.person()
    purchase = till.sell(person)
    told = {
        "p_payer_id": person,
        "p_amount": 20,
        "p_method": "card",
        "p_provider": "stripe",
        "p_provider_reference": "ch_1",
    }
    lines = [item(purchase, 20)]
    [payment] = call(till.db, staff, "record_payment", **told, p_items=Jsonb(lines))
    assert call(till.db, staff, "record_payment", **told, p_items=Jsonb(lines)) == [payment]
    # A report that leaves things out says nothing else.
    assert call(till.db, "service_role", "record_payment", **told) == [payment]
    for other in (
        {"p_amount": 21}, {"p_payer_id": till.person()}, {"p_method": "upi"}, {"p_status": "failed"},
        {"p_received_at": "2020-01-01"}, {"p_items": Jsonb([item(purchase, 19)])},
    ):  # fmt: skip
        with refused("duplicate") as refusal:
            call(till.db, staff, "record_payment", **{**told, **other})
        assert refusal.details["payment_id"] == str(payment["id"])
        assert len(refusal.details["differs"]) == 1
    # Another provider may call it the same.
    call(till.db, staff, "record_payment", **{**told, "p_provider": "razorpay"})
    assert till.one("select count(*) from public.payments") == 2


def test_every_wrong_argument_is_named(till: Till) -> None:
    with refused("invalid_input") as refusal:
        call(
            till.db, None, "record_payment", p_payer_id=None, p_amount="1.001", p_method="shells", p_items=Jsonb({}),
            p_provider="Stripe!", p_provider_reference="x" * 201, p_received_at="infinity", p_status="lost",
            p_currency="CHF", p_note="x" * 1001,
        )  # fmt: skip
    assert refusal.fields == {
        "p_payer_id", "p_amount", "p_method", "p_items", "p_provider", "p_provider_reference", "p_received_at",
        "p_status", "p_currency", "p_note",
    }  # fmt: skip


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "infinity", "10000000000", "0.001"])
def test_an_amount_is_money(till: Till, amount: str) -> None:
    with refused("invalid_input") as refusal:
        call(till.db, None, "record_payment", p_payer_id=till.person(), p_amount=amount, p_method="cash")
    assert refusal.fields == {"p_amount"}


@pytest.mark.parametrize(
    "patch",
    [
        {"amount": 0}, {"amount": -1}, {"amount": "1e2"}, {"amount": "NaN"}, {"amount": 1.005}, {"amount": None},
        {"source_id": "no id"}, {"source_id": ["x"]}, {"source_id": None}, {"source_table": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_place(till: Till, patch: dict[str, Any]) -> None:
    person = till.person()
    lines = [item(till.sell(person), 1), {**item(till.sell(person), 1), **patch}]
    with refused("invalid_input") as refusal:
        call(till.db, None, "record_payment", p_payer_id=person, p_amount=9, p_method="cash", p_items=Jsonb(lines))
    assert refusal.fields == {"p_items[1]"}
    assert till.one("select count(*) from public.payments") == 0


def test_what_is_no_line_is_named_with_its_place(till: Till) -> None:
    with refused("invalid_input") as refusal:
        call(
            till.db, None, "record_payment", p_payer_id=till.person(), p_amount=9, p_method="cash",
            p_items=Jsonb(["text", 7, {}, None, [], {"source_table": "package_purchases"}]),
        )  # fmt: skip
    assert refusal.fields == {f"p_items[{place}]" for place in range(6)}


def test_a_row_is_named_once(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person)
    twice = [item(purchase, 1), {**item(purchase, 1), "source_id": str(purchase).upper()}]
    with refused("invalid_input") as refusal:
        call(till.db, None, "record_payment", p_payer_id=person, p_amount=9, p_method="cash", p_items=Jsonb(twice))
    assert refusal.fields == {"p_items[0]", "p_items[1]"}
    with refused("invalid_input"):
        call(till.db, None, "record_payment", p_payer_id=person, p_amount=9, p_method="cash", p_items=Jsonb(twice * 51))


def test_what_is_paid_for_has_to_be_there(till: Till) -> None:
    person = till.person()
    for line, code in (
        (item(uuid4(), 1), "not_found"), (item(uuid4(), 1, "user_profiles"), "invalid_input"),
        (item(uuid4(), 1, "x; drop table public.payments"), "invalid_input"),
    ):  # fmt: skip
        with refused(code):
            call(till.db, None, "record_payment", p_payer_id=person, p_amount=9, p_method="cash", p_items=Jsonb([line]))
    assert till.one("select count(*) from public.payments") == 0


def test_lines_are_never_more_than_the_payment(till: Till) -> None:
    person = till.person()
    first, second = till.sell(person), till.sell(person)
    with refused("invalid_input"):
        call(
            till.db, None, "record_payment", p_payer_id=person, p_amount=9, p_method="cash",
            p_items=Jsonb([item(first, 5), item(second, "4.01")]),
        )  # fmt: skip
    payment = till.pay(person, 9, items=[(first, 5)])
    with refused("limit_exceeded") as refusal:
        till.pay_for(payment, second, "4.01")
    assert refusal.details["limit"] == 4
    # Rows of one statement are counted one after the other.
    with refused("limit_exceeded"):
        till.db.execute(
            "insert into public.payment_items (payment_id, source_table, source_id, amount) "
            "select %s, 'package_purchases', u, 3 from unnest(%s) u",
            [payment, [second, till.sell(person)]],
        )
    till.pay_for(payment, second, 4)
    assert till.findings() == []


def test_a_plain_row_obeys_as_well(till: Till, world: World) -> None:
    person = till.person()
    for wrong, field in (
        ({"amount": -1}, "amount"), ({"amount": 1, "currency": "CHF"}, "currency"), ({"amount": 1, "method": "x"}, "method"),
        ({"amount": 1, "status": "x"}, "status"), ({"amount": 1, "received_at": "2190-01-01"}, "received_at"),
        ({"amount": 1, "provider": "stripe"}, "provider_reference"), ({"amount": 1, "note": "x" * 1001}, "note"),
    ):  # fmt: skip
        with refused("invalid_input") as refusal:
            till._insert("payments", None, {"payer_id": person, "method": "cash", **wrong})
        assert refusal.fields == {field}
    with refused("invalid_input"):
        till.pay(person, 9, items=[(till.sell(person), 0)])


def test_a_failed_payment_counts_nothing(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person)
    till.pay(person, 100, status="failed", items=[(purchase, 100)])
    due = till.db.execute("select amount_paid, amount_outstanding from public.outstanding_amounts()").fetchall()
    assert due == [(0, 100)]


def test_the_currency_stays_once_something_was_paid_in_it(till: Till) -> None:
    change = "update public.settings set value = '\"XAU\"' where key = 'currency'"
    till.db.execute(change)
    till.pay(till.person(), 5)
    assert till.one("select currency from public.payments") == "XAU"
    for statement in (
        "update public.settings set value = null where key = 'currency'",
        "update public.settings set key = 'old_currency' where key = 'currency'",
        "delete from public.settings where key = 'currency'",
    ):
        with refused("illegal_transition"):
            till.db.execute(statement.encode())
    till.db.execute(change)
    till.db.execute("update public.settings set value = '\"Elsewhere\"' where key = 'organisation_name'")


def test_permissions_are_asked_first(till: Till, rest: Rest, world: World) -> None:
    body = {"p_payer_id": str(till.person()), "p_amount": 5, "p_method": "cash"}
    said = {
        who: rest.post("/rpc/record_payment", body, user=user).status_code
        for who, user in (
            ("anon", None), ("member", world.user()), ("instructor", world.user("instructor")),
            ("staff", world.user("staff")), ("manager", world.user("manager")), ("server", "service_role"),
        )
    }  # fmt: skip
    assert said == {"anon": 401, "member": 403, "instructor": 403, "staff": 200, "manager": 200, "server": 200}
    assert till.one("select count(*) from public.payments") == 3
