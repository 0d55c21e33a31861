"""What goes in comes out the same, over both transports, synchronous or not."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from classbase import errors
from classbase.values import END_OF_DAY, FOREVER, SINCE_EVER
from tests.client.doors import Door

NEW_YORK = ZoneInfo("America/New_York")

VALUES: dict[str, Any] = {
    "flag": True,
    "number": -(2**31),
    "big": 2**63 - 1,
    "ratio": 0.1,
    "amount": Decimal("12345678901234567890.0123456789"),
    "id": UUID("5f0c2f4e-7b4d-4f1c-9a53-0f6f6f0f6f6f"),
    "text": "Zoë said \"hi\"\n\\ \t 🧘 {1,2} 'x'",
    "day": date(2024, 2, 29),
    "clock": time(23, 59, 59, 999999),
    "at": datetime(2018, 11, 4, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "local": datetime(2018, 3, 11, 2, 30),
    "length": timedelta(days=-2, hours=3, microseconds=1),
    "bytes": bytes(range(256)),
    "document": {
        "deep": [{"er": [None, True, "x", {"amount": Decimal("0.10")}]}],
        "n": 10**20,
        "empty": {},
        "list": [],
    },
}


@pytest.fixture
def echo(door: Door) -> Any:
    """Says back what it is told, one value or several; the others are null."""
    methods = door.open()

    async def say(**given: Any) -> Any:
        (row,) = await methods.echo_values(**{**dict.fromkeys(VALUES), **given})
        return row

    return say


async def test_every_kind_of_value_comes_back_as_it_went(echo: Any) -> None:
    row = await echo(**VALUES)
    for name, value in VALUES.items():
        assert getattr(row, name) == value, name
        assert type(getattr(row, name)) is type(value), name
    assert row.at.tzinfo is UTC
    assert row.local.tzinfo is None
    assert str(row.amount) == str(VALUES["amount"])
    assert str(row.document["deep"][0]["er"][3]["amount"]) == "0.10"


async def test_the_end_of_a_day_is_no_time_of_pythons_and_comes_back_nevertheless(echo: Any) -> None:
    row = await echo(clock=END_OF_DAY)
    assert (row.clock, row.clock.fold) == (time.max, 1)
    assert row.clock > time(23, 59, 59)
    assert '"clock":"24:00:00"' in row.model_dump_json()
    assert (await echo(clock=row.clock)).clock.fold == 1
    assert (await echo(clock=time.max)).clock.fold == 0


async def test_null_comes_back_as_none(echo: Any) -> None:
    row = await echo()
    assert set(row.model_dump().values()) == {None}


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2018, 11, 4, 1, 30, tzinfo=NEW_YORK),
        datetime(2018, 11, 4, 1, 30, fold=1, tzinfo=NEW_YORK),
        datetime(2018, 3, 11, 3, 30, tzinfo=NEW_YORK),
        datetime(1850, 6, 1, 12, 0, tzinfo=NEW_YORK),
        datetime(1, 1, 2, tzinfo=UTC),
        FOREVER,
        SINCE_EVER,
    ],
    ids=["first of two", "second of two", "after the gap", "local mean time", "year 1", "infinity", "-infinity"],
)
async def test_an_instant_stays_the_instant_it_was(echo: Any, instant: datetime) -> None:
    row = await echo(at=instant)
    assert row.at == instant.astimezone(UTC)


async def test_the_two_half_past_ones_of_the_fold_stay_apart(echo: Any) -> None:
    first, second = [await echo(at=datetime(2018, 11, 4, 1, 30, fold=fold, tzinfo=NEW_YORK)) for fold in (0, 1)]
    assert second.at - first.at == timedelta(hours=1)


@pytest.mark.parametrize("day", [date.max, date.min, date(1, 1, 2)])
async def test_dates_reach_as_far_as_pythons_do(echo: Any, day: date) -> None:
    assert (await echo(day=day)).day == day


@pytest.mark.parametrize(
    "length",
    [timedelta(), timedelta(microseconds=-1), timedelta(days=400), timedelta(hours=-25), timedelta(seconds=59.5)],
)
async def test_durations_keep_sign_and_microseconds(echo: Any, length: timedelta) -> None:
    assert (await echo(length=length)).length == length


@pytest.mark.parametrize("amount", ["0.00", "-0.01", "1E+3", "99999999999999999999999999.99", "12.50"])
async def test_amounts_keep_every_digit(echo: Any, amount: str) -> None:
    row = await echo(amount=Decimal(amount))
    assert row.amount == Decimal(amount)
    assert isinstance(row.amount, Decimal)


async def test_numbers_that_are_none_come_back_so(echo: Any) -> None:
    row = await echo(amount=Decimal("NaN"), ratio=float("inf"))
    assert row.amount.is_nan()
    assert row.ratio == float("inf")


async def test_a_text_in_a_document_stays_a_text(echo: Any) -> None:
    assert (await echo(document="just text")).document == "just text"
    assert (await echo(document={"at": datetime(2024, 1, 1, tzinfo=UTC), "id": UUID(int=1)})).document == {
        "at": "2024-01-01T00:00:00+00:00",
        "id": str(UUID(int=1)),
    }


async def test_ranges_come_back_with_their_bounds(door: Door) -> None:
    start, end = datetime(2024, 3, 1, 9, tzinfo=UTC), datetime(2024, 3, 1, 10, tzinfo=UTC)
    given: dict[str, Any] = {
        "instants": Range(start, end),
        "locals": Range(start.replace(tzinfo=None), None),
        "days": Range(date(2024, 1, 1), date(2024, 2, 1)),
        "numbers": Range(None, 10),
        "amounts": Range(Decimal("0.50"), Decimal("9.99"), "(]"),
        "many_instants": Multirange([Range(start, end), Range(end + timedelta(hours=1), None)]),
        "many_days": Multirange([]),
    }
    (row,) = await door.open().echo_ranges(**given)
    assert row.model_dump() == given
    assert row.instants.lower.tzinfo is UTC


async def test_empty_and_infinite_ranges_come_back_so(door: Door) -> None:
    given: dict[str, Any] = {
        "instants": Range(SINCE_EVER, FOREVER, "[]"),
        "locals": Range(empty=True),
        "days": Range(None, None, "()"),
        "numbers": None,
        "amounts": Range(empty=True),
        "many_instants": Multirange([Range(None, FOREVER, "(]")]),
        "many_days": None,
    }
    (row,) = await door.open().echo_ranges(**given)
    assert row.model_dump() == given


async def test_arrays_come_back_in_order_with_rows_in_them(door: Door) -> None:
    methods = door.open()
    entry = await methods.add_entry("one", during=Range(datetime(2024, 1, 1, tzinfo=UTC), FOREVER))
    ids = [uuid4() for _ in range(3)]
    (row,) = await methods.echo_arrays(
        ids,
        (datetime(2024, 1, 1, tzinfo=NEW_YORK),),
        [Decimal("1.10"), 2],
        ["a,b", '"', "", "NULL", "{}"],
        [timedelta(minutes=90)],
        entries=[entry, {**entry.model_dump(by_alias=True), "title": "two"}],
    )
    assert row.ids == ids
    assert row.instants == [datetime(2024, 1, 1, 5, tzinfo=UTC)]
    assert row.amounts == [Decimal("1.10"), Decimal(2)]
    assert row.words == ["a,b", '"', "", "NULL", "{}"]
    assert row.lengths == [timedelta(minutes=90)]
    assert row.entries == [entry, entry.model_copy(update={"title": "two"})]


async def test_every_shape_of_answer(door: Door) -> None:
    methods = door.open()
    assert await methods.count_up(3) == [1, 2, 3]
    assert await methods.count_up(0) == []
    assert await methods.titles() == []
    entry = await methods.add_entry("one", amount=2)
    assert entry.class_ is None
    assert await methods.find_entry(entry.id) == entry
    assert await methods.find_entry(uuid4()) is None
    assert await methods.list_entries() == [entry]
    assert [row.title for row in await methods.titles()] == ["one"]
    totals = await methods.entry_totals(1)
    assert (totals.entries, totals.total) == (1, Decimal("2.00"))
    pair = await methods.pair_up("both", entry, moods=["calm", "busy"])
    assert (pair.label, pair.entry, pair.moods) == ("both", entry, ["calm", "busy"])
    assert await methods.other_mood("calm") == "busy"
    assert await methods.forget_entries() is None
    assert await methods.list_entries() == []


async def test_what_is_not_given_is_left_to_the_database(door: Door) -> None:
    methods = door.open()
    assert (await methods.add_entry("default")).amount == Decimal("1.50")
    assert await methods.greet() == 'it\'s "so"\\' * 2
    assert await methods.greet(times=1) == 'it\'s "so"\\'
    assert await methods.greet(words=None) == "nothing to say"
    assert len(await methods.list_entries(from_=1)) == 0
    assert len(await methods.list_entries(class_=1)) == 1


async def test_datetimes_without_a_zone_are_refused_all_at_once(door: Door) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        await door.open().echo_values(
            **{
                **dict.fromkeys(VALUES),
                "at": datetime(2024, 1, 1),
                "clock": time(9, tzinfo=UTC),
            }
        )
    assert [each.field for each in caught.value.errors] == ["p_clock", "p_at"]
    assert "zone" in caught.value.errors[1].message


async def test_what_no_database_holds_is_a_type_error(door: Door) -> None:
    with pytest.raises(TypeError, match="echo_values: p_document: object"):
        await door.open().echo_values(**{**dict.fromkeys(VALUES), "document": [object()]})


@pytest.mark.parametrize(
    ("name", "value"),
    [("text", "a\0b"), ("number", 2**31), ("id", "no uuid"), ("amount", Decimal("1E+200000")), ("document", {"\0": 1})],
)
async def test_what_postgres_cannot_take_is_invalid_input(echo: Any, name: str, value: Any) -> None:
    with pytest.raises(errors.InvalidInput):
        await echo(**{name: value})


async def test_an_instant_that_python_cannot_hold_is_said_so(door: Door) -> None:
    with pytest.raises(errors.InternalError, match="far_future answered what this client cannot read"):
        await door.open().far_future()
