"""Payments, refunds and packages on stage: the member's, and somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from tests.support.identity import User
from tests.support.world import World

CLASS = "insert into public.credit_entries (purchase_id, kind, occurs_on, source_table, source_id) values (%s, %s, private.today() + 1, 'classes', %s)"


def fill(world: World, people: Mapping[str, User]) -> None:
    """Each of the two buys three packages: one in use, one that was paused, one refunded; and pays for the first."""
    for number, buyer in enumerate((people["member"], world.user("member", full_name="Bo Buyer"))):
        fill_one(world, number, buyer, people["manager"])


def fill_one(world: World, number: int, buyer: User, manager: User) -> None:
    """One person's packages and payments."""
    db = world.db
    package = world.insert(
        "public.packages", name=f"Card {number}", price=100, class_count=10, validity_days=60, created_by=manager.id
    ).id
    used, paused, refunded = (_buy(world, buyer, package, manager) for _ in range(3))
    for kind, source in (("used", 1), ("returned", 1), ("used", 1), ("used", 2), ("forfeited", 2), ("used", 3)):
        db.execute(CLASS, [used, kind, UUID(int=number * 100 + source)])
    for kind in ("paused", "resumed", "paused"):
        db.execute(
            "insert into public.credit_entries (purchase_id, kind, reason) values (%s, %s, 'Away.')", [paused, kind]
        )
    db.execute(
        "insert into public.credit_entries (purchase_id, kind, reason, amount) values (%s, 'refunded', 'Moved away.', 100)",
        [refunded],
    )
    db.execute("insert into private.credit_rebuilds (purchase_ids) values (%s)", [[used]])
    payment = world.insert(
        "public.payments",
        payer_id=buyer.profile_id,
        amount=150,
        method="card",
        provider="stripe",
        provider_reference=f"ch_{number}",
        recorded_by=manager.id,
    ).id
    for source, amount in ((used, 80), (refunded, 50)):
        world.insert(
            "public.payment_items",
            payment_id=payment,
            source_table="package_purchases",
            source_id=source,
            amount=amount,
        )
    with db.transaction():
        refund = world.insert(
            "public.refunds",
            payment_id=payment,
            amount=50,
            reason="Moved away.",
            provider="stripe",
            provider_reference=f"re_{number}",
            recorded_by=manager.id,
        ).id
        world.insert(
            "public.refund_items",
            refund_id=refund,
            payment_id=payment,
            source_table="package_purchases",
            source_id=refunded,
            amount=50,
        )
    world.insert("public.payments", payer_id=buyer.profile_id, amount=20, method="card", status="failed")


def _buy(world: World, buyer: User, package: UUID, manager: User) -> UUID:
    row = world.db.execute(
        "insert into public.package_purchases (profile_id, package_id, created_by) values (%s, %s, %s) returning id",
        [buyer.profile_id, package, manager.id],
    ).fetchone()
    assert row is not None
    purchase: UUID = row[0]
    return purchase
