"""Every constraint, trigger and policy has a scenario that fails once it is dropped.

A module gives its scenarios in `tests/<module>/guards.py` (or `guards_<part>.py`), in two forms:

    REFUSED = {"public.settings.kind_is_known": "update public.settings set kind = 'colour'"}

says that the statement is refused while the guard is there and goes through when it is gone; and

    @guards("public.settings.t10_keep_version", ...)
    def somebody_else_was_faster(stage: Stage) -> None: ...

is a test by itself, run in a transaction of `stage.db` as the owner, which passes while the guard is there and fails when it is
gone. Scenarios made by a function are listed in SCENARIOS. What is the same everywhere needs nothing, as long as its table
has a row in the stage: tests/support/plain_guards.py says what that is. Policies need nothing when the permission matrix
changes without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.stage import Stage, module_files

Scenario = Callable[[Stage], None]

GUARDS = """
select n.nspname as schema, c.relname as relation, k.conname as name, 'constraint' as kind, k.contype::text as type,
  array(select a.attname::text from unnest(k.conkey) u join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u)
    as columns
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'private') and k.contype in ('c', 'x', 'u', 'p', 'f') and k.conparentid = 0
union all
select n.nspname, c.relname, i.relname, 'index', 'u',
  array(select a.attname::text from unnest(x.indkey) u join pg_attribute a on a.attrelid = c.oid and a.attnum = u)
from pg_index x
join pg_class i on i.oid = x.indexrelid
join pg_class c on c.oid = x.indrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'private') and x.indisunique and not i.relispartition
  and not exists (select from pg_constraint k where k.conindid = x.indexrelid)
union all
select n.nspname, c.relname, t.tgname, 'trigger', case when t.tgtype & 60 = 32 then 'truncate' else p.proname end, '{}'
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_proc p on p.oid = t.tgfoid
where p.pronamespace = any (array['public', 'private']::regnamespace[]) and not t.tgisinternal and t.tgparentid = 0
union all
select n.nspname, c.relname, l.polname, 'policy',
  case l.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else '' end, '{}'
from pg_policy l
join pg_class c on c.oid = l.polrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'private')
order by 1, 2, 3
"""


@dataclass(frozen=True)
class Guard:
    """One constraint, unique index, trigger or policy of the catalogue.

    `type` is pg_constraint.contype; for a trigger the name of its function, or "truncate" when it fires on nothing else; for
    a policy its command, empty when it is for all.
    """

    schema: str
    relation: str
    name: str
    kind: str
    type: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.relation}.{self.name}"

    @property
    def table(self) -> sql.Identifier:
        """Its table."""
        return sql.Identifier(self.schema, self.relation)

    def drop(self, db: psycopg.Connection[Any]) -> None:
        """Drops it, in a transaction that will be rolled back."""
        db.execute("set constraints all immediate")
        name = sql.Identifier(self.name)
        if self.kind == "constraint":
            db.execute(sql.SQL("alter table {} drop constraint {} cascade").format(self.table, name))
        elif self.kind == "index":
            db.execute(sql.SQL("drop index {}").format(sql.Identifier(self.schema, self.name)))
        elif self.schema not in ("public", "private"):
            self._silence(db)
        else:
            db.execute(sql.SQL("drop {} {} on {}").format(sql.SQL(self.kind), name, self.table))

    def _silence(self, db: psycopg.Connection[Any]) -> None:
        """For a trigger on one of the platform's tables, which only the platform may drop it from: it never fires."""
        row = db.execute(
            "select pg_get_triggerdef(oid) from pg_trigger where tgrelid = %s::regclass and tgname = %s",
            [f"{self.schema}.{self.relation}", self.name],
        ).fetchone()
        assert row is not None
        when, _, what = str(row[0]).rpartition(" EXECUTE FUNCTION ")
        silent = f"{when} WHEN (false) EXECUTE FUNCTION {what}".replace(
            "CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1
        )
        db.execute(silent.encode())


def guards(*names: str) -> Callable[[Scenario], Scenario]:
    """Says which guards ("schema.table.name") a scenario is about."""

    def mark(scenario: Scenario) -> Scenario:
        scenario.__dict__["guards"] = names
        return scenario

    return mark


def works(guard: str, statement: str, then: str = "select true") -> Scenario:
    """A scenario: the statement goes through and touches a row, and what `then` asks is true afterwards."""

    @guards(guard)
    def it_works(stage: Stage) -> None:
        assert stage.db.execute(statement.encode()).rowcount != 0
        assert stage.db.execute(then.encode()).fetchone() == (True,)

    return it_works


def declared() -> dict[str, list[str | Scenario]]:
    """What the modules' guards.py say: statements and scenarios by guard."""
    found: dict[str, list[str | Scenario]] = {}
    for module in module_files("guards"):
        for name, statement in getattr(module, "REFUSED", {}).items():
            found.setdefault(name, []).append(statement)
        for value in (*vars(module).values(), *getattr(module, "SCENARIOS", ())):
            for name in getattr(value, "guards", ()):
                found.setdefault(name, []).append(value)
    return found


def in_catalogue(db: psycopg.Connection[Any]) -> dict[str, Guard]:
    """Every guard there is, by name."""
    found = [
        Guard(schema, relation, name, kind, type_, tuple(columns))
        for schema, relation, name, kind, type_, columns in db.execute(GUARDS)
    ]
    return {str(guard): guard for guard in found}


def refusal(stage: Stage, statement: str | sql.Composed, guard: Guard, *, without_triggers: bool = False) -> str | None:
    """Runs a statement and undoes it; None when it went through, else what refused it.

    What refused it is the constraint's name where it was one, or else the SQLSTATE. `without_triggers` switches the
    table's own triggers off first: a trigger that says the same more politely would speak before the constraint.
    """
    try:
        with stage.db.transaction(force_rollback=True):
            if without_triggers:
                stage.db.execute(sql.SQL("alter table {} disable trigger user").format(guard.table))
            stage.db.execute(statement if isinstance(statement, sql.Composed) else statement.encode())
            stage.db.execute("set constraints all immediate")
    except psycopg.Error as error:
        return error.diag.constraint_name or error.sqlstate or str(error)
    return None


def prove_statement(stage: Stage, guard: Guard, statement: str | sql.Composed) -> str | None:
    """Whether the guard, and nothing else, refuses the statement: None, or why it proves nothing."""
    by_constraint = guard.kind in ("constraint", "index")
    reason = "it is not refused"
    for without_triggers in (False, True) if by_constraint else (False,):
        with stage.rehearsal():
            refused_by = refusal(stage, statement, guard, without_triggers=without_triggers)
            if refused_by is None or (by_constraint and refused_by != guard.name):
                reason = f"it is refused by {refused_by}" if refused_by else reason
                continue
            guard.drop(stage.db)
            still = refusal(stage, statement, guard, without_triggers=without_triggers)
            if still is None:
                return None
            reason = f"without the guard it is still refused, by {still}"
    return reason


def prove_scenario(stage: Stage, guard: Guard, scenario: Scenario) -> str | None:
    """Whether the scenario passes with the guard and fails without it: None, or why it proves nothing.

    With the guard its failure is raised as it is.
    """
    with stage.rehearsal():
        scenario(stage)
        stage.db.execute("set constraints all immediate")
    with stage.rehearsal():
        guard.drop(stage.db)
        try:
            with stage.db.transaction():
                scenario(stage)
                stage.db.execute("set constraints all immediate")
        except (AssertionError, psycopg.Error, pytest.fail.Exception):
            return None
    return "it passes without the guard as well"
