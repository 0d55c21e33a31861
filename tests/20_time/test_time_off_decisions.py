"""Deciding about time off: who does, what the person is needed for, and that no door leads around the states."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support.calls import call, read_refusal, refused
from tests.support.identity import User, as_user
from tests.support.server import Database
from tests.support.time_off import Db, Row, cancel, covers, decide, meet, request, status_of
from tests.support.waiting import until_blocked
from tests.support.world import World


def test_approving_is_refused_while_the_person_is_needed(db: Db, ana: User, boss: User, day: date) -> None:
    lesson = meet(db, [ana.profile_id], day)
    meet(db, [ana.profile_id], day + timedelta(days=1), "Talk")
    [row, _] = request(db, ana, ana.profile_id, day, p_ends_on=day + timedelta(days=1))
    with refused("time_conflict") as refusal:
        decide(db, boss, row["id"])
    assert refusal.message == f"Ana is needed then: Lesson, {day} 10:00–11:00 UTC (and 1 more)"
    assert refusal.details["count"] == 2
    conflict = refusal.details["conflicts"][0]
    assert (conflict["source_table"], conflict["source_id"]) == ("time_off", str(row["id"]))
    assert conflict["conflicts_with"]["source_id"] == str(lesson)
    assert "keep" in (refusal.hint or "")
    assert status_of(db, row["id"]) == "requested"
    assert covers(db) == []
    with refused("time_conflict"):
        db.execute("update public.time_off set status = 'approved' where id = %s", [row["id"]])


def test_what_is_kept_is_flagged_for_cover(db: Db, ana: User, boss: User, day: date) -> None:
    meet(db, [ana.profile_id], day)
    rule = call(
        db, None, "create_weekly_rule", p_title="Yoga", p_resource_ids=[ana.profile_id],
        p_weekday=(day.weekday() + 1) % 7, p_start_time="18:00", p_end_time="19:00",
    )[0]["id"]  # fmt: skip
    request_rows = request(db, ana, ana.profile_id, day, p_ends_on=day + timedelta(days=8))
    rows = decide(db, boss, request_rows[0]["id"], p_claims="keep", p_note="Ben can take some")
    assert [(r["status"], r["title"], r["occurs_on"]) for r in rows] == [
        ("approved", "Lesson", day), ("approved", "Yoga", day), ("approved", "Yoga", day + timedelta(days=7)),
    ]  # fmt: skip
    assert covers(db) == [
        ("meetings", day, "open"), ("weekly_rules", day, "open"), ("weekly_rules", day + timedelta(days=7), "open"),
    ]  # fmt: skip
    assert db.execute(
        "select decided_by, note, keeps_claims, decided_at is not null from public.time_off"
    ).fetchone() == (boss.id, "Ben can take some", True, True)
    # Cover for a recurring one names the rule and its date.
    assert db.execute(
        "select count(*) from public.cover_requests where source_id = %s and resource_id = %s", [rule, ana.profile_id]
    ).fetchone() == (2,)


def test_what_a_rule_promises_beyond_the_horizon_is_flagged_too(db: Db, ana: User, boss: User) -> None:
    [until] = (
        db.execute(
            "select (claimed_until at time zone 'UTC')::date from public.resource_horizons where resource_id = %s",
            [ana.profile_id],
        ).fetchone()
        or []
    )
    far = until + timedelta(days=30)
    call(
        db, None, "create_weekly_rule", p_title="Yoga", p_resource_ids=[ana.profile_id],
        p_weekday=(far.weekday() + 1) % 7, p_start_time="18:00", p_end_time="19:00",
    )  # fmt: skip
    [row] = request(db, ana, ana.profile_id, far)
    assert (row["title"], row["occurs_on"]) == ("Yoga", far)
    decide(db, boss, row["id"], p_claims="keep")
    assert covers(db) == [("weekly_rules", far, "open")]
    # Around the horizon nothing is listed twice and nothing is left out.
    around = request(db, ana, ana.profile_id, until - timedelta(days=14), p_ends_on=until + timedelta(days=14))
    dates = [r["occurs_on"] for r in around]
    assert dates == sorted(set(dates))
    assert [b - a for a, b in pairwise(dates)] == [timedelta(days=7)] * (len(dates) - 1)
    assert len(dates) >= 4


def test_refusing_and_approving_without_claims(db: Db, ana: User, boss: User, day: date) -> None:
    [one], [two] = request(db, ana, ana.profile_id, day), request(db, ana, ana.profile_id, day + timedelta(days=1))
    [refused_row] = decide(db, boss, one["id"], "refused", p_note="Exams")
    assert (refused_row["status"], refused_row["version"]) == ("refused", 2)
    [approved] = decide(db, boss, two["id"])
    assert (approved["status"], approved["source_id"]) == ("approved", None)
    meet(db, [ana.profile_id], day)  # a refused request keeps nobody away
    [late] = request(db, ana, ana.profile_id, day)
    [row] = decide(db, boss, late["id"], "refused", p_claims="keep")
    assert (row["status"], row["source_id"]) == ("refused", None)
    assert covers(db) == []


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"p_decision": "maybe"}, {"p_decision"}),
        ({"p_decision": "cancelled"}, {"p_decision"}),
        ({"p_claims": "drop", "p_decision": None, "p_note": "x" * 1001}, {"p_claims", "p_decision", "p_note"}),
        ({"p_id": None}, {"p_id"}),
    ],
)
def test_a_bad_decision_names_every_field(db: Db, boss: User, arguments: Row, fields: set[str]) -> None:
    with refused("invalid_input") as refusal:
        call(db, boss, "decide_time_off", **{"p_id": uuid4(), "p_decision": "approved", **arguments})
    assert refusal.fields == fields


def test_only_deciders_decide_and_only_admins_their_own(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    [row] = request(db, ana, ana.profile_id, day)
    for stranger in (ana, *(world.user(role) for role in ("instructor", "staff", "member", None))):
        with refused("forbidden"):
            decide(db, stranger, row["id"])
        with refused("forbidden"):
            decide(db, stranger, row["id"], "refused")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        decide(db, "anon", row["id"])
    [of_boss] = request(db, boss, boss.profile_id, day)
    with refused("forbidden") as refusal:
        decide(db, boss, of_boss["id"])
    assert "your own" in refusal.message
    decide(db, world.user("manager"), of_boss["id"])
    admin = world.user("admin")
    [of_admin] = request(db, admin, admin.profile_id, day)
    decide(db, admin, of_admin["id"])
    decide(db, "service_role", row["id"])
    with refused("not_found"):
        decide(db, boss, uuid4())


def test_cancelling(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    meet(db, [ana.profile_id], day)
    [row] = request(db, ana, ana.profile_id, day)
    for stranger in (world.user("instructor"), world.user("staff"), world.user(None)):
        with refused("not_found"):
            cancel(db, stranger, row["id"])
    decide(db, boss, row["id"], p_claims="keep", p_note="Have fun")
    [gone] = cancel(db, ana, row["id"])
    assert (gone["status"], gone["note"], gone["keeps_claims"]) == ("cancelled", "Have fun", True)
    assert covers(db) == [("meetings", day, "dropped")]
    [other] = request(db, ana, ana.profile_id, day)
    [gone] = cancel(db, boss, other["id"], p_note="Withdrawn on the phone")
    assert (gone["status"], gone["note"], gone["decided_at"]) == ("cancelled", "Withdrawn on the phone", None)
    with refused("invalid_input") as refusal:
        cancel(db, ana, None, p_note="x" * 1001)
    assert refusal.fields == {"p_id", "p_note"}


def test_time_off_that_has_begun_is_cancelled_by_deciders_only(db: Db, ana: User, boss: User) -> None:
    [today] = db.execute("select private.today()").fetchone() or []
    [row] = request(db, ana, ana.profile_id, today)
    decide(db, boss, row["id"])
    with refused("forbidden"):
        cancel(db, ana, row["id"])
    assert cancel(db, boss, row["id"])[0]["status"] == "cancelled"
    [asked] = request(db, ana, ana.profile_id, today)
    assert cancel(db, ana, asked["id"])[0]["status"] == "cancelled"


STATES = ("requested", "approved", "refused", "cancelled")


LEGAL = {("requested", "approved"), ("requested", "refused"), ("requested", "cancelled"), ("approved", "cancelled")}


@pytest.mark.parametrize("was", STATES)
@pytest.mark.parametrize("becomes", STATES)
def test_no_door_leads_around_the_states(
    db: Db, world: World, ana: User, boss: User, day: date, was: str, becomes: str
) -> None:
    off = world.insert("public.time_off", resource_id=ana.profile_id, starts_on=day).id
    if was != "requested":
        db.execute("update public.time_off set status = %s where id = %s", [was, off])
    by_function: Callable[[], Any] = partial(decide, db, boss, off, becomes)
    if becomes == "cancelled":
        by_function = partial(cancel, db, boss, off)
    in_sql: Callable[[], Any] = partial(
        db.execute, "update public.time_off set status = %s where id = %s", [becomes, off]
    )
    for attempt in (by_function,) if was == becomes else (in_sql, by_function):
        if (was, becomes) in LEGAL:
            with db.transaction(force_rollback=True):
                attempt()
                assert status_of(db, off) == becomes
        else:
            no_decision = becomes == "requested" and attempt is by_function
            with refused("invalid_input" if no_decision else "illegal_transition"):
                attempt()
            assert status_of(db, off) == was


def test_nothing_is_born_decided(db: Db, world: World, ana: User, day: date) -> None:
    for status in ("approved", "refused", "cancelled"):
        with refused("illegal_transition"):
            world.insert("public.time_off", resource_id=ana.profile_id, starts_on=day, status=status)
    row = world.insert(
        "public.time_off", resource_id=ana.profile_id, starts_on=day, decided_at="2024-01-01T00:00Z",
        during="[2020-01-01,2020-01-02)",
    )  # fmt: skip
    assert row.decided_at is None
    assert row.during.lower.year == day.year


def test_what_was_decided_keeps_its_dates(db: Db, ana: User, boss: User, day: date) -> None:
    [row] = request(db, ana, ana.profile_id, day)
    db.execute("update public.time_off set ends_on = ends_on + 1 where id = %s", [row["id"]])
    assert db.execute("select upper(during) - lower(during) from public.time_off").fetchone() == (timedelta(days=2),)
    decide(db, boss, row["id"])
    for change in ("ends_on = ends_on + 1", "start_time = '12:00'", "time_zone = 'Asia/Tokyo'"):
        with refused("illegal_transition"):
            db.execute(f"update public.time_off set {change} where id = %s", [row["id"]])
    db.execute(
        "update public.time_off set reason = null, during = '[2020-01-01,2020-01-02)' where id = %s", [row["id"]]
    )
    assert db.execute("select lower(during) > '2021-01-01' from public.time_off").fetchone() == (True,)


def test_two_who_decide_at_once_decide_once(
    database: Database, db: Db, world: World, ana: User, boss: User, day: date
) -> None:
    [row] = request(db, ana, ana.profile_id, day)
    first, second, other = database.connect(), database.connect(), world.user("manager")

    def run(connection: Db, caller: User, decision: str) -> None:
        with as_user(connection, caller):
            connection.execute("select from public.decide_time_off(%s, %s)", [row["id"], decision])

    with ThreadPoolExecutor(1) as pool:
        with first.transaction():
            run(first, boss, "refused")
            running = pool.submit(run, second, other, "approved")
            until_blocked(db, second)
        with pytest.raises(psycopg.Error) as caught:
            running.result(60)
    assert read_refusal(caught.value).code == "illegal_transition"
    assert db.execute("select status, decided_by from public.time_off").fetchone() == ("refused", boss.id)
