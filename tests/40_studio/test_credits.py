"""Credits that classes use: used, given back, forfeited when late, moved along, never below zero."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.calls import refused
from tests.support.crowd import crowd
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio


@pytest.fixture
def bea(studio: Studio) -> User:
    return studio.world.user(full_name="Bea")


def buy(studio: Studio, who: User, credits: int = 3, **package: Any) -> tuple[UUID, UUID]:
    """A package of so many classes, valid for sixty days, cancelled late within a day; and a purchase of it."""
    made = studio.world.insert(
        "public.packages", **{"name": "Card", "price": 90, "class_count": credits, "validity_days": 60, "late_cancel_hours": 24, **package}
    ).id  # fmt: skip
    purchase = studio.world.insert("public.package_purchases", profile_id=who.profile_id, package_id=made).id
    return made, purchase


def entries(studio: Studio, purchase: UUID) -> list[tuple[str, Any]]:
    return studio.db.execute(
        "select kind, occurs_on from public.credit_entries where purchase_id = %s and kind <> 'granted' order by entry_no",
        [purchase],
    ).fetchall()


def kinds(studio: Studio, purchase: UUID) -> list[str]:
    return [kind for kind, _ in entries(studio, purchase)]


def findings(studio: Studio) -> list[Any]:
    return studio.db.execute(
        "select check_name, message from public.run_diagnostics(p_modules => '{35_payments}')"
    ).fetchall()


def soon(studio: Studio) -> dict[str, Any]:
    """When a class is that begins in less than a day, whatever the hour: for cancelling late."""
    row = studio.db.execute("select (private.now() + interval '2 hours') at time zone 'UTC'").fetchone()
    assert row is not None
    starts = row[0]
    if starts.hour == 23:
        starts += timedelta(hours=2)
    return {
        "date": starts.date(), "start": f"{starts:%H:%M}", "end": f"{starts + timedelta(minutes=45):%H:%M}", "time_zone": "UTC"
    }  # fmt: skip


def test_each_class_uses_one(studio: Studio, bea: User) -> None:
    package, purchase = buy(studio, bea)
    booking = studio.booking(bea, uses_credits=True, class_package_id=package).booking_id
    for day in range(3):
        studio.link(studio.assignment(day).id, booking)
    assert entries(studio, purchase) == [("used", studio.day(day)) for day in range(3)]
    with refused("limit_exceeded"):
        studio.link(studio.assignment(3).id, booking)
    assert findings(studio) == []


def test_without_uses_credits_none_is_used(studio: Studio, bea: User) -> None:
    _, purchase = buy(studio, bea)
    studio.link(studio.assignment().id, studio.booking(bea).booking_id)
    assert entries(studio, purchase) == []


def test_none_is_used_after_it_expired(studio: Studio, bea: User) -> None:
    buy(studio, bea, validity_days=10)
    booking = studio.booking(bea, uses_credits=True).booking_id
    with refused("limit_exceeded"):
        studio.link(studio.assignment(30).id, booking)


@pytest.mark.parametrize("ending", ["unlinked", "booking cancelled", "class cancelled", "class deleted"])
def test_in_time_it_comes_back(studio: Studio, bea: User, ending: str) -> None:
    _, purchase = buy(studio, bea)
    booking = studio.booking(bea, uses_credits=True).booking_id
    studio.link(studio.assignment(3).id, booking)
    studio.db.execute(ENDINGS[ending].encode())
    assert kinds(studio, purchase) == ["used", "returned"]
    # Once, whatever happens afterwards.
    studio.db.execute("delete from public.assignment_bookings")
    studio.db.execute("delete from public.class_assignments")
    assert kinds(studio, purchase) == ["used", "returned"]
    assert findings(studio) == []


ENDINGS = {
    "unlinked": "delete from public.assignment_bookings",
    "booking cancelled": "update public.bookings set status = 'cancelled'",
    "class cancelled": "update public.class_assignments set class_status = 'cancelled'",
    "class deleted": "delete from public.class_assignments",
}


@pytest.mark.parametrize(
    ("ending", "becomes"),
    [
        ("unlinked", "forfeited"),
        ("booking cancelled", "forfeited"),
        # The studio's doing costs nobody anything.
        ("class cancelled", "returned"),
        ("class deleted", "returned"),
    ],
)
def test_late_it_is_forfeited_unless_the_studio_called_it_off(
    studio: Studio, bea: User, ending: str, becomes: str
) -> None:
    _, purchase = buy(studio, bea)
    booking = studio.booking(bea, uses_credits=True).booking_id
    studio.link(studio.assignment(**soon(studio)).id, booking)
    studio.db.execute(ENDINGS[ending].encode())
    assert kinds(studio, purchase) == ["used", becomes]
    studio.db.execute("delete from public.class_assignments")
    assert kinds(studio, purchase) == ["used", becomes]
    assert findings(studio) == []


def test_a_class_that_moves_takes_its_credit_along(studio: Studio, bea: User) -> None:
    _, early = buy(studio, bea, 1, validity_days=20)
    _, late = buy(studio, bea, 1, validity_days=60)
    booking = studio.booking(bea, uses_credits=True).booking_id
    lesson = studio.assignment(0)
    studio.link(lesson.id, booking)
    assert kinds(studio, early) == ["used"]
    studio.db.execute("update public.class_assignments set start_time = '12:00', end_time = '13:00'")
    assert kinds(studio, early) == ["used"]
    studio.db.execute("update public.class_assignments set date = %s", [studio.day(30)])
    assert (kinds(studio, early), kinds(studio, late)) == (["used", "returned"], ["used"])
    with refused("limit_exceeded"):
        studio.db.execute("update public.class_assignments set date = %s", [studio.day(65)])
    assert findings(studio) == []


def test_a_link_that_moves_to_another_class(studio: Studio, bea: User) -> None:
    _, purchase = buy(studio, bea)
    booking = studio.booking(bea, uses_credits=True).booking_id
    studio.link(studio.assignment(3).id, booking)
    studio.db.execute("update public.assignment_bookings set assignment_id = %s", [studio.assignment(5).id])
    assert entries(studio, purchase)[-1] == ("used", studio.day(5))
    assert kinds(studio, purchase) == ["used", "returned", "used"]
    assert findings(studio) == []


def test_fifty_want_three(studio: Studio, database: Database, bea: User) -> None:
    _, purchase = buy(studio, bea)
    studio.db.execute("update public.class_types set max_participants = 100")
    bookings = [studio.booking(bea, uses_credits=True).booking_id for _ in range(50)]
    lessons = [studio.assignment(day).id for day in range(5)]
    told = crowd(
        database, 50,
        lambda by, n: by.execute("insert into public.assignment_bookings values (%s, %s)", [lessons[n % 5], bookings[n]]),
    )  # fmt: skip
    assert told == {"done": 3, "limit_exceeded": 47}
    assert kinds(studio, purchase) == ["used"] * 3
    assert findings(studio) == []


def test_the_archive_keeps_what_was_used(studio: Studio, bea: User) -> None:
    _, purchase = buy(studio, bea)
    booking = studio.booking(bea, uses_credits=True).booking_id
    lesson = studio.assignment(start=None, end=None, date=studio.today)
    studio.link(lesson.id, booking)
    studio.db.execute("update public.class_assignments set class_status = 'completed'")
    studio.db.execute("select private.archive_classes(%s)", [[lesson.id]])
    assert kinds(studio, purchase) == ["used"]
    assert studio.status(booking) == "confirmed"
    assert findings(studio) == []


@pytest.mark.parametrize("changed", [{"uses_credits": False}, {"class_package_id": "another"}])
def test_how_it_is_paid_for_stays_while_classes_serve_it(
    studio: Studio, rest: Rest, bea: User, changed: dict[str, Any]
) -> None:
    """Else the studio could no longer move the class, or a class would cost nothing."""
    package, purchase = buy(studio, bea)
    another, _ = buy(studio, bea)
    row = studio.booking(bea, uses_credits=True, class_package_id=package)
    body = {name: str(another) if value == "another" else value for name, value in changed.items()}
    lesson = studio.assignment(3)
    studio.link(lesson.id, row.booking_id)
    answer = rest.patch(f"/bookings?id=eq.{row.id}", body, user=bea)
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert rest.patch(f"/bookings?id=eq.{row.id}", {"notes": "Fine"}, user=bea).status_code == 200
    studio.db.execute("delete from public.assignment_bookings")
    assert rest.patch(f"/bookings?id=eq.{row.id}", body, user=bea).status_code == 200
    assert kinds(studio, purchase) == ["used", "returned"]


@pytest.mark.parametrize("by", ["customer", "desk"])
@pytest.mark.parametrize(("days", "kind"), [(-2, "forfeited"), (2, "returned")])
def test_without_a_time_it_is_late_once_the_day_is_over(
    studio: Studio, bea: User, rest: Rest, by: str, days: int, kind: str
) -> None:
    package, _ = buy(studio, bea)
    purchase = studio.world.insert(
        "public.package_purchases",
        profile_id=bea.profile_id, package_id=package, purchased_on=studio.today - timedelta(days=5),
    ).id  # fmt: skip
    booking = studio.booking(bea, uses_credits=True, class_package_id=package)
    lesson = studio.assignment((studio.today - studio.monday).days + days, None, None)
    studio.link(lesson.id, booking.booking_id)
    if by == "customer":
        answer = rest.patch(f"/bookings?id=eq.{booking.id}", {"status": "cancelled"}, user=bea)
    else:
        staff = studio.world.user("staff")
        answer = rest.delete(f"/assignment_bookings?assignment_id=eq.{lesson.id}", user=staff)
    assert (answer.status_code, len(answer.json())) == (200, 1)
    assert kinds(studio, purchase) == ["used", kind]
