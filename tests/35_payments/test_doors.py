"""The books are only ever added to, through every door; and nobody adds to them past the functions over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.calls import read_refusal, refused
from tests.support.identity import as_role, as_user
from tests.support.rest import Rest
from tests.support.till import Till
from tests.support.world import World

BOOKS = ("payments", "payment_items", "refunds", "refund_items", "credit_entries", "package_purchases")


@pytest.fixture
def purchase(till: Till) -> UUID:
    """One row in each of the books."""
    person = till.person()
    bought = till.sell(person)
    payment = till.pay(person, 100, items=[(bought, 100)])
    till.refund(payment, 10, items=[(bought, 10)])
    return bought


def contents(till: Till) -> list[Any]:
    return [till.one(f"select jsonb_agg(to_jsonb(b)) from public.{table} b") for table in BOOKS]


@pytest.mark.parametrize("table", BOOKS)
@pytest.mark.parametrize(
    "statement",
    [
        "update public.{0} set created_at = created_at",
        "delete from public.{0}",
        "truncate public.{0} cascade",
        "truncate public.user_profiles cascade",
        "with gone as (delete from public.{0} returning *) select * from gone",
        "merge into public.{0} b using (select 1) s on true when matched then delete",
    ],
)
def test_the_owner_takes_nothing_back(till: Till, purchase: UUID, table: str, statement: str) -> None:
    before = contents(till)
    with pytest.raises(psycopg.Error) as caught:
        till.db.execute(statement.format(table).encode())
    assert read_refusal(caught.value).code in ("forbidden", "illegal_transition")
    assert contents(till) == before


@pytest.mark.parametrize("table", BOOKS)
def test_an_upsert_changes_nothing(till: Till, purchase: UUID, table: str) -> None:
    key = {"payment_items": "payment_id, source_table, source_id", "refund_items": "refund_id, source_table, source_id",
           "credit_entries": "purchase_id, entry_no"}.get(table, "id")  # fmt: skip
    columns = till.one(
        "select string_agg(quote_ident(attname), ', ') from pg_attribute where attrelid = %s::regclass and attnum > 0 "
        "and attgenerated = ''", f"public.{table}",
    )  # fmt: skip
    before = contents(till)
    with refused("forbidden"):
        till.db.execute(
            f"insert into public.{table} ({columns}) select {columns} from public.{table} "
            f"on conflict ({key}) do update set created_at = excluded.created_at".encode()
        )
    assert contents(till) == before


@pytest.mark.parametrize("role", ["service_role", "admin", "manager", "member", None])
def test_over_rest_nobody_writes_them(till: Till, rest: Rest, purchase: UUID, role: str | None) -> None:
    user = role if role in ("service_role", None) else World(till.db).user(role)
    before = contents(till)
    for table in BOOKS:
        row = rest.get(f"/{table}?limit=1", user="service_role").json()[0]
        row.pop("previous_no", None)
        row.pop("balance_before", None)
        for answer in (
            rest.post(f"/{table}", row, user=user),
            rest.patch(f"/{table}?created_at=not.is.null", {"created_at": "2020-01-01"}, user=user),
            rest.delete(f"/{table}?created_at=not.is.null", user=user),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401 if role is None else 403, "42501"), answer.text
    assert contents(till) == before


@pytest.mark.parametrize("role", ["service_role", "authenticated", "anon"])
def test_the_rules_are_not_called_from_outside(till: Till, purchase: UUID, role: str) -> None:
    """Who may use credits is decided by the modules that book."""
    for call in (
        "private.use_credit(gen_random_uuid(), null, private.today(), 'classes', gen_random_uuid())",
        "private.return_credit('classes', gen_random_uuid(), null)",
        "private.lock_credits_of(gen_random_uuid())",
        "private.outstanding(null)",
    ):
        with as_role(till.db, role), pytest.raises(psycopg.errors.InsufficientPrivilege), till.db.transaction():
            till.db.execute(f"select {call}".encode())


def test_a_login_can_go_and_the_books_stay(till: Till) -> None:
    world = World(till.db)
    staff = world.user("staff")
    bought = till.sell(till.person(), created_by=staff.id)
    payment = till.pay(till.person(), 5, recorded_by=staff.id)
    till.db.execute("delete from auth.users where id = %s", [staff.id])
    assert till.one("select created_by from public.package_purchases where id = %s", bought) is None
    assert till.one("select recorded_by from public.payments where id = %s", payment) == staff.id


def test_a_person_with_books_stays(till: Till, purchase: UUID) -> None:
    with pytest.raises(psycopg.IntegrityError):
        till.db.execute(
            "delete from public.user_profiles where id = (select profile_id from public.package_purchases limit 1)"
        )


def test_whoever_signed_in_signs(till: Till) -> None:
    """A grant given by mistake does not let anybody sign for somebody else, or date it back."""
    world = World(till.db)
    manager = world.user("manager")
    till.db.execute("grant insert on public.payments to authenticated")
    till.db.execute("create policy planted on public.payments for insert to authenticated with check (true)")
    with as_user(till.db, manager):
        till.db.execute(
            "insert into public.payments (payer_id, amount, method, recorded_by, created_at) values (%s, 5, 'cash', %s, '2001-01-01')",
            [manager.profile_id, UUID(int=7)],
        )
    row = till.db.execute("select recorded_by, created_at > '2002-01-01' from public.payments").fetchone()
    assert row == (manager.id, True)
