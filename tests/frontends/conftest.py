"""The page of this folder in headless Chromium, before a real local origin.

Playwright drives it, since its wheel brings a driver and no browser: it takes the Chromium that Debian packages. Windows of
one browser share nothing, as if each were another person's.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, async_playwright

from tests.embedded.conftest import Origin, origin
from tests.frontends.serve import LIBRARIES, serving
from tests.support.pictures import chromium
from tests.support.world import World

__all__ = ["origin"]

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "a long enough password"  # noqa: S105 - nobody's


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in with PASSWORD."""

    id: str
    email: str
    name: str


@dataclass
class Calendar:
    """Sessions in a month that no other test uses, made through the owner's connection."""

    origin: Origin
    db: psycopg.Connection[Any]
    month: str
    course: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.db)
        self.course = self.make_course("First Aid")

    def make_course(self, title: str, **values: Any) -> UUID:
        """A course of an hour's sessions."""
        found: UUID = self.world.insert(
            "public.courses", **{"code": uuid4().hex[:8], "title": title, "duration_minutes": 60, "price": 40, **values}
        ).id
        return found

    def place(self, name: str, time_zone: str = "UTC") -> UUID:
        """A place of that name, which may be booked throughout the month."""
        found: UUID = self.one(
            "insert into public.locations (name, time_zone) values (%s, %s) "
            "on conflict (lower(name)) do update set time_zone = excluded.time_zone returning id",
            name,
            time_zone,
        )
        self.rpc("extend_horizon", p_resource_ids=[str(found)], p_until=f"{self.day(28) + timedelta(days=5)}T00:00:00Z")
        return found

    def day(self, number: int) -> date:
        """A day of the month."""
        return date.fromisoformat(f"{self.month}-{number:02}")

    def session(self, seats: int = 12, **values: Any) -> UUID:
        """A session with so many seats, on the tenth at 10:00 unless it says otherwise."""
        found: UUID = self.world.insert(
            "public.course_sessions",
            **{
                "course_id": self.course,
                "session_date": self.day(10),
                "start_time": "10:00",
                "max_capacity": seats,
                **values,
            },
        ).id
        return found

    def guest(self, session: UUID, name: str = "Gus Guest") -> UUID:
        """Books somebody by a plain INSERT."""
        found: UUID = self.world.insert("public.session_bookings", session_id=session, attendee_name=name).id
        return found

    def rpc(self, name: str, **arguments: Any) -> Any:
        """Calls a function over REST, as a server."""
        with self.origin.client(apikey=self.origin.service) as client:
            answer = client.post(f"/rest/v1/rpc/{name}", json=arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def person(self, name: str) -> Person:
        """Makes somebody who can sign in."""
        email = f"{uuid4().hex}@example.org"
        asked = {"email": email, "password": PASSWORD, "email_confirm": True, "user_metadata": {"full_name": name}}
        key = self.origin.service
        with self.origin.client(apikey=key, Authorization=f"Bearer {key}") as client:
            answer = client.post("/auth/v1/admin/users", json=asked)
        assert answer.status_code == 200, answer.text
        return Person(answer.json()["id"], email, name)

    def one(self, statement: str, *arguments: Any) -> Any:
        """The first value of the only row."""
        row = self.db.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def left(self, session: UUID) -> int:
        """How many seats the database says are left."""
        found: int = self.one("select s.seats_left from public.course_sessions s where s.id = %s", session)
        return found

    def published(self) -> list[int]:
        """Numbers of the changes on the course's topic, in order."""
        rows = self.db.execute("select id from public.changes where topic = %s order by id", [f"course:{self.course}"])
        return [row[0] for row in rows]


@dataclass
class Window:
    """The page in a browser of somebody's own."""

    page: Page
    said: list[tuple[str, str]] = field(default_factory=list)
    allowed: list[tuple[str, str]] = field(default_factory=list)

    def listen(self) -> None:
        """Notes every error the page or the browser writes to the console."""
        self.page.on(
            "console",
            lambda said: self.said.append((said.text, said.location["url"])) if said.type == "error" else None,
        )
        self.page.on("pageerror", lambda error: self.said.append((str(error), "")))

    def allow(self, text: str, path: str) -> None:
        """Chromium itself writes an error for each answer of 400 or more and each broken connection: these are provoked."""
        self.allowed.append((text, path))

    def unexpected(self) -> list[tuple[str, str]]:
        """What should not have been written."""
        return [
            (text, url)
            for text, url in self.said
            if not any(part in text and path in url + text for part, path in self.allowed)
        ]

    async def is_(self, state: str) -> None:
        """Waits until the page says that it is live, polling or reconnecting."""
        await self.page.locator(f"#state[data-state={state}]").wait_for()

    def card(self, session: UUID) -> Locator:
        """A session's card."""
        return self.page.locator(f"table [data-session='{session}']")

    def button(self, session: UUID) -> Locator:
        """Its button."""
        return self.card(session).get_by_role("button")

    async def sees(self, session: UUID, seats: str) -> None:
        """Waits until the card says so of its seats."""
        await self.card(session).get_by_text(seats, exact=True).wait_for()

    async def is_told(self, text: str) -> None:
        """Waits until the page says so."""
        await self.page.get_by_role("status").get_by_text(text).wait_for()

    async def barriers(self) -> list[str]:
        """What keeps people from using the page as it is now, as far as axe can tell."""
        await self.page.evaluate(AXE.read_text())
        found: list[str] = await self.page.evaluate(
            "axe.run().then(found => found.violations.flatMap("
            "what => what.nodes.map(node => `${what.id}: ${node.html} ${node.failureSummary}`)))"
        )
        return found

    async def sign_in(self, person: Person) -> None:
        """Signs in."""
        await self.page.get_by_role("button", name="Sign in", exact=True).click()
        await self.fill_in(person.email, PASSWORD)
        await self.page.get_by_text(person.name, exact=True).wait_for()

    async def fill_in(self, email: str, password: str) -> None:
        """Fills in the dialog, and presses Enter."""
        await self.page.get_by_label("Email").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.page.keyboard.press("Enter")

    async def news(self) -> list[int]:
        """Numbers of the changes the page has applied, in the order in which it did."""
        texts = await self.page.locator("#news li").evaluate_all("items => items.map(item => item.dataset.changes)")
        return [int(number) for text in reversed(texts) for number in text.split()]


Open = Callable[..., Any]
_months = itertools.count(2)


@pytest.fixture(scope="session")
def site(origin: Origin) -> Iterator[str]:
    """The address of the page."""
    missing = [str(path) for path in (*LIBRARIES.values(), AXE) if not path.is_file()]
    if missing:
        pytest.skip(f"not installed, make setup: {', '.join(missing)}")
    with serving(origin.url, origin.anon) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium."""
    found = chromium()
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    async with async_playwright() as playwright:
        # Root may not use the sandbox; every page is our own.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = await playwright.chromium.launch(executable_path=found, args=arguments)
        yield running
        await running.close()


@pytest.fixture
def calendar(origin: Origin) -> Iterator[Calendar]:
    """A month with a course and nothing in it yet."""
    with origin.connect() as db:
        number = next(_months)
        row = db.execute(
            "select to_char(private.today() + make_interval(months => %s), 'YYYY-MM')", [number]
        ).fetchone()
        assert row is not None
        yield Calendar(origin, db, row[0])


@pytest_asyncio.fixture(loop_scope="session")
async def open_window(browser: Browser, site: str, calendar: Calendar) -> AsyncIterator[Open]:
    """`await open_window()` opens the page at the calendar's month, live; options are those of a browser context.
    `with_clock` lets a test set the page's clock forward.

    At the end no page may have written an error that was not provoked.
    """
    windows: list[Window] = []

    async def make(*, with_clock: bool = False, **options: Any) -> Window:
        context = await browser.new_context(locale="en-GB", **options)
        context.set_default_timeout(40_000)
        window = Window(await context.new_page())
        windows.append(window)
        window.listen()
        if with_clock:
            await window.page.clock.install()
        await window.page.goto(f"{site}/?month={calendar.month}")
        await window.page.locator("table[aria-busy=false]").wait_for()
        await window.is_("live")
        return window

    yield make
    for window in windows:
        await window.page.context.close()
    assert [window.unexpected() for window in windows] == [[] for _ in windows]


@dataclass
class Push:
    """The Edge Function `changes` of the origin, to be taken down."""

    origin: Origin

    def processes(self) -> list[psutil.Process]:
        """Where it runs."""
        return [
            process
            for process in self.origin.backend.processes()
            if any(word.endswith("functions/changes/index.ts") for word in process.cmdline())
        ]

    def kill(self) -> None:
        """Ends it, and leaves nothing to start again."""
        functions = self.origin.checkout / "functions"
        (functions / "changes").rename(functions / "_changes")
        for process in self.processes():
            process.kill()

    def restore(self) -> None:
        """Lets it be started again."""
        functions = self.origin.checkout / "functions"
        if (functions / "_changes").exists():
            (functions / "_changes").rename(functions / "changes")

    def freeze(self) -> None:
        """Stops it where it is: connections stay open, and nothing comes."""
        for process in self.processes():
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        for process in self.processes():
            process.send_signal(signal.SIGCONT)


@pytest.fixture
def push(origin: Origin) -> Iterator[Push]:
    """The function that pushes; runs again at the end."""
    made = Push(origin)
    yield made
    made.thaw()
    made.restore()
