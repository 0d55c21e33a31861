"""The audit trail: bulk writes with and without it, of classes and of a plain small table, and one row at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg

from bench.support import Ratio, say, side_by_side
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

ROWS = 10_000
PEOPLE = 20

# As small tables are here: a key drawn at random, something it refers to, checks, an index, versions.
_SMALL = """
create table public.small_things (
  id uuid primary key default gen_random_uuid(),
  type_id uuid not null references public.class_types (id),
  name text not null,
  amount numeric(12,2) not null,
  held_on date not null,
  note text,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name = private.clean_text(name)),
  constraint amount_is_not_below_zero check (amount >= 0)
);
create index small_things_type on public.small_things (type_id);
create index small_things_held_on on public.small_things (held_on);
create trigger t10_keep_version before update on public.small_things
  for each row execute function private.keep_version();
select private.attach_images();
"""
_SMALL_INSERT = f"""
insert into public.small_things (type_id, name, amount, held_on, note)
select t.id, 'Thing ' || g, g, date '2026-01-01' + g % 300, 'Something to say of it'
from public.class_types t, generate_series(1, {ROWS}) g
"""
# Nothing at all but a key: what auditing costs where the write itself costs next to nothing.
_BARE = """
create table public.bare_things (
  id integer primary key, name text not null, amount numeric(12,2) not null, held_on date not null, note text
);
"""
_BARE_INSERT = f"""
insert into public.bare_things
select g, 'Thing ' || g, g, date '2026-01-01' + g % 300, 'Something to say of it' from generate_series(1, {ROWS}) g
"""
_CLASSES_INSERT = f"""
insert into public.class_assignments
  (class_type_id, instructor_id, date, start_time, end_time, time_zone, payment_amount)
select t.id, p.id, private.today() + 1 + g / {PEOPLE} / 12, time '06:00' + make_interval(hours => g / {PEOPLE} % 12),
  time '07:00' + make_interval(hours => g / {PEOPLE} % 12), 'UTC', 30
from public.class_types t, generate_series(0, {ROWS} - 1) g
join (select id, row_number() over (order by id) - 1 as number from public.user_profiles) p on p.number = g % {PEOPLE}
"""
# table, its making, inserting 10,000, changing them, target
_TABLES: tuple[tuple[str, str, str, str, float | None], ...] = (
    ("class_assignments", "", _CLASSES_INSERT, "payment_amount = payment_amount + 1", 1.6),
    ("small_things", _SMALL, _SMALL_INSERT, "amount = amount + 1, note = 'Something else'", 1.6),
    ("bare_things", _BARE, _BARE_INSERT, "amount = amount + 1, note = 'Something else'", None),
)


class Side:
    """A database of its own in which a table is audited, or no table is."""

    def __init__(self, server: TestServer, table: str, make: str, *, audited: bool) -> None:
        self.database: Database = server.create_database(TEMPLATE)
        self.db: psycopg.Connection[Any] = self.database.connect()
        self.table = table
        World(self.db).insert("public.class_types", name="Yoga")
        self.db.execute(
            "insert into public.user_profiles (full_name) select 'Person ' || g from generate_series(1, %s) g", [PEOPLE]
        )
        if make:
            self.db.execute(make.encode())
        self.db.execute("select private.attach_audit(t.t) from private.tables_without_audit() as t(t)")
        if not audited:
            self.db.execute(
                "select private.leave_unaudited(format('public.%I', table_name)::regclass, 'To compare.')"
                " from private.audit_rules where not_audited_because is null"
            )

    def run(self, statement: str) -> Callable[[], object]:
        """The statement, to be timed."""
        return lambda: self.db.execute(statement.encode())

    def empty(self) -> None:
        """Makes the table empty, whatever its triggers say, and settles what that leaves behind."""
        with self.database.connect(admin=True) as behind:
            behind.execute("set session_replication_role = replica")
            behind.execute(f"delete from public.{self.table}".encode())
            behind.execute("delete from public.claims")
            behind.execute(f"vacuum analyze public.{self.table}".encode())
            behind.execute("vacuum analyze public.claims")

    def fill(self, insert: str) -> None:
        """Empties the table and fills it anew."""
        self.empty()
        self.db.execute(insert.encode())
        with self.database.connect(admin=True) as behind:
            behind.execute(f"vacuum analyze public.{self.table}".encode())
            behind.execute("checkpoint")


def bulk(server: TestServer) -> Iterator[Ratio]:
    """Ten thousand rows inserted, changed and deleted by one statement each."""
    for table, make, insert, change, target in _TABLES:
        say(f"{ROWS:,} rows of {table} …")
        on, off = Side(server, table, make, audited=True), Side(server, table, make, audited=False)
        for what, statement, before in (
            ("insert", insert, Side.empty),
            ("update", f"update public.{table} set {change}", partial(Side.fill, insert=insert)),
            ("delete", f"delete from public.{table}", partial(Side.fill, insert=insert)),
        ):
            # A row that goes costs a plain table next to nothing, and the log a row.
            yield side_by_side(
                f"{what} {ROWS:,} {table}, audited",
                on.run(statement),
                "the same, not audited",
                off.run(statement),
                rounds=5,
                target=None if what == "delete" and table != "class_assignments" else target,
                before_subject=partial(before, on),
                before_reference=partial(before, off),
            )
        on.database.drop()
        off.database.drop()


def single(server: TestServer) -> Iterator[Ratio]:
    """One row a statement, as requests write."""
    on, off = (Side(server, "small_things", _SMALL, audited=audited) for audited in (True, False))
    for side in (on, off):
        side.fill(_SMALL_INSERT)
        side.db.execute("create table private.picked as select id from public.small_things limit 1")
        side.db.execute("set synchronous_commit = off")
    statement = (
        "do $$ begin for i in 1..500 loop update public.small_things set amount = amount + 1"
        " where id = (select id from private.picked); end loop; end $$"
    )
    yield side_by_side(
        "update one row, audited",
        on.run(statement),
        "the same, not audited",
        off.run(statement),
        rounds=5,
        calls=500,
    )
    on.database.drop()
    off.database.drop()


MEASURES = (bulk, single)


def run(server: TestServer) -> Iterator[Ratio]:
    """All of it."""
    for measure in MEASURES:
        yield from measure(server)
