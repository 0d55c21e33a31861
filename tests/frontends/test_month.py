"""What the page shows: the sessions of a month as the database has them, for whoever looks and from wherever."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontends.conftest import PASSWORD, Calendar, Open, Window
from tests.support.pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = 'Knots & <img src=x onerror="document.title = 1"> Splices'
# What is shown, as the page should write it, straight from the tables.
EXPECTED = """
select s.session_date::text, to_char(s.start_time, 'HH24:MI') || '–' || to_char(s.end_time, 'HH24:MI'), s.time_zone, c.title, s.seats_left
from public.course_sessions s
join public.courses c on c.id = s.course_id
where s.session_date >= %(first)s::date and s.session_date < %(first)s::date + interval '1 month' and c.is_active
  and s.status in ('tentative', 'scheduled', 'in_progress')
order by s.session_date, s.starts_at, c.code
"""
SHOWN = """
cards => cards.map(card => ({
  date: card.closest("td").dataset.date, time: card.querySelector("time").textContent, title: card.querySelector(".title").textContent,
  seats: card.querySelector(".seats").textContent
}))
"""
ZONES = {"America/New_York": "New York time", "Asia/Tokyo": "Tokyo time", "UTC": "UTC"}


async def shown(window: Window) -> list[tuple[str, ...]]:
    cards: list[dict[str, str]] = await window.page.locator("table li").evaluate_all(SHOWN)
    return [(card["date"], card["time"], card["title"], card["seats"]) for card in cards]


def expected(calendar: Calendar) -> list[tuple[str, ...]]:
    rows = calendar.db.execute(EXPECTED.encode(), {"first": f"{calendar.month}-01"}).fetchall()
    return [
        (day, f"{time} {ZONES[zone]}", title, "No seats left" if left == 0 else f"{left} of 12 seats left")
        for day, time, zone, title, left in rows
    ]


def fill(calendar: Calendar) -> None:
    """Sessions at both ends of the month and of the day, in places far apart; one full, one cancelled, one not offered."""
    tokyo = calendar.place("Tokyo", "Asia/Tokyo")
    york = calendar.place("New York", "America/New_York")
    knots, late = calendar.make_course(HOSTILE), calendar.make_course("Late Shift")
    old = calendar.make_course("No Longer Offered")
    last = calendar.one("select extract(day from (%s::date + interval '1 month - 1 day'))::int", f"{calendar.month}-01")
    for place, day in ((tokyo, 1), (york, 1), (tokyo, last), (york, last)):
        calendar.session(session_date=calendar.day(day), start_time="00:15", location_id=place, course_id=knots)
        calendar.session(
            session_date=calendar.day(day), start_time="22:45", end_time="23:45", location_id=place, course_id=late
        )
    full = calendar.session(session_date=calendar.day(9))
    for number in range(12):
        calendar.guest(full, f"Guest {number}")
    calendar.guest(calendar.session(session_date=calendar.day(16)))
    calendar.rpc(
        "cancel_session", p_id=str(calendar.session(session_date=calendar.day(17))), p_reason="The room is flooded."
    )
    calendar.session(session_date=calendar.day(18), course_id=old)
    calendar.db.execute("update public.courses set is_active = false where id = %s", [old])


async def test_the_month_is_the_databases_wherever_one_is(calendar: Calendar, open_window: Open) -> None:
    fill(calendar)
    last = calendar.one("select extract(day from (%s::date + interval '1 month - 1 day'))::int", f"{calendar.month}-01")
    for zone in ("Pacific/Kiritimati", "Pacific/Honolulu"):
        window = await open_window(timezone_id=zone)
        found = await shown(window)
        assert len(found) == 10
        assert sorted(found) == sorted(expected(calendar))
        assert await window.page.locator("td[data-date]").count() == last
        # There and back again, with the keyboard.
        await window.page.get_by_role("button", name="Next month").focus()
        await window.page.keyboard.press("Enter")
        await window.page.get_by_text("No sessions this month.").wait_for()
        await window.page.get_by_role("button", name="Previous month").focus()
        await window.page.keyboard.press("Space")
        await window.page.locator("table li").first.wait_for()
        assert sorted(await shown(window)) == sorted(expected(calendar))


async def test_a_month_of_more_than_one_answer_is_whole(calendar: Calendar, open_window: Open) -> None:
    calendar.db.execute(
        "insert into public.course_sessions (course_id, session_date, start_time, end_time, max_capacity) "
        "select %s, %s::date + d, '08:00'::time + m * interval '10 min', '09:00'::time + m * interval '10 min', 1 "
        "from generate_series(0, 26) d, generate_series(0, 39) m",
        [calendar.course, f"{calendar.month}-01"],
    )
    window = await open_window()
    assert await window.page.locator("table li").count() == 27 * 40


async def test_visitors_look_and_are_asked_to_sign_in_to_book(calendar: Calendar, open_window: Open) -> None:
    session, person = calendar.session(seats=3), calendar.person("Maya Lind")
    window = await open_window()
    await window.sees(session, "3 of 3 seats left")
    name = f"First Aid, {calendar.day(10):%A} 10 {calendar.day(10):%B} at 10:00"
    await window.page.get_by_role("button", name=f"Sign in to book: {name}").focus()
    await window.page.keyboard.press("Enter")
    dialog = window.page.get_by_role("dialog", name="Sign in")
    await dialog.get_by_text(f"Sign in to book {name}.").wait_for()
    window.allow("400 (Bad Request)", "/auth/v1/token")
    await window.fill_in(person.email, "not the password")
    await dialog.get_by_role("alert").get_by_text("This address and password do not belong together.").wait_for()
    await window.fill_in(person.email, PASSWORD)
    await window.page.get_by_text("Maya Lind", exact=True).wait_for()
    await window.page.locator(f"[data-session='{session}'] button:focus", has_text="Book").wait_for()
    await window.page.keyboard.press("Enter")
    await window.is_told(f"You have a seat: {name}.")
    await window.sees(session, "2 of 3 seats left")
    assert calendar.left(session) == 2
    booked = "select count(*) from public.session_bookings where session_id = %s and user_id = %s and is_live"
    assert calendar.one(booked, session, person.id) == 1
    await window.page.get_by_role("button", name=f"Cancel my seat: {name}").click()
    await window.is_told(f"Your seat is free again: {name}.")
    await window.sees(session, "3 of 3 seats left")
    assert calendar.one(booked, session, person.id) == 0
    await window.page.get_by_role("button", name="Sign out").click()
    await window.page.get_by_role("button", name=f"Sign in to book: {name}").wait_for()


async def test_a_refusal_is_a_sentence(calendar: Calendar, open_window: Open) -> None:
    basics = calendar.make_course("Basics", code=f"B-{calendar.month}")
    calendar.world.insert("public.course_prerequisites", course_id=calendar.course, required_course_id=basics)
    session = calendar.session()
    window = await open_window()
    await window.sign_in(calendar.person("Noor Vos"))
    window.allow("400 (Bad Request)", "/rpc/book_session")
    await window.button(session).click()
    code = calendar.one("select code from public.courses where id = %s", calendar.course)
    await window.is_told(f"was not booked. {code} requires B-{calendar.month} first.")
    assert calendar.left(session) == 12


async def test_an_answer_that_got_lost_books_once(calendar: Calendar, open_window: Open) -> None:
    session = calendar.session()
    window = await open_window()
    await window.sign_in(calendar.person("Ada Berg"))
    keys: list[str] = []

    async def lose_the_first(route: Any) -> None:
        keys.append(route.request.post_data_json["p_idempotency_key"])
        if len(keys) == 1:
            await route.fetch()  # done, and nobody hears of it
            await route.abort()
        else:
            await route.continue_()

    await window.page.route("**/rpc/book_session", lose_the_first)
    window.allow("net::ERR_FAILED", "/rpc/book_session")
    await window.button(session).click()
    await window.is_told("You have a seat")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    await window.sees(session, "11 of 12 seats left")
    assert calendar.left(session) == 11


async def test_it_is_looked_at(calendar: Calendar, open_window: Open) -> None:
    """Keeps pictures of a month that is in use, and sees that nothing is cut off or in anybody's way."""
    hall, annexe = calendar.place("Hall A"), calendar.place("Riverside Annexe")
    forklift = calendar.make_course("Forklift Operator Refresher", price=180)
    first_aid = [calendar.session(session_date=calendar.day(day), location_id=hall) for day in (3, 10, 17, 24)]
    for day in (5, 12, 19, 26):
        calendar.session(8, session_date=calendar.day(day), location_id=annexe, course_id=forklift, start_time="13:30")
    for session, taken in zip(first_aid, (12, 9, 4, 0), strict=True):
        for number in range(taken):
            calendar.guest(session, f"Guest {number}")
    window = await open_window(timezone_id="UTC")
    await window.sign_in(calendar.person("Maya Lind"))
    await window.button(first_aid[1]).click()
    await window.is_told("You have a seat")
    await window.sees(first_aid[1], "2 of 12 seats left")
    calendar.guest(first_aid[2], "Somebody Else")
    await window.sees(first_aid[2], "7 of 12 seats left")
    for name, width in (("desktop", 1360), ("tablet", 900), ("phone", 390), ("narrow", 320)):
        await window.page.set_viewport_size({"width": width, "height": 900})
        await window.page.screenshot(path=picture(f"sessions-{name}.png"), full_page=True)
        # Nothing is wider than the screen, and every button can be hit with a finger.
        assert await window.page.evaluate("document.documentElement.scrollWidth") <= width
        assert await window.barriers() == []
        boxes = [await button.bounding_box() for button in await window.page.get_by_role("button").all()]
        assert len(boxes) >= 4 + 8
        assert all(box is not None and box["height"] >= 32 and box["x"] + box["width"] <= width for box in boxes)
    # As a list, weeks without sessions are not there, and neither is a month without any.
    await window.page.get_by_role("button", name="Next month").click()
    await window.page.get_by_text("No sessions this month.").wait_for()
    assert await window.barriers() == []
    await window.page.get_by_role("button", name="Previous month").click()
    await window.page.get_by_role("button", name="Sign out").click()
    await window.button(first_aid[3]).get_by_text("Sign in to book").click()
    await window.page.get_by_role("dialog").wait_for()
    assert await window.barriers() == []
    await window.page.screenshot(path=picture("sessions-sign-in.png"))
