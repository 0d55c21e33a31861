"""Each check of bookings, schedules and classes: clean, a fault planted, found, fixed, clean, undone, found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.identity import as_role
from tests.support.repairs import Repairs
from tests.support.server import Database, TestServer
from tests.support.stage import Stage
from tests.support.studio import Studio
from tests.support.world import World

REGISTERED = {
    "bookings_confirmed_by_nothing", "bookings_pending_but_served", "links_to_nothing", "classes_past_but_scheduled",
    "schedules_of_people_who_left", "schedules_differ", "classes_overlapping", "classes_overfull",
    "classes_archived_and_live", "class_instants_differ", "dates_taken_for_nothing", "dates_not_taken_over",
    "links_without_credit", "credits_used_for_nothing",
}  # fmt: skip


class House(Repairs):
    """A studio at work, all through the front door.

    `weekly` is a template of which `stand_in` took a Monday over, for `served`, which uses a credit; `adhoc` serves
    `other`; `past` is over; `archived` was moved away, and served `former`, which used a credit; `waiting` is pending.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.studio = studio = Studio(World(self.db))
        self.customer = studio.world.user("member", full_name="Cy Customer")
        card = studio.world.insert("public.packages", name="Card", price=50, class_count=5, validity_days=400).id
        self.lot = studio.world.insert(
            "public.package_purchases",
            profile_id=self.customer.profile_id,
            package_id=card,
            purchased_on=studio.day(-60),
        ).id
        self.teacher, self.monday = studio.teacher.profile_id, studio.monday
        self.weekly = studio.schedule(location_id=studio.room).id
        self.spare = studio.schedule(weekday=5, instructor_id=studio.other.profile_id).id
        self.stand_in = studio.assignment(schedule_id=self.weekly, location_id=studio.room).id
        self.adhoc = studio.assignment(1).id
        done = {"class_status": "completed", "instructor_status": "accepted"}
        self.past = studio.assignment(-30, **done).id
        self.archived = studio.assignment(-50, **done).id
        self.served = studio.booking(self.customer, uses_credits=True).booking_id
        self.former = studio.booking(self.customer, uses_credits=True).booking_id
        self.other, self.waiting = (studio.booking().booking_id for _ in range(2))
        for lesson, booking in (
            (self.archived, self.former), (self.stand_in, self.served), (self.adhoc, self.other), (self.past, self.other),
        ):  # fmt: skip
            studio.link(lesson, booking)
        assert self.one("select public.archive_assignments(%s)", studio.day(-40)) == 1

    def break_with(self, damage: str) -> None:
        """Plants a statement that names things of this house."""
        for statement in damage.split(";"):
            self.plant(statement, {name: value for name, value in vars(self).items() if name in statement})


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


def test_a_house_in_order_has_no_findings(house: House) -> None:
    assert house.found() == set()
    registered = house.db.execute("select name from public.integrity_checks where module = '40_studio'").fetchall()
    assert {name for (name,) in registered} >= REGISTERED


@pytest.fixture
def stage(server: TestServer) -> Iterator[Stage]:
    """Every module's sample rows together."""
    made = Stage.set(server)
    yield made
    made.database.drop()


def test_nothing_is_invented_on_stage(stage: Stage) -> None:
    found = stage.db.execute("select check_name, message from public.run_diagnostics(p_checks => %s)", [[*REGISTERED]])
    assert found.fetchall() == []


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("bookings_confirmed_by_nothing", "update public.bookings set status = 'confirmed' where booking_id = %(waiting)s"),
        ("bookings_confirmed_by_nothing", "delete from public.assignment_bookings where booking_id = %(other)s"),
        ("bookings_confirmed_by_nothing", "update public.class_assignments_archive set class_status = 'cancelled'"),
        ("bookings_pending_but_served", "update public.bookings set status = 'pending' where booking_id = %(served)s"),
        ("bookings_pending_but_served", "update public.bookings set status = 'pending' where booking_id = %(former)s"),
        ("classes_past_but_scheduled", "update public.class_assignments set class_status = 'scheduled' where id = %(past)s"),
        ("classes_past_but_scheduled", "update public.class_assignments set class_status = 'scheduled', start_time = null, end_time = null, starts_at = null, ends_at = null where id = %(past)s"),
        ("schedules_of_people_who_left", "update public.user_profiles set is_active = false where id = %(teacher)s"),
        ("classes_archived_and_live",
            "insert into public.class_assignments select (jsonb_populate_record(null::public.class_assignments, to_jsonb(r))).* from public.class_assignments_archive r;"
            "insert into public.assignment_bookings (assignment_id, booking_id) values (%(archived)s, %(former)s)"),
        ("schedules_differ", "update public.weekly_rules set start_time = '12:00', end_time = '13:00' where id = %(spare)s"),
        ("schedules_differ", "update public.weekly_rules set title = 'Other' where id = %(weekly)s"),
        ("schedules_differ", "update public.class_schedules set day_of_week = 6 where id = %(spare)s"),
        ("schedules_differ", "update public.class_schedules set is_active = false where id = %(weekly)s"),
        ("schedules_differ", "delete from public.weekly_rule_resources where rule_id = %(weekly)s and resource_id = %(teacher)s"),
        ("schedules_differ", "insert into public.weekly_rule_resources (rule_id, resource_id) values (%(spare)s, %(teacher)s)"),
        ("schedules_differ", "delete from public.class_schedules where id = %(spare)s"),
        ("class_instants_differ", "update public.class_assignments set starts_at = starts_at - interval '1 hour' where id = %(adhoc)s"),
        ("class_instants_differ", "update public.class_assignments set start_time = '15:00', end_time = '16:00' where id = %(stand_in)s"),
        ("dates_taken_for_nothing", "update public.class_assignments set class_status = 'cancelled' where id = %(stand_in)s"),
        ("dates_taken_for_nothing", "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, taken_by_table, taken_by_id) values (%(weekly)s, %(monday)s::date + 7, 'taken_over', 'class_assignments', %(adhoc)s)"),
        ("dates_taken_for_nothing", "update public.weekly_rule_exceptions set taken_by_id = %(adhoc)s"),
        ("dates_not_taken_over", "delete from public.weekly_rule_exceptions where taken_by_id = %(stand_in)s"),
        ("dates_not_taken_over", "update public.weekly_rule_exceptions set kind = 'cancelled', taken_by_id = null, taken_by_table = null where taken_by_id = %(stand_in)s"),
        ("links_without_credit", "delete from public.credit_entries where occurs_on = %(monday)s"),
        ("credits_used_for_nothing", "delete from public.assignment_bookings where booking_id = %(served)s"),
        ("credits_used_for_nothing", "update public.class_assignments set class_status = 'cancelled' where id = %(stand_in)s"),
        ("credits_used_for_nothing", "delete from public.class_assignments_archive where id = %(archived)s"),
    ],
)  # fmt: skip
def test_planted_found_fixed_clean_undone_found_again(house: House, check: str, damage: str) -> None:
    house.break_with(damage)
    house.goes_round(check)


@pytest.mark.parametrize("gone", ["booking", "class"])
def test_links_to_what_is_gone_come_back_only_with_it(house: House, gone: str) -> None:
    """The key that was not enforced when it was planted is when it is put back: an undo breaks no constraint."""
    row = (
        "public.bookings where booking_id = %(other)s"
        if gone == "booking"
        else "public.class_assignments where id = %(past)s"
    )
    table = row.split()[0]
    kept = house.one(f"select to_jsonb(t) from {table} t where {row.split(' where ')[1]}".replace("%(other)s", "%s").replace("%(past)s", "%s"),
        house.other if gone == "booking" else house.past)  # fmt: skip
    house.break_with(f"delete from {row}")
    damaged = house.everything()
    assert len(house.finds("links_to_nothing")) == (2 if gone == "booking" else 1)
    fix_id = house.fix("links_to_nothing")
    assert house.finds("links_to_nothing") == []
    said = house.refused(fix_id)
    assert (said.code, said.details["table"]) == ("illegal_transition", "assignment_bookings")
    house.plant(
        f"insert into {table} select (jsonb_populate_record(null::{table}, %s::jsonb)).*",
        [psycopg.types.json.Jsonb(kept)],
    )
    house.undo(fix_id)
    assert house.everything()["assignment_bookings"] == damaged["assignment_bookings"]
    assert house.finds("links_to_nothing") == []


@pytest.mark.parametrize(("answer", "words"), [("pending", "never answered"), ("rejected", "declined")])
def test_nobody_is_said_to_have_taught_who_did_not_accept(house: House, answer: str, words: str) -> None:
    house.break_with(
        f"update public.class_assignments set class_status = 'scheduled', instructor_status = '{answer}' where id = %(past)s"
    )
    [message] = house.finds("classes_past_but_scheduled")
    assert words in message
    assert house.try_fix("classes_past_but_scheduled") == (1, 0, 1, None)


def test_a_closed_pay_period_gets_no_completed_class(house: House) -> None:
    house.studio.world.insert(
        "public.pay_periods", name="P", starts_on=house.studio.day(-34), ends_on=house.studio.day(-24)
    )
    house.db.execute("select public.close_pay_period('P')")
    house.break_with("update public.class_assignments set class_status = 'scheduled' where id = %(past)s")
    assert house.try_fix("classes_past_but_scheduled") == (1, 0, 1, None)


def test_todays_class_is_not_late(house: House) -> None:
    house.studio.world.insert(
        "public.class_assignments", instructor_id=house.teacher, date=house.studio.today, payment_amount=0
    )
    assert house.finds("classes_past_but_scheduled") == []


@pytest.mark.parametrize("whose", ["instructor", "room"])
def test_two_classes_at_once_are_found_from_the_classes_themselves(house: House, whose: str) -> None:
    values: dict[str, Any] = {"location_id": house.studio.room} if whose == "room" else {}
    teacher = house.studio.other.profile_id if whose == "room" else house.teacher
    second = house.studio.assignment(0, "15:00", "16:00", instructor_id=teacher, **values).id
    house.plant(
        "update public.class_assignments s set start_time = '10:30', end_time = '11:30', starts_at = f.starts_at + interval '30 min',"
        " ends_at = f.ends_at + interval '30 min' from public.class_assignments f where f.id = %s and s.id = %s",
        [house.stand_in, second],
    )  # fmt: skip
    house.plant("delete from public.claims where source_id = %s", [second])
    [message] = house.finds("classes_overlapping")
    assert message.startswith("Hall" if whose == "room" else "Tara Teacher")
    assert ("classes_overlapping", str(second)) in house.found()
    house.plant("update public.class_assignments set instructor_status = 'rejected' where id = %s", [second])
    assert len(house.finds("classes_overlapping")) == (1 if whose == "room" else 0)
    house.plant("update public.class_assignments set class_status = 'cancelled' where id = %s", [second])
    assert house.finds("classes_overlapping") == []


def test_one_long_class_overlaps_each_of_many_and_back_to_back_is_none(house: House) -> None:
    rows = [house.studio.assignment(4, f"{hour}:00", f"{hour + 1}:00").id for hour in range(9, 13)]
    assert house.finds("classes_overlapping") == []
    house.plant("update public.class_assignments set ends_at = ends_at + interval '150 min' where id = %s", [rows[0]])
    assert {entity for name, entity in house.found() if name == "classes_overlapping"} == {str(row) for row in rows[1:]}


def test_classes_that_may_overlap_are_no_finding(house: House) -> None:
    second = house.studio.assignment(0, "15:00", "16:00").id
    members = [{"source_table": "class_assignments", "source_id": str(row)} for row in (house.stand_in, second)]
    house.db.execute(
        "select public.grant_override(%s, 'One class under two names.')", [psycopg.types.json.Jsonb(members)]
    )
    house.db.execute(
        "update public.class_assignments set start_time = '10:30', end_time = '11:30' where id = %s", [second]
    )
    assert house.finds("classes_overlapping") == []


def test_more_than_there_is_room_for(house: House) -> None:
    house.studio.link(house.stand_in, *(house.studio.booking().booking_id for _ in range(3)))
    assert house.finds("classes_overfull") == []
    house.break_with(
        "insert into public.assignment_bookings (assignment_id, booking_id) values (%(stand_in)s, %(waiting)s)"
    )
    [message] = house.finds("classes_overfull")
    assert message.endswith("has room for 4, and 5 take part")
    house.plant("update public.class_schedules set max_participants = 5 where id = %s", [house.weekly])
    assert house.finds("classes_overfull") == []
    house.plant("update public.class_schedules set max_participants = 1 where id = %s", [house.weekly])
    assert len(house.finds("classes_overfull")) == 1
    house.plant("update public.class_assignments set date = private.today() - 1 where id = %s", [house.stand_in])
    assert house.finds("classes_overfull") == []


@pytest.mark.parametrize("difference", ["payment_amount = 5", "booking_ids = '{}'"])
def test_a_live_class_that_differs_from_its_copy_stays_a_finding(house: House, difference: str) -> None:
    house.break_with(
        "insert into public.class_assignments select (jsonb_populate_record(null::public.class_assignments, to_jsonb(r))).* from public.class_assignments_archive r;"
        "insert into public.assignment_bookings (assignment_id, booking_id) values (%(archived)s, %(former)s);"
        f"update public.class_assignments_archive set {difference}"
    )  # fmt: skip
    [message] = house.finds("classes_archived_and_live")
    assert message.endswith("the two differ")
    assert house.try_fix("classes_archived_and_live") == (1, 0, 1, None)


def test_what_has_somebody_elses_time_stays_a_finding_and_the_rest_is_fixed(house: House) -> None:
    """Two templates lost their teacher in the ledger; somebody took the time of one of them meanwhile."""
    house.plant("delete from public.weekly_rule_resources")
    house.plant("delete from public.claims where source_table = 'weekly_rules'")
    house.one(
        "select id from public.schedule_meeting('In the way', %s, '10:15', '10:45', %s)",
        house.studio.day(7),
        [house.teacher],
    )
    faults, fixed, remaining, fix_id = house.try_fix("schedules_differ")
    assert (faults, fixed, remaining) == (2, 1, 1)
    assert {entity for name, entity in house.found() if name == "schedules_differ"} == {str(house.weekly)}
    assert fix_id is not None
    house.undo(fix_id)
    assert len(house.finds("schedules_differ")) == 2


def test_an_instant_whose_right_time_is_taken_stays_a_finding(house: House) -> None:
    second = house.studio.assignment(2).id
    house.plant(
        "update public.class_assignments set start_time = '15:00', end_time = '16:00' where id = any(%s)",
        [[house.adhoc, second]],
    )
    house.one(
        "select id from public.schedule_meeting('In the way', %s, '15:30', '15:45', %s)",
        house.studio.day(1),
        [house.teacher],
    )
    assert house.try_fix("class_instants_differ")[:3] == (2, 1, 1)
    assert {entity for name, entity in house.found() if name == "class_instants_differ"} == {str(house.adhoc)}


def test_a_date_another_class_has_is_not_taken_from_it(house: House) -> None:
    """The stand-in has left without a word; what it did is asked of the rows that are there."""
    house.plant(
        "update public.class_assignments set schedule_id = null, occurs_on = null where id = %s", [house.stand_in]
    )
    assert house.try_fix("dates_taken_for_nothing") == (1, 0, 1, None)


def test_credits_that_are_used_up_are_not_invented(house: House) -> None:
    house.plant("delete from public.credit_entries where occurs_on = %s", [house.monday])
    house.plant("update public.package_purchases set status = 'refunded' where id = %s", [house.lot])
    assert house.try_fix("links_without_credit") == (1, 0, 1, None)


def test_a_credit_that_was_used_since_keeps_what_was_given_back(house: House) -> None:
    """Taking the credit away again that was given back would leave a hole in the ledger of credits."""
    house.break_with("delete from public.assignment_bookings where booking_id = %(served)s")
    fix_id = house.fix("credits_used_for_nothing")
    house.studio.link(house.studio.assignment(9).id, house.served)
    said = house.refused(fix_id)
    assert said.code == "illegal_transition"


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_nobody_rebuilds_dates_by_hand(house: House, role: str) -> None:
    rebuild = "insert into private.taken_date_rebuilds (rule_ids, dates) values ('{}', '{}')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(house.db, role):
        house.db.execute(rebuild)
