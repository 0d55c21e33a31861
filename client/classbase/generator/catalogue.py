"""What the catalogue says about the functions, tables and types that the API exposes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

API_ROLES = ("anon", "authenticated", "service_role")


@dataclass(frozen=True)
class SqlType:
    """A type: its SQL name, and what it is made of.

    `kind` is pg_type.typtype: b(ase), c(omposite), d(omain), e(num), p(seudo), r(ange), m(ultirange). `base` is a
    domain's base type, an array's element or a range's bound; `labels` are an enum's.
    """

    oid: int
    name: str
    schema: str
    kind: str
    is_array: bool
    base: SqlType | None = None
    labels: tuple[str, ...] = ()
    relation: int | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table, view, composite type, or of a function's answer."""

    name: str
    type: SqlType
    nullable: bool
    comment: str | None = None


@dataclass(frozen=True)
class Relation:
    """A table, view or composite type of the schema `public`."""

    oid: int
    name: str
    comment: str | None
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function; `default` is its SQL text, or None when it must be given."""

    name: str
    type: SqlType
    default: str | None


@dataclass(frozen=True)
class Routine:
    """A function of the schema `public` that at least one API role may call."""

    name: str
    comment: str | None
    parameters: tuple[Parameter, ...]
    returns_set: bool
    returns: SqlType
    columns: tuple[Column, ...]
    read_only: bool
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """Everything the client is generated from."""

    routines: tuple[Routine, ...]
    relations: dict[int, Relation] = field(default_factory=dict)
    exposed: frozenset[int] = frozenset()


_TYPES = """
  select t.oid::bigint as oid, pg_catalog.format_type(t.oid, null) as name, n.nspname as schema, t.typtype as kind,
    t.typcategory = 'A' and t.typelem <> 0 as is_array,
    coalesce(nullif(t.typbasetype, 0), r.rngsubtype, m.rngsubtype, nullif(t.typelem, 0))::bigint as base,
    array(select e.enumlabel from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) as labels,
    nullif(t.typrelid, 0)::bigint as relation
  from pg_catalog.pg_type t
  join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  left join pg_catalog.pg_range r on r.rngtypid = t.oid
  left join pg_catalog.pg_range m on m.rngmultitypid = t.oid"""

# Left out: what belongs to an extension, trigger functions, and computed columns (a function of one unnamed or
# row-typed argument, which PostgREST shows as a column of the table).
_ROUTINES = """
  select p.oid::bigint as oid, p.proname as name, pg_catalog.obj_description(p.oid, 'pg_proc') as comment,
    p.proretset as returns_set, p.prorettype::bigint as returns, p.provolatile <> 'v' as read_only,
    p.provariadic <> 0 as is_variadic,
    coalesce(p.proallargtypes, p.proargtypes::oid[])::bigint[] as types,
    coalesce(p.proargmodes::text[], array_fill('i'::text, array[p.pronargs])) as modes,
    coalesce(p.proargnames, array_fill(''::text, array[p.pronargs])) as names,
    array(select pg_catalog.pg_get_function_arg_default(p.oid, i)
      from generate_series(1, cardinality(coalesce(p.proallargtypes, p.proargtypes::oid[]))) i order by i) as defaults,
    array(select r.rolname::text from pg_catalog.pg_roles r
      where r.rolname = any(%(roles)s) and has_function_privilege(r.oid, p.oid, 'execute') order by 1) as roles
  from pg_catalog.pg_proc p
  where p.pronamespace = 'public'::regnamespace
    and p.prokind = 'f'
    and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
    and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    and not (p.pronargs = 1 and exists (
      select from pg_catalog.pg_type t join pg_catalog.pg_class c on c.oid = t.typrelid
      where t.oid = p.proargtypes[0] and c.relkind in ('r', 'p', 'v', 'm', 'f')))
  order by p.proname"""

_RELATIONS = """
  select c.oid::bigint as oid, c.relname as name,
    coalesce(pg_catalog.obj_description(c.oid, 'pg_class'),
      pg_catalog.obj_description(c.reltype, 'pg_type')) as comment,
    c.relkind <> 'c' and exists (select from pg_catalog.pg_roles r
      where r.rolname = any(%(roles)s) and has_any_column_privilege(r.oid, c.oid, 'select')) as is_exposed,
    coalesce((select jsonb_agg(jsonb_build_object(
        'name', a.attname, 'type', a.atttypid::bigint, 'nullable', not a.attnotnull,
        'comment', pg_catalog.col_description(c.oid, a.attnum)) order by a.attnum)
      from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns
  from pg_catalog.pg_class c
  where c.relnamespace = 'public'::regnamespace
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
    and not c.relispartition
    and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by c.relname"""


def read_catalogue(connection: psycopg.Connection[Any]) -> Catalogue:
    """Reads what the schema `public` exposes to the API's roles.

    Raises:
        ValueError: a function that cannot be called by name (variadic, unnamed parameters, overloaded).
    """
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        # So that every type outside pg_catalog is written with its schema.
        cursor.execute("set local search_path = ''")
        types = _types(cursor.execute(_TYPES).fetchall())
        relations, exposed = {}, set()
        for row in cursor.execute(_RELATIONS, {"roles": list(API_ROLES)}).fetchall():
            columns = tuple(
                Column(each["name"], types[each["type"]], each["nullable"], each["comment"]) for each in row["columns"]
            )
            relations[row["oid"]] = Relation(row["oid"], row["name"], row["comment"], columns)
            if row["is_exposed"]:
                exposed.add(row["oid"])
        routines = [
            _routine(row, types)
            for row in cursor.execute(_ROUTINES, {"roles": list(API_ROLES)}).fetchall()
            if row["roles"]
        ]
    names = [routine.name for routine in routines]
    if overloaded := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"overloaded functions cannot be told apart over REST: {', '.join(overloaded)}")
    return Catalogue(tuple(routines), relations, frozenset(exposed))


def _types(rows: list[dict[str, Any]]) -> dict[int, SqlType]:
    by_oid = {row["oid"]: row for row in rows}
    made: dict[int, SqlType] = {}

    def make(oid: int) -> SqlType:
        if oid not in made:
            row = by_oid[oid]
            made[oid] = SqlType(
                oid,
                row["name"],
                row["schema"],
                row["kind"],
                row["is_array"],
                make(row["base"]) if row["base"] else None,
                tuple(row["labels"]),
                row["relation"],
            )
        return made[oid]

    return {oid: make(oid) for oid in by_oid}


def _routine(row: dict[str, Any], types: dict[int, SqlType]) -> Routine:
    if row["is_variadic"]:
        raise ValueError(f"{row['name']} is variadic, so it cannot be called with named arguments")
    parameters, columns = [], []
    for oid, mode, name, default in zip(row["types"], row["modes"], row["names"], row["defaults"], strict=True):
        if mode in "ib":
            if not name:
                raise ValueError(f"{row['name']} has a parameter without a name")
            parameters.append(Parameter(name, types[oid], default))
        if mode in "bot":
            columns.append(Column(name, types[oid], True))
    return Routine(
        name=row["name"],
        comment=row["comment"],
        parameters=tuple(parameters),
        returns_set=row["returns_set"],
        returns=types[row["returns"]],
        columns=tuple(columns),
        read_only=row["read_only"],
        roles=tuple(row["roles"]),
    )
