from __future__ import annotations
import pytest
from tests.support.studio import Studio
from tests.support.world import World

def test_it(world: World) -> None:
    s = Studio(world)
    a = s.assignment(location_id=s.room)
    print(a)
    sch = s.schedule(1, "12:00", "13:00")
    print(sch)
    b = s.booking(); print(b)
    s.link(a.id, b.booking_id)
    assert s.status(b.booking_id) == "confirmed"
    x = s.assignment(0, "12:00", "13:00", schedule_id=sch.id)
    print(s.claims(s.teacher.profile_id, 0, 7))
    s.db.execute("update public.class_assignments set class_status='cancelled' where id = %s", [a.id])
    assert s.status(b.booking_id) == "pending"
    s.db.execute("delete from public.class_assignments where id = %s", [x.id])
    print(s.claims(s.teacher.profile_id, 0, 7))
    print(s.db.execute("select * from public.assignment_details").fetchall())
    for i in range(3):
        print(s.booking().booking_id)
