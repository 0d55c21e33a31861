"""Reports and refunds at once: counted once, and never more given back than came in."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import read_refusal
from tests.support.ledger import Connection
from tests.support.rest import Rest
from tests.support.till import Till

REPORTS = 20


def without_locks(till: Till) -> None:
    """The sums are worked out, and nobody waits for whoever is about to change them."""
    for function in ("check_refund()", "check_refund_item()", "check_payment_item()"):
        till.rewrite(
            f"private.{function}", "where p.id = new.payment_id for no key update", "where p.id = new.payment_id"
        )


def test_a_payment_reported_twenty_times_at_once_counts_once(till: Till, rest: Rest) -> None:
    person = till.person()
    purchase = till.sell(person)
    body = {
        "p_payer_id": str(person), "p_amount": 100, "p_method": "card", "p_provider": "stripe",
        "p_provider_reference": "ch_1",
        "p_items": [{"source_table": "package_purchases", "source_id": str(purchase), "amount": 100}],
    }  # fmt: skip
    with ThreadPoolExecutor(REPORTS) as pool:
        answers = list(
            pool.map(
                lambda number: rest.post(
                    "/rpc/record_payment", {**body, "p_idempotency_key": f"event {number}"}, user="service_role"
                ),
                range(REPORTS),
            )
        )
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert {answer.json()[0]["id"] for answer in answers} == {str(till.one("select id from public.payments"))}
    assert till.db.execute("select * from public.outstanding_amounts()").fetchall() == []


def test_a_second_report_waits_for_the_first(till: Till) -> None:
    person = till.person()

    def report(by: Connection, amount: int = 100) -> None:
        by.execute(
            "select from public.record_payment(%s, %s, 'card', p_provider => 'stripe', p_provider_reference => 'ch_1')",
            [person, amount],
        )

    outcome = till.collide(report, lambda by: report(by, 99))
    assert (outcome.waited, outcome.code) == (True, "duplicate")
    till.db.execute("select from public.refund_payment((select id from public.payments), p_reason => 'Wrong.')")
    assert till.collide(report, report).code is None
    assert till.one("select count(*) from public.payments") == 1


def test_a_report_that_came_to_nothing_leaves_the_reference_free(till: Till) -> None:
    person = till.person()

    def report(by: Connection) -> None:
        by.execute(
            "select from public.record_payment(%s, 5, 'card', p_provider => 'stripe', p_provider_reference => 'ch_1')",
            [person],
        )

    [outcome] = till.pile_up(report, report, gives_up=True)
    assert (outcome.waited, outcome.code) == (True, None)
    assert till.one("select count(*) from public.payments") == 1


@pytest.mark.parametrize("door", ["function", "table"])
def test_many_refunds_at_once_give_back_what_there_is(till: Till, door: str) -> None:
    """Twenty give 30 of a line of 70 back, twenty 30 of nothing they name.

    Two fit the line. One fits the advance of 50, where it need not be said that it is of that: the function asks.
    """
    person = till.person()
    purchase = till.sell(person)
    payment = till.pay(person, 120, items=[(purchase, 70)])
    connections = [till.database.connect() for _ in range(2 * REPORTS)]

    def give(number: int) -> str:
        of_line = number % 2 == 0
        items = [(purchase, 30)] if of_line else []
        try:
            if door == "table":
                till.refund(payment, 30, by=connections[number], items=items)
            else:
                connections[number].execute(
                    "select from public.refund_payment(%s, 30, 'Asked.', %s)",
                    [payment, _lines(items) if of_line else None],
                )
        except psycopg.Error as error:
            return f"{of_line} {read_refusal(error).code}"
        return f"{of_line} done"

    with ThreadPoolExecutor(2 * REPORTS) as pool:
        told = Counter(pool.map(give, range(2 * REPORTS)))
    unnamed = {"False invalid_input": 20} if door == "function" else {"False done": 1, "False invalid_input": 19}
    assert told == {"True done": 2, "True limit_exceeded": 18, **unnamed}
    assert till.findings() == []


@pytest.mark.parametrize("guarded", [True, False])
def test_two_refunds_that_each_fit(till: Till, guarded: bool) -> None:
    person = till.person()
    purchase = till.sell(person)
    payment = till.pay(person, 100, items=[(purchase, 100)])
    if not guarded:
        without_locks(till)

    def give(by: Connection) -> None:
        till.refund(payment, 60, by=by, items=[(purchase, 60)])

    outcome = till.collide(give, give)
    assert (outcome.waited, outcome.code) == ((True, "limit_exceeded") if guarded else (False, None))
    found = {name for name, _ in till.findings()}
    assert found == (set() if guarded else {"payments_over_refunded", "payment_items_over_amount"})


@pytest.mark.parametrize(("first", "guarded"), [("refund", True), ("pay_for", True), ("pay_for", False)])
def test_an_advance_is_given_back_or_pays_for_something(till: Till, first: str, guarded: bool) -> None:
    person = till.person()
    purchase = till.sell(person)
    payment = till.pay(person, 100)
    if not guarded:
        without_locks(till)
    changes: dict[str, Any] = {
        "refund": lambda by: till.refund(payment, 60, by=by),
        "pay_for": lambda by: till.pay_for(payment, purchase, 60, by=by),
    }
    second = changes["pay_for" if first == "refund" else "refund"]
    outcome = till.collide(changes[first], second)
    assert outcome.waited == guarded
    if guarded:
        assert outcome.code == ("limit_exceeded" if first == "refund" else "invalid_input")
    assert {name for name, _ in till.findings()} == (set() if guarded else {"payment_items_over_amount"})


def test_what_is_being_paid_for_is_not_deleted_meanwhile(till: Till) -> None:
    """A table that people owe for, as a later module makes one."""
    _make_fees(till)
    person = till.person()
    for first, code in (("pay", "illegal_transition"), ("delete", "not_found")):
        fee = till.one("insert into public.fees (profile_id) values (%s) returning id", person)
        changes: dict[str, Any] = {
            "pay": lambda by, fee=fee: by.execute(
                "select from public.record_payment(%s, 5, 'cash', %s)",
                [person, Jsonb([{"source_table": "fees", "source_id": str(fee), "amount": 5}])],
            ),
            "delete": lambda by, fee=fee: by.execute("delete from public.fees where id = %s", [fee]),
        }
        second = changes["delete" if first == "pay" else "pay"]
        outcome = till.collide(changes[first], second)
        assert (outcome.waited, outcome.code) == (True, code)
    assert till.findings() == []


def test_the_currency_does_not_change_while_something_is_paid(till: Till) -> None:
    person = till.person()
    change = "update public.settings set value = '\"XAU\"' where key = 'currency'"
    outcome = till.collide(lambda by: till.pay(person, 5, by=by), lambda by: by.execute(change.encode()))
    assert (outcome.waited, outcome.code) == (True, "illegal_transition")


def test_a_payment_is_in_the_currency_that_was_set_meanwhile(till: Till) -> None:
    person = till.person()
    change = "update public.settings set value = '\"XAU\"' where key = 'currency'"
    outcome = till.collide(lambda by: by.execute(change.encode()), lambda by: till.pay(person, 5, by=by))
    # Its default was worked out before.
    assert (outcome.waited, outcome.code) == (True, "invalid_input")


def _make_fees(till: Till) -> None:
    till.weaken(
        "create table public.fees (id uuid primary key default gen_random_uuid(), profile_id uuid not null)",
        "create view private.fees_dues as select id as source_id, profile_id, 5.00 as amount, 'A fee' as title from public.fees",
        "select private.attach_dues('public.fees')",
    )


def _lines(items: list[tuple[UUID, int]]) -> Jsonb:
    return Jsonb([{"source_table": "package_purchases", "source_id": str(p), "amount": amount} for p, amount in items])
