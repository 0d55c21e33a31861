"""row_as_of and record_history: the row at every instant equals what a plain Python model says it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import as_user
from tests.support.rest import Rest
from tests.support.server import Database, TestServer
from tests.support.world import World

Key = tuple[int, str]
Row = dict[str, Any]

# Written with triggers that write again: what is noted as "again" is noted once more, what comes as "gone" goes at once.
_THINGS = """
create table public.{name} (
  number integer, part text, kind text not null, note text, amount integer,
  created_at timestamptz not null default private.now(), primary key (number, part)
);
create function private.{name}_again() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'INSERT' and new.note = 'gone' then
    delete from public.{name} t where (t.number, t.part) = (new.number, new.part);
  elsif new.note = 'again' then
    update public.{name} t set note = 'again and again', amount = t.amount + 1 where (t.number, t.part) = (new.number, new.part);
  end if;
  return null;
end $$;
create trigger t50_again after insert or update on public.{name} for each row execute function private.{name}_again();
select private.attach_audit('public.{name}', p_insert_condition => {condition});
"""

# Few keys, so that what is done is done to rows that are there.
numbers = st.integers(1, 2)
keys = st.tuples(numbers, st.sampled_from(["a", "b"]))
notes = st.sampled_from([None, "", "one", "two", "again", "gone"])
kinds = st.sampled_from(["made", "drawn"])
statements = st.one_of(
    st.tuples(st.just("insert"), keys, kinds, notes, st.integers(0, 3)),
    st.tuples(st.just("note"), numbers, notes),
    st.tuples(st.just("count"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("same"), numbers),
    st.tuples(st.just("rekey"), keys, keys),
    st.tuples(st.just("shift"), st.integers(-1, 1)),
    st.tuples(st.just("delete"), numbers),
    st.tuples(st.just("clear")),
)
# What a transaction does: statements, each kept or rolled back to before it; and whether it is kept in the end.
transactions = st.lists(
    st.tuples(st.lists(st.tuples(statements, st.sampled_from([True, True, True, False])), min_size=1, max_size=5), st.sampled_from([True, True, True, False])),
    min_size=2,
    max_size=6,
)  # fmt: skip


class Model:
    """The table as a dictionary, and each statement on it and on the database."""

    def __init__(self, db: psycopg.Connection[Any], table: str) -> None:
        self.db = db
        self.table = table
        self.rows: dict[Key, Row] = {}
        self.seen: set[Key] = set()

    def apply(self, statement: tuple[Any, ...]) -> None:
        """Does it to both; raises psycopg.Error where the database refuses it."""
        getattr(self, f"_{statement[0]}")(*statement[1:])
        self.seen |= self.rows.keys()

    def _run(self, statement: str, *arguments: Any) -> None:
        self.db.execute(statement.format(t=f"public.{self.table}").encode(), arguments)

    def _written(self, key: Key) -> None:
        row = self.rows[key]
        if row["note"] == "again":
            row.update(note="again and again", amount=row["amount"] + 1)

    def _insert(self, key: Key, kind: str, note: str | None, amount: int) -> None:
        self._run(
            "insert into {t} (number, part, kind, note, amount) values (%s, %s, %s, %s, %s)", *key, kind, note, amount
        )
        self.seen.add(key)
        if note != "gone":
            self.rows[key] = {"kind": kind, "note": note, "amount": amount}
            self._written(key)

    def _note(self, number: int, note: str | None) -> None:
        self._run("update {t} set note = %s where number = %s", note, number)
        for key in [key for key in self.rows if key[0] == number]:
            self.rows[key]["note"] = note
            self._written(key)

    def _count(self, part: str) -> None:
        self._run("update {t} set amount = amount + 1 where part = %s and note is distinct from 'again'", part)
        for key, row in self.rows.items():
            if key[1] == part:
                row["amount"] += 1

    def _same(self, number: int) -> None:
        self._run("update {t} set amount = amount where number = %s", number)

    def _rekey(self, old: Key, new: Key) -> None:
        self._run("update {t} set number = %s, part = %s where (number, part) = (%s, %s)", *new, *old)
        if old in self.rows:
            self.rows[new] = self.rows.pop(old)

    def _shift(self, by: int) -> None:
        self._run("update {t} set number = number + %s", by)
        self.rows = {(number + by, part): row for (number, part), row in self.rows.items()}

    def _delete(self, number: int) -> None:
        self._run("delete from {t} where number = %s", number)
        self.rows = {key: row for key, row in self.rows.items() if key[0] != number}

    def _clear(self) -> None:
        self._run("delete from {t}")
        self.rows = {}


class Undone(Exception):
    """Ends a transaction, or a part of one, that is not kept."""


def _copy(rows: dict[Key, Row]) -> dict[Key, Row]:
    return {key: dict(row) for key, row in rows.items()}


def _attempt(model: Model, statement: tuple[Any, ...], *, kept: bool) -> None:
    """One statement in a savepoint: refused, taken back, or done."""
    before = _copy(model.rows)
    try:
        with model.db.transaction():
            model.apply(statement)
            if not kept:
                raise Undone
    except (Undone, psycopg.errors.UniqueViolation):
        model.rows = before


def _run_through(
    model: Model, history: list[tuple[list[tuple[tuple[Any, ...], bool]], bool]]
) -> list[tuple[datetime, dict[Key, Row]]]:
    """Runs all transactions; what the table held from each one's beginning on."""
    moments = []
    for parts, kept in history:
        before = _copy(model.rows)
        try:
            with model.db.transaction():
                [(at,)] = model.db.execute("select now()").fetchall()
                for statement, part_kept in parts:
                    _attempt(model, statement, kept=part_kept)
                if not kept:
                    raise Undone
        except Undone:
            model.rows = before
        moments.append((at, _copy(model.rows)))
    return moments


_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared(server: TestServer) -> Any:
    made = server.create_database("classbase_template")
    yield made
    made.drop()


@pytest.mark.parametrize("condition", ["null", "$$kind <> 'drawn'$$"])
def test_the_row_at_every_instant_is_what_it_was(shared: Database, condition: str) -> None:
    """Statements that fail or are taken back, keys that change places, triggers that write again: whatever is in it.

    Rows whose coming is not recorded are there from their created_at on, also when they come again with an old key.
    Their histories cannot add up: a second coming leaves no line.
    """
    db = shared.connect()

    # In one transaction a row gives up its key, and another comes unrecorded under it and goes.
    @example([([(("shift", 1), True), (("insert", (1, "a"), "drawn", None, 3), True), (("delete", 1), True)], True)])
    @settings(
        max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(transactions)
    def check(history: list[tuple[list[tuple[tuple[Any, ...], bool]], bool]]) -> None:
        table = f"things_{next(_numbers)}"
        db.execute(_THINGS.format(name=table, condition=condition).encode())
        model = Model(db, table)
        first = [(("insert", (1, "a"), "made", "one", 0), True), (("insert", (2, "b"), "drawn", "two", 0), True)]
        moments = _run_through(model, [(first, True), *history])
        begin = moments[0][0] - timedelta(microseconds=1)
        for at, rows in [(begin, {}), *moments, (moments[-1][0] + timedelta(days=1), model.rows)]:
            asked = [{"number": number, "part": part} for number, part in sorted(model.seen)]
            found = db.execute(
                "select k, public.row_as_of(%s, k::text, %s) from unnest(%s::jsonb[]) k",
                [table, at, [Jsonb(key) for key in asked]],
            ).fetchall()
            was = {(k["number"], k["part"]): row for k, row in found if row is not None}
            assert {
                key: {name: row[name] for name in ("kind", "note", "amount")} for key, row in was.items()
            } == rows, (at, history)
            for key, row in was.items():
                assert (row["number"], row["part"]) == key
        if condition == "null":
            _histories_add_up(db, table, model)
        db.execute(f"drop table public.{table}; drop function private.{table}_again()".encode())

    check()


def _histories_add_up(db: psycopg.Connection[Any], table: str, model: Model) -> None:
    """Each history, read by itself, ends with the row as it is; one transaction's changes are read together."""
    for number, part in model.seen:
        row: Row | None = None
        changes = call(db, None, "record_history", p_table=table, p_id=f'{{"number": {number}, "part": "{part}"}}')
        for _, group in itertools.groupby(changes, key=lambda change: change["transaction_id"]):
            done = list(group)
            row = _replayed(row, done)
        now = model.rows.get((number, part))
        assert (row is None) == (now is None), (changes, now)
        if row is not None and now is not None:
            assert {name: row[name] for name in now} == now


def _replayed(row: Row | None, changes: list[Row]) -> Row | None:
    """The row after one transaction: of the values of a column, the last is one time more a new than an old one."""
    net = sum({"insert": 1, "delete": -1}.get(change["operation"], 0) for change in changes)
    if int(row is not None) + net <= 0:
        return None
    times: dict[tuple[str, str], tuple[Any, int]] = {}
    for change in changes:
        for image, sign in ((change["new_values"], 1), (change["old_values"], -1)):
            for name, value in (image or {}).items():
                times[name, repr(value)] = (value, times.get((name, repr(value)), (value, 0))[1] + sign)
    return {**(row or {}), **{name: value for (name, _), (value, count) in times.items() if count > 0}}


def _things(db: psycopg.Connection[Any], condition: str = "null") -> str:
    name = f"things_{next(_numbers)}"
    db.execute(_THINGS.format(name=name, condition=condition).encode())
    return name


def test_whoever_began_first_and_wrote_last(database: Database, db: psycopg.Connection[Any]) -> None:
    """The order is that of the writes; an earlier beginning does not put a change before those it came after."""
    table = _things(db)
    db.execute(f"insert into public.{table} values (1, 'a', 'made', 'first', 0)".encode())
    early = database.connect(autocommit=False)
    row = early.execute("select now()").fetchone()
    assert row is not None
    db.execute(f"update public.{table} set note = 'second'".encode())
    early.execute(f"update public.{table} set note = 'third'".encode())
    early.commit()
    changes = call(db, None, "record_history", p_table=table, p_id='{"number": 1, "part": "a"}')
    assert [change["new_values"].get("note") for change in changes] == ["first", "second", "third"]
    assert changes[1]["at"] > changes[2]["at"] == row[0]

    def note_at(at: datetime) -> Any:
        found = db.execute(
            'select public.row_as_of(%s, \'{"number": 1, "part": "a"}\', %s) ->> \'note\'', [table, at]
        ).fetchone()
        assert found is not None
        return found[0]

    assert note_at(row[0]) == "first"
    assert note_at(changes[1]["at"]) == "third"


def test_a_row_from_before_the_log_begins_with_what_it_was_at_first(db: psycopg.Connection[Any]) -> None:
    table = _things(db, "$$kind <> 'drawn'$$")
    db.execute(
        f"insert into public.{table} values (1, 'a', 'drawn', 'first', 0), (2, 'a', 'drawn', 'other', 0)".encode()
    )
    key, other = '{"number": 1, "part": "a"}', '{"number": 2, "part": "a"}'
    [first] = call(db, None, "record_history", p_table=table, p_id=key)
    assert (first["operation"], first["new_values"]["note"], first["change_id"], first["transaction_id"]) == (
        "insert",
        "first",
        None,
        None,
    )
    db.execute(f"update public.{table} set note = 'second' where number = 1".encode())
    db.execute(f"delete from public.{table} where number = 1".encode())
    changes = call(db, None, "record_history", p_table=table, p_id=key)
    assert [change["operation"] for change in changes] == ["insert", "update", "delete"]
    assert changes[0]["new_values"] == first["new_values"]
    assert changes[0]["at"] == first["at"]
    assert [change["operation"] for change in call(db, None, "record_history", p_table=table, p_id=other)] == ["insert"]


def test_nothing_is_known_of_a_row_there_never_was(db: psycopg.Connection[Any]) -> None:
    nobody = str(uuid4())
    assert call(db, None, "record_history", p_table="locations", p_id=nobody) == []
    assert db.execute("select public.row_as_of('locations', %s, now())", [nobody]).fetchone() == (None,)


def test_a_key_is_known_however_it_is_written(db: psycopg.Connection[Any], world: World) -> None:
    place = world.insert("public.locations", name="Room")
    for written in (str(place.id), str(place.id).upper(), f'{{"id": "{place.id}"}}', f"{{{place.id}}}"):
        assert len(call(db, None, "record_history", p_table="public.locations", p_id=written)) == 1


@pytest.mark.parametrize(
    ("table", "key", "code", "field"),
    [
        ("nothing", "1", "not_found", "p_table"),
        ("pg_class", "1", "not_found", "p_table"),
        ("audit_log_rest", "1", "not_found", "p_table"),
        ("people_directory", "1", "not_found", "p_table"),
        ('locations"; drop table locations', "1", "not_found", "p_table"),
        (None, "1", "invalid_input", "p_table"),
        ("", "1", "invalid_input", "p_table"),
        ("claims", "1", "invalid_input", "p_table"),
        ("locations", None, "invalid_input", "p_id"),
        ("locations", "Room", "invalid_input", "p_id"),
        ("locations", "", "invalid_input", "p_id"),
        ("locations", "{}", "invalid_input", "p_id"),
        ("locations", '{"name": "Room"}', "invalid_input", "p_id"),
        ("locations", '{"id": null}', "invalid_input", "p_id"),
        ("locations", "{broken", "invalid_input", "p_id"),
        ("role_permissions", "admin", "invalid_input", "p_id"),
        ("role_permissions", "[1]", "invalid_input", "p_id"),
        ("role_permissions", '{"role_name": "admin"}', "invalid_input", "p_id"),
        ("role_permissions", '{"role_name": "admin", "permission": "read:audit", "is_granted": true}', "invalid_input", "p_id"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(
    db: psycopg.Connection[Any], table: str | None, key: str | None, code: str, field: str
) -> None:
    for function, more in (("record_history", {}), ("row_as_of", {"p_at": datetime(2026, 1, 1)})):
        with refused(code) as said:
            call(db, None, function, p_table=table, p_id=key, **more)
        assert said.details["field"] == field


def test_an_instant_must_be_said(db: psycopg.Connection[Any]) -> None:
    with refused("invalid_input") as said:
        call(db, None, "row_as_of", p_table="locations", p_id=str(uuid4()), p_at=None)
    assert said.details["field"] == "p_at"


@pytest.mark.parametrize("role", ["admin", "manager", "instructor", "staff", "member"])
def test_only_holders_of_read_audit_ask(db: psycopg.Connection[Any], world: World, role: str) -> None:
    place = world.insert("public.locations", name="Room")
    user = world.user(role)
    asks: list[Callable[[], Any]] = [
        lambda: call(db, user, "record_history", p_table="locations", p_id=str(place.id)),
        lambda: call(db, user, "row_as_of", p_table="locations", p_id=str(place.id), p_at=datetime(2050, 1, 1)),
    ]
    for ask in asks:
        if role == "admin":
            assert len(ask()) == 1
        else:
            with refused("forbidden"):
                ask()
    with as_user(db, user):
        [(seen,)] = db.execute("select count(*) from public.audit_log").fetchall()
    assert (seen > 0) == (role == "admin")


def test_names_are_told_to_those_who_may_see_them(db: psycopg.Connection[Any], world: World) -> None:
    admin, auditor = world.user("admin", full_name="Mina Rao"), world.user(None)
    db.execute("select public.grant_permission(%s, 'read:audit', 'Auditor.')", [auditor.id])
    with as_user(db, admin):
        db.execute("insert into public.locations (name) values ('Room')")
    [(place,)] = db.execute("select id::text from public.locations").fetchall()
    [seen] = call(db, admin, "record_history", p_table="locations", p_id=place)
    assert (seen["actor_id"], seen["actor_name"]) == (admin.id, "Mina Rao")
    [seen] = call(db, auditor, "record_history", p_table="locations", p_id=place)
    assert (seen["actor_id"], seen["actor_name"]) == (admin.id, None)


def test_over_rest(rest: Rest, db: psycopg.Connection[Any], world: World) -> None:
    admin = world.user("admin")
    place = world.insert("public.locations", name="Room")
    body = {"p_table": "locations", "p_id": str(place.id)}
    [seen] = rest.post("/rpc/record_history", user=admin, json=body).json()
    assert (seen["operation"], seen["new_values"]["name"]) == ("insert", "Room")
    was = rest.post("/rpc/row_as_of", user=admin, json={**body, "p_at": "2050-01-01T00:00:00Z"}).json()
    assert was["name"] == "Room"
    assert rest.post("/rpc/row_as_of", user=admin, json={**body, "p_at": "1999-01-01T00:00:00Z"}).json() is None
    assert rest.post("/rpc/record_history", json=body).status_code in (401, 403)
    assert rest.get("/audit_log?table_name=eq.locations", user=admin).json()[0]["new_values"]["name"] == "Room"
    assert rest.get("/audit_log", user=world.user("manager")).json() == []
    assert rest.get("/audit_log_rest", user=admin).status_code == 404
