"""What the machine draws: few days, times and names, so that things meet."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from .driver import RESOURCES, Statement, clock
from .reference import DAY, Happening, Weekly, When

# Few days, times and names, so that things meet. Paris skips 02:00 to 03:00 on 29 March, Sydney has 02:00 to 03:00
# twice on 5 April, and the horizon is 16 April, 12:00 UTC. Paris and Sydney are ten, nine and then eight hours apart.
DAYS = tuple(date(2026, *day) for day in ((3, 28), (3, 29), (3, 30), (4, 4), (4, 5), (4, 6), (4, 16)))
STARTS = (0, 60, 90, 120, 150, 180, 480, 540, 600, 660, 720, 1380)
ENDS_OF_OVERRIDES = (None, datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
                     datetime(2026, 4, 5, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC))  # fmt: skip
MEETINGS = tuple(UUID(int=0xE0 + number) for number in range(5))
RULES = tuple(UUID(int=0xF0 + number) for number in range(4))
HAPPENINGS: tuple[Happening, ...] = (
    *(("meetings", one) for one in MEETINGS),
    *(("weekly_rules", one) for one in RULES),
)
UNKNOWN = UUID(int=0xDEAD)
Aim = tuple[int, int | None]

days = st.sampled_from(DAYS)
zones = st.sampled_from(("Europe/Paris", "Australia/Sydney", "UTC"))
starts = st.sampled_from(STARTS)
lengths = st.sampled_from((60, 30, 90, 120, 60, 90, 45, 60, 600, 120, 60, 0))
whens = st.builds(lambda day, start, length, zone: When(day, start, start + length, zone), days, starts, lengths, zones)
# Some begin beyond the horizon, where nothing is claimed and rules can only be compared.
first_days = st.sampled_from((*DAYS[:6], date(2026, 5, 2), date(2026, 9, 27)))
weeklies = st.builds(
    lambda first, weekday, start, length, zone, last: Weekly(
        weekday, start, min(start + length, DAY), zone, first, None if last is None else first + timedelta(days=last)
    ),
    first_days, st.sampled_from((0, 1, 6, 4)), starts, lengths, zones, st.sampled_from((None, 8, 60, 200, None)),
)  # fmt: skip
crowds = st.sampled_from(((0, 1), (0,), (1, 2), (0, 1, 2))).map(
    lambda chosen: frozenset(RESOURCES[one] for one in chosen)
)
picks = st.integers(0, 9)
# Beside which use, and by how many minutes off (None: anywhere): two drawn at random would hardly ever meet.
aims = st.tuples(st.integers(0, 99), st.sampled_from((0, 30, -30, 60, None)))
doors = st.booleans()  # whether it is the signed-in manager's change, or the owner's


def chosen(among: Any, pick: int) -> Any:
    """One of them, in the order they were made: ids differ from run to run."""
    ordered = list(among)
    return ordered[pick % len(ordered)]


def free(among: tuple[UUID, ...], used: Any) -> UUID:
    return next(one for one in among if one not in used)


def participants(meeting: UUID, who: frozenset[UUID]) -> Statement:
    return (
        "insert into public.meeting_participants (meeting_id, resource_id) select %s, u from unnest(%s::uuid[]) u",
        [meeting, sorted(who)],
    )


def rule_columns(weekly: Weekly) -> list[Any]:
    last = "" if weekly.last is None else weekly.last
    return [weekly.weekday, clock(weekly.start), clock(weekly.end), weekly.zone, f"[{weekly.first},{last}]"]
