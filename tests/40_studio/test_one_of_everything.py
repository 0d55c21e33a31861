"""Whatever a studio's people do at the same moment: each is told something of ours, and nothing is left amiss."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.crowd import Connection, compete
from tests.support.ledger import Ledger
from tests.support.server import Database
from tests.support.studio import Studio

# What has to hold of bookings, links and dates, said in another way than the triggers say it.
FAULTS = """
select 'booking ' || b.status, b.booking_id
from public.bookings b
where b.status in ('pending', 'confirmed') and (b.status = 'confirmed') <> exists (
  select from public.assignment_bookings l join public.class_assignments a on a.id = l.assignment_id
  where l.booking_id = b.booking_id and a.class_status <> 'cancelled'
)
union all
select 'overfull', l.assignment_id::text
from public.assignment_bookings l
join public.class_assignments a on a.id = l.assignment_id and a.class_status <> 'cancelled'
join public.bookings b on b.booking_id = l.booking_id and b.status <> 'cancelled'
group by l.assignment_id
having count(*) > 2
union all
select 'date not taken', a.id::text
from public.class_assignments a
left join public.weekly_rule_exceptions e on e.rule_id = a.schedule_id and e.occurs_on = a.occurs_on and e.taken_by_id = a.id
where a.schedule_id is not null and a.class_status <> 'cancelled' and e.rule_id is null
union all
select 'date taken by nobody', e.occurs_on::text
from public.weekly_rule_exceptions e
left join public.class_assignments a on a.id = e.taken_by_id and a.class_status <> 'cancelled'
where e.taken_by_table = 'class_assignments' and a.id is null
union all
select 'rule differs', s.id::text
from public.class_schedules s
where not exists (
  select from public.weekly_rules r
  where r.id = s.id and r.start_time = s.start_time and r.weekday = s.day_of_week
    and r.effective = daterange(s.effective_from, s.effective_until, '[]')
)
union all
select 'credits', p.purchase_id::text from public.package_balances p where p.credits_left < 0
"""


@pytest.fixture(autouse=True)
def _deadlocks_are_found_at_once(database: Database) -> None:
    with database.connect(admin=True) as admin:
        admin.execute(f"alter database {database.name} set deadlock_timeout = '20ms'".encode())


def a_week_in_many_hands(studio: Studio) -> Callable[[Connection, random.Random], None]:
    """Each call does one of everything that can be done with two schedules' dates, a few classes and bookings."""
    db, teachers = studio.db, [studio.teacher.profile_id, studio.other.profile_id]
    db.execute("update public.class_types set max_participants = 2")
    schedules = [studio.schedule(1, f"{hour}:00", f"{hour + 1}:00", location_id=studio.room).id for hour in (10, 12)]
    bookings = [studio.booking().booking_id for _ in range(4)]
    customer = studio.world.user("member")
    package = studio.world.insert("public.packages", name="Ten", class_count=10).id
    db.execute("select public.purchase_package(%s, %s)", [customer.profile_id, package])
    bookings.append(studio.booking(customer, uses_credits=True, class_package_id=package).booking_id)
    dates = [studio.day(0), studio.day(7)]
    for hour in (15, 17):
        studio.assignment(0, f"{hour}:00", f"{hour + 1}:00")

    def act(by: Connection, chance: random.Random) -> None:
        schedule, day, teacher, booking = (chance.choice(of) for of in (schedules, dates, teachers, bookings))
        found = by.execute("select id, version from public.class_assignments order by random() limit 2").fetchall()
        if not found:
            return
        one, some = found[0], [row[0] for row in found]
        hour = chance.randrange(8, 18)
        hours = {"start_time": f"{hour:02}:00", "end_time": f"{hour + 1:02}:00"}
        new = {"instructor_id": str(teacher), "date": str(day), **hours, "class_type_id": str(studio.hatha)}
        from_schedule = {"schedule_id": str(schedule), "date": str(day), "assignment_temp_id": "a"}
        linked = [{"assignment_temp_id": "a", "booking_id": booking}]
        actions: list[tuple[str, list[Any]]] = [
            ("select public.create_assignments(%s, %s)", [Jsonb([from_schedule]), Jsonb(linked)]),
            ("select public.create_assignments(%s)", [Jsonb([new, {**from_schedule, "assignment_temp_id": "b"}])]),
            ("insert into public.class_assignments (instructor_id, date, start_time, end_time, schedule_id) "
             "values (%s, %s, %s, %s, %s)", [teacher, day, hours["start_time"], hours["end_time"], schedule]),
            ("insert into public.assignment_bookings (assignment_id, booking_id) values (%s, %s) on conflict do nothing",
             [one[0], booking]),
            ("delete from public.assignment_bookings where booking_id = %s", [booking]),
            ("update public.class_assignments set class_status = 'cancelled' where id = %s", [one[0]]),
            ("delete from public.class_assignments where id = %s", [one[0]]),
            ("select public.reassign(%s, %s)", [some, teacher]),
            ("select public.update_assignment(%s, %s, %s)", [one[0], one[1], Jsonb({"date": str(day), **hours})]),
            ("select public.respond_to_assignment(%s, %s)", [one[0], chance.choice(["accepted", "rejected"])]),
            ("select public.bulk_assignment_operations('reschedule', %s, %s, true)", [some, Jsonb({"days": "7"})]),
            ("select public.bulk_assignment_operations('delete', %s)", [some]),
            ("update public.class_schedules set start_time = %s, end_time = %s where id = %s",
             [hours["start_time"], hours["end_time"], schedule]),
            ("update public.class_schedules set instructor_id = %s where id = %s", [teacher, schedule]),
            ("select public.edit_repeating_class(%s, %s, p_schedule_id => %s, p_occurs_on => %s)",
             [chance.choice(["this", "following", "all"]), Jsonb(hours), schedule, day]),
            ("select public.cancel_occurrence(%s, %s)", [schedule, day]),
            ("select public.restore_occurrence(%s, %s)", [schedule, day]),
            ("update public.class_types set max_participants = %s", [chance.randint(1, 2)]),
            ("select private.extend_horizons()", []),
        ]  # fmt: skip
        statement, arguments = chance.choice(actions)
        by.execute(statement.encode(), arguments)

    return act


def test_one_of_everything_at_once(studio: Studio, ledger: Ledger, database: Database) -> None:
    said = compete(database, 8, a_week_in_many_hands(studio), 40)
    known = {
        "", "time_conflict", "illegal_transition", "limit_exceeded", "invalid_input", "not_found", "in_progress",
        "stale_version", "seats_full", "duplicate", "23503",  # a class that is gone the moment it is linked
    }  # fmt: skip
    assert set(said) <= known, said
    assert said[""] > 80, said
    assert ledger.faults() == []
    assert studio.db.execute(FAULTS).fetchall() == []
