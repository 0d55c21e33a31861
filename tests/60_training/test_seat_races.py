"""Many callers, few seats: through REST, the function and plain INSERT; alone, in groups, with retries, while others hold,
move, cancel and change the capacity. Every seat is owned once, nobody hangs, and nobody deadlocks.

`scripts/race_for_seats.py` runs the first of these with 500 callers, a hundred times.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.calls import read_refusal
from tests.support.crowd import Connection, compete, crowd
from tests.support.identity import User, as_user
from tests.support.rest import Rest
from tests.support.seat_race import race_over_rest
from tests.support.server import Database
from tests.support.training import Training
from tests.support.waiting import until_blocked

# What may be said when many want the same; never a deadlock (40P01), a serialization failure or a time-out.
EXPECTED = {"", "seats_full", "in_progress", "illegal_transition", "duplicate", "23505", "stale_version", "not_found"}


def test_twelve_seats_and_sixty_callers_over_rest(training: Training, rest: Rest) -> None:
    for said in race_over_rest(training, rest, callers=60, rounds=5):
        assert said == Counter({"": 12, "seats_full": 48})
    assert training.broken() == []


def test_repeated_keys_and_retries_book_once(training: Training, rest: Rest) -> None:
    """Each of thirty callers asks three times with one key, in any order."""
    for said in race_over_rest(training, rest, callers=30, rounds=3, retries=3):
        # Whoever was told "in_progress" asked while the first was running; the same key never gets two seats.
        assert set(said) <= {"", "seats_full", "in_progress"}
        assert said[""] >= 12
    assert training.broken() == []
    assert training.one("select count(*) from public.session_bookings") == 3 * 12


@pytest.mark.parametrize("seats", [12, 7])
def test_plain_inserts_as_the_owner(training: Training, database: Database, seats: int) -> None:
    """Often, over connections that are there: whoever locks a seat that was taken a moment ago must not wait with it."""
    connections = [database.connect() for _ in range(40)]
    for _ in range(25):
        session, start = training.session(seats), threading.Barrier(40)

        def run(number: int, session: UUID = session, start: threading.Barrier = start) -> str:
            start.wait()
            try:
                insert(connections[number], session, f"G{number}")
            except psycopg.Error as error:
                return read_refusal(error).code
            return "done"

        with ThreadPoolExecutor(40) as pool:
            assert Counter(pool.map(run, range(40))) == Counter(done=seats, seats_full=40 - seats)
    assert training.broken() == []


def insert(by: Connection, session: UUID, name: str, seats: int = 1) -> None:
    by.execute(
        "insert into public.session_bookings (session_id, attendee_name, seats) values (%s, %s, %s)",
        [session, name, seats],
    )


def test_without_seat_rows_the_same_race_oversells(training: Training, database: Database) -> None:
    """The race is real: whoever only looks first, as many systems do, sells more than there are."""
    training.db.execute(
        "create table public.naive (session_id uuid, name text); "
        "create function public.naive_book(p_session uuid, p_name text) returns void language plpgsql as $$ begin "
        "if (select count(*) from public.naive n where n.session_id = p_session) >= 12 then raise sqlstate 'CB002'; end if; "
        "perform pg_sleep(0.005); insert into public.naive values (p_session, p_name); end $$"
    )
    sold = []
    for _ in range(5):
        session = training.session()
        crowd(database, 40, lambda by, n, s=session: by.execute("select public.naive_book(%s, %s)", [s, f"G{n}"]))  # type: ignore[misc]
        sold.append(training.one("select count(*) from public.naive where session_id = %s", session))
        training.db.execute("delete from public.course_sessions where id = %s", [session])
    assert max(sold) > 12


def test_groups_are_all_or_none(training: Training, database: Database) -> None:
    for round_ in range(4):
        session = training.session(start_time=f"{8 + round_:02}:00")

        def book(by: Connection, number: int, session: UUID = session) -> None:
            size = 1 + number % 4
            people = json.dumps([{"name": f"{number} {n}"} for n in range(size)])
            by.execute("select public.book_session(%s, %s)", [session, people])

        said = crowd(database, 24, book)
        assert set(said) <= {"done", "seats_full"}
        groups = training.db.execute(
            "select split_part(attendee_name, ' ', 1)::int %% 4 + 1, count(*) from public.session_bookings "
            "where session_id = %s group by split_part(attendee_name, ' ', 1)",
            [session],
        ).fetchall()
        assert all(size == booked for size, booked in groups)
        assert training.taken(session) >= 9, "as many as fit: a group of four may find three left"
    assert training.broken() == []


class Week:
    """Four sessions, and all that may happen to them at once."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.sessions = [training.session(6, start_time=f"{10 + n}:00") for n in range(4)]
        self.people: list[User] = [training.world.user() for _ in range(12)]

    def any_booking(self, by: Connection) -> UUID | None:
        row = by.execute(
            "select id from public.session_bookings where status = 'confirmed' order by random() limit 1"
        ).fetchone()
        return None if row is None else row[0]

    def group(self, by: Connection, chance: random.Random) -> None:
        people = [{"name": f"G{chance.random()}"} for _ in range(chance.randint(1, 4))]
        by.execute("select public.book_session(%s, %s)", [chance.choice(self.sessions), json.dumps(people)])

    def oneself(self, by: Connection, chance: random.Random) -> None:
        session = chance.choice(self.sessions)
        with as_user(by, chance.choice(self.people)):
            by.execute(
                "select public.book_session(%s, p_idempotency_key => %s)",
                [session, f"{session} {chance.randint(1, 10)}"],
            )

    def plain(self, by: Connection, chance: random.Random) -> None:
        insert(by, chance.choice(self.sessions), "Plain", chance.randint(1, 2))

    def several(self, by: Connection, chance: random.Random) -> None:
        """Two statements in one transaction, the sessions in no order."""
        with by.transaction():
            for session in chance.sample(self.sessions, 2):
                insert(by, session, "Several")

    def many(self, by: Connection, chance: random.Random) -> None:
        by.execute(
            "insert into public.session_bookings (session_id, attendee_name) select u, 'Many' from unnest(%s::uuid[]) u",
            [chance.sample(self.sessions, 3)],
        )

    def hold(self, by: Connection, chance: random.Random) -> None:
        with as_user(by, chance.choice(self.people)):
            by.execute("select public.hold_seats(%s, %s)", [chance.choice(self.sessions), chance.randint(1, 2)])

    def release(self, by: Connection, chance: random.Random) -> None:
        with as_user(by, chance.choice(self.people)):
            by.execute("select public.release_seats(%s)", [chance.choice(self.sessions)])

    def cancel(self, by: Connection, chance: random.Random) -> None:
        if found := self.any_booking(by):
            by.execute("select public.cancel_booking(%s)", [found])

    def cancel_plainly(self, by: Connection, chance: random.Random) -> None:
        if found := self.any_booking(by):
            by.execute("update public.session_bookings set status = 'cancelled' where id = %s", [found])

    def transfer(self, by: Connection, chance: random.Random) -> None:
        if found := self.any_booking(by):
            by.execute("select public.transfer_booking(%s, %s)", [found, chance.choice(self.sessions)])

    def move_plainly(self, by: Connection, chance: random.Random) -> None:
        if found := self.any_booking(by):
            by.execute(
                "update public.session_bookings set session_id = %s where id = %s",
                [chance.choice(self.sessions), found],
            )

    def grow(self, by: Connection, chance: random.Random) -> None:
        if found := self.any_booking(by):
            by.execute("update public.session_bookings set seats = %s where id = %s", [chance.randint(1, 3), found])

    def capacity(self, by: Connection, chance: random.Random) -> None:
        by.execute(
            "update public.course_sessions set max_capacity = %s where id = %s",
            [chance.randint(4, 8), chance.choice(self.sessions)],
        )

    def cancel_session(self, by: Connection, chance: random.Random) -> None:
        """And another one in its place, so that there is something to book."""
        if chance.random() < 0.3:
            gone = chance.choice(self.sessions)
            by.execute("select public.cancel_session(%s, 'Ill.')", [gone])
            made = by.execute(
                "insert into public.course_sessions (course_id, session_date, start_time, max_capacity, min_bookings) "
                "values (%s, %s, '18:00', 6, 3) returning id",
                [self.training.course, self.training.day],
            ).fetchone()
            assert made is not None
            self.sessions[self.sessions.index(gone) if gone in self.sessions else 0] = made[0]

    HAPPENINGS = (
        "group", "group", "oneself", "oneself", "plain", "plain", "several", "many", "hold", "release", "cancel", "cancel",
        "cancel_plainly", "transfer", "transfer", "move_plainly", "grow", "capacity", "cancel_session",
    )  # fmt: skip

    def anything(self, by: Connection, chance: random.Random) -> None:
        getattr(self, chance.choice(self.HAPPENINGS))(by, chance)


@pytest.mark.timeout(300)
def test_everything_at_once(training: Training, database: Database) -> None:
    week = Week(training)
    said = compete(database, 16, week.anything, times=30)
    assert set(said) <= EXPECTED, said
    assert said[""] > 100
    assert training.broken() == []


def blocked(
    database: Database,
    training: Training,
    first: Callable[[Connection], Any],
    second: Callable[[Connection], Any],
    *,
    commits: bool = True,
) -> str:
    """`first` in an open transaction; `second` is seen to wait for it; what `second` is told once the first has ended."""
    one, other = database.connect(autocommit=False), database.connect()
    first(one)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(second, other)
        until_blocked(training.db, other)
        one.commit() if commits else one.rollback()
        try:
            answer.result(timeout=60)
        except psycopg.Error as error:
            return read_refusal(error).code
    return "done"


@pytest.mark.parametrize(("commits", "told"), [(True, "seats_full"), (False, "done")])
def test_the_last_seat_is_waited_for(training: Training, database: Database, commits: bool, told: str) -> None:
    """Whoever finds it taken by somebody who has not committed waits to hear what becomes of it."""
    session = training.session(1)
    assert (
        blocked(
            database,
            training,
            lambda by: insert(by, session, "A"),
            lambda by: insert(by, session, "B"),
            commits=commits,
        )
        == told
    )
    assert training.taken(session) == 1
    assert training.broken() == []


def test_a_full_session_makes_nobody_wait(training: Training, database: Database) -> None:
    """Not even while its last booking is being cancelled: what is not free yet is taken."""
    session = training.session(1)
    booking = training.guest(session)
    one = database.connect(autocommit=False)
    one.execute("update public.session_bookings set status = 'cancelled' where id = %s", [booking])
    with pytest.raises(psycopg.Error) as caught:
        training.guest(session)
    assert read_refusal(caught.value).code == "seats_full"
    one.rollback()


def cancel_session(by: Connection, session: UUID) -> None:
    by.execute("select public.cancel_session(%s, 'Ill.')", [session])


def test_cancelling_waits_for_who_is_booking_and_cancels_them(training: Training, database: Database) -> None:
    session = training.session(3)
    training.guest(session)
    assert (
        blocked(database, training, lambda by: insert(by, session, "B"), lambda by: cancel_session(by, session))
        == "done"
    )
    assert training.db.execute(
        "select distinct status, cancellation_reason from public.session_bookings"
    ).fetchall() == [("cancelled", "Ill.")]
    assert training.broken() == []


def test_whoever_books_while_it_is_cancelled_is_told(training: Training, database: Database) -> None:
    session = training.session(3)
    assert (
        blocked(database, training, lambda by: cancel_session(by, session), lambda by: insert(by, session, "B"))
        == "illegal_transition"
    )
    assert training.broken() == []


def test_a_booking_is_cancelled_while_its_session_is(training: Training, database: Database) -> None:
    """Either way round, nobody waits in a circle."""
    for first_is_session in (True, False):
        session = training.session(3, start_time="10:00" if first_is_session else "12:00")
        booking = training.guest(session)

        def cancel(by: Connection, booking: UUID = booking) -> None:
            by.execute("update public.session_bookings set status = 'cancelled' where id = %s", [booking])

        def whole(by: Connection, session: UUID = session) -> None:
            cancel_session(by, session)

        first, second = (whole, cancel) if first_is_session else (cancel, whole)
        # A booking that its session cancelled is as cancelled as its owner wanted.
        assert blocked(database, training, first, second) == "done"
    assert training.broken() == []


def test_a_lower_capacity_waits_for_who_is_booking(training: Training, database: Database) -> None:
    session = training.session(2)
    training.guest(session)

    def lower(by: Connection) -> None:
        by.execute("update public.course_sessions set max_capacity = 1 where id = %s", [session])

    assert blocked(database, training, lambda by: insert(by, session, "B"), lower) == "seats_full"
    assert training.one("select max_capacity from public.course_sessions where id = %s", session) == 2
    assert training.broken() == []


def test_two_sessions_of_a_course_that_is_taken_once(training: Training, database: Database) -> None:
    training.db.execute("update public.courses set is_repeatable = false")
    sessions = [training.session(start_time="10:00"), training.session(start_time="12:00")]
    who = training.world.user().profile_id

    def book(by: Connection, number: int) -> None:
        by.execute(
            "insert into public.session_bookings (session_id, profile_id) values (%s, %s)", [sessions[number % 2], who]
        )

    said = crowd(database, 10, book)
    assert said["done"] == 1
    assert set(said) <= {"done", "duplicate", "23505"}
    assert training.broken() == []


def test_two_swap_sessions_that_are_full(training: Training, database: Database) -> None:
    """Neither has a seat to go to, whoever is first; and nobody loses the one they have."""
    one, other = training.session(1), training.session(1, start_time="12:00")
    a, b = training.guest(one, "A"), training.guest(other, "B")
    barrier = threading.Barrier(2)

    def swap(by: Connection, number: int) -> None:
        barrier.wait()
        by.execute("select public.transfer_booking(%s, %s)", [(a, b)[number], (other, one)[number]])

    assert crowd(database, 2, swap) == Counter(seats_full=2)
    assert (training.taken(one), training.taken(other)) == (1, 1)
    assert training.broken() == []
