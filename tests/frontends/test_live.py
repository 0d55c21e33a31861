"""What others do appears by itself: pushed, asked for while push is down, and each change once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from tests.frontends.conftest import Calendar, Open, Push, Window

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_others_do_appears(calendar: Calendar, open_window: Open) -> None:
    session = calendar.session()
    window: Window = await open_window()
    asked: list[str] = []
    window.page.on(
        "request", lambda request: asked.append(request.url) if "/rpc/changes_since" in request.url else None
    )
    await window.page.evaluate("window.isTheSame = true")
    before = len(calendar.published())

    booking = calendar.guest(session)
    await window.sees(session, "11 of 12 seats left")
    calendar.db.execute("update public.course_sessions set max_capacity = 8 where id = %s", [session])
    await window.sees(session, "7 of 8 seats left")
    calendar.db.execute("update public.session_bookings set status = 'cancelled' where id = %s", [booking])
    await window.sees(session, "8 of 8 seats left")
    held = calendar.db.execute(
        "insert into public.session_holds (session_id, seats, user_id) values (%s, 3, %s) returning id",
        [session, calendar.person("Ada Berg").id],
    ).fetchone()
    assert held is not None
    await window.sees(session, "5 of 8 seats left")
    calendar.db.execute("update public.session_holds set released_at = private.now() where id = %s", held)
    await window.sees(session, "8 of 8 seats left")

    [made] = calendar.rpc(
        "create_session", p_course_id=str(calendar.course), p_session_date=str(calendar.day(20)), p_start_time="09:00"
    )
    await window.page.locator(f"td[data-date='{calendar.day(20)}'] [data-session='{made['id']}']").wait_for()
    calendar.rpc(
        "move_session", p_id=made["id"], p_session_date=str(calendar.day(21)), p_start_time="15:30", p_expected_version=made["version"]
    )  # fmt: skip
    await window.page.locator(f"td[data-date='{calendar.day(21)}'] [data-session='{made['id']}']").wait_for()
    await window.card(made["id"]).get_by_text("15:30–16:30").wait_for()
    calendar.rpc("cancel_session", p_id=made["id"], p_reason="The room is flooded.")
    await window.card(made["id"]).wait_for(state="detached")
    await window.page.locator("#news").get_by_text("Cancelled: First Aid").wait_for()

    assert await window.news() == calendar.published()[before:]
    # It was pushed: nobody asked, and nobody loaded the page again.
    assert asked == []
    assert await window.page.evaluate("window.isTheSame") is True


@asynccontextmanager
async def bookings(calendar: Calendar, session: UUID) -> AsyncIterator[None]:
    """Guests book and cancel all the time, several times a second."""
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            with calendar.db.transaction():
                booking = calendar.guest(session)
                calendar.db.execute("update public.session_bookings set status = 'cancelled' where id = %s", [booking])
            await asyncio.sleep(0.3)

    writing = asyncio.create_task(write())
    try:
        yield
    finally:
        stop.set()
        await writing


async def test_while_push_is_down_it_asks_and_nothing_is_missed(
    calendar: Calendar, open_window: Open, push: Push
) -> None:
    session = calendar.session()
    busy = calendar.session(session_date=calendar.day(11))
    window: Window = await open_window()
    before = len(calendar.published())
    window.allow("net::ERR_INCOMPLETE_CHUNKED_ENCODING", "/functions/v1/changes")
    window.allow("404 (Not Found)", "/functions/v1/changes")
    async with bookings(calendar, busy):
        # Some changes have been pushed by now; one is not, since the function stands still before it dies.
        await window.page.locator("#news li").nth(2).wait_for()
        push.freeze()
        calendar.guest(session, "Unheard")
        push.kill()
        await window.page.get_by_role("status").get_by_text("Polling: changes appear within 5 seconds").wait_for()
        await window.sees(session, "11 of 12 seats left")
        calendar.guest(session, "While it polls")
        await window.sees(session, "10 of 12 seats left")
        await window.is_("polling")
        push.restore()
        await window.is_("live")
        calendar.guest(session, "When it is live again")
        await window.sees(session, "9 of 12 seats left")
        # A break that is over before anybody asks: the next stream goes on from the last event.
        push.freeze()
        calendar.guest(session, "Unheard again")
        push.kill()
        push.restore()
        await window.sees(session, "8 of 12 seats left")
        await window.is_("live")
    # The last of all, so that everything before it has been shown.
    calendar.guest(session, "Last")
    await window.sees(session, "7 of 12 seats left")
    assert await window.news() == calendar.published()[before:]


async def test_a_stream_that_went_silent_is_given_up(calendar: Calendar, open_window: Open, push: Push) -> None:
    session = calendar.session()
    window: Window = await open_window(with_clock=True)
    before = len(calendar.published())
    push.freeze()
    await window.page.clock.fast_forward(40_000)
    await window.is_("reconnecting")
    await window.page.clock.fast_forward(5_000)
    await window.is_("polling")
    calendar.guest(session)
    await window.sees(session, "11 of 12 seats left")
    push.thaw()
    await window.is_("live")
    assert await window.news() == calendar.published()[before:]


async def test_without_any_connection_it_says_so_and_comes_back(
    calendar: Calendar, open_window: Open, push: Push
) -> None:
    session = calendar.session()
    window: Window = await open_window()
    before = len(calendar.published())
    window.allow("net::ERR_INCOMPLETE_CHUNKED_ENCODING", "/functions/v1/changes")
    window.allow("net::ERR_INTERNET_DISCONNECTED", "")
    # Going offline, Chromium begins nothing new; what is open has to break by itself.
    await window.page.context.set_offline(True)
    push.kill()
    await window.is_("reconnecting")
    calendar.guest(session)
    push.restore()
    await window.page.context.set_offline(False)
    await window.sees(session, "11 of 12 seats left")
    await window.is_("live")
    assert await window.news() == calendar.published()[before:]


async def test_a_new_course_is_followed_too(calendar: Calendar, open_window: Open) -> None:
    window: Window = await open_window(with_clock=True)
    before = len(calendar.published())
    course = calendar.make_course("Rope Access")
    async with window.page.expect_request(
        lambda asked: "/functions/v1/changes" in asked.url and str(course) in asked.url
    ):
        await window.page.clock.fast_forward(61_000)
    await window.is_("live")
    session = calendar.session(course_id=course)
    await window.sees(session, "12 of 12 seats left")
    other = calendar.session(session_date=calendar.day(11))
    await window.sees(other, "12 of 12 seats left")
    news = await window.news()
    assert len(news) == 2
    assert news[1:] == calendar.published()[before:]
