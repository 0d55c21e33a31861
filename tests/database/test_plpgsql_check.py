"""plpgsql_check reads every plpgsql function, trigger functions with each table they are attached to.

It is an extension of Debian's Postgres 15, so this runs on a server of that version whatever the rest runs on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from classbase.embedded.errors import Missing
from tests.database.dependencies import Use, load_by_module
from tests.support.server import PLATFORM_TEMPLATE, TEMPLATE, Database, TestServer

# A trigger function is read once for each table it is attached to, with the names its triggers give the changed rows.
FUNCTIONS = """
select p.oid, p.oid::regprocedure::text, coalesce(t.tgrelid, 0), t.old, t.new
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
left join (
  select tgfoid, tgrelid, max(tgoldtable::text) as old, max(tgnewtable::text) as new
  from pg_trigger where not tgisinternal group by 1, 2
) t on t.tgfoid = p.oid
where n.nspname in ('public', 'private') and p.prolang = (select oid from pg_language where lanname = 'plpgsql')
order by 2, 3
"""
FINDINGS = """
select concat_ws(', line ', %s::text, f.lineno) || ': ' || f.message || coalesce(' (' || f.detail || ')', '')
from extensions.plpgsql_check_function_tb(%s::oid, %s::oid::regclass, oldtable => %s::name, newtable => %s::name,
  fatal_errors => false, all_warnings => false, other_warnings => true, extra_warnings => true, security_warnings => true) f
"""
# What it says where it cannot know: about statements built from a registry, and about a variable's first value '{}'.
UNDECIDED = (
    "cannot to determine result of dynamic SQL",
    "Cannot ensure so dynamic EXECUTE statement is SQL injection secure",
    'target type is different type than source type (cast "text" value',
)


@pytest.fixture(scope="module")
def server15() -> Iterator[TestServer]:
    try:
        server = TestServer.start(15)
    except Missing as missing:
        pytest.skip(f"{missing.message} {missing.hint}")
    try:
        with server.admin() as connection:
            available = connection.execute("select from pg_available_extensions where name = 'plpgsql_check'")
            if available.fetchone() is None:
                pytest.skip(
                    "plpgsql_check is not installed. Install it with: apt-get install postgresql-15-plpgsql-check"
                )
        server.prepare()
        yield server
    finally:
        server.stop()


def checked(database: Database) -> psycopg.Connection[Any]:
    connection = database.connect(admin=True)
    connection.execute("create extension plpgsql_check with schema extensions")
    connection.execute("load 'plpgsql_check'")
    return connection


def findings(connection: psycopg.Connection[Any]) -> list[str]:
    found = []
    for oid, name, table, old, new in connection.execute(FUNCTIONS).fetchall():
        found += [row[0] for row in connection.execute(FINDINGS, [name, oid, table, old, new])]
    return [finding for finding in found if not any(words in finding for words in UNDECIDED)]


def test_plpgsql_check_has_nothing_to_say(server15: TestServer) -> None:
    database = server15.create_database(TEMPLATE)
    assert findings(checked(database)) == []


def test_it_does_look(server15: TestServer) -> None:
    connection = checked(server15.create_database(TEMPLATE))
    connection.execute(
        "create function private.planted() returns trigger language plpgsql set search_path = '' as "
        "$$ declare v_never integer; begin new.no_such_column := 1; return new; end $$"
    )
    connection.execute(
        "create trigger t99_planted before update on public.settings for each row execute function private.planted()"
    )
    found = "\n".join(findings(connection))
    assert "no_such_column" in found
    assert "v_never" in found


SHOWN = """
select distinct p.oid::regprocedure::text, 'pg_proc'::regclass::oid, p.oid,
  case d.type when 'FUNCTION' then 'pg_proc'::regclass::oid else 'pg_class'::regclass::oid end, d.oid, d.name
from pg_proc p
left join (select distinct tgfoid, tgrelid, tgoldtable, tgnewtable from pg_trigger where not tgisinternal) t
  on t.tgfoid = p.oid
cross join lateral extensions.plpgsql_show_dependency_tb(p.oid, coalesce(t.tgrelid, 0)) d
where p.pronamespace = any (array['public', 'private']::regnamespace[])
  and p.prolang = (select oid from pg_language where lanname = 'plpgsql') and d.type in ('FUNCTION', 'RELATION')
"""


def test_no_function_uses_a_later_module(server15: TestServer) -> None:
    """What plpgsql_check finds in the bodies, which the catalogue does not know."""
    database = server15.create_database(PLATFORM_TEMPLATE)
    connection = database.connect()
    made = load_by_module(connection)
    uses = []
    for user, catalogue, oid, used_catalogue, used_oid, used in checked(database).execute(SHOWN):
        module, later = made[catalogue, oid], made.get((used_catalogue, used_oid), "")
        uses.append(Use(module, user, later, used))
    assert any(use.later for use in uses), "plpgsql_check shows what functions depend on"
    assert [str(use) for use in uses if use.module < use.later] == []
