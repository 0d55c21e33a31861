"""A month at a studio, told as a story: everybody does their part over REST, and nobody anything else."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from json import loads as json_of
from typing import Any

import httpx
import pytest

from tests.support.identity import User
from tests.support.rest import Caller, Rest
from tests.support.world import World

# Thursday; the month planned is the next one.
TODAY = date(2027, 3, 18)


@dataclass
class Cast:
    """Who is in it, and the two things they do: ask, and be refused."""

    rest: Rest
    world: World
    admin: User
    manager: User
    staff: User
    tara: User
    odo: User
    member: User
    stranger: User

    def ask(self, user: Caller, method: str, path: str, json: Any = None) -> Any:
        """What the API answers; fails the test when it refuses."""
        answer = self._request(user, method, path, json)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def refused(self, user: Caller, method: str, path: str, json: Any, code: str) -> dict[str, Any]:
        """The details of the error the API answers with, which has to be this one."""
        answer = self._request(user, method, path, json)
        assert not answer.is_success, f"{method} {path} went through: {answer.text}"
        body: dict[str, Any] = answer.json()
        assert body["code"] == code, body
        details: dict[str, Any] = json_of(body["details"]) if body["details"] else {}
        return details

    def call(self, user: Caller, function: str, **arguments: Any) -> Any:
        """What a function answers."""
        return self.ask(user, "POST", f"/rpc/{function}", arguments)

    def today_is(self, day: date, clock: str = "09:00") -> None:
        """Moves the database's clock."""
        self.world.db.execute(
            "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
            f"return timestamptz '{day} {clock}+00'"
        )

    def _request(self, user: Caller, method: str, path: str, json: Any) -> httpx.Response:
        headers = {"Prefer": "return=representation"} if method in ("PATCH", "DELETE") or "rpc" not in path else {}
        return self.rest.request(method, path, user=user, json=json, headers=headers)


@pytest.fixture
def cast(world: World, rest: Rest) -> Cast:
    return Cast(
        rest,
        world,
        world.user("admin"),
        world.user("manager"),
        world.user("staff"),
        world.user("instructor", full_name="Tara Teacher"),
        world.user("instructor", full_name="Odo Other"),
        world.user("member", full_name="Mia Member"),
        world.user("member"),
    )


def test_a_month_at_a_studio(cast: Cast) -> None:
    cast.today_is(TODAY)
    hatha, hall = _set_up(cast)
    schedule = cast.ask(
        cast.manager,
        "POST",
        "/class_schedules",
        {
            "class_type_id": hatha,
            "day_of_week": 2,
            "start_time": "18:00",
            "duration_minutes": 60,
            "instructor_id": str(cast.tara.profile_id),
            "location_id": hall,
            "effective_from": "2027-03-01",
        },
    )[0]
    booking = _a_customer_books(cast)
    classes = _plan_the_month(cast, schedule["id"], booking)
    _nobody_is_double_booked(cast, classes, hatha, hall, schedule["id"])
    _each_sees_their_own(cast, booking, classes)
    _a_substitute_is_found(cast, classes)
    later = _the_class_moves(cast, schedule["id"], classes)
    _the_month_goes_by(cast, classes, booking, later)
    _pay_day(cast)
    _the_numbers_agree(cast)


def _set_up(cast: Cast) -> tuple[str, str]:
    hatha = cast.ask(cast.manager, "POST", "/class_types", {"name": "Hatha", "max_participants": 2})[0]["id"]
    hall = cast.ask(cast.manager, "POST", "/locations", {"name": "Hall"})[0]["id"]
    cast.call(cast.manager, "add_closure", p_name="Spring cleaning", p_starts_on="2027-04-13", p_ends_on="2027-04-13")
    for teacher, rate in ((cast.tara, "40.00"), (cast.odo, "55.50")):
        cast.ask(
            cast.manager,
            "POST",
            "/instructor_rates",
            {"instructor_id": str(teacher.profile_id), "rate": rate, "effective_from": "2027-01-01"},
        )
    for nobody in (None, cast.member, cast.tara):
        cast.refused(nobody, "POST", "/class_types", {"name": "Mine"}, "42501")
    return hatha, hall


def _a_customer_books(cast: Cast) -> str:
    made = cast.ask(
        cast.member,
        "POST",
        "/bookings",
        {"class_name": " Hatha ", "first_name": "Mia", "preferred_days": ["Tuesday"], "phone": "+91 98765 43210"},
    )[0]
    assert made["booking_id"].startswith("YOG-20270318-")
    assert (made["status"], made["class_name"], made["timezone"]) == ("pending", "Hatha", "Asia/Kolkata")
    assert cast.ask(cast.stranger, "GET", "/bookings") == []
    cast.refused(None, "POST", "/bookings", {"class_name": "Hatha"}, "42501")
    # Nobody confirms a booking by hand.
    path = f"/bookings?booking_id=eq.{made['booking_id']}"
    cast.refused(cast.staff, "PATCH", path, {"status": "confirmed"}, "illegal_transition")
    return str(made["booking_id"])


def _plan_the_month(cast: Cast, schedule: str, booking: str) -> list[dict[str, Any]]:
    dry = cast.call(cast.staff, "plan_assignments", p_plan="monthly", p_schedule_id=schedule, p_from="2027-04-01")
    assert [(row["date"], row["status"]) for row in dry] == [
        ("2027-04-06", "planned"),
        ("2027-04-13", "skipped"),
        ("2027-04-20", "planned"),
        ("2027-04-27", "planned"),
    ]
    assert dry[1]["reason"] == "Closed: Spring cleaning"
    assert cast.ask(cast.staff, "GET", "/class_assignments") == []
    planned = [row["assignment"] for row in dry if row["status"] == "planned"]
    links = [{"assignment_temp_id": one["assignment_temp_id"], "booking_id": booking} for one in planned]
    answers = [
        cast.call(
            cast.staff,
            "create_assignments",
            p_assignments=planned,
            p_booking_associations=links,
            p_idempotency_key="april",
        )
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert [(row["date"], row["payment_amount"], row["booking_ids"]) for row in answers[0]] == [
        (one["date"], 40.00, [booking]) for one in planned
    ]
    assert len(cast.ask(cast.staff, "GET", "/class_assignments")) == 3
    assert cast.ask(cast.member, "GET", "/bookings")[0]["status"] == "confirmed"
    for outsider in (cast.tara, cast.member):
        cast.refused(outsider, "POST", "/rpc/create_assignments", {"p_assignments": planned}, "forbidden")
    return list(answers[0])


def _nobody_is_double_booked(cast: Cast, classes: list[dict[str, Any]], hatha: str, hall: str, schedule: str) -> None:
    clash = {"date": "2027-04-06", "start_time": "18:30", "end_time": "19:30", "class_type_id": hatha}
    again = {**clash, "date": "2027-05-04"}
    tara, odo = str(cast.tara.profile_id), str(cast.odo.profile_id)
    error = cast.refused(
        cast.staff,
        "POST",
        "/rpc/create_assignments",
        {
            "p_assignments": [
                {**clash, "instructor_id": tara, "assignment_temp_id": "first"},
                {**again, "instructor_id": tara, "assignment_temp_id": "second"},
                {**clash, "instructor_id": odo, "location_id": hall, "assignment_temp_id": "third"},
            ]
        },
        "time_conflict",
    )
    told = [(one["assignment_temp_id"], one["conflict_type"]) for one in error["conflicts"]]
    assert told == [
        ("first", "instructor_assignment"),
        ("second", "instructor_schedule"),
        ("third", "location_assignment"),
    ]
    for row in ({**clash, "instructor_id": tara}, {**again, "instructor_id": tara}):
        cast.refused(cast.staff, "POST", "/class_assignments", row, "time_conflict")
    checked = cast.call(
        cast.staff,
        "assignment_conflict_check",
        p_instructor_id=tara,
        p_date="2027-04-06",
        p_start_time="18:30",
        p_end_time="19:30",
    )
    assert checked[0]["has_conflict"] is True
    assert checked[0]["conflicting_assignment_id"] == classes[0]["assignment_id"]
    # A date of the schedule is taken once.
    cast.refused(
        cast.staff,
        "POST",
        "/class_assignments",
        {
            "schedule_id": schedule,
            "date": "2027-04-06",
            "start_time": "07:00",
            "end_time": "08:00",
            "instructor_id": odo,
        },
        "time_conflict",
    )


def _each_sees_their_own(cast: Cast, booking: str, classes: list[dict[str, Any]]) -> None:
    select = "/class_assignments?select=*,class_types(*),packages(*),user_profiles(*),assignment_bookings(bookings(*))"
    seen = cast.ask(cast.staff, "GET", f"{select}&order=date.asc,start_time.asc")
    assert [row["id"] for row in seen] == [row["assignment_id"] for row in classes]
    assert seen[0]["class_types"]["name"] == "Hatha"
    assert seen[0]["user_profiles"]["full_name"] == "Tara Teacher"
    assert seen[0]["assignment_bookings"][0]["bookings"]["booking_id"] == booking
    assert len(cast.ask(cast.tara, "GET", "/assignment_details")) == 3
    assert [row["first_name"] for row in cast.ask(cast.tara, "GET", "/class_participants")] == ["Mia"] * 3
    assert cast.ask(cast.tara, "GET", "/bookings") == []
    for outsider in (cast.odo, cast.member):
        assert cast.ask(outsider, "GET", "/assignment_details") == []
    mine = cast.ask(cast.member, "GET", "/my_classes?order=date")
    assert [(row["date"], row["instructor_name"]) for row in mine] == [(row["date"], "Tara Teacher") for row in classes]
    assert not any("payment" in column for column in mine[0])
    assert cast.ask(cast.stranger, "GET", "/my_classes") == []
    cast.refused(None, "GET", "/class_assignments", None, "42501")


def _a_substitute_is_found(cast: Cast, classes: list[dict[str, Any]]) -> None:
    first, second, _ = (row["assignment_id"] for row in classes)
    respond = {"p_id": first, "p_response": "accepted"}
    assert cast.call(cast.tara, "respond_to_assignment", **respond)[0]["instructor_status"] == "accepted"
    cast.refused(
        cast.tara, "POST", "/rpc/respond_to_assignment", {**respond, "p_response": "rejected"}, "illegal_transition"
    )
    cast.refused(cast.odo, "POST", "/rpc/respond_to_assignment", respond, "not_found")
    cast.refused(cast.tara, "PATCH", f"/class_assignments?id=eq.{first}", {"payment_amount": 400}, "forbidden")
    cast.refused(cast.tara, "PATCH", f"/class_assignments?id=eq.{first}", {"payment_status": "paid"}, "forbidden")
    cast.call(cast.tara, "respond_to_assignment", p_id=second, p_response="rejected", p_note="At a wedding")
    suggested = cast.call(cast.staff, "suggest_instructors", p_assignment_id=second)
    assert [row["instructor_name"] for row in suggested] == ["Odo Other"]
    assert suggested[0]["rate"] == 55.5
    given = cast.call(cast.staff, "reassign", p_ids=[second], p_instructor_id=suggested[0]["instructor_id"])[0]
    assert (given["instructor_status"], given["payment_amount"]) == ("pending", 55.50)
    cast.call(cast.odo, "respond_to_assignment", p_id=second, p_response="accepted")


def _the_class_moves(cast: Cast, schedule: str, classes: list[dict[str, Any]]) -> str:
    last = classes[2]["assignment_id"]
    row = cast.ask(cast.staff, "GET", f"/class_assignments?id=eq.{last}")[0]
    moved = cast.call(
        cast.staff,
        "update_assignment",
        p_id=last,
        p_expected_version=row["version"],
        p_changes={"date": "2027-04-28"},
    )[0]
    assert (moved["date"], moved["occurs_on"]) == ("2027-04-28", "2027-04-27")
    stale = {"p_id": last, "p_expected_version": row["version"], "p_changes": {"notes": "Late"}}
    assert cast.refused(cast.staff, "POST", "/rpc/update_assignment", stale, "stale_version")["current"]
    # From May on it begins an hour earlier; what was moved by hand stays where it is.
    series = cast.call(
        cast.manager,
        "edit_repeating_class",
        p_scope="following",
        p_changes={"start_time": "17:00", "end_time": "18:00"},
        p_schedule_id=schedule,
        p_occurs_on="2027-05-04",
    )[0]
    assert series["schedule_id"] != schedule
    times = cast.ask(
        cast.staff, "GET", "/class_schedules?select=start_time,effective_from,effective_until&order=effective_from"
    )
    assert times == [
        {"start_time": "18:00:00", "effective_from": "2027-03-01", "effective_until": "2027-05-03"},
        {"start_time": "17:00:00", "effective_from": "2027-05-04", "effective_until": None},
    ]
    return str(series["schedule_id"])


def _the_month_goes_by(cast: Cast, classes: list[dict[str, Any]], booking: str, later: str) -> None:
    first, second, third = (row["assignment_id"] for row in classes)
    done = {"class_status": "completed"}
    cast.refused(cast.tara, "PATCH", f"/class_assignments?id=eq.{first}", done, "illegal_transition")
    cast.today_is(date(2027, 4, 6), "19:30")
    assert cast.ask(cast.tara, "PATCH", f"/class_assignments?id=eq.{first}", done)[0]["class_status"] == "completed"
    cast.today_is(date(2027, 4, 21))
    many = cast.call(
        cast.manager,
        "bulk_assignment_operations",
        operation_type="update_status",
        assignment_ids=[second, third],
        update_data=done,
        p_partial=True,
    )[0]
    assert (many["success"], many["affected_count"]) == (False, 1)
    assert [(one["id"], one["code"]) for one in many["not_done"]] == [(third, "illegal_transition")]
    cast.ask(cast.staff, "PATCH", f"/class_assignments?id=eq.{third}", {"class_status": "cancelled"})
    assert cast.ask(cast.member, "GET", "/bookings")[0]["status"] == "confirmed"  # two others serve it
    row = {"schedule_id": later, "date": "2027-05-11", "start_time": "17:00", "end_time": "18:00"}
    made = cast.ask(cast.staff, "POST", "/class_assignments", {**row, "instructor_id": str(cast.tara.profile_id)})[0]
    assert made["payment_amount"] == 40
    assert cast.ask(cast.staff, "DELETE", f"/class_assignments?id=in.({made['id']})") == []
    assert len(cast.ask(cast.manager, "DELETE", f"/class_assignments?id=in.({made['id']})")) == 1


def _pay_day(cast: Cast) -> None:
    cast.today_is(date(2027, 5, 1))
    april = {"p_from": "2027-04-01", "p_to": "2027-04-30"}
    run = cast.call(cast.manager, "instructor_pay", **april)
    assert [(row["instructor_name"], row["amount_due"], row["amount_open"]) for row in run] == [
        ("Odo Other", 55.5, 55.5),
        ("Tara Teacher", 40.0, 40.0),
    ]
    assert [row["instructor_name"] for row in cast.call(cast.tara, "instructor_pay", **april)] == ["Tara Teacher"]
    for outsider in (cast.member, cast.staff):
        cast.refused(outsider, "POST", "/rpc/instructor_pay", april, "forbidden")
    owed = "/class_assignments?class_status=eq.completed&payment_status=eq.pending"
    cast.refused(cast.staff, "PATCH", owed, {"payment_status": "paid"}, "forbidden")
    assert len(cast.ask(cast.manager, "PATCH", owed, {"payment_status": "paid"})) == 2
    assert {row["amount_open"] for row in cast.call(cast.manager, "instructor_pay", **april)} == {0.0}
    cast.ask(
        cast.manager, "POST", "/pay_periods", {"name": "April 2027", "starts_on": "2027-04-01", "ends_on": "2027-04-30"}
    )
    cast.refused(cast.staff, "POST", "/rpc/close_pay_period", {"p_name": "April 2027"}, "forbidden")
    cast.call(cast.manager, "close_pay_period", p_name="April 2027")
    kept = "/class_assignments?date=eq.2027-04-06"
    for caller in (cast.manager, cast.admin, "service_role"):
        cast.refused(caller, "PATCH", kept, {"payment_amount": 4000}, "illegal_transition")
        cast.refused(caller, "DELETE", kept, None, "illegal_transition")
    assert len(cast.ask(cast.manager, "PATCH", kept, {"notes": "Full house"})) == 1
    cast.refused(
        cast.manager, "POST", "/rpc/reopen_pay_period", {"p_name": "April 2027", "p_reason": " "}, "invalid_input"
    )


def _the_numbers_agree(cast: Cast) -> None:
    """The document against the rows, recounted by hand."""
    rows = cast.ask(cast.admin, "GET", "/class_assignments")
    document = cast.call(cast.manager, "assignment_analytics", date_start="2027-01-01", date_end="2027-12-31")
    live = [row for row in rows if row["class_status"] != "cancelled"]

    def revenue(some: list[dict[str, Any]]) -> Decimal:
        return sum((Decimal(str(row["payment_amount"])) for row in some), Decimal())

    by_teacher: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_teacher[row["instructor_id"]].append(row)
    assert Decimal(str(document["total_revenue"])) == revenue(live)
    assert document["total_assignments"] == len(rows)
    assert {one["instructor_id"]: Decimal(str(one["total_revenue"])) for one in document["instructor_stats"]} == {
        teacher: revenue([row for row in theirs if row["class_status"] != "cancelled"])
        for teacher, theirs in by_teacher.items()
    }
    assert {one["month"]: Decimal(str(one["revenue"])) for one in document["monthly_trends"]} == {
        "2027-04": revenue(live)
    }
    mine = cast.call(cast.tara, "assignment_analytics", date_start="2027-01-01", date_end="2027-12-31")
    assert [one["instructor_name"] for one in mine["instructor_stats"]] == ["Tara Teacher"]
    cast.refused(
        cast.member,
        "POST",
        "/rpc/assignment_analytics",
        {"date_start": "2027-01-01", "date_end": str(TODAY + timedelta(days=300))},
        "forbidden",
    )
