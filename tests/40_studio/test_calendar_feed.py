"""A calendar feed, read back by an independent library, is what the ledger holds: a year and more, clocks and all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import icalendar
import psycopg
import pytest
from psycopg import sql

from tests.support.calls import call
from tests.support.feeds import Feeds, claimed, events, uses, window_start
from tests.support.rest import Rest
from tests.support.studio import Studio
from tests.support.wall_clock import ZONES, changes
from tests.support.world import World

PARIS, NEW_YORK = "Europe/Paris", "America/New_York"
WEEK = timedelta(days=7)


def clock_days(zone: str, after: date) -> dict[str, date]:
    """The next day on which clocks of the zone go forward, and the next on which they go back."""
    found: dict[str, date] = {}
    for change in changes(zone, after.year, after.year + 2):
        before, then = (change + timedelta(seconds=s) for s in (-2, 2))
        shifts = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (before, then)]
        assert shifts[0] is not None
        assert shifts[1] is not None
        if change.date() > after:
            found.setdefault("forward" if shifts[0] < shifts[1] else "back", before.astimezone(ZoneInfo(zone)).date())
    return found


class Year:
    """A studio in Paris with a year of everything that can happen to a calendar."""

    def __init__(self, world: World) -> None:
        self.db = world.db
        self.db.execute(
            "update public.settings set value = to_jsonb(%s::text) where key = 'organisation_time_zone'", [PARIS]
        )
        self.world = world
        self.studio = Studio(world)
        self.rooms: dict[str, UUID] = {}
        today = self.studio.today
        self.since = datetime.combine(window_start(self.db), time(), UTC)
        # Just inside the horizon: a year with at least two changes of every clock.
        self.until = datetime.combine(today + timedelta(days=398), time(), UTC)
        self.paris, self.new_york = clock_days(PARIS, today), clock_days(NEW_YORK, today)

    def room(self, name: str) -> UUID:
        """A room of that name."""
        if name not in self.rooms:
            self.rooms[name] = self.world.insert("public.locations", name=name, address="1, Rue de la Paix; Paris").id
        return self.rooms[name]

    def rule(
        self, room: str, weekday: int, start: str, end: str, zone: str = PARIS, effective: str | None = None
    ) -> UUID:
        """A weekly rule that takes a room, since long ago."""
        row = self.db.execute(
            "insert into public.weekly_rules (title, weekday, start_time, end_time, time_zone, effective) "
            "values (%s, %s, %s, %s, %s, %s) returning id",
            [f"In {room}", weekday, start, end, zone, effective or f"[{self.studio.today - timedelta(days=700)},)"],
        ).fetchone()
        assert row is not None
        self.world.insert("public.weekly_rule_resources", rule_id=row[0], resource_id=self.room(room))
        return UUID(str(row[0]))

    def move(self, rule: UUID, day: date, to: date, start: str, end: str) -> None:
        """Moves a date of a rule."""
        call(
            self.db,
            None,
            "move_occurrence",
            p_rule_id=rule,
            p_occurs_on=day,
            p_to_date=to,
            p_start_time=start,
            p_end_time=end,
        )

    def fill(self) -> None:
        """Schedules, classes, rules and meetings with every kind of exception."""
        studio, monday = self.studio, self.studio.monday
        yoga = studio.schedule(1, "12:00", "13:00", location_id=studio.room)
        call(self.db, None, "cancel_occurrence", p_rule_id=yoga.id, p_occurs_on=monday + WEEK)
        self.move(yoga.id, monday + 2 * WEEK, monday + 2 * WEEK + timedelta(days=1), "18:30", "20:00")
        # The very first date is not the schedule's own, and the next two that are taken over stay so or are cancelled.
        studio.assignment(0, "12:00", "13:00", schedule_id=yoga.id)
        studio.assignment(21, "15:00", "16:30", schedule_id=yoga.id, occurs_on=studio.day(21), location_id=studio.room)
        gone = studio.assignment(28, "12:00", "13:00", schedule_id=yoga.id)
        self.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [gone.id])
        studio.assignment(2, "09:00", "10:00", instructor_id=studio.other.profile_id, location_id=studio.room)
        studio.assignment(3, "09:00", "10:00", instructor_status="rejected", location_id=studio.room)
        studio.schedule(4, "07:00", "07:45", effective_until=monday + 10 * WEEK, instructor_id=studio.other.profile_id)
        studio.schedule(5, "07:00", "07:45", is_active=False)
        self.everything_the_clock_does()
        self.meetings()

    def everything_the_clock_does(self) -> None:
        """Rules that meet the hour that does not exist, the hour there are two of, and both at their ends."""
        sunday = 0
        self.rule("starts in the gap", sunday, "02:30", "03:30")
        self.rule("ends in the gap", sunday, "01:00", "02:30")
        self.rule("ends at the gap", sunday, "01:00", "02:00")
        self.rule("spans the change", sunday, "01:30", "04:00")
        self.rule("inside the fold", sunday, "02:15", "02:45")
        self.rule("spans the change over there", sunday, "00:30", "03:15", NEW_YORK)
        self.rule("until midnight", 6, "22:00", "24:00")
        self.rule("far away", 3, "09:00", "10:00", "Australia/Lord_Howe")
        moved = self.rule("moved out of the gap", sunday, "02:00", "02:20")
        forward = self.paris["forward"]
        self.move(moved, forward, forward + timedelta(days=1), "02:00", "02:20")
        into = self.rule("moved into the fold", 2, "20:00", "21:00")
        back = self.paris["back"]
        self.move(into, back - timedelta(days=5), back, "02:30", "03:30")
        # Its first date is one on which the clocks change.
        self.rule("begins with the change", sunday, "01:30", "03:30", effective=f"[{forward},)")
        self.rule(
            "ends with the change",
            sunday,
            "01:30",
            "03:30",
            effective=f"[{forward - 3 * WEEK},{forward + timedelta(days=1)})",
        )
        # Moved from before the window into it, from the window to before it, and every date of it moved.
        first = self.since.date() - timedelta(days=self.since.date().isoweekday() % 7 + 7)
        early = self.rule("moved into the window", sunday, "10:00", "11:00")
        self.move(early, first, self.since.date() + timedelta(days=2), "15:00", "16:00")
        self.move(early, first + 2 * WEEK, first - WEEK + timedelta(days=1), "15:00", "16:00")
        soon = self.studio.monday
        wandering = self.rule("never as it says", 1, "10:00", "11:00", effective=f"[{soon},{soon + 2 * WEEK})")
        for number in range(2):
            day = soon + number * WEEK
            self.move(wandering, day, day + timedelta(days=2), "10:00", "11:00")

    def meetings(self) -> None:
        """Of one day and of several, in the fold, cancelled, and one that takes a date over."""
        room, back = self.room("meetings"), self.paris["back"]
        swimming = self.rule("meetings", 4, "06:00", "07:00")
        thursday = self.studio.day(17)
        rows: list[dict[str, Any]] = [
            {"title": "Talks", "date": self.studio.monday, "start_time": "09:00", "end_time": "24:00"},
            {
                "title": "Retreat",
                "date": back - timedelta(days=1),
                "ends_on": back,
                "start_time": "18:00",
                "end_time": "02:10",
            },
            {"title": "Night, \\ folded; twice", "date": back, "start_time": "02:30", "end_time": "03:30"},
            {"title": "Called off", "date": back, "start_time": "10:00", "end_time": "11:00", "status": "cancelled"},
            {
                "title": "Gala",
                "date": thursday,
                "start_time": "06:30",
                "end_time": "08:00",
                "rule_id": swimming,
                "occurs_on": thursday,
            },
        ]
        for row in rows:
            made = self.db.execute(
                sql.SQL("insert into public.meetings ({}) values ({}) returning id").format(
                    sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Literal, row.values()))
                )
            ).fetchone()
            assert made is not None
            self.world.insert("public.meeting_participants", meeting_id=made[0], resource_id=room)


@pytest.fixture
def year(world: World) -> Year:
    return Year(world)


@pytest.fixture
def feeds(db: psycopg.Connection[Any], rest: Rest, tmp_path: Path) -> Iterator[Feeds]:
    with Feeds.serve(db, rest, tmp_path) as serving:
        yield serving


def unknown_zones(text: str) -> str:
    """The same calendar with zones that a reader knows from the calendar only."""
    unfolded = text.replace("\r\n ", "")
    return unfolded.replace("TZID=", "TZID=X-").replace("TZID:", "TZID:X-")


def test_read_back_it_is_the_ledger(year: Year, feeds: Feeds) -> None:
    year.fill()
    wanted = [
        None,
        year.studio.teacher.profile_id,
        year.studio.other.profile_id,
        year.studio.room,
        *year.rooms.values(),
    ]
    shown = 0
    for resource in wanted:
        text = feeds.text(resource)
        ledger = claimed(year.db, resource, year.since, year.until)
        assert uses(text, year.since, year.until) == ledger, resource
        # Whoever knows no zones has to believe the calendar.
        assert uses(unknown_zones(text), year.since, year.until) == ledger, resource
        shown += len(ledger)
    assert shown > 1500


@pytest.mark.parametrize("seed", range(3))
def test_any_rules_in_any_zones(year: Year, feeds: Feeds, seed: int) -> None:
    draw = Random(seed)  # noqa: S311 - repeatable, not secret
    today = year.studio.today
    for number in range(40):
        zone = draw.choice(ZONES)
        # Clocks change in the small hours.
        start = draw.choice([0, 15, 30, 60, 90, 105, 120, 135, 150, 165, 180, 210, 240, 720, 1380])
        end = min(start + draw.choice([15, 30, 60, 90, 120, 180, 300]), 1440)
        first = today + timedelta(days=draw.randint(-400, 200))
        last = first + timedelta(days=draw.choice([7, 40, 400, 2000]))
        # Sunday and Friday most, for the same reason.
        weekday = draw.choice([0, 0, 0, 5, 5, 6, draw.randint(0, 6)])
        rule = year.rule(f"Room {number}", weekday, clock(start), clock(end), zone, f"[{first},{last})")
        dates = [first + timedelta(days=n) for n in range((weekday - first.isoweekday()) % 7, (last - first).days, 7)]
        for day in draw.sample(dates, min(len(dates), draw.choice([0, 1, 5]))):
            if draw.random() < 0.5:
                call(year.db, None, "cancel_occurrence", p_rule_id=rule, p_occurs_on=day)
            else:
                year.move(rule, day, day + timedelta(days=draw.choice([1, 2, 3, -1])), "13:00", "14:10")
    text = feeds.text()
    ledger = claimed(year.db, None, year.since, year.until)
    assert uses(text, year.since, year.until) == ledger
    assert uses(unknown_zones(text), year.since, year.until) == ledger
    assert len(ledger) > 500


def clock(minutes: int) -> str:
    """Minutes since midnight as a time; 24:00 is the end of the day."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def test_zones_are_what_zoneinfo_says(year: Year, feeds: Feeds) -> None:
    zones = (
        PARIS,
        NEW_YORK,
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "America/Santiago",
        "Asia/Beirut",
        "Asia/Tokyo",
        "UTC",
        "Asia/Kathmandu",
    )
    for number, zone in enumerate(zones):
        year.rule(f"Room {number}", 3, "12:00", "13:00", zone)
    found = {str(part["TZID"]): part for part in icalendar.Calendar.from_ical(feeds.text()).walk("VTIMEZONE")}
    assert set(found) == set(zones)
    for zone in zones:
        theirs, ours = ZoneInfo(zone), found[zone].to_tz(lookup_tzid=False)
        moment, until = year.since, year.until + timedelta(days=365)
        while moment < until:
            wall = moment.astimezone(theirs).replace(tzinfo=None)
            assert wall.replace(tzinfo=ours).utcoffset() == wall.replace(tzinfo=theirs).utcoffset(), (zone, wall)
            moment += timedelta(hours=11)


def test_a_schedule_stays_one_event(year: Year, feeds: Feeds) -> None:
    studio = year.studio
    schedule = studio.schedule(1, "12:00", "13:00", location_id=studio.room, effective_until=studio.monday + 30 * WEEK)
    studio.assignment(0, "12:00", "13:00", schedule_id=schedule.id)
    call(year.db, None, "cancel_occurrence", p_rule_id=schedule.id, p_occurs_on=studio.day(14))
    year.move(schedule.id, studio.day(21), studio.day(22), "18:00", "19:00")
    text = feeds.text(studio.teacher.profile_id)
    event = events(text)[f"weekly_rules-{schedule.id}@classbase"]
    paris = ZoneInfo(PARIS)
    assert event.start == datetime.combine(studio.day(7), time(12), paris)
    assert event["DTSTART"].params["TZID"] == PARIS
    assert event["RRULE"]["FREQ"] == ["WEEKLY"]
    assert event["RRULE"]["UNTIL"] == [datetime.combine(studio.day(210), time(23, 59, 59), paris).astimezone(UTC)]
    assert [one.dt for one in event["EXDATE"].dts] == [datetime.combine(studio.day(14), time(12), paris)]
    assert (event["SUMMARY"], event["DESCRIPTION"], event["LOCATION"]) == ("Hatha", "Tara Teacher", "Hall")
    instead = [e for e in icalendar.Calendar.from_ical(text).walk("VEVENT") if "RECURRENCE-ID" in e]
    assert [(e["UID"], e["RECURRENCE-ID"].dt, e.start) for e in instead] == [
        (
            event["UID"],
            datetime.combine(studio.day(21), time(12), paris),
            datetime.combine(studio.day(22), time(18), paris),
        )
    ]


def test_a_cancelled_class_stays_and_says_so(year: Year, feeds: Feeds) -> None:
    studio = year.studio
    lesson = studio.assignment(1)
    uid = f"class_assignments-{lesson.id}@classbase"
    feed = feeds.make(studio.teacher.profile_id)
    before = events(feeds.get(feed["token"]).text)[uid]
    assert before["STATUS"] == "TENTATIVE"
    year.db.execute("update public.class_assignments set instructor_status = 'accepted' where id = %s", [lesson.id])
    accepted = events(feeds.get(feed["token"]).text)[uid]
    assert accepted["STATUS"] == "CONFIRMED"
    year.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [lesson.id])
    after = events(feeds.get(feed["token"]).text)[uid]
    assert after["STATUS"] == "CANCELLED"
    assert after["TRANSP"] == "TRANSPARENT"
    assert before["SEQUENCE"] < accepted["SEQUENCE"] < after["SEQUENCE"]
    assert after.start == before.start


def test_a_schedules_changes_count(year: Year, feeds: Feeds) -> None:
    schedule = year.studio.schedule()
    feed = feeds.make()
    seen = []
    for change in ("start_time = '11:00', end_time = '12:00'", f"location_id = '{year.studio.room}'", "notes = 'Mats'"):
        seen.append(events(feeds.get(feed["token"]).text)[f"weekly_rules-{schedule.id}@classbase"]["SEQUENCE"])
        year.db.execute(f"update public.class_schedules set {change} where id = %s".encode(), [schedule.id])
    seen.append(events(feeds.get(feed["token"]).text)[f"weekly_rules-{schedule.id}@classbase"]["SEQUENCE"])
    assert seen == sorted(set(seen))


def test_a_class_without_times_is_on_its_day(year: Year, feeds: Feeds) -> None:
    lesson = year.studio.assignment(1, None, None)
    event = events(feeds.text(year.studio.teacher.profile_id))[f"class_assignments-{lesson.id}@classbase"]
    assert (event.start, event["TRANSP"]) == (year.studio.day(1), "TRANSPARENT")


def test_whose_calendar_shows_what(year: Year, feeds: Feeds) -> None:
    studio = year.studio
    rejected = studio.assignment(1, instructor_status="rejected", location_id=studio.room)
    inactive = studio.schedule(2, is_active=False)
    nobodys = studio.schedule(3, instructor_id=None)
    old = year.world.insert(
        "public.meetings",
        title="Long ago",
        date=year.since.date() - timedelta(days=40),
        start_time="9:00",
        end_time="10:00",
    )
    mine, rooms, all_ = (set(events(feeds.text(one))) for one in (studio.teacher.profile_id, studio.room, None))
    uid = f"class_assignments-{rejected.id}@classbase"
    assert mine == set()
    assert rooms == {uid}
    assert all_ == {uid, f"weekly_rules-{nobodys.id}@classbase"}
    assert inactive.id != nobodys.id
    assert not any(str(old.id) in one for one in all_)


def test_nothing_of_customers_or_pay(year: Year, feeds: Feeds) -> None:
    studio = year.studio
    lesson = studio.assignment(1, payment_amount="4321.09", notes="Zelda pays cash")
    booking = studio.booking(first_name="Zelda", last_name="Quimby", email="zelda@example.org", phone="+33612345678")
    studio.link(lesson.id, booking.booking_id)
    studio.schedule(3, notes="Zelda comes too")
    text = feeds.text().replace("\r\n ", "")
    for secret in ("Zelda", "Quimby", "zelda", "612345678", "4321", booking.booking_id, str(studio.teacher.email)):
        assert secret not in text


def test_any_text_survives(year: Year, feeds: Feeds) -> None:
    title = "Ünïcode, commas; back\\slashes \\n and 🧘‍♀️ " + "日本語のとても長い題名 " * 12 + '"quoted": BEGIN:VEVENT'
    address = "1 Main Street\nSecond line\r\nEND:VCALENDAR"
    place = year.world.insert("public.locations", name="Hall 🎪", address=address).id
    year.db.execute("update public.class_types set name = %s where id = %s", [title[:100].strip(), year.studio.hatha])
    meeting = year.world.insert(
        "public.meetings", title=title.strip(), date=year.studio.monday, start_time="9:00", end_time="10:00"
    )
    year.world.insert("public.meeting_participants", meeting_id=meeting.id, resource_id=place)
    lesson = year.studio.assignment(1)
    feed = feeds.make(name="All, of; it\\ 🎉")
    answer = feeds.get(feed["token"])
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    assert b"\n" not in answer.content.replace(b"\r\n", b"")
    found = events(answer.text)
    assert found[f"meetings-{meeting.id}@classbase"]["SUMMARY"] == title.strip()
    assert found[f"meetings-{meeting.id}@classbase"]["LOCATION"] == "Hall 🎪, 1 Main Street\nSecond line\nEND:VCALENDAR"
    assert found[f"class_assignments-{lesson.id}@classbase"]["SUMMARY"] == title[:100].strip()
    assert "\r\nX-WR-CALNAME:All\\, of\\; it\\\\ 🎉\r\n" in answer.text
