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


def note_answers(window: Window, answers: list[tuple[Window, Response]]) -> None:
    """Notes what book_session answers this window from now on."""

    def note(answer: Response) -> None:
        if answer.url.endswith("/rpc/book_session") and answer.request.method == "POST":
            answers.append((window, answer))

    window.page.on("response", note)


async def test_one_wins_the_last_seat_and_both_see_that_it_is_gone(calendar: Calendar, open_window: Open) -> None:
    windows: list[Window] = [await open_window(), await open_window()]
    people = [calendar.person("Ada Berg"), calendar.person("Noor Vos")]
    answers: list[tuple[Window, Response]] = []
    for window, person in zip(windows, people, strict=True):
        await window.sign_in(person)
        window.allow("409 (Conflict)", "/rpc/book_session")
        note_answers(window, answers)
    for number in range(ROUNDS):
        # One seat in some rounds, in others one that is left beside a guest's.
        seats = 1 + number % 2
        day = calendar.day(3 + number)
        session = calendar.session(seats, session_date=day)
        for guest in range(seats - 1):
            calendar.guest(session, f"Guest {guest}")
        await asyncio.gather(*(window.sees(session, f"1 of {seats} seats left") for window in windows))
        answers.clear()
        at = (time.time() + 0.3) * 1000
        await asyncio.gather(*(window.page.evaluate(PRESS, [str(session), at]) for window in windows))
        await asyncio.gather(*(window.sees(session, "No seats left") for window in windows))
        name = f"First Aid, {day:%A} {day.day} {day:%B}"
        told = [window.page.locator("#outcome .good, #outcome .bad").get_by_text(name) for window in windows]
        await asyncio.gather(*(line.wait_for() for line in told))
        # Both asked, and it was the database that said no: the page was not just quick enough to know.
        last = {answer.status: (window, answer) for window, answer in answers}
        assert sorted(last) == [200, 409], [await answer.text() for _, answer in answers]
        assert (await last[409][1].json())["code"] == "seats_full"
        winner, loser = last[200][0], last[409][0]
        assert winner is not loser
        await winner.is_told(f"You have a seat: {name} at 10:00.")
        await loser.is_told(f"{name} at 10:00 is full: somebody else took the last seat.")
        await winner.card(session).get_by_text("You have a seat").wait_for()
        await winner.button(session).get_by_text("Cancel my seat").wait_for()
        await loser.button(session).get_by_text("Full").wait_for()
        booked = "select user_id::text from public.session_bookings where session_id = %s and is_live and user_id is not null"
        assert calendar.one(booked, session) == people[windows.index(winner)].id
        assert calendar.left(session) == 0
