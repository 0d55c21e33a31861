"""What people owe is worked out when it is asked: by row, over every table that costs something, for those who may know."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.till import Till
from tests.support.world import World

FEES = (
    "create table public.fees (id uuid primary key default gen_random_uuid(), profile_id uuid not null, "
    "amount numeric(12,2) not null, is_waived boolean not null default false)",
    "create view private.fees_dues as select id as source_id, profile_id, amount, 'A fee' as title from public.fees where not is_waived",
    "select private.attach_dues('public.fees')",
)


def owed(till: Till, *people: UUID) -> list[tuple[object, ...]]:
    return till.db.execute(
        "select source_table, title, amount_due, amount_paid, amount_outstanding from public.outstanding_amounts(%s)",
        [list(people)],
    ).fetchall()


def profile(user: User) -> UUID:
    assert user.profile_id is not None
    return user.profile_id


def test_it_follows_every_step(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person, till.package(name="Card"))
    assert owed(till, person) == [("package_purchases", "Card", 100, 0, 100)]
    payment = till.pay(person, 70, items=[(purchase, 60)])
    assert owed(till, person) == [
        ("package_purchases", "Card", 100, 60, 40),
        ("payments", None, 0, 10, -10),
    ]
    till.refund(payment, 25, items=[(purchase, 20)])
    assert owed(till, person) == [
        ("package_purchases", "Card", 100, 40, 60),
        ("payments", None, 0, 5, -5),
    ]
    till.refund(payment, 5)
    # Whoever pays: what counts is that it is paid.
    till.pay(till.person(), 60, items=[(purchase, 60)])
    assert owed(till, person) == []
    till.db.execute("select from public.refund_package(%s, 'Moved.', 30)", [purchase])
    assert owed(till, person) == [("package_purchases", "Card", 70, 100, -30)]


def test_a_later_modules_table_is_covered(till: Till) -> None:
    till.weaken(*FEES)
    person, other = till.person(), till.person()
    fee, free = (
        till.one("insert into public.fees (profile_id, amount) values (%s, %s) returning id", person, amount)
        for amount in ("7.50", 0)
    )
    assert owed(till, person) == [("fees", "A fee", Decimal("7.50"), 0, Decimal("7.50"))]
    till.db.execute(
        "select from public.record_payment(%s, 9, 'cash', jsonb_build_array(jsonb_build_object("
        "'source_table', 'fees', 'source_id', %s::text, 'amount', 9)))",
        [other, fee],
    )
    assert owed(till, person) == [("fees", "A fee", Decimal("7.50"), 9, Decimal("-1.50"))]
    # What costs nothing any more is owed to whoever paid it.
    till.db.execute("update public.fees set is_waived = true")
    assert owed(till, person) == []
    assert owed(till, other) == [("fees", None, 0, 9, -9)]
    with refused("illegal_transition"):
        till.db.execute("delete from public.fees where id = %s", [fee])
    with refused("illegal_transition"):
        till.db.execute("update public.fees set id = gen_random_uuid() where id = %s", [fee])
    with refused("forbidden"):
        till.db.execute("truncate public.fees")
    till.db.execute("delete from public.fees where id = %s", [free])


def test_rows_add_up_to_what_a_person_owes(till: Till) -> None:
    """Against a plain recount: prices less what came in, plus what was given back."""
    people = [till.person() for _ in range(4)]
    package = till.package(price="33.33")
    for number, person in enumerate(people):
        bought = [till.sell(person, package) for _ in range(number)]
        for part, purchase in enumerate(bought):
            payment = till.pay(person, 40, items=[(purchase, 10 * part + 5)])
            till.refund(payment, 5, items=[(purchase, 5)])
        till.pay(person, 12)
        till.pay(person, 99, status="failed")
        sums = till.one("select sum(amount_outstanding) from public.outstanding_amounts(%s)", [person])
        assert sums == number * Decimal("33.33") - 35 * number - 12
    everybody = till.one("select sum(amount_outstanding) from public.outstanding_amounts()")
    assert everybody == 6 * Decimal("33.33") - 35 * 6 - 12 * 4


@pytest.mark.parametrize("role", [None, "member", "instructor", "staff", "manager", "admin"])
def test_who_learns_what(till: Till, rest: Rest, role: str | None) -> None:
    world = World(till.db)
    user, other = world.user(role), world.user()
    for person in (user, other):
        till.sell(profile(person))
    sees_all = role in ("staff", "manager", "admin")

    def ask(body: dict[str, object]) -> list[str] | int:
        answer = rest.post("/rpc/outstanding_amounts", body, user=user)
        if answer.status_code != 200:
            return answer.status_code
        return sorted(row["profile_id"] for row in answer.json())

    mine, theirs = str(profile(user)), str(profile(other))
    assert ask({}) == (sorted([mine, theirs]) if sees_all else [mine])
    assert ask({"p_profile_ids": [mine]}) == [mine]
    assert ask({"p_profile_ids": []}) == []
    assert ask({"p_profile_ids": [mine, theirs]}) == (sorted([mine, theirs]) if sees_all else 403)
    assert ask({"p_profile_ids": [None]}) == ([] if sees_all else 403)
    assert rest.post("/rpc/outstanding_amounts", {}).status_code == 401


def test_somebody_without_a_profile_owes_nothing(till: Till) -> None:
    till.sell(till.person())
    stranger = User(uuid4(), "x@example.org", "X", None)
    assert call(till.db, stranger, "outstanding_amounts") == []
