"""Doors around the triggers: TRUNCATE, direct writes, other isolation levels, borrowed ids, restores."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.support.calls import refused
from tests.support.ledger import Connection, Ledger

TRUNCATED = (
    "claims", "meetings", "meeting_participants", "weekly_rules", "weekly_rule_resources", "weekly_rule_exceptions",
    "overrides", "override_members", "resource_horizons", "resources", "locations", "user_profiles",
)  # fmt: skip


@pytest.fixture
def room(ledger: Ledger) -> UUID:
    return ledger.place("Hall")


@pytest.mark.parametrize("table", TRUNCATED)
def test_truncate_is_refused(ledger: Ledger, room: UUID, table: str) -> None:
    ledger.meeting("Exam", room)
    ledger.rule("Yoga", room, start_time="10:00", end_time="11:00")
    with refused("forbidden"):
        ledger.db.execute(f"truncate public.{table} cascade".encode())
    assert ledger.faults() == []


def test_truncate_would_leave_claims_behind(ledger: Ledger, room: UUID) -> None:
    meeting = ledger.meeting("Exam", room)
    ledger.weaken(
        "drop trigger t00_no_truncate on public.meetings",
        "drop trigger t00_no_truncate on public.meeting_participants",
    )
    ledger.db.execute("truncate public.meetings cascade")
    assert len(ledger.claims_of(meeting)) == 1
    assert ("orphaned claim", f"Exam on {ledger.day}") in ledger.faults()


CLAIM = """
insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
select '{room}', tstzrange(now(), now() + interval '1 hour'), gen_random_uuid(), 'meetings', gen_random_uuid(),
  current_date, 'meeting', 'Forged'
"""


@pytest.mark.parametrize(
    "statement",
    [
        CLAIM,
        f"do $$ begin {CLAIM}; end $$",
        "update public.claims set during = tstzrange(lower(during), upper(during) + interval '1 hour')",
        "update public.claims set share_key = '{room}'",
        "delete from public.claims",
        "merge into public.claims c using (values (1)) v(x) on true when matched then delete",
        "copy public.claims from stdin",
    ],
)
def test_claims_are_written_by_triggers_only(ledger: Ledger, room: UUID, statement: str) -> None:
    ledger.meeting("Exam", room)
    before = ledger.one("select array_agg(c) from public.claims c")
    with refused("forbidden") as refusal:
        if statement.startswith("copy"):
            with ledger.db.cursor().copy(statement.encode()) as copy:
                copy.write(b"")
        else:
            ledger.db.execute(statement.format(room=room).encode())
    assert "Write the happening itself" in (refusal.hint or "")
    assert ledger.one("select array_agg(c) from public.claims c") == before


LEVELS = [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE]
WRITES = [
    "update public.meetings set title = 'Concert'",
    "insert into public.meetings (title, date, start_time, end_time) values ('Concert', '2030-01-01', '09:00', '10:00')",
    "delete from public.meetings",
    "delete from public.meeting_participants",
    "update public.weekly_rules set title = 'Choir'",
    "delete from public.weekly_rule_resources",
    "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind) select id, lower(effective), 'cancelled' from public.weekly_rules",
    "update public.resource_horizons set claimed_until = claimed_until + interval '1 day'",
    "select private.extend_horizons()",
    "select public.revoke_override((select id from public.overrides))",
]


@pytest.mark.parametrize("level", LEVELS, ids=["repeatable read", "serializable"])
def test_other_isolation_levels_are_refused(ledger: Ledger, room: UUID, level: IsolationLevel) -> None:
    """Clearly, and before a row is touched: PostgREST would retry a serialization failure for ever."""
    exam = ledger.meeting("Exam", room)
    ledger.rule("Yoga", room, start_time="10:00", end_time="11:00")
    ledger.override(exam, room)
    ledger.db.execute("update public.settings set value = '500' where key = 'ledger_horizon_days'")
    ledger.db.isolation_level = level
    for write in WRITES:
        with refused("invalid_input") as refusal, ledger.db.transaction():
            ledger.db.execute(write.encode())
        assert refusal.details["field"] == "isolation_level", write


@pytest.mark.parametrize("guarded", [True, False])
def test_a_serialization_failure_reaches_nobody(ledger: Ledger, room: UUID, guarded: bool) -> None:
    meeting = ledger.meeting("Exam", room)
    if not guarded:
        ledger.weaken("drop trigger t00_read_committed on public.meetings")

    def rename(by: Connection) -> None:
        by.execute("update public.meetings set title = 'Concert' where id = %s", [meeting])

    def rename_in_a_snapshot(by: Connection) -> None:
        by.execute("set transaction isolation level repeatable read")
        rename(by)

    outcome = ledger.collide(rename, rename_in_a_snapshot)
    assert outcome.code == ("invalid_input" if guarded else "40001")


@pytest.mark.parametrize("guarded", [True, False])
def test_a_borrowed_id_gives_no_right_to_overlap(ledger: Ledger, room: UUID, guarded: bool) -> None:
    """A meeting may be given any id, that of a weekly rule for one; keys carry the table's name."""
    if not guarded:
        for source in ("meetings", "weekly_rules"):
            compared = f"private.{source}_claims_compared(uuid[])"
            ledger.rewrite(compared, f"md5('{source}' || w.source_id::text", "md5(w.source_id::text")
    rule = ledger.rule("Yoga", room)
    outcome = ledger.attempt(lambda by: ledger.meeting("Concert", room, by=by, id=rule))
    assert outcome.code == ("time_conflict" if guarded else None)


@pytest.mark.parametrize("guarded", [True, False])
def test_two_dates_of_one_rule_do_not_overlap(ledger: Ledger, room: UUID, guarded: bool) -> None:
    if not guarded:
        ledger.rewrite("private.weekly_rules_claims_compared(uuid[])", "|| (w.occurs_on - date '1970-01-01')", "")
    rule = ledger.rule("Yoga", room)
    outcome = ledger.attempt(
        lambda by: by.execute(
            "select public.move_occurrence(%s, %s, %s, '09:30', '10:30')",
            [rule, ledger.day, ledger.one("select %s::date + 7", ledger.day)],
        ),
    )
    assert outcome.code == ("time_conflict" if guarded else None)


def test_what_a_restore_leaves_behind_is_found(ledger: Ledger, room: UUID) -> None:
    """Triggers do not fire in a restore, which is outside the promise: diagnosis has to say what does not fit."""
    exam = ledger.meeting("Exam", room)
    rule = ledger.rule("Yoga", room, start_time="11:00", end_time="12:00")
    ledger.db.close()
    with ledger.database.connect(admin=True) as restore:
        restore.execute("set session_replication_role = replica")
        restore.execute("update public.meetings set starts_at = starts_at - interval '2 hours' where id = %s", [exam])
        restore.execute("delete from public.weekly_rules where id = %s", [rule])
        ledger.meeting("Concert", room, by=restore, starts_at="2020-01-01", ends_at="2020-01-02")
    ledger.db = ledger.database.connect()
    found = {
        name
        for (name,) in ledger.db.execute(
            "select distinct check_name from public.run_diagnostics(p_modules => '{20_time}')"
        ).fetchall()
    }
    assert {"claims_missing", "claims_differ", "claims_orphaned", "meeting_instants_differ"} <= found


def test_an_unreadable_refusal_would_be_a_raw_error(ledger: Ledger, room: UUID) -> None:
    """The constraint itself says 23P01; nobody ever sees it, because derivation counts instead of catching."""
    ledger.meeting("Exam", room)
    ledger.weaken("drop trigger t00_only_triggers_write on public.claims")
    with pytest.raises(psycopg.errors.ExclusionViolation):
        ledger.db.execute(
            CLAIM.replace("now(), now() + interval '1 hour'", "lower(during), upper(during)").format(room=room).encode()
            + b" from public.claims"
        )
