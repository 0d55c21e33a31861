"""A happening and what belongs to it, changed by two transactions at once.

Each race runs as built and again without a guard, where the fault it keeps away must show.
"""

from __future__ import annotations

from datetime import time, timedelta
from uuid import UUID

import pytest

from tests.support.ledger import NO_SOURCE_LOCKS, Connection, Ledger, add_participants

MOVE = "update public.meetings set start_time = '14:00', end_time = '15:00' where id = %s"
CANCEL = "update public.meetings set status = 'cancelled' where id = %s"
DELETE = "delete from public.meetings where id = %s"
NO_CONSTRAINT = "alter table public.claims drop constraint nobody_is_in_two_places"
LOOK_THEN_INSERT = """
create or replace function private.take_over(
  p_source_table text, p_source_ids uuid[], p_rule_ids uuid[], p_dates date[], p_resource_ids uuid[] default '{}',
  p_cancelled_too boolean default false
) returns void language plpgsql as $$
begin
  if exists (
    select from unnest(p_rule_ids, p_dates) as t(rule_id, occurs_on)
    join public.weekly_rule_exceptions e using (rule_id, occurs_on)
  ) then
    perform private.fail('time_conflict', 'Somebody took it over', 'occurs_on');
  end if;
  insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, taken_by_table, taken_by_id)
  select t.rule_id, t.occurs_on, 'taken_over', p_source_table, t.source_id
  from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
  on conflict (rule_id, occurs_on) do nothing;
end;
$$
"""
# What claims are derived from by somebody who trusts a trigger's transition table to hold the rows as they are.
FROM_TRANSITION_ROWS = """
create or replace function private.follow_source() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and tg_table_name = 'meetings' then
    update public.claims c set during = tstzrange(n.starts_at, n.ends_at)
    from new_rows n where c.source_id = n.id;
  end if;
  return null;
end;
$$
"""


def judge(ledger: Ledger, guard: str | None) -> None:
    """As built there are no faults; without the guard there are."""
    faults = ledger.faults()
    assert (faults == []) == (guard is None), faults


@pytest.fixture
def ann(ledger: Ledger) -> UUID:
    return ledger.person("Ann")


@pytest.mark.parametrize("missing", [None, NO_SOURCE_LOCKS])
@pytest.mark.parametrize("change", [MOVE, CANCEL], ids=["moved", "cancelled"])
def test_a_meeting_changes_while_a_participant_is_added(
    ledger: Ledger, ann: UUID, change: str, missing: str | None
) -> None:
    meeting = ledger.meeting("Algebra", ledger.place())
    ledger.weaken(*filter(None, [missing]))
    outcome = ledger.collide(
        lambda by: by.execute(change.encode(), [meeting]), lambda by: add_participants(by, meeting, ann)
    )
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)
    if missing is None:
        assert len({start for _, start, _ in ledger.claims_of(meeting)}) == (1 if change == MOVE else 0)


@pytest.mark.parametrize("missing", [None, NO_SOURCE_LOCKS])
@pytest.mark.parametrize("change", [MOVE, CANCEL], ids=["moved", "cancelled"])
def test_a_participant_is_added_while_the_meeting_changes(
    ledger: Ledger, ann: UUID, change: str, missing: str | None
) -> None:
    meeting = ledger.meeting("Algebra", ledger.place())
    ledger.weaken(*filter(None, [missing]))
    outcome = ledger.collide(
        lambda by: add_participants(by, meeting, ann), lambda by: by.execute(change.encode(), [meeting])
    )
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)


@pytest.mark.parametrize("added_first", [True, False])
def test_a_meeting_is_deleted_while_a_participant_is_added(ledger: Ledger, ann: UUID, added_first: bool) -> None:
    """The foreign key waits on its own account; what matters is that no claim stays behind."""
    meeting = ledger.meeting("Algebra", ledger.place())

    def add(by: Connection) -> None:
        add_participants(by, meeting, ann)

    def delete(by: Connection) -> None:
        by.execute(DELETE, [meeting])

    outcome = ledger.collide(*((add, delete) if added_first else (delete, add)))
    assert outcome.waited
    assert outcome.code == (None if added_first else "23503")
    assert ledger.claims_of(meeting) == []
    assert ledger.faults() == []


@pytest.mark.parametrize("missing", [None, NO_SOURCE_LOCKS])
def test_a_rule_moves_while_somebody_joins_it(ledger: Ledger, ann: UUID, missing: str | None) -> None:
    rule = ledger.rule("Yoga")
    ledger.weaken(*filter(None, [missing]))
    outcome = ledger.collide(
        lambda by: by.execute("update public.weekly_rules set start_time = '08:00' where id = %s", [rule]),
        lambda by: by.execute("insert into public.weekly_rule_resources values (%s, %s)", [rule, ann]),
    )
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, FROM_TRANSITION_ROWS])
def test_claims_follow_the_live_row(ledger: Ledger, ann: UUID, missing: str | None) -> None:
    """A trigger of somebody else's changes the row again before the claims are derived."""
    meeting = ledger.meeting("Algebra", ann)
    ledger.weaken(
        """
        create function public.lengthen() returns trigger language plpgsql as $$
        begin
          update public.meetings set end_time = '16:30' where id = new.id;
          return null;
        end;
        $$
        """,
        "create trigger a_lengthen after update on public.meetings for each row when (new.end_time = '15:00') "
        "execute function public.lengthen()",
        *filter(None, [missing]),
    )
    ledger.db.execute(MOVE, [meeting])
    judge(ledger, missing)
    if missing is None:
        [(_, start, end)] = ledger.claims_of(meeting)
        assert end - start == timedelta(hours=2, minutes=30)


@pytest.mark.parametrize("missing", [None, NO_CONSTRAINT])
def test_a_date_is_restored_while_its_time_is_taken(ledger: Ledger, missing: str | None) -> None:
    room = ledger.place("Hall")
    rule = ledger.rule("Yoga", room)
    ledger.db.execute("select public.cancel_occurrence(%s, %s)", [rule, ledger.day])
    ledger.weaken(*filter(None, [missing]))
    outcome = ledger.collide(
        lambda by: by.execute("select public.restore_occurrence(%s, %s)", [rule, ledger.day]),
        lambda by: ledger.meeting("Exam", room, by=by, start_time="09:30", end_time="11:00"),
    )
    assert outcome.waited == (missing is None)
    if missing is None:
        assert outcome.refusal.code == "time_conflict"
        assert outcome.refusal.message.startswith("Hall is already in Yoga, ")
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, NO_CONSTRAINT])
def test_a_time_is_taken_while_its_date_is_restored(ledger: Ledger, missing: str | None) -> None:
    room = ledger.place("Hall")
    rule = ledger.rule("Yoga", room)
    ledger.db.execute("select public.cancel_occurrence(%s, %s)", [rule, ledger.day])
    ledger.weaken(*filter(None, [missing]))
    outcome = ledger.collide(
        lambda by: ledger.meeting("Exam", room, by=by, start_time="09:30", end_time="11:00"),
        lambda by: by.execute("select public.restore_occurrence(%s, %s)", [rule, ledger.day]),
    )
    assert outcome.waited == (missing is None)
    if missing is None:
        assert outcome.refusal.message.startswith("Hall is already in Exam, ")
        assert ledger.one("select kind from public.weekly_rule_exceptions") == "cancelled"
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, LOOK_THEN_INSERT])
def test_one_taker_wins(ledger: Ledger, ann: UUID, missing: str | None) -> None:
    rule = ledger.rule("Yoga", ann)
    ledger.weaken(*filter(None, [missing]))
    substitutes = [ledger.person("Ben"), ledger.person("Cat")]

    def take_over(by: Connection, who: UUID) -> None:
        ledger.meeting("Yoga", who, by=by, rule_id=rule, occurs_on=ledger.day)

    outcome = ledger.collide(lambda by: take_over(by, substitutes[0]), lambda by: take_over(by, substitutes[1]))
    assert outcome.waited
    if missing is None:
        assert outcome.refusal.code == "time_conflict"
        assert outcome.refusal.details["kind"] == "taken_over"
        winner = ledger.one("select id from public.meetings")
        assert outcome.refusal.details["taken_by_id"] == str(winner)
        assert [who for who, _, _ in ledger.claims_of(winner)] == substitutes[:1]
    judge(ledger, missing)


def test_the_date_of_a_taker_is_not_given_away(ledger: Ledger, ann: UUID) -> None:
    rule = ledger.rule("Yoga", ann)
    ben = ledger.person("Ben")
    meeting = ledger.meeting("Yoga", ben, rule_id=rule, occurs_on=ledger.day)
    delete = "delete from public.weekly_rule_exceptions where rule_id = %s"
    assert ledger.attempt(lambda by: by.execute(delete, [rule])).code == "illegal_transition"
    cancel = (
        "update public.weekly_rule_exceptions set kind = 'cancelled', taken_by_table = null, taken_by_id = null "
        "where rule_id = %s"
    )
    assert ledger.attempt(lambda by: by.execute(cancel, [rule])).code == "illegal_transition"
    # Moved to another of the rule's dates, it gives the first one back.
    week_later = ledger.day + timedelta(days=7)
    ledger.db.execute(
        "update public.meetings set occurs_on = %s, date = %s where id = %s", [week_later, week_later, meeting]
    )
    assert ledger.faults() == []
    dates = {row[0] for row in ledger.db.execute("select occurs_on from public.claims where source_id = %s", [rule])}
    assert ledger.day in dates
    assert week_later not in dates
    # And what it gave back has to be free.
    ledger.meeting("Concert", ann, start_time=time(9, 30), date=week_later)
    outcome = ledger.attempt(
        lambda by: by.execute("update public.meetings set rule_id = null where id = %s", [meeting])
    )
    assert outcome.refusal.message.startswith("Ann is already in Concert")
    # The rule gone, the stand-in stays.
    ledger.db.execute("delete from public.weekly_rules where id = %s", [rule])
    assert ledger.one("select rule_id is null from public.meetings where id = %s", meeting)
    assert ledger.faults() == []
