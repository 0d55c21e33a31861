"""Importing over REST: the same report as over psycopg, the request's limits, and time enough for a whole term."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

import classbase
from classbase.errors import InvalidInput, TimeConflict
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.timetables import lesson
from tests.support.world import World

ROWS = [
    lesson("1", "Room A", "Ann", "09:00-10:00"),
    lesson("2", "Room A", "Bo", "09:30-10:30"),
    lesson("3", "Room B", "Ann", "09:00-09:30"),
]


def send(rest: Rest, rows: Any, user: Any, **more: Any) -> Any:
    return rest.post("/rpc/import_meetings", {"p_rows": rows, "p_time_zone": "UTC", **more}, user=user)


def test_both_ways_give_one_report(database: Database, rest: Rest, world: World) -> None:
    ledger = Ledger(database)
    ledger.meeting("Standing", ledger.place("Room C"), date="2018-10-01", time_zone="UTC")
    manager = world.user("manager")
    rows = [*ROWS, lesson("4", "Room C")]
    with (
        classbase.connect(rest.url, rest.token(manager), rest_path="") as over_rest,
        classbase.connect_database(database.dsn, role="authenticated", claims=manager.claims()) as direct,
    ):
        for mode in ("refuse", "skip", "override"):
            both = [
                cb.time.import_meetings(rows, time_zone="UTC", on_conflict=mode, dry_run=True)
                for cb in (over_rest, direct)
            ]
            assert both[0] == both[1]
        refusals = []
        for cb in (over_rest, direct):
            with pytest.raises(TimeConflict) as caught:
                cb.time.import_meetings(rows, time_zone="UTC")
            refusals.append(caught.value.as_dict())
            with pytest.raises(InvalidInput) as bad:
                cb.time.import_meetings([{**rows[0], "date": "x", "capacity": "y"}], time_zone="UTC")
            assert [error.field for error in bad.value.errors] == ["date", "capacity"]
        assert refusals[0] == refusals[1]
        done = over_rest.time.import_meetings(rows, time_zone="UTC", on_conflict="skip")
        assert (
            direct.time.import_meetings(rows, time_zone="UTC", on_conflict="skip")["unchanged"] == done["imported"] == 1
        )


def test_a_person_sends_what_the_settings_allow_and_a_server_what_it_likes(rest: Rest, world: World) -> None:
    rows = [lesson(str(number), f"Room {number}") for number in range(40)]
    world.db.execute("update public.settings set value = '2000' where key = 'request_bytes_limit'")
    answer = send(rest, rows, world.user("manager"))
    assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
    assert send(rest, rows, "service_role").json()["imported"] == 40
    assert send(rest, ROWS[:1], None).status_code == 401


def test_an_import_may_take_longer_than_other_calls(database: Database, db: psycopg.Connection[Any]) -> None:
    """A hosted project gives every call a few seconds; PostgREST takes the function's own limit instead."""
    with database.connect(admin=True) as admin:
        admin.execute(
            sql.SQL("alter role authenticator in database {} set statement_timeout = '2s'").format(
                sql.Identifier(database.name)
            )
        )
    db.execute(
        "create function public.sleep() returns trigger language plpgsql as $$ begin perform pg_sleep(2.5); return null; end $$; "
        "create trigger sleep after insert on public.meetings for each statement execute function public.sleep();"
    )
    with Rest.serve(database) as rest:
        plain = {"p_title": "Slow", "p_date": "2018-10-01", "p_start_time": "09:00", "p_end_time": "10:00"}
        assert rest.post("/rpc/schedule_meeting", plain, user="service_role").json()["code"] == "57014"
        assert send(rest, ROWS[:1], "service_role").json()["imported"] == 1
