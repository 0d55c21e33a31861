"""Guards that are the same wherever they stand, and prove themselves on a row of the stage.

Keys refuse a second row like one that is there, or a reference to nothing; `keep_version` a version that is not the row's;
truncate triggers a truncate; `refuse_other_isolation` every other isolation level than the one rules are written for;
`keep_image` leaves an image of a row that is written during a repair; `record_changes` leaves word of a row that is written;
`publish_rows` tells the feed of it.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.rows import dict_row

from tests.support.guards import Guard, prove_statement
from tests.support.stage import Stage

NO_ROW = "its table has no row in the stage: add one to tests/*/sample.py"


def prove_by_itself(stage: Stage, guard: Guard) -> str | None:
    """None when the guard proves itself, or why it does not."""
    if guard.type in ("p", "u", "f"):
        statements = _key_statements(stage, guard)
        reasons = [prove_statement(stage, guard, statement) for statement in statements]
        return None if None in reasons else "; ".join(map(str, reasons)) or NO_ROW
    if guard.type == "keep_version":
        return _prove_keep_version(stage, guard)
    if guard.type == "truncate":
        return _prove_truncate(stage, guard)
    if guard.type == "refuse_other_isolation":
        return _prove_isolation(stage, guard)
    if guard.type == "keep_image":
        return _prove_keep_image(stage, guard)
    if guard.type in ("record_changes", "publish_rows"):
        return _prove_record_changes(stage, guard)
    return "it needs a scenario"


def _prove_keep_version(stage: Stage, guard: Guard) -> str | None:
    if stage.db.execute(sql.SQL("select from {} limit 1").format(guard.table)).fetchone() is None:
        return NO_ROW
    return prove_statement(
        stage,
        guard,
        sql.SQL("update {0} set version = version + 5 where ctid = (select min(ctid) from {0})").format(guard.table),
    )


def _prove_truncate(stage: Stage, guard: Guard) -> str | None:
    """Truncates it with all that refers to it, whose own triggers are switched off."""
    others = stage.db.execute(
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname in ('public', 'private') and c.relkind in ('r', 'p') and (n.nspname, c.relname) <> (%s, %s)",
        [guard.schema, guard.relation],
    ).fetchall()
    with stage.rehearsal():
        for name in others:
            stage.db.execute(sql.SQL("alter table {} disable trigger user").format(sql.Identifier(*name)))
        return prove_statement(stage, guard, sql.SQL("truncate {} cascade").format(guard.table))


def _prove_keep_image(stage: Stage, guard: Guard) -> str | None:
    """Writes a row, as a repair, with nothing else on the table that could refuse it."""
    row = sql.SQL("select from {} limit 1").format(guard.table)
    if stage.db.execute(row).fetchone() is None:
        return NO_ROW
    images = []
    for is_there in (True, False):
        with stage.rehearsal() as db:
            db.execute(sql.SQL("alter table {} disable trigger user").format(guard.table))
            if is_there:
                db.execute(sql.SQL("alter table {} enable trigger {}").format(guard.table, sql.Identifier(guard.name)))
            db.execute("delete from private.fix_changes")
            db.execute("select private.open_fix('claims_missing', 1)")
            db.execute(sql.SQL("update {0} set {1} = {1} where ctid = (select min(ctid) from {0})").format(
                guard.table, sql.Identifier(list(_columns(db, guard))[-1]),
            ))  # fmt: skip
            images.append(db.execute("select count(*) from private.fix_changes").fetchone())
    return None if images == [(1,), (0,)] else f"images kept with it and without it: {images}"


def _prove_record_changes(stage: Stage, guard: Guard) -> str | None:
    """Writes a row as the trigger's event does, with nothing else on the table that could refuse or follow it."""
    with stage.db.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(sql.SQL("select * from {} limit 1").format(guard.table)).fetchone()
    if row is None:
        return NO_ROW
    columns = _columns(stage.db, guard)
    found = stage.db.execute(
        "select (private.key_columns(%s::regclass))[1]", [f"{guard.schema}.{guard.relation}"]
    ).fetchone()
    assert found is not None
    key: str = found[0]
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    others = {name: _other(columns[name], row[name]) if name == key else sql.Identifier(name) for name in columns}
    statement = {
        "insert": sql.SQL(
            "insert into {0} ({1}) overriding system value select {2} from {0} where ctid = (select min(ctid) from {0})"
        ).format(guard.table, listed, sql.SQL(", ").join(others.values())),
        "update": _update(guard, key, others[key]),
        "delete": sql.SQL("delete from {0} where ctid = (select min(ctid) from {0})").format(guard.table),
    }[guard.name.rsplit("_", 1)[1]]
    changes = []
    for is_there in (True, False):
        with stage.rehearsal() as db:
            _drop_constraints(db, guard)
            db.execute(
                sql.SQL("alter table {} alter {} drop identity if exists").format(guard.table, sql.Identifier(key))
            )
            db.execute(sql.SQL("alter table {} disable trigger user").format(guard.table))
            if is_there:
                db.execute(sql.SQL("alter table {} enable trigger {}").format(guard.table, sql.Identifier(guard.name)))
            before = _recorded(db, guard)
            assert db.execute(statement).rowcount == 1
            changes.append(_recorded(db, guard) - before)
    # A row that gets another key is one row gone and another one come. The feed has a change a topic.
    wanted = [2 if guard.name == "t98_audit_update" else 1, 0]
    if guard.type == "publish_rows":
        wanted[0] = max(changes[0], 1)
    return None if changes == wanted else f"changes recorded with it and without it: {changes}"


def _drop_constraints(db: psycopg.Connection[Any], guard: Guard) -> None:
    """Drops what could refuse a row of the table, but for its key."""
    db.execute("set constraints all immediate")
    found = db.execute(
        "select conrelid::regclass::text, conname from pg_constraint "
        "where contype in ('c', 'x', 'f', 'u') and %(table)s::regclass in (conrelid, confrelid) and conparentid = 0",
        {"table": f"{guard.schema}.{guard.relation}"},
    ).fetchall()
    for table, name in found:
        drop = sql.SQL("alter table {} drop constraint if exists {} cascade")
        db.execute(drop.format(sql.SQL(table), sql.Identifier(name)))
    indexes = db.execute(
        "select indexrelid::regclass::text from pg_index where indrelid = %s::regclass and indisunique and not indisprimary",
        [f"{guard.schema}.{guard.relation}"],
    ).fetchall()
    for (index,) in indexes:
        db.execute(sql.SQL("drop index {}").format(sql.SQL(index)))


def _update(guard: Guard, key: str, other: sql.Composable) -> sql.Composed:
    """What is recorded by key gets another key; what is published by version gets another version."""
    change = sql.SQL("{} = {}").format(sql.Identifier(key), other)
    if guard.type == "publish_rows":
        change = sql.SQL("version = version + 1").format()
    return sql.SQL("update {0} set {1} where ctid = (select min(ctid) from {0})").format(guard.table, change)


def _recorded(db: psycopg.Connection[Any], guard: Guard) -> int:
    if guard.type == "publish_rows":
        row = db.execute("select count(*) from public.changes").fetchone()
    else:
        row = db.execute("select count(*) from public.audit_log where table_name = %s", [guard.relation]).fetchone()
    assert row is not None
    return int(row[0])


def _prove_isolation(stage: Stage, guard: Guard) -> str | None:
    stage.db.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        return prove_statement(stage, guard, sql.SQL("delete from {} where false").format(guard.table))
    finally:
        stage.db.isolation_level = None


def _key_statements(stage: Stage, guard: Guard) -> list[sql.Composed]:
    """Statements that a key must refuse, made from rows of the stage; none where it has none."""
    with stage.db.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(sql.SQL("select * from {} limit 1").format(guard.table)).fetchone()
    if row is None:
        return []
    columns = _columns(stage.db, guard)
    key = sql.SQL(", ").join(map(sql.Identifier, guard.columns))
    if guard.type == "f":
        others = sql.SQL(", ").join(_other(columns[column], row[column]) for column in guard.columns)
        return [
            sql.SQL("update {0} set ({1}) = row({2}) where ctid = (select min(ctid) from {0})").format(
                guard.table, key, others
            )
        ]
    # A copy of a row, as far as other keys of the table do not refuse it first; or all rows with the key of one.
    values = [
        _other(columns[name], row[name])
        if name not in guard.columns and _in_another_key(stage.db, guard, name)
        else sql.Identifier(name)
        for name in columns
    ]
    copy = sql.SQL(
        "insert into {0} ({1}) overriding system value select {2} from {0} where row({3}) is not null limit 1"
    )
    same = sql.SQL("update {0} set ({1}) = (select {1} from {0} limit 1)")
    return [
        copy.format(guard.table, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(values), key),
        same.format(guard.table, key),
    ]


def _columns(db: psycopg.Connection[Any], guard: Guard) -> dict[str, str]:
    """The columns that can be written, with their types."""
    query = sql.SQL(
        "select attname, atttypid::regtype::text from pg_attribute where attrelid = {}::regclass and attnum > 0 "
        "and not attisdropped and attgenerated = '' order by attnum"
    ).format(f"{guard.schema}.{guard.relation}")
    return dict(db.execute(query).fetchall())


def _in_another_key(db: psycopg.Connection[Any], guard: Guard, column: str) -> bool:
    query = sql.SQL(
        "select exists (select from pg_index x join pg_attribute a on a.attrelid = x.indrelid and a.attnum = any (x.indkey) "
        "join pg_class i on i.oid = x.indexrelid "
        "where x.indrelid = {}::regclass and x.indisunique and i.relname <> {} and a.attname = {})"
    ).format(f"{guard.schema}.{guard.relation}", guard.name, column)
    row = db.execute(query).fetchone()
    return row is not None and bool(row[0])


def _other(type_name: str, value: Any) -> sql.Composable:
    """Another value of a type, one that is nowhere else."""
    if type_name == "uuid":
        return sql.SQL("gen_random_uuid()")
    if type_name == "text":
        return sql.Literal(f"{value or ''}_other")
    if type_name in ("integer", "bigint", "smallint"):
        return sql.Literal(-1)
    if type_name in ("date", "timestamp with time zone"):
        return sql.Literal("1999-12-31")
    return sql.Literal(None)
