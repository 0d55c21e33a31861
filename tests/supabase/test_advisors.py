"""What Supabase's own advisors say about the database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.supabase.conftest import Supabase
from tests.support.server import Database


@pytest.fixture
def exposed(database: Database) -> Database:
    """The database, saying as the platform does which schema is exposed: many lints are silent without it."""
    with database.connect(admin=True) as connection:
        connection.execute(f"alter database {database.name} set \"pgrst.db_schemas\" = 'public'")
    return database


def findings(supabase: Supabase, database: Database, level: str, *, fails: bool = False) -> list[dict[str, Any]]:
    out = supabase(
        "db", "advisors", f"--remote={database.dsn}", "--level", level, "--fail-on", level, "--output-format", "json",
        fails=fails,
    ).stdout  # fmt: skip
    return list(json.loads(out[out.index("{") :])["results"])


def test_no_warning_and_no_error(supabase: Supabase, exposed: Database) -> None:
    found = findings(supabase, exposed, "warn")
    assert [(finding["name"], finding["detail"]) for finding in found] == []


def test_the_advisors_do_look(supabase: Supabase, exposed: Database) -> None:
    connection = exposed.connect()
    connection.execute("create table public.exposed (id integer primary key)")
    connection.execute("grant all on public.exposed to anon")
    connection.execute("create function public.careless() returns void language sql security definer as ''")
    connection.execute("grant execute on function public.careless() to anon")
    found = {finding["name"] for finding in findings(supabase, exposed, "warn", fails=True)}
    assert {"rls_disabled_in_public", "function_search_path_mutable"} <= found
