"""instructor_pay and assignment_analytics, against a recount of the rows in plain Python."""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import as_user
from tests.support.rest import Rest
from tests.support.studio import Studio
from tests.support.world import World

Row = dict[str, Any]
TYPES = ("adhoc", "weekly", "monthly", "crash", "package")
# How classes end up: class_status, payment_status, instructor_status.
ENDS = (
    ("completed", "paid", "accepted"), ("completed", "pending", "accepted"), ("completed", "cancelled", "accepted"),
    ("scheduled", "pending", "accepted"), ("scheduled", "pending", "rejected"), ("scheduled", "cancelled", "pending"),
    ("cancelled", "cancelled", "accepted"), ("cancelled", "paid", "accepted"),
)  # fmt: skip


@pytest.fixture
def studio(world: World) -> Studio:
    return Studio(world)


@pytest.fixture
def year(studio: Studio) -> list[Row]:
    """Some 300 classes over more than a year, of every kind and end, a third of them archived; also what they are paid."""
    chance = random.Random(3)  # noqa: S311
    people = [studio.teacher, studio.other, *(studio.world.user("instructor") for _ in range(3))]
    rows = []
    for number in range(300):
        day = studio.today - timedelta(days=400 - number * 7 // 5)
        class_status, payment_status, instructor_status = chance.choice(ENDS)
        if day >= studio.today and class_status == "completed":
            class_status = "scheduled"
        rows.append({
            "instructor_id": str(chance.choice(people).profile_id),
            "date": day.isoformat(),
            # One after the other, so that nobody is in two places; some take no time.
            "start_time": None if number % 10 == 0 else f"{6 + number % 12:02}:15",
            "end_time": None if number % 10 == 0 else f"{7 + number % 12:02}:{chance.choice(('00', '15', '30'))}",
            "class_status": class_status, "payment_status": payment_status, "instructor_status": instructor_status,
            "schedule_type": chance.choice(TYPES), "payment_amount": str(Decimal(chance.randrange(10_000)) / 100),
        })  # fmt: skip
    studio.db.execute(
        "insert into public.class_assignments (instructor_id, date, start_time, end_time, class_status, payment_status,"
        " instructor_status, schedule_type, payment_amount) select r.instructor_id, r.date, r.start_time, r.end_time, r.class_status,"
        " r.payment_status, r.instructor_status, r.schedule_type, r.payment_amount"
        " from jsonb_populate_recordset(null::public.class_assignments, %s) r",
        [Jsonb(rows)],
    )
    read = "select id, instructor_id, date, starts_at, ends_at, class_status, payment_status, instructor_status, schedule_type, payment_amount from public.class_assignments"
    with studio.db.cursor(row_factory=dict_row) as cursor:
        kept = cursor.execute(read).fetchall()
    old = [row["id"] for row in kept if row["date"] < studio.today - timedelta(days=200)]
    assert studio.db.execute("select private.archive_classes(%s)", [old]).fetchone() == (len(old),)
    assert 50 < len(old) < 200
    return kept


def names(studio: Studio) -> dict[Any, str]:
    return dict(studio.db.execute("select id, full_name from public.user_profiles").fetchall())


def due(row: Row) -> bool:
    return bool(row["class_status"] == "completed" and row["payment_status"] != "cancelled")


def planned(row: Row) -> bool:
    return bool(
        row["class_status"] == "scheduled"
        and row["instructor_status"] != "rejected"
        and row["payment_status"] != "cancelled"
    )


def amount(rows: Iterable[Row]) -> Decimal:
    return sum((row["payment_amount"] for row in rows), Decimal(0))


def recount_pay(rows: list[Row], name: dict[Any, str]) -> list[Row]:
    by_person = defaultdict(list)
    for row in rows:
        if due(row) or planned(row):
            by_person[row["instructor_id"]].append(row)
    answer = []
    for person, theirs in by_person.items():
        of_due = [row for row in theirs if due(row)]
        paid = amount(row for row in of_due if row["payment_status"] == "paid")
        answer.append({
            "instructor_id": person, "instructor_name": name[person], "class_count": len(of_due),
            "minutes": sum(int((row["ends_at"] - row["starts_at"]).total_seconds()) // 60 for row in of_due if row["starts_at"]),
            "amount_due": amount(of_due), "amount_paid": paid, "amount_open": amount(of_due) - paid,
            "amount_planned": amount(row for row in theirs if planned(row)),
        })  # fmt: skip
    return sorted(answer, key=lambda row: (row["instructor_name"], row["instructor_id"]))


def recount_analytics(rows: list[Row], name: dict[Any, str], today: date) -> Row:
    def groups(key: Any) -> dict[Any, list[Row]]:
        found = defaultdict(list)
        for row in rows:
            found[key(row)].append(row)
        return found

    def revenue(of: list[Row]) -> float:
        return float(amount(row for row in of if row["class_status"] != "cancelled"))

    def rate(of: list[Row]) -> float | None:
        come = [row for row in of if row["class_status"] != "cancelled" and row["date"] <= today]
        if not come:
            return None
        share = Decimal(sum(row["class_status"] == "completed" for row in come)) / len(come)
        return float(share.quantize(Decimal("0.0001"), ROUND_HALF_UP))

    return {
        "total_revenue": revenue(rows),
        "total_assignments": len(rows),
        "assignment_distribution": sorted(
            ({"type": kind, "count": len(of), "revenue": revenue(of)} for kind, of in groups(lambda row: row["schedule_type"]).items()),
            key=lambda entry: (-entry["count"], entry["type"])),
        "instructor_stats": sorted(
            ({"instructor_id": str(person), "instructor_name": name[person], "assignment_count": len(of), "total_revenue": revenue(of),
              "completion_rate": rate(of)} for person, of in groups(lambda row: row["instructor_id"]).items()),
            key=lambda entry: (-entry["total_revenue"], entry["instructor_name"])),
        "monthly_trends": [
            {"month": month, "revenue": revenue(of), "assignment_count": len(of)}
            for month, of in sorted(groups(lambda row: row["date"].strftime("%Y-%m")).items())],
    }  # fmt: skip


def analytics(studio: Studio, caller: Any, first: date, last: date, **arguments: Any) -> Row:
    [row] = call(studio.db, caller, "assignment_analytics", date_start=first, date_end=last, **arguments)
    document: Row = row["assignment_analytics"]
    return document


WINDOWS = [(-1000, 1000), (-365, 0), (-100, -100), (-200, -199), (900, 901)]


@pytest.mark.parametrize("window", WINDOWS)
def test_as_a_recount_says(studio: Studio, year: list[Row], window: tuple[int, int]) -> None:
    first, last = (studio.today + timedelta(days=days) for days in window)
    inside = [row for row in year if first <= row["date"] <= last]
    manager = studio.world.user("manager")
    assert call(studio.db, manager, "instructor_pay", p_from=first, p_to=last) == recount_pay(inside, names(studio))
    assert analytics(studio, manager, first, last) == recount_analytics(inside, names(studio), studio.today)


def test_of_some_instructors_and_types(studio: Studio, year: list[Row]) -> None:
    first, last = studio.today - timedelta(days=1000), studio.today + timedelta(days=1000)
    two = [studio.teacher.profile_id, studio.other.profile_id]
    of_two = [row for row in year if row["instructor_id"] in two]
    manager = studio.world.user("manager")
    assert call(studio.db, manager, "instructor_pay", p_from=first, p_to=last, p_instructor_ids=two) == recount_pay(
        of_two, names(studio)
    )
    types = ["crash_course", "weekly"]
    chosen = [row for row in of_two if row["schedule_type"] in ("crash", "weekly")]
    assert analytics(studio, manager, first, last, instructor_ids=two, assignment_types=types) == recount_analytics(
        chosen, names(studio), studio.today
    )
    nobody: Row = {
        "total_revenue": 0, "total_assignments": 0, "assignment_distribution": [], "instructor_stats": [], "monthly_trends": [],
    }  # fmt: skip
    assert analytics(studio, manager, first, last, instructor_ids=[]) == nobody
    assert analytics(studio, manager, first, last, assignment_types=[]) == nobody


def test_an_instructor_gets_their_own_numbers_whomever_they_ask_for(studio: Studio, year: list[Row]) -> None:
    first, last = studio.today - timedelta(days=1000), studio.today + timedelta(days=1000)
    own = [row for row in year if row["instructor_id"] == studio.teacher.profile_id]
    everyone = [studio.teacher.profile_id, studio.other.profile_id]
    for ids in (None, everyone):
        assert call(
            studio.db, studio.teacher, "instructor_pay", p_from=first, p_to=last, p_instructor_ids=ids
        ) == recount_pay(own, names(studio))
        assert analytics(studio, studio.teacher, first, last, instructor_ids=ids) == recount_analytics(
            own, names(studio), studio.today
        )
    others = [studio.other.profile_id]
    assert call(studio.db, studio.teacher, "instructor_pay", p_from=first, p_to=last, p_instructor_ids=others) == []
    assert analytics(studio, studio.teacher, first, last, instructor_ids=others)["total_assignments"] == 0


@pytest.mark.parametrize("role", ["staff", "member", None, "anon"])
def test_others_get_none(studio: Studio, role: str | None) -> None:
    for function, arguments in (
        ("instructor_pay", {"p_from": "2026-01-01", "p_to": "2026-12-31"}),
        ("assignment_analytics", {"date_start": "2026-01-01", "date_end": "2026-12-31"}),
    ):
        if role == "anon":
            with pytest.raises(Exception, match="permission denied"):
                call(studio.db, "anon", function, **arguments)
        else:
            with refused("forbidden"):
                call(studio.db, studio.world.user(role), function, **arguments)


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"date_start": None, "date_end": None}, {"date_start", "date_end"}),
        ({"date_start": "2026-02-01", "date_end": "2026-01-01"}, {"date_end"}),
        ({"date_start": "-infinity", "date_end": "infinity"}, {"date_start", "date_end"}),
        ({"date_start": "2026-01-01", "date_end": "2026-02-01", "assignment_types": ["daily"]}, {"assignment_types"}),
    ],
)
def test_what_makes_no_sense(studio: Studio, arguments: Row, fields: set[str]) -> None:
    with refused("invalid_input") as refusal:
        call(studio.db, None, "assignment_analytics", **arguments)
    assert refusal.fields == fields
    if "assignment_types" not in arguments:
        with refused("invalid_input") as refusal:
            call(studio.db, None, "instructor_pay", p_from=arguments["date_start"], p_to=arguments["date_end"])
        assert {f"date_{'start' if field == 'p_from' else 'end'}" for field in refusal.fields} == fields


def test_the_pay_run_reconciles_with_the_calculations(studio: Studio) -> None:
    """Frozen rates, a split total, a substitute, and then every cent of what is due is a calculation's."""
    for who, rate in ((studio.teacher, "41.37"), (studio.other, "60.01")):
        studio.world.insert(
            "public.instructor_rates", instructor_id=who.profile_id, rate=rate, effective_from=studio.day(-400)
        )
    rows = [
        studio.assignment(
            day,
            payment_amount=None,
            class_status="completed",
            instructor_id=(studio.teacher, studio.other)[day % 2].profile_id,
        )
        for day in range(-60, -20)
    ]
    call(
        studio.db,
        None,
        "set_assignment_pay",
        p_assignment_ids=[row.id for row in rows[3:20]],
        p_payment_type="total_duration",
        p_rate=1000,
    )
    call(
        studio.db,
        None,
        "set_assignment_pay",
        p_assignment_ids=[row.id for row in rows[20:31]],
        p_payment_type="monthly",
        p_rate=Decimal("333.33"),
    )
    call(studio.db, None, "set_assignment_pay", p_assignment_ids=[row.id for row in rows[10:13]], p_payment_type="per_member",
        p_rate=Decimal("7.77"), p_student_count=5)  # fmt: skip
    studio.db.execute(
        "update public.class_assignments set instructor_id = %s where id = any(%s)",
        [studio.other.profile_id, [row.id for row in rows[35:38]]],
    )
    studio.db.execute("update public.class_assignments set payment_status = 'paid' where date < %s", [studio.day(-40)])
    studio.db.execute("select private.archive_classes(%s)", [[row.id for row in rows[:8]]])
    answer = call(studio.db, None, "instructor_pay", p_from=studio.day(-60), p_to=studio.day(-20))
    calculated = dict(studio.db.execute(
        "select c.instructor_id, sum(l.calculated_amount) from (select instructor_id, id from public.class_assignments"
        " union all select instructor_id, id from public.class_assignments_archive) c"
        " cross join lateral (select p.calculated_amount from public.payment_calculations p where p.assignment_id = c.id order by p.id desc limit 1) l"
        " group by 1"
    ).fetchall())  # fmt: skip
    assert {row["instructor_id"]: row["amount_due"] for row in answer} == calculated
    assert sum(row["class_count"] for row in answer) == len(rows)
    assert all(
        row["amount_open"] == row["amount_due"] - row["amount_paid"] and row["amount_paid"] > 0 for row in answer
    )


def test_over_rest_it_comes_as_csv(studio: Studio, year: list[Row], rest: Rest) -> None:
    answer = rest.post(
        "/rpc/instructor_pay",
        {"p_from": "2020-01-01", "p_to": "2100-01-01"},
        user=studio.teacher,
        headers={"Accept": "text/csv"},
    )
    [line] = csv.DictReader(io.StringIO(answer.text))
    [own] = recount_pay([row for row in year if row["instructor_id"] == studio.teacher.profile_id], names(studio))
    assert line == {column: str(value) for column, value in own.items()}


def test_a_class_in_both_places_counts_once(studio: Studio) -> None:
    row = studio.assignment(-30, class_status="completed", payment_amount=50)
    studio.db.execute(
        "insert into public.class_assignments_archive select a.*, '{}', null, now() from public.class_assignments a where id = %s",
        [row.id],
    )
    [pay] = call(studio.db, None, "instructor_pay", p_from=studio.day(-30), p_to=studio.day(-30))
    assert (pay["class_count"], pay["amount_due"]) == (1, 50)
    with as_user(studio.db, studio.teacher):
        assert studio.db.execute("select count(*) from public.payment_calculations").fetchone() == (0,)
