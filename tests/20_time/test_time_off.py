"""Time off: its days as instants, its life, who decides, and what becomes of what the person was needed for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, read_refusal, refused
from tests.support.identity import User, as_user
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

Db = psycopg.Connection[Any]
Row = dict[str, Any]


def request(db: Db, caller: User | str | None, resource: Any, day: date | str, **more: Any) -> list[Row]:
    return call(db, caller, "request_time_off", p_resource_id=resource, p_starts_on=day, **more)


def decide(db: Db, caller: User | str | None, time_off: Any, decision: str = "approved", **more: Any) -> list[Row]:
    return call(db, caller, "decide_time_off", p_id=time_off, p_decision=decision, **more)


def cancel(db: Db, caller: User | str | None, time_off: Any, **more: Any) -> list[Row]:
    return call(db, caller, "cancel_time_off", p_id=time_off, **more)


def status_of(db: Db, time_off: Any) -> str:
    row = db.execute("select status from public.time_off where id = %s", [time_off]).fetchone()
    assert row is not None
    return str(row[0])


def covers(db: Db) -> list[tuple[str, date, str]]:
    return db.execute(
        "select source_table, occurs_on, status from public.cover_requests order by occurs_on, source_table, status"
    ).fetchall()


def meet(db: Db, resources: list[Any], day: date, title: str = "Lesson") -> UUID:
    [row] = call(
        db, None, "schedule_meeting", p_title=title, p_date=day, p_start_time="10:00", p_end_time="11:00",
        p_resource_ids=resources,
    )  # fmt: skip
    return UUID(str(row["id"]))


@pytest.fixture
def day(db: Db) -> date:
    """A day three weeks ahead, where the organisation is."""
    row = db.execute("select private.today() + 21").fetchone()
    assert row is not None
    found: date = row[0]
    return found


@pytest.fixture
def ana(world: World) -> User:
    return world.user("instructor", full_name="Ana")


@pytest.fixture
def boss(world: World) -> User:
    return world.user("manager")


# --- requesting -----------------------------------------------------------------------------------------------------


def test_people_request_their_own_and_see_what_it_hits(db: Db, world: World, ana: User, day: date) -> None:
    other = world.user("instructor")
    lesson = meet(db, [ana.profile_id], day)
    meet(db, [other.profile_id], day, "Somebody else's")
    later = meet(db, [ana.profile_id], day + timedelta(days=2), "Talk")
    rows = request(db, ana, ana.profile_id, day, p_ends_on=day + timedelta(days=2), p_reason="  Wedding\x07 ")
    assert [(r["status"], r["source_table"], r["source_id"], r["occurs_on"], r["title"]) for r in rows] == [
        ("requested", "meetings", lesson, day, "Lesson"),
        ("requested", "meetings", later, day + timedelta(days=2), "Talk"),
    ]
    assert len({r["id"] for r in rows}) == 1
    [(reason, created_by, ends_on)] = db.execute("select reason, created_by, ends_on from public.time_off").fetchall()
    assert (reason, created_by, ends_on) == ("Wedding", ana.id, day + timedelta(days=2))
    [alone] = request(db, ana, ana.profile_id, day + timedelta(days=9))
    assert (alone["status"], alone["source_id"], alone["starts_at"]) == ("requested", None, None)


def test_deciders_request_for_others_and_nobody_else_does(db: Db, world: World, ana: User, day: date) -> None:
    for role in ("manager", "admin"):
        request(db, world.user(role), ana.profile_id, day)
    request(db, "service_role", ana.profile_id, day)
    room = world.insert("public.locations", name="Room").id
    request(db, world.user("manager"), room, day)  # a place that is being repaired
    for stranger in ("instructor", "staff", "member", None):
        with refused("forbidden"):
            request(db, world.user(stranger), ana.profile_id, day)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        request(db, "anon", ana.profile_id, day)
    with refused("not_found"):
        request(db, world.user("manager"), uuid4(), day)
    assert db.execute("select count(*) from public.time_off").fetchone() == (4,)


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"p_starts_on": None}, {"p_starts_on"}),
        ({"p_ends_on": "2030-01-06"}, {"p_ends_on"}),
        ({"p_ends_on": "2032-01-08"}, {"p_ends_on"}),
        ({"p_starts_on": "1969-12-31"}, {"p_starts_on", "p_ends_on"}),
        ({"p_starts_on": "-infinity"}, {"p_starts_on"}),
        ({"p_ends_on": "infinity"}, {"p_ends_on"}),
        ({"p_starts_on": "2200-01-01", "p_ends_on": "2200-01-01"}, {"p_starts_on", "p_ends_on"}),
        ({"p_start_time": "12:00", "p_end_time": "12:00"}, {"p_end_time"}),
        ({"p_start_time": "24:00"}, {"p_end_time"}),
        ({"p_time_zone": "Nowhere"}, {"p_time_zone"}),
        ({"p_reason": "x" * 1001}, {"p_reason"}),
        (
            {"p_resource_id": None, "p_ends_on": "2029-01-01", "p_time_zone": "", "p_reason": "x" * 1001},
            {"p_resource_id", "p_ends_on", "p_time_zone", "p_reason"},
        ),
    ],
)
def test_bad_input_names_every_field(db: Db, ana: User, arguments: Row, fields: set[str]) -> None:
    with refused("invalid_input") as refusal:
        call(
            db, ana, "request_time_off",
            **{"p_resource_id": ana.profile_id, "p_starts_on": "2030-01-07", "p_ends_on": None, **arguments},
        )  # fmt: skip
    assert refusal.fields == fields or {"p_starts_on", "p_ends_on"} == fields >= refusal.fields
    assert db.execute("select count(*) from public.time_off").fetchone() == (0,)


def test_a_repeated_call_answers_what_the_first_did(db: Db, ana: User, boss: User, day: date) -> None:
    meet(db, [ana.profile_id], day)
    first = request(db, ana, ana.profile_id, day, p_idempotency_key="k")
    assert request(db, ana, ana.profile_id, day, p_idempotency_key="k") == first
    time_off = first[0]["id"]
    kept = decide(db, boss, time_off, p_claims="keep", p_idempotency_key="k")
    assert decide(db, boss, time_off, p_claims="keep", p_idempotency_key="k") == kept
    gone = cancel(db, boss, time_off, p_idempotency_key="k")
    assert cancel(db, boss, time_off, p_idempotency_key="k") == gone
    with refused("idempotency_mismatch"):
        request(db, ana, ana.profile_id, day, p_reason="x", p_idempotency_key="k")
    with refused("idempotency_mismatch"):
        decide(db, boss, time_off, "refused", p_idempotency_key="k")
    with refused("idempotency_mismatch"):
        cancel(db, boss, time_off, p_note="x", p_idempotency_key="k")
    assert db.execute("select count(*) from public.time_off").fetchone() == (1,)


@pytest.mark.parametrize(
    ("zone", "first", "start", "last", "end", "wanted"),
    [
        ("UTC", "2024-06-03", None, None, None, ("2024-06-03 00:00", "2024-06-04 00:00")),
        ("UTC", "2024-06-03", None, "2024-06-05", None, ("2024-06-03 00:00", "2024-06-06 00:00")),
        ("UTC", "2024-06-03", "13:00", None, None, ("2024-06-03 13:00", "2024-06-04 00:00")),
        ("UTC", "2024-06-03", "13:00", "2024-06-04", "09:30", ("2024-06-03 13:00", "2024-06-04 09:30")),
        ("UTC", "2024-06-03", None, None, "24:00", ("2024-06-03 00:00", "2024-06-04 00:00")),
        ("America/New_York", "2024-03-10", None, None, None, ("2024-03-10 05:00", "2024-03-11 04:00")),
        ("America/New_York", "2024-03-10", None, None, "02:00", ("2024-03-10 05:00", "2024-03-10 07:00")),
        ("America/New_York", "2024-11-03", "01:30", None, None, ("2024-11-03 05:30", "2024-11-04 05:00")),
        ("Australia/Lord_Howe", "2024-10-06", None, None, None, ("2024-10-05 13:30", "2024-10-06 13:00")),
        # A day without midnight begins when the clock lands, where the day before it ends.
        ("Africa/Cairo", "2024-04-26", None, None, None, ("2024-04-25 22:00", "2024-04-26 21:00")),
        ("Africa/Cairo", "2024-04-25", None, None, None, ("2024-04-24 22:00", "2024-04-25 22:00")),
    ],
)
def test_days_are_where_the_person_is(
    db: Db, world: World, zone: str, first: str, start: str | None, last: str | None, end: str | None, wanted: Any
) -> None:
    ana = world.user("instructor", time_zone=zone)
    request(db, ana, ana.profile_id, first, p_start_time=start, p_ends_on=last, p_end_time=end)
    assert db.execute(
        "select to_char(lower(during) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),"
        " to_char(upper(during) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') from public.time_off where time_zone = %s",
        [zone],
    ).fetchone() == tuple(wanted)


@pytest.mark.parametrize(
    ("zone", "arguments", "field"),
    [
        ("America/New_York", {"p_start_time": "02:30"}, "start_time"),
        ("America/New_York", {"p_end_time": "02:30"}, "end_time"),
        ("Africa/Cairo", {"p_start_time": "00:00"}, "start_time"),
    ],
)
def test_a_time_the_clock_skips_is_refused(db: Db, ana: User, zone: str, arguments: Row, field: str) -> None:
    skipped = {"America/New_York": "2024-03-10", "Africa/Cairo": "2024-04-26"}[zone]
    with refused("invalid_input") as refusal:
        request(db, ana, ana.profile_id, skipped, p_time_zone=zone, **arguments)
    assert refusal.details["field"] == field
    assert "clock skips" in refusal.message


def test_a_day_the_calendar_skips_is_no_day_off(db: Db, ana: User) -> None:
    with refused("invalid_input"):
        request(db, ana, ana.profile_id, "2011-12-30", p_time_zone="Pacific/Apia")
    request(db, ana, ana.profile_id, "2011-12-29", p_ends_on="2011-12-31", p_time_zone="Pacific/Apia")
    assert db.execute("select upper(during) - lower(during) from public.time_off").fetchone() == (timedelta(days=2),)


# --- deciding -------------------------------------------------------------------------------------------------------


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


# --- cover ----------------------------------------------------------------------------------------------------------


def test_covered_means_somebody_else_has_it(db: Db, world: World, ana: User, boss: User, day: date, rest: Rest) -> None:
    ben = world.user("instructor")
    lesson = meet(db, [ana.profile_id], day)
    meet(db, [ana.profile_id], day + timedelta(days=1))
    rows = request(db, ana, ana.profile_id, day, p_ends_on=day + timedelta(days=1))
    decide(db, boss, rows[0]["id"], p_claims="keep")
    path = f"/cover_requests?source_id=eq.{lesson}"
    other = f"/cover_requests?source_id=neq.{lesson}"
    for stranger in (ben, world.user("staff"), world.user("member")):
        assert rest.get("/cover_requests", user=stranger).json() == []
        assert rest.patch(path, {"status": "dropped"}, user=stranger).json() == []
    assert len(rest.get("/cover_requests", user=ana).json()) == 2
    assert rest.patch(path, {"status": "dropped"}, user=ana).json() == []
    still = rest.patch(path, {"status": "covered"}, user=boss)
    assert (still.status_code, still.json()["code"]) == (409, "illegal_transition")
    assert still.json()["message"] == f"Ana is still down for Lesson, {day} 10:00–11:00 UTC"
    db.execute(
        "update public.meeting_participants set resource_id = %s where meeting_id = %s", [ben.profile_id, lesson]
    )
    assert rest.patch(path, {"status": "covered"}, user=boss).json()[0]["status"] == "covered"
    assert rest.patch(other, {"status": "dropped"}, user=boss).json()[0]["status"] == "dropped"
    for closed in (path, other):
        for status in ("open", "covered", "dropped"):
            answer = rest.patch(closed, {"status": status}, user=boss)
            assert answer.status_code in (200, 409)
    assert covers(db) == [("meetings", day, "covered"), ("meetings", day + timedelta(days=1), "dropped")]
    # What a request is for is nobody's to change, and none is made by hand.
    assert rest.patch(path, {"occurs_on": str(day)}, user=boss).status_code == 403
    made = {"time_off_id": str(rows[0]["id"]), "resource_id": str(ana.profile_id), "source_table": "meetings",
            "source_id": str(uuid4()), "occurs_on": str(day)}  # fmt: skip
    assert rest.post("/cover_requests", made, user=boss).status_code == 403
    with refused("forbidden"):
        world.insert("public.cover_requests", **made)
    with refused("invalid_input"):
        db.execute("update public.cover_requests set occurs_on = occurs_on + 1")


def test_deleted_time_off_takes_its_cover_along(db: Db, ana: User, boss: User, day: date) -> None:
    meet(db, [ana.profile_id], day)
    [row] = request(db, ana, ana.profile_id, day)
    decide(db, boss, row["id"], p_claims="keep")
    db.execute("delete from public.time_off")
    assert covers(db) == []


# --- who sees what --------------------------------------------------------------------------------------------------


def test_reasons_are_for_the_person_and_deciders(
    db: Db, world: World, ana: User, boss: User, day: date, rest: Rest
) -> None:
    request(db, ana, ana.profile_id, day, p_reason="Surgery")
    for reader in (ana, boss, world.user("admin"), "service_role"):
        assert [row["reason"] for row in rest.get("/time_off", user=reader).json()] == ["Surgery"]
    for stranger in ("instructor", "staff", "member", None):
        assert rest.get("/time_off", user=world.user(stranger)).json() == []
    assert rest.get("/time_off").status_code == 401
    assert rest.get("/cover_requests").status_code == 401


def test_time_off_is_written_by_its_functions(
    db: Db, world: World, ana: User, boss: User, day: date, rest: Rest
) -> None:
    row = {"resource_id": str(ana.profile_id), "starts_on": str(day), "ends_on": str(day)}
    for caller in (ana, boss, world.user("admin"), None):
        assert rest.post("/time_off", row, user=caller).status_code in (401, 403)
    [made] = rest.post(
        "/rpc/request_time_off", {"p_resource_id": row["resource_id"], "p_starts_on": row["starts_on"]}, user=ana
    ).json()
    path = f"/time_off?id=eq.{made['id']}"
    for caller in (ana, boss, world.user("admin")):
        assert rest.patch(path, {"status": "approved"}, user=caller).status_code == 403
        assert rest.delete(path, user=caller).status_code == 403
    answer = rest.post("/rpc/decide_time_off", {"p_id": made["id"], "p_decision": "approved"}, user=ana)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    answer = rest.post("/rpc/decide_time_off", {"p_id": made["id"], "p_decision": "approved"}, user=boss)
    assert (answer.status_code, answer.json()[0]["status"]) == (200, "approved")
    answer = rest.post("/rpc/cancel_time_off", {"p_id": made["id"]}, user=ana)
    assert (answer.status_code, answer.json()[0]["status"]) == (200, "cancelled")
    # A server may write the table; the rules are the same.
    assert (
        rest.post("/time_off", {**row, "status": "approved"}, user="service_role").json()["code"]
        == "illegal_transition"
    )


def test_an_erased_person_leaves_no_reasons(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    [row] = request(db, ana, ana.profile_id, day, p_reason="Surgery")
    decide(db, boss, row["id"], p_note="Get well")
    call(
        db,
        ana,
        "set_availability",
        p_resource_id=ana.profile_id,
        p_hours=Jsonb([{"weekday": 1, "start_time": "09:00", "end_time": "10:00"}]),
    )
    admin = world.user("admin")
    [document] = call(db, admin, "export_person", p_profile_id=ana.profile_id)
    assert "Surgery" in str(document)
    call(db, admin, "erase_person", p_profile_id=ana.profile_id, p_reason="They asked")
    assert db.execute("select status, reason, note from public.time_off").fetchone() == ("approved", None, None)
    assert db.execute("select count(*) from public.availability_rules").fetchone() == (0,)
    # Whoever decided may go as well.
    call(db, admin, "erase_person", p_profile_id=boss.profile_id, p_reason="They asked")
    assert db.execute("select status, decided_by from public.time_off").fetchone() == ("approved", None)


# --- checks ---------------------------------------------------------------------------------------------------------


def findings(db: Db, check: str) -> list[str]:
    rows = db.execute("select message from public.run_diagnostics(p_checks => %s)", [[check]]).fetchall()
    return [row[0] for row in rows]


def test_work_during_time_off_is_found_unless_it_was_kept(db: Db, ana: User, boss: User, day: date) -> None:
    check = "work_during_time_off"
    meet(db, [ana.profile_id], day, "Known")
    [row] = request(db, ana, ana.profile_id, day)
    assert findings(db, check) == []
    decide(db, boss, row["id"], p_claims="keep")
    assert findings(db, check) == []
    call(
        db, None, "schedule_meeting", p_title="New", p_date=day, p_start_time="14:00", p_end_time="15:00",
        p_resource_ids=[ana.profile_id],
    )  # fmt: skip
    assert findings(db, check) == [f"During time off: Ana in New, {day} 14:00–15:00 UTC"]
    cancel(db, ana, row["id"])
    assert findings(db, check) == []


def test_work_of_the_past_is_not_found(db: Db, ana: User) -> None:
    meet(db, [ana.profile_id], date(2024, 6, 3))
    [row] = request(db, ana, ana.profile_id, "2024-06-03")
    decide(db, None, row["id"], p_claims="keep")
    # The cover nobody settled is.
    assert findings(db, "overdue_cover_requests") == ["Nobody said whether Ana was covered on 2024-06-03"]
    db.execute("delete from public.meeting_participants")
    db.execute("update public.cover_requests set status = 'covered'")
    assert findings(db, "overdue_cover_requests") == []
    meet(db, [ana.profile_id], date(2024, 6, 3))
    assert findings(db, "work_during_time_off") == []
