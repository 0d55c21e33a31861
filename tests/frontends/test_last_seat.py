"""Two people, two browsers, one seat."""

from __future__ import annotations

import asyncio
import time

import pytest
from playwright.async_api import Response

from tests.frontends.conftest import Calendar, Open, Window

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUNDS = 6
PRESS = """
([session, at]) => new Promise(done => setTimeout(
  () => { document.querySelector(`[data-session='${session}'] button`).click(); done(); }, at - Date.now()
))
"""


async def test_one_wins_the_last_seat_and_both_see_that_it_is_gone(calendar: Calendar, open_window: Open) -> None:
    windows: list[Window] = [await open_window(), await open_window()]
    people = [calendar.person("Ada Berg"), calendar.person("Noor Vos")]
    answers: list[tuple[Window, Response]] = []
    for window, person in zip(windows, people, strict=True):
        await window.sign_in(person)
        window.allow("409 (Conflict)", "/rpc/book_session")
        window.page.on(
            "response",
            lambda answer, window=window: answers.append((window, answer))
            if answer.url.endswith("/rpc/book_session") and answer.request.method == "POST"
            else None,
        )
    for number in range(ROUNDS):
        # One seat in some rounds, in others one that is left beside a guest's.
        seats = 1 + number % 2
        session = calendar.session(seats, session_date=calendar.day(3 + number))
        for guest in range(seats - 1):
            calendar.guest(session, f"Guest {guest}")
        await asyncio.gather(*(window.sees(session, f"1 of {seats} seats left") for window in windows))
        answers.clear()
        at = (time.time() + 0.3) * 1000
        await asyncio.gather(*(window.page.evaluate(PRESS, [str(session), at]) for window in windows))
        await asyncio.gather(*(window.sees(session, "No seats left") for window in windows))
        await asyncio.gather(*(window.page.locator("#outcome .good, #outcome .bad").wait_for() for window in windows))
        # Both asked, and it was the database that said no: the page was not just quick enough to know.
        told = {answer.status: (window, answer) for window, answer in answers}
        assert sorted(told) == [200, 409], [await answer.text() for _, answer in answers]
        assert (await told[409][1].json())["code"] == "seats_full"
        winner, loser = told[200][0], told[409][0]
        assert winner is not loser
        await winner.is_told(f"You have a seat: First Aid, {calendar.day(3 + number):%A}")
        await loser.is_told("is full: somebody else took the last seat.")
        await winner.card(session).get_by_text("You have a seat").wait_for()
        await loser.page.get_by_role("button", name="Full: First Aid").nth(number).wait_for()
        booked = "select user_id::text from public.session_bookings where session_id = %s and is_live and user_id is not null"
        assert calendar.one(booked, session) == people[windows.index(winner)].id
        assert calendar.left(session) == 0
