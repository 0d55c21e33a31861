"""What goes wrong without each guard of the ledger and its sources.

The names of the rows are those of sample.py. That claims follow their sources is seen by asking the ledger itself: after
every change of a source nothing is missing in it, nothing too much.
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from tests.support.calls import refused
from tests.support.guards import Scenario, guards, works
from tests.support.stage import Stage

A_RULE = "(select min(id::text)::uuid from public.weekly_rules where title like 'Yoga%')"
PROJECTOR = "(select id from public.resources where name = 'Projector')"
ONE_MEMBER = """
  with made as (insert into public.overrides (reason) values ('Just one.') returning id)
  insert into public.override_members
  select made.id, 'meetings', m.id from made, public.meetings m where m.title = 'Meeting of Ola Other';
"""

REFUSED = {
    # resources and places
    "public.locations.address_is_short": "update public.locations set address = repeat('x', 1001)",
    "public.locations.capacity_is_not_negative": "update public.locations set capacity = -1",
    "public.locations.name_is_given": "update public.locations set name = '' where name = 'Attic'",
    "public.locations.time_zone_exists": "update public.locations set time_zone = 'Mars/Base'",
    "public.locations.locations_one_name": "update public.locations set name = 'STUDIO' where name = 'Attic'",
    "public.resources.kind_is_known": "update public.resources set kind = 'ghost' where kind = 'equipment'",
    "public.resources.name_is_given": "update public.resources set name = ' ' where kind = 'equipment'",
    "public.resources.person_has_a_profile": "update public.resources set kind = 'person' where kind = 'equipment'",
    "public.resources.place_has_a_location": "update public.resources set kind = 'place' where kind = 'equipment'",
    "public.resources.resources_pkey": (
        "insert into public.resources (id, kind, name) select id, 'equipment', 'Twin' from public.resources "
        "where kind = 'equipment'"
    ),
    "public.resources.shares_the_id_of_what_it_stands_for": (
        "insert into public.resources (kind, name, profile_id) select 'person', 'Twin', p.id from public.user_profiles p "
        "where not exists (select from public.resources r where r.profile_id = p.id) limit 1"
    ),
    "public.resources.resources_profile_id_fkey": (
        "insert into public.resources (id, kind, name, profile_id) values "
        "('00000000-0000-4000-8000-000000000001', 'person', 'Ghost', '00000000-0000-4000-8000-000000000001')"
    ),
    "public.resources.resources_location_id_fkey": (
        "insert into public.resources (id, kind, name, location_id) values "
        "('00000000-0000-4000-8000-000000000001', 'place', 'Ghost', '00000000-0000-4000-8000-000000000001')"
    ),
    # claims and horizons
    "public.claims.t00_only_triggers_write": "update public.claims set title = 'Mine'",
    "public.claims.during_is_at_most_31_days": (
        "update public.claims set during = '[2100-01-01, 2100-03-01)' where title = 'Meeting of Ola Other'"
    ),
    "public.claims.during_is_between_1970_and_2200": (
        "update public.claims set during = '[2300-01-01, 2300-01-02)' where title = 'Meeting of Ola Other'"
    ),
    "public.claims.during_is_half_open_and_finite": (
        "update public.claims set during = '[2100-01-01, 2100-01-02]' where title = 'Meeting of Ola Other'"
    ),
    "public.claims.nobody_is_in_two_places": (
        "update public.claims c set during = o.during from public.claims o "
        "where o.resource_id = c.resource_id and o.title = 'Taken over by Ola Other' and c.title = 'Meeting of Ola Other'"
    ),
    "public.resource_horizons.claimed_until_is_finite": "update public.resource_horizons set claimed_until = 'infinity'",
    "public.resource_horizons.t20_check": (
        "update public.resource_horizons set claimed_until = claimed_until - interval '1 day'"
    ),
    "public.resource_horizons.t20_keep": "delete from public.resource_horizons",
    # overrides
    "public.overrides.reason_is_given": "update public.overrides set reason = ' '",
    "public.overrides.t20_check": (
        "insert into public.overrides (reason, expires_at) values ('Too late.', private.now() - interval '1 day')"
    ),
    # weekly rules and their exceptions
    "public.weekly_rules.effective_ends_before_2200": (
        "update public.weekly_rules set effective = daterange(lower(effective), '2300-01-01')"
    ),
    "public.weekly_rules.effective_has_a_first_day": (
        "update public.weekly_rules set effective = daterange(null, '2030-01-01')"
    ),
    "public.weekly_rules.kind_is_snake_case": "update public.weekly_rules set kind = 'Night Watch'",
    "public.weekly_rules.source_is_whole": "update public.weekly_rules set source_table = 'sections'",
    "public.weekly_rules.start_is_before_end": "update public.weekly_rules set end_time = '00:01'",
    "public.weekly_rules.time_zone_exists": "update public.weekly_rules set time_zone = 'Mars/Base'",
    "public.weekly_rules.title_is_given": "update public.weekly_rules set title = ' '",
    "public.weekly_rules.weekday_is_sunday_0_to_saturday_6": "update public.weekly_rules set weekday = 7",
    "public.weekly_rule_exceptions.kind_is_known": (
        "update public.weekly_rule_exceptions set kind = 'lost' where kind = 'cancelled'"
    ),
    "public.weekly_rule_exceptions.moved_says_where_to": (
        "update public.weekly_rule_exceptions set moved_to_date = occurs_on where kind = 'cancelled'"
    ),
    "public.weekly_rule_exceptions.moved_start_is_before_end": (
        "update public.weekly_rule_exceptions set moved_end_time = '00:01' where kind = 'moved'"
    ),
    "public.weekly_rule_exceptions.reason_is_short": (
        "update public.weekly_rule_exceptions set reason = repeat('x', 1001) where kind = 'cancelled'"
    ),
    "public.weekly_rule_exceptions.taken_over_says_by_what": (
        "update public.weekly_rule_exceptions set taken_by_id = gen_random_uuid() where kind = 'cancelled'"
    ),
    "public.weekly_rule_exceptions.t10_keep_taken_over": (
        "update public.weekly_rule_exceptions set reason = 'Mine now.' where kind = 'taken_over'"
    ),
    "public.weekly_rule_exceptions.t20_check": (
        "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind) "
        "select id, lower(effective) + 1, 'cancelled' from public.weekly_rules where title like 'Yoga%'"
    ),
    # meetings
    "public.meetings.capacity_is_not_negative": "update public.meetings set capacity = -1",
    "public.meetings.enrolled_is_not_negative": "update public.meetings set enrolled = -1",
    "public.meetings.is_between_1970_and_2200": "update public.meetings set date = '1950-01-01'",
    "public.meetings.kind_is_snake_case": "update public.meetings set kind = 'Night Watch'",
    "public.meetings.lasts_at_most_31_days": "update public.meetings set ends_at = starts_at + interval '40 days'",
    "public.meetings.meetings_rule_id_fkey": "update public.meetings set rule_id = gen_random_uuid(), occurs_on = date",
    "public.meetings.rule_says_which_date": f"update public.meetings set rule_id = {A_RULE}, occurs_on = null",
    "public.meetings.start_is_before_end": "update public.meetings set ends_at = starts_at - interval '1 hour'",
    "public.meetings.status_is_known": "update public.meetings set status = 'lost'",
    "public.meetings.texts_are_short": "update public.meetings set notes = repeat('x', 10001)",
    "public.meetings.time_zone_exists": "update public.meetings set time_zone = 'Mars/Base'",
    "public.meetings.title_is_given": "update public.meetings set title = ' '",
}


def ledger_agrees(stage: Stage) -> bool:
    """Whether the claims are those that the sources call for."""
    return stage.db.execute("select from private.ledger_difference()").fetchone() is None


def follows(guard: str, statement: str) -> Scenario:
    """After the statement the ledger agrees with the sources."""

    @guards(guard)
    def claims_follow(stage: Stage) -> None:
        assert ledger_agrees(stage)
        stage.db.execute(statement.encode())
        assert ledger_agrees(stage)

    return claims_follow


SCENARIOS = [
    follows("public.meetings.t50_claims_update", "update public.meetings set start_time = '09:30'"),
    follows(
        "public.meeting_participants.t50_claims_insert",
        f"insert into public.meeting_participants select id, {PROJECTOR} from public.meetings where title like 'Meeting%' limit 1",
    ),
    follows(
        "public.meeting_participants.t50_claims_update",
        f"update public.meeting_participants p set resource_id = {PROJECTOR} "
        "from public.meetings m where m.id = p.meeting_id and m.title = 'Meeting of Ola Other'",
    ),
    follows("public.meeting_participants.t50_claims_delete", "delete from public.meeting_participants"),
    follows("public.override_members.t50_claims_insert", ONE_MEMBER),
    follows(
        "public.override_members.t50_claims_update",
        f"{ONE_MEMBER} insert into public.overrides (reason) values ('Another.'); "
        "update public.override_members m set override_id = a.id from public.overrides o, public.overrides a "
        "where o.id = m.override_id and o.reason = 'Just one.' and a.reason = 'Another.'",
    ),
    follows(
        "public.override_members.t50_claims_delete",
        f"{ONE_MEMBER} delete from public.override_members m using public.overrides o "
        "where o.id = m.override_id and o.reason = 'Just one.'",
    ),
    follows(
        "public.overrides.t50_claims_update",
        f"{ONE_MEMBER} update public.overrides set expires_at = granted_at + interval '1 hour' where reason = 'Just one.'",
    ),
    follows(
        "public.weekly_rules.t50_claims_update",
        "update public.weekly_rules set start_time = '09:30' where title like 'Yoga%'",
    ),
    follows(
        "public.weekly_rule_resources.t50_claims_insert",
        f"insert into public.weekly_rule_resources values ({A_RULE}, {PROJECTOR})",
    ),
    follows(
        "public.weekly_rule_resources.t50_claims_update",
        f"update public.weekly_rule_resources set resource_id = {PROJECTOR} where (rule_id, resource_id) = "
        f"(select rule_id, resource_id from public.weekly_rule_resources where rule_id = {A_RULE} limit 1)",
    ),
    follows(
        "public.weekly_rule_resources.t50_claims_delete",
        f"delete from public.weekly_rule_resources where rule_id = {A_RULE}",
    ),
    follows(
        "public.weekly_rule_exceptions.t50_claims_insert",
        "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind) "
        "select id, lower(effective) + 42, 'cancelled' from public.weekly_rules where title like 'Yoga%'",
    ),
    follows(
        "public.weekly_rule_exceptions.t50_claims_update",
        "update public.weekly_rule_exceptions set moved_start_time = '12:30' where kind = 'moved'",
    ),
    follows(
        "public.weekly_rule_exceptions.t50_claims_delete",
        "delete from public.weekly_rule_exceptions where kind = 'cancelled'",
    ),
    follows(
        "public.resource_horizons.t50_claims_update",
        "update public.resource_horizons set claimed_until = claimed_until + interval '14 days'",
    ),
    works(
        "public.locations.t50_make_places_insert",
        "insert into public.locations (name) values ('Hall')",
        "select exists (select from public.resources where name = 'Hall' and kind = 'place')",
    ),
    works(
        "public.locations.t50_make_places_update",
        "update public.locations set name = 'Loft' where name = 'Attic'",
        "select exists (select from public.resources where name = 'Loft')",
    ),
    # The place of a location is found by this key when the location changes.
    works(
        "public.resources.resources_location_id_key", "update public.locations set name = 'Loft' where name = 'Attic'"
    ),
    works(
        "public.user_profiles.t50_make_people_insert",
        "insert into public.user_profiles (full_name) values ('Ida Imported')",
        "select exists (select from public.resources where name = 'Ida Imported' and kind = 'person')",
    ),
    works(
        "public.user_profiles.t60_follow",
        "update public.user_profiles set full_name = 'Ola Renamed' where full_name = 'Ola Other'",
        "select exists (select from public.resources where name = 'Ola Renamed')",
    ),
    works(
        "public.resources.t50_start_horizon",
        "insert into public.resources (kind, name) values ('equipment', 'Screen')",
        "select exists (select from public.resource_horizons h join public.resources r on r.id = h.resource_id "
        "where r.name = 'Screen')",
    ),
    works(
        "public.meetings.t20_set_instants",
        "insert into public.meetings (title, date, start_time, end_time) values ('Talk', '2026-05-01', '10:00', '11:00')",
    ),
    works(
        "public.meetings.t40_take_over_insert",
        "insert into public.meetings (title, date, start_time, end_time, rule_id, occurs_on) "
        "select 'Stand-in', lower(effective) + 42, '10:00', '11:00', id, lower(effective) + 42 "
        "from public.weekly_rules where title like 'Yoga%' limit 1",
        "select exists (select from public.weekly_rule_exceptions e join public.meetings m on m.id = e.taken_by_id "
        "where m.title = 'Stand-in')",
    ),
    works(
        "public.meetings.t40_take_over_update",
        "update public.meetings m set rule_id = r.id, occurs_on = lower(r.effective) + 42 from public.weekly_rules r "
        "where m.title = 'Meeting of Ola Other' and r.title = 'Yoga with Ola Other'",
        "select exists (select from public.weekly_rule_exceptions e join public.meetings m on m.id = e.taken_by_id "
        "where m.title = 'Meeting of Ola Other')",
    ),
    works(
        "public.meetings.t60_give_back",
        "update public.meetings set rule_id = null, occurs_on = null, date = date + 1 where title = 'Taken over by Ola Other'",
        "select not exists (select from public.weekly_rule_exceptions e join public.meetings m on m.id = e.taken_by_id "
        "where m.title = 'Taken over by Ola Other')",
    ),
    works(
        "public.meetings.t50_claims_delete",
        "delete from public.meetings where title = 'Cross-listed A'",
        "select not exists (select from public.override_members m where m.source_table = 'meetings' "
        "and not exists (select from public.meetings s where s.id = m.source_id))",
    ),
    works(
        "public.weekly_rules.t50_claims_delete",
        "insert into public.override_members select (select min(id::text)::uuid from public.overrides), 'weekly_rules', id "
        "from public.weekly_rules where source_table is null; delete from public.weekly_rules where source_table is null",
        "select not exists (select from public.override_members where source_table = 'weekly_rules')",
    ),
]


@guards("public.meetings.t50_claims_insert", "public.weekly_rules.t50_claims_insert")
def diagnosis_misses_no_trigger(stage: Stage) -> None:
    """A happening without participants claims nothing yet; what its trigger does first of all is take locks."""
    assert stage.db.execute("select from private.check_ledger_guards_missing()").fetchone() is None


@guards("public.override_members.t20_check")
def only_happenings_are_members(stage: Stage) -> None:
    with refused("invalid_input"), stage.db.transaction():
        stage.db.execute(
            "insert into public.override_members select id, 'settings', gen_random_uuid() from public.overrides limit 1"
        )


@guards("public.user_roles.t50_make_person")
def who_works_is_a_resource(stage: Stage) -> None:
    stage.db.execute(
        "insert into public.user_roles (user_id, role_name) values (%s, 'staff')", [stage.people["nobody"].id]
    )
    assert is_resource(stage, "nobody")


@guards("public.user_profiles.t50_make_people_update")
def who_is_given_the_login_of_somebody_who_works_is_a_resource(stage: Stage) -> None:
    change = "update public.user_profiles set user_id = %s where id = %s"
    stage.db.execute(change, [None, stage.people["staff"].profile_id])
    stage.db.execute(change, [stage.people["staff"].id, stage.people["nobody"].profile_id])
    assert is_resource(stage, "nobody")


def is_resource(stage: Stage, who: str) -> bool:
    """Whether this person on stage is one that cannot be in two places."""
    query = "select from public.resources where profile_id = %s"
    return stage.db.execute(query, [stage.people[who].profile_id]).fetchone() is not None


@guards("public.resources.resources_profile_id_key")
def a_person_is_one_resource(stage: Stage) -> None:
    """Also when nothing else says so: the shared id is another guard."""
    stage.db.execute("alter table public.resources drop constraint shares_the_id_of_what_it_stands_for")
    with pytest.raises(psycopg.errors.UniqueViolation), stage.db.transaction():
        stage.db.execute(
            "insert into public.resources (kind, name, profile_id) "
            "select 'person', name, profile_id from public.resources where profile_id is not null limit 1"
        )


@guards("public.resource_horizons.t50_claims_insert", "private.ledger_rebuilds.t50_rebuild")
def what_was_tampered_with_is_made_good(stage: Stage) -> None:
    """Claims and horizon of one instructor are taken away behind the triggers' back, then brought back."""
    row = stage.db.execute("select id from public.resources where name = 'Ola Other'").fetchone()
    assert row is not None
    behind = sql.SQL(
        "alter table public.claims {0} trigger user; alter table public.resource_horizons {0} trigger user"
    )
    stage.db.execute(behind.format(sql.SQL("disable")))
    stage.db.execute("delete from public.claims where resource_id = %s", row)
    stage.db.execute("delete from public.resource_horizons where resource_id = %s", row)
    stage.db.execute(behind.format(sql.SQL("enable")))
    stage.db.execute("insert into public.resource_horizons values (%s, private.now() + interval '400 days')", row)
    meetings = "select from public.claims where resource_id = %s and source_table = %s"
    assert stage.db.execute(meetings, [*row, "weekly_rules"]).fetchone() is not None
    stage.db.execute(
        "insert into private.ledger_rebuilds (source_table, source_ids) select 'meetings', array_agg(id) from public.meetings"
    )
    assert ledger_agrees(stage)
