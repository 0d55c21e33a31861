"""Values on their way to the database and back.

Both transports speak JSON, as PostgREST does: what is sent is read by Postgres' own input functions, what is
answered is Postgres' own JSON. So the two cannot differ, and this is the one place that knows how a value looks:

| Postgres | Python |
| --- | --- |
| timestamptz | aware datetime, always in UTC when read; infinity is `FOREVER`, -infinity is `SINCE_EVER` |
| date, timestamp | date, naive datetime; an infinite date is `date.max` or `date.min` |
| time | time; 24:00 is `END_OF_DAY` |
| interval | timedelta; sent as seconds, and when read a day counts 24 hours, a month 30 days, a year 365 |
| numeric | Decimal, every digit kept, also inside JSON documents |
| uuid, bytea | UUID, bytes |
| ranges, multiranges | psycopg's `Range` and `Multirange` |
| json, jsonb | dict, list, str, int, Decimal, bool, None |
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import simplejson
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, PlainValidator

FOREVER: Final = datetime.max.replace(tzinfo=UTC)
SINCE_EVER: Final = datetime.min.replace(tzinfo=UTC)
# Python's clock stops before 24:00. It compares as the last microsecond of the day, so that ends stay after starts; the
# fold, which means nothing else in a time without a zone, tells the two apart.
END_OF_DAY: Final = time.max.replace(fold=1)

# -- reading ---------------------------------------------------------------------------------------------------------


def read_instant(value: object) -> datetime:
    """An instant from Postgres' text, in UTC.

    Raises:
        ValueError: no instant, or one outside the years 1 to 9999, which Python cannot hold.
    """
    if value == "infinity":
        return FOREVER
    if value == "-infinity":
        return SINCE_EVER
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if instant.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value} is outside the years 1 to 9999") from error


def read_timestamp(value: object) -> datetime:
    """A timestamp without time zone from Postgres' text."""
    if value in ("infinity", "-infinity"):
        return datetime.max if value == "infinity" else datetime.min
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def read_date(value: object) -> date:
    """A date from Postgres' text."""
    if value in ("infinity", "-infinity"):
        return date.max if value == "infinity" else date.min
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def read_time(value: object) -> time:
    """A time of day from Postgres' text; 24:00, the end of a day, is END_OF_DAY."""
    if isinstance(value, time):
        return value
    return END_OF_DAY if re.fullmatch(r"24:00(:00)?", str(value)) else time.fromisoformat(str(value))


_CLOCK = re.compile(r"^([+-])?(\d+):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$")
_DAYS: Mapping[str, int] = {"year": 365, "mon": 30, "day": 1}


def read_interval(value: object) -> timedelta:
    """A duration from an interval as Postgres writes it by default: `1 mon -2 days +03:04:05.6`.

    Raises:
        ValueError: another IntervalStyle, or an infinite interval.
    """
    if isinstance(value, timedelta):
        return value
    total, words = timedelta(), str(value).split()
    while words:
        if clock := _CLOCK.match(words[0]):
            sign, hours, minutes, seconds, fraction = clock.groups()
            part = timedelta(
                hours=int(hours),
                minutes=int(minutes),
                seconds=int(seconds or 0),
                microseconds=int((fraction or "0").ljust(6, "0")),
            )
            total += -part if sign == "-" else part
            words = words[1:]
        elif len(words) > 1 and (days := _DAYS.get(words[1].removesuffix("s"))):
            total += timedelta(days=days * int(words[0]))
            words = words[2:]
        else:
            raise ValueError(f"{value} is not an interval this client can read")
    return total


_RANGE = re.compile(
    r"""empty | (?P<open>[\[(]) (?:"(?P<low_quoted>(?:[^"\\]|""|\\.)*)"|(?P<low>[^",\])]*))
        , (?:"(?P<high_quoted>(?:[^"\\]|""|\\.)*)"|(?P<high>[^",\])]*)) (?P<close>[\])])""",
    re.VERBOSE,
)


def _range_of(found: re.Match[str], read: Callable[[Any], Any]) -> Range[Any]:
    if found["open"] is None:
        return Range(empty=True)

    def bound(name: str) -> Any:
        text = found[f"{name}_quoted"] if found[f"{name}_quoted"] is not None else found[name]
        return read(text) if text else None

    return Range(bound("low"), bound("high"), found["open"] + found["close"])


def range_reader(read: Callable[[Any], Any]) -> Callable[[Any], Range[Any]]:
    """What reads a range whose bounds `read` reads."""

    def read_range(value: Any) -> Range[Any]:
        if isinstance(value, Range):
            return value
        found = _RANGE.fullmatch(str(value))
        if found is None:
            raise ValueError(f"{value} is not a range")
        return _range_of(found, read)

    return read_range


def multirange_reader(read: Callable[[Any], Any]) -> Callable[[Any], Multirange[Any]]:
    """What reads a multirange whose bounds `read` reads."""

    def read_multirange(value: Any) -> Multirange[Any]:
        if isinstance(value, Multirange):
            return value
        text = str(value)
        if not (text.startswith("{") and text.endswith("}")):
            raise ValueError(f"{value} is not a multirange")
        return Multirange([_range_of(found, read) for found in _RANGE.finditer(text[1:-1])])

    return read_multirange


def read_bytes(value: object) -> bytes:
    """The bytes of a bytea in hex, which is how Postgres writes them by default."""
    return value if isinstance(value, bytes) else bytes.fromhex(str(value).removeprefix("\\x"))


# -- writing ---------------------------------------------------------------------------------------------------------


def time_text(value: time) -> str:
    """A time of day as Postgres reads it."""
    return "24:00:00" if value == END_OF_DAY and value.fold else value.isoformat()


def interval_text(value: timedelta) -> str:
    """An interval Postgres reads, in seconds only: a timedelta is time elapsed, and not every day has 24 hours."""
    seconds, microseconds = divmod(abs(value) // timedelta(microseconds=1), 10**6)
    return f"{'-' if value < timedelta() else ''}{seconds}.{microseconds:06} seconds"


def _instant_text(value: datetime, *, naive: bool) -> str:
    if value.tzinfo is None:
        if not naive:
            raise ValueError("an instant needs a time zone: give the datetime a tzinfo")
        return {datetime.max: "infinity", datetime.min: "-infinity"}.get(value) or value.isoformat()
    if value in (FOREVER, SINCE_EVER):
        return "infinity" if value == FOREVER else "-infinity"
    return value.isoformat()


def range_text(value: Range[Any] | Multirange[Any], *, naive: bool = False) -> str:
    """A range or multirange as Postgres writes it."""
    if isinstance(value, Multirange):
        return "{" + ",".join(range_text(each, naive=naive) for each in value) + "}"
    if value.isempty:
        return "empty"

    def bound(each: Any) -> str:
        text = "" if each is None else str(plain(each, naive=naive))
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if text else ""

    return f"{value.bounds[0]}{bound(value.lower)},{bound(value.upper)}{value.bounds[1]}"


def plain(value: Any, *, naive: bool = False) -> Any:
    """A value as JSON can carry it and Postgres can read it (Decimals stay numbers).

    Args:
        naive: whether a datetime without time zone is meant (for `timestamp`); elsewhere it would be read in
            whatever zone the session happens to be in, so it is refused.

    Raises:
        ValueError: a datetime without a time zone, or a time of day with one.
        TypeError: a value no column can hold.
    """
    match value:
        case enum.Enum():
            return plain(value.value, naive=naive)
        case None | bool() | int() | str():
            return value
        case float() | Decimal():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return _instant_text(value, naive=naive)
        case date():
            return {date.max: "infinity", date.min: "-infinity"}.get(value) or value.isoformat()
        case time():
            if value.tzinfo is not None:
                raise ValueError("a time of day is local to its place: give the zone apart from it")
            return time_text(value)
        case timedelta():
            return interval_text(value)
        case UUID() | ZoneInfo():
            return str(value)
        case bytes():
            return "\\x" + value.hex()
        case Range() | Multirange():
            return range_text(value, naive=naive)
        case BaseModel():
            return plain(value.model_dump(by_alias=True, exclude_unset=True), naive=naive)
        case Mapping():
            return {str(key): plain(each, naive=naive) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each, naive=naive) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value), naive=naive)
    raise TypeError(f"{type(value).__name__} is nothing a database can hold")


def dumps(value: Any) -> str:
    """A plain value as JSON text, numbers with all their digits."""
    return simplejson.dumps(value, use_decimal=True, allow_nan=False, separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """JSON text as plain values; numbers with a fraction become Decimal, so that no digit is lost.

    Raises:
        ValueError: it is not JSON.
    """
    return simplejson.loads(text, use_decimal=True)


# -- types for generated models --------------------------------------------------------------------------------------

_time_to_json = PlainSerializer(time_text, return_type=str, when_used="json")
_interval_to_json = PlainSerializer(interval_text, return_type=str, when_used="json")
_range_to_json = PlainSerializer(range_text, return_type=str, when_used="json")
_local_range_to_json = PlainSerializer(partial(range_text, naive=True), return_type=str, when_used="json")
_bytes_to_json = PlainSerializer(plain, return_type=str, when_used="json")

Json: TypeAlias = Any
Instant: TypeAlias = Annotated[datetime, BeforeValidator(read_instant)]
Timestamp: TypeAlias = Annotated[datetime, BeforeValidator(read_timestamp)]
Day: TypeAlias = Annotated[date, BeforeValidator(read_date)]
Clock: TypeAlias = Annotated[time, BeforeValidator(read_time), _time_to_json]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(read_interval), _interval_to_json]
Number: TypeAlias = Annotated[Decimal, Field(allow_inf_nan=True)]
Bytes: TypeAlias = Annotated[bytes, BeforeValidator(read_bytes), _bytes_to_json]

InstantRange: TypeAlias = Annotated[Range[datetime], PlainValidator(range_reader(read_instant)), _range_to_json]
TimestampRange: TypeAlias = Annotated[
    Range[datetime], PlainValidator(range_reader(read_timestamp)), _local_range_to_json
]
DayRange: TypeAlias = Annotated[Range[date], PlainValidator(range_reader(read_date)), _range_to_json]
IntegerRange: TypeAlias = Annotated[Range[int], PlainValidator(range_reader(int)), _range_to_json]
NumberRange: TypeAlias = Annotated[Range[Decimal], PlainValidator(range_reader(Decimal)), _range_to_json]

InstantMultirange: TypeAlias = Annotated[
    Multirange[datetime], PlainValidator(multirange_reader(read_instant)), _range_to_json
]
TimestampMultirange: TypeAlias = Annotated[
    Multirange[datetime], PlainValidator(multirange_reader(read_timestamp)), _local_range_to_json
]
DayMultirange: TypeAlias = Annotated[Multirange[date], PlainValidator(multirange_reader(read_date)), _range_to_json]
IntegerMultirange: TypeAlias = Annotated[Multirange[int], PlainValidator(multirange_reader(int)), _range_to_json]
NumberMultirange: TypeAlias = Annotated[Multirange[Decimal], PlainValidator(multirange_reader(Decimal)), _range_to_json]
