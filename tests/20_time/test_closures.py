"""Closures: days where the place is, what they hit, which dates of weekly rules they cancel, and who may close."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.world import World

Db = psycopg.Connection[Any]
Row = dict[str, Any]


def close(db: Db, caller: User | str | None, first: date | str, **more: Any) -> list[Row]:
    return call(db, caller, "add_closure", **{"p_name": "Feast", "p_starts_on": first, **more})


def weekly(db: Db, resources: list[Any], day: date, title: str = "Yoga", **more: Any) -> UUID:
    """A rule on the weekday of `day`, 18:00 to 19:00."""
    [row] = call(
        db, None, "create_weekly_rule", p_title=title, p_resource_ids=resources,
        p_weekday=(day.weekday() + 1) % 7, p_start_time="18:00", p_end_time="19:00", **more,
    )  # fmt: skip
    return UUID(str(row["id"]))


def meet(db: Db, resources: list[Any], day: date, start: str = "10:00", end: str = "11:00") -> UUID:
    [row] = call(
        db, None, "schedule_meeting", p_title="Lesson", p_date=day, p_start_time=start, p_end_time=end,
        p_resource_ids=resources,
    )  # fmt: skip
    return UUID(str(row["id"]))


def exceptions(db: Db) -> list[tuple[Any, ...]]:
    return db.execute(
        "select occurs_on, kind, reason, moved_to_date from public.weekly_rule_exceptions order by occurs_on, rule_id"
    ).fetchall()


def claimed_on(db: Db, rule: UUID, day: date) -> int:
    row = db.execute(
        "select count(*) from public.claims where source_id = %s and occurs_on = %s", [rule, day]
    ).fetchone()
    assert row is not None
    return int(row[0])


def place(world: World, name: str = "Room", **more: Any) -> UUID:
    return UUID(str(world.insert("public.locations", name=name, **more).id))


# --- days -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("organisation", "of_place", "first", "last", "wanted"),
    [
        ("UTC", None, "2024-06-03", None, ("2024-06-03 00:00", "2024-06-04 00:00")),
        ("America/New_York", None, "2024-03-10", "2024-03-11", ("2024-03-10 05:00", "2024-03-12 04:00")),
        ("America/New_York", "Australia/Lord_Howe", "2024-10-06", None, ("2024-10-05 13:30", "2024-10-06 13:00")),
        ("Africa/Cairo", "", "2024-04-26", None, ("2024-04-25 22:00", "2024-04-26 21:00")),
        ("UTC", "Africa/Cairo", "2024-10-31", None, ("2024-10-30 21:00", "2024-10-31 22:00")),
    ],
)
def test_days_are_where_the_place_is(
    db: Db, world: World, organisation: str, of_place: str | None, first: str, last: str | None, wanted: Any
) -> None:
    """A place without a zone of its own (empty) is where the organisation is; None closes everything."""
    db.execute("update public.settings set value = %s where key = 'organisation_time_zone'", [Jsonb(organisation)])
    where = None if of_place is None else place(world, time_zone=of_place or None)
    close(db, None, first, p_ends_on=last, p_location_id=where)
    assert db.execute(
        "select to_char(lower(during) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),"
        " to_char(upper(during) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') from public.closures"
    ).fetchone() == tuple(wanted)


def test_closed_days_stay_the_same_dates_when_a_zone_changes(db: Db, world: World) -> None:
    here, there = place(world), place(world, "Hall", time_zone="Asia/Tokyo")
    for where in (None, here, there):
        close(db, None, "2024-06-03", p_location_id=where)

    def starts() -> dict[Any, str]:
        rows = db.execute(
            "select location_id, to_char(lower(during) at time zone 'UTC', 'DD HH24:MI') from public.closures"
        )
        return dict(rows.fetchall())

    assert starts() == {None: "03 00:00", here: "03 00:00", there: "02 15:00"}
    db.execute("update public.settings set value = '\"America/New_York\"' where key = 'organisation_time_zone'")
    assert starts() == {None: "03 04:00", here: "03 04:00", there: "02 15:00"}
    db.execute("update public.locations set time_zone = 'Europe/Paris' where id = %s", [there])
    assert starts() == {None: "03 04:00", here: "03 04:00", there: "02 22:00"}
    db.execute("update public.locations set time_zone = 'Europe/Paris' where id = %s", [here])
    assert starts() == {None: "03 04:00", here: "02 22:00", there: "02 22:00"}
    db.execute("update public.settings set value = null where key = 'organisation_time_zone'")
    assert starts() == {None: "03 00:00", here: "02 22:00", there: "02 22:00"}
    db.execute("update public.locations set time_zone = null")
    assert starts() == {None: "03 00:00", here: "03 00:00", there: "03 00:00"}


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"p_name": " \x07 "}, {"p_name"}),
        ({"p_name": "x" * 201}, {"p_name"}),
        ({"p_starts_on": None}, {"p_starts_on"}),
        ({"p_ends_on": "2030-01-06"}, {"p_ends_on"}),
        ({"p_ends_on": "2032-01-08"}, {"p_ends_on"}),
        ({"p_starts_on": "-infinity"}, {"p_starts_on"}),
        ({"p_ends_on": "infinity"}, {"p_ends_on"}),
        ({"p_starts_on": "2200-01-01"}, {"p_starts_on"}),
        ({"p_name": None, "p_ends_on": "1969-01-01"}, {"p_name", "p_ends_on"}),
    ],
)
def test_bad_input_names_every_field(db: Db, boss: User, arguments: Row, fields: set[str]) -> None:
    with refused("invalid_input") as refusal:
        close(
            db, boss, **{"first": "2030-01-07", **{k.replace("p_starts_on", "first"): v for k, v in arguments.items()}}
        )
    assert refusal.fields == fields
    row = {"name": "Feast", "starts_on": "2030-01-07", **{k.removeprefix("p_"): v for k, v in arguments.items()}}
    with refused("invalid_input") as refusal:
        db.execute(
            "insert into public.closures (name, starts_on, ends_on) values (%(name)s, %(starts_on)s, %(ends_on)s)",
            {"ends_on": None, **row},
        )
    assert {f"p_{name}" for name in refusal.fields} >= fields


def test_a_day_the_calendar_skips_cannot_be_closed(db: Db, world: World) -> None:
    where = place(world, time_zone="Pacific/Apia")
    with refused("invalid_input"):
        close(db, None, "2011-12-30", p_location_id=where)


# --- what it hits ---------------------------------------------------------------------------------------------------


def test_a_closed_place_hits_what_happens_there(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    room, hall = place(world), place(world, "Hall")
    lesson = meet(db, [room, ana.profile_id], day)
    meet(db, [hall], day)
    meet(db, [room], day + timedelta(days=1))
    rule = weekly(db, [room, ana.profile_id], day)
    rows = close(db, boss, day, p_location_id=room)
    assert [(r["source_id"], r["resource_name"], r["title"], r["is_cancelled"]) for r in rows] == [
        (lesson, "Room", "Lesson", False), (rule, "Room", "Yoga", False),
    ]  # fmt: skip
    assert len({r["id"] for r in rows}) == 1
    assert exceptions(db) == []
    assert claimed_on(db, rule, day) == 2


def test_closing_everything_hits_everybody(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    room = place(world)
    meet(db, [room, ana.profile_id], day)
    rows = close(db, boss, day, p_ends_on=day + timedelta(days=1))
    assert {(r["resource_name"], r["title"]) for r in rows} == {("Room", "Lesson"), ("Ana", "Lesson")}
    [nothing] = close(db, boss, day + timedelta(days=5))
    assert nothing["id"]
    assert nothing["source_id"] is None


def test_dates_of_weekly_rules_are_cancelled_when_asked(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    room, hall = place(world), place(world, "Hall")
    lesson = meet(db, [room], day)
    there, elsewhere = weekly(db, [room, ana.profile_id], day), weekly(db, [hall], day)
    week = timedelta(days=7)
    rows = close(db, boss, day, p_ends_on=day + week, p_location_id=room, p_cancel_occurrences=True)
    assert {(r["source_id"], r["occurs_on"], r["is_cancelled"]) for r in rows} == {
        (lesson, day, False), (there, day, True), (there, day + week, True),
    }  # fmt: skip
    assert exceptions(db) == [(day, "cancelled", "Feast", None), (day + week, "cancelled", "Feast", None)]
    assert [claimed_on(db, there, day + n * week) for n in range(3)] == [0, 0, 2]
    assert claimed_on(db, elsewhere, day) == 1
    # Its time is free again for everybody in it.
    meet(db, [ana.profile_id], day, "18:00", "19:00")
    # Opening again does not bring them back: somebody may have been told.
    db.execute("delete from public.closures")
    assert len(exceptions(db)) == 2


def test_moved_dates_are_cancelled_where_they_were_moved_to(db: Db, ana: User, boss: User, day: date) -> None:
    rule = weekly(db, [ana.profile_id], day)
    week, one = timedelta(days=7), timedelta(days=1)

    def move_to(occurs_on: date, new_day: date) -> None:
        db.execute("select from public.move_occurrence(%s, %s, %s, '08:00', '09:00')", [rule, occurs_on, new_day])

    move_to(day, day + one)  # away from the closure
    move_to(day + week, day + 2 * one)  # into it
    rows = close(db, boss, day, p_cancel_occurrences=True)
    assert [r["source_id"] for r in rows] == [None]
    rows = close(db, boss, day + 2 * one, p_cancel_occurrences=True)
    assert [(r["occurs_on"], r["is_cancelled"]) for r in rows] == [(day + week, True)]
    assert [(d, kind) for d, kind, _, _ in exceptions(db)] == [(day, "moved"), (day + week, "cancelled")]
    assert claimed_on(db, rule, day) == 1
    assert claimed_on(db, rule, day + week) == 0


def test_dates_beyond_the_horizon_are_cancelled_too(db: Db, ana: User, boss: User) -> None:
    [until] = (
        db.execute(
            "select (claimed_until at time zone 'UTC')::date from public.resource_horizons where resource_id = %s",
            [ana.profile_id],
        ).fetchone()
        or []
    )
    far = until + timedelta(days=30)
    rule = weekly(db, [ana.profile_id], far)
    [row] = close(db, boss, far, p_cancel_occurrences=True)
    assert (row["source_id"], row["occurs_on"], row["is_cancelled"]) == (rule, far, True)
    assert [(d, kind) for d, kind, _, _ in exceptions(db)] == [(far, "cancelled")]
    db.execute(
        "update public.resource_horizons set claimed_until = claimed_until + interval '60 days' where resource_id = %s",
        [ana.profile_id],
    )
    assert [claimed_on(db, rule, far + timedelta(days=n)) for n in (-7, 0, 7)] == [1, 0, 1]


def test_a_date_that_was_taken_over_is_left_to_its_meeting(db: Db, ana: User, boss: User, day: date) -> None:
    rule = weekly(db, [ana.profile_id], day)
    [taken] = call(
        db, None, "schedule_meeting", p_title="Substitute", p_date=day, p_start_time="18:00", p_end_time="19:00",
        p_resource_ids=[ana.profile_id], p_rule_id=rule, p_occurs_on=day,
    )  # fmt: skip
    [row] = close(db, boss, day, p_cancel_occurrences=True)
    assert (row["source_id"], row["is_cancelled"]) == (taken["id"], False)
    assert [(d, kind) for d, kind, _, _ in exceptions(db)] == [(day, "taken_over")]


def test_a_repeated_call_closes_once(db: Db, ana: User, boss: User, day: date) -> None:
    weekly(db, [ana.profile_id], day)
    first = close(db, boss, day, p_cancel_occurrences=True, p_idempotency_key="k")
    assert close(db, boss, day, p_cancel_occurrences=True, p_idempotency_key="k") == first
    assert first[0]["is_cancelled"] is True
    with refused("idempotency_mismatch"):
        close(db, boss, day, p_idempotency_key="k")
    assert db.execute("select count(*) from public.closures").fetchone() == (1,)


# --- who may --------------------------------------------------------------------------------------------------------


def test_managers_close_and_everybody_knows(db: Db, world: World, ana: User, boss: User, day: date, rest: Rest) -> None:
    room = place(world)
    weekly(db, [ana.profile_id], day)
    body = {"p_name": "Feast", "p_starts_on": str(day), "p_cancel_occurrences": True}
    row = {"name": "Paint", "starts_on": str(day), "ends_on": str(day), "location_id": str(room)}
    wants = {"headers": {"Prefer": "return=representation"}}
    for stranger in (ana, *(world.user(role) for role in ("instructor", "staff", "member", None))):
        answer = rest.post("/rpc/add_closure", body, user=stranger)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert rest.post("/closures", row, user=stranger).status_code == 403
    assert rest.post("/rpc/add_closure", body).status_code == 401
    assert rest.post("/closures", row).status_code == 401
    assert exceptions(db) == []
    for helper in (boss, world.user("admin"), "service_role"):
        answer = rest.post("/rpc/add_closure", body, user=helper)
        assert answer.status_code == 200, answer.text
        [made] = rest.post("/closures", row, user=helper, **wants).json()
        path = f"/closures?id=eq.{made['id']}"
        assert {c["name"] for c in rest.get("/closures", user=ana).json()} == {"Feast", "Paint"}
        assert {c["name"] for c in rest.get("/closures").json()} == {"Feast", "Paint"}
        for stranger in (ana, world.user("staff")):
            assert rest.patch(path, {"name": "Open"}, user=stranger).json() == []
            assert rest.delete(path, user=stranger).json() == []
        assert rest.patch(path, {"name": "Open"}).status_code == 401
        assert rest.delete(path).status_code == 401
        stale = rest.patch(path, {"name": "Wax", "version": 7}, user=helper)
        assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
        changed = rest.patch(path, {"ends_on": str(day + timedelta(days=1))}, user=helper).json()
        assert changed[0]["during"] != made["during"]
        assert len(rest.delete("/closures?name=in.(Feast,Paint)", user=helper).json()) == 2
    assert [kind for _, kind, _, _ in exceptions(db)] == ["cancelled"]


def test_cancelling_dates_needs_the_right_to(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    weekly(db, [ana.profile_id], day)
    db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) values (%s, 'update:calendar', false, 'no')",
        [boss.id],
    )
    with refused("forbidden"):
        close(db, boss, day, p_cancel_occurrences=True)
    assert len(close(db, boss, day)) == 1
    assert exceptions(db) == []
    # What happens is told to those who may read the calendar.
    db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) values (%s, 'read:calendar', false, 'no')",
        [boss.id],
    )
    [row] = close(db, boss, day)
    assert (row["title"], row["resource_name"]) == (None, "Ana")
    with refused("not_found"):
        close(db, boss, day, p_location_id=uuid4())


def test_a_closure_goes_with_its_place(db: Db, world: World, day: date) -> None:
    room = place(world)
    close(db, None, day, p_location_id=room)
    close(db, None, day)
    db.execute("delete from public.locations where id = %s", [room])
    assert db.execute("select location_id from public.closures").fetchall() == [(None,)]


# --- checks ---------------------------------------------------------------------------------------------------------


def test_work_during_closures_is_found(db: Db, world: World, ana: User, day: date) -> None:
    room, hall = place(world), place(world, "Hall")
    check = "select message from public.run_diagnostics(p_checks => '{work_during_closures}')"
    meet(db, [hall, ana.profile_id], day)
    meet(db, [room], day - timedelta(days=40))
    close(db, None, day, p_location_id=room)
    close(db, None, day - timedelta(days=40))  # the past is past
    assert db.execute(check).fetchall() == []
    meet(db, [room], day)
    sentence = f"Although closed for Feast: Room in Lesson, {day} 10:00–11:00 UTC"
    assert db.execute(check).fetchall() == [(sentence,)]
    close(db, None, day, p_name="Strike")
    assert len(db.execute(check).fetchall()) == 4
    db.execute("update public.settings set value = '\"ignore\"' where key = 'availability_policy'")
    assert db.execute(check).fetchall() == []
