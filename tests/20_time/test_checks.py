"""Each check of the ledger: clean, a fault planted behind the triggers' back, found, mended where it can be, clean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.server import Database

REGISTERED = (
    "claims_differ", "claims_missing", "claims_orphaned", "horizons_late", "ledger_guards_missing",
    "meeting_instants_differ", "overrides_without_use", "people_and_resources_differ", "resources_overlapping",
    "rule_dates_differ", "rules_that_meet", "taken_over_by_nothing",
)  # fmt: skip


@dataclass
class Week:
    """A room, two people, two meetings of one of them back to back, a weekly rule, all through the front door."""

    db: psycopg.Connection[Any]
    behind: psycopg.Connection[Any]
    room: UUID
    zoe: UUID
    max: UUID
    first: UUID
    second: UUID
    rule: UUID

    def plant(self, statement: str, *arguments: Any) -> None:
        """Runs a statement as a restore does: no trigger fires."""
        with self.behind.transaction():
            self.behind.execute("set local session_replication_role = replica")
            assert self.behind.execute(statement, arguments).rowcount != 0, "nothing was planted"

    def found(self, check: str | None = None) -> list[tuple[str, str, str]]:
        return self.db.execute(
            "select check_name, entity_id, message from public.run_diagnostics(p_checks => %s, p_modules => '{20_time}')",
            [[check] if check else None],
        ).fetchall()

    def mend(self, check: str) -> None:
        [row] = self.db.execute(
            "select check_name, faults, fixed, remaining from public.apply_fixes(p_checks => %s)", [[check]]
        ).fetchall()
        assert row[0] == check
        assert row[1] == row[2] > 0
        assert row[3] == 0

    def claims(self) -> list[tuple[Any, ...]]:
        return self.db.execute("select * from public.claims order by resource_id, lower(during)").fetchall()


@pytest.fixture
def week(database: Database) -> Week:
    db = database.connect()

    def one(statement: str, *arguments: Any) -> Any:
        row = db.execute(statement, arguments).fetchone()
        assert row is not None
        return row[0]

    room = one("insert into public.locations (name) values ('Room') returning id")
    zoe = one("insert into public.user_profiles (full_name) values ('Zoe') returning id")
    other = one("insert into public.user_profiles (full_name) values ('Max') returning id")
    day = one("select private.today() + 10")
    meeting = "select id from public.schedule_meeting(%s, %s, %s, %s, %s)"
    first = one(meeting, "Algebra", day, "09:00", "10:00", [zoe, room])
    second = one(meeting, "Geometry", day, "10:00", "11:00", [zoe, room])
    rule = one("select id from public.create_weekly_rule('Yoga', %s, 3, '18:00', '19:00', 'Europe/Paris')", [other])
    return Week(db, database.connect(admin=True), room, zoe, other, first, second, rule)


def test_a_sound_ledger_has_no_findings(week: Week) -> None:
    assert week.found() == []
    registered = week.db.execute("select name from public.integrity_checks where module = '20_time'").fetchall()
    assert set(REGISTERED) <= {name for (name,) in registered}


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("claims_missing", "delete from public.claims where source_id = %(second)s"),
        ("claims_differ", "update public.claims set during = tstzrange(lower(during), upper(during) - interval '1 min') where source_id = %(first)s"),
        ("claims_differ", "update public.claims set share_key = gen_random_uuid() where source_id = %(first)s and resource_id = %(room)s"),
        ("claims_orphaned", "delete from public.meetings where id = %(first)s"),
        ("rule_dates_differ", "delete from public.claims where ctid = (select min(ctid) from public.claims where source_id = %(rule)s)"),
        ("rule_dates_differ", "update public.claims set occurs_on = occurs_on + 1 where ctid = (select max(ctid) from public.claims where source_id = %(rule)s)"),
        ("horizons_late", "update public.resource_horizons set claimed_until = claimed_until - interval '90 days' where resource_id = %(zoe)s"),
        ("horizons_late", "delete from public.resource_horizons where resource_id = %(zoe)s"),
        ("meeting_instants_differ", "update public.meetings set starts_at = starts_at - interval '1 hour' where id = %(first)s"),
        ("people_and_resources_differ", "insert into public.locations (name) values ('Annexe')"),
    ],
)  # fmt: skip
def test_planted_found_mended_clean(week: Week, check: str, damage: str) -> None:
    before = week.claims()
    with week.behind.transaction():
        week.behind.execute("set local session_replication_role = replica")
        assert week.behind.execute(damage, {**vars(week)}).rowcount > 0, "nothing was planted"
    assert {name for name, _, _ in week.found(check)} == {check}
    week.mend(check)
    assert week.found(check) == []
    if check not in ("claims_orphaned", "people_and_resources_differ"):
        assert week.claims() == before


def test_a_missing_claim_whose_time_is_taken_stays_a_finding(week: Week) -> None:
    week.plant("delete from public.claims where source_id = %s", week.second)
    week.db.execute(
        "select from public.schedule_meeting('Intruder', private.today() + 10, '10:30', '11:30', %s)", [[week.zoe]]
    )
    [(faults, fixed, remaining)] = week.db.execute(
        "select faults, fixed, remaining from public.apply_fixes(p_checks => '{claims_missing}')"
    ).fetchall()
    assert (faults, fixed, remaining) == (1, 0, 1)
    [(_, entity_id, message)] = week.found("claims_missing")
    assert entity_id == f"meetings {week.second}"
    assert "Zoe" in message
    assert "Geometry" in message


def test_two_places_at_once_are_found_when_the_constraint_was_dropped(week: Week) -> None:
    week.behind.execute("alter table public.claims drop constraint nobody_is_in_two_places")
    week.plant("update public.claims set during = during + tstzrange(upper(during), upper(during) + interval '5 min')"
               " where source_id = %s and resource_id = %s", week.first, week.zoe)  # fmt: skip
    [(_, entity_id, message)] = week.found("resources_overlapping")
    assert entity_id == str(week.zoe)
    assert "Algebra" in message
    assert "Geometry" in message
    assert [found[1] for found in week.found("ledger_guards_missing")] == ["nobody_is_in_two_places"]


@pytest.mark.parametrize("table", ["meetings", "meeting_participants", "weekly_rules", "claims", "user_profiles"])
def test_a_disabled_trigger_is_found(week: Week, table: str) -> None:
    [trigger] = week.db.execute(
        "select min(tgname)::text from pg_trigger where tgrelid = %s::regclass and not tgisinternal",
        [f"public.{table}"],
    ).fetchone() or [""]
    week.behind.execute(f"alter table public.{table} disable trigger {trigger}")
    assert any(trigger in message for _, _, message in week.found("ledger_guards_missing"))


@pytest.mark.parametrize("event", ["insert", "update", "delete"])
def test_a_dropped_claim_trigger_is_found(week: Week, event: str) -> None:
    week.behind.execute(f"drop trigger t50_claims_{event} on public.meetings")
    assert [found[1] for found in week.found("ledger_guards_missing")] == [f"meetings {event}"]


def test_rules_that_come_to_meet_beyond_the_horizon_are_found(week: Week) -> None:
    week.plant("insert into public.weekly_rules (id, title, weekday, start_time, end_time, time_zone, effective)"
               " values (%s, 'Far', 3, '18:30', '19:30', 'Europe/Paris', daterange(private.today() + 800, null))",
               UUID(int=7))  # fmt: skip
    week.plant("insert into public.weekly_rule_resources values (%s, %s)", UUID(int=7), week.max)
    [(_, _, message)] = week.found("rules_that_meet")
    assert "Far" in message
    assert "Yoga" in message


def test_a_date_whose_stand_in_is_gone_is_found_and_can_be_put_back(week: Week) -> None:
    [date] = (
        week.db.execute("select min(occurs_on) from public.claims where source_id = %s", [week.rule]).fetchone() or []
    )
    before = week.claims()
    [stand_in] = week.db.execute(
        "select id from public.schedule_meeting('Substitute', %s, '18:00', '19:00', %s, 'Europe/Paris',"
        " p_rule_id => %s, p_occurs_on => %s)", [date, [week.max], week.rule, date]
    ).fetchone() or []  # fmt: skip
    assert week.found() == []
    week.db.execute("delete from public.meetings where id = %s", [stand_in])
    [(name, entity_id, _)] = week.found()
    assert (name, entity_id) == ("taken_over_by_nothing", f"{week.rule} {date}")
    week.db.execute("select public.restore_occurrence(%s, %s)", [week.rule, date])
    assert week.found() == []
    assert week.claims() == before


def test_an_override_with_nobody_left_to_overlap_is_found(week: Week) -> None:
    members = f'[{{"source_table": "meetings", "source_id": "{week.first}"}}, {{"source_table": "meetings", "source_id": "{week.second}"}}]'
    week.db.execute("select from public.grant_override(%s::jsonb, 'One room, two sections')", [members])
    assert week.found() == []
    week.db.execute("delete from public.meetings where id = %s", [week.first])
    assert [name for name, _, _ in week.found()] == ["overrides_without_use"]


def test_a_person_at_work_without_a_resource_is_found(week: Week) -> None:
    week.db.execute("insert into auth.users (id, email) values (%s, 'ada@example.org')", [UUID(int=9)])
    week.plant("insert into public.user_roles (user_id, role_name) values (%s, 'instructor')", UUID(int=9))
    [(_, entity_id, _)] = week.found("people_and_resources_differ")
    week.mend("people_and_resources_differ")
    assert week.db.execute("select kind from public.resources where id = %s", [entity_id]).fetchone() == ("person",)
