"""What is offered: tidied, sensible, seen by whom it is offered to, changed by those who may."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.identity import as_user
from tests.support.rest import Rest
from tests.support.world import World

ENTRIES: dict[str, dict[str, Any]] = {
    "class_types": {"name": "Salsa"},
    "packages": {"name": "Ten classes", "class_count": 10},
    "courses": {"code": "ALG 1", "title": "Algebra"},
}
WRONG: dict[str, dict[str, list[Any]]] = {
    "class_types": {
        "name": [None, " \t", "x" * 201], "description": ["x" * 1001], "difficulty_level": ["divine", None],
        "duration_minutes": [29, 181, 0, None], "max_participants": [0, 10001, None],
    },
    "packages": {
        "name": [None, "", "x" * 201], "description": ["x" * 1001], "price": [-1, "NaN", None],
        "class_count": [0, 1001, None], "validity_days": [0, 3661, None], "duration": ["x" * 101],
        "course_type": ["slow", None], "type": ["x" * 101], "late_cancel_hours": [-1, 745, None],
    },
    "courses": {
        "code": [None, " ", "x" * 51], "title": [None, "", "x" * 201], "description": ["x" * 1001],
        "subject": ["x" * 201], "kind": ["hobby", None], "duration_minutes": [0, 44641], "default_capacity": [0, 10001],
        "credits": [-1, "NaN"], "price": [-1, "NaN", None], "certificate_validity_days": [0, 36601],
    },
}  # fmt: skip
CASES = [
    (table, field, value) for table, fields in WRONG.items() for field, values in fields.items() for value in values
]


@pytest.mark.parametrize(("table", "field", "value"), CASES)
def test_what_makes_no_sense_is_refused_by_name(world: World, table: str, field: str, value: Any) -> None:
    with refused("invalid_input") as refusal:
        world.insert(f"public.{table}", **{**ENTRIES[table], field: value})
    assert refusal.fields == {field}
    world.insert(f"public.{table}", **ENTRIES[table])
    with refused("invalid_input") as refusal:
        world.db.execute(f"update public.{table} set {field} = %s".encode(), [value])
    assert refusal.fields == {field}


@pytest.mark.parametrize("table", WRONG)
def test_every_wrong_field_is_named_at_once(world: World, table: str) -> None:
    with refused("invalid_input") as refusal:
        world.insert(f"public.{table}", **{field: values[0] for field, values in WRONG[table].items()})
    assert refusal.fields == set(WRONG[table])


def test_defaults_are_the_documented_ones(world: World) -> None:
    salsa = world.insert("public.class_types", name="  Salsa ")
    assert (salsa.name, salsa.duration_minutes, salsa.max_participants, salsa.is_active) == ("Salsa", 60, 10, True)
    package = world.insert("public.packages", name="Ten", class_count=10, duration=" ")
    assert (package.validity_days, package.course_type, package.duration, package.is_active) == (
        30,
        "regular",
        None,
        True,
    )
    course = world.insert("public.courses", code=" ALG 1 ", title="Algebra\u0007 ")
    assert (course.code, course.title, course.kind, course.certificate_validity_days) == (
        "ALG 1",
        "Algebra",
        "training",
        None,
    )


def test_names_and_codes_are_unique_whatever_the_case(world: World) -> None:
    for table in ("class_types", "courses"):
        key = "name" if table == "class_types" else "code"
        first = world.insert(f"public.{table}", **ENTRIES[table])
        with pytest.raises(psycopg.errors.UniqueViolation):
            world.insert(f"public.{table}", **{**ENTRIES[table], key: f" {getattr(first, key).upper()} "})


def test_a_duration_lies_within_the_settings_when_it_is_written(world: World) -> None:
    salsa = world.insert("public.class_types", name="Salsa", duration_minutes=180)
    world.db.execute("update public.settings set value = '120' where key = 'class_minutes_max'")
    world.db.execute("update public.class_types set description = 'Still three hours.', duration_minutes = 180")
    with refused("invalid_input") as refusal:
        world.db.execute("update public.class_types set duration_minutes = 150")
    assert refusal.message == "A class lasts between 30 and 120 minutes"
    world.db.execute("update public.settings set value = '45' where key = 'class_minutes_default'")
    assert world.insert("public.class_types", name="Rumba").duration_minutes == 45
    assert world.db.execute("select duration_minutes from public.class_types where id = %s", [salsa.id]).fetchone() == (
        180,
    )


@pytest.mark.parametrize("table", ENTRIES)
def test_the_public_sees_what_is_offered(world: World, rest: Rest, table: str) -> None:
    world.insert(f"public.{table}", **ENTRIES[table])
    gone = {"class_types": {"name": "Gone"}, "packages": {"name": "Gone"}, "courses": {"code": "GONE"}}[table]
    world.insert(f"public.{table}", **{**ENTRIES[table], **gone, "is_active": False})
    seen = {
        who: len(rest.get(f"/{table}", user=user).json())
        for who, user in (("anon", None), ("nobody", world.user(None)), ("server", "service_role"))
    }
    assert seen == {"anon": 1, "nobody": 2, "server": 2}


@pytest.mark.parametrize("table", ENTRIES)
@pytest.mark.parametrize("role", [None, "member", "instructor", "staff", "manager", "admin"])
def test_who_may_change_it(world: World, rest: Rest, table: str, role: str | None) -> None:
    user = world.user(role)
    made = world.insert(f"public.{table}", **ENTRIES[table])
    key = "code" if table == "courses" else "name"
    new = {**ENTRIES[table], key: "New"}
    may = role in ("manager", "admin")
    added = rest.post(f"/{table}", new, user=user, headers={"Prefer": "return=representation"})
    assert added.status_code == (201 if may else 403)
    changed = rest.patch(f"/{table}?id=eq.{made.id}&version=eq.1", {"is_active": False}, user=user)
    assert [row["version"] for row in changed.json()] == ([2] if may else [])
    stale = rest.patch(f"/{table}?id=eq.{made.id}", {"is_active": True, "version": 1}, user=user)
    assert (stale.json()["code"] if may else stale.json()) == ("stale_version" if may else [])
    deleted = rest.delete(f"/{table}?id=eq.{made.id}", user=user)
    assert len(deleted.json()) == may
    if may:
        assert added.json()[0]["created_by"] == str(user.id)
    assert rest.post(f"/{table}", new).status_code == 401


def test_nobody_signs_for_somebody_else(world: World, db: psycopg.Connection[Any]) -> None:
    manager, other = world.user("manager"), world.user("manager")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(db, manager):
        db.execute("insert into public.packages (name, class_count, created_by) values ('X', 1, %s)", [other.id])


def test_a_login_can_go_and_what_it_wrote_stays(world: World) -> None:
    manager = world.user("manager")
    for table, values in ENTRIES.items():
        world.insert(f"public.{table}", **values, created_by=manager.id)
    world.db.execute("delete from auth.users where id = %s", [manager.id])
    for table in ENTRIES:
        assert world.db.execute(f"select created_by from public.{table}".encode()).fetchall() == [(None,)]
