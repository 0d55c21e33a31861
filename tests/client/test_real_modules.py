"""The generated client on the real modules: a person is placed, and the second placing is refused, through every door."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from classbase import errors
from tests.client.doors import Awaitable, Door, Sample
from tests.support.identity import User
from tests.support.world import World

MADRID = ZoneInfo("Europe/Madrid")


@pytest.fixture(scope="module")
def manager(sample: Sample) -> User:
    """Somebody who may write calendars."""
    with sample.database.connect() as connection:
        return World(connection).user("manager")


@pytest.fixture
def room(sample: Sample) -> UUID:
    """A place nobody else uses."""
    with sample.database.connect() as connection:
        made = World(connection).insert("public.locations", name=f"Room {uuid4()}", time_zone="Europe/Madrid")
    return UUID(str(made.id))


@pytest.fixture
def time_of(door: Door, manager: User) -> Any:
    """The methods of 20_time as the manager, all awaitable."""
    client = door.client(manager)
    return client.time if door.asynchronous else Awaitable(client.time)


def _weekday_in_summer() -> date:
    """A Wednesday in a July ahead of us, whatever today is, and within the horizon of a year and more."""
    today = datetime.now(UTC).date()
    july = date(today.year if today.month < 7 else today.year + 1, 7, 1)
    return july + timedelta(days=(2 - july.weekday()) % 7)


async def test_a_place_is_taken_once(time_of: Any, room: UUID) -> None:
    day = _weekday_in_summer()
    plan: dict[str, Any] = {"resource_ids": [room], "time_zone": "Europe/Madrid"}
    (meeting,) = await time_of.schedule_meeting("Rehearsal", day, time(9), time(10, 30), **plan)
    assert isinstance(meeting.id, UUID)
    assert (meeting.date, meeting.start_time, meeting.end_time) == (day, time(9), time(10, 30))
    with pytest.raises(errors.TimeConflict) as caught:
        await time_of.schedule_meeting("Lesson", day, time(10), time(11), **plan)
    assert "Rehearsal" in str(caught.value.conflicts)
    assert caught.value.http_status == 409
    (after,) = await time_of.schedule_meeting("Lesson", day, time(10, 30), time(11), **plan)
    assert after.title == "Lesson"

    start = datetime(day.year, day.month, day.day, 10, tzinfo=MADRID)
    clashes = await time_of.find_conflicts([room], start, start + timedelta(hours=1))
    assert {clash.source_id for clash in clashes} == {meeting.id, after.id}
    (first,) = [clash for clash in clashes if clash.source_id == meeting.id]
    assert first.starts_at == datetime(day.year, day.month, day.day, 7, tzinfo=UTC)
    assert await time_of.find_conflicts([room], start + timedelta(hours=1), start + timedelta(hours=2)) == []

    slots = await time_of.free_slots([room], start, start + timedelta(hours=3), timedelta(minutes=45))
    assert slots
    assert all(slot.starts_at >= start + timedelta(hours=1) for slot in slots)
    assert {slot.ends_at - slot.starts_at for slot in slots} == {timedelta(minutes=45)}


async def test_bad_input_is_said_field_by_field(time_of: Any, room: UUID) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        await time_of.schedule_meeting(
            " ", _weekday_in_summer(), time(10), time(9), resource_ids=[room], kind="No Kind"
        )
    assert {"p_title", "p_kind"} <= {error.field for error in caught.value.errors}


async def test_a_stranger_may_not_write_calendars(door: Door, room: UUID) -> None:
    client = door.client(door.sample.member)
    methods = client.time if door.asynchronous else Awaitable(client.time)
    with pytest.raises(errors.Forbidden):
        await methods.schedule_meeting("Party", _weekday_in_summer(), time(10), time(11), resource_ids=[room])
