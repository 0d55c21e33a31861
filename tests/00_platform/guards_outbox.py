"""What goes wrong without each guard of the outbox. The rows are those of sample_outbox.py."""

from __future__ import annotations

from tests.support.guards import guards
from tests.support.stage import Stage

WAITING = "update public.outbox set {} where dedupe_key = 'stage waiting'"
SENDING = "update public.outbox set {} where dedupe_key = 'stage sending'"
PROVIDER = "update public.outbox_providers set {} where name = 'email'"
QUEUE = "insert into public.outbox (channel, recipient, subject, body, kind) values ({})"

REFUSED = {
    "public.outbox.channel_is_known": "update public.outbox set channel = 'pigeon' where dedupe_key = 'stage sms'",
    "public.outbox.kind_is_snake_case": QUEUE.format("'sms', '+15550199', null, 'News', 'The news'"),
    "public.outbox.recipient_fits_the_channel": QUEUE.format("'email', '+15550199', 'News', 'News', 'news'"),
    "public.outbox.emails_have_a_subject": QUEUE.format("'email', 'a@example.org', null, 'News', 'news'"),
    "public.outbox.subject_is_one_line": QUEUE.format("'email', 'a@example.org', '', 'News', 'news'"),
    "public.outbox.body_is_bounded": QUEUE.format("'sms', '+15550199', null, repeat('x', 100001), 'news'"),
    "public.outbox.dedupe_key_is_bounded": (
        "insert into public.outbox (channel, recipient, body, kind, dedupe_key) values ('sms', '+15550199', 'News', 'news', '')"
    ),
    "public.outbox.status_is_known": WAITING.format("status = 'lost'"),
    "public.outbox.reports_are_bounded": WAITING.format("last_error = repeat('x', 1001)"),
    "public.outbox.attempts_are_not_below_zero": WAITING.format("attempts = -1"),
    "public.outbox.sending_means_leased": WAITING.format("leased_until = private.now()"),
    "public.outbox.sent_says_when": SENDING.format("status = 'sent', leased_until = null"),
    "public.outbox.failed_says_when_and_why": SENDING.format(
        "status = 'failed', leased_until = null, failed_at = private.now()"
    ),
    "public.outbox.t10_check": WAITING.format("body = 'Something else.'"),
    "public.outbox_providers.channel_is_known": PROVIDER.format("channel = 'pigeon'"),
    "public.outbox_providers.state_is_known": PROVIDER.format("state = 'ajar', retry_at = private.now()"),
    "public.outbox_providers.counts_are_not_below_zero": PROVIDER.format("failures = -1"),
    "public.outbox_providers.closed_for_a_while": PROVIDER.format("state = 'open'"),
}


@guards("public.outbox.t10_begin")
def it_begins_now(stage: Stage) -> None:
    stage.db.execute(QUEUE.format("'sms', '+15550199', null, 'News', 'news'").encode())


@guards("public.outbox.t20_know_providers")
def its_provider_is_known(stage: Stage) -> None:
    stage.db.execute(QUEUE.format("'webhook', 'https://new.example.org/x', null, '{}', 'news'").encode())
    known = stage.db.execute(
        "select count(*) from public.outbox_providers where name = 'webhook new.example.org'"
    ).fetchone()
    assert known == (1,)
