"""Each check of the books: clean, a fault planted behind the triggers' back, found, mended where it can be, clean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from tests.support.server import Database
from tests.support.till import Till


@dataclass
class Books:
    """Two lots of one person, used, paused and given back; a payment for both, part of it refunded."""

    till: Till
    behind: psycopg.Connection[Any]
    one: UUID
    two: UUID
    payment: UUID
    refund: UUID
    failed: UUID

    def plant(self, statement: str) -> None:
        """Runs a statement as a restore does: no trigger fires, and no key refers to anything."""
        with self.behind.transaction():
            self.behind.execute("set local session_replication_role = replica")
            query = sql.SQL(statement).format(
                **{name: sql.Literal(value) for name, value in vars(self).items() if isinstance(value, UUID)}
            )
            assert self.behind.execute(query).rowcount > 0, "nothing was planted"

    def found(self) -> set[tuple[str, str]]:
        """Checks that find something, and about what."""
        return set(
            self.till.db.execute(
                "select check_name, entity_id from public.run_diagnostics(p_modules => '{35_payments}')"
            ).fetchall()
        )

    def mend(self) -> list[tuple[Any, ...]]:
        return self.till.db.execute(
            "select check_name, faults, fixed, remaining from public.apply_fixes(p_modules => '{35_payments}')"
        ).fetchall()

    def state(self) -> list[Any]:
        return [
            self.till.one("select jsonb_agg(to_jsonb(e) order by purchase_id, entry_no) from public.credit_entries e"),
            self.till.one(
                "select jsonb_agg(to_jsonb(p) - 'version' - 'updated_at' order by id) from public.package_purchases p"
            ),
        ]


@pytest.fixture
def books(database: Database) -> Books:
    till = Till(database)
    person, package, source = till.person("Bo"), till.package(name="Card"), uuid4()
    one, two = (till.sell(person, package, id=UUID(int=n), validity_days=30 * n) for n in (1, 2))
    for _ in range(3):
        till.use(person)
    till.use(person, source)
    till.give_back(source)
    for kind in ("paused", "resumed", "paused"):
        till.enter(two, kind, reason="Ill.")
    payment = till.pay(person, 150, items=[(one, 100), (two, 30)])
    refund = till.refund(payment, 40, items=[(one, 25)])
    failed = till.pay(person, 20, status="failed")
    return Books(till, database.connect(admin=True), one, two, payment, refund, failed)


def test_sound_books_have_no_findings(books: Books) -> None:
    assert books.found() == set()
    registered = books.till.db.execute("select name from public.integrity_checks where module = '35_payments'")
    assert {name for (name,) in registered} == {
        "package_credits_differ", "credits_used_wrongly", "payments_over_refunded", "payment_items_over_amount",
        "payments_for_nothing",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "lot"),
    [
        ("update public.credit_entries set balance_after = 3 where purchase_id = {one} and entry_no = 3", "one"),
        ("update public.credit_entries set balance_after = balance_after + 1 where purchase_id = {one} and entry_no > 2", "one"),
        ("update public.package_purchases set status = 'active', paused_on = null where id = {two}", "two"),
        ("update public.package_purchases set paused_on = paused_on - 1 where id = {two}", "two"),
        ("update public.package_purchases set expires_on = expires_on + 9 where id = {two}", "two"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_found_and_mended(books: Books, damage: str, lot: str) -> None:
    before = books.state()
    books.plant(damage)
    assert books.state() != before
    assert books.found() == {("package_credits_differ", str(getattr(books, lot)))}
    assert books.mend() == [("package_credits_differ", 1, 1, 0)]
    assert books.found() == set()
    assert books.state() == before
    # Who mended what is on record.
    assert books.till.one("select purchase_ids from private.credit_rebuilds") == [getattr(books, lot)]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("delete from public.credit_entries where purchase_id = {one} and entry_no = 3", "one may be missing"),
        ("delete from public.credit_entries where purchase_id = {one}", "one may be missing"),
        ("update public.package_purchases set credits = 11 where id = {one}", "10 credits were granted instead of 11"),
    ],
)  # fmt: skip
def test_where_something_is_missing_a_person_decides(books: Books, damage: str, said: str) -> None:
    books.plant(damage)
    before = books.state()[0]
    assert books.mend() == [("package_credits_differ", 1, 0, 1)]
    assert books.state()[0] == before
    [(_, message)] = books.till.findings()
    assert message.startswith("The Card of Bo: ")
    assert said in message


@pytest.mark.parametrize(
    ("damage", "entry"),
    [
        ("update public.credit_entries set occurs_on = occurs_on + 60 where purchase_id = {one} and entry_no = 2", 2),
        ("update public.credit_entries set occurs_on = occurs_on - 60 where purchase_id = {one} and entry_no = 3", 3),
        # Under another number, so that the key does not mind.
        ("update public.credit_entries e set use_no = 2, source_id = o.source_id from public.credit_entries o "
         "where (o.purchase_id, o.entry_no) = ({one}, 2) and (e.purchase_id, e.entry_no) = ({one}, 4)", 4),
    ],
)  # fmt: skip
def test_credits_used_wrongly_are_found(books: Books, damage: str, entry: int) -> None:
    books.plant(damage)
    assert books.found() == {("credits_used_wrongly", f"{books.one} {entry}")}


def test_a_credit_used_during_a_pause_is_found(books: Books) -> None:
    """The pause is over, and was made longer than it is."""
    for kind in ("paused", "resumed"):
        books.till.enter(books.one, kind, reason="Ill.")
    books.till.enter(books.one, "used", source_table="classes", source_id=uuid4())
    assert books.found() == set()
    books.plant(
        "update public.credit_entries set extends_days = 5, occurs_on = occurs_on + 3 where purchase_id = {one} and kind = 'resumed'"
    )
    books.plant("update public.package_purchases set expires_on = expires_on + 5 where id = {one}")
    last = books.till.one("select max(entry_no) from public.credit_entries where purchase_id = %s", books.one)
    assert books.found() == {("credits_used_wrongly", f"{books.one} {last}")}


def test_a_payment_given_back_twice_is_found(books: Books) -> None:
    books.plant("insert into public.refunds (payment_id, amount, reason) values ({payment}, 115, 'Again.')")
    assert books.found() == {
        ("payments_over_refunded", str(books.payment)), ("payment_items_over_amount", str(books.payment)),
    }  # fmt: skip


def test_a_failed_payment_given_back_is_found(books: Books) -> None:
    books.plant("insert into public.refunds (payment_id, amount, reason) values ({failed}, 5, 'Never came.')")
    assert books.found() == {("payments_over_refunded", str(books.failed))}


@pytest.mark.parametrize(
    ("damage", "entities"),
    [
        ("update public.payment_items set amount = 51 where source_id = {two}", {"{payment}"}),
        ("update public.refund_items set amount = 40; update public.payment_items set amount = 39 where source_id = {one}",
         {"{payment} package_purchases {one}"}),
        ("update public.refund_items set amount = 41", {"{refund}"}),
    ],
)  # fmt: skip
def test_lines_that_are_more_than_the_whole_are_found(books: Books, damage: str, entities: set[str]) -> None:
    for statement in damage.split("; "):
        books.plant(statement)
    expected = {entity.format(**vars(books)) for entity in entities}
    assert books.found() == {("payment_items_over_amount", entity) for entity in expected}


def test_a_payment_for_a_row_that_is_gone_is_found(books: Books) -> None:
    gone = uuid4()
    books.plant(f"update public.payment_items set source_id = '{gone}' where source_id = {{two}}")
    assert books.found() == {("payments_for_nothing", f"package_purchases {gone}")}
