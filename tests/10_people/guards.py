"""What goes wrong without each guard of this module."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import psycopg

from tests.support.guards import guards
from tests.support.identity import as_user
from tests.support.stage import Stage

ADMIN = "(select user_id from public.user_roles where role_name = 'admin')"
SOMEBODY = "full_name = 'Import Ed'"
OWN = "table_name = 'public.user_roles'"

REFUSED = {
    "public.user_profiles.user_profiles_pkey": (
        f"insert into public.user_profiles (id, full_name) select id, 'Twin' from public.user_profiles where {SOMEBODY}"
    ),
    "public.user_profiles.full_name_is_present": f"update public.user_profiles set full_name = '' where {SOMEBODY}",
    "public.user_profiles.email_is_a_lower_case_address": f"update public.user_profiles set email = 'X' where {SOMEBODY}",
    "public.user_profiles.phone_is_e164": f"update public.user_profiles set phone = '0800' where {SOMEBODY}",
    "public.user_profiles.time_zone_is_known": f"update public.user_profiles set time_zone = 'Here' where {SOMEBODY}",
    "public.user_profiles.erased_people_are_gone": (
        f"update public.user_profiles set erased_at = private.now() where {SOMEBODY}"
    ),
    "public.user_profiles.t80_keep_an_admin_active": (
        f"update public.user_profiles set is_active = false where user_id = {ADMIN}"
    ),
    "public.roles.name_is_snake_case": "insert into public.roles (name, description) values ('The King', 'Rules.')",
    "public.roles.description_is_present": "insert into public.roles (name, description) values ('king', ' ')",
    "public.roles.t20_guard": "update public.roles set is_builtin = false where name = 'member'",
    "public.role_permissions.admin_holds_every_permission": (
        "update public.role_permissions set is_granted = false where role_name = 'admin'"
    ),
    "public.role_permissions.t20_guard": "delete from public.role_permissions where role_name = 'admin'",
    "public.user_roles.t80_keep_an_admin_revoked": "delete from public.user_roles where role_name = 'admin'",
    "public.user_roles.t80_keep_an_admin_changed": (
        "update public.user_roles set role_name = 'instructor' where role_name = 'admin'"
    ),
    "public.user_permissions.reason_is_present": "update public.user_permissions set reason = ' '",
    "public.user_permissions.end_is_after_start": "update public.user_permissions set expires_at = granted_at",
    "public.user_permissions.t80_keep_an_admin_denied": (
        "insert into public.user_permissions (user_id, permission, is_granted, reason) "
        "select user_id, 'manage:users', false, 'none' from public.user_roles where role_name = 'admin'"
    ),
    "public.access_changes.action_is_known": (
        "insert into public.access_changes (at, action, actor_role) values (private.now(), 'role_painted', 'x')"
    ),
    "public.access_changes.t10_only_added_to": "delete from public.access_changes",
    "private.personal_data.key_is_known": f"update private.personal_data set person_key = 'email' where {OWN}",
    "private.personal_data.action_is_known": f"update private.personal_data set erase_action = 'burn' where {OWN}",
    "private.personal_data.overwriting_says_with_what": (
        f"update private.personal_data set erase_action = 'overwrite' where {OWN}"
    ),
    "private.personal_data.keeping_says_why": f"update private.personal_data set erase_action = 'keep' where {OWN}",
    "private.personal_data.t10_check": f"update private.personal_data set export_columns = '{{nothing}}' where {OWN}",
}


def acting(stage: Stage, role: str) -> AbstractContextManager[Any]:
    return as_user(stage.db, stage.people[role])


def is_refused(stage: Stage, role: str, statement: str) -> bool:
    """Whether our own functions say no (rather than a missing grant, or nothing)."""
    try:
        with acting(stage, role):
            stage.db.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate == "PGRST"
    return False


def count(stage: Stage, role: str, table: str) -> int:
    with acting(stage, role):
        row = stage.db.execute(f"select count(*) from public.{table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def changed(stage: Stage, role: str, statement: str) -> int:
    """How many rows it touches as that person."""
    with acting(stage, role):
        return stage.db.execute(statement.encode()).rowcount


def recorded(stage: Stage, action: str) -> int:
    row = stage.db.execute("select count(*) from public.access_changes where action = %s", [action]).fetchone()
    assert row is not None
    return int(row[0])


def open_doors(stage: Stage) -> None:
    """As if grants and row level security had been forgotten."""
    for table in ("user_roles", "user_permissions", "user_profiles"):
        stage.db.execute(f"alter table public.{table} disable row level security".encode())
        stage.db.execute(f"grant all on public.{table} to authenticated".encode())


@guards("auth.users.t10_keep_profile")
def signing_up_makes_a_profile(stage: Stage) -> None:
    user_id = uuid4()
    stage.db.execute("insert into auth.users (id, email) values (%s, 'new@example.org')", [user_id])
    row = stage.db.execute("select email from public.user_profiles where user_id = %s", [user_id]).fetchone()
    assert row == ("new@example.org",)


@guards("public.permissions.t10_give_to_admin")
def admin_holds_what_is_registered_later(stage: Stage) -> None:
    stage.db.execute("insert into public.permissions (name, module, description) values ('fly:kite', 'm', 'd')")
    with acting(stage, "admin"):
        assert stage.db.execute("select private.has_permission('fly:kite')").fetchone() == (True,)


@guards("public.user_profiles.t05_guard")
def people_change_only_what_is_theirs(stage: Stage) -> None:
    open_doors(stage)
    me = stage.people["member"]
    assert is_refused(stage, "member", f"update public.user_profiles set email = 'a@b.co' where user_id = '{me.id}'")


@guards("public.user_profiles.t20_check_profile")
def every_wrong_field_of_a_profile_is_named(stage: Stage) -> None:
    assert is_refused(stage, "member", "update public.user_profiles set phone = '1', time_zone = 'x'")
    assert is_refused(stage, "admin", "insert into public.user_profiles (full_name) values (' ')")


@guards("public.user_roles.t20_guard")
def nobody_gives_themselves_a_role(stage: Stage) -> None:
    open_doors(stage)
    me = stage.people["member"].id
    assert is_refused(stage, "member", f"insert into public.user_roles (user_id, role_name) values ('{me}', 'staff')")


@guards("public.user_permissions.t20_guard")
def nobody_gives_themselves_a_permission(stage: Stage) -> None:
    open_doors(stage)
    assert is_refused(stage, "member", "update public.user_permissions set is_granted = not is_granted")


@guards("public.user_roles.t10_stamp")
def a_role_is_signed(stage: Stage) -> None:
    open_doors(stage)
    them, other = stage.people["nobody"].id, stage.people["staff"].id
    changed(
        stage,
        "admin",
        f"insert into public.user_roles (user_id, role_name, granted_by) values ('{them}', 'member', '{other}')",
    )
    row = stage.db.execute("select granted_by from public.user_roles where user_id = %s", [them]).fetchone()
    assert row == (stage.people["admin"].id,)


@guards("public.user_permissions.t10_stamp")
def a_permission_is_signed(stage: Stage) -> None:
    open_doors(stage)
    them = stage.people["manager"].id
    changed(
        stage,
        "admin",
        "insert into public.user_permissions (user_id, permission, is_granted, reason) "
        f"values ('{them}', 'read:contact', true, 'x')",
    )
    row = stage.db.execute("select granted_by from public.user_permissions where user_id = %s", [them]).fetchone()
    assert row == (stage.people["admin"].id,)


@guards("public.user_roles.t90_record")
def a_grant_is_recorded(stage: Stage) -> None:
    before = recorded(stage, "role_granted")
    stage.db.execute("select public.grant_role(%s, 'staff')", [stage.people["member"].id])
    assert recorded(stage, "role_granted") == before + 1


@guards("public.user_permissions.t90_record")
def a_denial_is_recorded(stage: Stage) -> None:
    before = recorded(stage, "permission_denied")
    stage.db.execute("select public.grant_permission(%s, 'read:contact', 'x', false)", [stage.people["manager"].id])
    assert recorded(stage, "permission_denied") == before + 1


@guards("public.roles.t90_record", "public.role_permissions.t90_record")
def what_roles_mean_is_recorded(stage: Stage) -> None:
    before = recorded(stage, "role_created"), recorded(stage, "role_permission_granted")
    stage.db.execute("insert into public.roles (name, description) values ('guard', 'Guards.')")
    stage.db.execute("insert into public.role_permissions (role_name, permission) values ('guard', 'read:contact')")
    assert (recorded(stage, "role_created"), recorded(stage, "role_permission_granted")) == (
        before[0] + 1,
        before[1] + 1,
    )


@guards("public.user_profiles.people see themselves, contact readers see everyone")
def people_see_themselves(stage: Stage) -> None:
    assert count(stage, "member", "user_profiles") == 1
    assert count(stage, "staff", "user_profiles") > 5


@guards(
    "public.user_profiles.user managers add people",
    "public.user_profiles.people change themselves, user managers change everyone",
)
def profiles_are_written(stage: Stage) -> None:
    assert changed(stage, "member", "update public.user_profiles set full_name = 'Me'") == 1
    assert changed(stage, "admin", f"update public.user_profiles set is_active = false where {SOMEBODY}") == 1
    assert changed(stage, "admin", "insert into public.user_profiles (full_name) values ('Somebody New')") == 1


@guards(
    "public.roles.everyone sees the roles",
    "public.roles.user managers add roles",
    "public.roles.user managers describe roles",
    "public.roles.user managers remove roles",
    "public.role_permissions.everyone sees what roles may do",
    "public.role_permissions.user managers give roles permissions",
    "public.role_permissions.user managers switch permissions of roles",
    "public.role_permissions.user managers take permissions from roles",
)
def user_managers_shape_roles(stage: Stage) -> None:
    assert count(stage, "member", "roles") >= 5
    assert count(stage, "member", "role_permissions") > 10
    for statement in (
        "insert into public.roles (name, description) values ('king', 'k')",
        "update public.roles set description = 'Reigns.' where name = 'king'",
        "insert into public.role_permissions (role_name, permission) values ('king', 'read:contact')",
        "update public.role_permissions set is_granted = false where role_name = 'king'",
        "delete from public.role_permissions where role_name = 'king'",
        "delete from public.roles where name = 'king'",
    ):
        assert changed(stage, "admin", statement) == 1, statement


@guards(
    "public.user_roles.people see their roles, user managers see all",
    "public.user_permissions.people see their permissions, user managers see all",
    "public.access_changes.user managers see what changed",
)
def people_see_their_access(stage: Stage) -> None:
    assert count(stage, "manager", "user_roles") == 2
    assert count(stage, "member", "user_permissions") == 1
    assert count(stage, "admin", "user_permissions") >= 3
    assert count(stage, "admin", "access_changes") > 5
    assert count(stage, "manager", "access_changes") == 0


@guards(
    "public.settings.settings managers see the settings, everyone the public ones",
    "public.settings.settings managers change the settings",
    "public.permissions.diagnosticians see the permissions",
    "public.integrity_checks.diagnosticians see the checks",
    "public.scheduled_jobs.diagnosticians see the jobs",
)
def the_platforms_tables_are_read(stage: Stage) -> None:
    assert 0 < count(stage, "member", "settings") < count(stage, "admin", "settings")
    assert changed(stage, "admin", "update public.settings set value = '10' where key = 'page_size'") == 1
    for table in ("permissions", "integrity_checks", "scheduled_jobs"):
        assert count(stage, "manager", table) > 0


@guards("public.user_profiles.t50_forget_unused_person")
def an_unused_resource_goes_with_its_profile(stage: Stage) -> None:
    stage.db.execute("insert into public.user_profiles (full_name) values ('Never Needed')")
    assert stage.db.execute("delete from public.user_profiles where full_name = 'Never Needed'").rowcount == 1
