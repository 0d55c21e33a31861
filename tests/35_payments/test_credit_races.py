"""Many connections want the same credits: no more are used than there are, nobody waits for ever."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.calls import read_refusal
from tests.support.ledger import Connection
from tests.support.till import Till
from tests.support.waiting import until_blocked

CONTENDERS = 50
CREDITS = 7
# What keeps two entries from following the same one: the locks, and beneath them the keys.
NO_LOCKS = (
    "create or replace function private.lock_credits_of(p_profile_id uuid) returns void language sql as 'select'",
)
NO_KEYS = (
    "alter table public.credit_entries drop constraint entry_follows_the_one_before",
    "alter table public.credit_entries drop constraint entry_has_one_balance",
    "alter table public.credit_entries drop constraint return_is_of_an_entry",
    "alter table public.credit_entries drop constraint credit_entries_pkey",
)


def without_locks(till: Till) -> None:
    till.weaken(*NO_LOCKS)
    till.rewrite(
        "private.check_credit_entry()", "where p.id = new.purchase_id for no key update", "where p.id = new.purchase_id"
    )
    till.rewrite("private.use_credit(uuid,uuid,date,text,uuid)", "for no key update", "")


def race(till: Till, person: UUID, purchase: UUID, rounds: int = 4) -> Counter[str]:
    """Everybody tries to use credits, half over the function and half over the plain table; how often who was told what."""
    start = threading.Barrier(CONTENDERS)
    told = Counter[str]()

    def contend(contender: int) -> None:
        connection = till.database.connect()
        start.wait()
        for _ in range(rounds):
            try:
                if contender % 2:
                    till.use(person, by=connection)
                else:
                    till.enter(purchase, "used", by=connection, source_table="classes", source_id=uuid4())
                told["used"] += 1
            except psycopg.Error as error:
                told[read_refusal(error).code if error.sqlstate == "PGRST" else error.sqlstate or ""] += 1

    with ThreadPoolExecutor(CONTENDERS) as pool:
        for done in [pool.submit(contend, number) for number in range(CONTENDERS)]:
            done.result()
    return told


def test_fifty_connections_use_what_is_there_and_no_more(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person, till.package(class_count=CREDITS))
    told = race(till, person, purchase)
    assert told == {"used": CREDITS, "limit_exceeded": 4 * CONTENDERS - CREDITS}
    assert till.entries(purchase) == [("granted", CREDITS), *(("used", left) for left in reversed(range(CREDITS)))]
    assert till.findings() == []


def test_without_locks_the_keys_still_keep_count(till: Till) -> None:
    """The last line of defence: less polite, never wrong."""
    without_locks(till)
    person = till.person()
    purchase = till.sell(person, till.package(class_count=CREDITS))
    told = race(till, person, purchase)
    assert told["23505"] > 0, "nobody raced"
    assert told["used"] == sum(kind == "used" for kind, _ in till.entries(purchase)) <= CREDITS
    assert till.findings() == []


def test_without_locks_and_keys_more_are_used_than_there_are(till: Till) -> None:
    without_locks(till)
    till.weaken(*NO_KEYS)
    person = till.person()
    purchase = till.sell(person, till.package(class_count=CREDITS))
    assert race(till, person, purchase)["used"] > CREDITS
    assert {name for name, _ in till.findings()} == {"package_credits_differ"}


def test_one_thing_uses_one_credit_however_many_ask_for_it(till: Till) -> None:
    """Twenty at once, over two lots, and each is told of the same credit."""
    person = till.person()
    for _ in range(2):
        till.sell(person)
    source = uuid4()
    connections = [till.database.connect() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        used = list(pool.map(lambda by: till.use(person, source, by=by), connections))
    assert len(set(used)) == 1
    assert till.one("select count(*) from public.credit_entries where kind = 'used'") == 1


def test_two_people_cannot_both_give_a_credit_for_one_thing(till: Till) -> None:
    """No lock is common to them: the key on the source decides."""
    first, second = till.person(), till.person()
    for person in (first, second):
        till.sell(person)
    source = uuid4()
    outcome = till.collide(lambda by: till.use(first, source, by=by), lambda by: till.use(second, source, by=by))
    assert (outcome.waited, outcome.code) == (True, "23505")
    assert till.attempt(lambda by: till.use(second, source, by=by)).code == "duplicate"


def test_the_same_credit_is_returned_once(till: Till) -> None:
    person = till.person()
    purchase = till.sell(person)
    source = uuid4()
    till.use(person, source)
    connections = [till.database.connect() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        kinds = Counter(pool.map(lambda by: till.give_back(source, by=by), connections))
    assert kinds == {"returned": 1, None: 19}
    assert till.left(purchase) == 10


@pytest.mark.parametrize("ending", ["paused", "refunded"])
def test_a_credit_is_not_used_once_the_package_is_ended_meanwhile(till: Till, ending: str) -> None:
    person = till.person()
    purchase = till.sell(person)
    columns = {"reason": "Moved.", **({"amount": 100} if ending == "refunded" else {})}
    outcome = till.collide(
        lambda by: till.enter(purchase, ending, by=by, **columns), lambda by: till.use(person, by=by)
    )
    assert (outcome.waited, outcome.code) == (True, "limit_exceeded")
    assert [kind for kind, _ in till.entries(purchase)] == ["granted", ending]


def test_a_refund_sees_the_credit_used_meanwhile(till: Till) -> None:
    """The share that is given back is that of the credits left when it is given back."""
    person = till.person()
    purchase = till.sell(person)
    outcome = till.collide(
        lambda by: till.use(person, by=by),
        lambda by: by.execute("select from public.refund_package(%s, 'Moved.')", [purchase]),
    )
    assert (outcome.waited, outcome.code) == (True, None)
    assert till.one("select amount from public.credit_entries where kind = 'refunded'") == 90


@pytest.mark.parametrize("guarded", [True, False])
def test_giving_back_and_using_again_waits_for_nobody_who_waits_for_it(till: Till, guarded: bool) -> None:
    """One gives a credit of the second lot back and then looks for one; the other has locked the first lot."""
    person, package = till.person(), till.package()
    source = uuid4()
    for number, days in ((1, 60), (2, 30)):
        till.sell(person, package, id=UUID(int=number), validity_days=days)
    assert till.use(person, source)[0] == UUID(int=2)
    if not guarded:
        till.weaken(*NO_LOCKS)
    first, second = (till.database.connect(autocommit=False) for _ in range(2))

    def use(by: Connection) -> None:
        till.use(person, by=by)
        by.commit()

    with ThreadPoolExecutor(1) as pool:
        till.give_back(source, by=first)
        other = pool.submit(use, second)
        until_blocked(till.db, second)
        errors: list[BaseException | None] = []
        try:
            use(first)
        except psycopg.Error as error:
            first.rollback()
            errors.append(error)
        errors.append(other.exception())
    assert any(isinstance(error, psycopg.errors.DeadlockDetected) for error in errors) == (not guarded)
    assert guarded == (errors == [None])
