"""Which module made what, and which objects use something of a module that comes after theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlglot import TokenType
from sqlglot.dialects.postgres import Postgres

from classbase.database.loader import module_files, modules
from classbase.database.statements import execute_file

_OURS = "('public', 'private')"
# What hangs on somebody else's table counts too: a trigger on auth.users is the module's that made it.
_OBJECTS = f"""
select 'pg_class'::regclass::oid, c.oid from pg_class c where c.relnamespace::regnamespace::text in {_OURS}
union all select 'pg_proc'::regclass, p.oid from pg_proc p where p.pronamespace::regnamespace::text in {_OURS}
union all select 'pg_type'::regclass, t.oid from pg_type t where t.typnamespace::regnamespace::text in {_OURS}
union all select 'pg_constraint'::regclass, k.oid from pg_constraint k where k.connamespace::regnamespace::text in {_OURS}
union all select 'pg_trigger'::regclass, t.oid from pg_trigger t join pg_proc p on p.oid = t.tgfoid
  where p.pronamespace::regnamespace::text in {_OURS}
union all select 'pg_policy'::regclass, l.oid from pg_policy l
union all select 'pg_rewrite'::regclass, r.oid from pg_rewrite r join pg_class c on c.oid = r.ev_class
  where c.relnamespace::regnamespace::text in {_OURS}
union all select 'pg_attrdef'::regclass, d.oid from pg_attrdef d join pg_class c on c.oid = d.adrelid
  where c.relnamespace::regnamespace::text in {_OURS}
"""
_USES = """
select d.classid, d.objid, d.refclassid, d.refobjid,
  pg_describe_object(d.classid, d.objid, 0), pg_describe_object(d.refclassid, d.refobjid, 0)
from pg_depend d
where d.deptype in ('n', 'a', 'i')
"""
_NAMES = f"""
select n.nspname::text, p.proname::text, 'pg_proc'::regclass::oid, p.oid
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in {_OURS}
union all
select n.nspname, c.relname, 'pg_class'::regclass, c.oid
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in {_OURS} and c.relkind in ('r', 'p', 'v', 'm', 'S')
"""
_BODIES = f"""
select 'pg_proc'::regclass::oid, p.oid, p.oid::regprocedure::text, p.prosrc
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in {_OURS} and p.prosqlbody is null
"""

Object = tuple[int, int]


@dataclass(frozen=True, order=True)
class Use:
    """`user` of module `module` uses `used`, which is of the later module `later`."""

    module: str
    user: str
    later: str
    used: str

    def __str__(self) -> str:
        return f"{self.user} ({self.module}) uses {self.used} ({self.later})"


def load_by_module(connection: psycopg.Connection[Any], sql_dir: Path | None = None) -> dict[Object, str]:
    """Loads sql/ module by module; returns which module made each object (by catalogue and oid)."""
    made: dict[Object, str] = {}
    for module in modules(sql_dir):
        with connection.transaction():
            for file in module_files(module):
                execute_file(connection, file)
        for catalogue, oid in connection.execute(_OBJECTS):
            made.setdefault((catalogue, oid), module.name)
    return made


def uses_of_later_modules(connection: psycopg.Connection[Any], made: dict[Object, str]) -> list[Use]:
    """What the catalogue knows (pg_depend), and what it does not: the text of plpgsql and quoted SQL bodies."""
    found = set()
    for catalogue, oid, used_catalogue, used_oid, user, used in connection.execute(_USES):
        module, later = made.get((catalogue, oid)), made.get((used_catalogue, used_oid))
        if module is not None and later is not None and module < later:
            found.add(Use(module, user, later, used))
    names = {(schema, name): made[catalogue, oid] for schema, name, catalogue, oid in connection.execute(_NAMES)}
    for catalogue, oid, user, body in connection.execute(_BODIES):
        module = made[catalogue, oid]
        for schema, name in qualified_names(body):
            later = names.get((schema, name), module)
            if module < later:
                found.add(Use(module, user, later, f"{schema}.{name}"))
    return sorted(found)


def qualified_names(body: str) -> set[tuple[str, str]]:
    """The names `schema.name` that a function's text mentions; comments and texts do not count."""
    tokens = Postgres().tokenize(body)
    words = {TokenType.STRING, TokenType.HEREDOC_STRING}
    return {
        (schema.text.lower(), name.text.lower())
        for schema, dot, name in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if dot.token_type is TokenType.DOT
        and schema.token_type not in words
        and schema.text.lower() in ("public", "private")
    }
