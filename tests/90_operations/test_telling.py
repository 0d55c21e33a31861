"""Alerts reach those they are for, once, and again when they get worse."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.identity import as_user
from tests.support.outbox import Outbox
from tests.support.world import World

RAISE = "select private.raise_alert(%s, %s, %s, %s, %s)"


@pytest.fixture
def outbox(db: psycopg.Connection[Any]) -> Outbox:
    return Outbox(db)


def raised(outbox: Outbox, severity: str = "error", subject: str = "tidy", **details: Any) -> None:
    outbox.db.execute(RAISE, ["job_failed", subject, severity, "The job tidy failed", Jsonb(details)])


def told(outbox: Outbox) -> list[tuple[str, str]]:
    """Recipients and subjects since this was asked last."""
    rows = outbox.db.execute("with gone as (delete from public.outbox returning *) select recipient, subject from gone order by 1, 2").fetchall()  # fmt: skip
    return [(recipient, subject) for recipient, subject in rows]


def test_who_holds_the_role_and_who_is_named(outbox: Outbox, world: World) -> None:
    admin, manager = world.user("admin"), world.user("manager")
    outbox.set("alert_recipients", "ops@example.org; On.Call@example.org")
    raised(outbox)
    subject = "Error: The job tidy failed"
    assert told(outbox) == [(admin.email, subject), ("on.call@example.org", subject), ("ops@example.org", subject)]
    # While it stays open it only counts.
    raised(outbox)
    assert told(outbox) == []
    raised(outbox, "critical")
    assert told(outbox)[0] == (admin.email, "Critical: The job tidy failed")
    raised(outbox, "error")
    assert told(outbox) == []
    raised(outbox, subject="other", notify_role="manager")
    assert (manager.email, subject) in told(outbox)
    notified = outbox.db.execute("select count(*) from public.notifications where kind = 'alert'").fetchone()
    assert notified == (3,)


def test_from_which_severity_on(outbox: Outbox, world: World) -> None:
    admin = world.user("admin")
    raised(outbox, "warning")
    assert told(outbox) == []
    outbox.set("alert_tell_from", "info")
    raised(outbox, "info", "other")
    assert [recipient for recipient, _ in told(outbox)] == [admin.email]


def test_dead_letters_of_a_scheduled_run_are_told(outbox: Outbox, world: World) -> None:
    admin = world.user("admin")
    outbox.queue()
    [message] = outbox.claim()
    outbox.fail(message, "permanent")
    outbox.db.execute("update public.integrity_checks set is_active = name = 'outbox_dead_letters'")
    outbox.db.execute("select private.run_scheduled_checks()")
    found = outbox.db.execute("select recipient, subject from public.outbox where kind = 'alert'").fetchall()
    assert found == [(admin.email, "Error: 1 outbox_dead_letters found")]


def test_without_email_nothing_piles_up(outbox: Outbox, world: World) -> None:
    world.user("admin")
    outbox.set("send_email", value=False)
    outbox.set("alert_recipients", "ops@example.org")
    raised(outbox)
    assert told(outbox) == []


def test_addresses_are_addresses(outbox: Outbox) -> None:
    with refused("invalid_input"):
        outbox.set("alert_recipients", "ops@example.org, the boss")
    outbox.set("alert_recipients", "")


def test_who_manages_settings_says_whom(outbox: Outbox, world: World) -> None:
    change = "update public.settings set value = %s where key = 'alert_recipients'"
    with as_user(outbox.db, world.user("admin")) as acting:
        assert acting.execute(change, [Jsonb("ops@example.org")]).rowcount == 1
