"""Many happenings at once against many others: somebody wins, nobody deadlocks.

Each race runs as built and again without the locks on resources, where the deadlock must show.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.support.crowd import compete
from tests.support.ledger import NO_RESOURCE_LOCKS, Connection, Ledger, add_participants

DEADLOCK = "40P01"


@pytest.fixture(autouse=True)
def _deadlocks_are_found_at_once(ledger: Ledger) -> None:
    with ledger.database.connect(admin=True) as admin:
        admin.execute(f"alter database {ledger.database.name} set deadlock_timeout = '20ms'".encode())
    ledger.db.close()
    ledger.db = ledger.database.connect()


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS])
def test_a_participant_is_exchanged_beside_a_meeting_of_both(ledger: Ledger, missing: str | None) -> None:
    """One leaves what the other waits for, and wants what the other holds: with both rooms locked, nobody does."""
    gate, low, high = ledger.places(3)
    moving = ledger.meeting("Algebra", high)
    both = ledger.meeting("Geometry")
    ledger.weaken(*filter(None, [missing]))
    exchange = (
        "with gone as (delete from public.meeting_participants where meeting_id = %(meeting)s) "
        "insert into public.meeting_participants select %(meeting)s, u from unnest(%(rooms)s::uuid[]) u"
    )
    exchanged, added = ledger.pile_up(
        # Somebody is about to take the first room the exchange wants, and gives up.
        lambda by: ledger.meeting("Choir", gate, by=by),
        lambda by: by.execute(exchange, {"meeting": moving, "rooms": [gate, low]}),
        lambda by: add_participants(by, both, low, high),
        gives_up=True,
    )
    if missing is None:
        assert exchanged.error is None
        assert added.refusal.code == "time_conflict"
        assert [conflict["resource_id"] for conflict in added.refusal.details["conflicts"]] == [str(low)]
    else:
        assert DEADLOCK in (exchanged.code, added.code)
    assert ledger.faults() == []


def among_few_slots(ledger: Ledger) -> Callable[[Connection, random.Random], None]:
    """Each call moves all meetings of a group, in any order, to other rooms and hours."""
    rooms, day = ledger.places(4), ledger.day
    groups: list[list[UUID]] = []
    for group in range(6):
        groups.append(
            [
                ledger.meeting(f"Group {group}", *random.Random(group).sample(rooms, 2), date=day, start_time=f"{hour}:00", end_time=f"{hour}:45")  # noqa: S311
                for hour in (7 + 2 * group, 8 + 2 * group)
            ]
        )  # fmt: skip

    def move(by: Connection, chance: random.Random) -> None:
        group = chance.choice(groups)
        with by.transaction():
            by.execute("select from public.meetings where id = any(%s) order by id for no key update", [group])
            by.execute(
                "update public.meetings m set start_time = t.starts, end_time = t.starts + interval '45 minutes' "
                "from unnest(%s::uuid[], %s::time[]) t(id, starts) where m.id = t.id",
                [group, [f"{chance.randrange(7, 19):02}:00" for _ in group]],
            )

    return move


def shuffled_imports(ledger: Ledger) -> Callable[[Connection, random.Random], None]:
    """Each call writes ten meetings of two participants in one statement each, in any order, and takes them away."""
    rooms, day = ledger.places(6), ledger.day

    def write(by: Connection, chance: random.Random) -> None:
        hours = chance.sample(range(6, 20), 5)
        with by.transaction():
            meetings = [
                row[0]
                for row in by.execute(
                    "insert into public.meetings (title, date, start_time, end_time) "
                    "select 'Import', %s, make_time(h, 0, 0), make_time(h, 50, 0) from unnest(%s::int[]) h returning id",
                    [day, hours],
                ).fetchall()
            ]
            pairs = [(meeting, room) for meeting in meetings for room in chance.sample(rooms, 2)]
            chance.shuffle(pairs)
            by.execute(
                "insert into public.meeting_participants select * from unnest(%s::uuid[], %s::uuid[])",
                [[meeting for meeting, _ in pairs], [room for _, room in pairs]],
            )
        by.execute("delete from public.meetings where id = any(%s)", [meetings])

    return write


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("kind", [among_few_slots, shuffled_imports])
def test_crowds_wait_in_line(
    ledger: Ledger, kind: Callable[[Ledger], Callable[[Connection, random.Random], None]], guarded: bool
) -> None:
    work = kind(ledger)
    if not guarded:
        ledger.weaken(NO_RESOURCE_LOCKS)
        ledger.rewrite(
            "private.derive_claims(text,uuid[],boolean)",
            "order by lower(n.during), n.resource_id, n.source_id",
            "order by md5(random()::text)",
        )
    said = compete(ledger.database, 8, work)
    if guarded:
        assert set(said) <= {"", "time_conflict"}, said
        assert said[""] > 0
    else:
        assert said[DEADLOCK] > 0, said
    assert ledger.faults() == []


@pytest.mark.parametrize("missing", [None, "row by row"])
def test_many_dates_are_taken_over_from_both_ends(ledger: Ledger, missing: str | None) -> None:
    """Two substitutes' lists name the same rules in opposite order."""
    rooms = ledger.places(2)
    rules = [ledger.rule(f"Yoga {n}", room) for n, room in enumerate(rooms)]
    if missing is not None:
        ledger.weaken(
            "drop trigger t40_take_over_insert on public.meetings",
            "create function public.take_one() returns trigger language plpgsql security definer as $$ begin "
            "perform private.take_over('meetings', array[new.id], array[new.rule_id], array[new.occurs_on]); "
            "return null; end $$",
            "create trigger t40_take_over after insert on public.meetings for each row execute function public.take_one()",
        )
    write = (
        "insert into public.meetings (title, date, start_time, end_time, rule_id, occurs_on) "
        "select 'Cover', u.day, '20:00', '21:00', u.rule_id, u.day "
        "from unnest(%s::uuid[], %s::date[]) with ordinality u(rule_id, day, position) order by u.position"
    )
    dates = [ledger.one("select %s::date + 7 * %s", ledger.day, week) for week in range(4)]
    forth, back = ledger.pile_up(
        lambda by: by.execute("select from public.resources where id = %s for no key update", [rooms[0]]),
        lambda by: by.execute(write, [rules, dates[:2]]),
        lambda by: by.execute(write, [rules[::-1], dates[2:]]),
    )
    assert {forth.code, back.code} == ({None} if missing is None else {None, DEADLOCK})
    assert ledger.faults() == []


def one_week_in_many_hands(ledger: Ledger) -> Callable[[Connection, random.Random], None]:
    """Each call does one of everything that can be done with a few dates of two rules and one override."""
    rooms = ledger.places(3)
    rules = [
        ledger.rule(f"Yoga {n}", *rooms[n : n + 2], start_time=f"{9 + n}:00", end_time=f"{10 + n}:00") for n in (0, 1)
    ]
    spare = [ledger.meeting(f"Talk {n}", rooms[0], start_time=f"{14 + n}:00", end_time=f"{15 + n}:00") for n in (0, 1)]
    override = ledger.override(*spare)
    dates = [ledger.one("select %s::date + 7 * %s", ledger.day, week) for week in (0, 1)]

    def act(by: Connection, chance: random.Random) -> None:
        rule, day, meeting, room = (
            chance.choice(rules),
            chance.choice(dates),
            chance.choice(spare),
            chance.choice(rooms),
        )
        hour = chance.randrange(8, 18)
        start, end = f"{hour:02}:00", f"{hour + 1:02}:00"
        actions: list[tuple[str, list[Any]]] = [
            ("select public.cancel_occurrence(%s, %s)", [rule, day]),
            ("select public.restore_occurrence(%s, %s)", [rule, day]),
            ("select public.move_occurrence(%s, %s, %s, %s, %s)", [rule, day, chance.choice(dates), start, end]),
            ("select public.schedule_meeting('Cover', %s, %s, %s, %s, p_rule_id => %s, p_occurs_on => %s)",
             [day, start, end, chance.sample(rooms, 2), rule, day]),
            ("delete from public.meetings where id in (select id from public.meetings where title = 'Cover' order by id limit 1)", []),
            ("update public.weekly_rules set start_time = %s, end_time = %s where id = %s", [start, end, rule]),
            ("update public.meetings set start_time = %s, end_time = %s where id = %s", [start, end, meeting]),
            ("delete from public.meeting_participants where meeting_id = %s and resource_id = %s", [meeting, room]),
            ("insert into public.meeting_participants values (%s, %s) on conflict do nothing", [meeting, room]),
            ("insert into public.weekly_rule_resources values (%s, %s) on conflict do nothing", [rule, room]),
            ("delete from public.weekly_rule_resources where rule_id = %s and resource_id = %s", [rule, room]),
            ("select public.extend_horizon(%s, (select max(claimed_until) + interval '1 day' from public.resource_horizons))", [rooms]),
            ("select private.extend_horizons()", []),
            ("update public.overrides set expires_at = granted_at + %s * interval '20 days' where id = %s", [chance.randint(1, 9), override]),
            ("select public.add_closure('Fair', %s, %s, %s, true)", [day, day, room]),
        ]  # fmt: skip
        statement, arguments = chance.choice(actions)
        by.execute(statement.encode(), arguments)

    return act


def test_one_of_everything_at_once(ledger: Ledger) -> None:
    """Whatever people do with the same dates at the same moment, each is told something of ours, and nothing is left amiss."""
    said = compete(ledger.database, 8, one_week_in_many_hands(ledger), 40)
    known = {"", "time_conflict", "illegal_transition", "limit_exceeded", "invalid_input", "not_found", "in_progress"}
    assert set(said) <= known, said
    assert said[""] > 100
    assert ledger.faults() == []
