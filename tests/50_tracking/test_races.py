"""Twenty at once: weekly runs while students, pauses, closures, classes and studio classes come, change and go."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.crowd import compete, crowd
from tests.support.server import Database
from tests.support.tracking import Tracking, slot
from tests.support.waiting import until_blocked

Connection = psycopg.Connection[Any]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
# Ours are refusals in words; the constraints of pauses and of one class a start are the last line of defence.
EXPECTED = {"", "time_conflict", "illegal_transition", "not_found", "limit_exceeded", "23P01", "23505", "in_progress"}
DOUBLED = """
select 'start', student_id::text, date::text from public.classes group by student_id, date, start_time having count(*) > 1
union all
select 'slot', slot_id::text, occurs_on::text from public.classes where slot_id is not null group by slot_id, occurs_on having count(*) > 1
union all
select 'student', a.student_id::text, a.date::text from public.classes a
join public.classes b on b.student_id = a.student_id and b.id < a.id and tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at)
where a.status in ('scheduled', 'completed', 'missed') and b.status in ('scheduled', 'completed', 'missed')
union all
select 'teacher', a.resource_id::text, a.occurs_on::text from public.claims a
join public.claims b on b.resource_id = a.resource_id and (b.source_id, b.occurs_on) < (a.source_id, a.occurs_on) and a.during && b.during
union all
select 'ledger', l.problem, l.title from private.ledger_difference() l
"""


class Town:
    """Three teachers, a dozen students who compete for them, and everything that may happen at once."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self.teachers = [tracking.world.user("instructor").profile_id for _ in range(3)]
        self.students: list[UUID] = [
            tracking.student(self.schedule(random.Random(n)), first_name=f"S{n}", teacher_id=self.teachers[n % 3]).id  # noqa: S311
            for n in range(12)
        ]

    def schedule(self, chance: random.Random) -> list[dict[str, Any]]:
        """Two weekly times on a grid so coarse that students meet."""
        return [slot(day, f"{chance.choice((9, 10, 11)):02}:00") for day in chance.sample(DAYS, 2)]

    def day(self, chance: random.Random) -> date:
        return self.tracking.day(chance.randint(1, 25))

    def weekly(self, by: Connection, chance: random.Random) -> None:
        by.execute("select public.generate_weekly_classes()")

    def missing(self, by: Connection, chance: random.Random) -> None:
        by.execute("select public.generate_missing_classes()")

    def insert(self, by: Connection, chance: random.Random) -> None:
        by.execute(
            "insert into public.students (first_name, start_date, teacher_id, time_zone, fixed_schedule) values ('New', %s, %s, 'UTC', %s)",
            [self.tracking.monday, chance.choice(self.teachers), Jsonb(self.schedule(chance))],
        )

    def change(self, by: Connection, chance: random.Random) -> None:
        by.execute("update public.students set fixed_schedule = %s where id = %s", [Jsonb(self.schedule(chance)), chance.choice(self.students)])  # fmt: skip

    def other_teacher(self, by: Connection, chance: random.Random) -> None:
        by.execute("update public.students set teacher_id = %s where id = %s", [chance.choice(self.teachers), chance.choice(self.students)])  # fmt: skip

    def leave(self, by: Connection, chance: random.Random) -> None:
        by.execute("update public.students set is_active = not is_active where id = %s", [chance.choice(self.students)])

    def pause(self, by: Connection, chance: random.Random) -> None:
        first = self.day(chance)
        by.execute("insert into public.student_pauses (student_id, starts_on, ends_on, reason) values (%s, %s, %s, 'Away.')", [chance.choice(self.students), first, first + timedelta(3)])  # fmt: skip

    def unpause(self, by: Connection, chance: random.Random) -> None:
        by.execute("delete from public.student_pauses where student_id = %s", [chance.choice(self.students)])

    def close(self, by: Connection, chance: random.Random) -> None:
        day = self.day(chance)
        by.execute("insert into public.closures (name, starts_on, ends_on) values ('Closed', %s, %s)", [day, day])

    def open_again(self, by: Connection, chance: random.Random) -> None:
        by.execute("delete from public.closures where id = (select id from public.closures order by random() limit 1)")

    def a_class(self, by: Connection, status: str) -> UUID | None:
        row = by.execute("select id from public.classes where status = %s and starts_at > private.now() order by random() limit 1", [status]).fetchone()  # fmt: skip
        return None if row is None else row[0]

    def cancel(self, by: Connection, chance: random.Random) -> None:
        if found := self.a_class(by, "scheduled"):
            by.execute("select public.cancel_class(%s, 'Ill.')", [found])

    def move(self, by: Connection, chance: random.Random) -> None:
        if found := self.a_class(by, "scheduled"):
            by.execute("select public.reschedule_class(%s, %s, %s)", [found, self.day(chance), f"{chance.choice((9, 10, 11)):02}:30"])  # fmt: skip

    def make_up(self, by: Connection, chance: random.Random) -> None:
        if found := self.a_class(by, "cancelled"):
            by.execute("select public.book_makeup(%s, %s, %s)", [found, self.day(chance), f"{chance.choice((9, 10, 11)):02}:30"])  # fmt: skip

    def studio_class(self, by: Connection, chance: random.Random) -> None:
        by.execute(
            "insert into public.class_assignments (instructor_id, date, start_time, end_time, time_zone, payment_amount) values (%s, %s, %s, %s, 'UTC', 0)",
            [chance.choice(self.teachers), self.day(chance), *chance.choice([("09:30", "10:30"), ("10:00", "11:00"), ("11:30", "12:30")])],
        )  # fmt: skip

    def note(self, by: Connection, chance: random.Random) -> None:
        by.execute(
            "update public.classes set notes = 'x' where id = (select id from public.classes order by random() limit 1)"
        )

    HAPPENINGS = (
        "weekly", "weekly", "missing", "insert", "change", "change", "other_teacher", "leave", "pause", "unpause", "close",
        "open_again", "cancel", "move", "make_up", "studio_class", "note",
    )  # fmt: skip

    def anything(self, by: Connection, chance: random.Random) -> None:
        getattr(self, chance.choice(self.HAPPENINGS))(by, chance)

    def in_order(self) -> None:
        """Nothing is doubled; what is missing is explained by who is taken; a last run, and another, have nothing to do."""
        db = self.tracking.db
        assert db.execute(DOUBLED).fetchall() == []
        self.tracking.run()
        before = self.tracking.bytes()
        assert self.tracking.run().classes_created == 0
        assert self.tracking.bytes() == before
        db.execute("select public.generate_missing_classes()")
        unexplained = db.execute(
            "select m.student_id, m.occurs_on, m.start_time from private.missing_classes() m where not exists ("
            " select from public.claims c where c.resource_id = m.teacher_id and c.during && tstzrange(m.starts_at, m.ends_at)"
            ") and not exists ("
            " select from public.classes c where c.student_id = m.student_id and c.status in ('scheduled', 'completed', 'missed')"
            " and tstzrange(c.starts_at, c.ends_at) && tstzrange(m.starts_at, m.ends_at))"
        ).fetchall()
        assert unexplained == []
        assert db.execute("select * from private.check_classes_promised_no_more()").fetchall() == []
        assert db.execute(DOUBLED).fetchall() == []


@pytest.fixture
def town(tracking: Tracking) -> Town:
    return Town(tracking)


@pytest.mark.timeout(600)
def test_everything_at_once(town: Town, database: Database) -> None:
    said = compete(database, 20, town.anything, times=15)
    assert set(said) <= EXPECTED, said
    assert said[""] > 100
    town.in_order()


def test_twenty_runs_are_one(town: Town, database: Database) -> None:
    town.tracking.later(days=21)
    assert crowd(database, 20, lambda by, _: by.execute("select public.generate_weekly_classes()")) == Counter(done=20)
    runs = town.tracking.db.execute(
        "select classes_created from public.class_generation_logs where student_id is null order by classes_created desc"
    ).fetchall()
    assert len(runs) == 20
    assert runs[0][0] > 0
    assert {count for (count,) in runs[1:]} == {0}
    town.in_order()


def test_twenty_students_at_once_for_one_teacher(tracking: Tracking, database: Database) -> None:
    """One gets each hour; the others are told, and miss it."""

    def add(by: Connection, number: int) -> None:
        by.execute(
            "insert into public.students (first_name, start_date, teacher_id, time_zone, fixed_schedule) values (%s, %s, %s, 'UTC', %s)",
            [f"S{number}", tracking.monday, tracking.teacher.profile_id, Jsonb([slot("monday", "10:00"), slot("friday", "10:00")])],
        )  # fmt: skip

    assert crowd(database, 20, add) == Counter(done=20)
    assert tracking.one("select count(*) from public.classes") == 8
    assert tracking.one("select count(*) from public.class_generation_logs where status = 'partial'") == 19
    assert len(tracking.missing()) == 19
    assert tracking.db.execute(DOUBLED).fetchall() == []


def test_bad_data_and_others_at_work(town: Town, database: Database) -> None:
    """A run that goes on in parts waits for nobody who waits for it."""
    db = town.tracking.db
    db.execute("alter table public.students drop constraint class_price_is_an_amount")
    db.execute("alter table public.students disable trigger user")
    db.execute("update public.students set class_price = -5 where first_name in ('S3', 'S8')")
    db.execute("alter table public.students enable trigger user")
    town.tracking.later(days=14)
    happenings = ("weekly", "cancel", "move", "make_up", "studio_class", "pause", "unpause")
    said = compete(database, 12, lambda by, chance: getattr(town, chance.choice(happenings))(by, chance), times=10)
    assert set(said) <= EXPECTED | {"23514"}, said
    assert db.execute(DOUBLED).fetchall() == []


def test_a_bulk_change_and_a_run(town: Town, database: Database) -> None:
    """Somebody changes all students in no order at all while generation locks them in its own."""

    def work(by: Connection, chance: random.Random) -> None:
        if chance.random() < 0.5:
            by.execute("select public.generate_weekly_classes()")
        else:
            by.execute("update public.students set notes = notes where teacher_id = %s", [chance.choice(town.teachers)])

    assert set(compete(database, 8, work, times=10)) == {""}
    town.in_order()


def test_a_class_that_is_being_cancelled_is_not_taken_away(town: Town, database: Database) -> None:
    """Seen to wait: a schedule that goes, while somebody has a class of it in hand."""
    tracking, student = town.tracking, town.students[0]
    chosen = [row for row in tracking.classes(student) if row.starts_at > tracking.now][-1]
    with ThreadPoolExecutor(1) as pool, database.connect() as first, database.connect() as second:
        with first.transaction():
            first.execute("select public.cancel_class(%s, 'Ill.')", [chosen.id])
            going = pool.submit(
                second.execute, "update public.students set fixed_schedule = '[]' where id = %s", [student]
            )
            until_blocked(database.connect(admin=True), second)
        going.result()
    assert [row.status for row in tracking.classes(student)] == ["cancelled"]
    town.in_order()


def test_paid_classes_are_moved_while_their_money_goes_back(tracking: Tracking, database: Database) -> None:
    payer = tracking.world.user("member").profile_id
    student = tracking.student([slot("monday", "10:00"), slot("friday", "10:00")], profile_id=payer).id
    for row in tracking.classes(student):
        tracking.db.execute(
            "select public.record_payment(%s, 40, 'cash', %s)",
            [payer, Jsonb([{"source_table": "classes", "source_id": str(row.id), "amount": 40}])],
        )

    def work(by: Connection, chance: random.Random) -> None:
        found = by.execute(
            "select c.id, i.payment_id from public.classes c join public.payment_items i on i.source_id = c.id "
            "where c.status = 'scheduled' order by random() limit 1"
        ).fetchone()
        assert found is not None
        if chance.random() < 0.5:
            day = tracking.day(chance.randint(1, 25))
            by.execute("select public.reschedule_class(%s, %s, '15:00')", [found[0], day])
        else:
            lines = Jsonb([{"source_table": "classes", "source_id": str(found[0]), "amount": 1}])
            by.execute("select public.refund_payment(%s, 1, 'Asked.', %s)", [found[1], lines])

    said = compete(database, 12, work, times=10)
    assert set(said) <= {"", "time_conflict", "illegal_transition", "not_found", "limit_exceeded"}, said
    assert said[""] > 30
    assert tracking.one("select sum(amount) from public.payment_items") == 320
    assert tracking.db.execute("select * from private.check_class_payments_differ()").fetchall() == []
    assert tracking.db.execute(DOUBLED).fetchall() == []
