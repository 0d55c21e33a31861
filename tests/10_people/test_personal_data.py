"""What is kept about a person can be shown to them and removed, over all modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.world import World

Call = Callable[..., Any]
SECRETS = ("Asha Rao", "asha@demo.com", "+919876543210", "knee injury")


@pytest.fixture
def asha(db: psycopg.Connection[Any], world: World) -> User:
    """A person with a login, a role, an exception, and rows in tables of a later module."""
    person = world.user("instructor", full_name="Asha Rao", phone="+919876543210", time_zone="Asia/Kolkata")
    db.execute("update auth.users set email = 'asha@demo.com' where id = %s", [person.id])
    db.execute("select public.grant_permission(%s, 'read:contact', 'covers the desk')", [person.id])
    db.execute(
        "create table public.lessons (id int primary key, teacher_id uuid references public.user_profiles (id), "
        "teacher_name text, minutes int)"
    )
    db.execute("create table public.health_notes (user_id uuid, note text, written_on date)")
    db.execute(
        "insert into public.lessons values (1, %s, 'Asha Rao', 60), (2, null, 'Somebody else', 45)", [person.profile_id]
    )
    db.execute("insert into public.health_notes values (%s, 'knee injury', '2026-01-01')", [person.id])
    db.execute(
        "insert into private.personal_data (table_name, person_column, person_key, module, export_columns, erase_action,"
        " placeholders) values "
        "('public.lessons', 'teacher_id', 'profile_id', '95_test', '{id,teacher_name}', 'overwrite', "
        '  \'{"teacher_name": "Erased person", "minutes": 0}\'), '
        "('public.health_notes', 'user_id', 'user_id', '95_test', '{note,written_on}', 'delete', '{}')"
    )
    return person


def everything(db: psycopg.Connection[Any]) -> str:
    """Every row of every table of ours and of the login's, as text; but for our own code, which says what a phone number
    looks like."""
    tables = db.execute(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables "
        "where table_schema in ('public', 'private', 'auth') and table_type = 'BASE TABLE' "
        "and table_name <> 'shipped_objects'"
    ).fetchall()
    return "\n".join(str(db.execute(f"select * from {name}".encode()).fetchall()) for (name,) in tables)


def test_an_export_is_one_document_over_all_modules(call: Call, asha: User, rows: Call) -> None:
    [answer] = call(asha, "export_person", p_profile_id=asha.profile_id)
    document = answer["export_person"]
    assert (document["profile_id"], document["user_id"]) == (str(asha.profile_id), str(asha.id))
    assert document["exported_at"]
    tables = document["tables"]
    assert set(tables) == {name for (name,) in rows("select distinct table_name from private.personal_data")}
    assert tables["auth.users"][0]["email"] == "asha@demo.com"
    assert tables["public.user_profiles"][0]["full_name"] == "Asha Rao"
    assert {row["role_name"] for row in tables["public.user_roles"]} == {"member", "instructor"}
    assert [row["reason"] for row in tables["public.user_permissions"]] == ["covers the desk"]
    assert {row["action"] for row in tables["public.access_changes"]} == {"role_granted", "permission_granted"}
    assert tables["public.lessons"] == [{"id": 1, "teacher_name": "Asha Rao"}]
    assert tables["public.health_notes"] == [{"note": "knee injury", "written_on": "2026-01-01"}]
    assert all(secret in str(document) for secret in SECRETS)
    assert rows(
        "select actor_id, subject_profile_id, subject_user_id from public.access_changes where action = 'person_exported'"
    ) == [(asha.id, asha.profile_id, asha.id)]


def test_who_may_export(world: World, asha: User, rest: Rest) -> None:
    body = {"p_profile_id": str(asha.profile_id)}
    for role in ("manager", "staff", "instructor", "member"):
        answer = rest.post("/rpc/export_person", body, user=world.user(role))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        unknown = rest.post("/rpc/export_person", {"p_profile_id": str(uuid4())}, user=world.user(role))
        assert unknown.json()["code"] == "forbidden", "nobody learns who exists"
    assert rest.post("/rpc/export_person", body).status_code == 401
    assert rest.post("/rpc/export_person", {"p_profile_id": None}, user="authenticated").status_code in (403, 404)
    assert rest.post("/rpc/export_person", body, user=world.user("admin")).status_code == 200
    assert rest.post("/rpc/export_person", body, user="service_role").status_code == 200
    own = rest.post("/rpc/export_person", body, user=asha)
    assert own.json()["profile_id"] == str(asha.profile_id)


def test_somebody_without_a_login_can_be_exported(world: World, call: Call) -> None:
    imported = world.insert("public.user_profiles", full_name="Import Ed")
    [answer] = call(world.user("admin"), "export_person", p_profile_id=imported.id)
    tables = answer["export_person"]["tables"]
    assert tables["public.user_profiles"][0]["full_name"] == "Import Ed"
    assert tables["auth.users"] == tables["public.user_roles"] == []


def test_erased_means_gone_everywhere(
    db: psycopg.Connection[Any], world: World, call: Call, asha: User, rows: Call
) -> None:
    admin = world.user("admin")
    call(asha, "update_my_profile", p_full_name="Asha Rao", p_idempotency_key="keeps an answer")
    assert all(secret in everything(db) for secret in SECRETS)
    done = call(admin, "erase_person", p_profile_id=asha.profile_id, p_reason="asked on 1 March")
    left = everything(db)
    assert [secret for secret in SECRETS if secret in left] == []

    by_table = {row["table_name"]: (row["action"], row["row_count"]) for row in done}
    assert by_table["auth.users"] == ("delete", 1)
    assert by_table["public.user_roles"] == ("delete", 2)
    assert by_table["public.user_permissions"] == ("delete", 1)
    assert by_table["public.lessons"] == ("overwrite", 1)
    assert by_table["public.health_notes"] == ("delete", 1)
    assert by_table["private.idempotency_keys"] == ("delete", 1)
    assert by_table["public.access_changes"] == ("keep", 3)
    assert all(row["kept_because"] for row in done if row["action"] == "keep")

    assert rows("select id, teacher_id, teacher_name, minutes from public.lessons order by id") == [
        (1, asha.profile_id, "Erased person", 0),
        (2, None, "Somebody else", 45),
    ]
    assert rows(
        "select full_name, email, phone, time_zone, user_id, is_active, erased_at is not null "
        "from public.user_profiles where id = %s",
        asha.profile_id,
    ) == [("Erased person", None, None, None, None, False, True)]
    assert rows("select name, is_active from public.resources where id = %s", asha.profile_id) == [
        ("Erased person", False)
    ]
    assert rows(
        "select actor_id, subject_user_id, reason from public.access_changes "
        "where action = 'person_erased' and subject_profile_id = %s",
        asha.profile_id,
    ) == [(admin.id, asha.id, "asked on 1 March")]


def test_the_erased_are_not_listed_and_not_erased_again(
    world: World, call: Call, rest: Rest, asha: User, refused: Any, rows: Call
) -> None:
    admin = world.user("admin")
    asked = {"p_profile_id": asha.profile_id, "p_reason": "x"}
    first = call(admin, "erase_person", **asked, p_idempotency_key="k")
    assert call(admin, "erase_person", **asked, p_idempotency_key="k") == first
    with refused("illegal_transition"):
        call(admin, "erase_person", **asked)
    listed = rest.get("/people_directory?select=id", user=admin).json()
    assert str(asha.profile_id) not in {row["id"] for row in listed}
    assert rows("select count(*) from public.access_changes where action = 'person_erased'") == [(1,)]


def test_the_erased_stay_erased(db: psycopg.Connection[Any], world: World, call: Call, asha: User) -> None:
    call(world.user("admin"), "erase_person", p_profile_id=asha.profile_id, p_reason="x")
    for change in ("is_active = true", "email = 'a@b.co'", "phone = '+14155550123'", "time_zone = 'UTC'"):
        with pytest.raises(psycopg.errors.CheckViolation, match="erased_people_are_gone"):
            db.execute(f"update public.user_profiles set {change} where id = %s".encode(), [asha.profile_id])


@pytest.mark.parametrize(
    ("profile", "reason", "code", "field"),
    [
        ("somebody", None, "invalid_input", "p_reason"),
        ("somebody", " ", "invalid_input", "p_reason"),
        (None, "x", "invalid_input", "p_profile_id"),
        ("nobody", "x", "not_found", "p_profile_id"),
    ],
)
def test_erasing_needs_a_person_and_a_reason(
    world: World, call: Call, refused: Any, profile: str | None, reason: str | None, code: str, field: str
) -> None:
    who = {"somebody": world.user("member").profile_id, "nobody": uuid4(), None: None}[profile]
    with refused(code) as refusal:
        call(world.user("admin"), "erase_person", p_profile_id=who, p_reason=reason)
    assert refusal.details["field"] == field


def test_an_erasure_that_fails_leaves_everything(
    db: psycopg.Connection[Any], world: World, call: Call, asha: User
) -> None:
    db.execute("create table public.contracts (user_id uuid references auth.users (id) on delete restrict)")
    db.execute("insert into public.contracts values (%s)", [asha.id])
    admin = world.user("admin")
    before = everything(db)
    with pytest.raises(psycopg.errors.IntegrityError):
        call(admin, "erase_person", p_profile_id=asha.profile_id, p_reason="x")
    assert everything(db) == before


def test_a_user_manager_may_erase_themselves(world: World, call: Call, rows: Call) -> None:
    world.user("admin")
    me = world.user("admin")
    call(me, "erase_person", p_profile_id=me.profile_id, p_reason="leaving")
    assert rows("select from auth.users where id = %s", me.id) == []


@pytest.mark.parametrize(
    ("table", "column", "exported", "action", "placeholders"),
    [
        ("public.nowhere", "user_id", "{}", "delete", "{}"),
        ("public.user_roles", "person", "{}", "delete", "{}"),
        ("public.user_roles", "user_id", "{nothing}", "delete", "{}"),
        ("public.user_roles", "user_id", "{}", "overwrite", '{"nothing": 1}'),
    ],
)
def test_a_wrong_registration_is_refused(
    db: psycopg.Connection[Any], refused: Any, table: str, column: str, exported: str, action: str, placeholders: str
) -> None:
    db.execute("delete from private.personal_data where table_name = 'public.user_roles'")
    with refused("invalid_input"):
        db.execute(
            "insert into private.personal_data (table_name, person_column, person_key, module, export_columns, "
            "erase_action, placeholders) values (%s, %s, 'user_id', 'm', %s, %s, %s)",
            [table, column, exported, action, placeholders],
        )


@pytest.mark.parametrize(
    "change",
    [
        "person_key = 'email'",
        "erase_action = 'forget'",
        "erase_action = 'keep', kept_because = null",
        "erase_action = 'overwrite'",
        'placeholders = \'{"role_name": "x"}\'',
    ],
)
def test_a_registration_makes_sense(db: psycopg.Connection[Any], change: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute(f"update private.personal_data set {change} where table_name = 'public.user_roles'".encode())


def test_the_registry_is_nobodys_business(rest: Rest, world: World, db: psycopg.Connection[Any]) -> None:
    assert rest.get("/personal_data", user=world.user("admin")).status_code == 404
    for role in ("anon", "authenticated", "service_role"):
        row = db.execute("select has_table_privilege(%s, 'private.personal_data', 'select')", [role]).fetchone()
        assert row == (False,)


def test_the_ledger_outlives_the_person(db: psycopg.Connection[Any], world: World, call: Call, rows: Call) -> None:
    """What 20_time keeps about somebody: hours and reasons go, the time that was taken stays taken."""
    admin, person = world.user("admin"), world.user("instructor", full_name="Asha Rao")
    db.execute(
        "insert into public.weekly_rules (title, weekday, start_time, end_time, time_zone, effective, created_by) "
        "values ('Yoga', 1, '09:00', '10:00', 'UTC', daterange(private.today(), null), %s)",
        [person.id],
    )
    db.execute("insert into public.weekly_rule_resources select id, %s from public.weekly_rules", [person.profile_id])
    db.execute(
        "insert into public.availability_rules (resource_id, weekday, start_time, end_time, time_zone) "
        "values (%s, 1, '08:00', '18:00', 'UTC')",
        [person.profile_id],
    )
    db.execute(
        "insert into public.time_off (resource_id, starts_on, ends_on, time_zone, reason) "
        "values (%s, '2026-01-05', '2026-01-09', 'UTC', 'knee injury')",
        [person.profile_id],
    )
    claimed = rows("select count(*) from public.claims where resource_id = %s", person.profile_id)
    assert claimed > [(50,)]
    tables = call(person, "export_person", p_profile_id=person.profile_id)[0]["export_person"]["tables"]
    assert len(tables["public.claims"]) == claimed[0][0]
    assert tables["public.time_off"][0]["reason"] == "knee injury"
    assert tables["public.availability_rules"][0]["weekday"] == 1
    assert tables["public.weekly_rules"][0]["title"] == "Yoga"

    call(admin, "erase_person", p_profile_id=person.profile_id, p_reason="asked for it")
    left = everything(db)
    assert "knee injury" not in left
    assert "Asha Rao" not in left
    assert rows("select count(*) from public.claims where resource_id = %s", person.profile_id) == claimed
    assert rows("select count(*) from public.availability_rules") == [(0,)]
    assert rows("select created_by from public.weekly_rules") == [(None,)]
