"""Weekly rules and the horizon: whichever comes first, every promised date is claimed, and nothing else.

Each race runs as built and again without a guard, where the fault it keeps away must show.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.ledger import NO_RESOURCE_LOCKS, Connection, Ledger

Change = Callable[[Connection], Any]
RULES_READ_TOO_EARLY = "rules are read in the statement that takes the lock"


@pytest.fixture
def room(ledger: Ledger) -> UUID:
    return ledger.place()


def extend(ledger: Ledger, room: UUID, weeks: int = 3) -> Change:
    """A change that moves the room's horizon on."""
    until = ledger.horizon(room) + timedelta(weeks=weeks)
    return lambda by: by.execute("select public.extend_horizon(array[%s]::uuid[], %s)", [room, until])


def weaken(ledger: Ledger, guard: str | None) -> None:
    """Takes a guard away: SQL that replaces it, or the one that needs a function rewritten."""
    if guard == RULES_READ_TOO_EARLY:
        function = "private.claim_up_to_horizon()"
        ledger.rewrite(function, "perform private.lock_resources(v_ids);", "")
        ledger.rewrite(
            function,
            "order by lower(c.during), h.resource_id, r.id",
            "where (select count(*) from (select private.lock_resources(v_ids)) l) = 1 "
            "order by lower(c.during), h.resource_id, r.id",
        )
        # A reader's own lock would come before the statement as well.
        ledger.rewrite(
            "private.extend_horizon_of(uuid[],timestamptz)", "perform private.lock_resources(p_resource_ids);", ""
        )
    elif guard is not None:
        ledger.weaken(guard)


def judge(ledger: Ledger, guard: str | None) -> None:
    """As built there are no faults; without the guard there are."""
    faults = ledger.faults()
    assert (faults == []) == (guard is None), faults


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS, RULES_READ_TOO_EARLY])
def test_a_rule_is_made_and_then_the_horizon_moves(ledger: Ledger, room: UUID, missing: str | None) -> None:
    weaken(ledger, missing)
    outcome = ledger.collide(lambda by: ledger.rule("Yoga", room, by=by), extend(ledger, room))
    assert outcome.error is None
    assert outcome.waited == (missing != NO_RESOURCE_LOCKS)
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS])
def test_the_horizon_moves_and_then_a_rule_is_made(ledger: Ledger, room: UUID, missing: str | None) -> None:
    weaken(ledger, missing)
    outcome = ledger.collide(extend(ledger, room), lambda by: ledger.rule("Yoga", room, by=by))
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS])
@pytest.mark.parametrize(
    "change",
    [
        "delete from public.weekly_rules where id = %s",
        "update public.weekly_rules set start_time = '08:00' where id = %s",
        "update public.weekly_rules set effective = daterange(lower(effective), lower(effective) + 20) where id = %s",
        "delete from public.weekly_rule_resources where rule_id = %s",
    ],
    ids=["deleted", "moved", "ended", "left"],
)
def test_a_rule_changes_and_then_the_horizon_moves(
    ledger: Ledger, room: UUID, change: str, missing: str | None
) -> None:
    rule = ledger.rule("Yoga", room)
    weaken(ledger, missing)
    outcome = ledger.collide(lambda by: by.execute(change.encode(), [rule]), extend(ledger, room))
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS])
def test_the_horizon_moves_and_then_a_rule_changes(ledger: Ledger, room: UUID, missing: str | None) -> None:
    rule = ledger.rule("Yoga", room)
    weaken(ledger, missing)
    outcome = ledger.collide(
        extend(ledger, room),
        lambda by: by.execute("update public.weekly_rules set start_time = '08:00' where id = %s", [rule]),
    )
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)


def first_date_beyond(ledger: Ledger, room: UUID) -> date:
    found: date = ledger.one(
        "select min(d)::date from generate_series(%s::date, %s::date + 1500, interval '7 days') d where d > %s",
        ledger.day,
        ledger.day,
        ledger.horizon(room),
    )
    return found


CANCEL = "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind) values (%s, %s, 'cancelled')"


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS])
@pytest.mark.parametrize("cancelled_first", [True, False])
def test_a_date_is_cancelled_while_the_horizon_reaches_it(
    ledger: Ledger, room: UUID, cancelled_first: bool, missing: str | None
) -> None:
    rule = ledger.rule("Yoga", room)
    beyond = first_date_beyond(ledger, room)

    def cancel(by: Connection) -> None:
        by.execute(CANCEL, [rule, beyond])

    weaken(ledger, missing)
    outcome = ledger.collide(*((cancel, extend(ledger, room)) if cancelled_first else (extend(ledger, room), cancel)))
    assert outcome.error is None
    assert outcome.waited == (missing is None)
    judge(ledger, missing)


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_two_rules_that_meet_only_beyond_the_horizon(
    ledger: Ledger, room: UUID, zone: str, missing: str | None
) -> None:
    beyond = first_date_beyond(ledger, room)
    weaken(ledger, missing)
    # Half past eight in the morning in UTC is half past five in the afternoon in Tokyo.
    times = {"UTC": ("08:30", "09:30"), "Asia/Tokyo": ("17:30", "18:30")}[zone]
    outcome = ledger.collide(
        lambda by: ledger.rule("Yoga", room, by=by, effective=f"[{beyond},)"),
        lambda by: ledger.rule(
            "Choir", room, by=by, effective=f"[{beyond},)", time_zone=zone, start_time=times[0], end_time=times[1]
        ),
    )
    assert outcome.waited == (missing is None)
    if missing is None:
        assert outcome.refusal.code == "time_conflict"
        assert "Yoga" in outcome.refusal.message
        [conflict] = outcome.refusal.details["conflicts"]
        assert conflict["conflicts_with"]["title"] == "Yoga"
    judge(ledger, missing)


def test_a_horizon_somebody_writes_to_is_left_for_the_next_run(ledger: Ledger, room: UUID) -> None:
    other = ledger.place()
    ledger.db.execute("update public.settings set value = '500' where key = 'ledger_horizon_days'")
    holder = ledger.database.connect(autocommit=False)
    ledger.rule("Yoga", room, by=holder)
    assert ledger.one("select private.extend_horizons()") == 1
    assert ledger.horizon(other) > ledger.horizon(room)
    holder.commit()
    assert ledger.one("select private.extend_horizons()") == 1
    assert ledger.one("select private.extend_horizons()") == 0
    assert ledger.horizon(room) > ledger.horizon(other)
    assert ledger.faults() == []


def test_a_horizon_cannot_be_written_anew(ledger: Ledger, room: UUID) -> None:
    """Deleted and inserted further on, it would skip what rules promise in between."""

    def replace(by: Connection) -> None:
        with by.transaction():
            until = ledger.horizon(room) + timedelta(weeks=10)
            by.execute("delete from public.resource_horizons where resource_id = %s", [room])
            by.execute("insert into public.resource_horizons values (%s, %s)", [room, until])

    ledger.rule("Yoga", room)
    with pytest.raises(psycopg.Error, match="stays as long as its resource"):
        replace(ledger.db)
    ledger.weaken("drop trigger t20_keep on public.resource_horizons")
    ledger.weaken("drop trigger t50_claims_insert on public.resource_horizons")
    replace(ledger.db)
    assert {kind for kind, _ in ledger.faults()} == {"missing claim"}
