"""Classes that were paid for: who may still change what they were paid, and who deletes them."""

from __future__ import annotations

import pytest

from tests.support.rest import Rest
from tests.support.studio import Studio


@pytest.mark.parametrize("changed", ["payment_amount", "no amount", "payment_type", "rate", "instructor_id"])
def test_what_was_paid_is_corrected_by_those_who_pay(studio: Studio, rest: Rest, changed: str) -> None:
    # Ahead of the class, since one that is over keeps its instructor anyway.
    lesson = studio.assignment(1, payment_amount=50, payment_status="paid")
    changes = {
        "payment_amount": {"payment_amount": 5000},
        "no amount": {"payment_amount": None},
        "payment_type": {"payment_type": "monthly"},
        "rate": {"rate": 7},
        "instructor_id": {"instructor_id": str(studio.other.profile_id)},
    }[changed]
    staff, manager = studio.world.user("staff"), studio.world.user("manager")
    path = f"/class_assignments?id=eq.{lesson.id}"
    answer = rest.patch(path, changes, user=staff)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert rest.patch(path, {"notes": "Went well", "start_time": "10:15"}, user=staff).status_code == 200
    assert rest.patch(path, changes, user=manager).status_code == 200


def test_what_was_paid_is_deleted_by_those_who_pay(studio: Studio, rest: Rest) -> None:
    staff, manager = studio.world.user("staff"), studio.world.user("manager")
    lessons = [
        studio.assignment(-60 - n, class_status="completed", payment_status=status, assigned_by=staff.id)
        for n, status in enumerate(("paid", "pending"))
    ]
    body = {"operation_type": "delete", "assignment_ids": [str(each.id) for each in lessons], "p_partial": True}
    [answer] = rest.post("/rpc/bulk_assignment_operations", body, user=staff).json()
    assert answer["affected_count"] == 1
    assert [(one["id"], one["code"]) for one in answer["not_done"]] == [(str(lessons[0].id), "forbidden")]
    archivist = studio.world.user("member")
    for permission in ("bulk:assignment", "read:assignment"):
        studio.world.insert(
            "public.user_permissions", user_id=archivist.id, permission=permission, is_granted=True, reason="Archives"
        )
    later = studio.assignment(-70, class_status="completed", payment_status="paid")
    assert rest.post("/rpc/archive_assignments", {"p_before": str(studio.day(-65))}, user=archivist).json() == 1
    assert studio.db.execute("select id from public.class_assignments_archive").fetchall() == [(later.id,)]
    assert rest.delete(f"/class_assignments?id=eq.{lessons[0].id}", user=manager).status_code == 200
