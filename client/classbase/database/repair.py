"""Puts a damaged schema back as the packaged SQL has it: what is gone, differs, is switched off or was let in.

The packaged SQL is loaded into a scratch server, so that nothing in the damaged database has to be believed. What that
server would write in other words than the database's own version does is compared with what the database recorded when
it was loaded or migrated (`private.shipped_objects`). What holds data (tables, columns) cannot be put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row, tuple_row

from classbase.database.loader import load_sql
from classbase.database.scratch import scratch_server
from classbase.embedded.binaries import Major
from classbase.embedded.errors import Missing

Difference = Literal["missing", "changed", "unexpected"]

_LISTED = "select kind, name, relation, coalesce(definition, statement) as definition, statement, removal from "
_LIVE = f"{_LISTED} private.schema_objects()"
_RECORDED = f"{_LISTED} private.shipped_objects"
_COLLECTOR = "select pg_catalog.pg_get_functiondef('private.schema_objects(text[])'::regprocedure)"

# What says nothing but whether it is there.
_ONLY_THERE = frozenset({"grant", "row", "not_null"})
# What is only a state of something else, which is put back with it.
_STATES = frozenset({"row_security", "trigger_state", "constraint_state", "index_state"})
# What others need comes first; what could not be made yet is tried again.
_ORDER = (
    "function", "default", "not_null", "constraint", "index", "statistics", "view", "row", "trigger", "policy",
    "row_security", "trigger_state", "constraint_state", "index_state", "grant", "table", "column",
)  # fmt: skip


@dataclass(frozen=True)
class SchemaObject:
    """One thing of a schema, as private.schema_objects() lists it."""

    kind: str
    name: str
    relation: str | None
    definition: str | None
    statement: str | None
    removal: str | None


Schema = dict[tuple[str, str], SchemaObject]


@dataclass(frozen=True)
class SchemaDamage:
    """Where a database differs from the packaged SQL.

    `statements` mend it; there are none where that would need data nobody has.
    """

    difference: Difference
    kind: str
    name: str
    statements: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.name}"


@dataclass(frozen=True)
class Packaged:
    """The packaged SQL as a server of one major version has it; `collector` is the function that lists a schema."""

    major: int
    schema: Schema
    collector: str


@dataclass(frozen=True)
class Repair:
    """What a repair did, or would do: each damage that was mended, and each that was not, with the reason."""

    mended: list[SchemaDamage]
    refused: list[tuple[SchemaDamage, str]]


def packaged_schema(major: int) -> Packaged:
    """The packaged SQL, loaded into a scratch server: of this major version if it is installed, or else of the default.

    Raises Missing when no Postgres is installed, StatementError when the packaged SQL does not load.
    """
    versions: list[Major] = [known for known in (15, 17) if known == major]
    for version in versions:
        with suppress(Missing):
            return _load(version)
    return _load(18)


def _load(version: Major) -> Packaged:
    with scratch_server(version) as scratch, scratch.connect(scratch.database()) as connection:
        load_sql(connection)
        [(collector,)] = connection.cursor(row_factory=tuple_row).execute(_COLLECTOR).fetchall()
        return Packaged(server_major(connection), _read(connection, _LIVE), collector)


def server_major(connection: psycopg.Connection[Any]) -> int:
    """The server's major version."""
    return connection.info.server_version // 10000


def find_damage(connection: psycopg.Connection[Any], packaged: Packaged, *, strict: bool = False) -> list[SchemaDamage]:
    """Where the database differs from the packaged SQL. `strict` also counts grants and policies that were let in.

    The connection is in a transaction; where the database lost the function that lists its schema, that is made first.
    """
    missing = connection.cursor(row_factory=tuple_row).execute(
        "select to_regprocedure('private.schema_objects(text[])') is null"
    )
    if missing.fetchone() == (True,):
        connection.execute(packaged.collector.encode())
    live = _read(connection, _LIVE)
    with_recorded = connection.cursor(row_factory=tuple_row).execute(
        "select to_regclass('private.shipped_objects') is not null"
    )
    recorded = _read(connection, _RECORDED) if with_recorded.fetchone() == (True,) else {}
    same_server = server_major(connection) == packaged.major
    found = list(_lost(live, recorded, packaged.schema, same_server=same_server))
    if strict:
        found += _let_in(live, recorded, packaged.schema)
    return sorted(found, key=lambda damage: (_ORDER.index(damage.kind), damage.name))


def repair(
    connection: psycopg.Connection[Any], packaged: Packaged, *, strict: bool = False, dry_run: bool = False
) -> Repair:
    """Mends what can be mended, in one transaction; with `dry_run` all of it is done and taken back.

    What the rows that are there do not allow (a key that finds doubles), and what holds data, is refused by itself.
    """
    with connection.transaction(force_rollback=dry_run):
        connection.execute("set local search_path = ''")
        connection.execute("set local lock_timeout = '10s'")
        connection.execute("set local check_function_bodies = off")
        let_in = set(find_damage(connection, packaged, strict=True)) if not strict else set()
        damages = find_damage(connection, packaged, strict=strict)
        waiting = [damage for damage in damages if damage.statements]
        mended: list[SchemaDamage] = []
        why: dict[SchemaDamage, str] = {}
        while waiting:
            later = []
            for damage in waiting:
                reason = _attempt(connection, damage.statements)
                if reason is None:
                    mended.append(damage)
                else:
                    why[damage] = reason
                    later.append(damage)
            if len(later) == len(waiting):
                break
            waiting = later
        if not strict:
            # What was made anew may have been granted to everybody by the server's defaults.
            for damage in set(find_damage(connection, packaged, strict=True)) - let_in:
                if damage.difference == "unexpected":
                    _attempt(connection, damage.statements)
        connection.execute("notify pgrst, 'reload schema'")
    hopeless = [(damage, _lost_for_good(damage)) for damage in damages if not damage.statements]
    return Repair(mended, hopeless + [(damage, why[damage]) for damage in waiting])


def _read(connection: psycopg.Connection[Any], query: str) -> Schema:
    rows = connection.cursor(row_factory=class_row(SchemaObject)).execute(query.encode()).fetchall()
    return {(row.kind, row.name): row for row in rows if row.kind != "server"}


def _lost(live: Schema, recorded: Schema, packaged: Schema, *, same_server: bool) -> Iterable[SchemaDamage]:
    for key, wanted in packaged.items():
        there, known = live.get(key), recorded.get(key)
        source = wanted if same_server or known is None else known
        if there is None:
            gone_with_it = (
                wanted.relation is not None and wanted.kind not in ("table", "view") and not _has_relation(live, wanted)
            )
            no_column = wanted.kind in ("default", "not_null") and ("column", wanted.name) not in live
            if wanted.kind not in _STATES and not gone_with_it and not no_column:
                yield _damage("missing", source, (source.statement,))
        elif (
            wanted.kind not in _ONLY_THERE
            and there.definition != source.definition
            and (same_server or known is not None)
        ):
            yield _damage("changed", source, (there.removal if source.removal else None, source.statement))


def _has_relation(live: Schema, wanted: SchemaObject) -> bool:
    relation = str(wanted.relation)
    # Tables of the platform, such as auth.users, are not listed: they are there.
    return not relation.startswith(("public.", "private.")) or any(
        (kind, relation) in live for kind in ("table", "view")
    )


def _damage(difference: Difference, source: SchemaObject, statements: Sequence[str | None]) -> SchemaDamage:
    can_be_made = source.statement is not None
    return SchemaDamage(difference, source.kind, source.name, tuple(s for s in statements if s) if can_be_made else ())


def _let_in(live: Schema, recorded: Schema, packaged: Schema) -> Iterable[SchemaDamage]:
    functions = [name for kind, name in packaged if kind == "function"]
    for key, there in live.items():
        if there.kind not in ("policy", "grant") or key in packaged or key in recorded:
            continue
        if there.relation is not None:
            ours = any((kind, there.relation) in packaged for kind in ("table", "view"))
        else:
            ours = " on schema " in there.name or any(f" on function {name} to " in there.name for name in functions)
        if ours:
            yield SchemaDamage("unexpected", there.kind, there.name, (there.removal,) if there.removal else ())


def _attempt(connection: psycopg.Connection[Any], statements: Sequence[str]) -> str | None:
    """Runs them in a savepoint; None, or why the database refused."""
    try:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode(), prepare=False)
    except psycopg.Error as error:
        return " ".join(filter(None, (error.diag.message_primary or str(error), error.diag.message_detail)))
    return None


def _lost_for_good(damage: SchemaDamage) -> str:
    what = "its rows" if damage.kind == "table" else "its values"
    if damage.difference == "changed":
        return "A column that is of another kind is changed by a person, who knows what its values mean."
    return f"Nobody can put back {what}: restore a backup, or make it anew by hand from the packaged SQL."
