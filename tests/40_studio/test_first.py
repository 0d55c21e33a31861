from __future__ import annotations
import pytest, json
from tests.support.studio import Studio
from tests.support.world import World
from psycopg.types.json import Jsonb
from tests.support.identity import as_user

def test_it(world: World) -> None:
    s = Studio(world)
    db = s.db
    staff = world.user("staff"); manager = world.user("manager")
    b = s.booking(); b2 = s.booking()
    sch = s.schedule(1, "12:00", "13:00", location_id=s.room)
    def call(q, *a):
        r = db.execute(q, a).fetchall()
        for x in r: print(tuple(str(v)[:60] for v in x))
        return r
    with as_user(db, manager):
        call("select * from public.plan_assignments('weekly', p_schedule_id => %s, p_from => %s, p_rate => 100, p_payment_type=>'monthly')", sch.id, s.monday)
        plan = [r[0] for r in db.execute("select assignment from public.plan_assignments('weekly', p_schedule_id => %s, p_from => %s, p_rate => 100, p_payment_type=>'monthly')", [sch.id, s.monday])]
        got = call("select * from public.create_assignments(%s, %s)", Jsonb(plan), Jsonb([{"assignment_temp_id": plan[0]["assignment_temp_id"], "booking_id": b.booking_id}]))
        ids = [g[1] for g in got]
        call("select * from public.plan_assignments('package', p_package_id => null)") if 0 else None
        try: call("select * from public.create_assignments(%s)", Jsonb([plan[0], plan[1], {"date": "x", "foo": 1}]))
        except Exception as e: print(str(e)[:800])
        try: call("select * from public.create_assignments(%s)", Jsonb([dict(plan[0], schedule_id=None), dict(plan[1], schedule_id=None)]))
        except Exception as e: print(str(e)[:1800])
        call("select * from public.assignment_conflict_check(%s, %s, '12:30','13:30')", s.teacher.profile_id, s.monday)
        call("select * from public.assignment_conflict_check(%s, %s, '16:30','17:30')", s.teacher.profile_id, s.monday)
        call("select * from public.suggest_instructors(%s)", ids[0])
        call("select id, instructor_id, instructor_status from public.reassign(%s, %s)", ids[:2], s.other.profile_id)
    with as_user(db, s.other):
        call("select id, instructor_status from public.respond_to_assignment(%s, 'accepted')", ids[0])
        call("select count(*) from public.class_assignments")
    with as_user(db, manager):
        call("select * from public.bulk_assignment_operations('reschedule', %s, '{\"days\": \"1\"}')", ids)
        call("select * from public.bulk_assignment_operations('update_status', %s, '{\"class_status\": \"completed\"}')", ids)
        call("select id, notes from public.update_assignment(%s, 4, '{\"notes\": \" hey \"}')", ids[0]) if 0 else None
        call("select * from public.bulk_assignment_operations('delete', %s)", ids)
    with as_user(db, staff):
        call("select * from public.bulk_assignment_operations('delete', %s)", ids)
