"""create_assignments: all or none, every clash and every bad field named, once however often it is asked."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.crowd import crowd
from tests.support.identity import User, as_user
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio


@pytest.fixture
def manager(studio: Studio) -> User:
    return studio.world.user("manager")


def row(studio: Studio, day: int = 0, start: str = "10:00", end: str = "11:00", **more: Any) -> dict[str, Any]:
    return {
        "instructor_id": str(studio.teacher.profile_id), "class_type_id": str(studio.hatha),
        "date": studio.day(day).isoformat(), "start_time": start, "end_time": end, **more,
    }  # fmt: skip


def create(studio: Studio, by: User, rows: Any, links: Any = None, key: str | None = None) -> list[dict[str, Any]]:
    arguments: dict[str, Any] = {"p_assignments": Jsonb(rows), "p_idempotency_key": key}
    if links is not None:
        arguments["p_booking_associations"] = Jsonb(links)
    return call(studio.db, by, "create_assignments", **arguments)


def count(studio: Studio, table: str = "class_assignments") -> int:
    found = studio.db.execute(f"select count(*) from public.{table}".encode()).fetchone()
    assert found is not None
    return int(found[0])


def test_rows_with_names_of_their_own_and_their_bookings(studio: Studio, manager: User) -> None:
    first, second = studio.booking().booking_id, studio.booking().booking_id
    made = create(
        studio, manager,
        [row(studio, 0, assignment_temp_id="a"), row(studio, 1, assignment_temp_id="b"), row(studio, 2), row(studio, 3)],
        [
            {"assignment_temp_id": "a", "booking_id": first},
            {"assignment_temp_id": "b", "booking_id": first},
            {"assignment_temp_id": "b", "booking_id": second},
            {"assignment_temp_id": "b", "booking_id": second},
        ],
    )  # fmt: skip
    assert [one["assignment_temp_id"] for one in made] == ["a", "b", None, None]
    assert [one["booking_ids"] for one in made] == [[first], sorted([first, second]), [], []]
    assert [one["date"] for one in made] == [studio.day(day) for day in range(4)]
    assert (studio.status(first), studio.status(second)) == ("confirmed", "confirmed")
    more = create(
        studio, manager, [row(studio, 5)], [{"assignment_id": str(made[0]["assignment_id"]), "booking_id": second}]
    )
    assert len(more) == 1
    assert count(studio, "assignment_bookings") == 4


def test_a_schedule_fills_in_what_is_left_out(studio: Studio, manager: User, ledger: Ledger) -> None:
    schedule = studio.schedule(location_id=studio.room)
    [made] = create(studio, manager, [{"schedule_id": str(schedule.id), "occurs_on": studio.day(7).isoformat()}])
    assert (made["instructor_id"], made["date"]) == (studio.teacher.profile_id, studio.day(7))
    found = studio.db.execute(
        "select schedule_type, location_id, class_type_id from public.class_assignments"
    ).fetchone()
    assert found == ("weekly", studio.room, studio.hatha)
    moved = {"schedule_id": str(schedule.id), "occurs_on": studio.day(0).isoformat(), "date": studio.day(2).isoformat()}
    create(studio, manager, [moved])
    assert studio.claims(studio.teacher.profile_id, 0, 6) == [("class_assignments", studio.day(2))]
    with refused("invalid_input") as refusal:
        create(studio, manager, [{"schedule_id": str(schedule.id), "occurs_on": studio.day(1).isoformat()}])
    assert refusal.fields == {"p_assignments[0].occurs_on"}
    assert ledger.faults() == []


def test_every_clash_of_every_row(studio: Studio, manager: User, ledger: Ledger) -> None:
    """What is there already, what is in the list, the room, the schedule and its date: all of it at once."""
    schedule = studio.schedule(1, "18:00", "19:00")
    studio.assignment(0, "09:30", "10:30")
    ledger.meeting(
        "Staff", studio.teacher.profile_id, date=studio.day(1), start_time="10:30", end_time="11:00", time_zone="UTC"
    )
    studio.assignment(2, "10:00", "11:00", instructor_id=studio.other.profile_id, location_id=studio.room)
    taken = studio.assignment(7, "18:00", "19:00", schedule_id=schedule.id)
    rows = [
        row(studio, 0, assignment_temp_id="one class"),
        row(studio, 1, time_zone="UTC", assignment_temp_id="a meeting"),
        row(studio, 2, location_id=str(studio.room), assignment_temp_id="the room"),
        row(studio, 0, "18:30", "19:30", assignment_temp_id="the schedule"),
        row(studio, 7, "12:00", "13:00", schedule_id=str(schedule.id), assignment_temp_id="the date"),
        row(studio, 3, assignment_temp_id="b"),
        row(studio, 3, "10:30", "11:30", assignment_temp_id="c"),
        row(studio, 4, assignment_temp_id="fine"),
    ]
    with refused("time_conflict") as refusal:
        create(studio, manager, rows)
    told = {(one["assignment_temp_id"], one["conflict_type"]): one for one in refusal.details["conflicts"]}
    assert set(told) == {
        ("one class", "instructor_assignment"), ("a meeting", "meeting"), ("the room", "location_assignment"),
        ("the schedule", "instructor_schedule"), ("the date", "schedule_date"), ("b", "instructor_assignment"),
        ("c", "instructor_assignment"),
    }  # fmt: skip
    assert told["b", "instructor_assignment"]["with_assignment_temp_id"] == "c"
    assert told["the date", "schedule_date"]["conflicts_with"]["source_id"] == str(taken.id)
    assert [one["row"] for one in refusal.details["conflicts"]] == [0, 1, 2, 3, 4, 5, 6]
    assert refusal.details["count"] == 7
    assert "Staff" in told["a meeting", "meeting"]["message"]
    assert count(studio) == 3


def test_one_date_of_a_schedule_twice_in_a_list(studio: Studio, manager: User) -> None:
    schedule = studio.schedule()
    rows = [
        row(studio, 0, schedule_id=str(schedule.id)),
        row(studio, 0, "15:00", "16:00", schedule_id=str(schedule.id), instructor_id=str(studio.other.profile_id)),
        {"schedule_id": str(schedule.id), "occurs_on": studio.day(0).isoformat(), "start_time": None, "end_time": None},
    ]
    with refused("time_conflict") as refusal:
        create(studio, manager, rows)
    assert {(one["row"], one["with_row"]) for one in refusal.details["conflicts"]} == {
        (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)
    }  # fmt: skip
    assert {one["conflict_type"] for one in refusal.details["conflicts"]} == {"schedule_date"}


def test_a_date_that_was_called_off_can_be_taken(studio: Studio, manager: User) -> None:
    schedule = studio.schedule()
    lesson = studio.assignment(schedule_id=schedule.id)
    studio.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [lesson.id])
    [made] = create(studio, manager, [row(studio, 0, schedule_id=str(schedule.id))])
    assert made["date"] == studio.monday


UNKNOWN = "00000000-0000-4000-8000-000000000009"
BAD: dict[str, list[Any]] = {
    "class_type_id": ["Hatha", 7, UNKNOWN],
    "package_id": [{}, UNKNOWN],
    "instructor_id": [None, "", [], UNKNOWN],
    "location_id": [True, UNKNOWN],
    "date": [None, "tomorrow", "2026-02-30", "infinity", "294276-01-01", 20260101],
    "start_time": ["25:00", "10", 10],
    "end_time": ["9:00:61", "09:00", "10:10"],
    "time_zone": ["Mars/Base", 5],
    "payment_amount": [-1, "NaN", "Infinity", 1e300, "1.005", "10000000000", {}],
    "rate": [0, -5, "a lot", "99999999999999999999999999"],
    "student_count": [1.5, "many", -1],
    "payment_type": ["by_feel", 1],
    "schedule_type": ["yearly"],
    "booking_type": ["secret"],
    "notes": ["x" * 1001, 3, ["a"]],
    "schedule_id": ["Mondays", UNKNOWN],
    "plan_id": ["my plan", 1],
    "assignment_temp_id": [1, {"a": 1}],
    "class_status": ["completed"],
    "id": [UNKNOWN],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_a_bad_field_is_named_by_its_place(studio: Studio, manager: User, field: str, value: Any) -> None:
    with refused("invalid_input") as refusal:
        create(studio, manager, [row(studio, 0), {**row(studio, 1), field: value}])
    assert f"p_assignments[1].{field}" in refusal.fields
    assert all(name.startswith("p_assignments[1].") for name in refusal.fields)
    assert count(studio) == 0


def test_all_bad_fields_of_all_rows_at_once(studio: Studio, manager: User) -> None:
    with refused("invalid_input") as refusal:
        create(
            studio, manager,
            [row(studio, 0, notes=1), 7, row(studio, 1, rate="x", payment_type=2)],
            [{"assignment_temp_id": "a"}, "b", {"booking_id": 5, "colour": "red"}],
        )  # fmt: skip
    assert {
        "p_assignments[0].notes", "p_assignments[1]", "p_assignments[2].rate", "p_assignments[2].payment_type",
        "p_booking_associations[1]", "p_booking_associations[2].booking_id", "p_booking_associations[2].colour",
    } == refusal.fields  # fmt: skip


def test_links_that_make_no_sense(studio: Studio, manager: User) -> None:
    ended = studio.booking(status="pending").booking_id
    studio.db.execute("update public.bookings set status = 'cancelled'")
    with refused("invalid_input") as refusal:
        create(
            studio, manager,
            [row(studio, 0, assignment_temp_id="a"), row(studio, 1, assignment_temp_id="a")],
            [
                {"assignment_temp_id": "b", "booking_id": "YOG-20200101-0000"},
                {"booking_id": ended},
                {"assignment_temp_id": "a", "assignment_id": str(uuid4()), "booking_id": ended},
                {"assignment_temp_id": "a"},
            ],
        )  # fmt: skip
    place = "p_booking_associations[{}].{}".format
    assert refusal.fields == {
        "p_assignments[1].assignment_temp_id", place(0, "assignment_temp_id"), place(0, "booking_id"),
        place(1, "assignment_temp_id"), place(1, "booking_id"), place(2, "assignment_temp_id"), place(2, "assignment_id"),
        place(2, "booking_id"), place(3, "booking_id"),
    }  # fmt: skip


@pytest.mark.parametrize("rows", [None, {}, "rows", 5, [], True])
def test_what_is_no_list_of_rows(studio: Studio, manager: User, rows: Any) -> None:
    with refused("invalid_input") as refusal:
        create(studio, manager, rows)
    assert refusal.fields == {"p_assignments"}


def test_too_many_bookings_undo_the_classes(studio: Studio, manager: User) -> None:
    codes = [studio.booking().booking_id for _ in range(5)]
    links = [{"assignment_temp_id": "a", "booking_id": code} for code in codes]
    with refused("seats_full"):
        create(studio, manager, [row(studio, 0, assignment_temp_id="a"), row(studio, 1)], links)
    assert (count(studio), {studio.status(code) for code in codes}) == (0, {"pending"})


def test_five_hundred_rows_in_one_statement(studio: Studio, manager: User, ledger: Ledger) -> None:
    studio.db.execute("update public.settings set value = '500' where key = 'bulk_limit'")
    studio.db.execute(
        "create table public.statements (seen integer);"
        "create function public.note() returns trigger language plpgsql as $$ begin "
        "insert into public.statements select count(*) from new_rows; return null; end $$;"
        "create trigger note after insert on public.class_assignments referencing new table as new_rows "
        "for each statement execute function public.note(); grant insert on public.statements to authenticated"
    )
    rows = [row(studio, n // 10, f"{8 + n % 10:02}:00", f"{9 + n % 10:02}:00") for n in range(500)]
    made = create(studio, manager, rows)
    assert len({one["assignment_id"] for one in made}) == 500
    assert studio.db.execute("select seen from public.statements").fetchall() == [(500,)]
    assert ledger.faults() == []
    with refused("time_conflict") as refusal:
        create(studio, manager, rows)
    assert refusal.details["count"] == 500


def test_more_than_the_limit(studio: Studio, manager: User) -> None:
    lists: list[Any] = [[row(studio)] * 101, [{}] * 10_000]
    for rows in lists:
        with refused("limit_exceeded") as refusal:
            create(studio, manager, rows)
        assert refusal.details["limit"] == 100


def test_nul_and_huge_numbers_over_rest(studio: Studio, rest: Rest, manager: User) -> None:
    text = '{"p_assignments": [{"notes": "a\\u0000b"}]}'
    answer = rest.request(
        "POST", "/rpc/create_assignments", user=manager, content=text, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "22P05")
    text = '{"p_assignments": [{"rate": 1' + "0" * 5000 + "}]}"
    answer = rest.request(
        "POST", "/rpc/create_assignments", user=manager, content=text, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_who_may(studio: Studio, rest: Rest, manager: User) -> None:
    people: list[Any] = [None, studio.world.user(), studio.teacher]
    for caller in people:
        answer = rest.post("/rpc/create_assignments", {"p_assignments": [row(studio)]}, user=caller)
        assert answer.status_code in (401, 403), answer.text
    allowed: list[Any] = [studio.world.user("staff"), manager, "service_role"]
    for number, caller in enumerate(allowed):
        answer = rest.post("/rpc/create_assignments", {"p_assignments": [row(studio, number)]}, user=caller)
        assert answer.status_code == 200, answer.text
    assert count(studio) == 3


# Asked more than once.


def test_the_same_key_gives_the_first_answer(studio: Studio, manager: User) -> None:
    first = create(studio, manager, [row(studio)], key="k")
    assert create(studio, manager, [row(studio)], key="k") == first
    with refused("idempotency_mismatch"):
        create(studio, manager, [row(studio, 1)], key="k")
    assert count(studio) == 1
    # Another person's key is another key.
    assert create(studio, studio.world.user("staff"), [row(studio, 1)], key="k") != first


def test_twenty_at_once_with_one_key(studio: Studio, database: Database, manager: User) -> None:
    def ask(by: Any, number: int) -> None:
        with as_user(by, manager) as acting:
            acting.execute("select from public.create_assignments(%s, '[]', 'once')", [Jsonb([row(studio)])])

    told = crowd(database, 20, ask)
    assert told["done"] >= 1
    assert told["done"] + told["in_progress"] == 20, told
    assert count(studio) == 1


def test_a_refusal_is_not_remembered(studio: Studio, manager: User) -> None:
    lesson = studio.assignment()
    with refused("time_conflict"):
        create(studio, manager, [row(studio)], key="k")
    studio.db.execute("delete from public.class_assignments where id = %s", [lesson.id])
    assert len(create(studio, manager, [row(studio)], key="k")) == 1


def test_two_lists_at_once(studio: Studio, ledger: Ledger, manager: User) -> None:
    """Both were told that nothing is in the way: the ledger decides, and the second keeps nothing."""

    def make(days: list[int]) -> Any:
        def work(by: Any) -> None:
            with as_user(by, manager) as acting:
                acting.execute("select from public.create_assignments(%s)", [Jsonb([row(studio, day) for day in days])])

        return work

    outcome = ledger.collide(make([0, 1, 2]), make([4, 2, 1]))
    assert (outcome.waited, outcome.code) == (True, "time_conflict")
    assert count(studio) == 3


# Pay.


def test_amounts(studio: Studio, manager: User) -> None:
    plan = str(uuid4())
    rows = [row(studio, day, plan_id=plan, rate=100, payment_type="total_duration") for day in (0, 1, 2)]
    rows.append(row(studio, 3, rate="12.50"))
    rows.append(row(studio, 4, payment_amount=7))
    rows.append(row(studio, 5, plan_id=plan, rate=5, payment_type="per_member", student_count=3))
    made = create(studio, manager, rows)
    assert [str(one["payment_amount"]) for one in made] == ["33.34", "33.33", "33.33", "12.50", "7.00", "15.00"]
