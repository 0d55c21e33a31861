"""Messages that do not leave the house."""

from __future__ import annotations

from tests.support.damage import Damage, Town


def prepare(town: Town) -> None:
    """An email that was sent, and a text message that waits for its channel to be switched on."""
    for name, channel, recipient, subject in (
        ("email", "email", "'ann@example.org'", "'Planted'"),
        ("text", "sms", "'+33612345678'", "null"),
    ):
        town.names[f"message_by_{name}"] = town.one(
            "insert into public.outbox (channel, recipient, subject, body, kind) "
            f"values ('{channel}', {recipient}, {subject}, 'Planted.', 'planted') returning id"
        )


DAMAGES = [
    Damage(
        "a message that was given up",
        "update public.outbox set status = 'failed', attempts = 3, failed_at = private.now(), last_error = 'Planted.' "
        "where id = '{message_by_email}'",
        (
            ("outbox_dead_letters", "error", "outbox", "{message_by_email}"),
        ), mended=True,
    ),
    Damage(
        "messages nobody sends",
        "update public.settings set value = 'true' where key = 'send_sms'; "
        "update public.outbox set next_attempt_at = private.now() - interval '2 hours' where id = '{message_by_text}'",
        (
            ("outbox_stuck", "error", "outbox_providers", "sms"),
        ),
    ),
]  # fmt: skip
