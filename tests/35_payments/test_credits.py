"""Credits: used within their lot's dates, once, never below zero; paused, given back, forfeited, refunded."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.till import Till
from tests.support.world import World


def move_clock(till: Till, days: int) -> None:
    """From now on it is so many days later."""
    till.db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        f"return pg_catalog.now() + interval '{days} days'".encode()
    )


def refuse_use(till: Till, person: UUID, **how: Any) -> str:
    with refused("limit_exceeded") as refusal:
        till.use(person, **how)
    return refusal.message


def test_the_lot_that_expires_first_is_used_first(till: Till) -> None:
    person, package = till.person(), till.package(class_count=1)
    late = till.sell(person, package, validity_days=90)
    early = till.sell(person, package, validity_days=10)
    assert [till.use(person)[0] for _ in range(2)] == [early, late]
    assert refuse_use(till, person) == "No credits left"


def test_a_day_after_the_first_lot_uses_the_next(till: Till) -> None:
    person, package = till.person(), till.package()
    till.sell(person, package, validity_days=10)
    later = till.sell(person, package, validity_days=11)
    assert till.use(person, on=till.today + timedelta(days=11))[0] == later


def test_credits_are_of_the_package_that_is_asked_for(till: Till) -> None:
    person, yoga, pilates = till.person(), till.package(), till.package()
    till.sell(person, yoga, validity_days=10)
    bought = till.sell(person, pilates)
    assert till.use(person, package=pilates)[0] == bought
    assert refuse_use(till, person, package=till.package()) == "No credits left"


@pytest.mark.parametrize(("day", "is_good"), [(-1, False), (0, True), (30, True), (31, False)])
@pytest.mark.parametrize("door", ["function", "table"])
def test_a_credit_is_good_from_the_first_day_to_the_last(till: Till, day: int, is_good: bool, door: str) -> None:
    person = till.person()
    purchase = till.sell(person)
    on = till.today + timedelta(days=day)

    def use() -> None:
        if door == "function":
            till.use(person, on=on)
        else:
            till.enter(purchase, "used", occurs_on=on, source_table="classes", source_id=uuid4())

    if is_good:
        use()
    else:
        with refused("limit_exceeded"):
            use()
    assert till.left(purchase) == 10 - is_good


def test_a_plain_row_cannot_go_below_zero_nor_say_what_is_left(till: Till) -> None:
    purchase = till.sell(till.person(), till.package(class_count=1))
    lie = {"change": 5, "balance_after": 99, "entry_no": 77, "use_no": 3}
    till.enter(purchase, "used", source_table="classes", source_id=uuid4(), **lie)
    assert till.entries(purchase) == [("granted", 1), ("used", 0)]
    with refused("limit_exceeded"):
        till.enter(purchase, "used", source_table="classes", source_id=uuid4(), **lie)


@pytest.mark.parametrize("rows", [2, 3])
def test_rows_of_one_statement_see_each_other(till: Till, rows: int) -> None:
    purchase = till.sell(till.person(), till.package(class_count=2))
    statement = (
        "insert into public.credit_entries (purchase_id, kind, source_table, source_id) "
        f"select %s, 'used', 'classes', gen_random_uuid() from generate_series(1, {rows})"
    )
    if rows > 2:
        with refused("limit_exceeded"):
            till.db.execute(statement.encode(), [purchase])
        assert till.left(purchase) == 2
    else:
        till.db.execute(statement.encode(), [purchase])
        assert till.left(purchase) == 0


def test_one_statement_cannot_use_two_credits_for_one_thing(till: Till) -> None:
    person = till.person()
    lots = [till.sell(person) for _ in range(2)]
    with refused("duplicate"):
        till.db.execute(
            "insert into public.credit_entries (purchase_id, kind, source_table, source_id) "
            "select u, 'used', 'classes', %s from unnest(%s) u",
            [uuid4(), lots],
        )


def test_asking_again_uses_no_second_credit(till: Till) -> None:
    person, source = till.person(), uuid4()
    purchase = till.sell(person)
    assert till.use(person, source) == till.use(person, source) == (purchase, 2)
    with refused("duplicate"):
        till.enter(purchase, "used", source_table="classes", source_id=source)
    other = till.person()
    till.sell(other)
    with refused("duplicate"):
        till.use(other, source)
    with refused("duplicate"):
        till.use(person, source, package=till.package())


def test_a_class_that_moves_takes_a_credit_that_is_good_then(till: Till) -> None:
    person, source, package = till.person(), uuid4(), till.package()
    early = till.sell(person, package, validity_days=10)
    late = till.sell(person, package, validity_days=90)
    till.use(person, source)
    assert till.use(person, source, on=till.today + timedelta(days=50))[0] == late
    assert till.entries(early) == [("granted", 10), ("used", 9), ("returned", 10)]
    with refused("limit_exceeded"):
        till.use(person, source, on=till.today + timedelta(days=91))
    assert till.left(late) == 9


def test_a_credit_given_back_can_be_used_again(till: Till) -> None:
    person, source = till.person(), uuid4()
    purchase = till.sell(person, till.package(class_count=1))
    till.use(person, source)
    assert till.give_back(source) == "returned"
    assert till.give_back(source) is None
    assert till.give_back(uuid4()) is None
    till.use(person, source)
    assert till.entries(purchase) == [("granted", 1), ("used", 0), ("returned", 1), ("used", 0)]


@pytest.mark.parametrize(
    ("hours", "before", "kind"),
    [(24, 25, "returned"), (24, 23, "forfeited"), (0, 0.1, "returned"), (0, -0.1, "forfeited"), (48, 47, "forfeited")],
)
def test_cancelling_late_costs_the_credit(till: Till, hours: int, before: float, kind: str) -> None:
    person, source = till.person(), uuid4()
    package = till.package(late_cancel_hours=hours)
    purchase = till.sell(person, package)
    # The rule is the one of the day it was bought.
    till.db.execute("update public.packages set late_cancel_hours = 744 - late_cancel_hours where id = %s", [package])
    till.use(person, source)
    starts_at = till.one("select private.now() + %s * interval '1 hour'", before)
    assert till.give_back(source, starts_at) == kind
    assert till.left(purchase) == (10 if kind == "returned" else 9)


def test_what_is_forfeited_stays_the_things_credit(till: Till) -> None:
    person, source = till.person(), uuid4()
    purchase = till.sell(person)
    entry = till.use(person, source)
    assert till.give_back(source, till.one("select private.now()")) == "forfeited"
    assert till.give_back(source) is None
    assert till.use(person, source, on=till.today + timedelta(days=3)) == entry
    with refused("illegal_transition"):
        till.enter(purchase, "returned", source_table="classes", source_id=source)
    balance = till.db.execute("select credits_used, credits_forfeited, credits_left from public.package_balances")
    assert balance.fetchall() == [(1, 1, 9)]


@pytest.mark.parametrize("kind", ["returned", "forfeited"])
def test_only_what_is_used_of_this_package_is_given_back(till: Till, kind: str) -> None:
    person, source = till.person(), uuid4()
    till.use(person, source) if till.sell(person) else None
    other = till.sell(person)
    for thing in (source, uuid4()):
        with refused("illegal_transition"):
            till.enter(other, kind, source_table="classes", source_id=thing)


def test_a_pause_moves_the_last_day_on(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person)
    paused = till.db.execute("select status, paused_on from public.pause_package(%s, 'Ill.')", [purchase]).fetchone()
    assert paused == ("paused", till.today)
    assert refuse_use(till, person) == "No credits left"
    with refused("illegal_transition"):
        till.enter(purchase, "used", source_table="classes", source_id=uuid4())
    with refused("illegal_transition"):
        till.db.execute("select from public.pause_package(%s, 'Ill.')", [purchase])
    # The pause lasts beyond what was its last day.
    move_clock(till, 40)
    resumed = till.db.execute(
        "select status, paused_on, expires_on from public.resume_package(%s)", [purchase]
    ).fetchone()
    assert resumed == ("active", None, till.today + timedelta(days=70))
    for day in (0, 39):
        assert refuse_use(till, person, on=till.today + timedelta(days=day)) == "No credits left"
        with refused("limit_exceeded"):
            till.enter(
                purchase, "used", occurs_on=till.today + timedelta(days=day), source_table="classes", source_id=uuid4()
            )
    for day in (40, 70):
        till.use(person, on=till.today + timedelta(days=day))
    with refused("illegal_transition"):
        till.db.execute("select from public.resume_package(%s)", [purchase])
    assert till.findings() == []


def test_what_was_booked_before_a_pause_stays_and_can_be_given_back(till: Till) -> None:
    person, source = till.person(), uuid4()
    purchase = till.sell(person)
    till.use(person, source)
    till.enter(purchase, "paused", reason="Ill.")
    assert till.give_back(source) == "returned"
    assert till.left(purchase) == 10
    assert till.findings() == []


@pytest.mark.parametrize(
    ("kind", "days", "code"),
    [("paused", -1, "invalid_input"), ("paused", 1, "invalid_input"), ("resumed", -1, "invalid_input"), ("resumed", 1, "invalid_input")],
)  # fmt: skip
def test_a_pause_is_neither_ahead_nor_before_the_purchase(till: Till, kind: str, days: int, code: str) -> None:
    purchase = till.sell(till.person())
    if kind == "resumed":
        till.enter(purchase, "paused", reason="Ill.")
    with refused(code):
        till.enter(purchase, kind, reason="Ill.", occurs_on=till.today + timedelta(days=days))


def test_an_expired_package_is_neither_used_nor_paused(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person, purchased_on=till.today - timedelta(days=31))
    assert till.one("select is_usable from public.package_balances") is False
    with refused("illegal_transition") as refusal:
        till.db.execute("select from public.pause_package(%s, 'Ill.')", [purchase])
    assert refusal.message == f"This package expired after {till.today - timedelta(days=1)}"
    refuse_use(till, person, on=till.today)
    till.use(person, on=till.today - timedelta(days=1))


@pytest.mark.parametrize(
    ("columns", "is_usable"),
    [({}, True), ({"purchased_on": 1}, False), ({"purchased_on": -30}, True), ({"purchased_on": -31}, False), ({"credits": 1}, False)],
)  # fmt: skip
def test_usable_is_what_can_be_used_today(till: Till, columns: dict[str, int], is_usable: bool) -> None:
    person = till.person()
    bought_on = till.today + timedelta(days=columns.get("purchased_on", 0))
    purchase = till.sell(person, **{**columns, "purchased_on": bought_on})
    if columns.get("credits"):
        till.use(person, on=till.today)
    assert till.one("select is_usable from public.package_balances") is is_usable
    use = {"source_table": "classes", "source_id": uuid4(), "occurs_on": till.today}
    if is_usable:
        till.enter(purchase, "used", **use)
    else:
        with refused("limit_exceeded"):
            till.enter(purchase, "used", **use)


def test_a_refund_ends_it(till: Till) -> None:
    person, source = till.person(), uuid4()
    purchase = till.sell(person, till.package(price="99.99", class_count=3))
    till.use(person, source)
    till.db.execute("select from public.refund_package(%s, 'Moved.')", [purchase])
    assert till.entries(purchase)[-1] == ("refunded", 0)
    assert till.one("select amount from public.credit_entries where kind = 'refunded'") == Decimal("66.66")
    for kind, more in (
        ("used", {"source_table": "classes", "source_id": uuid4()}),
        ("returned", {"source_table": "classes", "source_id": source}),
        ("paused", {"reason": "Ill."}),
        ("resumed", {}),
        ("refunded", {"reason": "Again.", "amount": 1}),
    ):
        with refused("illegal_transition"):
            till.enter(purchase, kind, **more)
    with refused("illegal_transition"):
        till.use(person, source, on=till.today + timedelta(days=2))
    assert till.give_back(source) == "forfeited"
    assert till.left(purchase) == 0
    assert till.findings() == []


@pytest.mark.parametrize("amount", ["100.01", "-1", "NaN"])
def test_no_more_than_the_price_is_given_back(till: Till, amount: str) -> None:
    purchase = till.sell(till.person())
    with refused("invalid_input"):
        till.db.execute("select from public.refund_package(%s, 'Moved.', %s)", [purchase, amount])
    with refused("invalid_input"):
        till.enter(purchase, "refunded", reason="Moved.", amount=amount)


def test_a_pause_ends_in_a_refund_as_well(till: Till) -> None:
    purchase = till.sell(till.person())
    till.enter(purchase, "paused", reason="Ill.")
    till.enter(purchase, "refunded", reason="Moved.", amount=100)
    row = till.db.execute("select status, paused_on from public.package_purchases").fetchone()
    assert row == ("refunded", None)


def test_credits_are_granted_once(till: Till) -> None:
    purchase = till.sell(till.person())
    with refused("illegal_transition"):
        till.enter(purchase, "granted")
    with pytest.raises(psycopg.errors.CheckViolation):
        till.enter(purchase, "lost")


def test_terms_stay_what_they_were_when_it_was_bought(till: Till) -> None:
    package = till.package()
    purchase = till.sell(till.person(), package)
    till.db.execute(
        "update public.packages set price = 1, class_count = 1, validity_days = 1, late_cancel_hours = 1, is_active = false"
    )
    row = till.db.execute(
        "select price, credits, validity_days, late_cancel_hours, expires_on from public.package_purchases"
    ).fetchone()
    assert row == (100, 10, 30, 24, till.today + timedelta(days=30))
    assert till.left(purchase) == 10
    with refused("illegal_transition"):
        till.sell(till.person(), package)


def test_the_terms_are_all_of_one_moment(till: Till) -> None:
    package = till.package()
    person = till.person()
    outcome = till.collide(
        lambda by: by.execute("update public.packages set is_active = false"),
        lambda by: till.sell(person, package, by=by),
    )
    assert (outcome.waited, outcome.code) == (True, "illegal_transition")


def test_another_isolation_level_is_refused(till: Till) -> None:
    purchase = till.sell(till.person())
    with till.database.connect(autocommit=False) as by, refused("invalid_input"):
        by.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        till.enter(purchase, "paused", by=by, reason="Ill.")


def test_selling_pausing_and_refunding_take_permissions(till: Till) -> None:
    world = World(till.db)
    member, staff, manager = (world.user(role) for role in ("member", "staff", "manager"))
    package = till.package()
    sold = {"p_profile_id": member.profile_id, "p_package_id": package}
    with refused("forbidden"):
        call(till.db, member, "purchase_package", **sold)
    [purchase] = call(till.db, staff, "purchase_package", **sold, p_idempotency_key="once")
    assert call(till.db, staff, "purchase_package", **sold, p_idempotency_key="once") == [purchase]
    with refused("idempotency_mismatch"):
        call(
            till.db,
            staff,
            "purchase_package",
            p_profile_id=manager.profile_id,
            p_package_id=package,
            p_idempotency_key="once",
        )
    assert till.one("select count(*) from public.package_purchases") == 1
    assert purchase["created_by"] == staff.id
    one = {"p_purchase_id": purchase["id"], "p_reason": "Ill."}
    for function, who in (("pause_package", staff), ("resume_package", staff), ("refund_package", manager)):
        with refused("forbidden"):
            call(till.db, member, function, **one)
        with refused("not_found"):
            call(till.db, who, function, p_purchase_id=uuid4(), p_reason="Ill.")
        with refused("invalid_input") as refusal:
            call(till.db, who, function, p_purchase_id=None, p_reason="x" * 1001)
        assert refusal.fields == {"p_purchase_id", "p_reason"}
        first = call(till.db, who, function, **one, p_idempotency_key="k")
        assert call(till.db, who, function, **one, p_idempotency_key="k") == first
    assert [kind for kind, _ in till.entries(purchase["id"])] == ["granted", "paused", "resumed", "refunded"]
    with refused("forbidden"):
        call(till.db, staff, "refund_package", **one)
    assert till.db.execute(
        "select distinct recorded_by from public.credit_entries where kind = 'paused'"
    ).fetchall() == [(staff.id,)]


def test_wrong_arguments_of_a_sale_are_all_named(till: Till) -> None:
    with refused("invalid_input") as refusal:
        call(till.db, None, "purchase_package", p_profile_id=None, p_package_id=None, p_purchased_on="infinity")
    assert refusal.fields == {"p_profile_id", "p_package_id", "p_purchased_on"}
    for profile, package in ((till.person(), uuid4()), (uuid4(), till.package())):
        with refused("not_found"):
            call(till.db, None, "purchase_package", p_profile_id=profile, p_package_id=package)
