"""Series: planned with everything in the way, made whole or as far as they fit, and carried on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from tests.support.calls import call, refused
from tests.support.school import School
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World


@pytest.fixture
def school(world: World) -> School:
    return School(world)


def weeks(first: date, *numbers: int) -> list[date]:
    return [first + timedelta(7 * number) for number in numbers]


def test_a_plan_says_everything_and_writes_nothing(school: School) -> None:
    school.meeting(school.ana.profile_id, school.monday + timedelta(7))
    school.world.insert("public.closures", name="Holiday", starts_on=school.monday + timedelta(14))
    plan = call(school.db, school.boss, "plan_series", **school.asked())
    assert [(row["session_date"], row["status"]) for row in plan] == list(
        zip(weeks(school.monday, 0, 1, 2, 3), ("planned", "conflict", "skipped", "planned"), strict=True)
    )
    [clash] = plan[1]["conflicts"]
    assert (clash["resource_name"], clash["kind"]) == ("Ana Teacher", "meeting")
    assert plan[2]["reason"] == "Closed: Holiday"
    assert school.one("select count(*) from public.session_series") == 0
    assert school.one("select count(*) from public.course_sessions") == 0


def test_all_or_nothing(school: School) -> None:
    school.meeting(school.room, school.monday + timedelta(7))
    with refused("time_conflict") as refusal:
        school.series()
    assert [one["session_date"] for one in refusal.details["conflicts"]] == [str(school.monday + timedelta(7))]
    assert school.one("select count(*) from public.session_series") == 0
    made = school.series(p_exdates=[school.monday + timedelta(7)])
    assert school.dates(made["series_id"]) == weeks(school.monday, 0, 2, 3)
    assert made["left_out"] == []


def test_or_all_that_fit_with_what_was_left_out(school: School) -> None:
    school.meeting(school.room, school.monday + timedelta(7))
    made = school.series(p_partial=True)
    assert school.dates(made["series_id"]) == weeks(school.monday, 0, 2, 3)
    assert len(made["session_ids"]) == 3
    [left] = made["left_out"]
    assert (left["session_date"], left["status"]) == (str(school.monday + timedelta(7)), "conflict")


def test_sessions_are_like_the_course_says(school: School) -> None:
    made = school.series(p_rdates=[school.monday + timedelta(1)])
    row = school.db.execute(
        "select end_time::text, max_capacity, price, time_zone, series_date from public.course_sessions where id = %s",
        [made["session_ids"][1]],
    ).fetchone()
    assert row is not None
    assert (row[0], row[1], float(row[2]), row[3], row[4]) == (
        "11:00:00",
        12,
        50.0,
        "UTC",
        school.monday + timedelta(1),
    )
    assert school.one("select count(*) from public.session_seats") == 5 * 12


def test_the_same_key_makes_it_once(school: School) -> None:
    first = school.series(p_idempotency_key="k1")
    assert school.series(p_idempotency_key="k1") == first
    assert school.one("select count(*) from public.session_series") == 1


def test_every_bad_argument_is_named(school: School) -> None:
    with refused("invalid_input") as refusal:
        school.series(
            p_rrule="FREQ=HOURLY;BYDAY=XX", p_end_time="09:00", p_time_zone="Mars/Base", p_max_capacity=13, p_price=-1
        )
    assert refusal.fields == {
        "p_rrule.FREQ", "p_rrule.BYDAY", "p_end_time", "p_time_zone", "p_max_capacity", "p_price",
    }  # fmt: skip
    with refused("invalid_input"):
        school.series(p_rrule="FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30")
    with refused("invalid_input"):
        school.series(p_rrule="FREQ=WEEKLY;UNTIL=20200101")


@pytest.mark.parametrize("role", ["instructor", "member"])
def test_who_may_not_plan_is_refused(school: School, world: World, role: str) -> None:
    for function in ("plan_series", "create_series"):
        with refused("forbidden"):
            call(school.db, world.user(role), function, **school.asked())


def test_each_night_what_is_missing_and_nothing_else(school: School) -> None:
    school.db.execute("update public.settings set value = '14' where key = 'series_horizon_days'")
    made = school.series(p_rrule="FREQ=WEEKLY")
    series = made["series_id"]
    there = school.dates(series)
    moved, cancelled = (school.session_on(series, day) for day in there[:2])
    school.db.execute("update public.course_sessions set session_date = session_date + 1 where id = %s", [moved])
    school.db.execute(
        "update public.course_sessions set status = 'cancelled', cancellation_reason = 'Ill' where id = %s", [cancelled]
    )
    school.db.execute("update public.settings set value = '30' where key = 'series_horizon_days'")
    gone = school.series(p_rrule="FREQ=WEEKLY;COUNT=2", p_start_time="16:00")
    school.db.execute("delete from public.course_sessions where id = %s", [gone["session_ids"][1]])
    before = school.db.execute("select * from public.course_sessions order by id").fetchall()
    for wanted in (True, False):
        said = school.one("select private.generate_series_sessions()")
        assert said.startswith("0 sessions made") is not wanted
    after = school.db.execute("select * from public.course_sessions order by id").fetchall()
    assert set(before) < set(after)
    days = weeks(school.monday, *range(1 + (school.one("select private.series_through()") - school.monday).days // 7))
    rows = school.db.execute("select series_date from public.course_sessions where series_id = %s order by 1", [series])
    assert [row[0] for row in rows] == days
    assert school.dates(gone["series_id"]) == [school.monday]
    assert school.one("select exdates from public.session_series where id = %s", [gone["series_id"]]) == weeks(
        school.monday, 1
    )


def test_a_cancelled_series_keeps_what_happened(school: School, world: World) -> None:
    series = school.series()["series_id"]
    booking = school.book(school.session_on(series, school.monday + timedelta(14)), world.user())
    school.pass_days(8)
    [done] = call(school.db, school.boss, "cancel_series", p_id=series, p_reason="No room")
    assert len(done["session_ids"]) == 3 if school.today.weekday() == 0 else len(done["session_ids"]) >= 2
    states = [state for _, _, state in school.sessions(series)]
    assert states[0] == "scheduled"
    assert states[2:] == ["cancelled", "cancelled"]
    assert school.one("select status from public.session_bookings where id = %s", [booking]) == "cancelled"
    with refused("illegal_transition"):
        call(school.db, school.boss, "cancel_series", p_id=series, p_reason="Again")
    assert school.one("select private.generate_series_sessions()") == "0 sessions made, 0 not possible"


def test_the_clock_change_leaves_a_date_out(school: School) -> None:
    # 02:30 does not exist on the night clocks go forward in Paris; the week before and after it does.
    change = school.one(
        "select min(d)::date from generate_series(private.today() + 7, private.today() + 366, interval '1 day') d "
        "where private.local_to_instant(d::date, '02:30', 'Europe/Paris') is null"
    )
    school.db.execute("update public.settings set value = '730' where key = 'series_horizon_days'")
    plan = call(
        school.db, school.boss, "plan_series",
        **school.asked(
            p_rrule="FREQ=WEEKLY;COUNT=3", p_first_date=change - timedelta(7), p_start_time="02:30", p_time_zone="Europe/Paris"
        ),
    )  # fmt: skip
    assert [row["status"] for row in plan] == ["planned", "skipped", "planned"]
    assert "does not exist" in plan[1]["reason"]


def test_two_planners_want_the_hall(school: School, database: Database) -> None:
    first, second = database.connect(autocommit=False), database.connect()
    [made] = call(first, None, "create_series", **school.asked())
    with ThreadPoolExecutor(1) as other:
        late = other.submit(call, second, None, "create_series", **school.asked(p_instructor_id=school.ben.profile_id))
        until_blocked(school.db, second)
        first.commit()
        with refused("time_conflict") as refusal:
            late.result()
    assert refusal.details["count"] == 4
    assert school.dates(made["series_id"]) == weeks(school.monday, 0, 1, 2, 3)


def test_deleting_a_session_and_cancelling_its_series_wait_in_one_order(school: School, database: Database) -> None:
    series = school.series()["series_id"]
    first, second = database.connect(autocommit=False), database.connect()
    first.execute("select from public.course_sessions where series_id = %s order by id for update", [series])
    with ThreadPoolExecutor(1) as other:
        late = other.submit(call, second, None, "cancel_series", p_id=series, p_reason="No room")
        until_blocked(school.db, second)
        # Had the other one locked the series first, these two would wait for each other.
        first.execute(
            "delete from public.course_sessions where series_id = %s and session_date = %s", [series, school.monday]
        )
        first.commit()
        [done] = late.result()
    assert len(done["session_ids"]) == 3


def test_two_runs_of_a_night_make_it_once(school: School, database: Database) -> None:
    school.db.execute("update public.settings set value = '14' where key = 'series_horizon_days'")
    series = school.series(p_rrule="FREQ=DAILY")["series_id"]
    school.db.execute("update public.settings set value = '20' where key = 'series_horizon_days'")
    first, second = database.connect(autocommit=False), database.connect()
    first.execute("select private.generate_series_sessions()")
    with ThreadPoolExecutor(1) as other:
        late = other.submit(second.execute, "select private.generate_series_sessions()")
        until_blocked(school.db, second)
        first.commit()
        assert late.result().fetchone() == ("0 sessions made, 0 not possible",)
    assert (
        len(school.dates(series))
        == len(set(school.dates(series)))
        == (school.today + timedelta(20) - school.monday).days + 1
    )
