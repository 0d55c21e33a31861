"""Searching sessions: every filter against a plain model, what strangers see, and how little of a large table is read."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.calls import call, refused
from tests.support.school import School
from tests.support.world import World


@pytest.fixture
def school(world: World) -> School:
    return School(world)


class Catalogue:
    """Forty sessions of three courses in two places, some full, dear, cancelled or over."""

    def __init__(self, school: School) -> None:
        self.school = school
        world, first = school.world, school.today
        yoga = world.insert(
            "public.courses", code="Y_1", title="100% Yoga", duration_minutes=60, price=20, default_capacity=2
        ).id
        old = world.insert("public.courses", code="O 1", title="Old Course", duration_minutes=60, price=5).id
        self.courses = [school.course, yoga, old]
        self.places = [school.room, world.insert("public.locations", name="Annexe").id]
        for n in range(40):
            session = school.session(
                first + timedelta(n // 2 + 1),
                course_id=self.courses[n % 3], location_id=self.places[n % 2], instructor_id=(school.ana, school.ben)[n % 2].profile_id,
                start_time=time(8 + n % 7), end_time=time(9 + n % 7), price=10 * (n % 5), max_capacity=1 + n % 2,
            )  # fmt: skip
            if n % 4 == 0:
                school.book(session, f"Guest {n}")
            if n % 11 == 5:
                school.db.execute(
                    "update public.course_sessions set status = 'cancelled', cancellation_reason = 'Ill' where id = %s",
                    [session],
                )
        school.db.execute("update public.courses set is_active = false where id = %s", [old])
        self.rows = school.db.execute(
            "select s.id, s.course_id, s.location_id, s.instructor_id, s.session_date, s.start_time, s.end_time, s.price, s.status, c.title, "
            "s.max_capacity - (select coalesce(sum(b.seats), 0) from public.session_bookings b where b.session_id = s.id and b.is_live), l.name, c.code "
            "from public.course_sessions s join public.courses c on c.id = s.course_id left join public.locations l on l.id = s.location_id"
        ).fetchall()

    def model(self, asked: dict[str, Any], stranger: bool) -> list[UUID]:
        """The ids search_sessions ought to answer, in order."""
        found = []
        for row in self.rows:
            text = (asked.get("p_text") or "").lower()
            fits = (
                asked.get("p_course_id") in (None, row[1])
                and asked.get("p_location_id") in (None, row[2])
                and (stranger or asked.get("p_instructor_id") in (None, row[3]))
                and row[4] >= (asked.get("p_from") or self.school.today)
                and row[4] <= (asked.get("p_to") or date.max)
                and (asked.get("p_weekdays") is None or row[4].isoweekday() % 7 in asked["p_weekdays"])
                and row[5] >= (asked.get("p_time_from") or time.min)
                and row[6] <= (asked.get("p_time_to") or time.max)
                and row[7]
                <= (Decimal("Infinity") if asked.get("p_price_at_most") is None else asked["p_price_at_most"])
                and row[8] in (asked.get("p_statuses") or ["tentative", "scheduled", "in_progress"])
                and row[10] >= (asked.get("p_seats_at_least") or 0)
                and (text in row[9].lower() or text in row[11].lower() or text in row[12].lower())
                and not (stranger and row[1] == self.courses[2])
            )
            if fits:
                found.append(row)
        order = asked.get("p_order", "date")
        found.sort(key=lambda row: (row[4], row[5], row[0]))
        if order == "-date":
            found.sort(key=lambda row: (row[4], row[5]), reverse=True)
        elif order != "date":
            found.sort(key=lambda row: row[9].lower() if order == "title" else row[7] * (-1 if order[0] == "-" else 1))
        size, page = asked.get("p_page_size", 50), asked.get("p_page", 1)
        return [row[0] for row in found[(page - 1) * size : page * size]]


@pytest.fixture
def catalogue(school: School) -> Catalogue:
    return Catalogue(school)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_filter_against_the_model(catalogue: Catalogue, data: st.DataObject) -> None:
    school = catalogue.school
    days = st.integers(-2, 25).map(lambda n: school.today + timedelta(n))
    some = {
        "p_course_id": st.sampled_from(catalogue.courses),
        "p_location_id": st.sampled_from(catalogue.places),
        "p_instructor_id": st.sampled_from([school.ana.profile_id, school.ben.profile_id]),
        "p_from": days,
        "p_weekdays": st.lists(st.integers(0, 6), max_size=4),
        "p_time_from": st.integers(7, 14).map(time),
        "p_seats_at_least": st.integers(1, 3),
        "p_price_at_most": st.integers(0, 50).map(Decimal),
        "p_statuses": st.lists(st.sampled_from(["scheduled", "cancelled", "completed"]), min_size=1, max_size=2),
        "p_text": st.sampled_from(["yoga", "100%", "%", "_", "o 1", "ANNEXE", "\\", "nothing"]),
        "p_order": st.sampled_from(["date", "-date", "price", "-price", "title"]),
        "p_page_size": st.integers(1, 20),
        "p_page": st.integers(1, 3),
    }
    names = data.draw(st.lists(st.sampled_from(sorted(some)), unique=True, max_size=5), "asked")
    asked = {name: data.draw(some[name], name) for name in names}
    if data.draw(st.booleans()):
        asked["p_to"] = max(asked.get("p_from", school.today), school.today) + timedelta(data.draw(st.integers(0, 20)))
    stranger = data.draw(st.booleans(), "stranger")
    found = call(school.db, "anon" if stranger else school.ben, "search_sessions", **asked)
    assert [row["id"] for row in found] == catalogue.model(asked, stranger)
    left = {row[0]: row[10] for row in catalogue.rows}
    assert all(row["seats_left"] == left[row["id"]] for row in found)
    assert all((row["instructor_name"] is None) is stranger for row in found)


def test_seats_that_are_held_are_not_left(school: School) -> None:
    session = school.session(max_capacity=2)
    school.world.insert("public.session_holds", session_id=session, seats=1)
    [row] = call(school.db, "anon", "search_sessions")
    assert row["seats_left"] == 1
    assert call(school.db, "anon", "search_sessions", p_seats_at_least=2) == []
    school.pass_days(0.5)
    assert len(call(school.db, "anon", "search_sessions", p_seats_at_least=2)) == 1


def test_every_bad_argument_is_named(school: School) -> None:
    with refused("invalid_input") as refusal:
        call(
            school.db, "anon", "search_sessions", p_from="2026-02-01", p_to="2026-01-01", p_weekdays=[7], p_time_from="10:00", p_time_to="09:00",
            p_seats_at_least=0, p_price_at_most=Decimal("NaN"), p_statuses=["open"], p_text="x" * 201, p_order="random()", p_page=0, p_page_size=1000,
        )  # fmt: skip
    assert refusal.fields == {
        "p_to", "p_weekdays", "p_time_to", "p_seats_at_least", "p_price_at_most", "p_statuses", "p_text", "p_order", "p_page", "p_page_size",
    }  # fmt: skip


def test_a_page_of_fifty_thousand_reads_about_a_page(school: School) -> None:
    # Seats come from the trigger; here only sessions are many, so that the test is not about making them.
    school.db.execute("alter table public.course_sessions disable trigger user")
    school.db.execute(
        "insert into public.course_sessions (course_id, session_date, start_time, end_time, time_zone, starts_at, ends_at, max_capacity, price) "
        "select %s, private.today() + n / 100, time '08:00' + n %% 100 * interval '5 min', time '16:30', 'UTC', now(), now() + interval '1 hour', 2, n %% 90 "
        "from generate_series(0, 49999) n",
        [school.course],
    )
    school.db.execute(
        "alter table public.session_seats disable trigger user; "
        "insert into public.session_seats (session_id, seat_no) select s.id, k from public.course_sessions s, generate_series(1, 2) k; "
        "analyze public.course_sessions; analyze public.session_seats"
    )

    def read(**asked: Any) -> int:
        """How many blocks a search touched."""
        arguments = ", ".join(f"{name} => {value}" for name, value in asked.items())
        plan = school.one(f"explain (analyze, buffers, format json) select * from public.search_sessions({arguments})")
        return int(plan[0]["Plan"]["Shared Hit Blocks"]) + int(plan[0]["Plan"]["Shared Read Blocks"])

    read()
    whole = school.one("select relpages from pg_class where oid = 'public.course_sessions'::regclass")
    assert read() < whole
    assert read(p_seats_at_least=2, p_weekdays="'{1,3}'", p_time_from="'09:00'", p_price_at_most=40) < whole
    assert (
        read(p_text="'first'", p_from="private.today() + 200", p_to="private.today() + 230", p_seats_at_least=1) < whole
    )
