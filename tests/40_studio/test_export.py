"""Exporting bookings, schedules and classes, and importing them into an empty database: nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from classbase.cli.app import run
from classbase.importing.studio import Kind
from tests.support.identity import as_user
from tests.support.server import Database
from tests.support.studio import Studio
from tests.support.world import World

KINDS: tuple[Kind, ...] = ("bookings", "schedules", "assignments")

# Whatever is not written anew by writing it: versions, when a row was touched last, and what calculations are numbered.
COMPARED = {
    "bookings": "select to_jsonb(b) - '{version,updated_at}'::text[] from public.bookings b order by b.id",
    "schedules": "select to_jsonb(s) - '{version,updated_at}'::text[] from public.class_schedules s order by s.id",
    "assignments": "select to_jsonb(a) - '{version,updated_at}'::text[] from public.class_assignments a order by a.id",
    "archive": "select to_jsonb(a) - '{version,updated_at}'::text[] from public.class_assignments_archive a order by a.id",
    "links": "select assignment_id, booking_id from public.assignment_bookings order by 1, 2",
    "exceptions": "select rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, taken_by_table, "
    "taken_by_id, reason from public.weekly_rule_exceptions order by 1, 2",
    "claims": "select resource_id, lower(during), upper(during), source_table, source_id, occurs_on, title "
    "from public.claims order by 1, 2, 3",
    "rules": "select id, title, weekday, start_time::text, end_time::text, time_zone, effective::text from public.weekly_rules order by 1",
}


def contents(db: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    return {name: db.execute(statement.encode()).fetchall() for name, statement in COMPARED.items()}


@pytest.fixture
def people(world: World) -> dict[str, Any]:
    """Whom and what both databases know: among them two of one name, and rates."""
    studio = Studio(world)
    db = world.db
    twins = [world.user("instructor", full_name='Zoë, the "other"; one') for _ in range(2)]
    gone = world.user("instructor", full_name="=Gone")
    world.insert("public.packages", name="Ten; classes", price=100, class_count=10, validity_days=90)
    world.insert("public.packages", name="ten; CLASSES", price=100, class_count=10, validity_days=90)
    rate = world.insert(
        "public.instructor_rates", instructor_id=twins[0].profile_id, rate="33.33", effective_from="2020-01-01"
    )
    return {
        "studio": studio, "twins": twins, "gone": gone, "rate": rate, "manager": world.user("manager"),
        "customer": world.user("member", full_name="Bea, customer"),
        "packages": [row[0] for row in db.execute("select id from public.packages order by name").fetchall()],
        "yoga": world.insert("public.class_types", name="Yoga\N{EM DASH}\N{SNOWMAN}", max_participants=2).id,
    }  # fmt: skip


@pytest.fixture
def empty(database: Database, world: World, people: dict[str, Any]) -> Iterator[Database]:
    """The same people and catalogue, and nothing else."""
    template = database.server.create_database  # a copy needs everybody gone from the original
    database.close()
    world.db.close()
    made = template(database.name)
    world.db = database.connect()
    people["studio"].db = world.db
    yield made
    made.drop()


@pytest.fixture
def filled(empty: Database, world: World, people: dict[str, Any]) -> psycopg.Connection[Any]:
    """Bookings, schedules and classes of every sort."""
    studio: Studio = people["studio"]
    db, manager, customer, (zoe, zia) = world.db, people["manager"], people["customer"], people["twins"]
    monday, tuesday = studio.schedule(1, "09:00", "10:00", location_id=studio.room), studio.schedule(
        2, "22:30", "23:30", instructor_id=zoe.profile_id, time_zone="America/New_York", notes="'=Not a\r\n formula, \"quoted\"",
        max_participants=3, effective_until=studio.day(200),
    )  # fmt: skip
    db.execute("update public.class_schedules set start_time = '23:00', end_time = '24:00' where id = %s", [tuesday.id])
    studio.schedule(3, "09:00", "10:15", instructor_id=None, is_active=False, effective_from="2020-01-01")
    db.execute("select public.cancel_occurrence(%s, %s, %s)", [monday.id, studio.day(14), "Congress; in [Paris]"])
    db.execute("select public.cancel_occurrence(%s, %s)", [tuesday.id, studio.day(8)])
    db.execute(
        "select public.move_occurrence(%s, %s, %s, '20:00', '21:00')", [monday.id, studio.day(21), studio.day(24)]
    )

    bookings = [studio.booking() for _ in range(6)]
    bookings.append(studio.booking(
        customer, class_name="Yoga, \"hot\"\nand more", instructor="@Zoë", class_date=studio.day(3), class_time="09:30",
        preferred_days=["Mon; Tue", "[Wed]"], preferred_times=["07:00", "evening"], timezone="Europe/Paris", last_name="+Ωmega",
        email="bea@example.org", phone="+91 98", booking_type="corporate", class_package_id=people["packages"][0], notes="''=1+1\n\N{SNOWMAN}",
    ))  # fmt: skip
    with as_user(db, manager) as connection:
        connection.execute(
            "insert into public.bookings (first_name, profile_id) values ('Ann', %s)", [customer.profile_id]
        )
    codes = [booking.booking_id for booking in bookings]

    # Taken over from the schedule: held by somebody else, moved to another day, called off, and off again and given anew.
    substitute = studio.assignment(
        0, "09:00", "10:00", schedule_id=monday.id, instructor_id=zia.profile_id, class_type_id=None, location_id=None
    )
    studio.assignment(0, "09:00", "10:00", payment_amount=0, notes="The teacher is free then")
    moved = studio.assignment(7, "09:00", "10:00", schedule_id=monday.id, location_id=studio.room)
    db.execute("update public.class_assignments set date = date + 1 where id = %s", [moved.id])
    off = studio.assignment(28, "09:00", "10:00", schedule_id=monday.id)
    db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [off.id])
    twice = studio.assignment(35, "09:00", "10:00", schedule_id=monday.id)
    db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [twice.id])
    studio.assignment(35, "09:00", "10:00", schedule_id=monday.id)

    arranged = studio.assignment(
        2, None, None, package_id=people["packages"][1], schedule_type="package", booking_type="corporate"
    )
    rejected = studio.assignment(3, "12:00", "13:00", instructor_id=zoe.profile_id)
    db.execute("update public.class_assignments set instructor_status = 'rejected' where id = %s", [rejected.id])
    accepted = studio.assignment(
        4, "12:00", "13:00", instructor_id=zoe.profile_id, payment_amount=None, time_zone="Asia/Kolkata"
    )
    db.execute("update public.class_assignments set instructor_status = 'accepted' where id = %s", [accepted.id])
    with as_user(db, manager) as connection:
        connection.execute(
            "insert into public.class_assignments (class_type_id, instructor_id, date, start_time, end_time, payment_amount, rate, plan_id) "
            "values (%s, %s, %s, '15:00', '16:30', 100, 200, gen_random_uuid())",
            [people["yoga"], people["gone"].profile_id, studio.day(5)],
        )
    past = [
        studio.assignment((studio.today - studio.monday).days - 400 - day, class_type_id=people["yoga"], payment_amount="12.34")
        for day in range(3)
    ]  # fmt: skip
    studio.link(past[0].id, codes[1], codes[3])
    studio.link(past[1].id, codes[1])
    studio.link(past[2].id, codes[4])
    db.execute(
        "update public.class_assignments set class_status = 'completed' where id = any(%s)",
        [[row.id for row in past[:2]]],
    )
    db.execute("update public.class_assignments set payment_status = 'paid' where id = %s", [past[0].id])
    db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [past[2].id])
    db.execute("select public.archive_assignments(%s)", [studio.today - timedelta(days=400)])
    archived = db.execute("select count(*) from public.class_assignments_archive").fetchone()
    assert archived is not None
    assert archived[0] > 0
    # Served, completed while served, cancelled while served; served by a class that was called off.
    studio.link(substitute.id, codes[0], codes[1])
    studio.link(arranged.id, codes[0], codes[2], codes[6])
    studio.link(accepted.id, codes[3])
    studio.link(off.id, codes[5])
    db.execute("update public.bookings set status = 'completed' where booking_id = %s", [codes[1]])
    db.execute("update public.bookings set status = 'cancelled' where booking_id = any(%s)", [[codes[2], codes[4]]])
    # Somebody may have left since.
    db.execute("update public.user_profiles set full_name = 'Left' where id = %s", [people["gone"].profile_id])
    return db


@pytest.fixture
def files(filled: psycopg.Connection[Any], database: Database, tmp_path: Path) -> dict[Kind, Path]:
    made: dict[Kind, Path] = {}
    for kind in KINDS:
        made[kind] = tmp_path / f"{kind}.csv"
        assert run(["export", kind, "--output", str(made[kind]), "--quiet", "--db-url", database.dsn]) == 0
    return made


def bring(
    files: dict[Kind, Path], dsn: str, capfd: pytest.CaptureFixture[str], *options: str, code: int = 0
) -> dict[Kind, Any]:
    reports: dict[Kind, Any] = {}
    for kind in KINDS:
        capfd.readouterr()
        got = run(["import", kind, str(files[kind]), "--json", "--db-url", dsn, *options])
        said = capfd.readouterr()
        assert got == code, said
        reports[kind] = json.loads(said.out)
    return reports


def test_nothing_is_lost(
    filled: psycopg.Connection[Any],
    files: dict[Kind, Path],
    empty: Database,
    people: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    # The catalogue is the same there: the name too.
    empty.connect().execute(
        "update public.user_profiles set full_name = 'Left' where id = %s", [people["gone"].profile_id]
    )
    wanted = contents(filled)
    statuses = {(row["class_status"], row["instructor_status"]) for (row,) in wanted["assignments"]}
    assert statuses >= {
        ("scheduled", "pending"),
        ("cancelled", "pending"),
        ("scheduled", "accepted"),
        ("scheduled", "rejected"),
    }
    assert {row["status"] for (row,) in wanted["bookings"]} == {"pending", "confirmed", "completed", "cancelled"}
    reports = bring(files, empty.dsn, capfd)
    found = contents(empty.connect())
    for name, rows in wanted.items():
        assert found[name] == rows, name
    assert {kind: report["imported"] for kind, report in reports.items()} == {
        "bookings": len(wanted["bookings"]), "schedules": len(wanted["schedules"]),
        "assignments": len(wanted["assignments"]) + len(wanted["archive"]),
    }  # fmt: skip
    assert empty.connect().execute("select * from public.run_diagnostics()").fetchall() == []
    # And again: everything is there.
    again = bring(files, empty.dsn, capfd)
    assert all(report["imported"] == 0 and report["present"] == report["rows"] for report in again.values())
    assert contents(empty.connect()) == found
    left = empty.connect().execute("select count(*) from private.brought_links").fetchone()
    assert left == (0,)
