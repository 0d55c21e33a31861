"""What diagnosis keeps: since when, until when, what new; checks that cannot be run; two at once; the score; the scheduled run."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from tests.support.calls import read_refusal
from tests.support.identity import as_user
from tests.support.repairs import Repairs
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

CHECK = "bookings_planted"


class Planted(Repairs):
    """A check that finds what stands in a table, and mends by deleting it; nothing else is wrong."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.db.execute("""
          create table public.planted (id text primary key, message text not null, is_stuck boolean not null default false);
          alter table public.planted enable row level security;
          create function private.check_bookings_planted() returns table (entity text, entity_id text, message text, detail jsonb)
          language sql stable security definer set search_path = '' as
          $$ select 'planted', p.id, p.message, null::jsonb from public.planted p where p.message <> 'fine' $$;
          create function private.fix_bookings_planted(p_entity_ids text[]) returns integer
          language sql volatile security definer set search_path = '' as
          $$ update public.planted set message = 'fine' where id = any(p_entity_ids) and not is_stuck; select 1 $$;
          insert into public.integrity_checks (name, module, category, severity, description, fix_description, looks_at)
          values ('bookings_planted', '90_operations', 'crud', 'error', 'Planted.', 'Mends.', 'public.planted');
          select private.attach_images();
          select private.leave_unaudited('public.planted', 'It is only planted.');
        """)

    def rows(self, *names: str, message: str = "Wrong", stuck: bool = False) -> None:
        """Plants what the check finds."""
        for name in names:
            self.db.execute("insert into public.planted values (%s, %s, %s)", [name, message, stuck])

    def mend(self, *names: str) -> None:
        """Puts it right behind the check's back."""
        self.db.execute("delete from public.planted where id = any(%s)", [list(names)])

    def run(self, *, since: Any = None, run_id: int | None = None) -> list[tuple[Any, ...]]:
        """Entity ids, when first seen and the run, of what the check finds."""
        return self.db.execute(
            "select entity_id, first_seen_at, run_id from public.run_diagnostics(p_checks => %s, p_since => %s, p_run_id => %s)",
            [[CHECK], since, run_id],
        ).fetchall()

    def open(self) -> list[str]:
        """What is kept as open."""
        return [name for (name,) in self.db.execute(
            "select entity_id from public.findings where check_name = %s and resolved_at is null order by 1", [CHECK]
        )]  # fmt: skip

    def result(self) -> tuple[Any, ...]:
        """looked_at, found, appeared and resolved of the last time."""
        row = self.db.execute(
            "select looked_at, found, appeared, resolved from public.check_results where check_name = %s order by id desc limit 1",
            [CHECK],
        ).fetchone()
        assert row is not None
        return row

    def alert(self) -> tuple[Any, ...] | None:
        """Severity, times and whether given up, of the alert that is open."""
        return self.db.execute(
            "select severity, times, (details ->> 'gave_up')::boolean from public.alerts where kind = 'finding' and subject = %s and resolved_at is null",
            [CHECK],
        ).fetchone()

    def scheduled(self) -> int:
        """The scheduled run: how many findings are left."""
        return int(self.one("select private.run_scheduled_checks()"))

    def policy(self, **values: Any) -> None:
        """What the check may do."""
        for column, value in values.items():
            self.db.execute(
                psycopg.sql.SQL("update public.integrity_checks set {} = %s where name = %s").format(psycopg.sql.Identifier(column)),
                [value, CHECK],
            )  # fmt: skip


@pytest.fixture
def planted(database: Database) -> Planted:
    return Planted(database)


def test_since_when_and_until_when(planted: Planted) -> None:
    planted.rows("a", "b")
    [(_, first, run_one), _] = planted.run()
    assert planted.result() == (2, 2, 2, 0)
    planted.rows("c")
    again = planted.run()
    assert [(name, seen == first) for name, seen, _ in again] == [("a", True), ("b", True), ("c", False)]
    assert planted.result() == (3, 3, 1, 0)
    assert [name for name, *_ in planted.run(since=again[2][1])] == ["c"], "p_since narrows the answer"
    assert planted.open() == ["a", "b", "c"], "and nothing else"
    planted.mend("a")
    planted.run()
    assert (planted.open(), planted.result()) == (["b", "c"], (2, 2, 0, 1))
    row = planted.db.execute(
        "select first_seen_at, last_seen_at < resolved_at, resolved_at - first_seen_at = time_to_repair, fix_id"
        " from public.finding_history where entity_id = 'a'"
    ).fetchone()
    assert row == (first, True, True, None)
    planted.rows("a")
    assert planted.run()[0][1] > first, "what was put right and is wrong again is a finding of its own"
    assert run_one < planted.one("select max(id) from public.diagnostic_runs")


def test_what_stays_costs_no_writing_and_what_it_says_is_kept_up(planted: Planted) -> None:
    planted.rows("a", "b")
    planted.run()
    where = planted.db.execute("select entity_id, ctid::text from public.findings order by 1").fetchall()
    planted.run()
    assert planted.db.execute("select entity_id, ctid::text from public.findings order by 1").fetchall() == where
    planted.db.execute("update public.planted set message = 'Worse' where id = 'a'")
    planted.run()
    assert planted.db.execute("select entity_id, message from public.findings order by 1").fetchall() == [
        ("a", "Worse"), ("b", "Wrong"),
    ]  # fmt: skip


def test_no_more_is_kept_than_wanted_and_all_is_counted_and_answered(planted: Planted) -> None:
    planted.db.execute("update public.settings set value = '2' where key = 'findings_kept_per_check'")
    planted.rows("a", "b", "c", "d")
    assert len(planted.run()) == 4
    assert (planted.open(), planted.result()) == (["a", "b"], (4, 4, 4, 0))
    planted.mend("a")
    planted.run()
    assert planted.open() == ["b"]
    planted.run()
    assert planted.open() == ["b", "c"]
    assert planted.db.execute("select faulty from public.consistency_score() where module is null").fetchone() == (3,)


def test_checks_asked_one_by_one_are_one_run(planted: Planted) -> None:
    planted.rows("a")
    run_id = planted.one("select public.start_diagnostics('key')")
    assert planted.one("select public.start_diagnostics('key')") == run_id
    planted.db.execute(
        "select count(*) from public.run_diagnostics(p_checks => '{claims_missing}', p_run_id => %s)", [run_id]
    )
    assert [number for *_, number in planted.run(run_id=run_id)] == [run_id]
    assert planted.db.execute("select check_name from public.check_results order by id").fetchall() == [
        ("claims_missing",), (CHECK,),
    ]  # fmt: skip
    with pytest.raises(psycopg.Error) as caught:
        planted.run(run_id=run_id + 5)
    assert read_refusal(caught.value).code == "not_found"


BROKEN = [
    "select 1/0, '', '', '{}'::jsonb",
    "select 'planted', p.id, p.nonsense, '{}'::jsonb from public.planted p",
    "select 'planted', p.id, p.message, (p.message)::jsonb from public.planted p",
]


@pytest.mark.parametrize("body", BROKEN)
def test_a_check_that_cannot_be_run_is_a_critical_finding_and_stops_no_other(planted: Planted, body: str) -> None:
    planted.rows("a", "b")
    planted.run()
    planted.plant("insert into public.locations (name) values ('Annexe')")
    planted.db.execute("set check_function_bodies = off")
    planted.db.execute(
        "create or replace function private.check_bookings_planted() returns table (entity text, entity_id text, message text, detail jsonb)"
        f" language plpgsql stable security definer set search_path = '' as $$ begin return query {body}; end $$"
    )
    found = planted.db.execute(
        "select check_name, severity, entity, entity_id, can_be_fixed, message from public.run_diagnostics(p_checks => %s)",
        [[CHECK, "people_and_resources_differ"]],
    ).fetchall()
    [(*broken, message)] = [row for row in found if row[0] == CHECK]
    assert broken == [CHECK, "critical", "integrity_checks", CHECK, False]
    assert message.startswith(f"The check {CHECK} could not be run: ")
    assert "people_and_resources_differ" in {name for name, *_ in found}
    assert planted.open() == ["a", "b", CHECK], "it says nothing about what it found before"
    [(_, faults, fixed, failure)] = planted.db.execute(
        "select check_name, faults, fixed, failure from public.apply_fixes(p_checks => %s)", [[CHECK]]
    ).fetchall()
    assert (faults, fixed) == (0, 0)
    assert failure
    assert planted.scheduled() > 0
    assert (planted.alert() or ())[:2] == ("critical", 1)


def test_it_is_put_right_when_the_check_runs_again(planted: Planted) -> None:
    planted.rows("a")
    planted.db.execute("alter function private.check_bookings_planted() rename to gone")
    assert [name for name, *_ in planted.run()] == [CHECK]
    planted.db.execute("alter function private.gone() rename to check_bookings_planted")
    assert [name for name, *_ in planted.run()] == ["a"]
    assert planted.open() == ["a"]


def test_two_at_once_keep_nothing_twice(planted: Planted) -> None:
    planted.rows("a", "b")
    other = planted.database.connect()
    with planted.db.transaction():
        planted.run()
        thread = threading.Thread(target=lambda: other.execute("select * from public.run_diagnostics()").fetchall())
        thread.start()
        until_blocked(planted.behind, other)
    thread.join()
    assert planted.open() == ["a", "b"]
    assert planted.result() == (2, 2, 0, 0), "the second looked after the first"


def test_what_a_run_found_and_only_that_is_fixed(planted: Planted) -> None:
    planted.rows("a", "b", "c")
    [(*_, run_id), *_] = planted.run()
    planted.mend("a")
    planted.rows("d")
    fix = "select faults, fixed, remaining, changes from public.apply_fixes(p_checks => %s, p_run_id => %s, p_entity_ids => %s)"
    assert planted.db.execute(fix, [[CHECK], run_id, ["b", "a"]]).fetchall() == [
        (1, 1, 0, [{"table": "planted", "added": 0, "changed": 1, "removed": 0}])
    ]
    assert planted.db.execute(fix, [[CHECK], run_id, None]).fetchone()[:3] == (1, 1, 0)  # type: ignore[index]
    assert [name for name, *_ in planted.run()] == ["d"]
    assert planted.db.execute(fix, [[CHECK], run_id, None]).fetchall() == []
    fixed = planted.db.execute("select entity_id from public.findings where fix_id is not null order by 1").fetchall()
    assert fixed == [("b",), ("c",)]
    with pytest.raises(psycopg.Error) as caught:
        planted.db.execute(fix, [[CHECK], 999, None])
    assert read_refusal(caught.value).code == "not_found"


def test_a_dry_run_says_exactly_what_would_be_and_changes_nothing(planted: Planted) -> None:
    planted.rows("a", "b")
    planted.rows("c", stuck=True)
    before = planted.everything()
    columns = "faults, fixable, changes"
    planned = planted.db.execute(
        f"select {columns}, fixed, remaining, fix_id from public.apply_fixes(p_checks => %s, p_dry_run => true)",
        [[CHECK]],
    ).fetchall()
    assert planned == [(3, 2, [{"table": "planted", "added": 0, "changed": 2, "removed": 0}], 0, 3, None)]
    assert planted.everything() == before
    assert planted.one("select count(*) from public.fix_runs") == 0
    assert planted.one("select count(*) from private.fix_changes") == 0
    done = planted.db.execute(f"select {columns} from public.apply_fixes(p_checks => %s)", [[CHECK]]).fetchall()
    assert done == [row[:3] for row in planned]


def test_a_repair_that_fails_leaves_nothing_behind_and_stops_no_other(planted: Planted) -> None:
    planted.db.execute(
        "create or replace function private.fix_bookings_planted(p_entity_ids text[]) returns integer language plpgsql set search_path = ''"
        " as $$ begin delete from public.planted; perform private.fail('invalid_input', 'Not like this'); end $$"
    )
    planted.rows("a")
    planted.plant("insert into public.locations (name) values ('Annexe')")
    rows = planted.db.execute("select check_name, fixed, remaining, failure from public.apply_fixes()").fetchall()
    assert sorted(rows) == [(CHECK, 0, 1, "Not like this"), ("people_and_resources_differ", 1, 0, None)]
    assert [name for name, *_ in planted.run()] == ["a"]


def test_the_score_is_the_share_of_rows_without_findings(planted: Planted) -> None:
    planted.rows("a", "b")
    planted.rows("c", "d", "e", message="fine")
    planted.db.execute("select count(*) from public.run_diagnostics()")
    scores = {module: rest for module, *rest in planted.db.execute("select * from public.consistency_score()")}
    assert [int(n) for n in scores["90_operations"][:2]] == [5, 2]
    assert float(scores["90_operations"][2]) == 0.6
    assert float(scores[None][2]) < 1
    planted.mend("a", "b")
    planted.run()
    assert {float(score) for *_, score in planted.db.execute("select * from public.consistency_score()")} == {1.0}


def test_the_scheduled_run_alerts_and_clears(planted: Planted) -> None:
    assert planted.scheduled() == 0
    planted.rows("a")
    assert planted.scheduled() == 1
    assert planted.alert() == ("error", 1, False)
    assert planted.scheduled() == 1
    assert planted.alert() == ("error", 2, False)
    planted.mend("a")
    planted.scheduled()
    assert planted.alert() is None
    planted.policy(alert_from="critical")
    planted.rows("a")
    planted.scheduled()
    assert planted.alert() is None


def test_what_may_repair_itself_does(planted: Planted) -> None:
    planted.rows("a")
    planted.policy(auto_fix=True)
    assert planted.scheduled() == 0
    assert planted.alert() is None
    assert planted.one("select message from public.planted") == "fine"
    assert planted.one("select undo_id from public.undo_fix((select max(id) from public.fix_runs))") is not None


@pytest.mark.parametrize(("fallback", "severity", "still"), [("alert", "error", True), ("escalate", "critical", True), ("switch_off", "error", False)])  # fmt: skip
def test_it_stops_trying(planted: Planted, fallback: str, severity: str, still: bool) -> None:
    planted.rows("a", stuck=True)
    planted.policy(auto_fix=True, fix_attempts=2, fallback=fallback, alert_from="critical")
    seen = []
    for _ in range(2):
        planted.scheduled()
        seen.append(planted.alert())
    assert seen[0] is None
    assert (seen[1] or ())[::2] == (severity, True)
    runs = planted.one("select count(*) from public.fix_runs")
    planted.scheduled()
    assert planted.one("select count(*) from public.fix_runs") == runs == 2
    assert planted.one("select auto_fix from public.integrity_checks where name = %s", CHECK) == still
    planted.mend("a")
    planted.scheduled()
    assert planted.alert() is None
    assert planted.one("select count(*) from private.auto_fix_tries") == 0


def test_alerts_are_acknowledged_and_resolved_by_those_who_may(planted: Planted, world: World) -> None:
    planted.rows("a")
    planted.scheduled()
    alert = planted.one("select id from public.alerts")
    manager, member = world.user("manager"), world.user("member")
    with pytest.raises(psycopg.Error) as caught, as_user(planted.db, member):
        planted.db.execute("select public.acknowledge_alert(%s)", [alert])
    assert read_refusal(caught.value).code == "forbidden"
    with as_user(planted.db, manager):
        first = planted.db.execute("select acknowledged_at, acknowledged_by from public.acknowledge_alert(%s)", [alert]).fetchone()  # fmt: skip
        assert first is not None
        assert first[1] == manager.id
    planted.scheduled()
    row = planted.db.execute("select acknowledged_by, times from public.alerts where id = %s", [alert]).fetchone()
    assert row == (manager.id, 2), "raised again, it is still being looked at"
    with as_user(planted.db, manager):
        done = planted.db.execute("select resolved_by, details ->> 'note' from public.resolve_alert(%s, ' Done. ')", [alert]).fetchone()  # fmt: skip
        assert done == (manager.id, "Done.")
    for call in ("acknowledge_alert", "resolve_alert"):
        with pytest.raises(psycopg.Error) as caught:
            planted.db.execute(f"select public.{call}(%s)", [alert])
        assert read_refusal(caught.value).code == "illegal_transition"
        with pytest.raises(psycopg.Error) as caught:
            planted.db.execute(f"select public.{call}(%s)", [alert + 9])
        assert read_refusal(caught.value).code == "not_found"
    planted.scheduled()
    assert planted.alert() == ("error", 1, False), "it was not put right: raised anew"


def test_admins_choose_what_checks_may_do(planted: Planted, world: World) -> None:
    change = "update public.integrity_checks set alert_from = 'info', auto_fix = true where name = %s"
    for role, rows in (("admin", 1), ("manager", 0), ("member", 0)):
        with as_user(planted.db, world.user(role)):
            assert planted.db.execute(change, [CHECK]).rowcount == rows
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(planted.db, world.user("admin")):
        planted.db.execute("update public.integrity_checks set severity = 'info'")


def test_old_findings_and_runs_go_and_the_last_word_of_each_check_stays(planted: Planted) -> None:
    planted.rows("a", "b")
    planted.run()
    planted.mend("a")
    planted.run()
    planted.db.execute("select count(*) from public.run_diagnostics(p_checks => '{claims_missing}')")
    planted.db.execute("update public.diagnostic_runs set run_at = run_at - interval '500 days'")
    planted.db.execute(
        "update public.findings set resolved_at = resolved_at - interval '500 days' where resolved_at is not null"
    )
    assert planted.one("select private.forget_old_findings()") == 1
    assert planted.open() == ["b"]
    assert planted.db.execute("select check_name from public.check_results order by id").fetchall() == [
        (CHECK,), ("claims_missing",),
    ]  # fmt: skip
