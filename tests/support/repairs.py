"""Faults planted behind the triggers' back, found, fixed, undone; and everything there is, to compare."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.calls import Refusal, read_refusal
from tests.support.server import Database

# What operations say of the schema and of jobs is asked where those are damaged; it would be most of the time here.
CHECKS_OF_ROWS = "select array_agg(name) from public.integrity_checks where module <> '90_operations'"

TABLES = """
select relname::text from pg_class
where relnamespace = 'public'::regnamespace and relkind = 'r'
  and relname <> all ('{fix_runs,diagnostic_runs,check_results,findings,changes}') order by 1
"""


class Repairs:
    """A database's diagnosis: `plant` a fault, see what is `found`, `fix` it, `undo` that."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.db: psycopg.Connection[Any] = database.connect()
        self.behind: psycopg.Connection[Any] = database.connect(admin=True)

    def one(self, statement: str, *arguments: Any) -> Any:
        """The first value of the only row a statement gives."""
        row = self.db.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def plant(self, statement: str, arguments: Any = ()) -> None:
        """Runs a statement as a restore does: no trigger fires, and no key refers to anything."""
        with self.behind.transaction():
            self.behind.execute("set local session_replication_role = replica")
            assert self.behind.execute(statement.encode(), arguments).rowcount > 0, "nothing was planted"

    def everything(self) -> dict[str, Any]:
        """Every row of every table in public, as text, but for what diagnosis and fixes write down about themselves."""
        read = sql.SQL("select array_agg(t::text order by t::text) from public.{} t")
        names = [name for (name,) in self.db.execute(TABLES).fetchall()]
        return {name: self.one(read.format(sql.Identifier(name)).as_string()) for name in names}

    def triggers(self) -> list[tuple[Any, ...]]:
        """Every trigger, and whether it fires."""
        return self.db.execute("select tgrelid, tgname, tgenabled from pg_trigger order by 1, 2").fetchall()

    def found(self, *, schema: bool = False) -> set[tuple[str, str]]:
        """Checks of rows, or those of the schema and of jobs as well, that find something, and about what."""
        checks = "null" if schema else f"({CHECKS_OF_ROWS})"
        query = f"select check_name, entity_id from public.run_diagnostics(p_checks => {checks})"
        return set(self.db.execute(query.encode()).fetchall())

    def finds(self, check: str) -> list[str]:
        """What one check says."""
        return [message for (message,) in self.db.execute(
            "select message from public.run_diagnostics(p_checks => %s) order by message", [[check]]
        ).fetchall()]  # fmt: skip

    def try_fix(self, check: str, *, dry_run: bool = False) -> tuple[int, int, int, int | None]:
        """How many were at fault, fixed and remain; and the fix, where it changed anything."""
        [(faults, fixed, remaining, fix_id)] = self.db.execute(
            "select faults, fixed, remaining, fix_id from public.apply_fixes(p_checks => %s, p_dry_run => %s)",
            [[check], dry_run],
        ).fetchall()
        return faults, fixed, remaining, fix_id

    def fix(self, check: str) -> int:
        """Fixes all that one check finds."""
        faults, fixed, remaining, fix_id = self.try_fix(check)
        assert (faults, remaining) == (fixed, 0)
        assert faults > 0
        assert isinstance(fix_id, int)
        return fix_id

    def undo(self, fix_id: int, *, dry_run: bool = False, key: str | None = None) -> list[tuple[Any, ...]]:
        """Undoes a fix: tables, with how many rows were put back, changed back and removed."""
        return self.db.execute(
            "select table_name, put_back, changed_back, removed from public.undo_fix(%s, %s, %s)",
            [fix_id, dry_run, key],
        ).fetchall()

    def refused(self, fix_id: int, *, dry_run: bool = False) -> Refusal:
        """Why an undo is refused; nothing may have changed."""
        before = self.everything(), self.triggers()
        with pytest.raises(psycopg.Error) as caught:
            self.undo(fix_id, dry_run=dry_run)
        assert (self.everything(), self.triggers()) == before
        return read_refusal(caught.value)

    def goes_round(self, check: str) -> None:
        """Found, told by a dry run, fixed, found clean, undone byte for byte, found again, fixed again."""
        damaged, findings, triggers = self.everything(), self.found(), self.triggers()
        assert check in {name for name, _ in findings}
        faults, fixed, remaining, fix_id = self.try_fix(check, dry_run=True)
        assert (fixed, remaining, fix_id) == (0, faults, None)
        assert self.everything() == damaged
        one = self.fix(check)
        assert check not in {name for name, _ in self.found()}
        planned = self.undo(one, dry_run=True)
        assert check not in {name for name, _ in self.found()}
        assert self.undo(one) == planned
        assert self.everything() == damaged
        assert self.triggers() == triggers
        assert self.found() == findings
        assert self.fix(check) > one
        assert check not in {name for name, _ in self.found()}
