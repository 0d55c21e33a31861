"""run_diagnostics and apply_fixes: who may, what they answer, and that every registered check keeps its word."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.support.identity import as_role, as_user
from tests.support.rest import Rest
from tests.support.world import World


def refusal(error: psycopg.Error) -> dict[str, Any]:
    assert error.sqlstate == "PGRST", error
    said: dict[str, Any] = json.loads(error.diag.message_primary or "")
    return said


def test_every_check_has_its_functions_and_every_function_its_check(db: psycopg.Connection[Any]) -> None:
    registered = dict(db.execute("select name, fix_description from public.integrity_checks").fetchall())
    functions = {name for (name,) in db.execute(
        "select proname from pg_proc where pronamespace = 'private'::regnamespace and proname ~ '^(check|fix)_' and prorettype <> 'trigger'::regtype"
    )}  # fmt: skip
    returning_findings = {name for (name,) in db.execute(
        "select proname from pg_proc where pronamespace = 'private'::regnamespace and proname like 'check\\_%'"
        " and pg_get_function_result(oid) = 'TABLE(entity text, entity_id text, message text, detail jsonb)'"
    )}  # fmt: skip
    assert returning_findings == {f"check_{name}" for name in registered}
    fixes = {name for name in functions if name.startswith("fix_")}
    assert fixes == {f"fix_{name}" for name, fix in registered.items() if fix is not None}


def test_a_new_database_has_no_findings(db: psycopg.Connection[Any]) -> None:
    assert db.execute("select check_name, message from public.run_diagnostics()").fetchall() == []
    assert db.execute("select * from public.apply_fixes()").fetchall() == []


@pytest.mark.parametrize(
    ("role", "may_read", "may_mend"),
    [("admin", True, True), ("manager", True, False), ("instructor", False, False), ("staff", False, False), ("member", False, False)],
)  # fmt: skip
def test_who_may(db: psycopg.Connection[Any], world: World, role: str, may_read: bool, may_mend: bool) -> None:
    user = world.user(role)
    for statement, may in (
        ("select count(*) from public.run_diagnostics()", may_read),
        ("select count(*) from public.apply_fixes()", may_mend),
        ("select count(*) from public.apply_fixes(p_dry_run => true)", may_mend),
    ):
        if may:
            with as_user(db, user):
                assert db.execute(statement).fetchone() == (0,)
        else:
            with pytest.raises(psycopg.Error) as caught, as_user(db, user):
                db.execute(statement)
            assert refusal(caught.value)["code"] == "forbidden"


def test_strangers_may_not_ask(db: psycopg.Connection[Any], rest: Rest) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(db, "anon"):
        db.execute("select * from public.run_diagnostics()")
    assert rest.post("/rpc/run_diagnostics", json={}).status_code in (401, 403)


@pytest.mark.parametrize(
    ("arguments", "field"), [("p_checks => '{nonsense}'", "p_checks"), ("p_modules => '{nonsense}'", "p_modules")]
)
@pytest.mark.parametrize("function", ["run_diagnostics", "apply_fixes"])
def test_unknown_names_are_refused(db: psycopg.Connection[Any], function: str, arguments: str, field: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        db.execute(f"select * from public.{function}({arguments})")
    said = refusal(caught.value)
    assert said["code"] == "not_found"
    assert json.loads(said["details"])["field"] == field
    assert "nonsense" in said["message"]


def test_modules_go_by_name_with_and_without_number(database: Any, db: psycopg.Connection[Any]) -> None:
    behind = database.connect(admin=True)
    with behind.transaction():
        behind.execute("set local session_replication_role = replica")
        behind.execute("insert into public.locations (name) values ('Annexe')")
    found = {
        name: db.execute("select count(*) from public.run_diagnostics(p_modules => %s)", [[name]]).fetchone()
        for name in ("time", "20_time", "people")
    }
    assert found == {"time": (1,), "20_time": (1,), "people": (0,)}


def test_an_inactive_check_runs_only_when_named(database: Any, db: psycopg.Connection[Any]) -> None:
    behind = database.connect(admin=True)
    with behind.transaction():
        behind.execute("set local session_replication_role = replica")
        behind.execute("insert into public.locations (name) values ('Annexe')")
    db.execute("update public.integrity_checks set is_active = false where name = 'people_and_resources_differ'")
    assert db.execute("select * from public.run_diagnostics()").fetchall() == []
    named = db.execute("select check_name from public.run_diagnostics(p_checks => '{people_and_resources_differ}')")
    assert named.fetchall() == [("people_and_resources_differ",)]


def test_a_dry_run_changes_nothing(database: Any, db: psycopg.Connection[Any]) -> None:
    behind = database.connect(admin=True)
    with behind.transaction():
        behind.execute("set local session_replication_role = replica")
        behind.execute("insert into public.locations (name) values ('Annexe')")
    planned = db.execute(
        "select check_name, faults, fixed, remaining from public.apply_fixes(p_dry_run => true)"
    ).fetchall()
    assert planned == [("people_and_resources_differ", 1, 0, 1)]
    assert db.execute("select count(*) from public.resources").fetchone() == (0,)
