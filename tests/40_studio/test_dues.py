"""What customers owe for bookings, and paying for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.studio import Studio


@pytest.fixture
def bea(studio: Studio) -> User:
    return studio.world.user(full_name="Bea")


def package(studio: Studio, price: int = 90) -> Any:
    return studio.world.insert("public.packages", name="Card", price=price, class_count=3).id


def owed(studio: Studio, who: User) -> list[tuple[str, Decimal]]:
    """Tables and amounts outstanding, as the customer sees them."""
    return [
        (row["source_table"], row["amount_outstanding"])
        for row in call(studio.db, who, "outstanding_amounts")
        if row["amount_outstanding"]
    ]


def pay(studio: Studio, who: User, booking: Any, amount: int) -> None:
    call(
        studio.db,
        studio.world.user("staff"),
        "record_payment",
        p_payer_id=who.profile_id,
        p_amount=amount,
        p_method="cash",
        p_items=Jsonb([{"source_table": "bookings", "source_id": str(booking.id), "amount": amount}]),
    )


def test_a_booking_of_a_package_is_owed_and_paid_for(studio: Studio, bea: User) -> None:
    booking = studio.booking(bea, class_package_id=package(studio))
    assert owed(studio, bea) == [("bookings", Decimal(90))]
    pay(studio, bea, booking, 50)
    assert owed(studio, bea) == [("bookings", Decimal(40))]
    pay(studio, bea, booking, 40)
    assert owed(studio, bea) == []


def test_what_uses_credits_was_paid_for_when_they_were_bought(studio: Studio, bea: User) -> None:
    studio.booking(bea, class_package_id=package(studio), uses_credits=True)
    studio.booking(bea)
    assert owed(studio, bea) == []


def test_a_cancelled_booking_costs_nothing(studio: Studio, bea: User) -> None:
    booking = studio.booking(bea, class_package_id=package(studio))
    studio.db.execute("update public.bookings set status = 'cancelled' where id = %s", [booking.id])
    assert owed(studio, bea) == []


def test_what_was_paid_for_is_cancelled_not_deleted(studio: Studio, bea: User) -> None:
    booking = studio.booking(bea, class_package_id=package(studio))
    pay(studio, bea, booking, 90)
    with refused("illegal_transition"):
        studio.db.execute("delete from public.bookings where id = %s", [booking.id])
