"""Money given back: never more than came in, nor than was paid for the thing it is given back for."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.till import Till
from tests.support.world import World


def lines(*parts: tuple[UUID, Any]) -> Jsonb:
    return Jsonb([{"source_table": "package_purchases", "source_id": str(p), "amount": amount} for p, amount in parts])


def refund(till: Till, payment: UUID, **how: Any) -> dict[str, Any]:
    named = {f"p_{name}": value for name, value in how.items()}
    [row] = call(till.db, None, "refund_payment", p_payment_id=payment, p_reason="Asked.", **named)
    return row


def given_back(till: Till) -> list[tuple[Any, Any]]:
    return till.db.execute("select source_id, amount from public.refund_items order by created_at, amount").fetchall()


def test_all_that_is_left_is_given_back_of_everything(till: Till) -> None:
    person = till.person()
    first, second = till.sell(person), till.sell(person)
    payment = till.pay(person, 100, items=[(first, 50), (second, 30)])
    refund(till, payment, items=lines((first, 15)))
    row = refund(till, payment)
    assert row["amount"] == 85
    assert sorted(amount for _, amount in given_back(till)) == [15, 30, 35]
    with refused("limit_exceeded"):
        refund(till, payment)
    assert till.one("select amount_left from private.payment_totals") == 0
    assert till.findings() == []


def test_where_there_is_no_choice_nothing_needs_to_be_said(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person)
    payment = till.pay(person, 50, items=[(purchase, 50)])
    refund(till, payment, amount=20)
    assert given_back(till) == [(purchase, 20)]
    advance = till.pay(person, 50)
    refund(till, advance, amount=20)
    assert len(given_back(till)) == 1
    assert till.findings() == []


def test_where_there_is_a_choice_it_has_to_be_said(till: Till) -> None:
    person = till.person()
    first, second = till.sell(person), till.sell(person)
    for payment in (till.pay(person, 90, items=[(first, 50), (second, 40)]), till.pay(person, 90, items=[(first, 50)])):
        with refused("invalid_input") as refusal:
            refund(till, payment, amount=20)
        assert refusal.fields == {"p_items"}


def test_neither_a_payment_nor_a_line_is_given_back_twice(till: Till) -> None:
    person = till.person()
    first, second, never = till.sell(person), till.sell(person), till.sell(person)
    payment = till.pay(person, 100, items=[(first, 60), (second, 30)])
    with refused("limit_exceeded"):
        refund(till, payment, amount="100.01")
    with refused("limit_exceeded"):
        refund(till, payment, items=lines((second, "30.01")))
    with refused("not_found"):
        refund(till, payment, items=lines((never, 1)))
    with refused("invalid_input"):  # its lines are more than the refund
        refund(till, payment, amount=5, items=lines((first, 6)))
    with refused("invalid_input"):  # 15 of nothing that is named, and the advance is 10
        refund(till, payment, amount=20, items=lines((first, 5)))
    refund(till, payment, amount=15, items=lines((first, 5)))
    with refused("limit_exceeded"):
        refund(till, payment, items=lines((first, "55.01")))
    refund(till, payment, items=lines((first, 55)))
    assert till.one("select amount_left from private.payment_totals") == 30
    assert till.findings() == []


def test_plain_rows_obey_as_well(till: Till) -> None:
    person = till.person()
    first, second, never = till.sell(person), till.sell(person), till.sell(person)
    payment = till.pay(person, 100, items=[(first, 60), (second, 30)])
    for amount, items, code in (
        (101, [], "limit_exceeded"),
        (61, [(first, 61)], "limit_exceeded"),
        (5, [(first, 6)], "limit_exceeded"),
        (0, [], "invalid_input"),
        (5, [(first, 0)], "invalid_input"),
        (11, [], "invalid_input"),  # only 10 of it paid for nothing
    ):
        with refused(code):
            till.refund(payment, amount, items=items)
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="item_was_paid_for"):
        till.refund(payment, 5, items=[(never, 5)])
    till.refund(payment, 70, items=[(first, 60)])
    assert till.one("select amount_left from private.payment_totals") == 30
    # What was given back of no line cannot pay for something afterwards.
    with refused("limit_exceeded"):
        till.pay_for(payment, never, 1)
    assert till.findings() == []


def test_a_line_belongs_to_its_refunds_payment(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person)
    other = till.pay(person, 50, items=[(purchase, 50)])
    made = till.refund(till.pay(person, 50), 50)
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="item_belongs_to_a_refund"):
        till.db.execute(
            "insert into public.refund_items values (%s, %s, 'package_purchases', %s, 5)", [made, other, purchase]
        )


def test_nothing_is_given_back_of_a_payment_that_failed(till: Till) -> None:
    payment = till.pay(till.person(), 50, status="failed")
    with refused("illegal_transition"):
        refund(till, payment)
    with refused("illegal_transition"):
        till.refund(payment, 5)
    with refused("not_found"):
        refund(till, uuid4())


def test_a_reference_counts_once(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person)
    payment = till.pay(person, 100, items=[(purchase, 100)])
    told = {"amount": 30, "provider": "stripe", "provider_reference": "re_1"}
    first = refund(till, payment, **told)
    assert refund(till, payment, **told, items=lines((purchase, 30))) == first
    assert refund(till, payment, **{**told, "amount": None}) == first
    for other in ({"amount": 31}, {"refunded_at": "2020-01-01"}, {"items": lines((purchase, 29))}):
        with refused("duplicate") as refusal:
            refund(till, payment, **{**told, **other})
        assert len(refusal.details["differs"]) == 1
    with refused("duplicate"):
        refund(till, till.pay(person, 100), **told)
    assert till.one("select count(*) from public.refunds") == 1


def test_one_key_is_one_refund(till: Till) -> None:
    payment = till.pay(till.person(), 100)
    first = refund(till, payment, amount=30, idempotency_key="once")
    assert refund(till, payment, amount=30, idempotency_key="once") == first
    with refused("idempotency_mismatch"):
        refund(till, payment, amount=31, idempotency_key="once")
    assert till.one("select sum(amount) from public.refunds") == 30


def test_who_may(till: Till) -> None:
    world = World(till.db)
    member, staff, manager = (world.user(role) for role in ("member", "staff", "manager"))
    assert member.profile_id is not None
    payment = till.pay(member.profile_id, 100)
    for user in (member, staff):
        with refused("forbidden"):
            call(till.db, user, "refund_payment", p_payment_id=payment, p_reason="Mine.")
    [row] = call(till.db, manager, "refund_payment", p_payment_id=payment, p_reason=" Asked. ")
    assert (row["recorded_by"], row["reason"], row["amount"]) == (manager.id, "Asked.", 100)


def test_every_wrong_argument_is_named(till: Till) -> None:
    with refused("invalid_input") as refusal:
        call(
            till.db, None, "refund_payment", p_payment_id=None, p_amount="NaN", p_reason=" ", p_items=Jsonb(7),
            p_provider="stripe", p_refunded_at="-infinity",
        )  # fmt: skip
    assert refusal.fields == {
        "p_payment_id",
        "p_amount",
        "p_reason",
        "p_items",
        "p_provider_reference",
        "p_refunded_at",
    }
