"""Seats: booking against the barest transaction that counts, and against a lock around looking first; a calendar.

Sixteen clients of pgbench at once, each with its connection, on the same server and in turns. Connecting is not
counted. What the bare variants do is in `_OTHERS`: two plain tables, no rule, no trigger, no foreign key. A booking of
ours is checked field by field, refused where the session cannot be booked or the person has booked already, owns a seat
row by foreign key, is counted again at its end, is written into the audit trail, and is told to the change feed four
times (two events, on the session's topic and on the course's), which wakes listeners.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from bench.support import Ratio, crowd, say, side_by_side, sign_in
from tests.support.identity import User
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

CLIENTS, SESSIONS = 16, 400  # sessions that bookings are spread over
CALENDAR = 50_000

# What others do: a counter that is not to be exceeded; or a lock, a look, and an insert. Without any rule.
_OTHERS = """
create table public.bare_sessions (id uuid primary key, capacity integer not null, booked integer not null default 0);
create table public.bare_bookings (
  id uuid primary key default gen_random_uuid(), session_id uuid not null, name text, email text,
  booked_at timestamptz default now()
);
create table public.locked_bookings (like public.bare_bookings including all);
create index on public.locked_bookings (session_id);
grant all on public.bare_sessions, public.bare_bookings, public.locked_bookings to authenticated;
create function public.book_with_lock(p_session_id uuid, p_email text) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended(p_session_id::text, 0));
  if (select count(*) from public.locked_bookings b where b.session_id = p_session_id)
    >= (select s.capacity from public.bare_sessions s where s.id = p_session_id) then
    raise exception 'full';
  end if;
  insert into public.locked_bookings (session_id, name, email) values (p_session_id, 'Guest', p_email);
end $$;
grant execute on function public.book_with_lock to authenticated;
"""
# The same rules with another keeper of the seats: sorted locks, and a look at what is taken and held.
_LOCKS_FOR_SEATS = """
drop trigger t50_take_seats_insert on public.session_bookings;
drop trigger t60_owns_its_seats on public.session_bookings;
create function private.count_under_lock() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  v_session record;
begin
  perform pg_advisory_xact_lock(l.key)
  from (select distinct hashtextextended(n.session_id::text, 0) as key from new_rows n where n.is_live order by key) l;
  for v_session in
    select s.status, s.starts_at, s.max_capacity, c.is_repeatable,
      (select sum(b.seats) from public.session_bookings b where b.session_id = s.id and b.is_live) as taken,
      (
        select coalesce(sum(h.seats), 0) from public.session_holds h
        where h.session_id = s.id and h.released_at is null and h.held_until > private.now()
      ) as held,
      exists (select from public.course_prerequisites p where p.course_id = c.id) as asks_who
    from public.course_sessions s
    join public.courses c on c.id = s.course_id
    where s.id in (select n.session_id from new_rows n)
  loop
    if v_session.status <> 'scheduled' or v_session.starts_at <= private.now() or v_session.asks_who
      or not v_session.is_repeatable or v_session.taken + v_session.held > v_session.max_capacity then
      raise exception 'full, or not to be booked';
    end if;
  end loop;
  return null;
end $$;
create trigger t50_count_under_lock after insert on public.session_bookings
  referencing new table as new_rows for each statement execute function private.count_under_lock();
"""
_HEAD = "\\set r random(1, 1000000000000)\n\\set n random({first}, {last})\n"
_SESSION = "lpad(to_hex(:n::integer), 32, '0')::uuid"
_EMAIL = "'g' || :r || '@example.org'"
_OURS = (
    f"select id from public.book_session({_SESSION}, "
    f"jsonb_build_array(jsonb_build_object('name', 'Guest', 'email', {_EMAIL})));"
)
_PLAIN = (
    "insert into public.session_bookings (session_id, attendee_name, attendee_email) "
    f"values ({_SESSION}, 'Guest', {_EMAIL});"
)
# One statement, one way to the server and back: as little as it can be.
_BARE = (
    "with taken as (update public.bare_sessions set booked = booked + 1 "
    f"where id = {_SESSION} and booked < capacity returning id) "
    f"insert into public.bare_bookings (session_id, name, email) select id, 'Guest', {_EMAIL} from taken;"
)
# The same as a program writes it.
_BARE_TRANSACTION = (
    f"begin;\nupdate public.bare_sessions set booked = booked + 1 where id = {_SESSION} and booked < capacity;\n"
    f"insert into public.bare_bookings (session_id, name, email) values ({_SESSION}, 'Guest', {_EMAIL});\ncommit;"
)
_LOCKED = f"select public.book_with_lock({_SESSION}, {_EMAIL});"

_CALENDAR_FILL = """
insert into public.course_sessions (course_id, session_date, start_time, time_zone, max_capacity)
select (select id from public.courses limit 1), private.today() + (g / 137),
  time '06:00' + make_interval(mins => g %% 137 * 5), 'UTC', 12
from generate_series(1, %s) g
"""
_CALENDAR_SCAN = """
select s.id, count(q.session_id) from public.course_sessions s
left join public.session_seats q on q.session_id = s.id and q.booking_id is null
where s.session_date between %s and %s group by s.id
"""


class House:
    """A database with a course, and sessions of ours and of the others under the same numbers."""

    def __init__(self, server: TestServer, more: str = "") -> None:
        self.server = server
        self.database: Database = server.create_database(TEMPLATE)
        self.db: psycopg.Connection[Any] = self.database.connect()
        world = World(self.db)
        self.user: User = world.user("member")
        self.course = world.insert("public.courses", code="AID", title="First aid", duration_minutes=1, price=10).id
        self.db.execute("update public.settings set value = '10000' where key = 'session_capacity_max'")
        self.db.execute((_OTHERS + more).encode())
        self.last = 0

    def sessions(self, count: int, capacity: int) -> tuple[int, int]:
        """Makes so many sessions, and the others' as well; their first and last number."""
        first, self.last = self.last + 1, self.last + count
        self.db.execute(
            "insert into public.course_sessions (id, course_id, session_date, start_time, max_capacity) "
            "select lpad(to_hex(g), 32, '0')::uuid, %s, private.today() + 1 + g %% 300, '10:00', %s "
            "from generate_series(%s::int, %s::int) g",
            [self.course, capacity, first, self.last],
        )
        self.db.execute(
            "insert into public.bare_sessions (id, capacity) select lpad(to_hex(g), 32, '0')::uuid, %s "
            "from generate_series(%s::int, %s::int) g",
            [capacity, first, self.last],
        )
        self.db.execute("analyze public.course_sessions, public.session_seats, public.bare_sessions")
        return first, self.last

    def run(self, script: str, bookings: int, first: int, last: int) -> float:
        """Lets sixteen clients book so often each, one of the numbered sessions each time; milliseconds a booking."""
        claims = json.dumps(self.user.claims(), separators=(",", ":")).replace(" ", "\\ ")
        options = f"-c role=authenticated -c request.jwt.claims={claims}"
        return crowd(self.database, _HEAD.format(first=first, last=last) + script, CLIENTS, bookings, options)


def compare(
    house: House,
    what: str,
    subject: str,
    against: str,
    reference: str,
    *,
    hot: bool,
    target: float | None,
    bookings: int,
    elsewhere: House | None = None,
    rounds: int = 5,
) -> Ratio:
    """Both in turns, on new sessions each time; the first round only warms up. The reference may run `elsewhere`."""
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(rounds + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            at = (house, elsewhere or house)[side]
            span = at.sessions(1, CLIENTS * bookings) if hot else at.sessions(SESSIONS, 60)
            took = at.run((subject, reference)[side], bookings, *span)
            if number > 0:
                (mine, theirs)[side].append(took)
    return Ratio(
        what, against, statistics.median(mine), statistics.median(theirs),
        statistics.median(a / b for a, b in zip(mine, theirs, strict=True)), target,
    )  # fmt: skip


def booking(server: TestServer) -> Iterator[Ratio]:
    """A booking with all its rules. Half the throughput is twice the time."""
    house, with_locks = House(server), House(server, _LOCKS_FOR_SEATS)
    for hot, where, target in ((True, "one hot session", 1.0), (False, f"{SESSIONS} sessions", 2.0)):
        for what, subject in (("book_session", _OURS), ("plain INSERT", _PLAIN)):
            for against, reference, its_target in (
                ("conditional UPDATE + INSERT, a transaction", _BARE_TRANSACTION, target),
                ("the same in one statement", _BARE, None),
                ("advisory lock, count, INSERT, in a function", _LOCKED, 1.0),
            ):
                if what == "book_session" or reference is _BARE_TRANSACTION:
                    # Counting takes the longer the more there are to be counted.
                    bookings = 50 if hot and reference is _LOCKED else 200
                    yield compare(
                        house,
                        f"{what}, {where}",
                        subject,
                        against,
                        reference,
                        hot=hot,
                        target=its_target,
                        bookings=bookings,
                    )
        yield compare(
            house,
            f"book_session, {where}",
            _OURS,
            "the same, seats kept by lock and count",
            _OURS,
            hot=hot,
            target=1.0,
            bookings=50 if hot else 200,
            elsewhere=with_locks,
        )
    house.db.close()
    with_locks.db.close()


def calendar(server: TestServer) -> Iterator[Ratio]:
    """Thirty days among 50,000 sessions of 12 seats, as somebody who is not signed in."""
    database = server.create_database(TEMPLATE)
    db = database.connect()
    world = World(db)
    world.insert("public.courses", code="AID", title="First aid", duration_minutes=5, price=10)
    say(f"Making {CALENDAR:,} sessions …")
    db.execute(_CALENDAR_FILL, [CALENDAR])
    db.execute("vacuum analyze")
    since = db.execute("select private.today() + 60").fetchone()[0]  # type: ignore[index]
    until = db.execute("select private.today() + 89").fetchone()[0]  # type: ignore[index]
    visitor = database.connect()
    visitor.execute("set role anon")

    def ask() -> None:
        visitor.execute("select * from public.calendar_availability(%s, %s)", [since, until], prepare=True).fetchall()

    def scan() -> None:
        db.execute(_CALENDAR_SCAN, [since, until], prepare=True).fetchall()

    count = len(db.execute("select from public.calendar_availability(%s, %s)", [since, until]).fetchall())
    yield side_by_side(
        f"calendar_availability: {count:,} of {CALENDAR:,} sessions",
        ask,
        "plain scan of sessions and their seats",
        scan,
        rounds=15,
    )
    first = db.execute("select id from public.course_sessions limit 1").fetchone()[0]  # type: ignore[index]
    member = sign_in(database.connect(), world.user("member"))
    yield side_by_side(
        "seats_left of one session, as a column",
        lambda: member.execute(
            "select s.id, s.seats_left from public.course_sessions s where s.id = %s", [first], prepare=True
        ),
        "reading the session",
        lambda: member.execute("select s.id from public.course_sessions s where s.id = %s", [first], prepare=True),
        rounds=50,
    )
    db.close()


MEASURES: tuple[Callable[[TestServer], Iterator[Ratio]], ...] = (booking, calendar)


def run(server: TestServer) -> Iterator[Ratio]:
    """All of them."""
    for measure in MEASURES:
        yield from measure(server)
