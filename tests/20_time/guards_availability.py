"""What goes wrong without each guard of availability: hours, time off, cover and closures."""

from __future__ import annotations

from typing import Any

from tests.support.guards import guards
from tests.support.stage import Stage

ONE_CLOSURE = "id = (select min(id::text)::uuid from public.closures)"

REFUSED = {
    "public.availability_rules.availability_rules_pkey": (
        "insert into public.availability_rules (id, resource_id, weekday, start_time, end_time) "
        "select id, resource_id, weekday, '20:00', '21:00' from public.availability_rules"
    ),
    "public.availability_rules.weekday_is_sunday_0_to_saturday_6": "update public.availability_rules set weekday = 7",
    "public.availability_rules.start_is_before_end": "update public.availability_rules set start_time = end_time",
    "public.availability_rules.time_zone_exists": "update public.availability_rules set time_zone = 'Here'",
    "public.availability_rules.effective_has_a_first_day": (
        "update public.availability_rules set effective = daterange(null, '2100-01-01')"
    ),
    "public.availability_rules.effective_ends_before_2200": (
        "update public.availability_rules set effective = daterange('2100-01-01', '2200-01-02')"
    ),
    "public.availability_rules.hours_do_not_overlap": (
        "insert into public.availability_rules (resource_id, weekday, start_time, end_time, effective) "
        "select resource_id, weekday, '16:59', '18:00', effective from public.availability_rules"
    ),
    "public.time_off.first_day_is_not_after_last": "update public.time_off set ends_on = starts_on - 1",
    "public.time_off.lasts_at_most_two_years": "update public.time_off set ends_on = starts_on + 731",
    "public.time_off.is_between_1970_and_2200": "update public.time_off set starts_on = '1969-12-31', ends_on = '1970-01-01'",
    "public.time_off.time_zone_exists": "update public.time_off set time_zone = 'Here'",
    "public.time_off.during_is_half_open_and_finite": "update public.time_off set during = tstzrange(lower(during), null)",
    "public.time_off.status_is_known": "update public.time_off set status = 'maybe', keeps_claims = false",
    "public.time_off.decided_has_a_time": "update public.time_off set decided_at = null",
    "public.time_off.only_approving_keeps_claims": "update public.time_off set status = 'refused'",
    "public.time_off.texts_are_short": "update public.time_off set reason = repeat('x', 1001)",
    "public.time_off.t30_check_status": (
        "update public.time_off set status = 'requested', decided_at = null, keeps_claims = false"
    ),
    "public.cover_requests.cover_requests_pkey": (
        "insert into public.cover_requests (id, time_off_id, resource_id, source_table, source_id, occurs_on) "
        "select id, time_off_id, resource_id, source_table, gen_random_uuid(), occurs_on from public.cover_requests"
    ),
    "public.cover_requests.status_is_known": "update public.cover_requests set status = 'maybe'",
    "public.cover_requests.t00_only_triggers_insert": (
        "insert into public.cover_requests (time_off_id, resource_id, source_table, source_id, occurs_on) "
        "select time_off_id, resource_id, 'meetings', gen_random_uuid(), occurs_on from public.cover_requests"
    ),
    # Whoever is away is still down for it.
    "public.cover_requests.t20_check": "update public.cover_requests set status = 'covered'",
    "public.closures.name_is_given": "update public.closures set name = ' '",
    "public.closures.first_day_is_not_after_last": "update public.closures set ends_on = starts_on - 1",
    "public.closures.lasts_at_most_two_years": "update public.closures set ends_on = starts_on + 731",
    "public.closures.is_between_1970_and_2200": "update public.closures set starts_on = '1969-12-31', ends_on = '1970-01-01'",
    "public.closures.during_is_half_open_and_finite": "update public.closures set during = 'empty'",
}


def one(stage: Stage, statement: str, *arguments: Any) -> Any:
    """The first value of the first row, as the owner."""
    row = stage.db.execute(statement.encode(), arguments).fetchone()
    assert row is not None
    return row[0]


@guards("public.availability_rules.t20_set_default_zone")
def hours_are_told_by_the_persons_clock(stage: Stage) -> None:
    teacher = stage.people["instructor"].profile_id
    stage.db.execute("update public.user_profiles set time_zone = 'Asia/Tokyo' where id = %s", [teacher])
    zone = one(
        stage,
        "insert into public.availability_rules (resource_id, weekday, start_time, end_time) "
        "values (%s, 6, '09:00', '10:00') returning time_zone",
        teacher,
    )
    assert zone == "Asia/Tokyo"


@guards("public.time_off.t20_set_range")
def time_off_is_when_its_days_are(stage: Stage) -> None:
    made = one(
        stage,
        "insert into public.time_off (resource_id, starts_on, time_zone) values (%s, '2024-03-10', 'America/New_York') "
        "returning id",
        stage.people["instructor"].profile_id,
    )
    hours = (
        "select extract(epoch from upper(during) - lower(during))::integer / 3600 from public.time_off where id = %s"
    )
    assert one(stage, hours, made) == 23


@guards("public.time_off.t60_flag_for_cover")
def cancelled_time_off_seeks_no_cover(stage: Stage) -> None:
    assert one(stage, "select count(*) from public.cover_requests where status = 'open'") > 0
    stage.db.execute("update public.time_off set status = 'cancelled'")
    assert one(stage, "select count(*) from public.cover_requests where status = 'open'") == 0


@guards("public.closures.t20_set_range")
def a_closure_is_when_its_days_are(stage: Stage) -> None:
    before = one(stage, f"select lower(during) from public.closures where {ONE_CLOSURE}")
    after = one(
        stage, f"update public.closures set starts_on = starts_on - 1 where {ONE_CLOSURE} returning lower(during)"
    )
    assert after < before


@guards("public.locations.t60_follow_zone")
def closed_days_follow_the_place(stage: Stage) -> None:
    starts = f"select lower(during) from public.closures where {ONE_CLOSURE}"
    before = one(stage, starts)
    stage.db.execute("update public.locations set time_zone = 'Asia/Tokyo'")
    assert one(stage, starts) < before


@guards("public.settings.t60_follow_zone")
def closed_days_follow_the_organisation(stage: Stage) -> None:
    stage.db.execute("update public.locations set time_zone = null")
    starts = f"select lower(during) from public.closures where {ONE_CLOSURE}"
    before = one(stage, starts)
    stage.db.execute("update public.settings set value = '\"Asia/Tokyo\"' where key = 'organisation_time_zone'")
    assert one(stage, starts) < before
