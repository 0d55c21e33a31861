"""Bookings: their code, whose they are, and their status as the classes say it."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.support.calls import call, refused
from tests.support.crowd import crowd
from tests.support.identity import User, as_user
from tests.support.ledger import Change, Connection, Ledger
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio
from tests.support.world import World

NO_BOOKING_LOCK = (
    "private.confirm_bookings(text[])",
    "order by b.booking_id for no key update",
    "order by b.booking_id",
)


def one(db: psycopg.Connection[Any], statement: str, *arguments: Any) -> Any:
    row = db.execute(statement.encode(), arguments).fetchone()
    assert row is not None
    return row[0]


def test_fifty_at_once_get_fifty_codes(studio: Studio, database: Database) -> None:
    told = crowd(
        database,
        50,
        lambda by, n: [by.execute("insert into public.bookings (first_name) values ('x')") for _ in "abcd"],
    )
    assert told == {"done": 50}
    codes = [code for (code,) in studio.db.execute("select booking_id from public.bookings")]
    assert len(set(codes)) == 200
    day = studio.today.strftime("%Y%m%d")
    assert all(re.fullmatch(f"YOG-{day}-[0-9A-Z]{{4}}", code) for code in codes)


def test_a_day_holds_more_than_the_obvious_ten_thousand(db: psycopg.Connection[Any]) -> None:
    """All 36^4 are drawn before one comes again."""
    sample = "select count(distinct private.booking_code('YOG', '2026-01-31', n)) from generate_series(0, 99999) n"
    assert one(db, sample) == 100_000
    assert one(
        db, "select private.booking_code('YOG', '2026-01-31', 5) = private.booking_code('YOG', '2026-01-31', 5 + 36 * 36 * 36 * 36)"
    )  # fmt: skip


def test_a_code_that_is_taken_is_passed_over(studio: Studio) -> None:
    following = one(
        studio.db, "select private.booking_code('YOG', private.today(), nextval('private.booking_numbers') + 1)"
    )
    assert studio.booking(booking_id=following).booking_id == following
    assert studio.booking().booking_id != following


def test_the_prefix_is_a_setting(studio: Studio) -> None:
    studio.db.execute("update public.settings set value = '\"DANCE9\"' where key = 'booking_prefix'")
    assert studio.booking().booking_id.startswith("DANCE9-")


@pytest.mark.parametrize("prefix", ['"yog"', '"YOG-1"', '""', '"ABCDEFGHIJK"'])
def test_a_prefix_no_code_can_have_is_refused_when_it_is_set(studio: Studio, prefix: str) -> None:
    with refused("invalid_input") as refusal:
        studio.db.execute("update public.settings set value = %s where key = 'booking_prefix'", [prefix])
    assert refusal.fields == {"value"}
    assert studio.booking().booking_id.startswith("YOG-")


@pytest.mark.parametrize("role", ["member", "manager"])
def test_nobody_brings_a_code_of_their_own(studio: Studio, rest: Rest, role: str) -> None:
    someone = studio.world.user(role)
    answer = rest.post("/bookings", {"booking_id": "YOG-20260101-FREE"}, user=someone)
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    made = rest.post("/bookings", {"first_name": "Bea"}, user=someone, headers={"Prefer": "return=representation"})
    assert made.status_code == 201
    mine = made.json()[0]["booking_id"]
    assert rest.patch(f"/bookings?booking_id=eq.{mine}", {"booking_id": "X"}, user=someone).status_code == 403


def test_a_server_brings_codes_along(studio: Studio, rest: Rest) -> None:
    answer = rest.post("/bookings", {"booking_id": "OLD-20200101-0007"}, user="service_role")
    assert answer.status_code == 201
    refused_answer = rest.post("/bookings", {"booking_id": "old"}, user="service_role")
    assert refused_answer.json()["code"] == "23514"


def test_a_code_stays(studio: Studio) -> None:
    booking = studio.booking()
    with refused("invalid_input"):
        studio.db.execute("update public.bookings set booking_id = 'YOG-20260101-0001' where id = %s", [booking.id])


def test_whose_booking_it_is(studio: Studio, rest: Rest) -> None:
    bea, other, staff = studio.world.user(), studio.world.user(), studio.world.user("staff")
    representation = {"Prefer": "return=representation"}
    own = rest.post("/bookings", {"first_name": "Bea"}, user=bea, headers=representation).json()[0]
    assert (own["user_id"], own["profile_id"]) == (str(bea.id), str(bea.profile_id))
    for forged in ({"user_id": str(other.id)}, {"profile_id": str(other.profile_id)}):
        assert rest.post("/bookings", forged, user=bea).status_code == 403, forged
    for_bea = rest.post("/bookings", {"profile_id": str(bea.profile_id)}, user=staff, headers=representation).json()[0]
    assert (for_bea["user_id"], for_bea["created_by"]) == (str(bea.id), str(staff.id))
    anybody = rest.post("/bookings", {"user_id": None}, user=staff, headers=representation).json()[0]
    assert (anybody["user_id"], anybody["profile_id"]) == (None, None)
    assert {row["id"] for row in rest.get("/bookings", user=bea).json()} == {own["id"], for_bea["id"]}
    assert rest.get("/bookings", user=other).json() == []
    assert rest.get("/bookings", user=studio.teacher).json() == []
    assert len(rest.get("/bookings", user=staff).json()) == 3
    assert rest.get("/bookings").status_code == 401
    # Nobody gives theirs to somebody else, nor takes somebody's.
    assert (
        rest.patch(f"/bookings?id=eq.{own['id']}", {"profile_id": str(other.profile_id)}, user=bea).status_code == 403
    )
    assert rest.patch(f"/bookings?id=eq.{own['id']}", {"user_id": str(other.id)}, user=other).json() == []
    assert rest.delete(f"/bookings?id=eq.{own['id']}", user=bea).json() == []
    assert len(rest.delete(f"/bookings?id=eq.{own['id']}", user=studio.world.user("manager")).json()) == 1


def test_a_login_and_a_person_who_are_two_are_refused(studio: Studio) -> None:
    bea, other = studio.world.user(), studio.world.user()
    with refused("invalid_input") as refusal:
        studio.booking(user_id=bea.id, profile_id=other.profile_id)
    assert refusal.fields == {"user_id"}


def test_every_bad_field_is_named(studio: Studio) -> None:
    with refused("invalid_input") as refusal:
        studio.booking(
            first_name="x" * 201, last_name="x" * 201, class_name="x" * 201, instructor="x" * 201, email="at home",
            phone="x" * 51, notes="x" * 1001, timezone="Mars/Base", class_date="1960-01-01", status="lost",
            booking_type="secret", preferred_days=["Monday"] * 21, preferred_times=["x" * 1001], uses_credits=True,
        )  # fmt: skip
    assert refusal.fields == {
        "first_name", "last_name", "class_name", "instructor", "email", "phone", "notes", "timezone", "class_date",
        "status", "booking_type", "preferred_days", "preferred_times", "uses_credits",
    }  # fmt: skip


def test_text_is_cleaned_and_kept_as_given(studio: Studio) -> None:
    row = studio.booking(
        first_name="  <b>Bea</b>\x07 ", email=" Bea@Example.ORG ", notes="a\r\nb\x00"[:-1] + "\x1b[31m", preferred_days=[" Mon ", "", "Tue\x01"]
    )  # fmt: skip
    assert (row.first_name, row.email, row.notes) == ("<b>Bea</b>", "bea@example.org", "a\r\nb[31m")
    assert row.preferred_days == ["Mon", "Tue"]


@pytest.mark.parametrize("role", ["owner", "member", "staff", "manager", "service_role"])
def test_nobody_confirms_a_booking_that_no_class_serves(studio: Studio, rest: Rest, role: str) -> None:
    bea = studio.world.user()
    booking = studio.booking(bea)
    if role == "owner":
        with refused("illegal_transition"):
            studio.db.execute("update public.bookings set status = 'confirmed' where id = %s", [booking.id])
        with refused("illegal_transition"):
            studio.booking(bea, status="confirmed")
        return
    caller: Any = role if role == "service_role" else bea if role == "member" else studio.world.user(role)
    answer = rest.patch(f"/bookings?id=eq.{booking.id}", {"status": "confirmed"}, user=caller)
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")


def test_status_follows_the_classes(studio: Studio) -> None:
    booking = studio.booking().booking_id
    first, second, third = (studio.assignment(day) for day in range(3))
    studio.link(first.id, booking)
    assert studio.status(booking) == "confirmed"
    studio.link(second.id, booking)
    studio.db.execute("delete from public.class_assignments where id = %s", [first.id])
    assert studio.status(booking) == "confirmed"
    studio.link(third.id, booking)
    studio.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [second.id])
    assert studio.status(booking) == "confirmed"
    studio.db.execute("delete from public.assignment_bookings where assignment_id = %s", [third.id])
    assert studio.status(booking) == "pending"


def test_one_statement_that_deletes_all_its_classes(studio: Studio) -> None:
    bookings = [studio.booking().booking_id for _ in range(3)]
    for day in range(3):
        studio.link(studio.assignment(day).id, *bookings)
    studio.db.execute("delete from public.class_assignments")
    assert {studio.status(booking) for booking in bookings} == {"pending"}


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_an_end_is_an_end(studio: Studio, end: str) -> None:
    booking = studio.booking().booking_id
    lesson = studio.assignment()
    studio.link(lesson.id, booking)
    studio.db.execute("update public.bookings set status = %s where booking_id = %s", [end, booking])
    studio.db.execute("delete from public.class_assignments")
    assert studio.status(booking) == end
    for status in {"pending", "confirmed", "completed", "cancelled"} - {end}:
        with refused("illegal_transition"):
            studio.db.execute("update public.bookings set status = %s where booking_id = %s", [status, booking])
    with refused("illegal_transition"):
        studio.link(studio.assignment(1).id, booking)
    assert studio.status(booking) == end


def test_a_customer_cancels_and_only_staff_complete(studio: Studio, rest: Rest) -> None:
    bea, staff = studio.world.user(), studio.world.user("staff")
    booking = studio.booking(bea)
    path = f"/bookings?id=eq.{booking.id}"
    assert rest.patch(path, {"status": "completed"}, user=staff).json()["code"] == "illegal_transition"
    studio.link(studio.assignment().id, booking.booking_id)
    assert rest.patch(path, {"status": "completed"}, user=bea).json()["code"] == "illegal_transition"
    assert rest.patch(path, {"status": "completed"}, user=staff).json()[0]["status"] == "completed"
    assert rest.patch(path, {"status": "cancelled"}, user=bea).json()["code"] == "illegal_transition"
    another = studio.booking(bea)
    assert (
        rest.patch(f"/bookings?id=eq.{another.id}", {"status": "cancelled"}, user=bea).json()[0]["status"]
        == "cancelled"
    )


def test_the_optimistic_update(studio: Studio, rest: Rest) -> None:
    bea = studio.world.user()
    booking = studio.booking(bea)
    assert rest.patch(f"/bookings?id=eq.{booking.id}&version=eq.1", {"notes": "a"}, user=bea).json()[0]["version"] == 2
    assert rest.patch(f"/bookings?id=eq.{booking.id}&version=eq.1", {"notes": "b"}, user=bea).json() == []
    stale = rest.patch(f"/bookings?id=eq.{booking.id}", {"notes": "b", "version": 1}, user=bea)
    assert stale.json()["code"] == "stale_version"


def unlink(assignment: UUID) -> Change:
    return lambda by: by.execute("delete from public.assignment_bookings where assignment_id = %s", [assignment])


def link(assignment: UUID, code: str) -> Change:
    return lambda by: by.execute("insert into public.assignment_bookings values (%s, %s)", [assignment, code])


def cancel(assignment: UUID) -> Change:
    return lambda by: by.execute(
        "update public.class_assignments set class_status = 'cancelled' where id = %s", [assignment]
    )


def remove(assignment: UUID) -> Change:
    return lambda by: by.execute("delete from public.class_assignments where id = %s", [assignment])


ENDINGS = [unlink, cancel, remove]


@pytest.mark.parametrize("first", ENDINGS)
@pytest.mark.parametrize("second", ENDINGS)
def test_its_last_two_classes_go_at_once(studio: Studio, ledger: Ledger, first: Any, second: Any) -> None:
    booking = studio.booking().booking_id
    one_class, other = studio.assignment(0).id, studio.assignment(1).id
    for assignment in (one_class, other):
        studio.link(assignment, booking)
    outcome = ledger.collide(first(one_class), second(other))
    assert (outcome.waited, outcome.code) == (True, None)
    assert studio.status(booking) == "pending"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("link_first", [True, False])
def test_the_last_class_goes_while_another_comes(studio: Studio, ledger: Ledger, ending: Any, link_first: bool) -> None:
    booking = studio.booking().booking_id
    going, coming = studio.assignment(0).id, studio.assignment(1).id
    studio.link(going, booking)
    changes = [ending(going), link(coming, booking)]
    if link_first:
        changes.reverse()
    outcome = ledger.collide(*changes)
    assert (outcome.waited, outcome.code) == (True, None)
    assert studio.status(booking) == "confirmed"


def test_without_the_bookings_lock_it_stays_confirmed_with_nobody_to_serve_it(studio: Studio, ledger: Ledger) -> None:
    """That the races above are races."""
    ledger.rewrite(*NO_BOOKING_LOCK)
    booking = studio.booking().booking_id
    one_class, other = studio.assignment(0).id, studio.assignment(1).id
    for assignment in (one_class, other):
        studio.link(assignment, booking)
    ledger.collide(unlink(one_class), unlink(other))
    assert studio.status(booking) == "confirmed"


def test_cancelled_while_a_class_is_linked(studio: Studio, ledger: Ledger) -> None:
    """Whoever comes second sees what the first did."""
    booking = studio.booking()
    lesson = studio.assignment().id

    def end(by: Connection) -> None:
        by.execute("update public.bookings set status = 'cancelled' where id = %s", [booking.id])

    outcome = ledger.collide(end, link(lesson, booking.booking_id))
    assert (outcome.waited, outcome.code) == (True, "illegal_transition")
    another = studio.booking()

    def end_another(by: Connection) -> None:
        by.execute("update public.bookings set status = 'cancelled' where id = %s", [another.id])

    outcome = ledger.collide(link(lesson, another.booking_id), end_another)
    assert (outcome.waited, outcome.code) == (True, None)
    assert studio.status(another.booking_id) == "cancelled"


def test_what_was_held_is_not_cancelled_by_its_customer(studio: Studio) -> None:
    """Who was taught would owe nothing. Credits are another matter: those of the classes that were held stay used."""
    customer = studio.world.user()
    cancel = "update public.bookings set status = 'cancelled' where booking_id = %s"
    held, to_come, called_off, by_credits = (studio.booking(customer).booking_id for _ in range(4))
    package = studio.world.insert("public.packages", name="Cheap", price=1, class_count=1).id
    over = studio.assignment(-60).id
    studio.link(over, held)
    studio.link(studio.assignment(-59, class_status="cancelled").id, called_off)
    studio.link(studio.assignment(2).id, to_come)
    studio.link(over, by_credits)
    studio.db.execute("alter table public.bookings disable trigger user")
    studio.db.execute("update public.bookings set uses_credits = true where booking_id = %s", [by_credits])
    studio.db.execute("alter table public.bookings enable trigger user")
    with as_user(studio.db, customer) as by:
        with refused("illegal_transition") as refusal, by.transaction():
            by.execute(cancel, [held])
        assert refusal.details["field"] == "status"
        # Nor is it made cheaper first, or somebody else's.
        with refused("illegal_transition"), by.transaction():
            by.execute(
                "update public.bookings set uses_credits = true, class_package_id = %s where booking_id = %s",
                [package, held],
            )
        with refused("illegal_transition"), by.transaction():
            by.execute("update public.bookings set class_package_id = %s where booking_id = %s", [package, held])
        by.execute("update public.bookings set class_package_id = %s where booking_id = %s", [package, to_come])
        for booking in (to_come, called_off, by_credits):
            by.execute(cancel, [booking])
    assert studio.status(held) == "confirmed"
    studio.db.execute(cancel, [held])
    assert studio.status(held) == "cancelled"


def test_who_left_books_and_changes_nothing(studio: Studio) -> None:
    """Deactivated people keep their login, and may still look at what is theirs."""
    customer = studio.world.user()
    booking = studio.booking(customer).booking_id
    studio.db.execute("update public.user_profiles set is_active = false where id = %s", [customer.profile_id])
    with as_user(studio.db, customer) as by:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), by.transaction():
            by.execute("insert into public.bookings (first_name, user_id) values ('Bea', %s)", [customer.id])
        assert by.execute("update public.bookings set status = 'cancelled'").rowcount == 0
        assert by.execute("select booking_id from public.bookings").fetchall() == [(booking,)]
    assert studio.status(booking) == "pending"


def test_forgetting_a_person_forgets_how_to_reach_them(studio: Studio) -> None:
    bea = studio.world.user(full_name="Bea Booker")
    row = studio.booking(
        bea, first_name="Bea", last_name="Booker", email="bea@home.example", phone="+911234", notes="Bad knee", uses_credits=True
    )  # fmt: skip
    booking = row.booking_id
    call(studio.db, studio.world.user("admin"), "erase_person", p_profile_id=bea.profile_id, p_reason="Asked.")
    found = studio.db.execute(
        "select first_name, last_name, email, phone, notes from public.bookings where booking_id = %s", [booking]
    ).fetchone()
    assert found == ("Erased", None, None, None, None)


def test_what_serves_it_cannot_be_deleted_from_under_it(studio: Studio) -> None:
    booking = studio.booking()
    studio.link(studio.assignment().id, booking.booking_id)
    with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg.errors.RestrictViolation)):
        studio.db.execute("delete from public.bookings where id = %s", [booking.id])


def test_staff_book_for_people_without_a_login(studio: Studio, world: World) -> None:
    guest = world.insert("public.user_profiles", full_name="Gus Guest").id
    staff: User = world.user("staff")
    with as_user(studio.db, staff) as connection:
        row = connection.execute(
            sql.SQL("insert into public.bookings (profile_id) values ({}) returning user_id, profile_id").format(
                sql.Literal(guest)
            )
        ).fetchone()
    assert row == (None, guest)
