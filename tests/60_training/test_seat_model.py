"""Seats against a model of them: booked, held, moved, given back, made more and fewer, sessions cancelled, in any order.

`CLASSBASE_MODEL_EXAMPLES=500` looks further, along other ways each time.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, FlakyStrategyDefinition
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.support.calls import call, read_refusal
from tests.support.identity import User
from tests.support.server import Database
from tests.support.tracking import set_now
from tests.support.training import Training
from tests.support.world import World

EXAMPLES = int(os.environ.get("CLASSBASE_MODEL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 40,
    stateful_step_count=30,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NUMBERS = count(1)
SESSIONS, PEOPLE, SIZES = st.integers(0, 2), st.integers(0, 2), st.integers(1, 3)
PICKS = st.integers(0, 30)


@dataclass
class Booking:
    """A live booking: of whom (None for a guest), by whom (None for the owner), how many seats, where."""

    session: int
    seats: int
    who: int | None = None
    by: int | None = None


@dataclass
class Model:
    """Counts, and no rows of seats."""

    capacity: list[int] = field(default_factory=lambda: [3, 4, 5])
    cancelled: set[int] = field(default_factory=set)
    bookings: dict[UUID, Booking] = field(default_factory=dict)
    holds: dict[tuple[int, int], tuple[int, int]] = field(
        default_factory=dict
    )  # (who, session): seats left of it, until
    minute: int = 0

    def taken(self, session: int) -> int:
        return sum(booking.seats for booking in self.bookings.values() if booking.session == session)

    def held(self, session: int, but_by: int | None = None) -> int:
        return sum(
            seats for (who, where), (seats, until) in self.holds.items()
            if where == session and who != but_by and until > self.minute
        )  # fmt: skip

    def left(self, session: int, to: int | None = None) -> int:
        return self.capacity[session] - self.taken(session) - self.held(session, but_by=to)

    def use(self, who: int | None, session: int, seats: int) -> None:
        """Seats that somebody holds are the first they take."""
        if who is not None and (who, session) in self.holds:
            kept, until = self.holds[who, session]
            self.holds[who, session] = (max(0, kept - seats) if until > self.minute else 0, until)

    def has_booked(self, who: int | None, session: int) -> bool:
        return who is not None and any(b.who == who and b.session == session for b in self.bookings.values())


def machine(database: Database) -> type[RuleBasedStateMachine]:
    """The machine for one database, with new sessions for each run."""
    start = datetime(2027, 6, 7, 6, tzinfo=UTC)
    setup = database.connect()
    set_now(setup, start)
    training = Training(World(setup))
    people: list[User] = [training.world.user() for _ in range(3)]

    class Seats(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            set_now(setup, start)
            day = training.day + timedelta(days=next(NUMBERS) % 300)
            self.sessions = [
                training.session(seats, start_time=f"{10 + n}:00", session_date=day)
                for n, seats in enumerate((3, 4, 5))
            ]
            self.model = Model()

        def both(self, expected: str | None, statement: Any) -> list[Any]:
            """The database refuses what the model refuses, by the same code; what it answers otherwise."""
            answer: list[Any] = []
            said = None
            try:
                answer = statement()
            except psycopg.Error as error:
                said = read_refusal(error).code
            assert said == expected
            return answer

        def agree(self) -> None:
            for number, session in enumerate(self.sessions):
                assert training.taken(session) == self.model.taken(number)
                assert training.left(session) == self.model.left(number)
            assert training.broken() == []

        def refusal(self, session: int, seats: int, who: int | None, by: int | None) -> str | None:
            if session in self.model.cancelled:
                return "illegal_transition"
            if self.model.has_booked(who, session):
                return "duplicate"
            return "seats_full" if self.model.left(session, to=by) < seats else None

        @rule(session=SESSIONS, who=PEOPLE)
        def book_oneself(self, session: int, who: int) -> None:
            expected = self.refusal(session, 1, who, who)
            for row in self.both(expected, lambda: training.book(self.sessions[session], people[who])):
                self.model.use(who, session, 1)
                self.model.bookings[row["id"]] = Booking(session, 1, who, who)
            self.agree()

        @rule(session=SESSIONS, by=PEOPLE, size=SIZES)
        def book_guests(self, session: int, by: int, size: int) -> None:
            guests = json.dumps([{"name": f"Guest {next(NUMBERS)}"} for _ in range(size)])
            expected = self.refusal(session, size, None, by)
            rows = self.both(expected, lambda: training.book(self.sessions[session], people[by], p_attendees=guests))
            for row in rows:
                self.model.use(by, session, 1)
                self.model.bookings[row["id"]] = Booking(session, 1, None, by)
            self.agree()

        @rule(session=SESSIONS, size=SIZES)
        def insert(self, session: int, size: int) -> None:
            expected = self.refusal(session, size, None, None)
            for made in self.both(expected, lambda: [training.guest(self.sessions[session], seats=size)]):
                self.model.bookings[made] = Booking(session, size)
            self.agree()

        def pick(self, number: int) -> UUID | None:
            found = list(self.model.bookings)
            return found[number % len(found)] if found else None

        @rule(number=PICKS)
        def cancel(self, number: int) -> None:
            if (booking := self.pick(number)) is not None:
                self.both(None, lambda: call(setup, None, "cancel_booking", p_booking_id=booking))
                del self.model.bookings[booking]
            self.agree()

        @rule(number=PICKS, to=SESSIONS)
        def transfer(self, number: int, to: int) -> None:
            if (booking := self.pick(number)) is None:
                return
            row = self.model.bookings[booking]
            expected = None if to == row.session else self.refusal(to, row.seats, row.who, row.by)
            self.both(
                expected,
                lambda: call(setup, None, "transfer_booking", p_booking_id=booking, p_to_session_id=self.sessions[to]),
            )
            if expected is None and to != row.session:
                self.model.use(row.by, to, row.seats)
                row.session = to
            self.agree()

        @rule(number=PICKS, size=SIZES)
        def resize(self, number: int, size: int) -> None:
            if (booking := self.pick(number)) is None:
                return
            row = self.model.bookings[booking]
            more = size - row.seats
            expected = "seats_full" if more > 0 and self.model.left(row.session, to=row.by) < more else None
            self.both(
                expected,
                lambda: [setup.execute("update public.session_bookings set seats = %s where id = %s", [size, booking])],
            )
            if expected is None:
                self.model.use(row.by, row.session, max(0, more))
                row.seats = size
            self.agree()

        @rule(session=SESSIONS, who=PEOPLE, size=SIZES, minutes=st.integers(1, 10))
        def hold(self, session: int, who: int, size: int, minutes: int) -> None:
            expected = "illegal_transition" if session in self.model.cancelled else None
            if expected is None and self.model.left(session, to=who) < size:
                expected = "seats_full"
            self.both(
                expected,
                lambda: call(
                    setup,
                    people[who],
                    "hold_seats",
                    p_session_id=self.sessions[session],
                    p_seats=size,
                    p_minutes=minutes,
                ),
            )
            if expected is None:
                self.model.holds[who, session] = (size, self.model.minute + minutes)
            self.agree()

        @rule(session=SESSIONS, who=PEOPLE)
        def release(self, session: int, who: int) -> None:
            self.both(None, lambda: call(setup, people[who], "release_seats", p_session_id=self.sessions[session]))
            self.model.holds.pop((who, session), None)
            self.agree()

        @rule(minutes=st.integers(1, 6))
        def wait(self, minutes: int) -> None:
            self.model.minute += minutes
            set_now(setup, start + timedelta(minutes=self.model.minute))
            self.agree()

        @rule(session=SESSIONS, seats=st.integers(1, 7))
        def change_capacity(self, session: int, seats: int) -> None:
            used = self.model.taken(session) + self.model.held(session)
            expected = "seats_full" if seats < used else None
            self.both(
                expected,
                lambda: [
                    setup.execute(
                        "update public.course_sessions set max_capacity = %s where id = %s",
                        [seats, self.sessions[session]],
                    )
                ],
            )
            if expected is None:
                self.model.capacity[session] = seats
            self.agree()

        @rule(session=SESSIONS, sure=st.integers(0, 3))
        def cancel_session(self, session: int, sure: int) -> None:
            if sure:  # seldom, or soon nothing would be left to book
                return
            expected = "illegal_transition" if session in self.model.cancelled else None
            self.both(
                expected, lambda: call(setup, None, "cancel_session", p_id=self.sessions[session], p_reason="Ill.")
            )
            self.model.cancelled.add(session)
            self.model.bookings = {key: row for key, row in self.model.bookings.items() if row.session != session}
            self.agree()

    return Seats


@pytest.mark.timeout(600)
def test_seats_are_what_the_model_says(database: Database) -> None:
    run_state_machine_as_test(machine(database), settings=SETTINGS)


# Guards as somebody might have left them out.
BROKEN = {
    "holds are for anybody": "create or replace function private.check_hold() returns trigger language plpgsql as $$ begin new.held_until := private.now() - interval '1 minute'; return new; end $$",
    "a capacity is only a number": "drop trigger t40_follow_capacity on public.course_sessions",
    "sessions are cancelled without their bookings": "drop trigger t45_cancel_bookings on public.course_sessions",
    "released seats stay held": "drop trigger t40_release_update on public.session_holds",
    "own holds are not used": "create or replace function private.skip_to_free_seats(p_session_id uuid, p_count integer, p_hold_ids uuid[]) returns integer[] language sql as $$ select array(select s.seat_no from public.session_seats s where s.session_id = p_session_id and s.booking_id is null and (s.held_until is null or s.held_until <= private.now()) order by 1 limit p_count for update) $$",
}


@pytest.mark.parametrize("damage", BROKEN)
@pytest.mark.timeout(600)
def test_the_model_notices(database: Database, damage: str) -> None:
    """A model that agrees with anything would prove nothing. What one run leaves broken makes the next fail sooner, which
    hypothesis calls flaky."""
    made = machine(database)
    database.connect().execute(BROKEN[damage].encode())
    # It stops as soon as it notices, so that looking long costs nothing.
    with pytest.raises((AssertionError, psycopg.Error, Flaky, FlakyStrategyDefinition)):
        run_state_machine_as_test(made, settings=settings(SETTINGS, max_examples=1000))
