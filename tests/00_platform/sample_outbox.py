"""Messages on stage: one that waits, one that is being sent, one that was. None was given up: that is a finding."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Through the functions that claim and report, as dispatchers do."""
    db = world.db
    db.execute("update public.settings set value = 'true' where key = 'send_email'")
    for what in ("sent", "sending", "waiting"):
        world.insert(
            "public.outbox",
            channel="email",
            recipient=people["member"].email,
            subject=what,
            body="There is news.",
            kind="stage",
            dedupe_key=f"stage {what}",
        )
        if what != "waiting":
            db.execute("select public.claim_outbox('{email}', 1, 3600)")
        if what == "sent":
            db.execute("select public.complete_outbox(id, lease, 'one') from public.outbox where subject = 'sent'")
    world.insert(
        "public.outbox",
        channel="sms",
        recipient="+15550199",
        body="There is news.",
        kind="stage",
        dedupe_key="stage sms",
    )
    db.execute("update public.settings set value = null where key = 'send_email'")
