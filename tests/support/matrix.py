"""Who may do what, measured: every role on every table and every function, with the rows of the stage.

Tables: what is granted is read from the catalogue; which rows are reached is tried, one row at a time, and undone. Functions:
each is called without arguments worth anything, which tells a caller who is turned away from one who is heard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from classbase.database.loader import module_files, modules
from tests.support.identity import as_role, as_user
from tests.support.stage import ROLES, Stage

CALLERS = ("anon", *ROLES, "service_role")
API_ROLES = ("anon", "authenticated", "service_role")
COMMANDS = ("select", "insert", "update", "delete")

_MADE = re.compile(
    r"^create (?:or replace )?(?:unlogged )?(?:materialized )?(table|view|function) (?:if not exists )?(\w+\.\w+)",
    re.MULTILINE,
)
_RELATIONS = """
select n.nspname, c.relname, c.relkind::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'private') and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
order by 1, 2
"""
_GRANTS = """
select c.privilege, c.grantee, string_agg(c.attname, ', ' order by c.attnum) filter (where not c.whole)
from (
  select lower(a.privilege_type) as privilege, a.grantee::regrole::text as grantee, true as whole, null as attname, null as attnum
  from pg_class r, aclexplode(r.relacl) a where r.oid = %(relation)s::regclass and a.grantee <> r.relowner
  union all
  select lower(a.privilege_type), a.grantee::regrole::text, false, t.attname, t.attnum
  from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = %(relation)s::regclass
) c
group by 1, 2
order by 1, 2
"""
_FUNCTIONS = """
select n.nspname, p.proname, p.oid::regprocedure::text, p.pronargs - p.pronargdefaults,
  array(select format_type(t, null) from unnest(p.proargtypes) t),
  array(select r from unnest(%(roles)s::text[]) r where has_function_privilege(r, p.oid, 'execute'))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('public', 'private') and p.prorettype <> 'trigger'::regtype
  and not exists (select from pg_depend e where e.objid = p.oid and e.deptype = 'e')
order by 1, 2
"""


@dataclass(frozen=True)
class Access:
    """What callers reach of one table: by command, how much of it each of CALLERS reaches; and the grants, as written."""

    reach: dict[str, tuple[str, ...]]
    grants: tuple[str, ...]


def made_by() -> dict[tuple[str, str], str]:
    """The module whose SQL makes each table, view and function, by ("table" or "function", "schema.name")."""
    made: dict[tuple[str, str], str] = {}
    for module in modules():
        for file in module_files(module):
            for kind, name in _MADE.findall(file.read_text(encoding="utf-8")):
                made.setdefault(("function" if kind == "function" else "table", name), module.name)
    return made


def acting(stage: Stage, caller: str) -> AbstractContextManager[psycopg.Connection[Any]]:
    """A transaction in which the stage's connection acts as one of CALLERS."""
    return as_user(stage.db, stage.people[caller]) if caller in stage.people else as_role(stage.db, caller)


def relations(stage: Stage) -> dict[str, str]:
    """Every table and view, by "schema.name", with its kind."""
    return {f"{schema}.{name}": kind for schema, name, kind in stage.db.execute(_RELATIONS)}


def table_access(stage: Stage, relation: str, *, commands: Iterable[str] = COMMANDS) -> Access:
    """Measures one table or view; everything tried is undone."""
    grants = stage.db.execute(_GRANTS, {"relation": relation}).fetchall()
    lines = [
        f"{privilege}{f' ({columns})' if columns else ''} to {grantee}"
        for privilege, grantee, columns in grants
        if grantee in API_ROLES
    ]
    reach = {
        command: tuple(_reach(stage, relation, command, caller) for caller in CALLERS)
        for command in commands
        if any(privilege == command for privilege, *_ in grants)
    }
    return Access(reach, tuple(lines))


def _reach(stage: Stage, relation: str, command: str, caller: str) -> str:
    """all, some or none of the rows; "–" where nothing is granted; "empty" where the stage has no row to tell by."""
    name = sql.Identifier(*relation.split("."))
    role = "authenticated" if caller in stage.people else caller
    with stage.rehearsal() as db:
        columns = [
            column
            for (column,) in db.execute(
                "select attname from pg_attribute where attrelid = %(t)s::regclass and attnum > 0 and not attisdropped "
                "and (attgenerated = '' or %(c)s = 'select') and (has_column_privilege(%(r)s, attrelid, attnum, %(c)s)) order by attnum",
                {"t": relation, "r": role, "c": "select" if command == "delete" else command},
            )
        ]
        granted = bool(columns) if command != "delete" else _may_delete(db, relation, role)
        if not granted:
            return "–"
        if command == "select":
            return _share(*_visible(stage, name, columns, caller))
        rows = db.execute(sql.SQL("select ctid::text, to_jsonb(t) from {} t order by ctid").format(name)).fetchall()
        reached = sum(_try(stage, name, command, columns, ctid, row, caller) for ctid, row in rows)
        return _share(reached, len(rows))


def _may_delete(db: psycopg.Connection[Any], relation: str, role: str) -> bool:
    row = db.execute("select has_table_privilege(%s, %s, 'delete')", [role, relation]).fetchone()
    return row is not None and bool(row[0])


def _visible(stage: Stage, name: sql.Identifier, columns: list[str], caller: str) -> tuple[int, int]:
    query = sql.SQL("select count(*) from (select {} from {}) t").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), name
    )
    with acting(stage, caller) as db:
        seen = _number(db, query)
    # Through a view the owner, who passes row level security, sees what there is to see.
    return seen, _number(stage.db, query)


def _number(db: psycopg.Connection[Any], query: sql.Composed) -> int:
    row = db.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _share(reached: int, of: int) -> str:
    if of == 0:
        return "empty"
    return "all" if reached >= of else "some" if reached else "none"


def _try(
    stage: Stage, name: sql.Identifier, command: str, columns: list[str], ctid: str, row: dict[str, Any], caller: str
) -> bool:
    """Whether this caller may update, delete or insert a row like this one, whatever other rules then say of it."""
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    if command == "update":
        # The whole row set to what it is: every grant and policy is asked, nothing changes.
        same = sql.SQL(", ").join(sql.SQL("{0} = {0}").format(sql.Identifier(c)) for c in columns)
        statement = sql.SQL("update {} set {} where ctid = {}").format(name, same, ctid)
    elif command == "delete":
        statement = sql.SQL("delete from {} where ctid = {}").format(name, ctid)
    else:
        statement = sql.SQL("insert into {} ({}) select {} from jsonb_populate_record(null::{}, {}::jsonb) t").format(
            name, listed, listed, name, json.dumps(row)
        )
    try:
        with stage.db.transaction(force_rollback=True), acting(stage, caller) as db:
            return db.execute(statement).rowcount > 0
    except psycopg.Error as error:
        return not turned_away(error)


def turned_away(error: psycopg.Error) -> bool:
    """Whether an error says that this caller may not; any other refusal was heard first."""
    if error.sqlstate == "PGRST":
        return bool(json.loads(error.diag.message_primary or "{}").get("code") == "forbidden")
    return error.sqlstate == "42501"


def function_access(stage: Stage) -> dict[str, tuple[str, ...]]:
    """Which of CALLERS each public function hears: "yes", "no" (turned away by a rule), "–" (no grant)."""
    found = {}
    for schema, name, _, required, types, granted in stage.db.execute(
        _FUNCTIONS, {"roles": list(API_ROLES)}
    ).fetchall():
        if schema == "public":
            arguments = [sql.SQL("null::{}").format(sql.SQL(type_)) for type_ in types[:required]]
            call = sql.SQL("select * from {}({})").format(sql.Identifier(schema, name), sql.SQL(", ").join(arguments))
            found[f"{schema}.{name}"] = tuple(_hears(stage, call, caller, granted) for caller in CALLERS)
    return found


def _hears(stage: Stage, call: sql.Composed, caller: str, granted: list[str]) -> str:
    if ("authenticated" if caller in stage.people else caller) not in granted:
        return "–"
    try:
        with stage.rehearsal(), acting(stage, caller) as db:
            db.execute(call)
    except psycopg.Error as error:
        return "no" if turned_away(error) else "yes"
    return "yes"


def private_functions(stage: Stage) -> dict[str, list[str]]:
    """Which API roles may execute each private function, where any may: SQL of theirs reaches it, REST does not."""
    return {
        f"{schema}.{name}": granted
        for schema, name, _, _, _, granted in stage.db.execute(_FUNCTIONS, {"roles": list(API_ROLES)})
        if schema == "private" and granted
    }


def describe(stage: Stage) -> dict[str, str]:
    """The matrix as one Markdown document a module."""
    made = made_by()
    documents: dict[str, list[str]] = {}
    for name in relations(stage):
        access = table_access(stage, name)
        lines = [f"## {name}", ""]
        if access.reach:
            lines += _table("", CALLERS, access.reach.items())
        lines += [f"- {grant}" for grant in access.grants] or ["- nothing is granted"]
        documents.setdefault(made["table", name], []).append("\n".join(lines))
    functions: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for name, hears in function_access(stage).items():
        functions.setdefault(made["function", name], []).append((name.removeprefix("public."), hears))
    for module, rows in functions.items():
        documents.setdefault(module, []).append("\n".join(["## Functions", "", *_table("", CALLERS, rows)]).strip())
    private: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for name, granted in private_functions(stage).items():
        private.setdefault(made["function", name], []).append(
            (name.removeprefix("private."), tuple("yes" if role in granted else "–" for role in API_ROLES))
        )
    for module, rows in private.items():
        lines = ["## Private functions that SQL of these roles may call", "", *_table("", API_ROLES, rows)]
        documents.setdefault(module, []).append("\n".join(lines).strip())
    return {module: HEADER.format(module=module) + "\n\n".join(parts) + "\n" for module, parts in documents.items()}


HEADER = """# {module}: who may do what

Written by `make permissions` from a database with sample rows, and read by whoever reviews the change. A cell says how many of
the sample rows a caller reaches: all, some, none, or – where nothing is granted. For a function it says whether the caller is
heard (yes), turned away by a rule (no), or has no grant (–). `nobody` is signed in and holds no role.

"""


def _table(corner: str, heads: Iterable[str], rows: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
    heads = list(heads)
    body = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    return [f"| {corner} | {' | '.join(heads)} |", f"|{' --- |' * (len(heads) + 1)}", *body, ""]
