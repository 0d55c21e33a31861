"""The catalogue keeps the conventions: what can be asked of it is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlglot import TokenType
from sqlglot.dialects.postgres import Postgres

from classbase.database.loader import modules
from tests.database.habits import HABITS


def broken(db: psycopg.Connection[Any], habit: str) -> list[str]:
    return sorted(row[0] for row in db.execute(HABITS[habit].query))


@pytest.mark.parametrize("habit", HABITS)
def test_the_habit_is_kept(db: psycopg.Connection[Any], habit: str) -> None:
    assert broken(db, habit) == []


@pytest.mark.parametrize("habit", HABITS)
def test_breaking_it_is_seen(db: psycopg.Connection[Any], habit: str) -> None:
    before = broken(db, habit)
    db.execute(HABITS[habit].planted)
    assert len(broken(db, habit)) > len(before)


CLOCKS = {
    "now", "current_date", "current_timestamp", "current_time", "localtimestamp", "localtime", "clock_timestamp",
    "statement_timestamp", "transaction_timestamp", "timeofday",
}  # fmt: skip
CODE_THAT_RULES = """
select p.oid::regprocedure::text, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)
from pg_proc p where p.pronamespace = any (array['public', 'private']::regnamespace[])
  -- The one measures what things take, the other is the clock.
  and p.oid <> all (array['private.now()', 'private.stopwatch()']::regprocedure[])
  and not exists (select from pg_depend e where e.objid = p.oid and e.deptype = 'e')
union all
select c.oid::regclass::text, pg_get_viewdef(c.oid)
from pg_class c where c.relnamespace = any (array['public', 'private']::regnamespace[]) and c.relkind in ('v', 'm')
union all
select k.conrelid::regclass || '.' || k.conname, pg_get_constraintdef(k.oid)
from pg_constraint k where k.connamespace = any (array['public', 'private']::regnamespace[]) and k.contype = 'c'
union all
select l.tablename || '.' || l.policyname, concat_ws(' and ', l.qual, l.with_check)
from pg_policies l where l.schemaname = any (array['public', 'private'])
"""


def clocks_read(code: str) -> set[str]:
    """The clocks a piece of SQL reads, `private.now()` aside; comments and texts do not count, but 'now' as a value does."""
    tokens = Postgres().tokenize(code)
    found = set()
    for number, token in enumerate(tokens):
        before = tokens[max(number - 2, 0) : number]
        is_ours = [t.text for t in before] == ["private", "."]
        is_literal = token.token_type is TokenType.STRING
        word = token.text.lower()
        if is_literal and word in {"now", "today", "tomorrow", "yesterday"}:
            found.add(f"'{word}'")
        elif not is_literal and token.token_type is not TokenType.HEREDOC_STRING and word in CLOCKS and not is_ours:
            # now is a word like any other, such as a column's alias, unless it is called.
            called = number + 1 < len(tokens) and tokens[number + 1].token_type is TokenType.L_PAREN
            if called or word.startswith(("current_", "local")):
                found.add(word)
    return found


def test_one_function_is_the_clock(db: psycopg.Connection[Any]) -> None:
    read = {name: clocks for name, code in db.execute(CODE_THAT_RULES) if (clocks := clocks_read(code))}
    assert read == {}, "rules read private.now() and private.today(), so that tests can move time"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("select private.now(), private.today() -- now()", set()),
        ("select 'call now()', x.now from (select 1 as now) x", set()),
        ("select pg_catalog.now()", {"now"}),
        ("begin v_at := CURRENT_DATE + 1; perform clock_timestamp(); end", {"current_date", "clock_timestamp"}),
        ("select 'today'::date", {"'today'"}),
    ],
)
def test_reading_another_clock_is_seen(code: str, found: set[str]) -> None:
    assert clocks_read(code) == found


def rpc_files() -> list[Path]:
    return [file for module in modules() for file in sorted((module / "rpc").glob("*.sql"))]


@pytest.mark.parametrize("file", rpc_files(), ids=lambda file: f"{file.parts[-3]}/{file.stem}")
def test_an_rpc_file_holds_the_public_function_it_is_named_after(file: Path) -> None:
    created = re.findall(r"^create (?:or replace )?function public\.(\w+)", file.read_text(), re.MULTILINE)
    assert created == [file.stem]


def test_every_public_function_has_its_file(db: psycopg.Connection[Any]) -> None:
    rows = db.execute("select proname from pg_proc where pronamespace = 'public'::regnamespace")
    # Computed columns stand with the table they belong to; they take its row.
    computed = db.execute(
        "select p.proname from pg_proc p join pg_type t on t.oid = p.proargtypes[0] join pg_class c on c.oid = t.typrelid "
        "where p.pronamespace = 'public'::regnamespace and p.pronargs = 1 and c.relkind in ('r', 'v')"
    )
    assert {name for (name,) in rows} - {name for (name,) in computed} <= {file.stem for file in rpc_files()}
