"""Changing a series: from here on or all of it, planned first; what happened, was booked or edited stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.school import School
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World


@pytest.fixture
def school(world: World) -> School:
    return School(world)


def change(school: School, scope: str, session: UUID, changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    [done] = call(
        school.db, school.boss, "update_series", p_scope=scope, p_session_id=session, p_changes=Jsonb(changes), **more
    )
    return done


def plan(school: School, scope: str, session: UUID, changes: dict[str, Any]) -> list[tuple[date, str, str | None]]:
    rows = call(
        school.db, school.boss, "plan_series_change", p_scope=scope, p_session_id=session, p_changes=Jsonb(changes)
    )
    return [(row["session_date"], row["action"], row["reason"]) for row in rows]


def at(school: School, *numbers: int) -> list[date]:
    return [school.monday + timedelta(7 * number) for number in numbers]


def test_all_of_it_but_what_was_booked_edited_or_cancelled(school: School, world: World) -> None:
    series = school.series(p_rrule="FREQ=WEEKLY;COUNT=5")["series_id"]
    booked, edited, off = (school.session_on(series, day) for day in at(school, 1, 2, 3))
    school.book(booked, world.user())
    school.db.execute(
        "update public.course_sessions set start_time = '08:00', end_time = '09:00' where id = %s", [edited]
    )
    school.db.execute(
        "update public.course_sessions set status = 'cancelled', cancellation_reason = 'Ill' where id = %s", [off]
    )
    before = school.db.execute("select * from public.course_sessions order by id").fetchall()
    changes = {"start_time": "14:00", "end_time": "15:30"}
    wanted = list(
        zip(
            at(school, 0, 1, 2, 3, 4),
            ("change", "keep", "keep", "keep", "change"),
            (None, "booked", "edited", "cancelled", None),
            strict=True,
        )
    )
    assert plan(school, "all", booked, changes) == wanted
    assert school.db.execute("select * from public.course_sessions order by id").fetchall() == before
    done = change(school, "all", booked, changes)
    assert (done["series_id"], done["changed"], done["added"], done["removed"]) == (series, 2, 0, 0)
    assert [one["reason"] for one in done["kept"]] == ["booked", "edited", "cancelled"]
    assert [start for _, start, _ in school.sessions(series)] == ["14:00", "10:00", "08:00", "10:00", "14:00"]


def test_from_here_on_it_is_another_series_of_the_same_run(school: School) -> None:
    series = school.series(p_rrule="FREQ=WEEKLY;INTERVAL=2;COUNT=6", p_exdates=at(school, 8))["series_id"]
    here = school.session_on(series, at(school, 4)[0])
    done = change(school, "following", here, {"instructor_id": str(school.ben.profile_id)})
    other = done["series_id"]
    assert other != series
    assert school.dates(series) == at(school, 0, 2)
    assert school.dates(other) == at(school, 4, 6, 10)
    row = school.db.execute(
        "select a.run_id = b.run_id, b.rrule, a.ends_on, b.first_date from public.session_series a, public.session_series b "
        "where a.id = %s and b.id = %s", [series, other],
    ).fetchone()  # fmt: skip
    assert row == (True, "FREQ=WEEKLY;INTERVAL=2;COUNT=4", at(school, 4)[0] - timedelta(1), at(school, 4)[0])
    assert school.one("select private.generate_series_sessions()") == "0 sessions made, 0 not possible"
    teachers = school.db.execute(
        "select distinct instructor_id from public.course_sessions where series_id = %s", [other]
    ).fetchall()
    assert teachers == [(school.ben.profile_id,)]


def test_another_rule_removes_and_adds_but_keeps_what_was_booked(school: School, world: World) -> None:
    series = school.series(p_rrule="FREQ=WEEKLY;UNTIL=" + (at(school, 3)[0]).strftime("%Y%m%d"))["series_id"]
    booked = school.session_on(series, at(school, 1)[0])
    school.book(booked, world.user())
    rule = "FREQ=WEEKLY;BYDAY=MO,TU;COUNT=3"
    assert plan(school, "all", booked, {"rrule": rule}) == [
        (at(school, 0)[0], "change", None),
        (at(school, 0)[0] + timedelta(1), "add", None),
        (at(school, 1)[0], "keep", "booked"),
        (at(school, 2)[0], "remove", None),
        (at(school, 3)[0], "remove", None),
    ]
    done = change(school, "all", booked, {"rrule": rule})
    assert (done["added"], done["removed"]) == (1, 2)
    assert school.dates(series) == [at(school, 0)[0], at(school, 0)[0] + timedelta(1), at(school, 1)[0]]
    # What the rule no longer has is not remembered as left out: the rule may have it again.
    assert school.one("select exdates from public.session_series where id = %s", [series]) == []
    assert change(school, "all", booked, {"rrule": "FREQ=WEEKLY;COUNT=4"})["added"] == 2


def test_what_is_in_the_way_refuses_all_or_is_left_as_it_was(school: School) -> None:
    series = school.series()["series_id"]
    school.meeting(school.ana.profile_id, at(school, 2)[0], "14:00", "15:00")
    first = school.session_on(series, school.monday)
    changes = {"start_time": "14:00", "end_time": "15:00"}
    assert [action for _, action, _ in plan(school, "all", first, changes)] == [
        "change",
        "change",
        "conflict",
        "change",
    ]
    with refused("time_conflict") as refusal:
        change(school, "all", first, changes)
    assert [one["session_date"] for one in refusal.details["conflicts"]] == [str(at(school, 2)[0])]
    assert {start for _, start, _ in school.sessions(series)} == {"10:00"}
    done = change(school, "all", first, changes, p_partial=True)
    assert [one["session_date"] for one in done["left_out"]] == [str(at(school, 2)[0])]
    assert [start for _, start, _ in school.sessions(series)] == ["14:00", "14:00", "10:00", "14:00"]


def test_its_own_time_is_not_in_its_way(school: School) -> None:
    series = school.series(p_rrule="FREQ=DAILY;COUNT=5")["series_id"]
    done = change(school, "all", school.session_on(series, school.monday), {"start_time": "10:30", "end_time": "11:30"})
    assert done["changed"] == 5


def test_what_happened_stays(school: School) -> None:
    series = school.series(p_rrule="FREQ=DAILY;COUNT=10")["series_id"]
    school.pass_days((school.monday - school.today).days + 3)
    done = change(school, "all", school.session_on(series, school.monday), {"price": "75"})
    happened = [one["session_date"] for one in done["kept"]]
    assert happened[:3] == [str(school.monday + timedelta(n)) for n in range(3)]
    prices = school.db.execute(
        "select price::int from public.course_sessions where series_id = %s order by session_date", [series]
    )
    assert [row[0] for row in prices] == [50] * len(happened) + [75] * (10 - len(happened))


def test_stale_wrong_and_nobodys(school: School, world: World) -> None:
    series = school.series()["series_id"]
    session = school.session_on(series, school.monday)
    assert change(school, "all", session, {"price": "60"}, p_expected_version=1)["changed"] == 4
    with refused("stale_version"):
        change(school, "all", session, {"price": "70"}, p_expected_version=1)
    with refused("invalid_input") as refusal:
        change(school, "this", session, {"colour": "red", "rdates": ["soon"], "price": "-1"})
    assert refusal.fields == {"p_scope", "p_changes.colour", "p_changes.rdates", "p_changes.price"}
    with refused("invalid_input") as refusal:
        change(school, "all", session, {"rrule": "FREQ=WEEKLY;BYDAY=XX", "max_capacity": 13})
    assert refusal.fields == {"p_changes.rrule.BYDAY", "p_changes.max_capacity"}
    with refused("invalid_input"):
        change(school, "all", school.session(), {"price": "1"})
    for nothing in ([], 7, None, "x", {}):
        with refused("invalid_input"):
            change(school, "all", session, nothing)  # type: ignore[arg-type]
    with refused("not_found"):
        change(school, "all", school.course, {"price": "1"})
    for function in ("plan_series_change", "update_series"):
        with refused("forbidden"):
            call(
                school.db,
                world.user("instructor"),
                function,
                p_scope="all",
                p_session_id=session,
                p_changes=Jsonb({"price": "1"}),
            )


def test_a_booking_made_meanwhile_is_seen(school: School, world: World, database: Database) -> None:
    series = school.series()["series_id"]
    session = school.session_on(series, school.monday)
    booker, planner = database.connect(autocommit=False), database.connect()
    booker.execute("insert into public.session_bookings (session_id, attendee_name) values (%s, 'Guest')", [session])
    with ThreadPoolExecutor(1) as other:
        late = other.submit(
            call,
            planner,
            None,
            "update_series",
            p_scope="all",
            p_session_id=session,
            p_changes=Jsonb({"start_time": "14:00", "end_time": "15:00"}),
        )
        until_blocked(school.db, planner)
        booker.commit()
        [done] = late.result()
    assert [one["reason"] for one in done["kept"]] == ["booked"]
    assert school.sessions(series)[0][1] == "10:00"
