"""Damage of every kind at once, in a database with rows of every module: named, mended, undone; by the command line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from classbase.cli.app import run
from tests.support.damage import Damage, Found, Kinds, Town
from tests.support.server import TestServer

KINDS = Kinds()


class Person:
    """Somebody at the command line of a town."""

    def __init__(self, town: Town, capture: pytest.CaptureFixture[str]) -> None:
        self.town = town
        self.capture = capture

    def says(self, *arguments: str, code: int) -> str:
        """Runs a command, which must end with that exit code; gives what it prints."""
        assert run([*arguments, "--db-url", self.town.database.dsn]) == code, self.capture.readouterr()
        return self.capture.readouterr().out

    def asks(self, *arguments: str, code: int) -> Any:
        """The same with --json, read."""
        return json.loads(self.says(*arguments, "--json", code=code))


@pytest.fixture
def town(server: TestServer) -> Iterator[Town]:
    made = Town(server)
    yield made
    made.database.drop()


@pytest.fixture
def person(town: Town, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(town, capsys)


def named(report: Any) -> set[Found]:
    """What a report of diagnose finds."""
    return {
        (finding["check_name"], finding["severity"], finding["entity"], finding["entity_id"])
        for finding in report["findings"]
    }


def test_there_are_more_than_twenty_kinds_of_every_module() -> None:
    assert len(KINDS.all) > 20
    assert {check for damage in KINDS.all for check, *_ in damage.expects} >= {
        "claims_missing", "roles_of_missing_users", "prerequisites_in_a_circle", "payments_over_refunded",
        "schedules_differ", "schema_objects_missing",
    }  # fmt: skip


@pytest.fixture(scope="module")
def rehearsals(server: TestServer) -> Iterator[Town]:
    """A town in which everything is rolled back."""
    made = Town(server)
    assert made.findings() == set()
    yield made
    made.database.drop()


@pytest.mark.parametrize("damage", KINDS.all, ids=lambda damage: damage.name)
def test_each_kind_is_named_and_nothing_else(rehearsals: Town, damage: Damage) -> None:
    expected, found = rehearsals.rehearse(damage)
    assert found == expected != set()


def test_all_of_it_is_named_counted_mended_and_undone(person: Person) -> None:
    town = person.town
    sound = person.asks("diagnose", code=0)
    assert named(sound) == set()
    expected = set().union(*(town.break_with(damage) for damage in KINDS.of_rows))
    damaged = town.everything()

    # Every one is named, with its severity and entity, and none is invented.
    report = person.asks("diagnose", "--all", code=1)
    assert named(report) == expected
    assert report["counts"] == {
        **dict.fromkeys(report["counts"], 0),
        **Counter(f["severity"] for f in report["findings"]),
    }
    found = {check["check_name"]: check["found"] for check in report["checks"] if check["found"]}
    assert found == Counter(finding["check_name"] for finding in report["findings"])
    assert next(score["score"] for score in report["consistency"] if score["module"] is None) < 1
    page = person.says("diagnose", code=1)
    for check, severity, _, _ in expected:
        assert check in page
        assert severity in page

    # The dry run says what would change, and changes nothing.
    planned = person.asks("fix", "--dry-run", code=1)["fixes"]
    assert town.everything() == damaged

    # What can be mended is, as the dry run said; a schedule nobody can read is for a person to correct.
    mended = person.asks("fix", "--yes", "--run", str(report["run_id"]), code=1)["fixes"]
    assert {row["check_name"] for row in mended if row["remaining"]} == {"students_invalid"}
    would = {row["check_name"]: (row["faults"], row["fixable"], row["changes"]) for row in planned}
    left = set().union(*(town.expected(damage) for damage in KINDS.of_rows if not damage.mended))
    assert named(person.asks("diagnose", code=1)) == left
    first = next(row for row in mended if row["check_name"] == "claims_missing")
    assert (first["faults"], first["fixed"], first["changes"]) == would["claims_missing"]

    # And it comes back byte for byte, the last one first.
    for damage in KINDS.of_rows:
        for statement in filter(None, town.fill_in(damage.undo_needs).split(";")):
            town.plant(statement)
    for row in reversed(mended):
        if row["fix_id"]:
            person.says("undo", str(row["fix_id"]), "--yes", code=0)
    for damage in KINDS.of_rows:
        if damage.undo_needs:
            town.break_with(damage)
    again = town.everything()
    assert {name for name in damaged if again[name] != damaged[name]} == set()
    assert named(person.asks("diagnose", code=1)) == expected


def test_a_broken_schema_is_put_back_from_the_packaged_sql(person: Person) -> None:
    town = person.town
    before = town.one("select jsonb_agg(to_jsonb(o) order by o.kind, o.name) from private.schema_objects() o")
    expected = set().union(*(town.break_with(damage) for damage in KINDS.of_schema))
    assert named(person.asks("diagnose", code=1)) == expected
    broken = town.one("select jsonb_agg(to_jsonb(o) order by o.kind, o.name) from private.schema_objects() o")
    planned = person.asks("fix", "schema", "--dry-run", "--strict", code=1)
    assert planned["refused"] == []
    assert town.one("select jsonb_agg(to_jsonb(o) order by o.kind, o.name) from private.schema_objects() o") == broken
    done = person.asks("fix", "schema", "--yes", "--strict", code=0)
    assert done == {**planned, "dry_run": False}
    assert town.one("select jsonb_agg(to_jsonb(o) order by o.kind, o.name) from private.schema_objects() o") == before
    assert named(person.asks("diagnose", code=0)) == set()
    assert person.asks("fix", "schema", "--strict", code=0) == {"dry_run": False, "mended": [], "refused": []}


def test_what_holds_data_or_is_not_allowed_by_it_is_refused_and_said(person: Person) -> None:
    town = person.town
    town.behind.execute("alter table public.locations drop column capacity cascade")
    town.behind.execute("drop index public.alerts_one_open")
    for _ in range(2):
        town.behind.execute("insert into public.alerts (kind, severity, message) values ('twice', 'info', 'Twice.')")
    town.behind.execute("drop trigger t10_keep_version on public.bookings")
    town.behind.execute("grant select on public.bookings to anon")
    done = person.asks("fix", "schema", "--yes", code=1)
    refused = {row["name"]: row["reason"] for row in done["refused"]}
    assert "public.locations.capacity" in refused
    assert (
        "duplicate" in refused["alerts_one_open on public.alerts"]
        or "unique" in refused["alerts_one_open on public.alerts"]
    )
    assert "t10_keep_version on public.bookings" in {row["name"] for row in done["mended"]}
    assert town.one("select has_table_privilege('anon', 'public.bookings', 'select')"), "only --strict takes away"
    text = person.says("fix", "schema", "--dry-run", code=1)
    assert "restore a backup" in text


def test_findings_below_what_counts_let_cron_sleep(person: Person) -> None:
    person.town.plant(
        "update public.class_assignments set class_status = 'scheduled' where id = %s", [person.town.names["past"]]
    )
    person.asks("diagnose", code=1)
    person.asks("diagnose", "--fail-on", "error", code=0)
    person.asks("diagnose", "--since", "2000-01-01", code=1)
    person.asks("diagnose", "--since", "2999-01-01", code=0)
    person.asks("diagnose", "time", "30_catalog", code=0)
    assert run(["diagnose", "nonsense", "--db-url", person.town.database.dsn]) == 2
    assert run(["diagnose", "--since", "yesterday", "--db-url", person.town.database.dsn]) == 2
    assert run(["diagnose", "--db-url", "postgresql://nobody@127.0.0.1:1/nothing"]) == 3
