"""What is recorded: every change through every door, who made it, and nothing that is none."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.calls import refused
from tests.support.identity import as_user
from tests.support.platform import OWNER
from tests.support.repairs import Repairs
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

Change = dict[str, Any]


def changes(db: psycopg.Connection[Any], table: str) -> list[Change]:
    """What the log holds of a table, oldest first."""
    with db.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from public.audit_log where table_name = %s order by id", [table]).fetchall()


def test_an_insert_an_update_and_a_delete(db: psycopg.Connection[Any]) -> None:
    db.execute("insert into public.locations (name, capacity) values ('Room', 4)")
    [(row,)] = db.execute("select to_jsonb(l) from public.locations l").fetchall()
    db.execute("update public.locations set capacity = 5")
    db.execute("delete from public.locations")
    came, changed, went = changes(db, "locations")
    assert (came["operation"], came["old_values"]) == ("insert", None)
    assert came["new_values"].keys() == row.keys()
    assert {change["row_key"] for change in (came, changed, went)} == {row["id"]}
    assert (changed["old_values"]["capacity"], changed["new_values"]["capacity"]) == (4, 5)
    assert changed["old_values"].keys() == changed["new_values"].keys() == {"capacity", "version", "updated_at"}
    assert (went["operation"], went["old_values"], went["new_values"]) == (
        "delete", {**came["new_values"], **changed["new_values"]}, None,
    )  # fmt: skip
    assert len({change["transaction_id"] for change in (came, changed, went)}) == 3


def test_what_changes_nothing_leaves_nothing(db: psycopg.Connection[Any], world: World) -> None:
    world.insert("public.locations", name="Room")
    before = len(changes(db, "locations"))
    for statement in (
        "update public.locations set name = name",
        "update public.locations set name = 'Other' where name = 'Nowhere'",
        "delete from public.locations where name = 'Nowhere'",
        "insert into public.locations (name) select 'Room' where false",
    ):
        db.execute(statement.encode())
    assert db.execute("select version from public.locations").fetchone() == (2,)
    assert len(changes(db, "locations")) == before


def test_one_transaction_has_one_number_and_one_instant(db: psycopg.Connection[Any]) -> None:
    with db.transaction():
        row = db.execute("select pg_current_xact_id()::text, now()").fetchone()
        db.execute("insert into public.locations (name) values ('Room')")
        db.execute("insert into public.class_types (name) values ('Yoga')")
        db.execute("update public.locations set capacity = 5")
    seen = db.execute(
        "select transaction_id::text, at from public.audit_log where table_name in ('locations', 'class_types', 'resources')"
    ).fetchall()
    assert len(seen) >= 3
    assert set(seen) == {row}


def test_what_fails_or_is_taken_back_leaves_nothing(db: psycopg.Connection[Any]) -> None:
    before = db.execute("select count(*) from public.audit_log").fetchone()
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute("insert into public.locations (name, capacity) values ('Room', 4), ('Cellar', -1)")
    with db.transaction(force_rollback=True):
        db.execute("insert into public.locations (name) values ('Room')")
    with db.transaction():
        with contextlib.suppress(psycopg.errors.CheckViolation), db.transaction():
            db.execute("insert into public.locations (name) values ('Room')")
            db.execute("update public.locations set capacity = -1")
        assert db.execute("select count(*) from public.locations").fetchone() == (0,)
    assert db.execute("select count(*) from public.audit_log").fetchone() == before


def test_upserts_merges_and_cascades(db: psycopg.Connection[Any], world: World) -> None:
    """Each row under what happened to it, however the statement is called; what goes with another row is recorded too."""
    db.execute("insert into public.locations (id, name) values (gen_random_uuid(), 'Room')")
    db.execute(
        "insert into public.locations (id, name) select id, 'Hall' from public.locations"
        " union all select gen_random_uuid(), 'Cellar' on conflict (id) do update set name = excluded.name"
    )
    assert sorted(change["operation"] for change in changes(db, "locations")) == ["insert", "insert", "update"]
    db.execute(
        "merge into public.locations l using (values ('Hall'), ('Attic')) as v (name) on l.name = v.name"
        " when matched then update set capacity = 7 when not matched then insert (name) values (v.name)"
    )
    assert sorted(change["operation"] for change in changes(db, "locations")) == ["insert"] * 3 + ["update"] * 2
    user = world.user("staff")
    db.execute("delete from auth.users where id = %s", [user.id])
    assert "delete" in {change["operation"] for change in changes(db, "user_roles")}
    assert changes(db, "user_profiles")[-1]["new_values"]["user_id"] is None


def test_keys_of_several_columns_and_keys_that_change(db: psycopg.Connection[Any]) -> None:
    db.execute("insert into public.roles (name, description) values ('guest', 'Visits.')")
    db.execute("insert into public.role_permissions (role_name, permission) values ('guest', 'read:calendar')")
    seen = changes(db, "role_permissions")
    assert seen[-1]["row_key"] == '{"role_name": "guest", "permission": "read:calendar"}'
    db.execute("delete from public.role_permissions where role_name = 'guest'")
    db.execute("update public.roles set name = 'visitor' where name = 'guest'")
    came, went, came_again = sorted(
        changes(db, "roles"), key=lambda change: (change["transaction_id"], change["operation"])
    )
    assert (came["row_key"], went["operation"], went["row_key"]) == ("guest", "delete", "guest")
    assert (came_again["operation"], came_again["row_key"]) == ("insert", "visitor")


def trail(db: psycopg.Connection[Any], table: str) -> list[tuple[Any, ...]]:
    """What is recorded of a table, whoever did it, by key."""
    return db.execute(
        "select row_key, operation, old_values, new_values from public.audit_log where table_name = %s order by 1, 2",
        [table],
    ).fetchall()


NO_NEWS = ("note = note", "r = 1.00", "t = '{\"x\":1}'")
# Columns called like anything, of types that call equal what is written differently, that have no equality, or none at all.
_ODD = """
create table public.odd_things (
  o integer, n text collate "C", a text, t json, l interval, r numeric, "select" text[], kept boolean, secret text, note text,
  primary key (o, n)
);
insert into public.odd_things
select g, 'n' || g, 'Same', '{"x": 1}', '1 day', 1.0, array['x'], g % 2 = 0, 'Old', case when g % 3 = 0 then 'Note' end
from generate_series(1, 70) g;
select private.attach_audit('public.odd_things', '{secret}');
"""


@pytest.mark.parametrize(
    "change",
    [
        "note = 'New'",
        "note = null",
        "a = 'SAME'",
        "l = '24:00'",
        "kept = true, secret = 'New', note = note",
        "secret = case when o % 2 = 0 then 'New' else secret end, \"select\" = case when o > 60 then array['y'] end",
        "note = case o when 1 then 'New' else note end, kept = case when o > 40 then not kept else kept end",
        "note = case o when 1 then note else 'New' end",
        "n = case when o > 65 then upper(n) else n end, note = 'New'",
        "o = o + 100",
        "o = -o, n = 'x', a = 'x', t = 'null', l = null, r = 2, \"select\" = '{}', kept = not kept, secret = 'New', note = 'New'",
        *NO_NEWS,
    ],
)
def test_many_rows_at_once_are_recorded_as_one_by_one(db: psycopg.Connection[Any], change: str) -> None:
    recorded = []
    for conditions in (["true"], [f"abs(o) = {number}" for number in range(1, 71)]):
        with db.transaction(force_rollback=True):
            db.execute(_ODD)
            for condition in conditions:
                db.execute(f"update public.odd_things set {change} where {condition}".encode())
            recorded.append(trail(db, "odd_things"))
    at_once, one_by_one = recorded
    assert at_once == one_by_one
    assert (at_once == []) == (change in NO_NEWS)


_KEYS = {
    "uuid": "lpad(to_hex(g), 32, '0')::uuid",
    "text": "'n' || g",
    "bigint": "g * 10000000000",
    "numeric": "g * 1.10",
    "date": "date '2026-01-01' + g",
    "timestamptz": "timestamptz '2026-01-01 00:00+00' + g * interval '1 hour'",
    "interval": "make_interval(mins => g)",
    "char(9)": "'n' || g",
}


@pytest.mark.parametrize("key", _KEYS)
@pytest.mark.parametrize(("left_out", "condition"), [("{}", None), ("{secret}", "number % 2 = 0")])
def test_many_rows_come_change_and_go_as_one_by_one(
    db: psycopg.Connection[Any], key: str, left_out: str, condition: str | None
) -> None:
    """Whatever the key's type: rows are called the same however many there are."""
    recorded = []
    for rows in ([(1, 60)], [(number, number) for number in range(1, 61)]):
        with db.transaction(force_rollback=True):
            db.execute(f"create table public.odd_keys (key {key} primary key, number integer, secret text)".encode())
            db.execute("select private.attach_audit('public.odd_keys', %s, %s)", [left_out, condition])
            for first, last in rows:
                db.execute(
                    f"insert into public.odd_keys select {_KEYS[key]}, g, 'Old' from generate_series({first}, {last}) g;"
                    f"update public.odd_keys set secret = 'New' where number between {first} and {last};"
                    f"delete from public.odd_keys where number between {first} and {last}".encode()
                )
            recorded.append(trail(db, "odd_keys"))
    at_once, one_by_one = recorded
    assert at_once == one_by_one
    assert len(at_once) == (180 if condition is None else 150)


@pytest.mark.parametrize("rows", [1, 60])
def test_a_key_that_is_written_differently_is_another(db: psycopg.Connection[Any], rows: int) -> None:
    """Equal as it may be: it is by what is written that a row is found."""
    db.execute("create table public.odd_keys (key numeric primary key)")
    db.execute("insert into public.odd_keys select g * 1.0 from generate_series(1, %s) g", [rows])
    db.execute("select private.attach_audit('public.odd_keys')")
    db.execute("update public.odd_keys set key = round(key, 3)")
    seen = changes(db, "odd_keys")
    assert {(change["operation"], change["row_key"]) for change in seen} >= {("delete", "1.0"), ("insert", "1.000")}
    assert len(seen) == 2 * rows


def test_columns_that_are_left_out(db: psycopg.Connection[Any], world: World) -> None:
    """That they changed is recorded, not from what to what."""
    db.execute("insert into public.calendar_feeds (name, token_hash) values ('All', repeat('a', 64))")
    db.execute("update public.calendar_feeds set token_hash = repeat('b', 64)")
    db.execute("update public.calendar_feeds set name = 'Everything'")
    left_out = {"token_hash": "***"}
    came, secret, plain = changes(db, "calendar_feeds")
    assert came["new_values"].items() >= left_out.items()
    assert (secret["old_values"], secret["new_values"]) == (left_out, left_out)
    assert plain["new_values"] == {"name": "Everything"}
    [(row,)] = db.execute(
        "select public.row_as_of('calendar_feeds', id::text, 'infinity') from public.calendar_feeds"
    ).fetchall()
    assert (row["name"], row["token_hash"]) == ("Everything", "***")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("'public.people_directory'", "p_table"),
        ("'private.audit_rules'", "p_table"),
        ("'public.locations', '{nonsense}'", "p_left_out"),
        ("'public.locations', '{id}'", "p_left_out"),
    ],
)
def test_what_cannot_be_audited(db: psycopg.Connection[Any], arguments: str, field: str) -> None:
    with refused("invalid_input") as said:
        db.execute(f"select private.attach_audit({arguments})".encode())
    assert said.details["field"] == field


def test_only_inserts_the_condition_accepts_are_recorded(db: psycopg.Connection[Any]) -> None:
    db.execute("select private.attach_audit('public.locations', p_insert_condition => 'capacity > 3')")
    db.execute("insert into public.locations (name, capacity) values ('Small', 2), ('Large', 9), ('Unknown', null)")
    assert [change["new_values"]["name"] for change in changes(db, "locations")] == ["Large"]
    db.execute("update public.locations set capacity = 1")
    db.execute("delete from public.locations where name = 'Small'")
    assert [change["operation"] for change in changes(db, "locations")] == [
        "insert",
        "update",
        "update",
        "update",
        "delete",
    ]


def test_whoever_writes_is_named(db: psycopg.Connection[Any], world: World) -> None:
    admin = world.user("admin")
    db.execute("insert into public.locations (name) values ('By the owner')")
    with as_user(db, admin):
        db.execute("insert into public.locations (name) values ('By a person')")
    assert [(change["actor_id"], change["actor_role"]) for change in changes(db, "locations")] == [
        (None, OWNER), (admin.id, "authenticated"),
    ]  # fmt: skip


def test_over_rest_the_request_is_named_too(db: psycopg.Connection[Any], rest: Rest, world: World) -> None:
    admin = world.user("admin")
    headers = {"X-Request-Id": "req-1", "X-Forwarded-For": "203.0.113.7, 10.0.0.1"}
    assert rest.post("/locations", user=admin, json={"name": "Room"}, headers=headers).status_code == 201
    assert rest.patch("/settings?key=eq.page_size", user="service_role", json={"value": 60}).status_code == 200
    assert rest.post("/locations", json={"name": "Room"}).status_code in (401, 403)
    [room] = changes(db, "locations")
    assert (room["actor_id"], room["actor_role"], room["request_id"], room["ip_address"]) == (
        admin.id, "authenticated", "req-1", "203.0.113.7",
    )  # fmt: skip
    setting = changes(db, "settings")[-1]
    assert (setting["actor_id"], setting["actor_role"], setting["request_id"]) == (None, "service_role", None)
    assert (setting["old_values"]["value"], setting["new_values"]["value"]) == (None, 60)


@pytest.mark.parametrize(
    ("headers", "request_id", "address"),
    [
        ("", None, None),
        ("no json", None, None),
        ("[1]", None, None),
        ("null", None, None),
        ('{"x-request-id": {"a": 1}}', '{"a": 1}', None),
        ('{"x-request-id": "a\\nb\\u0007c", "x-forwarded-for": "::1"}', "a b c", "::1"),
        ('{"x-request-id": "\\u0000"}', None, None),
        ('{"x-forwarded-for": "<script>"}', None, None),
        ('{"x-forwarded-for": ""}', None, None),
        (f'{{"x-request-id": "{"r" * 5000}", "x-forwarded-for": "{"1" * 5000}"}}', "r" * 200, None),
    ],
)
def test_what_callers_say_of_themselves_is_cleaned_and_stops_nothing(
    db: psycopg.Connection[Any], headers: str, request_id: str | None, address: str | None
) -> None:
    with db.transaction():
        db.execute("select set_config('request.headers', %s, true)", [headers])
        db.execute("insert into public.locations (name) values ('Room')")
    [room] = changes(db, "locations")
    assert (room["request_id"], room["ip_address"]) == (request_id, address)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_how_values_are_written_does_not_depend_on_the_session(db: psycopg.Connection[Any], zone: str) -> None:
    for setting in (f"timezone = '{zone}'", "datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'"):
        db.execute(f"set {setting}".encode())
    db.execute("insert into public.closures (name, starts_on, ends_on) values ('Holidays', '2026-12-24', '2026-12-26')")
    db.execute("insert into public.locations (name) values ('Room')")
    db.execute("reset datestyle; reset timezone; reset intervalstyle")
    [room], [closure] = changes(db, "locations"), changes(db, "closures")
    assert room["new_values"]["created_at"].endswith("+00:00")
    assert (closure["new_values"]["starts_on"], closure["new_values"]["ends_on"]) == ("2026-12-24", "2026-12-26")
    ranges = [value for value in closure["new_values"].values() if str(value).startswith("[")]
    assert ranges == ['["2026-12-24 00:00:00+00","2026-12-27 00:00:00+00")']


def test_two_at_once_each_leave_what_they_did(database: Database, db: psycopg.Connection[Any], world: World) -> None:
    room = world.insert("public.locations", name="Room")
    one, two = database.connect(autocommit=False), database.connect()
    one.execute("update public.locations set capacity = 1")
    waiting = threading.Thread(target=two.execute, args=["update public.locations set capacity = capacity + 1"])
    waiting.start()
    until_blocked(db, two)
    one.commit()
    waiting.join(30)
    _, first, second = changes(db, "locations")
    assert (first["old_values"]["capacity"], first["new_values"]["capacity"]) == (None, 1)
    assert (second["old_values"]["capacity"], second["new_values"]["capacity"]) == (1, 2)
    assert {first["row_key"], second["row_key"]} == {str(room.id)}


def test_repairs_and_undos_are_named(database: Database) -> None:
    """An undo switches the tables' own triggers off, but not these; and no condition on inserts leaves a repair's out."""
    repairs = Repairs(database)
    repairs.db.execute("select private.attach_audit('public.resources', p_insert_condition => 'false')")
    repairs.plant("insert into public.locations (name) values ('Annexe')")
    fix = repairs.fix("people_and_resources_differ")
    repairs.undo(fix)
    undo = repairs.one("select max(id) from public.fix_runs")
    came, went = changes(repairs.db, "resources")
    assert (came["operation"], came["fix_id"], went["operation"], went["fix_id"]) == ("insert", fix, "delete", undo)
    assert came["new_values"] == went["old_values"]
    with repairs.db.transaction():
        repairs.db.execute("select set_config('classbase.fix', %s, true)", [str(fix)])
        repairs.db.execute("update public.locations set capacity = 5")
    assert changes(repairs.db, "locations")[-1]["fix_id"] is None


def test_truncating_would_leave_no_trace(db: psycopg.Connection[Any]) -> None:
    """Every audited table refuses it."""
    tables = db.execute("select table_name from private.audit_rules where not_audited_because is null").fetchall()
    assert len(tables) > 30
    for (table,) in tables:
        with pytest.raises(psycopg.Error) as caught:
            db.execute(f"truncate public.{table} cascade".encode())
        assert caught.value.sqlstate == "PGRST", table


def test_a_table_nobody_audits_is_found_and_mended(database: Database) -> None:
    repairs = Repairs(database)
    repairs.behind.execute("alter table public.locations disable trigger t98_audit_update")
    repairs.behind.execute("drop trigger t98_audit_insert on public.calendar_feeds")
    repairs.behind.execute("drop trigger t98_no_truncate on public.class_types")
    repairs.db.execute("create table public.newcomers (id integer primary key)")
    found = {entity for name, entity in repairs.found(schema=True) if name == "audit_triggers_missing"}
    assert found == {"public.locations", "public.calendar_feeds", "public.class_types", "public.newcomers"}
    faults, fixed, remaining, _ = repairs.try_fix("audit_triggers_missing")
    assert (faults, fixed, remaining) == (4, 4, 0)
    repairs.db.execute("insert into public.newcomers values (1)")
    repairs.db.execute("insert into public.calendar_feeds (name, token_hash) values ('All', repeat('a', 64))")
    assert len(changes(repairs.db, "newcomers")) == 1
    assert changes(repairs.db, "calendar_feeds")[0]["new_values"].items() >= {"token_hash": "***"}.items()
    repairs.db.execute("select private.leave_unaudited('public.newcomers', 'It comes and goes.')")
    repairs.db.execute("insert into public.newcomers values (2)")
    assert len(changes(repairs.db, "newcomers")) == 1
    assert repairs.finds("audit_triggers_missing") == []


def test_every_table_is_audited_or_excused(db: psycopg.Connection[Any]) -> None:
    left = db.execute("select table_name from private.audit_rules where not_audited_because is not null").fetchall()
    assert {name for (name,) in left} <= {
        "access_changes", "alerts", "audit_log", "changes", "claims", "class_generation_logs", "diagnostic_runs", "findings",
        "fix_runs", "job_runs", "notifications", "outbox", "outbox_providers", "resource_horizons", "session_holds",
        "session_seats", "student_schedule_slots",
    }  # fmt: skip
    assert db.execute("select * from private.tables_without_audit()").fetchall() == []
