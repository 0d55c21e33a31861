"""supabase/migrations and sql/ make the same database, wherever they are applied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from classbase import backend_files
from classbase.database import authoring
from classbase.database.authoring import FOUNDATION, foundation, portable, supabase_command, write_migration
from classbase.database.drift import difference, rows_of_all_tables, schema_dump
from classbase.database.loader import load_sql
from classbase.database.migrations import migrate, migration_files
from classbase.database.scratch import Scratch, scratch_server
from classbase.embedded.errors import Missing
from tests.support.platform import OWNER, load_platform
from tests.support.server import TEMPLATE, Database, TestServer

STALE = "supabase/migrations lags behind sql/: run `make squash` (until 1.0) or `make migration name=…`"


def needs_supabase_cli() -> None:
    try:
        supabase_command()
    except Missing as missing:
        pytest.skip(f"{missing.message} {missing.hint}")


@pytest.fixture
def migrated(empty: Database) -> Database:
    """A database made by the migrations, as the owner of a hosted project would make it."""
    with empty.connect() as connection:
        migrate(connection)
    return empty


def dump(database: Database) -> list[str]:
    return schema_dump(database.admin_dsn, database.server.bin_dir)


def test_dumps_are_the_same(migrated: Database, database: Database) -> None:
    """Tables, functions, grants, default privileges, policies, comments, statistics: what a dump writes, all of it."""
    wanted = dump(database)
    assert len(wanted) > 1000
    assert difference(dump(migrated), wanted) == [], STALE


def test_rows_are_the_same(migrated: Database, database: Database) -> None:
    wanted = rows_of_all_tables(database.connect())
    assert any(row.startswith("public.permissions ") for row in wanted)
    assert difference(rows_of_all_tables(migrated.connect()), wanted) == [], STALE


def test_the_supabase_cli_sees_no_difference(migrated: Database, database: Database) -> None:
    needs_supabase_cli()
    assert authoring.cli_diff(migrated.admin_dsn, database.admin_dsn) == "", STALE


def test_nothing_depends_on_what_a_project_granted_before(server: TestServer, database: Database) -> None:
    """Old projects grant everything in public to everyone, new ones nothing: ours ends up with the same grants."""
    strict = server.create_database()
    try:
        with strict.connect(admin=True) as connection:
            load_platform(connection, generous=False)
        with strict.connect() as connection:
            load_sql(connection)
        assert difference(dump(strict), dump(database)) == []
    finally:
        strict.drop()


PLANTED = {
    "STATISTICS": "create statistics public.planted (dependencies) on name, module from public.permissions",
    "DEFAULT PRIVILEGES": "alter default privileges in schema public grant select on tables to anon",
    "something else": "comment on table public.settings is 'something else'",
    "ON TABLE public.settings TO anon": "grant select on public.settings to anon",
    "DEFAULT '1'": "alter table public.settings alter column value set default '1'",
    "POLICY planted": "create policy planted on public.settings for select to anon using (true)",
    "planted_has_no_body": "create function private.planted_has_no_body() returns void language sql as ''",
}


def test_every_planted_difference_is_seen(server: TestServer, database: Database) -> None:
    """The comparison itself: also what the CLI's diff leaves out is seen by the dump or by the rows."""
    other = server.create_database(TEMPLATE)
    try:
        connection = other.connect()
        wanted, wanted_rows = dump(database), rows_of_all_tables(database.connect())
        assert difference(dump(other), wanted) == []
        for statement in PLANTED.values():
            connection.execute(statement)
        seen = "\n".join(difference(dump(other), wanted))
        for trace in PLANTED:
            assert trace in seen
        assert rows_of_all_tables(connection) == wanted_rows
        connection.execute("update public.settings set default_value = '\"GBP\"' where key = 'currency'")
        assert len(difference(rows_of_all_tables(connection), wanted_rows)) >= 2
    finally:
        other.drop()


@pytest.fixture(scope="module")
def scratch() -> Iterator[Scratch]:
    needs_supabase_cli()
    with scratch_server() as started:
        yield started


NEW_MODULE = {
    "tables.sql": """
create table public.things (
  id integer primary key,
  name text not null,
  doubled integer generated always as (id * 2) stored,
  during tstzrange not null,
  constraint name_is_short check (length(name) < 9),
  constraint nothing_overlaps exclude using gist (id with =, during with &&)
);
comment on table public.things is 'It''s a thing.';
alter table public.things enable row level security;
create statistics public.things_together (dependencies) on id, name from public.things;
alter default privileges revoke usage on types from public;
""",
    "views.sql": "create view public.thing_names with (security_invoker = true) as select name from public.things;",
    "rpc/name_of_thing.sql": """
create function public.name_of_thing(p_id integer) returns text language sql stable set search_path = ''
begin atomic select t.name from public.things t where t.id = p_id; end;
""",
    "policies.sql": """
create policy "signed-in people see things" on public.things for select to authenticated using (true);
grant select (id, name) on public.things to authenticated;
grant execute on function public.name_of_thing(integer) to anon, authenticated;
""",
    "reference.sql": """
insert into public.things (id, name, during) values (1, 'one', '[2026-01-01, 2026-01-02)')
on conflict (id) do update set name = excluded.name;
""",
}


def test_a_written_migration_reaches_what_sql_says(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations, sql = tmp_path / "migrations", tmp_path / "sql"
    migrations.mkdir()
    (migrations / FOUNDATION).write_text(foundation())
    assert write_migration(scratch, "nothing_new", migrations) == (None, authoring.Drift())
    shutil.copytree(backend_files.sql_dir(), sql)
    for name, text in NEW_MODULE.items():
        file = sql / "98_things" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(backend_files, "sql_dir", lambda: sql)
    written, left = write_migration(scratch, "add_things", migrations)
    assert written is not None
    assert left == authoring.Drift(), "the migration does not reach what sql/ says"
    text = written.read_text()
    assert [m.name for m in migration_files(migrations)] == ["foundation", "add_things"]
    assert "'one'" in text, "reference rows are repeated"
    assert "things_together" in text, "extended statistics are added"
    # What only this scratch server has would fail elsewhere: its owner's name, privileges of newer servers.
    assert '"postgres"' not in text
    assert "MAINTAIN" not in text


def test_the_owners_own_rights_are_left_out_of_a_diff() -> None:
    diff = (
        'GRANT SELECT, MAINTAIN ON TABLE "public"."a" TO "postgres";\nGRANT SELECT ON TABLE "public"."a" TO "anon";\n'
        'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "public" GRANT SELECT ON TABLES TO "anon";'
    )
    assert portable(diff) == (
        'GRANT SELECT ON TABLE "public"."a" TO "anon";\n\n'
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "public" GRANT SELECT ON TABLES TO "anon";'
    )


def test_migrations_need_no_superuser(migrated: Database) -> None:
    row = (
        migrated.connect()
        .execute(
            "select r.rolsuper, r.rolname from pg_namespace n join pg_roles r on r.oid = n.nspowner "
            "where n.nspname = 'private'"
        )
        .fetchone()
    )
    assert row == (False, OWNER)
