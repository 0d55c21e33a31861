"""Students of every kind through everything that happens to them, against what plain Python makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.support.promises import Pupil, Slot, days_closed
from tests.support.tracking import Tracking, set_now
from tests.support.wall_clock import MIDNIGHT, ZONES, WallTime, at

Connection = psycopg.Connection[Any]
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
# Where clocks change, around midnight, and in the middle of the day; nothing at five, where classes are moved to.
STARTS = [time(h, m) for h, m in ((0, 0), (0, 30), (1, 0), (1, 30), (2, 0), (2, 15), (3, 0), (12, 0), (22, 30), (23, 0), (23, 30))]  # fmt: skip
FREE = time(5)
examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@st.composite
def weeks(draw: st.DrawFn, zone: str) -> set[Slot]:
    """Weekly times that do not overlap."""
    found: set[Slot] = set()
    for weekday, start in draw(st.sets(st.tuples(st.integers(0, 6), st.sampled_from(STARTS)), max_size=5)):
        ends = at(date(2000, 1, 1), start) + timedelta(minutes=draw(st.sampled_from([15, 30, 60, 60])))
        end: WallTime = ends.time() if ends.date() == date(2000, 1, 1) else MIDNIGHT
        if ends > datetime(2000, 1, 2) or any(
            other.weekday == weekday
            and at(date(2000, 1, 1), other.start) < ends
            and start < (time.max if isinstance(other.end, str) else other.end)
            for other in found
        ):
            continue
        found.add(Slot(weekday, start, end, zone))
    return found


def minutes(slot: Slot) -> int:
    day = date(2000, 1, 1)
    return int((at(day, slot.end) - at(day, slot.start)).total_seconds()) // 60


@st.composite
def written(draw: st.DrawFn, slots: set[Slot]) -> Any:
    """A fixed schedule that says so, in one of its forms."""

    def element(slot: Slot) -> dict[str, Any]:
        said: dict[str, Any] = {draw(st.sampled_from(["start_time", "time", "startTime"])): f"{slot.start:%H:%M}"}
        how = draw(st.integers(0, 3))
        if how == 0 and minutes(slot) == 60:
            return said  # as long as the course
        if how == 1:
            return {**said, "end_time": slot.end if isinstance(slot.end, str) else f"{slot.end:%H:%M}"}
        return {**said, draw(st.sampled_from(["duration_minutes", "durationMinutes"])): minutes(slot)}

    if draw(st.booleans()):
        names = [
            lambda d: {"day": DAYS[d]}, lambda d: {"day": DAYS[d].title()[:3]}, lambda d: {"dayOfWeek": d},
            lambda d: {"dayOfWeek": str(d)}, lambda d: {"weekday": DAYS[d].upper()},
        ]  # fmt: skip
        return [{**draw(st.sampled_from(names))(slot.weekday), **element(slot)} for slot in slots]
    keyed: dict[str, Any] = {}
    for slot in slots:
        keyed.setdefault(draw(st.sampled_from([DAYS[slot.weekday], str(slot.weekday)])), []).append(element(slot))
    if len({key if key.isalpha() else DAYS[int(key)] for key in keyed}) < len(keyed):
        keyed = {}
        for slot in slots:
            keyed.setdefault(DAYS[slot.weekday], []).append(element(slot))
    return {key: value[0] if len(value) == 1 and draw(st.booleans()) else value for key, value in keyed.items()}


class Both:
    """A student in the database and the same in Python; every change is made to both, and then they are compared."""

    def __init__(self, tracking: Tracking, draw: Any, weeks_ahead: int) -> None:
        self.db: Connection = tracking.db
        self.teacher = tracking.other.profile_id
        self.draw = draw
        home, zone = draw(st.sampled_from(ZONES)), draw(st.sampled_from(ZONES))
        now = draw(st.datetimes(datetime(2027, 1, 1), datetime(2032, 12, 31))).replace(microsecond=0, tzinfo=UTC)
        start = now.date() + timedelta(draw(st.integers(-40, 30)))
        end = draw(st.none() | st.integers(0, 120).map(lambda days: start + timedelta(days)))
        self.pupil = Pupil(now, home, weeks_ahead, zone, start, end)
        self.put("update public.settings set value = %s where key = 'organisation_time_zone'", Jsonb(home))
        self.put("update public.settings set value = %s where key = 'class_horizon_weeks'", Jsonb(weeks_ahead))
        set_now(self.db, now)
        self.put("select private.extend_horizons()")
        for _ in range(draw(st.integers(0, 2))):
            self.close()
        slots = draw(weeks(zone))
        row = self.db.execute(
            "insert into public.students (first_name, start_date, end_date, time_zone, teacher_id, course_id, fixed_schedule) "
            "values ('Pia', %s, %s, %s, %s, %s, %s) returning id",
            [start, end, zone, self.teacher, tracking.course, Jsonb(draw(written(slots)))],
        ).fetchone()
        assert row is not None
        self.id: UUID = row[0]
        self.pupil.plan(slots)
        self.settle()

    def put(self, statement: str, *values: Any) -> None:
        self.db.execute(statement.encode(), values)

    def settle(self) -> None:
        """Both generated; now they are the same."""
        self.pupil.generate()
        self.compare()

    def compare(self) -> None:
        rows = self.db.execute(
            "select date, start_time, end_time, starts_at, ends_at, status "
            "from public.classes where student_id = %s order by starts_at, date, start_time",
            [self.id],
        ).fetchall()
        assert rows == self.pupil.rows()

    def ahead(self) -> date:
        """A day from a fortnight ago to a while ahead."""
        return self.pupil.now.date() + timedelta(self.draw(st.integers(-14, 60)))

    # what happens

    def close(self) -> None:
        first = self.ahead()
        last = first + timedelta(self.draw(st.integers(0, 9)))
        self.put("insert into public.closures (name, starts_on, ends_on) values ('Closed', %s, %s)", first, last)
        self.pupil.closures.append(days_closed(first, last, self.pupil.home))

    def open_again(self) -> None:
        if self.pupil.closures:
            gone = self.pupil.closures.pop()
            self.put("delete from public.closures where during = tstzrange(%s, %s)", *gone)
            self.pupil.closures = [span for span in self.pupil.closures if span != gone]

    def pause(self) -> None:
        first = self.ahead()
        last = first + timedelta(self.draw(st.integers(0, 20)))
        if not any(one <= last and first <= other for one, other in self.pupil.pauses):
            self.put("insert into public.student_pauses (student_id, starts_on, ends_on, reason) values (%s, %s, %s, 'Away.')", self.id, first, last)  # fmt: skip
            self.pupil.pauses.append((first, last))

    def come_back(self) -> None:
        if self.pupil.pauses:
            self.put("delete from public.student_pauses where student_id = %s and starts_on = %s", self.id, self.pupil.pauses.pop()[0])  # fmt: skip

    def take_time_off(self) -> None:
        first = self.ahead()
        last = first + timedelta(self.draw(st.integers(0, 9)))
        self.put(
            "insert into public.time_off (resource_id, starts_on, ends_on, time_zone) values (%s, %s, %s, %s)",
            self.teacher, first, last, self.pupil.home,
        )  # fmt: skip
        self.put("update public.time_off set status = 'approved', keeps_claims = true where status = 'requested'")
        self.pupil.time_off.append(days_closed(first, last, self.pupil.home))
        # Nothing is made for it, and nothing is taken away: the next run takes note.
        self.weekly_run()

    def new_schedule(self) -> None:
        slots = self.draw(weeks(self.pupil.zone))
        if self.draw(st.booleans()):
            slots |= {
                r.slot for r in self.pupil.rules
                if r.until is None and not any(s.weekday == r.slot.weekday for s in slots)
            }  # fmt: skip
        self.put("update public.students set fixed_schedule = %s where id = %s", Jsonb(self.draw(written(slots))), self.id)  # fmt: skip
        self.pupil.plan(slots)

    def move_away(self) -> None:
        self.pupil.zone = self.draw(st.sampled_from(ZONES))
        slots = {Slot(r.slot.weekday, r.slot.start, r.slot.end, self.pupil.zone) for r in self.pupil.rules if r.until is None}  # fmt: skip
        self.put("update public.students set time_zone = %s where id = %s", self.pupil.zone, self.id)
        self.pupil.plan(slots)

    def other_dates(self) -> None:
        start = self.pupil.now.date() + timedelta(self.draw(st.integers(-60, 30)))
        end = self.draw(st.none() | st.integers(0, 120).map(lambda days: start + timedelta(days)))
        self.put("update public.students set start_date = %s, end_date = %s where id = %s", start, end, self.id)
        if start < self.pupil.start or (end or date.max) > (self.pupil.end or date.max):
            self.pupil.through = None
        self.pupil.start, self.pupil.end = start, end

    def leave_or_return(self) -> None:
        here = self.pupil.now.astimezone().date()
        row = self.db.execute(
            "update public.students set is_active = not is_active where id = %s returning inactive_since", [self.id]
        ).fetchone()
        assert row is not None
        if self.pupil.inactive_since is not None:
            self.pupil.pauses = [
                (first, last) for first, last in self.db.execute(
                    "select starts_on, ends_on from public.student_pauses where student_id = %s", [self.id])
            ]  # fmt: skip
            assert row[0] is None
        else:
            assert abs((row[0] - here).days) <= 1
        self.pupil.inactive_since = row[0]

    def touch(self) -> None:
        """Somebody changes a class to come: a note, called off, or another time."""
        coming = [lesson for lesson in self.pupil.lessons if lesson.status == "scheduled" and lesson.span[0] > self.pupil.now]  # fmt: skip
        if not coming:
            return
        lesson = self.draw(st.sampled_from(coming))
        key = [self.id, lesson.date, lesson.start]
        where = "where student_id = %s and date = %s and start_time = %s"
        how = self.draw(st.sampled_from(["note", "cancel", "move"]))
        if how == "note":
            self.put(f"update public.classes set notes = 'Bring the book.' {where}", *key)
            lesson.touched = True
        elif how == "cancel":
            self.put(f"update public.classes set status = 'cancelled', cancellation_reason = 'Ill.' {where}", *key)
            lesson.status = "cancelled"
        elif not any(other.date == lesson.date and other.start == FREE for other in self.pupil.lessons):
            end = (at(lesson.date, FREE) + timedelta(minutes=minutes(lesson.rule.slot))).time()
            self.put(f"update public.classes set start_time = %s, end_time = %s {where}", FREE, end, *key)
            self.pupil.move(lesson, FREE)

    def weekly_run(self) -> None:
        self.put("select private.generate_for_everyone()")

    def time_passes(self) -> None:
        self.pupil.now += timedelta(days=self.draw(st.integers(0, 25)), minutes=self.draw(st.integers(0, 1439)))
        set_now(self.db, self.pupil.now)
        self.put("select private.extend_horizons()")
        self.weekly_run()

    GENERATES = (
        "close", "open_again", "pause", "come_back", "take_time_off", "new_schedule", "move_away", "other_dates",
        "leave_or_return", "time_passes",
    )  # fmt: skip

    def step(self) -> None:
        what = self.draw(st.sampled_from([*self.GENERATES, "time_passes", "touch", "touch"]))
        getattr(self, what)()
        if what == "touch":
            self.compare()
        # Closures and pauses of the past generate for nobody; nor does what concerns nobody. A run makes it the same.
        self.weekly_run()
        self.settle()


@contextmanager
def undone(db: Connection) -> Iterator[None]:
    with db.transaction(force_rollback=True):
        yield


@examples
@given(data=st.data())
def test_a_year_ahead_is_what_the_calendar_says(tracking: Tracking, data: st.DataObject) -> None:
    with undone(tracking.db):
        Both(tracking, data.draw, 52)


@examples
@given(data=st.data())
def test_whatever_happens_the_classes_are_those_promised(tracking: Tracking, data: st.DataObject) -> None:
    with undone(tracking.db):
        both = Both(tracking, data.draw, data.draw(st.integers(1, 8)))
        for _ in range(data.draw(st.integers(1, 8))):
            both.step()
        before = tracking.bytes()
        both.weekly_run()
        assert tracking.bytes() == before


@examples
@given(data=st.data())
def test_an_outage_of_weeks_leaves_no_trace(tracking: Tracking, data: st.DataObject) -> None:
    """Weekly runs, or one after several weeks: the same rows, whatever was closed or paused meanwhile."""
    with undone(tracking.db):
        both = Both(tracking, data.draw, data.draw(st.integers(1, 8)))
        for _ in range(data.draw(st.integers(0, 2))):
            both.draw(st.sampled_from([both.close, both.pause, both.touch]))()
        both.weekly_run()
        start, outage = both.pupil.now, data.draw(st.integers(2, 6))

        def after(runs: range) -> list[tuple[Any, ...]]:
            with undone(both.db):
                for week in runs:
                    set_now(both.db, start + timedelta(weeks=week))
                    both.put("select private.extend_horizons()")
                    both.weekly_run()
                return tracking.rows()

        assert after(range(1, outage + 1)) == after(range(outage, outage + 1))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_model_counts_as_a_calendar_does(count: int) -> None:
    """The other opinion itself: so many Mondays, the 29th of February among them."""
    pupil = Pupil(datetime(2032, 1, 26, tzinfo=UTC), "UTC", count or 1, "UTC", date(2032, 1, 26), None)
    pupil.plan({Slot(0, time(10), time(11), "UTC")} if count else set())
    pupil.generate()
    days = [lesson.date for lesson in pupil.lessons]
    assert len(days) == count
    assert (date(2032, 2, 29) in days) == (count >= 5)
