"""Splitting scripts into statements, and the place that an error names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from classbase.database.loader import load_sql, module_files, sql_files
from classbase.database.statements import StatementError, execute_file, split_statements

SCRIPT = """-- What follows is one statement each.

create table public.a (note text default ';'); ;
/* a /* nested; */ comment; */
create function public.f() returns integer language sql
begin atomic
  select case when true then 1 end;
  select 2;
end;
do $outer$ begin perform $inner$;$inner$; end $outer$; select E'it\\'s;', U&'d;', "a;b" from (select 1 as "a;b") x
-- the end;
"""


def test_statements_are_split_where_postgres_would() -> None:
    found = [(statement.line, statement.text.splitlines()[-1]) for statement in split_statements(SCRIPT)]
    assert found == [
        (3, "create table public.a (note text default ';')"),
        (5, "end"),
        (10, "do $outer$ begin perform $inner$;$inner$; end $outer$"),
        (10, "-- the end;"),
    ]


def test_the_server_takes_each_statement(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    file = tmp_path / "script.sql"
    file.write_text(SCRIPT)
    execute_file(db, file)
    assert db.execute("select public.f()").fetchone() == (2,)


def test_a_script_that_never_closes_a_quote_is_named(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    file = tmp_path / "broken.sql"
    file.write_text("select 1;\nselect $$ never closed")
    with pytest.raises(StatementError) as refused:
        execute_file(db, file)
    assert refused.value.file == file


@pytest.mark.parametrize(
    ("failing", "line", "sqlstate"),
    [
        pytest.param("select\n  1,\n  missing;", 6, "42703", id="the server knows the position"),
        pytest.param("-- a comment\ninsert into t\nvalues (1), (1);", 5, "23505", id="only the statement is known"),
    ],
)
def test_what_fails_is_named_by_file_and_line(
    db: psycopg.Connection[Any], tmp_path: Path, failing: str, line: int, sqlstate: str
) -> None:
    module = tmp_path / "10_module"
    module.mkdir()
    file = module / "tables.sql"
    file.write_text(
        f"create table public.t (\n  id integer primary key\n);\n{failing}\n".replace("into t", "into public.t")
    )
    with pytest.raises(StatementError) as refused:
        load_sql(db, tmp_path)
    assert (refused.value.file, refused.value.line, refused.value.sqlstate) == (file, line, sqlstate)
    assert str(refused.value).startswith(f"{file}:{line}: ")
    assert db.execute("select to_regclass('public.t')").fetchone() == (None,), "what was loaded before it stayed"


def test_rooms_load_in_order(tmp_path: Path) -> None:
    names = [
        "reference.sql", "rules/20_b.sql", "rules/10_a.sql", "tables.sql", "rpc/z.sql", "rpc/a.sql", "views.sql",
        "policies.sql", "checks/one.sql", "notes.md", "other.sql",
    ]  # fmt: skip
    for module in ("20_second", "10_first"):
        for name in names:
            file = tmp_path / module / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    order = [
        "tables.sql", "rules/10_a.sql", "rules/20_b.sql", "views.sql", "rpc/a.sql", "rpc/z.sql", "policies.sql",
        "checks/one.sql", "reference.sql",
    ]  # fmt: skip
    expected = [tmp_path / module / name for module in ("10_first", "20_second") for name in order]
    assert sql_files(tmp_path) == expected


def test_no_file_of_sql_is_left_out() -> None:
    from classbase import backend_files

    root = backend_files.sql_dir()
    loaded = {file for module in root.iterdir() for file in module_files(module)}
    assert loaded == set(root.rglob("*.sql"))
