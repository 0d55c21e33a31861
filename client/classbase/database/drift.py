"""Compares two databases by everything a migration could have forgotten.

The Supabase CLI's diff leaves out data and extended statistics, so two databases count as equal only when their schema
dumps are the same text and their tables hold the same rows.
"""

from __future__ import annotations

import difflib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

OURS = ("public", "private")

# Since 15.20 the server marks the columns of some tables with a number of its own, which differs between databases.
_SERVER_NOTE = re.compile(r"^ALTER TABLE .* ALTER COLUMN .* SET \(pg_attver=-?\d+\);$")

# When a row was written, and an id drawn at random, differ without meaning anything; and so does what the audit trail
# tells of how they got there. What the schema was recorded as follows from the schema, which is compared by itself.
_COMPARABLE_TABLES = """
select n.nspname, c.relname, coalesce(array_agg(a.attname::text) filter (where a.atttypid = 'timestamptz'::regtype
  or pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ 'uuid\\('), '{}')
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where n.nspname = any (%s) and c.relkind in ('r', 'p') and not c.relispartition
  and (n.nspname, c.relname) not in (('public', 'audit_log'), ('private', 'shipped_objects'))
group by 1, 2
order by 1, 2
"""


def schema_dump(dsn: str, bin_dir: Path) -> list[str]:
    """The lines of `pg_dump --schema-only` of a database, without what differs by chance and the migrations' books.

    `bin_dir` holds a pg_dump at least as new as the server. Raises RuntimeError with pg_dump's words when it fails.
    """
    command = [str(bin_dir / "pg_dump"), "--schema-only", "--exclude-schema=supabase_migrations", f"--dbname={dsn}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [
        line
        for line in done.stdout.splitlines()
        if line and not line.startswith(("\\restrict", "\\unrestrict", "--")) and not _SERVER_NOTE.search(line)
    ]


def rows_of_all_tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Every row of every table of ours as one line (table and JSON), sorted; instants and random ids left out."""
    cursor = connection.cursor(row_factory=tuple_row)
    lines = []
    for schema, table, left_out in cursor.execute(_COMPARABLE_TABLES, [list(OURS)]).fetchall():
        query = sql.SQL("select to_jsonb(t) - {}::text[] from {} t").format(left_out, sql.Identifier(schema, table))
        for (row,) in cursor.execute(query).fetchall():
            lines.append(f"{schema}.{table} {json.dumps(row, sort_keys=True, ensure_ascii=False)}")
    return sorted(lines)


def difference(have: list[str], want: list[str]) -> list[str]:
    """The lines in which `have` differs from `want`, as a unified diff without its headers; empty when equal."""
    return list(difflib.unified_diff(have, want, "have", "want", n=2, lineterm=""))[2:]
