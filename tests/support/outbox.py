"""Messages in the outbox, and dispatchers that claim them and report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.calls import call
from tests.support.tracking import set_now

MORNING = datetime(2027, 6, 7, 6, tzinfo=UTC)
CHANNELS = ("email", "sms", "whatsapp", "webhook")


class Outbox:
    """The outbox of one database, with every channel switched on and a clock that is moved by hand."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.db = db
        self.now = MORNING
        set_now(db, self.now)
        for channel in CHANNELS:
            self.set(f"send_{channel}", value=True)

    def set(self, key: str, value: Any) -> None:
        """Gives a setting a value."""
        self.db.execute("update public.settings set value = %s where key = %s", [Jsonb(value), key])

    def later(self, **span: float) -> None:
        """Moves the clock on, by what timedelta takes."""
        self.now += timedelta(**span)
        set_now(self.db, self.now)

    def queue(self, channel: str = "email", count: int = 1, **values: Any) -> list[UUID]:
        """Queues messages, all alike but for whom they go to; gives their ids."""
        row = {
            "recipient": {"email": "guest%s@example.org", "webhook": "https://hooks.example.org/%s"}.get(
                channel, "+4915123400%s"
            ),
            "subject": "News" if channel == "email" else None,
            "body": '{"news": true}' if channel == "webhook" else "There is news.",
            "kind": "news",
            **values,
        }
        made = []
        for number in range(count):
            said = {**row, "channel": channel, "recipient": str(row["recipient"]).replace("%s", str(number + 10))}
            columns, places = ", ".join(said), ", ".join(f"%({name})s" for name in said)
            statement = f"insert into public.outbox ({columns}) values ({places}) returning id"
            found = self.db.execute(statement.encode(), said).fetchone()
            assert found is not None
            made.append(found[0])
        return made

    def row(self, message: UUID) -> dict[str, Any]:
        """A message as it is now."""
        with self.db.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("select * from public.outbox where id = %s", [message]).fetchone()
        assert found is not None
        return found

    def provider(self, name: str = "email") -> dict[str, Any]:
        """A provider's breaker."""
        with self.db.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("select * from public.outbox_providers where name = %s", [name]).fetchone()
        assert found is not None
        return found

    def claim(self, limit: int = 10, lease: int = 60, channels: list[str] | None = None) -> list[dict[str, Any]]:
        """Claims as a server."""
        return call(
            self.db, "service_role", "claim_outbox",
            p_channels=channels or list(CHANNELS), p_limit=limit, p_lease_seconds=lease,
        )  # fmt: skip

    def complete(self, message: dict[str, Any], provider_id: str | None = None) -> None:
        """Says that a claimed message was sent."""
        call(
            self.db, "service_role", "complete_outbox",
            p_id=message["id"], p_lease=message["lease"], p_provider_message_id=provider_id,
        )  # fmt: skip

    def fail(
        self, message: dict[str, Any], reason: str = "transient", retry_after: int | None = None
    ) -> dict[str, Any]:
        """Says that a claimed message was not sent; gives what became of it."""
        [answer] = call(
            self.db, "service_role", "fail_outbox",
            p_id=message["id"], p_lease=message["lease"], p_error="It went wrong.", p_reason=reason,
            p_retry_after=retry_after,
        )  # fmt: skip
        return answer

    def job(self, name: str = "dispatch_outbox") -> int:
        """Runs what a job runs; what it says."""
        row = self.db.execute(f"select private.{name}()".encode()).fetchone()
        assert row is not None
        return int(row[0])
