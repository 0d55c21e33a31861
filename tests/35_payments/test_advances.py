"""What no line of a payment names is an advance: it pays for something later, or is given back."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.till import Till
from tests.support.world import World


def allocate(till: Till, payment: UUID | None, *parts: tuple[UUID, Any], **more: Any) -> list[dict[str, Any]]:
    items = [{"source_table": "package_purchases", "source_id": str(p), "amount": amount} for p, amount in parts]
    return call(till.db, None, "allocate_payment", p_payment_id=payment, p_items=Jsonb(items), **more)


def test_an_advance_pays_for_what_is_bought_later(till: Till) -> None:
    person = till.person()
    payment = till.pay(person, 150)
    first, second = till.sell(person), till.sell(person)
    [line] = allocate(till, payment, (first, 100))
    assert (line["source_id"], line["amount"]) == (first, 100)
    with refused("limit_exceeded") as refusal:
        allocate(till, payment, (second, "50.01"))
    assert refusal.details["limit"] == 50
    till.refund(payment, 20)
    with refused("limit_exceeded"):
        allocate(till, payment, (second, "30.01"))
    allocate(till, payment, (second, 30))
    owed = till.db.execute("select source_id, amount_outstanding from public.outstanding_amounts()").fetchall()
    assert owed == [(second, 70)]
    assert till.findings() == []


def test_one_key_is_one_allocation(till: Till) -> None:
    person = till.person()
    payment, purchase = till.pay(person, 150), till.sell(person)
    first = allocate(till, payment, (purchase, 100), p_idempotency_key="once")
    assert allocate(till, payment, (purchase, 100), p_idempotency_key="once") == first
    with refused("duplicate"):
        allocate(till, payment, (purchase, 10))
    assert till.one("select sum(amount) from public.payment_items") == 100


@pytest.mark.parametrize("status", ["failed", "succeeded"])
def test_two_at_once_share_what_there_is(till: Till, status: str) -> None:
    person = till.person()
    payment, purchases = till.pay(person, 100, status=status), [till.sell(person) for _ in range(2)]
    if status == "failed":
        with refused("illegal_transition"):
            allocate(till, payment, (purchases[0], 1))
        return
    outcome = till.collide(*(_change(payment, purchase) for purchase in purchases))
    assert (outcome.waited, outcome.code) == (True, "limit_exceeded")
    assert till.findings() == []


def _change(payment: UUID, purchase: UUID) -> Any:
    items = Jsonb([{"source_table": "package_purchases", "source_id": str(purchase), "amount": 60}])
    return lambda by: by.execute("select from public.allocate_payment(%s, %s)", [payment, items])


def test_wrong_arguments(till: Till) -> None:
    person = till.person()
    with refused("not_found"):
        allocate(till, uuid4(), (till.sell(person), 1))
    with refused("not_found"):
        allocate(till, till.pay(person, 5), (uuid4(), 1))
    with refused("invalid_input") as refusal:
        allocate(till, None)
    assert refusal.fields == {"p_payment_id", "p_items"}
    member = World(till.db).user()
    with refused("forbidden"):
        call(till.db, member, "allocate_payment", p_payment_id=uuid4(), p_items=Jsonb([]))
