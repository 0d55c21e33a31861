"""Each check of students and classes: clean, a fault planted, found, fixed, clean, undone, found again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.repairs import Repairs
from tests.support.server import Database, TestServer
from tests.support.stage import Stage
from tests.support.tracking import Tracking, slot
from tests.support.world import World

REGISTERED = {
    "students_missing_classes", "students_invalid", "classes_duplicated", "class_keys_missing", "classes_promised_no_more",
    "student_class_instants_differ", "student_classes_past_but_scheduled", "generation_late", "attendance_differs",
    "students_in_two_classes", "class_payments_differ",
}  # fmt: skip
KEYS = ("classes_one_a_start", "classes_one_a_slot_and_date", "no_student_is_in_two_classes")


class School(Repairs):
    """Two students in their fourth week, all through the front door.

    `sam` has classes on Mondays and Thursdays: `held` was attended and paid for, `over` took place, `off` was cancelled and
    `makeup` stands for it, `coming` is to come, `moved` was moved to another day, `later`. `ada` has classes on Tuesdays.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.tracking = tracking = Tracking(World(self.db))
        self.payer = tracking.world.user("member").profile_id
        self.sam = tracking.student([slot("monday", "10:00"), slot("thursday", "10:00")], profile_id=self.payer).id
        self.ada = tracking.student(
            [slot("tuesday", "10:00")], first_name="Ada", teacher_id=tracking.other.profile_id
        ).id
        tracking.later(days=8)
        self.held, self.over, _, self.off, self.coming, self.moved = (row.id for row in tracking.classes(self.sam)[:6])
        self.db.execute("update public.classes set status = 'completed' where starts_at < private.now()")
        self.db.execute("select public.record_attendance(%s, 'present')", [self.held])
        self.db.execute(
            "select public.record_payment(%s, 40, 'cash', %s)",
            [self.payer, Jsonb([{"source_table": "classes", "source_id": str(self.held), "amount": 40}])],
        )
        self.db.execute("select public.cancel_class(%s, 'Ill.', 'student')", [self.off])
        self.makeup = self.one("select id from public.book_makeup(%s, %s, '15:00')", self.off, tracking.day(11))
        self.db.execute("select private.extend_horizons()")
        tracking.run()
        self.later = self.one("select id from public.reschedule_class(%s, %s, '15:00')", self.moved, tracking.day(16))

    def break_with(self, damage: str) -> None:
        """Plants statements that name things of this school."""
        for statement in damage.split(";"):
            self.plant(statement, {name: value for name, value in vars(self).items() if f"%({name})s" in statement})

    def without_keys(self) -> None:
        """As somebody left it who thought the keys were in the way."""
        for key in KEYS:
            self.behind.execute(sql.SQL("alter table public.classes drop constraint {}").format(sql.Identifier(key)))

    def twin(self, of: UUID, **values: Any) -> UUID:
        """Another of a class, made an hour later, with these differences."""
        row = self.one("select to_jsonb(c) from public.classes c where c.id = %s", of)
        twin = self.one("select gen_random_uuid()")
        made = str(self.tracking.now + timedelta(hours=1))
        self.plant(
            "insert into public.classes select (jsonb_populate_record(null::public.classes, %s)).*",
            [Jsonb({**row, "id": str(twin), "created_at": made, "rescheduled_from": None, **values})],
        )
        return twin  # type: ignore[no-any-return]

    def of(self, table: str, key: str, row: UUID) -> Any:
        """A row, as a dict."""
        return self.one(f"select to_jsonb(t) from public.{table} t where {key} = %s", row)


@pytest.fixture
def school(database: Database) -> School:
    return School(database)


def test_a_school_in_order_has_no_findings(school: School) -> None:
    assert school.found() == set()
    registered = school.db.execute("select name from public.integrity_checks where module = '50_tracking'").fetchall()
    assert {name for (name,) in registered} == REGISTERED


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
        ("students_missing_classes", "delete from public.claims where source_id = %(coming)s; delete from public.classes where id = %(coming)s"),
        ("students_missing_classes", "delete from public.claims where source_id = %(over)s; delete from public.classes where id = %(over)s"),
        ("students_missing_classes", "delete from public.claims where source_table = 'classes'; delete from public.classes where student_id = %(ada)s"),
        ("students_invalid", "update public.student_schedule_slots set effective = '[2027-01-01,2027-05-01)' where student_id = %(ada)s"),
        ("students_invalid", """update public.students set fixed_schedule = '[{"day": "friday", "start_time": "08:00"}]' where id = %(ada)s"""),
        ("classes_promised_no_more", "insert into public.student_pauses (student_id, starts_on, reason) values (%(ada)s, '2027-06-20', 'Away.')"),
        ("classes_promised_no_more", "insert into public.closures (name, starts_on, ends_on, during) values ('Flood', '2027-06-22', '2027-06-22', '[2027-06-22 00:00+00,2027-06-23 00:00+00)')"),
        ("classes_promised_no_more", "update public.students set end_date = '2027-06-21' where id = %(ada)s"),
        ("student_class_instants_differ", "update public.classes set starts_at = starts_at + interval '2 hours', ends_at = ends_at + interval '2 hours' where id = %(over)s"),
        ("student_class_instants_differ", "update public.classes set time_zone = 'Asia/Tokyo' where id = %(off)s"),
        ("student_classes_past_but_scheduled", "update public.classes set status = 'scheduled' where id = %(over)s"),
        ("attendance_differs", "update public.classes set status = 'missed' where id = %(held)s"),
        ("attendance_differs", "update public.class_attendance set status = 'excused' where class_id = %(held)s"),
        ("class_payments_differ", "update public.classes set payment_status = 'pending' where id = %(held)s"),
        ("class_payments_differ", "update public.classes set price = 41 where id = %(held)s"),
    ],
)  # fmt: skip
def test_planted_found_fixed_clean_undone_found_again(school: School, check: str, damage: str) -> None:
    school.break_with(damage)
    school.goes_round(check)


def test_generation_that_was_late_is_done(school: School) -> None:
    school.tracking.later(days=30)
    [message] = school.finds("generation_late")
    assert message == "The weekly run is late: 2 students have classes through 2027-07-12 only"
    school.fix("generation_late")
    assert school.finds("generation_late") == []
    assert school.finds("students_missing_classes") == []


@pytest.mark.parametrize("garbage", ['["bad"]', '"mondays"', '{"x": {}}', "17", "null", '[{"day": 9}]'])
def test_garbage_is_a_finding_that_stays(school: School, garbage: str) -> None:
    school.plant("update public.students set fixed_schedule = %s where id = %s", [garbage, school.ada])
    before = school.one("select count(*) from public.classes")
    [message] = school.finds("students_invalid")
    assert message.startswith("Ada: fixed_schedule")
    assert school.try_fix("students_invalid")[1:3] == (0, 1)
    [row] = school.db.execute("select status, problems from public.diagnose_students(%s)", [school.ada]).fetchall()
    assert row[0] == "invalid"
    school.tracking.run()
    assert school.one("select count(*) from public.classes") == before
    with refused("not_found"):
        school.db.execute("select from public.diagnose_students(gen_random_uuid())")


@pytest.mark.parametrize("key", KEYS)
def test_a_lost_key_is_put_back(school: School, key: str) -> None:
    school.behind.execute(f"alter table public.classes drop constraint {key}".encode())
    [message] = school.finds("class_keys_missing")
    assert key in message
    assert school.try_fix("class_keys_missing")[:3] == (1, 1, 0)
    assert school.finds("class_keys_missing") == []
    valid = "select indisvalid and indisready from pg_index where indexrelid = %s::regclass"
    assert school.one(valid, f"public.{key}") is True


def test_duplicates_go_and_what_hung_on_them_moves_to_the_oldest(school: School) -> None:
    """Attendance, a payment and its refund, a make-up; and the keys come back with the same call."""
    school.without_keys()
    over_twin = school.twin(school.over, status="scheduled", teacher_id=None)
    off_twin = school.twin(
        school.off, status="scheduled", cancelled_by=None, cancellation_reason=None, cancelled_at=None
    )
    school.db.execute("alter table public.class_attendance disable trigger user")
    school.plant(
        "insert into public.class_attendance (class_id, status, minutes_late, note) values (%s, 'late', 7, 'Traffic.')",
        [over_twin],
    )
    school.db.execute("alter table public.class_attendance enable trigger user")
    payment = school.one(
        "select id from public.record_payment(%s, 100, 'cash', %s)", school.payer,
        Jsonb([{"source_table": "classes", "source_id": str(over_twin), "amount": 60}, {"source_table": "classes", "source_id": str(school.over), "amount": 10}]),
    )  # fmt: skip
    school.db.execute("select public.refund_payment(%s, 5, 'Too much.', %s)", [payment, Jsonb([{"source_table": "classes", "source_id": str(over_twin), "amount": 5}])])  # fmt: skip
    school.plant("update public.classes set rescheduled_from = %s where id = %s", [off_twin, school.makeup])
    found = school.db.execute("select kept_id, duplicate_ids from public.check_duplicate_classes()").fetchall()
    assert sorted(found) == sorted([(school.over, [over_twin]), (school.off, [off_twin])])
    answer = school.db.execute(
        "select check_name, faults, fixed, remaining from public.remove_duplicate_classes()"
    ).fetchall()
    assert [row for row in answer if row[0] == "classes_duplicated"] == [("classes_duplicated", 2, 2, 0)]
    assert school.db.execute("select * from private.lost_class_keys()").fetchall() == []
    assert school.db.execute("select from public.classes where id in (%s, %s)", [over_twin, off_twin]).fetchall() == []
    attendance = school.of("class_attendance", "class_id", school.over)
    assert (attendance["status"], attendance["minutes_late"], attendance["note"]) == ("late", 7, "Traffic.")
    assert school.db.execute(
        "select amount from public.payment_items where source_id = %s", [school.over]
    ).fetchall() == [(70,)]
    assert school.db.execute(
        "select amount from public.refund_items where source_id = %s", [school.over]
    ).fetchall() == [(5,)]
    assert school.of("classes", "id", school.over)["payment_status"] == "paid"
    assert school.of("classes", "id", school.makeup)["rescheduled_from"] == str(school.off)
    assert school.found() == set()


def test_mending_everything_removes_duplicates_before_it_puts_keys_back(school: School) -> None:
    school.without_keys()
    school.twin(school.coming)
    mended = school.db.execute("select check_name, remaining, failure from public.apply_fixes()").fetchall()
    assert ("classes_duplicated", 0, None) in mended
    assert [row for row in mended if row[1] or row[2]] == []
    assert school.found() == set()


def test_removing_duplicates_again_finds_none(school: School) -> None:
    school.without_keys()
    for _ in range(3):
        school.twin(school.coming)
    first = school.db.execute(
        "select check_name, fixed from public.remove_duplicate_classes(p_idempotency_key => 'k')"
    ).fetchall()
    assert dict(first)["classes_duplicated"] == 3
    again = school.db.execute(
        "select check_name, fixed from public.remove_duplicate_classes(p_idempotency_key => 'k')"
    ).fetchall()
    assert again == first
    assert school.db.execute("select fixed from public.remove_duplicate_classes()").fetchall() in ([], [(0,), (0,)])
    assert school.found() == set()


def test_where_the_keys_are_gone_duplicates_go_round_too(school: School) -> None:
    """Undoing it cannot bring a duplicate past the key that is there again: it is refused, and nothing changes."""
    school.without_keys()
    school.twin(school.over, source="manual", slot_id=None, occurs_on=None)
    fix_id = school.fix("classes_duplicated")
    assert school.refused(fix_id).code == "illegal_transition"
    assert school.found() == set()


def test_a_makeup_that_was_there_twice_still_stands_for_its_class(school: School) -> None:
    school.without_keys()
    older = school.twin(school.makeup, source="manual", created_at="2027-01-01T00:00:00+00:00")
    assert school.of("classes", "id", older)["rescheduled_from"] is None
    school.fix("classes_duplicated")
    assert school.of("classes", "id", older)["rescheduled_from"] == str(school.off)
    assert school.db.execute("select from public.classes where id = %s", [school.makeup]).fetchall() == []


def test_a_class_somebody_attended_was_not_called_off(school: School) -> None:
    school.without_keys()
    school.plant(
        "update public.classes set status = 'cancelled', cancelled_by = 'student', cancellation_reason = 'Ill.', cancelled_at = starts_at where id = %s",
        [school.over],
    )  # fmt: skip
    twin = school.twin(school.over, status="completed", cancelled_by=None, cancellation_reason=None, cancelled_at=None)
    school.plant("insert into public.class_attendance (class_id, status) values (%s, 'present')", [twin])
    school.fix("classes_duplicated")
    assert school.of("classes", "id", school.over)["status"] == "completed"
    assert school.of("class_attendance", "class_id", school.over)["status"] == "present"


def test_where_two_stand_for_duplicates_a_person_decides(school: School) -> None:
    school.without_keys()
    twin = school.twin(school.off)
    school.plant("update public.classes set rescheduled_from = %s where id = %s", [twin, school.coming])
    assert school.try_fix("classes_duplicated")[:3] == (1, 0, 1)
    assert len(school.finds("classes_duplicated")) == 1


def test_a_student_in_two_classes_is_found_without_any_key(school: School) -> None:
    school.without_keys()
    school.twin(
        school.coming, start_time="10:30", end_time="11:30", slot_id=None, occurs_on=None, source="manual",
        starts_at="2027-06-21T10:30:00+00:00", ends_at="2027-06-21T11:30:00+00:00",
    )  # fmt: skip
    [message] = school.finds("students_in_two_classes")
    assert message.startswith("Sam is in two classes at once, 2027-06-21 10:30")


def test_instants_worked_out_again_leave_the_class_untouched(school: School) -> None:
    """As after a change of the zone database: generation may still take it away."""
    [later] = [row.id for row in school.tracking.classes(school.ada)][-1:]
    school.plant("update public.classes set starts_at = starts_at + interval '1 hour', ends_at = ends_at + interval '1 hour' where id = %s", [later])  # fmt: skip
    school.fix("student_class_instants_differ")
    assert school.of("classes", "id", later)["edited_at"] is None


def test_a_missing_class_whose_teacher_is_taken_stays_missing(school: School) -> None:
    school.break_with(
        "delete from public.claims where source_id = %(coming)s; delete from public.classes where id = %(coming)s"
    )
    school.tracking.world.insert("public.classes", student_id=school.ada, teacher_id=school.tracking.teacher.profile_id, date=school.tracking.day(14), start_time="10:30")  # fmt: skip
    faults, fixed, remaining, _ = school.try_fix("students_missing_classes")
    assert (faults, fixed, remaining) == (1, 0, 1)
    [log] = school.db.execute("select * from public.generate_missing_classes(%s)", [school.sam]).fetchall()[:1]
    assert "partial" in log


def test_diagnosis_says_one_line_a_student(school: School) -> None:
    school.break_with(
        "delete from public.claims where source_id = %(over)s; delete from public.classes where id = %(over)s"
    )
    lines = school.db.execute(
        "select student_name, status, classes, missing, missing_dates from public.diagnose_students()"
    ).fetchall()
    assert [(name, status, missing) for name, status, _, missing, _ in lines] == [
        ("Ada", "valid", 0),
        ("Sam", "missing", 1),
    ]
    assert [day["date"] for day in lines[1][4]] == ["2027-06-10"]
    made = school.db.execute("select student_id, classes_created from public.generate_missing_classes()").fetchall()
    assert made == [(school.sam, 1), (None, 1)]
    assert school.finds("students_missing_classes") == []
