"""free_slots against a plain model that knows minutes only, on days on which the clocks change, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.calls import call, refused
from tests.support.identity import as_role
from tests.support.rest import Rest
from tests.support.world import World

MINUTE = timedelta(minutes=1)
# A few days before a clock jumps ahead or falls back, by an hour or half an hour, at night or at midnight.
CHANGES = {
    "America/New_York": (date(2024, 3, 8), date(2024, 11, 1)),
    "Australia/Lord_Howe": (date(2024, 10, 4), date(2024, 4, 5)),
    "Africa/Cairo": (date(2024, 4, 24), date(2024, 10, 29)),
    "America/St_Johns": (date(2010, 3, 12), date(2010, 11, 5)),  # at one minute past midnight
    "America/Havana": (date(2024, 3, 8), date(2024, 11, 1)),
    "Pacific/Kiritimati": (date(2024, 6, 1),),
}
ZONES = tuple(CHANGES)


# --- the model ------------------------------------------------------------------------------------------------------


def instant(day: date, minutes: int, zone: str) -> datetime | None:
    """The first instant at which the clock shows this many minutes past midnight, None where it never does."""
    wall = datetime.combine(day, time()) + minutes * MINUTE
    found = wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    return found if found.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall else None


def end_instant(day: date, minutes: int, zone: str) -> datetime | None:
    """As `instant`, for an excluded end: it may lie exactly where the clock jumps."""
    found = instant(day, minutes, zone)
    if found is None and (before := instant(day, minutes - 1, zone)) is not None:
        found = before + MINUTE
    return found


def day_start(day: date, zone: str) -> datetime:
    found = end_instant(day, 0, zone)
    assert found is not None
    return found


@dataclass
class Hours:
    """A row of availability_rules; times in minutes past midnight, `until` excluded."""

    weekday: int
    start: int
    end: int
    zone: str
    since: date
    until: date | None

    def clashes(self, other: Hours) -> bool:
        return (
            self.weekday == other.weekday
            and max(self.start, other.start) < min(self.end, other.end)
            and max(self.since, other.since) < min(self.until or date.max, other.until or date.max)
        )


@dataclass
class Model:
    """One resource: intervals it is busy, and the hours it stated."""

    is_person: bool
    busy: list[tuple[datetime, datetime]] = field(default_factory=list)
    hours: list[Hours] = field(default_factory=list)

    def minutes(self, first: datetime, last: datetime, *, respect: bool) -> set[datetime]:
        """Every minute from `first` until `last` at which it can be had."""
        window = set(span(first, last))
        open_for = window
        if respect:
            stated: set[datetime] = set()
            worked: set[datetime] = set()
            for rule in self.hours:
                until = day_start(rule.until, rule.zone) if rule.until else last
                stated |= set(span(max(first, day_start(rule.since, rule.zone)), min(last, until)))
                day = first.date() - timedelta(days=2)
                while day <= last.date() + timedelta(days=2):
                    if (day.weekday() + 1) % 7 == rule.weekday and rule.since <= day < (rule.until or date.max):
                        begins = instant(day, rule.start, rule.zone)
                        ends = end_instant(day, rule.end, rule.zone)
                        if begins is not None and ends is not None:
                            worked |= set(span(max(first, begins), min(last, ends)))
                    day += timedelta(days=1)
            open_for = worked if self.is_person else worked | (window - stated)
        for begins, ends in self.busy:
            open_for = open_for - set(span(max(first, begins), min(last, ends)))
        return open_for


def span(first: datetime, last: datetime) -> list[datetime]:
    return [first + n * MINUTE for n in range(max(0, int((last - first) / MINUTE)))]


def model_slots(
    models: list[Model], first: datetime, last: datetime, duration: int, step: int, zone: str, *, respect: bool
) -> list[tuple[datetime, datetime]]:
    free = set.intersection(*(m.minutes(first, last, respect=respect) for m in models))
    slots = []
    day = first.date() - timedelta(days=2)
    while day <= last.date() + timedelta(days=2):
        for minutes in range(0, 1440, step):
            begins = instant(day, minutes, zone)
            if begins is not None and free.issuperset(span(begins, begins + duration * MINUTE)):
                slots.append((begins, begins + duration * MINUTE))
        day += timedelta(days=1)
    return sorted(slots)


# --- the database against it ----------------------------------------------------------------------------------------


@dataclass
class Scene:
    db: psycopg.Connection[Any]
    people: list[UUID]
    place: UUID
    tool: UUID

    @property
    def everybody(self) -> list[UUID]:
        return [*self.people, self.place, self.tool]

    def add_hours(self, resource: UUID, hours: Hours) -> None:
        self.db.execute(
            "insert into public.availability_rules (resource_id, weekday, start_time, end_time, time_zone, effective)"
            " values (%s, %s, %s::time, %s::time, %s, daterange(%s, %s))",
            [resource, hours.weekday, clock(hours.start), clock(hours.end), hours.zone, hours.since, hours.until],
        )

    def add_meeting(self, resources: list[UUID], first: datetime, last: datetime) -> None:
        begins, ends = first.astimezone(UTC), last.astimezone(UTC)
        meeting = self.db.execute(
            "insert into public.meetings (title, date, start_time, ends_on, end_time, time_zone)"
            " values ('Meeting', %s, %s, %s, %s, 'UTC') returning id",
            [begins.date(), begins.time(), ends.date(), ends.time()],
        ).fetchone()
        assert meeting is not None
        for resource in resources:
            self.db.execute("insert into public.meeting_participants values (%s, %s)", [meeting[0], resource])

    def add_time_off(self, resource: UUID, first: datetime, last: datetime, status: str) -> None:
        begins, ends = first.astimezone(UTC), last.astimezone(UTC)
        row = self.db.execute(
            "insert into public.time_off (resource_id, starts_on, start_time, ends_on, end_time, time_zone)"
            " values (%s, %s, %s, %s, %s, 'UTC') returning id",
            [resource, begins.date(), begins.time(), ends.date(), ends.time()],
        ).fetchone()
        assert row is not None
        if status != "requested":
            self.db.execute(
                "update public.time_off set status = %s, keeps_claims = %s where id = %s",
                [status, status == "approved", row[0]],
            )

    def slots(self, resources: list[UUID], first: datetime, last: datetime, minutes: int, **more: Any) -> list[Any]:
        rows = call(
            self.db, None, "free_slots", p_resource_ids=resources, p_from=first, p_to=last,
            p_duration=minutes * MINUTE, **more,
        )  # fmt: skip
        return [(row["starts_at"].astimezone(UTC), row["ends_at"].astimezone(UTC)) for row in rows]


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@pytest.fixture
def scene(db: psycopg.Connection[Any], world: World) -> Scene:
    people = [world.insert("public.user_profiles", full_name=f"Person {n}").id for n in range(2)]
    place = world.insert("public.locations", name="Room").id
    tool = world.insert("public.resources", kind="equipment", name="Projector").id
    return Scene(db, people, place, tool)


def set_zone(db: psycopg.Connection[Any], zone: str) -> None:
    db.execute("update public.settings set value = to_jsonb(%s::text) where key = 'organisation_time_zone'", [zone])


quarters = st.integers(0, 96).map(lambda n: n * 15)
offsets = st.integers(-60, 400).map(lambda n: n * 15)  # minutes from the first day's midnight UTC: about four days


@st.composite
def hours_of(draw: st.DrawFn, first_day: date) -> Hours:
    start, end = sorted((draw(quarters.filter(lambda n: n < 1440)), draw(quarters)))
    since = first_day + timedelta(days=draw(st.integers(-9, 3)))
    until = draw(st.none() | st.integers(1, 12))
    return Hours(
        draw(st.integers(0, 6)), start, max(end, start + 15), draw(st.sampled_from(ZONES)), since,
        None if until is None else since + timedelta(days=until),
    )  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_the_model_agrees(scene: Scene, data: st.DataObject) -> None:
    draw = data.draw
    zone = draw(st.sampled_from(ZONES), "organisation")
    first_day = draw(st.sampled_from([day for days in CHANGES.values() for day in days]), "around")
    midnight = datetime.combine(first_day, time(), UTC)
    first = midnight + draw(offsets, "from") * MINUTE
    last = first + draw(st.integers(1, 6 * 96), "window") * 15 * MINUTE
    models = {resource: Model(is_person=resource in scene.people) for resource in scene.everybody}
    asked = draw(st.lists(st.sampled_from(scene.everybody), min_size=1, max_size=4), "asked")  # a double is no more
    with scene.db.transaction(force_rollback=True):
        set_zone(scene.db, zone)
        for resource in draw(st.lists(st.sampled_from(asked), max_size=12), "hours"):
            rule = draw(hours_of(first_day))
            if not any(rule.clashes(other) for other in models[resource].hours):
                models[resource].hours.append(rule)
                scene.add_hours(resource, rule)
        for resource in draw(st.lists(st.sampled_from(scene.everybody), max_size=5), "meetings"):
            begins = midnight + draw(offsets) * MINUTE
            ends = begins + draw(st.integers(1, 40)) * 15 * MINUTE
            if not any(a < ends and begins < b for a, b in models[resource].busy):
                models[resource].busy.append((begins, ends))
                scene.add_meeting([resource], begins, ends)
        for resource in draw(st.lists(st.sampled_from(asked), max_size=3), "time off"):
            begins = midnight + draw(offsets) * MINUTE
            ends = begins + draw(st.integers(1, 150)) * 15 * MINUTE
            status = draw(st.sampled_from(("approved", "approved", "requested", "refused", "cancelled")))
            scene.add_time_off(resource, begins, ends, status)
            if status == "approved":
                models[resource].busy.append((begins, ends))
        if draw(st.booleans(), "a closure"):
            where = draw(st.sampled_from((None, scene.place)))
            starts_on = first_day + timedelta(days=draw(st.integers(-1, 5)))
            ends_on = starts_on + timedelta(days=draw(st.integers(0, 1)))
            scene.db.execute(
                "insert into public.closures (name, starts_on, ends_on, location_id) values ('Closed', %s, %s, %s)",
                [starts_on, ends_on, where],
            )
            shut = (day_start(starts_on, zone), day_start(ends_on + timedelta(days=1), zone))
            for resource in scene.everybody if where is None else [scene.place]:
                models[resource].busy.append(shut)
        duration = draw(st.sampled_from((15, 30, 50, 60, 180, 1500)), "duration")
        step = draw(st.none() | st.sampled_from((15, 25, 30, 60, 420, 1440)), "step")
        respect = draw(st.booleans(), "respect")
        found = scene.slots(
            asked, first, last, duration, p_step=None if step is None else step * MINUTE,
            p_respect_availability=respect, p_limit=5000,
        )  # fmt: skip
    wanted = model_slots(
        [models[resource] for resource in asked], first, last, duration, step or min(duration, 1440), zone,
        respect=respect,
    )  # fmt: skip
    assert found == wanted


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
