"""No course requires itself, over however many others, and not by two people at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.identity import as_user
from tests.support.ledger import Connection, Ledger
from tests.support.rest import Rest
from tests.support.world import World

RING = 5


def courses(ledger: Ledger, how_many: int) -> list[UUID]:
    """Courses C0, C1, …"""
    return [
        ledger.one("insert into public.courses (code, title) values (%s, 'Course') returning id", f"C{number}")
        for number in range(how_many)
    ]


def require(by: Connection, course: UUID, *required: UUID, group: int = 1) -> None:
    by.execute(
        'insert into public.course_prerequisites (course_id, "group", required_course_id) select %s, %s, u from unnest(%s) u',
        [course, group, list(required)],
    )


def in_a_circle(ledger: Ledger) -> list[str]:
    rows = ledger.db.execute("select message from public.run_diagnostics(p_modules => '{30_catalog}') order by 1")
    return [message for (message,) in rows]


def test_a_course_does_not_require_itself_over_others(ledger: Ledger) -> None:
    ring = courses(ledger, RING)
    for course, required in pairwise(ring):
        require(ledger.db, course, required)
    with refused("invalid_input") as refusal:
        require(ledger.db, ring[-1], ring[0])
    assert refusal.message == "C4 would require itself, by way of C0, C1, C2, C3"
    assert refusal.fields == {"required_course_id"}
    with pytest.raises(psycopg.errors.CheckViolation):
        require(ledger.db, ring[0], ring[0])
    assert in_a_circle(ledger) == []


def test_a_circle_in_one_statement_or_by_an_update_is_seen_too(ledger: Ledger) -> None:
    first, second, third = courses(ledger, 3)
    with refused("invalid_input"):
        ledger.db.execute(
            "insert into public.course_prerequisites (course_id, required_course_id) values (%(a)s, %(b)s), (%(b)s, %(a)s)",
            {"a": first, "b": second},
        )
    require(ledger.db, first, second)
    require(ledger.db, second, third)
    with refused("invalid_input"):
        ledger.db.execute(
            "update public.course_prerequisites set required_course_id = %s where course_id = %s", [first, second]
        )
    # All rows of the statement change at once: the chain is turned around, which makes no circle.
    ledger.db.execute(
        "update public.course_prerequisites set course_id = required_course_id, required_course_id = course_id"
    )
    with refused("invalid_input"):
        require(ledger.db, first, third)
    assert in_a_circle(ledger) == []


def test_groups_are_alternatives_and_do_not_hide_a_circle(ledger: Ledger) -> None:
    first, second, third = courses(ledger, 3)
    require(ledger.db, first, second, third, group=1)
    require(ledger.db, first, third, group=2)
    with refused("invalid_input"):
        require(ledger.db, third, first, group=7)
    with pytest.raises(psycopg.errors.CheckViolation):
        require(ledger.db, third, second, group=0)


@pytest.mark.parametrize("guarded", [True, False])
def test_two_halves_of_a_circle_at_once(ledger: Ledger, guarded: bool) -> None:
    first, second = courses(ledger, 2)
    if not guarded:
        ledger.weaken("drop trigger t10_one_at_a_time on public.course_prerequisites")
    outcome = ledger.collide(lambda by: require(by, first, second), lambda by: require(by, second, first))
    assert (outcome.waited, outcome.code) == ((True, "invalid_input") if guarded else (False, None))
    assert len(in_a_circle(ledger)) == (0 if guarded else 2)


def test_many_parts_of_a_circle_at_once_leave_one_out(ledger: Ledger) -> None:
    ring = courses(ledger, RING)
    parts = [lambda by, n=n: require(by, ring[n], ring[(n + 1) % RING]) for n in range(RING)]
    outcomes = ledger.pile_up(*parts)
    assert sorted(str(outcome.code) for outcome in outcomes) == ["None"] * (RING - 2) + ["invalid_input"]
    assert in_a_circle(ledger) == []


def test_another_isolation_level_is_refused(ledger: Ledger) -> None:
    first, second = courses(ledger, 2)
    with ledger.database.connect(autocommit=False) as by:
        by.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with refused("invalid_input"):
            require(by, first, second)


def test_many_ways_lead_to_the_same_course(ledger: Ledger) -> None:
    """Forty layers of three: a walk over all paths would take 3^40 steps."""
    layers = [[f"L{layer}.{place}" for place in range(3)] for layer in range(40)]
    ledger.db.execute(
        "insert into public.courses (code, title) select u, u from unnest(%s::text[]) u",
        [[c for layer in layers for c in layer]],
    )
    ledger.db.execute(
        "insert into public.course_prerequisites (course_id, required_course_id) select a.id, b.id "
        "from public.courses a join public.courses b on split_part(b.code, '.', 1) = 'L' || (substring(a.code from 'L([0-9]+)')::int + 1)"
    )
    ends = [ledger.one("select id from public.courses where code = %s", code) for code in ("L39.0", "L0.0")]
    with refused("invalid_input"):
        require(ledger.db, *ends)


def test_a_circle_planted_behind_the_triggers_is_found(ledger: Ledger) -> None:
    first, second, third = courses(ledger, 3)
    require(ledger.db, first, second)
    require(ledger.db, third, first)
    behind = ledger.database.connect(admin=True)
    behind.execute("set session_replication_role = replica")
    require(behind, second, first)
    assert in_a_circle(ledger) == [f"Nobody can take {code}: in the end it requires itself" for code in ("C0", "C1")]
    ledger.db.execute("delete from public.course_prerequisites where course_id = %s", [second])
    assert in_a_circle(ledger) == []


def test_what_a_course_is_required_by_stays(ledger: Ledger) -> None:
    first, second = courses(ledger, 2)
    require(ledger.db, first, second)
    with pytest.raises(psycopg.IntegrityError):
        ledger.db.execute("delete from public.courses where id = %s", [second])
    ledger.db.execute("delete from public.courses where id = %s", [first])
    assert ledger.one("select count(*) from public.course_prerequisites") == 0


@pytest.mark.parametrize("role", [None, "member", "instructor", "staff", "manager", "admin"])
def test_who_may_say_what_a_course_requires(ledger: Ledger, rest: Rest, role: str | None) -> None:
    user = World(ledger.db).user(role)
    first, second, third = courses(ledger, 3)
    require(ledger.db, first, second)
    may = role in ("manager", "admin")
    row = {"course_id": str(second), "group": 1, "required_course_id": str(third)}
    assert rest.post("/course_prerequisites", row, user=user).status_code == (201 if may else 403)
    back = {"course_id": str(third), "required_course_id": str(first)}
    answer = rest.post("/course_prerequisites", back, user=user)
    assert (answer.status_code, answer.json()["code"]) == ((400, "invalid_input") if may else (403, "42501"))
    assert rest.patch(f"/course_prerequisites?course_id=eq.{first}", {"group": 2}, user=user).status_code == 403
    assert len(rest.delete(f"/course_prerequisites?course_id=eq.{first}", user=user).json()) == may


def test_the_public_sees_what_offered_courses_require(ledger: Ledger, rest: Rest) -> None:
    first, second = courses(ledger, 2)
    require(ledger.db, first, second)
    embedded: Any = rest.get(
        "/courses?select=code,course_prerequisites!course_id(required_course_id)&code=eq.C0"
    ).json()
    assert embedded == [{"code": "C0", "course_prerequisites": [{"required_course_id": str(second)}]}]
    ledger.db.execute("update public.courses set is_active = false where id = %s", [first])
    assert rest.get("/course_prerequisites").json() == []
    with as_user(ledger.db, World(ledger.db).user()):
        assert ledger.one("select count(*) from public.course_prerequisites") == 1
