"""free_slots on days on which the clocks change, who may ask, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from tests.support.calls import call, refused
from tests.support.free_time import (
    MINUTE,
    Hours,
    Scene,
    set_zone,
)
from tests.support.identity import as_role
from tests.support.rest import Rest
from tests.support.world import World

# --- what one would get wrong ---------------------------------------------------------------------------------------


def at(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def starts(rows: list[Any], zone: str) -> list[str]:
    return [begins.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z") for begins, _ in rows]


def test_starts_are_round_when_the_clock_jumps_ahead(scene: Scene) -> None:
    zone = "America/New_York"
    set_zone(scene.db, zone)
    found = scene.slots(
        [scene.tool], at("2024-03-10T00:10", zone), at("2024-03-10T06:00", zone), 60, p_step=30 * MINUTE
    )
    assert starts(found, zone) == [
        "10 00:30 -0500", "10 01:00 -0500", "10 01:30 -0500", "10 03:00 -0400", "10 03:30 -0400", "10 04:00 -0400",
        "10 04:30 -0400", "10 05:00 -0400",
    ]  # fmt: skip


def test_of_the_hour_that_happens_twice_the_first_is_offered(scene: Scene) -> None:
    zone = "America/New_York"
    set_zone(scene.db, zone)
    found = scene.slots([scene.tool], at("2024-11-03T00:00", zone), at("2024-11-03T04:00", zone), 60)
    assert starts(found, zone) == ["03 00:00 -0400", "03 01:00 -0400", "03 02:00 -0500", "03 03:00 -0500"]


def test_half_an_hour_of_summer_time(scene: Scene) -> None:
    zone = "Australia/Lord_Howe"
    set_zone(scene.db, zone)
    found = scene.slots([scene.tool], at("2024-10-06T01:00", zone), at("2024-10-06T04:00", zone), 30)
    assert starts(found, zone) == [
        "06 01:00 +1030",
        "06 01:30 +1030",
        "06 02:30 +1100",
        "06 03:00 +1100",
        "06 03:30 +1100",
    ]


def test_a_day_without_midnight_begins_where_the_clock_lands(scene: Scene) -> None:
    zone = "Africa/Cairo"
    set_zone(scene.db, zone)
    found = scene.slots([scene.tool], at("2024-04-25T22:00", zone), at("2024-04-26T03:00", zone), 60)
    assert starts(found, zone) == ["25 22:00 +0200", "25 23:00 +0200", "26 01:00 +0300", "26 02:00 +0300"]


def test_the_callers_time_zone_changes_nothing(scene: Scene) -> None:
    set_zone(scene.db, "America/New_York")
    first, last = at("2024-03-08T00:00", "UTC"), at("2024-03-14T00:00", "UTC")
    answers = []
    for zone in ("Pacific/Kiritimati", "America/New_York", "UTC"):
        with scene.db.transaction():
            scene.db.execute("select set_config('TimeZone', %s, true)", [zone])
            # A day and a month are lengths here, not dates in the caller's zone.
            answers.append(
                scene.db.execute(
                    "select starts_at, ends_at from public.free_slots(%s, %s, %s, interval '1 day', interval '6 hours')",
                    [[scene.tool], first, last],
                ).fetchall()
            )
    assert answers[0] == answers[1] == answers[2]
    assert all(ends - begins == timedelta(days=1) for begins, ends in answers[0])


def test_nobody_is_free_who_stated_no_hours(scene: Scene) -> None:
    first, last = at("2024-06-03T00:00", "UTC"), at("2024-06-04T00:00", "UTC")
    person = scene.people[0]
    assert scene.slots([person], first, last, 60) == []
    assert scene.slots([person, scene.place], first, last, 60) == []
    assert len(scene.slots([person], first, last, 60, p_respect_availability=False)) == 24
    assert len(scene.slots([scene.place, scene.tool], first, last, 60)) == 24
    scene.add_hours(person, Hours(1, 540, 720, "UTC", date(2024, 6, 1), None))
    assert [b.hour for b, _ in scene.slots([person, scene.place], first, last, 60)] == [9, 10, 11]
    # Hours that begin later, or ended, say nothing about the days outside them.
    assert scene.slots([person], first - timedelta(days=7), last - timedelta(days=7), 60) == []


def test_a_place_with_hours_is_shut_outside_them(scene: Scene) -> None:
    first, last = at("2024-06-03T00:00", "UTC"), at("2024-06-06T00:00", "UTC")
    scene.add_hours(scene.place, Hours(1, 540, 720, "UTC", date(2024, 6, 3), date(2024, 6, 5)))
    found = [b.strftime("%d %H") for b, _ in scene.slots([scene.place], first, last, 60)]
    assert found == ["03 09", "03 10", "03 11", *(f"05 {hour:02}" for hour in range(24))]


def test_nothing_is_offered_that_could_not_be_booked(scene: Scene) -> None:
    [until] = (
        scene.db.execute(
            "select claimed_until from public.resource_horizons where resource_id = %s", [scene.tool]
        ).fetchone()
        or []
    )
    found = scene.slots([scene.tool], until - timedelta(hours=5), until + timedelta(days=1), 60)
    assert found
    assert all(ends <= until for _, ends in found)
    # The horizon of every one of them counts.
    scene.db.execute(
        "update public.resource_horizons set claimed_until = claimed_until + interval '60 days' where resource_id = %s",
        [scene.place],
    )
    assert scene.slots([scene.tool, scene.place], until - timedelta(hours=5), until + timedelta(days=1), 60) == found
    assert scene.slots([scene.tool], until + timedelta(days=1), until + timedelta(days=2), 60) == []


def test_what_left_is_not_offered(scene: Scene) -> None:
    first, last = at("2024-06-03T00:00", "UTC"), at("2024-06-04T00:00", "UTC")
    scene.db.execute("update public.resources set is_active = false where id = %s", [scene.tool])
    assert scene.slots([scene.tool, scene.place], first, last, 60) == []
    assert len(scene.slots([scene.place], first, last, 60)) == 24


def test_the_limit_keeps_the_first(scene: Scene) -> None:
    first, last = at("2024-06-03T00:00", "UTC"), at("2024-06-05T00:00", "UTC")
    everything = scene.slots([scene.place], first, last, 60)
    assert scene.slots([scene.place], first, last, 60, p_limit=7) == everything[:7]


def test_what_was_offered_can_be_booked(scene: Scene) -> None:
    """Every slot offered is accepted by the ledger, under the strictest policy."""
    set_zone(scene.db, "America/New_York")
    scene.db.execute("update public.settings set value = '\"refuse\"' where key = 'availability_policy'")
    zone = ZoneInfo("America/New_York")
    for person in scene.people:
        for weekday in range(7):
            scene.add_hours(person, Hours(weekday, 0, 600, "America/New_York", date(2024, 1, 1), None))
    scene.add_time_off(scene.people[0], at("2024-03-09T12:00", "UTC"), at("2024-03-09T14:30", "UTC"), "approved")
    asked = [*scene.people, scene.place]
    found = scene.slots(asked, at("2024-03-09T00:00", zone.key), at("2024-03-11T00:00", zone.key), 60)
    assert len(found) > 15
    for begins, ends in found:
        scene.add_meeting(asked, begins, ends)
    assert scene.slots(asked, at("2024-03-09T00:00", zone.key), at("2024-03-11T00:00", zone.key), 60) == []


# --- who may ask, and what is refused -------------------------------------------------------------------------------


def hour(text: str) -> int:
    return datetime.fromisoformat(text).astimezone(UTC).hour


def test_anyone_signed_in_may_ask_and_learns_times_only(scene: Scene, world: World, rest: Rest) -> None:
    scene.add_time_off(scene.people[0], at("2024-06-03T10:00", "UTC"), at("2024-06-03T12:00", "UTC"), "approved")
    scene.add_meeting([scene.people[0]], at("2024-06-03T12:00", "UTC"), at("2024-06-03T13:00", "UTC"))
    scene.add_meeting([scene.people[0]], at("2024-06-03T20:00", "UTC"), at("2024-06-04T03:00", "UTC"))
    window = {"p_resource_ids": [str(scene.people[0])], "p_from": "2024-06-03T00:00Z", "p_to": "2024-06-04T00:00Z"}
    for role in ("member", "instructor", "staff", "manager", "admin", None):
        caller = world.user(role)
        free = rest.post(
            "/rpc/free_slots", {**window, "p_duration": "01:00", "p_respect_availability": False}, user=caller
        )
        assert free.status_code == 200, free.text
        assert set(free.json()[0]) == {"starts_at", "ends_at"}
        assert len(free.json()) == 17
        busy = rest.post("/rpc/busy_times", window, user=caller)
        assert [(hour(row["starts_at"]), hour(row["ends_at"])) for row in busy.json()] == [(10, 13), (20, 0)]
        assert set(busy.json()[0]) == {"resource_id", "starts_at", "ends_at"}
    for path, body in (("/rpc/free_slots", {**window, "p_duration": "01:00"}), ("/rpc/busy_times", window)):
        assert rest.post(path, body).status_code == 401
        assert rest.post(path, body, user="service_role").status_code == 200


def test_busy_times_tells_closures_of_places_and_of_everything(scene: Scene) -> None:
    scene.db.execute(
        "insert into public.closures (name, starts_on, ends_on) values ('Holiday', '2024-06-03', '2024-06-03')"
    )
    scene.db.execute(
        "insert into public.closures (name, starts_on, ends_on, location_id) values ('Paint', '2024-06-04', '2024-06-04', %s)",
        [scene.place],
    )
    rows = call(
        scene.db, None, "busy_times", p_resource_ids=[scene.tool, scene.place],
        p_from=at("2024-06-02T00:00", "UTC"), p_to=at("2024-06-09T00:00", "UTC"),
    )  # fmt: skip
    assert {
        row["resource_id"]: (row["starts_at"].astimezone(UTC).day, row["ends_at"].astimezone(UTC).day) for row in rows
    } == {
        scene.tool: (3, 4),
        scene.place: (3, 5),
    }
    assert len(rows) == 2


Arguments = dict[str, Any]
GOOD: Arguments = {"p_from": "2024-06-03T00:00Z", "p_to": "2024-06-04T00:00Z", "p_duration": "1 hour"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"p_resource_ids": []}, "p_resource_ids"),
        ({"p_resource_ids": None}, "p_resource_ids"),
        ({"p_resource_ids": [None]}, "p_resource_ids"),
        ({"p_from": None}, "p_from"),
        ({"p_to": None}, "p_to"),
        ({"p_from": "-infinity"}, "p_from"),
        ({"p_to": "infinity"}, "p_to"),
        ({"p_to": "294276-12-31T00:00Z"}, "p_to"),
        ({"p_to": "2024-06-03T00:00Z"}, "p_to"),
        ({"p_to": "2024-06-02T00:00Z"}, "p_to"),
        ({"p_to": "2025-06-05T00:01Z"}, "p_to"),
        ({"p_duration": None}, "p_duration"),
        ({"p_duration": "0"}, "p_duration"),
        ({"p_duration": "-1 hour"}, "p_duration"),
        ({"p_duration": "31 days 1 second"}, "p_duration"),
        ({"p_duration": "100 years"}, "p_duration"),
        ({"p_step": "1 microsecond"}, "p_step"),
        ({"p_step": "-1 hour"}, "p_step"),
        ({"p_step": "25 hours"}, "p_step"),
        ({"p_limit": 0}, "p_limit"),
        ({"p_limit": None}, "p_limit"),
    ],
)
def test_bad_input_names_its_field(scene: Scene, change: Arguments, field: str) -> None:
    with refused("invalid_input") as refusal:
        call(scene.db, None, "free_slots", **{"p_resource_ids": [scene.tool], **GOOD, **change})
    assert refusal.fields == {field}


def test_all_bad_fields_are_named_at_once(scene: Scene) -> None:
    with refused("invalid_input") as refusal:
        call(
            scene.db, None, "free_slots", p_resource_ids=[], p_from="2024-06-03T00:00Z", p_to="2024-06-02T00:00Z",
            p_duration="-1 hour", p_step="1 second", p_limit=-1,
        )  # fmt: skip
    assert refusal.fields == {"p_resource_ids", "p_to", "p_duration", "p_step", "p_limit"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda: {"p_resource_ids": [uuid4() for _ in range(101)]}, "p_resource_ids"),
        (lambda: {"p_resource_ids": [UUID(int=1)] * 100_000}, "p_resource_ids"),
        (lambda: {"p_limit": 5001}, "p_limit"),
        (lambda: {"p_to": "2024-10-03T00:00Z", "p_step": "1 minute"}, "p_step"),
    ],
)
def test_too_much_at_once_is_refused_with_the_limit(scene: Scene, change: Callable[[], Arguments], field: str) -> None:
    with refused("limit_exceeded") as refusal:
        call(scene.db, None, "free_slots", **{"p_resource_ids": [scene.tool], **GOOD, **change()})
    assert refusal.details["field"] == field
    assert refusal.details["limit"] > 0


def test_an_unknown_resource_is_named(scene: Scene) -> None:
    unknown = uuid4()
    for function, more in (("free_slots", {}), ("busy_times", {"p_duration": None})):
        arguments = {**GOOD, **more, "p_resource_ids": [scene.tool, unknown]}
        if function == "busy_times":
            del arguments["p_duration"]
        with refused("not_found") as refusal:
            call(scene.db, None, function, **arguments)
        assert refusal.details["missing"] == [str(unknown)]


def test_busy_times_refuses_the_same_windows(scene: Scene) -> None:
    with refused("invalid_input") as refusal, as_role(scene.db, "service_role"):
        call(scene.db, None, "busy_times", p_resource_ids=[None], p_from="2024-06-03T00:00Z", p_to="2024-06-03T00:00Z")
    assert refusal.fields == {"p_resource_ids", "p_to"}
    with refused("limit_exceeded"):
        call(scene.db, None, "busy_times", p_resource_ids=[scene.tool] * 101, p_from=GOOD["p_from"], p_to=GOOD["p_to"])
