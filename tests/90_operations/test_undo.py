"""Undoing a repair: byte for byte, all or nothing, only while nothing moved on, whoever asks through whichever door."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from tests.support.calls import Refusal, read_refusal
from tests.support.identity import as_role, as_user
from tests.support.repairs import Repairs
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World


class Place(Repairs):
    """A room, two meetings in it, and a weekly rule."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.room = self.one("insert into public.locations (name) values ('Room') returning id")
        self.zoe = self.one("insert into public.user_profiles (full_name) values ('Zoe') returning id")
        schedule = "select id from public.schedule_meeting(%s, private.today() + 10, %s, %s, %s)"
        self.first = self.one(schedule, "Algebra", "09:00", "10:00", [self.zoe, self.room])
        self.second = self.one(schedule, "Geometry", "10:00", "11:00", [self.zoe, self.room])
        self.rule = self.one("select id from public.create_weekly_rule('Yoga', %s, 3, '18:00', '19:00')", [self.zoe])


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


DAMAGE = [
    ("claims_missing", "delete from public.claims where source_id = %(second)s"),
    ("claims_differ", "update public.claims set during = tstzrange(lower(during), upper(during) - interval '1 min') where source_id = %(first)s"),
    ("claims_differ", "update public.claims set share_key = gen_random_uuid() where source_id = %(first)s"),
    ("claims_orphaned", "delete from public.meetings where id = %(first)s"),
    ("rule_dates_differ", "delete from public.claims where source_id = %(rule)s and occurs_on > private.today() + 100"),
    ("rule_dates_differ", "update public.claims set occurs_on = occurs_on + 1 where source_id = %(rule)s"),
    ("horizons_late", "update public.resource_horizons set claimed_until = claimed_until - interval '90 days' where resource_id = %(zoe)s"),
    ("horizons_late", "delete from public.resource_horizons where resource_id = %(zoe)s"),
    ("meeting_instants_differ", "update public.meetings set starts_at = starts_at - interval '1 hour' where id = %(first)s"),
    ("people_and_resources_differ", "insert into public.locations (name) values ('Annexe')"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "damage"), DAMAGE)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_what_was_fixed_is_put_back_byte_for_byte_and_found_again(
    place: Place, check: str, damage: str, zone: str
) -> None:
    """Whatever the session that fixes and the one that undoes write instants like."""
    place.plant(damage, {**vars(place)})
    damaged, findings, triggers = place.everything(), place.found(), place.triggers()
    assert check in {name for name, _ in findings}
    fix_id = place.fix(check)
    assert check not in {name for name, _ in place.found()}
    place.db.execute(
        f"set timezone = '{zone}'; set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'".encode()
    )
    planned = place.undo(fix_id, dry_run=True)
    assert check not in {name for name, _ in place.found()}
    assert place.undo(fix_id) == planned
    assert sum(sum(counts) for _, *counts in planned) > 0
    place.db.execute("reset timezone; reset datestyle; reset intervalstyle")
    assert place.everything() == damaged
    assert place.triggers() == triggers
    assert place.found() == findings
    again = place.fix(check)
    assert again > fix_id
    assert check not in {name for name, _ in place.found()}


def test_the_runs_say_what_was_done(place: Place, world: World) -> None:
    admin = world.user("admin")
    place.plant("delete from public.claims where source_id = %s", [place.second])
    with as_user(place.db, admin):
        fix_id = place.fix("claims_missing")
        place.undo(fix_id)
    runs = place.db.execute(
        "select check_name, faults, fixed, remaining, changed_rows, undoes, applied_by from public.fix_runs order by id"
    ).fetchall()
    assert runs == [
        ("claims_missing", 1, 1, 0, 2, None, admin.id),
        ("claims_missing", 1, 0, 1, 2, fix_id, admin.id),
    ]


def test_a_row_that_moved_on_is_not_overwritten(place: Place) -> None:
    place.plant("update public.meetings set starts_at = starts_at - interval '1 hour' where id = %s", [place.first])
    fix_id = place.fix("meeting_instants_differ")
    place.db.execute("update public.meetings set title = 'Algebra II' where id = %s", [place.first])
    said = place.refused(fix_id)
    assert said.code == "illegal_transition"
    assert {"table": "meetings", "key": {"id": str(place.first)}} in said.details["rows"]
    assert place.refused(fix_id, dry_run=True).details["rows"] == said.details["rows"]
    place.db.execute("delete from public.meetings where id = %s", [place.first])
    assert {"table": "meetings", "key": {"id": str(place.first)}} in place.refused(fix_id).details["rows"]


def test_a_row_that_came_again_is_not_overwritten(place: Place) -> None:
    """What the repair removed is there again: putting it back would be a second one."""
    place.plant("delete from public.meetings where id = %s", [place.first])
    fix_id = place.fix("claims_orphaned")
    place.plant(
        "insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)"
        " select %s, tstzrange(now(), now() + interval '1 h'), gen_random_uuid(), 'meetings', %s, private.today() + 10, 'meeting', 'Other'",
        [place.zoe, place.first],
    )  # fmt: skip
    assert [row["key"]["resource_id"] for row in place.refused(fix_id).details["rows"]] == [str(place.zoe)]


def test_what_depends_on_it_since_keeps_it(place: Place) -> None:
    """Removing the room's resource would take what was booked in the room along."""
    place.plant("insert into public.locations (id, name) values (%s, 'Annexe')", [UUID(int=5)])
    fix_id = place.fix("people_and_resources_differ")
    resource = place.one("select id from public.resources where location_id = %s", UUID(int=5))
    place.one("select id from public.schedule_meeting('New', private.today() + 3, '09:00', '10:00', %s)", [resource])
    assert place.refused(fix_id).code == "illegal_transition"


def test_a_constraint_has_the_last_word(place: Place) -> None:
    """The claim that was removed is somebody else's time meanwhile."""
    place.plant("delete from public.meetings where id = %s", [place.first])
    fix_id = place.fix("claims_orphaned")
    place.one("select id from public.schedule_meeting('New', private.today() + 10, '09:30', '10:00', %s)", [place.zoe])
    said = place.refused(fix_id)
    assert (said.code, said.details["constraint"], said.details["table"]) == (
        "illegal_transition", "nobody_is_in_two_places", "claims",
    )  # fmt: skip


def test_a_fix_is_undone_once_and_an_undo_is_not_undone(place: Place) -> None:
    place.plant("delete from public.claims where source_id = %s", [place.second])
    fix_id = place.fix("claims_missing")
    place.undo(fix_id)
    said = place.refused(fix_id)
    assert (said.code, "undone before" in said.message) == ("illegal_transition", True)
    undo_id = place.one("select id from public.fix_runs where undoes = %s", fix_id)
    assert "undo itself" in place.refused(undo_id).message


def test_fixes_of_one_row_are_undone_the_last_one_first(place: Place) -> None:
    shorten = "update public.claims set during = tstzrange(lower(during), upper(during) - interval '1 min') where source_id = %s"
    place.plant(shorten, [place.first])
    damaged = place.everything()
    one = place.fix("claims_differ")
    place.plant("delete from public.claims where source_id = %s", [place.first])
    two = place.fix("claims_missing")
    assert one < two
    place.undo(two)
    assert place.refused(one).code == "illegal_transition"
    # Whatever brought the rows back: what counts is that they are as the fix left them.
    place.fix("claims_missing")
    place.undo(one)
    assert place.everything() == damaged


def test_nothing_found_and_dry_runs_leave_no_run(place: Place) -> None:
    assert place.db.execute("select * from public.apply_fixes()").fetchall() == []
    place.plant("delete from public.claims where source_id = %s", [place.second])
    [(fix_id,)] = place.db.execute("select fix_id from public.apply_fixes(p_dry_run => true)").fetchall()
    assert fix_id is None
    assert place.one("select count(*) from public.fix_runs") == 0


def test_a_repair_that_changes_nothing_cannot_be_undone(place: Place) -> None:
    """Somebody else has the time: the finding stays."""
    place.plant("delete from public.claims where source_id = %s", [place.second])
    place.one(
        "select id from public.schedule_meeting('In the way', private.today() + 10, '10:30', '10:45', %s)",
        [place.zoe, place.room],
    )
    [(remaining, fix_id)] = place.db.execute(
        "select remaining, fix_id from public.apply_fixes(p_checks => '{claims_missing}')"
    ).fetchall()
    assert (remaining, fix_id) == (1, None)
    run = place.one("select id from public.fix_runs")
    assert "nothing" in place.refused(run).message


def test_an_unknown_fix(place: Place) -> None:
    assert place.refused(999).code == "not_found"


def test_a_repeated_call_undoes_once(place: Place) -> None:
    place.plant("delete from public.claims where source_id = %s", [place.second])
    fix_id = place.fix("claims_missing")
    assert place.undo(fix_id, key="k") == place.undo(fix_id, key="k")
    assert place.one("select count(*) from public.fix_runs where undoes = %s", fix_id) == 1


def test_triggers_that_were_off_stay_off(place: Place) -> None:
    place.plant("delete from public.claims where source_id = %s", [place.second])
    fix_id = place.fix("claims_missing")
    place.behind.execute("alter table public.claims disable trigger t00_only_triggers_write")
    triggers = place.triggers()
    place.undo(fix_id)
    assert place.triggers() == triggers


def test_the_setting_alone_keeps_nothing(place: Place) -> None:
    """Neither of rows that are no repair's, nor less of those that are."""
    for value in ("1", "x", "99999999999999999999", "-1"):
        with place.db.transaction():
            place.db.execute("select set_config('classbase.fix', %s, true)", [value])
            place.db.execute("update public.meetings set title = title || '.' where id = %s", [place.first])
    place.plant("delete from public.claims where source_id = %s", [place.second])
    with place.db.transaction():
        place.db.execute("select set_config('classbase.fix', '', true)")
        fix_id = place.fix("claims_missing")
        # After the repair, in its transaction, naming it.
        place.db.execute("select set_config('classbase.fix', %s, true)", [str(fix_id)])
        place.db.execute("update public.meetings set title = title || '.' where id = %s", [place.first])
    assert place.db.execute("select distinct table_name from private.fix_changes").fetchall() == [("claims",)]
    assert place.one("select count(*) from private.open_fixes") == 0


@pytest.mark.parametrize("role", ["manager", "instructor", "staff", "member"])
def test_only_holders_of_apply_fixes_undo(place: Place, world: World, role: str) -> None:
    place.plant("delete from public.claims where source_id = %s", [place.second])
    fix_id = place.fix("claims_missing")
    user = world.user(role)
    for dry_run in (True, False):
        with pytest.raises(psycopg.Error) as caught, as_user(place.db, user):
            place.undo(fix_id, dry_run=dry_run)
        assert read_refusal(caught.value).code == "forbidden"
    with as_user(place.db, user):
        assert place.one("select count(*) from public.fix_runs") == (1 if role == "manager" else 0)
    with as_user(place.db, world.user("admin")):
        assert place.undo(fix_id)


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("table", ["private.fix_changes", "private.open_fixes"])
def test_nobody_reads_or_writes_images(place: Place, role: str, table: str) -> None:
    for statement in (f"select * from {table}", f"insert into {table} (fix_id) values (1)", f"delete from {table}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(place.db, role):
            place.db.execute(statement.encode())


def test_over_rest(place: Place, rest: Rest, world: World) -> None:
    place.plant("delete from public.claims where source_id = %s", [place.second])
    damaged = place.everything()
    admin = world.user("admin")
    [fix] = rest.post("/rpc/apply_fixes", user=admin, json={"p_checks": ["claims_missing"]}).json()
    assert rest.post("/rpc/undo_fix", json={"p_fix_id": fix["fix_id"]}).status_code in (401, 403)
    answer = rest.post("/rpc/undo_fix", user=admin, json={"p_fix_id": fix["fix_id"]})
    assert [row["table_name"] for row in answer.json()] == ["claims"]
    assert place.everything()["claims"] == damaged["claims"]
    answer = rest.post("/rpc/undo_fix", user=admin, json={"p_fix_id": fix["fix_id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")


def test_whoever_is_writing_is_waited_for(place: Place) -> None:
    """And what they wrote is seen: the row moved on."""
    place.plant("update public.meetings set starts_at = starts_at - interval '1 hour' where id = %s", [place.first])
    fix_id = place.fix("meeting_instants_differ")
    with place.database.connect(autocommit=False) as writer:
        writer.execute("update public.meetings set title = 'Algebra II' where id = %s", [place.first])
        said = _while_blocked(place, fix_id, writer.commit)
    assert said is not None
    assert said.code == "illegal_transition"


def test_two_at_once_undo_once(place: Place) -> None:
    place.plant("delete from public.claims where source_id = %s", [place.second])
    fix_id = place.fix("claims_missing")
    with place.database.connect(autocommit=False) as one:
        one.execute("select public.undo_fix(%s)", [fix_id])
        said = _while_blocked(place, fix_id, one.commit)
    assert said is not None
    assert "undone before" in said.message


def _while_blocked(place: Place, fix_id: int, then: Callable[[], None]) -> Refusal | None:
    """Undoes on a connection of its own, does `then` once that waits, and returns its refusal."""
    other = place.database.connect()
    said: list[Refusal | None] = []

    def undo() -> None:
        try:
            other.execute("select public.undo_fix(%s)", [fix_id])
            said.append(None)
        except psycopg.Error as error:
            said.append(read_refusal(error))

    thread = threading.Thread(target=undo)
    thread.start()
    until_blocked(place.behind, other)
    then()
    thread.join(30)
    [answer] = said
    return answer


def test_images_of_the_erased_are_erased(place: Place) -> None:
    place.plant("delete from public.claims where source_id = %s", [place.first])
    place.plant("insert into public.locations (name) values ('Annexe')")
    about_zoe, about_nobody = place.fix("claims_missing"), place.fix("people_and_resources_differ")
    place.db.execute("select public.erase_person(%s, 'Asked for it.')", [place.zoe])
    assert "erased" in place.refused(about_zoe).message
    assert (
        place.one("select count(*) from private.fix_changes where concat(before, after) like %s", f"%{place.zoe}%") == 0
    )
    assert place.undo(about_nobody)


def test_a_table_without_images_is_found(place: Place) -> None:
    place.behind.execute("alter table public.claims disable trigger t99_keep_image")
    place.behind.execute("drop trigger t99_keep_image on public.locations")
    found = {entity for name, entity in place.found(schema=True) if name == "tables_without_images"}
    assert found == {"public.claims", "public.locations"}
    place.db.execute("select private.attach_images()")
    assert place.found(schema=True) == set()
