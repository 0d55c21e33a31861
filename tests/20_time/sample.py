"""Something in every table of this module, some of it the instructor's on stage and some of it another's."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Two rooms, a projector, lessons of two instructors, and everything that can be said about their time."""
    db = world.db
    studio = world.insert("public.locations", name="Studio", capacity=12)
    attic = world.insert("public.locations", name="Attic", is_active=False)
    world.insert("public.resources", kind="equipment", name="Projector")
    own, other = people["instructor"], world.user("instructor", full_name="Ola Other")
    for number, (teacher, room) in enumerate(((own, studio), (other, attic))):
        assert teacher.profile_id is not None
        fill_one(world, number, teacher, room.id, people["manager"])
    # Two lessons in one room at once, which somebody allowed.
    pair = [_meeting(world, f"Cross-listed {letter}", 9, people["manager"], own) for letter in "AB"]
    override = world.insert("public.overrides", reason="One class under two names.", granted_by=people["manager"].id)
    for meeting in pair:
        world.insert("public.override_members", override_id=override.id, source_table="meetings", source_id=meeting)
        world.insert("public.meeting_participants", meeting_id=meeting, resource_id=studio.id)
    db.execute("insert into private.ledger_rebuilds (source_table, source_ids) values ('meetings', %s)", [pair])
    # Its time does not exist on the night the clocks go forward.
    watch = world.insert(
        "public.weekly_rules",
        title="Night watch",
        weekday=0,
        start_time="02:15",
        end_time="02:45",
        time_zone="Europe/Paris",
        effective="[2026-01-01,)",
    )
    world.insert("public.weekly_rule_resources", rule_id=watch.id, resource_id=attic.id)
    db.execute(
        "insert into public.closures (name, starts_on, ends_on, location_id, created_by) "
        "select 'Painting', private.today() + 300, private.today() + 301, %s, %s",
        [studio.id, people["manager"].id],
    )


def fill_one(world: World, number: int, teacher: User, room: UUID, manager: User) -> None:
    """One instructor's week: hours, a weekly rule with exceptions, a meeting, a substitution, and time off."""
    db = world.db
    name = teacher.full_name
    rule = db.execute(
        "insert into public.weekly_rules (title, weekday, start_time, end_time, time_zone, effective, created_by) "
        "select %s, extract(dow from private.today())::integer, '10:00', '11:00', 'UTC', "
        "daterange(private.today() + 7, null), %s returning id",
        [f"Yoga with {name}", manager.id],
    ).fetchone()
    assert rule is not None
    for resource in (teacher.profile_id, room):
        world.insert("public.weekly_rule_resources", rule_id=rule[0], resource_id=resource)
    db.execute(
        "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, created_by) "
        "select %s, private.today() + 14, 'cancelled', %s",
        [rule[0], manager.id],
    )
    db.execute(
        "insert into public.weekly_rule_exceptions "
        "(rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time) "
        "select %s, private.today() + 21, 'moved', private.today() + 22, '12:00', '13:00'",
        [rule[0]],
    )
    meeting = _meeting(world, f"Meeting of {name}", 8, manager, teacher)
    assert meeting
    db.execute(
        "with made as (insert into public.meetings (title, date, start_time, end_time, time_zone, rule_id, occurs_on) "
        "select %s, private.today() + 28, '10:00', '11:30', 'UTC', %s, private.today() + 28 returning id) "
        "insert into public.meeting_participants select id, %s from made",
        [f"Taken over by {name}", rule[0], teacher.profile_id],
    )
    world.insert(
        "public.availability_rules",
        resource_id=teacher.profile_id,
        weekday=number,
        start_time="09:00",
        end_time="17:00",
    )
    off = db.execute(
        "insert into public.time_off (resource_id, starts_on, ends_on, created_by) "
        "select %s, private.today() + 35, private.today() + 35, %s returning id",
        [teacher.profile_id, teacher.id],
    ).fetchone()
    assert off is not None
    # The lesson on that day has to be covered: that makes a cover request.
    db.execute("update public.time_off set status = 'approved', keeps_claims = true where id = %s", [off[0]])
    db.execute("update public.time_off set decided_by = %s where id = %s", [manager.id, off[0]])


def _meeting(world: World, title: str, days: int, manager: User, teacher: User) -> UUID:
    row = world.db.execute(
        "insert into public.meetings (title, date, start_time, end_time, time_zone, created_by) "
        "select %s, private.today() + %s::integer, '10:00', '11:00', 'UTC', %s returning id",
        [title, days, manager.id],
    ).fetchone()
    assert row is not None
    meeting: UUID = row[0]
    if not title.startswith("Cross"):
        world.insert("public.meeting_participants", meeting_id=meeting, resource_id=teacher.profile_id)
    return meeting
