"""Many classes in one call: all or none, or what can be done and a reason for each of the others."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.studio import Studio


@pytest.fixture
def manager(studio: Studio) -> User:
    return studio.world.user("manager")


def bulk(
    studio: Studio,
    by: User,
    operation: str,
    ids: list[Any],
    data: Any = None,
    partial: bool = False,
    key: str | None = None,
) -> dict[str, Any]:
    [answer] = call(
        studio.db, by, "bulk_assignment_operations", operation_type=operation, assignment_ids=ids,
        update_data=Jsonb({} if data is None else data), p_partial=partial, p_idempotency_key=key,
    )  # fmt: skip
    return answer


def reasons(answer: dict[str, Any]) -> dict[UUID, str]:
    return {UUID(one["id"]): one["code"] for one in answer["not_done"]}


def column(studio: Studio, name: str) -> list[Any]:
    return [
        value
        for (value,) in studio.db.execute(f"select {name} from public.class_assignments order by date, id".encode())
    ]


def test_delete(studio: Studio, manager: User) -> None:
    first, second = studio.assignment(0), studio.assignment(1)
    answer = bulk(studio, manager, "delete", [first.id, second.id, first.id])
    assert answer == {"success": True, "affected_count": 2, "error_message": None, "not_done": []}
    assert column(studio, "id") == []


def test_update_status(studio: Studio, manager: User) -> None:
    lessons = [studio.assignment(-60 - day) for day in range(3)]
    ids = [lesson.id for lesson in lessons]
    data = {"class_status": "completed", "payment_status": "paid"}
    assert bulk(studio, manager, "update_status", ids, data)["affected_count"] == 3
    assert (set(column(studio, "class_status")), set(column(studio, "payment_status"))) == ({"completed"}, {"paid"})


def test_reassign(studio: Studio, manager: User) -> None:
    lessons = [studio.assignment(day) for day in range(3)]
    studio.db.execute("update public.class_assignments set instructor_status = 'accepted'")
    answer = bulk(
        studio, manager, "reassign", [one.id for one in lessons], {"instructor_id": str(studio.other.profile_id)}
    )
    assert answer["affected_count"] == 3
    assert set(column(studio, "instructor_id")) == {studio.other.profile_id}
    assert set(column(studio, "instructor_status")) == {"pending"}
    assert len(studio.claims(studio.other.profile_id, 0, 2)) == 3


def test_reschedule_by_days_onto_each_others_places(studio: Studio, manager: User, ledger: Ledger) -> None:
    """Each goes where the next one is now."""
    ids = [studio.assignment(day).id for day in range(5)]
    assert bulk(studio, manager, "reschedule", ids, {"days": 1})["affected_count"] == 5
    assert column(studio, "date") == [studio.day(day) for day in range(1, 6)]
    assert bulk(studio, manager, "reschedule", ids, {"days": "-1", "start_time": "08:00", "end_time": "09:00"})[
        "success"
    ]
    assert column(studio, "date") == [studio.day(day) for day in range(5)]
    assert ledger.faults() == []


@pytest.mark.parametrize("partial", [False, True])
def test_a_reason_for_every_one_that_was_not_done(studio: Studio, manager: User, partial: bool) -> None:
    free, busy, over, called_off = (studio.assignment(day) for day in (0, 1, -60, 2))
    studio.db.execute("update public.class_assignments set class_status = 'completed' where id = %s", [over.id])
    studio.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [called_off.id])
    studio.assignment(1, "10:30", "11:30", instructor_id=studio.other.profile_id)
    unknown = uuid4()
    ids = [free.id, busy.id, over.id, unknown]
    answer = bulk(studio, manager, "reassign", ids, {"instructor_id": str(studio.other.profile_id)}, partial)
    # Who may settle pay may also say who taught a class that is over.
    expected = {busy.id: "time_conflict", unknown: "not_found"}
    assert reasons(answer) == expected
    assert answer["success"] is False
    assert answer["affected_count"] == (2 if partial else 0)
    assert answer["error_message"].endswith("(and 1 more)")
    answer = bulk(
        studio, manager, "update_status", [free.id, over.id, called_off.id], {"class_status": "cancelled"}, partial
    )
    assert reasons(answer) == {over.id: "illegal_transition"}
    assert answer["affected_count"] == (2 if partial else 0)


def test_not_begun_and_closed(studio: Studio, manager: User) -> None:
    early, late = studio.assignment(-60), studio.assignment(0)
    answer = bulk(studio, manager, "update_status", [early.id, late.id], {"class_status": "completed"}, True)
    assert (reasons(answer), answer["affected_count"]) == ({late.id: "illegal_transition"}, 1)
    studio.world.insert("public.pay_periods", name="Past", starts_on=studio.day(-70), ends_on=studio.day(-50))
    call(studio.db, manager, "close_pay_period", p_name="Past")
    answer = bulk(studio, manager, "delete", [early.id, late.id], partial=True)
    assert (reasons(answer), answer["affected_count"]) == ({early.id: "illegal_transition"}, 1)
    assert "Past" in answer["error_message"]


def test_too_far_ahead_and_a_time_that_is_none(studio: Studio, manager: User) -> None:
    near, far = studio.assignment(0), studio.assignment(70)
    answer = bulk(studio, manager, "reschedule", [near.id, far.id], {"days": 14}, True)
    assert (reasons(answer), answer["affected_count"]) == ({far.id: "invalid_input"}, 1)
    untimed = studio.assignment(3, None, None)
    answer = bulk(studio, manager, "reschedule", [near.id, untimed.id], {"end_time": "11:30"}, True)
    assert (reasons(answer), answer["affected_count"]) == ({untimed.id: "invalid_input"}, 1)


def test_one_that_stays_is_in_the_way_of_the_next(studio: Studio, manager: User, ledger: Ledger) -> None:
    """The last cannot move, so neither can the one that was to take its place, nor the one before that."""
    ids = [studio.assignment(day).id for day in (0, 1, 2)]
    apart = studio.assignment(10).id
    studio.assignment(3)
    answer = bulk(studio, manager, "reschedule", [*ids, apart], {"days": 1}, True)
    assert reasons(answer) == dict.fromkeys(ids, "time_conflict")
    assert answer["affected_count"] == 1
    assert ledger.faults() == []


def test_what_only_trying_finds_out(studio: Studio, manager: User) -> None:
    """A customer's credits are not good on the new day; the date of a schedule cannot be given back."""
    bea = studio.world.user()
    package = studio.world.insert("public.packages", name="Card", price=90, class_count=3, validity_days=30).id
    studio.world.insert("public.package_purchases", profile_id=bea.profile_id, package_id=package)
    served, other = studio.assignment(0).id, studio.assignment(1).id
    studio.link(served, studio.booking(bea, uses_credits=True).booking_id)
    answer = bulk(studio, manager, "reschedule", [served, other], {"days": 35}, True)
    assert (reasons(answer), answer["affected_count"]) == ({served: "limit_exceeded"}, 1)
    with refused("limit_exceeded"):
        bulk(studio, manager, "reschedule", [served, other], {"days": 35})
    schedule = studio.schedule(3, "15:00", "16:00")
    standing = studio.assignment(2, "15:00", "16:00", schedule_id=schedule.id, instructor_id=studio.other.profile_id).id
    studio.assignment(2, "15:30", "16:30")
    answer = bulk(studio, manager, "delete", [standing, other], partial=True)
    assert (reasons(answer), answer["affected_count"]) == ({standing: "time_conflict"}, 1)


def test_others_only_what_they_assigned(studio: Studio, manager: User) -> None:
    staff = studio.world.user("staff")
    [own] = call(
        studio.db, staff, "create_assignments",
        p_assignments=Jsonb([{"instructor_id": str(studio.teacher.profile_id), "date": studio.monday.isoformat()}]),
    )  # fmt: skip
    foreign = studio.assignment(1)
    ids = [own["assignment_id"], foreign.id]
    answer = bulk(studio, staff, "delete", ids)
    assert (reasons(answer), answer["affected_count"]) == ({foreign.id: "forbidden"}, 0)
    answer = bulk(studio, staff, "delete", ids, partial=True)
    assert (reasons(answer), answer["affected_count"]) == ({foreign.id: "forbidden"}, 1)
    for nobody in (studio.teacher, studio.world.user()):
        with refused("forbidden"):
            bulk(studio, nobody, "delete", [foreign.id])
    # Nobody pays by way of a bulk call either.
    [own] = call(
        studio.db, staff, "create_assignments",
        p_assignments=Jsonb([{"instructor_id": str(studio.teacher.profile_id), "date": studio.monday.isoformat()}]),
    )  # fmt: skip
    with refused("forbidden"):
        bulk(studio, staff, "update_status", [own["assignment_id"]], {"payment_status": "paid"})


@pytest.mark.parametrize(
    ("operation", "data", "field"),
    [
        ("explode", {}, "operation_type"),
        ("delete", {"class_status": "cancelled"}, "update_data.class_status"),
        ("update_status", {}, "update_data"),
        ("update_status", {"class_status": "lost"}, "update_data.class_status"),
        ("update_status", {"payment_status": 5}, "update_data.payment_status"),
        ("update_status", {"instructor_status": None}, "update_data"),
        ("update_status", {"payment_amount": 5}, "update_data.payment_amount"),
        ("reassign", {"instructor_id": "Tara"}, "update_data.instructor_id"),
        ("reassign", {}, "update_data"),
        ("reschedule", {"days": "soon"}, "update_data.days"),
        ("reschedule", {"days": 1, "date": "2026-01-01"}, "update_data.days"),
        ("reschedule", {"date": "2026-02-30"}, "update_data.date"),
        ("reschedule", {"date": None}, "update_data.date"),
        ("reschedule", {"time_zone": None}, "update_data.time_zone"),
        ("reschedule", [], "update_data"),
        ("reschedule", "tomorrow", "update_data"),
        ("reschedule", {"location_id": "11111111-1111-4111-8111-111111111111"}, "update_data.location_id"),
    ],
)
def test_what_makes_no_sense(studio: Studio, manager: User, operation: str, data: Any, field: str) -> None:
    lesson = studio.assignment()
    with refused("invalid_input") as refusal:
        bulk(studio, manager, operation, [lesson.id], data)
    assert field in refusal.fields


def test_a_zone_that_is_none_and_an_instructor_who_is_nobody(studio: Studio, manager: User) -> None:
    lesson = studio.assignment()
    answer = bulk(studio, manager, "reschedule", [lesson.id], {"time_zone": "Mars/Base"})
    assert reasons(answer) == {lesson.id: "invalid_input"}
    answer = bulk(studio, manager, "reassign", [lesson.id], {"instructor_id": str(uuid4())})
    assert reasons(answer) == {lesson.id: "invalid_input"}


def test_none_null_and_too_many(studio: Studio, manager: User) -> None:
    for ids in ([], [None]):
        with refused("invalid_input"):
            bulk(studio, manager, "delete", ids)
    with refused("limit_exceeded"):
        bulk(studio, manager, "delete", [uuid4() for _ in range(101)])


def test_the_same_key(studio: Studio, manager: User) -> None:
    lesson = studio.assignment()
    first = bulk(studio, manager, "delete", [lesson.id], key="k")
    assert bulk(studio, manager, "delete", [lesson.id], key="k") == first
    with refused("idempotency_mismatch"):
        bulk(studio, manager, "delete", [uuid4()], key="k")


def test_over_rest(studio: Studio, rest: Rest, manager: User) -> None:
    lesson = studio.assignment()
    body = {"operation_type": "delete", "assignment_ids": [str(lesson.id), str(uuid4())]}
    [answer] = rest.post("/rpc/bulk_assignment_operations", body, user=manager).json()
    assert (answer["success"], answer["affected_count"], len(answer["not_done"])) == (False, 0, 1)
    assert rest.post("/rpc/bulk_assignment_operations", body).status_code == 401
