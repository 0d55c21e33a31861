"""An administrator's month at a tutoring centre, over REST: what the runbook promises, in the order it happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.rest import Rest
from tests.support.tracking import Tracking, slot


class Office:
    """Everything is asked over REST, by `manager` unless told otherwise."""

    def __init__(self, tracking: Tracking, rest: Rest) -> None:
        self.tracking, self.rest = tracking, rest
        self.manager, self.staff = tracking.world.user("manager"), tracking.world.user("staff")
        self.admin = tracking.world.user("admin")

    def ask(self, method: str, path: str, json: Any = None, user: Any = None) -> Any:
        """The answer; fails the test where it is a refusal."""
        headers = {"Prefer": "return=representation"} if "rpc" not in path else {}
        answer = self.rest.request(method, path, user=user or self.manager, json=json, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def call(self, function: str, user: Any = None, **arguments: Any) -> Any:
        return self.ask("POST", f"/rpc/{function}", arguments, user)

    def lines(self) -> dict[str, tuple[str, int]]:
        """What diagnosis says of each student: status, and how many classes are missing."""
        return {row["student_name"]: (row["status"], row["missing"]) for row in self.call("diagnose_students")}


@pytest.fixture
def office(tracking: Tracking, rest: Rest) -> Office:
    return Office(tracking, rest)


def test_a_month_of_an_administrator(office: Office) -> None:
    tracking = office.tracking
    # Monday: a student is added, and has a month of classes at once.
    [pia] = office.ask("POST", "/students", {
        "first_name": "Pia", "last_name": "Pupil", "course_id": str(tracking.course), "teacher_id": str(tracking.teacher.profile_id),
        "start_date": "2027-06-07", "fixed_schedule": [slot("monday", "17:00"), slot("thursday", "17:00", 90)],
    }, office.staff)  # fmt: skip
    classes = office.ask("GET", f"/classes?student_id=eq.{pia['id']}&order=starts_at")
    assert [row["date"][5:] for row in classes] == [
        "06-07",
        "06-10",
        "06-14",
        "06-17",
        "06-21",
        "06-24",
        "06-28",
        "07-01",
    ]
    assert office.lines() == {"Pia Pupil": ("valid", 0)}
    [log] = office.ask("GET", f"/class_generation_logs?student_id=eq.{pia['id']}", user=office.staff)
    assert (log["status"], log["classes_created"]) == ("success", 8)

    # Somebody deletes classes that ought to be there; diagnosis says which, and mends it.
    office.ask("DELETE", f"/classes?id=in.({classes[2]['id']},{classes[5]['id']})")
    assert office.lines() == {"Pia Pupil": ("missing", 2)}
    [line] = office.call("diagnose_students", p_student_id=pia["id"])
    assert [day["date"] for day in line["missing_dates"]] == ["2027-06-14", "2027-06-24"]
    report = office.call("generate_missing_classes", office.staff)
    assert [(row["student_id"], row["classes_created"]) for row in report] == [(pia["id"], 2), (None, 2)]
    assert office.call("generate_missing_classes")[-1]["classes_created"] == 0
    assert office.lines() == {"Pia Pupil": ("valid", 0)}

    # A restore brought classes twice, past keys that were lost.
    behind = tracking.world.db
    behind.execute(
        "alter table public.classes drop constraint classes_one_a_start, drop constraint classes_one_a_slot_and_date, drop constraint no_student_is_in_two_classes"
    )
    behind.execute("alter table public.classes disable trigger user")
    behind.execute(
        "insert into public.classes select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'created_at', c.created_at + interval '1 hour'))).* from public.classes c where date < '2027-06-15'"
    )
    behind.execute("alter table public.classes enable trigger user")
    twice = office.call("check_duplicate_classes")
    assert [(row["date"], len(row["duplicate_ids"])) for row in twice] == [
        ("2027-06-07", 1),
        ("2027-06-10", 1),
        ("2027-06-14", 1),
    ]
    planned = office.call("remove_duplicate_classes", office.admin, p_dry_run=True)
    assert {row["check_name"]: row["faults"] for row in planned} == {"classes_duplicated": 3, "class_keys_missing": 3}
    done = office.call("remove_duplicate_classes", office.admin)
    assert {row["check_name"]: row["remaining"] for row in done} == {"classes_duplicated": 0}
    assert office.call("check_duplicate_classes") == office.call("remove_duplicate_classes", office.admin) == []
    assert behind.execute("select * from private.lost_class_keys()").fetchall() == []
    assert len(office.ask("GET", "/classes")) == 8

    # The teacher leaves: a student without one is a finding until somebody else has them.
    tracking.later(days=7)
    office.ask("PATCH", f"/user_profiles?id=eq.{tracking.teacher.profile_id}", {"is_active": False}, office.admin)
    assert office.lines() == {"Pia Pupil": ("invalid", 0)}
    office.ask("PATCH", f"/students?id=eq.{pia['id']}", {"teacher_id": str(tracking.other.profile_id)}, office.staff)
    assert office.lines() == {"Pia Pupil": ("valid", 0)}
    taught = office.ask("GET", f"/classes?student_id=eq.{pia['id']}&order=starts_at&select=date,teacher_id")
    left = [row["date"] for row in taught if row["teacher_id"] == str(tracking.teacher.profile_id)]
    assert left == ["2027-06-07", "2027-06-10"]

    # The weekly run, and the figures of the month.
    tracking.later(days=7)
    run = office.call("generate_weekly_classes")[0]
    assert (run["status"], run["classes_created"]) == ("success", 2)
    assert office.call("generate_weekly_classes")[0]["classes_created"] == 0
    behind.execute("select private.complete_past_student_classes()")
    figures = office.call("class_statistics", p_from="2027-06-01", p_to="2027-06-30")
    assert figures["by_status"] == {
        "completed": {"count": 4, "percent": 57.1},
        "scheduled": {"count": 3, "percent": 42.9},
    }
    assert figures["generation"]["failures"] == 0
    assert figures["generation"]["last_run_at"][:10] == str(tracking.monday + timedelta(14))
    assert [row for row in tracking.findings() if row[0] != "horizons_late"] == []
