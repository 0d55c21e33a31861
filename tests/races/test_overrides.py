"""Override groups, granted and taken back while their members change.

Each race runs as built and again without a guard, where the fault it keeps away must show.
"""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.support.ledger import NO_MEMBERSHIP_LOCKS, NO_SOURCE_LOCKS, Connection, Ledger, add_participants

MOVE = "update public.meetings set start_time = '08:00', end_time = '09:00' where id = %s"
DEADLOCK = "40P01"
TABLE_BY_TABLE = """
create or replace function private.derive_members(p_members public.override_members[]) returns void
language plpgsql security definer as $$
declare
  v_source record;
begin
  for v_source in
    select m.source_table, array_agg(distinct m.source_id) as ids from unnest(p_members) m group by 1 order by 1
  loop
    perform private.lock_sources(v_source.source_table, v_source.ids);
    if v_source.source_table = 'weekly_rules' then
      perform private.derive_weekly_rules(v_source.ids, '{}');
    else
      perform private.derive_claims(v_source.source_table, v_source.ids);
    end if;
  end loop;
end;
$$
"""
NO_KEY = "alter table public.override_members drop constraint override_members_pkey"
KEEP_ALL = """
create or replace function private.grant_override_to(p_members jsonb, p_reason text, p_expires_at timestamptz)
returns public.overrides language plpgsql security definer as $$
declare
  v_override public.overrides;
begin
  if exists (
    select from jsonb_to_recordset(p_members) as g(source_table text, source_id uuid)
    join public.override_members m using (source_table, source_id)
  ) then
    perform private.fail('duplicate', 'In a group already');
  end if;
  insert into public.overrides (reason, expires_at) values (p_reason, p_expires_at) returning * into v_override;
  insert into public.override_members (override_id, source_table, source_id)
  select v_override.id, g.source_table, g.source_id
  from jsonb_to_recordset(p_members) as g(source_table text, source_id uuid);
  return v_override;
end;
$$
"""


@pytest.fixture
def room(ledger: Ledger) -> UUID:
    return ledger.place("Hall")


def judge(ledger: Ledger, guard: str | None) -> None:
    """As built there are no faults; without the guard there are."""
    faults = ledger.faults()
    assert (faults == []) == (guard is None), faults


def grant(ledger: Ledger, by: Connection, *members: UUID) -> UUID:
    return ledger.override(*members, by=by)


@pytest.mark.parametrize("missing", [None, NO_SOURCE_LOCKS])
def test_an_override_is_granted_while_somebody_joins_a_member(ledger: Ledger, room: UUID, missing: str | None) -> None:
    algebra, geometry = ledger.meeting("Algebra", room), ledger.meeting("Geometry")
    ann = ledger.person()
    ledger.weaken(*filter(None, [missing]))
    outcome = ledger.collide(
        lambda by: add_participants(by, algebra, ann), lambda by: grant(ledger, by, algebra, geometry)
    )
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)


def test_an_override_is_granted_while_a_member_moves(ledger: Ledger, room: UUID) -> None:
    algebra, geometry = ledger.meeting("Algebra", room), ledger.meeting("Geometry")
    outcome = ledger.collide(lambda by: by.execute(MOVE, [algebra]), lambda by: grant(ledger, by, algebra, geometry))
    assert outcome.waited
    assert outcome.error is None
    assert ledger.faults() == []


def test_a_member_moves_while_an_override_is_granted(ledger: Ledger, room: UUID) -> None:
    algebra, geometry = (
        ledger.meeting("Algebra", room),
        ledger.meeting("Geometry", room, start_time="10:00", end_time="11:00"),
    )
    outcome = ledger.collide(
        lambda by: grant(ledger, by, algebra, geometry),
        lambda by: by.execute(
            "update public.meetings set start_time = '10:00', end_time = '11:00' where id = %s", [algebra]
        ),
    )
    assert outcome.waited
    assert outcome.error is None
    assert len({start for meeting in (algebra, geometry) for _, start, _ in ledger.claims_of(meeting)}) == 1
    assert ledger.faults() == []


@pytest.mark.parametrize("missing", [None, KEEP_ALL])
def test_two_groups_want_one_happening(ledger: Ledger, room: UUID, missing: str | None) -> None:
    hours = [("09:00", "10:00"), ("10:00", "11:00"), ("11:00", "12:00")]
    first, shared, last = (
        ledger.meeting(f"Part {n}", room, start_time=a, end_time=b) for n, (a, b) in enumerate(hours)
    )
    if missing is not None:
        ledger.weaken(missing, NO_KEY)
    outcome = ledger.collide(lambda by: grant(ledger, by, first, shared), lambda by: grant(ledger, by, shared, last))
    if missing is None:
        assert outcome.waited
        assert outcome.refusal.code == "duplicate"
        assert outcome.refusal.details["source_id"] == str(shared)
        assert ledger.one("select count(*) from public.overrides") == 1
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, NO_MEMBERSHIP_LOCKS])
@pytest.mark.parametrize("how", ["revoked", "shortened", "deleted"])
def test_an_override_ends_while_what_it_named_is_written(
    ledger: Ledger, room: UUID, how: str, missing: str | None
) -> None:
    """Members may be named before they are there: then only they themselves can be waited for."""
    named = [uuid4(), uuid4()]
    override = ledger.override(*named)
    end = {
        "revoked": "select public.revoke_override(%s)",
        "shortened": "update public.overrides set expires_at = granted_at + interval '1 hour' where id = %s",
        "deleted": "delete from public.overrides where id = %s",
    }[how]

    def write(by: Connection) -> None:
        for meeting in named:
            ledger.meeting("Choir", room, by=by, id=meeting)

    ledger.weaken(*filter(None, [missing]))
    outcome = ledger.collide(lambda by: by.execute(end.encode(), [override]), write)
    assert outcome.waited == (missing is None)
    if missing is None:
        assert outcome.code == "time_conflict"
    judge(ledger, missing)


@pytest.mark.parametrize("how", ["revoked", "shortened"])
def test_an_override_ends_while_a_member_moves(ledger: Ledger, room: UUID, how: str) -> None:
    """In either order, and however it ends, nobody deadlocks."""
    end = {
        "revoked": "select public.revoke_override(%s)",
        "shortened": "update public.overrides set expires_at = granted_at + interval '1 hour' where id = %s",
    }[how]
    for moved_first in (True, False):
        algebra = ledger.meeting("Algebra", room)
        geometry = ledger.meeting("Geometry", room, start_time="10:00", end_time="11:00")
        override = ledger.override(algebra, geometry)

        def move(by: Connection, meeting: UUID = algebra) -> None:
            by.execute("update public.meetings set start_time = '10:00', end_time = '11:00' where id = %s", [meeting])

        def stop(by: Connection, group: UUID = override) -> None:
            by.execute(end.encode(), [group])

        outcome = ledger.collide(*((move, stop) if moved_first else (stop, move)))
        assert outcome.waited
        # Whoever comes second meets the other.
        assert outcome.code == "time_conflict"
        assert ledger.faults() == []
        ledger.db.execute("delete from public.meetings")


@pytest.mark.parametrize("missing", [None, TABLE_BY_TABLE])
def test_a_group_over_two_tables_while_its_rule_changes(ledger: Ledger, room: UUID, missing: str | None) -> None:
    meeting = ledger.meeting("Exam", room, start_time="11:00", end_time="12:00")
    rule = ledger.rule("Yoga", room)
    ledger.weaken(*filter(None, [missing]))
    grant_both = (
        "with o as (insert into public.overrides (reason) values ('Both') returning id) "
        "insert into public.override_members (override_id, source_table, source_id) "
        "select o.id, t.source_table, t.source_id from o, "
        "(values ('meetings', %s::uuid), ('weekly_rules', %s::uuid)) t(source_table, source_id)"
    )
    outcomes = ledger.pile_up(
        lambda by: by.execute("select from public.resources where id = %s for no key update", [room]),
        lambda by: by.execute(grant_both, [meeting, rule]),
        lambda by: by.execute("update public.weekly_rules set start_time = '08:00' where id = %s", [rule]),
    )
    assert all(outcome.waited for outcome in outcomes)
    assert {outcome.code for outcome in outcomes} == ({None} if missing is None else {None, DEADLOCK})
    assert ledger.faults() == []


def test_what_an_ended_override_named_may_be_named_again(ledger: Ledger, room: UUID) -> None:
    algebra, geometry = ledger.meeting("Algebra", room), ledger.meeting("Geometry")
    first = ledger.override(algebra, geometry)
    outcome = ledger.attempt(lambda by: grant(ledger, by, algebra, geometry))
    assert outcome.code == "duplicate"
    ledger.db.execute("select public.revoke_override(%s)", [first])
    second = grant(ledger, ledger.db, algebra, geometry)
    ledger.db.execute("insert into public.meeting_participants values (%s, %s)", [geometry, room])
    assert ledger.one("select array_agg(distinct share_key) from public.claims") == [second]
    assert ledger.faults() == []


@pytest.mark.parametrize("table", ["meetings", "weekly_rules"])
def test_the_id_of_a_deleted_member_is_allowed_nothing(ledger: Ledger, room: UUID, table: str) -> None:
    make = ledger.meeting if table == "meetings" else ledger.rule
    one, other = make("One", room), make("Other")
    ledger.override(one, other, table=table)
    ledger.db.execute(f"delete from public.{table} where id = %s".encode(), [other])
    assert ledger.attempt(lambda by: make("Third", room, by=by, id=other)).code == "time_conflict"
